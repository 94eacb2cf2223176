"""Uncertainty of answers, and files of answers with the least certain rows first."""

import csv
import json

import numpy as np
import pytest
from scipy.stats import entropy
from support import tiny_config, write_jsonl
from support.launch import torchrun
from support.reviews import made_up_reviews

import hf_rnn
from hf_rnn import Predictor
from hf_rnn.cli.main import main
from hf_rnn.inference import bulk
from hf_rnn.inference.bulk import predict_file
from hf_rnn.text.arguments import DataArguments
from hf_rnn.utils.errors import ConfigError, HfRnnError

SCORES = np.random.RandomState(0).dirichlet([0.5] * 4, 30)
LABELS = np.random.RandomState(0).rand(30, 4)
MODELS = np.random.RandomState(1).dirichlet([0.5] * 4, (3, 30))


def test_measures_of_one_label_agree_with_their_definitions():
    first, second = np.sort(SCORES, 1)[:, ::-1][:, :2].T
    assert hf_rnn.uncertainty(SCORES) == pytest.approx(1 - (first - second))
    assert (hf_rnn.uncertainty(SCORES, "uncertainty") == hf_rnn.uncertainty(SCORES, "margin")).all()
    assert hf_rnn.uncertainty(SCORES, "entropy") == pytest.approx(entropy(SCORES, axis=1))
    assert hf_rnn.uncertainty(SCORES, "least_confidence") == pytest.approx(1 - first)
    divergences = [entropy(scores, MODELS.mean(0), axis=1) for scores in MODELS]
    assert hf_rnn.uncertainty(MODELS, "disagreement") == pytest.approx(np.mean(divergences, 0))


def test_measures_of_several_labels_agree_with_their_definitions():
    assert hf_rnn.uncertainty(LABELS, multi_label=True) == pytest.approx(1 - 2 * np.abs(LABELS - 0.5).min(1))
    of_labels = [entropy([p, 1 - p]) for p in LABELS.T]
    assert hf_rnn.uncertainty(LABELS, "entropy", multi_label=True) == pytest.approx(np.sum(of_labels, 0))
    answer = np.maximum(LABELS, 1 - LABELS).prod(1)
    assert hf_rnn.uncertainty(LABELS, "least_confidence", multi_label=True) == pytest.approx(1 - answer)


@pytest.mark.parametrize("how", ["margin", "entropy", "least_confidence"])
@pytest.mark.parametrize("several", [False, True])
def test_certain_answers_have_no_uncertainty(how, several):
    values = hf_rnn.uncertainty(np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]), how, several)
    assert values[0] == pytest.approx(0)
    assert values[1] > 0.4
    assert hf_rnn.uncertainty(np.empty((0, 3)), how, several).shape == (0,)


@pytest.mark.parametrize(
    ("scores", "how", "message"),
    [
        (SCORES, "entrpy", r"how='entrpy' is not one of .*: did you mean how='entropy'\?"),
        (
            SCORES,
            "disagreement",
            r"scores of the shape \[30, 4\] have no disagreement: pass .* \[models, rows, labels\]",
        ),
        (MODELS, "margin", r"scores of the shape \[3, 30, 4\] have no margin: pass .* \[rows, labels\]"),
        (SCORES[:, :1], "margin", "with two labels or more"),
        (SCORES * 9 - 4, "margin", "must be probabilities from 0 to 1"),
    ],
)
def test_scores_without_such_an_uncertainty(scores, how, message):
    with pytest.raises(HfRnnError, match=message):
        hf_rnn.uncertainty(scores, how)


@pytest.fixture
def rows(tmp_path):
    """Return a file of 40 rows, with a column of numbers and one that the first rows lack."""
    texts = made_up_reviews(40, seed=3)["text"]
    return write_jsonl(
        tmp_path / "in.jsonl",
        [{"id": n, "text": text} | ({"note": "late"} if n > 20 else {}) for n, text in enumerate(texts)],
    )


@pytest.fixture(scope="module")
def other(tiny_run, tmp_path_factory):
    """Return the folder of a model with another seed and the same tokenizer as `tiny_run`."""
    folder = tmp_path_factory.mktemp("other") / "model"
    settings = tiny_config(tiny_run.parent / "reviews.csv", folder, seed=7)
    hf_rnn.train({**settings, "tokenizer": {"path": str(tiny_run)}})
    return folder


def answers(file) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("sort", ["uncertainty", "entropy", "least_confidence"])
def test_rows_are_written_with_the_least_certain_first(rows, tiny_run, tmp_path, sort):
    predictor, output = Predictor.from_pretrained(tiny_run), tmp_path / "out.jsonl"
    assert predict_file(predictor, DataArguments(path=str(rows)), output, sort=sort, part_rows=7) == 40
    found = answers(output)
    values = [row["prediction"]["uncertainty"] for row in found]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]
    assert sorted(row["id"] for row in found) == list(range(40))
    assert all(row["prediction"]["row"] == row["id"] + 1 for row in found)
    scores = predictor.scores([row["text"] for row in found])
    assert values == pytest.approx(hf_rnn.uncertainty(scores, sort), abs=1e-6)
    labels = [predictor.task.label_names[place] for place in scores.argmax(1)]
    assert [row["prediction"]["label"] for row in found] == labels
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl"}


def test_disagreement_of_an_ensemble(rows, tiny_run, other, tmp_path):
    ensemble = Predictor.from_pretrained(tiny_run, others=[other])
    predict_file(ensemble, DataArguments(path=str(rows)), tmp_path / "out.jsonl", sort="disagreement", top_k=None)
    found = answers(tmp_path / "out.jsonl")
    texts = [row["text"] for row in found]
    scores = np.stack([Predictor.from_pretrained(model).scores(texts) for model in (tiny_run, other)])
    values = [row["prediction"]["uncertainty"] for row in found]
    assert values == pytest.approx(hf_rnn.uncertainty(scores, "disagreement"), abs=1e-6)
    assert values == sorted(values, reverse=True)
    # The answers are those of the ensemble.
    for row, answer in zip(found, ensemble(texts, top_k=None), strict=True):
        assert row["prediction"]["labels"] == answer["labels"]
        assert row["prediction"]["scores"] == pytest.approx(answer["scores"], abs=1e-6)


def test_tables_have_columns_for_uncertainty_and_row(rows, tiny_run, tmp_path):
    assert (
        main([*("predict", str(tiny_run), "--file", str(rows)), "--output", str(tmp_path / "out.csv"), "--sort=margin"])
        == 0
    )
    with (tmp_path / "out.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert {"id", "text", "note", "prediction.label", "prediction.uncertainty", "prediction.row"} <= found[0].keys()
    assert all(int(row["prediction.row"]) == int(row["id"]) + 1 for row in found)


def test_pairs_are_sorted(tiny_run, tmp_path):
    (tmp_path / "in.csv").write_text("a,b\nthe film,was good .\nthe soup,was bad .\nthe lamp,was not dull .\n")
    predictor = Predictor.from_pretrained(tiny_run)
    data = DataArguments(path=str(tmp_path / "in.csv"), text_column="a", text_pair_column="b")
    predict_file(predictor, data, tmp_path / "out.jsonl", sort="entropy")
    found = answers(tmp_path / "out.jsonl")
    scores = predictor.scores([row["a"] for row in found], [row["b"] for row in found])
    values = [row["prediction"]["uncertainty"] for row in found]
    assert values == pytest.approx(hf_rnn.uncertainty(scores, "entropy"), abs=1e-6)
    assert values == sorted(values, reverse=True)


def test_a_sorted_prediction_that_was_cut_goes_on(rows, tiny_run, tmp_path, monkeypatch):
    predictor, data = Predictor.from_pretrained(tiny_run), DataArguments(path=str(rows))
    predict_file(predictor, data, tmp_path / "whole.jsonl", sort="margin", part_rows=7)
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "sort_parts", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            predict_file(predictor, data, tmp_path / "out.jsonl", sort="margin", part_rows=7)
    with pytest.raises(HfRnnError, match="holds parts of a prediction of other rows"):
        predict_file(predictor, data, tmp_path / "out.jsonl", sort="entropy", part_rows=7)
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "numbered_answers", None)  # All parts are there.
        predict_file(predictor, data, tmp_path / "out.jsonl", sort="margin", part_rows=7)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_sort_as_one(rows, tiny_run, tmp_path):
    command = ["predict", str(tiny_run), "--file", str(rows), "--sort=uncertainty", "--part_rows=7", "--output"]
    assert main([*command, str(tmp_path / "one.jsonl")]) == 0
    ended = torchrun(2, *command, tmp_path / "two.jsonl", script="hf_rnn")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sort", "margn", "--output", "{}"], "--sort margn is not one of uncertainty, margin, entropy"),
        (["--sort", "disagreement", "--output", "{}"], "compares several models: name the others too, --others MODEL"),
        (
            ["--sort", "margin"],
            "--sort margin sorts the answers to a whole file: write --file in.csv --output FILE too",
        ),
    ],
)
def test_options_that_cannot_be(options, message, rows, tiny_run, tmp_path, capsys):
    options = [option.format(tmp_path / "out.jsonl") for option in options]
    assert main(["predict", str(tiny_run), "--file", str(rows), *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_models_without_uncertainty(rows, tiny_run, tmp_path):
    data = DataArguments(path=str(rows))
    predictor = Predictor.from_pretrained(tiny_run)
    with pytest.raises(HfRnnError, match=r"sort='disagreement' compares several models: .* others=\['MODEL'\]"):
        predict_file(predictor, data, tmp_path / "out.jsonl", sort="disagreement")
    with pytest.raises(ConfigError, match=r"sort='margn' is not one of .*: did you mean sort='margin'\?"):
        predict_file(predictor, data, tmp_path / "out.jsonl", sort="margn")
    values = [{"text": text, "label": n / 7} for n, text in enumerate(made_up_reviews(40)["text"])]
    hf_rnn.train({**tiny_config("", tmp_path / "values", max_steps=1), "data": {}}, data=values)
    with pytest.raises(HfRnnError, match=r"sort='margin' needs probabilities of labels, .* is for regression: leave"):
        predict_file(Predictor.from_pretrained(tmp_path / "values"), data, tmp_path / "out.jsonl", sort="margin")
