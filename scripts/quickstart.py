"""A first model: trains on made-up reviews, evaluates, saves, loads it back through `pipeline` and asks it something."""

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
    started = time.perf_counter()
    results = hf_rnn.train(["--config", str(CONFIG), "--training.overwrite", "true", *sys.argv[1:]])
    folder = "runs/quickstart"
    if "--training.output_dir" in sys.argv:
        folder = sys.argv[sys.argv.index("--training.output_dir") + 1]
    accuracy = results["validation"]["accuracy"]
    print(f"\nvalidation accuracy {accuracy:.1%}, test accuracy {results['test']['accuracy']:.1%}\n")
    classify = pipeline("text-classification", model=folder)
    for sentence, answer in zip(SENTENCES, classify(SENTENCES), strict=True):
        print(f"  {answer['label']:<9}{answer['score']:.3f}  {sentence}")
    print(f'\n{time.perf_counter() - started:.0f} s. The model is in {folder}: hf-rnn predict {folder} "some text"')
    return 0 if accuracy >= 0.97 else 1


if __name__ == "__main__":
    sys.exit(main())
