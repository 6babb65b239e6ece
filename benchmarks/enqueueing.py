"""Putting a plan into a ledger on a PostgreSQL server, against a bare ``COPY`` of the same bytes into the same tables.

The plan is of requests to 500 people. It goes in as ``send`` puts it in: in one transaction, from its columns. The bare
copy has the lines ready on the disk, as the server itself wrote them, and sends them into tables with the same keys and
indexes, in one transaction too. It makes no line, looks for no run and for nobody whom another run has queued.
"""

from __future__ import annotations

import contextlib
import itertools
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg

import voicebatch
from benchmarks.measuring import compared, spent
from benchmarks.planning import write_recipients
from tests.servers import PostgresqlServer
from voicebatch import wire
from voicebatch.ledger import Ledger
from voicebatch.models import Message
from voicebatch.pipeline import running
from voicebatch.pipeline.plan import Plan

_TEXT: Final = "Bonjour, votre commande sera livrée lundi."
_TABLES: Final = ("runs", "messages", "batches", "rows")  # in which order they have to come
_BLOCK: Final = 1 << 17
_SERIAL: Final = itertools.count(1)
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024  # bytes; what getrusage counts in


def enqueueing(folder: Path, *, rows: int, runs: int) -> str:
    """The claim with its figures."""
    plan = _plan(folder, rows)
    planned = _peak()
    with PostgresqlServer.started() as server:
        with _database(server) as first:
            _enqueue(first, plan)
            _dump(first, folder)
        pairs = compared(_pair(server, plan, folder) for _ in range(runs))
    ours, bare = (rows / seconds for seconds in (pairs.ours, pairs.baseline))
    return (
        f"enqueueing {rows:,} rows in {len(plan):,} requests on PostgreSQL: {ours:,.0f} rows/s, a bare COPY of the "
        f"same bytes {bare:,.0f}. Of {runs} pairs: {pairs.slower} times its speed. Memory: at most "
        f"{_peak() / 1e6:.0f} MB, {_peak() / planned:.2f} times that with only the plan loaded"
    )


def _plan(folder: Path, rows: int) -> Plan:
    data = folder / "enqueueing.csv"
    write_recipients(data, rows)
    return voicebatch.plan([data], Message(text=_TEXT), max_invalid="100%", out=folder, ledger=str(folder / "none"))


def _pair(server: PostgresqlServer, plan: Plan, folder: Path) -> tuple[float, float]:
    """Seconds of both, each into a new database."""
    with _database(server) as url:
        ours = spent(lambda: _enqueue(url, plan))
    with _database(server) as url:
        bare = spent(lambda: _copy(url, folder))
    return ours.seconds, bare.seconds


@contextlib.contextmanager
def _database(server: PostgresqlServer) -> Iterator[str]:
    """A new one with a ledger's tables, until the end of the block."""
    name = f"enqueueing_{next(_SERIAL)}"
    server.run(f"CREATE DATABASE {name}")
    Ledger(server.url(name)).close()
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)", "CHECKPOINT")


def _enqueue(url: str, plan: Plan) -> None:
    with contextlib.closing(Ledger(url)) as ledger:
        run = running.enqueue(plan, ledger, base_url=wire.BASE_URL, now=ledger.now())
        assert ledger.row_counts(run.id) == plan.counts
        assert ledger.queued_requests(run.id) == len(plan)


def _copy(url: str, folder: Path) -> None:
    """The lines that were dumped."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for table in _TABLES:
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)".encode()) as copy:
                for block in _blocks(folder / table):
                    copy.write(block)


def _dump(url: str, folder: Path) -> None:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for table in _TABLES:
            into = f"COPY {table} TO STDOUT (FORMAT csv)".encode()
            with cursor.copy(into) as copy, (folder / table).open("wb") as file:
                file.writelines(copy)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as lines:
        while block := lines.read(_BLOCK):
            yield block


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(enqueueing(Path(temporary), rows=int(sys.argv[1]), runs=int(sys.argv[2])))
