# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The arguments that client programs pass to the `forward` of any model, and what a recurrent network makes of each.

`generate`, PEFT, trl and captum call all models as they call GPT-2 or Mamba. An argument that has no meaning here is
ignored; one that asks for another text to be read than the one that a recurrence would read is refused.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from transformers.utils import TransformersKwargs, can_return_tuple

from .ragged import can_ask

# None of these changes what a recurrence reads, except as `_check` says.
_KNOWN = frozenset(TransformersKwargs.__annotations__) | {
    "assistant_tokenizer",
    "cache_params",
    "cache_position",
    "cross_attn_head_mask",
    "decoder_head_mask",
    "encoder_attention_mask",
    "encoder_hidden_states",
    "head_mask",
    "logits_to_keep",
    "past_key_values",
    "token_type_ids",
    "tokenizer",
    "use_cache",
}
_PACKED = ("cu_seq_lens_q", "cu_seq_lens_k", "seq_idx")


def accepts_client_arguments(also: Iterable[str] = ()) -> Callable:
    """Decorates the `forward` of a model: `return_dict` as transformers' `can_return_tuple` has it, and all keyword
    arguments that the method does not name itself are ignored or refused as this module says.

    The signature stays that of `forward`: the Trainer takes from it which columns a model reads.

    Args:
        also: names that the method takes by `**`.

    Raises:
        TypeError: in a call, an argument that no client passes.
        ValueError: in a call, several texts packed into a row, keys and values of attention, types of tokens.
    """

    def decorate(forward: Callable) -> Callable:
        parameters = inspect.signature(forward).parameters.values()
        order = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
        own = frozenset((*order, *also))

        @wraps(forward)
        def accepting(self: Any, *args: Any, **kwargs: Any) -> Any:
            foreign = {name: kwargs.pop(name) for name in kwargs.keys() - own}
            if foreign:
                mask = dict(zip(order[1:], args, strict=False), **kwargs).get("attention_mask")
                _check(type(self).__name__, foreign, mask)
            return forward(self, *args, **kwargs)

        return can_return_tuple(accepting)

    return decorate


def _check(model: str, foreign: dict[str, Any], attention_mask: Tensor | None) -> None:
    given = {name: value for name, value in foreign.items() if value is not None}
    if unknown := given.keys() - _KNOWN:
        raise TypeError(f"{model}.forward() got an unexpected keyword argument {min(unknown)!r}")
    if "encoder_hidden_states" in given:
        raise ValueError(
            f"encoder_hidden_states were given, and {model} reads no other text beside its own: leave them out, or "
            "take RNNForConditionalGeneration, which takes encoder_outputs."
        )
    for name in ("past_key_values", "cache_params"):
        if name in given:
            raise ValueError(foreign_state(name, given[name], f"{model} takes none"))
    packed = next((name for name in _PACKED if name in given), None)
    if packed is None and is_packed(given.get("position_ids"), attention_mask):
        packed = "position_ids"
    if packed:
        raise ValueError(
            f"{packed} says that a row holds several texts, and a recurrence would read each into the next: pass one "
            "text in a row, with its attention_mask (in trl: packing=False, padding_free=False)."
        )
    types = given.get("token_type_ids")
    if types is not None and can_ask(types) and bool(_tokens_of(types != 0, attention_mask).any()):
        raise ValueError(
            f"token_type_ids are not all 0, and {model} has no types of tokens: leave them out, "
            "tokenizer(…, return_token_type_ids=False), and put a token between the texts of a pair."
        )


def foreign_state(name: str, given: Any, rule: str) -> str:
    """Return the error for a state that is not of these models, such as the keys and values of attention.

    Args:
        name: of the argument.
        given: its value.
        rule: the state that the model does take.
    """
    return (
        f"{name} is of the type {type(given).__name__}, for keys and values of attention, and {rule}: leave it out (of "
        "PEFT's methods, take LoRA or prompt tuning instead of prefix tuning; RNNModel goes on from a state, "
        "initial_state=…)."
    )


def _tokens_of(found: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return what was found at each place `[B, T]`, False in padding."""
    T = found.shape[-1]
    if attention_mask is None or attention_mask.dim() != 2 or attention_mask.shape[1] < T:
        return found
    # The last T entries of a mask of all that was read are those of this text.
    return found & (attention_mask[:, -T:] != 0)


def is_packed(position_ids: Tensor | None, attention_mask: Tensor | None) -> bool:
    """Return whether positions `[B, T]`, or `[3, B, T]` of several kinds, begin anew within a row, among the tokens of
    the mask `[B, T]`, all if None.

    A GPU is asked too, and waits: clients that pass positions of more than one token are few.
    """
    if position_ids is None or position_ids.shape[-1] < 2 or not can_ask(position_ids):
        return False
    T = position_ids.shape[-1]
    at = (position_ids[0] if position_ids.dim() == 3 else position_ids).reshape(-1, T)
    valid = _tokens_of(torch.ones_like(at, dtype=torch.bool), attention_mask)
    # Padding may have any position.
    highest = at.masked_fill(~valid, -1).cummax(-1).values
    return bool(((at[:, 1:] <= highest[:, :-1]) & valid[:, 1:]).any())
