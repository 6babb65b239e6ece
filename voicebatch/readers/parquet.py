"""Parquet: a file, or a folder of them with its partition columns."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from voicebatch import settings
from voicebatch.errors import InputError
from voicebatch.headers import unique_header
from voicebatch.readers.cells import text
from voicebatch.readers.rows import Request, Rows, Source, no_rows, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC: Final = b"PAR1"
_ENDINGS: Final = frozenset({".parquet", ".pq", ".parq"})
_FIRST_ROW: Final = 2  # the column names stand for row 1
_NULL_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"
_TYPED: Final = (
    *(
        types.is_floating,
        types.is_decimal,
        types.is_boolean,
        types.is_date,
        types.is_timestamp,
        types.is_time,
    ),
    types.is_duration,
)
_TEXT: Final = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_null)


def open_parquet(path: Path, request: Request) -> list[Source]:
    """The table of a Parquet file, or of each file of a folder, in the order of their paths.

    A folder named ``month=2027-03`` is a column, as text. Files and folders whose name begins with ``.`` or
    ``_`` are no part of a data set; an empty file of a folder gives no source.
    """
    del request  # a Parquet file says all of it itself
    files = parts(path) if path.is_dir() else [path]
    sources = [_source(file, _partitions(file.relative_to(path))) for file in files]
    filled = [source for source in sources if next(source.batches(), None)]
    if not filled:
        raise no_rows(str(path))
    return filled


def parts(folder: Path) -> list[Path]:
    """The files of a Parquet folder, sorted by path."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and _is_visible(file.relative_to(folder)))
    if not any(file.suffix.lower() in _ENDINGS or _starts_as_parquet(file) for file in files):
        raise InputError(
            f"{folder} is a folder without a Parquet file",
            hint="Name the files one by one, or a folder of Parquet files.",
        )
    return files


def _is_visible(relative: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in relative.parts)


def _starts_as_parquet(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC


def _partitions(relative: Path) -> dict[str, str | None]:
    pairs = [folder.split("=", 1) for folder in relative.parts[:-1] if "=" in folder]
    return {unquote(key): None if value == _NULL_PARTITION else unquote(value) for key, value in pairs}


def _source(path: Path, partitions: dict[str, str | None]) -> Source:
    with _parquet(path):
        schema = pq.read_schema(path)
    for column in schema:
        _refuse_unreadable(column, path)
    added = {key: value for key, value in partitions.items() if key not in schema.names}
    header = unique_header([*schema.names, *added])
    if not schema.names:
        raise InputError(f"{path} has no columns", hint="Check that it is the right file.")
    read = partial(_batches, path, header, list(added.values()))
    return Source(name=str(path), form="Parquet", header=header, read=read)


def _refuse_unreadable(column: Any, path: Path) -> None:
    kind = _plain(column.type)
    if not any(is_kind(kind) for is_kind in (*_TYPED, *_TEXT)):
        raise InputError(
            f"{path}: the column “{column.name}” holds {column.type}: no text, number, date or truth value",
            hint="Leave the column out of the file, or write it as text.",
        )


@contextmanager
def _parquet(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path} cannot be read as Parquet ({str(error).strip().rstrip('.')})",
            hint="Write the file again, or as CSV.",
        ) from error


def _batches(path: Path, header: tuple[str, ...], partitions: list[str | None]) -> Iterator[Rows]:
    first = _FIRST_ROW
    with _parquet(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(settings.BATCH_ROWS):
            rows = _rows(batch, header, partitions, first)
            first += batch.num_rows
            if len(rows.numbers):
                yield rows


def _rows(batch: pa.RecordBatch, header: tuple[str, ...], partitions: list[str | None], first: int) -> Rows:
    columns = [tidy(_texts(column)) for column in batch.columns]
    filled = reduce(pc.or_, (column.is_valid() for column in columns))
    columns += [pa.array([value] * batch.num_rows, pa.string()) for value in partitions]
    cells = pa.RecordBatch.from_arrays(columns, list(header)).filter(filled)
    cells.validate(full=True)  # text that is no UTF-8 must not get further
    numbers = np.arange(first, first + batch.num_rows)[filled.to_numpy(zero_copy_only=False)]
    return Rows(numbers=numbers, cells=cells, faults={})


def _plain(kind: Any) -> Any:
    return kind.value_type if types.is_dictionary(kind) else kind


def _texts(column: pa.Array) -> pa.Array:
    """A column as text. Of typed values, each distinct one is written once."""
    plain = column.cast(_plain(column.type))
    if any(is_kind(plain.type) for is_kind in _TEXT):
        return plain.cast(pa.string())
    distinct = _to_python(plain).dictionary_encode()
    written = pa.array([text(value) for value in distinct.dictionary.to_pylist()], pa.string())
    return written.take(distinct.indices)


def _to_python(column: pa.Array) -> pa.Array:
    """The column in a type that Python has: times in microseconds, floats with the digits they mean."""
    if types.is_float32(column.type):
        return column.cast(pa.string()).cast(pa.float64())
    if types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if types.is_time(column.type):
        return column.cast(pa.time64("us"), safe=False)
    return column.cast(pa.duration("us"), safe=False) if types.is_duration(column.type) else column
