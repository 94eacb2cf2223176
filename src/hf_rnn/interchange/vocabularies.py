# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read the vocabulary of an imported model: a list of tokens, or the numbers of words."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ..utils.errors import HfRnnError, did_you_mean

# A list of the tokens in the order of their ids, or a mapping of words to numbers.
Vocabulary = list[str] | dict[str, int]

LARGEST_FILE = 1 << 28
_PICKLES = (".pkl", ".pickle")
_FORMS = (
    "a JSON list of all tokens in the order of their ids, a text file with one token per line, or a JSON object of "
)
_FORMS += "words and their numbers"


def read_vocabulary(path: str | Path) -> Vocabulary:
    """Read a vocabulary from a file: a JSON list or object, or a text file with one token per line.

    Args:
        path: File of the vocabulary.

    Raises:
        HfRnnError: The file does not exist, is a pickle, or has another form; or a token is there twice.
    """
    file = Path(path)
    if not file.is_file():
        raise HfRnnError(f"there is no file {str(path)!r}: name {_FORMS}, vocabulary=FILE.{did_you_mean(str(path))}")
    if file.stat().st_size > LARGEST_FILE:
        raise HfRnnError(f"{str(path)!r} has {file.stat().st_size:,} bytes, which no vocabulary has: name {_FORMS}.")
    content = file.read_bytes()
    if content[:1] == b"\x80" or file.suffix.lower() in _PICKLES:
        raise HfRnnError(
            f"{str(path)!r} is a pickle, which can run any code when it is read. If you trust its origin, convert it: "
            f"python -c \"import json, pickle; print(json.dumps(list(pickle.load(open({str(path)!r}, 'rb')))))\" > "
            f"{file.stem}.json, and write vocabulary={file.stem}.json."
        )
    try:
        text = content.decode("utf-8-sig")
        found: Any = json.loads(text) if text.lstrip()[:1] in ("[", "{") and file.suffix != ".txt" else _lines(text)
    except (ValueError, RecursionError) as error:
        raise HfRnnError(f"{str(path)!r} cannot be read ({error}): name {_FORMS}.") from error
    return check_vocabulary(found, str(path))


def _lines(text: str) -> list[str]:
    # Only line feeds end a line: other line ends, such as U+0085, may be tokens.
    lines = text.split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    while len(lines) > 1 and lines[-1] == "":
        lines.pop()
    return lines


def check_vocabulary(found: Any, name: str) -> Vocabulary:
    """Return a vocabulary if it has a valid form.

    Args:
        found: Vocabulary to check.
        name: Name of its file, or what it is; used in errors.

    Raises:
        HfRnnError: It is no list of strings and no mapping of strings to numbers, or a token or number is there twice.
    """
    if isinstance(found, dict):
        wrong = next((word for word, number in found.items() if type(number) is not int or number < 0), None)
        if wrong is not None or not found:
            example = f", but {wrong!r} has {found[wrong]!r}" if found else ", but it is empty"
            raise HfRnnError(f"{name!r} must give each word a whole number from 0 on{example}: name {_FORMS}.")
        entries = list(found.values())
    else:
        if not isinstance(found, (list, tuple)) or not found or not all(isinstance(token, str) for token in found):
            raise HfRnnError(f"{name!r} is no vocabulary: name {_FORMS}.")
        entries = found = list(found)
    if len(set(entries)) < len(entries):
        twice = next(entry for entry, count in Counter(entries).items() if count > 1)
        raise HfRnnError(f"{name!r} has {twice!r} twice: tokens and numbers must be unique.")
    return found


__all__ = ["Vocabulary", "check_vocabulary", "read_vocabulary"]
