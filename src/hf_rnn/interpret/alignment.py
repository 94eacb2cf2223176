# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Alignment of source and target words by the attention of a translation model (Bahdanau et al. 2015, figure 3)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..inference.predictor import Predictor
from ..runtime.texts import as_text
from ..utils.errors import HfRnnError
from ..utils.figures import boxes_for_missing_glyphs, font_families, new_figure
from .segmentation import tokens_of, words_of


@dataclass
class Alignment:
    """Attention weights of a translation model between source and target words.

    Args:
        source: Source words, and the end-of-text token.
        target: Target words.
        weights: Share of the attention of each target word on each source word, shape [target, source].
    """

    source: list[str]
    target: list[str]
    weights: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return the alignment as a dict for JSON, with weights rounded to four digits."""
        return {"source": self.source, "target": self.target, "weights": np.round(self.weights, 4).tolist()}

    def lines(self) -> list[str]:
        """Return a line for each target word, with up to three source words with at least 20 % of its attention."""
        lines = []
        for word, shares in zip(self.target, self.weights, strict=True):
            seen = [place for place in np.argsort(-shares)[:3] if shares[place] >= 0.2]
            lines.append(f"{word:<20}{' · '.join(f'{self.source[place]} {shares[place]:.2f}' for place in seen)}")
        return lines

    def to_png(self, path: Path) -> None:
        """Draw a heat map as a PNG picture, with a row for each target word and a column for each source word.

        Args:
            path: Path of the PNG file.
        """
        height, width = self.weights.shape
        figure = new_figure(1.8 + 0.42 * width, 1.4 + 0.32 * height)
        axes = figure.subplots()
        axes.imshow(self.weights, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        fonts = {"family": font_families(), "parse_math": False}
        axes.set_xticks(range(width), self.source, rotation=60, ha="left", rotation_mode="anchor", **fonts)
        axes.set_yticks(range(height), self.target, **fonts)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        with boxes_for_missing_glyphs():
            figure.savefig(path, dpi=120, format="png")


@torch.inference_mode()
def align(predictor: Predictor, text: str, written: str | None = None) -> Alignment:
    """Compute the alignment between a text and its translation, with teacher forcing.

    Args:
        predictor: Predictor with a model of the task `translation`.
        text: Source text.
        written: Target text; the model's own translation if None.

    Raises:
        HfRnnError: The model is of another task, or one of the texts has no words.
    """
    task: Any = predictor.task
    if task.problem_type != "translation":
        raise HfRnnError("only translation models have alignments: name a model of the task translation.")
    written = predictor([text])[0]["text"] if written is None else as_text(written)
    texts = [as_text(text), written]
    if texts[0].strip() and not written.strip():
        raise HfRnnError(
            f"the translation of {text[:60]!r} is empty: give a translation to align, written=TEXT "
            "(on the command line --target TEXT)."
        )
    tokenizer, model = predictor.tokenizer, predictor.model
    read, said = (torch.tensor([ids], device=model.device) for ids in task.ids(tokenizer, texts))
    (weights,) = model(input_ids=read, labels=said, output_attentions=True, return_dict=True).cross_attentions
    weights = weights[0, 0].float().cpu().numpy()
    source, target = (words_of(each, tokens_of(tokenizer, each)[1]) for each in texts)
    columns = [weights[:, word.tokens].sum(1) for word in source]
    end = 1 - np.sum(columns, axis=0)
    by_word = np.stack([*columns, end], axis=1)
    rows = np.stack([by_word[word.tokens].mean(0) for word in target])
    return Alignment([*(word.word for word in source), tokenizer.eos_token], [word.word for word in target], rows)


__all__ = ["Alignment", "align"]
