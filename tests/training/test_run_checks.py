"""Warnings about settings before a run."""

import pytest
import torch
from support.machine import needs_bf16

from hf_rnn.tasks import task_class
from hf_rnn.training.run_checks import check_use
from hf_rnn.training.run_config import parse_run


@needs_bf16
@pytest.mark.parametrize(
    ("instructions", "told"), [({}, True), ({"avx512_bf16": True}, False), ({"amx_bf16": True}, False)]
)
def test_bf16_that_a_processor_emulates_is_told(instructions, told, monkeypatch, caplog):
    known = {"architecture": "x86_64", **instructions}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    run, _ = parse_run(["--training.bf16", "true", "--training.use_cpu", "true"])
    check_use(run, task_class(run.task))
    assert ("slower than float32: leave it out, or write training.bf16=False" in caplog.text) == told
