"""Tests of attribution, which scores how much each word contributes to an answer."""

import copy
import json

import pytest
import torch
from torch.nn import functional as F

from hf_rnn import (
    DataArguments,
    Predictor,
    RNNConfig,
    RNNForCausalLM,
    RNNForSequenceClassification,
    TextClassification,
    explain,
    measure_faithfulness,
    train_tokenizer,
)
from hf_rnn.interpret.attribution import METHODS, explainable
from hf_rnn.interpret.segmentation import sentences_of, words_of
from hf_rnn.models.decisions import labels_of
from hf_rnn.utils.errors import UserError

WORDS = "the film was long and my seat hard so we left early with some friends who saw it too on that day".split()
GRADIENTS = ("integrated_gradients", "input_x_gradient")


def texts_with(planted: str, count: int = 256) -> tuple[list[str], torch.Tensor]:
    """Return sentences of random words and their labels; `planted` replaces one word of every second sentence."""
    generator = torch.Generator().manual_seed(0)
    texts, labels = [], []
    for n in range(count):
        words = [WORDS[i] for i in torch.randint(len(WORDS), (9,), generator=generator)]
        if n % 2:
            words[int(torch.randint(9, (1,), generator=generator))] = planted
        texts.append(" ".join(words) + ".")
        labels.append(n % 2)
    return texts, torch.tensor(labels)


@pytest.fixture(scope="module")
def planted():
    """Return models that detect one word, by their pooling, and a tokenizer that splits this word."""
    texts, labels = texts_with("wonderfully")
    tokenizer = train_tokenizer([" ".join(WORDS)], "bpe", vocab_size=290, min_frequency=1, show_progress=False)
    assert len(tokenizer("wonderfully")["input_ids"]) > 2
    batch = tokenizer(texts, padding=True, return_tensors="pt")

    def learnt(pooling: str) -> RNNForSequenceClassification:
        torch.manual_seed(0)
        config = RNNConfig(
            vocab_size=len(tokenizer),
            embedding_size=16,
            hidden_size=16,
            bidirectional=True,
            pooling=pooling,
            # Strong weight dropout makes the model put the evidence of a token into the output at its own position.
            weight_dropout=0.8,
            id2label={0: "plain", 1: "planted"},
            label2id={"plain": 0, "planted": 1},
        )
        model = RNNForSequenceClassification(config)
        optimizer = torch.optim.Adam(model.parameters(), 0.02)
        for _ in range(40):
            loss = model(**batch, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss < 0.05
        return model.eval()

    return {pooling: learnt(pooling) for pooling in ("concat", "attention")}, tokenizer


@pytest.mark.parametrize("method", METHODS)
def test_a_decisive_word_is_found_first(planted, method):
    models, tokenizer = planted
    texts = ["so we left early. wonderfully the seat was hard.", "it was wonderfully on that day. my friends saw it."]
    for explanation in explain(models["attention"], tokenizer, texts, "planted", method):
        best = max(explanation.words, key=lambda word: word.score)
        assert "wonderfully" in best.word
        assert explanation.text[best.start : best.end] == best.word
        assert best.score > 1.3 * sorted(word.score for word in explanation.words)[-2]


def test_integrated_gradients_add_up(planted):
    models, tokenizer = planted
    for text in texts_with("wonderfully", 8)[0]:
        explanation = explain(models["concat"], tokenizer, text)
        assert explanation.completeness_gap < 0.01
        ids = torch.tensor([explanation.ids])
        embedded = models["concat"].model.embed_tokens(ids)
        with torch.no_grad():
            ends = [models["concat"](inputs_embeds=each).logits[0] for each in (embedded, torch.zeros_like(embedded))]
        sign = 1 if explanation.label == "planted" else -1
        difference = sign * float((ends[0] - ends[1]) @ torch.tensor([-1.0, 1.0]))
        assert sum(word.score for word in explanation.words) == pytest.approx(difference, rel=0.02)


def test_occlusion_is_the_difference_that_a_word_makes(planted):
    models, tokenizer = planted
    model = models["concat"]
    explanation = explain(model, tokenizer, "the film was wonderfully long", "planted", "occlusion")
    for word in explanation.words:
        left = [n for place, n in enumerate(explanation.ids) if place not in word.tokens]
        with torch.no_grad():
            whole, without = (model(torch.tensor([ids])).logits[0] for ids in (explanation.ids, left))
        expected = float((whole[1] - whole[0]) - (without[1] - without[0]))
        assert word.score == pytest.approx(expected, abs=1e-4)


def test_what_speaks_for_one_of_two_labels_speaks_against_the_other(planted):
    models, tokenizer = planted
    one, other = (explain(models["concat"], tokenizer, "so wonderfully hard", label) for label in ("plain", 1))
    assert other.label == "planted"
    for mine, yours in zip(one.words, other.words, strict=True):
        assert mine.score == pytest.approx(-yours.score, abs=1e-4)
    assert explain(models["concat"], tokenizer, "so wonderfully hard").label == "planted"


def test_better_explanations_are_more_faithful(planted):
    models, tokenizer = planted
    texts = [text for text in texts_with("wonderfully", 40)[0] if "wonderfully" in text]
    good = explain(models["concat"], tokenizer, texts, "planted")
    bad = explain(models["concat"], tokenizer, texts, "planted")
    for explanation in bad:
        for word in explanation.words:
            word.score = -word.score
    found, missed = (measure_faithfulness(models["concat"], each) for each in (good, bad))
    assert found.comprehensiveness > missed.comprehensiveness + 0.3
    assert found.sufficiency < missed.sufficiency - 0.3
    assert found.texts == len(texts)


def test_the_model_is_left_as_it_was(planted):
    models, tokenizer = planted
    model = models["concat"].train()
    model.zero_grad()
    try:
        for method in (*GRADIENTS, "occlusion"):
            explain(model, tokenizer, "the film was long", method=method)
        assert model.training
        assert all(parameter.grad is None for parameter in model.parameters())
    finally:
        model.eval()


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_cudnn_explains_as_the_cpu_does(planted, method, cell):
    _, tokenizer = planted
    config = RNNConfig(vocab_size=len(tokenizer), cell_type=cell, pooling="attention", initializer_range=1.0)
    config.classifier_dropout = 0.5
    model = RNNForSequenceClassification(config)
    expected = explain(model, tokenizer, "the film was long. we left", 1, method)
    found = explain(model.cuda(), tokenizer, "the film was long. we left", 1, method)
    for one, other in zip(found.words, expected.words, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-3)


def test_views(planted, tmp_path):
    models, tokenizer = planted
    # The text contains markup, a control sequence and a formula sign, which the views must escape.
    text = 'so <b>wonderfully</b> & "long"\nwe left 电影 \x1b[31m$x$'
    explanation = explain(models["concat"], tokenizer, text, "planted")
    told = json.loads(json.dumps(explanation.as_dict()))
    assert all(text[word["start"] : word["end"]] == word["word"] for word in told["words"])
    assert {"label", "score", "method", "completeness_gap", "text", "words", "scores"} == told.keys()
    assert "\x1b[31m" not in explanation.to_ansi()
    assert "wonderfully" in explanation.to_ansi()
    page = explanation.to_html()
    assert "<b>" not in page
    assert "&lt;" in page
    assert "http" not in page
    explanation.to_png(tmp_path / "it.png")
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("don't stop", [(0, 3), (3, 5), (5, 10)], ["don't", "stop"]),
        ("a fine film.", [(0, 1), (1, 6), (6, 9), (9, 11), (11, 12)], ["a", "fine", "film", "."]),
        ("हिन्दी फ़िल्म", [(n, n + 1) for n in range(13) if n != 6], ["हिन्दी", "फ़िल्म"]),
        ("e\u0301te\u0301", [(n, n + 1) for n in range(5)], ["e\u0301te\u0301"]),
        ("这部电影", [(0, 1), (1, 2), (2, 4)], ["这", "部", "电影"]),
        ("é!", [(0, 1), (0, 1), (1, 2)], ["é", "!"]),
        ("x y", [(-1, -1), (0, 1), (2, 2), (2, 3), (-1, -1)], ["x", "y"]),
    ],
)
def test_sub_words_are_put_together(text, tokens, expected):
    words = words_of(text, tokens)
    assert [word.word for word in words] == expected
    assert [text[word.start : word.end] for word in words] == expected


def test_sentences_end_at_their_punctuation():
    text = "It was 3.5 hours. Was it? 很长。真的！ yes<br />no"
    offsets = [(n, n + 1) for n, character in enumerate(text) if not character.isspace()]
    assert [sentence.word for sentence in sentences_of(text, offsets)] == [
        "It was 3.5 hours.",
        "Was it?",
        "很长。",
        "真的！",
        "yes<br />",
        "no",
    ]


def test_several_labels_and_numbers(planted):
    _, tokenizer = planted
    for options in ({"problem_type": "multi_label_classification", "num_labels": 3}, {"num_labels": 1}):
        config = RNNConfig(vocab_size=len(tokenizer), hidden_size=8, embedding_size=8, **options)
        model = RNNForSequenceClassification(config).eval()
        explanation = explain(model, tokenizer, "the film was long", n_steps=100)
        with torch.no_grad():
            logits = model(torch.tensor([explanation.ids])).logits[0]
        score = logits.max() if config.num_labels == 1 else F.sigmoid(logits).max()
        assert explanation.score == pytest.approx(float(score), abs=1e-5)
        assert explanation.label in labels_of(config)


def test_what_was_not_read_is_not_told_of(planted):
    models, tokenizer = planted
    explanation = explain(models["concat"], tokenizer, "we left early", cut=lambda rows: [row[:3] for row in rows])
    assert len(explanation.ids) == 3
    assert explanation.words[-1].end < len("we left early")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"text": ""}, "no words to explain"),
        ({"text": " \n"}, "no words to explain"),
        ({"text": b"x"}, "type bytes"),
        ({"target": "plai"}, "did you mean target='plain'"),
        ({"target": 2}, "target=2 is not one of the labels plain, planted"),
        ({"target": -1}, "target=-1"),
        ({"method": "attention"}, "model.pooling='attention'"),
        ({"method": "integrated"}, "did you mean method='integrated_gradients'"),
        ({"n_steps": 0}, "n_steps=0"),
        ({"n_steps": 1.5}, "n_steps=1.5"),
        ({"target": "PLAIN"}, "did you mean target='plain'"),
    ],
)
def test_what_cannot_be_explained(planted, options, said):
    models, tokenizer = planted
    text = options.pop("text", "the film was long")
    with pytest.raises(UserError, match=said):
        explain(models["concat"], tokenizer, [text], **options)


def test_what_is_no_text_or_no_answer_is_refused(planted):
    models, tokenizer = planted
    for text in (None, 3, b"text"):
        with pytest.raises(UserError, match="pass a text, or a list of texts"):
            explain(models["concat"], tokenizer, text)
    damaged = copy.deepcopy(models["concat"])
    with torch.no_grad():
        damaged.classifier.out_proj.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="are NaN or infinite"):
        explain(damaged, tokenizer, "the film was long")
    with pytest.raises(UserError, match="no explanations"):
        measure_faithfulness(models["concat"], [])
    with pytest.raises(UserError, match="shares=2"):
        measure_faithfulness(models["concat"], explain(models["concat"], tokenizer, "the film"), shares=[2])


def test_models_of_pairs_are_not_explained_by_half(planted):
    models, tokenizer = planted
    config = models["concat"].config
    task = TextClassification(DataArguments(text_pair_column="second"), config)
    with pytest.raises(UserError, match="the second one from 'second'"):
        explainable(Predictor(models["concat"], tokenizer, task))


def test_a_language_model_has_no_label_to_explain(planted):
    _, tokenizer = planted
    with pytest.raises(UserError, match="RNNForCausalLM is not a text classifier"):
        explain(RNNForCausalLM(RNNConfig(vocab_size=len(tokenizer))), tokenizer, "the film")
