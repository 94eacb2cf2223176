# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Language model that predicts the next token and generates text; other models reuse its encoder."""

from dataclasses import dataclass
from typing import Any, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput

from .configuration_rnn import RNNConfig
from .forward_arguments import accepts_client_arguments, foreign_state
from .label_checks import IGNORED, check_in_vocabulary
from .modeling_rnn import RNNModel
from .outputs import RNNModelOutput
from .pretrained_model import RNNPreTrainedModel
from .ragged import may_ask
from .recurrence import locked_dropout
from .recurrent_cache import RNNCache
from .sampled_softmax import sampled_softmax_loss
from .stop_strings import StringStoppingMixin


@dataclass
class RNNCausalLMOutput(ModelOutput):
    """Output of [`RNNForCausalLM`].

    Args:
        loss: Scalar; None without labels. Mean cross-entropy over the predicted tokens, in nats. In training mode it
            includes activation and temporal activation regularization.
        logits: Scores before softmax, `[B, T, V]`; None where the loss is a sampled softmax, which computes no logits.
        past_key_values: Recurrent state after the text, as an [`RNNCache`].
        hidden_states: Same as in [`RNNModelOutput`].
        attentions: Always None; some programs read this field of any model.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: RNNCache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: None = None


class ShiftedLabels(TypedDict, total=False):
    """Keyword arguments of [`RNNForCausalLM.forward`] for labels that are already shifted.

    Args:
        shift_labels: Next token of each position, `[B, T]`; replaces `labels`. The last token of a window has a label
            too, unlike with `labels`.
        reversed_shift_labels: Next token of each position of `reversed_input_ids`, `[B, T]`.
    """

    shift_labels: Tensor | None
    reversed_shift_labels: Tensor | None


class _Backbone:
    """Backbone of a language model for programs such as trl, which apply the output layer themselves.

    Calling it returns the `last_hidden_state` that the output layer reads, `[B, T, E or H]`. All other attributes are
    those of the [`RNNModel`].

    Args:
        encoder: Model to call.
        projection: Layer between the outputs of the model and the output layer.
    """

    def __init__(self, encoder: RNNModel, projection: nn.Module):
        self._encoder, self._projection = encoder, projection

    def __call__(self, *args: Any, **kwargs: Any) -> RNNModelOutput:
        outputs = self._encoder(*args, **{**kwargs, "direction": "forward", "return_dict": True})
        outputs.last_hidden_state = self._projection(outputs.last_hidden_state)
        return outputs

    forward = __call__

    def get_decoder(self) -> "_Backbone":
        """Return this backbone, as programs expect of a language model."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # `copy` and `pickle` look up such names before `_encoder` is set; delegating would recurse without end.
            raise AttributeError(name)
        return getattr(self._encoder, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._encoder, name, value)


class RNNForCausalLM(RNNPreTrainedModel, StringStoppingMixin, GenerationMixin):
    """[`RNNModel`] with an output layer over the vocabulary, and the regularization of AWD-LSTM (Merity et al. 2018).

    With `independent_directions=True`, each direction is a language model of its own. Both share the embedding and the
    output layer. The logits and the generated text come from the left-to-right one.

    Args:
        config: Configuration of the model.

    Raises:
        ValueError: If `bidirectional=True` without `independent_directions=True`; the model would read the token that
            it predicts.
    """

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}
    _is_stateful = True

    def __init__(self, config: RNNConfig):
        super().__init__(config)
        if config.bidirectional and not config.independent_directions:
            raise ValueError(
                "a language model with bidirectional=True reads the token that it predicts: write "
                "independent_directions=True too, for two separate stacks, or bidirectional=False."
            )
        self.model = RNNModel(config)
        H, E = config.hidden_size, config.embedding_size
        between = config.tie_word_embeddings and H != E
        self.projection = nn.Linear(H, E) if between else nn.Identity()
        self.lm_head = nn.Linear(E if config.tie_word_embeddings else H, config.vocab_size)
        # A checkpoint leaves the tied weight out. The Trainer then does not report it as missing on resume.
        self._keys_to_ignore_on_save = list(self._tied_weights_keys) if config.tie_word_embeddings else None
        self.post_init()

    @property
    def base_model(self) -> Any:
        """The [`RNNModel`], or a wrapper around it whose outputs are the inputs of the output layer.

        The wrapper is needed with a projection before the output layer, or with two independent directions.
        """
        if isinstance(self.projection, nn.Identity) and not self.config.independent_directions:
            return self.model
        return _Backbone(self.model, self.projection)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        # `DynamicCache` holds keys and values of attention. The first forward pass returns an `RNNCache` instead.
        return False

    def prepare_inputs_for_generation(  # type: ignore[override]
        self,
        input_ids: Tensor,
        next_sequence_length: int | None = None,
        past_key_values: RNNCache | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the arguments of `forward` for one generation step.

        Overrides the method of [`~transformers.GenerationMixin`]. The attention mask covers all tokens that were read
        so far; `forward` uses the part that it needs.

        Args:
            input_ids: Token ids of the prompt and of the generated text, `[B, T]`.
            next_sequence_length: Number of tokens at the end that the model still has to read; None for all.
            past_key_values: State after the tokens that were read; None at the first step or without a cache.
            attention_mask: Mask of all tokens, `[B, T]`.
            inputs_embeds: Embedded prompt, `[B, T, E]`, instead of its token ids.
            is_first_iteration: True for the step that reads the prompt.
            **kwargs: Further arguments of the call to `generate`.

        Raises:
            ValueError: If the given state has already read the whole prompt.
        """
        if past_key_values is not None and next_sequence_length is not None and next_sequence_length < 1:
            width = input_ids.shape[1] if inputs_embeds is None else inputs_embeds.shape[1]
            raise ValueError(
                f"past_key_values has read {past_key_values.get_seq_length()} tokens, and the prompt has {width}: pass "
                "the whole text, which is the tokens that the state has read and at least one more."
            )
        general: Any = super()
        inputs = general.prepare_inputs_for_generation(
            input_ids, next_sequence_length, past_key_values, None, inputs_embeds, is_first_iteration, **kwargs
        )
        if inputs_embeds is not None and attention_mask is not None and past_key_values is None:
            # Without a state, each step reads the embedded prompt and the generated tokens again.
            written = input_ids[:, input_ids.shape[1] + inputs_embeds.shape[1] - attention_mask.shape[1] :]
            embedded = torch.cat([inputs_embeds, self.model.embed_tokens(written)], dim=1)
            inputs |= {"input_ids": None, "inputs_embeds": embedded}
        if attention_mask is not None:
            inputs["attention_mask"] = attention_mask
        return inputs

    @accepts_client_arguments(also=ShiftedLabels.__annotations__)
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        reversed_input_ids: Tensor | None = None,
        past_key_values: RNNCache | None = None,
        use_cache: bool | None = True,
        output_hidden_states: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **shifted: Unpack[ShiftedLabels],
    ) -> RNNCausalLMOutput:
        """Predict the next token at each position, and compute the loss if labels are given.

        Args:
            input_ids: Same as in [`RNNModel.forward`].
            attention_mask: Same as in [`RNNModel.forward`]; with `past_key_values`, it may cover the earlier text too.
            inputs_embeds: Same as in [`RNNModel.forward`].
            labels: Token ids of the text itself, `[B, T]`; the model shifts them. Neither -100 nor padding is
                predicted. With two independent directions, both are trained.
            reversed_input_ids: Window for the right-to-left model of two independent directions, `[B, T]`, with tokens
                in reading order. Used with `shift_labels`.
            past_key_values: State after the preceding text, as returned by an earlier call.
            use_cache: True to return the state as `past_key_values`; None means False.
            output_hidden_states: Same as in [`RNNModel.forward`].
            logits_to_keep: Number of positions at the end that get logits, 0 for all; or a tensor of positions. Ignored
                with labels.
            **shifted: Labels that are already shifted, see [`ShiftedLabels`].

        Raises:
            ValueError: If the labels have another shape than the text, or the state belongs to another batch or model;
                also for the reasons in [`RNNModel.forward`].
            TypeError: If an argument has an unknown name.
        """
        # Not in the signature: the Trainer would expect each argument with "label" in its name in every batch.
        shift_labels, reversed_shift_labels = shifted.get("shift_labels"), shifted.get("reversed_shift_labels")
        for given in (labels, shift_labels, reversed_shift_labels):
            if given is not None:
                check_in_vocabulary(given, self.config.vocab_size)
        new = input_ids if inputs_embeds is None else inputs_embeds
        if past_key_values is not None and attention_mask is not None and new is not None:
            # transformers passes the mask of the whole text; the part that the state covers is not needed.
            attention_mask = attention_mask[:, -new.shape[1] :]
        text = {"input_ids": input_ids, "attention_mask": attention_mask, "inputs_embeds": inputs_embeds}
        states = self._split(past_key_values)
        read = self.model(
            **text,
            initial_state=states[0],
            output_hidden_states=output_hidden_states,
            direction="forward",
            return_dict=True,
        )
        targets = self._targets(labels, shift_labels, attention_mask, read.last_hidden_state)
        loss, logits = self._loss_and_logits(read.last_hidden_state, targets, attention_mask, logits_to_keep)
        finals = [read]
        whole = labels if shift_labels is None else None
        if self.config.independent_directions and (whole is not None or reversed_input_ids is not None):
            if whole is not None:
                text = {name: None if value is None else value.flip(1) for name, value in text.items()}
                shift_labels = self._targets(whole.flip(1), None, text["attention_mask"], read.last_hidden_state)
            else:
                text, shift_labels = {"input_ids": reversed_input_ids}, reversed_shift_labels
            # With unshifted labels, the right-to-left model reads the whole text from its end, so it has no state.
            state = None if whole is not None else states[1]
            finals.append(self.model(**text, initial_state=state, direction="backward", return_dict=True))
            if shift_labels is not None:
                second, _ = self._loss_and_logits(finals[1].last_hidden_state, shift_labels, text.get("attention_mask"))
                assert second is not None
                loss = second if loss is None else (loss + second) / 2
        return RNNCausalLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=self._join(finals, past_key_values, read.last_hidden_state.shape[1]) if use_cache else None,
            hidden_states=read.hidden_states,
        )

    def _split(self, cache: RNNCache | None) -> list[tuple[Tensor, ...] | None]:
        """Return the states of both directions; the second one is None if it has read nothing."""
        if cache is None:
            return [None, None]
        if not isinstance(cache, RNNCache):
            raise ValueError(
                foreign_state("past_key_values", cache, "this model accepts only states that it returned itself")
            )
        H = self.config.hidden_size
        if not self.config.independent_directions or cache.state[0].shape[-1] == H:
            return [cache.state, None]
        return [tuple(part[..., d * H : (d + 1) * H] for part in cache.state) for d in (0, 1)]

    @staticmethod
    def _join(finals: list, before: RNNCache | None, T: int) -> RNNCache:
        """Return the cache of the final states of one or two directions after T more tokens."""
        parts = [[final.final_hidden_state for final in finals], [final.final_cell_state for final in finals]]
        state = tuple(torch.cat(part, dim=-1) for part in parts if part[0] is not None)
        return RNNCache(state, T + (before.seen_tokens if before is not None else 0))

    @staticmethod
    def _targets(
        labels: Tensor | None, shift_labels: Tensor | None, attention_mask: Tensor | None, hidden: Tensor
    ) -> Tensor | None:
        """Return the token to predict after each position, `[B, T]`, or None without labels."""
        given = labels if shift_labels is None else shift_labels
        expected = tuple(hidden.shape[:2])
        if given is not None and tuple(given.shape) != expected:
            raise ValueError(
                f"the labels have the shape {tuple(given.shape)}, expected [B, T] = {expected}: pass labels=input_ids, "
                "or shift_labels, the labels shifted left by one token."
            )
        if labels is None or shift_labels is not None:
            return shift_labels
        if attention_mask is None:
            return F.pad(labels[:, 1:], (0, 1), value=IGNORED)
        # Padding has no target and is no target.
        padding = attention_mask == 0
        shifted = F.pad(labels.masked_fill(padding, IGNORED)[:, 1:], (0, 1), value=IGNORED)
        return shifted.masked_fill(padding, IGNORED)

    def _loss_and_logits(
        self,
        hidden: Tensor,
        targets: Tensor | None,
        attention_mask: Tensor | None,
        logits_to_keep: int | Tensor = 0,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Compute the loss and the logits from the outputs of the encoder.

        Args:
            hidden: Outputs of the top layer, `[B, T, H]`.
            targets: Tokens to predict, `[B, T]`; None for no loss.
            attention_mask: Mask of the tokens, `[B, T]`; None for all.
            logits_to_keep: Same as in [`forward`].

        Returns:
            The loss, None without targets, and the logits, None with sampled softmax.
        """
        config = self.config
        dropped = locked_dropout(hidden, config.output_dropout, self.training)
        if targets is None:
            keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            return None, self.lm_head(self.projection(dropped[:, keep]))
        if self.training and config.sampled_softmax:
            # On a GPU, selecting the predicted positions would wait for the device, so all are kept there.
            predicted = targets != IGNORED if may_ask(targets) else ...
            x, wanted = self.projection(dropped[predicted]).flatten(0, -2), targets[predicted].flatten()
            logits = None
            nats = sampled_softmax_loss(x, wanted, self.lm_head.weight, self.lm_head.bias, config.sampled_softmax)
        else:
            logits = self.lm_head(self.projection(dropped))
            nats = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")
        loss = nats / (targets != IGNORED).sum().clamp(min=1)
        return (loss + self._regularization(hidden, dropped, attention_mask) if self.training else loss), logits

    def _regularization(self, hidden: Tensor, dropped: Tensor, attention_mask: Tensor | None) -> Tensor | float:
        """Compute activation (AR) and temporal activation (TAR) regularization (Merity et al. 2018).

        AR is a mean over tokens, TAR a mean over pairs of adjacent tokens; padding does not count.
        """
        alpha, beta = self.config.activation_regularization, self.config.temporal_activation_regularization
        valid = hidden.new_ones(hidden.shape[:2]) if attention_mask is None else (attention_mask != 0).to(hidden.dtype)
        added: Tensor | float = 0.0
        if alpha:
            added = added + alpha * _mean(dropped.pow(2).mean(-1), valid)
        if beta:
            added = added + beta * _mean((hidden[:, 1:] - hidden[:, :-1]).pow(2).mean(-1), valid[:, 1:] * valid[:, :-1])
        return added


def _mean(x: Tensor, weights: Tensor) -> Tensor:
    return (x * weights).sum() / weights.sum().clamp(min=1)


__all__ = ["RNNForCausalLM"]
