"""Tests of runs with pretrained vectors: widths, freezing, resuming, all tasks, the card, two processes."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from support import assert_same_run, tiny_config, write_jsonl
from support.launch import options, torchrun
from support.tagging import sentences
from support.translating import NUMBERS, pairs
from transformers import TrainerCallback

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.hub.card import render_folder
from hf_rnn.utils.errors import UserError

WIDTH = 6


def vector(number: int) -> list[float]:
    return [((number * 37 + column * 11) % 23) / 10 - 1 for column in range(WIDTH)]


@pytest.fixture(scope="module")
def reviews(tiny_run):
    return tiny_run.parent / "reviews.csv"


@pytest.fixture(scope="module")
def words(tiny_run) -> dict[str, list[float]]:
    """Return vectors of every second word of the reviews."""
    vocabulary = hf_rnn.load_tokenizer(str(tiny_run)).get_vocab()
    return {word: vector(id_) for word, id_ in vocabulary.items() if id_ % 2 and id_ > 3}


@pytest.fixture(scope="module")
def vectors(words, tmp_path_factory):
    return write(tmp_path_factory.mktemp("vectors") / "tiny.vec", words)


def write(file, words):
    lines = [f"{word} {' '.join(map(str, row))}\n" for word, row in words.items()]
    file.write_text(f"{len(lines)} {WIDTH}\n{''.join(lines)}", encoding="utf-8")
    return file


def run_config(reviews, folder, vectors, model=None, **training) -> dict:
    config = tiny_config(reviews, folder, **training)
    config["model"] = {"hidden_size": 8, "vectors": str(vectors), **(model or {})}
    return config


def model_default(name: str) -> float:
    return getattr(hf_rnn.RNNConfig(), name)


def embedding(folder) -> torch.Tensor:
    return load_file(folder / "model.safetensors")["model.embed_tokens.weight"]


def test_a_run_with_vectors_says_what_was_found_and_is_an_ordinary_model(reviews, vectors, words, tmp_path, capsys):
    metrics = hf_rnn.train(run_config(reviews, tmp_path / "model", vectors, vectors_frozen_epochs=1))
    out = capsys.readouterr().out
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "model"))
    entries = len(tokenizer) - 4
    report = metrics["run"]["vectors"]
    assert metrics["run"] == json.loads((tmp_path / "model" / "metrics.json").read_text())["run"]
    assert (report["source"], report["width"], report["entries"]) == ("tiny.vec", WIDTH, entries)
    assert report["found"] == len(words)
    assert report["types"] == pytest.approx(len(words) / entries)
    assert 0 < report["tokens"] < 1
    shares = f"found for {report['types']:.1%} of {entries} entries of the vocabulary, {report['tokens']:.1%} of the"
    assert f"vectors    tiny.vec (text, width {WIDTH}): {shares} running tokens" in out
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    row = f"found for {report['types']:.1%} of the vocabulary and {report['tokens']:.1%} of the running tokens"
    assert f"| vectors at the start | tiny.vec (text, width {WIDTH}), {row} of the training split |" in card
    assert "trained on the vectors of `tiny.vec` on reviews" in card
    assert "--model.vectors YOUR-COPY" in card
    assert str(vectors.parent) not in card
    # The vectors are frozen in the only epoch.
    trained, vocabulary = embedding(tmp_path / "model"), tokenizer.get_vocab()
    assert trained.shape == (len(tokenizer), WIDTH)
    for word, row in words.items():
        torch.testing.assert_close(trained[vocabulary[word]], report["scale"] * torch.tensor(row))
    of_words = trained[[vocabulary[word] for word in words]]
    assert of_words.std(correction=0).item() == pytest.approx(model_default("initializer_range"), rel=1e-4)
    assert f"all multiplied by {report['scale']:.3g}" in out
    assert not trained[tokenizer.pad_token_id].any()
    # The folder does not need the file of vectors, and loading and saving do not change it.
    answer = hf_rnn.Predictor.from_pretrained(str(tmp_path / "model"))(["a lovely lamp"])
    model = hf_rnn.RNNForSequenceClassification.from_pretrained(tmp_path / "model")
    assert model.config.embedding_size == WIDTH
    model.save_pretrained(tmp_path / "again")
    tokenizer.save_pretrained(tmp_path / "again")
    assert torch.equal(embedding(tmp_path / "again"), trained)
    again = hf_rnn.Predictor.from_pretrained(str(tmp_path / "again"))(["a lovely lamp"])
    assert again[0]["score"] == pytest.approx(answer[0]["score"], abs=1e-6)
    assert render_folder(tmp_path / "again")


class Watch(TrainerCallback):
    """Callback that records the epoch and the embedding after each step."""

    def __init__(self):
        self.seen = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.seen.append((state.epoch, model.get_input_embeddings().weight.detach().clone()))


@pytest.fixture
def watch(monkeypatch) -> Watch:
    watch = Watch()
    init = hf_rnn.training.run.RNNTrainer.__init__
    monkeypatch.setattr(
        hf_rnn.training.run.RNNTrainer,
        "__init__",
        lambda self, *args, **kwargs: init(self, *args, **{**kwargs, "callbacks": [watch]}),
    )
    return watch


def test_the_embedding_is_frozen_in_the_first_epochs_and_moves_then(reviews, vectors, watch, tmp_path):
    more = {"num_train_epochs": 3, "weight_decay": 0.1, "averaging": "ema"}
    hf_rnn.train(run_config(reviews, tmp_path / "model", vectors, vectors_frozen_epochs=2, **more))
    frozen = [weight for epoch, weight in watch.seen if epoch <= 2 + 1e-6]
    moving = [weight for epoch, weight in watch.seen if epoch > 2 + 1e-6]
    assert len(frozen) == 2 * len(moving) > 0
    assert all(torch.equal(weight, frozen[0]) for weight in frozen)
    assert not torch.equal(moving[0], frozen[0])
    assert not torch.equal(moving[-1], moving[0])


def test_other_weights_learn_as_if_there_was_no_gradient_to_clip(reviews, vectors, watch, tmp_path):
    """Check that a frozen embedding does not count in the gradient norm, which scales all gradients."""
    hf_rnn.train(run_config(reviews, tmp_path / "frozen", vectors, vectors_frozen_epochs=1, max_steps=1))
    config = run_config(reviews, tmp_path / "detached", vectors, max_steps=1)
    embed = hf_rnn.RNNModel.embed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hf_rnn.RNNModel, "embed", lambda self, ids: embed(self, ids).detach())
        hf_rnn.train(config)
    frozen, detached = (load_file(tmp_path / name / "model.safetensors") for name in ("frozen", "detached"))
    # A step is about as large as the learning rate, 2e-3. The tolerance allows another order of sums in threads.
    for name in frozen:
        torch.testing.assert_close(frozen[name], detached[name], rtol=0, atol=1e-4)


@pytest.mark.parametrize("frozen", [0, 2])
def test_a_run_goes_on_though_the_vectors_are_gone(frozen, reviews, vectors, tmp_path):
    file = shutil.copy(vectors, tmp_path / "gone.vec")
    training = {"num_train_epochs": 3, "load_best_model_at_end": False, "save_total_limit": 9}
    training["vectors_frozen_epochs"] = frozen
    # Step 13 is within the second epoch of 9 steps.
    training |= {"save_strategy": "steps", "save_steps": 13}
    whole = hf_rnn.train(run_config(reviews, tmp_path / "whole", file, **training))
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for name in ("model.safetensors", "metrics.json", "config.json", "checkpoint-26", "checkpoint-27"):
        path = tmp_path / "cut" / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    file.unlink()
    cut = hf_rnn.train(run_config(reviews, tmp_path / "cut", file, resume=True, **training))
    assert cut["run"]["vectors"] == whole["run"]["vectors"] is not None
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_factor_slows_the_embedding_down_and_nothing_else(reviews, vectors, tmp_path):
    weights = {}
    for factor in (1.0, 0.1):
        training = {"max_steps": 1, "embedding_lr_factor": factor, "max_grad_norm": 0, "warmup_steps": 0}
        hf_rnn.train(run_config(reviews, tmp_path / str(factor), vectors, **training))
        weights[factor] = load_file(tmp_path / str(factor) / "model.safetensors")
    # The first step of Adam moves each weight with a gradient by its learning rate.
    fast, slow = (weights[factor].pop("model.embed_tokens.weight") for factor in (1.0, 0.1))
    assert (fast - slow).abs().max().item() == pytest.approx(0.9 * 0.01, rel=1e-3)
    assert all(torch.equal(weights[1.0][name], weights[0.1][name]) for name in weights[1.0])


def test_the_spread_is_that_of_an_embedding_which_begins_with_nothing(reviews, words, tmp_path):
    """Check the scale of the vectors; a single number has no spread and is not scaled."""
    alone, (one, two, *_) = tmp_path / "one.txt", words
    alone.write_text(f"{one} 3.0\n")
    frozen = {"vectors_frozen_epochs": 1, "max_steps": 1}
    metrics = hf_rnn.train(run_config(reviews, tmp_path / "one", alone, {"initializer_range": 0.5}, **frozen))
    assert metrics["run"]["vectors"]["scale"] == 1
    assert set(embedding(tmp_path / "one")[1:, 0].tolist()) == {3.0}
    alone.write_text(f"{one} 3.0\n{two} 1.0\n")
    metrics = hf_rnn.train(run_config(reviews, tmp_path / "two", alone, {"initializer_range": 0.5}, **frozen))
    assert metrics["run"]["vectors"]["scale"] == 0.5


def test_the_standard_deviation_of_the_vectors_is_a_setting(reviews, vectors, words, tmp_path):
    config = run_config(reviews, tmp_path / "model", vectors, {"vectors_std": 0.4}, vectors_frozen_epochs=9)
    hf_rnn.train(config)
    vocabulary = hf_rnn.load_tokenizer(str(tmp_path / "model")).get_vocab()
    of_words = embedding(tmp_path / "model")[[vocabulary[word] for word in words]]
    assert of_words.std(correction=0).item() == pytest.approx(0.4, rel=1e-4)


def test_a_width_that_somebody_wrote_is_that_of_the_vectors(reviews, vectors, tmp_path):
    with pytest.raises(
        UserError, match=r"embedding_size=16, and the vectors of '.*tiny\.vec' have a width of 6: leave"
    ):
        hf_rnn.train(run_config(reviews, tmp_path / "no", vectors, {"embedding_size": 16}))
    assert not (tmp_path / "no").exists()
    hf_rnn.train(run_config(reviews, tmp_path / "yes", vectors, {"embedding_size": WIDTH}, max_steps=1))
    assert embedding(tmp_path / "yes").shape[1] == WIDTH


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({"vectors": "nowhere.txt"}, {}, r"model\.vectors='nowhere\.txt': there is no such file"),
        ({"vectors": ""}, {}, r"model\.vectors='': there is no such file"),
        ({"pretrained": "lm"}, {}, r"model\.vectors=.* and model\.pretrained='lm' both bring vectors"),
        ({}, {"vectors_frozen_epochs": -1}, "vectors_frozen_epochs=-1 must be 0 or greater"),
        ({"vectors": None}, {"vectors_frozen_epochs": 1}, r"vectors_frozen_epochs=1 .*without model\.vectors"),
        ({"vectors_std": 0.0}, {}, r"vectors_std=0\.0 must be greater than 0, such as 0\.4"),
        ({"vectors": None}, {"freeze_vectors": True}, r"freeze_vectors=True keeps .* none: leave it out, or name"),
        (
            {},
            {"freeze_vectors": True, "embedding_lr_factor": 0.1},
            r"freeze_vectors=True does not train .*embedding_lr_factor=0\.1 trains it slowly: leave one of them out",
        ),
        (
            {},
            {"freeze_vectors": True, "vectors_frozen_epochs": 1},
            r"frozen_epochs=1 trains the embedding later: leave one",
        ),
        ({"vectors": None, "vectors_std": 0.4}, {}, r"vectors_std=0\.4 scales pretrained vectors, and there are none"),
    ],
)
def test_settings_that_cannot_hold(model, training, message, reviews, vectors, tmp_path):
    with pytest.raises(UserError, match=message):
        hf_rnn.train(run_config(reviews, tmp_path / "model", vectors, model, **training))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("model", "tokenizer", "message"),
    [
        (
            {"vectors": None},
            {"vector_words": 9},
            r"vector_words=9 takes words of pretrained vectors, and there are none",
        ),
        ({}, {"vector_words": -1}, r"vector_words=-1 must be 0 \(none\) or greater"),
        ({}, {"vector_words": 9, "rare_tokens": 9}, r"vector_words=9 and tokenizer\.rare_tokens=9 both extend"),
        ({}, {"vector_words": 9, "kind": "bpe"}, r"vector_words=9 are whole words, and .* the kind bpe has entries"),
        ({}, {"vector_words": 9, "kind": None}, r"leave tokenizer\.vector_words out, or write one of word, whitespace"),
    ],
)
def test_words_of_vectors_that_cannot_be_entries(model, tokenizer, message, reviews, vectors, tmp_path):
    config = run_config(reviews, tmp_path / "model", vectors, {"wide_ngrams": 50, **model})
    config["tokenizer"] = {"kind": "word", "vocab_size": 60, **tokenizer}
    with pytest.raises(UserError, match=message):
        hf_rnn.train(config)
    assert not (tmp_path / "model").exists()


def test_vectors_of_another_language_leave_an_older_run_alone(reviews, vectors, tmp_path):
    hf_rnn.train(run_config(reviews, tmp_path / "model", vectors, max_steps=1))
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    other = write(tmp_path / "other.vec", {"слово": vector(1)})
    with pytest.raises(UserError, match=r"'other\.vec' has none of the .* words such as 'слово'"):
        hf_rnn.train(run_config(reviews, tmp_path / "model", other, overwrite=True))
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before


def test_the_command_line(reviews, vectors, tmp_path, capsys):
    arguments = options(reviews, tmp_path / "model", 16, **{"model.vectors": vectors})
    assert main(["train", *arguments]) == 1
    assert "--model.embedding_size 16, and the vectors" in capsys.readouterr().err
    arguments = [argument for argument in arguments if "embedding_size" not in argument]
    assert main(["train", *arguments, "--training.max_steps=1"]) == 0
    assert embedding(tmp_path / "model").shape[1] == WIDTH


def test_a_stream_of_rows_has_the_vectors_of_its_first_ones(reviews, vectors, words, tmp_path):
    for split in ("train", "validation"):
        (tmp_path / "data").mkdir(exist_ok=True)
        shutil.copy(reviews, tmp_path / "data" / f"{split}.csv")
    more = {"max_steps": 2, "eval_strategy": "steps", "save_strategy": "steps"}
    config = run_config(tmp_path / "data", tmp_path / "model", vectors, **more)
    config["data"] |= {"streaming": True, "streaming_sample": 100}
    config["training"] |= {"eval_steps": 2, "save_steps": 2}
    report = hf_rnn.train(config)["run"]["vectors"]
    assert 0 < report["found"] <= len(words)
    assert embedding(tmp_path / "model").shape[1] == WIDTH


@pytest.mark.slow
def test_a_tagger_begins_with_vectors(tagged, tmp_path):
    rows, vectors = tagged
    config = tagger_config(rows, vectors, tmp_path / "model", vectors_frozen_epochs=1)
    report = hf_rnn.train(config)["run"]["vectors"]
    assert report["ways"]["mean of its words"] >= 2
    point = hf_rnn.load_tokenizer(str(tmp_path / "model")).get_vocab()["."]
    torch.testing.assert_close(embedding(tmp_path / "model")[point], report["scale"] * torch.tensor(vector(4)))


def tagger_config(rows, vectors, folder, tokenizer=None, **training) -> dict:
    return {
        "task": "token_classification",
        "data": {"path": str(rows)},
        "tokenizer": {"vocab_size": 70, **(tokenizer or {})},
        "model": {"vectors": str(vectors), "hidden_size": 8, "character_encoder": "cnn"},
        "training": {"output_dir": str(folder), "disable_tqdm": True, "num_train_epochs": 1, **training},
    }


@pytest.fixture
def tagged(tmp_path):
    """Return a file of tagged sentences, and one of vectors of their words and of words that they lack."""
    rows = write_jsonl(tmp_path / "rows.jsonl", sentences(60))
    words = ["lives", "anna", "zanzibar", "timbuktu", "."]
    return rows, write(tmp_path / "v.txt", {word: vector(number) for number, word in enumerate(words)})


def test_words_of_the_vectors_become_entries_and_a_frozen_embedding_keeps_them(tagged, tmp_path, capsys):
    frozen = {"freeze_vectors": True, "num_train_epochs": 2, "averaging": "ema"}
    hf_rnn.train(tagger_config(*tagged, tmp_path / "model", {"vector_words": 4}, **frozen))
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "model"))
    vocabulary, weights = tokenizer.get_vocab(), embedding(tmp_path / "model")
    assert len(vocabulary) == len(weights) > 70
    assert tokenizer.tokenize("Zanzibar TIMBUKTU timbuktu zanzibarian")[:3] == ["Zanzibar", "TIMBUKTU", "timbuktu"]
    report = json.loads((tmp_path / "model" / "metrics.json").read_text())["run"]["vectors"]
    for word, number in (("Zanzibar", 2), ("ZANZIBAR", 2), ("timbuktu", 3)):
        torch.testing.assert_close(weights[vocabulary[word]], report["scale"] * torch.tensor(vector(number)))
    assert f"of {len(vocabulary) - 4} entries of the vocabulary" in capsys.readouterr().out
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    learnt = "learnt from the training rows and from the first 4 words of the vectors"
    assert f"Tokens: words, rare ones in pieces, {learnt}" in card
    # The spelling of the words is known too.
    model = hf_rnn.RNNForTokenClassification.from_pretrained(tmp_path / "model")
    assert bytes(model.characters.spelling[vocabulary["Zanzibar"]].tolist()).rstrip(b"\0") == b"Zanzibar"
    assert hf_rnn.Predictor.from_pretrained(str(tmp_path / "model"))(["Anna lives in Zanzibar ."])


def test_words_that_no_row_has_become_entries_after_the_training(tagged, tmp_path, capsys):
    rows, vectors = tagged
    config = tagger_config(
        rows, vectors, tmp_path / "whole", {"vector_words": 4}, num_train_epochs=2, save_total_limit=9
    )
    results = hf_rnn.train(config)
    trained = load_folder(tmp_path / "whole" / "checkpoint-4")
    vocabulary, weights, spelling = load_folder(tmp_path / "whole")
    # All rows begin with capital letters, and the words of the vectors are in lower case.
    assert not {"anna", "Zanzibar", "timbuktu"} & {*trained[0]}
    later = ["Lives", "LIVES", "anna", "ANNA", "zanzibar", "Zanzibar", "ZANZIBAR", "timbuktu", "Timbuktu", "TIMBUKTU"]
    assert [*vocabulary][len(trained[0]) :] == [word for word in later if word not in trained[0]]
    assert results["run"]["vectors"]["added_later"] == len(vocabulary) - len(trained[0])
    for word, number in (("Zanzibar", 2), ("ZANZIBAR", 2), ("timbuktu", 3)):
        scaled = results["run"]["vectors"]["scale"] * torch.tensor(vector(number))
        torch.testing.assert_close(weights[vocabulary[word]], scaled)
        assert bytes(spelling[vocabulary[word]].tolist()).rstrip(b"\0") == word.encode()
    torch.testing.assert_close(weights[: len(trained[0])], trained[1])
    out = capsys.readouterr().out
    assert f"; {len(vocabulary) - len(trained[0])} that no row has become entries after the training" in out
    assert f"further words of the vectors, which no row has, are among the {len(vocabulary)} entries" in out
    # Killed after training, and in the middle of it.
    for steps in (4, 2):
        cut = tmp_path / f"cut-{steps}"
        shutil.copytree(tmp_path / "whole", cut)
        (cut / "model.safetensors").unlink()
        for newer in cut.glob("checkpoint-*"):
            if int(newer.name.partition("-")[2]) > steps:
                shutil.rmtree(newer)
        config["training"] |= {"output_dir": str(cut), "resume": True}
        assert hf_rnn.train(config)["run"]["vectors"] == results["run"]["vectors"]
        assert_same_run(tmp_path / "whole", cut)
    (cut / "model.safetensors").unlink()
    vectors.unlink()
    with pytest.raises(UserError, match=r"v\.txt"):
        hf_rnn.train(config)


def test_a_tagger_is_evaluated_with_the_tokens_that_it_was_trained_on(tagged, tmp_path):
    rows, vectors = tagged
    lines = rows.read_text().splitlines()
    # WordPiece begins these words with an entry that no row has as a word.
    longer = ["Zanzibars", "Timbuktuan"]
    lines += [json.dumps({"tokens": [word, "lives", "."], "ner_tags": ["B-LOC", "O", "O"]}) for word in longer] * 9
    (tmp_path / "data").mkdir()
    for split in ("train", "validation", "test"):
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    config = tagger_config(tmp_path / "data", vectors, tmp_path / "model", {"vector_words": 4}, num_train_epochs=9)
    results = hf_rnn.train(config)
    before, after = (
        hf_rnn.load_tokenizer(str(folder))
        for folder in (max((tmp_path / "model").glob("checkpoint-*")), tmp_path / "model")
    )
    assert before.tokenize("Zanzibars lives") == after.tokenize("Zanzibars lives")
    assert after.tokenize("Zanzibars")[0] == "Zanzibar"
    for split in ("validation", "test"):
        evaluated = hf_rnn.evaluate(str(tmp_path / "model"), split=split)
        assert evaluated["accuracy"] == results[split]["accuracy"]


def load_folder(folder) -> tuple[dict[str, int], torch.Tensor, torch.Tensor]:
    """Return the vocabulary in the order of its ids, the embedding, and the table of spellings."""
    vocabulary = hf_rnn.load_tokenizer(str(folder)).get_vocab()
    model = hf_rnn.RNNForTokenClassification.from_pretrained(folder)
    ordered = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
    return ordered, model.get_input_embeddings().weight.detach(), model.characters.spelling


def test_a_run_whose_embedding_is_frozen_throughout_goes_on_as_if_it_had_not_stopped(tagged, tmp_path):
    rows, vectors = tagged
    frozen = {"freeze_vectors": True, "num_train_epochs": 2, "averaging": "ema", "save_total_limit": 9}
    config = tagger_config(rows, vectors, tmp_path / "whole", {"vector_words": 4}, **frozen)
    hf_rnn.train(config)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    newest = max((tmp_path / "cut").glob("checkpoint-*"), key=lambda folder: int(folder.name.rpartition("-")[2]))
    shutil.rmtree(newest)
    config["training"] |= {"output_dir": str(tmp_path / "cut"), "resume": True}
    hf_rnn.train(config)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    config["training"] |= {"freeze_vectors": False, "num_train_epochs": 3}
    with pytest.raises(UserError, match=r"begun with training\.freeze_vectors=True, and this is False: resume it with"):
        hf_rnn.train(config)


def test_few_words_with_a_vector_in_a_frozen_embedding_are_warned_of(reviews, vectors, tiny_run, caplog, tmp_path):
    vocabulary = hf_rnn.load_tokenizer(str(tiny_run)).get_vocab()
    most = write(tmp_path / "most.vec", {word: vector(id_) for word, id_ in vocabulary.items() if id_ > 3})
    for file, warned in ((vectors, True), (most, False)):
        caplog.clear()
        config = run_config(reviews, tmp_path / file.stem, file, freeze_vectors=True, max_steps=1)
        report = hf_rnn.train(config)["run"]["vectors"]
        assert (report["tokens"] < 0.5) == warned
        said = (
            f"{1 - report['tokens']:.1%} of the running tokens have no vector and keep a random one, because training.f"
        )
        assert (said in caplog.text) == warned


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_a_language_model_begins_with_vectors(tied, reviews, vectors, words, tmp_path):
    config = run_config(reviews, tmp_path / "model", vectors, {"tie_word_embeddings": tied}, vectors_frozen_epochs=9)
    metrics = hf_rnn.train({**config, "task": "language_modeling"})
    report = metrics["run"]["vectors"]
    assert report["found"] == len(words)
    vocabulary = hf_rnn.load_tokenizer(str(tmp_path / "model")).get_vocab()
    trained = embedding(tmp_path / "model")
    for word, row in words.items():
        torch.testing.assert_close(trained[vocabulary[word]], report["scale"] * torch.tensor(row))


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_a_translator_begins_with_vectors_of_both_languages(shared, tmp_path):
    pytest.importorskip("sacrebleu")
    write_jsonl(tmp_path / "rows.jsonl", pairs(60))
    both = {word: vector(i) for i, word in enumerate([*NUMBERS, *NUMBERS.values(), "."])}
    file = write(tmp_path / "v.txt", both)
    settings = {"disable_tqdm": True, "num_train_epochs": 1, "vectors_frozen_epochs": 1}
    config = {
        "task": "translation",
        "data": {"path": str(tmp_path / "rows.jsonl"), "text_column": "en", "label_column": "de"},
        "tokenizer": {"kind": "word", "min_frequency": 1},
        "model": {"vectors": str(file), "hidden_size": 8, "share_embeddings": shared},
        "training": {"output_dir": str(tmp_path / "model"), **settings},
    }
    report = hf_rnn.train(config)["run"]["vectors"]
    assert report["types"] == report["tokens"] == 1
    weights = load_file(tmp_path / "model" / "model.safetensors")
    vocabulary = hf_rnn.load_tokenizer(str(tmp_path / "model")).get_vocab()
    for name in ("model.embed_tokens.weight", *(() if shared else ("decoder_embed_tokens.weight",))):
        drei = report["scale"] * torch.tensor(both["drei"])
        torch.testing.assert_close(weights[name][vocabulary["drei"]], drei)


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_begin_with_the_same_vectors_and_freeze_them(reviews, vectors, tmp_path):
    more = {"model.vectors": vectors, "model.embedding_size": WIDTH, "training.vectors_frozen_epochs": 1}
    assert main(["train", *options(reviews, tmp_path / "one", 16, **more)]) == 0
    ended = torchrun(2, *options(reviews, tmp_path / "two", 8, **more))
    assert ended.returncode == 0, ended.stderr
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], rtol=0, atol=1e-6) for name in one)
    first, second = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    assert first["run"]["vectors"] == second["run"]["vectors"]
    assert ended.stdout.count("running tokens") == 1
