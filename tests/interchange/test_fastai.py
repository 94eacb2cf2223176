"""Tests that AWD-LSTM models imported from fastai give the answers of modules built as fastai builds them."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import hf_rnn
from hf_rnn.utils.errors import HfRnnError

TOKENS = [
    "xxunk",
    "xxpad",
    "xxbos",
    "xxeos",
    "xxfld",
    "xxrep",
    "xxwrep",
    "xxup",
    "xxmaj",
    *"the film is good bad .".split(),
]
V, E, H = len(TOKENS), 6, 9


class WeightDropout(nn.Module):
    """fastai's wrapper of an LSTM: the recurrent matrix is a parameter of the wrapper."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        weight = module.weight_hh_l0
        del module.weight_hh_l0
        self.weight_hh_l0_raw = nn.Parameter(weight.data)
        module.weight_hh_l0 = nn.Parameter(weight.data * 7)  # Left over from training with dropout.

    def forward(self, x):
        # The wrapper sets the matrix before each call.
        weights = [self.module.weight_ih_l0, self.weight_hh_l0_raw, self.module.bias_ih_l0, self.module.bias_hh_l0]
        zeros = x.new_zeros(1, len(x), self.module.hidden_size)
        return torch._VF.lstm(x, (zeros, zeros), weights, True, 1, 0.0, False, False, True)[0]


class EmbeddingDropout(nn.Module):
    def __init__(self, emb):
        super().__init__()
        self.emb = emb


class AWDLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(V, E, padding_idx=1)
        self.encoder_dp = EmbeddingDropout(self.encoder)
        sizes = [(E, H), (H, H), (H, E)]
        self.rnns = nn.ModuleList(WeightDropout(nn.LSTM(*size, batch_first=True)) for size in sizes)

    def forward(self, ids):
        x = self.encoder(ids)
        for rnn in self.rnns:
            x = rnn(x)
        return x


class LinearDecoder(nn.Module):
    def __init__(self, tied):
        super().__init__()
        self.decoder = nn.Linear(E, V)
        if tied is not None:
            self.decoder.weight = tied.weight

    def forward(self, x):
        return self.decoder(x)


class SentenceEncoder(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, ids):
        return self.module(ids)


class PoolingLinearClassifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        sizes = [(3 * E, 5), (5, classes)]
        blocks = [[nn.BatchNorm1d(a), nn.Dropout(0.1), nn.Linear(a, b, bias=False)] for a, b in sizes]
        blocks[0].append(nn.ReLU())
        self.layers = nn.Sequential(*(nn.Sequential(*block) for block in blocks))

    def forward(self, x):
        return self.layers(torch.cat([x[:, -1], x.amax(1), x.mean(1)], 1))


def loud(model):
    """Set large random weights and statistics."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.normal_(0, 0.7)
            if "running_var" in name:
                tensor.abs_().add_(0.5)
    return model.eval()


def language_model(tied=True):
    encoder = AWDLSTM()
    return loud(nn.Sequential(encoder, LinearDecoder(encoder.encoder if tied else None)))


def classifier(classes=2):
    return loud(nn.Sequential(SentenceEncoder(AWDLSTM()), PoolingLinearClassifier(classes)))


@pytest.fixture
def import_file(tmp_path):
    def run(state, **choices):
        torch.save(state, tmp_path / "model.pth")
        hf_rnn.import_model(tmp_path / "model.pth", tmp_path / "model", **{"vocabulary": TOKENS, **choices})
        return tmp_path / "model"

    return run


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_a_language_model_gives_the_same_logits(import_file, tied):
    theirs = language_model(tied)
    ours = hf_rnn.RNNForCausalLM.from_pretrained(import_file({"model": theirs.state_dict(), "opt": {}}))
    ids = torch.randint(2, V, (3, 11))
    torch.testing.assert_close(ours(ids).logits, theirs(ids), atol=1e-5, rtol=0)
    assert ours.config.tie_word_embeddings is tied
    assert (ours.config.pad_token_id, ours.config.bos_token_id, ours.config.eos_token_id) == (1, 2, 3)


@torch.no_grad()
def test_a_backward_language_model_predicts_the_tokens_before(import_file, capsys):
    theirs = language_model()
    ours = hf_rnn.RNNForCausalLM.from_pretrained(import_file(theirs.state_dict(), backward=True))
    assert "do not generate" in capsys.readouterr().out
    ids = torch.randint(2, V, (3, 11))
    expected = nn.functional.cross_entropy(theirs(ids.flip(1))[:, :-1].flatten(0, 1), ids.flip(1)[:, 1:].flatten())
    forward = nn.functional.cross_entropy(ours(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert (2 * ours(ids, labels=ids).loss - forward).item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("backward", [False, True])
@torch.no_grad()
def test_a_classifier_gives_the_same_scores(import_file, backward):
    theirs = classifier()
    folder = import_file(theirs.state_dict(), backward=backward, labels=["neg", "pos"])
    ours = hf_rnn.RNNForSequenceClassification.from_pretrained(folder).eval()
    ids = torch.randint(2, V, (4, 12))
    read = ids.flip(1) if backward else ids
    torch.testing.assert_close(ours(ids).logits, theirs(read), atol=1e-5, rtol=0)
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    row = [2, 8, 9, 10, 11, 12, 14]
    read = torch.tensor([row[::-1] if backward else row])
    expected = theirs(read).softmax(-1)[0].numpy()
    np.testing.assert_allclose(predictor.scores(["The film is good."])[0], expected, atol=1e-5)
    assert predictor("The film is good.")["label"] == ["neg", "pos"][expected.argmax()]


def test_one_output_is_a_number(import_file):
    config = hf_rnn.RNNConfig.from_pretrained(import_file(classifier(1).state_dict()))
    assert config.problem_type == "regression"


@torch.no_grad()
def test_an_encoder_alone_can_be_fine_tuned(import_file):
    theirs = loud(AWDLSTM())
    ours = hf_rnn.RNNModel.from_pretrained(import_file(theirs.state_dict()))
    ids = torch.randint(2, V, (2, 5))
    torch.testing.assert_close(ours(ids).last_hidden_state[..., :E], theirs(ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The FILM is good.", "xxbos xxmaj the xxup film is good ."),
        ("xxmaj the film", "xxbos xxmaj the film"),
        ("I<br />is/bad", "xxbos xxunk is xxunk bad"),
        ("", "xxbos"),
    ],
)
def test_texts_are_processed_by_the_rules_of_fastai(import_file, text, tokens):
    tokenizer = hf_rnn.load_tokenizer(str(import_file(language_model().state_dict())))
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == tokens.split()


def test_added_units_stay_zero_in_training(import_file):
    model = hf_rnn.RNNForCausalLM.from_pretrained(import_file(language_model().state_dict()))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    ids = torch.randint(2, V, (3, 11))
    for _ in range(2):
        model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert model.model(ids).last_hidden_state[..., E:].abs().max() == 0


def without(state, name):
    return {key: tensor for key, tensor in state.items() if name not in key}


@pytest.mark.parametrize(
    ("change", "choices", "message"),
    [
        (lambda s: without(s, "1.rnns.0"), {"vocabulary": None}, "json.dump"),
        (dict, {"vocabulary": TOKENS[:-1]}, r"has 14 tokens, and the embedding of .* has 15 rows"),
        (dict, {"vocabulary": [f"▁{token}" for token in range(V - 2)] + ["xxunk", "xxpad"]}, "SentencePiece"),
        (dict, {"vocabulary": [str(i) for i in range(V)]}, "no xxunk and no xxpad"),
        (dict, {"vocabulary": {"a": 1}}, "not a mapping"),
        (dict, {"labels": ["a"]}, "no effect on a language model"),
        (dict, {"length": 5}, "length has no effect on a fastai model"),
        (lambda s: without(s, "rnns.1.module.bias_hh"), {}, "lacks 0.rnns.1.module.bias_hh_l0"),
        (lambda s: {**s, "0.rnns.0.module.weight_ih_l0_reverse": torch.ones(1)}, {}, "bidirectional AWD-LSTM"),
        (lambda s: {**s, "2.attention.weight": torch.ones(1)}, {}, "2.attention.weight"),
        (lambda s: {**s, "1.decoder.weight": torch.ones(V, 3)}, {}, "damaged"),
        (lambda s: {**s, "0.rnns.2.module.weight_ih_l0": torch.ones(4 * E, 3)}, {}, "damaged"),
    ],
)
def test_errors_name_the_problem(import_file, tmp_path, change, choices, message):
    with pytest.raises(HfRnnError, match=message):
        import_file(change(language_model().state_dict()), **choices)
    assert not (tmp_path / "model").exists()


def test_pickles_are_refused(import_file, tmp_path):
    with pytest.raises(HfRnnError, match=r"could run any code.*torch.save\(model.state_dict"):
        import_file(language_model())
    itos = tmp_path / "itos.pkl"
    itos.write_bytes(pickle.dumps(TOKENS))
    with pytest.raises(HfRnnError, match=r"python -c .*itos\.json"):
        import_file(language_model().state_dict(), vocabulary=itos)


def test_the_vocabulary_may_be_a_file(import_file, tmp_path):
    (tmp_path / "itos.json").write_text(json.dumps(TOKENS))
    folder = import_file(language_model().state_dict(), vocabulary=tmp_path / "itos.json")
    assert len(hf_rnn.load_tokenizer(str(folder))) == V
    assert load_file(folder / "model.safetensors")["model.recurrence.weight_hh_l2"].shape == (4 * H, H)
