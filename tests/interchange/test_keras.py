"""Tests that models imported from Keras give the answers of Keras."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support import ROOT
from support.waiting import PATIENCE

import hf_rnn

NAMES = (
    *(
        "seed_model",
        "imdb_example",
        "lstm",
        "widths",
        "gru",
        "tanh",
        "relu",
        "no_bias",
        "bidirectional",
        "then_forward",
    ),
    *("own_backward", "backwards", "all_backwards", "there_and_back", "average", "average_unmasked", "concatenated"),
    *("regression", "logit", "logits", "nested"),
)
FILES = Path(__file__).with_name("keras_files")


def text_of(row):
    return " ".join(f"w{number}" for number in row)


def words(count):
    return ["", "[UNK]", *(f"w{number}" for number in range(2, count))]


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """Return a folder with models and answers that Keras wrote in a process of its own."""
    folder = Path(os.environ.get("KERAS_ORACLE") or tmp_path_factory.mktemp("keras"))
    if not any(folder.iterdir()):
        script = ROOT / "tests" / "interchange" / "keras_oracle.py"
        subprocess.run([sys.executable, str(script), str(folder)], check=True, timeout=PATIENCE, capture_output=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", NAMES)
def test_an_imported_model_answers_as_keras(oracle, tmp_path, name, ending):
    told = json.loads((oracle / f"{name}.json").read_text())
    source = oracle / f"{name}.{ending}"
    masked = 'mask_zero": true' in source.with_suffix(".keras").read_bytes().decode("latin-1")
    way = {"truncation": told["padding"]} if masked else {"padding": told["padding"]}
    hf_rnn.import_model(source, tmp_path / "model", vocabulary=words(told["words"]), length=9, **way)
    predictor = hf_rnn.Predictor.from_pretrained(tmp_path / "model")
    scores = predictor.scores([text_of(row) for row in told["rows"]])
    np.testing.assert_allclose(scores, probabilities(name, np.array(told["answers"])), atol=1e-5)


def probabilities(name, answers):
    """Return the scores of our labels for answers of Keras."""
    if name == "logit":
        answers = 1 / (1 + np.exp(-answers))
    if name == "logits":
        answers = np.exp(answers) / np.exp(answers).sum(-1, keepdims=True)
    return answers if answers.shape[1] > 1 or name == "regression" else np.concatenate([1 - answers, answers], axis=1)
