"""Train a first model on made-up messages to customer support, and compare it with TF-IDF and logistic regression."""

import argparse
import sys
import time
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from transformers import pipeline

import hf_rnn
from hf_rnn.tasks.text_classification import TextClassification
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.loading import load

CONFIG = Path(__file__).parents[1] / "configs" / "quickstart.yaml"
# The words of each pair are the same, or nearly so.
MESSAGES = [
    "I do not want a refund, I want a new kettle.",
    "I do not want a new kettle, I want a refund.",
    "Please cancel my order and not my account.",
    "Please cancel my account and not my order.",
    "The courier was not bad, but the invoice was a mess.",
    "The invoice was not bad, but the courier was a mess.",
]


def baseline() -> tuple[dict[str, float], list[str]]:
    """Train TF-IDF of words and of pairs of words with logistic regression on the same rows.

    Returns:
        Its accuracy on each of the other splits, and its answers to `MESSAGES`.
    """
    data = DataArguments()
    task = TextClassification(data)
    splits = task.prepare(load(data))
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, max_iter=1000))
    model.fit(splits["train"]["text"], splits["train"]["labels"])
    accuracies = {name: model.score(splits[name]["text"], splits[name]["labels"]) for name in ("validation", "test")}
    names = task.config_fields()["id2label"]
    return accuracies, [names[label] for label in model.predict(MESSAGES)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", default="runs/quickstart", help="the model's folder; an older one is replaced")
    folder = parser.parse_args().output_dir
    started = time.perf_counter()
    ours = hf_rnn.train(["--config", str(CONFIG), "--training.output_dir", folder, "--training.overwrite", "true"])
    seconds = time.perf_counter() - started
    theirs, their_answers = baseline()
    our_answers = [answer["label"] for answer in pipeline("text-classification", model=folder)(MESSAGES)]

    print("\nMade-up messages to customer support: what does the sender want?\n")
    print(f"  {'accuracy':<32}{'validation':>10}{'test':>8}")
    print(f"  {'this model':<32}{ours['validation']['accuracy']:>10.1%}{ours['test']['accuracy']:>8.1%}")
    print(f"  {'TF-IDF + logistic regression':<32}{theirs['validation']:>10.1%}{theirs['test']:>8.1%}\n")
    print(f"  {'this model':<14}{'TF-IDF':<14}message")
    for message, mine, other in zip(MESSAGES, our_answers, their_answers, strict=True):
        print(f"  {mine:<14}{other:<14}{message}")
    print(f'\nTrained in {seconds:.0f} s. The model is in {folder}: .venv/bin/hf-rnn predict {folder} "text"')
    return 0 if ours["validation"]["accuracy"] >= theirs["validation"] + 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
