"""Tests that read the values of a file in any format and write them unchanged."""

import datetime
import gzip
import json
import os
import uuid
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict

from hf_rnn import Predictor
from hf_rnn.inference.bulk import predict_file
from hf_rnn.text import tables
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.loading import load, read_first
from hf_rnn.text.sources import open_splits
from hf_rnn.utils.errors import UserError

WORDS = ["01", "3.10", "00123", "9007199254740993", "NA", "None", "null", "nan", "inf", "true", "False", "1e3", "1_000",
         "2020-01-01", "12:30", "-0", "0x1F", "+5", ".5", "1,5", "١٢"]  # fmt: skip


def read(path, **settings) -> Dataset:
    return load(DataArguments(path=str(path), **settings))["train"]


@pytest.fixture(scope="module")
def predictor(tiny_run) -> Predictor:
    return Predictor.from_pretrained(tiny_run)


def answered(predictor, path, tmp_path, **settings) -> list[dict]:
    predict_file(predictor, DataArguments(path=str(path), **settings), tmp_path / "out.jsonl", given=())
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "out.jsonl").unlink()

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in lines]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".csv.zst", ".csv.bz2", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("word", WORDS)
def test_values_keep_their_spelling(word, suffix, tmp_path, predictor):
    rows = [{"id": word, "text": "the film was good .", "gone": None}] * 3
    file = tmp_path / f"in{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in rows[0]])), file)
    elif "json" in suffix:
        file.write_text(json.dumps(rows) if suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows))
    else:
        delimiter = "\t" if "tsv" in suffix else ","
        quoted = f'"{word}"' if delimiter in word else word
        lines = "".join(
            delimiter.join(parts) + "\n" for parts in [["id", "text", "gone"]] + [[quoted, rows[0]["text"], ""]] * 3
        )
        with pa.output_stream(str(file), compression="detect") as stream:
            stream.write(lines.encode())
    assert list(read(file)["id"]) == [word] * 3
    assert [row["id"] for row in answered(predictor, file, tmp_path)] == [word] * 3


@pytest.mark.parametrize(
    "value", [9007199254740993, 2**70, 3.5, True, ["a", "b"], {"a": 1}, "2020-01-01T00:00:00", None, -0.0]
)
def test_json_keeps_its_own_types(value, tmp_path, predictor):
    rows = [{"id": value, "text": "the film was good ."}, {"id": value, "text": "x"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row["id"] for row in answered(predictor, tmp_path / "in.jsonl", tmp_path)] == [value] * 2


def test_numbers_that_are_none_are_missing_and_never_invalid_json(tmp_path, predictor):
    (tmp_path / "in.jsonl").write_text('{"text": "a", "x": NaN}\n{"text": "b", "x": {"y": [Infinity, 1]}}\n')
    assert [row["x"] for row in answered(predictor, tmp_path / "in.jsonl", tmp_path)] == [None, {"y": [None, 1]}]
    pq.write_table(pa.table({"text": ["a", "b"], "x": [float("nan"), float("-inf")]}), tmp_path / "in.parquet")
    assert [row["x"] for row in answered(predictor, tmp_path / "in.parquet", tmp_path)] == [None, None]


@pytest.mark.parametrize("rows", [10_001, 70_000])
@pytest.mark.parametrize("late", ["A-17", "0.5", "", "true", "2020-01-01"])
def test_what_comes_late_in_a_column_changes_nothing_before_it(rows, late, tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n" + "1,a\n" * rows + f"{late},b\n")
    ids = read(tmp_path / "a.csv")["id"]
    assert (ids[0], ids[-1], len(ids)) == ("1", late or None, rows + 1)


@pytest.mark.parametrize(
    ("early", "late", "before", "after"),
    [(1, "A-17", "1", "A-17"), (1, 2.5, 1.0, 2.5), ("a", 1, "a", "1"), (True, "x", "true", "x"),
     (None, [1], None, [1]), (2**53 + 1, 1.5, str(2**53 + 1), "1.5"),
     (1.5, 2**53 + 1, "1.5", str(2**53 + 1)),
     (1, {"a": 1}, "1", '{"a": 1}')],
)  # fmt: skip
def test_json_whose_types_change_late(early, late, before, after, tmp_path, monkeypatch):
    rows = [{"id": early, "text": "a"}] * 10_001 + [{"id": late, "text": "b", "new": 1}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for limit in (1 << 28, 1000):
        # The rows fit into memory with the first limit, and do not with the second one.
        monkeypatch.setattr(tables, "MOST_IN_MEMORY", limit)
        got = read(tmp_path / "a.jsonl")
        assert (got[0]["id"], got[-1]["id"]) == (before, after)
        assert (got[0]["new"], got[-1]["new"]) == (None, 1)


def test_a_large_file_is_kept_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_IN_MEMORY", 1000)
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"text {n},{n % 2}\n" for n in range(100_000)))
    rows = read(tmp_path / "a.csv")
    assert rows.cache_files
    assert (len(rows), rows[99_999]) == (100_000, {"text": "text 99999", "label": "1"})


@pytest.mark.parametrize(
    "name", ["r[1].csv", "star*.csv", "a::b.csv", "q?.csv", "{x}.csv", "a b.csv", "#1.csv", "%20.csv"]
)
def test_a_path_is_a_path(name, tmp_path, predictor):
    for other in ("r1.csv", "star1.csv", "a.csv", "q1.csv", "x.csv"):
        (tmp_path / other).write_text("text\nanother file\n")
    (tmp_path / name).write_text("text\nthis file\n")
    assert read(tmp_path / name)["text"] == ["this file"]
    assert [row["text"] for row in answered(predictor, tmp_path / name, tmp_path)] == ["this file"]
    folder = tmp_path / f"[{name}]"
    folder.mkdir()
    (folder / "train.csv").write_text("text\ninside\n")
    assert read(folder)["text"] == ["inside"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".txt", ".json"])
def test_a_file_that_changed_is_read_anew(suffix, tmp_path):
    def write(text):
        file = tmp_path / f"a{suffix}"
        if suffix == ".parquet":
            pq.write_table(pa.table({"text": [text]}), file)
        else:
            content = {".csv": f"text\n{text}\n", ".txt": f"{text}\n", ".json": json.dumps([{"text": text}])}
            file.write_text(content.get(suffix, json.dumps({"text": text})))
        os.utime(file, (1_000_000_000, 1_000_000_000))
        return file

    for text in ("first", "other"):
        assert read(write(text))["text"] == [text]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json", r"line 1 of .* cannot be read as .json"),
        ('[{"text": "a"}, {"text": ]', r"line 1 of .* cannot be read as .json"),
        ('[{"text": "a"}\n, 5]', r"row 2 of .* is 5: write an object for each row"),
        ('[{"text": "a"}\n{"text": "b"}]', r"line 2 of .* cannot be read as .json"),
        ('[{"text": "a"}', r"line 1 of .* cannot be read as .json"),
        ('[{"text": "a"}]\n[{"text": "b"}]', r"line 1 of .* cannot be read as .json"),
        ('[{"text": "a"}] junk', r"line 1 of .* cannot be read as .json"),
        ('{"text": "a"\n{"text": "b"}', r"line 2 of .* cannot be read as .json"),
        ('["a", "b"]', r"row 1 of .* is \"a\": write an object for each row"),
    ],
)
def test_broken_json_is_named_by_its_line(content, message, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    "content",
    [
        '[{"text": "a"}, {"text": "b"}]',
        '\n [\n {"text": "a"}\n,\n{"text": "b"}\n]\n',
        '{"text": "a"}\n{"text": "b"}\n',
        '{"text": "a"}\n\n{"text": "b"}',
        '{"data": [{"text": "a"}, {"text": "b"}], "version": 1}',
        '{\n "data": [{"text": "a"}, {"text": "b"}]\n}',
        '{\n"text": "a"\n}\n{\n"text": "b"\n}\n',
        '\ufeff[{"text": "a"},{"text": "b"}]',
    ],
)
def test_every_way_of_writing_json(content, tmp_path):
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    assert list(read(tmp_path / "a.json")["text"]) == ["a", "b"]


def test_broken_json_lines_can_be_left_out(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": oops}\n{"text": "a"}\n{"text": "b",}\n5\n{"text": "c"}\n')
    assert list(read(tmp_path / "a.jsonl", on_bad_rows="skip")["text"]) == ["a", "c"]


def test_words_beside_lists_of_words_are_lists_of_one(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": ["x", "y"]}\n')
    assert read(tmp_path / "a.jsonl")["label"] == [["x"], ["x", "y"]]


def test_excel_files(tmp_path, predictor):
    openpyxl = pytest.importorskip("openpyxl")
    from datetime import date, datetime

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["id", "text", "label", "when"])
    sheet.append(["01", "warm soup", 1, date(2020, 1, 2)])
    sheet.append([2, None, 2.5, datetime(2020, 1, 2, 3, 4)])
    sheet.append([])
    sheet.append(["x", "tea", True, None])
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path / "a.xlsx").to_list() == [
        {"id": "01", "text": "warm soup", "label": "1", "when": "2020-01-02"},
        {"id": "2", "text": None, "label": "2.5", "when": "2020-01-02 03:04:00"},
        {"id": "x", "text": "tea", "label": "TRUE", "when": None},
    ]
    assert [row["id"] for row in answered(predictor, tmp_path / "a.xlsx", tmp_path)] == ["01", "2", "x"]
    book.create_sheet("more").append(["text"])
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(UserError, match=r"several sheets, Sheet, more: write data.name='Sheet'"):
        read(tmp_path / "b.xlsx")
    assert len(read(tmp_path / "b.xlsx", name="Sheet")) == 3
    (tmp_path / "c.xlsx").write_text("no workbook")
    with pytest.raises(UserError, match=r"cannot be read as .xlsx"):
        read(tmp_path / "c.xlsx")


@pytest.mark.parametrize("cut", [1, 100])
def test_a_compressed_file_that_was_cut_is_refused(cut, tmp_path):
    packed = gzip.compress(b"text,label\n" + os.urandom(2000).hex().encode() + b",1\n")
    (tmp_path / "a.csv.gz").write_bytes(packed[:-cut])
    with pytest.raises(UserError, match=r"cannot be read"):
        read(tmp_path / "a.csv.gz")


ROWS = [{"text": "warm soup", "label": "good"}, {"text": "old bread", "label": "bad"}]


@pytest.mark.parametrize(
    "kind", ["pandas", "polars", "datasets", "arrow", "dicts", "pairs", "columns", "splits", "DatasetDict"]
)
def test_rows_in_python(kind):
    if kind in ("pandas", "polars"):
        module = pytest.importorskip(kind)
        source = module.DataFrame(ROWS)
    else:
        source = {
            "datasets": Dataset.from_list(ROWS),
            "arrow": pa.Table.from_pylist(ROWS),
            "dicts": ROWS,
            "pairs": [("warm soup", "good"), ("old bread", "bad")],
            "columns": {"text": ["warm soup", "old bread"], "label": ["good", "bad"]},
            "splits": {"train": ROWS, "val": ROWS},
            "DatasetDict": DatasetDict(train=Dataset.from_list(ROWS)),
        }[kind]
    splits = load(DataArguments(), source=source)
    assert splits["train"].to_list() == ROWS
    assert list(splits) == (["train", "validation"] if kind == "splits" else ["train"])


def test_a_data_frame_with_gaps_categories_and_mixed_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a", None, 3], "label": pandas.Categorical(["x", "y", None]), "n": [1, 2, None]})
    rows = load(DataArguments(), source=frame)["train"]
    assert (rows["text"], rows["label"], rows["n"]) == (["a", None, "3"], ["x", "y", None], [1.0, 2.0, None])


def test_arrays_of_numpy_in_a_data_frame_are_lists():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a", "b"], "label": [np.array(["x", "y"]), np.array(["x"])]})
    assert load(DataArguments(), source=frame)["train"]["label"] == [["x", "y"], ["x"]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"train": ROWS, "training": ROWS}, r"several tables for the split train"),
        ({"text": ["a", "b"], "label": ["x"]}, r"columns have different lengths"),
    ],
)
def test_tables_that_do_not_fit(source, message):
    with pytest.raises(UserError, match=message):
        load(DataArguments(), source=source)


@pytest.mark.parametrize("source", [5, "a text", [], [1, 2], [("a", "b", "c")], object()])
def test_what_is_no_table_is_refused(source):
    with pytest.raises(UserError, match=r"cannot be read as rows: pass a pandas or polars DataFrame"):
        load(DataArguments(), source=source)


def test_streams_read_what_is_read_at_once(tmp_path):
    for name in ("train.csv", "dev.csv"):
        (tmp_path / name).write_text("id;text\n01;a, b\n1e3;NA\n;\n")
    data = DataArguments(path=str(tmp_path))
    whole = load(data)["train"].to_list()
    stream = open_splits(data)["train"]
    assert list(stream.stream()) == list(stream.rows()) == whole == read_first(stream, data).to_list()
    assert whole == [{"id": "01", "text": "a, b"}, {"id": "1e3", "text": "NA"}, {"id": None, "text": None}]


@pytest.mark.parametrize(
    "columns",
    [
        {"text": ["a lamp", "a desk"], "id": [0, 1]},
        {"text": {"0": "a lamp", "1": "a desk"}, "id": {"0": 0, "1": 1}},
        {"text": ["a lamp", "a desk"]},
    ],
)
def test_an_object_of_columns_is_not_one_row(columns, tmp_path):
    for name, indent in (("a.json", None), ("b.json", 1), ("c.jsonl", None)):
        (tmp_path / name).write_text(json.dumps(columns, indent=indent))
        with pytest.raises(UserError, match=r"is one object of columns, text.*: write an object for each row"):
            read(tmp_path / name)


@pytest.mark.parametrize("row", [{"tokens": ["a", "b"], "tags": ["O", "O"]}, {"text": "a", "labels": ["b", "c"]}])
def test_an_object_that_is_a_row_is_one(row, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(row))
    assert read(tmp_path / "a.json").to_list() == [row]


@pytest.mark.parametrize(
    "value", [uuid.UUID(int=7), Path("a/b"), datetime.date(2024, 1, 2), Decimal("1.50"), complex(1, 2), range(2)]
)
def test_values_of_other_kinds_are_spelled_as_python_does(value):
    rows = load(
        DataArguments(), source=[{"id": value, "text": "a", "label": "b"}, {"id": "x", "text": "c", "label": "d"}]
    )
    assert rows["train"]["id"] == [str(value), "x"]


def test_keys_of_128_bits_are_their_spelling():
    # pyarrow infers the type of a uuid.UUID only from version 24 on.
    keys = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=7).bytes], pa.binary(16)))
    for source in ([{"id": uuid.UUID(int=7)}], pa.table({"id": keys})):
        assert load(DataArguments(), source=source)["train"]["id"] == [str(uuid.UUID(int=7))]
