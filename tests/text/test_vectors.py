"""Tests of the search for pretrained vectors of a vocabulary."""

import json

import numpy as np
import pytest
from support.vector_files import TABLE, WORDS, lines, make_bert, make_model2vec

import hf_rnn
from hf_rnn.text.vector_sources import open_vectors
from hf_rnn.text.vectors import find_vectors, words_of
from hf_rnn.utils.errors import UserError


def found(tmp_path, texts, vectors: dict, data=None, seed=0, **tokenizer):
    """Return the search result for a tokenizer of the texts, and the vector of each token."""
    (tmp_path / "v.txt").write_bytes(lines(words=vectors).encode() if data is None else data)
    tokenizer = hf_rnn.train_tokenizer(texts, min_frequency=1, show_progress=False, **{"kind": "word", **tokenizer})
    ids = [id_ for row in tokenizer(texts)["input_ids"] for id_ in row]
    counts = np.bincount(ids, minlength=len(tokenizer))
    result = find_vectors(open_vectors(str(tmp_path / "v.txt")), "v.txt", tokenizer, texts, counts, seed)
    return result, {token: result.matrix[id_].tolist() for token, id_ in tokenizer.get_vocab().items()}


def test_words_are_tried_as_written_then_in_other_forms(tmp_path):
    vectors = {"Good": [1], "good": [2], "paris": [3], "Berlin": [4], "0000": [5], "##": [6], "USA": [7]}
    texts = ["Good good PARIS berlin 1984 42 USA usa"]
    result, by_word = found(tmp_path, texts, vectors)
    expected = {"Good": 1, "good": 2, "PARIS": 3, "berlin": 4, "1984": 5, "42": 6, "USA": 7}
    assert {word: by_word[word] for word in expected} == {word: [number] for word, number in expected.items()}
    assert result.report["ways"] == {
        "as written": 3,
        "in lower case": 1,
        "capitalized": 1,
        "with digits as 0": 1,
        "with digits as #": 1,
    }
    # `usa` has no vector, because its capitalized form `Usa` is not `USA`.
    assert result.report["found"] == 7
    assert result.report["types"] == result.report["tokens"] == 7 / 8


@pytest.mark.parametrize(
    ("words", "lowercase", "expected"),
    [
        ("the bonn 12 éire", False, "the The THE bonn Bonn BONN 12 éire Éire ÉIRE"),
        ("the bonn 12 éire", True, "the bonn 12 éire"),
        ("the Bonn bonn", False, "the Bonn bonn"),
        ("<UNK> " + " ".join(f"w{n}" for n in range(100)), True, "<UNK> " + " ".join(f"w{n}" for n in range(100))),
        (
            "<UNK> " + " ".join(f"w{n}" for n in range(100)),
            False,
            "<UNK> <unk> " + " ".join(f"w{n} W{n}" for n in range(100)),
        ),
    ],
)
def test_words_of_vectors_without_capital_letters_have_their_capitalized_forms(words, lowercase, expected, tmp_path):
    (tmp_path / "v.txt").write_text(lines(words={word: [1, 2] for word in [*words.split(), "later"]}), encoding="utf-8")
    source = open_vectors(str(tmp_path / "v.txt"))
    found, with_forms = words_of(source, len(words.split()), lowercase)
    assert found == expected.split()
    assert with_forms == (len(found) > len(words.split()))


def test_a_word_that_became_an_entry_has_its_own_vector(tmp_path):
    vectors = {"bonn": [1, 2], "bonner": [7, 7]}
    (tmp_path / "v.txt").write_bytes(lines(words=vectors).encode())
    texts = ["Bonner"] * 3 + ["der"] * 9
    tokenizer = hf_rnn.train_tokenizer(texts, "wordpiece", 16, show_progress=False, words=["Bonn"])
    source, counts = open_vectors(str(tmp_path / "v.txt")), np.ones(len(tokenizer), dtype=int)
    bonn = tokenizer.get_vocab()["Bonn"]
    for words, expected in (([], [7, 7]), (["Bonn"], [1, 2])):
        matrix = find_vectors(source, "v.txt", tokenizer, ["Bonner"], counts, 0, words=words).matrix
        assert matrix[bonn].tolist() == expected


def test_the_report_counts_types_and_running_tokens(tmp_path):
    texts = ["good good good bad", "so so unheard"]
    result, by_word = found(tmp_path, texts, {"good": [1, 2], "bad": [3, 4]}, vocab_size=7)
    assert "unheard" not in by_word
    report = result.report
    assert (report["source"], report["format"], report["width"], report["entries"]) == ("v.txt", "text", 2, 3)
    # The types are good, so and bad. `unheard` is an unknown token.
    assert report["types"] == pytest.approx(2 / 3)
    assert report["tokens"] == pytest.approx(4 / 7)
    line = result.summary()
    assert "v.txt (text, width 2): found for 66.7% of 3 entries of the vocabulary, 57.1% of the running tokens" in line
    assert json.loads(json.dumps(report)) == report


def test_rare_tokens_of_a_wide_path_have_no_vectors_and_count_as_running_tokens_without_one(tmp_path):
    file = tmp_path / "v.txt"
    file.write_bytes(lines(words={"good": [1, 2], "fine": [3, 4]}).encode())
    texts = ["good good good bad bad fine"]
    tokenizer = hf_rnn.train_tokenizer(texts, kind="word", min_frequency=1, show_progress=False)
    assert tokenizer.convert_tokens_to_ids("fine") == len(tokenizer) - 1
    counts = np.bincount(tokenizer(texts[0])["input_ids"], minlength=len(tokenizer))
    result = find_vectors(open_vectors(str(file)), "v.txt", tokenizer, texts, counts, 0, V=len(tokenizer) - 1)
    assert result.matrix.shape == (len(tokenizer) - 1, 2)
    assert (result.report["entries"], result.report["found"], result.report["tokens"]) == (2, 1, 0.5)


def test_the_rest_starts_with_the_mean_and_spread_of_those_found(tmp_path):
    texts = [" ".join(f"w{i}" for i in range(4000))]
    generator = np.random.default_rng(1)
    vectors = {f"w{i}": generator.normal([5, -1], [2, 0.1]).tolist() for i in range(2000)}
    result, by_word = found(tmp_path, texts, vectors)
    known = np.array(list(vectors.values()))
    rest = np.array([by_word[f"w{i}"] for i in range(2000, 4000)])
    np.testing.assert_allclose(rest.mean(0), known.mean(0), atol=0.2)
    np.testing.assert_allclose(rest.std(0), known.std(0), rtol=0.1)
    np.testing.assert_allclose(by_word["w7"], vectors["w7"], rtol=1e-6)
    assert by_word["<pad>"] == [0, 0]
    assert by_word["<unk>"] != [0, 0]
    again, other = (found(tmp_path, texts, vectors, seed=seed)[0] for seed in (0, 1))
    assert np.array_equal(again.matrix, result.matrix)
    assert not np.array_equal(other.matrix, result.matrix)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
def test_a_piece_has_the_mean_of_the_words_it_is_a_part_of(kind, tmp_path):
    vectors = {"low": [1.0, 0.0], "lower": [0.0, 1.0], "lowest": [4.0, 4.0], "newer": [2.0, -2.0]}
    texts = ["low low low low lower lower newer newer newer lowest strange"] * 3
    result, _ = found(tmp_path, texts, vectors, kind=kind, vocab_size=280 if kind == "bpe" else 30)
    tokenizer = hf_rnn.train_tokenizer(
        texts, kind=kind, vocab_size=280 if kind == "bpe" else 30, min_frequency=1, show_progress=False
    )
    sums, weights = np.zeros((len(tokenizer), 2)), np.zeros(len(tokenizer))
    for word in texts[0].split():
        for piece in set(tokenizer(word)["input_ids"]):
            if word in vectors:
                sums[piece] += vectors[word]
                weights[piece] += 1
    seen = weights > 0
    assert seen.sum() > 3
    np.testing.assert_allclose(result.matrix[seen], sums[seen] / weights[seen, None], atol=1e-5)
    assert result.report["ways"]["mean of its words"] == seen.sum()


def test_a_piece_that_is_in_no_word_that_was_found_is_looked_up_by_itself(tmp_path):
    result, by_word = found(tmp_path, ["很好吃"] * 9, {"好": [1, 2], "吃": [3, 4]}, kind="unigram", vocab_size=9)
    assert by_word["好"] == [1, 2] or by_word["好吃"]
    assert result.report["ways"] == {"as written": result.report["found"]}


@pytest.mark.parametrize("kind", ["word", "char", "whitespace", "bpe", "unigram", "wordpiece"])
@pytest.mark.parametrize("make", [make_model2vec, make_bert])
def test_tables_of_pieces_compose_what_they_do_not_have_whole(make, kind, tmp_path):
    make(tmp_path / "source")
    texts = ["goodness badness good Good bad zzz"] * 3
    tokenizer = hf_rnn.train_tokenizer(texts, kind=kind, min_frequency=1, vocab_size=320, show_progress=False)
    counts = np.ones(len(tokenizer), dtype=np.int64)
    if kind == "char":
        with pytest.raises(UserError, match="has none of the"):
            find_vectors(open_vectors(str(tmp_path / "source")), "source", tokenizer, texts, counts, 0)
        return
    result = find_vectors(open_vectors(str(tmp_path / "source")), "source", tokenizer, texts, counts, 0)
    for word, vector in {
        "goodness": [2, 2, 2],
        "badness": [1, 1.25, 0.625],
        "good": WORDS["good"],
        "Good": WORDS["good"],
    }.items():
        ids = tokenizer(f"so {word}")["input_ids"][-1:] if kind == "bpe" else tokenizer(word)["input_ids"]
        if len(ids) == 1 and kind in ("word", "whitespace"):
            assert result.matrix[ids[0]].tolist() == vector
    if kind in ("word", "whitespace"):
        assert result.report["ways"] == {"as written": 2, "in lower case": 1, "composed of parts": 2}


def test_the_same_tokenizer_has_the_rows_themselves(tmp_path):
    make_bert(tmp_path / "bert")
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "bert"))
    source = open_vectors(str(tmp_path / "bert"))
    result = find_vectors(source, "bert", tokenizer, [], np.ones(len(tokenizer), dtype=np.int64), 0)
    assert result.matrix[2:].tolist() == TABLE[2:]
    assert result.matrix[0].tolist() == [0, 0, 0]
    assert result.report["ways"] == {"own row": 5}
    assert result.report["types"] == 1


@pytest.mark.parametrize("row", [[1e25, 1.0, 1.0, 2.0], [0.0] * 4])
def test_numbers_without_a_spread(row, tmp_path):
    with pytest.raises(UserError, match=r"have numbers up to .*: all are 0, or one is far too large"):
        found(tmp_path, ["good"], {"good": row})


def test_nothing_of_the_vocabulary_in_them(tmp_path):
    message = r"'v\.txt' has none of the 2 entries of the vocabulary: it has words such as 'eins', 'zwei'"
    with pytest.raises(UserError, match=message):
        found(tmp_path, ["one two"], {"eins": [1], "zwei": [2]})
    with pytest.raises(UserError, match=r"such as \(none\), 2 words that are not UTF-8 skipped"):
        found(tmp_path, ["één è"], {}, data="één 1\nè 2\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"1 vectors with NaN or infinity skipped"):
        found(tmp_path, ["one two"], {"one": [float("nan")]})
