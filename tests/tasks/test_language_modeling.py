import json
import logging
import os
import shutil
import signal
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict
from support.reviews import reviews_by_split
from transformers import AutoModelForCausalLM, pipeline

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.inference.evaluation import evaluate
from hf_rnn.inference.predictor import write
from hf_rnn.tasks.language_modeling import LanguageModeling
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.bptt_windows import streams_to_read
from hf_rnn.training.bptt_trainer import LanguageModelTrainer
from hf_rnn.utils.errors import UserError


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> Path:
    """Return a folder of 4,000 training reviews and 1,000 test reviews."""
    return reviews_by_split(tmp_path_factory.mktemp("reviews"))


@pytest.fixture(scope="module")
def language_model(tmp_path_factory, reviews):
    """Return the folder of a small language model and the results of its training run on made-up reviews."""
    folder = tmp_path_factory.mktemp("lm") / "model"
    results = hf_rnn.train(
        {
            "task": "language_modeling",
            "data": {"path": str(reviews)},
            "tokenizer": {"kind": "bpe", "vocab_size": 400},
            "model": {"embedding_size": 16, "hidden_size": 24, "num_hidden_layers": 2, "weight_dropout": 0.1},
            "training": {
                "output_dir": str(folder),
                "num_train_epochs": 3,
                "window": 30,
                "disable_tqdm": True,
                "learning_rate": 0.01,
            },
        }
    )
    return folder, results


def test_a_run_learns_and_leaves_a_model_that_writes(language_model, caplog):
    folder, results = language_model
    assert results["test"]["perplexity"] < 40
    assert results["test"]["word_perplexity"] > results["test"]["perplexity"]
    with caplog.at_level(logging.WARNING):
        write = pipeline("text-generation", model=str(folder))
        (answer,) = write("the film was", max_new_tokens=8, do_sample=False)
    assert answer["generated_text"].startswith("the film was")
    assert "missing" not in caplog.text


def test_the_card_shows_perplexities_and_how_to_write(language_model):
    folder, results = language_model
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert 'write = pipeline("text-generation"' in card
    assert f"| perplexity per word | {results['validation']['word_perplexity']:.2f} |" in card


def test_the_command_line_measures_it(language_model, capsys):
    folder, results = language_model
    assert main(["evaluate", str(folder), "--split", "test"]) == 0
    assert f"perplexity {results['test']['perplexity']:.4f}" in capsys.readouterr().out


def test_it_labels_nothing(language_model, capsys):
    folder, _ = language_model
    assert main(["predict", str(folder), "this film"]) == 1
    assert 'hf-rnn write MODEL "some text"' in capsys.readouterr().err


def test_it_writes_on_the_command_line(language_model, capsys):
    folder, _ = language_model
    command = ["write", str(folder), "the film was", "--max_new_tokens", "6"]
    assert main([*command, "--temperature", "0"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line == write(hf_rnn.Predictor.from_pretrained(folder), "the film was", 6, temperature=0)
    assert line.startswith("the film was")
    drawn = []
    for seed in "001":
        assert main([*command, "--seed", seed]) == 0
        drawn.append(capsys.readouterr().out)
    assert drawn[0] == drawn[1] != drawn[2]
    assert main(["write", str(folder), "--max_new_tokens", "6"]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max_new_tokens", "0"], "--max_new_tokens 0 must be a whole number, 1 or greater"),
        (["--temperature", "-1"], "--temperature -1.0 must be 0"),
        (["--seed", "-1"], "--seed -1 must be 0 or greater"),
    ],
)
def test_what_cannot_be_written(language_model, tiny_run, capsys, options, message):
    assert main(["write", str(language_model[0]), "the film", *options]) == 1
    assert message in capsys.readouterr().err
    assert main(["write", str(tiny_run), "the film"]) == 1
    assert "is not a language model and cannot continue texts: write hf-rnn predict" in capsys.readouterr().err


@pytest.mark.proof
@pytest.mark.slow
def test_what_it_does_not_know_stays_in_the_text(tmp_path, reviews, caplog):
    hf_rnn.train(lm(tmp_path / "lm", reviews, kind="char"))
    predictor = hf_rnn.Predictor.from_pretrained(tmp_path / "lm")
    with caplog.at_level(logging.WARNING):
        assert write(predictor, "the \u2603 film", 3).startswith("the \u2603 film")
    assert "has words outside the vocabulary" in caplog.text


def test_it_lends_its_encoder(language_model):
    folder, _ = language_model
    lender = AutoModelForCausalLM.from_pretrained(folder)
    classifier = hf_rnn.RNNForSequenceClassification.from_pretrained(folder, num_labels=2)
    for ours, theirs in zip(classifier.model.parameters(), lender.model.parameters(), strict=True):
        assert ours.equal(theirs)


@pytest.mark.slow
def test_two_directions_are_trained_as_one(tmp_path, reviews):
    results = hf_rnn.train(
        {
            "task": "language_modeling",
            "data": {"path": str(reviews)},
            "tokenizer": {"kind": "word"},
            "model": {
                "embedding_size": 16,
                "hidden_size": 16,
                "bidirectional": True,
                "independent_directions": True,
                "sampled_softmax": 50,
            },
            "training": {
                "output_dir": str(tmp_path / "lm"),
                "max_steps": 60,
                "eval_strategy": "no",
                "save_strategy": "no",
                "load_best_model_at_end": False,
                "disable_tqdm": True,
                "learning_rate": 0.02,
            },
        }
    )
    assert results["validation"]["perplexity"] < 40


def arguments(folder: Path, *more: str) -> list[str]:
    """Return a command line of two epochs of 44 steps each, with a checkpoint every ten steps."""
    steps = "--training.save_strategy steps --training.save_steps 10 --training.eval_strategy no"
    model = "--model.bidirectional true --model.independent_directions true --model.input_dropout 0.2"
    sizes = "--model.embedding_size 8 --model.hidden_size 8 --training.window 40 --training.num_train_epochs 2"
    quiet = "--training.load_best_model_at_end false --training.disable_tqdm true --tokenizer.kind word"
    options = f"train --task language_modeling {steps} {model} {sizes} {quiet} --training.output_dir {folder}"
    return [*options.split(), *more]


def killed(folder: Path, step: int) -> None:
    """Train until the beginning of a step, at which a SIGKILL ends the process."""
    from hf_rnn.training.bptt_trainer import LanguageModelTrainer

    class Dying(LanguageModelTrainer):
        def training_step(self, *args, **kwargs):
            if self.state.global_step == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().training_step(*args, **kwargs)

    import_module("hf_rnn.training.run").trainer_class = lambda task: Dying
    main(arguments(folder))


@pytest.mark.proof
@pytest.mark.slow
def test_killed_in_the_middle_of_an_epoch_it_goes_on_to_the_same_weights(tmp_path, capsys):
    assert main(arguments(tmp_path / "whole")) == 0
    assert "Continue a text: hf-rnn write " in capsys.readouterr().out
    process = get_context("spawn").Process(target=killed, args=(tmp_path / "cut", 25))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "cut").glob("checkpoint-*")] == ["checkpoint-20"]
    assert main(arguments(tmp_path / "cut", "--training.resume", "true")) == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_it_does_not_go_on_with_other_streams(language_model, tmp_path):
    folder = shutil.copytree(language_model[0], tmp_path / "lm")
    again = ["--config", str(folder / "run.yaml"), "--training.resume", "true", "--training.output_dir", str(folder)]
    for option, value, now in (
        ("window", "50", "50"),
        ("per_device_train_batch_size", "8", "8"),
        ("averaging", "ema", "'ema'"),
    ):
        told = rf"begun with training\.{option}=.* and this is {now}: resume it with hf-rnn train --config "
        with pytest.raises(UserError, match=told):
            hf_rnn.train([*again, f"--training.{option}", value])


def test_others_and_batches_by_tokens_are_for_classifiers(language_model, tmp_path):
    folder, _ = language_model
    with pytest.raises(
        UserError, match="is not a text classifier, and only logits of text classifiers can be averaged"
    ):
        hf_rnn.Predictor.from_pretrained(folder, others=[folder])
    with pytest.raises(UserError, match=r"train_batch_tokens=512 is for rows"):
        hf_rnn.train(
            {
                "task": "language_modeling",
                "training": {"output_dir": str(tmp_path / "lm"), "train_batch_tokens": 512, "disable_tqdm": True},
            }
        )
    assert not (tmp_path / "lm").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length": 50}, "max_length=50 would cut documents"),
        ({"validation_split": "validatoin"}, "data.validation_split 'validatoin' is not a split of"),
        ({"test_split": "train"}, "must be different ones"),
        ({"unlabelled_splits": ["test"]}, r"and without labels \(test\) must be different ones"),
    ],
)
def test_settings_that_would_mislead_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        LanguageModeling(DataArguments(**settings)).prepare(splits(train=["a"] * 4, test=["b"]))


def test_a_window_longer_than_the_text_is_cut_to_it(language_model):
    folder, _ = language_model
    task = LanguageModeling(DataArguments())
    rows = task.encode(splits(test=["a film"] * 900)["test"], hf_rnn.load_tokenizer(str(folder)))
    streams = streams_to_read(rows, 3, at_once=100_000)
    assert sum(int((streams[i]["shift_labels"] != -100).sum()) for i in range(len(streams))) == streams.num_tokens


def test_how_much_is_read_at_once_changes_no_perplexity(language_model):
    folder, _ = language_model
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    rows = predictor.task.encode(splits(test=["a film that was not bad ."] * 900)["test"], predictor.tokenizer)
    whole, parts = (predictor.task.judge(predictor, rows, batch_tokens) for batch_tokens in (16384, 50))
    assert whole == pytest.approx(parts, rel=1e-5)
    assert len(streams_to_read(rows, 3, at_once=50)) > len(streams_to_read(rows, 3))


def test_words_are_those_of_the_normalised_text_and_unknown_ones_are_counted():
    tokenizer = hf_rnn.train_tokenizer(
        ["a good film"] * 3, kind="word", strip_html=True, vocab_size=7, show_progress=False
    )
    rows = LanguageModeling(DataArguments()).encode(splits(test=["good film<br /><br />a bad one"])["test"], tokenizer)
    assert rows["words"][:] == [6]
    assert rows["unknown"][:] == [2]


def test_the_end_of_a_text_can_be_held_out():
    lines = [f"line {i}" for i in range(20)]
    prepared = LanguageModeling(DataArguments(validation_from="end")).prepare(splits(train=lines))
    assert (prepared["train"]["text"][:], prepared["validation"]["text"][:]) == (lines[:-2], lines[-2:])
    with pytest.raises(UserError, match=r"data\.validation_from='ends' is not one of random, end"):
        LanguageModeling(DataArguments(validation_from="ends"))


def test_it_begins_to_write_where_a_document_ends(language_model):
    folder, _ = language_model
    tokenizer = hf_rnn.load_tokenizer(str(folder))
    assert (tokenizer.bos_token, tokenizer.padding_side) == ("</s>", "left")
    model = AutoModelForCausalLM.from_pretrained(folder)
    written = model.generate(max_new_tokens=3, do_sample=False)
    assert written[0, 0] == tokenizer.eos_token_id == model.generation_config.bos_token_id
    texts = ["the film was", "a fine and quite long film was"]
    both = model.generate(**tokenizer(texts, padding=True, return_tensors="pt"), max_new_tokens=4, do_sample=False)
    for row, text in zip(both, texts, strict=True):
        alone = model.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=4, do_sample=False)
        assert row[-4:].tolist() == alone[0, -4:].tolist()


def test_without_its_run_a_model_is_what_its_weights_are(language_model, tmp_path, capsys):
    folder = shutil.copytree(language_model[0], tmp_path / "lm")
    (folder / "run.yaml").unlink()
    assert main(["predict", str(folder), "this film"]) == 1
    assert "this is a language model" in capsys.readouterr().err
    assert main(["evaluate", str(folder)]) == 1
    assert "the model has no run.yaml that names its data: name a data set, --data PATH" in capsys.readouterr().err
    (folder / "run.yaml").write_text("task: text_classification\n")
    assert main(["predict", str(folder), "this film"]) == 1
    assert "is an RNNForCausalLM, but its run.yaml has the task text_classification" in capsys.readouterr().err


def test_a_checkpoint_is_of_the_run_that_it_stands_in(language_model, capsys):
    folder, _ = language_model
    (checkpoint,) = folder.glob("checkpoint-*")
    assert main(["evaluate", str(checkpoint), "--split", "test"]) == 0
    assert "perplexity" in capsys.readouterr().out


def test_an_encoder_alone_answers_nothing(language_model, tmp_path):
    folder, _ = language_model
    hf_rnn.RNNModel.from_pretrained(folder).save_pretrained(tmp_path / "encoder")
    hf_rnn.load_tokenizer(str(folder)).save_pretrained(tmp_path / "encoder")
    with pytest.raises(UserError, match="is an RNNModel, which has no head for a task"):
        hf_rnn.Predictor.from_pretrained(tmp_path / "encoder")


@pytest.mark.parametrize("hidden_size", [8, 12])
@pytest.mark.proof
@pytest.mark.slow
def test_a_language_model_goes_on_with_the_output_layer_of_another(tmp_path, reviews, hidden_size):
    first = lm(tmp_path / "first", reviews, tie_word_embeddings=False, hidden_size=hidden_size)
    hf_rnn.train(first)
    again = lm(tmp_path / "again", reviews)
    again["model"], again["tokenizer"] = {"pretrained": str(tmp_path / "first")}, {}
    again["training"] |= {"learning_rate": 0.0}
    hf_rnn.train(again)
    before, after = (AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in ("first", "again"))
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
    again["model"] |= {"tie_word_embeddings": True}
    again["training"] |= {"output_dir": str(tmp_path / "tied")}
    with pytest.raises(UserError, match=r"model\.tie_word_embeddings=True, and the encoder of .* has False"):
        hf_rnn.train(again)


def test_a_language_model_cannot_see_what_it_is_to_tell(tiny_run, tmp_path, reviews):
    config = hf_rnn.RNNConfig(vocab_size=50, embedding_size=8, hidden_size=8, bidirectional=True)
    hf_rnn.RNNForSequenceClassification(config).save_pretrained(tmp_path / "seeing")
    hf_rnn.train_tokenizer(["a film"], kind="word", min_frequency=1, show_progress=False).save_pretrained(
        tmp_path / "seeing"
    )
    run = lm(tmp_path / "lm", reviews)
    run["model"], run["tokenizer"] = {"pretrained": str(tmp_path / "seeing")}, {}
    with pytest.raises(UserError, match="has bidirectional=True, and a language model on it would read the token"):
        hf_rnn.train(run)


@pytest.mark.parametrize(
    ("section", "settings", "message"),
    [
        ("model", {"pooling": "max"}, "model.pooling='max' has no use in the task language_modeling"),
        (
            "training",
            {"label_smoothing_factor": 0.1},
            "needs one label per text, and the problem type is language_modeling",
        ),
        ("training", {"auto_find_batch_size": True}, "auto_find_batch_size=True is for rows"),
        ("training", {"bf16_full_eval": True}, "training.bf16_full_eval=True has no use in the task language_modeling"),
        ("training", {"metric_for_best_model": "accuracy"}, "is not one of perplexity, word_perplexity, loss"),
    ],
)
def test_settings_of_classifiers_are_refused(tmp_path, reviews, section, settings, message):
    run = lm(tmp_path / "lm", reviews)
    run[section] |= settings
    with pytest.raises(UserError, match=message):
        hf_rnn.train(run)
    assert not (tmp_path / "lm").exists()


@pytest.mark.proof
@pytest.mark.slow
def test_the_model_of_the_least_perplexity_is_kept(tmp_path, reviews):
    run = lm(tmp_path / "lm", reviews)
    # With this learning rate, the perplexity rises again.
    run["training"] |= {"num_train_epochs": 3, "learning_rate": 3.0, "lr_scheduler_type": "constant", "warmup_steps": 0}
    run["training"] |= {"metric_for_best_model": "word_perplexity", "save_total_limit": 3}
    results = hf_rnn.train(run)
    state = (tmp_path / "lm").glob("checkpoint-*/trainer_state.json")
    histories = [json.loads(file.read_text())["log_history"] for file in state]
    seen = [row["eval_word_perplexity"] for row in max(histories, key=len) if "eval_word_perplexity" in row]
    assert results["validation"]["word_perplexity"] == pytest.approx(min(seen), rel=1e-4)
    assert min(seen) < max(seen)


def test_the_trainer_takes_encoded_rows_whenever_they_come(language_model, tmp_path):
    folder, _ = language_model
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    rows = predictor.task.encode(splits(test=["a film that was not bad ."] * 90)["test"], predictor.tokenizer)
    args = hf_rnn.RNNTrainingArguments(str(tmp_path), disable_tqdm=True)
    trainer = LanguageModelTrainer(
        predictor.model, args, predictor.task, predictor.tokenizer, eval_dataset={"a": rows, "b": rows}
    )
    metrics = trainer.evaluate()
    expected = predictor.task.judge(predictor, rows, 16384)["perplexity"]
    assert metrics["eval_a_perplexity"] == metrics["eval_b_perplexity"] == pytest.approx(expected, rel=1e-5)
    assert trainer.evaluate(rows)["eval_perplexity"] == pytest.approx(expected, rel=1e-5)
    assert trainer.predict(rows).metrics["test_perplexity"] == pytest.approx(expected, rel=1e-5)


def splits(**texts) -> DatasetDict:
    return DatasetDict({name: Dataset.from_dict({"text": rows}) for name, rows in texts.items()})


def test_unlabelled_splits_are_read_beside_the_training_split():
    task = LanguageModeling(DataArguments(unlabelled_splits=["more"], validation_size=0.25))
    prepared = task.prepare(splits(train=["a", "b"] * 4, more=["c"] * 8, test=["d"]))
    assert sorted([*prepared["train"]["text"], *prepared["validation"]["text"]]) == ["a"] * 4 + ["b"] * 4 + ["c"] * 8
    assert prepared["test"]["text"][:] == ["d"]


def test_a_missing_unlabelled_split_is_named():
    task = LanguageModeling(DataArguments(unlabelled_splits=["unsupervised"]))
    with pytest.raises(UserError, match=r"no split 'unsupervised', only train, test: leave data\.unlabelled_splits"):
        task.prepare(splits(train=["a"], test=["b"]))
    with pytest.raises(UserError, match=r"write data\.unlabelled_splits=\['more'\]"):
        task.prepare(splits(test=["b"], train=["a"], more=["c"]))


def lm(folder, path, **model) -> dict:
    training = {"output_dir": str(folder), "disable_tqdm": True, "num_train_epochs": 1, "window": 10}
    return {
        "task": "language_modeling",
        "data": {"path": str(path)},
        "tokenizer": {"kind": model.pop("kind", "word"), "vocab_size": 300},
        "model": {"embedding_size": 8, "hidden_size": 8, **model},
        "training": {**training, "per_device_train_batch_size": 2},
    }


def test_plain_text_is_read_by_lines_or_by_files(tmp_path):
    lines = [f"the film number {i} was not as bad as the last one ." for i in range(60)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines))
    results = hf_rnn.train(lm(tmp_path / "lm", tmp_path / "corpus.txt"))
    assert results["run"]["train_rows"] == 54
    (tmp_path / "flat").mkdir()
    for i in range(5):
        (tmp_path / "flat" / f"{i}.txt").write_text("\n".join(lines[i::5]))
    assert hf_rnn.train(lm(tmp_path / "flat_lm", tmp_path / "flat"))["run"]["train_rows"] == 3
    with pytest.raises(UserError, match=r"has no split 'test', only train: write split='train'"):
        evaluate(hf_rnn.Predictor.from_pretrained(tmp_path / "lm"), DataArguments(str(tmp_path / "corpus.txt")), "test")


def test_what_a_language_model_cannot_be_is_one_message(tmp_path, reviews):
    with pytest.raises(UserError, match=r"model: a language model with bidirectional=True"):
        hf_rnn.train(lm(tmp_path / "lm", reviews, bidirectional=True))
    for kind, name in (("bpe", "BPE"), ("wordpiece", "WordPiece")):
        with pytest.raises(UserError, match=rf"sampled_softmax=20 draws entries by rank, and a {name} tok"):
            hf_rnn.train(lm(tmp_path / "lm", reviews, sampled_softmax=20, kind=kind))
    assert not (tmp_path / "lm").exists()


def test_a_split_without_text_is_refused():
    with pytest.raises(UserError, match="has no text"):
        LanguageModeling(DataArguments()).prepare(splits(train=["", " "]))


def test_a_tokenizer_without_an_end_is_refused():
    tokenizer = hf_rnn.train_tokenizer(["a text"], kind="word", min_frequency=1, show_progress=False)
    tokenizer.eos_token = None
    with pytest.raises(UserError, match="no end-of-text token"):
        LanguageModeling(DataArguments()).encode(splits(train=["a text"])["train"], tokenizer)
