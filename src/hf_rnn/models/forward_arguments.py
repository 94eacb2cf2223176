# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Handling of arguments that client programs pass to the `forward` of any model.

`generate`, PEFT, trl and captum pass the same arguments to all models as to GPT-2 or Mamba. Arguments without a meaning
for a recurrence are ignored. Arguments that would change what the model reads, in a way that a recurrence cannot
follow, raise an error.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from transformers.utils import TransformersKwargs, can_return_tuple

from .ragged import can_ask

# These arguments do not change what a recurrence reads; `_check` raises an error for the exceptions.
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
    """Return a decorator that lets the `forward` of a model accept the arguments of client programs.

    Keyword arguments that `forward` does not name are ignored or raise an error. `return_dict` works as in
    transformers' `can_return_tuple`. The signature of `forward` is kept, since the Trainer reads from it which columns
    the model needs.

    Args:
        also: Names of further arguments, which `forward` takes as `**kwargs`.

    Raises:
        TypeError: A call has an argument that no client passes.
        ValueError: A call has several texts packed into one row, states of another encoder, keys and values of
            attention, or token types other than 0.
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
            f"encoder_hidden_states were given, and {model} has no cross-attention: leave them out, or use "
            "RNNForConditionalGeneration, which accepts encoder_outputs."
        )
    for name in ("past_key_values", "cache_params"):
        if name in given:
            raise ValueError(foreign_state(name, given[name], f"{model} accepts no state"))
    packed = next((name for name in _PACKED if name in given), None)
    if packed is None and is_packed(given.get("position_ids"), attention_mask):
        packed = "position_ids"
    if packed:
        raise ValueError(
            f"{packed} says that a row holds several texts, and the hidden state would carry over from each to the "
            "next: pass one text per row, with its attention_mask (in trl: packing=False, padding_free=False)."
        )
    types = given.get("token_type_ids")
    if types is not None and can_ask(types) and bool(_tokens_of(types != 0, attention_mask).any()):
        raise ValueError(
            f"token_type_ids are not all 0, and {model} has no token type embedding: leave them out, "
            "tokenizer(…, return_token_type_ids=False), and put a separator token between the texts of a pair."
        )


def foreign_state(name: str, given: Any, rule: str) -> str:
    """Return the error message for a state of another kind of model, such as keys and values of attention.

    Args:
        name: Name of the argument.
        given: Value of the argument.
        rule: Clause that says which state the model accepts.
    """
    return (
        f"{name} is of the type {type(given).__name__}, for keys and values of attention, and {rule}: leave it out "
        "(with PEFT, use LoRA or prompt tuning instead of prefix tuning; to continue from a state, pass "
        "initial_state=… to RNNModel)."
    )


def _tokens_of(found: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return flags `[B, T]`, set to False on padding."""
    T = found.shape[-1]
    if attention_mask is None or attention_mask.dim() != 2 or attention_mask.shape[1] < T:
        return found
    # A mask may also cover text that was read before; its last T entries belong to this text.
    return found & (attention_mask[:, -T:] != 0)


def is_packed(position_ids: Tensor | None, attention_mask: Tensor | None) -> bool:
    """Return whether position ids start again within a row, which then holds several texts.

    The check makes a GPU wait. Few clients pass positions of more than one token.

    Args:
        position_ids: Position ids, shape `[B, T]`, or `[3, B, T]` for several kinds, of which the first is read.
        attention_mask: Mask, shape `[B, T]`, non-zero on tokens; None: no padding.
    """
    if position_ids is None or position_ids.shape[-1] < 2 or not can_ask(position_ids):
        return False
    T = position_ids.shape[-1]
    at = (position_ids[0] if position_ids.dim() == 3 else position_ids).reshape(-1, T)
    valid = _tokens_of(torch.ones_like(at, dtype=torch.bool), attention_mask)
    # Positions on padding are arbitrary.
    highest = at.masked_fill(~valid, -1).cummax(-1).values
    return bool(((at[:, 1:] <= highest[:, :-1]) & valid[:, 1:]).any())
