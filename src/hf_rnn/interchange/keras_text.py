# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Vocabulary, padding and truncation of a Keras model, as a tokenizer.

A Keras model without `mask_zero` reads padding as it reads words, so its answers depend on the length that texts were
padded to. Our models never read padding. To give the same answers, the tokenizer puts N filling tokens before or after
each text, and truncation to N tokens cuts off those that are too many. This equals `pad_sequences(maxlen=N)` with
padding and truncation on the same side, and `TextVectorization(output_sequence_length=N)`.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from ..utils.errors import HfRnnError
from .imported import Choices
from .vocabularies import Vocabulary, check_vocabulary, read_vocabulary
from .word_tokenizer import (
    BETWEEN_SPACES,
    CHARACTER,
    Words,
    keras_tokenizer_steps,
    text_vectorization_steps,
    unused_name,
)

SIDES = ("pre", "post")
# The numbers of `keras.datasets.imdb.load_data`: padding, start of a text, unknown word.
PAD, START, UNKNOWN, INDEX_FROM = 0, 1, 2, 3
_OUT_OF_VOCABULARY = re.compile(r"[<\[(].*[>\])]|oov|unk", re.IGNORECASE)
# Largest number of filling tokens of a text.
LONGEST = 100_000


@dataclass
class Reading:
    """Padding and truncation of texts.

    Args:
        max_length: Number of tokens after which texts are truncated; None for no limit.
        truncation: Part of a longer text to keep, as in `data.truncation`.
        fill: Side of the filling tokens, `pre` or `post`; None for none.
        told: The decision, as a sentence.
    """

    max_length: int | None
    truncation: str
    fill: str | None
    told: str


def reading(choices: Choices, masked: bool, text: dict | None, length: int | None, name: str) -> Reading:
    """Decide how the model reads texts.

    Args:
        choices: Choices of the user.
        masked: True if the model masks padding.
        text: Configuration of the TextVectorization layer; None if there is none.
        length: Number of tokens of each text in the file; None if it says none.
        name: Name of the file, for errors.

    Raises:
        HfRnnError: The model reads padding and the side of the padding or the length is unknown, a choice contradicts
            the file, or no tokenizer can pad and truncate in this way.
    """
    for what, value, allowed in (
        ("padding", choices.padding, (*SIDES, "none")),
        ("truncation", choices.truncation, SIDES),
    ):
        if value is not None and value not in allowed:
            raise HfRnnError(f"{what}={value!r} must be one of {', '.join(allowed)}.")
    if choices.length is not None and not 0 < choices.length <= LONGEST:
        raise HfRnnError(f"length={choices.length} must be from 1 to {LONGEST:,}.")
    if None not in (length, choices.length) and length != choices.length:
        raise HfRnnError(f"length={choices.length}, but the model in {name!r} reads {length} tokens: leave length out.")
    length = length or choices.length
    padding = choices.padding
    if text is not None:
        if padding == "pre" or choices.truncation == "pre":
            raise HfRnnError(
                f"the TextVectorization layer of {name!r} pads and truncates at the end: leave padding and truncation "
                "out."
            )
        # Without a length, the layer pads to the longest text of a batch, and a text alone is not padded.
        padding = padding or ("post" if length else "none")
    if masked:
        if padding in SIDES and text is None:
            raise HfRnnError(
                f"the model in {name!r} masks padding (mask_zero=True), so padding={padding!r} has no effect: leave it "
                "out. truncation='pre' or 'post' names the end of longer texts that is cut off."
            )
        side = choices.truncation or ("post" if text is not None else "pre")
        cut = f"; longer texts are truncated to {length} tokens ({side})" if length else ""
        return Reading(length, _kept(side) if length else "head_tail", None, f"padding is masked and never read{cut}")
    if padding is None:
        raise HfRnnError(_which_padding(name, length))
    if padding == "none":
        side = choices.truncation or ("post" if text is not None else "pre")
        cut = f"; longer texts are truncated to {length} tokens ({side})" if length else ""
        told = f"texts are read without padding{cut}: the same answers as in Keras for a text alone, without padding"
        return Reading(length, _kept(side) if length else "head_tail", None, told)
    if length is None:
        raise HfRnnError(
            f"padding={padding!r} needs the number of tokens that texts were padded to: write length=200 too."
        )
    if choices.truncation not in (None, padding):
        raise HfRnnError(
            f"padding={padding!r} with truncation={choices.truncation!r} is not possible: a tokenizer can only pad and "
            "truncate texts on the same side. Write padding='none' for texts without padding."
        )
    told = (
        f"the model reads padding: each text is filled up or truncated to {length} tokens ({padding}), as in Keras; "
        f"further training needs the same, max_length {length} and truncation {_kept(padding)} of its data"
    )
    return Reading(length, _kept(padding), padding, told)


def _kept(side: str) -> str:
    return "tail" if side == "pre" else "head"


def _which_padding(name: str, length: int | None) -> str:
    more = "" if length else " and length=200"
    return (
        f"the model in {name!r} has no mask_zero, so it reads padding as it reads words, and its answers depend on how "
        f"texts were padded. Write padding='pre'{more} for texts from pad_sequences, padding='post'{more} for padding "
        "at the end, or padding='none' for texts without padding, which is faster but gives other answers than Keras "
        "with padding."
    )


@dataclass
class KerasWords:
    """Words of a Keras model.

    Args:
        words: Vocabulary and text processing of the tokenizer.
        rows: Number of embedding rows, one more than in Keras if the filling token is none of our padding tokens.
        told: The decision, as a sentence.
    """

    words: Words
    rows: int
    told: str = field(default="")


def vocabulary_of(choices: Choices, stored: Any, text: dict | None, name: str) -> Vocabulary:
    """Return the vocabulary that was chosen, or the one of the file.

    Args:
        choices: Choices of the user.
        stored: Vocabulary of the TextVectorization layer in the file; None if there is none.
        text: Configuration of this layer; None if there is none.
        name: Name of the file, for errors.

    Raises:
        HfRnnError: There is no vocabulary, or two of them.
    """
    if isinstance((text or {}).get("vocabulary"), list):
        stored = (text or {})["vocabulary"]
        stored = stored if stored[:1] == [""] else ["", "[UNK]", *stored]
    if stored is None and choices.vocabulary is None:
        raise HfRnnError(
            f"{name!r} has no vocabulary: name a file with it, vocabulary=FILE, such as the JSON list of "
            "TextVectorization.get_vocabulary() or the JSON object of keras.datasets.imdb.get_word_index()."
        )
    if stored is not None:
        if choices.vocabulary is not None:
            raise HfRnnError(f"{name!r} has its own vocabulary, in a TextVectorization layer: leave vocabulary out.")
        return check_vocabulary(stored, f"the vocabulary in {name}")
    given = choices.vocabulary
    return check_vocabulary(given, "vocabulary") if isinstance(given, (list, dict)) else read_vocabulary(given)


def keras_words(found: Vocabulary, V: int, choices: Choices, text: dict | None, way: Reading) -> KerasWords:
    """Return the words of a Keras model.

    Args:
        found: Vocabulary: the list of TextVectorization, or a word index.
        V: Number of rows of the embedding.
        choices: Choices of the user.
        text: Configuration of the TextVectorization layer; None if there is none.
        way: Padding and truncation of texts.

    Raises:
        HfRnnError: The vocabulary does not fit the embedding, or `index_from` does not fit the vocabulary.
    """
    if isinstance(found, dict):
        words = _of_word_index(found, V, choices.index_from)
    else:
        if choices.index_from is not None:
            raise HfRnnError(f"index_from={choices.index_from} belongs to a word index, and the vocabulary is a list.")
        words = _of_list(found, V, text)
    # The filling token is read, so it is another one than the padding token of batches.
    words.tokens[PAD] = unused_name("<fill>" if way.fill else "<pad>", words.tokens)
    rows = V
    if way.fill:
        words.padding = len(words.tokens)
        words.tokens.append(unused_name("<pad>", words.tokens))
        rows = max(V, len(words.tokens))
        filling = [PAD] * (way.max_length or 0)
        words.begin, words.end = (filling + words.begin, []) if way.fill == "pre" else (words.begin, filling)
    named = f"{len(found):,} words of the vocabulary, for {V:,} rows of the embedding"
    return KerasWords(words, rows, f"{named}; {_processing(found, words, text)}")


def _processing(found: Vocabulary, words: Words, text: dict | None) -> str:
    if isinstance(found, dict):
        begin = ", each text begins with <start>" if START in words.begin else ""
        return f"lower case, punctuation is replaced by spaces as in Keras' Tokenizer{begin}"
    standardize = (text or {}).get("standardize", "lower_and_strip_punctuation")
    return f"text is processed as by TextVectorization(standardize={standardize!r})"


def _of_list(found: list[str], V: int, text: dict | None) -> Words:
    if len(found) > V:
        raise HfRnnError(
            f"the vocabulary has {len(found):,} entries, and the embedding has {V:,} rows: name the vocabulary that "
            "the model was trained with."
        )
    if found[0] != "" or len(found) < 2:
        raise HfRnnError(
            f"the vocabulary begins with {found[:2]}, expected ['', '[UNK]'], the padding and the unknown token: name "
            "the list that TextVectorization.get_vocabulary() returns."
        )
    split = (text or {}).get("split", "whitespace")
    standardize = (text or {}).get("standardize", "lower_and_strip_punctuation")
    return Words(
        list(found),
        unknown=1,
        padding=PAD,
        steps=text_vectorization_steps(standardize),
        pattern=CHARACTER if split == "character" else BETWEEN_SPACES,
    )


def _of_word_index(found: dict[str, int], V: int, index_from: int | None) -> Words:
    if index_from is None:
        raise HfRnnError(
            "the vocabulary gives numbers of words, and Keras' data sets add an offset to them: write index_from=3 for "
            "keras.datasets.imdb.get_word_index(), or index_from=0 for the word_index of a Tokenizer."
        )
    if index_from not in (0, INDEX_FROM):
        raise HfRnnError(f"index_from={index_from} must be {INDEX_FROM} (keras.datasets) or 0 (a Tokenizer).")
    ids = {word: number + index_from for word, number in found.items() if number + index_from < V}
    unknown, begin = UNKNOWN, [START]
    taken: dict[int, str] = {}
    if index_from:
        taken = {PAD: "<pad>", START: "<start>", UNKNOWN: "<unk>"}
    else:
        outside = next(
            (word for word, number in ids.items() if number == 1 and _OUT_OF_VOCABULARY.fullmatch(word)), None
        )
        if outside is None:
            raise HfRnnError(
                "the word index has no entry for unknown words, such as '<OOV>' with the number 1: Keras' Tokenizer "
                "then leaves unknown words out, which our tokenizers cannot. Train with Tokenizer(oov_token='<OOV>')."
            )
        unknown, begin = 1, []
        taken = {PAD: "<pad>"}
    if min(ids.values(), default=0) < 1 + index_from:
        raise HfRnnError(f"the numbers of a word index begin with 1, and {min(found, key=lambda w: found[w])!r} has 0.")
    by_id = {number: word for word, number in ids.items()}
    names = dict.fromkeys(ids)
    for number, token in taken.items():
        by_id[number] = unused_name(token, names)  # type: ignore[arg-type]
    tokens = [by_id.get(number, f"<unused_{number}>") for number in range(max(by_id) + 1)]
    return Words(tokens, unknown, PAD, steps=keras_tokenizer_steps(), pattern=r"[^ ]+", begin=begin)


__all__ = ["Reading", "keras_words", "reading", "vocabulary_of"]
