"""What a marked copy of an input file has in common, whatever its format: its marks, its name, its arrival."""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Final

from voicebatch.models import Fault
from voicebatch.reports.cells import partial_of

AUTHOR: Final = "voicebatch"
MARKED: Final = ".annotated"
MOST_CELLS: Final = 10_000  # of a workbook are marked: more notes than that nobody reads, and few programs open


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is wrong with one cell. ``row`` is a spreadsheet's number, ``column`` a position from 0."""

    row: int
    column: int
    reason: str


def marks_of(faults: Iterable[Fault], header: Sequence[str]) -> list[Mark]:
    """A mark for each bad cell, by row and column; a fault of the row as a whole is its first cell's."""
    reasons: dict[tuple[int, int], list[str]] = defaultdict(list)
    for fault in faults:
        for column in _columns(fault, header):
            reasons[fault.row, column].append(fault.reason)
    return [
        Mark(row=row, column=column, reason="\n".join(dict.fromkeys(told)))
        for (row, column), told in sorted(reasons.items())
    ]


def _columns(fault: Fault, header: Sequence[str]) -> list[int]:
    """Where the fault stands. Of values that may stand together only once, each has a column."""
    names = [fault.column] if fault.column in header else fault.column.split(", ")
    return [header.index(name) for name in names] if set(names) <= set(header) else [0]


def reasons_of(faults: Iterable[Fault]) -> Mapping[int, str]:
    """All that is wrong with each bad row, in one line."""
    reasons: dict[int, list[str]] = defaultdict(list)
    for fault in faults:
        reason = f"{fault.column}: {fault.reason}" if fault.column else fault.reason
        reasons[fault.row].append(" ".join(reason.split()))
    return {row: "; ".join(dict.fromkeys(told)) for row, told in reasons.items()}


class Names:
    """Where the copies go: a name of its own for each, and never that of a file which is read."""

    def __init__(self, folder: Path, inputs: Collection[Path]) -> None:
        self._folder = folder
        self._taken = {os.path.realpath(path).casefold() for path in inputs}

    def place(self, partial: Path, wanted: str) -> Path:
        """Puts a copy, now whole, where it belongs, and says where.

        A copy from another time is not overwritten unless it is the same: somebody may be correcting it.
        """
        stem, ending = Path(wanted).stem.removesuffix(MARKED), Path(wanted).suffix
        for path in self._candidates(stem, ending):
            real = os.path.realpath(path).casefold()
            if real not in self._taken and (not path.exists() or filecmp.cmp(partial, path, shallow=False)):
                self._taken.add(real)
                partial.replace(path)
                return path
        raise AssertionError  # there is always one more candidate

    def partial(self) -> Path:
        """Where a copy grows."""
        return partial_of(self._folder / f"copy{MARKED}")

    def _candidates(self, stem: str, ending: str) -> Iterator[Path]:
        for serial in chain([""], (f"-{number}" for number in count(2))):
            yield self._folder / f"{stem}{serial}{MARKED}{ending}"
