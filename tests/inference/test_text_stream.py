"""Tests of texts that the model reads as they arrive."""

import random

import pytest
import torch

from hf_rnn import Predictor, RNNConfig, RNNForSequenceClassification
from hf_rnn.models.pooling import POOLINGS
from hf_rnn.text.tokenization import token_ids, train_tokenizer
from hf_rnn.utils.errors import UserError

WORDS = ["good", "<br />", "bad", "it's", "é", "don’t", "漢字", "42", "…", "wonderful", "x<y", "</s>", "\n", "  ", "Σ"]


def texts(count: int, words: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randrange(words))) for _ in range(count)]


def pieces(text: str, draw: random.Random) -> list[str]:
    """Cut a text at random places."""
    places = sorted(draw.choices(range(len(text) + 1), k=draw.randrange(12)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def model(tokenizer, dtype=torch.float64, **config):
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 6, "num_hidden_layers": 2}
    settings = {**sizes, "pad_token_id": tokenizer.pad_token_id, **config}
    return RNNForSequenceClassification(RNNConfig(vocab_size=len(tokenizer), **settings)).to(dtype).eval()


def whole(model, tokenizer, texts: list[str]) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([model(**tokenizer([text or " "], return_tensors="pt")).logits for text in texts])


PROOFS = [pytest.param(kind, marks=[pytest.mark.slow, pytest.mark.proof]) for kind in ("unigram", "char")]


@pytest.fixture(scope="module", params=["bpe", "word", "whitespace", *PROOFS])
def tokenizer(request):
    return train_tokenizer(
        texts(200, 60), request.param, vocab_size=400, min_frequency=1, lowercase=True, strip_html=True
    )


def test_what_arrives_in_pieces_is_answered_as_the_whole(tokenizer):
    reads, draw = model(tokenizer, pooling="concat"), random.Random(1)
    arriving = texts(30, 700, seed=2)
    expected = whole(reads, tokenizer, arriving)
    for text, logits in zip(arriving, expected, strict=True):
        stream, arrived = reads.stream(tokenizer), ""
        for piece in pieces(text, draw):
            stream.feed(piece)
            arrived += piece
            torch.testing.assert_close(stream.logits(), whole(reads, tokenizer, [arrived]), rtol=0, atol=1e-12)
        torch.testing.assert_close(stream.logits()[0], logits, rtol=0, atol=1e-12)
    # The stream keeps only text that the model has not read yet.
    stream = reads.stream(tokenizer)
    for _ in range(20):
        stream.feed("good and wonderful " * 30)
    assert len(stream.state_dict()["waiting"][0]) < 1200


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_streams_side_by_side_are_each_alone(pooling, cell):
    tokenizer = train_tokenizer(texts(200, 60), "word", min_frequency=1)
    reads, draw = model(tokenizer, pooling=pooling, cell_type=cell), random.Random(3)
    arriving = texts(4, 900, seed=4)
    stream = reads.stream(tokenizer, streams=4)
    assert stream.logits().shape == (4, 2)
    cut = [pieces(text, draw) for text in arriving]
    for step in range(max(map(len, cut))):
        stream.feed([parts[step] if step < len(parts) else "" for parts in cut])
    torch.testing.assert_close(stream.logits(), whole(reads, tokenizer, arriving), rtol=0, atol=1e-12)


def test_token_ids_can_be_fed_and_a_state_be_taken_elsewhere():
    tokenizer = train_tokenizer(texts(200, 60), "word", min_frequency=1)
    reads = model(tokenizer, pooling="attention")
    ids = tokenizer(texts(1, 9000, seed=5))["input_ids"]
    stream = reads.stream()
    stream.feed_ids([ids[0][:1500]])
    saved = stream.state_dict()
    stream.feed_ids([ids[0][1500:]])
    with torch.inference_mode():
        expected = reads(torch.tensor(ids)).logits
    torch.testing.assert_close(stream.logits(), expected, rtol=0, atol=1e-12)
    other = reads.stream()
    other.load_state_dict(saved)
    other.feed_ids([ids[0][1500:]])
    assert torch.equal(other.logits(), stream.logits())


def test_a_word_without_end_waits_and_is_answered_all_the_same(tokenizer):
    reads = model(tokenizer, pooling="max")
    stream = reads.stream(tokenizer)
    for _ in range(10):
        stream.feed("wonderful" * 20)
    torch.testing.assert_close(stream.logits(), whole(reads, tokenizer, ["wonderful" * 200]), rtol=0, atol=1e-12)


def test_a_long_text_is_tokenized_piece_by_piece_to_the_same_tokens(tokenizer, monkeypatch):
    long = " ".join(texts(60, 400, seed=6)) + "wonderful" * 200
    expected = tokenizer([long, "short"])["input_ids"]
    monkeypatch.setattr("hf_rnn.runtime.tokens.LONG", 700)
    assert token_ids(tokenizer, [long, "short"]) == expected


def test_a_long_text_without_a_place_to_cut_is_tokenized_as_a_whole(tokenizer, monkeypatch):
    endless = "good " + "wonderful" * 2000
    expected = tokenizer([endless])["input_ids"]
    monkeypatch.setattr("hf_rnn.runtime.tokens.LONG", 700)
    assert token_ids(tokenizer, [endless]) == expected


@pytest.mark.proof
@pytest.mark.slow
def test_real_reviews_cut_anywhere_are_answered_as_the_whole(real_data):
    from datasets import load_dataset

    reviews = load_dataset("parquet", data_files=str(real_data / "imdb" / "test*.parquet"), split="train")
    reviews = reviews.shuffle(seed=0).select(range(1000))["text"]
    tokenizer = train_tokenizer(reviews, "bpe", vocab_size=4000, lowercase=True, strip_html=True, show_progress=False)
    draw = random.Random(0)
    arriving = [pieces(review, draw) for review in reviews]
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        reads = model(tokenizer, dtype, pooling="concat", embedding_size=16, hidden_size=16)
        for first in range(0, 1000, 50):
            cut = arriving[first : first + 50]
            stream = reads.stream(tokenizer, streams=50)
            for step in range(max(map(len, cut))):
                stream.feed([parts[step] if step < len(parts) else "" for parts in cut])
            expected = whole(reads, tokenizer, list(reviews[first : first + 50]))
            torch.testing.assert_close(stream.logits(), expected, rtol=0, atol=tolerance)


def test_a_predictor_answers_a_stream(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    if predictor.model.config.bidirectional:
        with pytest.raises(UserError, match=r"reads each text from its end too.*model.bidirectional=False"):
            predictor.open()
        return
    stream = predictor.open()
    stream.feed("the film was ")
    stream.feed("not good .")
    answer, expected = stream.answers()[0], predictor(["the film was not good ."])[0]
    assert answer["label"] == expected["label"]
    assert answer["score"] == pytest.approx(expected["score"], abs=1e-6)


def test_wrong_use_is_told():
    tokenizer = train_tokenizer(texts(200, 60), "word", min_frequency=1)
    reads = model(tokenizer)
    stream = reads.stream(tokenizer, streams=2)
    for wrong, message in (
        (lambda: stream.feed("one"), r"1 pieces for 2 streams"),
        (lambda: stream.feed_ids([[1], [2]]), r"has a tokenizer: feed it texts"),
        (lambda: reads.stream().feed("one"), r"has no tokenizer"),
        (lambda: reads.stream().feed_ids([[1], [2]]), r"2 rows for 1 streams"),
        (lambda: reads.stream(streams=0), r"streams=0 must be 1"),
        (lambda: stream.answers(), r"has no task: open it with Predictor"),
        (lambda: reads.stream().load_state_dict(stream.state_dict()), r"has 2 streams, but this stream has 1"),
        (lambda: model(tokenizer, bidirectional=True).stream(tokenizer), r"needs the end of each text"),
    ):
        with pytest.raises(UserError, match=message):
            wrong()
    stream.close()
    with pytest.raises(UserError, match=r"was closed: open another one"):
        stream.feed(["one", "two"])
