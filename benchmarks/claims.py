"""Claiming the next request of a run with 1,000,000 that are queued, against one with 10,000, on both kinds of ledger.

The requests are copies of one that the database itself makes: what is measured is how a claim finds the first of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import text

from benchmarks import requests_of_one
from benchmarks.measuring import compared
from tests.servers import PostgresqlServer
from voicebatch.ledger import Claim, Ledger, Worker
from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import batches

_FEW: Final = 10_000
_MANY: Final = 1_000_000
_AT_ONCE: Final = 100
_PAIRS: Final = 7
_COPIED: Final = [column.name for column in batches.columns if column.name not in {"id", "ordinal"}]
_COPIES: Final = text(f"""
    INSERT INTO batches (id, ordinal, {", ".join(_COPIED)})
    WITH RECURSIVE copies (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM copies WHERE at < :last)
    SELECT 'copy ' || CAST(at AS VARCHAR(16)), at, {", ".join(_COPIED)} FROM copies, batches WHERE ordinal = 0
""")  # noqa: S608 # our own names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queue:
    """A run with many requests, and its ledger."""

    ledger: Ledger
    run_id: str
    size: int

    def claim(self) -> float:
        """The seconds of some claims, without what is recorded in between."""
        worker, yes, limits = Worker.current(), requests_of_one.yes(), (requests_of_one.WIDE,)
        seconds = 0.0
        for _ in range(_AT_ONCE):
            now, start = self.ledger.now(), time.perf_counter()
            claim = self.ledger.claim(
                self.run_id, worker=worker, limiter="nobody's", limits=limits, now=now, lease_seconds=75
            )
            seconds += time.perf_counter() - start
            assert isinstance(claim, Claim)
            self.ledger.record(claim, yes, now=now, limits=limits)
        return seconds

    def check(self) -> None:
        """Each claim was of another request, and nothing else was done."""
        assert self.ledger.queued_requests(self.run_id) == self.size - (_PAIRS + 1) * _AT_ONCE
        assert self.ledger.row_counts(self.run_id).accepted == (_PAIRS + 1) * _AT_ONCE


def claims(folder: Path) -> str:
    """The claim with its figures."""
    with PostgresqlServer.started() as server:
        server.run("CREATE DATABASE few", "CREATE DATABASE many")
        found = [
            _compare("SQLite", str(folder / "few.sqlite"), str(folder / "many.sqlite"), folder),
            _compare("PostgreSQL", server.url("few"), server.url("many"), folder),
        ]
    return f"a claim with {_MANY:,} requests queued, against {_FEW:,}: {'; '.join(found)}"


def _compare(kind: str, few: str, many: str, folder: Path) -> str:
    with _queue(few, _FEW, folder) as short, _queue(many, _MANY, folder) as long:
        pairs = compared([(long.claim(), short.claim()) for _ in range(_PAIRS + 1)][1:])
        short.check()
        long.check()
    ours, baseline = (1000 * seconds / _AT_ONCE for seconds in (pairs.ours, pairs.baseline))
    return f"on {kind} {ours:.2f} ms and {baseline:.2f} ms, {pairs.spread} times its time ({_PAIRS} pairs)"


@contextlib.contextmanager
def _queue(url: str, size: int, folder: Path) -> Iterator[_Queue]:
    with contextlib.closing(Ledger(url)) as ledger:
        run_id = requests_of_one.enqueue(ledger, 1, report_dir=folder)
        with databases.transaction(ledger._engine) as connection:  # noqa: SLF001 # faster than any plan
            connection.execute(_COPIES, {"last": size - 1})
        yield _Queue(ledger=ledger, run_id=run_id, size=size)
