import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import hub_calls
import pytest
import torch
from conftest import tiny_config
from hub_server import Fault, HubServer
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

import hf_rnn
from hf_rnn.handwriting import MARKER

ROOT = Path(__file__).parents[1]
WHOLE = {
    ".gitattributes",
    "README.md",
    "config.json",
    "configuration_rnn.py",
    "confusion_matrix.png",
    "metrics.json",
    "model.safetensors",
    "modeling_rnn.py",
    "recurrence.py",
    "recurrence_cpu.py",
    "modeling_causal_rnn.py",
    "run.yaml",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_curves.png",
}


class Client:
    """Another process, whose Hub is the server of the test."""

    def __init__(self, server: HubServer, home: Path):
        self.server, self.home = server, home
        self.environment = server.environment(home)
        self.pool = ProcessPoolExecutor(
            1, get_context("spawn"), initializer=hub_calls.start, initargs=(self.environment,)
        )

    def __call__(self, function: Callable, *arguments, **options):
        return self.pool.submit(function, *arguments, **options).result(120)

    def cli(self, *arguments, token: str | None = None, folder: Path | None = None) -> tuple[int, str, str]:
        return self(hub_calls.cli, [str(a) for a in arguments], token, str(folder) if folder else None)

    def fails(self, *arguments, **options) -> str:
        code, _, error = self.cli(*arguments, **options)
        assert code == 1
        assert error.count("\n") == 0, "an error is one line"
        return error

    def process(self, *arguments, home: Path | None = None, text: str | None = None, **environment) -> str:
        """The output of a process of its own."""
        variables = {**os.environ, **self.server.environment(home or self.home), "OMP_NUM_THREADS": "1", **environment}
        done = subprocess.run(arguments, env=variables, input=text, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def server():
    with HubServer(chunk_size=10_000) as server:
        yield server


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    client = Client(server, tmp_path_factory.mktemp("home"))
    yield client
    client.pool.shutdown()


@pytest.fixture(autouse=True)
def _an_empty_hub(server):
    server.repos.clear()
    server.objects.clear()
    server.faults.clear()


@pytest.fixture
def repo_id(request) -> str:
    """A name that no other test uses, for the client's cache is shared."""
    return "user/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-80:].strip("-")


@pytest.fixture
def model(tiny_run, tmp_path) -> Path:
    """A folder of a trained model that a test may spoil."""
    return Path(shutil.copytree(tiny_run, tmp_path / "model"))


def random_model(tokenizer, **settings) -> hf_rnn.RNNForSequenceClassification:
    config = hf_rnn.RNNConfig(vocab_size=len(tokenizer), embedding_size=8, hidden_size=6, pad_token_id=0, **settings)
    return hf_rnn.RNNForSequenceClassification(config)


def titles(server: HubServer, repo_id: str, revision: str = "main") -> list[str]:
    return [commit.title for commit in server.repo(repo_id).history(revision)]


# The round trip -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory) -> str:
    """A virtual environment that has transformers and not hf_rnn: it sees the packages of this one but not what was
    installed here for editing, since that hangs on a .pth file, which is followed in a site folder only."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"])
    return str(folder / "bin" / "python")


def test_what_was_pushed_loads_in_three_ways_bit_by_bit(server, client, tmp_path, bare_python):
    quickstart = tmp_path / "quickstart"
    run = ["--config", ROOT / "configs" / "quickstart.yaml", "--training.output_dir", quickstart]
    assert client.cli("train", *run, "--training.max_steps", "6", "--training.disable_tqdm", "true")[0] == 0
    tokenizer = AutoTokenizer.from_pretrained(quickstart)
    models = {"quickstart": (quickstart, [], {})}
    for cell in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        settings = {"bidirectional": cell != "gru", "pooling": "attention" if cell == "gru" else "concat"}
        random_model(tokenizer, cell_type=cell, **settings).save_pretrained(tmp_path / cell)
        models[cell] = (tmp_path / cell, [], {})
    both_ways = {"bidirectional": True, "independent_directions": True}
    language_model = hf_rnn.RNNForCausalLM(random_model(tokenizer, **both_ways, eos_token_id=3).config)
    language_model.save_pretrained(tmp_path / "language_model")
    lent = hf_rnn.RNNForSequenceClassification.from_pretrained(tmp_path / "language_model", num_labels=3)
    lent.save_pretrained(tmp_path / "lent")
    models |= {name: (tmp_path / name, [], {}) for name in ("language_model", "lent")}
    random_model(tokenizer).to(torch.bfloat16).save_pretrained(tmp_path / "bf16")
    models["bf16"] = (tmp_path / "bf16", [], {})
    random_model(tokenizer).save_pretrained(tmp_path / "sharded", max_shard_size="2KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    models["sharded"] = (tmp_path / "sharded", [], {})
    random_model(tokenizer).save_pretrained(tmp_path / "private")
    models["private"] = (tmp_path / "private", ["--private"], {})
    random_model(tokenizer).save_pretrained(tmp_path / "branch")
    models["branch"] = (tmp_path / "branch", ["--revision", "trial"], {"revision": "trial"})
    random_model(tokenizer).save_pretrained(tmp_path / "tagged")
    models["tagged"] = (tmp_path / "tagged", [], {"revision": "v1"})
    for name, (folder, options, _) in models.items():
        tokenizer.save_pretrained(folder)
        code, out, error = client.cli("push", folder, f"user/{name}", *options)
        assert (code, error) == (0, "")
        assert out.startswith(f"{server.url}/user/{name}/commit/")
    tagged = server.repo("user/tagged")
    tagged.tags["v1"] = tagged.branches["main"]
    random_model(tokenizer, cell_type="gru").save_pretrained(tmp_path / "newer")
    assert client.cli("push", tmp_path / "newer", "user/tagged")[0] == 0
    first = server.repo("user/quickstart").branches["main"]
    models["commit"] = (quickstart, [], {"revision": first})

    places = json.dumps([[f"user/{'quickstart' if n == 'commit' else n}", how] for n, (_, _, how) in models.items()])
    local = json.dumps([[str(folder), {}] for folder, _, _ in models.values()])
    load = [str(Path(__file__).with_name("hub_load.py"))]
    home = tmp_path / "home"
    expected = json.loads(client.process(sys.executable, *load, "package", text=local))
    found = {
        "package": client.process(sys.executable, *load, "package", home=home, text=places),
        "code": client.process(bare_python, *load, "code", home=tmp_path / "other", text=places),
        "offline": client.process(sys.executable, *load, "package", home=home, text=places, HF_HUB_OFFLINE="1"),
    }
    assert server.repo("user/private").private
    for way, printed in found.items():
        for name, here, there in zip(models, expected, json.loads(printed), strict=True):
            assert there["module"] == ("transformers_modules" if way == "code" else "hf_rnn"), (way, name)
            assert (there["weights"], there["dtype"]) == (here["weights"], here["dtype"]), (way, name)
            for key in ("logits", "states", "answers"):
                torch.testing.assert_close(torch.tensor(there[key]), torch.tensor(here[key]), atol=1e-6, rtol=0)


def test_one_push_is_one_commit_of_the_whole_model_and_nothing_else(server, client, model, repo_id):
    (model / "secret.env").write_text("not for the Hub")
    (model / "training_args.bin").write_bytes(b"a pickle")
    assert client.cli("push", model, repo_id, "--commit_message", "First words")[0] == 0
    assert titles(server, repo_id) == ["First words", "initial commit"]
    files = server.repo(repo_id).files()
    assert files.keys() == WHOLE
    for name in WHOLE - {".gitattributes", "README.md"}:
        assert files[name] == (model / name).read_bytes()


def test_pushing_the_same_again_adds_no_commit(server, client, model, repo_id):
    first, again = (client.cli("push", model, repo_id) for _ in range(2))
    assert first[1] == again[1]
    assert len(titles(server, repo_id)) == 2


def test_a_later_model_leaves_no_file_of_an_earlier_one(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    for name in ("training_curves.png", "confusion_matrix.png", "metrics.json"):
        (model / name).unlink()
    loaded = hf_rnn.RNNForSequenceClassification.from_pretrained(model)
    (model / "model.safetensors").unlink()
    loaded.save_pretrained(model, max_shard_size="4KB")
    assert client.cli("push", model, repo_id)[0] == 0
    names = set(server.repo(repo_id).files())
    assert not names & {"training_curves.png", "confusion_matrix.png", "metrics.json", "model.safetensors"}
    assert "model.safetensors.index.json" in names


def test_transformers_own_push_leaves_a_model_that_loads_and_a_card(server, client, model, repo_id):
    url = client(hub_calls.push_to_hub, str(model), repo_id, private=True, tags=["mine"])
    repo = server.repo(repo_id)
    assert url.endswith(repo.branches["main"])
    assert repo.private
    assert repo.files().keys() == WHOLE - {"run.yaml", "metrics.json", "training_curves.png", "confusion_matrix.png"}
    card = repo.files()["README.md"].decode()
    assert "More Information Needed" not in card
    assert "- mine\n" in card
    assert titles(server, repo_id) == ["Upload tokenizer", "Upload model", "initial commit"]
    assert client.cli("predict", repo_id, "the film was good .")[0] == 0


def test_a_configuration_is_pushed_with_the_code_that_it_names(server, client, model, repo_id, tmp_path):
    client(hub_calls.save_config, str(model), str(tmp_path / "saved"), repo_id)
    assert {"config.json", "configuration_rnn.py", "modeling_rnn.py"} <= server.repo(repo_id).files().keys()


def test_the_server_keeps_refs_and_repositories_as_the_client_asks(server, client, repo_id):
    assert client(hub_calls.keep_house, repo_id) == [["main", "side"], ["v1"], ["two", "one", "initial commit"]]
    assert not server.repos


def test_the_hf_command_line_uploads_lists_and_downloads(server, client, model, repo_id, tmp_path):
    hf = str(Path(sys.executable).with_name("hf"))
    client.process(hf, "upload", repo_id, str(model))
    assert repo_id in client.process(hf, "models", "ls", "--author", "user", "-q")
    assert "model.safetensors" in client.process(hf, "models", "ls", repo_id)
    client.process(hf, "download", repo_id, "--local-dir", str(tmp_path / "fetched"))
    assert (tmp_path / "fetched" / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    code, out, _ = client.cli("predict", tmp_path / "fetched", "the film was good .")
    assert code == 0
    assert out == client.cli("predict", repo_id, "the film was good .")[1]


def test_prediction_from_the_hub_cuts_as_in_training(client, model, repo_id, tmp_path):
    run = (model / "run.yaml").read_text().replace("data:", "data:\n  max_length: 3\n  truncation: head")
    (model / "run.yaml").write_text(run)
    assert client.cli("push", model, repo_id)[0] == 0
    long, short = (client.cli("predict", repo_id, text)[1].split("\t")[1] for text in ("it is a bad film", "it is a"))
    assert long == short


# While training -------------------------------------------------------------------------------------------------------


def tiny_training(data: Path, folder: Path, **training) -> list[str]:
    """The command line of the run that `tiny_config` describes."""
    sections = tiny_config(data, folder, **{"num_train_epochs": 4, "learning_rate": 0.003, **training})
    return [
        f"--{s}.{key}={value}".replace("=True", "=true") for s, keys in sections.items() for key, value in keys.items()
    ]


@pytest.mark.parametrize(
    ("strategy", "pushes", "folders"),
    [
        ("end", ["End of training"], set()),
        ("every_save", ["End of training", "epoch 2", "epoch 1"], set()),
        ("checkpoint", ["End of training", "epoch 2", "epoch 1"], {"last-checkpoint"}),
        ("all_checkpoints", ["End of training", "epoch 2", "epoch 1"], {"checkpoint-9", "checkpoint-18"}),
    ],
)
def test_each_strategy_pushes_what_it_says(server, client, tiny_run, repo_id, tmp_path, strategy, pushes, folders):
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=2)
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", f"--training.hub_strategy={strategy}"]
    assert client.cli("train", *run, *hub)[0] == 0
    done = [title.removeprefix("Training in progress, ") for title in titles(server, repo_id)]
    assert done == [*pushes, "initial commit"]
    files = server.repo(repo_id).files()
    assert {path for path in files if "/" not in path} == WHOLE
    assert {path.partition("/")[0] for path in files if "/" in path} - {"best-checkpoint"} == folders
    assert not any(path.endswith("training_args.bin") for path in files)
    assert files["model.safetensors"] == (tmp_path / "run" / "model.safetensors").read_bytes()
    if folders:
        run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "elsewhere", num_train_epochs=2)
        assert client.cli("train", *run, *hub, "--training.resume=true")[0] == 0
        assert (tmp_path / "elsewhere" / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_training_killed_after_its_second_push_goes_on_elsewhere(server, client, tiny_run, repo_id, tmp_path):
    data = tiny_run.parent / "reviews.csv"
    assert client.cli("train", *tiny_training(data, tmp_path / "uncut"))[0] == 0
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    server.faults.append(Fault("hang", "POST .*/commit/", after=2))
    command = [sys.executable, "-m", "hf_rnn.cli", "train", *tiny_training(data, tmp_path / "killed"), *hub]
    variables = {**os.environ, **server.environment(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("w") as log:
        training = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        server.wait_for(lambda: ("model", repo_id) in server.repos and len(titles(server, repo_id)) == 3)
        training.kill()
        training.wait()
    server.faults.clear()
    shutil.rmtree(tmp_path / "killed")
    elsewhere = tiny_training(data, tmp_path / "elsewhere")
    code, _, error = client.cli("train", *elsewhere, *hub, "--training.resume=true")
    assert (code, error) == (0, "")
    uncut, resumed = (json.loads((tmp_path / n / "metrics.json").read_text()) for n in ("uncut", "elsewhere"))
    assert resumed["validation"] == uncut["validation"]
    assert resumed["run"]["best_step"] == uncut["run"]["best_step"]
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("uncut", "elsewhere")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert titles(server, repo_id)[0] == "End of training"


def test_the_best_checkpoint_comes_along_with_the_newest(server, client, tiny_run, repo_id, tmp_path):
    data = tiny_run.parent / "reviews.csv"
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    # Of the worst model the best is the first.
    worst = {"metric_for_best_model": "accuracy", "greater_is_better": "false", "num_train_epochs": 3}
    assert client.cli("train", *tiny_training(data, tmp_path / "first", **worst), *hub)[0] == 0
    assert json.loads((tmp_path / "first" / "metrics.json").read_text())["run"]["best_step"] < 27
    assert "best-checkpoint/model.safetensors" in server.repo(repo_id).files()
    again = tiny_training(data, tmp_path / "second", **worst)
    assert client.cli("train", *again, *hub, "--training.resume=true")[0] == 0
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_a_run_goes_on_elsewhere_more_than_once_with_its_data_in_another_place(
    server, client, tiny_run, repo_id, tmp_path
):
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    first = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "first", num_train_epochs=2)
    assert client.cli("train", *first, *hub)[0] == 0
    copy = shutil.copy(tiny_run.parent / "reviews.csv", tmp_path / "copy.csv")
    again = tiny_training(copy, tmp_path / "second", num_train_epochs=2)
    for _ in range(2):
        assert client.cli("train", *again, *hub, "--training.resume=true")[::2] == (0, "")


def test_checkpoints_of_an_earlier_run_are_not_gone_on_with(server, client, tiny_run, repo_id, tmp_path):
    server.create(repo_id, files={"checkpoint-100/trainer_state.json": b"{}", "last-checkpoint/old.bin": b"old"})
    hub = [
        "--training.push_to_hub=true",
        f"--training.hub_model_id={repo_id}",
        "--training.hub_strategy=all_checkpoints",
    ]
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=2)
    assert client.cli("train", *run, *hub)[0] == 0
    folders = {path.partition("/")[0] for path in server.repo(repo_id).files() if "/" in path}
    assert folders == {"checkpoint-9", "checkpoint-18"}


def test_a_checkpoint_that_no_run_made_is_not_fetched(server, client, tiny_run, repo_id, tmp_path):
    server.create(repo_id, files={"last-checkpoint/trainer_state.json": b"{}"})
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.resume=true"]
    error = client.fails("train", *tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run"), *hub)
    assert "has a checkpoint but no run.yaml" in error
    assert not list((tmp_path / "run").glob("checkpoint*"))


def test_a_push_that_fails_while_training_does_not_end_it(server, client, tiny_run, repo_id, tmp_path):
    server.faults.append(Fault(500, "POST .*/commit/", times=10))
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=every_save"]
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=3)
    assert client.cli("train", *run, *hub)[0] == 0
    assert titles(server, repo_id) == ["End of training", "Training in progress, epoch 3", "initial commit"]


def test_a_last_push_that_fails_names_the_line_to_push_later(server, client, tiny_run, repo_id, tmp_path):
    server.faults.append(Fault(500, "POST .*/commit/", times=5))
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=end"]
    folder = tmp_path / "run"
    error = client.fails("train", *tiny_training(tiny_run.parent / "reviews.csv", folder, num_train_epochs=1), *hub)
    assert f"later, hf-rnn push {folder} {repo_id}" in error
    assert client.cli("push", folder, repo_id)[0] == 0


def test_the_trainer_by_itself_pushes_a_card_with_its_metrics(server, client, tiny_run, repo_id, tmp_path):
    data = str(tiny_run.parent / "reviews.csv")
    message, accuracies = client(hub_calls.trainer_pushes, str(tmp_path / "run"), data, repo_id)
    assert message == "End of training"
    assert min(accuracies) < accuracies[-1], "the best by this run's measure is not the last"
    card = server.repo(repo_id).files()["README.md"].decode()
    assert f"| accuracy | {min(accuracies):.2%} |" in card
    assert "language: en" in card
    assert "- mine\n" in card
    assert titles(server, repo_id) == ["End of training", "initial commit"]


def test_a_run_is_refused_before_training_where_it_cannot_be_pushed(client, tiny_run, repo_id, tmp_path):
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run")
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}"]
    assert "may only read" in client.fails("train", *run, *hub, token="hf_reader")
    assert not (tmp_path / "run" / "config.json").exists()
    error = client.fails("train", *run, *hub, "--training.resume=true")
    assert "is not on the Hub" in error


# Failures -------------------------------------------------------------------------------------------------------------

STEPS = {
    "create": "POST /api/repos/create",
    "info": "GET /api/models/user/",
    "card check": "POST /api/validate-yaml",
    "preupload": "POST .*/preupload/",
    "lfs batch": "POST .*/info/lfs/objects/batch",
    "lfs upload": "PUT /lfs/",
    "lfs verify": "POST /lfs/.*/verify",
    "commit": "POST .*/commit/",
}


@pytest.mark.parametrize("kind", [429, 500, "cut"])
@pytest.mark.parametrize("step", STEPS)
def test_a_push_gets_over_a_failure_that_passes(server, client, model, repo_id, step, kind):
    server.faults.append(Fault(kind, STEPS[step], retry_after=0))
    code, _, error = client.cli("push", model, repo_id)
    assert (code, error) == (0, "")
    assert not server.faults[0].times, "the fault was never met"
    assert titles(server, repo_id) == ["Upload model", "initial commit"]
    assert server.repo(repo_id).files()["model.safetensors"] == (model / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(500, "POST .*/commit/", times=99), "the Hub fails (500)"),
        (Fault(429, "POST .*/commit/", times=99, retry_after=0), "no more requests for now (429)"),
        (Fault("cut", "POST .*/commit/", times=99), "cannot be reached"),
        (Fault("wrong_hash", "PUT|POST /lfs/[0-9a-f]*$", times=99), "is not the one that was announced"),
        (Fault("race", "POST .*/commit/", times=99), "others commit to"),
        (Fault(400, "POST .*/commit/", times=99), "the Hub refused (400): told to fail"),
    ],
    ids=lambda value: str(value.kind) if isinstance(value, Fault) else "",
)
def test_a_push_that_fails_changes_nothing_and_the_same_command_goes_on(server, client, model, repo_id, fault, message):
    server.faults.append(fault)
    assert message in client.fails("push", model, repo_id)
    assert "model.safetensors" not in server.repo(repo_id).files()
    assert "Upload model" not in titles(server, repo_id)
    server.faults.clear()
    assert client.cli("push", model, repo_id)[0] == 0
    assert titles(server, repo_id).count("Upload model") == 1


@pytest.mark.parametrize("step", ["POST .*/commit/", "PUT /lfs/"])
def test_a_hub_that_never_answers_is_asked_again(server, client, model, repo_id, step):
    server.faults.append(Fault("hang", step))
    assert client.cli("push", model, repo_id)[0] == 0
    assert titles(server, repo_id) == ["Upload model", "initial commit"]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(server, client, model, repo_id):
    server.faults.append(Fault("lost", "POST .*/commit/"))
    assert client.cli("push", model, repo_id)[0] == 0
    assert titles(server, repo_id) == ["Upload model", "initial commit"]


def test_a_push_that_loses_a_race_builds_on_the_winner(server, client, model, repo_id):
    server.faults.append(Fault("race", "POST .*/commit/"))
    assert client.cli("push", model, repo_id)[0] == 0
    assert titles(server, repo_id) == ["Upload model", "the other was faster", "initial commit"]
    assert server.repo(repo_id).files()["RACE.md"] == b"first"


@pytest.mark.parametrize("kind", [429, 500, "cut", "wrong_hash"])
@pytest.mark.parametrize("step", ["GET /api/models/user/", "(HEAD|GET) .*/resolve/.*config.json", "GET /cdn/"])
def test_loading_gets_over_a_failure_that_passes(server, client, model, repo_id, step, kind):
    if kind == "wrong_hash" and "api" in step:
        pytest.skip("there is no hash of an answer of the API")
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault(kind, step, retry_after=0))
    code, out, _ = client.cli("predict", repo_id, "the film was good .")
    assert not server.faults[0].times, "the fault was never met"
    assert (code, out) == (0, client.cli("predict", model, "the film was good .")[1])


def test_bytes_that_are_wrong_each_time_are_never_loaded(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault("wrong_hash", "GET /cdn/", times=99))
    assert "arrives damaged each time" in client.fails("predict", repo_id, "the film was good .")
    assert "is not what was pushed" in client(hub_calls.load, repo_id)


# Errors that hand over the fix ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "name", "message"),
    [
        ("", "user/mine", "there is no token to write to the Hub with: hf auth login"),
        ("hf_reader", "user/mine", "may only read: make one that may write"),
        ("hf_wrong", "user/mine", "does not know the token in use"),
        ("hf_writer", "other/theirs", "push to user/theirs"),
        ("hf_writer", "user/a b", "write USER/NAME"),
        ("hf_writer", "user/taken", "is taken by a model of type 'bert'"),
        ("hf_writer", "user/weights", "is taken by weights without a config.json"),
    ],
)
def test_a_name_that_cannot_be_pushed_to(server, client, model, token, name, message):
    server.create("user/taken", files={"config.json": b'{"model_type": "bert"}'})
    server.create("user/weights", files={"model.safetensors": b"of another library"})
    assert message in client.fails("push", model, name, token=token)
    assert server.repos.keys() == {("model", "user/taken"), ("model", "user/weights")}


@pytest.mark.parametrize(
    ("options", "token", "message"),
    [
        (["user/none"], None, "is not on the Hub, or is private"),
        (["user/private"], "hf_other", "is not on the Hub, or is private"),
        (["user/gated"], "hf_other", "is gated: ask for access at"),
        (["user/open", "--revision", "v9"], None, "no revision 'v9', only main, v1: write --revision main"),
        (["user/bert"], None, "is a bert model, not one of hf_rnn"),
        (["user/empty"], None, "holds no model that can be loaded"),
    ],
)
def test_a_model_that_cannot_be_had(server, client, model, options, token, message):
    for name in ("private", "gated", "open"):
        assert client.cli("push", model, f"user/{name}")[0] == 0
    server.repo("user/private").private = server.repo("user/gated").gated = True
    server.repo("user/open").tags["v1"] = server.repo("user/open").branches["main"]
    server.create("user/bert", files={"config.json": b'{"model_type": "bert"}'})
    server.create("user/empty", files={"notes.txt": b"nothing"})
    assert message in client.fails("predict", *options, "some text", token=token)


def test_no_network_and_not_in_the_cache(client, repo_id):
    command = [sys.executable, "-m", "hf_rnn.cli", "predict", repo_id, "text"]
    variables = {**os.environ, **client.environment, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"is not in the cache: unset it, or first hf download {repo_id}" in done.stderr


def spoil_weights(folder: Path) -> str:
    weights = load_file(folder / "model.safetensors")
    weights["model.recurrence.bias_ih_l0"] = torch.zeros(3)
    weights["stray"] = weights.pop("model.recurrence.weight_hh_l0")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return "model.recurrence.weight_hh_l0 is missing; stray is not the model's; model.recurrence.bias_ih_l0 is [3]"


def spoil_vocabulary(folder: Path) -> str:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["another"])
    tokenizer.save_pretrained(folder)
    return "they do not belong together"


def spoil_model_type(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    return "is a bert model"


def spoil_version(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hf_rnn_version": "99.1"}))
    return "needs hf_rnn 99.1 or newer"


def spoil_bytes(folder: Path) -> str:
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)
    return "is damaged"


def only_a_pickle(folder: Path) -> str:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return "no model.safetensors, only the pickle pytorch_model.bin"


def spoil_value(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": -1}))
    return "hidden_size=-1 must be greater than 0"


def no_config(folder: Path) -> str:
    (folder / "config.json").unlink()
    return "holds no model that can be loaded"


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_weights,
        spoil_vocabulary,
        spoil_model_type,
        spoil_version,
        spoil_value,
        spoil_bytes,
        only_a_pickle,
        no_config,
    ],
)
def test_a_folder_that_is_not_a_whole_model_is_neither_pushed_nor_read(server, client, model, repo_id, spoil):
    message = spoil(model)
    assert message in client.fails("push", model, repo_id)
    assert not server.repos
    assert message in client.fails("predict", model, "some text")


def test_card_metadata_that_the_hub_refuses(server, client, model, repo_id):
    (model / "README.md").write_text(f"---\nlanguage: [Klingon!]\n---\n# m\n\nMine.\n\n{MARKER}\n")
    assert "finds the card's metadata invalid" in client.fails("push", model, repo_id)
    assert titles(server, repo_id) == ["initial commit"]


# Trust ----------------------------------------------------------------------------------------------------------------


def test_a_repository_of_pickles_is_refused_by_transformers_loaders_too(server, client, model, repo_id):
    only_a_pickle(model)
    server.create(repo_id, files={file.name: file.read_bytes() for file in model.iterdir() if file.is_file()})
    assert "offers its weights as a pickle only (pytorch_model.bin)" in client(hub_calls.load, repo_id)
    assert not any("cdn" in request and "GET" in request for request in server.requests[-4:]), "it was downloaded"


def test_a_file_of_weights_by_its_name_is_a_safetensors_file(model):
    only_a_pickle(model)
    with pytest.raises(OSError, match=r"name a .safetensors file"):
        hf_rnn.RNNForSequenceClassification.from_pretrained(str(model / "pytorch_model.bin"))


def test_a_damaged_shard_is_not_loaded(server, client, model, repo_id):
    loaded = hf_rnn.RNNForSequenceClassification.from_pretrained(model)
    (model / "model.safetensors").unlink()
    loaded.save_pretrained(model, max_shard_size="4KB")
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault("wrong_hash", "GET /cdn/", after=1))
    assert "is not what was pushed" in client(hub_calls.load, repo_id)


def test_code_of_a_repository_runs_neither_by_itself_nor_where_hf_rnn_is_installed(server, client, model, repo_id):
    ran = model / "ran"
    evil = f"open({str(ran)!r}, 'w')\nclass RNNConfig: pass\n".encode()
    config = json.loads((model / "config.json").read_text()) | {
        "trust_remote_code": True,
        "auto_map": {"AutoConfig": "evil.RNNConfig", "AutoModelForSequenceClassification": "evil.RNNConfig"},
    }
    files = {file.name: file.read_bytes() for file in model.iterdir() if file.is_file()}
    tokenizer = json.loads((model / "tokenizer_config.json").read_text())
    tokenizer["auto_map"] = {"AutoTokenizer": ["modeling_rnn.Tokenizer", None]}
    changed = {"config.json": json.dumps(config).encode(), "evil.py": evil, "modeling_rnn.py": evil}
    changed["tokenizer_config.json"] = json.dumps(tokenizer).encode()
    server.create(repo_id, files={**files, **changed})
    assert client(hub_calls.load, repo_id) == "hf_rnn.modeling_rnn"
    assert client(hub_calls.load, repo_id, trust_remote_code=True) == "hf_rnn.modeling_rnn"
    client.cli("predict", repo_id, "some text")
    assert not ran.exists()


def test_a_token_stands_in_no_file_that_a_run_writes_or_pushes(server, client, tiny_run, repo_id, tmp_path):
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=1, save_total_limit=5)
    code, out, error = client.cli("train", *run, *hub, "--training.hub_token=hf_writer", token="")
    assert code == 0
    assert "hf_writer" not in out + error
    written = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert any(file.name == "training_args.bin" for file in written)
    assert not [file for file in written if b"hf_writer" in file.read_bytes()]
    assert not [path for path, data in server.repo(repo_id).files().items() if b"hf_writer" in data]


@pytest.mark.parametrize(
    "path", ["../../outside.txt", "last-checkpoint/../../../outside.txt", "/tmp/outside-hf-rnn.txt"]
)
def test_no_file_of_a_repository_leaves_its_folder(server, client, tiny_run, repo_id, tmp_path, path):
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    data = tiny_run.parent / "reviews.csv"
    assert client.cli("train", *tiny_training(data, tmp_path / "a" / "run", num_train_epochs=1), *hub)[0] == 0
    repo = server.repo(repo_id)
    newest = repo.history()[0].files
    repo.add({**newest, path: newest["run.yaml"]}, "evil", "user")
    run = tiny_training(data, tmp_path / "b" / "c" / "run", num_train_epochs=1)
    assert client.cli("train", *run, *hub, "--training.resume=true")[0] == 0
    client.cli("predict", repo_id, "some text")
    assert not list(tmp_path.rglob("outside*"))
    assert not list(client.home.rglob("outside*"))
    assert not Path("/tmp/outside-hf-rnn.txt").exists()


def test_a_state_that_names_a_strange_place_touches_nothing_there(server, client, tiny_run, repo_id, tmp_path):
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    data = tiny_run.parent / "reviews.csv"
    assert client.cli("train", *tiny_training(data, tmp_path / "a", num_train_epochs=1), *hub)[0] == 0
    repo = server.repo(repo_id)
    newest = repo.history()[0].files
    state = json.loads(newest["last-checkpoint/trainer_state.json"].data)
    changed = json.dumps({**state, "best_model_checkpoint": "/somewhere/.."}).encode()
    server.create(
        repo_id, files={**{p: b.data for p, b in newest.items()}, "last-checkpoint/trainer_state.json": changed}
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    client.cli(
        "train", *tiny_training(data, tmp_path / "b" / "run", num_train_epochs=1), *hub, "--training.resume=true"
    )
    assert (tmp_path / "b" / "mine.txt").read_text() == "mine"


# The card on the Hub --------------------------------------------------------------------------------------------------


def test_what_was_written_by_hand_survives_the_next_push(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    repo = server.repo(repo_id)
    card = repo.files()["README.md"].decode()
    assert f"# {repo_id.removeprefix('user/')}\n" in card, "the heading is not the folder's"
    edited = card.replace("---\n\n# ", "license: mit\ntags: [mine]\n---\n\n# My own\n\nWords of mine.\n\n# ", 1)
    edited = edited.replace("tags:\n- hf_rnn\n- rnn\n- lstm\n", "").replace("## Labels", "## Edited below the line")
    blob = type(repo.history()[0].files["README.md"])(edited.encode())
    repo.add({**repo.history()[0].files, "README.md": blob}, "edited", "user")
    (model / "README.md").write_text(f"# Words of the folder\n\n{MARKER}\n")
    assert client.cli("push", model, repo_id)[0] == 0
    after = repo.files()["README.md"].decode()
    assert "Words of mine." in after
    assert "license: mit" in after
    assert all(f"- {tag}\n" in after for tag in ("mine", "hf_rnn"))
    assert "## Labels" in after
    assert "Edited below the line" not in after
    assert after.count(MARKER) == 1
    assert client.cli("push", model, repo_id, "--overwrite_card")[0] == 0
    assert "# Words of the folder" in repo.files()["README.md"].decode()


@pytest.mark.parametrize(("kind", "times", "code"), [(500, 1, 0), (403, 99, 1)])
def test_a_card_that_cannot_be_read_is_not_taken_for_none(server, client, model, repo_id, kind, times, code):
    server.create(repo_id, files={"README.md": b"# Mine\n\nWords of mine.\n"})
    server.faults.append(Fault(kind, "HEAD .*README.md", times))
    assert client.cli("push", model, repo_id)[0] == code
    assert b"Words of mine." in server.repo(repo_id).files()["README.md"]


@pytest.mark.parametrize("card", [b"---\nlicense: [mit\n---\n# m", b"---\n- a\n---\n# m", b"# caf\xe9"])
def test_a_card_that_makes_no_sense(server, client, model, repo_id, tiny_run, tmp_path, card):
    server.create(repo_id, files={"README.md": card})
    assert "README.md" in client.fails("push", model, repo_id)
    assert server.repo(repo_id).files()["README.md"] == card
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=every_save"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "README.md").write_bytes(card)
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=1)
    assert "The model is whole in" in client.fails("train", *run, *hub)
    assert (tmp_path / "run" / "metrics.json").exists()
    assert (tmp_path / "run" / "README.md").read_bytes() == card


def test_a_card_of_placeholders_gives_way(server, client, model, repo_id):
    placeholders = b"---\nlibrary_name: transformers\n---\n# Model Card\n\n[More Information Needed]\n"
    server.create(repo_id, files={"README.md": placeholders})
    client(hub_calls.push_to_hub, str(model), repo_id)
    assert b"More Information Needed" not in server.repo(repo_id).files()["README.md"]


def test_what_the_hub_says_of_a_right_that_is_lacking_is_passed_on(server, client, model, repo_id):
    server.faults.append(Fault(403, "POST .*/commit/"))
    error = client.fails("push", model, repo_id)
    assert "(told to fail)" in error
    assert "push to user/" not in error


# Data sets ------------------------------------------------------------------------------------------------------------


def test_data_sets_of_the_hub_at_a_revision(server, client, tiny_run, tmp_path):
    from datasets import Dataset

    rows = (tiny_run.parent / "reviews.csv").read_text().splitlines()
    reviews = [line.rsplit(",", 1) for line in rows[1:]]
    table = Dataset.from_dict({"text": [r[0] for r in reviews], "label": [r[1] for r in reviews]})
    table.to_parquet(tmp_path / "train.parquet")
    table.select(range(40)).to_parquet(tmp_path / "test.parquet")
    splits = {f"data/{n}-00000-of-00001.parquet": (tmp_path / f"{n}.parquet").read_bytes() for n in ("train", "test")}
    server.create("user/reviews", "dataset", files=splits)
    repo = server.repo("user/reviews", "dataset")
    repo.tags["v1"] = repo.branches["main"]
    repo.add(
        {"train.csv": type(next(iter(repo.history()[0].files.values())))("\n".join(rows[:101]).encode())}, "csv", "user"
    )
    for options, trained in ((["--data.revision=v1"], 270), ([], 90)):
        folder = tmp_path / f"run{trained}"
        run = tiny_training("user/reviews", folder, num_train_epochs=1)
        code, _, error = client.cli("train", *run, *options)
        assert (code, error) == (0, "")
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["run"]["train_rows"] == trained
        assert ("test" in metrics) == (trained == 270)
        assert "datasets:\n- user/reviews" in (folder / "README.md").read_text()
    error = client.fails("train", *tiny_training("user/reviews", tmp_path / "none"), "--data.revision=v9")
    assert "'user/reviews' has no revision 'v9'" in error
    assert "is not on the Hub" in client.fails("train", *tiny_training("user/nothing", tmp_path / "none"))
