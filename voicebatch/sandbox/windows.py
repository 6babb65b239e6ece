"""The provider's rate limits as it keeps them (assumed): fixed windows, each of which starts with its first request."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebatch.models import RateLimit


class Window:
    """A fixed window of requests, which starts with its first one."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self.ends = datetime.min.replace(tzinfo=UTC)
        self._used = 0

    @property
    def left(self) -> int:
        """How many more requests it takes."""
        return self.limit.requests - self._used

    def look(self, now: datetime) -> None:
        """Begins anew when it is over."""
        if now >= self.ends:
            self.ends, self._used = now + timedelta(seconds=self.limit.seconds), 0

    def take(self) -> None:
        """Counts a request."""
        self._used += 1


class Windows:
    """The limits of one endpoint, all of which hold at once; without any, everything is within them."""

    def __init__(self, limits: Sequence[RateLimit] = ()) -> None:
        self._windows = [Window(limit) for limit in limits]

    def take(self, now: datetime) -> bool:
        """Whether a request that arrives now is within every limit; one beyond any does not count."""
        for window in self._windows:
            window.look(now)
        if any(not window.left for window in self._windows):
            return False
        for window in self._windows:
            window.take()
        return True

    def headers(self) -> dict[str, str]:
        """The rate headers as they stand after the last ``take``: of the window that is nearest to its limit."""
        if not self._windows:
            return {}
        window = self._tightest()
        return {
            "X-RateLimit-Limit": str(window.limit.requests),
            "X-RateLimit-Remaining": str(window.left),
            "X-RateLimit-Reset": str(math.ceil(window.ends.timestamp())),
        }

    def wait(self, now: datetime) -> int:
        """Whole seconds until the full window is over."""
        return max(1, math.ceil((self._tightest().ends - now).total_seconds()))

    def _tightest(self) -> Window:
        return min(self._windows, key=lambda window: (window.left, -window.ends.timestamp()))
