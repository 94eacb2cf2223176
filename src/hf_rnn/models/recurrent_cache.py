# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Cache that holds the recurrent state instead of keys and values of attention."""

import copy

import torch
from torch import Tensor
from torch.utils._pytree import SequenceKey, register_pytree_node


class RNNCache:
    """Recurrent state, used instead of transformers' cache; its size does not depend on the length of the text.

    Args:
        state: `(h, c)`, or `(h,)` for cells without a cell state, each `[B, L, D*H]`.
        seen_tokens: Number of tokens that were read, padding included.
    """

    is_compileable = False

    def __init__(self, state: tuple[Tensor, ...], seen_tokens: int = 0):
        self.state = state
        self.seen_tokens = seen_tokens

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens that were read.

        Args:
            layer_idx: Ignored; all layers have read the same tokens.
        """
        return self.seen_tokens

    def detach(self) -> "RNNCache":
        """Return a copy of the cache whose state is detached from the graph.

        Truncated backpropagation through time (TBPTT) stops the gradients here.
        """
        same = copy.copy(self)
        same.state = tuple(part.detach() for part in self.state)
        return same

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Replace each row i by row `beam_idx[i]`; beam search calls this at each step.

        Args:
            beam_idx: Indices of the rows to keep, `[N]`.
        """
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only the given rows, in the given order.

        Args:
            indices: Indices of the rows, `[N]`.
        """
        self.state = tuple(part.index_select(0, indices.to(part.device)) for part in self.state)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row; the copies of a row are adjacent.

        Args:
            repeats: Number of copies of each row.
        """
        self.state = tuple(part.repeat_interleave(repeats, dim=0) for part in self.state)


class _Seen(int):
    """Number of tokens as part of a pytree's structure; any two of these numbers compare equal.

    A graph that was exported with one cache therefore accepts caches of any number of tokens. Its outputs have the
    number of the cache that it was exported with.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Seen)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_Seen)


# Exporters and `torch.func` flatten the inputs and outputs of a model into tensors.
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
# An exported graph is saved with its example inputs, and loading them needs this class to be allowed.
torch.serialization.add_safe_globals([RNNCache])


__all__ = ["RNNCache"]
