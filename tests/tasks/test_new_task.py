"""Example of a new task: one file, its row in `TASKS`, and its trainer in `TRAINERS`."""

from functools import partial

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from support import tiny_config, write_jsonl

import hf_rnn
from hf_rnn import Predictor
from hf_rnn.cli.main import main
from hf_rnn.models.modeling_rnn import RNNForSequenceClassification
from hf_rnn.tasks import TASKS, task_class
from hf_rnn.tasks.text_task import TextTask
from hf_rnn.text.collation import RaggedCollator
from hf_rnn.training.trainer import RNNTrainer
from hf_rnn.training.trainers import TRAINERS
from hf_rnn.utils.errors import UserError


# The content of `tasks/star_rating.py`. It has the same sections as the protocols in `tasks/base.py`.
class StarRating(TextTask):
    """Rate a review with one to five stars."""

    # Model -----------------------------------------------------------------------------------------------------------

    model_class = RNNForSequenceClassification
    no_use = ("data.label_names", "data.problem_type", "data.streaming", "data.unlabelled_splits", "training.window")

    def config_fields(self):
        return {"problem_type": "regression", "id2label": {0: "stars"}, "label2id": {"stars": 0}, "target_mean": 3.0}

    def collator(self, tokenizer):
        return RaggedCollator(tokenizer.pad_token_id, torch.float)

    # Data ------------------------------------------------------------------------------------------------------------

    problem_type = "regression"
    in_order = False

    def __init__(self, data, config=None):
        super().__init__(data)
        self.label_names = ["stars"]

    def prepare(self, splits):
        train_name, validation_name = self.chosen_splits(splits)
        train = self._rated(splits, train_name)
        if validation_name is None:
            train, validation = self.hold_out(train, train_name)
        else:
            validation = self._rated(splits, validation_name)
        return DatasetDict(train=train, validation=validation)

    def prepare_split(self, splits, split):
        return self._rated(splits, self.split_to_read(splits, split))

    def _rated(self, splits, split):
        rows = splits[split]
        stars = self.column(rows, "label_column", ("stars",), "stars", split)
        self.chosen = {"text_column": self.text_column(rows), "label_column": stars}
        return Dataset.from_dict({"text": rows[self.chosen["text_column"]], "labels": list(map(float, rows[stars]))})

    @staticmethod
    def texts(rows):
        yield from rows["text"]

    def encode(self, rows, tokenizer):
        return rows.map(partial(self.tokens, tokenizer), batched=True, remove_columns=["text"])

    def facts(self, prepared, encoded, examples=True):
        splits = {split: {**self.length_facts(rows), "labels": {}} for split, rows in encoded.items()}
        return {**self.title(), "splits": splits, "examples": []}

    def summary(self, facts):
        return "\n".join(self.length_summary(split, of_split) for split, of_split in facts["splits"].items())

    def with_data(self, data):
        return self.keep(StarRating(data))

    # Answers ---------------------------------------------------------------------------------------------------------

    one_answer = True
    measures = {"mae": False, "within_one": True}

    def predicted(self, logits):
        return logits.reshape(len(logits)).round().clip(1, 5)

    def metrics(self, logits, labels):
        errors = np.abs(self.predicted(logits) - labels)
        return {"mae": float(errors.mean()), "within_one": float((errors <= 1).mean())}

    def judge(self, predictor, rows, batch_tokens):
        return self.metrics(predictor.logits(rows["input_ids"][:], batch_tokens), np.asarray(rows["labels"]))

    def answers(self, logits, top_k=1):
        return [{"stars": int(stars)} for stars in self.predicted(logits)]

    def reply(self, predictor, columns, top_k, batch_tokens):
        _, ids = self.read_and_cut(predictor.tokenizer, *columns)
        return self.answers(predictor.logits(ids, batch_tokens), top_k)

    def shown(self, answer):
        return f"{answer['stars']} of 5 stars"


@pytest.fixture
def _registered(monkeypatch):
    monkeypatch.setitem(TASKS, "star_rating", (__name__, "StarRating"))
    monkeypatch.setitem(TRAINERS, "star_rating", RNNTrainer)


def reviews(count):
    words = {1: "awful", 3: "usable", 5: "great"}
    things = ("lamp", "chair", "book", "film")
    stars = [(1, 3, 5)[i % 3] for i in range(count)]
    return [{"text": f"a really {words[s]} {things[i % 4]}", "stars": s} for i, s in enumerate(stars)]


@pytest.mark.usefixtures("_registered")
def test_a_model_of_a_new_task_is_trained_evaluated_and_answers(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    write_jsonl(data / "train.jsonl", reviews(240))
    write_jsonl(data / "test.jsonl", reviews(20))
    run = {
        "task": "star_rating",
        **tiny_config(data, tmp_path / "model", num_train_epochs=2, per_device_train_batch_size=4),
    }
    results = hf_rnn.train(run)
    assert results["run"]["task"] == "star_rating"
    assert results["validation"].keys() == {"loss", "mae", "within_one"}

    predictor = Predictor.from_pretrained(tmp_path / "model")
    assert isinstance(predictor.task, StarRating)
    assert predictor(["a really great chair", "a really awful book"]) == [{"stars": 5}, {"stars": 1}]
    metrics = hf_rnn.evaluate(predictor, predictor.task.data, split="test")
    assert metrics["mae"] < 0.5
    assert metrics["within_one"] == 1

    capsys.readouterr()
    assert main(["predict", str(tmp_path / "model"), "a really great lamp"]) == 0
    assert "5 of 5 stars" in capsys.readouterr().out


@pytest.mark.usefixtures("_registered")
def test_a_setting_that_a_new_task_ignores_is_an_error(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", reviews(30))
    run = {"task": "star_rating", **tiny_config(tmp_path / "train.jsonl", tmp_path / "model", window=5)}
    with pytest.raises(UserError, match=r"training\.window=5 has no use in the task star_rating"):
        hf_rnn.train(run)


def test_a_task_without_a_row_in_the_registry_is_an_error_with_the_known_ones():
    with pytest.raises(UserError, match=r"star_rating.*text_classification"):
        task_class("star_rating")
