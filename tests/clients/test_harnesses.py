"""Tests of programs that train, tune, evaluate or embed with any model."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from sklearn.model_selection import cross_val_score
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from hf_rnn import RNNForCausalLM, RNNForSequenceClassification, RNNModel


@pytest.fixture
def rows(reviews, tokenizer):
    return Dataset.from_dict({**tokenizer(reviews["text"]), "labels": reviews["label"]})


@pytest.mark.works_with("lm-eval")
@pytest.mark.parametrize("batch_size", [1, 4])
def test_lm_eval(make, tokenizer, batch_size):
    """HFLM: log-likelihoods, rolling ones, and generation until a string"""
    pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'hf-rnn[clients]'")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = make(RNNForCausalLM)
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, device="cpu", max_length=64)

    def asked(kind, arguments):
        return [Instance(kind, {}, arguments_of_one, i) for i, arguments_of_one in enumerate(arguments)]

    pairs = [("the film was", " good"), ("the end was", " bad and long")]
    found = lm.loglikelihood(asked("loglikelihood", pairs))
    for (context, end), (nats, _) in zip(pairs, found, strict=True):
        before = tokenizer(context, return_tensors="pt").input_ids
        ids = tokenizer(context + end, return_tensors="pt").input_ids
        logp = model(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])[before.shape[1] - 1 :]
        assert nats == pytest.approx(logp.sum().item(), abs=1e-3)
    assert all(np.isfinite(lm.loglikelihood_rolling(asked("loglikelihood_rolling", [("the film was good",)]))))
    until = {"until": ["good"], "max_gen_toks": 4, "do_sample": False}
    assert isinstance(lm.generate_until(asked("generate_until", [("the film", until)]))[0], str)


@pytest.mark.works_with("optuna")
def test_hyperparameter_search(make, tokenizer, rows, tmp_path):
    """Trainer.hyperparameter_search(backend="optuna")"""
    pytest.importorskip("optuna", reason="optuna is not installed: pip install 'hf-rnn[clients]'")
    arguments = TrainingArguments(str(tmp_path / "search"), max_steps=2, report_to="none", eval_strategy="steps")
    trainer = Trainer(
        args=arguments,
        model_init=lambda trial: make(RNNForSequenceClassification),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    best = trainer.hyperparameter_search(
        backend="optuna",
        n_trials=2,
        hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)},
    )
    assert np.isfinite(best.objective)


@pytest.mark.works_with("skorch")
def test_skorch(make, tokenizer, reviews):
    """NeuralNetClassifier around a model, in scikit-learn's cross_val_score"""
    skorch = pytest.importorskip("skorch", reason="skorch is not installed: pip install 'hf-rnn[clients]'")
    from skorch.helper import SliceDict

    folder = make(RNNForSequenceClassification).name_or_path

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = RNNForSequenceClassification.from_pretrained(folder)

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids, attention_mask=attention_mask).logits.softmax(-1)

    batch = tokenizer(reviews["text"], padding=True, return_tensors="np")
    net = skorch.NeuralNetClassifier(Module, max_epochs=1, verbose=0)
    texts = SliceDict(**batch)
    scores = cross_val_score(net, texts, np.array(reviews["label"]), cv=2)
    assert np.isfinite(scores).all()


@pytest.mark.works_with("skorch")
def test_skorch_llm(make):
    """skorch.llm.ZeroShotClassifier(FOLDER)"""
    llm = pytest.importorskip("skorch.llm", reason="skorch is not installed: pip install 'hf-rnn[clients]'")
    folder = make(RNNForCausalLM).name_or_path
    classifier = llm.ZeroShotClassifier(str(folder)).fit(X=None, y=["good", "bad"])
    found = classifier.predict_proba(["the film was long", "the end"])
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-3)


@pytest.mark.works_with("lightning")
def test_lightning(make, tokenizer, rows, tmp_path):
    """A LightningModule around a model, fitted and loaded from its checkpoint"""
    lightning = pytest.importorskip("lightning", reason="lightning is not installed: pip install 'hf-rnn[clients]'")
    net = make(RNNForSequenceClassification)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net

        def training_step(self, batch, _):
            return self.net(**batch).loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    loader = torch.utils.data.DataLoader(rows, 8, collate_fn=DataCollatorWithPadding(tokenizer))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_steps=2, default_root_dir=tmp_path, **quiet)
    module = Module()
    trainer.fit(module, loader)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    trained = {name: weight.clone() for name, weight in net.state_dict().items()}
    again = Module.load_from_checkpoint(tmp_path / "last.ckpt")
    assert all(torch.equal(weight, trained[name]) for name, weight in again.net.state_dict().items())


@pytest.mark.works_with("sentence-transformers")
def test_sentence_transformers(make, reviews):
    """SentenceTransformer of Transformer(FOLDER) and Pooling"""
    st = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    words = st.sentence_transformer.modules.Transformer(str(make(RNNModel).name_or_path))
    pooling = st.sentence_transformer.modules.Pooling(words.model.config.output_size)
    model = st.SentenceTransformer(modules=[words, pooling], device="cpu")
    together = model.encode(reviews["text"][:6], batch_size=6)
    alone = np.stack([model.encode(text) for text in reviews["text"][:6]])
    np.testing.assert_allclose(together, alone, atol=1e-5)
