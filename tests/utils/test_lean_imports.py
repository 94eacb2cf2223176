"""Tests that prediction on the command line starts without libraries that it never uses."""

import json
import subprocess
import sys

import pytest

from hf_rnn import Predictor

TEXT = "the film was not good ."
LEFT_OUT = (
    "PIL",
    "accelerate",
    "jinja2",
    "scipy",
    "sklearn",
    "sympy",
    "torch._dynamo.convert_frame",
    "torch.distributed.tensor",
)
ANSWER = """
import json, sys

import hf_rnn_command

hf_rnn_command.is_running = True  # then the command line registers the models, inside the block
from hf_rnn.utils.lean_imports import lean_imports

with lean_imports():
    import hf_rnn

    hf_rnn.register_models()
    from hf_rnn.inference.predictor import Predictor

    answers = Predictor.from_pretrained(sys.argv[1])([sys.argv[2]])
loaded = sorted(sys.modules)
import scipy.optimize, torch._dynamo, transformers

later = torch.distributed.is_available(), hasattr(torch._dynamo, "explain"), hasattr(transformers.models, "BertConfig")
print(json.dumps([answers, loaded, later]))
"""


@pytest.mark.slow
def test_the_answer_is_the_same_and_the_libraries_come_when_they_are_needed(tiny_run):
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, str(tiny_run), TEXT], capture_output=True, text=True, check=True
    )
    answers, loaded, later = json.loads(done.stdout)
    (expected,) = Predictor.from_pretrained(tiny_run)([TEXT])
    assert answers[0]["label"] == expected["label"]
    assert answers[0]["score"] == pytest.approx(expected["score"], abs=1e-6)
    assert [name for name in LEFT_OUT if name in loaded] == []
    assert later == [True, True, True]
