"""Tests of trl, which trains language models on texts, preferences and rewards."""

import pytest
import torch

from hf_rnn import RNNForCausalLM, RNNForSequenceClassification

pytest.importorskip("trl", reason="trl is not installed: pip install 'hf-rnn[clients]'")
from datasets import Dataset
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    RLOOConfig,
    RLOOTrainer,
    SFTConfig,
    SFTTrainer,
)

pytestmark = pytest.mark.works_with("trl")
STEPS = {"max_steps": 2, "per_device_train_batch_size": 2, "report_to": "none", "bf16": False, "learning_rate": 0.1}
HEADS = pytest.mark.parametrize(
    "fields", [{}, {"tie_word_embeddings": False}, {"bidirectional": True, "independent_directions": True}], ids=str
)
PROMPTS = [{"prompt": "the film was"}] * 8
PREFERENCES = [{"prompt": "the film was", "chosen": " good and long", "rejected": " bad"}] * 8


def settings(cls, tmp_path, **more):
    return cls(output_dir=str(tmp_path), **STEPS, **more)


def moved(trainer, model) -> None:
    """Train a model, and assert that its recurrent weights change and that no loss is NaN."""
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    trainer.train()
    losses = [entry["train_loss"] for entry in trainer.state.log_history if "train_loss" in entry]
    assert losses
    assert all(loss == loss for loss in losses)
    assert not torch.equal(before["model.recurrence.weight_hh_l0"], model.model.recurrence.weight_hh_l0)


@HEADS
def test_sft(make, tokenizer, reviews, tmp_path, fields):
    """SFTTrainer on a column of texts"""
    model = make(RNNForCausalLM, **fields)
    rows = Dataset.from_dict({"text": reviews["text"]})
    moved(SFTTrainer(model, settings(SFTConfig, tmp_path), train_dataset=rows, processing_class=tokenizer), model)


@HEADS
def test_the_loss_of_sft_is_that_of_the_model(make, tokenizer, reviews, tmp_path, fields):
    """SFTTrainer's loss, equal to the model's own"""
    model = make(RNNForCausalLM, **fields)
    rows = Dataset.from_dict({"text": reviews["text"][:4]})
    trainer = SFTTrainer(model, settings(SFTConfig, tmp_path), train_dataset=rows, processing_class=tokenizer)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    model.eval()
    found = trainer.compute_loss(model, dict(batch))
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"][:, 1:].flatten())
    torch.testing.assert_close(found, expected)


def test_packing(make, tokenizer, reviews, tmp_path):
    """SFTTrainer(packing=True): refused, with the line to write"""
    model = make(RNNForCausalLM)
    rows = Dataset.from_dict({"text": reviews["text"]})
    arguments = settings(SFTConfig, tmp_path, packing=True, max_length=64, padding_free=True)
    trainer = SFTTrainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
    with pytest.raises(ValueError, match="packing=False"):
        trainer.train()


@HEADS
def test_dpo(make, tokenizer, tmp_path, fields):
    """DPOTrainer on preferences"""
    model, rows = make(RNNForCausalLM, **fields), Dataset.from_list(PREFERENCES)
    trainer = DPOTrainer(
        model,
        args=settings(DPOConfig, tmp_path),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    moved(trainer, model)


def test_kto(make, tokenizer, tmp_path):
    """KTOTrainer on answers that are wanted or not"""
    rows = [{"prompt": "the film was", "completion": end, "label": end == " good"} for end in (" good", " bad")] * 4
    model = make(RNNForCausalLM)
    trainer = KTOTrainer(
        model, args=settings(KTOConfig, tmp_path), train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    moved(trainer, model)


def test_reward(make, tokenizer, tmp_path):
    """RewardTrainer on preferences, a classifier with one label"""
    model = make(RNNForSequenceClassification, num_labels=1)
    rows = [{"chosen": "the film was good and long", "rejected": "the film was bad"}] * 8
    trainer = RewardTrainer(
        model, args=settings(RewardConfig, tmp_path), train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    moved(trainer, model)


def lengths(completions, **_) -> list[float]:
    return [float(len(completion)) for completion in completions]


@HEADS
@pytest.mark.parametrize(("trainer_class", "config"), [(GRPOTrainer, GRPOConfig), (RLOOTrainer, RLOOConfig)])
def test_rewards_of_a_function(make, tokenizer, tmp_path, trainer_class, config, fields):
    """GRPOTrainer and RLOOTrainer, rewarded by a function"""
    model = make(RNNForCausalLM, **fields)
    arguments = settings(config, tmp_path, num_generations=2, max_completion_length=5, beta=0.1)
    trainer = trainer_class(
        model,
        reward_funcs=lengths,
        args=arguments,
        train_dataset=Dataset.from_list(PROMPTS),
        processing_class=tokenizer,
    )
    moved(trainer, model)
