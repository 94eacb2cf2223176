"""Tests of wide paths, which runs fit after the training of the recurrent network."""

import json
import random

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

import hf_rnn
from hf_rnn import Predictor, RNNForSequenceClassification
from hf_rnn.training import ngram_choice, ngrams
from hf_rnn.training.linear_model import Labels, LinearModel
from hf_rnn.training.ngram_choice import choose_bag
from hf_rnn.training.wide_path import mixing_weights
from hf_rnn.utils.errors import UserError

SMALL = {"embedding_size": 8, "hidden_size": 8}
WORD = {"kind": "word", "min_frequency": 1}


def topics(count: int, seed: int = 0) -> list[dict]:
    """Return rows in which one word gives the label; each label has eight such words."""
    draw, rows = random.Random(seed), []
    for _ in range(count):
        label = draw.choice(["sport", "music", "food"])
        words = [f"filler{draw.randrange(30)}" for _ in range(8)] + [f"{label}{draw.randrange(8)}"]
        draw.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


def train(folder, rows, **sections) -> dict:
    training = {"output_dir": str(folder), "num_train_epochs": 1, "disable_tqdm": True, **sections.pop("training", {})}
    model = {**SMALL, "wide_ngrams": 2000, **sections.pop("model", {})}
    sections = {"tokenizer": WORD, **sections}
    return hf_rnn.train({"model": model, "training": training, **sections}, data=rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide") / "model"
    rows = {"train": topics(300), "validation": topics(60, 1), "test": topics(60, 2)}
    return folder, rows, train(folder, rows, tokenizer={**WORD, "vocab_size": 20, "rare_tokens": 100})


def test_ngrams_answer_where_the_recurrence_has_learnt_nothing(run, capfd):
    folder, rows, results = run
    decisions = results["run"]["wide_path"]
    assert results["test"]["accuracy"] > 0.95
    assert decisions["losses"]["both"] <= min(decisions["losses"]["recurrence"], decisions["losses"]["wide path"])
    assert decisions == json.loads((folder / "metrics.json").read_text())["run"]["wide_path"]
    predictor = Predictor.from_pretrained(folder)
    answers = predictor([row["text"] for row in rows["test"]])
    right = np.mean([answer["label"] == row["label"] for answer, row in zip(answers, rows["test"], strict=True)])
    assert right == pytest.approx(results["test"]["accuracy"])


def test_the_vocabulary_of_the_recurrence_does_not_limit_it(run):
    config = Predictor.from_pretrained(run[0]).model.config
    assert (config.vocab_size, config.num_rare_tokens) == (20, 38)


def test_one_that_was_saved_loads_without_the_package_s_help(run):
    model = RNNForSequenceClassification.from_pretrained(run[0])
    assert model.wide_path is not None
    assert model.config.wide_ngrams == len(model.wide_path.keys) == run[2]["run"]["wide_path"]["ngrams"]
    assert model.config.wide_order == model.wide_path.order == run[2]["run"]["wide_path"]["order"]


def test_it_changes_nothing_of_the_recurrence(run, tmp_path):
    folder, rows, _ = run
    train(tmp_path / "plain", rows, model={"wide_ngrams": 0}, tokenizer={**WORD, "vocab_size": 20})
    plain = RNNForSequenceClassification.from_pretrained(tmp_path / "plain").state_dict()
    wide = RNNForSequenceClassification.from_pretrained(folder).state_dict()
    assert all(torch.equal(wide[name], weight) for name, weight in plain.items())


def test_a_run_that_goes_on_has_it_too(run, tmp_path):
    _, rows, _ = run
    half = {"output_dir": str(tmp_path / "model"), "max_steps": 12, "save_steps": 6, "eval_steps": 6}
    half |= {"save_strategy": "steps", "eval_strategy": "steps", "save_total_limit": 5}
    whole = train(tmp_path / "model", rows, training=half)
    for name in ("model.safetensors", "metrics.json"):
        (tmp_path / "model" / name).unlink()
    again = train(tmp_path / "model", rows, training={**half, "resume": True})
    assert again["test"] == whole["test"]
    assert again["run"]["wide_path"] == whole["run"]["wide_path"]


def test_several_labels_for_a_text(tmp_path):
    draw = random.Random(0)
    rows = []
    for _ in range(200):
        labels = [name for name in ("red", "blue") if draw.random() < 0.5]
        words = [f"w{draw.randrange(20)}" for _ in range(6)] + [f"{name}ish" for name in labels]
        rows.append({"text": " ".join(words), "labels": labels})
    results = train(tmp_path / "model", rows)
    assert results["validation"]["f1_micro"] > 0.9


def test_regression(tmp_path):
    draw = random.Random(0)
    rows = []
    for _ in range(300):
        number = draw.randrange(5)
        words = [f"w{draw.randrange(20)}" for _ in range(6)] + ["good"] * number
        rows.append({"text": " ".join(words), "score": 1000 + 10.5 * number})
    results = train(tmp_path / "model", rows, data={"label_column": "score"})
    assert results["validation"]["r2"] > 0.8


def test_pairs_of_texts(tmp_path):
    rows = [{"text": row["text"], "text_pair": "and this", "label": row["label"]} for row in topics(200)]
    columns = {"text_column": "text", "text_pair_column": "text_pair"}
    assert train(tmp_path / "model", rows, data=columns)["validation"]["accuracy"] > 0.7


def test_settings_that_cannot_hold(tmp_path):
    with pytest.raises(UserError, match="does not number entries by frequency"):
        train(tmp_path, topics(50), tokenizer={"kind": "bpe", "vocab_size": 300, "rare_tokens": 50})
    with pytest.raises(UserError, match=r"model\.wide_ngrams=200000 too"):
        train(tmp_path, topics(50), model={"wide_ngrams": 0}, tokenizer={**WORD, "rare_tokens": 50})
    with pytest.raises(UserError, match=r"model.wide_ngrams=2000 has no use in the task language_modeling"):
        train(tmp_path, [row["text"] for row in topics(50)], task="language_modeling")


def test_of_many_rows_some_are_fitted_and_of_many_labels_fewer_ngrams(tmp_path, monkeypatch, capsys):
    from hf_rnn.training import ngrams, wide_path

    monkeypatch.setattr(wide_path, "MOST_TOKENS", 1000)
    monkeypatch.setattr(ngrams, "MOST_WEIGHTS", 90)
    found = train(tmp_path / "model", {"train": topics(300), "validation": topics(60, 1)})["run"]["wide_path"]
    assert found["rows"] == 92
    assert found["all_rows"] == 300
    assert found["ngrams"] == 30
    assert "fitted to 92 of 300 rows" in capsys.readouterr().out


# Candidates are validated on all rows in turn, or on the validation rows alone if there are many of them.
judged_by_all_or_by_validation_rows = pytest.mark.parametrize("fewest", [1000, 0])


@judged_by_all_or_by_validation_rows
def test_texts_without_words_and_labels_without_rows(fewest, monkeypatch):
    monkeypatch.setattr(ngram_choice, "MIN_VALIDATION_ROWS", fewest)
    ids = [np.array(row, np.int64) for row in ([], [5], [6, 5], [6])]
    labels = Labels("single_label_classification", np.array([0, 0, 2, 2]), 4)
    bag = choose_bag((ids, labels), (ids, labels), 2, 100)
    assert bag.logits(ids).argmax(1).tolist()[1:] == [0, 2, 2]
    assert np.isfinite(bag.logits(ids)).all()


@judged_by_all_or_by_validation_rows
def test_the_fewest_ngrams_that_are_kept_are_those_of_the_largest_weights(fewest, monkeypatch):
    monkeypatch.setattr(ngram_choice, "MIN_VALIDATION_ROWS", fewest)
    draw = np.random.default_rng(0)
    ids = [np.r_[draw.integers(10, 60, 8), label] for label in draw.integers(0, 3, 400)]
    labels = Labels("single_label_classification", np.array([row[-1] for row in ids]), 3)
    bag = choose_bag(
        (ids[:300], Labels(labels.problem_type, labels.values[:300], 3)),
        (ids[300:], Labels(labels.problem_type, labels.values[300:], 3)),
        1,
        3,
    )
    assert len(bag.ngrams.keys) == 3
    assert (bag.logits(ids[300:]).argmax(1) == labels.values[300:]).all()


@pytest.mark.parametrize("useless", [0, 1])
def test_the_sum_is_never_worse_on_many_rows_than_its_better_half(useless):
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, 500)
    good, bad = 2 * np.eye(3)[y] + draw.normal(size=(500, 3)), 5 * draw.normal(size=(500, 3))
    halves = (good, bad) if useless else (bad, good)
    labels = Labels("single_label_classification", y, 3)
    a, b = mixing_weights(*halves, labels, all_rows=5000)
    assert labels.loss(a * halves[0] + b * halves[1]) <= min(map(labels.loss, halves))
    assert (a, b)[useless] < 0.05


def test_unknown_words_are_in_no_ngram(tmp_path):
    train_rows = [{"text": f"{word} a b c", "label": word} for word in ("good", "bad") for _ in range(40)]
    # Words that the training rows lack occur with one label only.
    validation = [{"text": f"good new{n} new{n}x", "label": "good"} for n in range(40)]
    validation += [{"text": "bad a b c", "label": "bad"}] * 40
    train(tmp_path / "model", {"train": train_rows, "validation": validation})
    predictor = Predictor.from_pretrained(tmp_path / "model")
    wide_path, logits = predictor.model.wide_path, torch.zeros(1, 2)
    known, unknown = (predictor.tokenizer(text, return_tensors="pt").input_ids for text in ("bad", "bad other others"))
    assert torch.allclose(wide_path(logits, known), wide_path(logits, unknown))


def test_few_rows_hardly_tell_the_halves_apart_and_many_do():
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 1000)
    good, bad = 4 * np.eye(2)[y] + draw.normal(size=(1000, 2)), np.eye(2)[y] + draw.normal(size=(1000, 2))

    def difference(rows: int) -> float:
        labels = Labels("single_label_classification", y[:rows], 2)
        a, b = mixing_weights(good[:rows], bad[:rows], labels, all_rows=10 * max(rows, 10))
        return abs(a - b)

    assert difference(5) < 0.1 < difference(1000)


def test_no_longer_ngrams_than_help_few_rows(monkeypatch):
    # Ratios would show that pairs are rare.
    monkeypatch.setattr(ngram_choice, "POWERS", (0.0,))
    draw = np.random.default_rng(0)
    # Pairs of tokens give the labels of the training rows, but not the labels of other rows.
    ids = [np.array([10 + n % 40, 100 + draw.integers(300)]) for n in range(400)]
    labels = Labels("single_label_classification", np.array([row[0] % 2 for row in ids]), 2)
    bag = choose_bag((ids[:300], labels.some(np.arange(300))), (ids[300:], labels.some(np.arange(300, 400))), 2, 10_000)
    assert bag.ngrams.order == 1


def test_training_rows_without_a_known_word_have_no_wide_path(tmp_path, capsys):
    rows = [{"text": f"a{n}b c{n}d", "label": "ab"[n % 2]} for n in range(60)]
    results = train(tmp_path / "model", rows, tokenizer={"kind": "word", "min_frequency": 2})
    assert "left out, since the training rows have no n-gram of known tokens" in capsys.readouterr().out
    assert results["run"]["wide_path"]["ngrams"] == 0
    assert RNNForSequenceClassification.from_pretrained(tmp_path / "model").wide_path is None


def test_rare_tokens_of_a_model_lend_no_vectors(run, tmp_path):
    folder, rows, _ = run
    others = {split: [{**row, "text": f"other {row['text']}"} for row in of_split] for split, of_split in rows.items()}
    train(tmp_path / "model", others, model={"pretrained": str(folder)})
    model = RNNForSequenceClassification.from_pretrained(tmp_path / "model")
    vocabulary = hf_rnn.load_tokenizer(str(tmp_path / "model")).get_vocab()
    assert model.config.vocab_size == model.get_input_embeddings().num_embeddings == len(vocabulary)
    # The other model has vectors for 20 tokens only.
    assert len(vocabulary) > 24


def test_ngrams_may_be_longer_than_all_rows_together():
    keys, rows = ngrams.keys_of([np.array([5]), np.array([6, 7])], 6)
    assert sorted(rows.tolist()) == [0, 1, 1, 1]
    assert len(keys) == 4


def test_several_labels_are_regularised_as_scikit_learn_does_it_for_each():
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    x = draw.normal(size=(80, 5)).astype(np.float32)
    y = (x @ draw.normal(size=(5, 3)) + draw.normal(size=(80, 3)) > 0).astype(np.float32)
    fitted = LinearModel(csr_matrix(x), Labels("multi_label_classification", y, 3)).fit(0.5)
    for label in range(3):
        expected = LogisticRegression(C=0.5, tol=1e-8).fit(x, y[:, label])
        np.testing.assert_allclose(fitted.weight[:, label], expected.coef_[0], atol=1e-3)


def test_few_validation_rows_choose_by_cross_validation():
    draw = np.random.default_rng(0)
    ids = [np.r_[draw.integers(10, 60, 8), label] for label in draw.integers(0, 3, 300)]
    labels = Labels("single_label_classification", np.array([row[-1] for row in ids]), 3)
    wrong = [np.array([0], np.int64)] * 5, Labels(labels.problem_type, np.array([1, 2, 1, 2, 1]), 3)
    bag = choose_bag((ids, labels), wrong, 2, 1000)
    assert (bag.logits(ids).argmax(1) == labels.values).all()
    assert bag.strength >= 3


def test_a_repeated_ngram_counts_once(tmp_path):
    draw = random.Random(0)

    def rows(count: int) -> list[dict]:
        """Return rows whose label says whether they have the word `bad`, once or often, among two other words."""
        rows = []
        for n in range(count):
            words = ["some"] * draw.randrange(1, 80) + ["more"] * draw.randrange(1, 80)
            words += ["bad"] * draw.choice([1, 30]) if n % 2 else []
            rows.append({"text": " ".join(draw.sample(words, len(words))), "label": "ab"[n % 2]})
        return rows

    splits = {"train": rows(400), "validation": rows(100), "test": rows(200)}
    results = train(tmp_path / "model", splits, model={"wide_order": 1}, training={"learning_rate": 1e-6})
    assert results["run"]["wide_path"]["losses"]["wide path"] < 0.02
    assert results["test"]["accuracy"] == 1
    folder = tmp_path / "model"
    assert RNNForSequenceClassification.from_pretrained(folder).config.wide_binary
    assert "n-grams of up to 1 tokens, each counted once per text" in (folder / "README.md").read_text()


def test_hyperparameters_of_a_long_text_reach_weak_regularisation():
    ids, labels = [], []
    draw = np.random.default_rng(0)
    for n in range(1600):
        ids.append(np.r_[draw.integers(100, 100_000, 800), 10 + n % 2])
        labels.append(n % 2)
    both = Labels("single_label_classification", np.array(labels), 2)
    train, validation = np.arange(400), np.arange(400, 1600)
    bag = choose_bag((ids[:400], both.some(train)), (ids[400:], both.some(validation)), 1, 1000)
    assert bag.strength > 100


@pytest.mark.parametrize(
    ("problem_type", "values", "num_labels"),
    [
        ("single_label_classification", [0, 0, 2], 3),
        ("multi_label_classification", [[1, 0], [1, 1], [0, 0]], 2),
        ("regression", [1.0, 2.0, 9.0], 1),
    ],
)
def test_no_constant_answer_has_a_lower_loss_than_the_best_one(problem_type, values, num_labels):
    labels = Labels(problem_type, np.array(values), num_labels)
    # The only feature is 0 in all rows, so the fit finds the best bias.
    bias = LinearModel(csr_matrix((3, 1), dtype=np.float32), labels).fit(1.0).bias
    assert labels.constant_loss() == pytest.approx(labels.loss(np.tile(bias, (3, 1))), abs=1e-4)
