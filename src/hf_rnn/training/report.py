# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Report after the training of a text classifier: baselines on the same rows, and signs of problems.

It is made after the model is saved. A part of it that fails is left out with a warning.
"""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..hub.card_report import report_text
from ..hub.folder import ERRORS_FILE
from ..tasks.text_classification import TextClassification
from ..text.labels import MULTI, REGRESSION, SINGLE
from ..utils.errors import first_line
from ..utils.output import say
from .calibration import coverage
from .class_balance import remedy_for_rare_classes
from .duplicates import find_duplicates
from .report_arguments import ReportArguments
from .rows import label_name, row_name, short
from .run_folder import write_results
from .tfidf import TfidfBaseline, margin

if TYPE_CHECKING:
    from datasets import DatasetDict

    from .trainer import RNNTrainer

logger = logging.getLogger(__name__)

# Limits of the rows on which the baseline is fitted and evaluated: their number, and characters times (10 + labels).
MOST_ROWS, MOST_WORK = 100_000, 500_000_000
# Fewer training rows of a class, or fewer optimizer steps, are reported as too few.
FEW_ROWS, FEW_STEPS = 10, 100
# Maximum number of rows in the table of errors; of errors, and of pairs of classes, in the card.
MOST_ERRORS, SHOWN = 1000, 5


def add_report(
    settings: ReportArguments,
    trainer: RNNTrainer,
    prepared: DatasetDict,
    judged: dict[str, tuple[np.ndarray, np.ndarray]],
    order: dict[str, np.ndarray],
    results: dict,
    examples: bool,
) -> None:
    """Add a report to the metrics and the card of a saved text classifier, write a table of errors, and print it.

    Args:
        settings: Report section of the run.
        trainer: Trainer of the run, after training.
        prepared: Splits as the task prepares them.
        judged: Logits and labels by evaluated split.
        order: Indices into `prepared` of the rows of `judged`, by split.
        results: Metrics of the run; the key `report` is added.
        examples: True if the card and the metrics may quote texts.
    """
    if not isinstance(trainer.task, TextClassification):
        return
    tried("table", lambda: _add(_Report(settings, trainer, prepared, judged, order, examples), results))


def _add(report: _Report, results: dict) -> None:
    trainer = report.trainer
    folder = Path(str(trainer.args.output_dir))
    results["report"] = report.facts()
    tried("table of errors", lambda: report.write_errors(folder / ERRORS_FILE))
    model_id = trainer.hub_model_id or trainer.args.hub_name
    tried("entry in the metrics and the model card", lambda: write_results(results, folder, folder, model_id))
    if trainer.args.should_log:
        tried("text", lambda: say(report_text(results["report"])))


def tried(name: str, part: Callable[[], Any]) -> Any:
    """Return a part of the report; if it fails, log a warning and return None, since the model is already saved.

    Args:
        name: Name of the part, for the warning.
        part: Function that makes the part.
    """
    try:
        return part()
    except Exception as error:
        logger.warning(
            f"the report after training has no part {name!r} ({type(error).__name__}: {first_line(error)}); the model "
            "is saved."
        )
        return None


class _Report:
    """Parts of the report. The arguments are the same as in [`add_report`]."""

    def __init__(
        self,
        settings: ReportArguments,
        trainer: RNNTrainer,
        prepared: DatasetDict,
        judged: dict[str, tuple[np.ndarray, np.ndarray]],
        order: dict[str, np.ndarray],
        examples: bool,
    ):
        self.settings, self.trainer, self.examples = settings, trainer, examples
        self.task: Any = trainer.task
        self.seed = int(self.task.data.seed)
        self.is_stream = bool(self.task.data.streaming)
        self.labels: dict[str, np.ndarray] = {s: np.asarray(prepared[s]["labels"]) for s in ("train", *judged)}
        self.texts: dict[str, list[list[str]]] = {
            split: [list(prepared[split][name]) for name in ("text", "text_pair") if name in prepared[split].features]
            for split in self.labels
        }
        # The logits are in the order of text length; put them back into the order of `prepared`.
        self.logits = {split: logits[np.argsort(order[split])] for split, (logits, _) in judged.items()}
        for split, (_, labels) in judged.items():
            if not np.array_equal(labels, self.labels[split][order[split]].reshape(labels.shape)):
                raise RuntimeError(f"the rows of {split} were measured in another order")
        self.predicted = {split: self.task.predicted(logits) for split, logits in self.logits.items()}
        # With skewed classes, this is macro F1: the accuracy of a model that finds the rare class may be lower.
        chosen = str(trainer.args.metric_for_best_model).removeprefix("eval_")
        self.metrics = sorted(list(self.task.measures)[:3], key=lambda name: name != chosen)[:2]
        self.metric, self.greater_is_better = self.metrics[0], self.task.measures[self.metrics[0]]

    def facts(self) -> dict:
        """Return the content of the report, as metrics.json stores it."""
        facts: dict[str, Any] = {"metrics": self.metrics, "greater_is_better": self.greater_is_better}
        facts["scores"] = {split: {"rows": len(self.labels[split])} for split in self.logits}
        parts: dict[str, Callable[[], Any]] = {
            "majority": lambda: self.add_scores(facts["scores"]),
            "baseline": lambda: self.add_baseline(facts["scores"]) if self.settings.baseline else None,
            "learning_curve": self.learning_curve,
            "never_predicted": self.never_predicted,
            "remedy": lambda: remedy_for_rare_classes(self.trainer.args, self.task),
            "coverage": lambda: coverage(self.task, self.logits, self.labels),
            "few_rows": self.few_rows,
            "few_steps": self.few_steps,
            "duplicates": self.duplicates,
            "errors": self.errors,
        }
        found = {name: tried(name.replace("_", " "), part) for name, part in parts.items()}
        return facts | {name: value for name, value in found.items() if value}

    # Baselines -------------------------------------------------------------------------------------------------------

    def add_scores(self, scores: dict[str, dict]) -> Any:
        """Add the metrics of the model and of the majority baseline to `scores`.

        The majority baseline always predicts the most frequent class, all labels of over half of the training rows, or
        the mean value.

        Args:
            scores: Metrics by split and by model; changed in place.

        Returns:
            Name of the majority baseline.
        """
        train = self.labels["train"]
        if self.task.problem_type == SINGLE:
            answer: Any = np.bincount(train.astype(int)).argmax()
            name = f"always {self.task.label_names[answer]!r}"
        else:
            answer = train.mean(0) if self.task.problem_type == REGRESSION else (train.mean(0) > 0.5).astype(int)
            name = f"always {answer:.4g}" if self.task.problem_type == REGRESSION else "the same labels for all texts"
        for split, of_split in scores.items():
            labels = self.labels[split]
            of_split["model"] = self._measured(self.predicted[split], labels)
            of_split["majority"] = self._measured(np.broadcast_to(answer, labels.shape), labels)
        return name

    def add_baseline(self, scores: dict[str, dict]) -> dict:
        """Add the metrics of the TF-IDF baseline to `scores`.

        Args:
            scores: Metrics by split and by model; changed in place.

        Returns:
            Facts about the fit of the baseline.
        """
        rows = self._sample("train")
        started = time.perf_counter()
        baseline = self._fitted(rows)
        predicted = {}
        for split in scores:
            places = self._sample(split)
            predicted[split] = places, baseline.predict(self._columns(split, places))
        seconds = time.perf_counter() - started
        for split, of_split in scores.items():
            places, answers = predicted[split]
            labels = self.labels[split][places]
            of_split["baseline"] = self._measured(answers, labels)
            if len(places) < of_split["rows"]:
                ours = self._measured(self.predicted[split][places], labels)
                of_split |= {"sample": len(places), "model_on_sample": ours}
            if self.task.problem_type == SINGLE:
                of_split["margin"] = margin(self.predicted[split][places] == labels, answers == labels)
        return {
            "name": baseline.name,
            # The model's n-grams are fitted to the validation rows too, after the evaluation on them.
            "ngrams_saw_validation": self.trainer.accelerator.unwrap_model(self.trainer.model).config.wide_ngrams > 0,
            "ngrams": baseline.ngrams,
            "most_frequent": baseline.most_frequent,
            "seconds": round(seconds, 2),
            "rows": len(rows),
            # The number of rows of a stream is unknown.
            "all_rows": None if self.is_stream else len(self.labels["train"]),
        }

    def learning_curve(self) -> list[dict]:
        """Return the validation metric of the TF-IDF baseline for each share of the training rows."""
        rows, judged = self._sample("train"), self._sample("validation")
        curve = []
        for share in self.settings.shares:
            some = rows[: max(1, round(share * len(rows)))]
            answers = self._fitted(some).predict(self._columns("validation", judged))
            value = self._measured(answers, self.labels["validation"][judged])[self.metric]
            curve.append({"share": share, "rows": len(some), self.metric: value})
        return curve

    def _fitted(self, rows: np.ndarray) -> TfidfBaseline:
        baseline = TfidfBaseline(self.task.problem_type, len(self.task.label_names))
        return baseline.fit(self._columns("train", rows), self.labels["train"][rows])

    def _columns(self, split: str, places: np.ndarray) -> list[list[str]]:
        return [[texts[place] for place in places.tolist()] for texts in self.texts[split]]

    def _sample(self, split: str) -> np.ndarray:
        """Return indices of rows in random order: as many as a linear model is fitted on in about a minute."""
        count = len(self.labels[split])
        work = sum(len(text) for texts in self.texts[split] for text in texts) * (10 + len(self.task.label_names))
        most = min(count, MOST_ROWS, math.ceil(count * MOST_WORK / max(work, 1)))
        return np.random.RandomState(self.seed).permutation(count)[:most]

    def _measured(self, predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        found = self.task.measured(predicted, labels)
        # The majority baseline has no probabilities, and therefore no metrics of them.
        return {name: found[name] for name in self.task.measures if name in found}

    # Signs -----------------------------------------------------------------------------------------------------------

    def never_predicted(self) -> dict[str, int]:
        """Return the classes that the model never predicts on the evaluated rows, with their numbers of rows."""
        if self.task.problem_type == REGRESSION:
            return {}
        rows = np.sum([self._counts(self.labels[split]) for split in self.logits], 0)
        answers = np.sum([self._counts(answers) for answers in self.predicted.values()], 0)
        counts = zip(self.task.label_names, rows.tolist(), answers.tolist(), strict=True)
        return {name: n for name, n, given in counts if n and not given}

    def few_rows(self) -> dict[str, int]:
        """Return the classes with few training rows and their numbers of rows, in ascending order."""
        if self.task.problem_type == REGRESSION or self.is_stream:
            return {}
        rows = dict(zip(self.task.label_names, self._counts(self.labels["train"]), strict=True))
        few = {name: n for name, n in rows.items() if n < FEW_ROWS}
        return dict(sorted(few.items(), key=lambda item: item[1]))

    def _counts(self, labels: np.ndarray) -> list[int]:
        """Return the number of rows of each class."""
        if self.task.problem_type == MULTI:
            return labels.sum(0).astype(int).tolist()
        return np.bincount(labels.astype(int), minlength=len(self.task.label_names)).tolist()

    def few_steps(self) -> dict | None:
        """Return the number of optimizer steps and settings for more steps; None if there are enough."""
        state, args = self.trainer.state, self.trainer.args
        steps = state.global_step
        if steps >= FEW_STEPS:
            return None
        batch, epochs = args.per_device_train_batch_size, max(1.0, float(state.epoch or 1))
        advice = f"training.num_train_epochs={math.ceil(epochs * 2 * FEW_STEPS / max(steps, 1))}"
        if args.max_steps > 0:
            advice = f"training.max_steps={10 * FEW_STEPS}"
        elif epochs < args.num_train_epochs - 0.5:
            # Early stopping ended the training before its number of epochs.
            patience = args.early_stopping_patience or 0
            advice = f"training.early_stopping_patience={2 * patience + 5}, since training ended early"
        elif args.train_batch_tokens is None and batch > 8:
            smaller = max(8, 2 ** int(math.log2(max(8, batch * steps / FEW_STEPS))))
            epochs = math.ceil(epochs * FEW_STEPS / max(1, steps * batch / smaller))
            advice = f"training.per_device_train_batch_size={smaller}"
            advice += f" and training.num_train_epochs={epochs}" if epochs > args.num_train_epochs else ""
        return {"steps": steps, "advice": advice}

    def duplicates(self) -> list[dict]:
        """Return the result of [`find_duplicates`], with names of the example rows instead of indices."""
        texts = {split: ["\n".join(row) for row in zip(*columns, strict=True)] for split, columns in self.texts.items()}
        found = find_duplicates(texts, {split: labels.tolist() for split, labels in self.labels.items()})
        for row in found:
            for name in ("example", "near_example"):
                places = row.pop(name)
                if places is None:
                    continue
                row[name] = {
                    "row": self._row(row["split"], places[0]),
                    "other_row": self._row(row["other"], places[1]),
                    **({"text": short(texts[row["split"]][places[0]])} if self.examples else {}),
                }
        return found

    def _row(self, split: str, place: int) -> str:
        """Return the name of a row: its number, from 1, and the split of the data set that it was read from."""
        source, numbers = self.task.row_numbers.get(split, (split, None))
        if numbers is not None and place >= len(numbers):
            place -= len(numbers)
            source, numbers = self.task.replayed_rows[split]
        return row_name(source, place if numbers is None else int(numbers[place]))

    # Errors ----------------------------------------------------------------------------------------------------------

    def errors(self) -> dict:
        """Return the worst errors on the validation split, and the pairs of classes that are confused most often."""
        wrong = self._wrong()
        count = len(self.labels["validation"])
        found: dict[str, Any] = {"rows": count, "wrong": None if self.task.problem_type == REGRESSION else len(wrong)}
        if self.examples:
            rows = self._rows_of_errors(wrong[:SHOWN])
            found["worst"] = [{name: short(value) for name, value in row.items()} for row in rows]
        if self.task.problem_type == SINGLE and len(self.task.label_names) > 2:
            found["confused"] = self._confused()
        return found

    def write_errors(self, file: Path) -> None:
        """Write the worst errors on the validation split to a CSV file, the worst first.

        Args:
            file: CSV file to write.
        """
        names = ["text", *(["text_pair"] if len(self.texts["train"]) > 1 else []), "label", "predicted", "score", "row"]
        with open(file, "w", encoding="utf-8", errors="backslashreplace", newline="") as out:
            writer = csv.DictWriter(out, names)
            writer.writeheader()
            writer.writerows(self._rows_of_errors(self._wrong()[:MOST_ERRORS]))

    def _wrong(self) -> np.ndarray:
        """Return the indices of the validation rows with wrong predictions, in descending order of [`_scores`]."""
        scores, labels = self._scores(), self.labels["validation"]
        wrong = self.predicted["validation"] != labels
        if self.task.problem_type == MULTI:
            wrong = wrong.any(1)
        places = np.flatnonzero(wrong)
        return places[np.argsort(-scores[places], kind="stable")]

    def _scores(self) -> np.ndarray:
        """Return the score of each validation row; among wrong predictions, a higher score is a worse error.

        It is the probability of the predicted class, the largest error of a label's probability, or the absolute error.
        """
        labels, scores = self.labels["validation"], self.task.scores(self.logits["validation"])
        if self.task.problem_type == SINGLE:
            return scores.max(1)
        if self.task.problem_type == MULTI:
            return np.abs(scores - labels).max(1)
        return np.abs(self.predicted["validation"] - labels)

    def _rows_of_errors(self, places: Iterable[int]) -> list[dict[str, str]]:
        scores, columns = self._scores(), self.texts["validation"]
        labels, predicted = self.labels["validation"], self.predicted["validation"]
        return [
            {
                **{name: texts[place] for name, texts in zip(("text", "text_pair"), columns, strict=False)},
                "label": label_name(self.task, labels[place]),
                "predicted": label_name(self.task, predicted[place]),
                "score": f"{scores[place]:.4f}",
                "row": self._row("validation", place),
            }
            for place in places
        ]

    def _confused(self) -> list[dict]:
        labels, predicted = self.labels["validation"], self.predicted["validation"]
        pairs, counts = np.unique(
            np.stack([labels, predicted], 1)[labels != predicted].astype(int), axis=0, return_counts=True
        )
        rows = self._counts(labels)
        return [
            {
                "label": self.task.label_names[pairs[n][0]],
                "predicted": self.task.label_names[pairs[n][1]],
                "rows": int(counts[n]),
                "of": rows[pairs[n][0]],
            }
            for n in np.argsort(-counts, kind="stable")[:SHOWN]
        ]


__all__ = ["add_report"]
