# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Cross-validation: one run for each fold, measured on rows that the run does not read."""

from __future__ import annotations

import csv
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate.utils import broadcast_object_list

from ..hub.card_folds import folds_text
from ..hub.folder import CROSS_VALIDATION, LABEL_ERRORS, METRICS_FILE, OUT_OF_FOLD
from ..inference.predictor import Predictor
from ..text.labels import REGRESSION
from ..utils.errors import CheckpointError, ConfigError, HfRnnError, first_line
from ..utils.figures import draw_folds
from ..utils.output import hushed, progress_bars, say
from ..utils.processes import job_id, was_restarted
from .checkpoints import newest_whole, writing
from .folds import FoldRows, assign_folds, splitter_of
from .label_errors import LabelErrors
from .resuming import find_checkpoint
from .rows import label_name
from .run_config import RunConfig, with_values
from .run_folder import FOLDS, JOB_FILE, claim_folder, replace_text
from .written_settings import difference, written_settings

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

# File of a cross-validation that has begun: its rows, their folds, and the settings of the run.
PLAN = "plan.json"
# Settings of a run that its folds do not have: a fold has no cross-validation, no report and no repository of its own.
_OF_FOLDS = {
    "cross_validate": 0,
    "report.baseline": False,
    "report.learning_curve": False,
    "report.label_errors": False,
    "training.push_to_hub": False,
    "training.gradient_flow_steps": 0,
}
# Settings that may differ when a cross-validation is resumed: the rows themselves are compared, wherever they are.
_MAY_DIFFER = ("data.path", "training.output_dir", "training.disable_tqdm", "hf_rnn_version")


class CrossValidation:
    """Cross-validation of a run, in a hidden subfolder of the output folder.

    The rows of the training split and of the validation split are divided into folds. For each fold, a run with the
    same settings trains on the rows of the other folds; it holds its own validation rows out of them. Its model then
    answers the rows of the fold. The result of each fold is saved, and its model is deleted.

    Args:
        run: Configuration of the run.
        text: YAML text that reproduces the run.
        source: Rows in memory that replace `data.path`; None to read `data.path`.

    Raises:
        HfRnnError: The folder holds another run, the rows cannot be divided, or the resumed cross-validation was begun
            with other rows or settings.
    """

    def __init__(self, run: RunConfig, text: str, source: Any):
        self.run, self.args = run, run.training
        self.folder = Path(str(self.args.output_dir))
        self.place = self.folder / FOLDS
        self.settings = written_settings(run, text)
        self.count = run.cross_validate
        self._check_folder(text)
        with self.args.main_process_first(desc="reading the data"):
            self.rows = FoldRows.read(run, source)
            self.fold_of = assign_folds(self.rows, run)
        if run.report.label_errors and self.rows.task.problem_type == REGRESSION:
            raise ConfigError(
                "report.label_errors=True finds wrong labels of classes, and the labels of this run are values: leave "
                "it out."
            )
        self.plan = {"rows": self.rows.fingerprint(), "folds": self.fold_of.tolist(), "settings": self.settings}
        self.results: dict[int, dict] = {}
        if self.args.resume:
            self._resume()
        self.args.distributed_state.wait_for_everyone()
        if not self.args.resume and self.args.should_save:
            with writing("the cross-validation", self.folder, self.place, "start the run again."):
                shutil.rmtree(self.place, ignore_errors=True)
                claim_folder(self.folder, None, None)
                self.place.mkdir()
                replace_text(self.place / PLAN, json.dumps(self.plan))
        self.args.distributed_state.wait_for_everyone()
        if self.args.should_log:
            say(self._table())
        # Only this fold shows its decisions and its losses.
        self.shown = next(iter(self.unfinished()), None)

    # Begin and resume ------------------------------------------------------------------------------------------------

    def _check_folder(self, text: str) -> None:
        """Raise [`CheckpointError`] if the folder holds another run, or no cross-validation to resume."""
        args, begun, job = self.args, (self.place / PLAN).exists(), self.folder / JOB_FILE
        if begun and was_restarted() and job.exists() and job.read_text(encoding="utf-8") == job_id():
            args.resume, args.overwrite = True, False
        if not args.resume or args.overwrite:
            find_checkpoint(self.run, text)
        if args.resume and not begun:
            raise CheckpointError(
                f"{str(self.folder)!r} has no cross-validation to resume: leave out training.resume, or write "
                "cross_validate=0 to resume the training of the model alone."
            )
        if begun and not args.resume and not args.overwrite:
            raise CheckpointError(
                f"{str(self.folder)!r} holds a cross-validation that has not ended: write training.resume=True to "
                "resume it, or training.overwrite=True to start a new one."
            )

    def _resume(self) -> None:
        """Read the results of the finished folds; raise [`CheckpointError`] if rows, folds or settings differ."""
        plan = json.loads((self.place / PLAN).read_text(encoding="utf-8"))
        for fold in range(self.count):
            file = self._file(fold)
            if file.exists():
                self.results[fold] = json.loads(file.read_text(encoding="utf-8"))
        what = f"the cross-validation in {str(self.folder)!r} was begun"
        again = "or training.overwrite=True to start a new one."
        # After the last fold, the settings are those of the run, which compares them itself.
        found = difference(plan["settings"], self.settings, _MAY_DIFFER) if self.unfinished() else None
        if found:
            raise CheckpointError(f"{what} {found}, {again}")
        if any(plan[name] != self.plan[name] for name in ("rows", "folds")):
            raise CheckpointError(
                f"{what} with other rows than {self.run.data.path!r} has now: restore the data, {again}"
            )
        logger.info(f"{len(self.results)} of {self.count} folds were measured before; resuming after them.")

    def _table(self) -> str:
        rows, how = self.rows, type(splitter_of(self.rows, self.run)).__name__
        groups = "" if rows.groups is None else f", {len(set(rows.groups))} groups of {self.run.data.group_column!r}"
        alone = "the test split stays apart" if rows.has_test else "there is no test split"
        lines = [
            ("folds", f"{self.count} of {len(rows):,} rows ({' and '.join(rows.splits)}){groups}; {alone}"),
            ("", f"{how} of scikit-learn, data.seed={self.run.data.seed}; then the final model, trained as usual"),
        ]
        return "\n".join(f"{name:<11}{value}" for name, value in lines)

    # Folds -----------------------------------------------------------------------------------------------------------

    def unfinished(self) -> list[int]:
        """Return the indices of the folds without a result, ascending."""
        return [fold for fold in range(self.count) if fold not in self.results]

    def _folder_of(self, fold: int) -> Path:
        return self.place / f"fold-{fold + 1}"

    def _file(self, fold: int) -> Path:
        return self.place / f"fold-{fold + 1}.json"

    def run_of(self, fold: int) -> tuple[RunConfig, str, dict[str, Dataset]]:
        """Return the configuration of the run of a fold, its YAML text, and its rows.

        Args:
            fold: Index of the fold.
        """
        folder = self._folder_of(fold)
        resumed = newest_whole(folder) is not None
        values = _OF_FOLDS | {f"data.{name}": value for name, value in self.rows.values.items()}
        values |= {"training.output_dir": str(folder), "training.resume": resumed, "training.overwrite": not resumed}
        if fold != self.shown:
            values["training.disable_tqdm"] = True
        return (*with_values(self.run, values), self.rows.training_rows(self.fold_of != fold))

    def showing(self, fold: int) -> AbstractContextManager[None]:
        """Return the context of the run of a fold: only the first one shows its decisions and its losses.

        Args:
            fold: Index of the fold.
        """
        return nullcontext() if fold == self.shown else hushed()

    def measure(self, fold: int) -> None:
        """Measure the model of a fold on the rows of the fold, save the result, and delete the model.

        Args:
            fold: Index of the fold.
        """
        found: Any = None
        if self.args.process_index == 0:
            with hushed(), progress_bars(False):
                found = self._answers(fold)
            replace_text(self._file(fold), json.dumps(found))
            shutil.rmtree(self._folder_of(fold))
        self.results[fold] = broadcast_object_list([found])[0]
        self.args.distributed_state.wait_for_everyone()
        if self.args.should_log:
            metrics = " · ".join(
                f"{name} {self.results[fold]['metrics'][name]:.4f}" for name in self.rows.task.measures
            )
            say(f"fold {fold + 1} of {self.count}: {metrics} on {len(self.results[fold]['places']):,} rows")

    def _answers(self, fold: int) -> dict:
        started = time.perf_counter()
        predictor = Predictor.from_pretrained(self._folder_of(fold), device=str(self.args.device))
        task: Any = predictor.task
        if task.label_names != self.rows.task.label_names:
            raise HfRnnError(
                f"the model of fold {fold + 1} has the labels {', '.join(task.label_names)}, and the rows have "
                f"{', '.join(self.rows.task.label_names)}: write data.label_names={self.rows.task.label_names}."
            )
        places = np.flatnonzero(self.fold_of == fold)
        held_out = task.encode(self.rows.labelled.select(places), predictor.tokenizer)
        logits = predictor.logits(held_out.with_format("numpy")["input_ids"][:])
        facts = json.loads((self._folder_of(fold) / METRICS_FILE).read_text(encoding="utf-8"))["run"]
        return {
            "places": places.tolist(),
            "seconds": round(facts["train_seconds"] + time.perf_counter() - started, 1),
            "metrics": task.metrics(logits, self.rows.labels[places]),
            "predicted": task.predicted(logits).tolist(),
            "scores": task.scores(logits).tolist(),
        }

    def last_run(self) -> tuple[RunConfig, str]:
        """Return the configuration of the run that trains the final model on all rows, and its YAML text."""
        resumed = newest_whole(self.folder, self.args.load_best_model_at_end) is not None
        return with_values(self.run, {"training.resume": resumed, "training.overwrite": not resumed})

    # Results ---------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Compute the results over all folds, and print them."""
        found = [self.results[fold] for fold in range(self.count)]
        measured = [each["metrics"] for each in found]
        names = [name for name in measured[0] if all(name in metrics for metrics in measured)]
        values = {name: np.array([metrics[name] for metrics in measured], dtype=float) for name in names}
        order = np.argsort(np.concatenate([each["places"] for each in found]), kind="stable")
        self.predicted, self.scores = (
            np.concatenate([np.asarray(each[name]) for each in found])[order] for name in ("predicted", "scores")
        )
        self.facts: dict[str, Any] = {
            "splitter": type(splitter_of(self.rows, self.run)).__name__,
            "seed": self.run.data.seed,
            "group_column": self.run.data.group_column,
            "splits": self.rows.splits,
            "rows": len(self.rows),
            "measures": list(self.rows.task.measures),
            "folds": [
                {"rows": len(each["places"]), "seconds": each["seconds"], "metrics": each["metrics"]} for each in found
            ],
            "mean": {name: float(of_folds.mean()) for name, of_folds in values.items()},
            "std": {name: float(of_folds.std(ddof=1)) for name, of_folds in values.items()},
        }
        self.label_errors: LabelErrors | None = None
        if self.run.report.label_errors:
            try:
                self.label_errors = LabelErrors.found(self.rows, self.scores, self.predicted, self.run.card.examples)
                self.facts["label_errors"] = self.label_errors.facts()
            except ValueError as error:  # The training of the model must not fail because cleanlab refuses the labels.
                logger.warning(f"cleanlab found no label errors: {first_line(error)}.")
        if self.args.should_log:
            say(folds_text(self.facts))

    def write(self, folder: Path) -> None:
        """Write the answers to all rows, the figure and, if the run asks for them, the suspected label errors.

        Args:
            folder: Folder to write into.
        """
        with open(folder / OUT_OF_FOLD, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            csv.writer(file).writerows(self._out_of_fold())
        draw_folds(
            {name: [fold["metrics"][name] for fold in self.facts["folds"]] for name in self.facts["measures"]},
            folder / CROSS_VALIDATION,
        )
        if self.label_errors is not None:
            self.label_errors.write(folder / LABEL_ERRORS)

    def _out_of_fold(self) -> Iterator[list[Any]]:
        """Yield the header and the rows of the table of answers, in the order of the rows."""
        task, rows = self.rows.task, self.rows
        texts = rows.texts() if self.run.card.examples else {}
        classes = [] if task.problem_type == REGRESSION else task.label_names
        yield ["row", *texts, "label", "predicted", *(f"probability.{name}" for name in classes), "fold"]
        labels = rows.labels
        for place, name in enumerate(rows.names):
            scores = [f"{score:.6f}" for score in self.scores[place]] if classes else []
            answers = [label_name(task, label) for label in (labels[place], self.predicted[place])]
            quoted = [column[place] for column in texts.values()]
            yield [name, *quoted, *answers, *scores, int(self.fold_of[place]) + 1]


__all__ = ["CrossValidation"]
