# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The facts about training rows that the rules of presets read, and the formulas of batches, epochs and averaging."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..text.dialects import WORD

if TYPE_CHECKING:
    from datasets import Dataset

    from ..tasks import Task
    from .run_config import RunConfig

# Training rows that are looked at.
SAMPLE = 20_000
# Words of a text, in the mean, from which on batches are counted in tokens, and the most tokens of a batch.
LONG, MOST_TOKENS = 100, 2**15
# The least steps, the fewest epochs, the most words that are read and the most epochs, by preset. Taggers still improve
# after twice the epochs of classifiers: configs/conll2003.yaml has ten.
_CLASSIFIER = {"fast": (400, 2, 4e6, 20), "default": (1000, 2, 10.5e6, 60), "best": (2000, 4, 30e6, 100)}
_TAGGER = {"fast": (1200, 4, 8e6, 40), "default": (4000, 10, 18e6, 120), "best": (10_000, 16, 60e6, 200)}
# Letters of the Thai, Lao, Burmese and Khmer alphabets.
_UNSPACED_LETTER = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_TAG = re.compile(r"<(?:br|p|div|span|a|b|i)\b[^<>]{0,200}>", re.IGNORECASE)


@dataclass(frozen=True)
class Facts:
    """Facts about a run and its training rows that the rules read.

    Args:
        preset: its name.
        rows: number of training rows.
        words: mean number of words and marks in a row, each character of a script without spaces being one; of
            characters, where these are the tokens that somebody wrote.
        repeated: number of different words that were seen more than once in the rows that were looked at.
        unspaced_letters: share of words that are single letters of an alphabet without spaces between words.
        tags: share of rows with an HTML tag.
        labels: number of labels.
        tagged: True for token classification: batches of at most 16 rows, and more epochs.
        written_batch: rows of a batch that somebody wrote; None for none.
        written_epochs, written_steps: the same of epochs and of steps.
        batches: batches of a step, of all processes.
    """

    preset: str
    rows: int
    words: float
    repeated: int = 0
    unspaced_letters: float = 0.0
    tags: float = 0.0
    labels: int = 2
    tagged: bool = False
    written_batch: float | None = None
    written_epochs: float | None = None
    written_steps: int | None = None
    batches: int = 1

    @classmethod
    def of(cls, run: RunConfig, task: Task, rows: Dataset) -> Facts:
        """Return the facts of a run.

        Args:
            run: as it was parsed.
            task: of the run.
            rows: its prepared training rows.
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
            tagged=run.task == "token_classification",
            written_batch=written_batch,
            written_epochs=args.num_train_epochs if "training.num_train_epochs" in run.given else None,
            written_steps=args.max_steps if args.max_steps > 0 else None,
            batches=args.world_size * args.gradient_accumulation_steps,
        )

    def by_preset(self, fast: Any, default: Any, best: Any) -> Any:
        """Return the value of the preset.

        Args:
            fast, default, best: the values of the presets of these names.
        """
        return {"fast": fast, "default": default, "best": best}[self.preset]

    @property
    def batch(self) -> int:
        """Rows of a batch: about 150 steps an epoch, at least 8 rows and at most 64; up to 256 for millions of rows."""
        rows = self.rows / self.batches
        few, many = (round(math.log2(max(1.0, rows / steps))) for steps in (150, 3000))
        return min(16 if self.tagged else 256, 2 ** max(3, min(few, 6), min(many, 8)))

    @property
    def batch_tokens(self) -> int | None:
        """Tokens of a batch, where texts are long: memory does not grow with their length."""
        if self.tagged or self.words <= LONG:
            return None
        return min(MOST_TOKENS, 2 ** round(math.log2(self.batch * self.words)))

    @property
    def steps_of_an_epoch(self) -> int:
        """Steps of an epoch."""
        tokens = self.batch_tokens
        batch = self.written_batch or (tokens / self.words if tokens else self.batch)
        return math.ceil(self.rows / (batch * self.batches))

    @property
    def epochs(self) -> int:
        """Epochs: as many as some steps need, but not more than a number of words allow."""
        steps, fewest, words, most = (_TAGGER if self.tagged else _CLASSIFIER)[self.preset]
        by_steps = math.ceil(steps / self.steps_of_an_epoch)
        by_words = max(1, round(words / (self.rows * max(1.0, self.words))))
        return min(max(by_steps, fewest), by_words, most)

    @property
    def steps(self) -> float:
        """Steps of the training, as they were written or, of epochs, chosen."""
        return self.written_steps or (self.written_epochs or self.epochs) * self.steps_of_an_epoch

    @property
    def dropout(self) -> float:
        """Dropout of embedded texts and of pooled ones: less where training reads a row at most twice, so that it has
        no time to overfit and little to learn."""
        if self.tagged:
            return 0.5
        return 0.2 if self.steps < 3 * self.steps_of_an_epoch else 0.3

    @property
    def averaging_decay(self) -> float:
        """Decay of a mean over the last tenth of the steps."""
        return round(min(0.999, max(0.9, 1 - 10 / self.steps)), 4)


__all__ = ["Facts"]
