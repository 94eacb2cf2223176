"""`hf-rnn predict`: texts, standard input, files and the formats of answers."""

import csv
import io
import json
import subprocess
import sys

import pytest
from datasets import Dataset

from hf_rnn import Predictor
from hf_rnn.cli.main import main

ROWS = ["the film was good .", "the soup, 'bad', was \"dull\" .", ""]


@pytest.fixture
def rows_csv(tmp_path):
    with (tmp_path / "in.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerows([["id", "text"], *enumerate(ROWS)])
    return tmp_path / "in.csv"


def expected(model, texts):
    return [answer["label"] for answer in Predictor.from_pretrained(model)(texts)]


@pytest.mark.parametrize("arguments", [["-"], []])
def test_lines_of_standard_input(tiny_run, capsys, monkeypatch, arguments):
    monkeypatch.setattr(sys, "stdin", io.StringIO("the film was good .\r\n\nthe soup was bad .\n"))
    assert main(["predict", str(tiny_run), *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    texts = ["the film was good .", "", "the soup was bad ."]
    assert [line.split("\t")[0] for line in lines] == expected(tiny_run, texts)
    assert [line.split("\t")[2] for line in lines] == texts


def test_an_empty_standard_input_is_an_error(tiny_run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["predict", str(tiny_run)]) == 1
    assert "standard input has no line" in capsys.readouterr().err


def test_standard_input_in_another_encoding_is_an_error(tiny_run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("déjà vu\n".encode("latin-1")), encoding="utf-8"))
    assert main(["predict", str(tiny_run), "-"]) == 1
    assert "standard input is not utf-8" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("déjà vu\n".encode("latin-1")), encoding="utf-8"))
    assert main(["predict", str(tiny_run), "-", "--encoding", "latin1"]) == 0
    assert capsys.readouterr().out.split("\t")[2] == "déjà vu\n"


def test_a_file_without_output_is_printed(tiny_run, rows_csv, capsys):
    assert main(["predict", str(tiny_run), "--file", str(rows_csv)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == expected(tiny_run, ROWS)


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_the_ending_of_the_output_says_its_format(tiny_run, rows_csv, tmp_path, ending):
    output = tmp_path / f"out{ending}"
    assert main(["predict", str(tiny_run), "--file", str(rows_csv), "--output", str(output)]) == 0
    if ending in (".csv", ".tsv"):
        with output.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t" if ending == ".tsv" else ","))
        labels = [row["prediction.label"] for row in rows]
        assert all(0 < float(row["prediction.score"]) <= 1 for row in rows)
    else:
        read = Dataset.from_parquet(str(output), cache_dir=str(tmp_path / "cache")) if ending == ".parquet" else None
        rows = list(read) if read else [json.loads(line) for line in output.read_text().splitlines()]
        labels = [row["prediction"]["label"] for row in rows]
    assert labels == expected(tiny_run, ROWS)
    assert [row["text"] or "" for row in rows] == ROWS
    assert sorted(file.name for file in tmp_path.iterdir() if file.name != "cache") == ["in.csv", output.name]


def test_a_carriage_return_in_a_text_stays_in_its_field(tiny_run, tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "the film\rwas good ."}))
    output = tmp_path / "out.csv"
    assert main(["predict", str(tiny_run), "--file", str(tmp_path / "in.jsonl"), "--output", str(output)]) == 0
    with output.open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == ["the film\rwas good ."]


def test_answers_of_another_model_are_not_written_over(tiny_run, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("text,prediction.label\na,b\n")
    output = tmp_path / "out.csv"
    assert main(["predict", str(tiny_run), "--file", str(tmp_path / "in.csv"), "--output", str(output)]) == 1
    assert "has a column 'prediction.label'" in capsys.readouterr().err


def test_printed_answers_replace_no_column(tiny_run, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("text,prediction\nthe film was good .,mine\n")
    assert main(["predict", str(tiny_run), "--file", str(tmp_path / "in.csv")]) == 0
    assert capsys.readouterr().out.endswith("the film was good .\n")


@pytest.mark.slow
def test_a_reader_that_ends_early_is_no_error(tiny_run, tmp_path):
    (tmp_path / "in.txt").write_text("the film was good .\n" * 2000)
    command = [sys.executable, "-m", "hf_rnn", "predict", str(tiny_run), "--file", str(tmp_path / "in.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as predicting:
        assert predicting.stdout.readline().endswith("the film was good .\n")
        predicting.stdout.close()
        told = predicting.stderr.read()
        assert predicting.wait() == 141
    assert "BrokenPipe" not in told


@pytest.mark.parametrize("command", [["predict", "the film was good ."], ["evaluate"]])
def test_one_of_several_processes_prints(tiny_run, capsys, monkeypatch, command):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert main([command[0], str(tiny_run), *command[1:]]) == 0
    assert not capsys.readouterr().out


def test_answers_of_several_labels_are_json_in_a_csv_file(tiny_run, rows_csv, tmp_path):
    output = tmp_path / "out.csv"
    arguments = ["predict", str(tiny_run), "--file", str(rows_csv), "--output", str(output), "--top_k", "0"]
    assert main(arguments) == 0
    with output.open(newline="") as file:
        assert all(
            sorted(json.loads(row["prediction.labels"])) == ["negative", "positive"] for row in csv.DictReader(file)
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--output", "o.csv"], "--output o.csv is for the answers to a file"),
        (["a", "--file", "in.csv"], "'a' and --file in.csv are both given: write one of them"),
        (["--file", "in.csv", "--output", "o.xlsx"], "not written as '.xlsx', only as .jsonl, .csv, .tsv, .parquet"),
    ],
)
def test_wrong_arguments(tiny_run, arguments, message, capsys):
    assert main(["predict", str(tiny_run), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_one_text_and_missing_ones_in_python(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    assert predictor("the film was good .") == predictor(["the film was good ."])[0]
    assert predictor([float("nan")]) == predictor([""]) == predictor([None])
    assert predictor(["the film"], top_k=0) == predictor(["the film"], top_k=None)
