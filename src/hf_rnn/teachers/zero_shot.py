# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Teachers that read hypotheses: models of natural language inference, which need no training on the labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedConfig, pipeline

from ..text.labels import MULTI, REGRESSION
from ..utils.errors import ConfigError
from ..utils.machine import default_device
from ..utils.output import bars_if_seen
from .base import PROBABILITIES, Teacher
from .files import fingerprint_of

HYPOTHESIS = "This example is {}."
# Number of texts that are answered and saved together, and number of pairs (text, hypothesis) in a batch.
GROUP, BATCH = 256, 32


def is_nli(config: PreTrainedConfig) -> bool:
    """Return whether a sequence classifier is a model of natural language inference: it has a label entailment.

    Args:
        config: Configuration of the classifier.
    """
    return any(str(label).lower().startswith("entail") for label in (config.id2label or {}).values())


@bars_if_seen(of_datasets=False)
def zero_shot_teacher(
    folder: Path,
    labels: Sequence[str],
    problem_type: str,
    *,
    name: str | None = None,
    hypothesis: str = HYPOTHESIS,
    device: str | None = None,
    license: str | None = None,
) -> Teacher:
    """Return a model of natural language inference as a teacher of any labels.

    The model reads each text with a hypothesis for each label. The probability of a label is that of entailment,
    relative to the other labels; for several labels a text, relative to contradiction. transformers' pipeline
    `zero-shot-classification` computes it.

    Args:
        folder: Folder of the model.
        labels: Labels of the data, written as words that complete the hypothesis.
        problem_type: Problem type of the student.
        name: Name of the teacher as the user wrote it; None for the folder.
        hypothesis: Template of the hypotheses, with `{}` in the place of the label.
        device: Device of the model; None for a GPU if there is one, else the CPU.
        license: License of the model, as the Hub names it.

    Raises:
        ConfigError: The model has no label entailment, the template has no `{}`, or the problem is a regression.

    Source: Yin et al. 2019, arXiv 1909.00161.
    """
    name = name or str(folder)
    try:
        filled = {hypothesis.format(label) for label in ("a", "b")}
    except (IndexError, KeyError, ValueError):
        filled = set()
    if len(filled) != 2:
        raise ConfigError(
            f"teacher.hypothesis={hypothesis!r} needs one {{}} in the place of the label, and no other braces: write "
            f"teacher.hypothesis={HYPOTHESIS!r}."
        )
    if problem_type == REGRESSION:
        raise ConfigError(f"the teacher {name!r} answers with labels, and the data has numbers: name another teacher.")
    key = json.dumps([fingerprint_of(folder), hypothesis, list(labels), problem_type == MULTI])
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    own_labels = {str(label): place for place, label in (model.config.id2label or {}).items()}
    if not is_nli(model.config):
        raise ConfigError(
            f"the teacher {name!r} has the labels {', '.join(list(own_labels)[:20])}, and a model of natural "
            "language inference has a label entailment: name a model that has one."
        )
    # The pipeline finds the label in `label2id`, which a configuration with `id2label` may lack.
    model.config.label2id = own_labels
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions:
        # Tokenizers without a limit would pass more tokens than the model has positions.
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    classify = pipeline(
        "zero-shot-classification", model=model.eval(), tokenizer=tokenizer, device=device or default_device()
    )
    digest = hashlib.sha256(key.encode()).hexdigest()
    return ZeroShotTeacher(name, classify, list(labels), hypothesis, problem_type == MULTI, f"nli-{digest}", license)


@dataclass
class ZeroShotTeacher:
    """Teacher that reads each text with a hypothesis for each label. [`zero_shot_teacher`] loads one.

    Args:
        name: Name of the teacher.
        classify: Pipeline `zero-shot-classification` of transformers.
        labels: Labels of the data.
        hypothesis: Template of the hypotheses.
        multi_label: True if a text may have several labels.
        key: Fingerprint of the model, the template and the labels.
        license: License of the model, or None.
        group: Number of texts that are answered together.
        outputs: Form of the answers, `probabilities`.
    """

    name: str
    classify: Any
    labels: list[str] | None
    hypothesis: str
    multi_label: bool
    key: str | None
    license: str | None = None
    group: int = GROUP
    outputs: str | None = PROBABILITIES

    def answers(self, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Return the probabilities of the labels, `[N, C]`, float64.

        Args:
            texts: N texts as `(text,)`.

        Raises:
            ConfigError: The texts are pairs.
        """
        if any(len(text) > 1 for text in texts):
            raise ConfigError(
                f"the teacher {self.name!r} reads a hypothesis in the place of a second text, and the data has pairs "
                "of texts: name a teacher of pairs, or write data.text_column=NAME to read one of the texts only."
            )
        assert self.labels is not None
        # Texts of similar length need little padding. The pipeline refuses an empty text.
        by_length = sorted(range(len(texts)), key=lambda place: len(texts[place][0]))
        found = self.classify(
            [texts[place][0] or " " for place in by_length],
            candidate_labels=self.labels,
            hypothesis_template=self.hypothesis,
            multi_label=self.multi_label,
            batch_size=BATCH,
        )
        answers = np.empty((len(texts), len(self.labels)))
        for place, answer in zip(by_length, found, strict=True):
            scores = dict(zip(answer["labels"], answer["scores"], strict=True))
            answers[place] = [scores[label] for label in self.labels]
        return answers


__all__ = ["HYPOTHESIS", "ZeroShotTeacher", "is_nli", "zero_shot_teacher"]
