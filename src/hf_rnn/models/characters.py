# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""How a token is spelt, as a vector beside that of the token itself. Shape letters as in `configuration_rnn`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .configuration_rnn import RNNConfig
from .ragged import may_ask
from .recurrence import Recurrence

# Bytes of a token that are read; of a longer one half from its beginning and half from its end.
LONGEST = 24


class CharacterEncoder(nn.Module):
    """Reads the UTF-8 bytes of each token, by an LSTM in both directions (Lample et al. 2016) or by a convolution over
    three at a time and a maximum over all (Ma and Hovy 2016), and projects what it found to the embedding's width.

    It knows tokens by their ids, from a table that is saved with the weights: [`learn_spelling`] fills it.
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
        """Writes tokens into the table, in the order of their ids."""
        self.spelling.zero_()
        for row, token in zip(self.spelling, tokens, strict=False):
            text = token.encode("utf-8", "replace")
            if len(text) > LONGEST:
                text = text[: LONGEST // 2] + text[-LONGEST // 2 :]
            row[: len(text)] = torch.tensor(list(text), dtype=torch.uint8)

    @torch.no_grad()
    def resize(self, vocab_size: int) -> None:
        """Makes room for more tokens, which are spelt by no letter, or forgets the last ones."""
        table = self.spelling.new_zeros(vocab_size, LONGEST)
        kept = min(vocab_size, len(self.spelling))
        table[:kept] = self.spelling[:kept]
        self.spelling = table

    def forward(self, input_ids: Tensor) -> Tensor:
        """Token ids `[B, T]` to vectors `[B, T, E]`; zeros for a token without spelling."""
        if may_ask(input_ids):
            # Each token once: a batch has the same ones again and again.
            ids, place = input_ids.unique(return_inverse=True)
            return self._read(self.spelling[ids])[place]
        return self._read(self.spelling[input_ids.flatten()]).unflatten(0, input_ids.shape)

    def _read(self, spelling: Tensor) -> Tensor:
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
