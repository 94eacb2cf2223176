"""Tests of the tagger: independent rows, the best sequence of tags, and the spelling of tokens."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from support.double_tagger import TAGS, C, V, Words, make
from support.machine import needs_bf16
from transformers import AutoModelForTokenClassification, Trainer, TrainingArguments

from hf_rnn import RNNForTokenClassification
from hf_rnn.models.characters import LONGEST
from hf_rnn.models.crf import bio_transitions
from hf_rnn.text.bio import begun


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, V, (4, 7), generator=generator)
    mask = torch.tensor([[1] * 7, [1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1], [0, 1, 0, 0, 1, 0, 1]])
    # The labels follow the BIO scheme, also between the tokens that the mask keeps.
    labels = torch.tensor(
        [[0, 1, 2, 2, 3, 4, 0], [1, 2, 0, 3, 3, 3, 3], [0, 0, 3, 4, -100, 0, 0], [0, 1, 0, 0, 2, 0, 0]]
    )
    return ids, mask, labels


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("encoder", ["none", "lstm", "cnn"])
def test_each_row_gets_the_tags_and_the_loss_that_it_gets_alone(crf, encoder, batch):
    model = make(crf=crf, character_encoder=encoder)
    ids, mask, labels = batch
    together = model(ids, mask, labels=labels)
    nats = known = 0
    for row in range(len(ids)):
        kept = mask[row].bool()
        alone = model(ids[row : row + 1, kept], labels=labels[row : row + 1, kept])
        torch.testing.assert_close(together.logits[row, kept], alone.logits[0])
        count = int((labels[row, kept] != -100).sum())
        nats, known = nats + alone.loss * count, known + count
    torch.testing.assert_close(together.loss, nats / known)


def test_the_best_tag_at_each_place_gives_the_best_sequence_within_the_scheme(batch):
    model = make(crf=True)
    ids, mask, _ = batch
    found = model(ids, mask).logits.argmax(-1)
    for row in range(len(ids)):
        kept = mask[row].bool()
        model.train()
        emissions = model(ids[row : row + 1, kept]).logits
        model.eval()
        best = model.crf.decode(emissions, torch.ones(emissions.shape[:2], dtype=torch.bool))
        assert found[row, kept].tolist() == best[0].tolist()
        tags = [TAGS[i] for i in best[0]]
        for before, tag in zip(["O", *tags], tags, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:]


@needs_bf16
def test_numbers_of_few_bits_tell_the_best_sequence_of_a_long_text():
    model = make(crf=True, initializer_range=3.0)
    ids = torch.randint(1, V, (2, 150))
    best = model(ids).logits.argmax(-1)
    assert torch.equal(model.to(torch.bfloat16).float()(ids).logits.to(torch.bfloat16).argmax(-1), best)
    with torch.autocast("cpu", torch.bfloat16):
        emissions = model.train()(ids).logits
        model.eval()
        valid = torch.ones(ids.shape, dtype=torch.bool)
        assert torch.equal(model(ids).logits.argmax(-1), model.crf.decode(emissions.float(), valid))


def test_the_loss_of_a_linear_head_is_the_cross_entropy_of_the_known_tags(batch):
    model = make()
    ids, mask, labels = batch
    out = model(ids, mask, labels=labels)
    known = (labels != -100) & mask.bool()
    torch.testing.assert_close(out.loss, F.cross_entropy(out.logits[known].float(), labels[known]))
    assert model(ids, mask, labels=torch.full_like(labels, -100)).loss == 0


@pytest.mark.parametrize("encoder", ["lstm", "cnn"])
def test_tokens_that_are_spelt_alike_have_the_same_characters(encoder):
    model = make(character_encoder=encoder)
    long = "x" * LONGEST
    model.use_vocabulary(Words(["", "ab", "ab", "ba", long + "1", "xx" + long + "1", "é", "##ab"]))
    (vectors,) = model.characters(torch.arange(8).unsqueeze(0))
    assert vectors[0].abs().max() == 0
    assert torch.equal(vectors[1], vectors[2])
    # The encoder does not read the middle of a token that is longer than `LONGEST`.
    assert torch.equal(vectors[4], vectors[5])
    for a, b in ((1, 3), (1, 7), (4, 6)):
        assert not torch.allclose(vectors[a], vectors[b])


def test_tokens_of_bytes_are_spelt_by_their_letters():
    import hf_rnn

    tokenizer = hf_rnn.train_tokenizer(["предложение о предложении"] * 9, "bpe", vocab_size=400, show_progress=False)
    model = make(vocab_size=len(tokenizer), character_encoder="cnn")
    model.use_vocabulary(tokenizer)
    token = tokenizer.convert_tokens_to_ids(tokenizer.tokenize("предложение")[0])
    spelt = bytes(model.characters.spelling[token].tolist()).rstrip(b"\0").decode()
    assert spelt.startswith(" предлож")


def test_a_saved_model_knows_spelling_and_scheme_again(batch, tmp_path):
    model = make(crf=True, character_encoder="cnn")
    model.save_pretrained(tmp_path)
    loaded = AutoModelForTokenClassification.from_pretrained(tmp_path)
    for (name, one), other in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    # A head for other tags is initialized again, with the scheme of these tags.
    names = {0: "O", 1: "B-X", 2: "I-X"}
    other = RNNForTokenClassification.from_pretrained(
        tmp_path, id2label=names, label2id={name: i for i, name in names.items()}, ignore_mismatched_sizes=True
    )
    assert other.crf.allowed.tolist() == [[1, 1, 0, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 1]]
    assert torch.equal(other.characters.spelling, model.characters.spelling)


def in_order(names: list[str]) -> dict:
    """Return the label fields of a configuration; `id2label` lists the last label first."""
    ids = dict(enumerate(names))
    return {"id2label": dict(reversed(ids.items())), "label2id": {name: i for i, name in ids.items()}}


@pytest.mark.parametrize("how", ["from_pretrained", "with its report", "assigned", "load_state_dict"])
def test_the_scheme_follows_the_labels_in_whatever_order(how, batch, tmp_path):
    make(crf=True).save_pretrained(tmp_path)
    other = ["I-LOC", "O", "B-LOC", "I-PER", "B-PER"]
    if how in ("from_pretrained", "with its report"):
        model = RNNForTokenClassification.from_pretrained(
            tmp_path, **in_order(other), output_loading_info=how == "with its report"
        )
        model = model[0] if how == "with its report" else model
        assert torch.equal(model.crf.allowed.bool(), bio_transitions(other))
    else:
        model = RNNForTokenClassification.from_pretrained(tmp_path)
        model(*batch[:2])
        for name, value in in_order(other).items():
            setattr(model.config, name, value)
        if how == "load_state_dict":
            model.load_state_dict(make(crf=True).state_dict())
    model.double()
    labels = torch.tensor([[other.index(tag) for tag in ("O", "B-PER", "I-PER", "O", "B-LOC", "I-LOC", "I-LOC")]])
    assert model(batch[0][:1], labels=labels).loss < 100
    assert torch.equal(model.crf.allowed.bool(), bio_transitions(other))
    tags = [other[i] for i in model(batch[0][:1]).logits.argmax(-1)[0]]
    assert begun(tags) == tags
    # The checkpoint contains the allowed transitions, because older releases load them.
    model.save_pretrained(tmp_path / "again")
    assert torch.equal(load_file(tmp_path / "again" / "model.safetensors")["crf.allowed"], model.crf.allowed)


@pytest.mark.parametrize("training", [False, True])
def test_a_window_that_begins_inside_a_span_has_a_loss_like_others(training, batch):
    model = make(crf=True).train(training)
    ids, mask, labels = batch
    whole = model(ids[:1], mask[:1], labels=labels[:1]).loss
    window = model(ids[:1, 2:], mask[:1, 2:], labels=labels[:1, 2:]).loss
    assert window < 10 * whole + 50
    started = labels[:1, 2:].clone()
    started[0, 0] = TAGS.index("B-PER")
    torch.testing.assert_close(window, model(ids[:1, 2:], mask[:1, 2:], labels=started).loss)
    # With left padding, the window begins at its first token.
    padded = model(ids[:1], torch.tensor([[0, 0, 1, 1, 1, 1, 1]]), labels=labels[:1]).loss
    torch.testing.assert_close(padded, window)


def test_a_longer_vocabulary_has_room_for_its_spelling(batch):
    model = make(character_encoder="cnn")
    before = model(*batch[:2]).logits
    model.resize_token_embeddings(V + 3)
    torch.testing.assert_close(model(*batch[:2]).logits, before)
    assert model(torch.tensor([[V + 2]])).logits.isfinite().all()


def test_tokens_that_are_none_give_no_tags():
    for model in (make(crf=True), make(character_encoder="lstm")):
        out = model(torch.zeros(2, 0, dtype=torch.long), labels=torch.zeros(2, 0, dtype=torch.long))
        assert out.logits.shape == (2, 0, C)
        assert out.loss == 0
        padded = model(torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3), labels=torch.full((2, 3), -100))
        assert padded.logits.isfinite().all()
        assert padded.loss == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(4, dtype=torch.long), r"labels have the shape \(4,\), expected \[B, T\] = \[4, 7\]"),
        (torch.full((4, 7), 5), r"labels \[5\] are not in config.id2label.* num_labels=6"),
        (torch.full((4, 7), -1), r"labels \[-1\] are not in config.id2label"),
    ],
)
def test_wrong_labels_are_named(labels, message, batch):
    with pytest.raises(ValueError, match=message):
        make()(*batch[:2], labels=labels)


def test_transformers_own_trainer_trains_it(tmp_path):
    """Train a tagger on a simple rule: a token is a name if it follows the token 1."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(200):
        ids = torch.randint(1, 12, (9,), generator=generator).tolist()
        rows.append({"input_ids": ids, "labels": [int(before == 1) for before in [0, *ids[:-1]]]})
    model = make(vocab_size=12, crf=True, initializer_range=0.1).float()
    args = TrainingArguments(
        tmp_path,
        num_train_epochs=15,
        learning_rate=0.03,
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
    )
    trainer = Trainer(model, args, train_dataset=rows[:160], eval_dataset=rows[160:])
    trainer.train()
    found = trainer.predict(rows[160:])
    assert found.predictions.shape == (40, 9, C)
    assert (found.predictions.argmax(-1) == found.label_ids).mean() > 0.98


@pytest.mark.filterwarnings("ignore")
def test_a_model_whose_weights_were_loaded_is_traced_at_once():
    model = make(crf=True).eval()
    model.load_state_dict(model.state_dict())
    ids = torch.randint(1, 9, (2, 5))
    torch.testing.assert_close(torch.jit.trace(model, (ids,), strict=False)(ids)["logits"], model(ids).logits)


def test_a_model_with_a_conditional_random_field_is_pickled():
    model = make(crf=True).eval()
    ids = torch.randint(1, 9, (2, 5))
    torch.testing.assert_close(pickle.loads(pickle.dumps(model))(ids).logits, model(ids).logits)
