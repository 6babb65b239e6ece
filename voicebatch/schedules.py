"""Reads the times at which people want a message to leave, as they write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

_TIME: Final = r"[ T,]+(?:à +)?(?P<hour>\d{1,2})(?::(?P<minute>\d{2})|[hH](?P<minute_h>\d{2})?)(?::(?P<second>\d{2}))?"
_WRITTEN: Final = tuple(
    re.compile(date + _TIME)
    for date in (
        r"(?P<day>\d{1,2})([/.-])(?P<month>\d{1,2})\2(?P<year>\d{4})",
        r"(?P<year>\d{4})([/.-])(?P<month>\d{1,2})\2(?P<day>\d{1,2})",
    )
)
_HAS_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{1,2}:\d{2}.*")

FORMS: Final = "2027-03-01 09:00, 2027-03-01T09:00+01:00 or 01/03/2027 09:00"


def read_schedule(text: str, *, now: datetime, zone: ZoneInfo) -> datetime:
    """The time that a cell or an option means; one without an offset is of ``zone``.

    Raises ``ValueError`` with a sentence when it cannot be read, does not exist (a date that is none, an hour that a
    clock change leaves out), is past, or cannot be written in ``zone`` without an offset.
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
    if when.astimezone(zone).fold:
        raise ValueError(f"{text.strip()!r} is in an hour that the clocks show twice, and only its first can be meant")
    return when


def _read(text: str) -> datetime:
    try:
        if written := next(filter(None, (form.fullmatch(text) for form in _WRITTEN)), None):
            part = {name: int(digits or 0) for name, digits in written.groupdict().items()}
            minute = part["minute"] or part["minute_h"]
            return datetime(part["year"], part["month"], part["day"], part["hour"], minute, part["second"])  # noqa: DTZ001 # the caller knows the zone
        if _HAS_TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date that exists") from error
    raise ValueError(f"{text!r} is not a date and time: write it like {FORMS}")
