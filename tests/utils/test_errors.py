"""The classes of errors that a user can correct."""

import pytest
from huggingface_hub.errors import StrictDataclassError

import hf_rnn
from hf_rnn.utils.errors import UserError, first_line


def test_every_class_is_a_value_error_and_has_one_base():
    assert UserError is hf_rnn.HfRnnError
    for name in ("ConfigError", "DataError", "HubError", "CheckpointError"):
        assert issubclass(getattr(hf_rnn, name), hf_rnn.HfRnnError)
    assert issubclass(hf_rnn.HfRnnError, ValueError)


def test_the_class_says_what_is_wrong(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "a,b\nc,d\n" * 20)
    output = {"training": {"output_dir": str(tmp_path / "model")}}
    with pytest.raises(hf_rnn.ConfigError, match="hiden_size"):
        hf_rnn.train({"model": {"hiden_size": 3}, **output})
    with pytest.raises(hf_rnn.DataError, match="there is no file or folder"):
        hf_rnn.train({"data": {"path": str(tmp_path / "b.csv")}, **output})
    with pytest.raises(hf_rnn.DataError, match="textt"):
        hf_rnn.train({"data": {"path": str(tmp_path / "a.csv"), "text_column": "textt"}, **output})
    small = {"model": {"hidden_size": 8}, "preset": "none", "data": {"path": str(tmp_path / "a.csv")}}
    small["training"] = {**output["training"], "max_steps": 1}
    hf_rnn.train(small)
    with pytest.raises(hf_rnn.CheckpointError, match="already"):
        hf_rnn.train(small)


def test_an_error_on_one_line():
    assert first_line(StrictDataclassError("A check failed:\n  the mistake.")) == "the mistake"
    assert first_line(StrictDataclassError("")) == "StrictDataclassError"
    assert first_line(ValueError("first.\nsecond")) == "first"
