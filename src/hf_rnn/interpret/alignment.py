# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The attention of a model that translates, by words (Bahdanau et al. 2015, figure 3)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..inference.predictor import Predictor
from ..text.tokenization import as_text
from ..utils.errors import UserError
from ..utils.figures import boxes_for_missing_glyphs, font_families, new_figure
from .segmentation import tokens_of, words_of


@dataclass
class Alignment:
    """The attention of a model that writes a text while it reads another.

    Args:
        source, target: the words that were read, with the token that ends them, and the words that were written.
        weights: `[target, source]`, the share of attention that each written word gave to each word that was read.
    """

    source: list[str]
    target: list[str]
    weights: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        return {"source": self.source, "target": self.target, "weights": np.round(self.weights, 4).tolist()}

    def lines(self) -> list[str]:
        """Return a line for each written word, with up to three words that got a fifth of its attention or more."""
        lines = []
        for word, shares in zip(self.target, self.weights, strict=True):
            seen = [place for place in np.argsort(-shares)[:3] if shares[place] >= 0.2]
            lines.append(f"{word:<20}{' · '.join(f'{self.source[place]} {shares[place]:.2f}' for place in seen)}")
        return lines

    def to_png(self, path: Path) -> None:
        """Draw a row for each written word and a column for each that was read; dark cells got much attention.

        Args:
            path: of the PNG.
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
    """Compute the attention with which a model writes a text.

    Args:
        predictor: of a model that was trained on the task `translation`.
        text: that the model reads.
        written: that it writes; its own translation if None.

    Raises:
        UserError: a model that writes nothing after a text, or texts without words.
    """
    task: Any = predictor.task
    if task.problem_type != "translation":
        raise UserError("an alignment is of what a model reads and writes: name one of the task translation.")
    written = predictor([text])[0]["text"] if written is None else as_text(written)
    texts = [as_text(text), written]
    if texts[0].strip() and not written.strip():
        raise UserError(
            f"nothing is written after {text[:60]!r}: say what is to be, with --target TEXT (written=TEXT)."
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
