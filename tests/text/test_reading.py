"""Tests that training, evaluation and prediction read the same values from a file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from support import write_jsonl
from support.marks import proof
from support.signals import Signal, train_with
from support.waiting import PATIENCE

import hf_rnn
from hf_rnn import DataArguments, Predictor
from hf_rnn.cli.main import main
from hf_rnn.training.run_config import parse_run
from hf_rnn.utils.errors import UserError

SMALL = {"hidden_size": 8, "embedding_size": 8}
WORDS = {"good": "good lovely superb fine".split(), "bad": "bad awful dull weak".split()}


def rows(count=60, names=("good", "bad")) -> list[dict]:
    kinds = [list(WORDS)[n % 2] for n in range(count)]
    return [
        {"review": f"the soup, number {n}, was {WORDS[kind][n % 4]} .", "mood": names[kind == "bad"]}
        for n, kind in enumerate(kinds)
    ]


def table(file: Path, of: list[dict], delimiter=";") -> Path:
    lines = [delimiter.join(of[0]), *(delimiter.join(map(str, row.values())) for row in of)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def run(folder, **data) -> dict:
    training = {"output_dir": str(folder), "num_train_epochs": 1, "learning_rate": 0.01, "disable_tqdm": True}
    return {"data": {k: str(v) if isinstance(v, Path) else v for k, v in data.items()}, "tokenizer": {"kind": "word"},
            "model": SMALL, "training": training}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the folder and the results of a run on a CSV file with semicolons and unusual column names."""
    folder = tmp_path_factory.mktemp("reading")
    results = hf_rnn.train(run(folder / "model", path=table(folder / "train.csv", rows())))
    return folder, results


def test_what_was_decided_is_printed_and_saved(model, capsys, tmp_path):
    folder, _ = model
    hf_rnn.train(run(tmp_path / "model", path=folder / "train.csv"))
    printed = capsys.readouterr().out
    for line in (
        'written    utf-8 · delimiter semicolon · quotes " · first row is the header',
        "text       'review'",
        "label      'mood': one label",
        "classes    'bad', 'good'",
        "splits     train: train · validation: 6 rows held out of train",
    ):
        assert line in printed
    schema = json.loads((folder / "model" / "schema.json").read_text())
    assert (schema["text_column"], schema["label_column"], schema["labels"]) == ("review", "mood", ["bad", "good"])
    assert schema["fingerprint"] == json.loads((tmp_path / "model" / "schema.json").read_text())["fingerprint"]


def test_a_model_asks_for_the_columns_of_its_training(model, tmp_path, capsys):
    folder, _ = model
    others = [{"title": "x", **row, "label": "1", "text": "another"} for row in rows(8)]
    table(tmp_path / "others.csv", others, "\t")
    assert main(["evaluate", str(folder / "model"), "--data", str(tmp_path / "others.csv")]) == 0
    output = str(tmp_path / "out.jsonl")
    assert main(["predict", str(folder / "model"), "--file", str(tmp_path / "others.csv"), "--output", output]) == 0
    answers = [json.loads(line) for line in Path(output).read_text().splitlines()]
    predictor = Predictor.from_pretrained(folder / "model")
    assert [a["prediction"]["label"] for a in answers] == [a["label"] for a in predictor([r["review"] for r in others])]
    table(tmp_path / "none.csv", [{"one": "a b", "two": "c d"}])
    assert main(["evaluate", str(folder / "model"), "--data", str(tmp_path / "none.csv")]) == 1
    told = capsys.readouterr().err
    assert "trained on the column 'review'" in told
    assert "Write --text_column NAME" in told


def test_numbers_in_the_place_of_named_labels_are_refused_or_named(model, tmp_path, capsys):
    folder, _ = model
    table(tmp_path / "numbers.csv", rows(8, names=("1", "0")))
    command = ["evaluate", str(folder / "model"), "--data", str(tmp_path / "numbers.csv")]
    assert main(command) == 1
    assert "label '1', which is not in id2label (bad, good)" in capsys.readouterr().err
    assert main([*command, "--label_names", "[bad, good]"]) == 0


@pytest.mark.parametrize("kind", ["pandas", "polars", "datasets", "dicts", "pairs"])
def test_rows_in_python_through_every_door(kind, tmp_path):
    of = [{"text": row["review"], "label": row["mood"]} for row in rows()]
    source = {
        "pandas": lambda: pytest.importorskip("pandas").DataFrame(of),
        "polars": lambda: pytest.importorskip("polars").DataFrame(of),
        "datasets": lambda: __import__("datasets").Dataset.from_list(of),
        "dicts": lambda: of,
        "pairs": lambda: [(row["text"], row["label"]) for row in of],
    }[kind]()
    results = hf_rnn.train(run(tmp_path / "model"), data={"train": source, "test": source})
    predictor = Predictor.from_pretrained(tmp_path / "model")
    assert hf_rnn.evaluate(predictor, source)["accuracy"] == pytest.approx(results["test"]["accuracy"])
    if kind != "pairs":
        assert predictor(source) == predictor([row["text"] for row in of])
    with pytest.raises(UserError, match=r"passed in Python and are not saved: name a file, data=PATH"):
        hf_rnn.evaluate(predictor, predictor.task.data)
    again = run(tmp_path / "again")
    again["data"]["path"] = source
    assert hf_rnn.train(again)["data"]["splits"]["train"]["rows"] == 54


def test_paths_and_numbers_of_numpy_in_a_configuration(tmp_path):
    of = run(tmp_path / "model", path="x")
    of["data"] |= {"path": table(tmp_path / "a b.csv", rows()), "validation_size": np.float64(0.25)}
    of["training"] |= {"num_train_epochs": np.int64(1), "seed": np.int32(3), "output_dir": tmp_path / "model"}
    assert hf_rnn.train(of)["data"]["splits"]["validation"]["rows"] == 15


@pytest.mark.parametrize(
    "word",
    ["1e3", "no", "null", "~", "3.10", "01", "true", "#x", "[a]", "{a: b}", "a: b", "2020-01-01", " x ", "", "'", '"',
     "\\", "\t", "é", "-", "*a", "&a", "!x", "%", "@", "|", ">"],
)  # fmt: skip
def test_a_run_file_holds_every_value_as_it_is(word, tmp_path):
    settings = {"text_column": word, "label_column": word, "label_names": [word, "other"]}
    read, text = parse_run({"data": settings})
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    again, same = parse_run(tmp_path / "run.yaml")
    for data in (read.data, again.data):
        assert (data.text_column, data.label_column, data.label_names) == (word, word, [word, "other"])
    assert text == same
    assert yaml.safe_load(text)["data"]["text_column"] == word


@pytest.mark.parametrize("names", ["[no, yes]", "[1, 2]", "[01, 02]", "[1.10, null]"])
def test_names_of_labels_are_as_they_are_spelled(names, tmp_path):
    expected = names.strip("[]").split(", ")
    assert parse_run([f"--data.label_names={names}"])[0].data.label_names == expected
    (tmp_path / "run.yaml").write_text(f"data:\n  label_names: {names}\n  text_column: 1e3\n")
    data = parse_run(tmp_path / "run.yaml")[0].data
    assert (data.label_names, data.text_column) == (expected, "1e3")


def test_data_is_found_from_where_its_path_was_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "work").mkdir()
    table(tmp_path / "work" / "train.csv", rows())
    monkeypatch.chdir(tmp_path / "work")
    hf_rnn.train(run("runs/model", path="train.csv"))
    assert yaml.safe_load(Path("runs/model/run.yaml").read_text())["data"]["path"] == "../../train.csv"
    (tmp_path / "work" / "mine.yaml").write_text("data: {path: train.csv, test_split: null}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "work/runs/model", "--split", "train"]) == 0
    assert parse_run(["--config", "work/mine.yaml"])[0].data.path == "work/train.csv"
    # Paths on the command line, and in files of older releases, are relative to the working directory.
    assert parse_run(["--config", "work/mine.yaml", "--data.path", "train.csv"])[0].data.path == "train.csv"
    table(tmp_path / "older.csv", rows())
    (tmp_path / "work" / "older.yaml").write_text("data: {path: older.csv}\n")
    assert parse_run("work/older.yaml")[0].data.path == "older.csv"


@pytest.mark.parametrize("change", ["label", "text", "order", "none", "delimiter"])
@pytest.mark.slow
def test_a_run_goes_on_with_the_same_rows_alone(change, tmp_path, monkeypatch):
    of = rows()
    config = run(tmp_path / "model", path=table(tmp_path / "a.csv", of), validation_from="end")
    config["training"] |= {"num_train_epochs": 3, "save_total_limit": 2}
    with pytest.raises(SystemExit):
        train_with(Signal("step", 3, signal.SIGTERM), config, monkeypatch)
    if change == "label":
        of = [row | {"mood": row["mood"].replace("bad", "awful")} for row in of]
    elif change == "text":
        of[7]["review"] += " indeed"
    elif change == "order":
        of[3], of[5] = of[5], of[3]
    table(tmp_path / "a.csv", of, "|" if change == "delimiter" else ";")
    os.utime(tmp_path / "a.csv", (1_000_000_000, 1_000_000_000))
    config["training"]["resume"] = True
    if change in ("none", "delimiter"):
        assert hf_rnn.train(config)["run"]["epochs"] == 3
    else:
        with pytest.raises(UserError, match=r"begun with other rows than .*training.overwrite=True to start a new run"):
            hf_rnn.train(config)


@pytest.mark.parametrize("scale", [1, 1e5, 1e-4])
def test_values_of_any_scale_are_learnt_alike(scale, tmp_path):
    of = [{"text": f"{'warm ' * (n % 5)}soup", "label": (3 + n % 5) * scale} for n in range(200)]
    config = run(tmp_path / "model", path=write_jsonl(tmp_path / "a.jsonl", of), problem_type="regression")
    config["training"] |= {"num_train_epochs": 8, "learning_rate": 0.02}
    results = hf_rnn.train(config)
    assert results["validation"]["r2"] > 0.9
    predictor = Predictor.from_pretrained(tmp_path / "model")
    assert predictor.model.config.target_std == pytest.approx(1.414 * scale, rel=0.05)
    (answer,) = predictor(["warm warm soup"])
    assert answer["value"] == pytest.approx(5 * scale, rel=0.15)
    assert hf_rnn.evaluate(predictor, of)["r2"] > 0.9


def test_pairs_are_found_cut_alike_and_asked_for(tmp_path, capsys):
    of = [
        {"premise": "it rains " * 10 + str(n % 2), "hypothesis": "wet" if n % 2 else "dry", "label": n % 2}
        for n in range(60)
    ]
    hf_rnn.train(run(tmp_path / "model", path=write_jsonl(tmp_path / "a.jsonl", of), max_length=8))
    assert "text       'premise' with 'hypothesis'" in capsys.readouterr().out
    predictor = Predictor.from_pretrained(tmp_path / "model")
    with pytest.raises(
        UserError, match=r"reads pairs of texts \('premise' with 'hypothesis'\), but was given single texts"
    ):
        predictor(["it rains"])
    assert main(["predict", str(tmp_path / "model"), "it rains"]) == 1
    _, kept = predictor.task.read_and_cut(predictor.tokenizer, [of[0]["premise"]] * 2, ["dry", "dry " * 30])
    tokens = [predictor.tokenizer.convert_ids_to_tokens(row) for row in kept]
    assert [len(row) for row in kept] == [8, 8]
    assert tokens[0].count("dry") == 1
    assert tokens[1].count("dry") == 3
    assert all(row.count("</s>") == 1 for row in tokens)
    main(["predict", str(tmp_path / "model"), "--file", str(tmp_path / "a.jsonl"), "--output", str(tmp_path / "o")])
    answers = [json.loads(line)["prediction"] for line in (tmp_path / "o").read_text().splitlines()]
    write_jsonl(tmp_path / "half.jsonl", [{"premise": "it rains", "hypo": "wet", "label": 1}] * 3)
    write_jsonl(tmp_path / "other.jsonl", [{"sentence1": "it rains", "sentence2": "wet", "label": 1}] * 3)
    for door in (["predict", "--file"], ["evaluate", "--data"]):
        command = [door[0], str(tmp_path / "model"), door[1]]
        more = ["--output", str(tmp_path / "p")] if door[0] == "predict" else []
        capsys.readouterr()
        assert main([*command, str(tmp_path / "half.jsonl"), *more]) == 1
        assert "Write --text_pair_column NAME" in capsys.readouterr().err
        assert main([*command, str(tmp_path / "other.jsonl"), *more]) == 0
    (answer,) = predictor(["it rains"], ["wet"])
    assert json.loads((tmp_path / "p").read_text().splitlines()[0])["prediction"] == answer
    assert answers == predictor([row["premise"] for row in of], [row["hypothesis"] for row in of]) == predictor(of)


def test_of_equal_metrics_the_one_with_the_lower_loss_is_kept(tmp_path):
    config = run(tmp_path / "model", path=table(tmp_path / "a.csv", rows()))
    config["training"] |= {"num_train_epochs": 6, "learning_rate": 1e-4, "lr_scheduler_type": "constant"}
    hf_rnn.train(config)
    (checkpoint,) = (tmp_path / "model").glob("checkpoint-*")
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    evaluated = [row for row in state["log_history"] if "eval_loss" in row]
    best = max(row["eval_accuracy"] for row in evaluated)
    lowest = min((row["eval_loss"], -row["step"]) for row in evaluated if row["eval_accuracy"] == best)
    assert state["best_global_step"] == -lowest[1]
    assert sum(row["eval_accuracy"] == best for row in evaluated) > 1


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", proof("latin-1"), proof("cp1252"), proof("utf-8")])
def test_commands_print_on_any_standard_output(encoding, model, tmp_path):
    folder, _ = model
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    options = [f"--model.{name}={value}" for name, value in SMALL.items()]
    output = tmp_path / "a model"
    command = [sys.executable, "-m", "hf_rnn", "train", "--data.path", str(folder / "train.csv"), *options]
    command += ["--preset", "none", "--training.output_dir", str(output), "--training.num_train_epochs", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.decode(encoding)
    assert ("·" if encoding != "ascii" else "\\xb7") in printed
    assert f"hf-rnn predict '{output}' \"some text\"" in printed


@pytest.mark.parametrize(
    "setting",
    [
        "prediction_loss_only",
        "batch_eval_metrics",
        "use_liger_kernel",
        "gradient_checkpointing",
        "dataloader_persistent_workers",
    ],
)
def test_arguments_that_cannot_hold_are_refused_in_words(setting, model, tmp_path):
    config = run(tmp_path / "model", path=model[0] / "train.csv")
    config["training"][setting] = True
    with pytest.raises(UserError, match=rf"training.{setting}=True .*[Ll]eave it out"):
        hf_rnn.train(config)


def test_the_last_batch_is_dropped_in_training_alone(model, tmp_path):
    config = run(tmp_path / "model", path=model[0] / "train.csv")
    config["training"]["dataloader_drop_last"] = True
    assert "accuracy" in hf_rnn.train(config)["validation"]


def test_a_folder_of_an_older_release_is_evaluated_and_answers(model, tmp_path):
    folder, _ = model
    old = tmp_path / "old"
    old.mkdir()
    for file in (folder / "model").iterdir():
        if file.is_file() and file.name != "schema.json":
            (old / file.name).write_bytes(file.read_bytes())
    config = json.loads((old / "config.json").read_text())
    (old / "config.json").write_text(json.dumps({k: v for k, v in config.items() if not k.startswith("target_")}))
    (old / "run.yaml").write_text(f"data:\n  path: {folder / 'train.csv'}\n")
    told = [hf_rnn.evaluate(each, DataArguments(path=str(folder / "train.csv"))) for each in (old, folder / "model")]
    assert told[0] == told[1]
    assert main(["evaluate", str(old), "--split", "train"]) == 0
    output = str(tmp_path / "out.jsonl")
    assert main(["predict", str(old), "--file", str(folder / "train.csv"), "--output", output]) == 0
