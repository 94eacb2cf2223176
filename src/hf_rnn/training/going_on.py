# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training that goes on from a text classifier: its labels and settings, and the replay of its old rows.

A sample of the old rows among the new ones keeps the network from forgetting them (Robins 1995, "Catastrophic
forgetting, rehearsal and pseudorehearsal").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, concatenate_datasets

from ..auto import architecture
from ..hub.fetch import find_model
from ..hub.folder import METRICS_FILE
from ..hub.saved_run import read_run
from ..inference.columns import own_columns
from ..models.configuration_rnn import RNNConfig, fields_read_by
from ..tasks import task_class
from ..tasks.kept_labels import KeptLabels
from ..text.arguments import DataArguments
from ..text.labels import MULTI, REGRESSION, SINGLE
from ..text.loading import load
from ..text.schema import Schema, fingerprint
from ..text.splits import of_each_class
from ..utils.errors import ConfigError, DataError, HfRnnError
from ..utils.output import say
from .fine_tuning import ENCODER, HEAD
from .ngram_choice import Hyperparameters
from .run_config import RunConfig, with_values

logger = logging.getLogger(__name__)

TASK = "text_classification"
# Default number of old rows for each new row.
MOST_OLD = 4


def with_pretrained_settings(run: RunConfig, text: str) -> tuple[RunConfig, str]:
    """Decide if a run keeps the head of its pretrained model, and take over the settings of that network.

    A run keeps the head of a text classifier if it trains one, unless `model.keep_head` is False. The settings of the
    model section that the user did not write then become those of the pretrained classifier.

    Args:
        run: Run as parsed.
        text: YAML text that reproduces the run.

    Returns:
        The run and its YAML text, with `model.keep_head=True` if the head is kept.

    Raises:
        ConfigError: The pretrained model has no such head, or settings contradict it.
    """
    model = run.model
    if model.pretrained is None or model.keep_head is False or (run.task != TASK and not model.keep_head):
        return _without_replay(run), text
    _, config = find_model(model.pretrained)
    found = architecture(config)
    if run.task != TASK or found != task_class(TASK).model_class.__name__:
        if model.keep_head:
            raise ConfigError(
                f"model.keep_head=True keeps the head of a text classifier, and the task is {run.task} with "
                f"{model.pretrained!r}, which is an {found}: leave it out."
            )
        return _without_replay(run), text
    _check_sizes(run, config)
    if model.keep_head and run.parsed.hf_rnn_version is not None:
        return run, text  # The run.yaml of a run that kept the head has all settings of the network.
    read = fields_read_by(found) & vars(model).keys()
    theirs = {f"model.{name}": getattr(config, name) for name in read if f"model.{name}" not in run.given}
    return with_values(run, {"model.keep_head": True, **theirs})


def _check_sizes(run: RunConfig, config: RNNConfig) -> None:
    """Raise [`ConfigError`] for a setting that contradicts the weights of the pretrained classifier."""
    wrote = {"forward_only": True} if run.model.forward_only else {}
    wrote |= {name: getattr(run.model, name) for name in (*ENCODER, *HEAD) if f"model.{name}" in run.given}
    for name, value in wrote.items():
        theirs = getattr(config, name, False)
        if value != theirs:
            raise ConfigError(
                f"model.{name}={value!r}, and the head of {run.model.pretrained!r} was trained with {name}={theirs!r}: "
                "leave it out, or write model.keep_head=False to take the encoder only."
            )


def _without_replay(run: RunConfig) -> RunConfig:
    """Return a run that keeps no head; raise [`ConfigError`] if it has old rows."""
    if run.data.replay is not None:
        raise ConfigError(
            f"data.replay={run.data.replay!r} names the old rows of a text classifier whose head is kept, and this run "
            "keeps none: leave it out, or name a text classifier, model.pretrained=FOLDER."
        )
    return run


def kept_labels(run: RunConfig, checkpoint: Path | None) -> KeptLabels | None:
    """Return the labels of the head that a run keeps; None if the head is new.

    Args:
        run: Run that [`with_pretrained_settings`] returned.
        checkpoint: Checkpoint from which the run resumes, whose labels count: the pretrained model may no longer exist.
    """
    if not run.model.keep_head:
        return None
    if checkpoint is not None:
        return KeptLabels.of(RNNConfig.from_pretrained(checkpoint), str(checkpoint))
    return KeptLabels.of(find_model(run.model.pretrained)[1], run.model.pretrained)


def with_old_columns(run: RunConfig, checkpoint: Path | None, task: Any, splits: DatasetDict) -> DataArguments:
    """Return the data section of a run with the columns of the pretrained classifier, if the new rows have them.

    Rows of one new class would not tell which column has the labels. Columns that the user wrote stay. One column per
    class stays for the task to find, since a new class has a column of its own.

    Args:
        run: Run that keeps the head of a text classifier.
        checkpoint: Checkpoint from which the run resumes; None for a run that starts anew.
        task: Task of the run.
        splits: Splits of the new rows, as they were read.
    """
    data, schema = task.data, Schema.read(checkpoint or find_model(run.model.pretrained)[0])
    if schema is None or not isinstance(schema.label_column, str):
        return data
    known = replace(schema.applied(data), label_separator=data.label_separator)
    names = np.hstack([name for name in (known.text_column, known.text_pair_column, known.label_column) if name])
    return known if set(names.tolist()) <= set(splits[task.train_split(splits)].column_names) else data


def kept_hyperparameters(run: RunConfig) -> Hyperparameters | None:
    """Return the hyperparameters of the n-grams of the pretrained classifier; None to choose them.

    Args:
        run: Run that [`with_pretrained_settings`] returned.
    """
    if not run.model.keep_head or "model.wide_order" in run.given:
        return None
    try:
        metrics = find_model(run.model.pretrained)[0] / METRICS_FILE
        chosen = json.loads(metrics.read_text(encoding="utf-8"))["run"]["wide_path"]
        # Earlier releases counted repeated n-grams.
        return Hyperparameters(chosen["order"], chosen["power"], chosen["strength"], chosen.get("binary", False))
    except (HfRnnError, OSError, ValueError, LookupError, TypeError):
        return None  # A resumed run whose pretrained classifier no longer exists, or one without a wide path.


@dataclass(frozen=True)
class GoingOn:
    """Decisions of a run that goes on from a text classifier.

    Args:
        pretrained: Folder or Hub id of the pretrained classifier.
        kept: Labels of the kept head.
        new: Labels that the pretrained classifier does not have.
        absent: Kept labels without a training row.
        replayed: Number of old rows added to each split; empty without `data.replay`.
        available: Number of old rows that there are for each split.
    """

    pretrained: str
    kept: list[str]
    new: list[str]
    absent: list[str]
    replayed: dict[str, int]
    available: dict[str, int]

    def facts(self) -> dict[str, Any]:
        """Return the decisions as metrics.json has them."""
        return {name: value for name, value in vars(self).items() if name != "available"}

    def summary(self) -> str:
        """Return the decisions in one or two lines."""
        new = f"{len(self.new)} new: {', '.join(self.new[:20])}" if self.new else "none new"
        lines = [f"head       that of {self.pretrained!r}: {len(self.kept)} labels kept, {new}"]
        if self.replayed:
            counts = [f"{self.replayed[use]:,} of {rows:,} for {use}" for use, rows in self.available.items()]
            lines.append(f"replay     old rows: {' · '.join(counts)}")
        return "\n".join(lines)


def go_on(run: RunConfig, task: Any, prepared: DatasetDict, schema: Schema, resumed: bool) -> tuple[DatasetDict, Any]:
    """Add the old rows to the splits of a run that keeps the head of a text classifier, and describe the decisions.

    Args:
        run: Run that [`with_pretrained_settings`] returned.
        task: Task of the run, which has prepared the new rows with `task.kept`.
        prepared: New rows by split.
        schema: Schema of the data; gets the fingerprint of the old rows.
        resumed: True to neither print nor warn.

    Returns:
        The splits, and the decisions as [`GoingOn`].

    Raises:
        DataError: The old rows cannot be read, or do not fit the new ones.
    """
    counts: dict[str, int] = {}
    available: dict[str, int] = {}
    if run.data.replay is not None:
        old, available = _replayed(run, task, prepared)
        schema.replay_fingerprint = fingerprint(old, task.label_names)
        counts = {split: len(rows) for split, rows in old.items()}
        prepared = DatasetDict(
            {**prepared, **{s: concatenate_datasets([prepared[s], rows]) for s, rows in old.items()}}
        )
    kept = list(task.kept.names)
    decisions = GoingOn(
        run.model.pretrained, kept, task.label_names[len(kept) :], _absent(task, prepared["train"]), counts, available
    )
    if run.training.should_log and not resumed:
        say(decisions.summary())
        if decisions.absent:
            where = "the training rows" + (" and those of data.replay" if counts else "")
            logger.warning(
                f"{where} have no row of {', '.join(map(repr, decisions.absent[:20]))}, which "
                f"{run.model.pretrained!r} knows, and the model will forget them: name rows that have them, such as "
                "those it was trained on, with data.replay=PATH."
            )
    return prepared, decisions


def _absent(task: Any, rows: Dataset) -> list[str]:
    """Return the kept labels that no row has."""
    if task.problem_type == REGRESSION:
        return []
    labels = np.asarray(rows["labels"])
    have = set(labels.tolist()) if task.problem_type == SINGLE else set(np.flatnonzero(labels.any(0)).tolist())
    return [name for place, name in enumerate(task.kept.names) if place not in have]


def _replayed(run: RunConfig, task: Any, prepared: DatasetDict) -> tuple[DatasetDict, dict[str, int]]:
    """Return the sampled old rows for training and validation, and the numbers of old rows that there are.

    The old rows are split as in the run of the pretrained classifier, so that it was not trained on those for
    validation if they are its own rows.
    """
    reader, old = _read(run, task)
    rows, data = run.data.replay_rows, run.data
    wanted = MOST_OLD * len(prepared["train"]) if rows is None else rows
    share = wanted if isinstance(wanted, float) else min(1.0, wanted / len(old["train"]))
    count = max(1, round(share * len(old["train"])))
    of_validation = max(1, round(len(prepared["validation"]) * count / len(prepared["train"])))
    sampled = DatasetDict()
    for split, most in (("train", count), ("validation", of_validation)):
        places = _sample(old[split], most, data.seed, task.problem_type == SINGLE)
        sampled[split] = old[split].select(places)
        source, numbers = reader.row_numbers[split]
        task.replayed_rows[split] = (f"{source} of {data.replay}", numbers[places])
    return sampled, {split: len(old[split]) for split in sampled}


def _sample(rows: Dataset, count: int, seed: int, by_class: bool) -> np.ndarray:
    """Return the indices of random rows in ascending order; with `by_class`, the same share of each class."""
    if count >= len(rows):
        return np.arange(len(rows))
    order = np.random.RandomState(seed).permutation(len(rows))
    if not by_class:
        return np.sort(order[:count])
    labels = np.asarray(rows["labels"])[order]
    return np.sort(of_each_class(order, labels.tolist(), count / len(rows), count))


def _read(run: RunConfig, task: Any) -> tuple[Any, DatasetDict]:
    """Read the old rows as the run of the pretrained classifier read its data, with the labels of the new model."""
    saved = read_run(find_model(run.model.pretrained)[0])
    path = str(run.data.replay)
    data = saved.data if saved.data.reads(path) else saved.data.elsewhere(path)
    data = replace(data, streaming=False, unlabelled_splits=[], problem_type=None)
    if data.test_size is None:
        data.test_split = None
    reader: Any = task_class(TASK)(data)
    reader.kept, reader.has_schema = replace(task.kept, names=tuple(task.label_names)), saved.schema is not None
    with _errors_of_old_settings(run):
        splits = reader.hold_out_test(load(data))
        train = splits[reader.train_split(splits)]
    reader.data = _columns_of(reader, train, task)
    with _errors_of_old_settings(run):
        old = reader.prepare(splits)
    _check_fit(task, reader, old, path)
    C = len(task.label_names)
    if task.problem_type == MULTI and len(reader.label_names) > C:
        old = old.map(lambda row: {"labels": row["labels"][:C]})
    return reader, old


@contextmanager
def _errors_of_old_settings(run: RunConfig) -> Iterator[None]:
    """Add to an error about the old rows that the data settings are those of the pretrained classifier."""
    try:
        yield
    except DataError as error:
        raise DataError(
            f"data.replay={str(run.data.replay)!r} is read with the data settings in run.yaml of "
            f"{run.model.pretrained!r}: {error}"
        ) from error


def _columns_of(reader: Any, rows: Dataset, task: Any) -> DataArguments:
    """Return the data section for the old rows, with columns of the pretrained run, well-known ones, or ours.

    Raises:
        DataError: The old rows have none of these columns.
    """
    ours = {f"{name}_column": getattr(task.columns, name) for name in ("text", "text_pair", "label")}
    try:
        return own_columns(reader, rows, (), labels=True)
    except HfRnnError as error:
        named = np.hstack([name for name in ours.values() if name is not None]).tolist()
        if set(named) <= set(rows.column_names):
            return replace(reader.data, **ours)
        raise DataError(
            f"data.replay={reader.data.path!r} has the columns {', '.join(map(repr, rows.column_names))}, and neither "
            f"those of the pretrained classifier nor those of the new rows ({', '.join(map(repr, named))}): give them "
            "these names."
        ) from error


def _check_fit(task: Any, reader: Any, old: DatasetDict, path: str) -> None:
    """Raise [`DataError`] if old rows have a label that the model does not learn, or only one of both has pairs."""
    labels = np.concatenate([np.asarray(rows["labels"]) for rows in old.values()])
    for place in range(len(task.label_names), len(reader.label_names)):
        if (labels == place).any() if task.problem_type == SINGLE else labels[:, place].any():
            raise DataError(
                f"data.replay={path!r} has rows of {reader.label_names[place]!r}, which neither the rows of "
                f"{task.data.path!r} nor the pretrained classifier have: take them out, or move them into the new rows."
            )
    pairs = [each.columns.text_pair is not None for each in (reader, task)]
    if pairs[0] != pairs[1]:
        kinds = ["pairs of texts" if of_pairs else "single texts" for of_pairs in pairs]
        raise DataError(
            f"data.replay={path!r} has {kinds[0]}, and {task.data.path!r} has {kinds[1]}: give both the same columns, "
            "or name the columns of the new rows, data.text_column=NAME."
        )


__all__ = ["GoingOn", "go_on", "kept_hyperparameters", "kept_labels", "with_old_columns", "with_pretrained_settings"]
