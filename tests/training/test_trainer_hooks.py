"""Tests of overridden private methods of transformers' Trainer: one place, and unchanged signatures."""

import inspect

import pytest
from transformers import Trainer

from hf_rnn.training.bptt_trainer import LanguageModelTrainer
from hf_rnn.training.seq2seq_trainer import TranslationTrainer
from hf_rnn.training.tagger_trainer import TaggerTrainer
from hf_rnn.training.trainer_hooks import TrainerHooks

# These overrides accept any arguments and pass them on to transformers.
PASS_ON = ("_get_dataloader", "_build_accelerator_args")


def private(cls: type) -> list[str]:
    return [name for name in vars(cls) if name.startswith("_") and not name.startswith("__") and hasattr(Trainer, name)]


@pytest.mark.parametrize("trainer", [LanguageModelTrainer, TaggerTrainer, TranslationTrainer])
def test_private_methods_are_overridden_in_the_hooks_alone(trainer):
    ours = [cls for cls in trainer.__mro__ if cls.__module__.startswith("hf_rnn")]
    assert {cls.__name__ for cls in ours if private(cls)} == {"TrainerHooks"}


@pytest.mark.parametrize("name", private(TrainerHooks))
def test_overrides_take_what_transformers_hands_over(name):
    theirs = inspect.signature(getattr(Trainer, name))
    ours = inspect.signature(getattr(TrainerHooks, name))
    if name in PASS_ON:
        assert any(parameter.kind is parameter.VAR_KEYWORD for parameter in ours.parameters.values())
    else:
        assert list(ours.parameters) == list(theirs.parameters)


@pytest.mark.parametrize(
    "name", ["_save_optimizer_and_scheduler", "_save_scaler", "_get_output_dir", "_remove_unused_columns"]
)
def test_methods_that_are_called_are_there(name):
    assert callable(getattr(Trainer, name))
