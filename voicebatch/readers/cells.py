"""A typed cell as the text that a person would have typed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_EXACT: Final = 2**53  # below, a float is the very number that was typed


def text(value: object) -> str | None:
    """A cell's text: ``612345678`` for 612345678.0, ``2027-03-01 09:00``, ``TRUE``; None for nothing."""
    match value:
        case None | "":
            return None
        case str():
            return value
        case bool():  # before numbers: a bool is an int
            return str(value).upper()
        case float() | Decimal():
            return _number(value)
        case datetime():  # before dates: a datetime is a date
            return value.isoformat("T" if value.tzinfo else " ", _precision(value))
        case time():
            return value.isoformat(_precision(value))
        case timedelta():
            return _duration(value)
        case date() | _:
            return str(value)


def texts(values: Sequence[object]) -> pa.Array:
    """The text of each cell of a column; fast for text, and for whole numbers."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        whole = _whole_numbers(values)
    known = whole.is_valid().to_numpy(zero_copy_only=False).tolist()
    others = [None if is_known else text(value) for value, is_known in zip(values, known, strict=True)]
    return pc.coalesce(whole, pa.array(others, pa.string()))


def _whole_numbers(values: Sequence[object]) -> pa.Array:
    """The texts of whole numbers; null for all else."""
    numbers = pa.array([value if type(value) is float else None for value in values], pa.float64())
    is_whole = pc.and_(pc.less(pc.abs(numbers), _EXACT), pc.equal(pc.floor(numbers), numbers))
    return pc.if_else(is_whole, numbers, None).cast(pa.int64()).cast(pa.string())


def _number(value: float | Decimal) -> str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return str(value)
    if isinstance(value, float) and "e" not in (shown := repr(value)) and not shown.endswith(".0"):
        return shown
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    return str(int(exact)) if exact == exact.to_integral_value() else format(exact, "f")


def _precision(value: datetime | time) -> str:
    """Seconds only where there are any."""
    return "auto" if value.second or value.microsecond else "minutes"


def _duration(value: timedelta) -> str:
    """Hours, which may be more than 24, and minutes: how a spreadsheet shows a stretch of time."""
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}" + (f":{seconds:02}" if seconds else "")
