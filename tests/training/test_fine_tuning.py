"""Tests of fine-tuning a pretrained encoder: the trained layers and their learning rates."""

import shutil

import pytest
import torch
from support.reviews import made_up_reviews
from transformers import TrainerCallback

import hf_rnn
from hf_rnn import RNNConfig, RNNForCausalLM, RNNForSequenceClassification, RNNModel
from hf_rnn.training.fine_tuning import discriminative_learning_rates, layers, scale_embedding_rate
from hf_rnn.training.pretrained import move_embeddings, take_encoder
from hf_rnn.utils.errors import UserError

ROWS = [{"text": text, "label": label} for text, label in zip(*made_up_reviews().values(), strict=True)]
REVIEWS = {"train": ROWS[:4000], "test": ROWS[4000:]}
# A run that changes the weights very little.
STILL = {"max_steps": 1, "learning_rate": 1e-9, "eval_strategy": "no", "save_strategy": "no"}


def config(**fields) -> RNNConfig:
    return RNNConfig(vocab_size=20, embedding_size=4, hidden_size=5, num_hidden_layers=2, **fields)


@pytest.mark.parametrize("independent", [False, True])
def test_layers_from_the_bottom_up(independent):
    model = RNNForSequenceClassification(config(bidirectional=True, independent_directions=independent))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [sorted(names[id(p)] for p in of_layer) for of_layer in layers(model)]
    assert found[0] == ["model.embed_tokens.weight"]
    assert all("_l0" in name for name in found[1])
    assert all("_l1" in name for name in found[2])
    assert all(name.startswith("classifier") for name in found[3])
    assert sum(map(len, found)) == len(names)


def test_lower_layers_learn_more_slowly():
    model = RNNForSequenceClassification(config())
    optimizer = torch.optim.AdamW([{"params": list(model.parameters()), "weight_decay": 0.1}], lr=0.01)
    discriminative_learning_rates(optimizer, model, 0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert [rates[id(of_layer[0])] for of_layer in layers(model)] == [0.00125, 0.0025, 0.005, 0.01]
    assert len(rates) == len(list(model.parameters()))
    assert all(group["weight_decay"] == 0.1 for group in optimizer.param_groups)
    assert optimizer.param_groups[0]["lr"] == 0.01


def test_embeddings_learn_at_a_rate_of_their_own():
    model = RNNForSequenceClassification(config())
    optimizer = torch.optim.AdamW([{"params": list(model.parameters()), "weight_decay": 0.1}], lr=0.01)
    discriminative_learning_rates(optimizer, model, 0.5)
    scale_embedding_rate(optimizer, model, 0.1)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert [rates[id(of_layer[0])] for of_layer in layers(model)] == pytest.approx([0.000125, 0.0025, 0.005, 0.01])
    assert len(rates) == len(list(model.parameters()))
    assert all(group["weight_decay"] == 0.1 for group in optimizer.param_groups)
    assert optimizer.param_groups[0]["lr"] == 0.01


def run(folder, lender, model=None, **training) -> dict:
    return hf_rnn.train(
        {
            "model": {"pretrained": str(lender), "classifier_dropout": 0.1, **(model or {})},
            "training": {
                "output_dir": str(folder),
                "disable_tqdm": True,
                "load_best_model_at_end": False,
                "learning_rate": 0.01,
                **training,
            },
        },
        data=REVIEWS,
    )


@pytest.fixture(scope="module")
def lender(tmp_path_factory):
    """Return the folder of an untrained language model and its tokenizer."""
    folder = tmp_path_factory.mktemp("lender") / "lm"
    texts = made_up_reviews(300)["text"]
    tokenizer = hf_rnn.train_tokenizer(texts, kind="word", show_progress=False)
    torch.manual_seed(0)
    fields = {"vocab_size": len(tokenizer), "embedding_size": 8, "hidden_size": 8, "num_hidden_layers": 2}
    RNNForCausalLM(RNNConfig(**fields, bos_token_id=2, eos_token_id=3)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_run_starts_from_an_encoder(tmp_path, lender):
    run(tmp_path / "clf", lender, **STILL)
    before = RNNModel.from_pretrained(lender)
    after = RNNForSequenceClassification.from_pretrained(tmp_path / "clf")
    assert after.config.hidden_size == 8
    for ours, theirs in zip(after.model.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=0)


@pytest.mark.slow
def test_the_encoder_decides_what_its_layers_can_have(tmp_path, lender):
    settings = {"model": {"pretrained": str(lender), "hidden_dropout": 0.2}}
    hf_rnn.train({**settings, "training": {"output_dir": str(tmp_path / "clf"), "disable_tqdm": True, **STILL}})
    after = RNNForSequenceClassification.from_pretrained(tmp_path / "clf")
    assert (after.config.num_hidden_layers, after.config.hidden_dropout) == (2, 0.2)
    settings["model"] = {"pretrained": str(tmp_path / "one"), "hidden_dropout": 0.2}
    fields = RNNConfig.from_pretrained(lender).to_dict()
    RNNForCausalLM(RNNConfig(**{**fields, "num_hidden_layers": 1})).save_pretrained(tmp_path / "one")
    hf_rnn.load_tokenizer(str(lender)).save_pretrained(tmp_path / "one")
    with pytest.raises(UserError, match=r"model\.hidden_dropout=0\.2.*model\.num_hidden_layers=1"):
        hf_rnn.train({**settings, "training": {"output_dir": str(tmp_path / "other")}})
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_classifier_lends_its_encoder_and_not_its_answers(tmp_path, lender):
    fields = RNNConfig.from_pretrained(lender).to_dict()
    for num_labels in (2, 6):
        RNNForSequenceClassification(RNNConfig(**fields, num_labels=num_labels)).save_pretrained(tmp_path / "other")
        hf_rnn.load_tokenizer(str(lender)).save_pretrained(tmp_path / "other")
        run(tmp_path / str(num_labels), tmp_path / "other", {"keep_head": False}, **STILL)
        theirs, ours = (
            RNNForSequenceClassification.from_pretrained(folder)
            for folder in (tmp_path / "other", tmp_path / str(num_labels))
        )
        torch.testing.assert_close(ours.model.embed_tokens.weight, theirs.model.embed_tokens.weight)
        assert ours.config.num_labels == 2
        assert not torch.allclose(ours.classifier.out_proj.weight, theirs.classifier.out_proj.weight[:2], atol=1e-3)


def test_one_direction_of_a_classifier(tmp_path, lender):
    fields = {**RNNConfig.from_pretrained(lender).to_dict(), "bidirectional": True, "independent_directions": True}
    torch.manual_seed(1)
    other = RNNForSequenceClassification(RNNConfig(**fields))
    other.save_pretrained(tmp_path / "other")
    tokenizer = hf_rnn.load_tokenizer(str(lender))
    tokenizer.save_pretrained(tmp_path / "other")
    model = take_encoder(str(tmp_path / "other"), RNNForSequenceClassification, {}, {}, tokenizer, forward_only=True)
    theirs = other.model.state_dict()
    for name, weight in model.model.state_dict().items():
        assert torch.equal(weight, theirs[name]), name


@pytest.mark.slow
def test_a_run_goes_on_where_what_it_began_with_is_gone(tmp_path, lender):
    gone = tmp_path / "gone"
    gone.symlink_to(lender)
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "eval_strategy": "no", "save_total_limit": 2}
    run(tmp_path / "clf", gone, **settings)
    weights = tmp_path / "clf" / "model.safetensors"
    whole = weights.read_bytes()
    gone.unlink()
    weights.unlink()
    shutil.rmtree(tmp_path / "clf" / "checkpoint-4")
    run(tmp_path / "clf", gone, **settings, resume=True)
    assert weights.read_bytes() == whole


def test_the_settings_of_a_tokenizer_that_is_taken_over_are_refused(tmp_path, lender):
    sections = {"model": {"pretrained": str(lender)}, "tokenizer": {"lowercase": True}}
    with pytest.raises(UserError, match=r"leave the tokenizer section out, or write tokenizer\.kind='word'"):
        hf_rnn.train({**sections, "training": {"output_dir": str(tmp_path / "new")}})


@pytest.mark.slow
def test_a_run_may_have_a_tokenizer_of_its_own(tmp_path, lender):
    sections = {"model": {"pretrained": str(lender)}, "tokenizer": {"kind": "word", "vocab_size": 60}}
    training = {"output_dir": str(tmp_path / "own"), "load_best_model_at_end": False, **STILL}
    hf_rnn.train({**sections, "training": training}, data=REVIEWS)
    theirs, ours = (hf_rnn.load_tokenizer(str(folder)) for folder in (lender, tmp_path / "own"))
    assert len(ours) == 60 < len(theirs)
    old, new = (RNNModel.from_pretrained(f).embed_tokens.weight for f in (lender, tmp_path / "own"))
    shared = sorted(set(ours.get_vocab()) & set(theirs.get_vocab()))
    assert len(shared) > 50
    for word in shared:
        row, known = new[ours.get_vocab()[word]], old[theirs.get_vocab()[word]]
        torch.testing.assert_close(row, known, atol=1e-7, rtol=0)
    run(tmp_path / "lent", lender, **STILL)
    cards = [(tmp_path / name / "README.md").read_text(encoding="utf-8") for name in ("own", "lent")]
    assert "Tokens: words, learnt from the training rows" in cards[0]
    assert "Tokens are those of an existing tokenizer" in cards[1]


@pytest.mark.parametrize("forward_only", [False, True])
def test_both_directions_are_taken_over_or_the_forward_one_alone(tmp_path, lender, forward_only):
    fields = RNNConfig.from_pretrained(lender).to_dict()
    both = RNNForCausalLM(RNNConfig(**{**fields, "bidirectional": True, "independent_directions": True}))
    both.save_pretrained(tmp_path)
    tokenizer = hf_rnn.load_tokenizer(str(lender))
    tokenizer.save_pretrained(tmp_path)
    model = take_encoder(str(tmp_path), RNNForSequenceClassification, {}, {"num_labels": 2}, tokenizer, forward_only)
    assert model.config.num_directions == (1 if forward_only else 2)
    theirs = dict(both.model.named_parameters())
    for name, ours in model.model.named_parameters():
        assert torch.equal(ours, theirs[name])
    assert any(name.startswith("backward") for name, _ in model.model.named_parameters()) != forward_only


def test_the_forward_direction_of_a_model_that_has_no_other_is_refused(tmp_path, lender):
    with pytest.raises(UserError, match="independent_directions=False: leave it out"):
        take_encoder(str(lender), RNNForSequenceClassification, {}, {}, None, forward_only=True)
    with pytest.raises(UserError, match=r"selects a direction of model\.pretrained"):
        hf_rnn.train({"model": {"forward_only": True}, "training": {"output_dir": str(tmp_path / "new")}})


@pytest.mark.slow
def test_layers_are_unfrozen_one_by_one(tmp_path, lender, monkeypatch):
    trained = []

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            trained.append([parameters[0].requires_grad for parameters in layers(model)])

    from hf_rnn.training.trainer import RNNTrainer

    init = RNNTrainer.__init__
    monkeypatch.setattr(RNNTrainer, "__init__", lambda self, *a, **k: init(self, *a, **{**k, "callbacks": [Watch()]}))
    run(tmp_path / "clf", lender, num_train_epochs=5, per_device_train_batch_size=1800, gradual_unfreezing=True)
    expected = [[depth + epoch >= 3 for depth in range(4)] for epoch in range(5)]
    assert trained == [row for row in expected for _ in range(2)]


def test_texts_that_the_encoder_s_tokenizer_does_not_know_are_told(tmp_path, lender, caplog):
    rows = [{"text": text, "label": label} for text, label in (("好吃的饭", "pos"), ("不好吃", "neg"))] * 10
    settings = {"output_dir": str(tmp_path / "clf"), "max_steps": 2, "disable_tqdm": True}
    hf_rnn.train({"preset": "none", "model": {"pretrained": str(lender)}, "training": settings}, data=rows)
    assert "100% of the training tokens are unknown to the tokenizer of" in caplog.text
    assert "tokenizer.kind='word'" in caplog.text


def test_a_size_that_is_not_the_encoders_is_refused(tmp_path, lender):
    tokenizer = hf_rnn.load_tokenizer(str(lender))
    with pytest.raises(UserError, match=r"hidden_size=64.*has 8"):
        take_encoder(str(lender), RNNForSequenceClassification, {"hidden_size": 64}, {}, tokenizer)


def test_a_size_that_is_written_counts_where_it_is_the_default_too(tmp_path, lender):
    model = {"pretrained": str(lender), "num_hidden_layers": 1}
    with pytest.raises(UserError, match=r"model\.num_hidden_layers=1, and the encoder of .* has 2"):
        hf_rnn.train({"model": model, "training": {"output_dir": str(tmp_path / "clf")}})
    assert not (tmp_path / "clf").exists()


@pytest.mark.parametrize("there", [False, True])
def test_what_is_no_model_is_named(tmp_path, there):
    (tmp_path / "empty").mkdir()
    path = tmp_path / ("empty" if there else "nowhere")
    with pytest.raises(UserError, match=rf"{path.name}'"):
        hf_rnn.train({"model": {"pretrained": str(path)}, "training": {"output_dir": str(tmp_path / "clf")}})


def test_another_tokenizer_keeps_the_vectors_of_shared_entries(lender):
    before = hf_rnn.load_tokenizer(str(lender))
    texts = ["the film was a wonderful xylophone"] * 3
    after = hf_rnn.train_tokenizer(texts, kind="word", show_progress=False)
    model = RNNForCausalLM.from_pretrained(lender)
    torch.nn.init.normal_(model.lm_head.bias)
    biases = model.lm_head.bias.detach().clone()
    before.eos_token, after.eos_token = "</s>", "<s>"
    old = model.get_input_embeddings().weight.detach().clone()
    move_embeddings(model, before, after)
    new = model.get_input_embeddings().weight
    assert new.shape == (len(after), 8)
    shared, fresh = after.get_vocab()["film"], after.get_vocab()["xylophone"]
    assert torch.equal(new[shared], old[before.get_vocab()["film"]])
    torch.testing.assert_close(new[fresh], old.mean(0))
    assert model.lm_head.weight is new
    assert model.lm_head.bias[shared] == biases[before.get_vocab()["film"]]
    torch.testing.assert_close(model.lm_head.bias[fresh], biases.mean())
    assert model.config.eos_token_id == model.generation_config.eos_token_id == after.get_vocab()["<s>"]
    assert model(torch.tensor([[shared, fresh]])).logits.shape[-1] == len(after)
