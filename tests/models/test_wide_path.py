"""Tests of the wide path, which adds scores of n-grams, in every way to call a text classifier."""

import random

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from tokenizers import normalizers
from transformers import AutoModelForSequenceClassification

from hf_rnn import Predictor, RNNConfig, RNNForSequenceClassification, explain, how_it_read
from hf_rnn.inference.long_text import logits_of
from hf_rnn.interpret.answers import margin
from hf_rnn.reference import naive_wide_path
from hf_rnn.text.tokenization import train_tokenizer
from hf_rnn.text.vocabulary import fingerprint
from hf_rnn.training.ngrams import keys_of

KNOWN, C, V = 300, 3, 40


def model_with_wide_path(order: int = 3, dtype=torch.float64, **config) -> RNNForSequenceClassification:
    """Return a text classifier whose wide path knows some of the n-grams of random texts."""
    torch.manual_seed(0)
    sizes = {"vocab_size": V, "embedding_size": 8, "hidden_size": 6, "num_labels": C, "initializer_range": 0.5}
    draw = np.random.default_rng(0)
    keys = np.unique(keys_of([draw.integers(1, V, 400)], order)[0])
    keys = np.sort(draw.choice(keys, min(KNOWN, len(keys) - 5), replace=False))
    config |= {"wide_ngrams": len(keys), "wide_order": order}
    model = RNNForSequenceClassification(RNNConfig(**sizes, **config)).to(dtype)
    path = model.wide_path
    path.keys.copy_(torch.from_numpy(keys))
    for part in (path.weight, path.bias):
        part.data.normal_(std=2)
    path.scale.uniform_(0.5, 3)
    path.recurrent_weight.data.fill_(0.7)
    return model.eval()


def batch(lengths: list[int], scattered: bool = False) -> tuple[torch.Tensor, torch.Tensor, list[list[int]]]:
    """Return random ids, also under the padding, their mask, and the unmasked ids of each row."""
    draw = random.Random(0)
    T = max(lengths) + 3
    ids = torch.tensor([[draw.randrange(1, V) for _ in range(T)] for _ in lengths])
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        places = sorted(draw.sample(range(T), length)) if scattered else range(length)
        mask[row, list(places)] = 1
    return ids, mask, [ids[row][mask[row].bool()].tolist() for row in range(len(lengths))]


BOTH_COUNTS = pytest.mark.parametrize("wide_binary", [False, True])


@BOTH_COUNTS
@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("scattered", [False, True])
def test_equals_the_reference_wherever_the_padding_stands(order, scattered, wide_binary):
    model = model_with_wide_path(order, wide_binary=wide_binary)
    ids, mask, rows = batch([50, 7, 2, 1, 0, 30], scattered)
    with torch.no_grad():
        logits = model(ids, attention_mask=mask).logits
        wide = torch.stack([naive_wide_path(model.wide_path, row) for row in rows])
        torch.testing.assert_close(logits, model.recurrent_logits(ids, mask) + wide, rtol=0, atol=1e-10)
    assert (wide.abs().sum(1) > 0.5).sum() >= 4


@BOTH_COUNTS
def test_a_repeated_ngram_counts_once_if_the_ngrams_are_binary(wide_binary):
    path = model_with_wide_path(1, wide_binary=wide_binary).wide_path
    one, other = (path.keys[:2] - 1).tolist()  # The key of a single token is its id plus 1.
    sums, squares = path.parts(torch.tensor([[one, one, other, one]]))
    assert (squares[0] > 0).tolist() == [True, not wide_binary, True, not wide_binary]
    assert sums[0].abs().sum(1).bool().tolist() == [True, not wide_binary, True, not wide_binary]


@BOTH_COUNTS
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_traced_graph_finds_the_same_ngrams(wide_binary):
    path = model_with_wide_path(wide_binary=wide_binary).wide_path

    def wide(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        sums, squares = path.parts(ids, mask)
        return torch.cat([sums.sum(1), squares.sum(1, keepdim=True)], dim=1)

    ids, mask, _ = batch([50, 7, 2])
    traced = torch.jit.trace(wide, (ids, mask))
    ids, mask, _ = batch([1, 4, 21, 90], scattered=True)
    torch.testing.assert_close(traced(ids, mask), wide(ids, mask), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("known", [1, 2, 3, 4, 5, 127, 128, 129])
def test_bisection_finds_each_key_and_no_other(known):
    model = model_with_wide_path()
    path = model.wide_path
    path.keys, path.num_ngrams = torch.arange(known) * 10, known
    asked = torch.arange(-5, known * 10 + 5)[None]
    found = torch.jit.trace(lambda keys: path._place(keys), asked)(asked)
    assert torch.equal(path.keys[found] == asked, torch.isin(asked, path.keys))
    assert torch.equal(path._place(asked), found)


def test_saved_and_loaded_bit_by_bit(tmp_path):
    model = model_with_wide_path(dtype=torch.float32)
    model.save_pretrained(tmp_path)
    ids, mask, _ = batch([9, 4])
    loaded, report = RNNForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert all(
        torch.equal(one, other)
        for one, other in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    torch.testing.assert_close(loaded(ids, attention_mask=mask).logits, model(ids, attention_mask=mask).logits)
    assert (tmp_path / "wide_path.py").exists()


def test_one_that_is_missing_in_the_file_adds_nothing(tmp_path):
    model = RNNForSequenceClassification(RNNConfig(vocab_size=V, num_labels=C)).eval()
    model.save_pretrained(tmp_path)
    ids, mask, _ = batch([9, 4])
    widened = RNNForSequenceClassification.from_pretrained(tmp_path, wide_ngrams=5)
    torch.testing.assert_close(widened(ids, attention_mask=mask).logits, model(ids, attention_mask=mask).logits)


def test_no_gradient_reaches_the_ngrams():
    model = model_with_wide_path(dtype=torch.float32).train()
    ids, mask, _ = batch([9, 4])
    model(ids, attention_mask=mask, labels=torch.tensor([0, 2])).loss.backward()
    assert model.wide_path.weight.grad is None
    assert model.model.embed_tokens.weight.grad.abs().sum() > 0


def test_in_half_precision_the_sums_are_those_of_single_precision():
    model = model_with_wide_path(dtype=torch.float32)
    ids, mask, _ = batch([50, 7])
    expected = model(ids, attention_mask=mask).logits
    half = model.to(torch.bfloat16)(ids, attention_mask=mask).logits
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=0.1)


def test_embedded_texts_have_no_ngrams():
    model = model_with_wide_path()
    with pytest.raises(ValueError, match="pass input_ids, or call recurrent_logits"):
        model(inputs_embeds=torch.zeros(1, 4, 8, dtype=torch.float64))


@BOTH_COUNTS
def test_windows_and_long_texts_are_answered_as_the_whole(wide_binary):
    whole = model_with_wide_path(wide_binary=wide_binary)
    parts = model_with_wide_path(wide_binary=wide_binary, backprop_window=16)
    ids, mask, rows = batch([200, 37, 16, 0])
    with torch.no_grad():
        expected = whole(ids, attention_mask=mask).logits
        torch.testing.assert_close(parts(ids, attention_mask=mask).logits, expected, rtol=0, atol=1e-10)
        for window in (1, 2, 7, 500):
            torch.testing.assert_close(logits_of(whole, rows[0], window), expected[:1], rtol=0, atol=1e-10)


WORDS = [f"w{n}" for n in range(V - 4)]


@pytest.fixture(scope="module")
def tokenizer():
    # Each word is one token, in the order of the list.
    texts = [" ".join(WORDS[: n + 1]) for n in range(len(WORDS))]
    return train_tokenizer(texts, "word", vocab_size=V, min_frequency=1, show_progress=False)


@BOTH_COUNTS
def test_a_stream_is_answered_as_the_whole(tokenizer, wide_binary):
    model, draw = model_with_wide_path(wide_binary=wide_binary), random.Random(3)
    text = " ".join(draw.choices(WORDS, k=1500))
    stream, arrived = model.stream(tokenizer), ""
    while text:
        cut = draw.randrange(1, 900)
        piece, text = text[:cut], text[cut:]
        arrived += piece
        stream.feed(piece)
        with torch.inference_mode():
            expected = model(**tokenizer([arrived], return_tensors="pt")).logits
        torch.testing.assert_close(stream.logits(), expected, rtol=0, atol=1e-10)
    other = model.stream(tokenizer)
    other.load_state_dict(stream.state_dict())
    for each in (stream, other):
        each.feed(" w1 w2 w3")
    torch.testing.assert_close(other.logits(), stream.logits(), rtol=0, atol=0)


@BOTH_COUNTS
def test_streams_side_by_side_count_their_own_ngrams(wide_binary):
    model, rows = model_with_wide_path(wide_binary=wide_binary), [[3, 4, 5, 3, 4, 8], [9], []]
    stream = model.stream(streams=3)
    for n in range(6):
        stream.feed_ids([row[n : n + 1] for row in rows])
    expected = torch.stack([naive_wide_path(model.wide_path, row) for row in rows])
    bare = model_with_wide_path()
    bare.wide_path.weight.data.zero_()
    bare.wide_path.bias.data.zero_()
    without = bare.stream(streams=3)
    without.feed_ids(rows)
    torch.testing.assert_close(stream.logits() - without.logits(), expected, rtol=0, atol=1e-10)


@BOTH_COUNTS
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_reading_curve_ends_at_the_answer(tokenizer, bidirectional, wide_binary):
    model, text = model_with_wide_path(bidirectional=bidirectional, wide_binary=wide_binary), "w1 w2 w3 w9 w30 w2 w3"
    curve = how_it_read(model, tokenizer, text)
    for words in (1, 4, 7):
        read = " ".join(text.split()[:words])
        expected = model(**tokenizer([read], return_tensors="pt")).logits.softmax(-1)[0].detach().numpy()
        np.testing.assert_allclose(curve.scores[words - 1], expected, atol=1e-6)


@BOTH_COUNTS
def test_scores_of_words_add_up_to_both_halves(tokenizer, wide_binary):
    pytest.importorskip("captum", reason="explanations need captum")
    model, text = model_with_wide_path(dtype=torch.float32, wide_binary=wide_binary), "w1 w2 w3 w9 w30 w2 w3"
    explained = explain(model, tokenizer, text, target=1, n_steps=512)
    with torch.no_grad():
        full = model(**tokenizer([text], return_tensors="pt")).logits
        empty = model.recurrent_logits(inputs_embeds=torch.zeros(1, 7, 8)) + model.wide_path.bias
    expected = margin(model.config, full, 1) - margin(model.config, empty, 1)
    assert sum(span.score for span in explained.words) == pytest.approx(float(expected), abs=2e-2)


def test_rare_tokens_are_unknown_to_the_recurrence_alone():
    model = model_with_wide_path(num_rare_tokens=100, unk_token_id=1)
    rare, unknown = torch.tensor([[5, V + 99, 7]]), torch.tensor([[5, 1, 7]])
    torch.testing.assert_close(model.recurrent_logits(rare), model.recurrent_logits(unknown), rtol=0, atol=0)
    key = keys_of([np.array([V + 99])], 1)[0]
    model.wide_path.keys[-1] = int(key[0])
    model.wide_path.keys.copy_(model.wide_path.keys.sort().values)
    assert not torch.allclose(model(rare).logits, model(unknown).logits)
    with pytest.raises(ValueError, match=r"token ids \[140\] are outside the vocabulary"):
        model(torch.tensor([[5, V + 100]]))


def test_rare_tokens_are_unknown_in_windows_too():
    settings = {"num_rare_tokens": 100, "unk_token_id": 1, "embedding_dropout": 0.01}
    whole, windows = (model_with_wide_path(backprop_window=window, **settings) for window in (0, 4))
    windows.load_state_dict(whole.state_dict())
    ids = torch.randint(2, V + 100, (3, 20))
    found = []
    for model in (whole, windows):
        torch.manual_seed(0)
        model.train()(ids, labels=torch.tensor([0, 1, 0])).loss.backward()
        model.eval()
        found.append((model(ids).logits, model.model.embed_tokens.weight.grad))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert found[1][1][1].any(), "the unknown token learns"


def test_rare_tokens_need_an_unknown_token():
    with pytest.raises(StrictDataclassError, match="unk_token_id=1"):
        RNNForSequenceClassification(RNNConfig(vocab_size=V, num_rare_tokens=3))


def test_a_predictor_refuses_another_tokenizer(tmp_path, tokenizer):
    from hf_rnn.utils.errors import UserError

    model = model_with_wide_path(dtype=torch.float32, wide_vocabulary=fingerprint(tokenizer))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert len(Predictor.from_pretrained(tmp_path)(["w1 w2", ""])) == 2
    train_tokenizer(["w2 w1 w2"] * 3, "word", vocab_size=V, min_frequency=1).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="not the one that the n-grams"):
        Predictor.from_pretrained(tmp_path)


def test_from_pretrained_refuses_another_tokenizer_beside_the_weights(tmp_path, tokenizer):
    model = model_with_wide_path(dtype=torch.float32, wide_vocabulary=fingerprint(tokenizer))
    model.save_pretrained(tmp_path)
    RNNForSequenceClassification.from_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    RNNForSequenceClassification.from_pretrained(tmp_path)
    train_tokenizer(["w2 w1 w2"] * 3, "word", vocab_size=V, min_frequency=1).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="not the one that the n-grams"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)


def test_a_fingerprint_tells_how_texts_are_read_and_leaves_out_added_tokens():
    def trained():
        return train_tokenizer(["good bad fine"], "word", lowercase=True, min_frequency=1)

    one, other, more = trained(), trained(), trained()
    assert fingerprint(one) == fingerprint(other)
    other.backend_tokenizer.normalizer = normalizers.NFC()
    more.add_tokens(["<url>"])
    assert other.get_vocab() == one.get_vocab()
    assert fingerprint(other) != fingerprint(one)
    assert fingerprint(more) == fingerprint(one)


def test_rare_tokens_keep_the_embedding_from_growing():
    model = RNNForSequenceClassification(RNNConfig(vocab_size=V, num_rare_tokens=3, unk_token_id=1))
    with pytest.raises(ValueError, match=rf"the 3 ids from vocab_size={V} on are rare tokens"):
        model.resize_token_embeddings(V + 1)
    assert model.resize_token_embeddings(V).num_embeddings == V
