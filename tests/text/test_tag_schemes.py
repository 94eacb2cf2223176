"""Tests that tags of other schemes are converted to BIO, or refused with the tag to write."""

import json
import logging

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from support.tagging import TAGS, run, sentences

import hf_rnn
from hf_rnn.inference.evaluation import evaluate
from hf_rnn.tasks.token_classification import TokenClassification
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.tag_schemes import LETTERS, converted, find_scheme
from hf_rnn.utils.errors import UserError

SCHEMES = [*LETTERS, "IOB1"]


def written_in(scheme: str, tags: list[str]) -> list[str]:
    """Convert BIO tags to another scheme."""
    found = []
    for place, tag in enumerate(tags):
        before, after = ([*tags[:place], "O"][place - 1], [*tags, "O"][place + 1])
        ends = after != f"I-{tag[2:]}"
        if tag == "O":
            found.append(tag)
        elif scheme == "IOB1":
            right_after = place and before[2:] == tag[2:]
            found.append(tag if tag[0] == "I" or right_after else f"I-{tag[2:]}")
        else:
            begins, inside, last, alone = LETTERS[scheme]
            letter = (alone if ends else begins) if tag[0] == "B" else last if ends else inside
            found.append(letter + tag[1:])
    return found


def rows_in(scheme: str, count: int, seed: int = 0) -> list[dict]:
    rows = sentences(count, seed)
    # This row has two adjacent spans of the same kind. The second span has three words.
    rows += [{"tokens": ["Ulm", "New", "York", "City"], "ner_tags": ["B-LOC", "B-LOC", "I-LOC", "I-LOC"]}]
    return [{**row, "ner_tags": written_in(scheme, row["ner_tags"])} for row in rows]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_is_found_and_converted(scheme):
    table = Dataset.from_list(rows_in(scheme, 40))
    task = TokenClassification(DataArguments(path="rows"))
    splits = DatasetDict(train=table, validation=table.select(range(20)))
    prepared = task.prepare(splits)
    assert prepared["train"]["tags"][:] == [row["ner_tags"] for row in [*sentences(40)]] + [
        ["B-LOC", "B-LOC", "I-LOC", "I-LOC"]
    ]
    assert task.label_names == TAGS
    assert f"'ner_tags': {scheme}, read as BIO" in task.schema(splits, prepared).table("rows")


@pytest.mark.parametrize("scheme", ["BILOU", "IOB1"])
def test_numbers_with_names_of_another_scheme_are_converted(scheme):
    rows = rows_in(scheme, 40)
    names = sorted({tag for row in rows for tag in row["ner_tags"]}, reverse=True)
    numbers = [{**row, "ner_tags": [names.index(tag) for tag in row["ner_tags"]]} for row in rows]
    kinds = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=names))})
    for features, given in ((kinds, None), (None, names)):
        task = TokenClassification(DataArguments(path="rows", label_names=given))
        train = task.prepare(DatasetDict(train=Dataset.from_list(numbers, features=features)))["train"]
        assert task.label_names == TAGS
        assert {tag for row in train["tags"] for tag in row} == set(TAGS)


def test_a_run_on_another_scheme_learns_bio_and_says_so(tmp_path, capsys, caplog):
    settings = run("rows", tmp_path / "model", num_train_epochs=1)
    del settings["data"]
    results = hf_rnn.train(settings, data={"train": rows_in("BIOES", 40), "test": rows_in("BIOES", 10, 1)})
    assert "'ner_tags': BIOES, read as BIO" in capsys.readouterr().out
    assert json.loads((tmp_path / "model" / "schema.json").read_text())["label_form"] == "BIOES, read as BIO"
    assert list(json.loads((tmp_path / "model" / "config.json").read_text())["id2label"].values()) == TAGS
    with caplog.at_level(logging.INFO):
        again = evaluate(tmp_path / "model", Dataset.from_list(rows_in("BIOES", 10, 1)))
        assert "are BIOES, read as BIO" in caplog.text
        other = evaluate(tmp_path / "model", Dataset.from_list(rows_in("IOB1", 10, 1)))
    assert again["f1"] == other["f1"] == results["test"]["f1"]
    assert again["support/LOC"] == 12


def test_rows_that_begin_inside_a_span_begin_it_and_are_counted(caplog):
    rows = [*sentences(20), {"tokens": ["York", "left"], "ner_tags": ["I-LOC", "O"]}]
    task = TokenClassification(DataArguments(path="rows"))
    train = task.prepare(DatasetDict(train=Dataset.from_list(rows), test=Dataset.from_list(sentences(2))))["train"]
    assert all(tags[0] != "I-LOC" for tags in train["tags"])
    assert "1 rows of the split train begin inside a span" in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["U-L O B-P L-P", "U-L O B-P O"], r"row 1 .*'B-P' at its word 2, before 'O': in the scheme BILOU .*write U-P"),
        (["U-L O U-L", "O L-P"], r"row 1 .*'L-P' at its word 1, after 'O': in the scheme BILOU"),
        (["S-L O S-L B-P I-P O", "B-P E-P"], r"row 0 .*'I-P' at its word 4, before 'O': .* write E-P there"),
        (["B-P L-P O S-L"], r"the tag 'L-P' .* is not in the BIO scheme.* word 1 of row 0 .*BILOU, BIOES"),
        (["O I-L I-L", "O I-P O", "O B-L"], r"row 2 .*'B-L' at its word 1, after 'O'.* scheme IOB1.*: write I-L there"),
        (["B_P I_P O"], r"the tag 'B_P' .* almost a tag of the BIO scheme: write B-P"),
    ],
)
def test_what_may_be_of_several_schemes_is_an_error_with_the_tag_to_write(rows, message):
    rows = [row.split() for row in rows]
    with pytest.raises(UserError, match=message):
        converted(rows, find_scheme(rows, "rows", "train"), "train")


def test_the_training_split_says_how_all_splits_are_written():
    rows = [{"tokens": ["a", "b"], "ner_tags": ["O", "I-LOC"]}]
    splits = DatasetDict(train=Dataset.from_list(sentences(30)), test=Dataset.from_list(rows))
    with pytest.raises(UserError, match=r"row 0 of the split 'test' .*'I-LOC' at its word 1, after 'O'.*write B-LOC"):
        TokenClassification(DataArguments(path="rows")).prepare(splits)


def test_tags_that_only_look_like_a_scheme_stay_as_they_are():
    for rows in (["S-Bahn E-Mail"], ["DET NOUN"], ["O O"]):
        assert find_scheme([row.split() for row in rows], "rows", "train") is None


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["B-LOC", "L-LOC", "O", "MISC"], "the tag 'MISC' of 'rows' is not in the BILOU scheme"),
        (["B-LOC", "L-LOC", "O", "o"], "the tag 'o' of 'rows' is not in the BILOU scheme, .* write O for words"),
        (["B-LOC", "E-LOC", "X-PER", "O", "S-LOC"], "'X-PER' .* BIOES scheme, .*S-PER for one of a single word"),
        (["o", "B-PER", "I-PER"], "the tag 'o' .*: write O for words outside of all spans"),
        (["0", "B-PER"], "the tag '0' .*: write O for words outside of all spans"),
        (["B-", "I-", "O"], "the tag 'B-' of 'rows' does not name the kind of its span: write B-KIND"),
        (["u-per", "o"], "write U-per, and O"),
        (["PER-B", "PER-I", "O"], "the tag 'PER-B' of 'rows' has the letter .* write B-PER"),
        (["B-PER ", "O"], "the tag 'B-PER ' of 'rows' has spaces around it: write 'B-PER'"),
    ],
)
def test_the_strange_tag_is_named_and_not_those_beside_it(tags, words):
    with pytest.raises(UserError, match=words):
        find_scheme([tags], "rows", "train")


def test_tags_without_kinds_are_learnt_as_tags_of_words_and_that_is_said(caplog):
    assert find_scheme([["B", "I", "O"]], "rows", "train") is None
    assert "the tags B, I of 'rows' do not name the kinds of their spans" in caplog.text
    caplog.clear()
    assert find_scheme([["B", "M", "E", "S"]], "rows", "train") is None
    assert not caplog.text


@pytest.mark.parametrize(("train", "validation"), [("BIO", "BILOU"), ("BIO", "IOB1"), ("BILOU", "BIO")])
def test_a_split_of_another_scheme_than_the_training_split_is_named(train, validation):
    def table(scheme):
        rows = rows_in(scheme, 40) if scheme != "BIO" else sentences(40)
        return Dataset.from_list(rows)

    with pytest.raises(UserError, match=f"'validation' seems to be written in the scheme {validation}, .* {train}"):
        TokenClassification(DataArguments(path="rows")).prepare(
            DatasetDict(train=table(train), validation=table(validation))
        )
