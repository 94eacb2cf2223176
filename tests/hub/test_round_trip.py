"""Tests that a model loaded from the Hub equals the model that was pushed."""

import json
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import torch
import yaml
from support import ROOT
from support.hub import calls
from support.hub.client import WHOLE, tiny_training, titles
from support.hub.repositories import Blob
from transformers import AutoTokenizer

import hf_rnn


def random_model(tokenizer, **settings) -> hf_rnn.RNNForSequenceClassification:
    config = hf_rnn.RNNConfig(vocab_size=len(tokenizer), embedding_size=8, hidden_size=6, pad_token_id=0, **settings)
    return hf_rnn.RNNForSequenceClassification(config)


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory) -> str:
    """Return the Python of a virtual environment that has transformers but not hf_rnn.

    A .pth file adds the packages of this environment. Python does not follow further .pth files in an added folder, so
    that the editable installation of hf_rnn is not found.
    """
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"])
    return str(folder / "bin" / "python")


@pytest.mark.slow
def test_what_was_pushed_loads_in_three_ways_bit_by_bit(server, client, tmp_path, bare_python):
    quickstart = tmp_path / "quickstart"
    run = ["--config", ROOT / "configs" / "quickstart.yaml", "--training.output_dir", quickstart]
    run += ["--training.max_steps", "6", "--training.disable_tqdm", "true", "--model.wide_ngrams", "500"]
    assert client.cli("train", *run)[0] == 0
    tokenizer = AutoTokenizer.from_pretrained(quickstart)
    models = {"quickstart": (quickstart, [], {})}
    for cell in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        settings = {"bidirectional": cell != "gru", "pooling": "attention" if cell == "gru" else "concat"}
        random_model(tokenizer, cell_type=cell, **settings).save_pretrained(tmp_path / cell)
        models[cell] = (tmp_path / cell, [], {})
    # These thresholds choose the same label for each text.
    for name, threshold in (("cautious", 1.0), ("bold", 0.0)):
        settings = {"temperature": 1.5, "num_labels": 2, "thresholds": {"LABEL_1": threshold}}
        random_model(tokenizer, **settings).save_pretrained(tmp_path / name)
        models[name] = (tmp_path / name, [], {})
    both_ways = {"bidirectional": True, "independent_directions": True}
    language_model = hf_rnn.RNNForCausalLM(random_model(tokenizer, **both_ways, eos_token_id=3).config)
    language_model.save_pretrained(tmp_path / "language_model")
    lent = hf_rnn.RNNForSequenceClassification.from_pretrained(tmp_path / "language_model", num_labels=3)
    lent.save_pretrained(tmp_path / "lent")
    names = {0: "O", 1: "B-X", 2: "I-X"}
    tags = {"crf": True, "character_encoder": "lstm", "id2label": names, "label2id": {n: i for i, n in names.items()}}
    tagger = hf_rnn.RNNForTokenClassification(random_model(tokenizer, **tags).config)
    tagger.use_vocabulary(tokenizer)
    tagger.save_pretrained(tmp_path / "tagger")
    ends = {"bos_token_id": 2, "eos_token_id": 3}
    for name, feeding in (("translator", False), ("feeding", True)):
        settings = random_model(tokenizer, input_feeding=feeding, share_embeddings=feeding, **ends).config
        hf_rnn.RNNForConditionalGeneration(settings).save_pretrained(tmp_path / name)
    others = ("language_model", "lent", "tagger", "translator", "feeding")
    models |= {name: (tmp_path / name, [], {}) for name in others}
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
    load = [str(ROOT / "tests" / "support" / "hub" / "load.py")]
    home = tmp_path / "home"
    expected = json.loads(client.process(sys.executable, *load, "package", text=local))
    found = {
        "package": client.process(sys.executable, *load, "package", home=home, text=places),
        "code": client.process(bare_python, *load, "code", home=tmp_path / "other", text=places),
        "offline": client.process(sys.executable, *load, "package", home=home, text=places, HF_HUB_OFFLINE="1"),
    }
    of_name = dict(zip(models, expected, strict=True))
    assert [[label for _, label in of_name[name]["answers"]] for name in ("cautious", "bold")] == [[0] * 3, [1] * 3]
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
    assert client.told("push", model, repo_id) == [
        f"{repo_id!r} has the same files already: there is nothing to commit."
    ]
    assert len(titles(server, repo_id)) == 2


def test_a_later_model_leaves_no_file_of_an_earlier_one(server, client, model, repo_id):
    (model / "crf.py").write_text("# of a tagger")
    assert client.cli("push", model, repo_id)[0] == 0
    gone = {"training_curves.png", "confusion_matrix.png", "calibration.png", "metrics.json", "crf.py"}
    for name in gone:
        (model / name).unlink()
    loaded = hf_rnn.RNNForSequenceClassification.from_pretrained(model)
    (model / "model.safetensors").unlink()
    loaded.save_pretrained(model, max_shard_size="4KB")
    assert client.cli("push", model, repo_id)[0] == 0
    names = set(server.repo(repo_id).files())
    assert not names & {*gone, "model.safetensors"}
    assert "model.safetensors.index.json" in names


@pytest.mark.slow
def test_transformers_own_push_leaves_a_model_that_loads_and_a_card(server, client, model, repo_id):
    url = client(calls.push_to_hub, str(model), repo_id, private=True, tags=["mine"])
    repo = server.repo(repo_id)
    assert url.endswith(repo.branches["main"])
    assert repo.private
    assert repo.files().keys() == WHOLE - {
        "run.yaml",
        "schema.json",
        "metrics.json",
        "training_curves.png",
        "calibration.png",
        "confusion_matrix.png",
    }
    card = repo.files()["README.md"].decode()
    assert "More Information Needed" not in card
    assert "- mine\n" in card
    assert titles(server, repo_id) == ["Upload tokenizer", "Upload model", "initial commit"]
    assert client.cli("predict", repo_id, "the film was good .")[0] == 0


def test_a_configuration_is_pushed_with_the_code_that_it_names(server, client, model, repo_id, tmp_path):
    client(calls.save_config, str(model), str(tmp_path / "saved"), repo_id)
    assert {"config.json", "configuration_rnn.py", "modeling_rnn.py"} <= server.repo(repo_id).files().keys()


def test_the_server_keeps_refs_and_repositories_as_the_client_asks(server, client, repo_id):
    assert client(calls.keep_house, repo_id) == [["main", "side"], ["v1"], ["two", "one", "initial commit"]]
    assert not server.repos


@pytest.mark.slow
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
    run = yaml.safe_load((model / "run.yaml").read_text())
    run["data"] |= {"max_length": 3, "truncation": "head"}
    (model / "run.yaml").write_text(yaml.safe_dump(run))
    assert client.cli("push", model, repo_id)[0] == 0
    long, short = (client.cli("predict", repo_id, text)[1].split("\t")[1] for text in ("it is a bad film", "it is a"))
    assert long == short


@pytest.mark.slow
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
    repo.add({"train.csv": Blob("\n".join(rows[:101]).encode())}, "csv", "user")
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
