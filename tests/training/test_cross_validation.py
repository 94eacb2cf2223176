"""Cross-validation: folds, answers to held-out rows, resuming, label errors, and settings that cannot be."""

import csv
import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score
from support import files, tiny_config, write_jsonl
from support.launch import options, torchrun
from support.reviews import made_up_reviews
from transformers import TrainerCallback

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.hub.folder import model_files
from hf_rnn.training.trainer import RNNTrainer
from hf_rnn.utils.errors import CheckpointError, ConfigError, DataError, HfRnnError

NAMES = ("negative", "positive")


def table(count=120, **columns) -> list[dict]:
    """Return rows of reviews with their author, who wrote four of them."""
    rows = made_up_reviews(count)
    return [
        {"text": text, "label": NAMES[label], "author": f"a{place // 4}"}
        | {name: values[place] for name, values in columns.items()}
        for place, (text, label) in enumerate(zip(*rows.values(), strict=True))
    ]


def config(folder, folds=3, data=None, **training) -> dict:
    settings = tiny_config("", folder, **training)
    return {**settings, "cross_validate": folds, "data": data or {}, "report": {"baseline": False}}


def read(file) -> list[dict]:
    with open(file, encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder and the results of a cross-validation of an untidy file, and what it printed."""
    folder = tmp_path_factory.mktemp("folds")
    rows = table()
    rows[7]["label"] = ""
    rows[11]["text"] = 'he said ; "good" , and left'
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    settings = config(folder / "model", data={"path": str(folder / "rows.csv"), "test_size": 0.1})
    return folder / "model", hf_rnn.train(settings), rows


def test_every_labelled_row_outside_the_test_split_is_answered_once(run):
    folder, results, rows = run
    answers = read(folder / "out_of_fold.csv")
    assert list(answers[0]) == [
        *("row", "text", "label", "predicted", "probability.negative", "probability.positive", "fold")
    ]
    assert len(answers) == results["cross_validation"]["rows"] == 119 - results["data"]["splits"]["test"]["rows"]
    numbers = [int(row["row"].removeprefix("row ").removesuffix(" of train")) - 1 for row in answers]
    assert numbers == sorted(numbers)
    assert 7 not in numbers
    assert [(row["text"], row["label"]) for row in answers] == [(rows[n]["text"], rows[n]["label"]) for n in numbers]
    for row in answers:
        scores = [float(row[f"probability.{name}"]) for name in NAMES]
        assert sum(scores) == pytest.approx(1, abs=1e-5)
        assert row["predicted"] == NAMES[int(np.argmax(scores))]


def test_metrics_are_those_of_the_answers_and_their_mean_and_spread(run):
    folder, results, _ = run
    answers, found = read(folder / "out_of_fold.csv"), results["cross_validation"]
    measured = []
    for number, fold in enumerate(found["folds"], 1):
        of_fold = [row for row in answers if row["fold"] == str(number)]
        assert fold["rows"] == len(of_fold)
        measured.append(accuracy_score([r["label"] for r in of_fold], [r["predicted"] for r in of_fold]))
        assert fold["metrics"]["accuracy"] == pytest.approx(measured[-1])
        # Classes keep their proportions.
        assert abs(sum(r["label"] == "positive" for r in of_fold) - len(of_fold) / 2) <= 1
    assert found["mean"]["accuracy"] == pytest.approx(np.mean(measured))
    assert found["std"]["accuracy"] == pytest.approx(np.std(measured, ddof=1))
    assert json.loads((folder / "metrics.json").read_text())["cross_validation"] == found


def test_the_folder_has_the_model_the_card_and_the_figure_and_no_folds(run):
    folder, results, _ = run
    assert {"model.safetensors", "out_of_fold.csv", "cross_validation.png", "run.yaml"} <= files(folder)
    assert not (folder / ".cross_validation").exists()
    assert not (folder / ".replaced").exists()
    # A push includes the figure, and no tables that quote texts.
    assert "cross_validation.png" in model_files(folder)
    assert not [name for name in model_files(folder) if name.endswith(".csv")]
    assert "test" in results
    with Image.open(folder / "cross_validation.png") as image:
        assert min(image.size) > 200
    card = (folder / "README.md").read_text()
    assert "## Cross-validation\n\n3 folds of 107 rows (train)" in card
    assert f"| mean |  | {results['cross_validation']['mean']['accuracy']:.2%} |" in card
    assert "![cross-validation](cross_validation.png)" in card


def test_the_model_is_that_of_the_run_alone(run, tmp_path):
    folder, results, _ = run
    alone = [*("--config", str(folder / "run.yaml")), "--cross_validate=0", f"--training.output_dir={tmp_path / 'one'}"]
    same = hf_rnn.train(alone)
    assert same["test"] == results["test"]
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "one" / "model.safetensors").read_bytes()


@pytest.fixture
def no_training(monkeypatch):
    """Let each run end with an error before it trains: only the folds are looked at."""

    def refuse(self, *_, **__):
        raise RuntimeError(f"trains {sorted(set(self.train_dataset['length']))}")

    monkeypatch.setattr(RNNTrainer, "train", refuse)


def train_with(callback, settings, monkeypatch, **others):
    begin = RNNTrainer.__init__
    with monkeypatch.context() as patch:
        patch.setattr(
            RNNTrainer, "__init__", lambda self, *args, **more: begin(self, *args, callbacks=[callback], **more)
        )
        return hf_rnn.train(settings, **others)


def test_rows_of_a_group_stay_in_one_fold_and_are_not_trained_on(tmp_path, monkeypatch, capsys):
    begin, seen = RNNTrainer.__init__, []

    def kept(self, *args, **more):
        seen.append(len(more["train_dataset"]) + len(more["eval_dataset"]))
        begin(self, *args, **more)

    monkeypatch.setattr(RNNTrainer, "__init__", kept)
    found = hf_rnn.train(config(tmp_path / "m", 2, data={"group_column": "author"}, max_steps=1), data=table())
    answers = read(tmp_path / "m" / "out_of_fold.csv")
    fold_of: dict[str, set] = {}
    for row, answer in zip(table(), answers, strict=True):
        fold_of.setdefault(row["author"], set()).add(answer["fold"])
    assert {len(folds) for folds in fold_of.values()} == {1}
    # The validation rows of a fold are held out of its training rows, so that nothing has seen the rows of the fold.
    sizes = [fold["rows"] for fold in found["cross_validation"]["folds"]]
    assert seen == [*(120 - size for size in sizes), 120]
    printed = capsys.readouterr().out
    assert "2 of 120 rows (train), 30 groups of 'author'; there is no test split" in printed
    assert "StratifiedGroupKFold of scikit-learn, data.seed=0" in printed
    assert "groups     'author'" in printed
    assert json.loads((tmp_path / "m" / "schema.json").read_text())["group_column"] == "author"
    # Decisions are printed for the first fold and for the model itself.
    assert printed.count("splits     ") == 2


def test_validation_rows_are_divided_too_and_keep_their_names(tmp_path, capsys):
    rows = table(90)
    data = {"train": rows[:60], "validation": rows[60:80], "test": rows[80:]}
    found = hf_rnn.train(config(tmp_path / "m", 2, max_steps=1), data=data)
    assert found["cross_validation"]["splits"] == ["train", "validation"]
    names = [row["row"] for row in read(tmp_path / "m" / "out_of_fold.csv")]
    assert names == [*(f"row {n} of train" for n in range(1, 61)), *(f"row {n} of validation" for n in range(1, 21))]
    assert "2 of 80 rows (train and validation); the test split stays apart" in capsys.readouterr().out
    assert found["data"]["splits"]["train"]["rows"] == 60


def test_several_labels_and_their_label_errors_without_texts(tmp_path):
    pytest.importorskip("cleanlab")
    rows = [
        {"text": row["text"], "label": ["all", row["label"]] if n % 3 else ["all"]} for n, row in enumerate(table())
    ]
    settings = config(tmp_path / "m", 2, max_steps=1) | {"card": {"examples": False}}
    settings["report"] = {"baseline": False, "label_errors": True}
    found = hf_rnn.train(settings, data=rows)["cross_validation"]
    assert found["splitter"] == "KFold"
    assert {"f1_micro", "f1_macro"} <= found["mean"].keys()
    answers = read(tmp_path / "m" / "out_of_fold.csv")
    assert [row["label"] for row in answers] == ["|".join(row["label"]) for row in rows]
    probabilities = ["probability.all", "probability.negative", "probability.positive"]
    assert list(answers[0]) == ["row", "label", "predicted", *probabilities, "fold"]
    with (tmp_path / "m" / "label_errors.csv").open() as file:
        assert next(csv.reader(file)) == ["row", "label", "suggested", "confidence"]


def test_values_in_groups(tmp_path):
    values = [{"text": row["text"], "label": n / 7, "author": row["author"]} for n, row in enumerate(table())]
    settings = config(tmp_path / "m", 2, data={"group_column": "author"}, max_steps=1)
    found = hf_rnn.train(settings, data=values)["cross_validation"]
    assert found["splitter"] == "GroupKFold"
    answers = read(tmp_path / "m" / "out_of_fold.csv")
    assert list(answers[0]) == ["row", "text", "label", "predicted", "fold"]
    assert [float(row["label"]) for row in answers] == pytest.approx([n / 7 for n in range(120)], rel=1e-5)


# Resuming ------------------------------------------------------------------------------------------------------------


class Stop(TrainerCallback):
    """Callback that interrupts the given run, after its first epoch, as in a power cut."""

    def __init__(self, run: int):
        self.run, self.runs = run, 0

    def on_train_begin(self, *_, **__):
        self.runs += 1

    def on_epoch_begin(self, args, state, control, **kwargs):
        if self.runs == self.run and state.epoch >= 1:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [2, 4], ids=["in a fold", "in the model itself"])
def test_a_killed_cross_validation_goes_on_with_the_unfinished_fold(stopped, tmp_path, monkeypatch):
    rows = table(60)
    whole = hf_rnn.train(config(tmp_path / "whole", num_train_epochs=2), data=rows)
    with pytest.raises(KeyboardInterrupt):
        train_with(Stop(stopped), config(tmp_path / "m", num_train_epochs=2), monkeypatch, data=rows)
    assert not (tmp_path / "m" / "model.safetensors").exists()
    with pytest.raises(CheckpointError, match=r"has not ended: write training\.resume=True|already holds a run"):
        hf_rnn.train(config(tmp_path / "m", num_train_epochs=2), data=rows)
    again = config(tmp_path / "m", num_train_epochs=2, resume=True)
    with pytest.raises(CheckpointError, match="was begun with other rows than"):
        hf_rnn.train(again, data=table(80))
    if stopped == 2:
        with pytest.raises(CheckpointError, match=r"with model\.hidden_size=16, and this has 8: write"):
            hf_rnn.train(again | {"model": {"embedding_size": 16, "hidden_size": 8}}, data=rows)
    counter = Stop(9)
    resumed = train_with(counter, again, monkeypatch, data=rows)
    assert counter.runs == 5 - stopped
    for name in ("validation", "cross_validation"):
        for part in (whole[name], resumed[name]):
            for fold in part.get("folds", []):
                fold.pop("seconds")
        assert resumed[name] == whole[name]
    assert not (tmp_path / "m" / ".cross_validation").exists()
    one, other = ((tmp_path / name / "out_of_fold.csv").read_bytes() for name in ("whole", "m"))
    assert one == other


def test_a_run_is_replaced_only_if_asked_and_survives_a_failure(run, tmp_path, monkeypatch):
    folder = tmp_path / "m"
    shutil.copytree(run[0], folder)
    rows = table(60)
    with pytest.raises(CheckpointError, match="already holds a run"):
        hf_rnn.train(config(folder), data=rows)
    with pytest.raises(CheckpointError, match=r"has no cross-validation to resume: leave out training\.resume"):
        hf_rnn.train(config(folder, resume=True), data=rows)
    with pytest.raises(DataError, match="needs 50 rows or more of each class"):
        hf_rnn.train(config(folder, 50, overwrite=True), data=rows)
    assert (folder / "model.safetensors").exists()
    with pytest.raises(KeyboardInterrupt):
        train_with(Stop(1), config(folder, overwrite=True, num_train_epochs=2), monkeypatch, data=rows)
    assert (folder / ".replaced" / "model.safetensors").read_bytes() == (run[0] / "model.safetensors").read_bytes()


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_cross_validate_as_one(tmp_path):
    rows = write_jsonl(tmp_path / "rows.jsonl", table(60))
    more = {"cross_validate": 2, "training.num_train_epochs": 1, "report.baseline": "false"}
    hf_rnn.train(options(rows, tmp_path / "one", 16, **more))
    ended = torchrun(2, *options(rows, tmp_path / "two", 8, **more))
    assert ended.returncode == 0, ended.stderr
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    assert two["run"]["world_size"] == 2
    assert two["cross_validation"]["mean"] == pytest.approx(one["cross_validation"]["mean"], abs=1e-6)
    assert ended.stdout.count("fold 2 of 2: ") == 1


# Label errors --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_planted_label_errors_are_suspected_first(tmp_path, capsys):
    pytest.importorskip("cleanlab")
    words = {"negative": "awful dull poor", "positive": "lovely fine superb"}
    rows = [{"text": f"the soup number {n} was {words[NAMES[n % 2]]}", "label": NAMES[n % 2]} for n in range(120)]
    planted = [10, 33, 77]
    for place in planted:
        rows[place]["label"] = NAMES[1 - place % 2]
    settings = config(tmp_path / "m", num_train_epochs=8, per_device_train_batch_size=8)
    found = hf_rnn.train(settings | {"report": {"baseline": False, "label_errors": True}}, data=rows)
    errors = read(tmp_path / "m" / "label_errors.csv")
    assert list(errors[0]) == ["row", "text", "label", "suggested", "confidence"]
    assert {row["row"] for row in errors[:3]} == {f"row {place + 1} of train" for place in planted}
    assert all(row["label"] != row["suggested"] for row in errors[:3])
    assert found["cross_validation"]["label_errors"]["rows"] == len(errors)
    assert f"{len(errors)} of 120 labels are suspected to be wrong" in capsys.readouterr().out
    assert "suspected to be wrong; label_errors.csv" in (tmp_path / "m" / "README.md").read_text()


def test_label_errors_need_cleanlab(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    settings = config(tmp_path / "m") | {"report": {"label_errors": True}}
    with pytest.raises(HfRnnError, match=r'needs cleanlab: pip install "hf-rnn\[cleanlab\]"'):
        hf_rnn.train(settings, data=table())


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cross_validate": 1}, r"cross_validate=1 must be 2 or greater, such as 5, or 0"),
        ({"cross_validate": -3}, r"cross_validate=-3 must be 2 or greater"),
        ({"cross_validate": 0, "data": {"group_column": "author"}}, r"group_column='author' is read by a cross-valid"),
        ({"cross_validate": 0, "report": {"label_errors": True}}, r"needs the answers of a cross-validation: write cr"),
        ({"task": "translation"}, r"cross_validate=3 is possible for text_classification, and not for the task transl"),
        (
            {"data": {"path": "rows.csv", "streaming": True}, "training": {"max_steps": 5}},
            r"divides all rows, and data\.streaming=True never loads all",
        ),
    ],
)
def test_settings_that_cannot_be(changes, message, tmp_path):
    settings = config(tmp_path / "m")
    for name, value in changes.items():
        settings[name] = settings[name] | value if isinstance(value, dict) else value
    with pytest.raises(ConfigError, match=message):
        hf_rnn.train(settings, data=None if "streaming" in settings["data"] else table())
    assert not (tmp_path / "m").exists()


def marked(which) -> list[str]:
    return ["rare" if place in which else NAMES[place % 2] for place in range(120)]


@pytest.mark.parametrize(
    ("folds", "data", "columns", "message"),
    [
        (
            3,
            {},
            {"label": marked({1, 2})},
            r"3 rows or more of each class, and the class 'rare' .* has 2: write cross_validate=2",
        ),
        (3, {"group_column": "autor"}, {}, r"data\.group_column='autor' is not a column .* did you mean 'author'\?"),
        (
            31,
            {"group_column": "author"},
            {},
            r"needs 31 groups or more, and the column 'author' .* has 30: write cross_val",
        ),
        (
            3,
            {"group_column": "author"},
            {"author": ["a", "", *"b" * 118]},
            r"group_column='author' .* is empty in row 2",
        ),
        (
            3,
            {"group_column": "author"},
            {"label": marked({0, 1, 2})},
            r"all 3 rows of the class 'rare' .* are in fold \d",
        ),
        (200, {}, {"label": [n / 7 for n in range(120)]}, r"cross_validate=200 needs 200 rows or more, and .* has 120"),
    ],
)
def test_rows_that_cannot_be_divided(folds, data, columns, message, tmp_path):
    with pytest.raises(DataError, match=message):
        hf_rnn.train(config(tmp_path / "m", folds, data), data=table(**columns))
    assert not (tmp_path / "m").exists()


def test_a_fold_without_a_class_is_told(tmp_path, no_training, caplog):
    # Two authors wrote all rows of the rare class, which therefore is in two of three folds.
    with pytest.raises(RuntimeError, match="trains"):
        hf_rnn.train(
            config(tmp_path / "m", 3, {"group_column": "author"}),
            data=table(label=marked({0, 1, 2, 3, 40, 41, 42, 43})),
        )
    assert "has no row of the class 'rare', which counts as 0 in the macro F1 of this fold" in caplog.text


# Command line --------------------------------------------------------------------------------------------------------


def test_the_command_line_prints_mean_and_spread(tmp_path, capsys):
    rows = write_jsonl(tmp_path / "rows.jsonl", table(40))
    options = ["--preset=none", "--model.hidden_size=8", "--training.max_steps=1", "--report.baseline=false"]
    folder = tmp_path / "m"
    assert main(["train", str(rows), "--output_dir", str(folder), "--cross_validate", "2", *options]) == 0
    mean, spread = (
        json.loads((folder / "metrics.json").read_text())["cross_validation"][name]["accuracy"]
        for name in ("mean", "std")
    )
    assert f"2 folds    accuracy {mean:.4f} ± {spread:.4f} · f1_macro" in capsys.readouterr().out
    assert main(["train", str(rows), "--output_dir", str(tmp_path / "n"), "--cross_validate", "1", *options]) == 1
    assert "--cross_validate 1 must be 2 or greater" in capsys.readouterr().err
