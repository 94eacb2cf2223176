import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, tiny_config

from hf_rnn.cli.main import command_names, main
from hf_rnn.cli.wording import as_options


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_training_evaluating_and_predicting(capsys, tmp_path, tiny_run):
    import yaml

    data = tiny_run.parent / "reviews.csv"
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(tiny_config(data, tmp_path / "unused")))
    model = tmp_path / "model"
    code, out, _ = run(capsys, "train", "--config", tmp_path / "run.yaml", "--training.output_dir", model)
    assert code == 0
    assert "validation" in out
    assert f"hf-rnn predict {model}" in out
    code, out, _ = run(capsys, "evaluate", model, "--data", data, "--output", tmp_path / "metrics.json")
    assert code == 0
    assert out.startswith("300 rows: accuracy ")
    assert json.loads((tmp_path / "metrics.json").read_text())["rows"] == 300
    code, out, _ = run(capsys, "predict", model, "the film was good .", "")
    assert code == 0
    assert [line.split("\t")[0] in ("negative", "positive") for line in out.splitlines()] == [True, True]
    code, out, _ = run(capsys, "predict", model, "the film was good .", "--top_k", "0")
    assert "negative" in out
    assert "positive" in out
    code, out, _ = run(capsys, "predict", model, "--file", data, "--output", tmp_path / "out.jsonl")
    assert code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 300
    code, _, err = run(capsys, "predict", model, "--file", data, "--output", tmp_path / "out.jsonl")
    assert code == 1
    assert "exists already" in err
    assert "--overwrite" in err


def test_texts_and_files_are_cut_where_asked_for(capsys, tmp_path, tiny_run):
    _, cut, _ = run(capsys, "predict", tiny_run, "the film was not good .", "--max_length", "2")
    _, short, _ = run(capsys, "predict", tiny_run, "the .")
    assert cut.split("\t")[:2] == short.split("\t")[:2]
    (tmp_path / "a.csv").write_text("text,label\nthe film was not good .,negative\n")
    run(capsys, "predict", tiny_run, "--file", tmp_path / "a.csv", "--output", tmp_path / "b", "--max_length", "2")
    assert f"{json.loads((tmp_path / 'b').read_text())['prediction']['score']:.4f}" == cut.split("\t")[1]


def test_explaining(capsys, tmp_path, tiny_run):
    text, files = "the film was <not> good .", [tmp_path / f"it.{form}" for form in ("html", "png", "json")]
    outputs = [part for file in files for part in ("--output", file)]
    code, out, _ = run(capsys, "explain", tiny_run, text, "--target", "negative", *outputs)
    assert code == 0
    assert out.startswith("negative 0.")
    assert "\x1b" not in out
    assert "for negative:" in out
    assert all(file.stat().st_size for file in files)
    assert json.loads(files[2].read_text())["label"] == "negative"
    code, _, err = run(capsys, "explain", tiny_run, text, "--output", files[0])
    assert code == 1
    assert "exists already" in err
    code, out, _ = run(capsys, "explain", tiny_run, text, text, "--method", "occlusion")
    assert code == 0
    code, out, _ = run(capsys, "explain", tiny_run, text, "--how_it_read", "--output", tmp_path / "curve.png")
    assert code == 0
    assert [line.split("\t")[2] for line in out.splitlines()[:3]] == ["the", "film", "was"]
    # The explanation covers only the tokens that the model reads after truncation.
    code, out, _ = run(capsys, "explain", tiny_run, text, "--how_it_read", "--max_length", "2")
    assert [line.split("\t")[2] for line in out.splitlines()] == ["the", "."]


def test_diagnosing(capsys, tmp_path, tiny_run):
    code, out, _ = run(capsys, "diagnose", tiny_run, "--output", tmp_path / "flow.json")
    assert code == 0
    assert out.startswith("layer 1: ")
    told = json.loads((tmp_path / "flow.json").read_text())
    assert as_options(told["verdict"][0]) == out.splitlines()[0]
    assert len(told["flows"][0]["curves"]["layer 1"]) > 10
    data = tiny_run.parent / "reviews.csv"
    code, out, _ = run(capsys, "diagnose", tiny_run, "--data", data, "--steps", "5", "--output", tmp_path / "flow.png")
    assert code == 0
    assert (tmp_path / "flow.png").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "MODEL", ""], "no words to explain"),
        (["explain", "MODEL", "text", "--target", "negativ"], "did you mean --target negative?"),
        (["explain", "MODEL", "text", "--target", "²"], "--target '²' is not one of the labels"),
        (["explain", "MODEL", "text", "--method", "atention"], "did you mean --method attention?"),
        (["explain", "MODEL", "text", "--method", "attention"], "--model.pooling attention"),
        (
            ["explain", "MODEL", "text", "--output", "it.pdf"],
            "'it.pdf' ends in '.pdf', but must end in one of .html",
        ),
        (["explain", "MODEL", "text", "--output", "no/it.html"], "the folder 'no' of 'no/it.html' does not exist"),
        (["explain", "MODEL", "text", "--how_it_read", "--output", "it.html"], "must end in one of .png"),
        (["explain", "MODEL", "one", "two", "--output", "it.html"], "explain them one by one"),
        (
            ["explain", "MODEL", "مرحبا", "--output", "it.png"],
            "a PNG picture cannot show right-to-left text: write an HTML page, it.html",
        ),
        (["explain", "MODEL", "text", "--how_it_read", "--target", "negative"], "leave --method and --target out"),
        (["explain", "MODEL", "text", "--output", "/proc/it.json"], "'/proc/it.json' cannot be written"),
        (["demo", "MODEL", "--port", "99999"], "--port 99999 must be from 1 to 65535"),
        (["demo", "MODEL", "--space", "bad name!!", "--output", "space"], "bad name!!"),
        (["demo", "MODEL", "--space", "user/name", "--output", "/proc/space"], "'/proc/space' cannot be made"),
        (["demo", "MODEL", "--private"], "--private applies to a Space only"),
        (["diagnose", "MODEL", "--output", "/proc/it.json"], "'/proc/it.json' cannot be written"),
        (["diagnose", "MODEL", "--rows", "0"], "--rows 0 must be 1 or greater"),
        (["diagnose", "MODEL", "--data", "./nowhere.csv"], "there is no file or folder './nowhere.csv'"),
    ],
)
def test_what_cannot_be_explained_or_diagnosed(capsys, tmp_path, monkeypatch, tiny_run, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *(str(tiny_run) if part == "MODEL" else part for part in arguments))
    assert code == 1
    assert message in err
    assert not list(tmp_path.iterdir())


def test_evaluating_finds_the_columns_of_training_or_those_that_are_there(capsys, tmp_path, tiny_run):
    rows = "the film was good .,positive\nthe film was not good .,negative\n"
    (tmp_path / "same.csv").write_text("text,label\n" + rows)
    (tmp_path / "other.csv").write_text("review,sentiment\n" + rows)
    same = run(capsys, "evaluate", tiny_run, "--data", tmp_path / "same.csv")
    other = run(capsys, "evaluate", tiny_run, "--data", tmp_path / "other.csv")
    assert same[0] == other[0] == 0
    assert same[1] == other[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["trian"], 2, "did you mean train?"),
        (["train", "--model.hiden_size", "3"], 1, "did you mean 'model.hidden_size'"),
        (["train", "--task", "text_clasification"], 1, "did you mean --task text_classification?"),
        (["train", "--data.path", "./nowhere.csv"], 1, "there is no file or folder './nowhere.csv'"),
        (["predict", "MODEL", "a", "--file", "b.csv"], 1, "'a' and --file b.csv are both given: write one of them"),
        (["predict", "MODEL", "--file", "./b.csv"], 1, "there is no file or folder './b.csv'"),
        (["predict", "MODEL", "--file", "./b.csv", "--output", "./c.jsonl"], 1, "there is no file or folder './b.csv'"),
        (["predict", "./nowhere", "text"], 1, "there is no folder './nowhere'"),
        (["predict", "MODEL", "a", "--top_k", "-1"], 1, "--top_k -1 must be 0"),
        (["predict", "MODEL", "a", "--max_length", "-3"], 1, "--max_length -3 must be 1 or greater"),
        (["predict", "MODEL", "a", "--batch_tokens", "0"], 1, "--batch_tokens 0 must be 1 or greater"),
        (["evaluate", "MODEL", "--data", "REVIEWS", "--split", "dev"], 1, "no split 'dev', only train"),
        (["evaluate", "MODEL", "--data", "REVIEWS", "--label_column", "lable"], 1, "did you mean 'label'"),
        (["evaluate", "MODEL", "--dta", "x"], 1, "no key 'dta': did you mean 'data'"),
        (["evaluate", "MODEL", "--data", "REVIEWS", "--output", "no/such/folder.json"], 1, "does not exist: make it"),
    ],
)
def test_mistakes_get_one_message_and_no_traceback(capsys, tiny_run, monkeypatch, tmp_path, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    names = {"MODEL": str(tiny_run), "REVIEWS": str(tiny_run.parent / "reviews.csv")}
    returned, _, err = run(capsys, *(names.get(argument, argument) for argument in arguments))
    assert returned == code
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_there_is(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "hf-rnn predict MODEL" in out
    assert "\ncommands:\n    average " in out
    assert run(capsys, "--version")[1].startswith("hf-rnn ")


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path, tiny_run):
    """Run the quickstart under `accelerate launch` with two CPU processes and the same global batch size."""
    command = [
        # accelerate uses `--multi_gpu` for several processes on one machine, with or without GPUs.
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
        *(str(ROOT / "scripts" / "train.py"), "--config", str(ROOT / "configs" / "quickstart.yaml")),
        *("--training.output_dir", str(tmp_path / "two"), "--training.per_device_train_batch_size", "32"),
        *("--training.disable_tqdm", "true"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = json.loads((tmp_path / "two" / "metrics.json").read_text())
    assert metrics["run"]["world_size"] == 2
    assert sum(value for name, value in metrics["validation"].items() if name.startswith("support/")) == 480
    # One process reaches 0.929 to 0.944 with seeds 0 to 4. Counts of words and word pairs reach 0.744.
    assert metrics["validation"]["accuracy"] >= 0.9


@pytest.mark.parametrize(
    "arguments", [["--help"], ["predict", "--help"], ["evaluate", "--help"], ["--version"], ["trian"]]
)
def test_what_needs_no_model_does_not_wait_for_torch(arguments, tmp_path):
    """Check these commands in a separate process that starts like the installed command."""
    (tmp_path / "hf-rnn").write_text(
        "import sys\nfrom hf_rnn_command import entry\n"
        "try:\n    entry()\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, 'hf_rnn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, tmp_path / "hf-rnn", *arguments], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False True"


@pytest.mark.slow
def test_the_installed_command_predicts(tiny_run):
    """Check the registration of the models, which the command does later than `import hf_rnn`."""
    command = Path(sys.executable).with_name("hf-rnn")
    done = subprocess.run([command, "predict", tiny_run, "the film was good ."], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in ("positive", "negative")


@pytest.mark.slow
def test_a_script_with_the_name_of_the_command_gets_registered_models(tmp_path):
    (tmp_path / "hf-rnn.py").write_text(
        "import hf_rnn_command, hf_rnn\nfrom transformers import AutoConfig\n"
        "print(AutoConfig.for_model('hf_rnn').cell_type)"
    )
    done = subprocess.run([sys.executable, tmp_path / "hf-rnn.py"], capture_output=True, text=True)
    assert done.stdout == "lstm\n", done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["MODEL", "the film was good .", "-bad", "--top_k", "0"],
        ["--top_k", "0", "MODEL", "the film was good .", "-bad"],
        ["MODEL", "--top_k", "0", "the film was good .", "-bad"],
        ["MODEL", "the film was good .", "--top_k=0", "-bad"],
        ["--top_k", "0", "--", "MODEL", "the film was good .", "-bad"],
    ],
)
def test_texts_stand_anywhere_among_the_options_and_may_begin_with_a_dash(capsys, tiny_run, arguments):
    code, out, _ = run(capsys, "predict", *(str(tiny_run) if part == "MODEL" else part for part in arguments))
    assert code == 0
    assert [line.split("\t")[-1] for line in out.splitlines()] == ["the film was good .", "-bad"]
    assert all("negative" in line and "positive" in line for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "usage: hf-rnn "),
        (["train"], 0, "usage: hf-rnn train "),
        (["predict", "--help"], 0, "usage: hf-rnn predict "),
    ],
)
def test_help_is_shown_where_nothing_was_asked_for(capsys, arguments, code, message):
    returned, out, _ = run(capsys, *arguments)
    assert (returned, out.startswith(message)) == (code, True)


def test_every_command_of_the_list_has_a_help_of_its_own(capsys):
    _, listed, _ = run(capsys, "--help")
    for name in command_names():
        code, out, _ = run(capsys, name, "--help")
        assert code == 0
        summary = out.split("\n\n")[1]
        assert " ".join(summary.split()) in " ".join(listed.split())
        assert f"  hf-rnn {name} " in out.partition("examples:")[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainin:\n  seed: 3", "hf-rnn train: there is no key 'trainin.seed': did you mean 'training.seed'?"),
        ("training:\n  sead: 3", "hf-rnn train: there is no key 'training.sead': did you mean 'training.seed'?"),
        ("model: [unclosed", "run.yaml' is not valid YAML (line 1"),
    ],
)
def test_mistakes_in_the_file_of_a_run(capsys, tmp_path, text, message):
    (tmp_path / "run.yaml").write_text(text)
    code, _, err = run(capsys, "train", "--config", tmp_path / "run.yaml")
    assert code == 1
    assert message in err


def test_an_option_that_is_missing_is_named_as_it_is_written(capsys):
    code, _, err = run(capsys, "push", "folder")
    assert code == 1
    assert err.startswith(
        "hf-rnn push: the following arguments are required: REPO_ID (hf-rnn push --help lists the options)"
    )


def test_without_a_test_split_the_validation_rows_are_measured(capsys, tiny_run):
    code, out, _ = run(capsys, "evaluate", tiny_run)
    assert (code, out.split(":")[0]) == (0, "30 rows")
    code, out, _ = run(capsys, "evaluate", tiny_run, "--split", "train")
    assert (code, out.split(":")[0]) == (0, "300 rows")


def test_what_an_error_says_to_write_is_an_option_of_the_command(capsys, tmp_path, tiny_run):
    (tmp_path / "a.csv").write_text("one,two,label\nwords,words,negative\n")
    code, _, err = run(capsys, "evaluate", tiny_run, "--data", tmp_path / "a.csv")
    assert code == 1
    assert "Write --text_column " in err
