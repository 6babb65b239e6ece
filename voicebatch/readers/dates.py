"""Dates as a spreadsheet shows them, where that is day, month and year in this order: ``15/03/2032 14:30``.

A month's name becomes its number, and the name of a day is left out: ``lundi 15 mars 2032`` is ``15/03/2032``. All
others stay as ISO 8601 writes them. So a date reads in one way only: with the day first between strokes, and with the
year first between dashes, whatever else the cell shows (``3/15/32``, ``mars 2032``).

Source: ECMA-376, part 1, 18.8.30 (numFmt).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_PIECE: Final = re.compile(
    r'"[^"]*"?|\\.|[_*].|\[\$[^\]]*\]|\[(?:black|blue|cyan|green|magenta|red|white|yellow|color\s*\d+)\]|am/pm|a/p'
    r"|(?P<part>d+|m+|y+|h+|s+(?:\.0+)?)|(?P<end>;)|(?P<other>[a-z\[@#?0])|.",
    re.IGNORECASE | re.DOTALL,
)
_DAY_FIRST: Final = re.compile(r"(?:d{3,}/)?dd?/m+/y+")  # a name of the day before it, or of the month in it, is left
_SHOWN: Final = re.compile(
    r"(?P<day>\d{1,2})\W+(?P<month>\d{1,2})\W+(?P<year>\d{4}|\d{2})"
    r"(?:\D+(?P<hour>\d{1,2})(?:\D+(?P<minute>\d{2})(?P<second>\D+\d{2}(?:[.,]\d+)?)?)?\D*)?"
)


@dataclass(frozen=True, slots=True, eq=False)
class DayFirst:
    """Shows a date as day/month/year, with the time as far as the format shows it."""

    end: int  # of what is shown, in ISO 8601

    def __call__(self, value: object) -> str | None:
        """None for what is no date."""
        if isinstance(value, datetime):  # before dates: a datetime is a date
            iso = value.isoformat(" ", "seconds")
        elif isinstance(value, date):
            iso = f"{value.isoformat()} 00:00:00"
        else:
            return None
        return f"{iso[8:10]}/{iso[5:7]}/{iso[:4]}{iso[10 : self.end]}"

    def column(self, values: Sequence[object]) -> pa.Array | None:
        """Dates, with a time or without; None where there is anything else."""
        moments = [datetime(each.year, each.month, each.day) if type(each) is date else each for each in values]  # noqa: DTZ001 # a spreadsheet knows no time zone
        try:
            iso = pa.array(moments, pa.timestamp("us")).cast(pa.string())
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            return None
        year_and_time = pc.binary_join_element_wise(_cut(iso, 0, 4), _cut(iso, 10, self.end), "")
        return pc.binary_join_element_wise(_cut(iso, 8, 10), _cut(iso, 5, 7), year_and_time, "/")


def _cut(texts: pa.Array, start: int, stop: int) -> pa.Array:
    return pc.utf8_slice_codeunits(texts, start, stop)


_DATE, _WITH_MINUTES, _WITH_SECONDS = DayFirst(10), DayFirst(16), DayFirst(19)
OF_THE_COUNTRY: Final = {14: _DATE, 15: _DATE, 22: _WITH_MINUTES}
"""The formats, by number, that show a date as the reader's country writes it.

A file does not tell the country. The provider's is France, and its users' programs show the day first.
"""


def day_first(code: str) -> DayFirst | None:
    """How a format shows dates; None where that is not day, month and year in this order."""
    parts: list[str] = []
    for piece in _PIECE.finditer(code):
        if piece["other"]:
            return None
        if piece["end"]:
            break
        if piece["part"]:
            parts.append(piece["part"].lower())
    times = _times(parts)
    dates = "/".join(part for part, is_time in zip(parts, times, strict=True) if not is_time)
    if not _DAY_FIRST.fullmatch(dates):
        return None
    return _shown(has_time=any(times), has_seconds=any(part.startswith("s") for part in parts))


def _shown(*, has_time: bool, has_seconds: bool) -> DayFirst:
    if has_seconds:
        return _WITH_SECONDS
    return _WITH_MINUTES if has_time else _DATE


def _times(parts: list[str]) -> list[bool]:
    """Which parts are of a time: ``m`` is, directly behind hours or before seconds."""
    return [
        part[0] in "hs" or (part in ("m", "mm") and (before[:1] == "h" or after[:1] == "s"))
        for before, part, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False)
    ]


def day_first_as(value: str, shown: str) -> DayFirst | None:
    """How a cell that shows this text shows its date, which ISO 8601 writes so; None where the day is not first."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if not (found := _SHOWN.fullmatch(shown.strip())):
        return None
    if (int(found["day"]), int(found["month"])) != (moment.day, moment.month):
        return None
    if moment.year not in (int(found["year"]), moment.year // 100 * 100 + int(found["year"])):
        return None
    has_time = found["hour"] is not None and (int(found["hour"]) - moment.hour) % 12 == 0
    return _shown(has_time=has_time, has_seconds=has_time and found["second"] is not None)
