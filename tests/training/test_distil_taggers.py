"""Taggers that are students: the answers of teachers to words, their cache, and the comparison."""

import csv
import json

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file
from support import write_jsonl
from support.students import same
from support.tagging import FIRST, LAST, TAGS, sentences
from support.tiny_teachers import tiny_classifier, tiny_encoder, tiny_tagger

import hf_rnn
from hf_rnn.tasks.token_classification import TokenClassification
from hf_rnn.teachers.python_words import python_translator
from hf_rnn.teachers.transformer import TransformerTagger, find_transformer
from hf_rnn.text.arguments import DataArguments
from hf_rnn.training.distillation import DistillationLoss
from hf_rnn.utils.errors import ConfigError, DataError, HfRnnError

ROWS = sentences(64)


def sections(path, output, of_teacher=None, **others) -> dict:
    """Return the sections of a student's run; `others` add keys to sections, such as `distil={"size": 100}`."""
    found = {
        "task": "token_classification",
        "data": {"path": str(path)},
        "tokenizer": {"kind": "wordpiece", "vocab_size": 70},
        "model": {"embedding_size": 8, "hidden_size": 8},
        "training": {"output_dir": str(output), "num_train_epochs": 2, "per_device_train_batch_size": 8},
        "teacher": {} if of_teacher is None else {"path": str(of_teacher)},
    }
    for name, values in others.items():
        found[name] = {**found.get(name, {}), **values}
    return found


@pytest.fixture(autouse=True)
def _short(tmp_path, monkeypatch):
    """Keep the answers of teachers in the folder of the test, and time each answer once."""
    monkeypatch.setattr("hf_rnn.training.teacher_report.TIMES", 0)
    monkeypatch.setattr("hf_rnn.training.open_teachers.HF_HOME", str(tmp_path / "hf"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentences")
    for split, rows in (("train", ROWS[:40]), ("validation", ROWS[40:52]), ("test", ROWS[52:])):
        write_jsonl(folder / f"{split}.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    texts = [" ".join(row["tokens"]) for row in ROWS]
    # The order differs from that of the data.
    return tiny_tagger(folder / "tiny-bert", texts, TAGS[::-1])


def by_rule(texts: list[list[str]]) -> list[np.ndarray]:
    """Return the right probabilities of tags, in the order of `TAGS`, for the words of sentences."""
    answers = []
    for words in texts:
        tags = []
        for word in words:
            tag = "B-PER" if word in FIRST else "I-PER" if word in LAST else "I-LOC" if word == "York" else "O"
            tags.append("B-LOC" if word in ("Kiel", "New", "Ulm") else tag)
        answers.append(np.array([[0.96 if tag == each else 0.01 for each in TAGS] for tag in tags]))
    return answers


# The way of the data -------------------------------------------------------------------------------------------------


def test_a_tagger_learns_from_a_transformer_and_is_compared_with_it(data, teacher, tmp_path):
    results = hf_rnn.distil(sections(data, tmp_path / "student", teacher))
    found = json.loads((tmp_path / "student" / "metrics.json").read_text())["teacher"]
    assert found == results["teacher"]
    for split, rows in (("validation", ROWS[40:52]), ("test", ROWS[52:])):
        scores = found["scores"][split]
        assert scores["rows"] == 12
        assert scores["words"] == sum(len(row["tokens"]) for row in rows)
        assert scores["student"]["f1"] == results[split]["f1"]
        assert scores["student"]["accuracy"] == results[split]["accuracy"]
        assert 0 <= scores["teacher"]["f1"] <= 1
    assert found["metric"] == "f1"
    assert found["speed"]["teacher"]["texts_a_second"] > 0
    assert found["teacher"]["parameters"] > 0
    assert "of the test words" in (tmp_path / "student" / "README.md").read_text()
    with open(tmp_path / "student" / "disagreements.csv", newline="") as file:
        differ = [row for row in csv.DictReader(file) if row["row"].endswith("of test")]
    assert len(differ) == round(scores["words"] * (1 - scores["agreement"]))
    assert all(row["teacher"] != row["student"] and row["word"] in row["text"].split() for row in differ)


def test_the_student_learns_the_teacher_and_not_the_tags(tmp_path):
    """With hard_labels=0, the tags of the training rows are not read: all of them are wrong."""
    wrong = [{**row, "ner_tags": [TAGS[1 + 2 * (i % 2)]] * len(row["tokens"])} for i, row in enumerate(ROWS[:40])]
    rows = {"train": [*wrong, *ROWS[:2]], "validation": ROWS[40:]}
    of_model = {"embedding_size": 32, "hidden_size": 32, "bidirectional": True}
    of_training = {"num_train_epochs": 15, "learning_rate": 0.02, "per_device_train_batch_size": 4}
    config = sections("", tmp_path / "student", model=of_model, training=of_training)
    del config["data"]
    results = hf_rnn.distil(config, data=rows, teacher=by_rule)
    assert results["validation"]["f1"] > 0.95
    assert results["teacher"]["scores"]["validation"]["teacher"]["f1"] == 1
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "student"))
    assert any(len(tokenizer.tokenize(name)) > 1 for name in (*FIRST, *LAST)), "some name is in pieces"


@pytest.fixture(scope="module")
def own_tagger(data, tmp_path_factory):
    """Return the folder of a tagger with a conditional random field, a student of a function."""
    folder = tmp_path_factory.mktemp("own") / "model"
    run = sections(data, folder, model={"crf": True}, distil={"hard_labels": 0.5})
    run["training"]["num_train_epochs"] = 4
    hf_rnn.distil(run, teacher=by_rule)
    return folder


def test_a_tagger_with_a_random_field_learns_its_transitions_and_teaches_another_one(data, own_tagger, tmp_path):
    learnt = load_file(own_tagger / "model.safetensors")
    assert any(value.abs().sum() > 0 for name, value in learnt.items() if name.startswith("crf.transitions"))
    with pytest.raises(ConfigError, match=r"model.crf=True: .* write distil.hard_labels=0.5"):
        hf_rnn.distil(sections(data, tmp_path / "none", own_tagger, model={"crf": True}))
    run = sections(data, tmp_path / "student", own_tagger, distil={"loss": "cross_entropy", "temperature": 2.0})
    results = hf_rnn.distil(run)
    known = json.loads((own_tagger / "metrics.json").read_text())
    assert results["teacher"]["scores"]["test"]["teacher"]["f1"] == known["test"]["f1"]


def test_transfer_texts_and_made_up_texts_are_tagged_and_learnt(data, teacher, tmp_path):
    write_jsonl(tmp_path / "words.jsonl", [{"tokens": ["Anna", "left", "Ulm"]}, {"tokens": ROWS[0]["tokens"]}])
    (tmp_path / "lines.txt").write_text("Boris  left New York today .\n\nAnna left Ulm\n")
    (tmp_path / "tagged.txt").write_text("Boris B-PER\nleft O\n\nUlm B-LOC\nleft O\nKiel B-LOC\n")
    more = [str(tmp_path / name) for name in ("words.jsonl", "lines.txt", "tagged.txt")]
    results = hf_rnn.distil(sections(data, tmp_path / "student", teacher, distil={"transfer": more, "size": 60}))
    assert results["teacher"]["rows"] == {"labelled": 40, "unlabelled": 4, "made up": 16}
    assert results["run"]["train_rows"] == 60


@pytest.mark.slow
@pytest.mark.proof
def test_several_teachers_are_averaged_and_weighed_by_tag(data, tmp_path):
    def wrong(texts):
        return [1 / 3 * (1 - answer) / (1 - answer).mean() / 5 * 3 for answer in by_rule(texts)]

    run = sections(data, tmp_path / "student", teacher={"ensemble": "by_class"})
    results = hf_rnn.distil(run, teacher=[by_rule, wrong])
    assert results["teacher"]["scores"]["validation"]["teacher"]["f1"] > 0.9


# Words and tokens ----------------------------------------------------------------------------------------------------


def test_tokens_have_the_answers_of_their_words(own_tagger):
    """The pieces that continue a word learn that its span goes on."""
    tokenizer = hf_rnn.load_tokenizer(str(own_tagger))
    name = next(name for name in (*FIRST, *LAST) if len(tokenizer.tokenize(name)) > 1)
    task = TokenClassification(DataArguments(path="rows"))
    table = Dataset.from_list([{"tokens": [name, "\u200b", "left"], "ner_tags": ["B-PER", "O", "O"]}] * 2)
    rows = task.prepare(DatasetDict(train=table, validation=table))["train"]
    names = task.label_names
    probabilities = np.array([[0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.8, 0.1, 0.1]])
    assert names == ["O", "B-PER", "I-PER"]
    encoded = task.encode(rows.add_column("teacher", [np.log(probabilities).tolist()] * 2), tokenizer)
    batch = task.collator(tokenizer)(
        [encoded[0], {**encoded[1], "input_ids": [1], "labels": [0], "teacher": [[0] * 3]}]
    )
    first, last = len(tokenizer.tokenize(name)), len(tokenizer.tokenize("left"))
    found = batch["teacher"].exp()
    assert found.shape == (2, len(encoded[0]["labels"]), 3)
    wanted = [probabilities[0], *[[0.1, 0, 0.9]] * (first - 1)]
    torch.testing.assert_close(found[0, :first].double(), torch.tensor(np.array(wanted)), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[0, -last].double(), torch.tensor(probabilities[2]), atol=1e-5, rtol=0)


def test_the_loss_reads_positions_with_a_tag_only():
    loss = DistillationLoss("token_classification")
    logits, labels = torch.randn(2, 3, 4), torch.tensor([[0, -100, 1], [-100, -100, 2]])
    other = torch.randn(2, 3, 4)
    teacher = torch.where((labels == -100)[..., None], other, logits + 3)
    torch.testing.assert_close(loss(logits, teacher, labels, None, 0), torch.zeros(()))
    assert loss(logits, teacher, torch.full_like(labels, -100), None, 0) == 0


def test_words_without_a_token_and_after_the_maximum_length_have_uniform_answers(teacher, caplog):
    folder, config = find_transformer(str(teacher))
    tagger = TransformerTagger(str(teacher), folder, config, 5)
    short, long = ("Anna", "\u200b", "left"), ("Anna", "left", "Ulm", ".")
    answers = tagger.answers([short, (), long])
    assert answers.shape == (7, 5)
    assert [bool(row.any()) for row in answers] == [True, False, True, True, True, True, False]
    assert "reads 5 tokens" in caplog.text


# Fine-tuning ---------------------------------------------------------------------------------------------------------


def test_an_encoder_is_finetuned_on_words_once_and_teaches(data, tmp_path, capsys):
    encoder = tiny_encoder(tmp_path / "tiny", [" ".join(row["tokens"]) for row in ROWS])
    with pytest.raises(ConfigError, match=r"no token classification head: write teacher.finetune=True"):
        hf_rnn.distil(sections(data, tmp_path / "none", encoder))
    how = {"finetune": True, "epochs": 6, "batch_size": 4, "learning_rate": 0.01}
    first = hf_rnn.distil(sections(data, tmp_path / "first", encoder, teacher=how))
    assert "is fine-tuned on 40 rows" in capsys.readouterr().out
    assert first["teacher"]["scores"]["test"]["teacher"]["f1"] > 0.4
    hf_rnn.distil(sections(data, tmp_path / "second", encoder, teacher=how))
    assert "is fine-tuned on" not in capsys.readouterr().out
    assert same(tmp_path / "first", tmp_path / "second")


# Interruptions -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.proof
def test_an_interrupted_run_gives_the_same_weights_and_labels_nothing_twice(data, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(TransformerTagger, "group", 16)
    how = {"path": str(teacher)}
    hf_rnn.distil(sections(data, tmp_path / "whole", teacher={**how, "cache": str(tmp_path / "one")}))
    answered: list = []
    answers, step = TransformerTagger.answers, hf_rnn.RNNTrainer.training_step
    stops = {"answers": 3, "steps": 6}

    def killed(name):
        stops[name] -= 1
        if stops[name] == 0:
            raise KeyboardInterrupt

    def interrupted_answers(self, texts):
        killed("answers")
        answered.extend(texts)
        return answers(self, texts)

    def interrupted_step(self, *args, **kwargs):
        killed("steps")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(TransformerTagger, "answers", interrupted_answers)
    monkeypatch.setattr(hf_rnn.RNNTrainer, "training_step", interrupted_step)
    again = sections(data, tmp_path / "cut", teacher={**how, "cache": str(tmp_path / "two")})
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            hf_rnn.distil(again)
    different = {tuple(row["tokens"]) for row in ROWS}
    assert set(answered) == different
    assert len(answered) == len(different)
    hf_rnn.distil(again)
    assert same(tmp_path / "whole", tmp_path / "cut")


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["O", "B-ORG", "I-ORG", "B-PER", "I-PER"], ["B-ORG", "B-LOC", "teacher.label_map="]),
        (["O", "B-LOC", "E-LOC", "S-PER"], ["another scheme, such as E-LOC", "B-LOC, I-LOC, B-PER"]),
    ],
)
def test_other_labels_and_other_schemes_are_errors_that_list_both(data, tmp_path, labels, words):
    other = tiny_tagger(tmp_path / "other", ["Anna left"], labels)
    with pytest.raises(ConfigError) as raised:
        hf_rnn.distil(sections(data, tmp_path / "student", other))
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (lambda texts: [np.full((len(text), 5), np.nan) for text in texts], "answers word 1 of"),
        (lambda texts: [np.full((len(text), 5), 0.9) for text in texts], "sum to 1"),
        (lambda texts: [np.full((len(text), 3), 1 / 3) for text in texts], "answers with 3 numbers"),
        (lambda texts: [np.ones((1, 5)) for _ in texts], r"for each word, of shape \["),
        (lambda texts: [], "return one for each text"),
        (lambda texts: 1 / 0, "failed .ZeroDivisionError"),
    ],
)
def test_answers_that_cannot_be_learnt_are_errors(data, tmp_path, answers, words):
    with pytest.raises((ConfigError, DataError), match=words):
        hf_rnn.distil(sections(data, tmp_path / "student"), teacher=answers)


def test_teachers_of_other_tasks_are_errors(data, own_tagger, tmp_path):
    bert = tiny_classifier(tmp_path / "bert", ["Anna left"], ["good", "bad"])
    with pytest.raises(ConfigError, match="is a BertForSequenceClassification and has no token classification head"):
        hf_rnn.distil(sections(data, tmp_path / "student", bert))
    with pytest.raises(ConfigError, match="is a model for token_classification, and the student is a translator"):
        python_translator(hf_rnn.Predictor.from_pretrained(own_tagger))
    with pytest.raises(ConfigError, match="is an endpoint, and endpoints teach text classifiers"):
        hf_rnn.distil(sections(data, tmp_path / "student", "http://localhost:1/v1"))
    with pytest.raises(ConfigError, match=r"teacher.columns=.* are answers to whole texts"):
        hf_rnn.distil(sections(data, tmp_path / "student", teacher={"columns": ["a", "b"]}))
    with pytest.raises(HfRnnError, match="is no function: pass a Predictor"):
        hf_rnn.distil(sections(data, tmp_path / "student"), teacher=object())
