# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Tokenizers of whole words for imported models, with the ids, the standardization and the padding of their origin."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

# Python's `string.punctuation`, which TextVectorization removes.
_PUNCTUATION = Regex(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']""")
# The default of `filters` in Keras' Tokenizer: the same without the apostrophe, and with tabs and line ends.
_FILTERED = Regex(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\t\n]""")
# `tf.strings.lower` changes ASCII letters only, and `normalizers.Lowercase` all letters.
_ASCII_LOWER = [normalizers.Replace(chr(code), chr(code + 32)) for code in range(ord("A"), ord("Z") + 1)]
# `tf.strings.split` splits at ASCII whitespace only.
BETWEEN_SPACES, CHARACTER = r"[^ \t\n\x0b\x0c\r]+", r"(?m:.)"


@dataclass
class Words:
    """Vocabulary and text processing of a tokenizer of whole words.

    Args:
        tokens: Tokens in the order of their ids.
        unknown: Id of the unknown token.
        padding: Id of the padding token.
        steps: Normalizers of the text.
        pattern: Regular expression of a token of the normalized text.
        begin: Ids that come before each text.
        end: Ids that come after each text.
        special: Names of further special tokens by their role, such as `bos_token`.
    """

    tokens: list[str]
    unknown: int
    padding: int
    steps: list[Any] = field(default_factory=list)
    pattern: str = BETWEEN_SPACES
    begin: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    special: dict[str, str] = field(default_factory=dict)

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Return the tokenizer."""
        vocabulary = {token: number for number, token in enumerate(self.tokens)}
        backend = Tokenizer(models.WordLevel(vocabulary, unk_token=self.tokens[self.unknown]))
        if self.steps:
            backend.normalizer = normalizers.Sequence(self.steps)
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(self.pattern), behavior="removed", invert=True)
        between = "" if self.pattern == CHARACTER else " "
        backend.decoder = decoders.Sequence([decoders.Replace(Regex("^"), between), decoders.Fuse()])
        around = {f"t{number}": number for number in (*self.begin, *self.end)}
        single = [*(f"t{number}" for number in self.begin), "$A", *(f"t{number}" for number in self.end)]
        if around:
            backend.post_processor = processors.TemplateProcessing(
                single=" ".join(single),
                pair=" ".join([*single, "$B"]),
                special_tokens=[
                    {"id": name, "ids": [number], "tokens": [self.tokens[number]]} for name, number in around.items()
                ],
            )
        return PreTrainedTokenizerFast(
            tokenizer_object=backend,
            pad_token=self.tokens[self.padding],
            unk_token=self.tokens[self.unknown],
            model_input_names=["input_ids", "attention_mask"],
            clean_up_tokenization_spaces=False,
            **self.special,
        )


def unused_name(wanted: str, tokens: Sequence[str] | dict[str, int]) -> str:
    """Return a name for a token that the vocabulary does not have.

    Args:
        wanted: Name to use if it is not taken; else a number is added.
        tokens: Tokens of the vocabulary.
    """
    taken = set(tokens)
    names = [wanted, *(f"{wanted[:-1]}_{number}>" for number in range(1, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def text_vectorization_steps(standardize: str | None) -> list[Any]:
    """Return the normalizers of a TextVectorization layer.

    Args:
        standardize: `lower_and_strip_punctuation`, `lower`, `strip_punctuation`, or None.
    """
    lower = _ASCII_LOWER if standardize in ("lower", "lower_and_strip_punctuation") else []
    strip = [normalizers.Replace(_PUNCTUATION, "")] if str(standardize).endswith("strip_punctuation") else []
    return [*lower, *strip]


def keras_tokenizer_steps() -> list[Any]:
    """Return the normalizers of Keras' Tokenizer and of its data sets: lower case, and spaces for punctuation."""
    return [normalizers.Lowercase(), normalizers.Replace(_FILTERED, " ")]


__all__ = ["BETWEEN_SPACES", "CHARACTER", "Words", "keras_tokenizer_steps", "text_vectorization_steps", "unused_name"]
