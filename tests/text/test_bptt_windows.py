"""Tests of text in parallel streams: each token occurs once and in order for any windows."""

import numpy as np
import pytest
import torch

from hf_rnn.text.bptt_windows import BPTTWindows
from hf_rnn.utils.errors import UserError

END = 3


def documents(count: int = 23) -> list[list[int]]:
    random = np.random.default_rng(0)
    return [random.integers(4, 99, random.integers(0, 40)).tolist() for _ in range(count)]


def test_windows_too_short_to_vary_are_refused():
    assert len(BPTTWindows(documents(), 1, 4, END)) > 1
    with pytest.raises(UserError, match=r"window=4 is too short to vary: write 5 or greater"):
        BPTTWindows(documents(), 1, 4, END, vary=True)


def read(streams: BPTTWindows, kind: str = "") -> tuple[torch.Tensor, torch.Tensor]:
    """Return the inputs and labels of all windows, joined along the time dimension."""
    items = [streams[i] for i in range(len(streams))]
    return tuple(torch.cat([item[f"{kind}{name}"] for item in items], dim=1) for name in ("input_ids", "shift_labels"))


@pytest.mark.parametrize("vary", [False, True])
@pytest.mark.parametrize(("batch_size", "window"), [(1, 7), (4, 10), (3, 140)])
def test_every_token_but_the_first_is_told_once_and_in_order(batch_size, window, vary):
    text = [token for row in documents() for token in [*row, END]]
    inputs, labels = read(BPTTWindows(documents(), batch_size, window, END, vary=vary))
    told = labels.flatten()
    assert told[told != -100].tolist() == text[1:]
    assert inputs.flatten()[: len(text) - 1].tolist() == text[:-1]
    # Each label is the input at the next position.
    assert torch.equal(labels[:, :-1][labels[:, 1:] != -100], inputs[:, 1:][labels[:, 1:] != -100])


def test_the_second_direction_reads_the_same_text_from_its_end():
    text = [token for row in documents() for token in [*row, END]][::-1]
    _, labels = read(BPTTWindows(documents(), 4, 10, END, both_ways=True), "reversed_")
    assert labels[labels != -100].tolist() == text[1:]


def test_windows_vary_around_their_length_and_their_number_stays():
    streams = BPTTWindows(documents(2000), 4, 50, END, vary=True)
    widths = []
    for epoch in range(3):
        streams.set_epoch(epoch)
        widths.append([streams[i]["input_ids"].shape[1] for i in range(len(streams))])
    assert len(set(map(len, widths))) == 1
    assert widths[0] != widths[1]
    for of_epoch in widths:
        assert np.median(of_epoch) == pytest.approx(50, abs=4)
        assert 2 < np.std(of_epoch) < 12
        assert min(of_epoch) >= 4


def test_an_epoch_shuffles_documents_and_not_their_words():
    streams = BPTTWindows(documents(), 1, 10, END, shuffle=True)
    orders = []
    for epoch in (0, 1, 0):
        streams.set_epoch(epoch)
        inputs, labels = read(streams)
        text = [*inputs[0, :1].tolist(), *labels[labels != -100].tolist()]
        cut = [i for i, token in enumerate(text) if token == END]
        orders.append([text[a + 1 : b] for a, b in zip([-1, *cut], cut, strict=False)])
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(documents())


def test_processes_share_the_streams():
    whole = read(BPTTWindows(documents(), 6, 10, END))[0]
    parts = [read(BPTTWindows(documents(), 2, 10, END, rank=rank, world_size=3))[0] for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)


def test_only_the_first_window_forgets():
    streams = BPTTWindows(documents(), 2, 10, END)
    assert [streams[i]["starts"] for i in range(len(streams))] == [True] + [False] * (len(streams) - 1)


def test_a_text_shorter_than_one_window_is_refused():
    with pytest.raises(UserError, match=r"11 tokens.*4 streams.*window of 70.*per_device_train_batch_size"):
        BPTTWindows([[5] * 10], 4, 70, END)


@pytest.mark.parametrize("sizes", [{"batch_size": 0, "window": 5}, {"batch_size": 2, "window": -1}])
def test_streams_of_no_size_are_refused(sizes):
    with pytest.raises(UserError, match=r"of TextStreams must be 1 or greater"):
        BPTTWindows([range(100)], separator=0, **sizes)
