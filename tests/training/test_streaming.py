"""Tests of training splits that are read row by row and never as a whole."""

import json
import signal
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from support import assert_same_run, tiny_config
from support.launch import torchrun
from support.marks import proof
from support.reviews import made_up_reviews
from support.signals import Signal, train_with
from torch.utils.data import DataLoader

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.tasks import task_class
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.tokenization import train_tokenizer
from hf_rnn.training.arguments import RNNTrainingArguments
from hf_rnn.training.streaming import EncodedStream, StreamedBatches, StreamedText, load_streaming
from hf_rnn.utils.errors import UserError

NAMES = ("negative", "positive")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Return a folder of reviews with two training files, a validation file and a test file."""
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


def encoded(corpus, rank=0, world_size=1, shuffle=True, task="text_classification", **data) -> EncodedStream:
    read = task_class(task)(DataArguments(path=str(corpus), streaming=True, streaming_sample=100, **data))
    args = RNNTrainingArguments(max_steps=20)
    splits, rows, chosen = load_streaming(read, args)
    read = task_class(task)(chosen)
    prepared = read.prepare(splits)
    texts = [*read.texts(prepared["train"]), *map(str, range(400))]
    tokenizer = read.fitted(train_tokenizer(texts, "word", min_frequency=1))
    return EncodedStream(rows, read, tokenizer, shuffle, 1, rank, world_size)


def numbers(stream: EncodedStream, count: int) -> list[str]:
    """Return the numbers at the end of the next texts."""
    return [stream.tokenizer.decode(row["input_ids"]).split()[-1] for row in islice(stream, count)]


def test_each_pass_reads_each_row_once_in_another_order(corpus):
    stream = encoded(corpus)
    read = numbers(stream, 600)
    assert Counter(read) == Counter({str(number): 2 for number in range(300)})
    assert set(read[:300]) == set(read[300:])
    assert read[:300] != read[300:]
    assert numbers(stream, 600) == read


def test_as_they_stand_rows_keep_their_order_each_time(corpus):
    assert numbers(encoded(corpus, shuffle=False), 900) == [str(number) for number in range(300)] * 3


def test_workers_that_load_data_read_different_files(corpus):
    stream = encoded(corpus)
    batches = DataLoader(StreamedBatches(stream, 10, None, False, 1), batch_size=None, num_workers=2, collate_fn=list)
    read = [row for batch in islice(batches, 30) for row in batch]
    assert len({tuple(row["input_ids"]) for row in read}) == 300


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_read_different_rows_and_all_of_them(corpus, processes):
    # Two processes can share the two files, but three processes cannot.
    shares = [numbers(encoded(corpus, rank, processes), 300 // processes) for rank in range(processes)]
    assert sorted(row for share in shares for row in share) == sorted(map(str, range(300)))


def test_a_process_keeps_its_files_where_they_are_not_as_long(tmp_path):
    for name, rows in {"train-00000-of-00002": (0, 200), "train-00001-of-00002": (200, 210), "dev": (0, 9)}.items():
        lines = "".join(json.dumps({"text": f"t {n}", "label": n % 2}) + "\n" for n in range(*rows))
        (tmp_path / f"{name}.jsonl").write_text(lines)
    first, second = (numbers(encoded(tmp_path, rank, 2), 200) for rank in range(2))
    assert sorted(first) == sorted(map(str, range(200)))
    assert Counter(second) == Counter({str(number): 20 for number in range(200, 210)})


def folder(path, train: str, other: str = "", validation: str = "text,label\ngood,pos\nbad,neg\n"):
    """Write a training file, an optional second one, and a validation file, and return their folder."""
    files = {"train": train} if not other else {"train-00000-of-00002": train, "train-00001-of-00002": other}
    for name, lines in {**files, "validation": validation}.items():
        (path / f"{name}.csv").write_text(lines, encoding="utf-8")
    return path


def test_rows_without_a_label_are_left_out_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_rnn.training.streaming.TOKENIZED", 2)
    stream = encoded(folder(tmp_path, "text,label\na,pos\nb,neg\nc,\nd,\n,pos\n"), shuffle=False)
    read = [(stream.tokenizer.decode(row["input_ids"]).strip(), row["labels"]) for row in islice(stream, 6)]
    assert read == [("a", 1), ("b", 0), ("", 1)] * 2


def test_columns_may_be_read_as_other_types_in_another_file(tmp_path):
    files = "text,label\none 1,0\ntwo 2,1\n", "text,label\n33,n/a\n44,0\n"
    data = folder(tmp_path, *files, validation="text,label\none,0\ntwo,1\n")
    stream = encoded(data, label_names=["0", "1", "n/a"])
    assert {(n, row["labels"]) for row in islice(stream, 4) for n in [len(row["input_ids"])]} == {
        (2, 0),
        (2, 1),
        (1, 2),
        (1, 0),
    }


def test_class_labels_are_read_by_their_names(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["5", "3"])})
    rows = Dataset.from_dict({"text": ["a b", "c", "d"], "label": [0, 1, -1]}, features=features)
    for name in ("train", "validation"):
        rows.to_parquet(tmp_path / f"{name}.parquet")
    stream = encoded(tmp_path, shuffle=False)
    assert [row["labels"] for row in islice(stream, 4)] == [0, 1, 0, 1]


def test_a_sample_of_one_class_is_enough_where_all_labels_are_named(tmp_path):
    data = folder(tmp_path, "text,label\n" + "a,neg\n" * 200 + "b,pos\n" * 200)
    assert {row["labels"] for row in islice(encoded(data, label_names=["neg", "pos"]), 400)} == {0, 1}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("text,label\n", r"has no rows in a split that is needed"),
        ("text,label\na,pos\nb,neg,more\n", r"cannot be read.*same columns"),
    ],
)
def test_files_that_cannot_be_read_are_named(train, message, tmp_path):
    with pytest.raises(UserError, match=message):
        encoded(folder(tmp_path, train))


def test_whole_numbers_written_as_others_are_asked_about(tmp_path):
    for name, rows in {"train": 120, "validation": 2}.items():
        lines = "".join(json.dumps({"text": f"t {n}", "label": float(n % 2)}) + "\n" for n in range(rows))
        (tmp_path / f"{name}.jsonl").write_text(lines)
    with pytest.raises(UserError, match=r"may be classes or values: write data.problem_type="):
        encoded(tmp_path)
    one_label = encoded(tmp_path, problem_type="single_label_classification")
    assert {row["labels"] for row in islice(one_label, 99)} == {0, 1}


def test_a_file_without_the_column_of_the_others_is_named(tmp_path):
    stream = encoded(folder(tmp_path, "text,label\na,pos\nb,neg\n" * 60, "body,label\nc,pos\n"))
    with pytest.raises(UserError, match=r"has no column 'text', only body, label: give all files"):
        list(islice(stream, 400))


def test_a_wrong_encoding_is_named(tmp_path):
    folder(tmp_path, "text,label\na,pos\n")
    (tmp_path / "train.csv").write_bytes("text,label\nвкусный,pos\n".encode("cp1251"))
    with pytest.raises(UserError, match=r"is not utf-8 \(byte 0xe2\): name its encoding"):
        encoded(tmp_path)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_label_that_the_sample_lacks_is_told_in_one_line(workers, tmp_path):
    data = folder(tmp_path, "text,label\n" + "a,neg\nb,pos\n" * 80 + "c,odd\n" * 40)
    with pytest.raises(UserError, match=r"^the split 'train' of .* has the label 'odd'.*data.label_names") as told:
        hf_rnn.train(config(data, tmp_path / "run", dataloader_num_workers=workers))
    assert "\n" not in str(told.value)


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "training"),
    [
        proof("text_classification", {}),
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
    assert "of the first 100 rows of each split" in card
    assert "| steps | 60 |" in card
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), "--output", str(tmp_path / "test.json")]) == 0
    told = json.loads((tmp_path / "test.json").read_text())
    assert told["rows"] == 50
    assert told["accuracy"] == pytest.approx(results["test"]["accuracy"])
    # Prediction reads all 150 rows of the file, although `streaming_sample` is 100.
    lines = "text\n" + "negative : a film\n" * 150
    (tmp_path / "in.csv").write_text(lines)
    assert (
        main(["predict", str(tmp_path / "run"), "--file", str(tmp_path / "in.csv"), "--output", str(tmp_path / "o")])
        == 0
    )
    assert len((tmp_path / "o").read_text().splitlines()) == 150


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_train_on_one_stream(corpus, tmp_path):
    sections = {k: v for k, v in config(corpus, tmp_path / "run").items() if k not in ("task", "preset")}
    options = [f"--{section}.{key}={value}" for section, keys in sections.items() for key, value in keys.items()]
    ended = torchrun(2, *(option.replace("=True", "=true") for option in options))
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["run"]["world_size"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"max_steps": -1}}, r"write training.max_steps=10000"),
        ({"data": {"validation_split": "no"}}, r"data.validation_split 'no' is not a split"),
        ({"data": {"path": "made_up_messages"}}, r"cannot be streamed: leave data.streaming out"),
        ({"data": {"streaming_sample": 0}}, r"streaming_sample=0 must be 1 or greater"),
        ({"data": {"unlabelled_splits": ["test"]}}, r"unlabelled_splits=\['test'\] has no use.*leave it out"),
        ({"training": {"train_sampling_strategy": "batch_rebalance"}}, r"'batch_rebalance' has no use"),
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
    with pytest.raises(UserError, match=r"validation rows cannot be split from a stream without end"):
        hf_rnn.train(run)
