"""Each code block of README, get started and the guides runs alone in a fresh process, on small data and models.

The blocks of the page about teachers run one after the other. In a block that is marked as needing the network, lines
that need it are only parsed.
"""

import csv
import json
import re
import shlex
import shutil
from collections.abc import Iterator

import pytest
from support import ROOT, tagging, translating
from support.code_blocks import code_blocks
from support.fresh_processes import Job, run_each
from support.reviews import made_up_reviews

import hf_rnn
from hf_rnn.cli.main import _command, _parser

PAGES = ["README.md", "docs/get_started.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/guides/*.md"))]
TEACHERS = "docs/shrink.md"
MARK = "<!-- needs the network -->"
# Lines that need the network, or a server that does not end.
ELSEWHERE = re.compile(r"--config |USER/|hf-rnn demo |--teacher \S+/")
# Other programs, which set up the machine or are run by other tests.
SKIPPED = ("make ", "pip ", "hf auth ")
SMALL = "--training.max_steps 2 --model.hidden_size 8 --training.early_stopping_patience null"
# Options that make commands short.
SHORT = {"train": SMALL, "distil": SMALL, "tune": f"{SMALL} --trials 1"}


def blocks(page: str) -> list[tuple[str, str, bool]]:
    """Return the kind and the code of each block of a page, and True if it is marked as needing the network."""
    found = []
    for token, before in code_blocks(ROOT / page):
        if token.info in ("python", "bash"):
            marked = before is not None and before.type == "html_block" and before.content.strip() == MARK
            found.append((token.info, token.content, marked))
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a folder with the files and the trained models that the pages name."""
    folder = tmp_path_factory.mktemp("docs")
    reviews = made_up_reviews(60)
    rows = [(text, ("negative", "positive")[label]) for text, label in zip(*reviews.values(), strict=True)]
    for name in ("reviews.csv", "more_reviews.csv", "messages.csv", "new_messages.csv", "in.csv"):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    vectors = [f"{word} {' '.join(['0.5', '-0.5'] * 50)}" for word in ("film", "soup", "good", "bad")]
    (folder / "glove.6B.100d.txt").write_text("\n".join(vectors))
    (folder / "tagged.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in tagging.sentences(60)))
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in translating.pairs(60)))
    model, few = {"hidden_size": 8, "embedding_size": 8}, {"max_steps": 2, "per_device_train_batch_size": 4}
    for task, output, data in (
        ("text_classification", "my-model", {"path": "reviews.csv"}),
        ("language_modeling", "runs/imdb_lm", {"path": "reviews.csv", "text_column": "text"}),
        ("token_classification", "runs/conll2003", {"path": "tagged.jsonl"}),
        ("translation", "runs/multi30k", {"path": "pairs.jsonl", "text_column": "en", "label_column": "de"}),
    ):
        data["path"] = str(folder / data["path"])
        training = {"output_dir": str(folder / output), **few}
        hf_rnn.train({"task": task, "preset": "none", "data": data, "model": model, "training": training})
    for name in ("imdb", "first", "second"):
        shutil.copytree(folder / "my-model", folder / "runs" / name)
    return folder


def lines_of(code: str) -> list[list[str]]:
    """Return the arguments of the `hf-rnn` lines of a block; fail on a program that is not known."""
    found = []
    for line in code.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["hf-rnn"]:
            found.append(words[1:])
        elif words:
            assert line.startswith(SKIPPED), line
    return found


def parse(arguments: list[str]) -> None:
    name = arguments[0]
    _parser((name,), _command(name).parser()).parse_args(arguments)


def jobs_of(page: str) -> Iterator[tuple[str, str | list[list[str]]]]:
    """Yield each block of a page that can run here, as it is written and as it is run."""
    for kind, code, marked in blocks(page):
        job = code.replace("made_up_messages", "messages.csv")  # 6,000 rows take a minute.
        if kind == "bash":
            lines = lines_of(code)
            local = [line for line in lines if not ELSEWHERE.search(f"hf-rnn {' '.join(line)} ")]
            assert marked or local == lines, code
            for line in lines:
                if line not in local:
                    parse(line)
            job = [[*line, *shlex.split(SHORT.get(line[0], ""))] for line in local]
        elif marked:
            compile(code, page, "exec")
            continue
        if job:
            yield code, job


# The blocks of the guides train many models, and the tests of the features try the same calls on smaller ones.
@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.proof] if "guides" in page else []) for page in PAGES]
)
def test_every_block_runs_alone(page, models, tmp_path):
    jobs = []
    for code, job in jobs_of(page):
        folder = tmp_path / f"block{len(jobs)}"
        shutil.copytree(models, folder)
        if "output_dir my-model" in code or '"output_dir": "my-model"' in code:
            shutil.rmtree(folder / "my-model")
        jobs.append(Job(folder, job))
    run_each(jobs, tmp_path)


@pytest.mark.proof
@pytest.mark.slow
def test_the_blocks_about_teachers_run_one_after_the_other(tmp_path):
    jobs = [Job(tmp_path, job) for _, job in jobs_of(TEACHERS)]
    run_each(jobs, tmp_path, HF_HOME=str(tmp_path / "cache"))
    found = json.loads((tmp_path / "more-texts" / "metrics.json").read_text())["teacher"]
    shown = " · ".join(f"{count} {origin}" for origin, count in found["rows"].items())
    assert f"lesson     {shown}" in (ROOT / TEACHERS).read_text(encoding="utf-8")
    small = json.loads((tmp_path / "small-student" / "metrics.json").read_text())["teacher"]
    assert small["student"]["bytes"] <= 300_000


def test_commands_of_several_processes_have_options_that_exist():
    """The commands need several processes or machines, which other tests start."""
    text = "".join(token.content for token, _ in code_blocks(ROOT / "docs/scaling.md")).replace("\\\n", " ")
    commands = re.findall(r"(?:scripts/train\.py|-m hf_rnn) +(.*)", text)
    assert len(commands) == text.count("scripts/train.py") + text.count("-m hf_rnn") > 5
    for command in commands:
        words = shlex.split(command, comments=True)
        parse(words if words[0] == "predict" else ["train", *words])
