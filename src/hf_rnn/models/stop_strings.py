# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Text generation that stops at given strings, with any tokenizer."""

from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

# transformers' own criterion decodes each token after this text, and fails if the tokenizer cannot represent it.
_PREFIX = "abcdef"


class DecodedStopStrings(StoppingCriteria):
    """Stopping criterion that decodes each row and ends it once its last token completes a stop string.

    Args:
        strings: One or more non-empty stop strings.
        tokenizer: Tokenizer of the model.
    """

    def __init__(self, strings: str | list[str], tokenizer: Any):
        self.strings = [strings] if isinstance(strings, str) else list(strings)
        self.tokenizer = tokenizer
        # Some tokens decode to no character, so more tokens are decoded than the longest string has characters.
        self.most = 2 * max(map(len, self.strings)) + 16

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        """Return which rows end here, `[B]` bool.

        Args:
            input_ids: Token ids, `[B, T]`.
            scores: Ignored.
            **kwargs: Ignored.
        """
        rows = input_ids[:, -self.most :].tolist()
        now, before = self.tokenizer.batch_decode(rows), self.tokenizer.batch_decode([row[:-1] for row in rows])
        ends = [any(a.count(s) > b.count(s) for s in self.strings) for a, b in zip(now, before, strict=True)]
        return torch.tensor(ends, device=input_ids.device)


class StringStoppingMixin:
    """Mixin that makes `stop_strings` of [`~transformers.GenerationMixin.generate`] work with any tokenizer.

    transformers' own criterion fails with tokenizers of whole words or of other alphabets. The mixin must precede
    `GenerationMixin` among the bases of a class. It does not inherit from it, because transformers looks for that name
    among the direct bases only.
    """

    def _get_stopping_criteria(
        self, generation_config: Any, stopping_criteria: Any, tokenizer: Any = None, **kwargs: Any
    ) -> StoppingCriteriaList:
        strings = generation_config.stop_strings
        if strings is not None and tokenizer is not None and _PREFIX not in tokenizer.decode(_ids(tokenizer)):
            # The configuration is a copy that `generate` made, so changing it has no effect outside of this call.
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
