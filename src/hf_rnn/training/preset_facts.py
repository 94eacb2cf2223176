# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Facts about the training rows for the rules of presets, and formulas for batches, epochs, dropout and averaging."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..text.dialects import WORD
from ..text.labels import MULTI, SINGLE
from .preset_conditions import has_vectors, may_add_words

if TYPE_CHECKING:
    from datasets import Dataset

    from ..tasks import Task
    from .run_config import RunConfig

# Maximum number of training rows that are read; of more, evenly spaced ones.
SAMPLE = 20_000
# Mean number of words above which batches have a token budget, and the maximum of that budget.
LONG, MOST_TOKENS = 100, 2**15
# Number of words in the training rows up to which pretrained vectors are trained slowly.
MOST_SLOW = 1_000_000
# By preset: minimum steps, minimum epochs, maximum words read in training and maximum epochs. Taggers still improve
# after twice the epochs of classifiers; configs/conll2003.yaml has ten. Classifiers with several labels per text have
# two or three times the minimum of steps and epochs, because most labels are rare.
_CLASSIFIER = {"fast": (400, 2, 4e6, 20), "default": (1000, 2, 10.5e6, 60), "best": (2000, 4, 30e6, 100)}
_SEVERAL = {"fast": (800, 4, 4e6, 40), "default": (2000, 6, 10.5e6, 120), "best": (4000, 10, 30e6, 200)}
_TAGGER = {"fast": (1200, 4, 8e6, 40), "default": (4000, 10, 18e6, 120), "best": (10_000, 16, 60e6, 200)}
# Ratio of the largest to the smallest class from which on classes count as skewed, as 95 % and 5 %. In TREC it is 15.
SKEWED = 18
# Letters of Thai, Lao, Burmese and Khmer.
_UNSPACED_LETTER = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_TAG = re.compile(r"<(?:br|p|div|span|a|b|i)\b[^<>]{0,200}>", re.IGNORECASE)


@dataclass(frozen=True)
class Facts:
    """Facts about a run and its training rows, as the rules of presets need them.

    Args:
        preset: Name of the preset.
        rows: Number of training rows.
        words: Mean number of words and punctuation marks in a row, at most `data.max_length`. A character of a script
            without spaces counts as a word. With `tokenizer.kind=char`, all characters are counted instead.
        repeated: Number of distinct words that occur more than once in the rows that were read.
        unspaced_letters: Share of the words that are single letters of Thai, Lao, Burmese or Khmer; 1 with
            `tokenizer.kind=char`.
        tags: Number of texts with an HTML tag, per row.
        labels: Number of labels.
        kind: Problem type of a text classifier, else None.
        is_skewed: True if the classes are skewed, as [`is_skewed`] tells.
        goes_on: True for a run that goes on from a text classifier, which has a third of the epochs.
        tagged: True for token classification, which has batches of at most 16 rows, and more epochs.
        has_vectors: True if the embedding starts from pretrained vectors.
        adds_words: True if words of the vectors may become entries of the vocabulary.
        frozen: True if the user wrote that the vectors are not trained.
        written_factor: Factor of the embedding's learning rate if the user wrote it, else None.
        written_batch: Rows in a batch if the user wrote a batch size or a token budget, else None.
        written_epochs: Number of epochs if the user wrote it, else None.
        written_steps: Number of optimizer steps if the user wrote it, else None.
        batches: Number of batches in an optimizer step, over all processes.
    """

    preset: str
    rows: int
    words: float
    repeated: int = 0
    unspaced_letters: float = 0.0
    tags: float = 0.0
    labels: int = 2
    kind: str | None = None
    is_skewed: bool = False
    goes_on: bool = False
    tagged: bool = False
    has_vectors: bool = False
    adds_words: bool = False
    frozen: bool = False
    written_factor: float | None = None
    written_batch: float | None = None
    written_epochs: float | None = None
    written_steps: int | None = None
    batches: int = 1

    @classmethod
    def of(cls, run: RunConfig, task: Task, rows: Dataset) -> Facts:
        """Compute the facts about a run.

        Args:
            run: Run as parsed.
            task: Task of the run.
            rows: Prepared training rows.
        """
        sample = rows.select(range(0, len(rows), math.ceil(len(rows) / SAMPLE)))
        lowercase = run.tokenizer.lowercase or "tokenizer.lowercase" not in run.given
        by_character = run.tokenizer.kind == "char"
        counts: Counter[str] = Counter()
        tags = 0
        for text in task.texts(sample):
            tags += bool(_TAG.search(text))
            text = text.lower() if lowercase else text
            counts.update(text if by_character else WORD.findall(text))
        words = max(1, counts.total())
        mean = min(words / len(sample), run.data.max_length or math.inf)
        letters = sum(count for word, count in counts.items() if _UNSPACED_LETTER.match(word))
        args = run.training
        written_batch: float | None = None
        if "training.per_device_train_batch_size" in run.given:
            written_batch = args.per_device_train_batch_size
        elif args.train_batch_tokens is not None:
            written_batch = args.train_batch_tokens / mean
        return cls(
            run.preset,
            rows=len(rows),
            words=mean,
            repeated=sum(count > 1 for count in counts.values()),
            unspaced_letters=1.0 if by_character else letters / words,
            tags=tags / len(sample),
            labels=max(1, len(task.label_names)),
            kind=task.problem_type if run.task == "text_classification" else None,
            is_skewed=is_skewed(task, rows),
            goes_on=bool(run.model.keep_head),
            tagged=run.task == "token_classification",
            has_vectors=has_vectors(run),
            adds_words=may_add_words(run),
            frozen=args.freeze_vectors,
            written_factor=args.embedding_lr_factor if "training.embedding_lr_factor" in run.given else None,
            written_batch=written_batch,
            written_epochs=args.num_train_epochs if "training.num_train_epochs" in run.given else None,
            written_steps=args.max_steps if args.max_steps > 0 else None,
            batches=args.world_size * args.gradient_accumulation_steps,
        )

    def by_preset(self, fast: Any, default: Any, best: Any) -> Any:
        """Return the value for the preset of the run.

        Args:
            fast: Value for the preset fast.
            default: Value for the preset default.
            best: Value for the preset best.
        """
        return {"fast": fast, "default": default, "best": best}[self.preset]

    @property
    def batch(self) -> int:
        """The number of rows in a batch: about 150 steps per epoch, with 8 to 64 rows; up to 256 for many rows."""
        rows = self.rows / self.batches
        few, many = (round(math.log2(max(1.0, rows / steps))) for steps in (150, 3000))
        return min(16 if self.tagged else 256, 2 ** max(3, min(few, 6), min(many, 8)))

    @property
    def batch_tokens(self) -> int | None:
        """The token budget of a batch of long texts, which bounds the memory; None for short texts and for taggers."""
        if self.tagged or self.words <= LONG:
            return None
        return min(MOST_TOKENS, 2 ** round(math.log2(self.batch * self.words)))

    @property
    def steps_of_an_epoch(self) -> int:
        """The number of optimizer steps in an epoch."""
        tokens = self.batch_tokens
        batch = self.written_batch or (tokens / self.words if tokens else self.batch)
        return math.ceil(self.rows / (batch * self.batches))

    @property
    def epochs(self) -> int:
        """The number of epochs: enough for the minimum of steps, within the maximum of words and of epochs.

        A run that goes on from a text classifier has a third of them.
        """
        of_task = _TAGGER if self.tagged else _SEVERAL if self.kind == MULTI else _CLASSIFIER
        steps, fewest, words, most = of_task[self.preset]
        by_steps = math.ceil(steps / self.steps_of_an_epoch)
        by_words = max(1, round(words / (self.rows * max(1.0, self.words))))
        epochs = min(max(by_steps, fewest), by_words, most)
        return math.ceil(epochs / 3) if self.goes_on else epochs

    @property
    def steps(self) -> float:
        """The number of optimizer steps in training, from the steps or epochs that the user wrote, or from `epochs`."""
        return self.written_steps or (self.written_epochs or self.epochs) * self.steps_of_an_epoch

    @property
    def dropout(self) -> float:
        """The dropout of input and classifier.

        Taggers have 0.5, or half of it with pretrained vectors. Classifiers have less, and least if training has fewer
        than three epochs, because there is little time to overfit.
        """
        if self.tagged:
            return 0.25 if self.has_vectors else 0.5
        return 0.2 if self.steps < 3 * self.steps_of_an_epoch else 0.3

    @property
    def has_few_words(self) -> bool:
        """True if the training rows have so few words that the vectors know more about words than the rows do."""
        return self.rows * self.words <= MOST_SLOW

    @property
    def vector_words(self) -> int:
        """The number of words of pretrained vectors that become entries of the vocabulary.

        Classifiers that train the embedding at the full rate have none, because training moves the vectors of known
        words away from those of the others.
        """
        learns_slowly = self.has_few_words if self.written_factor is None else self.written_factor < 1
        if not self.adds_words or not (self.tagged or self.frozen or learns_slowly):
            return 0
        return self.by_preset(20_000, 50_000, 100_000 if self.tagged else 50_000)

    @property
    def averaging_decay(self) -> float:
        """The EMA decay that averages about the last tenth of the steps."""
        return round(min(0.999, max(0.9, 1 - 10 / self.steps)), 4)


def is_skewed(task: Task, rows: Dataset) -> bool:
    """Return True if each row has one label, and a class has SKEWED times as many rows as another one.

    Args:
        task: Task of the run.
        rows: Prepared training rows.
    """
    if task.problem_type != SINGLE:
        return False
    counts = Counter(rows["labels"])
    return max(counts.values()) >= SKEWED * min(counts.values())


__all__ = ["Facts", "is_skewed"]
