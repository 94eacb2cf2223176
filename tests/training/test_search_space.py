import random

import pytest

from hf_rnn.training.run_config import parse_run, run_parser, with_values
from hf_rnn.training.search_space import SPACES, Range, SearchSpace, Start


def space_of(task: str, megabytes: float | None = None, words: float = 5, **values) -> SearchSpace:
    start = run_parser().get_defaults()
    start.task = task
    start["tokenizer.kind"] = "word" if task == "text_classification" else "wordpiece"
    for key, value in values.items():
        start[key.replace("__", ".")] = value
    return SearchSpace(task, frozenset(), Start(start, words, megabytes))


@pytest.mark.parametrize("task", SPACES)
@pytest.mark.parametrize("megabytes", [None, 1.0])
def test_random_values_make_runs_that_are_valid(task, megabytes):
    space = space_of(task, megabytes, model__wide_ngrams=1000 if task == "text_classification" else 0)
    run, _ = parse_run({"task": task, "preset": "none"})
    for seed in range(6):
        drawn = space.drawn(random.Random(seed), share=0.7)
        with_values(run, {name.partition(" ")[0]: value for name, value in drawn.items()})


@pytest.mark.parametrize("task", SPACES)
def test_every_setting_has_a_reason_and_a_key_of_a_run(task):
    keys = set(run_parser().get_defaults().keys())
    for setting in SPACES[task]:
        assert setting.key in keys
        assert setting.why.endswith(".")


def test_the_default_is_among_the_values():
    space = space_of("text_classification", model__hidden_size=1000, model__classifier_dropout=0.9)
    assert space.drawn(random.Random(0), share=0.0)["model.hidden_size"] == 1000
    dropout = next(each for each in space.settings if each.key == "model.classifier_dropout")
    assert 0.9 in dropout.around(0.9, space.start)
    assert 0.9 not in Range(0.0, 0.7)


def test_settings_apply_where_they_have_an_effect():
    assert "training.vectors_frozen_epochs" not in space_of("text_classification").keys
    with_vectors = space_of("text_classification", model__vectors="glove.txt").keys
    assert "training.vectors_frozen_epochs" in with_vectors
    frozen = {"model__vectors": "glove.txt", "tokenizer__vector_words": 50_000, "training__freeze_vectors": True}
    with_words = space_of("text_classification", **frozen)
    training = {"training.vectors_frozen_epochs", "training.embedding_lr_factor"}
    assert training <= {*with_vectors}
    assert not (training | {"tokenizer.vector_words"}) & {*with_words.keys}
    small = space_of("text_classification", megabytes=2.0, model__wide_ngrams=1000, **frozen)
    assert small.smallest()["tokenizer.vector_words"] == 0
    # Rare tokens and words of vectors contradict each other.
    drawn = [small.drawn(random.Random(seed), share=0.9) for seed in range(40)]
    assert any(each["tokenizer.vector_words"] for each in drawn if "tokenizer.vector_words" in each)
    assert not any(each.get("tokenizer.vector_words") and each.get("tokenizer.rare_tokens") for each in drawn)
    assert "model.embedding_size" not in with_vectors
    on_encoder = space_of("text_classification", model__pretrained="encoder", tokenizer__kind=None).keys
    assert "model.pooling" in on_encoder
    assert not {"model.hidden_size", "model.cell_type", "tokenizer.kind", "tokenizer.vocab_size"} & set(on_encoder)
    assert "training.num_train_epochs" not in space_of("text_classification", training__max_steps=10).keys


@pytest.mark.parametrize("key", ["tokenizer.vector_words", "tokenizer.rare_tokens"])
def test_no_kind_of_tokenizer_is_searched_that_contradicts_what_somebody_wrote(key):
    start = space_of("text_classification", 1.0, model__wide_ngrams=1000, model__vectors="glove.txt").start
    given = SearchSpace("text_classification", frozenset({key}), start)
    assert "tokenizer.kind" not in given.keys
    assert ("model.wide_ngrams" in given.keys) == (key == "tokenizer.vector_words")


def test_characters_are_tokens_of_short_texts_only():
    (kind,) = (each for each in SPACES["text_classification"] if each.key == "tokenizer.kind")
    for words, has_characters in ((3, True), (30, False)):
        start = space_of("text_classification", words=words).start
        assert ("char" in kind.around("word", start)) == has_characters
