"""Tests that tokens are generated as transformers generates them."""

import numpy as np
import pytest
import torch
from support.loud_writers import BOS, EOS, PAD, V, language_model, translator

from hf_rnn.models.modeling_seq2seq_rnn import RNNDecoderCache
from hf_rnn.models.outputs import RNNModelOutput
from hf_rnn.models.recurrent_cache import RNNCache
from hf_rnn.runtime.generation import GenerationSettings, State, generate, sampled

SETTINGS = [
    {},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2, "min_length": 6},
    {"repetition_penalty": 1.4},
    {"num_beams": 2},
    {"num_beams": 4, "early_stopping": True, "length_penalty": 0.5},
    {"num_beams": 3, "early_stopping": "never", "length_penalty": 2.0},
    {"num_beams": 5, "length_penalty": -1.0},
    {"num_beams": 3, "no_repeat_ngram_size": 2},
    {"num_beams": 3, "repetition_penalty": 1.4, "min_length": 6},
    {"num_beams": 3, "eos_token_id": [EOS, 5, 6]},
    {"eos_token_id": [EOS, 5, 6]},
]


class LanguageModelSteps:
    """Steps of a language model with torch."""

    def __init__(self, model):
        self.model = model

    @torch.no_grad()
    def step(self, tokens, state):
        past = RNNCache(tuple(map(torch.from_numpy, state.recurrent.values())))
        out = self.model(torch.from_numpy(tokens)[:, None], past_key_values=past)
        return out.logits[:, -1].numpy(), State(arrays(out.past_key_values.state))


class TranslatorSteps:
    """Steps of a translator with torch."""

    def __init__(self, model):
        self.model = model

    @torch.no_grad()
    def step(self, tokens, state):
        source = {name: torch.from_numpy(array) for name, array in state.source.items()}
        keys, mask = source.pop("keys"), source.pop("mask")
        past = RNNDecoderCache(tuple(map(torch.from_numpy, state.recurrent.values())), 1, keys)
        out = self.model(
            encoder_outputs=RNNModelOutput(**source),
            attention_mask=mask,
            decoder_input_ids=torch.from_numpy(tokens)[:, None],
            past_key_values=past,
        )
        return out.logits[:, -1].numpy(), State(arrays(out.past_key_values.state), state.source)


def arrays(state) -> dict:
    return {str(place): part.numpy() for place, part in enumerate(state)}


def settings_of(max_length: int, **settings) -> GenerationSettings:
    ends = settings.pop("eos_token_id", [EOS])
    return GenerationSettings(max_length=max_length, eos_token_ids=tuple(ends), **settings)


def without_padding(row: list[int], length: int) -> list[int]:
    """Return a row of transformers, which pads with the first ending token if the padding token is 0."""
    assert set(row[length:]) <= {PAD, EOS}
    return row[:length]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
@pytest.mark.filterwarnings("ignore:.*early_stopping.*", "ignore:.*length_penalty.*")
def test_a_language_model_writes_as_with_transformers(cell_type, settings):
    model = language_model(cell_type=cell_type, num_hidden_layers=2)
    for prompt in ([7], [11, 4, 9, 9, 20]):
        ids = torch.tensor([prompt])
        (expected,) = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_length=18, do_sample=False, **settings
        ).tolist()
        with torch.no_grad():
            out = model(ids)
        state = State(arrays(out.past_key_values.state))
        (found,) = generate(
            LanguageModelSteps(model), out.logits[:, -1].numpy(), state, [prompt], settings_of(18, **settings)
        )
        assert found == without_padding(expected, len(found))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("attention_type", ["multiplicative", "additive"])
@pytest.mark.filterwarnings("ignore:.*early_stopping.*", "ignore:.*length_penalty.*")
def test_a_translator_writes_as_with_transformers(attention_type, settings):
    model = translator(bidirectional=True, attention_type=attention_type, input_feeding=True, coverage=1.0)
    ids, mask = torch.arange(28).reshape(4, 7) % V, torch.ones(4, 7, dtype=torch.long).tril(3)
    expected = model.generate(ids, attention_mask=mask, max_length=16, do_sample=False, **settings).tolist()
    start = torch.full((4, 1), BOS)
    with torch.no_grad():
        read = model.get_encoder()(ids, mask)
        out = model(encoder_outputs=read, attention_mask=mask, decoder_input_ids=start)
    source = {name: part.numpy() for name, part in read.items() if part is not None}
    source |= {"mask": mask.numpy(), "keys": out.past_key_values.keys.numpy()}
    state = State(arrays(out.past_key_values.state), source)
    found = generate(
        TranslatorSteps(model), out.logits[:, -1].numpy(), state, start.tolist(), settings_of(16, **settings)
    )
    for one, other in zip(found, expected, strict=True):
        assert one == without_padding(other, len(one))


class Counting:
    """Model that predicts the same logits at each step, and counts the rows that it reads."""

    def __init__(self, logits):
        self.logits, self.rows = np.array(logits, dtype=np.float32), 0

    def step(self, tokens, state):
        self.rows += len(tokens)
        return np.tile(self.logits, (len(tokens), 1)), state

    def write(self, rows, settings, seed=0):
        logits = np.tile(self.logits, (len(rows), 1))
        return generate(self, logits, State({}), rows, settings, np.random.default_rng(seed))


def test_a_finished_text_costs_nothing_more():
    model = Counting([0.0, 1.0])
    found = model.write([[0]] * 3, GenerationSettings(max_length=40, eos_token_ids=(0,), temperature=1.0))
    assert model.rows == sum(len(row) - 2 for row in found)
    assert len(set(map(len, found))) > 1


LOGITS = np.log([0.4, 0.3, 0.2, 0.07, 0.03]).astype(np.float32)


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, [0.4, 0.3, 0.2, 0.07, 0.03]),
        ({"temperature": 0.5}, [0.16, 0.09, 0.04, 0.0049, 0.0009]),
        ({"top_k": 2}, [0.4, 0.3, 0, 0, 0]),
        ({"top_k": 9}, [0.4, 0.3, 0.2, 0.07, 0.03]),
        ({"top_p": 0.85}, [0.4, 0.3, 0.2, 0, 0]),
        ({"top_p": 0.01}, [1, 0, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.7}, [0.4, 0.3, 0, 0, 0]),
    ],
)
def test_sampling_follows_the_distribution(settings, shares):
    N = 20_000
    chosen = GenerationSettings(max_length=2, **{"temperature": 1.0, **settings})
    found = sampled(np.tile(LOGITS, (N, 1)), chosen, np.random.default_rng(0))
    counts = np.bincount(found, minlength=5) / N
    expected = np.array(shares) / sum(shares)
    assert np.abs(counts - expected).max() < 4 * 0.5 / np.sqrt(N)
    assert (counts[expected == 0] == 0).all()


@pytest.mark.parametrize("settings", [{"top_k": 3}, {"top_p": 0.6}, {"temperature": 0.7, "top_k": 4, "top_p": 0.8}])
def test_sampling_leaves_the_tokens_that_transformers_leaves(settings):
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32)
    warpers = [
        TemperatureLogitsWarper(settings.get("temperature", 1.0)),
        TopKLogitsWarper(settings.get("top_k", 50)),
        TopPLogitsWarper(settings.get("top_p", 1.0)),
    ]
    scores = torch.from_numpy(logits)
    for warper in warpers:
        scores = warper(None, scores)
    chosen = GenerationSettings(max_length=2, **{"temperature": 1.0, **settings})
    found = sampled(logits.repeat(20_000, axis=0), chosen, np.random.default_rng(0))
    assert set(found.tolist()) == set(torch.isfinite(scores)[0].nonzero().flatten().tolist())


def test_the_seed_decides_what_is_written():
    model, settings = Counting(LOGITS), GenerationSettings(max_length=30, temperature=1.0)
    assert model.write([[0]], settings, seed=1) == model.write([[0]], settings, seed=1)
    assert model.write([[0]], settings, seed=1) != model.write([[0]], settings, seed=2)


def test_a_low_temperature_is_greedy():
    model = Counting(LOGITS)
    cold, greedy = (GenerationSettings(max_length=30, temperature=temperature) for temperature in (0.01, 0.0))
    assert model.write([[0]], cold) == model.write([[0]], greedy) == [[0] * 30]


def test_a_large_vocabulary_with_beams():
    model = Counting(np.random.default_rng(0).normal(size=30_011))
    order = np.argsort(-model.logits)
    (found,) = model.write([[0]], GenerationSettings(max_length=4, num_beams=3, no_repeat_ngram_size=1))
    assert found[0] == 0
    assert set(found[1:]) == set(order[:3].tolist())
