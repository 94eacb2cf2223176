# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read JSON Lines, lists of JSON objects, and concatenated JSON objects."""

import codecs
import json
import logging
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from ..utils.errors import DataError, first_line
from .encodings import Utf8Stream, encoding_name, ending_of, lines_of, wrong_encoding
from .reader import Reader

logger = logging.getLogger(__name__)

_NOTHING = object()
# White space between JSON values, bytes per read, and the most characters of one value in a list.
_BETWEEN, PIECE, LONGEST = re.compile(r"[ \t\r\n]*"), 1 << 20, 1 << 28


class Json(Reader):
    """Reader of JSON Lines, of one list of objects, and of concatenated objects. Values keep their JSON types."""

    def described(self) -> str:
        return encoding_name(self.encoding)

    def rows(self) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(self._values(), 1):
            if not isinstance(row, dict):
                if self.data.on_bad_rows == "skip":
                    logger.warning(f"{self.file.name}: row {number} is not an object and was left out.")
                    continue
                raise DataError(
                    f"row {number} of {str(self.file)!r} is {json.dumps(row, ensure_ascii=False)[:80]}: write an "
                    'object for each row, such as {"text": "a text", "label": "a label"}, or '
                    "data.on_bad_rows='skip'."
                )
            yield row

    def _values(self) -> Iterator[Any]:
        with Utf8Stream(self.file, self.encoding) as stream:
            beginning = stream.read(PIECE).lstrip()
        if beginning.startswith(b"["):
            yield from self._list()
            return
        lines = lines_of(self.file, self.encoding)
        before = list(islice(lines, 1))
        while before and not before[-1].strip() and (line := next(lines, None)) is not None:
            before.append(line)
        if not before or not before[-1].strip():
            return
        try:
            json.loads(before[-1])
        except RecursionError:
            pass
        except json.JSONDecodeError as error:
            if error.pos >= len(before[-1].rstrip()):
                # The object continues on the next line.
                yield from self._objects("\n".join(chain(before, lines)))
                return
        values = self._by_line(chain(before, lines))
        first_of, second = next(values, _NOTHING), next(values, _NOTHING)
        if second is _NOTHING:
            yield from self._inside(first_of)
        else:
            yield from chain([first_of, second], values)

    def _by_line(self, lines: Iterable[str]) -> Iterator[Any]:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    if self.data.on_bad_rows != "skip":
                        raise self._error(number, error) from error
                    logger.warning(f"{self.file.name}: line {number} is not JSON and was left out.")

    def _objects(self, text: str) -> Iterator[Any]:
        """Yield concatenated objects, each of which may span several lines."""
        decoder, place, values = json.JSONDecoder(), 0, []
        while (place := _BETWEEN.match(text, place).end()) < len(text):  # type: ignore[union-attr]
            try:
                value, place = decoder.raw_decode(text, place)
            except (json.JSONDecodeError, RecursionError) as error:
                raise self._error(1 + text.count("\n", 0, getattr(error, "pos", place)), error) from error
            values.append(value)
        yield from self._inside(values[0]) if len(values) == 1 else values

    def _list(self) -> Iterator[Any]:
        """Yield the values of one list, with only a part of the file in memory."""
        decoder, line, place, after_value = json.JSONDecoder(), 1, 0, False
        with Utf8Stream(self.file, self.encoding) as stream:
            pieces = self._decoded(stream)
            text = next(pieces, "")
            place = text.index("[") + 1
            while True:
                place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]
                at = text[place : place + 1]
                if at == "]":
                    rest = text[place + 1 :] + "".join(pieces)
                    if rest.strip():
                        extra = json.JSONDecodeError("Extra data", text, place + 1)
                        raise self._error(line + text.count("\n", 0, place), extra)
                    return
                if at == "," and after_value:
                    place, after_value = place + 1, False
                    continue
                failed: Exception = json.JSONDecodeError("Expecting ',' or ']'", text, place)
                if not (at and after_value):
                    try:
                        value, end = decoder.raw_decode(text, place)
                        if end < len(text):
                            yield value
                            place, after_value = end, True
                            continue
                        # A number may continue in the next piece.
                    except (json.JSONDecodeError, RecursionError) as error:
                        failed = error
                elif place < len(text):
                    raise self._error(line + text.count("\n", 0, place), failed)
                more = "".join(islice(pieces, max(1, len(text) // PIECE)))
                position = getattr(failed, "pos", place)
                if not more or len(text) - position > LONGEST:
                    raise self._error(line + text.count("\n", 0, position), failed)
                line += text.count("\n", 0, place)
                text, place = text[place:] + more, 0

    def _decoded(self, stream: Any) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while part := stream.read(PIECE):
                yield decoder.decode(part)
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise wrong_encoding(self.file, "utf-8", error.object[error.start]) from error

    def _inside(self, value: Any) -> list[Any]:
        """Return the rows in the only value of a file: the list of objects under its key `data`, or the value itself.

        Raise [`DataError`] for one object that holds columns.
        """
        rows = value.get("data") if isinstance(value, dict) else None
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            return rows
        if _holds_columns(value):
            raise DataError(
                f"{str(self.file)!r} is one object of columns, {', '.join(value)[:80]}, as pandas writes by default: "
                'write an object for each row, such as {"text": "a text", "label": "a label"} '
                '(pandas: to_json(…, orient="records", lines=True)).'
            )
        return [value]

    def _error(self, line: int, error: Exception) -> DataError:
        return DataError(
            f"line {line} of {str(self.file)!r} cannot be read as {ending_of(self.file)}: {first_line(error)}. Write "
            "one object a line, or one list of objects; or leave such lines out, data.on_bad_rows='skip'."
        )


def _holds_columns(value: Any) -> bool:
    """Return True for an object of columns, all lists or all objects of values; False for a row of words and tags."""
    columns = list(value.values()) if isinstance(value, dict) else []
    of_lists = all(isinstance(column, list) and len(column) > 1 for column in columns)
    of_objects = all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns)
    same_length = len({len(column) for column in columns if isinstance(column, (list, dict))}) == 1
    is_row = of_lists and {"tokens", "words"} & value.keys()
    return len(columns) > 0 and (of_lists or (of_objects and len(columns[0]) > 1)) and same_length and not is_row


__all__ = ["Json"]
