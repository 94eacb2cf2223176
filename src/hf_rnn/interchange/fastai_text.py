# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Vocabulary and text processing of fastai, as a tokenizer.

fastai's rules and spaCy's tokenizer are code, which no tokenizer.json can hold. The rules below are those of fastai
except two, which count repetitions; the split into words is like spaCy's for common English text.
"""

from dataclasses import dataclass, field
from typing import Any

from tokenizers import Regex, normalizers

from ..utils.errors import HfRnnError
from .vocabularies import check_vocabulary, read_vocabulary
from .word_tokenizer import Words

# Names of the special tokens, newest first.
_ROLES = {
    "unknown": ("xxunk", "_unk_"),
    "padding": ("xxpad", "_pad_"),
    "bos": ("xxbos", "_bos_"),
    "eos": ("xxeos", "_eos_"),
}
_HTML = (
    *(("#39;", "'"), ("amp;", "&"), ("#146;", "'"), ("nbsp;", " "), ("#36;", "$"), ("\\n", "\n"), ("quot;", "'")),
    *(("<br />", "\n"), ('\\"', '"'), ("<unk>", "xxunk"), (" @.@ ", "."), (" @-@ ", "-"), ("...", " …")),
)
_WORD = r"\w+?(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|\d+(?:[.,]\d+)*|\w+|\.{2,}|[^\w\s]"
_PIECE = "▁"


@dataclass
class FastaiWords:
    """Words of a fastai model.

    Args:
        words: Vocabulary and text processing of the tokenizer.
        ids: Fields of a configuration for the ids of special tokens.
        told: Description for the user.
    """

    words: Words
    ids: dict[str, int] = field(default_factory=dict)
    told: str = ""

    @property
    def padding(self) -> int:
        """Id of the padding token."""
        return self.words.padding

    @property
    def unknown(self) -> int:
        """Id of the unknown token."""
        return self.words.unknown


def fastai_words(vocabulary: Any, V: int, name: str) -> FastaiWords:
    """Return the words of a fastai model.

    Args:
        vocabulary: File of the vocabulary (`itos`), or its list of tokens.
        V: Number of rows of the embedding.
        name: Name of the file of the model, for errors.

    Raises:
        HfRnnError: There is no vocabulary, it has another size than the embedding or no special tokens, or it has
            pieces of words.
    """
    if vocabulary is None:
        raise HfRnnError(
            f"{name!r} has no vocabulary: write it where the model was trained, json.dump(list(learn.dls.vocab[0]), "
            'open("itos.json", "w")) (learn.dls.vocab for a language model), and name it, vocabulary="itos.json".'
        )
    given = isinstance(vocabulary, (list, tuple, dict))
    tokens = check_vocabulary(vocabulary, "vocabulary") if given else read_vocabulary(vocabulary)
    if isinstance(tokens, dict):
        raise HfRnnError(
            "the vocabulary of a fastai model is a list of tokens in the order of their ids, not a mapping."
        )
    if len(tokens) != V:
        raise HfRnnError(
            f"the vocabulary has {len(tokens):,} tokens, and the embedding of {name!r} has {V:,} rows: name the itos "
            "of this model."
        )
    places = {token: number for number, token in enumerate(tokens)}
    found = {role: next((each for each in names if each in places), None) for role, names in _ROLES.items()}
    missing = [names[0] for role, names in _ROLES.items() if role in ("unknown", "padding") and found[role] is None]
    if missing:
        raise HfRnnError(f"the vocabulary has no {' and no '.join(missing)}, so it is not the one of a fastai model.")
    if sum(token.startswith(_PIECE) for token in tokens) > V // 10:
        raise HfRnnError(
            "the vocabulary has pieces of words (SentencePiece), and the file that splits words into them is not part "
            "of it: only vocabularies of words can be imported."
        )
    special = {f"{role}_token": token for role, token in found.items() if role in ("bos", "eos") and token is not None}
    begin = [] if found["bos"] is None else [places[found["bos"]]]
    words = Words(
        list(tokens),
        unknown=places[str(found["unknown"])],
        padding=places[str(found["padding"])],
        steps=_steps(),
        pattern=_WORD,
        begin=begin,
        special=special,
    )
    told = (
        f"{V:,} tokens; rules of fastai without those that count repetitions (xxrep, xxwrep), and a split into words "
        "like that of spaCy: the same tokens for most texts, not for all"
    )
    ids = {f"{role}_id": places[token] for role, token in special.items()}
    return FastaiWords(words, ids, told)


def _steps() -> list[Any]:
    """Return fastai's rules as normalizers: HTML, spaces, `xxup` before words in capitals, `xxmaj` before others."""
    return [
        *(normalizers.Replace(old, new) for old, new in _HTML),
        *(normalizers.Replace(sign, f" {sign} ") for sign in "/#\\"),
        # A match without characters makes the tokenizer crash, so the space before the word is replaced.
        normalizers.Prepend(" "),
        normalizers.Replace(Regex(r"\s(?=[A-Z][^a-z\s]+(?:\s|\z))"), " xxup "),
        normalizers.Replace(Regex(r"\s(?=[A-Z][^A-Z\s]*[a-z][^A-Z\s]*(?:\s|\z))"), " xxmaj "),
        normalizers.Lowercase(),
    ]


__all__ = ["FastaiWords", "fastai_words"]
