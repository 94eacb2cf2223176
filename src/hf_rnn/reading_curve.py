# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""How a classifier changes its mind while it reads: its answer after each word."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from .errors import UserError
from .explanations import as_text, labels_of, reading_mode, scores_of, tokens_of, words_of
from .figures import new_figure
from .modeling_rnn import RNNForSequenceClassification

# Places at which a model that reads from right to left too is asked.
PLACES = 64


@dataclass
class ReadingCurve:
    """
    Args:
        text: as it was given.
        labels: of the model.
        words: those after which it was asked, `N`.
        ends: where in the text each of them ends, in characters.
        scores: `[N, C]`: the probability of each label for the text up to there; in regression, the value.
    """

    text: str
    labels: list[str]
    words: list[str]
    ends: list[int]
    scores: np.ndarray

    def as_dict(self) -> dict:
        """What JSON can hold."""
        rows = [
            {"word": word, "end": end, "scores": dict(zip(self.labels, row.tolist(), strict=True))}
            for word, end, row in zip(self.words, self.ends, self.scores, strict=True)
        ]
        return {"text": self.text, "read": rows}

    def lines(self) -> list[str]:
        """A line for each word: the likeliest label by then, and the word."""
        best = self.scores.argmax(1)
        return [
            f"{self.labels[n]}\t{row[n]:.4f}\t{word}"
            for n, row, word in zip(best, self.scores, self.words, strict=True)
        ]

    def to_png(self, path: Any) -> None:
        """The curves as a picture, with the words at which the answer moved most."""
        draw(self).savefig(path, dpi=120, format="png")


def how_it_read(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    places: int | None = None,
    *,
    cut: Callable[[list], list] | None = None,
) -> ReadingCurve:
    """Tells what a classifier would have answered after each word of a text.

    A model that reads from left to right alone has passed by all these answers: one pass gives them. For one that
    reads from right to left too, each is an end of its own to begin at: it is asked anew, at no more than `places`.

    Args:
        model: an [`RNNForSequenceClassification`]; it is read in eval mode, and left as it was.
        tokenizer: of the model; a fast one.
        text: one text.
        places: words to ask at, evenly spread; if None, all for a model that reads from left to right alone, else 64.
        cut: what the model was trained to read of token ids, such as `task.cut`; all if None.

    Raises:
        UserError: a text without tokens, no classifier, `places` under 1.
    """
    if not isinstance(model, RNNForSequenceClassification):
        raise UserError(f"a {type(model).__name__} answers nothing: pass an RNNForSequenceClassification.")
    if places is not None and places < 1:
        raise UserError(f"places={places} must be 1 or greater, or None.")
    text = as_text(text)
    ids, offsets = tokens_of(tokenizer, text, cut)
    words = words_of(text, offsets)
    if places is None and model.config.bidirectional:
        places = PLACES
    if places is not None and len(words) > places:
        words = [words[n] for n in np.linspace(0, len(words) - 1, places).round().astype(int)]
    lengths = [max(word.tokens) + 1 for word in words]
    with reading_mode(model), torch.inference_mode():
        read = _of_prefixes if model.config.bidirectional else _in_one_pass
        scores = scores_of(model.config, read(model, ids, lengths).float()).cpu().numpy()
    return ReadingCurve(
        text, labels_of(model.config), [word.word for word in words], [word.end for word in words], scores
    )


def _in_one_pass(model, ids: list[int], lengths: list[int]) -> torch.Tensor:
    read = model.model(torch.tensor([ids], device=model.device), output_cell_state=False)
    pooled = model.pooling.after_each(read.last_hidden_state)[0]
    return model.classifier(pooled[[length - 1 for length in lengths]])


def _of_prefixes(model, ids: list[int], lengths: list[int]) -> torch.Tensor:
    logits = []
    at_once = max(1, 16384 // len(ids))
    row = torch.tensor(ids, device=model.device)
    for start in range(0, len(lengths), at_once):
        ends = torch.tensor(lengths[start : start + at_once], device=model.device)
        longest = int(ends.max())
        mask = (torch.arange(longest, device=model.device) < ends[:, None]).long()
        logits.append(model(row[:longest] * mask, attention_mask=mask).logits)
    return torch.cat(logits)


def draw(curve: ReadingCurve, named: int = 6):
    """A figure of the curves."""
    figure = new_figure(9, 3.2)
    axes = figure.subplots()
    count = len(curve.words)
    x = np.arange(1, count + 1)
    # Of two labels that exclude one another, one curve says it all.
    last = curve.scores[-1]
    shown = [int(last.argmax())] if len(last) == 2 else np.argsort(-last)[:5].tolist()
    for n in shown:
        label = curve.labels[n]
        axes.plot(
            x, curve.scores[:, n], label=label if label.isascii() else f"#{n}", marker="." if count < 60 else None
        )
    if len(shown) == 1:
        axes.axhline(0.5, color="gray", linewidth=0.8, linestyle=":")
    moves = np.abs(np.diff(curve.scores[:, shown[0]], prepend=curve.scores[0, shown[0]]))
    for n in sorted(np.argsort(-moves)[:named]):
        word = curve.words[n]
        if word.isascii() and moves[n] > 0.02:
            at = (x[n], curve.scores[n, shown[0]])
            axes.annotate(
                word[:18].replace("$", r"\$"), at, (0, 9), textcoords="offset points", ha="center", fontsize=8
            )
    probability = last.min() >= 0 and curve.scores.max() <= 1
    axes.set(xlabel="words read", ylabel="probability" if probability else "value")
    if probability:
        axes.set_ylim(-0.02, 1.12)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


__all__ = ["ReadingCurve", "how_it_read"]
