# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Outputs of encoders and text classifiers.

Shape letters as in `configuration_rnn`.
"""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class RNNModelOutput(ModelOutput):
    """Output of [`RNNModel`].

    Args:
        last_hidden_state: Outputs of the top layer, `[B, T, D*H]`; zeros in padding.
        final_hidden_state: Hidden state of each layer after the last token of each row, directions concatenated, `[B,
            L, D*H]`.
        final_cell_state: Cell state of the LSTM, in the same form; None for other cells, or if it was not requested.
        hidden_states: The embedded text `[B, T, E]`, then the outputs of each of the L layers, `[B, T, D*H]`; None if
            they were not requested.
        attentions: Always None; some programs read this field of any model.
    """

    last_hidden_state: Tensor | None = None
    final_hidden_state: Tensor | None = None
    final_cell_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: None = None


@dataclass
class RNNSequenceClassifierOutput(ModelOutput):
    """Output of [`RNNForSequenceClassification`].

    Args:
        loss: Scalar; None without labels.
        logits: Scores before softmax or sigmoid, `[B, C]`; in regression, the predicted values.
        hidden_states: Same as in [`RNNModelOutput`]. If they are requested, the text is read at once, and
            `backprop_window` has no effect.
        pooling_weights: Attention of the pooling, `[B, T]`, which sums to 1 over the tokens of a row; None for other
            poolings than `"attention"`.
        attentions: Always None; some programs read this field of any model.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    pooling_weights: Tensor | None = None
    attentions: None = None


__all__ = ["RNNModelOutput", "RNNSequenceClassifierOutput"]
