# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Reading curve: the scores of a text classifier after each word of a text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from ..models.decisions import labels_of
from ..models.modeling_rnn import RNNForSequenceClassification
from ..runtime.batching import by_tokens
from ..runtime.texts import as_text
from ..text.collation import RaggedCollator
from ..text.labels import is_regression
from ..utils.errors import HfRnnError
from ..utils.figures import boxes_for_missing_glyphs, font_families, new_figure
from ..utils.machine import on_device
from .answers import check_classifier, chosen_labels, is_one_of_several, reading_mode, scores_of
from .segmentation import tokens_of, words_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The maximum number of words at which a bidirectional model is evaluated, since each costs a forward pass of its own.
PLACES = 40
# The maximum number of tokens in a batch of prefixes. It is small because the prefixes of a text differ in length.
TOGETHER = 2048


@dataclass
class ReadingCurve:
    """Scores of all labels after each word of a text.

    Args:
        text: Text that the model reads.
        labels: Labels of the model.
        words: The N words after which the model was evaluated.
        ends: Position in the text after each of these words, in characters.
        scores: Probability of each label for the text up to each word, `[N, C]`; in regression, the predicted value.
        chosen: Indices of the labels that the model chooses for the text up to each word.
        kind: Kind of the scores: `"one label"` for probabilities of labels that exclude each other, `"several labels"`
            for probabilities of labels that do not, `"value"` for regression.
    """

    text: str
    labels: list[str]
    words: list[str]
    ends: list[int]
    scores: np.ndarray
    chosen: list[list[int]]
    kind: str = "one label"

    def as_dict(self) -> dict:
        """Return the curve as a dict for JSON."""
        rows = [
            {"word": word, "end": end, "scores": dict(zip(self.labels, row.tolist(), strict=True))}
            for word, end, row in zip(self.words, self.ends, self.scores, strict=True)
        ]
        return {"text": self.text, "read": rows}

    def lines(self) -> list[str]:
        """Return a line for each word, with the labels that the model chooses after it, their scores, and the word."""
        lines = []
        for row, shown, word in zip(self.scores, self.chosen, self.words, strict=True):
            lines.append(", ".join(f"{self.labels[n]}\t{row[n]:.4f}" for n in shown) + f"\t{word}")
        return lines

    def to_png(self, path: Any) -> None:
        """Draw the curves as a PNG picture, with the words after which the scores changed most.

        Args:
            path: Path of the PNG file, or a binary file object.
        """
        with boxes_for_missing_glyphs():
            draw(self).savefig(path, dpi=120, format="png")


def how_it_read(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    places: int | None = None,
    *,
    cut: Callable[[list], list] | None = None,
) -> ReadingCurve:
    """Compute the scores of a text classifier after each word of a text.

    A unidirectional model needs one forward pass. A bidirectional model, or a tokenizer that appends tokens to a text,
    needs a pass for each prefix of the text.

    Args:
        model: An [`RNNForSequenceClassification`]. It runs in eval mode and is not changed.
        tokenizer: Fast tokenizer of the model.
        text: Text to read.
        places: Maximum number of words after which the model is evaluated, evenly spaced. None for all words if one
            pass is enough, else 40.
        cut: Function that truncates rows of token ids as in training, such as `task.cut`; None for no truncation.

    Raises:
        HfRnnError: The text has no tokens, the model is not a text classifier, or `places` is under 1.
    """
    check_classifier(model)
    if places is not None and places < 1:
        raise HfRnnError(f"places={places} must be 1 or greater, or None.")
    text = as_text(text)
    ids, offsets = tokens_of(tokenizer, text, cut)
    words = words_of(text, offsets)
    # Tokens that the tokenizer appends to a text must follow each of its prefixes too.
    end = ids[max(words[-1].tokens) + 1 :]
    if places is None and (model.config.bidirectional or end):
        places = PLACES
    if places is not None and len(words) > places:
        words = [words[n] for n in np.linspace(0, len(words) - 1, places).round().astype(int)]
    lengths = [max(word.tokens) + 1 for word in words]
    with reading_mode(model), torch.inference_mode():
        if model.config.bidirectional or end:
            logits = _of_prefixes(model, ids, lengths, end)
        else:
            logits = _in_one_pass(model, ids, lengths)
        scores = scores_of(model.config, logits.float()).cpu().numpy()
    kind = "value" if is_regression(model.config) else "several labels"
    kind = "one label" if is_one_of_several(model.config) else kind
    read, ends = [word.word for word in words], [word.end for word in words]
    chosen = chosen_labels(model.config, scores)
    return ReadingCurve(text, labels_of(model.config), read, ends, scores, chosen, kind)


def _in_one_pass(model: RNNForSequenceClassification, ids: list[int], lengths: list[int]) -> torch.Tensor:
    text, last = torch.tensor([ids], device=model.device), [length - 1 for length in lengths]
    read = model.model(text, output_cell_state=False, return_dict=True)
    logits = model.classifier(model.pooling.after_each(read.last_hidden_state)[0][last])
    if model.wide_path is None:
        return logits
    sums, squares = model.wide_path.parts(text)
    return model.wide_path.mixed(logits, sums[0].cumsum(0)[last], squares[0].cumsum(0)[last])


def _of_prefixes(
    model: RNNForSequenceClassification, ids: list[int], lengths: list[int], end: list[int]
) -> torch.Tensor:
    assert model.config.num_labels is not None
    logits = torch.empty(len(lengths), model.config.num_labels, device=model.device)
    collate = RaggedCollator(model.config.pad_token_id or 0)
    for rows in by_tokens([length + len(end) for length in lengths], TOGETHER):
        batch = on_device(collate([{"input_ids": ids[: lengths[row]] + end} for row in rows]), model.device)
        logits[torch.as_tensor(rows)] = model(**batch, return_dict=True).logits.float()
    return logits


def draw(curve: ReadingCurve, named: int = 6) -> "Figure":
    """Return a figure of the curves, in which the `named` words with the largest changes are written.

    Args:
        curve: Reading curve to draw.
        named: Maximum number of words to write.
    """
    figure = new_figure(9, 3.2)
    axes = figure.subplots()
    count = len(curve.words)
    x = np.arange(1, count + 1)
    last = curve.scores[-1]
    # The curves of two labels that exclude each other mirror each other, so one is enough.
    alone = curve.kind == "one label" and len(last) == 2
    shown = [int(last.argmax())] if alone else np.argsort(-last)[:5].tolist()
    for n in shown:
        label = curve.labels[n].replace("$", r"\$")
        axes.plot(x, curve.scores[:, n], label=label, marker="." if count < 60 else None)
    if alone:
        axes.axhline(0.5, color="gray", linewidth=0.8, linestyle=":")
    moves = np.abs(np.diff(curve.scores[:, shown[0]], prepend=curve.scores[0, shown[0]]))
    for n in sorted(np.argsort(-moves)[:named]):
        word = curve.words[n]
        if moves[n] > 0.02:
            place = {"xy": (x[n], curve.scores[n, shown[0]]), "xytext": (0, 9), "textcoords": "offset points"}
            style = {"ha": "center", "fontsize": 8, "family": font_families()}
            axes.annotate(word[:18].replace("$", r"\$"), **place, **style)
    axes.set(xlabel="words read", ylabel="value" if curve.kind == "value" else "probability")
    axes.xaxis.get_major_locator().set_params(integer=True)
    highest = curve.scores[:, shown].max()
    if curve.kind != "value":
        # With very many labels, all probabilities may be small.
        axes.set_ylim(-0.02 * highest, 1.12 if highest > 0.5 else 1.2 * highest)
    axes.grid(alpha=0.3)
    axes.legend(prop={"family": font_families()})
    return figure


__all__ = ["ReadingCurve", "how_it_read"]
