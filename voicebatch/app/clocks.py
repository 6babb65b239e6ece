"""The time that work goes by, where none is given."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        """Timezone-aware."""
        return datetime.now(UTC)

    def wait(self, until: datetime, stop: threading.Event) -> None:
        """Sleeps until then, or until ``stop`` is set."""
        stop.wait(max(0.0, (until - self.now()).total_seconds()))


class LedgerClock(SystemClock):
    """The time that all workers of a ledger share."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def now(self) -> datetime:
        """Timezone-aware."""
        return self._ledger.now()
