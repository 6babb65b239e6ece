"""Opens the ledger's database: the right settings, the newest tables, and one sentence for whatever fails."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, Table, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from voicebatch.errors import LedgerError, UsageError
from voicebatch.ledger import postgresql, sqlite
from voicebatch.ledger.kinds import PATIENCE, Kind
from voicebatch.ledger.tables import metadata

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005")
"""The migrations, oldest first. A ledger at any other revision was made by a newer voicebatch."""

_KINDS: Final[Mapping[str, Kind]] = {"sqlite": sqlite, "postgresql": postgresql}
_DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""How people begin a URL, and who understands it."""

_LONG_NUMBER: Final = re.compile(r"\+?\d{7,}")  # may be a phone number, and a message is shown


def parse_url(url: str) -> URL:
    """An SQLAlchemy URL; a plain path, whatever characters it has, is an SQLite file."""
    if "://" not in url:
        return URL.create("sqlite+pysqlite", database=url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        shown = re.sub("//.*@", "//***@", url)  # a password must not be shown
        raise UsageError(
            f"--ledger {shown!r} is not a database URL.", hint="sqlite+pysqlite:////path/to/file"
        ) from error
    if parsed.drivername not in _DRIVERS:
        raise UsageError(
            f"--ledger cannot be on {parsed.drivername!r}: a ledger is an SQLite file or a PostgreSQL database.",
            hint="--ledger PATH or --ledger postgresql://USER@HOST/DATABASE",
        )
    return parsed.set(drivername=_DRIVERS[parsed.drivername])


def open_engine(url: URL) -> Engine:
    """An engine whose every commit is on the disk before it returns. Creates a file, but no server's database."""
    return _kind(url).open_engine(url)


def exists(url: URL) -> bool:
    """Whether there is a ledger at all, without making one."""
    if url.get_backend_name() == "sqlite":
        return sqlite.exists(url)
    engine = open_engine(url)
    try:
        with transaction(engine, write=False) as connection:
            return _is_ledger(_tables(connection))
    finally:
        engine.dispose()


@contextlib.contextmanager
def transaction(engine: Engine, *, write: bool = True, patience: float | None = None) -> Iterator[Connection]:
    """One transaction. A reading one sees one moment, however many statements it needs.

    A writing one takes SQLite's lock at once, so that what it read is still true when it writes; in PostgreSQL it has
    to lock the rows that it decides by. ``patience`` is for how many seconds it waits for a lock, 30 unless the URL
    says otherwise.
    """
    kind = _kind(engine.url)
    kind.check_place(engine)
    if patience is None:
        patience = engine.get_execution_options()[PATIENCE]
    with (
        translated(engine.url),
        engine.connect() as connection,
        kind.begin(connection, write=write, patience=patience),
    ):
        yield connection


@contextlib.contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turns what the database reports into a ``LedgerError`` that names the ledger and what to do."""
    try:
        yield
    except SQLAlchemyError as error:
        failure = _kind(url).explain(getattr(error, "orig", None) or error)
        what = _LONG_NUMBER.sub("…", failure.what)
        raise LedgerError(f"The ledger {show(url)} cannot be used: {what}.", hint=failure.hint) from error


def show(url: URL) -> str:
    """The ledger as a person may see it: a file's path, or a URL without its password."""
    return _kind(url).show(url)


def show_url(url: str) -> str:
    """``show`` for a URL that is still text."""
    return show(parse_url(url))


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts what is not there yet, by its key; what is there stays as it is."""
    _kind(connection.engine.url).insert_new(connection, table, rows)


def insert_or_outrank(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows, or puts them in the place of what is there by their key if their ``rank`` is higher."""
    connection.execute(_outranking(connection.engine.url.get_backend_name(), table), rows)


@lru_cache
def _outranking(backend: str, table: Table) -> Any:
    """Built once: that costs more than running it."""
    insert = _KINDS[backend].insert_into(table)
    theirs, keys = insert.excluded, list(table.primary_key.columns)
    changed = {column.name: theirs[column.name] for column in table.columns if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=keys, set_=changed, where=theirs.rank > table.c.rank)


def copy_in(connection: Connection, table: Table, columns: Sequence[str], blocks: Iterable[Sequence[Any]]) -> None:
    """Inserts millions of rows through the driver's bulk path, in blocks of Arrow columns.

    They are integers, or texts as ``stored`` gives them.
    """
    quote = connection.dialect.identifier_preparer.quote
    _kind(connection.engine.url).copy_in(connection, quote(table.name), [quote(name) for name in columns], blocks)


def stored(connection: Connection, column: Column[Any], value: Any) -> str | None:
    """A value as text that the database reads back as the same value."""
    convert = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return None if value is None else str(convert(value) if convert else value)


def lock_enqueueing(connection: Connection) -> None:
    """Until the transaction's end nobody else enqueues."""
    _kind(connection.engine.url).lock_alone(connection, "enqueue")


def check_integrity(engine: Engine) -> None:
    """Raises ``LedgerError`` when an SQLite file is damaged. Reads all of it; a server looks after itself."""
    with transaction(engine, write=False) as connection:
        _kind(engine.url).check_integrity(connection)


def migrate(engine: Engine) -> None:
    """Brings the tables to the newest revision, in one transaction; does nothing when they are."""
    try:
        with transaction(engine, write=False) as connection:
            revision = _revision(connection, engine.url)
        if revision != REVISIONS[-1]:
            _upgrade(engine)
    except BaseException:
        engine.dispose()
        raise


def _kind(url: URL) -> Kind:
    return _KINDS[url.get_backend_name()]


def _upgrade(engine: Engine) -> None:
    with transaction(engine) as connection:
        _kind(engine.url).lock_alone(connection, "migrate")
        if _is_ledger(_tables(connection)):
            _run_migrations(connection)
        else:
            metadata.create_all(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": REVISIONS[-1]})


def _run_migrations(connection: Connection) -> None:
    """Only here is Alembic needed: a new ledger has the newest tables at once, and a test compares the two."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection, url: URL) -> str | None:
    tables = _tables(connection)
    if not _is_ledger(tables):
        _refuse_strangers(_kind(url).strangers(tables, set(metadata.tables)), url)
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision not in REVISIONS:
        raise LedgerError(
            f"The ledger {show(url)} was written by a newer voicebatch (revision {revision}).",
            hint="Install the newest version: pip install --upgrade voicebatch",
        )
    return revision


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _is_ledger(tables: set[str]) -> bool:
    return "alembic_version" in tables and not tables.isdisjoint(metadata.tables)


def _refuse_strangers(tables: set[str], url: URL) -> None:
    if tables:
        raise LedgerError(
            f"{show(url)} is a database, but no ledger of voicebatch: it has another program's {min(tables)!r}.",
            hint="Name another, or one of its schemas: --ledger URL",
        )
