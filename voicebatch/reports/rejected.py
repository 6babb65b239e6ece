"""The rejected rows as they came, with the reason: what goes back to whoever made the file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from voicebatch.models import Fault
from voicebatch.reports.cells import csv_text
from voicebatch.settings import OWN_COLUMN

LAST_COLUMNS: Final = ("file", "row", "column", "check", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """The cells of a bad row by their headers; an empty cell is ``None``."""

    file: str
    row: int
    cells: Mapping[str, str | None]


def rejected_csv(headers: Sequence[str], rows: Sequence[RejectedRow], faults: Sequence[Fault]) -> bytes:
    """``rejected.csv``: a line for every fault, the row's own cells first.

    ``headers`` is the union of the files' headers; a file that lacks one leaves its cell empty. What an earlier marked
    copy said of a row is not repeated.
    """
    headers = [header for header in headers if header != OWN_COLUMN]
    by_row: dict[tuple[str, int], list[Fault]] = defaultdict(list)
    for fault in faults:
        by_row[fault.file, fault.row].append(fault)
    return csv_text([*headers, *LAST_COLUMNS], _lines(headers, rows, by_row)).encode()


def _lines(
    headers: Sequence[str], rows: Sequence[RejectedRow], faults: Mapping[tuple[str, int], Sequence[Fault]]
) -> Iterator[list[object]]:
    for row in rows:
        cells = [row.cells.get(header) for header in headers]
        for fault in faults[row.file, row.row]:
            yield [*cells, fault.file, fault.row, fault.column, fault.check, fault.reason]
