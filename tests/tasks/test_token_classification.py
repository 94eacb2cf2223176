"""Tests of named entity recognition: a training run, its answers, and errors in words and tags."""

import json
import logging
import shutil

import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from support import assert_same_run, write_jsonl
from support.tagging import FIRST, LAST, TAGS, run, sentences
from tokenizers import pre_tokenizers, processors
from transformers import AutoModelForTokenClassification, pipeline

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.inference.evaluation import evaluate
from hf_rnn.interpret.attribution import explainable
from hf_rnn.interpret.diagnosis import diagnose
from hf_rnn.runtime.bio import spans_of
from hf_rnn.tasks.metrics import SpanMetrics
from hf_rnn.tasks.token_classification import TokenClassification
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.bio import scheme
from hf_rnn.text.loading import load
from hf_rnn.utils.errors import UserError


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """Return the folder of a tagger, the results of its run, and the folder of its data."""
    folder = tmp_path_factory.mktemp("tagger")
    (folder / "data").mkdir()
    for split, count in (("train", 200), ("validation", 40), ("test", 40)):
        write_jsonl(folder / "data" / f"{split}.jsonl", sentences(count, seed=count))
    return folder / "model", hf_rnn.train(run(folder / "data", folder / "model")), folder / "data"


def test_a_run_finds_names_of_several_words_in_pieces(tagger):
    folder, results, _ = tagger
    tokenizer = hf_rnn.load_tokenizer(str(folder))
    assert any(len(tokenizer.tokenize(name)) > 1 for name in (*FIRST, *LAST)), "some name is in pieces"
    assert results["test"]["f1"] > 0.99
    assert results["test"]["support/PER"] == 40
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["RNNForTokenClassification"]
    assert list(config["id2label"].values()) == TAGS


def test_pieces_learn_how_a_word_goes_on_and_words_are_judged_by_the_first(tagger):
    folder, *_ = tagger
    tokenizer = hf_rnn.load_tokenizer(str(folder))
    task = TokenClassification(DataArguments(path="rows"))
    table = Dataset.from_list([{"tokens": ["Dmitri", "Blackburn", "left"], "ner_tags": ["B-PER", "I-PER", "O"]}] * 20)
    splits = task.prepare(DatasetDict(train=table, test=table))
    names = [*task.label_names, "not judged"]
    pieces = [tokenizer.tokenize(word) for word in ("Dmitri", "Blackburn", "left")]
    assert len(pieces[0]) > 1
    for split, inside in (("train", "I-PER"), ("test", "not judged")):
        found = [names[max(label, -1)] for label in task.encode(splits[split], tokenizer)["labels"][0]]
        rest = [[inside] * (len(word) - 1) for word in pieces[:2]]
        outside = ["O"] * len(pieces[2]) if split == "train" else ["O", *["not judged"] * (len(pieces[2]) - 1)]
        assert found == ["B-PER", *rest[0], "I-PER", *rest[1], *outside]


@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
def test_pipeline_gives_entities_with_their_characters(strategy, tagger):
    folder, *_ = tagger
    text = "Anna Blackburn lives in New York."
    tag = pipeline("token-classification", model=str(folder), aggregation_strategy=strategy)
    found = tag(text)
    assert [(e["entity_group"], text[e["start"] : e["end"]]) for e in found] == [
        ("PER", "Anna Blackburn"),
        ("LOC", "New York"),
    ]
    assert type(AutoModelForTokenClassification.from_pretrained(folder)) is hf_rnn.RNNForTokenClassification


def test_predict_says_who_and_where(tagger, capsys, tmp_path):
    folder, *_ = tagger
    text = "Boris Ivanov left Kiel ."
    (answer,) = hf_rnn.Predictor.from_pretrained(folder)([text])
    assert [(e["label"], e["text"]) for e in answer["entities"]] == [("PER", "Boris Ivanov"), ("LOC", "Kiel")]
    assert all(text[e["start"] : e["end"]] == e["text"] and 0 < e["score"] <= 1 for e in answer["entities"])
    assert main(["predict", str(folder), text, ""]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Boris Ivanov PER ")
    assert second.startswith("(no name)")
    rows = write_jsonl(tmp_path / "texts.jsonl", [{"text": text}, {"text": "left ."}])
    assert main(["predict", str(folder), "--file", str(rows), "--output", str(tmp_path / "out.jsonl")]) == 0
    written = [json.loads(line)["prediction"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written[0] == answer
    assert written[1] == {"entities": []}


def test_evaluation_is_that_of_training_and_the_card_has_it(tagger):
    folder, results, data = tagger
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    again = evaluate(predictor, DataArguments(path=str(data)))
    assert again["rows"] == 40
    assert again["f1"] == pytest.approx(results["test"]["f1"])
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert 'tag = pipeline("token-classification", model="model", aggregation_strategy="simple")' in card
    assert f"| F1 of spans | {results['validation']['f1']:.2%} | {results['test']['f1']:.2%} |" in card
    assert "finds LOC, PER in a text" in card


@pytest.mark.slow
def test_a_run_that_was_cut_ends_as_if_it_had_not_been(tagger, tmp_path):
    _, _, data = tagger
    hf_rnn.train(run(data, tmp_path / "whole", num_train_epochs=2, save_total_limit=9))
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    newest = max((tmp_path / "cut").glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    for file in [*newest.iterdir()]:
        file.unlink()
    newest.rmdir()
    (tmp_path / "cut" / "metrics.json").unlink()
    hf_rnn.train(run(data, tmp_path / "cut", num_train_epochs=2, save_total_limit=9, resume=True))
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.slow
def test_a_run_that_an_older_release_began_goes_on_with_its_tokenizer(tagger, tmp_path, monkeypatch):
    _, _, data = tagger
    settings = run(data, tmp_path, num_train_epochs=2, save_total_limit=9)
    settings["tokenizer"] = {"kind": "bpe", "vocab_size": 300}
    with monkeypatch.context() as before:
        before.setattr(TokenClassification, "fitted", lambda self, tokenizer, resumed=False: tokenizer)
        hf_rnn.train(settings)
    (tmp_path / "metrics.json").unlink()
    shutil.rmtree(max(tmp_path.glob("checkpoint-*"), key=lambda path: int(path.name[11:])))
    settings["training"]["resume"] = True
    assert "f1_written" in hf_rnn.train(settings)["test"]


def test_a_tagger_begins_with_a_language_models_encoder(tagger, tmp_path):
    _, _, data = tagger
    lines = [{"text": " ".join(row["tokens"])} for row in sentences(100)]
    texts = write_jsonl(tmp_path / "texts.jsonl", lines)
    hf_rnn.train(
        {
            "task": "language_modeling",
            "data": {"path": str(texts)},
            "tokenizer": {"kind": "wordpiece", "vocab_size": 70},
            "model": {"embedding_size": 16, "hidden_size": 16, "bidirectional": True, "independent_directions": True},
            "training": {"output_dir": str(tmp_path / "lm"), "num_train_epochs": 1, "window": 20, "disable_tqdm": True},
        }
    )
    settings = run(data, tmp_path / "tagger", num_train_epochs=1)
    del settings["tokenizer"]
    settings["model"] = {"pretrained": str(tmp_path / "lm"), "crf": True, "character_encoder": "lstm"}
    assert "f1" in hf_rnn.train(settings)["test"]
    config = json.loads((tmp_path / "tagger" / "config.json").read_text())
    assert (config["independent_directions"], config["hidden_size"]) == (True, 16)


@pytest.mark.parametrize("form", ["numbers with names", "numbers named by the settings", "text between spaces"])
def test_tags_are_read_in_the_forms_that_data_sets_have(form):
    rows = sentences(30)
    data = DataArguments(path="rows")
    if form == "text between spaces":
        table = Dataset.from_list([{name: " ".join(value) for name, value in row.items()} for row in rows])
    else:
        numbers = [{**row, "ner_tags": [TAGS.index(tag) for tag in row["ner_tags"]]} for row in rows]
        kinds = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=TAGS))})
        table = Dataset.from_list(numbers, features=kinds if form == "numbers with names" else None)
        data.label_names = None if form == "numbers with names" else TAGS
    task = TokenClassification(data)
    train = task.prepare(DatasetDict(train=table))["train"]
    assert task.label_names == TAGS
    assert {"words": train["words"][0], "tags": train["tags"][0]} in [
        {"words": row["tokens"], "tags": row["ner_tags"]} for row in rows
    ]


def test_tags_that_are_no_spans_are_judged_word_by_word(tmp_path):
    rows = [
        {"words": words, "tags": ["DET", "NOUN", "VERB"]}
        for words in (["the", "cat", "sleeps"], ["a", "dog", "barks"])
        for _ in range(40)
    ]
    settings = run(write_jsonl(tmp_path / "rows.jsonl", rows), tmp_path / "model", num_train_epochs=5)
    results = hf_rnn.train(settings)
    assert results["validation"]["accuracy"] == 1
    assert "f1" not in results["validation"]
    assert results["validation"]["accuracy_written"] == 1
    (answer,) = hf_rnn.Predictor.from_pretrained(tmp_path / "model")(["the dog sleeps"])
    assert [(e["text"], e["label"]) for e in answer["entities"]] == [
        ("the", "DET"),
        ("dog", "NOUN"),
        ("sleeps", "VERB"),
    ]


def prepared(rows: list[dict], **settings):
    data = DataArguments(path="rows", **settings)
    return TokenClassification(data).prepare(DatasetDict(train=Dataset.from_list(rows)))


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        (["a", "b"], ["O"], r"row 30 of the split 'train' has 2 words and 1 tags \('a b'\): give each word one tag"),
        (
            ["a", "b"],
            ["O", "S-PER"],
            r"the tag 'S-PER' of 'rows' is not in the BIO scheme, but 'B-LOC' is: write B-PER",
        ),
        (["a", "b"], ["O", "PER"], r"the tag 'PER' of 'rows' is not in the BIO scheme"),
        (["a", "b"], ["O", "I-PER"], r"row 30 .*'I-PER' at its word 1, after 'O'.*: write B-PER there"),
        (["a", "b"], ["B-LOC", "I-PER"], r"after 'B-LOC' and not after B-PER or I-PER"),
    ],
)
def test_words_and_tags_that_do_not_fit_are_named(words, tags, message):
    with pytest.raises(UserError, match=message):
        prepared([*sentences(30), {"tokens": words, "ner_tags": tags}])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": "['a', 'b']", "ner_tags": "O O"}, r"row 0 .* \"\['a', 'b'\]\", a list that was written as a text"),
        (
            {"tokens": "a b", "ner_tags": "o b-per"},
            r"the tag 'b-per' .* almost a tag of the BIO scheme: write B-per",
        ),
        ({"tokens": "a b", "ner_tags": "_ B-PER"}, r"the tag '_' .* write O for words outside of all spans"),
        (
            {"tokens": "a b", "ner_tags": "0 1"},
            r"row 0 .* the tag 0, and there are no names: write data.label_names=\['O', ",
        ),
        ({"tokens": ["a"], "ner_tags": [["O"]]}, r"row 0 .* has \['O'\] for a tag: write its name"),
    ],
)
def test_columns_that_are_nearly_right_are_refused(row, message):
    with pytest.raises(UserError, match=message):
        prepared([row] * 20)


def test_words_may_be_numbers_and_rows_of_one_word_are_warned_of(caplog):
    train = prepared([{"tokens": [7], "ner_tags": ["B-N"]}, {"tokens": [8], "ner_tags": ["O"]}] * 20)["train"]
    assert set(map(tuple, train["words"])) == {("7",), ("8",)}
    assert "each row of the split train is one word" in caplog.text


def test_one_tag_strange_columns_and_lengths_are_refused():
    with pytest.raises(UserError, match=r"all words of 'rows' have the tag 'O'"):
        prepared([{"tokens": ["a"], "ner_tags": ["O"]}] * 20)
    with pytest.raises(UserError, match=r"column of the tags of 'rows' .*'tokens', 'marks'. Write data.label_column="):
        prepared([{"tokens": ["a"], "marks": ["O"]}] * 20)
    with pytest.raises(UserError, match=r"has the tag 7, and there are no names: write data.label_names="):
        prepared([{"tokens": ["a"], "ner_tags": [7]}] * 20)
    with pytest.raises(UserError, match=r"max_length=5 would cut off words"):
        prepared(sentences(20), max_length=5)
    with pytest.raises(UserError, match=r"has no words"):
        prepared([{"tokens": [], "ner_tags": []}] * 20)


def test_files_of_words_are_answered_as_the_texts_that_they_make(tagger, tmp_path):
    folder, _, data = tagger
    output = tmp_path / "out.jsonl"
    assert main(["predict", str(folder), "--file", str(data / "test.jsonl"), "--output", str(output)]) == 0
    for line in output.read_text().splitlines():
        row = json.loads(line)
        text, spans = " ".join(row["tokens"]), spans_of(row["ner_tags"])
        found = [(e["label"], text[e["start"] : e["end"]]) for e in row["prediction"]["entities"]]
        assert found == [(kind, " ".join(row["tokens"][a : b + 1])) for kind, a, b in spans]


def test_a_tokenizers_own_tokens_are_read_in_training_too():
    task = TokenClassification(DataArguments(path="rows"))
    tokenizer = hf_rnn.train_tokenizer(["Anna left Ulm"] * 3, "wordpiece", min_frequency=1, show_progress=False)
    around = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    tokenizer.backend_tokenizer.post_processor = around
    some = [{"tokens": ["Anna"], "tags": ["B-PER"]}, {"tokens": ["left"], "tags": ["O"]}] * 20
    rows = task.prepare(DatasetDict(train=Dataset.from_list(some)))
    (row,) = task.encode(rows["train"].select([0]), task.fitted(tokenizer)).to_list()
    assert (row["input_ids"][0], row["input_ids"][-1]) == (2, 3)
    assert (row["labels"][0], row["labels"][-1]) == (-100, -100)


def test_a_tokenizer_that_reads_words_otherwise_than_text_is_refused():
    tokenizer = hf_rnn.train_tokenizer(["a b ab"] * 3, "bpe", vocab_size=300, show_progress=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    with pytest.raises(
        UserError, match=r"splits the words 'a', 'b' into the tokens .*, but the text.*add_prefix_space=True"
    ):
        TokenClassification(DataArguments(path="rows")).fitted(tokenizer)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "whitespace", "char"])
def test_a_tokenizer_that_reads_a_mark_after_a_word_otherwise_is_refused(kind, tmp_path):
    settings = run("rows", tmp_path / "model")
    settings["tokenizer"] = {"kind": kind, "vocab_size": 300}
    del settings["data"]
    with pytest.raises(UserError, match=r"but the text 'a[ .].*tokenizer.kind='wordpiece'"):
        hf_rnn.train(settings, data=sentences(30))
    assert not (tmp_path / "model" / "config.json").exists()


def test_the_marks_of_the_data_are_tried_too():
    """Check punctuation of the data with a tokenizer that cannot fail on "a" and ".", because it ignores both."""
    tokenizer = hf_rnn.train_tokenizer(["北 ， 北，"] * 3, "bpe", vocab_size=300, show_progress=False)
    model = json.loads(tokenizer.backend_tokenizer.to_str())
    model["normalizer"] = {"type": "Replace", "pattern": {"Regex": "[a-z.]|[\\t\\n] *"}, "content": ""}
    tokenizer._tokenizer = type(tokenizer.backend_tokenizer).from_str(json.dumps(model))
    rows = [{"tokens": ["北", "，"], "ner_tags": ["B-LOC", "O"]}] * 20
    task = TokenClassification(DataArguments(path="rows"))
    task.examples = []
    task.prepare(DatasetDict(train=Dataset.from_list(rows)))
    with pytest.raises(UserError, match=r"the words '北', '，' into the tokens .*, but the text '北，'"):
        task.fitted(tokenizer)


def test_a_tagger_reads_word_pieces_unless_it_is_told_otherwise(tmp_path):
    settings = run("rows", tmp_path / "model", num_train_epochs=1)
    del settings["data"], settings["tokenizer"]
    hf_rnn.train(settings, data=sentences(60))
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "model"))
    assert type(tokenizer.backend_tokenizer.model).__name__ == "WordPiece"
    for words, text in ((["Ulm", "."], "Ulm."), (["(", "Anna", ")"], "(Anna)"), (["Ulm", "left"], "Ulm \n\tleft")):
        assert tokenizer(words, is_split_into_words=True)["input_ids"] == tokenizer(text)["input_ids"]


def test_a_language_model_of_byte_pairs_is_no_beginning_of_a_tagger(tmp_path):
    texts = [{"text": " ".join(row["tokens"])} for row in sentences(150)]
    model = {"embedding_size": 8, "hidden_size": 8}
    training = {"output_dir": str(tmp_path / "lm"), "num_train_epochs": 1, "window": 20, "disable_tqdm": True}
    sections = {"task": "language_modeling", "tokenizer": {"vocab_size": 300}, "model": model, "training": training}
    hf_rnn.train(sections, data=texts)
    settings = run("rows", tmp_path / "model", num_train_epochs=1)
    del settings["data"], settings["tokenizer"]
    settings["model"] = {"pretrained": str(tmp_path / "lm"), "crf": True}
    with pytest.raises(UserError, match=r"the text 'a\.' into .*tokenizer.kind='wordpiece'.*model.pretrained"):
        hf_rnn.train(settings, data=sentences(60))
    settings["tokenizer"] = {"kind": "wordpiece", "vocab_size": 70}
    assert "f1" in hf_rnn.train(settings, data=sentences(60))["validation"]


def test_metrics_are_of_the_words_given_and_of_the_text_that_they_make(tagger):
    folder, results, data = tagger
    saved = json.loads((folder / "metrics.json").read_text())
    for split in ("validation", "test"):
        assert saved[split] == results[split]
        assert saved[split]["f1_written"] > 0.99
    # The figures must follow from the answers to the texts as users write them.
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    rows = [json.loads(line) for line in (data / "test.jsonl").read_text().splitlines()]
    texts = [" ".join(row["tokens"]).replace(" .", ".") for row in rows]
    right = found = there = 0
    for text, row, answer in zip(texts, rows, predictor(texts), strict=True):
        entities = {(e["label"], e["text"]) for e in answer["entities"]}
        spans = {(kind, " ".join(row["tokens"][a : b + 1])) for kind, a, b in spans_of(row["ner_tags"])}
        assert all(text[e["start"] : e["end"]] == e["text"] for e in answer["entities"])
        right, found, there = right + len(entities & spans), found + len(entities), there + len(spans)
    again = evaluate(predictor, DataArguments(path=str(data)))
    for figures in (again, saved["test"]):
        assert figures["precision_written"] == pytest.approx(right / found)
        assert figures["recall_written"] == pytest.approx(right / there)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| F1 of spans, text written normally | {saved['validation']['f1_written']:.2%} |" in card


def test_a_tokenizer_that_joins_words_to_their_marks_shows_in_the_second_figure(tagger):
    """Check that a checkpoint of an older release with such a tokenizer is still loaded and evaluated."""
    folder, results, data = tagger
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    parts = pre_tokenizers.WhitespaceSplit()
    predictor.tokenizer.backend_tokenizer.pre_tokenizer = parts
    found = evaluate(predictor, DataArguments(path=str(data)))
    assert found["f1"] == pytest.approx(results["test"]["f1"])
    assert found["f1_written"] < found["f1"] - 0.2


SPACES = ["\t", "\n", " \r\n  ", "\u00a0", "\u2003", "\x0b", "\u2028"]


def untrained(folder, kind: str):
    """Return an untrained tagger with any kind of tokenizer, which finds many entities in each text."""
    texts = [" ".join(row["tokens"]) for row in sentences(60)]
    tokenizer = hf_rnn.train_tokenizer(texts, kind, vocab_size=300, min_frequency=1, show_progress=False)
    labels = {"id2label": dict(enumerate(TAGS)), "label2id": {tag: i for i, tag in enumerate(TAGS)}}
    sizes = {"vocab_size": len(tokenizer), "embedding_size": 8, "hidden_size": 8, "initializer_range": 1.0}
    hf_rnn.RNNForTokenClassification(hf_rnn.RNNConfig(**sizes, **labels, crf=True)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return hf_rnn.Predictor.from_pretrained(folder)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "wordpiece", "whitespace", "char"])
def test_the_same_words_have_the_same_entities_whatever_stands_between_them(kind, tmp_path):
    predictor = untrained(tmp_path, kind)
    words = "Anna Blackburn lives in New York . Boris left Ulm .".split()
    (expected,) = predictor([" ".join(words)])
    assert expected["entities"]
    for space in SPACES:
        text = space + space.join(words) + space
        (answer,) = predictor([text])
        for entity in answer["entities"]:
            assert entity["text"].strip()
            assert text[entity["start"] : entity["end"]] == entity["text"]
        assert [(e["label"], e["text"].split(), e["score"]) for e in answer["entities"]] == [
            (e["label"], e["text"].split(), e["score"]) for e in expected["entities"]
        ]
    assert predictor([*SPACES, "", "\u200b", "\ufeff \u200b"]) == [{"entities": []}] * (len(SPACES) + 3)
    invisible = predictor([" \u200b ".join(words)])[0]["entities"]
    assert all(any(character.isprintable() for character in entity["text"]) for entity in invisible)


@pytest.mark.parametrize("kind", ["word", "wordpiece"])
def test_a_pipeline_finds_the_same_entities_whatever_stands_between_words(kind, tmp_path):
    untrained(tmp_path, kind)
    tag = pipeline("token-classification", model=str(tmp_path), aggregation_strategy="simple")
    words = "Anna Blackburn lives in New York . Boris left Ulm .".split()
    expected = [(e["entity_group"], e["word"]) for e in tag(" ".join(words))]
    assert expected
    for space in SPACES:
        text = space + space.join(words)
        found = tag(text)
        assert [(e["entity_group"], e["word"]) for e in found] == expected
        assert all(text[e["start"] : e["end"]].strip() for e in found)


# The other strategies join the subwords of a word, and the kind "word" has no subwords.
@pytest.mark.parametrize(
    ("kind", "strategy"), [("word", "simple"), *(("wordpiece", s) for s in ("simple", "first", "average", "max"))]
)
def test_the_words_of_an_entity_in_a_pipeline_are_those_of_the_text(kind, strategy, tmp_path):
    untrained(tmp_path, kind)
    tokenizer = TokenClassification(DataArguments("rows")).fitted(hf_rnn.load_tokenizer(tmp_path))
    tokenizer.save_pretrained(tmp_path)
    text = "Anna Blackburn lives in New York"
    found = pipeline("token-classification", model=str(tmp_path), aggregation_strategy=strategy)(text)
    assert found
    assert [e["word"] for e in found] == [text[e["start"] : e["end"]] for e in found]


def test_the_loss_is_that_per_tag_whatever_the_batches(tagger, tmp_path):
    folder, _, data = tagger
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    test = predictor.task.prepare_split(load(DataArguments(str(data))), "test")
    rows = predictor.task.encode(test, predictor.tokenizer)
    losses = []
    for size in (1, 7, 40):
        args = hf_rnn.RNNTrainingArguments(str(tmp_path), per_device_eval_batch_size=size, disable_tqdm=True)
        trainer = hf_rnn.RNNTrainer(
            predictor.model, args, predictor.task, predictor.tokenizer, train_dataset=rows, eval_dataset=rows
        )
        losses.append(trainer.evaluate()["eval_loss"])
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_a_tag_that_was_not_trained_is_named(tagger, tmp_path):
    folder, *_ = tagger
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"tokens": ["Ulm"], "ner_tags": ["B-ORG"]}])
    with pytest.raises(UserError, match=r"row 0 .* 'B-ORG' at its word 0, which is none of O, B-LOC"):
        evaluate(hf_rnn.Predictor.from_pretrained(folder), DataArguments(path=str(rows)))


def test_words_that_no_token_is_made_of_are_told(tagger, caplog, tmp_path):
    folder, *_ = tagger
    rows = [
        {"tokens": ["\u200b"], "ner_tags": ["B-LOC"]},
        {"tokens": ["Ulm", " "], "ner_tags": ["B-LOC", "O"]},
    ]
    data = DataArguments(path=str(write_jsonl(tmp_path / "rows.jsonl", rows)))
    with caplog.at_level(logging.WARNING):
        found = evaluate(hf_rnn.Predictor.from_pretrained(folder), data)
    assert found["rows"] == 2
    assert "words have no token and get no tag" in caplog.text
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    assert predictor(["", " \u200b ", "Ulm"])[:2] == [{"entities": []}] * 2


def test_a_span_whose_first_word_has_no_token_begins_after_it(tagger):
    folder, *_ = tagger
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    rows = [
        (["\t", "Ulm", "left"], ["B-LOC", "I-LOC", "O"], ["B-LOC", "O"]),
        (["left", " ", " ", "Ulm"], ["O", "B-LOC", "I-LOC", "I-LOC"], ["O", "B-LOC"]),
        # Two adjacent spans stay two spans.
        (["Kiel", " ", "Ulm"], ["B-LOC", "B-LOC", "I-LOC"], ["B-LOC", "B-LOC"]),
        (["Kiel", " ", "Ulm"], ["B-LOC", "I-LOC", "I-LOC"], ["B-LOC", "I-LOC"]),
    ]
    table = Dataset.from_list([{"words": words, "tags": tags} for words, tags, _ in rows])
    encoded = predictor.task.encode(table, predictor.tokenizer)
    for labels, (*_, learnt) in zip(encoded["labels"], rows, strict=True):
        assert [predictor.task.label_names[label] for label in labels if label != -100] == learnt


def test_a_split_without_a_token_is_refused(tagger, tmp_path):
    folder, *_ = tagger
    rows = [{"tokens": [" ", "\t"], "ner_tags": ["O", "B-LOC"]}] * 2
    with pytest.raises(UserError, match=r"none of 4 words has a token, such as ' '"):
        evaluate(hf_rnn.Predictor.from_pretrained(folder), rows)
    settings = run("rows", tmp_path / "model")
    del settings["data"]
    with pytest.raises(UserError, match=r"none of 4 words has a token"):
        hf_rnn.train(settings, data={"train": sentences(30), "validation": rows})


@pytest.mark.parametrize("unseen", ["\u00a0", "\u200b", "\u00ad"])
def test_words_that_are_not_seen_count_in_neither_figure(tagger, unseen):
    folder, *_ = tagger
    rows = []
    for row in sentences(20, seed=5):
        tokens, tags = list(row["tokens"]), list(row["ner_tags"])
        for place in [place for place, tag in enumerate(tags) if tag.startswith("B-")][::-1]:
            # The unseen word becomes the first word of the span.
            tokens.insert(place, unseen)
            tags[place : place + 1] = [tags[place], f"I-{tags[place][2:]}"]
        rows.append({"tokens": tokens, "ner_tags": tags})
    found = evaluate(hf_rnn.Predictor.from_pretrained(folder), rows)
    assert found["f1"] == found["f1_written"] == 1


def test_rows_without_spans_are_measured(tagger):
    folder, *_ = tagger
    found = evaluate(hf_rnn.Predictor.from_pretrained(folder), [{"tokens": ["left", "."], "ner_tags": ["O", "O"]}] * 3)
    assert (found["f1"], found["f1_written"], found["accuracy"]) == (0, 0, 1)
    nothing = SpanMetrics().compute(predictions=[["O"], []], references=[["O"], []])
    assert nothing == {"f1": 0, "precision": 0, "recall": 0, "accuracy": 1}


@pytest.mark.parametrize("number", [7, 7.5, True])
def test_a_column_of_numbers_holds_one_word_a_row(number):
    train = prepared([{"text": number, "label": "A"}, {"text": type(number)(0), "label": "B"}] * 20)["train"]
    assert str(number) in {word for words in train["words"] for word in words}
    assert set(map(len, train["words"])) == {1}


def test_what_is_for_labels_of_whole_texts_says_so(tagger):
    folder, *_ = tagger
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    with pytest.raises(UserError, match="gives each word its best tag"):
        predictor(["a"], top_k=2)
    with pytest.raises(UserError, match="pass one text per row, not 2; the second is 'b'"):
        predictor(["a"], ["b"])
    with pytest.raises(UserError, match="a stream needs a single text classifier"):
        predictor.open()
    with pytest.raises(
        UserError, match="model for token classification, but only the labels of text classifiers can be explained"
    ):
        explainable(predictor)
    with pytest.raises(UserError, match="RNNForTokenClassification does not have"):
        diagnose(predictor, predictor.task.data)
    with pytest.raises(UserError, match=r"training.window=7 has no use in the task token_classification"):
        hf_rnn.train(run(folder.parent / "data", folder.parent / "other", window=7))


def test_spans_are_read_as_conlleval_reads_them():
    assert spans_of(["B-A", "I-A", "O", "I-B", "B-B", "I-A"]) == [
        ("A", 0, 1),
        ("B", 3, 3),
        ("B", 4, 4),
        ("A", 5, 5),
    ]
    assert scheme({"O", "B-X"}, "rows") == ["O", "B-X", "I-X"]
    found = SpanMetrics().compute(
        predictions=[["B-A", "I-A", "O"], ["B-B"], []], references=[["B-A", "I-A", "O"], ["B-A"], []]
    )
    assert (found["precision"], found["recall"], found["f1/B"], found["support/A"]) == (0.5, 0.5, 0, 2)


@pytest.mark.proof
@pytest.mark.slow
def test_real_news_is_tagged(real_data, tmp_path):
    settings = run(real_data / "conll2003", tmp_path / "model", num_train_epochs=1, max_steps=3)
    results = hf_rnn.train(settings)
    assert results["data"]["splits"]["train"]["labels"] == {"LOC": 7140, "MISC": 3438, "ORG": 6321, "PER": 6600}
    assert results["test"]["support/PER"] == 1617
    assert torch.isfinite(torch.tensor(results["test"]["loss"]))
