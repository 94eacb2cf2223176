"""Tests of PEFT adapters on each of our models, for each task type."""

import pytest
import torch

from hf_rnn import (
    RNNForCausalLM,
    RNNForConditionalGeneration,
    RNNForSequenceClassification,
    RNNForTokenClassification,
    RNNModel,
)

pytest.importorskip("peft", reason="peft is not installed: pip install 'hf-rnn[clients]'")
from peft import (
    AutoPeftModelForSequenceClassification,
    LoraConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    TrainableTokensConfig,
    get_peft_model,
)

pytestmark = pytest.mark.works_with("peft")
IDS = torch.randint(4, 60, (2, 9), generator=torch.Generator().manual_seed(0))
# Model class and labels for each task type of PEFT.
TASKS = {
    "SEQ_CLS": (RNNForSequenceClassification, torch.tensor([0, 1])),
    "TOKEN_CLS": (RNNForTokenClassification, IDS % 2),
    "CAUSAL_LM": (RNNForCausalLM, IDS),
    "SEQ_2_SEQ_LM": (RNNForConditionalGeneration, IDS),
    "FEATURE_EXTRACTION": (RNNModel, None),
}
EACH = pytest.mark.parametrize("task", TASKS)
PROMPT = {"num_virtual_tokens": 3, "token_dim": 12, "num_layers": 1, "num_attention_heads": 1}


def learns(model, labels):
    """Assert that a training step gives each trainable weight a gradient and changes the outputs of the model."""
    text = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    if labels is not None:
        text["labels"] = labels
    before = model.eval()(**text)
    model.train()
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=1.0)
    outputs = model(**text)
    (outputs[0].square().mean() if labels is None else outputs.loss).backward()
    still = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    assert not still
    optimizer.step()
    after = model.eval()(**text)
    which = 0 if labels is None else "logits"
    assert not torch.equal(before[which], after[which])
    return text, after[which]


@EACH
def test_lora_on_the_embedding(make, task):
    """LoRA on embed_tokens, merged again"""
    model_class, labels = TASKS[task]
    fields = {"tie_word_embeddings": False, "share_embeddings": False}
    config = LoraConfig(task_type=task, target_modules=["embed_tokens"], init_lora_weights=False)
    model = get_peft_model(make(model_class, **fields), config)
    text, found = learns(model, labels)
    merged = model.merge_and_unload()(**text)
    torch.testing.assert_close(merged[0 if labels is None else "logits"], found)


@EACH
def test_lora_on_the_recurrence(make, task):
    """LoRA on the recurrent weights: target_parameters=["recurrence.weight_hh_l0"]"""
    model_class, labels = TASKS[task]
    config = LoraConfig(task_type=task, target_modules=[], target_parameters=["recurrence.weight_hh_l0"])
    learns(get_peft_model(make(model_class), config), labels)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_adapters_on_texts_that_are_read_in_windows(make, bidirectional):
    """LoRA on a classifier with backprop_window"""
    fields = {"backprop_window": 4, "bidirectional": bidirectional}
    config = LoraConfig(
        task_type="SEQ_CLS",
        target_modules=["embed_tokens"],
        target_parameters=["recurrence.weight_hh_l0"],
        init_lora_weights=False,
    )
    model = get_peft_model(make(RNNForSequenceClassification, **fields), config)
    text, found = learns(model, torch.tensor([0, 1]))
    torch.testing.assert_close(model.merge_and_unload()(**text).logits, found)


@pytest.mark.works_with("peft", change="TOKEN_CLS: LoraConfig(trainable_token_indices={'embed_tokens': [...]})")
@EACH
def test_new_tokens(make, task):
    """TrainableTokens: the vectors of some tokens alone"""
    model_class, labels = TASKS[task]
    tokens = IDS.unique().tolist()[:5]
    if task == "TOKEN_CLS":
        # PEFT reads the names of a head to save from the config, and TrainableTokensConfig has no such field.
        config = LoraConfig(
            task_type=task, target_modules=["out_proj"], trainable_token_indices={"embed_tokens": tokens}
        )
    else:
        config = TrainableTokensConfig(task_type=task, target_modules=["embed_tokens"], token_indices=tokens)
    learns(get_peft_model(make(model_class), config), labels)


@pytest.mark.works_with("peft", change="the sizes: token_dim=embedding_size, num_layers=1, num_attention_heads=1")
@pytest.mark.parametrize("config_class", [PromptTuningConfig, PromptEncoderConfig])
@pytest.mark.parametrize("task", [task for task in TASKS if task != "TOKEN_CLS"])
def test_prompts(make, task, config_class):
    """Prompt tuning and p-tuning"""
    model_class, labels = TASKS[task]
    learns(get_peft_model(make(model_class), config_class(task_type=task, **PROMPT)), labels)


@pytest.mark.works_with("peft", change="there is no attention whose keys a prefix could be; take LoRA")
@pytest.mark.parametrize("task", ["CAUSAL_LM", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION"])
def test_prefix_tuning(make, task):
    """Prefix tuning: refused, with the methods to take instead"""
    model_class, labels = TASKS[task]
    model = get_peft_model(make(model_class), PrefixTuningConfig(task_type=task, **PROMPT))
    with pytest.raises(ValueError, match="LoRA or prompt tuning"):
        model(input_ids=IDS, labels=labels) if labels is not None else model(input_ids=IDS)


def test_an_adapted_decoder_with_input_feeding(make):
    """LoRA on the decoder's recurrence with input_feeding=True: refused, with the line to write"""
    config = LoraConfig(task_type="SEQ_2_SEQ_LM", target_modules=[], target_parameters=["recurrence.weight_hh_l0"])
    model = get_peft_model(make(RNNForConditionalGeneration, input_feeding=True), config)
    with pytest.raises(ValueError, match=r"model\.recurrence\.weight_hh_l0"):
        model(input_ids=IDS, labels=IDS)


def test_saved_adapters(make, tmp_path):
    """save_pretrained and AutoPeftModel.from_pretrained"""
    config = LoraConfig(task_type="SEQ_CLS", target_modules=["embed_tokens"])
    model = get_peft_model(make(RNNForSequenceClassification), config)
    _, found = learns(model, torch.tensor([0, 1]))
    model.save_pretrained(tmp_path / "adapter")
    again = AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "adapter").eval()
    torch.testing.assert_close(again(input_ids=IDS).logits, found)
