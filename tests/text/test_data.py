import json

import numpy as np
import pytest
import torch
from datasets import Dataset
from support import ROOT

from hf_rnn.runtime.tokens import cut
from hf_rnn.tasks import task_class
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.collation import RaggedCollator
from hf_rnn.text.columns import find_columns
from hf_rnn.text.loading import load
from hf_rnn.text.splits import split_validation
from hf_rnn.training.run_config import parse_run
from hf_rnn.utils.errors import UserError

ROWS = [("good", "pos"), ("bad", "neg"), ("fine\nfilm", "pos"), ("dull, long", "neg")]


def write(folder, name: str, encoding="utf-8"):
    file = folder / name
    if name.endswith((".csv", ".tsv")):
        separator = "\t" if name.endswith(".tsv") else ","
        lines = [separator.join(["text", "label"]), *(f'"{text}"{separator}{label}' for text, label in ROWS)]
        file.write_text("\n".join(lines) + "\n", encoding=encoding)
    elif name.endswith(".parquet"):
        Dataset.from_dict({"text": [t for t, _ in ROWS], "label": [x for _, x in ROWS]}).to_parquet(file)
    else:
        rows = [{"text": text, "label": label} for text, label in ROWS]
        text = json.dumps(rows) if name.endswith(".json") else "\n".join(json.dumps(row) for row in rows)
        file.write_text(text, encoding=encoding)
    return file


def read(path, **arguments):
    return load(DataArguments(path=str(path), **arguments))


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.json", "r.jsonl", "r.parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path, name):
    splits = read(write(tmp_path, name))
    assert list(splits) == ["train"]
    assert list(zip(splits["train"]["text"], splits["train"]["label"], strict=True)) == ROWS


def test_a_folder_of_files_is_a_data_set_of_splits(tmp_path):
    for name in ("train-00000-of-00002.csv", "train-00001-of-00002.csv", "dev.csv", "test.csv"):
        write(tmp_path, name)
    splits = read(tmp_path)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 8, "validation": 4, "test": 4}


@pytest.mark.parametrize("prefixes", [[""], ["train/", "test/"]])
def test_a_folder_of_text_files_per_class(tmp_path, prefixes):
    for prefix in prefixes:
        for label in ("neg", "pos"):
            (tmp_path / prefix / label).mkdir(parents=True)
            # U+0085 ends a line for Python's `splitlines`, but a reader must keep it.
            (tmp_path / prefix / label / "1.txt").write_text(f"a {label}\u0085text\n", encoding="utf-8")
    splits = read(tmp_path)
    assert sorted(splits) == sorted(prefix.strip("/") or "train" for prefix in prefixes)
    assert splits["train"]["text"] == ["a neg\u0085text\n", "a pos\u0085text\n"]
    assert splits["train"]["label"] == ["neg", "pos"]


def test_only_an_empty_field_is_missing(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nNA,NA\nnull,None\n,EU\n")
    rows = read(tmp_path / "a.csv")["train"]
    assert list(rows["text"]) == ["NA", "null", None]
    assert list(rows["label"]) == ["NA", "None", "EU"]


def test_splits_may_have_columns_of_their_own(tmp_path):
    write(tmp_path, "train.csv")
    (tmp_path / "test.csv").write_text("id,text\n7,fine\n")
    assert read(tmp_path)["test"].column_names == ["id", "text"]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("imdb", {"train": 24_000, "validation": 1_000, "test": 25_000}),
        ("sst2", {"train": 60_614, "validation": 872, "test": 1_821}),
        ("trec", {"train": 4_907, "validation": 545, "test": 500}),
    ],
)
@pytest.mark.slow
def test_the_committed_configs_read_their_real_data_with_one_override(real_data, name, rows):
    config = ROOT / "configs" / f"{name}.yaml"
    run, _ = parse_run(["--config", str(config), "--data.path", str(real_data / name)])
    prepared = task_class(run.task)(run.data).prepare(load(run.data))
    assert {split: len(part) for split, part in prepared.items()} == rows


def test_other_encodings_and_byte_order_marks(tmp_path):
    (tmp_path / "a.csv").write_text("评论,情感\n很好,好\n不好,坏\n", encoding="gb18030")
    with pytest.raises(UserError, match=r"is not utf-8 \(byte 0x[0-9a-f]+\).*data.encoding='gb18030'"):
        read(tmp_path / "a.csv")
    assert read(tmp_path / "a.csv", encoding="gb18030")["train"].column_names == ["评论", "情感"]
    write(tmp_path, "b.csv", encoding="utf-8-sig")
    assert read(tmp_path / "b.csv")["train"].column_names == ["text", "label"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "there is no file or folder"),
        ("a.csv", "", "is empty"),
        ("a.csv", "text,label\n", "has no rows"),
        ("a.docx", "x", r"has none of the supported endings: \.csv"),
        ("a.json", "{not json", "cannot be read as .json"),
        ("a.jsonl", '{"text": 1}\n{"te', "cannot be read as .jsonl"),
        ("a.csv", 'text,label\n"open,1\n', "cannot be read as .csv: .*quotes are closed"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


def test_a_folder_with_nothing_in_it_and_an_unknown_encoding(tmp_path):
    with pytest.raises(UserError, match="neither files of"):
        read(tmp_path)
    with pytest.raises(UserError, match="is not an encoding that Python supports"):
        read(write(tmp_path, "a.csv"), encoding="utf-99")


def test_an_unreachable_hub_data_set_says_what_to_write():
    with pytest.raises(UserError, match=r"neither a file or folder here nor readable on the Hub.*data.path=FOLDER"):
        read("nobody/nothing")


def columns(rows: dict, **arguments) -> tuple[str, str]:
    found = find_columns(Dataset.from_dict(rows), DataArguments(path="x.csv", **arguments))
    return found.text, found.label


TEXT = [f"this is a fairly long comment, number {i}" for i in range(10)]


def test_columns_are_found_by_name_then_by_content():
    assert columns({"label": [0, 1] * 5, "text": TEXT}) == ("text", "label")
    assert columns({"id": list(range(10)), "sentence": TEXT, "coarse_label": [0, 1] * 5}) == (
        "sentence",
        "coarse_label",
    )
    assert columns({"编号": list(range(10)), "评论": TEXT, "情感": ["好", "坏"] * 5}) == ("评论", "情感")
    assert columns({"a": TEXT, "b": [0, 1] * 5, "c": [1, 2] * 5}, label_column="c") == ("a", "c")


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        (
            {"text": TEXT, "label": [0, 1] * 5},
            {"text_column": "txt"},
            r"data.text_column='txt' .*'text', 'label'.*'text'\?",
        ),
        ({"text": TEXT, "label": [0, 1] * 5}, {"label_column": "lable"}, r"did you mean 'label'"),
        ({"a": TEXT, "b": TEXT, "label": [0, 1] * 5}, {}, r"text column .* 'a', 'b', 'label'.*data.text_column='a'"),
        ({"text": TEXT, "b": [0, 1] * 5, "c": [0, 1] * 5}, {}, r"label column .*data.label_column='b'"),
        ({"n": list(range(10)), "label": [0, 1] * 5}, {}, r"data.text_column=NAME"),
    ],
)
def test_columns_that_are_not_plain_are_listed(rows, arguments, message):
    with pytest.raises(UserError, match=message):
        columns(rows, **arguments)


def test_the_validation_split_is_stratified_and_apart():
    rows = Dataset.from_dict({"id": list(range(100)), "labels": [0] * 90 + [1] * 10})
    train, validation = split_validation(rows, DataArguments(validation_size=0.2), "labels")
    assert sorted([*train["id"], *validation["id"]]) == list(range(100))
    assert sum(validation["labels"]) == 2
    assert len(validation) == 20
    again, _ = split_validation(rows, DataArguments(validation_size=0.2), "labels")
    assert again["id"] == train["id"]
    assert split_validation(rows, DataArguments(validation_size=0.2, seed=1), "labels")[0]["id"] != train["id"]


def test_a_class_of_one_row_does_not_stop_the_split():
    rows = Dataset.from_dict({"labels": [0] * 20 + [1]})
    train, validation = split_validation(rows, DataArguments(), "labels")
    assert len(train) + len(validation) == 21


@pytest.mark.parametrize("sizes", [[1] * 6 + [2] * 4 + [8] * 2, [2] * 40])
def test_many_small_classes_do_not_take_the_training_rows(sizes, caplog):
    rows = Dataset.from_dict({"labels": np.repeat(np.arange(len(sizes)), sizes)})
    train, validation = split_validation(rows, DataArguments(), "labels")
    assert len(validation) <= 2 * round(0.1 * sum(sizes))
    assert set(train["labels"]) == set(range(len(sizes)))
    told = "6 of 12 classes have a single row" if sizes[0] == 1 else "8 validation rows cannot keep the proportions"
    assert told in caplog.text


def test_a_rare_class_is_in_both_splits_and_one_of_a_single_row_leaves_the_others_in_their_proportions():
    rows = Dataset.from_dict({"labels": [0] * 297 + [1] * 3})
    train, validation = split_validation(rows, DataArguments(), "labels")
    assert sorted(validation["labels"])[-1] == 1
    assert sum(train["labels"]) in (1, 2)
    rows = Dataset.from_dict({"labels": [0] * 100 + [1] * 100 + [2]})
    _, validation = split_validation(rows, DataArguments(), "labels")
    assert sorted(validation["labels"]) == [0] * 10 + [1] * 10


@pytest.mark.parametrize(("share", "count"), [(0, 50), (1.5, 50), (0.1, 2)])
def test_a_validation_share_that_cannot_be_is_refused(share, count):
    with pytest.raises(UserError):
        split_validation(
            Dataset.from_dict({"labels": [0, 1] * (count // 2)}), DataArguments(validation_size=share), "labels"
        )


def test_overlong_texts_keep_what_they_are_told_to_keep():
    ids = list(range(10))
    assert cut(ids, 4, "head") == [0, 1, 2, 3]
    assert cut(ids, 4, "tail") == [6, 7, 8, 9]
    assert cut(ids, 5, "head_tail") == [0, 1, 2, 8, 9]
    assert cut(ids, 1, "head_tail") == [0]
    assert cut(ids, 10, "tail") == cut(ids, None, "head") == ids


def test_the_collator_pads_to_the_longest_row_and_marks_it():
    rows = [{"input_ids": [5, 6, 7], "labels": 1}, {"input_ids": [], "labels": 0}, {"input_ids": [0], "labels": 2}]
    batch = RaggedCollator(pad_token_id=9)(rows)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [9, 9, 9], [0, 9, 9]]
    # An id that is a padding id of another tokenizer is still a token. The mask depends on lengths, not on ids.
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert torch.equal(batch["labels"], torch.tensor([1, 0, 2]))


def test_the_collator_of_a_batch_of_empty_texts_and_of_float_labels():
    batch = RaggedCollator(0, torch.float)([{"input_ids": [], "labels": [1.0, 0.0]}])
    assert batch["input_ids"].tolist() == [[0]]
    assert batch["attention_mask"].tolist() == [[0]]
    assert np.allclose(batch["labels"], [[1, 0]])
    assert "labels" not in RaggedCollator(0)([{"input_ids": [1]}])
