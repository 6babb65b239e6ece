"""What every kind of ledger knows: how long to wait for a lock, and how to say what failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, Table, Transaction
from sqlalchemy.engine import URL

from voicebatch.errors import UsageError

PATIENCE: Final = "voicebatch_patience"
_PATIENCE_SECONDS: Final = 30.0


class Failure(NamedTuple):
    """What happened, to stand after "The ledger … cannot be used:", and what to do."""

    what: str
    hint: str


class Kind(Protocol):
    """A kind of database; a module is one."""

    def open_engine(self, url: URL, /) -> Engine:
        """An engine with the settings that a ledger needs."""

    def show(self, url: URL, /) -> str:
        """Where it is, without secrets."""

    def check_place(self, engine: Engine, /) -> None:
        """Raises ``LedgerError`` when what is there is not what was opened any more."""

    def begin(self, connection: Connection, /, *, write: bool, patience: float) -> Transaction:
        """Begins a transaction that waits ``patience`` seconds for a lock."""

    def lock_alone(self, connection: Connection, work: str, /) -> None:
        """Until the transaction's end nobody else does this work."""

    def insert_into(self, table: Table, /) -> Any:
        """The database's own INSERT, which can say what to do about a row that is there already."""

    def copy_in(
        self, connection: Connection, into: str, columns: Sequence[str], blocks: Iterable[Sequence[Any]], /
    ) -> None:
        """Inserts any number of rows, the fastest way: blocks of Arrow columns. The names are quoted."""

    def insert_new(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Inserts what is not there yet, by its key."""

    def strangers(self, tables: set[str], ours: set[str], /) -> set[str]:
        """Which of another program's tables are in the way of a new ledger."""

    def check_integrity(self, connection: Connection, /) -> None:
        """Raises the driver's error when what is stored is damaged."""

    def explain(self, error: BaseException, /) -> Failure:
        """What the driver's error means, without any value of a row."""


def default_patience(url: URL) -> float:
    """For how many seconds a transaction waits for another's lock: ``?timeout=`` in the URL, or 30."""
    try:
        return float(str(url.query.get("timeout", _PATIENCE_SECONDS)))
    except ValueError as error:
        raise UsageError("The timeout in --ledger is no number of seconds.", hint="…?timeout=30") from error
