"""A first model: trains on made-up reviews, evaluates, saves, loads it through `pipeline` and asks it something."""

import argparse
import sys
import time
from pathlib import Path

from transformers import pipeline

import hf_rnn

CONFIG = Path(__file__).parents[1] / "configs" / "quickstart.yaml"
SENTENCES = [
    "the price was awful , but the camera was anything but bad .",
    "while the story was truly lovely , the film was hardly good .",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", default="runs/quickstart", help="the model's folder; an older one is replaced")
    folder = parser.parse_args().output_dir
    started = time.perf_counter()
    results = hf_rnn.train(["--config", str(CONFIG), "--training.output_dir", folder, "--training.overwrite", "true"])
    accuracy = results["validation"]["accuracy"]
    print(f"\nvalidation accuracy {accuracy:.1%}, test accuracy {results['test']['accuracy']:.1%}\n")
    classify = pipeline("text-classification", model=folder)
    for sentence, answer in zip(SENTENCES, classify(SENTENCES), strict=True):
        print(f"  {answer['label']:<9}{answer['score']:.3f}  {sentence}")
    print(
        f'\n{time.perf_counter() - started:.0f} s. The model is in {folder}: .venv/bin/hf-rnn predict {folder} "text"'
    )
    return 0 if accuracy >= 0.97 else 1


if __name__ == "__main__":
    sys.exit(main())
