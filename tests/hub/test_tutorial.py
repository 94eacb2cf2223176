"""Tests that the code blocks of the tutorial run on small data, each in a fresh process; and tests of translations."""

import csv
import re
import shlex
from pathlib import Path

import pytest
from support import ROOT
from support.code_blocks import code_blocks
from support.fresh_processes import Job, run_each
from support.reviews import made_up_reviews

TUTORIAL = ROOT / "docs" / "tutorial.md"
# Pages with a Chinese translation.
TRANSLATED = ["tutorial", "shrink"]
# Replacements in the tutorial's code that reduce data, sizes and steps. Each key occurs in the tutorial.
SMALL = "--model.embedding_size 8 --training.max_steps 2 --training.bf16 false --training.disable_tqdm true"
SMALLER = {
    "configs/imdb.yaml": f"{ROOT}/configs/imdb.yaml --data.path DATA --model.hidden_size 8 {SMALL}",
    "configs/imdb_lm.yaml": f"{ROOT}/configs/imdb_lm.yaml --data.path DATA --data.unlabelled_splits '[]' "
    f"--model.hidden_size 8 --training.per_device_train_batch_size 8 {SMALL}",
    "configs/imdb_finetune.yaml": f"{ROOT}/configs/imdb_finetune.yaml --data.path DATA --training.max_steps 2 "
    "--training.bf16 false --training.disable_tqdm true",
    '"num_train_epochs": 1': '"max_steps": 2',
    "USER": "user",
}


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(token.info, token.content) for token, _ in code_blocks(page)]


@pytest.mark.proof
@pytest.mark.slow
def test_every_block_runs(server, client, tmp_path):
    rows = made_up_reviews(400)
    for split, part in (("train", slice(0, 300)), ("test", slice(300, 400))):
        (tmp_path / "data").mkdir(exist_ok=True)
        with (tmp_path / "data" / f"{split}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["text", "label"])
            table.writerows(zip(rows["text"][part], rows["label"][part], strict=True))
    jobs, used = [], set()
    for kind, text in blocks(TUTORIAL):
        for old, new in SMALLER.items():
            if old in text:
                text = text.replace(old, new.replace("DATA", str(tmp_path / "data")))
                used.add(old)
        assert kind in ("python", "bash")
        lines = [shlex.split(line) for line in text.splitlines()] if kind == "bash" else []
        assert all(line[0] == "hf-rnn" for line in lines)
        jobs.append(Job(tmp_path, [line[1:] for line in lines] or text))
    assert used == SMALLER.keys()
    run_each(jobs, tmp_path, **server.environment(client.home))
    for made in ("why.html", "why.png", "curve.png", "runs/imdb/gradient_flow.png"):
        assert (tmp_path / made).exists()
    assert "model.safetensors" in server.repo("user/my-first-model").files()


@pytest.mark.parametrize("name", TRANSLATED)
def test_both_languages_have_the_same_code(name):
    one, other = (blocks(ROOT / "docs" / f"{name}{ending}") for ending in (".md", ".zh-CN.md"))
    assert one == other


@pytest.mark.parametrize("page", [f"{name}{ending}" for name in TRANSLATED for ending in (".md", ".zh-CN.md")])
def test_links_lead_somewhere(page):
    page = ROOT / "docs" / page
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith(("https://", "reference/")):  # The documentation site makes the reference.
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [title.lower().replace(" ", "-") for title in titles], link


def test_the_cell_that_is_shown_is_the_one_that_is_tested():
    source = (ROOT / "src" / "hf_rnn" / "models" / "cells.py").read_text(encoding="utf-8")
    shown = next(code for _, code in blocks(TUTORIAL) if "def lstm_step" in code)
    for line in shown.splitlines()[5:]:
        assert line in source
