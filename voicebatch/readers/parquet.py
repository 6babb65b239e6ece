"""Parquet: a file, or a folder of them with its partition columns."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
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
from voicebatch.headers import listed, unique_header
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
_BYTES: Final = (types.is_binary, types.is_large_binary, types.is_binary_view)  # how some programs write text
_TEXT: Final = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_null, *_BYTES)
_WITH_LENGTHS: Final = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
_MOST_COLUMNS: Final = 16_384  # no spreadsheet has more
_MOST_ROWS: Final = 100_000_000  # four days of calls at the highest rate
_LONGEST_CELL: Final = 131_072  # bytes, as in CSV
_UNFOLDS: Final = "unfolds to more than people's data can be"
_LARGE: Final = 1 << 27  # bytes of a row group
_BOMB: Final = 100  # times its size in the file
_SHORTEST_TEXT: Final = 4  # bytes that any text takes unless it stands in a dictionary
_ENDLESS: Final = 1 << 30  # bytes of text in ``settings.BATCH_ROWS`` rows
_PORTION: Final = 1 << 26  # bytes of text at a time


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
        metadata = pq.read_metadata(path)
        _refuse_monstrous(metadata, path)
        schema = metadata.schema.to_arrow_schema()
    for column in schema:
        _refuse_unreadable(column, path)
    added = {key: value for key, value in partitions.items() if key not in schema.names}
    header = unique_header([*schema.names, *added])
    if not schema.names:
        raise InputError(f"{path} has no columns", hint="Check that it is the right file.")
    read = partial(_batches, path, header, list(added.values()))
    return Source(name=str(path), form="Parquet", header=header, read=read)


def _refuse_monstrous(metadata: Any, path: Path) -> None:
    """Before anything is read: a few bytes can stand for more than any memory holds."""
    if metadata.num_columns > _MOST_COLUMNS:
        raise _monstrous(path, f"has {metadata.num_columns:,} columns, more than any spreadsheet")
    if metadata.num_rows > _MOST_ROWS:
        raise _monstrous(path, f"has {metadata.num_rows:,} rows, more than can be called in days")
    if any(_is_bomb(group, path) for group in _groups(metadata)):
        raise _monstrous(path, _UNFOLDS)


def _monstrous(path: Path, problem: str) -> InputError:
    return InputError(f"{path} {problem}", hint="Check that it is the right file, or split it.")


def _groups(metadata: Any) -> Iterator[Any]:
    return map(metadata.row_group, range(metadata.num_row_groups))


def _is_bomb(group: Any, path: Path) -> bool:
    size, cells = group.total_byte_size, group.num_rows * group.num_columns
    return bool(size > _LARGE and (size > path.stat().st_size * _BOMB or size > cells * _LONGEST_CELL))


def _refuse_unreadable(column: Any, path: Path) -> None:
    kind = _plain(column.type)
    if not any(is_kind(kind) for is_kind in (*_TYPED, *_TEXT)) and kind != pa.uuid():
        name = str(column.type).partition("<")[0]  # what it is made of has names of its own
        raise InputError(
            f"{path}: the column {listed([column.name])} holds {name}: no text, number, date or truth value",
            hint="Leave the column out of the file, or write it as text.",
        )


@contextmanager
def _parquet(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
        why = "the names of its columns are damaged" if isinstance(error, KeyError) else str(error).strip().rstrip(".")
        raise InputError(
            f"{path} cannot be read as Parquet ({why})",
            hint="Write the file again, or as CSV.",
        ) from error


def _batches(path: Path, header: tuple[str, ...], partitions: list[str | None]) -> Iterator[Rows]:
    first = _FIRST_ROW
    with _parquet(path), pq.ParquetFile(path, read_dictionary=_repeating(path)) as file:
        for batch in file.iter_batches(settings.BATCH_ROWS):
            _refuse_endless(batch, path)
            for portion in _portions(batch):
                rows = _rows(portion, header, partitions, first)
                first += portion.num_rows
                if len(rows.numbers):
                    yield replace(rows, share=min((first - _FIRST_ROW) / (file.metadata.num_rows or 1), 1.0))


def _repeating(path: Path) -> list[str]:
    """Columns of few distinct texts stay so until they are looked at: one long text may stand for millions of cells."""
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            # Raises for a broken footer; to ask a broken column for its size would end the process.
            next(file.iter_batches(1, row_groups=[number]), None)
        chunks = [group.column(at) for group in _groups(file.metadata) for at in range(group.num_columns)]
    short = {one.path_in_schema for one in chunks if one.total_uncompressed_size < one.num_values * _SHORTEST_TEXT}
    return sorted(short)


def _refuse_endless(batch: pa.RecordBatch, path: Path) -> None:
    if sum(map(_written_out, batch.columns)) > _ENDLESS:
        raise _monstrous(path, _UNFOLDS)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if _longest(column) > _LONGEST_CELL:
            raise InputError(
                f"{path}: a cell in the column {listed([name])} is longer than {_LONGEST_CELL:,} bytes",
                hint="Leave the column out of the file.",
            )


def _longest(column: pa.Array) -> int:
    """The length in bytes of the longest text; 0 for what is short by its kind."""
    values = column.dictionary if types.is_dictionary(column.type) else column
    if types.is_string_view(values.type) or types.is_binary_view(values.type):
        values = values.cast(pa.large_binary())
    if not any(is_kind(values.type) for is_kind in _WITH_LENGTHS):
        return 0
    return int(pc.max(pc.binary_length(values)).as_py() or 0)


def _portions(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces that are of a bearable size when every text is written out."""
    if batch.num_rows == 1 or sum(map(_written_out, batch.columns)) <= _PORTION:
        yield batch
        return
    half = batch.num_rows // 2
    for part in (batch.slice(0, half), batch.slice(half)):
        yield from _portions(part)


def _written_out(column: pa.Array) -> int:
    """How many bytes the column takes as text."""
    if not types.is_dictionary(column.type):
        return int(column.nbytes)
    most = _longest(column) * len(column)
    return (
        most if most <= _PORTION else int(pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0)
    )


def _rows(batch: pa.RecordBatch, header: tuple[str, ...], partitions: list[str | None], first: int) -> Rows:
    columns = [tidy(_texts(column, name)) for column, name in zip(batch.columns, header, strict=False)]
    filled = reduce(pc.or_, (column.is_valid() for column in columns))
    columns += [pa.array([value] * batch.num_rows, pa.string()) for value in partitions]
    cells = pa.RecordBatch.from_arrays(columns, list(header)).filter(filled)
    cells.validate(full=True)  # text that is no UTF-8 must not get further
    numbers = np.arange(first, first + batch.num_rows)[filled.to_numpy(zero_copy_only=False)]
    return Rows(numbers=numbers, cells=cells, faults={})


def _plain(kind: Any) -> Any:
    if isinstance(kind, pa.BaseExtensionType) and kind != pa.uuid():
        return _plain(kind.storage_type)
    return kind.value_type if types.is_dictionary(kind) else kind


def _texts(column: pa.Array, name: str) -> pa.Array:
    """A column as text. Of typed values, each distinct one is written once."""
    if column.type == pa.uuid():
        return pa.array([text(value) for value in column.to_pylist()], pa.string())
    plain = column.cast(_plain(column.type))
    if any(is_kind(plain.type) for is_kind in _BYTES):
        return _decoded(plain, name)
    if any(is_kind(plain.type) for is_kind in _TEXT):
        return plain.cast(pa.string())
    distinct = _to_python(plain).dictionary_encode()
    written = pa.array([text(value) for value in distinct.dictionary.to_pylist()], pa.string())
    return written.take(distinct.indices)


def _decoded(column: pa.Array, name: str) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise ValueError(f"the column {listed([name])} holds bytes that are no text in UTF-8") from error


def _to_python(column: pa.Array) -> pa.Array:
    """The column in a type that Python has: times in microseconds, floats with the digits they mean."""
    if types.is_float32(column.type):
        return column.cast(pa.string()).cast(pa.float64())
    if types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if types.is_time(column.type):
        return column.cast(pa.time64("us"), safe=False)
    return column.cast(pa.duration("us"), safe=False) if types.is_duration(column.type) else column
