"""Tests of batches with a budget of tokens."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_rnn.runtime.batching import by_tokens
from hf_rnn.text.batching import SIMILAR, EpochLengthSampler, TokenBatchSampler

LENGTHS = st.lists(st.integers(0, 300), max_size=200)
TOKENS = st.integers(1, 2000)


def places(batch, lengths):
    return len(batch) * max(1, max(lengths[row] for row in batch))


@given(LENGTHS, TOKENS)
def test_each_row_is_read_once_and_no_batch_is_over_the_budget(lengths, tokens):
    batches = [batch.tolist() for batch in by_tokens(lengths, tokens)]
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or places(batch, lengths) <= tokens for batch in batches)


@given(LENGTHS, TOKENS)
def test_each_epoch_has_each_row_once_within_the_budget_in_the_same_number_of_batches(lengths, tokens):
    sampler = TokenBatchSampler(lengths, tokens)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
        assert all(len(batch) == 1 or places(batch, lengths) <= tokens for batch in batches)


def test_rows_of_an_epoch_differ_and_come_again():
    lengths = np.random.default_rng(0).integers(1, 100, 500).tolist()
    sampler = EpochLengthSampler(lengths, 20, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    torch.rand(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(500))
    assert second != first
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(EpochLengthSampler(lengths, 20, seed=4)) != first


def test_epochs_differ_and_come_again():
    lengths = np.random.default_rng(0).integers(1, 100, 500)
    sampler = TokenBatchSampler(lengths, 1000, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert second != first
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    assert list(TokenBatchSampler(lengths, 1000, seed=3)) == first


def test_little_of_a_batch_is_padding():
    lengths = np.random.default_rng(0).integers(20, 400, 5000)
    sampler = TokenBatchSampler(lengths, 16384)
    taken = sum(places(batch, lengths) for batch in sampler)
    assert lengths.sum() / taken > (1 + SIMILAR) / 2 - 0.01


def test_batches_come_in_no_order_of_length():
    lengths = np.arange(1, 2001)
    longest = [max(lengths[row] for row in batch) for batch in TokenBatchSampler(lengths, 16384)]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3
