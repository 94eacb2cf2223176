"""Training splits that are read row by row, and never whole."""

import json
import signal
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from conftest import assert_same_run, tiny_config
from processes.launch import torchrun
from test_resuming import Signal, train_with

import hf_rnn
from hf_rnn.cli import main
from hf_rnn.data import DataArguments
from hf_rnn.errors import UserError
from hf_rnn.made_up_reviews import made_up_reviews
from hf_rnn.streaming import EncodedStream, StreamedBatches, StreamedText, load_streaming
from hf_rnn.tasks import task_class
from hf_rnn.tokenization import train_tokenizer

NAMES = ("negative", "positive")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder of reviews: two training files, one each for validation and test."""
    folder = tmp_path_factory.mktemp("corpus")
    reviews = made_up_reviews(400)
    rows = [
        {"text": f"{NAMES[label]} : {text} {number}", "label": NAMES[label]}
        for number, (text, label) in enumerate(zip(reviews["text"], reviews["label"], strict=True))
    ]
    files = {"train-00000-of-00002": (0, 150), "train-00001-of-00002": (150, 300)}
    for name, (start, end) in {**files, "validation": (300, 350), "test": (350, 400)}.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows[start:end])
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def config(corpus, output_dir, task="text_classification", data=None, **training) -> dict:
    run = tiny_config(corpus, output_dir, **{"max_steps": 20, **training})
    run["data"] |= {"streaming": True, "streaming_sample": 100, **(data or {})}
    return {"task": task, **run}


def encoded(corpus, rank=0, world_size=1, shuffle=True, task="text_classification") -> EncodedStream:
    data = DataArguments(path=str(corpus), streaming=True, streaming_sample=100)
    splits, rows, data = load_streaming(data, 20, labelled=task == "text_classification")
    read = task_class(task)(data)
    prepared = read.prepare(splits)
    texts = [*read.texts(prepared["train"]), *map(str, range(400))]
    tokenizer = read.fitted(train_tokenizer(texts, "word", min_frequency=1))
    return EncodedStream(rows, read, tokenizer, shuffle, 1, rank, world_size)


def numbers(stream: EncodedStream, count: int) -> list[str]:
    """The numbers with which the texts of the next rows end."""
    return [stream.tokenizer.decode(row["input_ids"]).split()[-1] for row in islice(stream, count)]


def test_each_pass_reads_each_row_once_in_another_order(corpus):
    stream = encoded(corpus)
    read = numbers(stream, 600)
    assert Counter(read) == Counter({str(number): 2 for number in range(300)})
    assert set(read[:300]) == set(read[300:])
    assert read[:300] != read[300:]
    assert numbers(stream, 600) == read


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_read_different_rows_and_all_of_them(corpus, processes):
    # Two files can be shared out among two processes, not among three.
    shares = [numbers(encoded(corpus, rank, processes), 300 // processes) for rank in range(processes)]
    assert sorted(row for share in shares for row in share) == sorted(map(str, range(300)))


def test_batches_have_rows_of_similar_length(corpus):
    stream = encoded(corpus)
    lengths = [
        [[len(row["input_ids"]) for row in batch] for batch in islice(StreamedBatches(stream, 8, None, by, 1), 200)]
        for by in (True, False)
    ]
    spread = [np.mean([max(batch) - min(batch) for batch in batches]) for batches in lengths]
    assert all(len(batch) == 8 for batches in lengths for batch in batches)
    assert spread[0] < spread[1] / 3
    by_tokens = list(islice(StreamedBatches(stream, 8, 60, True, 1), 200))
    assert max(len(batch) * max(len(row["input_ids"]) for row in batch) for batch in by_tokens) <= 60


def test_windows_go_through_whole_documents(corpus):
    documents = encoded(corpus, task="language_modeling", shuffle=False)
    end = documents.tokenizer.eos_token_id
    windows = list(islice(StreamedText(documents, 3, 10, end, seed=1), 20))
    assert [window["starts"] for window in windows] == [True] + [False] * 19
    assert len({window["input_ids"].shape[1] for window in windows}) > 3
    known = {tuple(row["input_ids"]) for row in islice(documents, 300)}
    for stream in range(3):
        inputs = [token for window in windows for token in window["input_ids"][stream].tolist()]
        labels = [token for window in windows for token in window["shift_labels"][stream].tolist()]
        assert inputs[1:] == labels[:-1]
        ends = [place for place, token in enumerate(inputs) if token == end]
        read = [tuple(inputs[start:stop]) for start, stop in zip([0, *(e + 1 for e in ends)], ends, strict=False)]
        assert len(read) > 5
        assert set(read) <= known


@pytest.mark.parametrize(
    ("task", "training"),
    [
        ("text_classification", {}),
        ("text_classification", {"train_batch_tokens": 200, "dataloader_num_workers": 2}),
        ("language_modeling", {"per_device_train_batch_size": 4, "window": 10}),
    ],
    ids=["rows", "tokens", "language model"],
)
def test_a_run_that_was_cut_goes_on_to_the_same_weights(task, training, corpus, tmp_path, monkeypatch):
    training = {"eval_strategy": "steps", "eval_steps": 10, "save_strategy": "steps", "save_steps": 10, **training}
    hf_rnn.train(config(corpus, tmp_path / "whole", task, **training))
    run = config(corpus, tmp_path / "cut", task, **training)
    with pytest.raises(SystemExit):
        train_with(Signal("step", 12, signal.SIGTERM), run, monkeypatch)
    assert main(["train", "--config", str(tmp_path / "cut" / "run.yaml"), "--training.resume", "true"]) == 0
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_streamed_run_learns_and_is_evaluated_as_any_other(corpus, tmp_path, capsys):
    results = hf_rnn.train(config(corpus, tmp_path / "run", max_steps=60))
    assert results["test"]["accuracy"] > 0.8
    card = (tmp_path / "run" / "README.md").read_text()
    assert "train (first rows)" in card
    assert "| steps | 60 |" in card
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), "--output", str(tmp_path / "test.json")]) == 0
    told = json.loads((tmp_path / "test.json").read_text())
    assert told["rows"] == 50
    assert told["accuracy"] == pytest.approx(results["test"]["accuracy"])


def test_two_processes_train_on_one_stream(corpus, tmp_path):
    sections = {k: v for k, v in config(corpus, tmp_path / "run").items() if k != "task"}
    options = [f"--{section}.{key}={value}" for section, keys in sections.items() for key, value in keys.items()]
    ended = torchrun(2, *(option.replace("=True", "=true") for option in options))
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["run"]["world_size"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"max_steps": -1}}, r"write --training.max_steps 10000"),
        ({"data": {"validation_split": "no"}}, r"data.validation_split 'no' is not a split|no end of which"),
        ({"data": {"path": "made_up_reviews"}}, r"read at once: leave data.streaming out"),
        ({"data": {"streaming_sample": 0}}, r"streaming_sample=0 must be 1 or greater"),
        ({"data": {"unlabelled_splits": ["test"]}}, r"leave one of them out"),
        ({"data": {"label_names": ["negative", "other"]}}, r"has the label 'positive'.*name all labels"),
        (
            {"task": "language_modeling", "model": {"bidirectional": True, "independent_directions": True}},
            r"reads each text from its end",
        ),
    ],
)
def test_what_a_stream_cannot_do_is_refused_before_training(change, message, corpus, tmp_path):
    run = config(corpus, tmp_path / "run")
    for section, values in change.items():
        if isinstance(values, dict):
            run[section] |= values
        else:
            run[section] = values
    with pytest.raises(UserError, match=message):
        hf_rnn.train(run)
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_file_alone_has_no_validation_rows_to_stream(corpus, tmp_path):
    run = config(corpus / "train-00000-of-00002.jsonl", tmp_path / "run")
    with pytest.raises(UserError, match=r"no end of which validation rows could be taken"):
        hf_rnn.train(run)
