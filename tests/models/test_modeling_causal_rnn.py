"""Tests of the language model: its predictions do not depend on windows, and it generates text."""

import pytest
import torch
import torch.nn.functional as F
from support.machine import needs_bf16
from transformers import AutoModelForCausalLM, TextStreamer, Trainer, TrainingArguments

from hf_rnn import RNNConfig, RNNForCausalLM, RNNForSequenceClassification
from hf_rnn.models.cells import CELLS
from hf_rnn.models.sampled_softmax import sampled_softmax_loss
from hf_rnn.training.bptt_trainer import TruncatedBPTT
from hf_rnn.utils.errors import UserError

V = 31


def make(**fields) -> RNNForCausalLM:
    torch.manual_seed(0)
    config = {
        "vocab_size": V,
        "embedding_size": 6,
        "hidden_size": 5,
        "num_hidden_layers": 2,
        "initializer_range": 1.0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        **fields,
    }
    return RNNForCausalLM(RNNConfig(**config)).eval()


@pytest.fixture
def ids():
    return torch.randint(4, V, (3, 12), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cell_type", CELLS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_text_in_pieces_gives_what_the_whole_gives(cell_type, dtype, tolerance, ids):
    model = make(cell_type=cell_type, initializer_range=0.3).to(dtype)
    with torch.no_grad():
        whole = model(ids)
        for pieces in ([5, 4, 3], [1] * 12):
            state, logits = None, []
            for piece in ids.split(pieces, dim=1):
                out = model(piece, past_key_values=state)
                state = out.past_key_values
                logits.append(out.logits)
            torch.testing.assert_close(torch.cat(logits, 1), whole.logits, rtol=0, atol=tolerance)
            for part, expected in zip(state.state, whole.past_key_values.state, strict=True):
                torch.testing.assert_close(part, expected, rtol=0, atol=tolerance)
            assert state.get_seq_length() == 12


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True}, {"num_beams": 2, "do_sample": True}])
def test_generation_with_the_state_is_that_without_it(options, ids):
    model = make()
    found = []
    for use_cache in (True, False):
        torch.manual_seed(3)
        found.append(model.generate(ids, max_new_tokens=9, use_cache=use_cache, pad_token_id=0, **options))
    assert torch.equal(*found)
    assert found[0].shape[1] > 12


def test_with_the_state_each_step_reads_one_token(ids, monkeypatch):
    model = make()
    widths = []
    forward = model.model.forward
    monkeypatch.setattr(
        model.model,
        "forward",
        lambda input_ids, **others: (widths.append(input_ids.shape[1]), forward(input_ids, **others))[1],
    )
    model.generate(ids, max_new_tokens=4, min_new_tokens=4)
    assert widths == [12, 1, 1, 1]


def test_left_padding_changes_nothing(ids):
    model = make()
    lengths = [12, 7, 1]
    padded = torch.zeros_like(ids)
    for row, (text, n) in zip(padded, zip(ids, lengths, strict=True), strict=True):
        row[12 - n :] = text[:n]
    mask = (torch.arange(12) >= 12 - torch.tensor(lengths)[:, None]).long()
    together = model.generate(padded, attention_mask=mask, max_new_tokens=6, min_new_tokens=6)
    for row, text, n in zip(together, ids, lengths, strict=True):
        alone = model.generate(text[None, :n], max_new_tokens=6, min_new_tokens=6)
        assert row[12:].tolist() == alone[0, n:].tolist()


def test_generation_goes_on_from_a_state(ids):
    model = make()
    read = model(ids[:, :8])
    going_on = model.generate(ids, past_key_values=read.past_key_values, max_new_tokens=5)
    assert torch.equal(going_on, model.generate(ids, max_new_tokens=5))


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_generation_from_embeddings(ids, use_cache, num_beams):
    model = make()
    options = {"max_new_tokens": 5, "use_cache": use_cache, "num_beams": num_beams}
    expected = model.generate(ids, **options)
    embedded = model.model.embed_tokens(ids)
    assert torch.equal(model.generate(inputs_embeds=embedded, **options), expected[:, 12:])
    # With both, the model reads the embeddings and puts the ids before the new tokens, as transformers does.
    assert torch.equal(model.generate(ids, inputs_embeds=embedded, **options), expected)


def test_a_state_that_has_read_the_whole_prompt_is_refused(ids):
    model = make()
    state = model(ids).past_key_values
    with pytest.raises(ValueError, match="has read 12 tokens, and the prompt has 12"):
        model.generate(ids, past_key_values=state, max_new_tokens=5)


def test_several_answers_to_one_prompt(ids):
    out = make().generate(ids, do_sample=True, num_return_sequences=4, max_new_tokens=5)
    assert out.shape[0] == 12
    assert len({tuple(row.tolist()) for row in out[:4]}) > 1


def test_streaming(ids):
    class Tokenizer:
        def decode(self, tokens, **kwargs):
            return "".join(f"{int(token)} " for token in tokens)

    heard = []

    class Streamer(TextStreamer):
        def on_finalized_text(self, text, stream_end=False):
            heard.append(text)

    out = make().generate(ids[:1], max_new_tokens=5, streamer=Streamer(Tokenizer()))
    assert "".join(heard).split() == [str(token) for token in out[0].tolist()]


@pytest.mark.parametrize("side", ["right", "left"])
def test_loss_is_the_mean_over_the_next_tokens_of_all_rows(side, ids):
    model = make()
    lengths = torch.tensor([12, 7, 1])
    places = torch.arange(12) if side == "right" else torch.arange(11, -1, -1)
    mask = (places < lengths[:, None]).long()
    loss = model(ids, attention_mask=mask, labels=ids).loss
    nats, count = 0.0, 0
    for row, keep in zip(ids, mask.bool(), strict=True):
        text = row[keep]
        logits = model(text[None]).logits[0]
        nats += F.cross_entropy(logits[:-1], text[1:], reduction="sum") if len(text) > 1 else 0.0
        count += len(text) - 1
    torch.testing.assert_close(loss, nats / count)
    shifted = F.pad(ids[:, 1:], (0, 1), value=-100).masked_fill(~mask.bool(), -100)
    if side == "right":
        shifted[torch.arange(3), lengths - 1] = -100
        torch.testing.assert_close(model(ids, attention_mask=mask, shift_labels=shifted).loss, loss)


def test_a_text_of_nothing_to_tell_has_no_loss():
    assert make()(torch.tensor([[5]]), labels=torch.tensor([[5]])).loss == 0


@pytest.mark.parametrize("hidden_size", [6, 5])
def test_the_output_layer_is_the_embedding(hidden_size, tmp_path, ids):
    model = make(hidden_size=hidden_size)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits)
    loaded.resize_token_embeddings(V + 4)
    assert loaded(ids).logits.shape[-1] == V + 4


def test_the_output_layer_of_its_own():
    model = make(tie_word_embeddings=False)
    assert model.lm_head.weight.shape == (V, 5)


def test_two_directions_that_see_each_other_are_refused():
    with pytest.raises(ValueError, match="independent_directions=True"):
        make(bidirectional=True)


def test_independent_directions_do_not_see_what_they_tell(ids):
    model = make(bidirectional=True, independent_directions=True)
    changed = ids.clone()
    changed[:, 6:] = 4 + (changed[:, 6:] - 3) % (V - 4)
    before, after = model(ids).logits, model(changed).logits
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6:], after[:, 6:])


def apart(model: RNNForCausalLM) -> tuple[RNNForCausalLM, RNNForCausalLM]:
    """Split a model into two unidirectional models, one for each direction."""
    forward, backward = make(bidirectional=False), make(bidirectional=False)
    forward.load_state_dict(model.state_dict(), strict=False)
    state = {
        k.replace("backward_recurrence", "recurrence"): v
        for k, v in model.state_dict().items()
        if ".recurrence" not in k
    }
    backward.load_state_dict(state)
    return forward, backward


def test_both_directions_are_trained(ids):
    model = make(bidirectional=True, independent_directions=True)
    forward, backward = apart(model)
    loss = model(ids, labels=ids).loss
    expected = (forward(ids, labels=ids).loss + backward(ids.flip(1), labels=ids.flip(1)).loss) / 2
    torch.testing.assert_close(loss, expected)
    windows = model(
        ids[:, :-1],
        shift_labels=ids[:, 1:],
        reversed_input_ids=ids.flip(1)[:, :-1],
        reversed_shift_labels=ids.flip(1)[:, 1:],
    )
    torch.testing.assert_close(windows.loss, expected)
    model.train()(ids, labels=ids).loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_a_text_after_another_is_read_from_its_own_end(ids):
    model = make(bidirectional=True, independent_directions=True)
    before = model(ids, reversed_input_ids=ids).past_key_values
    forward, backward = apart(model)
    expected = forward(ids, labels=ids, past_key_values=forward(ids).past_key_values).loss
    expected = (expected + backward(ids.flip(1), labels=ids.flip(1)).loss) / 2
    torch.testing.assert_close(model(ids, labels=ids, past_key_values=before).loss, expected)


@pytest.mark.parametrize("cell_type", ["lstm", "gru", "rnn_tanh"])
@needs_bf16
def test_a_state_of_fewer_bits_is_gone_on_from(cell_type, ids):
    model = make(cell_type=cell_type)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            state = model(ids[:, :6]).past_key_values
        logits = model(ids[:, 6:], past_key_values=state).logits
        torch.testing.assert_close(logits, model(ids).logits[:, 6:], atol=0.05, rtol=0.05)


def test_arguments_of_other_names_are_refused(ids):
    with pytest.raises(TypeError, match="unexpected keyword argument 'shifted_labels'"):
        make()(ids, shifted_labels=ids)


def test_a_plain_trainer_measures_the_loss(tmp_path, ids):
    rows = [{"input_ids": row, "labels": row} for row in ids]
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", disable_tqdm=True)
    model = make()
    measured = Trainer(model, args, eval_dataset=rows).evaluate()["eval_loss"]
    assert measured == pytest.approx(model(ids, labels=ids).loss.item(), abs=1e-5)


@pytest.mark.parametrize("kind", [RNNForCausalLM, RNNForSequenceClassification])
def test_what_from_pretrained_changes_is_checked(kind, tmp_path):
    make(bidirectional=True, independent_directions=True).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="independent_directions=True needs two directions"):
        kind.from_pretrained(tmp_path, bidirectional=False)
    one = kind.from_pretrained(tmp_path, bidirectional=False, independent_directions=False)
    assert not any("backward" in name for name, _ in one.named_parameters())


def test_both_directions_in_pieces(ids):
    model = make(bidirectional=True, independent_directions=True).double()

    def read(start, end, state):
        back = ids.flip(1)[:, start:end]
        return model(ids[:, start:end], reversed_input_ids=back, past_key_values=state).past_key_values

    whole, pieces = read(0, 12, None), read(5, 12, read(0, 5, None))
    assert whole.state[0].shape == (3, 2, 10)
    for part, expected in zip(pieces.state, whole.state, strict=True):
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-12)


def test_a_classifier_takes_the_encoder(tmp_path, ids):
    model = make(bidirectional=True, independent_directions=True)
    model.save_pretrained(tmp_path)
    classifier, info = RNNForSequenceClassification.from_pretrained(tmp_path, num_labels=3, output_loading_info=True)
    assert all(name.startswith(("classifier", "pooling")) for name in info["missing_keys"])
    for (name, ours), theirs in zip(classifier.model.named_parameters(), model.model.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert classifier(ids).logits.shape == (3, 3)


def test_sampling_the_softmax_tends_to_the_whole():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(40, 6), torch.randn(V, 6), torch.randn(V)
    targets = torch.randint(0, V, (40,))
    whole = F.cross_entropy(x @ weight.T + bias, targets, reduction="sum")
    torch.testing.assert_close(sampled_softmax_loss(x, targets, weight, bias, 20000), whole, rtol=1e-4, atol=0)
    # The logarithm of a sampled sum is too low on average. The bias shrinks with more samples.
    means = [sum(sampled_softmax_loss(x, targets, weight, bias, n) for _ in range(100)) / 100 for n in (20, 60, 300)]
    assert means[0] < means[1] < means[2] < 1.01 * whole
    assert means[2] > 0.95 * whole


def test_the_sampled_loss_is_for_training_alone(ids):
    model = make(sampled_softmax=10)
    exact = make()
    torch.testing.assert_close(model(ids, labels=ids).loss, exact(ids, labels=ids).loss)
    out = model.train()(ids, labels=ids)
    assert out.logits is None
    out.loss.backward()


def test_activation_regularisation(ids):
    plain, both = make(), make(activation_regularization=2.0, temporal_activation_regularization=3.0)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    h = plain.model(ids, attention_mask=mask).last_hidden_state
    rows = [h[0], h[1, :7], h[2]]
    ar = torch.cat(rows).pow(2).mean()
    tar = torch.cat([row[1:] - row[:-1] for row in rows]).pow(2).mean()
    added = (
        both.train()(ids, attention_mask=mask, labels=ids).loss
        - plain.train()(ids, attention_mask=mask, labels=ids).loss
    )
    torch.testing.assert_close(added, 2 * ar + 3 * tar)
    torch.testing.assert_close(both.eval()(ids, labels=ids).loss, plain.eval()(ids, labels=ids).loss)


def test_a_state_of_another_batch_or_model_is_refused(ids):
    model = make()
    state = model(ids).past_key_values
    with pytest.raises(ValueError, match="its own rows"):
        model(ids[:2], past_key_values=state)
    with pytest.raises(ValueError, match="initial_state"):
        make(hidden_size=7)(ids, past_key_values=state)


def test_labels_of_another_shape_are_refused(ids):
    with pytest.raises(ValueError, match=r"labels=input_ids"):
        make()(ids, labels=ids[:, 1:])


def test_the_mask_of_all_that_was_read_goes_with_a_state():
    model = make()
    ids = torch.randint(4, V, (2, 7))
    ids[0, :2] = 0
    mask = (ids != 0).long()
    whole = model(ids, attention_mask=mask).logits
    state = model(ids[:, :4], attention_mask=mask[:, :4]).past_key_values
    torch.testing.assert_close(model(ids[:, 4:], past_key_values=state, attention_mask=mask).logits, whole[:, 4:])
    with pytest.raises(ValueError, match="inputs_embeds"):
        model(past_key_values=state, attention_mask=mask)


def test_a_plain_trainer_smooths_the_labels_one_token_further_on(tmp_path):
    model = make()
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(4, V, (4, 6))]
    args = TrainingArguments(str(tmp_path), use_cpu=True, label_smoothing_factor=0.1, report_to="none")
    trainer = Trainer(model, args, train_dataset=rows)
    ids = torch.stack([row["input_ids"] for row in rows])
    with torch.no_grad():
        loss = trainer.compute_loss(model.eval(), {"input_ids": ids, "labels": ids})
        logits = model(ids).logits[:, :-1].flatten(0, 1)
    torch.testing.assert_close(loss, F.cross_entropy(logits, ids[:, 1:].flatten(), label_smoothing=0.1))


def test_rows_of_a_state_are_chosen_repeated_and_looked_into():
    state = make()(torch.randint(4, V, (3, 5))).past_key_values
    before = [part.clone() for part in state.state]
    state.batch_select_indices(torch.tensor([2, 0]))
    state.batch_repeat_interleave(2)
    for part, was in zip(state.state, before, strict=True):
        assert torch.equal(part, was[[2, 2, 0, 0]])
    same = torch.utils._pytree.tree_map(lambda part: part + 1, state)
    assert same.get_seq_length() == 5
    assert torch.equal(same.state[0], state.state[0] + 1)


def test_a_trainer_of_streams_refuses_labels_that_it_would_not_smooth(tmp_path):
    class StreamTrainer(TruncatedBPTT, Trainer):
        pass

    args = TrainingArguments(str(tmp_path), use_cpu=True, label_smoothing_factor=0.1, report_to="none")
    with pytest.raises(UserError, match=r"label_smoothing_factor=0\.1 would not be used"):
        StreamTrainer(make(), args)
