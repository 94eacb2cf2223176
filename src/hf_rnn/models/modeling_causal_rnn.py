# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The language model: it tells the next token, generates, and lends its encoder to the other models."""

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
    """
    Args:
        loss: a scalar, where labels were given: the mean over the tokens to be predicted, in nats, and in training the
            two regularisations.
        logits: `[B, T, V]`, before softmax; None where the loss was sampled, which makes none.
        past_key_values: the state after the text, as an [`RNNCache`].
        hidden_states: as in [`RNNModelOutput`].
        attentions: None, for programs that ask any model for them.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: RNNCache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: None = None


class ShiftedLabels(TypedDict, total=False):
    """
    Args:
        shift_labels: `[B, T]`, before `labels`: what is to be predicted after each place, so that the last token of a
            window is predicted too.
        reversed_shift_labels: `[B, T]`, of `reversed_input_ids`.
    """

    shift_labels: Tensor | None
    reversed_shift_labels: Tensor | None


class _Backbone:
    """A language model's [`RNNModel`], as those call it who multiply by the output layer themselves, such as trl: its
    `last_hidden_state` `[B, T, E or H]` is what that layer reads. All else is asked of the model itself."""

    def __init__(self, encoder: RNNModel, projection: nn.Module):
        self._encoder, self._projection = encoder, projection

    def __call__(self, *args: Any, **kwargs: Any) -> RNNModelOutput:
        outputs = self._encoder(*args, **{**kwargs, "direction": "forward", "return_dict": True})
        outputs.last_hidden_state = self._projection(outputs.last_hidden_state)
        return outputs

    forward = __call__

    def get_decoder(self) -> "_Backbone":
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # `copy` and `pickle` ask for such names before there is a model to ask.
            raise AttributeError(name)
        return getattr(self._encoder, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._encoder, name, value)


class RNNForCausalLM(RNNPreTrainedModel, StringStoppingMixin, GenerationMixin):
    """[`RNNModel`] and an output layer over the vocabulary, with the regularisation of AWD-LSTM (Merity et al. 2018).

    With two independent directions, each is a language model of its own over the same embedding and output layer; the
    logits, and what is generated, are those of the one that reads from left to right.

    Raises:
        ValueError: two directions that see each other, which would read the word that they are to tell.
    """

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}
    _is_stateful = True

    def __init__(self, config: RNNConfig):
        super().__init__(config)
        if config.bidirectional and not config.independent_directions:
            raise ValueError(
                "a language model with bidirectional=True reads the word that it is to tell: write "
                "independent_directions=True too, for two stacks that do not see each other, or bidirectional=False."
            )
        self.model = RNNModel(config)
        H, E = config.hidden_size, config.embedding_size
        between = config.tie_word_embeddings and H != E
        self.projection = nn.Linear(H, E) if between else nn.Identity()
        self.lm_head = nn.Linear(E if config.tie_word_embeddings else H, config.vocab_size)
        # What a checkpoint does not hold is then no missing weight.
        self._keys_to_ignore_on_save = list(self._tied_weights_keys) if config.tie_word_embeddings else None
        self.post_init()

    @property
    def base_model(self) -> Any:
        """`model`; where the output layer reads something else than it puts out, with what comes between."""
        if isinstance(self.projection, nn.Identity) and not self.config.independent_directions:
            return self.model
        return _Backbone(self.model, self.projection)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        # The cache of attention grows; ours comes out of the first forward pass.
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
        """As transformers', with the mask of all that was read, of which `forward` takes what it needs.

        Raises:
            ValueError: a state that has read the whole prompt already.
        """
        if past_key_values is not None and next_sequence_length is not None and next_sequence_length < 1:
            width = input_ids.shape[1] if inputs_embeds is None else inputs_embeds.shape[1]
            raise ValueError(
                f"past_key_values has read {past_key_values.get_seq_length()} tokens, and the prompt has {width}: pass "
                "the whole text, what the state has read included, and at least one token more."
            )
        general: Any = super()
        inputs = general.prepare_inputs_for_generation(
            input_ids, next_sequence_length, past_key_values, None, inputs_embeds, is_first_iteration, **kwargs
        )
        if inputs_embeds is not None and attention_mask is not None and past_key_values is None:
            # Without a state, the embedded prompt is read anew at each step, and what was written behind it.
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
        """
        Args:
            input_ids, attention_mask, inputs_embeds, output_hidden_states: as in [`RNNModel.forward`].
            labels: `[B, T]`, the text itself: place t is predicted from the places before it. -100, and padding by the
                mask, is not predicted. Of two independent directions both are trained.
            reversed_input_ids: `[B, T]`, beside `shift_labels`: another window, read from right to left, for the second
                of two independent directions. Its tokens stand in the order of reading.
            past_key_values: the state after the text before this one, as such a forward pass returned it; then
                `attention_mask` may be that of both texts.
            use_cache: whether to return the state.
            logits_to_keep: how many places from the end get logits, 0 for all; or which places.
            shifted: [`ShiftedLabels`], by their names.

        Raises:
            ValueError: labels of another shape, a state of another batch or another model, and what
                [`RNNModel.forward`] raises.
            TypeError: an argument of another name.
        """
        # By name alone: a Trainer asks all arguments that it can see with "label" in their names of each batch.
        shift_labels, reversed_shift_labels = shifted.get("shift_labels"), shifted.get("reversed_shift_labels")
        for given in (labels, shift_labels, reversed_shift_labels):
            if given is not None:
                check_in_vocabulary(given, self.config.vocab_size)
        new = input_ids if inputs_embeds is None else inputs_embeds
        if past_key_values is not None and attention_mask is not None and new is not None:
            # transformers passes the mask of all that was read: what is in the state needs none.
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
            # A text that is read whole from its end has nothing before it that was read.
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
        """The states of the two directions, the second one None where it has read nothing."""
        if cache is None:
            return [None, None]
        if not isinstance(cache, RNNCache):
            raise ValueError(
                foreign_state("past_key_values", cache, "this model takes those that its own forward pass returned")
            )
        H = self.config.hidden_size
        if not self.config.independent_directions or cache.state[0].shape[-1] == H:
            return [cache.state, None]
        return [tuple(part[..., d * H : (d + 1) * H] for part in cache.state) for d in (0, 1)]

    @staticmethod
    def _join(finals: list, before: RNNCache | None, T: int) -> RNNCache:
        parts = [[final.final_hidden_state for final in finals], [final.final_cell_state for final in finals]]
        state = tuple(torch.cat(part, dim=-1) for part in parts if part[0] is not None)
        return RNNCache(state, T + (before.seen_tokens if before is not None else 0))

    @staticmethod
    def _targets(
        labels: Tensor | None, shift_labels: Tensor | None, attention_mask: Tensor | None, hidden: Tensor
    ) -> Tensor | None:
        """`[B, T]`: what is to be predicted after each place."""
        given = labels if shift_labels is None else shift_labels
        expected = tuple(hidden.shape[:2])
        if given is not None and tuple(given.shape) != expected:
            raise ValueError(
                f"the labels have the shape {tuple(given.shape)}, expected [B, T] = {expected}: pass labels=input_ids, "
                "or shift_labels, which are one token further on."
            )
        if labels is None or shift_labels is not None:
            return shift_labels
        if attention_mask is None:
            return F.pad(labels[:, 1:], (0, 1), value=IGNORED)
        # Nothing is predicted in padding, nor padding itself.
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
        """The loss, where there are targets `[B, T]`, and the logits after the outputs `[B, T, H]`."""
        config = self.config
        dropped = locked_dropout(hidden, config.output_dropout, self.training)
        if targets is None:
            keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            return None, self.lm_head(self.projection(dropped[:, keep]))
        if self.training and config.sampled_softmax:
            # To leave out the places that are not predicted would make a GPU wait.
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
        """AR and TAR, means over tokens and over pairs of tokens in succession."""
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
