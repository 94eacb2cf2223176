"""Tests that exported graphs of text classifiers and taggers have the logits of the models."""

import numpy as np
import onnx
import pytest
import torch
from support.exporting import check_graph, classifier, tagger

from hf_rnn.interchange import graphs
from hf_rnn.models.cells import CELLS, Cell, lstm_step
from hf_rnn.models.pooling import POOLINGS
from hf_rnn.runtime.session import Session
from hf_rnn.utils.errors import HfRnnError

BOTH = {"bidirectional": True}
APART = {"bidirectional": True, "independent_directions": True}


@pytest.mark.parametrize(
    "settings",
    [
        {"cell_type": "lstm", **BOTH, "num_hidden_layers": 2},
        {"cell_type": "gru", **APART, "num_hidden_layers": 2, "pooling": "attention"},
        {"cell_type": "rnn_tanh", "wide_ngrams": 900, "wide_order": 2, "num_rare_tokens": 5, "unk_token_id": 1},
    ],
)
def test_a_classifier(settings, tmp_path):
    check_graph(classifier(**settings), tmp_path / "model.onnx")


def test_a_tagger_with_characters_and_a_conditional_random_field(tmp_path):
    check_graph(tagger(crf=True, character_encoder="cnn"), tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("num_hidden_layers", [1, 3])
@pytest.mark.parametrize("directions", [{}, BOTH, APART])
@pytest.mark.parametrize("cell_type", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_each_cell_in_each_direction(cell_type, directions, num_hidden_layers, tmp_path):
    model = classifier(cell_type=cell_type, **directions, num_hidden_layers=num_hidden_layers)
    check_graph(model, tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("pooling", list(POOLINGS))
@pytest.mark.parametrize("directions", [{}, BOTH, APART])
def test_each_pooling(pooling, directions, tmp_path):
    check_graph(classifier(pooling=pooling, **directions), tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"wide_ngrams": 500, "wide_order": 1},
        {"wide_ngrams": 1, "wide_order": 3},
        {"wide_ngrams": 900, "wide_order": 2, "wide_binary": True},
        {"num_rare_tokens": 5, "unk_token_id": 1},
        {"classifier_hidden_size": 7, "temperature": 1.7},
        {"num_labels": 1, "problem_type": "regression", "target_mean": 250_000.0, "target_std": 80_000.0},
        {"num_labels": 1, "problem_type": "regression", "target_mean": 0.01, "target_std": 0.002},
        {"num_labels": 4, "problem_type": "multi_label_classification", "thresholds": {"LABEL_1": 0.2}},
        {"backprop_window": 2},
        {"backprop_window": 3, "truncate_backprop": True, "pooling": "attention"},
        {"input_dropout": 0.5, "hidden_dropout": 0.5, "num_hidden_layers": 2, "weight_dropout": 0.5},
        {"pad_token_id": None},
        {"output_hidden_states": True},
    ],
)
def test_each_setting_of_a_classifier(settings, tmp_path):
    check_graph(classifier(**{**BOTH, **settings}), tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("character_encoder", ["none", "lstm", "cnn"])
@pytest.mark.parametrize("cell_type", ["lstm", "gru", "rnn_relu"])
def test_each_tagger(cell_type, character_encoder, crf, tmp_path):
    model = tagger(cell_type=cell_type, character_encoder=character_encoder, crf=crf, num_hidden_layers=2)
    check_graph(model, tmp_path / "model.onnx")


@pytest.mark.slow
def test_the_tags_of_a_long_text_are_those_of_the_model(tmp_path):
    model = tagger(crf=True)
    graphs.write_graph(model, tmp_path / "model.onnx")
    ids = torch.randint(0, 40, (2, 3000))
    mask = torch.ones_like(ids)
    mask[1, ::3] = 0
    with torch.inference_mode():
        expected = model(ids, mask).logits
    found = Session(tmp_path / "model.onnx").logits(ids, mask)
    assert found.dtype == np.float32
    assert np.array_equal(found.argmax(-1), expected.argmax(-1).numpy())


def test_the_inputs_and_outputs_of_a_graph(tmp_path):
    for model, axes in ((classifier(), ["batch", 3]), (tagger(), ["batch", "time", 5])):
        graphs.write_graph(model, tmp_path / "model.onnx")
        graph = onnx.load(str(tmp_path / "model.onnx"))
        assert [each.version for each in graph.opset_import] == [graphs.OPSET]
        shapes = {each.name: _shape(each) for each in (*graph.graph.input, *graph.graph.output)}
        tokens = (onnx.TensorProto.INT64, ["batch", "time"])
        assert shapes == {
            "input_ids": tokens,
            "attention_mask": tokens,
            "logits": (onnx.TensorProto.FLOAT, axes),
        }


def _shape(value):
    tensor = value.type.tensor_type
    return tensor.elem_type, [each.dim_param or each.dim_value for each in tensor.shape.dim]


def test_weights_are_stored_once(tmp_path):
    model = classifier(vocab_size=2000)
    graphs.write_graph(model, tmp_path / "model.onnx")
    size = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert (tmp_path / "model.onnx").stat().st_size < size + 20_000


def test_a_cell_without_an_operator(tmp_path, monkeypatch):
    model = classifier()
    monkeypatch.setitem(CELLS, "peephole", Cell("peephole", "peephole LSTM", lstm_step, CELLS["lstm"].blocks))
    model.config.cell_type = "peephole"
    with pytest.raises(HfRnnError, match="'peephole' has no operator in ONNX: only models with lstm, gru"):
        graphs.write_graph(model, tmp_path / "model.onnx")


def test_weights_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "LARGEST", 1000)
    with pytest.raises(HfRnnError, match=r"an ONNX file holds at most 2 GB.*tokenizer\.vocab_size"):
        graphs.write_graph(classifier(), tmp_path / "model.onnx")
