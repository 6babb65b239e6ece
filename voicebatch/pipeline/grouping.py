"""Faults as a person reads them on the screen: one sentence for each kind, and never what stands in a cell."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from voicebatch.models import Fault
from voicebatch.validation.checks import CHECKS
from voicebatch.validation.rules import PHONE_NUMBER

_SHOWN_ROWS: Final = 5
_LONGEST: Final = 120  # characters of a sentence on the screen
_CELL: Final = re.compile(r"""^(?:`.*`|'.*'|".*")(?= (?:is|does) )""", re.DOTALL)
_GENERAL: Final = tuple(
    (re.compile(pattern, re.DOTALL), sentence)
    for pattern, sentence in (
        (r"^`.*` already stands in row \d+$", "the value already stands in a row above"),
        (r"^`.*` already stand together in row \d+$", "the values already stand together in a row above"),
        (r"^`.+` does not belong there in a phone number$", "there is a character that does not belong in a number"),
        (r"^the value has \d+ characters?, not (\d+)$", r"the length of the value is not \1"),
        (r"^the row has \d+ cells, the header (\d+)(:.*)$", r"there are more than the header's \1 cells\2"),
        (r"^the row goes on over \d+ lines and has \d+ cells, the header \d+(:.*)$", r"there are too many lines\1"),
        (r"^the template needs “.*”, and the cell is empty$", "the template needs a value, and the cell is empty"),
        (r"^this can be read as .*: (write it .*)$", r"this can be read as the numbers of two countries: \1"),
        (r"^the template fails: .*$", "the template fails: see the reasons in rejected.csv"),
    )
)
"""Sentences that quote a cell or count in it, and what they say of every such cell."""
_OF_A_SCHEMA: Final = CHECKS.keys() - {PHONE_NUMBER, "scheduled_date"}  # a colon in their sentences is the user's


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultGroup:
    """Faults of one kind in one column of a file: a sentence for all of them, their rows and the first of these."""

    file: str
    column: str
    check: str
    sentence: str
    rows: int
    first_rows: tuple[int, ...]

    def words(self, rows: str) -> str:
        """The sentence with the rows in it; advice stays behind them."""
        what, colon, advice = self.sentence.partition(": ")
        if not colon or self.check in _OF_A_SCHEMA:
            return f"{shortened(self.sentence)} in {rows}"
        return f"{shortened(what)} in {rows} ({shortened(advice)})"


@dataclass(slots=True)
class _Counted:
    rows: int = 0
    last: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, row: int) -> None:
        if self.rows and row == self.last:
            return
        self.rows, self.last = self.rows + 1, row
        if len(self.first) < _SHOWN_ROWS:
            self.first.append(row)


def grouped(faults: Iterable[Fault]) -> tuple[FaultGroup, ...]:
    """The kinds of faults, the most frequent first. ``faults`` are by file and row."""
    kinds: dict[tuple[str, str, str, str], _Counted] = {}
    for fault in faults:
        kind = (fault.file, fault.column, fault.check, sentence(fault))
        kinds.setdefault(kind, _Counted()).add(fault.row)
    ordered = sorted(kinds.items(), key=lambda kind: -kind[1].rows)
    return tuple(
        FaultGroup(file=file, column=column, check=check, sentence=said, rows=seen.rows, first_rows=tuple(seen.first))
        for (file, column, check, said), seen in ordered
    )


def shortened(text: str) -> str:
    """The text on one line, and not for ever: a list of allowed values may be long."""
    return textwrap.shorten(text, _LONGEST, placeholder=" …")


def sentence(fault: Fault) -> str:
    """What is wrong, as it can be said of every such cell: what stands in this one is left out."""
    for pattern, general in _GENERAL:
        if pattern.match(fault.reason):
            return pattern.sub(general, fault.reason)
    return _CELL.sub("the value", fault.reason)
