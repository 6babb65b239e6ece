"""Opens the ledger's database: the right settings, the newest tables, and one sentence for whatever fails."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from voicebatch.errors import LedgerError, UsageError

REVISIONS: Final = ("0001",)
"""The migrations, oldest first. A ledger at any other revision was made by a newer voicebatch."""

_LOCK_SECONDS: Final = 30
_CONNECTIONS: Final = 100  # more than the requests in flight: none waits for another's connection
_READ_ONLY: Final = "voicebatch_read_only"


def parse_url(url: str) -> URL:
    """An SQLAlchemy URL; a plain path, whatever characters it has, is an SQLite file."""
    if "://" not in url:
        return URL.create("sqlite+pysqlite", database=url)
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        shown = re.sub("//.*@", "//***@", url)  # a password must not be shown
        raise UsageError(
            f"--ledger {shown!r} is not a database URL.", hint="sqlite+pysqlite:////path/to/file"
        ) from error


def open_engine(url: URL) -> Engine:
    """An engine whose every commit is on the disk before it returns. Creates the file, private to its owner."""
    if url.get_backend_name() != "sqlite":
        raise UsageError("This version keeps its ledger in SQLite only.", hint="Use a path or sqlite+pysqlite:///…")
    if not url.database or url.database == ":memory:":
        raise UsageError("A ledger in memory would forget who was called.", hint="Name a file: --ledger PATH")
    _make_private_file(url)
    try:
        engine = create_engine(
            url, connect_args={"timeout": _LOCK_SECONDS}, max_overflow=_CONNECTIONS, hide_parameters=True
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise UsageError(f"--ledger needs a database driver that is not installed: {error}") from error
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def exists(url: URL) -> bool:
    """Whether there is a ledger at all, without making one."""
    try:
        return bool(url.database) and Path(str(url.database)).exists()
    except (OSError, ValueError) as error:
        raise LedgerError(f"The ledger cannot be there: {error}.", hint="Name another place: --ledger PATH") from error


@contextlib.contextmanager
def transaction(engine: Engine, *, write: bool = True) -> Iterator[Connection]:
    """One transaction. A writing one takes SQLite's lock at once, so that what it read is still true when it writes."""
    with translated(engine.url), engine.connect() as plain:
        connection = plain.execution_options(**{_READ_ONLY: not write})
        with connection.begin():
            yield connection


@contextlib.contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turns what the database reports into a ``LedgerError`` that names the ledger and what to do."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise LedgerError(
            f"The ledger {show(url)} cannot be used: {cause}.",
            hint="Nothing is sent without it. Check its disk and your right to write to it, or name another: --ledger",
        ) from error


def show(url: URL) -> str:
    """The ledger as a person may see it: a file's path, or a URL without its password."""
    if url.get_backend_name() == "sqlite" and url.database:
        return str(url.database)
    return url.render_as_string(hide_password=True)


def show_url(url: str) -> str:
    """``show`` for a URL that is still text."""
    return show(parse_url(url))


def migrate(engine: Engine) -> None:
    """Brings the tables to the newest revision, in one transaction; does nothing when they are."""
    with transaction(engine, write=False) as connection:
        revision = _revision(connection, engine.url)
    if revision != REVISIONS[-1]:
        _upgrade(engine)


def _upgrade(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection, url: URL) -> str | None:
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise LedgerError(f"{show(url)} is a database, but no ledger of voicebatch.", hint="Name another: --ledger")
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision not in REVISIONS:
        raise LedgerError(
            f"The ledger {show(url)} was written by a newer voicebatch (revision {revision}).",
            hint="Install the newest version: pip install --upgrade voicebatch",
        )
    return revision


def _make_private_file(url: URL) -> None:
    """The file holds phone numbers: nobody else on the machine may read it."""
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} cannot be written: {error.strerror}.", hint="Name another place: --ledger PATH"
        ) from error


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    mode = _write_ahead(connection)
    if mode != "wal":
        raise LedgerError(
            f"The ledger's file system cannot keep a write-ahead log (SQLite says {mode!r}).",
            hint="Put the ledger on a local disk: --ledger PATH",
        )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Asks for a write-ahead log. SQLite itself does not wait while another process just opens the same new file."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
