"""Tests of abstaining from answers with a low score."""

import json

import pytest

from hf_rnn import Predictor
from hf_rnn.cli.main import main
from hf_rnn.runtime.answers import abstaining
from hf_rnn.text.arguments import DataArguments
from hf_rnn.utils.errors import UserError

TEXTS = ["the film was not good .", "the soup was bad , but the lamp was lovely .", "unseen words only"]


def test_labels_with_a_lower_score_are_left_out():
    assert abstaining({"label": "a", "score": 0.7}, 0.7) == {"label": "a", "score": 0.7}
    assert abstaining({"label": "a", "score": 0.6}, 0.7) == {"label": None, "score": 0.6}
    some = {"labels": ["a", "b"], "scores": [0.8, 0.6]}
    assert abstaining(some, 0.7) == {"labels": ["a"], "scores": [0.8]}
    assert abstaining(some, 0.9) == {"labels": [], "scores": []}


def test_a_predictor_and_a_file_abstain_alike(tiny_run, tmp_path):
    predictor = Predictor.from_pretrained(tiny_run)
    plain = predictor(TEXTS)
    least = sorted(answer["score"] for answer in plain)[1]
    answers = predictor(TEXTS, min_score=least)
    assert [answer["label"] for answer in answers] == [a["label"] if a["score"] >= least else None for a in plain]
    assert predictor(TEXTS[0], min_score=1.0)["label"] is None
    (tmp_path / "in.csv").write_text("text\n" + "\n".join(f'"{text}"' for text in TEXTS), encoding="utf-8")
    from hf_rnn.inference.bulk import predict_file

    predict_file(predictor, DataArguments(path=str(tmp_path / "in.csv")), tmp_path / "out.jsonl", min_score=least)
    rows = [json.loads(line)["prediction"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == [answer["label"] for answer in answers]


def test_the_command_prints_none_for_an_answer_that_it_withholds(tiny_run, capsys):
    assert main(["predict", str(tiny_run), TEXTS[0], "--min_score", "1"]) == 0
    assert capsys.readouterr().out.startswith("(none)\t")


@pytest.mark.parametrize("value", [-0.1, 1.5, True, "high"])
def test_a_least_score_is_a_probability(tiny_run, value):
    with pytest.raises(UserError, match=r"min_score=.* is the least probability of an answer: write a number"):
        Predictor.from_pretrained(tiny_run)(TEXTS, min_score=value)
