"""Tests of the command hf-rnn-run."""

import io
import json
import os
import subprocess
import sys

import pytest
from support import ROOT

from hf_rnn import HfRnnError
from hf_rnn.runtime import Model, command

TEXTS = ["the film was good .", "", "it was bad , but 你好"]


def answers(capsys, *arguments) -> list[dict]:
    command.run([str(argument) for argument in arguments])
    return list(map(json.loads, capsys.readouterr().out.splitlines()))


def test_texts_files_and_standard_input_have_the_same_answers(exported, capsys, monkeypatch, tmp_path):
    folder = exported["one_label"]
    expected = Model.from_pretrained(folder).predict(TEXTS, top_k=2)
    assert answers(capsys, folder, *TEXTS, "--top_k", 2) == expected
    lines, rows = tmp_path / "texts.txt", tmp_path / "rows.jsonl"
    lines.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(TEXTS).encode() + b"\r\n")
    rows.write_text("".join(json.dumps({"id": 1, "text": text}) + "\n" for text in TEXTS))
    for file in (lines, rows):
        assert answers(capsys, folder, "--file", file, "--top_k", 2) == expected
    for read in ((), ("--file", "-")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(TEXTS).encode()), encoding="latin1"))
        assert answers(capsys, folder, *read, "--top_k", 2) == expected


def test_pairs_and_options(exported, capsys, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": TEXTS[0], "text_pair": TEXTS[2]}))
    (expected,) = Model.from_pretrained(exported["pairs"]).predict([TEXTS[0]], [TEXTS[2]], top_k=0, min_score=0.3)
    options = ["--top_k", 0, "--min_score", 0.3, "--threads", 2]
    assert answers(capsys, exported["pairs"], "--file", rows, *options) == [expected]
    # The columns of the training data.
    rows.write_text(json.dumps({"premise": TEXTS[0], "hypothesis": TEXTS[2], "text": "another one"}))
    assert answers(capsys, exported["pairs"], "--file", rows, *options) == [expected]


def test_texts_may_stand_after_options(exported, capsys):
    folder = exported["one_label"]
    expected = Model.from_pretrained(folder).predict(TEXTS[:2], top_k=2)
    assert answers(capsys, folder, TEXTS[0], "--top_k", 2, TEXTS[1]) == expected
    assert answers(capsys, "--threads", 1, folder, "--top_k", 2, *TEXTS[:2]) == expected


def test_a_misspelt_option_is_named_with_the_nearest_one(exported, capsys):
    with pytest.raises(SystemExit):
        command.run([str(exported["one_label"]), "a", "--quantised"])
    assert "there is no option --quantised: did you mean --quantized?" in capsys.readouterr().err


def test_the_form_of_lines_is_named_by_the_ending_or_an_option(exported, capsys, tmp_path):
    folder, row = exported["one_label"], json.dumps({"text": TEXTS[0]})
    expected = Model.from_pretrained(folder).predict([TEXTS[0], row])
    for name, arguments, answer in (
        ("rows.JSONL", (), expected[:1]),
        ("rows.txt", ("--format", "jsonl"), expected[:1]),
        ("rows.txt", ("--format", "text"), expected[1:]),
    ):
        # Blank lines are no rows of JSON Lines.
        (tmp_path / name).write_text(row + ("\n\n" if answer == expected[:1] else "\n"))
        assert answers(capsys, folder, "--file", tmp_path / name, *arguments) == answer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_commands_that_cannot_be_run(exported, monkeypatch, tmp_path):
    folder, pairs = str(exported["one_label"]), str(exported["pairs"])
    monkeypatch.setattr(sys, "stdin", Terminal())
    for arguments, message in (
        ([folder], "there is no text: write hf-rnn-run MODEL"),
        ([folder, "a", "--file", "b.txt"], "'a' and --file b.txt are both given"),
        ([folder, "--file", str(tmp_path / "nothing.txt")], r"nothing\.txt' cannot be read \(No such file"),
        ([folder, "--file", str(tmp_path / "latin.txt")], r"latin\.txt' is not UTF-8"),
        (
            [folder, "--file", str(tmp_path / "bad.jsonl")],
            r"line 2 of .*bad\.jsonl' is '\{\"txt\": 1\}', without 'text': write",
        ),
        ([folder, "--file", str(tmp_path / "dict.jsonl")], "is of type dict: pass texts"),
        ([folder, "--file", str(tmp_path / "empty.txt")], "the input has no line"),
        ([folder, "--file", str(tmp_path / "rows.txt")], "line 1 of .* is a JSON object, .*: write --format jsonl"),
        ([pairs, "--file", str(tmp_path / "bad.jsonl")], """without 'text_pair': write .*"text_pair": "…"}"""),
        ([pairs, "a"], "single texts: pass pairs, .* or to hf-rnn-run a file of JSON Lines with both"),
        ([folder, "a", "--quantized"], "leave quantized out"),
        ([folder, "a", "--revision", "main"], "revision='main' is for models on the Hub"),
        ([folder, "--file", "reviews.csv"], r"--file reviews\.csv is a table or compressed, .* JSON Lines"),
        ([folder, "--file", "texts.txt.gz"], r"--file texts\.txt\.gz is a table or compressed"),
        ([folder, "a", "--top_k", "-1"], "top_k=-1 must be a whole number"),
    ):
        (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
        (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"txt": 1}\n')
        (tmp_path / "dict.jsonl").write_text('{"text": {}}\n')
        (tmp_path / "empty.txt").write_text("")
        (tmp_path / "rows.txt").write_text('{"text": "a"}\n')
        with pytest.raises(HfRnnError, match=message):
            command.run(arguments)


def test_the_process_prints_lines_of_json_or_one_line_of_error(exported):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "runtime" / "src"), "PYTHONIOENCODING": "ascii"}

    def process(*arguments: str) -> subprocess.CompletedProcess:
        line = [sys.executable, "-m", "hf_rnn_runtime", *arguments]
        return subprocess.run(line, capture_output=True, env=environment, input=b"")

    done = process(str(exported["tagger"]), "你好 Anna Blackburn")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode())["entities"]
    done = process("/nowhere", "text")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"hf-rnn-run: there is no folder '/nowhere'")
    assert done.stderr.count(b"\n") == 1
