"""Tests of additional objectives: the perturbation of the embedded texts, and the terms of the loss."""

import pytest
import torch
import torch.nn.functional as F
from support.reviews import made_up_reviews

import hf_rnn
from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.training.objectives import Objectives, divergence, entropy
from hf_rnn.utils.errors import UserError


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = RNNConfig(vocab_size=30, embedding_size=6, hidden_size=5, initializer_range=1.0, num_labels=3)
    return RNNForSequenceClassification(config).eval()


def batch(B: int, T: int, seed: int) -> dict:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, T + 1, (B,), generator=generator)
    return {
        "input_ids": torch.randint(1, 30, (B, T), generator=generator),
        "attention_mask": (torch.arange(T) < lengths[:, None]).long(),
        "labels": torch.randint(0, 3, (B,), generator=generator),
    }


def test_entropy_and_divergence():
    logits = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
    assert entropy(logits).item() == pytest.approx(torch.tensor(2.0).log().item() / 2)
    p, q = torch.tensor([[0.25, 0.75]]), torch.tensor([[0.5, 0.5]])
    assert divergence(p.log(), q.log()).item() == pytest.approx((p * (p / q).log()).sum().item())
    assert divergence(logits, logits).item() == pytest.approx(0, abs=1e-7)


def moved_texts(model, objectives: Objectives, rows: dict) -> torch.Tensor:
    """Return the embedded texts with perturbations that the objectives pass to the model."""
    seen = []

    def wrapped(**inputs):
        seen.append(inputs["inputs_embeds"].detach())
        return model(**inputs)

    objectives.loss(wrapped, model, rows, None)
    return seen[0]


def test_a_text_is_moved_by_its_share_to_where_the_loss_is_greater(model):
    rows = batch(8, 7, 1)
    mask, labels = rows["attention_mask"], rows["labels"]
    embedded = model.model.embed(rows["input_ids"]).detach()
    moved = moved_texts(model, Objectives(adversarial=1, perturbation=0.05), rows)
    assert torch.equal(moved[mask == 0], embedded[mask == 0])
    norms = (embedded * mask.unsqueeze(-1)).flatten(1).norm(dim=1)
    torch.testing.assert_close((moved - embedded).flatten(1).norm(dim=1), 0.05 * norms)

    def losses(x):
        return F.cross_entropy(model(inputs_embeds=x, attention_mask=mask).logits, labels, reduction="none")

    assert torch.all(losses(moved) > losses(embedded))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_text_is_moved_to_where_its_answer_changes_most(model, dropout):
    rows = batch(8, 7, 1)
    mask = rows["attention_mask"]
    objectives = Objectives(virtual_adversarial=1, perturbation=0.05)
    embedded = model.model.embed(rows["input_ids"]).detach()
    clean = model(inputs_embeds=embedded, attention_mask=mask).logits

    def change(x):
        return divergence(clean, model.eval()(inputs_embeds=x, attention_mask=mask).logits).item()

    # Dropout during the search for the perturbation must not determine the perturbation.
    model.config.input_dropout = dropout
    worst = [change(moved_texts(model.train(), objectives, rows)) for _ in range(10)]
    by_chance = [
        change(embedded + objectives._of_length(torch.randn_like(embedded), embedded, mask)) for _ in range(20)
    ]
    assert sum(worst) / len(worst) > 1.5 * max(by_chance)


def test_the_gradients_are_those_of_the_sum(model):
    rows = batch(8, 7, 1)
    objectives = Objectives(entropy_minimisation=0.5, adversarial=2, virtual_adversarial=3)
    torch.manual_seed(1)
    moved = moved_texts(model, objectives, rows)
    torch.manual_seed(1)
    loss, _ = objectives.loss(model, model, rows, None)
    loss.backward()
    carried = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    mask, labels = rows["attention_mask"], rows["labels"]
    words = model.model.embed(rows["input_ids"])
    steps = moved - torch.cat([words, words]).detach()
    clean, adversarial, virtual = (
        model(inputs_embeds=words + step, attention_mask=mask).logits for step in (0, *steps.split(8))
    )
    expected = F.cross_entropy(clean, labels) + 0.5 * entropy(clean) + 2 * F.cross_entropy(adversarial, labels)
    expected = expected + 3 * divergence(clean.detach(), virtual)
    torch.testing.assert_close(loss, expected)
    expected.backward()
    for parameter, gradient in zip(model.parameters(), carried, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_the_loss_is_the_weighted_sum_over_labelled_and_unlabelled_rows(model):
    labelled, unlabelled = batch(4, 7, 1), batch(5, 9, 2)
    unlabelled.pop("labels")
    plain = model(**labelled)
    both = torch.cat([plain.logits, model(**unlabelled).logits])
    loss, logits = Objectives(entropy_minimisation=0.5).loss(model, model, labelled, unlabelled)
    torch.testing.assert_close(logits, plain.logits)
    torch.testing.assert_close(loss, plain.loss + 0.5 * entropy(both))
    none, _ = Objectives(adversarial=2, virtual_adversarial=1, perturbation=0.0).loss(
        model, model, labelled, unlabelled
    )
    torch.testing.assert_close(none, 3 * plain.loss)


def test_all_parameters_learn_from_all_objectives(model):
    unlabelled = batch(5, 9, 2)
    unlabelled.pop("labels")
    objectives = Objectives(1, 1, 1, 0.1)
    model.train()
    loss, _ = objectives.loss(model, model, batch(4, 7, 1), unlabelled)
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
    assert not Objectives()


def run(folder, **training) -> dict:
    (folder / "data").mkdir(exist_ok=True)
    reviews = made_up_reviews(300)
    lines = [f'"{text}",{label}' for text, label in zip(reviews["text"], reviews["label"], strict=True)]
    (folder / "data" / "train.csv").write_text("\n".join(["text,label", *lines[:100]]))
    (folder / "data" / "unsupervised.csv").write_text("\n".join(["text,label", *lines[100:]]))
    return {
        "data": {"path": str(folder / "data"), "unlabelled_splits": ["unsupervised"], "label_names": ["no", "yes"]},
        "tokenizer": {"kind": "word", "min_frequency": 1},
        "model": {"embedding_size": 16, "hidden_size": 16, "classifier_dropout": 0.1},
        "training": {"output_dir": str(folder / "model"), "disable_tqdm": True, "learning_rate": 0.01, **training},
    }


def test_a_run_reads_rows_without_labels(tmp_path, monkeypatch):
    settings = {"virtual_adversarial": 1.0, "entropy_minimisation": 0.1, "adversarial": 1.0, "num_train_epochs": 2}
    seen = []
    loss = Objectives.loss
    monkeypatch.setattr(
        Objectives,
        "loss",
        lambda self, *batches: (seen.append([len(b["input_ids"]) for b in batches[2:4]]), loss(self, *batches))[1],
    )
    results = hf_rnn.train(run(tmp_path, **settings))
    assert results["validation"]["accuracy"] > 0.4
    assert seen == [[32, 32], [32, 32], [26, 26]] * 2
    assert set(results["data"]["splits"]) == {"train", "validation"}


def test_labels_that_are_smoothed_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"label_smoothing_factor=0\.1 does not go with training\.adversarial=1\.0"):
        hf_rnn.train(run(tmp_path, adversarial=1.0, label_smoothing_factor=0.1))


def test_rows_without_labels_that_nothing_reads_are_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"200 rows without labels would not be read: write training\.virtual_adversarial=1 "
    ):
        hf_rnn.train(run(tmp_path, adversarial=1.0))


def test_objectives_within_a_step_are_not_for_fp16(tmp_path):
    settings = run(tmp_path, virtual_adversarial=1.0, fp16=True)
    with pytest.raises(UserError, match=r"fp16 does not go with training\.virtual_adversarial=1\.0: write .*bf16"):
        hf_rnn.train(settings)


def test_objectives_are_for_one_label(tmp_path):
    settings = run(tmp_path, virtual_adversarial=1.0)
    settings["data"] = {**settings["data"], "problem_type": "regression", "label_names": None}
    with pytest.raises(UserError, match="needs one label per text"):
        hf_rnn.train(settings)
