"""The ledger as an SQLite file: settings that keep what was committed, and its failures in plain words."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, Transaction, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from voicebatch.errors import LedgerError, UsageError
from voicebatch.ledger import filesystems
from voicebatch.ledger.kinds import PATIENCE, Failure, default_patience

_CONNECTIONS: Final = 100  # more than the requests in flight: none waits for another's connection
_FILE: Final = "voicebatch_file"

_AGAIN: Final = "Then type the same command again."
_FAILURES: Final = {
    "SQLITE_BUSY": Failure(
        "another program holds it and does not let go", f"Close what else has it open (a database browser?). {_AGAIN}"
    ),
    "SQLITE_FULL": Failure("its disk has no room left", f"Make room on the disk. {_AGAIN}"),
    "SQLITE_IOERR": Failure(
        "its disk cannot be read or written",
        f"Look for a full disk, a quota, a limit on file sizes (ulimit -f) or a failing disk. {_AGAIN}",
    ),
    "SQLITE_READONLY": Failure("it may not be written", f"Get the right to write to it and to its folder. {_AGAIN}"),
    "SQLITE_PERM": Failure("it may not be written", f"Get the right to write to it and to its folder. {_AGAIN}"),
    "SQLITE_CANTOPEN": Failure(
        "it, or a file that SQLite keeps beside it (-wal, -shm), cannot be opened",
        f"Get the right to write to it and to its folder. {_AGAIN}",
    ),
    "SQLITE_CORRUPT": Failure(
        "it is damaged",
        "Keep a copy of it, and mend it: sqlite3 FILE .recover | sqlite3 NEW. Don't send with an older copy before you "
        "compared it with the provider's list: it does not know whom the later runs called",
    ),
    "SQLITE_NOTADB": Failure("it is no SQLite file", "Name another: --ledger PATH"),
}
"""What SQLite's codes mean to a person. Source: https://sqlite.org/rescode.html"""

_OTHERWISE: Final = Failure("", "Nothing is sent without it. Check its disk and your right to write to it.")


def open_engine(url: URL) -> Engine:
    """An engine whose every commit is on the disk before it returns. Creates the file, private to its owner."""
    if not url.database or url.database == ":memory:" or "uri" in url.query:
        raise UsageError("A ledger in memory would forget who was called.", hint="Name a file: --ledger PATH")
    path = Path(url.database).absolute()
    _make_private_file(path)
    filesystems.refuse_unsafe(path)
    patience = default_patience(url)
    engine = create_engine(
        url,
        connect_args={"timeout": patience},
        max_overflow=_CONNECTIONS,
        hide_parameters=True,
        execution_options={_FILE: (path, _identity(path)), PATIENCE: patience},
    )
    event.listen(engine, "connect", lambda connection, _: _set_up(connection, patience))
    return engine


def exists(url: URL) -> bool:
    """Whether there is a file, whatever is in it."""
    try:
        return bool(url.database) and Path(str(url.database)).exists()
    except (OSError, ValueError) as error:
        raise LedgerError(f"The ledger cannot be there: {error}.", hint="Name another place: --ledger PATH") from error


def show(url: URL) -> str:
    """The file's path."""
    return str(url.database or url)


def check_place(engine: Engine) -> None:
    """Makes sure that a transaction will be in the file that was opened: SQLite would go on in a deleted one."""
    path, identity = engine.get_execution_options()[_FILE]
    if _identity(path) != identity:
        raise LedgerError(
            f"The ledger {path} was deleted or replaced while it was in use.",
            hint="Bring the file back to where it was, then: voicebatch resume RUN. A new ledger knows of no calls.",
        )


def begin(connection: Connection, *, write: bool, patience: float) -> Transaction:
    """``BEGIN IMMEDIATE`` for one that writes. Straight to the driver: every request waits for some of these."""
    transaction, driver = connection.begin(), connection.connection
    sql = "BEGIN IMMEDIATE" if write else "BEGIN"
    try:
        if connection.info.get(PATIENCE) != patience:
            driver.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
            connection.info[PATIENCE] = patience
        driver.execute(sql)
    except sqlite3.Error as error:
        raise DatabaseError(sql, None, error, hide_parameters=True) from error
    return transaction


def lock_alone(_connection: Connection, _work: str) -> None:
    """Whoever writes is alone already."""


def insert_into(table: Table) -> Any:
    """With ``ON CONFLICT``."""
    return insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Through the driver's ``executemany``."""
    connection.execute(insert_into(table).on_conflict_do_nothing(), rows)


def copy_in(connection: Connection, into: str, columns: Sequence[str], blocks: Iterable[Sequence[Any]]) -> None:
    """Through the driver's ``executemany``."""
    values = ", ".join("?" * len(columns))
    sql = f"INSERT INTO {into} ({', '.join(columns)}) VALUES ({values})"  # noqa: S608 # our own names
    driver: Any = connection.connection.driver_connection
    try:
        for block in blocks:
            driver.executemany(sql, zip(*(column.to_pylist() for column in block), strict=True))
    except sqlite3.Error as error:
        raise DatabaseError(sql, None, error, hide_parameters=True) from error


def strangers(tables: set[str], _ours: set[str]) -> set[str]:
    """A file is a ledger or it is something else."""
    return tables


def check_integrity(connection: Connection) -> None:
    """Reads every page; raises what SQLite itself raises when it meets one that makes no sense."""
    sql = "PRAGMA quick_check(1)"
    found = str(connection.exec_driver_sql(sql).scalar())
    if found != "ok":
        damage = sqlite3.DatabaseError(found.splitlines()[-1])
        damage.sqlite_errorname = "SQLITE_CORRUPT"
        raise DatabaseError(sql, None, damage, hide_parameters=True)


def explain(error: BaseException) -> Failure:
    """What happened, in words."""
    name = str(getattr(error, "sqlite_errorname", ""))
    known = _FAILURES.get("_".join(name.split("_")[:2]), _OTHERWISE)  # SQLITE_IOERR_WRITE is an SQLITE_IOERR
    cause = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Failure(f"{known.what} ({cause})" if known.what else cause, known.hint)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_private_file(path: Path) -> None:
    """The file holds phone numbers: nobody else on the machine may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            with contextlib.suppress(FileExistsError):  # another process was just faster
                path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} cannot be written: {error.strerror}.", hint="Name another place: --ledger PATH"
        ) from error


def _set_up(connection: Any, patience: float) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    mode = _write_ahead(connection, patience)
    if mode != "wal":
        raise LedgerError(
            f"The ledger's file system cannot keep a write-ahead log (SQLite says {mode!r}).",
            hint="Put the ledger on a local disk: --ledger PATH",
        )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: sqlite3.Connection, patience: float) -> str:
    """Asks for a write-ahead log. SQLite itself does not wait while another process just opens the same new file."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
