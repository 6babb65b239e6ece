"""The rejected rows as they came, with the reason: what goes back to whoever made the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from voicebatch.models import Fault
from voicebatch.reports.cells import csv_bytes
from voicebatch.settings import OWN_COLUMN

LAST_COLUMNS: Final = ("file", "row", "column", "check", "reason")
_AT_ONCE: Final = 1 << 13


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRows:
    """The bad rows of one table: their cells (an Arrow table; null where empty), and what is wrong with each.

    Both are in the order of the rows, and every row has a fault.
    """

    cells: Any
    faults: Sequence[Fault]


def rejected_csv(headers: Sequence[str], tables: Sequence[RejectedRows]) -> bytes:
    """``rejected.csv``: a line for every fault, the row's own cells first.

    ``headers`` is the union of the files' headers; a file that lacks one leaves its cell empty. What an earlier marked
    copy said of a row is not repeated.
    """
    headers = [header for header in headers if header != OWN_COLUMN]
    return csv_bytes([*headers, *LAST_COLUMNS], (line for table in tables for line in _lines(headers, table)))


def _lines(headers: Sequence[str], table: RejectedRows) -> Iterator[list[object]]:
    by_row = groupby(table.faults, key=lambda fault: fault.row)
    for (_, faults), cells in zip(by_row, _rows(headers, table.cells), strict=True):
        for fault in faults:
            yield [*cells, fault.file, fault.row, fault.column, fault.check, fault.reason]


def _rows(headers: Sequence[str], cells: Any) -> Iterator[tuple[str | None, ...]]:
    for batch in cells.to_batches(max_chunksize=_AT_ONCE):
        empty = [None] * len(batch)
        known = batch.schema.names
        yield from zip(*(batch.column(one).to_pylist() if one in known else empty for one in headers), strict=True)
