"""Measure the calibration of scores on test rows.

python benchmarks/calibration.py --data FOLDER
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import report
from accuracy import options_of

import hf_rnn
from hf_rnn.inference.evaluation import evaluate
from hf_rnn.tasks.metrics import calibration

SETS = ("imdb", "sst2", "trec")
# Number of times that labels are drawn from the scores.
DRAWS = 200
NOTES = f"""Each model is `hf-rnn train` with only the data and, for sst2 and trec, its splits or columns named. The
weights of its two halves and the temperature were fitted on the validation rows; ECE (15 bins) and Brier score are
those of the test rows. “ECE, perfect” is that of labels that are drawn from the scores themselves, whose calibration is
perfect: the mean and 90 % of {DRAWS} draws. It is not 0, because a bin of few rows differs from its mean score by
chance. An ECE in this range shows no error of calibration."""
COMMAND = "make bench-scores DATA=…"
COLUMNS = ["", "test rows", "ECE before", "ECE", "ECE, perfect", "Brier", "temperature", "accuracy"]


def perfect(scores: np.ndarray) -> np.ndarray:
    """Return the ECE of labels that are drawn from the scores, `[DRAWS]`."""
    draw = np.random.default_rng(0)
    edges = scores.cumsum(1)
    edges[:, -1] = 1.0
    labels = ((draw.random((len(scores), 1)) > edges).sum(1) for _ in range(DRAWS))
    return np.array([calibration(scores, each)["ece"] for each in labels])


def row(folder: Path) -> list:
    """Train on a data set, and return its row of the table."""
    with tempfile.TemporaryDirectory() as output:
        options = ["--report.baseline", "false", "--training.output_dir", f"{output}/run"]
        metrics = hf_rnn.train([*options_of(folder), *options])
        predictor = hf_rnn.Predictor.from_pretrained(f"{output}/run")
        scores = predictor.scores(parquet.read_table(folder / "test.parquet")["text"].to_pylist())
        predictor.model.config.temperature = 1.0
        before = evaluate(predictor)
    test, temperature, drawn = metrics["test"], metrics["run"]["calibration"]["temperature"], perfect(scores)
    low, high = np.quantile(drawn, [0.05, 0.95])
    of_perfect = f"{drawn.mean():.2%} ({low:.2%} to {high:.2%})"
    figures = [f"{before['ece']:.2%}", f"{test['ece']:.2%}", of_perfect, f"{test['brier']:.4f}"]
    return [folder.name, f"{len(scores):,}", *figures, f"{temperature:.2f}", f"{test['accuracy']:.2%}"]


def main() -> None:
    options = report.parser(__doc__, rounds=1).parse_args()
    table = report.table("Default preset", COLUMNS, [row(options.data / name) for name in SETS])
    report.save("calibration", "Calibrated scores", [table], NOTES, command=COMMAND)


if __name__ == "__main__":
    main()
