"""The ledger as an SQLite file: its settings, its migrations, and one sentence for whatever is wrong with it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import voicebatch.ledger
from voicebatch.errors import LedgerError, UsageError
from voicebatch.ledger import Ledger, NewRun, show_url
from voicebatch.ledger.engine import REVISIONS, open_engine, parse_url
from voicebatch.ledger.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

OPEN: Final = "import sys; from voicebatch.ledger import Ledger; sys.stdin.readline(); Ledger(sys.argv[1]).close()"


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        yield connection


# A new ledger


def test_a_new_ledger_makes_its_folder_and_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Ledger(str(tmp_path / "new" / "folder" / "ledger.db")).close()
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "folder" / "ledger.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700


def test_a_commit_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    engine = open_engine(parse_url(str(tmp_path / "ledger.db")))
    with engine.connect() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()
    assert pragmas == ["wal", 2]  # 2 is FULL


def test_the_companions_of_the_file_are_as_private_as_the_file(
    tmp_path: Path, make_run: Callable[..., NewRun], noon: datetime
) -> None:
    ledger = Ledger(str(tmp_path / "ledger.db"))
    ledger.enqueue(make_run(1), now=noon)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    ledger.close()


def test_a_ledger_is_not_created_for_being_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "ledger.db"
    assert Ledger.existing(str(path)) is None
    assert list(tmp_path.iterdir()) == []
    Ledger(str(path)).close()
    found = Ledger.existing(str(path))
    assert found is not None
    found.close()


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "50%.db", "a#b.db", "é.db", "a@b:c.db"])
def test_a_plain_path_may_have_any_characters(tmp_path: Path, name: str) -> None:
    ledger = Ledger(str(tmp_path / name))
    assert str(ledger) == show_url(str(tmp_path / name)) == str(tmp_path / name)
    ledger.close()
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize("processes", [4])
def test_processes_that_open_a_new_ledger_at_once_all_succeed(tmp_path: Path, processes: int) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path / "ledger.db")], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [(process.communicate()[1], process.returncode) for process in started] == [(b"", 0)] * processes


# Migrations


def test_migrated_from_zero_equals_the_tables(tmp_path: Path) -> None:
    Ledger(str(tmp_path / "ledger.db")).close()
    engine = create_engine(f"sqlite+pysqlite:///{tmp_path / 'ledger.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_revisions_that_are_known_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", os.fspath(voicebatch.ledger.__path__[0]) + "/migrations")
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(revisions)) == REVISIONS


def test_opening_a_ledger_again_keeps_what_is_in_it(
    tmp_path: Path, make_run: Callable[..., NewRun], noon: datetime
) -> None:
    for key in ("first", "second"):
        ledger = Ledger(str(tmp_path / "ledger.db"))
        ledger.enqueue(make_run(1, key=key), now=noon)
        keys = {run.key for run in ledger.all_runs()}
        ledger.close()
    assert keys == {"first", "second"}


# What can be wrong with it


def cannot_open(url: str) -> LedgerError:
    with pytest.raises(LedgerError) as raised:
        Ledger(url)
    assert raised.value.hint
    return raised.value


def test_a_path_below_a_regular_file_cannot_be_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in cannot_open(str(tmp_path / "file" / "ledger.db")).message


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    assert str(tmp_path) in cannot_open(str(tmp_path)).message


def test_a_file_that_is_no_database_is_no_ledger_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"phone,name\n" * 1000)
    assert "not a database" in cannot_open(str(path)).message
    assert path.read_bytes() == b"phone,name\n" * 1000


def test_another_programs_database_is_no_ledger(tmp_path: Path) -> None:
    with database(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")
    assert "no ledger of voicebatch" in cannot_open(str(tmp_path / "other.db")).message


def test_a_ledger_of_a_newer_version_says_to_upgrade(tmp_path: Path) -> None:
    Ledger(str(tmp_path / "ledger.db")).close()
    with database(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "pip install --upgrade" in cannot_open(str(tmp_path / "ledger.db")).hint


def test_a_ledger_that_is_damaged_later_is_a_ledger_error(
    tmp_path: Path, make_run: Callable[..., NewRun], noon: datetime
) -> None:
    ledger = Ledger(str(tmp_path / "ledger.db"))
    with database(tmp_path / "ledger.db") as connection:
        connection.execute("DROP TABLE rows")
    with pytest.raises(LedgerError, match="no such table") as raised:
        ledger.enqueue(make_run(1), now=noon)
    assert raised.value.hint
    assert ledger.all_runs() == []
    ledger.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite+pysqlite://", "sqlite+pysqlite:///:memory:", ":memory:", ""])
def test_a_ledger_in_memory_is_refused_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="in memory"):
        Ledger(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["mysql://me:secret@host/db", "postgres://me:secret@host:port/db", "://", "sqlite+nothing:///x"]
)
def test_what_is_no_usable_url_is_a_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        Ledger(url)
    assert "secret" not in raised.value.message


def test_a_password_is_not_shown() -> None:
    assert "secret" not in show_url("postgresql+psycopg://me:secret@host/db")
