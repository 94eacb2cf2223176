"""Tests that prediction imports no library that only training, tables or figures need."""

import json
import subprocess
import sys

NOT_NEEDED = (
    "datasets",
    "evaluate",
    "hf_rnn.training",
    "jsonargparse",
    "matplotlib",
    "pandas",
    "scipy.stats",
    "sklearn.metrics",
    "transformers.trainer",
    "transformers.training_args",
)
ANSWER = """
import json, sys
from importlib import import_module
from pkgutil import iter_modules

from hf_rnn import Predictor, inference

answers = Predictor.from_pretrained(sys.argv[1])(["the film was good ."])
for module in iter_modules(inference.__path__, inference.__name__ + "."):
    import_module(module.name)
print(json.dumps([answers, sorted(sys.modules)]))
"""
# Older versions of transformers always import some of these libraries for `generate`.
OF_TRANSFORMERS = """
import json, sys

from transformers.generation import GenerationMixin

print(json.dumps(sorted(sys.modules)))
"""


def test_answers_and_all_of_inference_load_nothing_of_training(tiny_run):
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, str(tiny_run)],
        capture_output=True,
        text=True,
        check=True,
    )
    answers, modules = json.loads(done.stdout)
    assert answers[0].keys() == {"label", "score"}
    assert "hf_rnn.inference.bulk" in modules
    loaded = [name for name in NOT_NEEDED if name in modules]
    if loaded:
        done = subprocess.run([sys.executable, "-c", OF_TRANSFORMERS], capture_output=True, text=True, check=True)
        assert set(loaded) <= {"scipy.stats", "sklearn.metrics"} & set(json.loads(done.stdout))
