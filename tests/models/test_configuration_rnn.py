import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from hf_rnn import (
    RNNConfig,
    RNNForCausalLM,
    RNNForConditionalGeneration,
    RNNForSequenceClassification,
    RNNForTokenClassification,
    RNNModel,
)
from hf_rnn.models import configuration_rnn
from hf_rnn.models.code_files import code_files
from hf_rnn.models.configuration_rnn import fields_read_by


@pytest.mark.parametrize(
    ("fields", "value", "rule"),
    [
        ({"cell_type": "LSTMs"}, "LSTMs", "lstm, gru, rnn_tanh, rnn_relu"),
        ({"pooling": "averge"}, "averge", "last, mean, max, concat, attention"),
        ({"hidden_size": 0}, "hidden_size=0", "greater than 0"),
        ({"num_hidden_layers": -1}, "-1", "greater than 0"),
        ({"classifier_dropout": 1.0}, "classifier_dropout=1.0", r"\[0, 1\)"),
        ({"weight_dropout": -0.1}, "-0.1", r"\[0, 1\)"),
        ({"hidden_size": "64"}, "'64'", "int"),
        ({"bidirectional": "yes"}, "'yes'", "bool"),
        ({"vocab_size": 5, "pad_token_id": 7}, "pad_token_id=7", "pad_token_id < vocab_size=5"),
        ({"hidden_dropout": 0.2}, "hidden_dropout=0.2", "no second layer"),
        ({"bidirectional": True, "backprop_length": 50}, "backprop_length=50", "independent_directions=True"),
        ({"classifier_hidden_size": -3}, "-3", "0 .no layer. or greater"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(fields, value, rule):
    with pytest.raises(StrictDataclassError, match=rule) as error:
        RNNConfig(**fields)
    assert value in str(error.value)


def test_a_misspelt_field_is_refused_with_the_nearest_name():
    with pytest.raises(TypeError, match=r"'hiden_size'.*write hidden_size=3"):
        RNNConfig(hiden_size=3)


def test_unknown_fields_of_a_newer_version_are_kept(tmp_path):
    RNNConfig(num_labels=3).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**saved, "something_of_tomorrow": 1}))
    assert RNNConfig.from_pretrained(tmp_path).something_of_tomorrow == 1


def test_labels_round_trip(tmp_path):
    config = RNNConfig(id2label={0: "no", 1: "yes", 2: "perhaps"}, label2id={"no": 0, "yes": 1, "perhaps": 2})
    config.save_pretrained(tmp_path)
    loaded = RNNConfig.from_pretrained(tmp_path)
    assert loaded.num_labels == 3
    assert loaded.id2label == {0: "no", 1: "yes", 2: "perhaps"}


def test_output_size_counts_directions():
    assert RNNConfig(hidden_size=5).output_size == 5
    assert RNNConfig(hidden_size=5, bidirectional=True).output_size == 10


def reads_of_models(monkeypatch) -> set[str]:
    """Return a set that collects the fields that the models' code reads from now on."""
    own, found = Path(configuration_rnn.__file__), set()

    def recording(config, name):
        file = Path(sys._getframe(1).f_code.co_filename)
        if file.parent == own.parent and file != own:
            found.add(name)
        return PreTrainedConfig.__getattribute__(config, name)

    monkeypatch.setattr(RNNConfig, "__getattribute__", recording)
    return found


TEXT = {"input_ids": torch.arange(1, 9)[None]}
# Configurations and inputs with which a model reads all the fields that it uses.
RUNS = {
    RNNModel: [({}, {})],
    RNNForSequenceClassification: [
        (fields, {"labels": torch.tensor([1])})
        for fields in ({"wide_ngrams": 3}, {"backprop_window": 2, "backprop_length": 0})
    ],
    RNNForTokenClassification: [
        ({"character_encoder": kind, "crf": True, "num_labels": 3}, {"labels": torch.tensor([[0, 1, 2] + [0] * 5])})
        for kind in ("lstm", "cnn")
    ],
    RNNForCausalLM: [({"sampled_softmax": 5}, {"labels": TEXT["input_ids"]})],
    RNNForConditionalGeneration: [({"scheduled_sampling": 0.1, "bos_token_id": 1}, {"labels": TEXT["input_ids"]})],
}
# transformers reads these fields. hf_rnn reads `wide_vocabulary` to compare it with the tokenizer, and `thresholds` to
# turn scores into labels.
OF_OTHERS = {"initializer_range", "bos_token_id", "eos_token_id", "wide_vocabulary", "thresholds"}


@pytest.mark.parametrize("model_class", RUNS)
def test_each_model_reads_the_fields_that_say_so_and_no_others(monkeypatch, model_class):
    found = reads_of_models(monkeypatch)
    for fields, inputs in RUNS[model_class]:
        every = {"vocab_size": 20, "backprop_length": 2, "hidden_size": 8, "num_rare_tokens": 1, "unk_token_id": 1}
        model = model_class(RNNConfig(**every | fields))
        for mode in (True, False):
            model.train(mode)(**TEXT, **inputs)
    known = {field.name for field in dataclasses.fields(RNNConfig)} & RNNConfig.__annotations__.keys()
    assert (found & known) | OF_OTHERS == fields_read_by(model_class.__name__) | OF_OTHERS


def test_fields_that_transformers_reads_act():
    def model(**fields):
        torch.manual_seed(0)
        return RNNForCausalLM(RNNConfig(vocab_size=20, **fields))

    narrow, wide = (model(initializer_range=width).model.embed_tokens.weight.std() for width in (0.1, 1.0))
    assert wide > 5 * narrow
    assert model(bos_token_id=3, eos_token_id=4).generation_config.bos_token_id == 3
    assert model(bos_token_id=3, eos_token_id=4).generation_config.eos_token_id == 4


def test_a_folder_holds_the_code_of_its_model_alone_and_auto_map_names_what_is_there(tmp_path):
    def saved(model_class) -> tuple[set[str], dict]:
        folder = tmp_path / model_class.__name__
        model_class(RNNConfig(vocab_size=20, num_labels=3)).save_pretrained(folder)
        auto_map = json.loads((folder / "config.json").read_text())["auto_map"]
        files = {file.name for file in folder.glob("*.py")}
        assert all(f"{reference.split('.')[0]}.py" in files for reference in auto_map.values())
        return files, auto_map

    own = {"attention.py", "characters.py", "crf.py", "modeling_causal_rnn.py"}
    own |= {"modeling_token_rnn.py", "modeling_seq2seq_rnn.py"}
    of_each = {model_class: saved(model_class) for model_class in RUNS}
    assert not of_each[RNNForSequenceClassification][0] & own
    assert of_each[RNNForCausalLM][0] & own == {"modeling_causal_rnn.py"}
    assert of_each[RNNForTokenClassification][0] & own == {"characters.py", "crf.py", "modeling_token_rnn.py"}
    assert {"attention.py", "modeling_seq2seq_rnn.py"} == of_each[RNNForConditionalGeneration][0] & own
    encoder = {"AutoConfig", "AutoModel", "AutoModelForSequenceClassification"}
    assert of_each[RNNForSequenceClassification][1].keys() == encoder
    assert of_each[RNNForTokenClassification][1].keys() == encoder | {"AutoModelForTokenClassification"}


def test_all_code_of_the_models_is_saved_with_some_model():
    there = {file.name for file in Path(configuration_rnn.__file__).parent.glob("*.py")}
    assert there - set(code_files()) <= {"__init__.py", "reference.py"}


def test_the_code_of_a_model_that_was_loaded_from_a_repository_is_saved_again(tmp_path):
    RNNForTokenClassification(RNNConfig(vocab_size=20)).save_pretrained(tmp_path / "first")
    remote = get_class_from_dynamic_module("modeling_token_rnn.RNNForTokenClassification", str(tmp_path / "first"))
    remote.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("first", "second")
    )
    assert first == second


def test_a_file_says_which_code_is_there_and_never_which_code_runs(tmp_path):
    RNNConfig().save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    saved["auto_map"] = {"AutoModel": "evil.RNNModel", "AutoModelForImageClassification": "evil.RNNModel"}
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert RNNConfig.from_pretrained(tmp_path).auto_map == {"AutoModel": "modeling_rnn.RNNModel"}
