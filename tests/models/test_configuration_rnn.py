import json

import pytest
from huggingface_hub.errors import StrictDataclassError

from hf_rnn import RNNConfig


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
