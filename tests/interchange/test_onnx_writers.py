"""Tests that the ONNX graphs of language models and translators compute what the models do."""

import itertools

import numpy as np
import pytest
import torch
from support.loud_writers import BOS, MASK, V, language_model, translator

from hf_rnn.models.cells import CELLS
from hf_rnn.models.recurrent_cache import RNNCache
from hf_rnn.utils.errors import HfRnnError

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from hf_rnn.interchange.onnx_writers import export_writer  # noqa: E402
from hf_rnn.runtime.writers import LanguageModelSteps, TranslatorSteps  # noqa: E402

IDS = torch.arange(MASK.numel()).reshape(MASK.shape) * 7 % V
OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN", "rnn_relu": "RNN"}


def close(found, expected) -> bool:
    return torch.allclose(torch.from_numpy(np.asarray(found)), expected, atol=1e-5, rtol=1e-4)


def session(file):
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def counts(file) -> dict[str, int]:
    names = [node.op_type for node in onnx.load(str(file)).graph.node]
    return {name: names.count(name) for name in set(names)}


def exported_translator(model, folder) -> TranslatorSteps:
    record = export_writer(model, folder)
    return TranslatorSteps(
        session(folder / "encoder_model.onnx"), session(folder / "decoder_model.onnx"), record["state"]
    )


BOTH_WAYS = {"bidirectional": True, "independent_directions": True}
LANGUAGE_MODELS = [
    {"cell_type": "lstm", "num_hidden_layers": 2},
    {"cell_type": "gru", "tie_word_embeddings": False},
    {"cell_type": "rnn_tanh", "num_hidden_layers": 2, **BOTH_WAYS},
    {"cell_type": "rnn_relu"},
    {"cell_type": "lstm", "embedding_size": 8, "num_rare_tokens": 3, "unk_token_id": 1},
]
ALL_LANGUAGE_MODELS = [
    {"cell_type": cell_type, "num_hidden_layers": layers, "tie_word_embeddings": tied, **directions}
    for cell_type, layers, tied, directions in itertools.product(CELLS, (1, 2), (True, False), ({}, BOTH_WAYS))
]


def check_language_model(settings: dict, folder) -> None:
    model = language_model(**settings)
    state = export_writer(model, folder)["state"]
    assert [part["input"] for part in state] == ["past_h", "past_c"][: 1 + CELLS[settings["cell_type"]].has_cell_state]
    past = [torch.randn(len(IDS), *part["shape"][1:]) for part in state]
    with torch.no_grad():
        expected = model(IDS, MASK, past_key_values=RNNCache(tuple(past)))
    inputs = {part["input"]: value.numpy() for part, value in zip(state, past, strict=True)}
    logits, *present = session(folder / "model.onnx").run(
        ["logits", *(part["output"] for part in state)],
        {"input_ids": IDS.numpy(), "attention_mask": MASK.numpy(), **inputs},
    )
    assert close(logits, expected.logits)
    for found, part in zip(present, expected.past_key_values.state, strict=True):
        assert close(found, part)
    assert counts(folder / "model.onnx")[OPERATORS[settings["cell_type"]]] == model.config.num_hidden_layers


@pytest.mark.parametrize("settings", LANGUAGE_MODELS, ids=str)
def test_a_language_model_goes_on_from_any_state_with_any_mask(settings, tmp_path):
    check_language_model(settings, tmp_path)


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("settings", ALL_LANGUAGE_MODELS, ids=str)
def test_all_language_models_go_on_from_any_state_with_any_mask(settings, tmp_path):
    check_language_model(settings, tmp_path)


@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
def test_a_text_in_parts_equals_the_text_at_once(cell_type, tmp_path):
    model = language_model(cell_type=cell_type, num_hidden_layers=2)
    record = export_writer(model, tmp_path)
    steps = LanguageModelSteps(session(tmp_path / "model.onnx"), record["state"])
    ids = [7 * place % V for place in range(600)]
    with torch.no_grad():
        expected = model(torch.tensor([ids]))
    logits, state = steps.read(ids)
    assert close(logits, expected.logits[:, -1])
    for found, part in zip(state.recurrent.values(), expected.past_key_values.state, strict=True):
        assert close(found, part)


def export(model, folder):
    export_writer(model, folder)
    return folder / "model.onnx"


def test_tied_weights_are_in_the_file_once(tmp_path):
    model = language_model(vocab_size=3000, embedding_size=16)
    tied = export(model, tmp_path).stat().st_size
    assert (
        tied
        < 1.5 * 3000 * 16 * 4
        < export(language_model(vocab_size=3000, embedding_size=16, tie_word_embeddings=False), tmp_path).stat().st_size
    )


def test_recurrent_weights_are_constants_which_can_be_quantized(tmp_path):
    graph = onnx.load(str(export(language_model(num_hidden_layers=2), tmp_path))).graph
    constants = {each.name for each in graph.initializer}
    assert all({*node.input[1:4]} <= constants for node in graph.node if node.op_type == "LSTM")


TRANSLATORS = [
    {"attention_type": attention, "input_feeding": feeding, "coverage": coverage}
    for attention, feeding, coverage in itertools.product(("multiplicative", "additive"), (False, True), (0.0, 1.0))
]
MORE = [
    {"cell_type": "gru", "share_embeddings": False, "num_hidden_layers": 2},
    {"cell_type": "rnn_tanh", "tie_word_embeddings": False, "bidirectional": False},
    {"cell_type": "rnn_relu", "share_embeddings": False, "tie_word_embeddings": False, "num_hidden_layers": 2},
    {"cell_type": "lstm", "independent_directions": True, "num_hidden_layers": 2},
]
PAIRED = [{**one, **other} for one, other in zip(TRANSLATORS, MORE * 2, strict=True)]
ALL = [
    {**one, "cell_type": cell_type, "num_hidden_layers": layers, "share_embeddings": share, "tie_word_embeddings": tied}
    for one, cell_type, layers, share, tied in itertools.product(
        TRANSLATORS, CELLS, (1, 2), (True, False), (True, False)
    )
]


def check_translator(settings: dict, folder) -> None:
    model = translator(**{"bidirectional": True, **settings})
    steps = exported_translator(model, folder)
    target = IDS.flip(0)
    with torch.no_grad():
        expected = model(IDS, MASK, decoder_input_ids=target, output_attentions=True)
    state = steps.read(IDS.numpy(), MASK.numpy())
    for place in range(target.shape[1]):
        logits, state = steps.step(target[:, place].numpy(), state)
        assert close(logits, expected.logits[:, place])
    names = ["past_h", "past_c", "past_attended", "past_covered"]
    if not model.decoder.recurrence.cell.has_cell_state:
        names.remove("past_c")
    for name, part in zip(names, expected.past_key_values.state, strict=True):
        assert name not in state.recurrent or close(state.recurrent[name], part)
    assert ("past_attended" in state.recurrent, "past_covered" in state.recurrent) == (
        model.decoder.input_feeding,
        model.decoder.coverage,
    )
    operator = OPERATORS[model.config.cell_type]
    assert counts(folder / "decoder_model.onnx")[operator] == model.config.num_hidden_layers


@pytest.mark.parametrize("settings", PAIRED, ids=str)
def test_a_translator_writes_step_by_step_what_it_writes_at_once(settings, tmp_path):
    check_translator(settings, tmp_path)


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("settings", ALL, ids=str)
def test_all_translators_write_step_by_step_what_they_write_at_once(settings, tmp_path):
    check_translator(settings, tmp_path)


def test_a_translator_reads_one_text_of_one_token(tmp_path):
    model = translator(bidirectional=True, input_feeding=True, coverage=1.0)
    steps, ids = exported_translator(model, tmp_path), torch.tensor([[5]])
    with torch.no_grad():
        expected = model(ids, decoder_input_ids=torch.tensor([[BOS]])).logits[:, 0]
    logits, _ = steps.step(np.array([BOS]), steps.read(ids.numpy(), np.ones_like(ids)))
    assert close(logits, expected)


def test_the_attention_of_a_step(tmp_path):
    model = translator(attention_type="additive")
    steps = exported_translator(model, tmp_path)
    state = steps.read(IDS.numpy(), MASK.numpy())
    (found,) = steps.decoder.run(
        ["cross_attention"], {"input_ids": np.full((len(IDS), 1), BOS), **state.source, **state.recurrent}
    )
    with torch.no_grad():
        expected = model(IDS, MASK, decoder_input_ids=torch.full((len(IDS), 1), BOS), output_attentions=True)
    assert close(found, expected.cross_attentions[0][:, 0])


def test_exporting_does_not_change_the_model(tmp_path):
    model = language_model(num_hidden_layers=2)
    with torch.no_grad():
        before = model(IDS, MASK)
        export_writer(model, tmp_path)
        after = model(IDS, MASK)
    assert torch.equal(before.logits, after.logits)
    for one, other in zip(before.past_key_values.state, after.past_key_values.state, strict=True):
        assert torch.equal(one, other)


def test_settings_of_generation_are_recorded(tmp_path):
    model = translator()
    model.generation_config.update(num_beams=5, max_length=61, length_penalty=0.8, no_repeat_ngram_size=3)
    found = export_writer(model, tmp_path)["generation"]
    assert found == {
        "min_length": 0,
        "min_new_tokens": 0,
        "num_beams": 5,
        "length_penalty": 0.8,
        "early_stopping": False,
        "no_repeat_ngram_size": 3,
        "repetition_penalty": 1.0,
        "top_k": 50,
        "top_p": 1.0,
        "max_new_tokens": 60,
        "temperature": 0.0,
        "eos_token_ids": [3],
        "decoder_start_token_id": 2,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"suppress_tokens": [4]}, "suppress_tokens=.4.*set model.generation_config.suppress_tokens = None"),
        ({"do_sample": True, "num_beams": 3}, "do_sample=True and num_beams=3"),
    ],
)
def test_settings_of_generation_that_the_runtime_does_not_know(settings, message, tmp_path):
    model = translator()
    model.generation_config.update(**settings)
    with pytest.raises(HfRnnError, match=message):
        export_writer(model, tmp_path)
    assert not any(tmp_path.iterdir())
