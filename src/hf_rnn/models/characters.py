# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Character encoder: a vector for the spelling of each token, added to the token's embedding.

Shape letters as in `configuration_rnn`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .configuration_rnn import RNNConfig
from .ragged import may_ask
from .recurrence import Recurrence

# Maximum number of bytes that are read. A longer token is cut in the middle: half are its first bytes, half its last.
LONGEST = 24


class CharacterEncoder(nn.Module):
    """Encoder of the UTF-8 bytes of each token.

    It is a bidirectional LSTM (Lample et al. 2016), or a convolution of width 3 with a maximum over all positions (Ma
    and Hovy 2016). A linear layer projects the result to the width of the embedding.

    A table, saved with the weights, maps token ids to bytes; [`learn_spelling`] fills it.

    Args:
        config: Configuration of the model; `character_encoder` is `"lstm"` or `"cnn"`.
    """

    def __init__(self, config: RNNConfig):
        super().__init__()
        E, H = config.character_embedding_size, config.character_hidden_size
        self.spelling: Tensor
        self.register_buffer("spelling", torch.zeros(config.vocab_size, LONGEST, dtype=torch.uint8))
        self.embedding = nn.Embedding(256, E, padding_idx=0)
        self.lstm = self.convolution = None
        if config.character_encoder == "lstm":
            self.lstm = Recurrence("lstm", E, H, bidirectional=True)
        else:
            self.convolution = nn.Conv1d(E, H, 3, padding=1)
        self.projection = nn.Linear(2 * H if self.lstm is not None else H, config.embedding_size, bias=False)

    @torch.no_grad()
    def learn_spelling(self, tokens: Sequence[str]) -> None:
        """Write the spelling of tokens into the table.

        Args:
            tokens: Text of each token, in the order of the ids.
        """
        self.spelling.zero_()
        for row, token in zip(self.spelling, tokens, strict=False):
            text = token.encode("utf-8", "replace")
            if len(text) > LONGEST:
                text = text[: LONGEST // 2] + text[-LONGEST // 2 :]
            row[: len(text)] = torch.tensor(list(text), dtype=torch.uint8)

    @torch.no_grad()
    def resize(self, vocab_size: int) -> None:
        """Resize the table: new tokens have no spelling, or the last tokens are removed.

        Args:
            vocab_size: New number of tokens.
        """
        table = self.spelling.new_zeros(vocab_size, LONGEST)
        kept = min(vocab_size, len(self.spelling))
        table[:kept] = self.spelling[:kept]
        self.spelling = table

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return a vector for the spelling of each token, `[B, T, E]`; zeros for a token without spelling.

        Args:
            input_ids: Token ids, `[B, T]`.
        """
        if may_ask(input_ids):
            # Each distinct token is encoded once, because tokens repeat within a batch.
            ids, place = input_ids.unique(return_inverse=True)
            return self._read(self.spelling[ids])[place]
        return self._read(self.spelling[input_ids.flatten()]).unflatten(0, input_ids.shape)

    def _read(self, spelling: Tensor) -> Tensor:
        """Encode spellings `[N, LONGEST]` as vectors `[N, E]`."""
        valid = spelling != 0
        x = self.embedding(spelling.int())
        if self.lstm is not None:
            _, final = self.lstm(x, valid, output_cell_state=False)
            found = final.h.transpose(0, 1).flatten(1)
        else:
            assert self.convolution is not None
            found = self.convolution(x.transpose(1, 2)).masked_fill(~valid.unsqueeze(1), -torch.inf).amax(-1)
            found = found.masked_fill(~valid.any(1, keepdim=True), 0)
        return self.projection(found)


__all__ = ["CharacterEncoder"]
