"""Tests of the package itself: what it imports, what it shares with the rest of hf_rnn, and the bare installation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from hf_rnn.models import configuration_rnn
from hf_rnn.runtime import __version__

SOURCE = ROOT / "src" / "hf_rnn"
FORBIDDEN = ("torch", "transformers", "hf_rnn", "huggingface_hub", "scipy", "pandas", "sklearn")
LOADED = """
import json, pkgutil, sys
from importlib import import_module

import hf_rnn_runtime

model = hf_rnn_runtime.Model.from_pretrained(sys.argv[1])
answers = model.predict(["the film was good ."])
for module in pkgutil.iter_modules(hf_rnn_runtime.__path__, "hf_rnn_runtime."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
print(json.dumps([answers, sorted(sys.modules)]))
"""


def test_the_rule_of_decisions_is_the_same_in_both_places():
    both = [(SOURCE / package / "decisions.py").read_text(encoding="utf-8") for package in ("models", "runtime")]
    assert both[0] == both[1], "cp src/hf_rnn/models/decisions.py src/hf_rnn/runtime/"


def test_the_versions_of_both_distributions_are_the_same():
    assert __version__ == configuration_rnn.__version__


def test_answers_load_neither_torch_nor_the_rest_of_hf_rnn(exported):
    paths = {"PYTHONPATH": str(ROOT / "runtime" / "src")}
    command = [sys.executable, "-c", LOADED, str(exported["one_label"])]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **paths})
    assert done.returncode == 0, done.stderr
    answers, modules = json.loads(done.stdout)
    assert answers[0].keys() == {"label", "score"}
    assert not [name for name in modules if name.partition(".")[0] in FORBIDDEN]


def test_the_package_says_what_it_does_not_have():
    import hf_rnn.runtime

    with pytest.raises(AttributeError, match="has no attribute 'Modell'"):
        _ = hf_rnn.runtime.Modell


ANSWER = """
import json, sys

try:
    import torch
except ImportError:
    from hf_rnn_runtime import Model

    given = json.load(sys.stdin)
    answers = [Model.from_pretrained(folder).predict(texts) for folder, texts in given["read"]]
    written = Model.from_pretrained(given["continue"]).generate(given["prompt"], 8, temperature=0)
    print(json.dumps([answers, written]))
"""
TEXTS = ["the film was not good .", "", "Anna Blackburn lives in New York .", None, "  你好 \n world"]


@pytest.mark.slow
def test_the_wheel_in_a_bare_environment_answers_as_a_predictor_does(
    exported, classifiers, tagger, exported_writers, tmp_path
):
    from hf_rnn import Predictor
    from hf_rnn.inference.predictor import write

    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str | Path, text: str | None = None) -> str:
        done = subprocess.run(command, capture_output=True, text=True, input=text, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python = tmp_path / "bare" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "bare")
    index = subprocess.run(
        [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", tmp_path, "tokenizers"],
        capture_output=True,
        env=environment,
        check=False,
    )
    if index.returncode:
        pytest.skip("needs a package index for pip, to install the runtime into a bare environment")
    run(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT / "runtime")
    (wheel,) = tmp_path.glob("hf_rnn_runtime-*.whl")
    run(python, "-m", "pip", "install", "--quiet", wheel)
    folders = {"one_label": classifiers["one_label"], "several_labels": classifiers["several_labels"], "tagger": tagger}
    (language_model, continues), (translator, translates) = exported_writers
    predictors = [*map(Predictor.from_pretrained, folders.values()), translator]
    read = [*((str(exported[kind]), TEXTS) for kind in folders), (str(translates), TEXTS)]
    given = json.dumps({"read": read, "continue": str(continues), "prompt": "the film was"})
    answers, written = json.loads(run(python, "-c", ANSWER, text=given))
    for predictor, found in zip(predictors, answers, strict=True):
        assert list(map(_rounded, found)) == list(map(_rounded, predictor(TEXTS)))
    assert written == write(language_model, "the film was", 8, 0)
    line = run(python.with_name("hf-rnn-run"), exported["tagger"], TEXTS[2])
    assert json.loads(line)["entities"]


def _rounded(answer):
    """Return an answer whose numbers are approximate."""
    if isinstance(answer, float):
        return pytest.approx(answer, abs=1e-4)
    if isinstance(answer, dict):
        return {name: _rounded(value) for name, value in answer.items()}
    return list(map(_rounded, answer)) if isinstance(answer, list) else answer
