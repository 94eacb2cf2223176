"""Tests that models exported as plain torch modules and as Keras files give the same scores."""

import importlib.util
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.waiting import PATIENCE

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.interchange.keras_export import to_keras
from hf_rnn.interchange.torch_export import to_torch, write_torch
from hf_rnn.models.cells import CELLS
from hf_rnn.utils.errors import HfRnnError

V = 30
LENGTHS = [7, 3, 1, 5]
CELL_NAMES = ("lstm", "gru", "rnn_tanh", "rnn_relu")
POOLINGS = ("last", "mean", "max", "concat")
SETTINGS = {
    **{
        f"{cell}_{pooling}": {"cell_type": cell, "pooling": pooling}
        for cell, pooling in zip(CELL_NAMES, POOLINGS, strict=True)
    },
    **{
        f"two_{cell}_{pooling}": {"cell_type": cell, "pooling": pooling, "bidirectional": True, "num_hidden_layers": 2}
        for cell, pooling in itertools.product(("lstm", "gru"), POOLINGS)
    },
    "stacks": {"bidirectional": True, "independent_directions": True, "num_hidden_layers": 2},
    "hidden": {"classifier_hidden_size": 4, "temperature": 1.7, "num_labels": 3},
    "multi": {"problem_type": "multi_label_classification", "num_labels": 4, "pooling": "mean"},
    "regression": {"num_labels": 1, "problem_type": "regression", "target_mean": 30.0, "target_std": 4.0},
}

# Each cell, each pooling and each kind of answer; Keras takes seconds for each model.
IN_KERAS = (
    *("lstm_last", "gru_mean", "rnn_tanh_max", "rnn_relu_concat", "two_lstm_concat", "two_gru_concat", "two_gru_max"),
    *("stacks", "hidden", "multi", "regression"),
)


def classifier(**settings):
    config = hf_rnn.RNNConfig(**{"vocab_size": V, "embedding_size": 6, "hidden_size": 5, **settings})
    model = hf_rnn.RNNForSequenceClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.6)
    return model


def language_model(**settings):
    config = hf_rnn.RNNConfig(**{"vocab_size": V, "embedding_size": 6, "hidden_size": 5, **settings})
    model = hf_rnn.RNNForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.6)
    return model


def batch():
    ids = torch.randint(1, V, (len(LENGTHS), max(LENGTHS)))
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return ids * mask, mask.long()


@pytest.fixture
def tokenizer():
    return hf_rnn.train_tokenizer(["a b c d"], kind="word", min_frequency=1, show_progress=False)


@torch.no_grad()
def scores(model, ids, mask):
    logits = model(ids, attention_mask=mask).logits
    if model.config.problem_type == "multi_label_classification":
        return logits.sigmoid()
    return logits if model.config.num_labels == 1 else logits.softmax(-1)


def test_every_cell_is_exported():
    assert set(CELL_NAMES) == set(CELLS)


@pytest.mark.parametrize("name", [*SETTINGS, "attention"])
def test_plain_torch_modules_give_the_same_scores(tmp_path, tokenizer, name):
    model = classifier(**SETTINGS.get(name, {"pooling": "attention"}))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    folder = write_torch(tmp_path / "model", tmp_path / "plain")
    spec = importlib.util.spec_from_file_location("plain_model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plain = module.load(folder)
    assert list(plain.state_dict()) == list(to_torch(model))
    ids, mask = batch()
    torch.testing.assert_close(plain.scores(ids, torch.tensor(LENGTHS)), scores(model, ids, mask), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("settings", [{"tie_word_embeddings": True}, {"tie_word_embeddings": False}])
def test_a_language_model_is_plain_modules_too(tmp_path, tokenizer, settings):
    from hf_rnn.interchange.plain_torch import load

    model = language_model(**settings)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    plain = load(write_torch(tmp_path / "model", tmp_path / "plain"))
    ids, mask = batch()
    expected = model(ids, attention_mask=mask).logits
    found = plain(ids, torch.tensor(LENGTHS))
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=0)


KERAS = """
import json, os, sys
os.environ["KERAS_BACKEND"] = sys.argv[1]
os.environ["JAX_PLATFORMS"] = "cpu"
import keras, numpy as np
ids = np.load("ids.npy")
answers = {name: np.asarray(keras.saving.load_model(name + ".keras")(ids)).tolist() for name in sys.argv[2:]}
json.dump(answers, open("answers.json", "w"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "names"), [("numpy", (*IN_KERAS, "writer")), ("jax", ("two_lstm_concat",))])
def test_keras_gives_the_same_scores(tmp_path, backend, names):
    ids, mask = batch()
    np.save(tmp_path / "ids.npy", ids.numpy())
    models = {name: language_model() if name == "writer" else classifier(**SETTINGS[name]) for name in names}
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
        to_keras(tmp_path / name, tmp_path / f"{name}.keras")
    command = [sys.executable, "-c", KERAS, backend, *models]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=PATIENCE)
    answers = json.loads((tmp_path / "answers.json").read_text())
    for name, model in models.items():
        found = torch.tensor(answers[name])
        if name == "writer":
            expected = model(ids, attention_mask=mask).logits[mask.bool()]
            torch.testing.assert_close(found[mask.bool()], expected, atol=1e-5, rtol=0)
        else:
            torch.testing.assert_close(found, scores(model, ids, mask), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["lstm_last", "gru_mean", "two_lstm_last", "hidden", "multi", "regression"])
def test_an_exported_file_can_be_imported_again(tmp_path, name):
    settings = {**SETTINGS[name], "pooling": SETTINGS[name].get("pooling", "last")}
    model = classifier(**settings)
    model.save_pretrained(tmp_path / "model")
    to_keras(tmp_path / "model", tmp_path / "model.keras")
    words = ["", "[UNK]", *(f"w{i}" for i in range(2, V))]
    again = hf_rnn.import_model(tmp_path / "model.keras", tmp_path / "again", vocabulary=words)
    ids, mask = batch()
    found = scores(hf_rnn.RNNForSequenceClassification.from_pretrained(again).eval(), ids, mask)
    torch.testing.assert_close(found, scores(model, ids, mask), atol=1e-5, rtol=1e-5)


def test_what_other_programs_lack_is_refused(tmp_path):
    classifier(pooling="attention").save_pretrained(tmp_path / "attention")
    with pytest.raises(HfRnnError, match=r"pooling='attention'.*format='torch'"):
        to_keras(tmp_path / "attention", tmp_path / "a.keras")
    with pytest.raises(HfRnnError, match="wide_ngrams=8"):
        to_torch(classifier(wide_ngrams=8))
    with pytest.raises(HfRnnError, match="RNNForTokenClassification"):
        to_torch(hf_rnn.RNNForTokenClassification(hf_rnn.RNNConfig(vocab_size=V)))
    with pytest.raises(HfRnnError, match="must end with"):
        to_keras(tmp_path / "attention", tmp_path / "a.h5")


def test_the_command_exports_to_torch_and_keras(tmp_path, tokenizer, capsys):
    classifier(pooling="last").save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    base = ["export", str(tmp_path / "model"), "--output"]
    assert main([*base, str(tmp_path / "model.keras"), "--format", "keras"]) == 0
    assert main([*base, str(tmp_path / "plain"), "--format", "torch"]) == 0
    assert sorted(file.name for file in (tmp_path / "plain").glob("*.p*")) == ["model.py", "weights.pt"]
    assert main([*base, str(tmp_path / "other"), "--format", "torch", "--int8"]) == 1
    assert "no effect on --format torch: leave it out" in capsys.readouterr().err
    assert main([*base, str(tmp_path / "other"), "--format", "tensorflow"]) == 1
    assert "onnx, torch, keras" in capsys.readouterr().err
