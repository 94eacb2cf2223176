# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Convert rows to Arrow tables and data sets, in memory or on disk, even if the types of columns change on the way."""

from __future__ import annotations

import atexit
import json
import math
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from datasets import Dataset

# Maximum bytes of a split in memory. A larger split is written to disk, and read from there.
MOST_IN_MEMORY = 1 << 28
# Rows per table.
ROWS = 10_000


def spelled(value: Any) -> str | None:
    """Return a value as a string; None if it is missing (None or NaN).

    Args:
        value: Any value. A string stays as it is. Booleans, integers, lists and dicts are written as JSON, and other
            values as Python prints them.
    """
    if value is None or isinstance(value, str):
        return None if value is None else as_unicode(value)
    if isinstance(value, float):
        return None if math.isnan(value) else repr(value)
    known = isinstance(value, (bool, int, list, tuple, dict))
    return json.dumps(value, ensure_ascii=False, default=str) if known else as_unicode(str(value))


def as_unicode(text: str) -> str:
    """Return the text with a question mark for each surrogate, which no file can hold.

    Args:
        text: Any string.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def column_of(values: list) -> pa.Array:
    """Return values as an Arrow column: of their common type, or of strings if they have none.

    Args:
        values: Values of the column. If some are lists, each other value becomes a list of one.
    """
    with suppress(pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
        return plain_kind(pa.array(values))
    if any(isinstance(value, list) for value in values):
        # Some files write a list of one as a single value.
        alike = [value if value is None or isinstance(value, list) else [value] for value in values]
        with suppress(pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
            return plain_kind(pa.array(alike))
    return pa.array([spelled(value) for value in values], pa.string())


def plain_kind(column: pa.Array | pa.ChunkedArray) -> Any:
    """Return a column with a type that `datasets` supports: no dictionaries, string views or extension types."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return pa.array([spelled(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_dictionary(kind):
        return plain_kind(column.cast(kind.value_type))
    if str(kind) in ("string_view", "binary_view"):
        return column.cast(pa.large_string() if str(kind) == "string_view" else pa.large_binary())
    return column


def table_of(rows: list[dict]) -> pa.Table:
    """Return rows as a table with a column for each key.

    Args:
        rows: Rows; keys may differ, and a missing key is null.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: column_of([row.get(name) for row in rows]) for name in names})


def tables_of(rows: Iterable[dict]) -> Iterator[pa.Table]:
    """Yield rows as tables of at most 10,000 rows.

    Args:
        rows: Rows; keys may differ.
    """
    part: list[dict] = []
    for row in rows:
        part.append(row)
        if len(part) == ROWS:
            yield table_of(part)
            part = []
    if part:
        yield table_of(part)


def collect(tables: Iterable[pa.Table]) -> Dataset:
    """Concatenate tables into a data set.

    A column that is missing in a table is null there. A column of numbers in one table and of strings in another
    becomes a column of strings. More than 256 MB are written to disk, and deleted when the process ends.

    Args:
        tables: Tables to concatenate, in order.
    """
    parts = _Parts()
    for table in tables:
        parts.add(table)
    return parts.dataset()


class _Parts:
    """Tables of a split. The last ones are in memory, and those before them in files."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.size = 0
        self.files: list[Path] = []
        self.schema: pa.Schema | None = None
        # Columns with integers that a conversion to floating point would round.
        self.great: set[str] = set()

    def add(self, table: pa.Table) -> None:
        self.great.update(name for name in table.column_names if _is_great(table.column(name)))
        schema = table.schema if self.schema is None else _common(self.schema, table.schema)
        for place, each in enumerate(schema):
            if each.name in self.great and pa.types.is_floating(each.type):
                schema = schema.set(place, pa.field(each.name, pa.string()))
        if self.files and schema != self.schema:
            # All tables in a file have one schema.
            self._write()
        self.schema = schema
        self.tables.append(table)
        self.size += table.nbytes
        if self.size > MOST_IN_MEMORY:
            self._write()

    def _write(self) -> None:
        if self.tables:
            self.files.append(_written(self.tables, self.schema))  # type: ignore[arg-type]
            self.tables, self.size = [], 0

    def dataset(self) -> Dataset:
        from datasets import Dataset

        if self.schema is None:
            return Dataset.from_dict({})
        if not self.files:
            table = pa.concat_tables(_as(table, self.schema) for table in self.tables)
            return in_memory(table)
        self._write()
        files = self.files
        if len(files) > 1:
            tables = (table for file in files for table in _read(file))
            files = [_written(tables, self.schema)]
            for file in self.files:
                file.unlink()
        return Dataset.from_file(str(files[0]))


def _is_great(column: pa.ChunkedArray) -> bool:
    """Return whether a column has integers that floating point would round."""
    if not pa.types.is_integer(column.type) or not len(column):
        return False
    ends = pc.min_max(column).as_py()
    return any(end is not None and abs(end) > 1 << 53 for end in ends.values())


def in_memory(table: pa.Table) -> Dataset:
    """Return a table as a data set.

    Its fingerprint is random, because a hash of the rows would take time.

    Args:
        table: Table to convert.
    """
    from datasets import Dataset, DatasetInfo, Features
    from datasets.table import InMemoryTable

    table = pa.table([plain_kind(column) for column in table.columns], schema=_plain_schema(table))
    info = DatasetInfo(features=Features.from_arrow_schema(table.schema))
    return Dataset(InMemoryTable(table), info=info, fingerprint=uuid.uuid4().hex[:16])


def _plain_schema(table: pa.Table) -> pa.Schema:
    kinds = [plain_kind(pa.array([], field.type)).type for field in table.schema]
    fields = [field.with_type(kind) for field, kind in zip(table.schema, kinds, strict=True)]
    return pa.schema(fields, metadata=table.schema.metadata)


def _common(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Return a schema with all columns of two schemas, of types that can hold the values of both."""
    if one == other:
        return one
    fields = {field.name: field for field in one}
    for field in other:
        mine = fields.get(field.name)
        fields[field.name] = field if mine is None else _common_field(mine, field)
    return pa.schema(list(fields.values()), metadata=one.metadata)


def _common_field(one: pa.Field, other: pa.Field) -> pa.Field:
    with suppress(pa.ArrowException):
        both = pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive")
        return both.field(0)
    return pa.field(one.name, pa.string())


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with the columns and types of a schema."""
    if table.schema.equals(schema):
        return table
    columns = []
    for field in schema:
        place = table.schema.get_field_index(field.name)
        columns.append(pa.nulls(len(table), field.type) if place < 0 else _cast(table.column(place), field.type))
    return pa.table(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    if column.type == kind:
        return column
    if not pa.types.is_string(kind):
        with suppress(pa.ArrowException):
            return column.cast(kind)
    return pa.array([spelled(value) for value in column.to_pylist()], pa.string()).cast(kind)


def _written(tables: Iterable[pa.Table], schema: pa.Schema) -> Path:
    file = _folder() / f"{uuid.uuid4().hex}.arrow"
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for table in tables:
            writer.write_table(_as(table, schema))
    return file


def _read(file: Path) -> Iterator[pa.Table]:
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


_written_to: list[Path] = []


def _folder() -> Path:
    """Return a temporary folder of this process in the cache of `datasets`; it is deleted at exit."""
    if not _written_to:
        from datasets import config

        parent = Path(config.HF_DATASETS_CACHE)
        parent.mkdir(parents=True, exist_ok=True)
        _written_to.append(Path(tempfile.mkdtemp(prefix="hf_rnn-", dir=parent)))
        atexit.register(shutil.rmtree, _written_to[0], ignore_errors=True)
    return _written_to[0]


__all__ = ["as_unicode", "collect", "column_of", "in_memory", "spelled", "table_of", "tables_of"]
