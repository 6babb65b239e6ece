"""The arithmetic of rate limits. The ledger knows the requests, this module says when the next may leave.

A slot is taken when a request is claimed and freed one window after the request *ended*. The provider counts
arrivals, and an arrival lies somewhere between the two: so no window of the provider's, wherever it starts, ever
holds more requests than the limit. Freeing a slot one window after it was taken would not give that.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from voicebatch.errors import UsageError
from voicebatch.models import RateLimit

SHORTEST_BACK_OFF: Final = timedelta(seconds=1)
LONGEST_BACK_OFF: Final = timedelta(seconds=60)
_CENTURY: Final = 36_525 * 86_400.0  # seconds; a longer duration is a slip of the keyboard, and no calendar holds it

_UNITS: Final = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
}
_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)?\s*([a-z]+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Usage:
    """What is taken of one limit: requests under way, requests ended within the window."""

    limit: RateLimit
    open: int
    recent: int

    @property
    def taken(self) -> int:
        """Slots that are not free."""
        return self.open + self.recent

    @property
    def full(self) -> bool:
        """Whether the next request has to wait."""
        return self.taken >= self.limit.requests

    @property
    def blocking(self) -> int:
        """Which of the recent ends, oldest first from 0, frees the next slot: ``recent`` or more if none does."""
        return self.taken - self.limit.requests


def back_off(unreachable: timedelta) -> timedelta:
    """How long every worker rests after a request that never arrived: as long again as none did, 1 s to one minute."""
    return min(LONGEST_BACK_OFF, max(SHORTEST_BACK_OFF, unreachable))


def earliest_finish(requests: int, usages: Sequence[Usage], now: datetime) -> datetime:
    """When the last of these requests can leave at the soonest, under every limit at once."""
    return max((now + _wait(requests, usage) for usage in usages), default=now)


def _wait(requests: int, usage: Usage) -> timedelta:
    windows = (usage.taken + max(requests, 1) - 1) // usage.limit.requests
    return timedelta(seconds=windows * usage.limit.seconds)


def parse_rate(text: str) -> RateLimit:
    """``2000/h``, ``40/4s``, ``5/minute`` as a limit."""
    requests, _, period = text.partition("/")
    if not requests.strip().isdecimal() or int(requests) < 1 or not period.strip():
        raise UsageError(f"--rate {text!r} is not of the form N/PERIOD.", hint="Write it like 2000/h or 40/4s.")
    seconds = parse_duration(period).total_seconds()
    if seconds <= 0:
        raise UsageError(f"--rate {text!r} has an empty period.", hint="Write it like 2000/h or 40/4s.")
    return RateLimit(requests=int(requests), seconds=seconds)


def parse_duration(text: str) -> timedelta:
    """``24h``, ``90 min``, ``7d``, ``0`` as a duration; a unit alone is one of it."""
    if text.strip() == "0":
        return timedelta(0)
    match = _DURATION.fullmatch(text)
    unit = match and _UNITS.get(match[2].lower())
    seconds = float(match[1] or 1) * unit if match and unit else math.inf
    if seconds > _CENTURY:
        raise UsageError(f"{text!r} is not a duration.", hint="Write it like 90s, 30m, 24h or 7d.")
    return timedelta(seconds=seconds)


def steady_seconds() -> float:
    """Seconds since some moment of this boot: the same for every process, untouched by who sets the clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):  # it goes on while the machine sleeps
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
