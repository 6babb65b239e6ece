"""A sheet's cells as columns of text, as its user sees them.

A merged cell's value stands in each of its rows in which something else stands: the name of a household is that of
everyone in it. Where several columns are merged, it stands in the first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch import settings
from voicebatch.errors import InputError
from voicebatch.headers import column_letters
from voicebatch.readers.cells import texts
from voicebatch.readers.formats import Columnwise
from voicebatch.readers.rows import Rows, filled, tidy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebatch.readers.formats import Shown
    from voicebatch.readers.hidden import Look, Marks, Range

_MOST_CELLS: Final = 1 << 20  # turned into columns at a time
_FEW: Final = 4  # times as many cells as different values: then each of these is turned into text by itself
_LONGEST_CELL: Final = 131_072  # characters, as in text files

Piece = tuple["NDArray[np.int64]", list[pa.Array]]
"""Row numbers, and a column of text for every column of the sheet; blank rows are there."""


class Grid(Protocol):
    """A sheet that was parsed, as calamine gives it: its rows begin at row 1, but at the first column with a cell."""

    @property
    def start(self) -> tuple[int, int] | None:
        """The row and column, from 0, of the first cell."""

    @property
    def width(self) -> int:
        """How many cells a row has."""

    @property
    def merged_cell_ranges(self) -> Sequence[Range] | None:
        """What is merged; None where that is not known."""

    def iter_rows(self) -> Iterator[Sequence[object]]:
        """The values of each row."""


def pieces(grid: Grid, look: Look, *, first_rows: int = settings.BATCH_ROWS) -> Iterator[Piece]:
    """All rows of a sheet from row 1 and column A on, at most ``settings.BATCH_ROWS`` at a time.

    ``first_rows`` are enough to begin with.
    """
    left = (grid.start or (0, 0))[1]
    merged = _Merged.of(look.merged if look.merged is not None else grid.merged_cell_ranges or [])
    rows = grid.iter_rows()
    most = max(1, min(settings.BATCH_ROWS, _MOST_CELLS // max(grid.width, 1)))
    first, count = 1, first_rows
    while piece := list(islice(rows, min(count, most))):
        nothing = pa.nulls(len(piece), pa.string())
        columns = [nothing] * left
        # As wide as the widest row: a damaged .xls has rows beyond its own width.
        for position, values in enumerate(zip_longest(*piece, fillvalue=""), left):
            columns.append(_column(values, position, first, look))
        numbers = np.arange(first, first + len(piece), dtype=np.int64)
        yield numbers, merged.spread(columns, first)
        first, count = first + len(piece), settings.BATCH_ROWS


def rows_of(pieces: Iterator[Piece], look: Look, header: tuple[str, ...], phones: Sequence[int]) -> Iterator[Rows]:
    """The rows that are not blank. A cell in error in one of the columns with ``phones`` is a fault of its row."""
    for numbers, columns in pieces:
        cells = columns[: len(header)]
        cells += [pa.nulls(len(numbers), pa.string())] * (len(header) - len(cells))
        faults = _faults(look.errors, phones, int(numbers[0]), int(numbers[-1]))
        kept = filled(columns, len(numbers))
        kept[[row - int(numbers[0]) for row in faults]] = True
        batch = pa.RecordBatch.from_arrays(cells, list(header))
        if kept.all():
            yield Rows(numbers=numbers, cells=batch, faults=faults)
        elif kept.any():
            yield Rows(numbers=numbers[kept], cells=batch.filter(pa.array(kept)), faults=faults)


def _faults(errors: Marks[str], phones: Sequence[int], first: int, last: int) -> dict[int, str]:
    return {
        row: f"the formula in cell {column_letters(column)}{row} gives no number: it shows {error}"
        for column in phones
        for row, error in errors.between(column, first, last)
    }


def _column(values: tuple[object, ...], position: int, first: int, look: Look) -> pa.Array:
    if values.count("") == len(values):
        return pa.nulls(len(values), pa.string())
    column = texts(_shown(values, position, first, look))
    if (pc.max(pc.binary_length(column)).as_py() or 0) > _LONGEST_CELL:
        number = first + int(np.argmax(pc.fill_null(pc.binary_length(column), 0).to_numpy()))
        raise InputError(
            f"the cell {column_letters(position)}{number} holds more text than any cell can",
            hint="Look at that cell, shorten it, and save the file.",
        )
    return tidy(column)


def _shown(values: Sequence[object], position: int, first: int, look: Look) -> Sequence[object]:
    """A column's values, with their text in place of those that show another one than their own."""
    if position not in look.shown.columns() and position not in look.errors.columns():
        return values
    cells, last = list(values), first + len(values) - 1
    places: defaultdict[Shown, list[int]] = defaultdict(list)
    for row, shown in look.shown.between(position, first, last):
        places[shown].append(row - first)
    for shown, those in places.items():
        for place, text in zip(those, _texts(shown, [values[place] for place in those]), strict=True):
            if text is not None:
                cells[place] = text
    for row, _ in look.errors.between(position, first, last):
        cells[row - first] = None
    return cells


def _texts(shown: Shown | Columnwise, values: Sequence[object]) -> list[str | None]:
    """What a format shows of each value; each different one is turned into text once."""
    different = set(values)
    are_many = len(different) * _FEW > len(values)
    column = shown.column(values) if are_many and isinstance(shown, Columnwise) else None
    if column is not None:
        found: list[str | None] = column.to_pylist()
        return found
    known = {value: shown(value) for value in different}
    return [known[value] for value in values]


@dataclass(slots=True)
class _Merged:
    """Cells that are merged over several rows, by column: the first and last rows, in order, without overlap."""

    runs: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    values: dict[int, str | None] = field(default_factory=dict)  # of the run that was begun last, by column

    @classmethod
    def of(cls, ranges: Sequence[Range]) -> _Merged:
        merged = cls()
        for (first, column), (last, _) in sorted(ranges):
            runs = merged.runs.setdefault(column, [])
            if last > first and (not runs or runs[-1][1] < first + 1):
                runs.append((first + 1, last + 1))
        return merged

    def spread(self, columns: list[pa.Array], first: int) -> list[pa.Array]:
        """The columns of rows that begin at this one, with merged values in all their rows that are not blank."""
        if not self.runs:
            return columns
        kept = filled(columns, len(columns[0]) if columns else 0)
        return [
            self._spread(column, position, first, kept) if self.runs.get(position) else column
            for position, column in enumerate(columns)
        ]

    def _spread(self, column: pa.Array, position: int, first: int, kept: NDArray[np.bool_]) -> pa.Array:
        runs = self.runs[position]
        cells = column.to_pylist()
        last = first + len(cells) - 1
        at = max(bisect_right(runs, (first, 0)) - 1, 0)
        for begin, end in islice(runs, at, None):
            if begin > last:
                break
            if begin >= first:
                self.values[position] = cells[begin - first]
            for row in range(max(begin + 1, first), min(end, last) + 1):
                if kept[row - first] and cells[row - first] is None:
                    cells[row - first] = self.values.get(position)
        return pa.array(cells, pa.string())
