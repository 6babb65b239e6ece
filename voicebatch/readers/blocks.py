"""Delimited text a block at a time through Arrow, wherever that gives what Python's csv module gives.

A block of well-formed rows, all as wide as the header's, becomes columns without Python seeing a row: that is most of
most files. A block with another row in it is halved until that row is among few; those few go through csv, which
explains what is wrong with them. From a stray quotation mark on all do: where a row ends is then csv's to say.
"""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from voicebatch import settings
from voicebatch.readers.rows import Record, Rows, assembled, filled, from_records, is_blank, tidy

if TYPE_CHECKING:
    from typing import TextIO


_BLOCK: Final = 1 << 22  # characters read at a time
_LONGEST_ROW: Final = 1 << 24  # characters; what is longer is one row by mistake
_FEW: Final = 1 << 15  # bytes that are left to csv
_LONGEST_CELL: Final = 131_072  # characters; csv refuses longer ones
_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'

Explain = Callable[[Iterable[str], int], Iterator[Record]]
"""The rows of these lines by csv; the first one has the number after the one given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """``width`` counts the cells of a whole row, of which the header names the first; ``explain`` reads the others."""

    delimiter: str
    width: int
    header: tuple[str, ...]
    explain: Explain


def read_blocks(file: TextIO, layout: Layout, *, begun: str) -> Iterator[Rows]:
    """The rows of what was ``begun`` and is left in ``file``, without blank ones; the first has the number 1."""
    number = 0
    size = os.fstat(file.fileno()).st_size
    while True:
        text = file.read(_BLOCK)
        begun += text
        end = _end_of_rows(begun) if text else len(begun)
        block = begun[:end].encode()
        if (end == 0 and len(begun) > _LONGEST_ROW) or not _is_well_formed(block, layout.delimiter):
            yield from from_records(layout.explain(_lines(begun, file), number), layout.header)
            return
        for rows, count in _in_columns(block, layout, number):
            number += count
            yield from _cut_up(rows, min(file.buffer.tell() / size, 1.0) if size else 0.0)
        begun = begun[end:]
        if not text:
            return


def _end_of_rows(text: str) -> int:
    """Behind the last line break that is not inside quotation marks, 0 without one."""
    end = text.rfind("\n") + 1
    is_inside = text.count('"', 0, end) % 2
    while is_inside and end:
        before = text.rfind("\n", 0, end - 1) + 1
        is_inside = (is_inside + text.count('"', before, end)) % 2
        end = before
    return end


def _is_well_formed(block: bytes, delimiter: str) -> bool:
    """Whether quotation marks stand around whole cells only, doubled inside."""
    if b'"' not in block:
        return True
    text = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    if len(quotes) % 2:
        return False
    opening, closing = quotes[0::2], quotes[1::2]
    before = text[opening[opening > 0] - 1]
    after = text[closing[closing < len(text) - 1] + 1]
    doubled = np.isin(opening[opening > 0] - 1, closing)
    edges = [ord(delimiter), _LINE_FEED, _RETURN]
    return bool(np.all(np.isin(before, edges) | doubled) and np.all(np.isin(after, [*edges, _QUOTE])))


def _lines(begun: str, file: TextIO) -> Iterator[str]:
    """What was read already and what comes; they may meet in the middle of a line."""
    *whole, last = [*io.StringIO(begun, newline="")] or [""]
    yield from whole
    yield from io.StringIO(last if last.endswith("\n") else last + file.readline(), newline="")
    yield from file


def _in_columns(block: bytes, layout: Layout, number: int) -> Iterator[tuple[Rows, int]]:
    """The block's rows, in pieces, and how many numbers each piece takes."""
    if not block:
        return
    if (parsed := _parsed(block, layout)) is not None:
        yield _rows(parsed, layout.header, number), len(parsed)
    elif len(block) <= _FEW or not (middle := _middle(block)):
        records = list(layout.explain(io.StringIO(block.decode(), newline=""), number))
        told = [record for record in records if not is_blank(record[1])]
        yield assembled(told, layout.header), len(records)
    else:
        for half in (block[:middle], block[middle:]):
            for rows, count in _in_columns(half, layout, number):
                number += count
                yield rows, count


def _middle(block: bytes) -> int:
    """A line break near the middle that ends a row, 0 if there is none."""
    end = block.find(b"\n", len(block) // 2) + 1
    while end and block.count(b'"', 0, end) % 2:
        end = block.find(b"\n", end) + 1
    return end if end < len(block) else 0


def _parsed(block: bytes, layout: Layout) -> pa.Table | None:
    """The block as a table of text, if every row has all its cells and none is too long."""
    if block.startswith(codecs.BOM_UTF8):
        return None  # Arrow would pass over it, in the middle of a file too
    names = [str(position) for position in range(layout.width)]
    quoted = b'"' in block
    try:
        table = csv.read_csv(
            pa.BufferReader(block),
            csv.ReadOptions(column_names=names, use_threads=False, block_size=max(len(block), 1)),
            csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    is_long = any((pc.max(pc.binary_length(column)).as_py() or 0) > _LONGEST_CELL for column in table.columns)
    return None if is_long else table


def _rows(table: pa.Table, header: tuple[str, ...], number: int) -> Rows:
    cells = [tidy(column.combine_chunks()) for column in table.columns[: len(header)]]
    kept = filled(cells, len(table))
    numbers = np.arange(number + 1, number + 1 + len(table), dtype=np.int64)
    batch = pa.RecordBatch.from_arrays(cells, list(header))
    if kept.all():
        return Rows(numbers=numbers, cells=batch, faults={})
    return Rows(numbers=numbers[kept], cells=batch.filter(pa.array(kept)), faults={})


def _cut_up(rows: Rows, share: float) -> Iterator[Rows]:
    for start in range(0, len(rows.numbers), settings.BATCH_ROWS):
        part = slice(start, start + settings.BATCH_ROWS)
        cells = rows.cells.slice(start, settings.BATCH_ROWS)
        numbers = rows.numbers[part]
        faults = {row: rows.faults[row] for row in numbers.tolist() if row in rows.faults} if rows.faults else {}
        yield replace(rows, numbers=numbers, cells=cells, faults=faults, share=share)
