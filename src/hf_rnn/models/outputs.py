# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The outputs of encoders and classifiers. Shape letters as in `configuration_rnn`."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class RNNModelOutput(ModelOutput):
    """
    Args:
        last_hidden_state: outputs of the top layer, `[B, T, D*H]`, zeros in padded places.
        final_hidden_state: h of each layer after each row's own last token, directions side by side, `[B, L, D*H]`.
        final_cell_state: the same for the LSTM's c; None for other cells, and where it was not asked for.
        hidden_states: L+1 tensors where asked for: the embedded text `[B, T, E]`, then each layer's `[B, T, D*H]`.
        attentions: None, for programs that ask any model for them.
    """

    last_hidden_state: Tensor | None = None
    final_hidden_state: Tensor | None = None
    final_cell_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: None = None


@dataclass
class RNNSequenceClassifierOutput(ModelOutput):
    """
    Args:
        loss: a scalar, where labels were given.
        logits: `[B, C]`, before softmax or sigmoid; the values themselves in regression.
        hidden_states: as in [`RNNModelOutput`]; asking for them reads a text all at once, whatever `backprop_window`.
        pooling_weights: `[B, T]`, rows summing to 1 over their tokens, where the pooling is `"attention"`.
        attentions: None, for programs that ask any model for them.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    pooling_weights: Tensor | None = None
    attentions: None = None


__all__ = ["RNNModelOutput", "RNNSequenceClassifierOutput"]
