"""The kinds of columns, and how the text of their cells becomes values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

_TIME_ZONE: Final = ZoneInfo("Europe/Paris")  # of a date without an offset
_YES: Final = ("true", "1", "yes", "y", "oui", "o", "vrai")
_NO: Final = ("false", "0", "no", "n", "non", "faux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of column: how a sentence says it, how a schema may write it, and how its cells are read.

    ``read`` takes cells without the empty ones; where it leaves a null, the cell is not of this kind.
    """

    words: str
    dtypes: tuple[str, ...]
    read: Callable[[pa.Array], pa.Array]


def filled(cells: pa.Array) -> pa.Array:
    """The cells as they stand; null where there is nothing in them."""
    text = cells.cast(pa.string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), None, text)


def read_date(cell: str) -> datetime | None:
    """A date as a person or a program writes it: ISO 8601, or day/month/year with or without a time.

    The answer has no offset: it is what clocks in Paris show.
    """
    iso = re.sub(r"^(\d\d)/(\d\d)/(\d{4})\b", r"\3-\2-\1", cell.strip())
    if not re.match(r"\d{4}-\d\d-\d\d", iso):
        return None
    try:
        moment = datetime.fromisoformat(iso)
        return moment.astimezone(_TIME_ZONE).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):  # no such day; or Paris is past the calendar's ends
        return None


def _ints(text: pa.Array) -> pa.Array:
    digits = pc.replace_substring_regex(pc.utf8_trim_whitespace(text), r"[.,]0+$", "")
    return _numbers(digits, r"^[+-]?\d{1,18}$").cast(pa.int64())


def _floats(text: pa.Array) -> pa.Array:
    number = pc.replace_substring(pc.utf8_trim_whitespace(text), ",", ".")
    return _numbers(number, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$").cast(pa.float64())


def _numbers(text: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(text, pattern), pc.utf8_ltrim(text, "+"), None)


def _bools(text: pa.Array) -> pa.Array:
    word = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    yes, no = (pc.is_in(word, pa.array(words)) for words in (_YES, _NO))
    return pc.if_else(pc.or_(yes, no), yes, None)


def _dates(text: pa.Array) -> pa.Array:
    encoded = text.dictionary_encode()
    dates = [read_date(cell) for cell in encoded.dictionary.to_pylist()]
    return pa.array(dates, pa.timestamp("us")).take(encoded.indices)


KINDS: Final[Mapping[str, Kind]] = {
    "text": Kind(
        words="text",
        dtypes=("str", "string", "object", "string[pyarrow]", "string[python]"),
        read=lambda text: text,
    ),
    "int": Kind(words="a whole number", dtypes=("int", "int64", "Int64"), read=_ints),
    "float": Kind(words="a number", dtypes=("float", "float64", "Float64"), read=_floats),
    "bool": Kind(words="yes or no", dtypes=("bool", "boolean"), read=_bools),
    "date": Kind(
        words="a date",
        dtypes=("date", "datetime", "datetime64[ns]", "datetime64[us]"),
        read=_dates,
    ),
}
