"""The ledger on a PostgreSQL server: settings that keep what was committed, and its failures in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ARRAY, Connection, Engine, Table, Transaction, bindparam, create_engine, func, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from voicebatch.errors import UsageError
from voicebatch.ledger.kinds import PATIENCE, Failure, default_patience

_READING: Final[Mapping[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_WRITING: Final[Mapping[str, Any]] = {"isolation_level": "READ COMMITTED", "postgresql_readonly": False}

_CONNECTIONS: Final = 20  # writers wait for each other anyway; a server has 100 for everybody
_LINK: Final = {
    "application_name": "voicebatch",
    "connect_timeout": 10,
    "keepalives_idle": 30,  # a server that is cut off is noticed within a minute, not after two hours
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "prepare_threshold": None,  # else a pooler between us and the server mixes up prepared statements
}
"""How we connect, unless the URL says otherwise."""

_SETTINGS: Final = (
    "SET LOCAL synchronous_commit = on; "  # a commit is on the disk, whatever the server's default
    "SET LOCAL idle_in_transaction_session_timeout = '{idle}s'; "  # a writer that was cut off lets go of its lock
    "SET LOCAL lock_timeout = '{patience}ms'"
)
_IDLE_SECONDS: Final = 60

_LATER: Final = "When it is back, type the same command again, or: voicebatch resume RUN"
_RIGHTS: Final = "Ask the database's owner for the right to read and write these tables, and to create them once"
_FAILURES: Final = {
    "55P03": Failure(
        "another program holds it and does not let go", "Look who: SELECT * FROM pg_stat_activity. Then try again"
    ),
    "42501": Failure("", _RIGHTS),
    "3F000": Failure("", "Create the schema first: CREATE SCHEMA NAME"),
    "25006": Failure("", "Name the server that can be written, not its standby: --ledger URL"),
    "53100": Failure("the server's disk has no room left", f"Make room there. {_LATER}"),
    "53300": Failure("", f"The server has too many clients. {_LATER}"),
}
"""What SQLSTATE codes mean to a person. Source: https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_UNREACHABLE: Final = (
    f"Nothing is sent without it. Check the server, and host, user, password and database in --ledger. {_LATER}"
)
_OTHERWISE: Final = Failure("", f"Nothing is sent without it. {_LATER}")


def open_engine(url: URL) -> Engine:
    """An engine whose every commit is on the server's disk before it returns."""
    patience = default_patience(url)
    try:
        engine = create_engine(
            url.difference_update_query(["timeout"]),
            connect_args={name: value for name, value in _LINK.items() if name not in url.query},
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            execution_options={PATIENCE: patience},
        )
    except ImportError as error:
        raise UsageError(
            "A ledger on a PostgreSQL server needs the driver psycopg, which is not installed.",
            hint="pip install 'voicebatch[postgresql]'",
        ) from error
    return engine


def show(url: URL) -> str:
    """Server, user and database; of the URL's options only where the server is: others may be secrets."""
    where = {name: value for name, value in url.query.items() if name in {"host", "port"}}
    return url.set(drivername="postgresql", query=where).render_as_string(hide_password=True)


def check_place(_engine: Engine) -> None:
    """A server does not lose its files unnoticed."""


def begin(connection: Connection, *, write: bool, patience: float) -> Transaction:
    """With the settings for one that reads or one that writes."""
    transaction = connection.execution_options(**(_WRITING if write else _READING)).begin()
    idle = _IDLE_SECONDS if write else 0  # a reader holds nobody up
    connection.exec_driver_sql(_SETTINGS.format(idle=idle, patience=int(patience * 1000)))
    return transaction


def lock_alone(connection: Connection, work: str) -> None:
    """An advisory lock, one for all ledgers of the database."""
    name = func.hashtextextended(f"voicebatch {work}", 0)
    connection.execute(select(func.pg_advisory_xact_lock(name)))


def insert_into(table: Table) -> Any:
    """With ``ON CONFLICT``."""
    from sqlalchemy.dialects.postgresql import insert

    return insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """In one statement, with an array for each column: a statement for each row would take ten times as long."""
    names = tuple(rows[0])
    connection.execute(_inserting_new(table, names), {f"all_{name}": [row[name] for row in rows] for name in names})


@lru_cache
def _inserting_new(table: Table, names: tuple[str, ...]) -> Any:
    """Built once: that costs more than running it."""
    arrays = (bindparam(f"all_{name}", type_=ARRAY(table.c[name].type)) for name in names)
    together = func.unnest(*arrays).table_valued(*names).render_derived()
    return insert_into(table).from_select(names, select(together)).on_conflict_do_nothing()


def copy_in(connection: Connection, into: str, columns: Sequence[str], blocks: Iterable[Sequence[Any]]) -> None:
    """Through ``COPY``, as CSV that Arrow writes. The next block is made while the server takes this one."""
    sql = f"COPY {into} ({', '.join(columns)}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')"
    driver: Any = connection.connection.driver_connection
    written = map(_csv, blocks)
    try:
        with ThreadPoolExecutor(1) as pool, driver.cursor() as cursor, cursor.copy(sql) as copy:
            waiting = pool.submit(next, written, None)
            while (block := waiting.result()) is not None:
                waiting = pool.submit(next, written, None)
                copy.write(block)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DatabaseError(sql, None, error, hide_parameters=True) from error


def _csv(block: Sequence[Any]) -> memoryview:
    """A null is nothing, every text is in quotes."""
    import pyarrow as pa
    from pyarrow import csv

    written = pa.BufferOutputStream()
    table = pa.RecordBatch.from_arrays(list(block), [str(at) for at in range(len(block))])
    csv.write_csv(table, written, csv.WriteOptions(include_header=False, quoting_style="needed"))
    return memoryview(written.getvalue())


def strangers(tables: set[str], ours: set[str]) -> set[str]:
    """A schema may have other programs' tables, unless they have our names."""
    return tables & {*ours, "alembic_version"}


def check_integrity(_connection: Connection) -> None:
    """The server looks after its own pages."""


def explain(error: BaseException) -> Failure:
    """What happened, in words. Details are left out: they have the values of rows."""
    known = _FAILURES.get(str(getattr(error, "sqlstate", "")), _OTHERWISE)
    cause = getattr(getattr(error, "diag", None), "message_primary", None)
    if cause is None and known is _OTHERWISE:
        known = Failure("", _UNREACHABLE)
    return Failure(known.what or cause or _first_line(error), known.hint)


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if not line.startswith("Multiple connection attempts")]
    return lines[0].removeprefix("connection failed: ") if lines else type(error).__name__
