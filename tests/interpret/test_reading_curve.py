"""Tests of the reading curve, which holds the answer of a model after each word."""

import copy
import json

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from hf_rnn import RNNConfig, RNNForSequenceClassification, RNNModel, how_it_read, train_tokenizer
from hf_rnn.models.pooling import POOLINGS
from hf_rnn.utils.errors import UserError

TEXT = "the film was wonderfully long, so we left early."


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(
        ["the film was long so we left"], "bpe", vocab_size=280, min_frequency=1, show_progress=False
    )


def model_of(tokenizer, **options) -> RNNForSequenceClassification:
    config = RNNConfig(
        vocab_size=len(tokenizer),
        hidden_size=6,
        embedding_size=5,
        num_hidden_layers=2,
        initializer_range=1.0,
        **options,
    )
    return RNNForSequenceClassification(config).double()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("directions", [{}, {"bidirectional": True}], ids=["one way", "both ways"])
def test_each_answer_is_that_of_the_text_so_far(tokenizer, pooling, directions):
    model = model_of(tokenizer, pooling=pooling, **directions)
    curve = how_it_read(model, tokenizer, TEXT)
    assert curve.words == ["the", "film", "was", "wonderfully", "long", ",", "so", "we", "left", "early", "."]
    model.eval()
    for end, scores in zip(curve.ends, curve.scores, strict=True):
        with torch.no_grad():
            expected = model(**tokenizer(TEXT[:end], return_tensors="pt")).logits.softmax(-1)[0]
        torch.testing.assert_close(torch.tensor(scores).double(), expected, rtol=0, atol=1e-6)


def test_one_pass_is_enough_for_one_direction(tokenizer, monkeypatch):
    model, passes = model_of(tokenizer), []
    read = RNNModel.forward
    monkeypatch.setattr(RNNModel, "forward", lambda *a, **k: passes.append(1) or read(*a, **k))
    how_it_read(model, tokenizer, TEXT)
    assert len(passes) == 1


@pytest.mark.parametrize("directions", [{}, {"bidirectional": True}], ids=["one way", "both ways"])
def test_a_token_that_ends_each_text_ends_the_text_so_far(tokenizer, directions):
    closing = copy.deepcopy(tokenizer)
    end = closing.eos_token_id
    closing.backend_tokenizer.post_processor = TemplateProcessing("$A </s>", special_tokens=[("</s>", end)])
    model = model_of(closing, **directions).eval()
    curve = how_it_read(model, closing, TEXT)
    for place, scores in zip(curve.ends, curve.scores, strict=True):
        batch = closing(TEXT[:place], return_tensors="pt")
        assert batch["input_ids"][0, -1] == end
        with torch.no_grad():
            expected = model(**batch).logits.softmax(-1)[0]
        torch.testing.assert_close(torch.tensor(scores).double(), expected, rtol=0, atol=1e-6)


def test_each_of_several_labels_has_its_curve(tokenizer):
    model = model_of(tokenizer, problem_type="multi_label_classification", num_labels=2)
    curve = how_it_read(model, tokenizer, TEXT)
    assert curve.kind == "several labels"
    for line, row in zip(curve.lines(), curve.scores, strict=True):
        assert line.count("LABEL") == (row > 0.5).sum()


def test_long_texts_are_asked_at_some_places(tokenizer):
    text = "the film was long " * 100
    both = how_it_read(model_of(tokenizer, bidirectional=True), tokenizer, text)
    assert len(both.words) == 40
    assert both.ends[-1] == len(text.rstrip())
    one = how_it_read(model_of(tokenizer), tokenizer, text)
    assert len(one.words) == 400
    assert len(how_it_read(model_of(tokenizer), tokenizer, text, places=1).words) == 1


@pytest.mark.parametrize("options", [{}, {"num_labels": 1}, {"num_labels": 7}])
def test_it_is_drawn_and_told(tokenizer, tmp_path, options):
    curve = how_it_read(model_of(tokenizer, **options), tokenizer, "the $film$ \\frac was 很 long")
    curve.to_png(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(json.dumps(curve.as_dict()))
    assert [row["word"] for row in told["read"]] == curve.words
    assert len(curve.lines()) == len(curve.words)


def test_what_cannot_be_read(tokenizer):
    model = model_of(tokenizer)
    with pytest.raises(UserError, match="no words"):
        how_it_read(model, tokenizer, "")
    with pytest.raises(UserError, match="places=0"):
        how_it_read(model, tokenizer, TEXT, places=0)
    with pytest.raises(UserError, match="RNNModel is not a text classifier"):
        how_it_read(RNNModel(model.config), tokenizer, TEXT)
