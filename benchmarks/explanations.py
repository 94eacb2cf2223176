"""Measure how faithful the explanations of an IMDB model are.

hf-rnn train --config configs/imdb.yaml
hf-rnn train --config configs/imdb.yaml --model.pooling attention --training.output_dir runs/imdb_attention
python benchmarks/explanations.py runs/imdb runs/imdb_attention [--data ../shared/data]
"""

import argparse

import numpy as np
import report
from datasets import load_dataset

from hf_rnn import Predictor, explain, measure_faithfulness
from hf_rnn.interpret.attribution import METHODS


def rows(predictor: Predictor, texts: list[str]) -> list[list]:
    """Return the table rows: one per method, and one for words in random order."""
    model, tokenizer, cut = predictor.model, predictor.tokenizer, predictor.task.cut
    found = []
    for method in METHODS:
        if method == "attention" and model.config.pooling != "attention":
            continue
        explanations = explain(model, tokenizer, texts, method=method, cut=cut)
        measured = measure_faithfulness(model, explanations)
        gaps = [explanation.completeness_gap for explanation in explanations]
        gap = "" if gaps[0] is None else f"{100 * np.median(gaps):.2f} % · {100 * max(gaps):.2f} %"
        figures = [f"{measured.comprehensiveness:.3f}", f"{measured.sufficiency:.3f}"]
        found.append([method.replace("_", " "), *figures, gap])
        print(found[-1], flush=True)
    random = np.random.default_rng(0)
    explanations = explain(model, tokenizer, texts, method="input_x_gradient", cut=cut)
    for explanation in explanations:
        for word in explanation.words:
            word.score = random.random()
    measured = measure_faithfulness(model, explanations)
    figures = [f"{measured.comprehensiveness:.3f}", f"{measured.sufficiency:.3f}"]
    return [*found, ["words in random order", *figures, ""]]


def main() -> None:
    options = argparse.ArgumentParser(parents=[report.parser(__doc__, rounds=1)], add_help=False)
    options.add_argument("models", nargs="+", help="folders of trained models")
    options.add_argument("--reviews", type=int, default=200)
    arguments = options.parse_args()
    test = load_dataset(str(arguments.data / "imdb"), split="test")
    texts = test.select(np.linspace(0, len(test) - 1, arguments.reviews).astype(int))["text"]
    columns = ["method", "comprehensiveness", "sufficiency", "completeness gap, median · largest"]
    tables = []
    for model in arguments.models:
        predictor = Predictor.from_pretrained(model)
        title = f"{arguments.reviews} test reviews, a model with pooling={predictor.model.config.pooling!r}"
        tables.append(report.table(title, columns, rows(predictor, list(texts))))
    report.save("explanations", "Faithfulness of explanations", tables, NOTES)


NOTES = """Each method ranks the words of 200 evenly spaced IMDB test reviews by their scores for the predicted label.
Comprehensiveness is the drop of the label's probability without the first 1, 5, 10, 20 and 50 % of the words, as a
mean over these shares. Higher is better: the method found more of the words that the model uses. Sufficiency is the
drop with only these words left. Lower is better (DeYoung et al. 2020). The completeness gap is the relative error of
integrated gradients, whose scores should add up to a known sum; no other method has this property. Sentence occlusion
ranks whole sentences, so its shares are coarse and cannot be compared with those of words."""


if __name__ == "__main__":
    main()
