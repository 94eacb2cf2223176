# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of a teacher, kept on disk: each text is answered once, also if the process is killed in between.

The folder of a teacher has a file that describes it and any number of Parquet files with the digests of texts and their
answers: a list of numbers, or a text. Texts that have no answer yet are put into groups, and a file is written for each
answered group. The list of these texts is saved first, so that an interrupted run forms the same groups, and so the
same batches, when it starts again: the answers are then the same bit by bit.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from ..text.labels import REGRESSION
from ..utils.errors import CheckpointError
from ..utils.output import bars_are_seen
from .base import TAGS, Labeller, Teacher, Translator, form_of, log_scores

logger = logging.getLogger(__name__)

DESCRIPTION = "teacher.json"
# Bytes of the digest of a text.
DIGEST = 16
# Seconds between two lines of progress where no progress bar is seen.
SILENCE = 60.0

Texts = Sequence[tuple[str, ...]]


@dataclass
class Processes:
    """Processes that answer texts together.

    Args:
        index: Index of this process.
        count: Number of processes.
        wait: Function that waits until all processes have called it.
    """

    index: int = 0
    count: int = 1
    wait: Callable[[], None] = field(default=lambda: None)


def folder_of(teacher: Labeller, problem_type: str, cache: Path, run: Path) -> Path:
    """Return the folder of a teacher's answers.

    Args:
        teacher: Teacher.
        problem_type: Problem type of the student.
        cache: Folder of the answers of all teachers.
        run: Folder for the answers of a teacher without a key, which are kept until the training begins.
    """
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(teacher.name).name or "teacher")[:60]
    if teacher.key is None:
        return run / name
    return cache / f"{name}-{blake2b(f'{teacher.key} {problem_type}'.encode(), digest_size=8).hexdigest()}"


def answer(
    teacher: Teacher, texts: Texts, problem_type: str, folder: Path, processes: Processes | None = None
) -> np.ndarray:
    """Return the answers of a teacher to texts as [`log_scores`][hf_rnn.teachers.base.log_scores], `[P, K]`, float32.

    P is the number of texts; for taggers, it is the number of words of all texts. Answers that the folder has are read
    from it. The others are computed and added to it.

    Args:
        teacher: Teacher.
        texts: N texts as `(text,)`, pairs of texts as `(text, second text)`, or, for taggers, words.
        problem_type: Problem type of the student.
        folder: Folder of the teacher's answers.
        processes: Processes that all call this function with the same arguments and share the work; None for one.

    Raises:
        CheckpointError: The folder has the answers of another teacher, or cannot be written.
    """
    counts = [len(text) if problem_type == TAGS else 1 for text in texts]

    def of_group(some: Texts) -> pa.Array:
        answers = np.asarray(teacher.answers(some), dtype=np.float64)
        if teacher.outputs is None and problem_type != REGRESSION and np.isfinite(answers).all():
            teacher.outputs = form_of(answers)
            logger.info(f"the numbers of the teacher {teacher.name!r} are read as {teacher.outputs} (teacher.outputs).")
        scores = log_scores(answers, teacher.outputs, problem_type, teacher.name)
        starts = np.cumsum([0, *(len(text) if problem_type == TAGS else 1 for text in some)]) * scores.shape[1]
        return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), pa.array(scores.ravel(), pa.float32()))

    found = _answers(teacher, texts, problem_type, folder, processes or Processes(), of_group)
    sizes = found.value_lengths().to_numpy()
    width = int(sizes.sum()) // max(1, sum(counts))
    wrong = np.flatnonzero(sizes != np.multiply(counts, width))
    if len(wrong):
        place = int(wrong[0])
        raise CheckpointError(
            f"{str(folder)!r} has {sizes[place]} numbers for {texts[place][0][:60]!r}, and other numbers for each "
            "answer to the other texts: delete the folder of this teacher."
        )
    return found.flatten().to_numpy().reshape(-1, width or 1)


def answer_in_words(
    teacher: Translator, texts: Texts, problem_type: str, folder: Path, processes: Processes | None = None
) -> list[str]:
    """Return the texts that a teacher writes for texts. They are kept as in [`answer`].

    Args:
        teacher: Teacher.
        texts: N texts as `(text,)`.
        problem_type: Problem type of the student.
        folder: Folder of the teacher's answers.
        processes: Same as in [`answer`].

    Raises:
        CheckpointError: Same as in [`answer`].
    """

    def of_group(some: Texts) -> pa.Array:
        return pa.array(teacher.translations(some), pa.string())

    return _answers(teacher, texts, problem_type, folder, processes or Processes(), of_group).to_pylist()


def _answers(
    teacher: Labeller,
    texts: Texts,
    problem_type: str,
    folder: Path,
    processes: Processes,
    of_group: Callable[[Texts], pa.Array],
) -> pa.Array:
    """Return the answers to texts, one for each, as `of_group` computes them."""
    keys = [_digest(text) for text in texts]
    if processes.index == 0:
        with _writing(folder):
            _describe(teacher, problem_type, folder)
    processes.wait()
    known = _Known.read(folder)
    missing = [key for key in dict.fromkeys(keys) if key not in known.places]
    name = blake2b(b"".join(keys), digest_size=DIGEST).hexdigest()
    plan = folder / f"{name}.plan"
    if missing or plan.exists():
        by_key = dict(zip(keys, texts, strict=True))
        if processes.index == 0 and not plan.exists():
            ordered = sorted(missing, key=lambda key: (-sum(map(len, by_key[key])), key))
            with _writing(folder):
                _replace(plan, lambda part: part.write_bytes(b"".join(ordered)))
        processes.wait()
        groups = _groups(plan, teacher.group, by_key)
        # Files are named by the plan: another plan for the same texts has other groups.
        shards = blake2b(plan.read_bytes(), digest_size=DIGEST).hexdigest()
        _answer_groups(teacher, groups, folder, shards, of_group, processes)
        processes.wait()
        known = _Known.read(folder)
        if processes.index == 0:
            with _writing(folder):
                _describe(teacher, problem_type, folder)  # The answers may have told labels and outputs.
                plan.unlink(missing_ok=True)
    return known.answers.take(pa.array([known.places[key] for key in keys], pa.int64()))


@dataclass
class _Known:
    """Answers in a folder, and the index of the answer to each digest."""

    places: dict[bytes, int]
    answers: pa.Array

    @classmethod
    def read(cls, folder: Path) -> _Known:
        places: dict[bytes, int] = {}
        parts: list[pa.Array] = []
        rows = 0
        for file in sorted(folder.glob("*.parquet")):
            try:
                table = pq.read_table(file)
                keys, answers = table["text"].to_pylist(), table["scores"].combine_chunks()
            except (pa.ArrowException, OSError, KeyError, ValueError) as error:
                aside = file.with_suffix(".damaged")
                file.rename(aside)
                logger.warning(
                    f"{str(file)!r} is damaged ({error}) and was renamed to {aside.name}: its texts are new."
                )
                continue
            places.update({key: rows + place for place, key in enumerate(keys)})
            parts.append(answers)
            rows += len(keys)
        return cls(places, pa.concat_arrays(parts) if parts else pa.array([], pa.list_(pa.float32())))


def _digest(text: tuple[str, ...]) -> bytes:
    """Return the digest of a text, of a pair of texts or of words."""
    # A text without words differs from one whose only word is empty.
    return blake2b(("\0".join(text) if text else "\1").encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


def _describe(teacher: Labeller, problem_type: str, folder: Path) -> None:
    """Write the description of a teacher into its folder, or check the one that is there.

    A teacher that learns the names of its labels, or the form of its numbers, from its answers gets those of earlier
    answers.
    """
    file = folder / DESCRIPTION
    told: dict[str, Any] = {"name": teacher.name, "key": teacher.key, "labels": teacher.labels}
    told |= {"problem_type": problem_type, "outputs": getattr(teacher, "outputs", None)}
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else dict.fromkeys(told)
        for name in ("labels", "outputs"):
            if told[name] is None and found[name] is not None:
                setattr(teacher, name, found[name])
                told[name] = found[name]
        differs = [name for name in told if name != "name" and found[name] not in (told[name], None)]
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{str(file)!r} is damaged: delete the folder of this teacher.") from None
    if differs:
        raise CheckpointError(
            f"{str(folder)!r} has the answers of another teacher, {found['name']!r} with {differs[0]}="
            f"{found[differs[0]]!r}, and this one has {told[differs[0]]!r}: name another folder, teacher.cache=FOLDER."
        )
    if told != found or not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _replace(file, lambda part: part.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8"))


def _groups(plan: Path, size: int, by_key: dict[bytes, tuple[str, ...]]) -> list[tuple[list[bytes], Texts]]:
    """Return the groups of texts in a plan, each as digests and texts."""
    listed = plan.read_bytes()
    keys = [listed[start : start + DIGEST] for start in range(0, len(listed), DIGEST)]
    parts = [keys[start : start + size] for start in range(0, len(keys), size)]
    return [(part, [by_key[key] for key in part]) for part in parts]


def _answer_groups(
    teacher: Labeller,
    groups: list[tuple[list[bytes], Texts]],
    folder: Path,
    name: str,
    of_group: Callable[[Texts], pa.Array],
    processes: Processes,
) -> None:
    """Let the teacher answer the groups of this process that have no file yet, and write a file for each."""
    files = [folder / f"{name}-{number:06}.parquet" for number in range(len(groups))]
    mine = [place for place in range(len(groups)) if place % processes.count == processes.index]
    left = [place for place in mine if not files[place].exists()]
    if not left:
        return
    texts = sum(len(groups[place][0]) for place in left)
    if processes.index == 0:
        logger.info(f"the teacher {teacher.name!r} answers {texts:,} different texts; answers are kept in {folder}.")
    progress = _Progress(texts, shown=processes.index == 0)
    for place in left:
        keys, some = groups[place]
        table = pa.table({"text": pa.array(keys, pa.binary(DIGEST)), "scores": of_group(some)})
        with _writing(folder):
            _replace(files[place], partial(pq.write_table, table))
        progress.add(len(keys))
    progress.close()


class _Progress:
    """Progress of answering: a bar, or a line each minute where no bar is seen."""

    def __init__(self, texts: int, shown: bool):
        self.texts, self.done, self.shown = texts, 0, shown
        self.begun = self.told = time.monotonic()
        self.bar = tqdm(total=texts, desc="labelling", unit="texts", disable=not (shown and bars_are_seen()))

    def add(self, texts: int) -> None:
        self.done += texts
        self.bar.update(texts)
        now = time.monotonic()
        if self.shown and self.bar.disable and now - self.told > SILENCE:
            self.told = now
            left = (self.texts - self.done) * (now - self.begun) / self.done
            logger.info(f"labelled {self.done:,} of {self.texts:,} texts, {left / 60:.1f} minutes left.")

    def close(self) -> None:
        self.bar.close()
        seconds = time.monotonic() - self.begun
        if self.shown:
            logger.info(f"labelled {self.done:,} texts in {seconds:.0f} s.")


def _replace(file: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name, and rename it, so that it is complete or absent."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        write(part)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"the answers of the teacher cannot be written to {str(folder)!r} ({error}): free the disk and run the "
            "same command again, or name another folder, teacher.cache=FOLDER. Answers that are written are kept."
        ) from error


__all__ = ["Processes", "answer", "answer_in_words", "folder_of"]
