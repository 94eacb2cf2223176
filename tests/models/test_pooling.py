import pytest
import torch
from huggingface_hub.errors import StrictDataclassError

from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.models.pooling import POOLINGS, Pooling, pooling_class

IDS = torch.arange(1, 13).view(2, 6)
LABELS = torch.tensor([0, 1])


@pytest.fixture
def first():
    """Yield the name of a new pooling, added by one class, that returns the output of the first token."""

    class FirstPooling(Pooling):
        name = "first"

        def part(self, x, valid, last, weights):
            # In a window, the tokens come before the padding.
            return {"first": x[:, 0]}, None

        def joined(self, before, part):
            return before

        def pooled(self, so_far):
            return so_far["first"]

    yield "first"
    del POOLINGS["first"]


@pytest.fixture
def median():
    """Yield the name of a new pooling that needs the whole text at once."""

    class MedianPooling(Pooling):
        name = "median"

        def part(self, x, valid, last, weights):
            return {"median": x.median(1).values}, None

        def pooled(self, so_far):
            return so_far["median"]

    yield "median"
    del POOLINGS["median"]


def small(**settings) -> RNNForSequenceClassification:
    torch.manual_seed(0)
    return RNNForSequenceClassification(RNNConfig(vocab_size=20, hidden_size=8, **settings))


def test_one_class_adds_a_pooling_that_trains_saves_and_loads(first, tmp_path):
    model = small(pooling=first)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    for _ in range(10):
        loss = model(IDS, labels=LABELS).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2
    model.save_pretrained(tmp_path)
    again = RNNForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.pooling == first
    torch.testing.assert_close(again(IDS).logits, model.eval()(IDS).logits, atol=0, rtol=0)


def test_windows_read_with_a_new_pooling_as_the_whole_text(first):
    whole, windows = small(pooling=first).double(), small(pooling=first, backprop_window=2).double()
    torch.testing.assert_close(windows(IDS).logits, whole(IDS).logits)
    gradients = []
    for model in (whole, windows):
        model(IDS, labels=LABELS).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_a_pooling_of_whole_texts_refuses_to_read_in_parts(median):
    assert small(pooling=median)(IDS).logits.shape == (2, 2)
    with pytest.raises(ValueError, match=r"backprop_window=2 .* pooling='median' needs it all at once"):
        small(pooling=median, backprop_window=2)
    pooling = pooling_class(median)(8)
    with pytest.raises(NotImplementedError, match=r"pooling='median' needs a text all at once"):
        pooling.joined({}, {})
    with pytest.raises(NotImplementedError, match="no reading curve"):
        pooling.after_each(torch.zeros(1, 2, 8))


def test_a_subclass_without_a_name_of_its_own_changes_no_registry():
    before = dict(POOLINGS)

    class Variant(POOLINGS["mean"]):
        pass

    class Base(Pooling):
        pass

    assert before == POOLINGS
    assert Variant(8).in_windows
    assert not Base(8).in_windows


def test_an_unknown_pooling_fails_everywhere():
    with pytest.raises(
        StrictDataclassError,
        match=r"pooling='median' must be one of last, mean, max, concat, attention: write pooling=",
    ):
        RNNConfig(pooling="median")
    with pytest.raises(ValueError, match=r"pooling='median' must be one of last"):
        pooling_class("median")
    config = RNNConfig(vocab_size=20)
    object.__setattr__(config, "pooling", "median")
    with pytest.raises(ValueError, match=r"pooling='median'"):
        RNNForSequenceClassification(config)
