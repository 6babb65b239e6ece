"""What calamine does not tell about a sheet: what its user does not see, and cells that show another text."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebatch.readers.formats import Shown

MOST_CELLS: Final = 1 << 25
"""Up to the last one of a sheet; calamine takes 32 bytes for each, also for an empty one."""

What = TypeVar("What")
Range = tuple[tuple[int, int], tuple[int, int]]
"""The first and the last cell of merged ones, as row and column from 0."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """Row numbers as a spreadsheet shows them, and positions of columns from 0."""

    rows: frozenset[int] = field(default_factory=frozenset)
    columns: frozenset[int] = field(default_factory=frozenset)


class Marks(Generic[What]):
    """Some cells, with what is told of each; a column may be full of them: a few bytes each."""

    def __init__(self) -> None:
        self._columns: dict[int, tuple[array[int], array[int]]] = {}
        self._whats: dict[What, int] = {}

    def add(self, row: int, column: int, what: What) -> None:
        """Marks a cell below those of its column that are marked already; any other is left out."""
        rows, whats = self._columns.setdefault(column, (array("I"), array("I")))
        if not rows or rows[-1] < row:
            rows.append(row)
            whats.append(self._whats.setdefault(what, len(self._whats)))

    def columns(self) -> list[int]:
        """The columns that have marked cells."""
        return list(self._columns)

    def between(self, column: int, first: int, last: int) -> Iterator[tuple[int, What]]:
        """The marked cells of a column from the first row to the last."""
        rows, whats = self._columns.get(column, ((), ()))
        known = list(self._whats)
        for index in range(bisect_left(rows, first), bisect_left(rows, last + 1)):
            yield rows[index], known[whats[index]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found in a sheet before calamine reads it. Marked rows are counted as a spreadsheet shows them.

    ``extent`` is how many cells there are up to the last row and column in which something stands. ``merged`` is None
    where calamine tells it.
    """

    hidden: Hidden = field(default_factory=Hidden)
    extent: int = 0
    shown: Marks[Shown] = field(default_factory=Marks)
    errors: Marks[str] = field(default_factory=Marks)
    merged: list[Range] | None = None
