import pytest
from datasets import Dataset, DatasetDict
from support.reviews import made_up_reviews

import hf_rnn
from hf_rnn.training import search_study
from hf_rnn.utils.errors import ConfigError, HfRnnError

pytest.importorskip("optuna", reason="optuna is not installed: pip install 'hf-rnn[tune]'")


@pytest.fixture(scope="module")
def encoded():
    """Return a task, a tokenizer and encoded splits."""
    task = hf_rnn.TextClassification(hf_rnn.DataArguments(path="reviews"))
    prepared = task.prepare(DatasetDict(train=Dataset.from_dict(made_up_reviews(120))))
    tokenizer = hf_rnn.train_tokenizer(task.texts(prepared["train"]), kind="word", show_progress=False)
    return task, tokenizer, {split: task.encode(rows, tokenizer) for split, rows in prepared.items()}


def trainer_of(encoded, folder, **options):
    task, tokenizer, splits = encoded
    sizes = {"embedding_size": 8, "hidden_size": 8, "vocab_size": len(tokenizer)}
    tokens = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}

    def model_init(trial=None):
        return hf_rnn.RNNForSequenceClassification(hf_rnn.RNNConfig(**sizes, **tokens, **task.config_fields()))

    args = hf_rnn.RNNTrainingArguments(
        str(folder), num_train_epochs=2, disable_tqdm=True, averaging="ema", early_stopping_patience=1
    )
    how = {"model": None, "model_init": model_init, **options}
    data = {"train_dataset": splits["train"], "eval_dataset": splits["validation"]}
    return hf_rnn.RNNTrainer(args=args, task=task, processing_class=tokenizer, **data, **how), model_init


def learning_rates(trial) -> dict:
    return {"learning_rate": trial.suggest_categorical("learning_rate", [1e-7, 0.05])}


def test_hyperparameter_search_maximizes_the_metric_of_the_task(encoded, tmp_path):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trainer, _ = trainer_of(encoded, tmp_path / "search")
    rates, evaluated = [], {}
    trainer.create_optimizer, made = (
        lambda *a: rates.append(trainer.args.learning_rate) or made(*a),
        trainer.create_optimizer,
    )
    log, number = trainer.log, lambda: len(rates)

    def keep(logs, *others):
        if "eval_accuracy" in logs:
            evaluated.setdefault(number(), []).append(logs["eval_accuracy"])
        log(logs, *others)

    trainer.log = keep
    sampler = optuna.samplers.GridSampler({"learning_rate": [1e-7, 0.05]}, seed=0)
    best = trainer.hyperparameter_search(hp_space=learning_rates, n_trials=2, backend="optuna", sampler=sampler)
    assert sorted(rates) == [1e-7, 0.05]
    assert best.objective == max(max(values) for values in evaluated.values())
    assert all(any((tmp_path / "search" / f"run-{n}").glob("checkpoint-*")) for n in range(2))
    # Each trial has the samples of its own training only.
    epochs = [each for each in trainer.callback_handler.callbacks if type(each).__name__ == "EpochCallback"]
    assert len(epochs) == 1


def test_hyperparameter_search_with_an_objective_of_the_user(encoded, tmp_path):
    trainer, _ = trainer_of(encoded, tmp_path / "search")
    with pytest.raises(ConfigError, match="compute_objective needs a direction: write direction='maximize'"):
        trainer.hyperparameter_search(learning_rates, lambda metrics: metrics["eval_loss"], n_trials=1)
    best = trainer.hyperparameter_search(
        learning_rates, lambda metrics: metrics["eval_loss"], n_trials=1, direction="minimize"
    )
    assert best.objective == pytest.approx(0.7, abs=0.1)


def test_hyperparameter_search_needs_a_function_that_makes_models(encoded, tmp_path, monkeypatch):
    _, model_init = trainer_of(encoded, tmp_path / "search")
    trainer, _ = trainer_of(encoded, tmp_path / "search", model=model_init(), model_init=None)
    with pytest.raises(ConfigError, match="write RNNTrainer\\(model=None, …, model_init=FUNCTION\\)"):
        trainer.hyperparameter_search()
    monkeypatch.setattr(search_study, "find_spec", lambda name: None)
    with pytest.raises(HfRnnError, match=r'pip install "hf-rnn\[tune\]"'):
        trainer.hyperparameter_search()
