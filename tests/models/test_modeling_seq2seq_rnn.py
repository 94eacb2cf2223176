"""Tests of the translator: generation with a state equals the equations without one, and rows are independent."""

import pytest
import torch
import torch.nn.functional as F
from support.double_translator import BOS, EOS, KINDS, V, make
from transformers import (
    AutoModelForSeq2SeqLM,
    DataCollatorForSeq2Seq,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainingArguments,
)
from transformers.modeling_outputs import BaseModelOutput

import hf_rnn
from hf_rnn import RNNConfig, RNNForConditionalGeneration
from hf_rnn.reference import naive_decoder


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, V, (3, 6), generator=generator)
    mask = torch.tensor([[1] * 6, [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 1]])
    labels = torch.randint(3, V, (3, 5), generator=generator)
    labels[1, 3:] = -100
    return ids, mask, labels


def naive_logits(model, ids, mask, written) -> torch.Tensor:
    """Return the logits [B, V] of the next token, computed step by step from the beginning of the text."""
    with torch.no_grad():
        read = model.model(ids, mask)
        memory = model.decoder.attention.memory(read.last_hidden_state, mask.bool())
        state = model.decoder.begin(read.final_hidden_state, read.final_cell_state, memory)
        embedding = model.decoder_embed_tokens or model.model.embed_tokens
        x = embedding(written)
        everywhere = torch.ones(written.shape)
        attended, *_ = naive_decoder(model.decoder, x, read.last_hidden_state, mask, state, everywhere)
        return model.lm_head(attended[:, -1])


def naive_beam_search(model, ids, mask, beams: int, steps: int) -> list[int]:
    """Return the tokens of the best beam, finished or not, by the mean log-probability of its tokens."""
    open_, ended = [(0.0, [BOS])], []
    for _ in range(steps):
        rows = torch.tensor([tokens for _, tokens in open_])
        n = len(rows)
        log_p = naive_logits(model, ids.expand(n, -1), mask.expand(n, -1), rows).log_softmax(-1)
        grown = [
            (score + float(log_p[row, token]), [*tokens, token])
            for row, (score, tokens) in enumerate(open_)
            for token in range(V)
        ]
        grown = sorted(grown, key=lambda pair: -pair[0])[: 2 * beams]
        ended += [pair for pair in grown[:beams] if pair[1][-1] == EOS]
        open_ = [pair for pair in grown if pair[1][-1] != EOS][:beams]
    return max([*ended, *open_], key=lambda pair: pair[0] / (len(pair[1]) - 1))[1]


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_with_the_state_writes_what_the_equations_write_without(kind, batch):
    model = make(**KINDS[kind])
    ids, mask, _ = batch
    written = torch.full((3, 1), BOS)
    for _ in range(6):
        written = torch.cat([written, naive_logits(model, ids, mask, written).argmax(-1, keepdim=True)], dim=1)
    found = model.generate(ids, attention_mask=mask, max_new_tokens=6)
    for ours, naive in zip(found.tolist(), written.tolist(), strict=True):
        end = naive.index(EOS) + 1 if EOS in naive else len(naive)
        assert ours[:end] == naive[:end]
        assert set(ours[end:]) <= {0}


@pytest.mark.parametrize("kind", KINDS)
def test_beams_with_the_state_write_what_the_equations_write_without(kind, batch):
    model = make(**KINDS[kind])
    ids, mask, _ = batch
    found = model.generate(ids, attention_mask=mask, max_new_tokens=5, num_beams=3, early_stopping="never")
    for row, ours in enumerate(found.tolist()):
        naive = naive_beam_search(model, ids[row : row + 1], mask[row : row + 1], 3, 5)
        assert ours[: len(naive)] == naive
        # transformers pads with the end token if the padding id is 0.
        assert set(ours[len(naive) :]) <= {0, EOS}


@pytest.mark.parametrize(
    "options", [{}, {"num_beams": 3}, {"do_sample": True}, {"num_beams": 2, "length_penalty": 2.0}]
)
@pytest.mark.parametrize("kind", KINDS)
def test_generation_with_the_state_is_that_without_it(options, kind, batch):
    model = make(**KINDS[kind])
    found = []
    for use_cache in (True, False):
        torch.manual_seed(3)
        found.append(
            model.generate(batch[0], attention_mask=batch[1], max_new_tokens=7, use_cache=use_cache, **options)
        )
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_gets_the_loss_that_it_gets_alone(kind, batch):
    model = make(**KINDS[kind])
    ids, mask, labels = batch
    together = model(ids, mask, labels=labels)
    nats = known = 0
    for row in range(3):
        kept, said = mask[row].bool(), labels[row] != -100
        alone = model(ids[row : row + 1, kept], labels=labels[row : row + 1, said])
        torch.testing.assert_close(together.logits[row, said], alone.logits[0])
        nats, known = nats + alone.loss * said.sum(), known + said.sum()
    torch.testing.assert_close(together.loss, nats / known)


def test_the_decoder_reads_padding_of_a_prompt_nowhere(batch):
    ids, mask, _ = batch
    prompt, pads = (
        torch.tensor([[BOS, 5, 6], [0, BOS, 7], [0, 0, BOS]]),
        torch.tensor([[1, 1, 1], [0, 1, 1], [0, 0, 1]]),
    )
    for kind in ("plain", "all"):
        model = make(**KINDS[kind])
        found = model.generate(
            ids, attention_mask=mask, decoder_input_ids=prompt, decoder_attention_mask=pads, max_new_tokens=4
        )
        for row in range(3):
            alone = model.generate(
                ids[row : row + 1],
                attention_mask=mask[row : row + 1],
                decoder_input_ids=prompt[row : row + 1, pads[row].bool()],
                max_new_tokens=4,
            )[0, pads[row].sum() :].tolist()
            assert found[row, 3:].tolist()[: len(alone)] == alone


def test_attention_is_returned_while_it_writes(batch):
    model = make()
    ids, mask, labels = batch
    (weights,) = model(ids, mask, labels=labels, output_attentions=True).cross_attentions
    assert weights.shape == (3, 1, 5, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 1, 5, dtype=torch.double))
    assert (weights[:, 0].masked_select(~mask.bool().unsqueeze(1)) == 0).all()
    written = model.generate(
        ids, attention_mask=mask, max_new_tokens=3, output_attentions=True, return_dict_in_generate=True
    )
    assert [step[0].shape for step in written.cross_attentions] == [(3, 1, 1, 6)] * 3


def test_smoothing_and_coverage_count_in_training_alone(batch):
    ids, mask, labels = batch
    plain, smoothed = make(), make(label_smoothing=0.2)
    assert torch.equal(plain(ids, mask, labels=labels).loss, smoothed(ids, mask, labels=labels).loss)
    out = smoothed.train()(ids, mask, labels=labels)
    expected = F.cross_entropy(out.logits.flatten(0, 1).float(), labels.flatten(), label_smoothing=0.2)
    torch.testing.assert_close(out.loss, expected)
    covering = make(coverage=3.0)
    quiet = covering(ids, mask, labels=labels, output_attentions=True)
    (weights,) = quiet.cross_attentions
    weights = weights.squeeze(1)
    before = torch.stack([weights[:, :t].sum(1) for t in range(5)], dim=1)
    twice = torch.minimum(before, weights).sum(-1)[labels != -100].mean()
    torch.testing.assert_close(covering.train()(ids, mask, labels=labels).loss, quiet.loss + 3 * twice)


def test_scheduled_sampling_lets_it_read_what_it_would_have_written(batch):
    ids, mask, labels = batch
    model = make(scheduled_sampling=0.999).train()
    read = []
    embed = model._embed
    model._embed = lambda tokens: (read.append(tokens), embed(tokens))[1]
    model(ids, mask, labels=labels)
    right, sampled = read
    written = make()(ids, mask, labels=labels).logits.argmax(-1)
    tokens = right != 0
    assert sampled[:, 0].tolist() == [BOS] * 3
    assert torch.equal(sampled[:, 1:][tokens[:, 1:]], written[:, :-1][tokens[:, 1:]])


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_writes_the_same_again(kind, batch, tmp_path):
    model = make(**KINDS[kind])
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert type(loaded) is RNNForConditionalGeneration
    torch.testing.assert_close(loaded(*batch[:2], labels=batch[2]).logits, model(*batch[:2], labels=batch[2]).logits)
    loaded.resize_token_embeddings(V + 2, mean_resizing=False)
    assert loaded(*batch[:2], labels=batch[2]).logits.shape[-1] == V + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"decoder_input_ids": torch.ones(2, 1, dtype=torch.long)},
            r"decoder_input_ids have 2 rows, .* 3: .*full\(\(3, 1",
        ),
        ({}, "the decoder has no input: pass labels"),
        ({"labels": torch.full((3, 2), V)}, rf"labels \[{V}\] are outside the vocabulary: .* or -100"),
        ({"labels": torch.ones(3, 2)}, r"the shape \(3, 2\) and the type torch.float32: pass token ids \[B, T\]"),
        ({"labels": torch.ones(3).long()}, r"the shape \(3,\) and the type torch.int64: pass token ids \[B, T\]"),
        ({"labels": torch.ones(3, 2).long(), "decoder_input_ids": torch.ones(3, 4).long()}, r"labels .* \(3, 2\)"),
        ({"decoder_input_ids": torch.full((3, 1), V)}, rf"token ids \[{V}\] are outside the vocabulary"),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "all"])
def test_wrong_arguments_are_named(arguments, message, kind, batch):
    with pytest.raises(ValueError, match=message):
        make(**KINDS[kind])(*batch[:2], **arguments)


def test_a_configuration_stays_as_it_was_and_a_loss_needs_no_state(batch):
    config = RNNConfig(vocab_size=V, embedding_size=4, hidden_size=4, bos_token_id=BOS, eos_token_id=EOS)
    model = RNNForConditionalGeneration(config)
    assert (config.is_encoder_decoder, model.config.is_encoder_decoder) == (False, True)
    assert model(*batch[:2], labels=batch[2]).past_key_values is None
    state = model(*batch[:2], decoder_input_ids=torch.full((3, 1), BOS)).past_key_values.detach()
    assert model(*batch[:2], decoder_input_ids=batch[0][:, :1], past_key_values=state).logits.isfinite().all()


def test_what_was_read_by_another_encoder_is_refused(batch):
    model, begin = make(input_feeding=True), torch.full((3, 1), BOS)
    read = model.get_encoder()(*batch[:2])
    with pytest.raises(ValueError, match=r"attention_mask has the shape \(3, 4\), and encoder_outputs .* \(3, 6\)"):
        model(attention_mask=batch[1][:, :4], encoder_outputs=read, decoder_input_ids=begin)
    with pytest.raises(ValueError, match="is a BaseModelOutput without final_hidden_state: pass"):
        model(encoder_outputs=BaseModelOutput(read.last_hidden_state), decoder_input_ids=begin)
    with pytest.raises(ValueError, match=r"\[B, T\] = \(3, 0\), without a start token: pass one"):
        model(*batch[:2], decoder_input_ids=begin[:, :0])


def test_a_state_of_other_rows_is_refused(batch):
    model = make()
    state = model(*batch[:2], decoder_input_ids=torch.full((3, 1), BOS)).past_key_values
    with pytest.raises(ValueError, match="past_key_values is the state of 3 rows, and encoder_outputs have 2"):
        model(batch[0][:2], batch[1][:2], decoder_input_ids=torch.full((2, 1), 5), past_key_values=state)


def test_what_begins_and_more_beams_than_words_are_asked_for(batch):
    with pytest.raises(
        ValueError,
        match=r"decoder_start_token_id and bos_token_id are None.* decoder_start_token_id=tokenizer.bos_token_id",
    ):
        make(bos_token_id=None)(*batch[:2], labels=batch[2])
    with pytest.raises(ValueError, match=rf"num_beams=40 must be from 1 to .* vocab_size={V}"):
        make().generate(batch[0], num_beams=40)


@pytest.mark.parametrize("kind", ["Trainer", "Seq2SeqTrainer"])
def test_transformers_own_trainers_train_it(kind, tmp_path):
    """Train a model to write three letters in reverse order."""
    words = [" ".join(letters) for letters in ("a b c", "b d a", "c c d", "d a b", "a c b", "d b c")]
    tokenizer = hf_rnn.train_tokenizer([*words, *words], "word", min_frequency=1, show_progress=False)
    rows = [
        {
            "input_ids": tokenizer(text)["input_ids"],
            "labels": [*tokenizer(" ".join(reversed(text.split())))["input_ids"], tokenizer.eos_token_id],
        }
        for text in words * 12
    ]
    config = RNNConfig(
        vocab_size=len(tokenizer), embedding_size=16, hidden_size=16, bidirectional=True, bos_token_id=2, eos_token_id=3
    )
    model = RNNForConditionalGeneration(config)
    settings = {"num_train_epochs": 20, "learning_rate": 0.02, "disable_tqdm": True, "save_strategy": "no"}
    settings |= {"dataloader_pin_memory": False, "label_smoothing_factor": 0.05}
    collate = DataCollatorForSeq2Seq(tokenizer, model)
    if kind == "Trainer":
        args = TrainingArguments(tmp_path, **settings)
        trainer = Trainer(model, args, train_dataset=rows, eval_dataset=rows[:6], data_collator=collate)
        trainer.train()
        assert trainer.evaluate()["eval_loss"] < 0.5
    else:
        args = Seq2SeqTrainingArguments(tmp_path, predict_with_generate=True, generation_num_beams=2, **settings)
        trainer = Seq2SeqTrainer(model, args, train_dataset=rows, eval_dataset=rows[:6], data_collator=collate)
        trainer.train()
        written = trainer.predict(rows[:6], max_new_tokens=4).predictions
        said = tokenizer.batch_decode(written.clip(min=0), skip_special_tokens=True)
        assert [text.strip() for text in said] == [" ".join(reversed(text.split())) for text in words]
