"""Which explanation of an IMDB model is to be trusted?

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
    """A row of the table for each method, and for words in arbitrary order."""
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
    return [*found, ["words in arbitrary order", *figures, ""]]


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
    report.save("explanations", "Which explanation to trust", tables, NOTES)


NOTES = """For each of 200 test reviews of IMDB, evenly spread, the words are put in order by their scores for the
label that the model gives. Comprehensiveness is by how much the probability of the label falls when the
first 1, 5, 10, 20 and 50 % of the words are left out, the mean of these: the higher, the more of what the
model goes by was found. Sufficiency is by how much it falls when nothing but these words is left: the
lower, the better (DeYoung et al. 2020). The completeness gap is by what share the scores miss the
difference that they have to add up to; only integrated gradients promise to. Sentences are taken whole, so
that their shares are coarse, and not to be compared with those of words."""


if __name__ == "__main__":
    main()
