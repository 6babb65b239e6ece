"""The rejected rows as they came, with the reason: what goes back to whoever made the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from voicebatch.models import Fault
from voicebatch.reports.cells import csv_bytes, csv_lines, text_column
from voicebatch.settings import OWN_COLUMN

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAST_COLUMNS: Final = ("file", "row", "column", "check", "reason")
_AT_ONCE: Final = 1 << 11  # faults: their rows' longest cells together are within what an Arrow column holds


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRows:
    """The bad rows of one table: their cells (an Arrow table, null where empty), and what is wrong with each.

    ``order`` has their places in ``cells``, and ``faults`` are in that order too; every row has one.
    """

    cells: Any
    order: NDArray[np.int64]
    faults: Sequence[Fault]


def rejected_csv(headers: Sequence[str], tables: Sequence[RejectedRows]) -> Iterator[bytes | memoryview]:
    """``rejected.csv``, some at a time: a line for every fault, the row's own cells first.

    ``headers`` is the union of the files' headers; a file that lacks one leaves its cell empty. What an earlier marked
    copy said of a row is not repeated.
    """
    headers = [header for header in headers if header != OWN_COLUMN]
    yield csv_bytes([*headers, *LAST_COLUMNS], ())
    for table in tables:
        yield from _lines(headers, table)


def _lines(headers: Sequence[str], table: RejectedRows) -> Iterator[memoryview]:
    rows = np.array([fault.row for fault in table.faults])
    places = table.order[np.cumsum(np.diff(rows, prepend=rows[:1]) != 0)]
    batches = _Batches(table.cells)
    for start in range(0, len(rows), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        yield csv_lines([*_cells(headers, batches.rows(places[some])), *_faults(table.faults[some])])


class _Batches:
    """Takes rows out of a table. Arrow itself would first make one array of each column, however long its texts are."""

    def __init__(self, table: Any) -> None:
        self._batches = table.to_batches()
        self._starts = np.cumsum([0, *map(len, self._batches)])

    def rows(self, places: NDArray[np.int64]) -> Any:
        of = np.searchsorted(self._starts, places, side="right") - 1
        runs = np.flatnonzero(np.diff(of, prepend=-1))
        taken = [
            self._batches[of[start]].take(pa.array(places[start:end] - self._starts[of[start]]))
            for start, end in zip(runs, [*runs[1:], len(of)], strict=True)
        ]
        return pa.Table.from_batches(taken)


def _cells(headers: Sequence[str], cells: Any) -> Iterator[Any]:
    for header in headers:
        is_there = header in cells.column_names
        yield text_column(cells.column(header).combine_chunks()) if is_there else pa.nulls(len(cells), pa.string())


def _faults(faults: Sequence[Fault]) -> Iterator[Any]:
    for name in LAST_COLUMNS:
        column = pa.array([getattr(fault, name) for fault in faults])
        yield column if name == "row" else text_column(column)
