# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Encoder and text classifier: embedding → recurrence → pooling → head. Shape letters as in `configuration_rnn`."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.utils import logging

from .configuration_rnn import RNNConfig
from .embedding import embed
from .forward_arguments import accepts_client_arguments
from .heads import ClassificationHead
from .label_checks import check_known
from .outputs import RNNModelOutput, RNNSequenceClassifierOutput
from .pooling import pooling_class
from .pretrained_model import RNNPreTrainedModel
from .ragged import may_ask
from .recurrence import Recurrence, RecurrentState, locked_dropout
from .wide_path import WidePath
from .windows import read_in_windows

logger = logging.get_logger(__name__)


class RNNModel(RNNPreTrainedModel):
    """Encoder of embedding and recurrent layers; it returns one vector per token and the final states."""

    def __init__(self, config: RNNConfig):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=config.pad_token_id)
        self.recurrence = self._stack(bidirectional=config.bidirectional and not config.independent_directions)
        # Reads from right to left; `recurrence` then reads from left to right only.
        self.backward_recurrence = self._stack(bidirectional=False) if config.independent_directions else None
        self.post_init()

    def _stack(self, bidirectional: bool) -> Recurrence:
        config = self.config
        return Recurrence(
            config.cell_type,
            config.embedding_size,
            config.hidden_size,
            num_layers=config.num_hidden_layers,
            bidirectional=bidirectional,
            hidden_dropout=config.hidden_dropout,
            weight_dropout=config.weight_dropout,
        )

    @property
    def stacks(self) -> list[tuple[Recurrence, tuple[int, ...]]]:
        """Separate stacks of layers, each with its directions: 0 is left to right, 1 is right to left."""
        if self.backward_recurrence is not None:
            return [(self.recurrence, (0,)), (self.backward_recurrence, (1,))]
        return [(self.recurrence, tuple(range(self.config.num_directions)))]

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embed_tokens

    def set_input_embeddings(self, value: Any) -> None:
        self.embed_tokens = value

    @accepts_client_arguments()
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        initial_state: tuple[Tensor, ...] | None = None,
        output_hidden_states: bool | None = None,
        output_cell_state: bool = True,
        direction: str | None = None,
    ) -> RNNModelOutput:
        """Encode a batch of texts.

        Args:
            input_ids: Token ids, shape `[B, T]`.
            attention_mask: Mask, shape `[B, T]`, non-zero on tokens; padding may be anywhere, rows may be empty.
            inputs_embeds: Embedded tokens, shape `[B, T, E]`, instead of `input_ids`; no `embedding_dropout` acts.
            initial_state: `(h, c)`, or `(h,)` for cells without c, each `[B, L, D*H]`: the `final_hidden_state` and
                `final_cell_state` of the preceding text. None: zeros.
            output_hidden_states: True to return the outputs of each layer; the config's value if None.
            output_cell_state: False if the LSTM's final cell state is not needed; it may then be None.
            direction: `"forward"` or `"backward"` to run the stack of this direction alone (D = 1), on tokens in the
                order in which it reads them. None: all stacks.

        Raises:
            ValueError: Both or none of `input_ids` and `inputs_embeds`, a mask or state of another shape, an id outside
                the vocabulary, or a direction without a stack of its own.
        """
        self.check_inputs(input_ids, attention_mask, inputs_embeds)
        if inputs_embeds is None:
            assert input_ids is not None
            inputs_embeds = self.embed(input_ids)
        if self.training:
            inputs_embeds = locked_dropout(inputs_embeds, self.config.input_dropout, True)
        state = self._split_state(initial_state, 1 if direction else self.config.num_directions)
        outputs, final = self._read(inputs_embeds, attention_mask, state, output_cell_state, direction)
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        return RNNModelOutput(
            last_hidden_state=outputs[-1],
            final_hidden_state=self._join_state(final.h),
            final_cell_state=None if final.c is None else self._join_state(final.c),
            hidden_states=(inputs_embeds, *outputs) if output_hidden_states else None,
        )

    def check_inputs(
        self, input_ids: Tensor | None, attention_mask: Tensor | None, inputs_embeds: Tensor | None
    ) -> None:
        """Raise ValueError if [`forward`] cannot read `input_ids`, `attention_mask` and `inputs_embeds`."""
        given = input_ids if inputs_embeds is None else inputs_embeds
        if given is None or (input_ids is not None and inputs_embeds is not None):
            raise ValueError("write either input_ids=… or inputs_embeds=…, one of the two.")
        if input_ids is not None and input_ids.dim() != 2:
            raise ValueError(
                f"input_ids have the shape {tuple(input_ids.shape)}, expected [B, T]: for one text, input_ids[None], "
                'or tokenizer(text, return_tensors="pt").'
            )
        shape = tuple(given.shape[:2])
        if attention_mask is None:
            if input_ids is not None and input_ids.numel() and may_ask(input_ids):
                self.warn_if_padding_and_no_attention_mask(input_ids, attention_mask)
        elif tuple(attention_mask.shape) != shape:
            raise ValueError(
                f"attention_mask has the shape {tuple(attention_mask.shape)} and the text [B, T] = {shape}: "
                "pass both as the tokenizer returned them, model(**tokenizer(texts, padding=True, "
                'return_tensors="pt")).'
            )
        elif attention_mask.numel() and may_ask(attention_mask) and attention_mask.max() > 1:
            numbers = attention_mask.unique().tolist()
            if len([number for number in numbers if number]) > 1:
                raise ValueError(
                    f"attention_mask has the values {numbers[:5]}, which number several texts in a row, and the hidden "
                    "state would carry over from each to the next: pass one text per row, and a mask of 1 and 0."
                )

    def lookup(self, input_ids: Tensor) -> Tensor:
        """Return the embeddings `[B, T, E]` of `input_ids`, token ids `[B, T]`, without dropout.

        Raises:
            ValueError: An id outside the vocabulary.
        """
        return embed(self.embed_tokens, self.without_rare(input_ids), self.config.vocab_size)

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return what [`lookup`] returns for `input_ids`, in training with `embedding_dropout`; raise its errors."""
        dropout = self.config.embedding_dropout if self.training else 0.0
        return embed(self.embed_tokens, self.without_rare(input_ids), self.config.vocab_size, dropout)

    def without_rare(self, input_ids: Tensor) -> Tensor:
        """Replace the ids of rare tokens, which only a wide path tells apart, by the unknown token's id.

        Args:
            input_ids: Token ids, shape `[B, T]`.
        """
        V, rare = self.config.vocab_size, self.config.num_rare_tokens
        if not rare:
            return input_ids
        return input_ids.masked_fill((input_ids >= V) & (input_ids < V + rare), self.config.unk_token_id)

    def _read(
        self,
        x: Tensor,
        attention_mask: Tensor | None,
        state: RecurrentState | None,
        output_cell_state: bool,
        direction: str | None,
    ) -> tuple[tuple[Tensor, ...], RecurrentState]:
        """Run the model's stack or stacks; return the same values as [`Recurrence.forward`]."""
        if direction is not None:
            stacks = {"backward": self.backward_recurrence}
            if self.backward_recurrence is not None or not self.config.bidirectional:
                stacks["forward"] = self.recurrence
            stack = stacks.get(direction)
            if stack is None:
                raise ValueError(
                    f"direction={direction!r} has no separate stack in a model with bidirectional="
                    f"{self.config.bidirectional}, independent_directions={self.config.independent_directions}: leave "
                    "direction out."
                )
            return self._through(stack, x, attention_mask, state, output_cell_state)
        if self.backward_recurrence is None:
            return self._through(self.recurrence, x, attention_mask, state, output_cell_state)
        states: list[RecurrentState | None] = [None, None]
        if state is not None:
            h, c = state
            states = [RecurrentState(h[d::2], None if c is None else c[d::2]) for d in (0, 1)]
        mask = None if attention_mask is None else attention_mask.flip(1)
        forward, last = self._through(self.recurrence, x, attention_mask, states[0], output_cell_state)
        backward, first = self._through(self.backward_recurrence, x.flip(1), mask, states[1], output_cell_state)
        outputs = tuple(torch.cat([f, b.flip(1)], dim=-1) for f, b in zip(forward, backward, strict=True))
        final_c = None if last.c is None or first.c is None else _alternating(last.c, first.c)
        return outputs, RecurrentState(_alternating(last.h, first.h), final_c)

    def _through(
        self,
        stack: Recurrence,
        x: Tensor,
        mask: Tensor | None,
        state: RecurrentState | None,
        output_cell_state: bool,
    ) -> tuple[tuple[Tensor, ...], RecurrentState]:
        """Run a stack, in training with gradients for the last `backprop_length` tokens only."""
        cut = x.shape[1] - self.config.backprop_length
        if not (self.training and self.config.backprop_length and cut > 0):
            return stack(x, mask, state, output_cell_state)
        masks = (None, None) if mask is None else (mask[:, :cut], mask[:, cut:])
        with torch.no_grad():
            early, state = stack(x[:, :cut], masks[0], state)
        late, final = stack(x[:, cut:], masks[1], state, output_cell_state)
        return tuple(torch.cat(parts, dim=1) for parts in zip(early, late, strict=True)), final

    def _join_state(self, state: Tensor) -> Tensor:
        """Turn `[L*D, B, H]` into `[B, L, D*H]`: the Trainer and data parallelism gather along the first axis."""
        L = self.config.num_hidden_layers
        return state.transpose(0, 1).reshape(state.shape[1], L, state.shape[0] // L * state.shape[2])

    def _split_state(self, state: tuple[Tensor, ...] | None, num_directions: int) -> RecurrentState | None:
        if state is None:
            return None
        expected = (self.config.num_hidden_layers, num_directions * self.config.hidden_size)
        for part in state:
            if part is not None and (part.dim() != 3 or tuple(part.shape[1:]) != expected):
                raise ValueError(
                    f"initial_state has a part of shape {tuple(part.shape)}, expected [B, L, D*H] = [B, {expected[0]}, "
                    f"{expected[1]}]: pass (out.final_hidden_state, out.final_cell_state) of the text before."
                )
        H = self.config.hidden_size
        return RecurrentState(*(p if p is None else p.reshape(p.shape[0], -1, H).transpose(0, 1) for p in state))


def _alternating(forward: Tensor, backward: Tensor) -> Tensor:
    """Interleave the states of two stacks, `[L, B, H]` each, layer by layer to `[L*2, B, H]`."""
    return torch.stack([forward, backward], dim=1).flatten(0, 1)


class RNNForSequenceClassification(RNNPreTrainedModel):
    """Text classifier or regressor: [`RNNModel`], a pooling, a head and optionally a wide path."""

    def __init__(self, config: RNNConfig):
        super().__init__(config)
        config.validate_thresholds()
        self.num_labels = config.num_labels
        self.model = RNNModel(config)
        self.pooling = pooling_class(config.pooling)(config.output_size)
        if config.backprop_window and not self.pooling.in_windows:
            raise ValueError(
                f"backprop_window={config.backprop_window} reads a text in parts, and pooling={config.pooling!r} needs "
                "it all at once: leave backprop_window out, or write pooling='concat'."
            )
        self.classifier = ClassificationHead(config, self.pooling.output_size)
        self.wide_path = WidePath(config) if config.wide_ngrams else None
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if not isinstance(module, WidePath):
            super()._init_weights(module)
            return
        # A wide path that is not fitted yet leaves the logits unchanged.
        for part in (module.weight, module.bias, module.scale, module.keys):
            init.zeros_(part)
        init.ones_(module.recurrent_weight)

    @accepts_client_arguments()
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> RNNSequenceClassifierOutput:
        """Classify a batch of texts; with labels, also compute the loss.

        Args:
            input_ids: Same as in [`RNNModel.forward`]; required by a wide path.
            attention_mask: Same as in [`RNNModel.forward`].
            inputs_embeds: Same as in [`RNNModel.forward`].
            labels: Class indices `[B]` for one label per text, 0. and 1. of shape `[B, C]` for several, or numbers
                `[B]` or `[B, C]` for regression. `config.problem_type` selects the kind. If it is None, C = 1 means
                regression, integers mean one label, and floats mean several.
            output_hidden_states: Same as in [`RNNModel.forward`]; True turns windows off.

        Raises:
            ValueError: Labels that are not in `config.id2label` or have a wrong shape, inputs without ids for a wide
                path, or an error of [`RNNModel.forward`].
        """
        logits, hidden_states, weights = self._read(input_ids, attention_mask, inputs_embeds, output_hidden_states)
        if self.wide_path is not None:
            if input_ids is None:
                raise ValueError(
                    "inputs_embeds have no token ids, and the wide path needs them for its n-grams: pass input_ids, or "
                    "call recurrent_logits(inputs_embeds=…) for the recurrence's part of the logits."
                )
            logits = self.wide_path(logits, input_ids, attention_mask)
        loss = None if labels is None else self.loss_of(logits, labels)
        return RNNSequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=hidden_states, pooling_weights=weights
        )

    def recurrent_logits(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """Return the recurrence's part of the logits, `[B, C]`; without a wide path, these are the logits.

        Args:
            input_ids: Same as in [`RNNModel.forward`].
            attention_mask: Same as in [`RNNModel.forward`].
            inputs_embeds: Same as in [`RNNModel.forward`].
        """
        logits, _, _ = self._read(input_ids, attention_mask, inputs_embeds, False)
        return logits if self.wide_path is None else logits * self.wide_path.recurrent_weight

    def _read(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        inputs_embeds: Tensor | None,
        output_hidden_states: bool | None,
    ) -> tuple[Tensor, tuple[Tensor, ...] | None, Tensor | None]:
        """Return the logits without the wide path, the hidden states or None, and the pooling weights or None."""
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        source = input_ids if inputs_embeds is None else inputs_embeds
        window, hidden_states = 0 if output_hidden_states else self.config.backprop_window, None
        if window and not all(isinstance(stack, Recurrence) for stack, _ in self.model.stacks):
            logger.warning_once(
                f"backprop_window={window} is ignored: an adapter around the recurrence acts only in a pass over a "
                "whole text, so the memory grows with the length of the texts."
            )
            window = 0
        if source is not None and 0 < window < source.shape[1]:
            self.model.check_inputs(input_ids, attention_mask, inputs_embeds)
            pooled, weights = read_in_windows(self.model, self.pooling, source, attention_mask, window)
        else:
            outputs = self.model(
                input_ids,
                attention_mask=attention_mask,
                inputs_embeds=inputs_embeds,
                output_hidden_states=output_hidden_states,
                output_cell_state=False,
                return_dict=True,
            )
            hidden_states = outputs.hidden_states
            pooled, weights = self.pooling(outputs, attention_mask)
        return self.classifier(pooled), hidden_states, weights

    def stream(self, tokenizer: Any = None, streams: int = 1) -> Any:
        """Open streams that classify texts while they arrive.

        Args:
            tokenizer: Tokenizer of the model, to feed texts; None to feed token ids.
            streams: Number of texts that are read in parallel.

        Returns:
            A [`~hf_rnn.inference.text_stream.TextStream`].

        Raises:
            NotImplementedError: hf_rnn is not imported; the code that is saved with a model contains no streams.
        """
        if RNNPreTrainedModel.opener is None:
            raise NotImplementedError(
                "stream() needs the package hf_rnn: pip install hf-rnn, import hf_rnn, then load the model again."
            )
        return RNNPreTrainedModel.opener(self, tokenizer, streams)

    def loss_of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of logits; raise the same errors as [`forward`].

        Args:
            logits: Logits, shape `[B, C]`.
            labels: Same as in [`forward`].
        """
        self._check_labels(labels, logits)
        if self.config.problem_type in ("regression", "multi_label_classification") or (
            self.config.problem_type is None and self.num_labels == 1
        ):
            labels = labels.to(logits.dtype)
        mean, std = self.config.target_mean, self.config.target_std
        labels, logits = ((labels - mean) / std, (logits - mean) / std) if (mean, std) != (0, 1) else (labels, logits)
        return self.loss_function(labels, logits, self.config)

    def _check_labels(self, labels: Tensor, logits: Tensor) -> None:
        """Raise ValueError for wrong labels, which torch reports as an internal assertion; never wait for a GPU."""
        B, C = logits.shape
        if tuple(labels.shape) not in ((B,), (B, 1), (B, C)):
            raise ValueError(
                f"labels have the shape {tuple(labels.shape)}, expected [B] = [{B}] or [B, C] = [{B}, {C}]."
            )
        one_label = self.config.problem_type in (None, "single_label_classification") and C > 1
        if one_label and not labels.is_floating_point():
            check_known(labels, C)


__all__ = ["RNNForSequenceClassification", "RNNModel", "RNNPreTrainedModel"]
