"""Tests that models accept the arguments that programs pass to any model, and refuse unsupported ones."""

import copy

import pytest
import torch

from hf_rnn import (
    RNNConfig,
    RNNForCausalLM,
    RNNForConditionalGeneration,
    RNNForSequenceClassification,
    RNNForTokenClassification,
    RNNModel,
)
from hf_rnn.models.forward_arguments import is_packed

HEADS = [
    RNNModel,
    RNNForSequenceClassification,
    RNNForTokenClassification,
    RNNForCausalLM,
    RNNForConditionalGeneration,
]
IDS = torch.randint(4, 20, (2, 6), generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
each_head = pytest.mark.parametrize("head", HEADS)


def ask(head, **arguments):
    torch.manual_seed(0)
    config = RNNConfig(vocab_size=20, embedding_size=4, hidden_size=6, bos_token_id=2, eos_token_id=3)
    model = head(config).eval()
    if head is RNNForConditionalGeneration:
        arguments["labels"] = IDS
    return model(IDS, attention_mask=MASK, **arguments)


@each_head
@pytest.mark.parametrize(
    "arguments",
    [
        {"use_cache": True},
        {"use_cache": False},
        {"output_attentions": False},
        {"return_dict": True},
        {"position_ids": (MASK.cumsum(1) - 1).masked_fill(MASK == 0, 1)},
        {"position_ids": torch.arange(6)[None]},
        {"cache_position": torch.arange(6)},
        {"token_type_ids": torch.zeros_like(IDS)},
        {"tokenizer": None, "assistant_tokenizer": object()},
        {"num_items_in_batch": torch.tensor(3)},
        {"encoder_hidden_states": None, "encoder_attention_mask": None, "decoder_head_mask": None, "lables": None},
        {"token_type_ids": 1 - MASK},
        {"position_ids": torch.arange(6).expand(3, 2, 6)},
        {"head_mask": None, "past_key_values": None, "cache_params": None, "output_router_logits": False},
    ],
    ids=lambda arguments: "-".join(arguments),
)
def test_what_has_no_meaning_changes_nothing(head, arguments):
    found, plain = ask(head, **arguments), ask(head)
    assert torch.equal(found[0], plain[0])


@each_head
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"position_ids": torch.tensor([[0, 1, 2, 0, 1, 2]])}, ValueError, "packing=False"),
        ({"position_ids": torch.tensor([[0, 1, 0, 1, 2, 3], [0, 1, 2, 3, 4, 0]])}, ValueError, "several texts"),
        ({"cu_seq_lens_q": torch.tensor([0, 3, 6])}, ValueError, "cu_seq_lens_q says that a row holds several"),
        ({"seq_idx": torch.zeros(1, 6)}, ValueError, "seq_idx"),
        ({"token_type_ids": MASK}, ValueError, "return_token_type_ids=False"),
        ({"cache_params": object()}, ValueError, "cache_params is of the type object"),
        ({"position_ids": torch.tensor([0, 1, 2, 0, 1, 2]).expand(3, 2, 6)}, ValueError, "several texts"),
        ({"encoder_hidden_states": torch.zeros(2, 3, 4)}, ValueError, "encoder_hidden_states were given"),
        ({"lables": IDS}, TypeError, "lables"),
        ({"attention_masks": IDS}, TypeError, "attention_masks"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_would_be_read_wrongly_is_refused(head, arguments, error, words):
    with pytest.raises(error, match=words):
        ask(head, **arguments)


@pytest.mark.parametrize("head", HEADS[:-1])
def test_logits_to_keep(head):
    assert ask(head, logits_to_keep=1)[0] is not None


@each_head
def test_a_mask_that_numbers_texts_is_refused(head):
    torch.manual_seed(0)
    model = head(RNNConfig(vocab_size=20, embedding_size=4, hidden_size=6, bos_token_id=2, eos_token_id=3))
    labels = {"labels": IDS} if head is RNNForConditionalGeneration else {}
    with pytest.raises(ValueError, match=r"\[0, 1, 2\], which number several texts"):
        model(IDS, attention_mask=MASK.cumsum(1).clamp(max=2), **labels)
    # Any nonzero value of the mask marks a token.
    model(IDS, attention_mask=255 * MASK, **labels)


@pytest.mark.parametrize("fields", [{}, {"bidirectional": True, "independent_directions": True}], ids=str)
def test_a_backbone_stands_for_the_model(fields):
    model = RNNForCausalLM(RNNConfig(vocab_size=20, embedding_size=4, hidden_size=6, **fields)).eval()
    backbone = copy.deepcopy(model.base_model)
    for read in (model.base_model, model.base_model.forward, model.base_model.get_decoder(), backbone):
        torch.testing.assert_close(model.lm_head(read(IDS).last_hidden_state), model(IDS).logits)
    model.base_model.flag = True
    assert model.model.flag
    assert model.base_model.config is model.config


@each_head
def test_keys_and_values_of_attention_are_refused(head):
    from transformers import DynamicCache

    with pytest.raises(ValueError, match="past_key_values is of the type DynamicCache"):
        ask(head, past_key_values=DynamicCache())


@each_head
def test_tuples(head):
    found, named = ask(head, return_dict=False), ask(head)
    assert isinstance(found, tuple)
    assert [type(part) for part in found] == [type(part) for part in named.to_tuple()]


@pytest.mark.parametrize(
    ("positions", "mask", "packed"),
    [
        (None, None, False),
        ([[7]], None, False),
        ([[3, 4, 5]], None, False),
        ([0, 1, 2], None, False),
        ([[0, 1, 0]], None, True),
        ([[0, 0, 0]], None, True),
        ([[0, 1, 0]], [[1, 1, 0]], False),
        ([[1, 1, 0]], [[0, 0, 1]], False),
        ([[1, 0, 1]], [[0, 1, 1]], False),
        ([[0, 5, 0]], [[1, 0, 1]], True),
        ([[4, 5, 6]], [[1, 1, 1, 1, 1, 1, 1]], False),
    ],
)
def test_positions_that_begin_anew(positions, mask, packed):
    as_tensor = {name: None if v is None else torch.tensor(v) for name, v in {"p": positions, "m": mask}.items()}
    assert is_packed(as_tensor["p"], as_tensor["m"]) == packed


def test_a_column_of_a_batch_is_read_from_the_signature():
    """Check the signature of `forward`, in which the Trainer looks up the columns to keep and the labels."""
    from transformers.utils.generic import find_labels

    assert find_labels(RNNForSequenceClassification) == ["labels"]
    assert find_labels(RNNForCausalLM) == ["labels"]


@each_head
def test_a_text_without_rows_is_told_how_to_be_one(head):
    model = head(RNNConfig(vocab_size=20, embedding_size=4, hidden_size=6, bos_token_id=2, eos_token_id=3))
    with pytest.raises(ValueError, match=r"input_ids have the shape \(6,\), expected \[B, T\]"):
        model(IDS[0])


@pytest.mark.parametrize("head", [RNNForCausalLM, RNNForConditionalGeneration])
def test_labels_outside_the_vocabulary_are_named(head):
    model = head(RNNConfig(vocab_size=20, embedding_size=4, hidden_size=6, bos_token_id=2, eos_token_id=3))
    more = {"decoder_input_ids": IDS} if head is RNNForConditionalGeneration else {}
    with pytest.raises(ValueError, match=r"labels \[70\] are outside the vocabulary"):
        model(IDS, labels=IDS.clone().fill_(70), **more)
