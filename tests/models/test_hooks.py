"""Tests of a model's `push_to_hub` and `stream`, with and without the package."""

import pytest
import torch
from transformers import PreTrainedModel
from transformers.dynamic_module_utils import get_class_from_dynamic_module

import hf_rnn
from hf_rnn.hub import push
from hf_rnn.inference.text_stream import TextStream


@pytest.fixture
def model():
    return hf_rnn.RNNForSequenceClassification(hf_rnn.RNNConfig(vocab_size=20, hidden_size=8))


@pytest.fixture
def without_package(model, tmp_path):
    """Return the model, loaded with the code that is saved beside it, as if hf_rnn were not imported."""
    model.save_pretrained(tmp_path / "model")
    folder = str(tmp_path / "model")
    return get_class_from_dynamic_module("modeling_rnn.RNNForSequenceClassification", folder).from_pretrained(folder)


def test_the_package_opens_streams(model):
    stream = model.eval().stream(streams=2)
    assert isinstance(stream, TextStream)


def test_the_package_pushes_with_a_card(monkeypatch, model):
    monkeypatch.setattr(push, "push_model", lambda *arguments, **options: (arguments, options))
    assert model.push_to_hub("user/name", private=True) == ((model, "user/name"), {"private": True})


def test_saved_code_alone_names_the_package_for_streams(without_package):
    with pytest.raises(NotImplementedError, match=r"pip install hf-rnn, import hf_rnn, then load the model again"):
        without_package.stream()


def test_saved_code_alone_pushes_as_transformers_does(monkeypatch, without_package):
    monkeypatch.setattr(PreTrainedModel, "push_to_hub", lambda model, *arguments, **options: (arguments, options))
    assert without_package.push_to_hub("user/name", private=True) == (("user/name",), {"private": True})
    assert without_package(torch.ones(1, 3, dtype=torch.long)).logits.shape == (1, 2)
