"""Tests of the report after the training of a text classifier."""

import csv
import json
import logging
import warnings

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from support import tiny_config

import hf_rnn
from hf_rnn.hub.card_report import report_section, report_text
from hf_rnn.training import report as report_module
from hf_rnn.training.duplicates import find_duplicates
from hf_rnn.training.tfidf import TfidfBaseline, is_without_spaces, margin
from hf_rnn.utils.errors import UserError

WORDS = {"sport": "ball goal team match", "food": "soup bread cheese salad", "weather": "rain snow wind cloud"}


def topics(count: int, seed: int = 0, **rare: int) -> list[dict]:
    """Return rows that a bag of words can classify; `rare` gives the number of rows of further classes."""
    draw = np.random.RandomState(seed)
    words = WORDS | {name: f"{name} {name}s" for name in rare}
    labels = [list(WORDS)[n % 3] for n in range(count)] + [name for name, n in rare.items() for _ in range(n)]
    return [
        {
            "text": " ".join(draw.choice(words[label].split() + "the a of and".split(), 6)) + f" x{seed}y{n}",
            "label": label,
        }
        for n, label in enumerate(labels)
    ]


def trained(folder, rows, data=None, report=None, card=None, **training) -> dict:
    config = tiny_config("", folder, **training)
    config["data"] = data or {}
    return hf_rnn.train(config | {"report": report or {}, "card": card or {}}, data=rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run with nearly no right answers, a rare class, and rows that occur in two splits."""
    train, test = topics(150, rare=3), topics(60, seed=1)
    test[4] = train[7]
    test[9] = {**train[11], "text": train[11]["text"].upper().replace(" ", " , ")}
    test[12] = {"text": train[0]["text"], "label": "weather"}
    rows = {"train": [{"text": "no label", "label": None}, *train], "test": test}
    folder = tmp_path_factory.mktemp("report") / "model"
    results = trained(folder, rows, report={"learning_curve": [0.5, 1]})
    return folder, results


def test_baselines_are_measured_on_the_same_rows(run):
    folder, results = run
    report = results["report"]
    assert json.loads((folder / "metrics.json").read_text())["report"] == report
    for split in ("validation", "test"):
        scores = report["scores"][split]
        assert scores["model"]["accuracy"] == results[split]["accuracy"]
        assert scores["model"]["f1_macro"] == results[split]["f1_macro"]
    assert report["scores"]["test"]["rows"] == 60
    assert report["scores"]["test"]["majority"]["accuracy"] == pytest.approx(1 / 3, abs=0.05)
    assert report["majority"].startswith("always '")
    assert report["scores"]["test"]["baseline"]["accuracy"] >= 0.9
    assert report["baseline"]["rows"] == report["baseline"]["all_rows"] == results["run"]["train_rows"]
    assert [each["rows"] for each in report["learning_curve"]] == [68, 137]
    assert report["learning_curve"][1]["accuracy"] == report["scores"]["validation"]["baseline"]["accuracy"]


def test_the_report_says_who_is_better_and_by_how_much(run):
    folder, results = run
    scores = results["report"]["scores"]["test"]
    by = 100 * (scores["baseline"]["accuracy"] - scores["model"]["accuracy"])
    text = report_text(results["report"])
    assert (
        f"TF-IDF + logistic regression is better than the model by {by:.2f} points of accuracy on the 60 test" in text
    )
    assert "n-grams of words (1 to 2): fitted on 137 training rows" in text
    card = (folder / "README.md").read_text()
    assert "## Comparison and checks" in card
    assert f"better than the model by {by:.2f} points" in card
    assert f"| accuracy | this model | {results['validation']['accuracy']:.2%} |" in card


def test_signs_of_a_model_that_has_learnt_too_little(run):
    report = run[1]["report"]
    assert report["few_rows"] == {"rare": pytest.approx(3, abs=1)}
    assert report["few_steps"]["steps"] < 100
    assert report["few_steps"]["advice"].startswith("training.")
    assert "optimizer steps, which may be too few: write training." in report_text(report)


def test_rows_in_two_splits_are_counted_and_named_as_they_stand_in_the_data(run):
    found = {(row["split"], row["other"]): row for row in run[1]["report"]["duplicates"]}
    test = [row for (split, _), row in found.items() if split == "test"]
    assert sum(row["same"] for row in test) == 2
    assert sum(row["near"] for row in test) == 1
    assert sum(row["other_label"] for row in test) == 1
    # Row 1 of the training split is the row without a label.
    examples = {row["example"]["row"]: row["example"]["other_row"] for row in test if "example" in row}
    assert {"row 5 of test": "row 9 of train", "row 13 of test": "row 2 of train"}.items() >= examples.items()
    (near,) = [row["near_example"] for row in test if "near_example" in row]
    assert (near["row"], near["other_row"]) == ("row 10 of test", "row 13 of train")


def test_the_worst_errors_are_a_table(run):
    folder, results = run
    with open(folder / "errors.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["text", "label", "predicted", "score", "row"]
    assert len(rows) == results["report"]["errors"]["wrong"]
    assert len(rows) == round((1 - results["validation"]["accuracy"]) * results["report"]["errors"]["rows"])
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(row["label"] != row["predicted"] for row in rows)
    answers = hf_rnn.Predictor.from_pretrained(folder)([row["text"] for row in rows])
    assert [answer["label"] for answer in answers] == [row["predicted"] for row in rows]
    assert [answer["score"] for answer in answers] == pytest.approx(scores, abs=1e-3)
    assert rows[0]["text"] in (folder / "README.md").read_text()
    assert all(pair["label"] != pair["predicted"] for pair in results["report"]["errors"]["confused"])


def test_no_text_is_quoted_where_the_card_may_not(tmp_path, capsys):
    rows = topics(60)
    trained(tmp_path / "model", [*rows, *rows[:5]], card={"examples": False})
    out = capsys.readouterr().out
    for shown in (out, *((tmp_path / "model" / name).read_text() for name in ("README.md", "metrics.json"))):
        assert not any(row["text"] in shown for row in rows)
    assert "in the train split too" in out


def test_parts_can_be_left_out(tmp_path, capsys):
    results = trained(tmp_path / "model", topics(60), report={"baseline": False})
    assert "baseline" not in results["report"]
    assert "TF-IDF" not in capsys.readouterr().out
    assert "baseline: false" in (tmp_path / "model" / "run.yaml").read_text()


@pytest.mark.parametrize("part", ["TfidfBaseline", "find_duplicates", "report_text", "_Report"])
def test_a_failure_of_the_report_fails_no_run(tmp_path, monkeypatch, caplog, part):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(report_module, part, fail)
    with caplog.at_level(logging.WARNING):
        trained(tmp_path / "model", topics(60))
    assert "MemoryError: no room" in caplog.text
    assert hf_rnn.Predictor.from_pretrained(tmp_path / "model")(["a team"])


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([{**row, "label": [row["label"], "any"][: 1 + n % 2]} for n, row in enumerate(topics(60))], "logistic"),
        ([{**row, "label": len(row["text"]) / 7} for row in topics(60)], "ridge"),
        ([{**row, "text_pair": row["text"]} for row in topics(60)], "logistic"),
        ([{"text": "🙂 " * (1 + n % 3), "label": "ab"[n % 2]} for n in range(40)], "logistic"),
    ],
)
def test_other_kinds_of_rows(tmp_path, rows, name):
    results = trained(tmp_path / "model", rows, data={"test_size": 0.2})
    assert results["report"]["baseline"]["name"] == f"TF-IDF + {name} regression"
    metric = results["report"]["metrics"][0]
    assert results["report"]["scores"]["test"]["model"][metric] == pytest.approx(results["test"][metric])
    assert report_text(results["report"])
    with open(tmp_path / "model" / "errors.csv", encoding="utf-8", newline="") as file:
        assert {"text", "label", "predicted", "score"} <= set(next(csv.reader(file)))


def test_rows_of_a_held_out_split_have_the_numbers_of_the_data_set(tmp_path):
    rows = [{**row, "text": f"{row['text']} n{n + 1}"} for n, row in enumerate(topics(90))]
    trained(tmp_path / "model", rows, data={"test_size": 0.2})
    with open(tmp_path / "model" / "errors.csv", encoding="utf-8", newline="") as file:
        wrong = list(csv.DictReader(file))
    assert wrong
    assert all(row["row"] == f"row {row['text'].rpartition(' n')[2]} of train" for row in wrong)


@pytest.mark.parametrize("shares", [[0], [1.5], [-0.1, 1]])
def test_a_share_that_is_none_is_refused(tmp_path, shares):
    with pytest.raises(UserError, match=r"share .* must be above 0 and at most 1: write report.learning_curve=\[0.1, "):
        trained(tmp_path / "model", topics(60), report={"learning_curve": shares})


def test_other_tasks_have_no_report(tmp_path):
    config = tiny_config("", tmp_path / "model") | {"task": "language_modeling", "report": {"learning_curve": True}}
    config["data"] = {}
    with pytest.raises(UserError, match=r"report.learning_curve=True has no use in the task language_modeling"):
        hf_rnn.train(config, data=[{"text": "some words"}] * 30)


# Parts ---------------------------------------------------------------------------------------------------------------


def test_the_baseline_is_that_of_scikit_learn():
    train, test = topics(90), topics(30, seed=1)
    texts, labels = [row["text"] for row in train], np.asarray([list(WORDS).index(row["label"]) for row in train])
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    expected = LogisticRegression(C=10).fit(vectorizer.fit_transform(texts), labels)
    other = [row["text"] for row in test]
    answers = TfidfBaseline("single_label_classification", 3).fit([texts], labels).predict([other])
    assert answers.tolist() == expected.predict(vectorizer.transform(other)).tolist()


def test_a_label_that_no_row_has_needs_no_fit():
    targets = np.asarray([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]], dtype=np.float32)
    texts = ["one word", "two words", "one word", "two words"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = TfidfBaseline("multi_label_classification", 3).fit([texts], targets)
    assert fitted.predict([texts]).tolist() == targets.astype(int).tolist()


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("包装很精细,送货很快", True),
        ("とても美味しい", True),
        ("อร่อยมาก", True),
        ("한국어 문장", False),
        ("a plain text", False),
    ],
)
def test_scripts_without_spaces_are_read_by_characters(text, without):
    assert is_without_spaces([text] * 5) is without
    fitted = TfidfBaseline("single_label_classification", 2).fit([[text, f"{text} {text}"]], np.asarray([0, 1]))
    assert fitted.ngrams.startswith("characters") is without


def test_a_large_data_set_is_compared_on_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "MOST_ROWS", 30)
    results = trained(tmp_path / "model", {"train": topics(120), "test": topics(45, seed=1)})
    report = results["report"]
    assert (report["baseline"]["rows"], report["baseline"]["all_rows"]) == (30, 108)
    assert report["scores"]["test"]["sample"] == 30
    assert report["scores"]["test"]["model"]["accuracy"] == results["test"]["accuracy"]
    assert report["scores"]["test"]["model_on_sample"]["accuracy"] in [right / 30 for right in range(31)]
    assert "on the 30 test rows" in report_text(report)
    assert "fitted on 30 training rows, a sample of 108" in report_text(report)


def test_a_model_that_finds_some_of_a_rare_class_has_learnt_something():
    scores = {"model": {"accuracy": 0.989, "f1_macro": 0.8}, "majority": {"accuracy": 0.99, "f1_macro": 0.4975}}
    report = {"metrics": ["accuracy", "f1_macro"], "greater_is_better": True}
    learnt = {**report, "scores": {"validation": {"rows": 1000, **scores}}}
    assert "has learnt nothing" not in report_text(learnt)
    scores["model"] = scores["majority"]
    assert "has learnt nothing" in report_text({**report, "scores": {"validation": {"rows": 1000, **scores}}})


def test_the_baseline_of_a_stream_is_fitted_to_its_first_rows(tmp_path):
    (tmp_path / "data").mkdir()
    for split, rows in {"train": topics(200), "validation": topics(50, 1)}.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "data" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    streamed = {"path": str(tmp_path / "data"), "streaming": True, "streaming_sample": 50}
    report = trained(tmp_path / "model", None, streamed, max_steps=3)["report"]
    assert report["baseline"]["all_rows"] is None
    assert "few_rows" not in report
    assert "the first ones of the stream" in report_text(report)


def test_a_run_that_ended_early_is_not_advised_to_take_more_epochs(tmp_path):
    patience = {"early_stopping_patience": 1, "learning_rate": 0.0, "num_train_epochs": 20}
    results = trained(tmp_path / "model", topics(60), **patience)
    assert results["run"]["epochs"] < 20
    assert results["report"]["few_steps"]["advice"].startswith("training.early_stopping_patience=7")


def test_vowels_of_indian_scripts_and_of_thai_are_no_punctuation():
    texts = {"train": ["หมู", "की", "cafe\u0301"], "validation": ["หมี", "को", "Café!"]}
    (near,) = find_duplicates(texts, {"train": [0, 1, 0], "validation": [0, 1, 0]})
    assert (near["same"], near["near"], near["near_example"]) == (0, 1, [2, 2])


def test_the_baseline_reads_words_of_indian_scripts_and_each_column_by_itself():
    fitted = TfidfBaseline("single_label_classification", 2)
    fitted.fit([["नमस्ते दुनिया", "a b"], ["很好吃的饭", "不好吃"]], np.asarray([0, 1]))
    assert fitted.ngrams == "words (1 to 2) and characters (1 to 3)"
    assert "नमस्ते" in fitted.vectorizers[0].vocabulary_


def test_near_duplicates_differ_in_no_letter():
    texts = {"train": ["Room 12, please!", "", "Good", "good", "Good"], "validation": ["room 7 please", "", "GOOD"]}
    labels = {"train": [0, 1, 0, 1, 1], "validation": [0, 1, 0]}
    same, near = find_duplicates(texts, labels)
    assert (same["split"], same["other_label"], same["example"]) == ("train", 1, [4, 2])
    assert (near["same"], near["near"], near["near_example"]) == (0, 2, [0, 0])


def test_the_margin_is_that_of_matched_pairs():
    right, other = (
        np.repeat([True, True, False, False], [70, 12, 6, 12]),
        np.repeat([True, False, True, False], [70, 12, 6, 12]),
    )
    assert margin(right, other) == pytest.approx(1.96 * np.sqrt(18 - 36 / 100) / 100)
    assert margin(right, right) == 0


def test_labels_and_texts_of_a_user_stay_in_their_cells():
    row = {"text": "a | b", "label": "x|y", "predicted": "", "score": "0.9000", "row": "row 1 of train"}
    report = {
        "metrics": ["accuracy"],
        "greater_is_better": True,
        "scores": {"validation": {"rows": 4}},
        "few_rows": {"x|y": 1},
        "errors": {"rows": 4, "wrong": 1, "worst": [row]},
    }
    section = report_section({"report": report})
    assert section["errors"] == [["a \\| b", "x\\|y", "no label", "0.9000"]]
    assert "Classes with few training rows: “x\\|y” (1 row)." in section["sentences"]
    assert report_section({}) is None
