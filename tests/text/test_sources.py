"""Tests that read splits from paths: folders, classes, languages, tagged words."""

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.formats import looks_tagged
from hf_rnn.text.loading import load
from hf_rnn.utils.errors import UserError

TABLE = "text,label\na,pos\nb,neg\n"


def read(path, tagged=False, **settings):
    return load(DataArguments(path=str(path), **settings), tagged=tagged)


def make(folder, files: dict[str, str]):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "dev", "eval", "Val", "DEV"])
@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("training", "testing"), ("Train", "TEST")])
def test_names_of_splits(train, validation, test, tmp_path):
    make(tmp_path, {f"{name}.csv": TABLE for name in (train, validation, test)})
    assert sorted(read(tmp_path)) == ["test", "train", "validation"]


@pytest.mark.parametrize(
    "name",
    [".hidden.csv", "._train.csv", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/train.csv",
     ".ipynb_checkpoints/train-checkpoint.csv", ".git/x.csv", "README.md"],
)  # fmt: skip
def test_what_is_no_data_is_passed_over(name, tmp_path):
    make(tmp_path, {"train.csv": TABLE, name: "junk"})
    assert list(read(tmp_path)) == ["train"]


@pytest.mark.parametrize(
    "name", [".cache/1.txt", "__MACOSX/1.txt", ".ipynb_checkpoints/1.txt", "pos/._1.txt", "pos/Thumbs.db"]
)
def test_hidden_folders_are_no_classes(name, tmp_path):
    make(tmp_path, {"pos/1.TXT": "\ufeffgood", "neg/1.txt": "bad", name: "junk"})
    rows = read(tmp_path)["train"]
    assert sorted(zip(rows["text"], rows["label"], strict=True)) == [("bad", "neg"), ("good", "pos")]


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["train/1.txt", "plane/1.txt", "bus/1.txt"], {"train": ["bus", "plane", "train"]}),
        (["train/1.txt", "test/1.txt"], {"train": ["test", "train"]}),
        (["dev/1.txt", "ops/1.txt"], {"train": ["dev", "ops"]}),
        (["train/a/1.txt", "train/b/1.txt", "test/a/1.txt"], {"train": ["a", "b"], "test": ["a"]}),
        (
            ["training/train/1.txt", "training/b/1.txt", "val/train/1.txt"],
            {"train": ["b", "train"], "validation": ["train"]},
        ),
    ],
)
def test_folders_of_classes_may_be_called_as_splits_are(files, splits, tmp_path):
    make(tmp_path, dict.fromkeys(files, "a text"))
    assert {split: sorted(rows["label"]) for split, rows in read(tmp_path).items()} == splits


def test_two_files_for_one_split_are_asked_about(tmp_path):
    make(tmp_path, {"train.csv": TABLE, "val.csv": TABLE, "dev.csv": TABLE})
    with pytest.raises(UserError, match=r"several files for the split validation: dev.csv, val.csv"):
        read(tmp_path)


def test_pieces_of_a_split_have_the_same_columns(tmp_path):
    make(tmp_path, {"train-00000-of-00002.csv": TABLE, "train-00001-of-00002.csv": "body,label\na,pos\n"})
    with pytest.raises(UserError, match=r"has the columns body, label, and train-00000-of-00002.csv has text, label"):
        read(tmp_path)
    make(tmp_path, {"train-00001-of-00002.csv": "label;text\nneg;c, d\n"})
    assert read(tmp_path)["train"].to_list()[-1] == {"text": "c, d", "label": "neg"}


def test_parallel_files(tmp_path):
    make(tmp_path, {"train.en": "a\n\nc\n", "train.de": "x\r\ny\r\nz", "val.de": "v\n", "val.en": "u\n"})
    splits = read(tmp_path)
    assert splits["train"].to_list() == [{"de": "x", "en": "a"}, {"de": "y", "en": ""}, {"de": "z", "en": "c"}]
    assert splits["validation"].to_list() == [{"de": "v", "en": "u"}]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train.en": "a\nb\n", "train.de": "x\n"}, r"train.de in .* has 1 lines, fewer than train.en"),
        ({"train.en": "a\n", "train.de": "x\n", "test.en": "a\n"}, r"not in the same languages"),
    ],
)
def test_parallel_files_that_do_not_fit(files, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read(make(tmp_path, files))


CONLL = {
    "spaces": "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n",
    "tabs": "EU\tNNP\tB-NP\tB-ORG\nrejects\tVBZ\tB-VP\tO\n\n\nPeter\tNNP\tB-NP\tB-PER\n\n",
    "comments": "# sentence 1\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n# text = Peter\nPeter NNP B-NP B-PER",
    "crlf": "\ufeffEU NNP B-NP B-ORG\r\nrejects VBZ B-VP O\r\n\r\nPeter NNP B-NP B-PER\r\n",
    "wide spaces": "EU  NNP B-NP   B-ORG\nrejects VBZ  B-VP O\n \nPeter NNP B-NP B-PER\n",
}


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.CONLL", "a.conll.gz"])
@pytest.mark.parametrize("kind", CONLL)
def test_conll_files(kind, name, tmp_path):
    import gzip

    content = CONLL[kind].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    rows = read(tmp_path / name, tagged=True)["train"]
    assert rows["tokens"] == [["EU", "rejects"], ["Peter"]]
    assert rows["tags"] == [["B-ORG", "O"], ["B-PER"]]
    assert rows["column_2"] == [["NNP", "VBZ"], ["NNP"]]


def test_a_bad_line_of_a_conll_file_is_named_or_its_sentence_left_out(tmp_path, caplog):
    (tmp_path / "a.conll").write_text("EU B-ORG\nrejects\n\nPeter B-PER\n")
    with pytest.raises(UserError, match=r"line 2 of .* has 1 columns, and the first has 2: 'rejects'"):
        read(tmp_path / "a.conll")
    assert read(tmp_path / "a.conll", on_bad_rows="skip")["train"]["tokens"] == [["Peter"]]
    assert "1 sentences with a bad line were left out" in caplog.text


def test_what_stands_beside_parallel_files_is_passed_over(tmp_path):
    make(tmp_path, {"train.en": "a\n", "train.de": "x\n", "README.md": "about", "LICENSE": "x", "notes.en": "n"})
    assert read(tmp_path)["train"].to_list() == [{"de": "x", "en": "a"}]


def test_names_of_classes_are_those_of_all_pieces(tmp_path):
    for number, names in enumerate((["no", "yes"], ["yes", "no"])):
        features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
        rows = Dataset.from_dict({"text": ["a"], "label": [0]}, features=features)
        rows.to_parquet(tmp_path / f"train-0000{number}-of-00002.parquet")
    with pytest.raises(UserError, match=r"other column types or class names"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "tagged"),
    [("Ada lives in Rome\n", False), ("a b c\nd e f\n", False), ("a b\n\nc d\n", False), (CONLL["spaces"], True),
     (CONLL["tabs"], True), ("one two three\n\nfour five\n\nsix\n", False)],
)  # fmt: skip
def test_texts_are_not_taken_for_tagged_words(text, tagged, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    assert looks_tagged(tmp_path / "a.txt", None) is tagged


def test_words_that_are_numbered_are_no_words(tmp_path):
    (tmp_path / "a.conll").write_text("1\tThe\tDET\n2\tdog\tNOUN\n\n")
    with pytest.raises(UserError, match=r"numbers the words of its sentences, as CoNLL-U does"):
        read(tmp_path / "a.conll")


@pytest.mark.parametrize("name", ["~$train.xlsx", "dataset_info.json"])
def test_what_programs_leave_beside_data_is_passed_over(name, tmp_path):
    make(tmp_path, {"train.csv": TABLE, name: "{}"})
    assert list(read(tmp_path)) == ["train"]


def test_the_only_file_of_a_folder_is_the_training_split(tmp_path):
    make(tmp_path, {"reviews.csv": TABLE})
    assert list(read(tmp_path)) == ["train"]


def test_folders_that_are_not_read_are_told(tmp_path, caplog):
    make(tmp_path, {"train/neg/1.txt": "a", "train/pos/1.txt": "b", "test/1.txt": "c"})
    assert list(read(tmp_path)) == ["train"]
    assert "the folders test are not read" in caplog.text


@pytest.mark.parametrize("line", ["#Rome B-LOC", "#", "# Rome", "#Rome"])
def test_a_line_within_a_sentence_is_no_comment(line, tmp_path):
    (tmp_path / "a.conll").write_text(f"EU NNP B-ORG\n\nsee VB O\n{line}\nnow RB O\n")
    with pytest.raises(UserError, match=r"line 4 of .* has \d columns, and the first has 3"):
        read(tmp_path / "a.conll")
    (tmp_path / "a.conll").write_text(f"EU NNP B-ORG\n\n{line}\nsee VB O\nnow RB O\n")
    assert read(tmp_path / "a.conll")["train"]["tokens"] == [["EU"], ["see", "now"]]


def test_folders_beside_tables_are_told(tmp_path, caplog):
    make(
        tmp_path,
        {"train/neg/1.txt": "a", "train/pos/1.txt": "b", "labels.csv": "text,label\na b,1\n", "pictures/a": ""},
    )
    assert list(read(tmp_path)) == ["train"]
    assert "the folders train are not read, as there are tables beside them" in caplog.text
