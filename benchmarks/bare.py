"""What the disk alone allows: the writes that the ledger makes for a request, by hand, and nothing else.

The same tables, columns and indexes, the same two commits with the same settings. It looks for no batch, counts no
limit, knows no worker and checks nothing.
"""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from benchmarks.requests_of_one import PRICE, yes

_COMMITTED: Final = "UPDATE runs SET committed=? WHERE id=?"
_SENDING: Final = "UPDATE batches SET status=?, attempts=?, contacted_at=?, settled=? WHERE id=?"
_ATTEMPT: Final = (
    "INSERT INTO attempts (id, batch_id, number, worker, limiter, started_at, lease_until, counted, held) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ENDED: Final = (
    "UPDATE attempts SET ended_at=?, outcome=?, counted=?, http_status=?, code=?, reason=?, campaign_id=?, cost=?, "
    "currency=?, messages=?, seconds=?, body=?, held=? WHERE id=?"
)
_CHARGE: Final = (
    "INSERT INTO charges (attempt_id, calling_code, country_code, currency, messages, unit_cost, cost, seconds) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_ACCEPTED: Final = "UPDATE batches SET status=?, settled=?, reason=?, campaign_id=?, accepted_at=?, cost=? WHERE id=?"
_BODY: Final = yes().body
_SETTINGS: Final = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


class BareLoop:
    """Works on a copy of a ledger that nobody has open, which it makes beside it, for up to so many requests."""

    def __init__(self, ledger: Path, requests: int) -> None:
        copy = ledger.with_suffix(".bare")
        shutil.copy(ledger, copy)
        self._database = sqlite3.connect(copy, isolation_level=None)
        for setting in _SETTINGS:
            self._database.execute(f"PRAGMA {setting}")
        queued = "SELECT id, run_id FROM batches WHERE status='queued' ORDER BY ordinal LIMIT ?"
        self._queued = iter(self._database.execute(queued, (requests,)).fetchall())
        self._committed = Decimal(0)

    def send(self, requests: int) -> None:
        """Writes what so many requests leave behind."""
        for batch, run in itertools.islice(self._queued, requests):
            self._claim(run, batch)
            self._record(run, batch)

    def close(self) -> None:
        """Gives the file back."""
        self._database.close()

    def _claim(self, run: str, batch: str) -> None:
        now, execute = datetime.now(UTC).replace(tzinfo=None), self._database.execute
        self._committed += PRICE
        execute("BEGIN IMMEDIATE")
        execute(_COMMITTED, (str(self._committed), run))
        execute(_SENDING, ("sending", 1, _text(now), None, batch))
        lease = _text(now + timedelta(seconds=75))
        execute(_ATTEMPT, (f"{batch}.1", batch, 1, "host 1 1", "limiter", _text(now), lease, 1, str(PRICE)))
        execute("COMMIT")

    def _record(self, run: str, batch: str) -> None:
        now, execute = _text(datetime.now(UTC).replace(tzinfo=None)), self._database.execute
        attempt, price, campaign = f"{batch}.1", str(PRICE), "0123456789abcdef0123"
        execute("BEGIN IMMEDIATE")
        said = (now, "accepted", 1, 200, "", "", campaign, price, "EUR", 1, "3.2", _BODY, None, attempt)
        execute(_ENDED, said)
        execute(_CHARGE, (attempt, "33", "FR", "EUR", 1, price, price, "3.2"))
        execute(_COMMITTED, (str(self._committed), run))
        execute(_ACCEPTED, ("accepted", None, "", campaign, now, price, batch))
        execute("COMMIT")


def _text(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="microseconds")
