"""Reads the times at which people want a message to leave, as they write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

_FRENCH: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})[ T]+(\d{1,2})[:hH](\d{2})(?::(\d{2}))?")
_HAS_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{1,2}:\d{2}.*")

FORMS: Final = "2027-03-01 09:00, 2027-03-01T09:00+01:00 or 01/03/2027 09:00"


def read_schedule(text: str, *, now: datetime, zone: ZoneInfo) -> datetime:
    """The time that a cell or an option means; one without an offset is of ``zone``.

    Raises ``ValueError`` with a sentence when it cannot be read, does not exist (a date that is none, an hour that a
    clock change leaves out) or is past.
    """
    local = _read(text.strip())
    when = local if local.tzinfo else local.replace(tzinfo=zone)
    try:
        again = when.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    except OverflowError as error:  # within a day of the calendar's ends
        raise ValueError(f"{text.strip()!r} is not a date that exists") from error
    if local.tzinfo is None and again != local:
        raise ValueError(f"{text.strip()!r} does not exist: the clocks go forward over it")
    if when < now:
        raise ValueError(f"{text.strip()!r} is past")
    return when


def _read(text: str) -> datetime:
    try:
        if french := _FRENCH.fullmatch(text):
            day, month, year, hour, minute, second = (int(part or 0) for part in french.groups())
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 # the caller knows the zone
        if _HAS_TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date that exists") from error
    raise ValueError(f"{text!r} is not a date and time: write it like {FORMS}")
