"""Tests of the texts that are made from those of a corpus."""

import os
import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from support.reviews import made_up_reviews
from support.vector_files import lines

from hf_rnn.text.augmentation import METHODS, Augmenter, Corpus, Replace, words_of
from hf_rnn.utils.errors import ConfigError, DataError

REVIEWS = [(text,) for text in made_up_reviews(300)["text"]]
CHINESE = [
    ("这部电影很好看，我喜欢。",),
    ("这本书不好看，我讨厌它。",),
    ("那首歌很好听！",),
    ("我不喜欢这部电影。",),
    ("他不喜欢那本书。",),
]
PAIRS = [
    ("is the film good ?", "the film was superb ."),
    ("is the book bad ?", "i read the whole film ."),
    ("was the film bad ?", "it was dull ."),
    ("why ?", ""),
]
WITHOUT_VECTORS = [method for method in METHODS if method != "vectors"]


def draw(texts, methods, count=50, seed=0, **settings):
    return Augmenter(texts, methods, seed, **settings).draw(count)


def vectors_of(tmp_path, words):
    file = tmp_path / "vectors.txt"
    file.write_text(lines(words=words), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("methods", [*([method] for method in WITHOUT_VECTORS), WITHOUT_VECTORS], ids=str)
@pytest.mark.parametrize("texts", [REVIEWS, CHINESE, PAIRS], ids=["english", "chinese", "pairs"])
def test_new_texts_differ_from_each_other_and_from_the_corpus_and_are_not_empty(texts, methods):
    made = draw(texts, methods)
    assert made
    assert len(set(made)) == len(made)
    assert not set(made) & set(texts)
    assert all(len(text) == len(texts[0]) and all(part.strip() == part != "" for part in text) for text in made)


def test_a_longer_draw_begins_with_a_shorter_one():
    augmenter = Augmenter(REVIEWS, WITHOUT_VECTORS, seed=3)
    longer = augmenter.draw(120)
    assert len(longer) == 120
    assert augmenter.draw(40) == longer[:40]
    assert draw(REVIEWS, WITHOUT_VECTORS[::-1], 120, seed=3) == longer
    assert draw(REVIEWS, WITHOUT_VECTORS, 120, seed=4) != longer


@pytest.mark.slow
def test_another_process_with_other_hashes_draws_the_same_texts(tmp_path):
    vectors = vectors_of(tmp_path, {"good": [1, 0.1], "great": [1, 0.2], "bad": [-1, 0.3], "the": [0, 1]})
    texts = [*REVIEWS[:50], *CHINESE]
    code = (
        "from hf_rnn.text.augmentation import METHODS, Augmenter\n"
        f"print(ascii(Augmenter({texts!r}, METHODS, 0, mask='[MASK]', vectors={vectors!r}).draw(200)))"
    )
    hashes = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    made = draw(texts, METHODS, 200, mask="[MASK]", vectors=vectors)
    assert len(made) == 200
    assert result.stdout.strip() == ascii(made)


def test_the_mask_stands_for_a_tenth_of_the_words():
    made = draw(REVIEWS, ["mask"], 2000, mask="[MASK]")
    words = [word for (text,) in made for word in text.split()]
    # Unchanged texts are discarded, so the share is above 0.1.
    assert 0.1 < words.count("[MASK]") / len(words) < 0.2
    originals = {len(text.split()) for (text,) in REVIEWS}
    assert {len(text.split()) for (text,) in made} <= originals


def test_without_a_mask_words_are_dropped():
    made = draw([("one two three four",)], ["mask"])
    assert ("one three four",) in made
    assert ("two three four",) in made
    assert all(text.split() == sorted(text.split(), key="one two three four".index) for (text,) in made)


def test_a_word_is_replaced_by_words_of_the_same_context_by_their_counts():
    texts = [("so dull .",)] * 9 + [("so long .",)] * 3 + [("so good .",), ("very fine .",), ("so so",)]
    replace, random = Replace(Corpus(texts)), Random(0)
    counts = Counter(replace(words_of("so good ."), 1, random) for _ in range(4000))
    assert counts.keys() == {"dull", "long"}
    assert counts["dull"] / counts["long"] == pytest.approx(3, rel=0.2)
    assert replace(words_of("very fine ."), 1, random) == "fine"
    assert replace(words_of("so unheard ."), 1, random) == "unheard"


def test_replaced_words_stand_between_the_same_neighbours():
    texts = [("a good film .",), ("a dull film .",), ("i saw a good film .",), ("i saw a long book .",)]
    assert draw(texts, ["replace"]) == [("i saw a dull film .",)]


def test_near_words_have_near_vectors_and_another_spelling_is_not_near(tmp_path):
    words = {"good": [1, 0.1], "great": [1, 0.15], "bad": [-1, 0.3], "awful": [-1, 0.35]}
    vectors = vectors_of(tmp_path, words)
    augmenter = Augmenter([("Good good bad great awful unheard",)], ["vectors"], 0, vectors=vectors)
    (method,) = augmenter.of_words
    near = {word: [method.words[row] for row in rows] for word, rows in zip(method.words, method.near, strict=True)}
    assert near["good"] == ["great", "awful", "bad"]
    assert near["bad"][0] == "awful"
    assert "Good" in near["great"]
    made = augmenter.draw(30)
    assert made
    assert all(text.endswith(" unheard") for (text,) in made)


def test_an_ngram_has_one_to_five_words_of_a_text_in_a_row():
    made = draw(REVIEWS, ["ngram"], 400)
    assert {len(words_of(text)) for (text,) in made} == {1, 2, 3, 4, 5}
    assert all(any(text in whole for (whole,) in REVIEWS) for (text,) in made)


def test_a_span_has_at_least_a_third_of_the_text():
    text = "a b c d e f g h i j k l"
    made = draw([(text,)], ["span"], 100)
    assert {len(span.split()) for (span,) in made} == set(range(4, 12))
    assert all(span in text for (span,) in made)


def test_joined_texts_have_a_space_between_them_only_where_the_script_has_spaces():
    made = draw([("good film",), ("bad book",)], ["join"])
    assert ("good film bad book",) in made
    assert all(" " not in text for (text,) in draw(CHINESE, ["join"]))


@pytest.mark.parametrize("methods", [[method] for method in WITHOUT_VECTORS], ids=str)
def test_chinese_texts_get_no_spaces(methods):
    made = draw(CHINESE, methods, mask="[MASK]")
    assert all(" " not in text for (text,) in made)


def test_of_a_pair_the_first_text_the_second_or_both_are_changed():
    made = draw(PAIRS, ["mask", "span"], 200, mask="[MASK]")
    firsts, seconds = ({pair[part] for pair in PAIRS} for part in (0, 1))
    assert {(first in firsts, second in seconds) for first, second in made} >= {
        (True, False),
        (False, True),
        (False, False),
    }
    assert all(second and first for first, second in made)


@pytest.mark.parametrize("text", ["", " \n", "good", "好", "👩‍👩‍👧", "!"])
def test_hardly_any_text_ends_the_draw(text):
    made = draw([(text,)], WITHOUT_VECTORS, 10**6, mask="<mask>")
    assert all(part.strip() for (part,) in made)
    assert len(made) < 1000


def test_an_empty_corpus_gives_no_texts(tmp_path):
    vectors = vectors_of(tmp_path, {"good": [1, 2]})
    assert draw([], METHODS, vectors=vectors) == []


def test_known_texts_are_not_made_again():
    made = draw([("one two three",)], ["span"], 10)
    assert set(made) == {("one two",), ("two three",)}
    assert Augmenter([("one two three",)], ["span"], 0).draw(10, known=[(" one two",)]) == [("two three",)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It isn't good, is it?!", ["It", "isn't", "good", ",", "is", "it", "?!"]),
        ("star-power of Anaïs", ["star-power", "of", "Anaïs"]),
        ("nai\u0308ve हिन्दी", ["nai\u0308ve", "हिन्दी"]),
        ("iPhone很好用。", ["iPhone", "很", "好", "用", "。"]),
        ("ดีมาก", ["ดี", "ม", "า", "ก"]),
        ("fine 👩‍👩‍👧👍🏽\n\n\tyes", ["fine", "👩‍👩‍👧👍🏽", "yes"]),
        ("  ", []),
    ],
)
def test_words_with_their_spaces_give_the_text_again(text, words):
    parts = words_of(text)
    assert [word for _, word in parts] == words
    assert "".join(space + word for space, word in parts) == text.strip()


def test_line_breaks_stay_where_no_word_is_changed():
    made = draw([("first line\n\nsecond line 🙂",)], ["mask"], mask="_")
    assert any("\n\n" in text for (text,) in made)


def test_an_unknown_method_names_the_nearest_one():
    with pytest.raises(ConfigError, match=r"distil.augment='masks' is not one of mask, replace.*='mask'\?"):
        Augmenter(REVIEWS, ["masks"], 0)


def test_no_method_names_all_of_them():
    with pytest.raises(ConfigError, match=r"distil.augment=\[\] names no method: write one or more of mask, replace,"):
        Augmenter(REVIEWS, [], 0)


def test_vectors_without_a_file_name_the_setting():
    with pytest.raises(ConfigError, match=r"'vectors', and no pretrained vectors are named: write model.vectors=FILE"):
        Augmenter(REVIEWS, ["vectors"], 0)


def test_vectors_of_another_language_are_an_error(tmp_path):
    vectors = vectors_of(tmp_path, {"好": [1, 2], "坏": [2, 1]})
    with pytest.raises(DataError, match=r"has vectors for 0 of the [\d,]+ most frequent words of the transfer text"):
        Augmenter(REVIEWS, ["vectors"], 0, vectors=vectors)
