"""Tests that errors of the Hub commands say how to fix the problem."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.hub import calls
from support.hub.client import only_a_pickle, titles
from transformers import AutoTokenizer

from hf_rnn.hub.card_merge import MARKER
from hf_rnn.hub.fetch import download
from hf_rnn.utils.errors import UserError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n"


@pytest.mark.parametrize(
    ("token", "name", "message"),
    [
        ("", "user/mine", "there is no token to write to the Hub with: run hf auth login"),
        ("hf_reader", "user/mine", "may only read: make one that may write"),
        ("hf_wrong", "user/mine", "does not accept the token in use"),
        ("hf_writer", "other/theirs", "push to user/theirs"),
        ("hf_writer", "user/a b", "write USER/NAME"),
        ("hf_writer", "user/taken", "is taken by a model of type 'bert'"),
        ("hf_writer", "user/weights", "is taken by weights without a config.json"),
        ("hf_writer", "user/list", "is taken by a model whose config.json is no JSON object"),
        ("hf_writer", "user/text", "is taken by a model whose config.json is no JSON object"),
    ],
)
def test_a_name_that_cannot_be_pushed_to(server, client, model, token, name, message):
    server.create("user/taken", files={"config.json": b'{"model_type": "bert"}'})
    server.create("user/weights", files={"model.safetensors": b"of another library"})
    server.create("user/list", files={"config.json": b'["no object"]'})
    server.create("user/text", files={"config.json": b"model_type: rnn"})
    assert message in client.fails("push", model, name, token=token)
    assert {name for _, name in server.repos} == {"user/taken", "user/weights", "user/list", "user/text"}


@pytest.mark.parametrize(
    ("options", "token", "message"),
    [
        (["user/none"], None, "is not on the Hub, or is private"),
        (["user/private"], "hf_other", "is not on the Hub, or is private"),
        (["user/gated"], "hf_other", "is gated: ask for access at"),
        (["user/open", "--revision", "v9"], None, "no revision 'v9', only main, v1: write --revision main"),
        (["user/bert"], None, "is a bert model, not one of hf_rnn"),
        (["user/empty"], None, "holds no model that can be loaded"),
        (["user/list"], None, "holds no model that can be loaded"),
        (["user/text"], None, "holds no model that can be loaded"),
        (["user/pointer"], None, "model.safetensors of 'user/pointer' is a pointer of Git LFS"),
        (
            ["user/reviews"],
            None,
            "is a data set on the Hub, not a model: name a model, or train one, hf-rnn train user/r",
        ),
        (["user/page"], None, "is a Space on the Hub, not a model"),
    ],
)
def test_a_model_that_cannot_be_had(server, client, model, options, token, message):
    server.create("user/list", files={"config.json": b'["no object"]'})
    server.create("user/text", files={"config.json": b"model_type: rnn"})
    server.create("user/pointer", files={"config.json": b"{}", "model.safetensors": POINTER})
    server.create("user/reviews", "dataset", files={"train.csv": b"text,label\n"})
    server.create("user/page", "space", files={"app.py": b""})
    for name in ("private", "gated", "open"):
        assert client.cli("push", model, f"user/{name}")[0] == 0
    server.repo("user/private").private = server.repo("user/gated").gated = True
    server.repo("user/open").tags["v1"] = server.repo("user/open").branches["main"]
    server.create("user/bert", files={"config.json": b'{"model_type": "bert"}'})
    server.create("user/empty", files={"notes.txt": b"nothing"})
    assert message in client.fails("predict", *options, "some text", token=token)


@pytest.mark.slow
@pytest.mark.parametrize("revision", [[], ["--revision", "v1"]], ids=["main", "v1"])
def test_no_network_and_not_in_the_cache(client, model, repo_id, revision):
    if revision:
        # The cache holds another revision.
        assert client.cli("push", model, repo_id)[0] == client.cli("predict", repo_id, "text")[0] == 0
    command = [sys.executable, "-m", "hf_rnn.cli.main", "predict", repo_id, "text", *revision]
    variables = {**os.environ, **client.environment, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 1
    fetch = " ".join([repo_id, *revision])
    assert f"is not in the cache: unset it, or first hf download {fetch} while online." in done.stderr


def test_not_in_the_cache_and_not_to_be_asked_for(tmp_path):
    with pytest.raises(UserError, match=r"local_files_only=True, and revision 'v1' of 'user/none' is not in the cache"):
        download("user/none", "v1", cache_dir=tmp_path, local_files_only=True)


def spoil_weights(folder: Path) -> str:
    weights = load_file(folder / "model.safetensors")
    weights["model.recurrence.bias_ih_l0"] = torch.zeros(3)
    weights["stray"] = weights.pop("model.recurrence.weight_hh_l0")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return "model.recurrence.weight_hh_l0 is missing; stray is not the model's; model.recurrence.bias_ih_l0 is [3]"


def only_a_pointer(folder: Path) -> str:
    (folder / "model.safetensors").write_bytes(POINTER)
    return f"is a pointer of Git LFS, not the file itself: git -C {folder} lfs pull"


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


def spoil_value(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": -1}))
    return "hidden_size=-1 must be greater than 0"


def no_config(folder: Path) -> str:
    (folder / "config.json").unlink()
    return "holds no model that can be loaded"


def test_transformers_too_is_told_of_a_pointer(client, model):
    only_a_pointer(model)
    assert "git lfs pull" in client(calls.load, str(model))


@pytest.mark.slow
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
        only_a_pointer,
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


def test_a_name_of_a_data_set_and_of_a_space_is_that_of_the_data_set(server, client):
    for kind in ("space", "dataset"):
        server.create("user/both", kind, files={"train.csv": b"text,label\n"})
    assert "is a data set on the Hub, not a model" in client.fails("predict", "user/both", "some text")
