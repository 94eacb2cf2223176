# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Generation that stops at strings, with any tokenizer."""

from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

# transformers' own criterion puts each token behind this text, and fails with a tokenizer that cannot write it.
_PREFIX = "abcdef"


class DecodedStopStrings(StoppingCriteria):
    """Stop a row once its last token completes one of some strings in its decoded text.

    Args:
        strings: one or more of them must not be empty.
        tokenizer: of the model.
    """

    def __init__(self, strings: str | list[str], tokenizer: Any):
        self.strings = [strings] if isinstance(strings, str) else list(strings)
        self.tokenizer = tokenizer
        # A token need not write any character: some more than the longest string can take.
        self.most = 2 * max(map(len, self.strings)) + 16

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        """Return `[B]`, True for rows of `input_ids` `[B, T]` that end here."""
        rows = input_ids[:, -self.most :].tolist()
        now, before = self.tokenizer.batch_decode(rows), self.tokenizer.batch_decode([row[:-1] for row in rows])
        ends = [any(a.count(s) > b.count(s) for s in self.strings) for a, b in zip(now, before, strict=True)]
        return torch.tensor(ends, device=input_ids.device)


class StringStoppingMixin:
    """Makes `stop_strings` of transformers' generation work with tokenizers of whole words or of any alphabet too. It
    stands before `GenerationMixin`, which transformers looks for among the bases of a class itself."""

    def _get_stopping_criteria(
        self, generation_config: Any, stopping_criteria: Any, tokenizer: Any = None, **kwargs: Any
    ) -> StoppingCriteriaList:
        strings = generation_config.stop_strings
        if strings is not None and tokenizer is not None and _PREFIX not in tokenizer.decode(_ids(tokenizer)):
            # `generate` has made this configuration for itself.
            generation_config.stop_strings = None
            own = DecodedStopStrings(strings, tokenizer)
            stopping_criteria = StoppingCriteriaList([*(stopping_criteria or []), own])
        general: Any = super()
        return general._get_stopping_criteria(
            generation_config=generation_config, stopping_criteria=stopping_criteria, tokenizer=tokenizer, **kwargs
        )


def _ids(tokenizer: Any) -> list[int]:
    return tokenizer(_PREFIX, add_special_tokens=False)["input_ids"]


__all__ = ["DecodedStopStrings", "StringStoppingMixin"]
