"""Messages name arguments as Python writes them; the command line writes them as its options."""

import logging

import pytest

from hf_rnn.cli.wording import OptionsFormatter, as_options
from hf_rnn.hub.saved_run import SECTION_NAMES
from hf_rnn.utils.output import WORDING


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("write data.header=True, or data.header=False.", "write --data.header true, or --data.header false."),
        ("write card.dataset=None.", "write --card.dataset null."),
        ("training.window=0 must be 1 or greater.", "--training.window 0 must be 1 or greater."),
        ("training.learning_rate=1e-05. Then", "--training.learning_rate 1e-05. Then"),
        ("data.test_size=0.1.", "--data.test_size 0.1."),
        ("data.text_column='the text', or", "--data.text_column 'the text', or"),
        ("data.label_names=['no', 'B-PER', …].", """--data.label_names '["no", "B-PER", …]'."""),
        ("data.label_names=['a, b', \"it's]\"].", """--data.label_names '["a, b", "it'"'"'s]"]'."""),
        ("training.thresholds={'support': 0.5}.", """--training.thresholds '{"support": 0.5}'."""),
        ("training.thresholds={} has none", "--training.thresholds '{}' has none"),
        ("data.label_names=[…] with", "--data.label_names '[…]' with"),
        ("data.escapechar='\\\\' if", "--data.escapechar '\\' if"),
        ("(data.test_size=0.1, or training.max_steps=10)", "(--data.test_size 0.1, or --training.max_steps 10)"),
        ("data.label_column=NAME for another", "--data.label_column NAME for another"),
        ("leave data.streaming out", "leave data.streaming out"),
        ("method='lime' is unknown", "--method lime is unknown"),
        ("write data.name='x' and data.seed=2.", "write --data.name x --data.seed 2."),
        ("data.name='x' and data.seed=2 differ", "--data.name x and --data.seed 2 differ"),
        ("training.output_dir=Nonesuch", "training.output_dir=Nonesuch"),
        ("'data.seed=1' exists; data.name='C:\\Users'", "'data.seed=1' exists; data.name='C:\\Users'"),
        ("others='a'; https://x/?method=1", "others='a'; https://x/?method=1"),
    ],
)
def test_arguments_become_options_of_the_command(message, written):
    assert as_options(message, ("method",)) == written


def test_every_section_of_a_run_is_known():
    for name in SECTION_NAMES:
        assert as_options(f"{name}.key=1") == f"--{name}.key 1"


def test_a_command_has_settings_of_data_without_their_section():
    options = ("delimiter", "revision", "overwrite")
    assert as_options("write data.delimiter='comma'.", options) == "write --delimiter comma."
    assert as_options("write data.path=FOLDER.", ("data", "split")) == "write --data FOLDER."
    assert as_options("write data.path=FOLDER.", ("file",)) == "write --file FOLDER."
    assert as_options("write data.path=FOLDER.", ("data", "data.path")) == "write --data.path FOLDER."
    # Other settings of a run may have the name of an option of the command.
    assert as_options("write data.revision='v1'.", options) == "write --data.revision v1."
    assert as_options("write training.overwrite=True.", options) == "write --training.overwrite true."


def test_an_option_without_a_value_stands_alone():
    flags = ("overwrite",)
    assert as_options("or write overwrite=True to delete", flags, flags) == "or write --overwrite to delete"
    assert as_options("overwrite=False keeps it", flags, flags) == "overwrite=False keeps it"


def test_log_records_of_this_package_name_options():
    def formatted(name):
        return OptionsFormatter().format(logging.LogRecord(name, logging.WARNING, "", 0, "a.b data.seed=1", None, None))

    before = WORDING.set(as_options)
    try:
        assert formatted("hf_rnn.text") == "a.b --data.seed 1"
        assert formatted("transformers") == "a.b data.seed=1"
    finally:
        WORDING.reset(before)
    assert formatted("hf_rnn.text") == "a.b data.seed=1"
