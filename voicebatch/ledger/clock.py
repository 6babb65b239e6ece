"""The time that all workers of a ledger share, whatever their own clocks say.

Slots of the rate limit and leases are times that one worker writes and another one reads. A clock that is stepped, or
two hosts that disagree by a minute, would free a slot too early and break the provider's limit. So nothing here looks
at a clock that somebody may set:

- An SQLite ledger is used by one host. Its time is what the host's clock said when the ledger was first used since the
  host started, plus what has passed since on the steady clock that all processes of the host share.
- A PostgreSQL ledger has the database server's time, asked for again every half minute and carried on in between by the
  worker's own steady clock. What is left of an error is half of the way to the server and back, and less than what a
  request to the provider takes.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, func, select

from voicebatch.errors import LedgerError
from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import attempts, clocks
from voicebatch.pacing import steady_seconds

_RESYNC_SECONDS: Final = 30.0


def boot_id() -> str:
    """Which start of this host this is."""
    known = Path("/proc/sys/kernel/random/boot_id")
    if known.exists():
        return known.read_text().strip()
    import psutil

    return f"{socket.gethostname()} {psutil.boot_time():.0f}"


def wall_time() -> datetime:
    """What the host's clock says."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class HostClock:
    """The time of an SQLite ledger. ``boot``, ``steady`` and ``wall`` are this host's, or a simulated one's."""

    boot: str = field(default_factory=boot_id)
    steady: Callable[[], float] = steady_seconds
    wall: Callable[[], datetime] = wall_time
    _began: datetime | None = None

    def now(self, engine: Engine) -> datetime:
        """Timezone-aware; it never goes back, and it never jumps."""
        if self._began is None:
            with databases.transaction(engine) as connection:
                self._began = self._anchor(connection, write=True)
        return self._began + timedelta(seconds=self.steady())

    def read(self, engine: Engine) -> datetime:
        """The same for who may not write."""
        with databases.transaction(engine, write=False) as connection:
            began = self._began or self._anchor(connection, write=False)
        return began + timedelta(seconds=self.steady())

    def _anchor(self, connection: Connection, *, write: bool) -> datetime:
        """The ledger's time when this boot began, in effect: the first who asks decides for all."""
        known = select(clocks.c.began_at).where(clocks.c.boot == self.boot)
        found: datetime | None = connection.execute(known).scalar()
        if found:
            return found
        last: datetime | None = connection.execute(select(func.max(attempts.c.started_at))).scalar()
        now = max(self.wall(), last or self.wall())  # a host may start with a clock that is behind
        began = now - timedelta(seconds=self.steady())
        if write:
            connection.execute(clocks.insert().values(boot=self.boot, began_at=began))
        return began


@dataclass(kw_only=True)
class ServerClock:
    """The time of a PostgreSQL ledger: the server's. When it is away, the time goes on as it did."""

    steady: Callable[[], float] = steady_seconds
    _offset: datetime | None = None
    _asked: float = 0.0

    def now(self, engine: Engine) -> datetime:
        """Timezone-aware. Raises ``LedgerError`` when the server cannot be asked the first time."""
        if self._offset is None:
            self._offset = self._ask(engine)
        elif self.steady() - self._asked > _RESYNC_SECONDS:
            with contextlib.suppress(LedgerError):
                self._offset = self._ask(engine)
        return self._offset + timedelta(seconds=self.steady())

    def read(self, engine: Engine) -> datetime:
        """The same: asking writes nothing."""
        return self.now(engine)

    def _ask(self, engine: Engine) -> datetime:
        """The server's time when our steady clock began."""
        self._asked = self.steady()  # also if it does not answer: to try again at once would take long again
        with databases.transaction(engine, write=False) as connection:
            before = self.steady()
            theirs: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return theirs.astimezone(UTC) - timedelta(seconds=(before + self.steady()) / 2)
