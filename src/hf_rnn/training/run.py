# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A training run, from its YAML file to a complete model folder, on transformers' Trainer."""

import logging
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DatasetDict, IterableDataset
from transformers import PreTrainedTokenizerBase, set_seed

from ..hub.folder import RUN_FILE
from ..interpret.diagnosis import flow_batch
from ..interpret.gradient_flow_callback import GradientFlowCallback
from ..tasks import Task, task_class
from ..text.labels import SINGLE
from ..text.loading import load
from ..text.schema import SCHEMA_FILE, Schema
from ..text.vector_reader import VectorReader
from ..text.vectors import FoundVectors
from ..utils.errors import ConfigError, HfRnnError
from ..utils.machine import hardware, versions
from ..utils.output import say
from .calibration import calibrate, check_calibration
from .checkpoints import ASIDE, writing
from .class_balance import balanced_rows
from .cross_validation import CrossValidation
from .distillation import loss_of
from .going_on import (
    GoingOn,
    go_on,
    kept_hyperparameters,
    kept_labels,
    with_old_columns,
    with_pretrained_settings,
)
from .later_words import add_later_words, adds_later
from .lesson import Lesson, prepare_lesson, with_lesson
from .new_model import model_of, tokenizer_of
from .open_teachers import without_answers
from .pictures import draw_pictures
from .presets import choose, rules_of
from .pretrained import warn_of_unknown_tokens
from .progress import bars_as_asked
from .python_config import read_config
from .report import add_report, tried
from .resuming import check_same_data, find_checkpoint
from .run_checks import check_use
from .run_config import RunConfig
from .run_folder import claim_folder, command_to_go_on, push_run, put_in_place, saved_bytes, write_results
from .streaming import EncodedStream, load_streaming
from .student_sizes import with_fitting_sizes
from .teacher_report import add_teacher_report
from .trainer import RNNTrainer
from .trainers import trainer_class
from .vectors import VectorsAtStart, open_for, report_of, vectors_for
from .wide_path import WidePaths, add_wide_path, put_wide_path

logger = logging.getLogger(__name__)


def train(config: str | Path | dict | list[str] | None = None, *, data: Any = None) -> dict:
    """Train, evaluate and save a model.

    Args:
        config: Path of a YAML file, its sections as a dict, or a list of command-line arguments; None for the defaults.
            A dict looks like `{"data": {"path": "reviews.csv"}, "training": {"output_dir": "my-model"}}`, or
            `{"data": "reviews.csv"}`.
        data: Rows in memory that replace `data.path`: a pandas or polars DataFrame, a `datasets.Dataset`, or a list of
            dicts or of pairs (text, label). A `datasets.DatasetDict` or a dict holds several splits.

    Returns:
        Content of `metrics.json`: metrics of the `validation` and, if there is one, `test` split, and facts on the run.

    Raises:
        HfRnnError: The configuration, data or output folder is invalid (an older run is unchanged), or training fails.
    """
    return train_run(*read_config(config, data))


def train_run(run: RunConfig, text: str, source: Any = None) -> dict:
    """Train and save the model of a parsed run, after its cross-validation if it has one; return its metrics.

    Args:
        run: Parsed configuration.
        text: YAML text that reproduces the run.
        source: Rows in memory that replace `data.path`; None to read `data.path`.
    """
    if not run.cross_validate:
        return Run(run, text, source).train()
    check_use(run, task_class(run.task))
    if with_pretrained_settings(run, text)[0].model.keep_head:
        raise ConfigError(
            f"cross_validate={run.cross_validate} does not go on from a text classifier, such as "
            f"{run.model.pretrained!r}: write model.keep_head=False to take its encoder only, or cross_validate=0."
        )
    folds = CrossValidation(run, text, source)
    for fold in folds.unfinished():
        with folds.showing(fold):
            Run(*folds.run_of(fold), is_fold=True).train()
        folds.measure(fold)
    folds.finish()
    return Run(*folds.last_run(), source, folds).train()


class Run:
    """One training run.

    Args:
        run: Parsed configuration.
        text: YAML text that reproduces the run.
        source: Rows in memory that replace `data.path`; None to read `data.path`.
        folds: Finished cross-validation, whose results are saved with the model; None for none.
        is_fold: True for the run of a fold, whose model is deleted: it has no figures and no report.
        teachers: Teachers that were passed in Python.
    """

    # Fitted n-grams that several runs with the same tokens share; None for one run.
    bags: dict | None = None

    def __init__(
        self,
        run: RunConfig,
        text: str,
        source: Any = None,
        folds: CrossValidation | None = None,
        is_fold: bool = False,
        teachers: Sequence[Any] = (),
    ):
        self.source, self.folds, self.is_fold = source, folds, is_fold
        self.config, self.text, self.checkpoint = find_checkpoint(run, text)
        self.args = self.config.training
        assert self.args.output_dir is not None
        self.folder = Path(self.args.output_dir)
        # Decisions of a run that goes on from a text classifier.
        self.going_on: GoingOn | None = None
        # Teachers that were passed in Python, the splits that hold answers of a teacher, and the rows of a student.
        self.teachers, self.splits = teachers, DatasetDict()
        self.lesson: Lesson | None = None

    @bars_as_asked
    def train(self) -> dict:
        """Train, evaluate and save the model; return the content of `metrics.json`."""
        set_seed(self.args.seed)
        new = self.checkpoint is None
        if new:
            self.config, self.text = with_pretrained_settings(self.config, self.text)
        run, args = self.config, self.config.training
        self.args = args
        check_use(run, task_class(run.task))
        with args.main_process_first(desc="reading the data"):
            task, prepared, stream, schema = self._read()
        if args.should_log:
            say(schema.table(run.data.path))
        # Before the teachers answer, which may take hours.
        source = open_for(run) if new or adds_later(run) else None
        self._learn_from_teachers(task, prepared)
        schema.lesson_fingerprint = self.lesson.fingerprint if self.lesson else None
        if self.lesson and self.lesson.embeddings and new:
            source = open_for(run, self.lesson.embeddings)
        if run.model.keep_head:
            with args.main_process_first(desc="reading the old rows"):
                prepared, self.going_on = go_on(run, task, prepared, schema, not new)
        check_same_data(run, self.checkpoint, schema)
        if new:
            self._choose_settings(task, prepared)
            run, args = self.config, self.args
        check_calibration(args, task)
        tokenizer, encoded, order = self._encode(task, prepared, source)
        facts = task.facts(prepared, encoded, run.card.examples)
        if args.should_log:
            say(task.summary(facts))
        warn_of_unknown_tokens(run, tokenizer, encoded["train"])
        train = prepared["train"], encoded["train"]
        found = vectors_for(source, run, task, tokenizer, *train) if source and new else None
        set_seed(args.seed)
        trainer = self._trainer(task, tokenizer, encoded, stream, found)
        args.distributed_state.wait_for_everyone()  # No process may still read the files that are moved next.
        with args.main_process_first(desc="claiming the folder"):
            if args.should_save:
                with self._writing():
                    claim_folder(self.folder, self.checkpoint, self.text)
        trainer.run_text, trainer.facts, trainer.schema = self.text, {"data": facts}, schema
        trainer.train(resume_from_checkpoint=self.folder / self.checkpoint.name if self.checkpoint else None)
        if source and adds_later(run):
            tokenizer = self._add_later_words(trainer, task, prepared, tokenizer, source, encoded, order)
            facts = task.facts(prepared, encoded, run.card.examples)
        wide: WidePaths | None = None
        if most := run.model.wide_ngrams:
            wide = add_wide_path(trainer, tokenizer, encoded, most, kept_hyperparameters(run), self.bags)
        calibration = calibrate(trainer, tokenizer, encoded)
        results, figures = self._evaluate(trainer, encoded, wide)
        results["run"] = self._facts(trainer, None if run.data.streaming else len(encoded["train"]), wide, calibration)
        results["data"] = facts
        if self.folds is not None:
            results["cross_validation"] = self.folds.facts
        if args.should_save:
            self._finish(trainer, tokenizer, prepared, figures, order, results)
        args.distributed_state.wait_for_everyone()
        return results

    def _finish(
        self, trainer: RNNTrainer, tokenizer: Any, prepared: DatasetDict, figures: dict, order: dict, results: dict
    ) -> None:
        """Save the trained model, report on it, and push it if the run asks for that."""
        self._save(trainer, tokenizer, results, figures)
        most = self.config.distil.max_megabytes
        if most is not None and (size := saved_bytes(self.folder)) > 1e6 * most:
            logger.warning(
                f"the model takes {size / 1e6:.2f} megabytes, more than distil.max_megabytes={most:g}: write a smaller "
                "model.hidden_size or tokenizer.vocab_size."
            )
        if self.lesson is not None:
            tried("teacher", partial(add_teacher_report, self.lesson, trainer, prepared, figures, order, results))
        if not self.is_fold:
            add_report(self.config.report, trainer, prepared, figures, order, results, self.config.card.examples)
        if self.args.push_to_hub:
            push_run(self.folder, self.args, trainer.hub_model_id)

    def _read(self) -> tuple[Task, DatasetDict, IterableDataset | None, Schema]:
        """Return the task, its prepared rows, the streamed training rows (or None), and the schema of the data."""
        run, stream, kept = self.config, None, kept_labels(self.config, self.checkpoint)
        task: Any = task_class(run.task)(run.data)
        task.kept = kept
        if run.data.streaming and self.source is not None:
            raise HfRnnError("data.streaming=True reads files, and rows were handed over in Python: leave it out.")
        if run.data.streaming:
            splits, stream, data = load_streaming(task, self.args)
            task = task_class(run.task)(data)
            task.kept = kept
        else:
            splits = load(run.data, source=self.source, tagged=task.tagged)
            self.splits, splits = splits, without_answers(run, splits)
            if kept is not None:
                task.data = with_old_columns(run, self.checkpoint, task, splits)
            splits = task.hold_out_test(splits)
        prepared = task.prepare(splits)
        return task, prepared, stream, task.schema(splits, prepared)

    def _choose_settings(self, task: Task, prepared: DatasetDict) -> None:
        """Choose the settings that the user did not write, by the rules of the preset and for the size of a student."""
        if rules_of(self.config):
            self.config, self.text = choose(self.config, task, with_lesson(prepared, self.lesson)["train"])
        if self.config.distil.max_megabytes is not None:
            self.config, self.text = with_fitting_sizes(self.config, task)
        self.args = self.config.training

    def _learn_from_teachers(self, task: Any, prepared: DatasetDict) -> None:
        """Prepare the training rows of a student, which have the answers of its teachers."""
        if self.config.teacher:
            self.lesson = prepare_lesson(self.config, task, self.splits, prepared, self.teachers)
            prepared.pop("unlabelled", None)

    def _encode(
        self, task: Task, prepared: DatasetDict, vectors: VectorReader | None
    ) -> tuple[PreTrainedTokenizerBase, DatasetDict, dict]:
        """Return the tokenizer, the encoded splits, and the order by length of the rows of each evaluated split."""
        texts = prepared["train"] if self.lesson is None else self.lesson.texts
        others = [rows for split, rows in prepared.items() if split not in ("train", "test")]
        tokenizer = tokenizer_of(self.config, self.checkpoint, task, texts, others, vectors)
        tokenizer = task.fitted(tokenizer, resumed=self.checkpoint is not None)
        encoded, order = DatasetDict(), dict[str, Any]()
        self._encode_splits(task, with_lesson(prepared, self.lesson), tokenizer, encoded, order)
        return tokenizer, encoded, order

    def _encode_splits(
        self, task: Task, splits: dict[str, Any], tokenizer: PreTrainedTokenizerBase, encoded: DatasetDict, order: dict
    ) -> None:
        """Write encoded splits into a dict, and the order by length of those that are evaluated into another one."""
        with self.args.main_process_first(desc="tokenizing"):
            for split, rows in splits.items():
                encoded[split] = task.encode(rows, tokenizer)
                if split in ("validation", "test") and not task.in_order:
                    order[split] = np.argsort(encoded[split]["length"], kind="stable")
                    encoded[split] = encoded[split].select(order[split])

    def _add_later_words(
        self,
        trainer: RNNTrainer,
        task: Task,
        prepared: DatasetDict,
        tokenizer: PreTrainedTokenizerBase,
        source: VectorReader,
        encoded: DatasetDict,
        order: dict,
    ) -> PreTrainedTokenizerBase:
        """Return the tokenizer with the words that the model gets after training, and encode the test split with it."""
        tokenizer = add_later_words(trainer, self.config, tokenizer, source)
        test = {split: rows for split, rows in prepared.items() if split == "test"}
        self._encode_splits(task, test, tokenizer, encoded, order)
        return tokenizer

    def _writing(self) -> AbstractContextManager[None]:
        return writing("the run", self.folder, self.folder / ASIDE / "unfinished", "start the run again.")

    def _trainer(
        self,
        task: Task,
        tokenizer: PreTrainedTokenizerBase,
        encoded: DatasetDict,
        stream: IterableDataset | None,
        vectors: FoundVectors | None,
    ) -> RNNTrainer:
        args, train_rows = self.args, encoded["train"]
        if args.balanced_sampling and task.problem_type == SINGLE:
            train_rows = balanced_rows(train_rows, args.order_seed)
        if stream is not None:
            shuffle = args.train_sampling_strategy != "sequential"
            place = {"rank": args.process_index, "world_size": args.world_size}
            train_rows = EncodedStream(stream, task, tokenizer, shuffle, args.order_seed, **place)
        model = model_of(self.config, self.checkpoint, task, tokenizer, vectors)
        with self._writing():  # The constructor creates the output folder.
            trainer = trainer_class(self.config.task)(
                model,
                args,
                task,
                tokenizer,
                train_dataset=train_rows,
                eval_dataset=encoded["validation"],
                unlabelled_dataset=encoded.get("unlabelled"),
                **({"distillation": loss_of(self.config, task)} if self.lesson else {}),
            )
        if self.config.model.vectors is not None or self.config.distil.teacher_embeddings:
            trainer.add_callback(VectorsAtStart(args.vectors_frozen_epochs, vectors.report if vectors else None))
        if args.gradient_flow_steps:
            batch = flow_batch(encoded["validation"], self.config.task == "language_modeling")
            trainer.add_callback(GradientFlowCallback(**batch, every=args.gradient_flow_steps))
        go_on = command_to_go_on(self.folder, args)
        if self.lesson is not None:
            go_on = "the same command"
        trainer.stop.how_to_go_on = go_on if self.source is None else "the same run with training.resume=True"
        return trainer

    def _facts(
        self, trainer: RNNTrainer, train_rows: int | None, wide: WidePaths | None, calibration: dict | None
    ) -> dict[str, Any]:
        vectors = report_of(trainer)
        return {
            "task": self.config.task,
            "epochs": round(trainer.state.epoch, 3),
            "best_step": trainer.state.best_global_step,
            "train_seconds": round(trainer.train_seconds + (wide.seconds if wide else 0), 1),
            "train_rows": train_rows,
            "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
            **({"vectors": vectors} if vectors else {}),
            **({"going_on": self.going_on.facts()} if self.going_on else {}),
            **({"distillation": self.lesson.facts()} if self.lesson else {}),
            **({"wide_path": wide.decisions} if wide else {}),
            "world_size": self.args.world_size,
            "date": date.today().isoformat(),
            "hardware": hardware(),
            "versions": versions(),
            **({"calibration": calibration} if calibration else {}),
        }

    def _evaluate(self, trainer: RNNTrainer, encoded: DatasetDict, wide: WidePaths | None) -> tuple[dict, dict]:
        """Return the metrics of the validation and test splits, and their logits and labels, if there are any."""
        results: dict[str, Any] = {}
        predicted: dict[str, Any] = {}
        for split in ("validation", "test"):
            if split in encoded:
                results[split], predicted[split] = trainer.judge(encoded[split], split)
            # The final wide path is fitted to the validation split, so it must not be evaluated on it.
            if split == "validation" and wide is not None and wide.final is not None:
                put_wide_path(trainer, wide.final)
        return results, predicted

    def _save(self, trainer: RNNTrainer, tokenizer: PreTrainedTokenizerBase, results: dict, predicted: dict) -> None:
        """Write the files of the model into a temporary folder, and move them into place when all are written."""
        saving = self.folder / ".saving"
        shutil.rmtree(saving, ignore_errors=True)
        then = f"{trainer.stop.how_to_go_on} saves it without training again."
        with writing("the model", self.folder, saving, then):
            self._write(saving, trainer, tokenizer, results, predicted)
            # Other checkpoints are deleted only now, so that a run can resume if saving is interrupted.
            keep_only = trainer.state.best_model_checkpoint if self.args.save_total_limit == 1 else None
            put_in_place(saving, self.folder, bool(self.args.gradient_flow_steps), keep_only)

    def _write(
        self, saving: Path, trainer: RNNTrainer, tokenizer: PreTrainedTokenizerBase, results: dict, predicted: dict
    ) -> None:
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(saving)
        tokenizer.save_pretrained(saving)
        (saving / RUN_FILE).write_text(self.text, encoding="utf-8")
        assert trainer.schema is not None
        (saving / SCHEMA_FILE).write_text(trainer.schema.to_json(), encoding="utf-8")
        if not self.is_fold:
            draw_pictures(saving, trainer, predicted)
        if self.folds is not None:
            self.folds.write(saving)
        write_results(results, saving, self.folder, trainer.hub_model_id or self.args.hub_name)


__all__ = ["Run", "train", "train_run"]
