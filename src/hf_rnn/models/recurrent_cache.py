# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The recurrent state in the place of transformers' cache of keys and values."""

import copy

import torch
from torch import Tensor
from torch.utils._pytree import SequenceKey, register_pytree_node


class RNNCache:
    """The recurrent state in the place of transformers' cache: of the same size however much text was read.

    Args:
        state: `(h, c)`, or `(h,)` for cells without c, each `[B, L, D*H]`.
        seen_tokens: how many tokens were read, padding among them.
    """

    is_compileable = False

    def __init__(self, state: tuple[Tensor, ...], seen_tokens: int = 0):
        self.state = state
        self.seen_tokens = seen_tokens

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.seen_tokens

    def detach(self) -> "RNNCache":
        """The same state without the graph that made it: where truncated back-propagation ends."""
        same = copy.copy(self)
        same.state = tuple(part.detach() for part in self.state)
        return same

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Row i becomes what row `beam_idx[i]` was, as beam search asks for at each step."""
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows of these indices `[N]`, in their order."""
        self.state = tuple(part.index_select(0, indices.to(part.device)) for part in self.state)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Each row stands `repeats` times, one behind the other."""
        self.state = tuple(part.repeat_interleave(repeats, dim=0) for part in self.state)


class _Seen(int):
    """A count of tokens that makes no cache another structure: a graph that was exported with one takes any later one,
    and gives each the count of its example."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Seen)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_Seen)


# Exporters and `torch.func` look into the inputs and outputs of a model.
register_pytree_node(
    RNNCache,
    lambda cache: (list(cache.state), _Seen(cache.seen_tokens)),
    lambda parts, seen: RNNCache(tuple(parts), int(seen)),
    serialized_type_name="hf_rnn.RNNCache",
    to_dumpable_context=int,
    from_dumpable_context=_Seen,
    flatten_with_keys_fn=lambda cache: (
        [(SequenceKey(place), part) for place, part in enumerate(cache.state)],
        _Seen(cache.seen_tokens),
    ),
)
# An exported graph is saved with its example.
torch.serialization.add_safe_globals([RNNCache])


__all__ = ["RNNCache"]
