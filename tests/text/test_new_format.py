"""Example of a new file format, which needs only one reader and its file extension."""

import gzip
import json
import shutil

import pytest
from support import tiny_config
from support.reviews import made_up_reviews

import hf_rnn
from hf_rnn import DataArguments, Predictor
from hf_rnn.inference.bulk import predict_file
from hf_rnn.text.encodings import encoding_name, lines_of
from hf_rnn.text.formats import READERS
from hf_rnn.text.loading import load, read_first
from hf_rnn.text.reader import Reader
from hf_rnn.text.sources import open_splits
from hf_rnn.utils.errors import UserError


class FastText(Reader):
    """Reader of lines such as `__label__good a fine lamp`, the format of fastText."""

    def described(self):
        return f"{encoding_name(self.encoding)} · fastText"

    def rows(self):
        for line in lines_of(self.file, self.encoding):
            label, _, text = line.removeprefix("__label__").partition(" ")
            yield {"text": text, "label": label}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(READERS, ".ft", FastText)
    reviews = made_up_reviews(80)
    names = {0: "bad", 1: "good"}
    lines = [
        f"__label__{names.get(label, label)} {text}\n"
        for text, label in zip(reviews["text"], reviews["label"], strict=True)
    ]
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.ft").write_text("".join(lines[:60]), encoding="utf-8")
    (data / "test.ft").write_text("".join(lines[60:]), encoding="utf-8")
    return data


def test_a_new_format_is_read_whole_and_as_a_stream(folder):
    whole = load(DataArguments(path=str(folder)))
    assert {split: len(rows) for split, rows in whole.items()} == {"train": 60, "test": 20}
    assert whole["train"].column_names == ["text", "label"]
    assert whole["train"].info.description == "utf-8 · fastText"
    streamed = DataArguments(path=str(folder), streaming=True, streaming_sample=7)
    assert read_first(open_splits(streamed)["train"], streamed).to_list() == whole["train"].select(range(7)).to_list()
    with open(folder / "train.ft", "rb") as plain, gzip.open(folder / "train.ft.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    alone = load(DataArguments(path=str(folder / "train.ft.gz")))["train"]
    assert alone.to_list() == whole["train"].to_list()


def test_a_model_is_trained_on_a_new_format_and_answers_a_file_of_it(folder, tmp_path):
    model = tmp_path / "model"
    hf_rnn.train(tiny_config(folder, model))
    assert "utf-8 · fastText" in (model / "schema.json").read_text(encoding="utf-8")
    predictor = Predictor.from_pretrained(model)
    predict_file(predictor, predictor.task.data.elsewhere(str(folder / "test.ft")), tmp_path / "out.jsonl")
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(answers) == 20
    assert {answer["prediction"]["label"] for answer in answers} <= {"bad", "good"}
    assert 0 <= hf_rnn.evaluate(predictor, predictor.task.data)["accuracy"] <= 1


@pytest.mark.parametrize("name", ["rows.ft", "rows.ft.gz", "train.docx", ""])
def test_an_unknown_format_fails_with_the_list_of_known_ones(name, tmp_path, tiny_run):
    (tmp_path / (name or "rows.ft")).write_bytes(b"__label__good fine\n")
    data = DataArguments(path=str(tmp_path / name))
    predictor = Predictor.from_pretrained(tiny_run)
    known = r"\.csv, \.tsv, \.json, \.jsonl, \.ndjson, \.parquet, \.txt, \.conll, \.xlsx"
    for read in (
        lambda: load(data),
        lambda: open_splits(DataArguments(path=data.path, streaming=True)),
        lambda: predict_file(predictor, data, tmp_path / "out.jsonl"),
        lambda: hf_rnn.evaluate(predictor, data),
    ):
        with pytest.raises(UserError, match=known):
            read()
