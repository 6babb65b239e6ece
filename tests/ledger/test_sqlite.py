"""The ledger as an SQLite file: its settings, its migrations, and one sentence for whatever is wrong with it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
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
from voicebatch.ledger.engine import REVISIONS, check_integrity, open_engine, parse_url, transaction
from voicebatch.ledger.filesystems import Mount, fault_of, refuse_unsafe
from voicebatch.ledger.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

OPEN: Final = "import sys; from voicebatch.ledger import Ledger; sys.stdin.readline(); Ledger(sys.argv[1]).close()"


TRY: Final = """
import sys
from voicebatch.errors import LedgerError
from voicebatch.ledger import Ledger
try:
    Ledger(sys.argv[1])
except LedgerError as error:
    print(error.message)
"""
LOCK: Final = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"


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


def cannot_enqueue(ledger: Ledger, run: NewRun, now: datetime) -> LedgerError:
    with pytest.raises(LedgerError) as raised:
        ledger.enqueue(run, now=now)
    assert raised.value.hint
    return raised.value


# Its folder and its disk


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user of the machine can look into."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "folder"
        folder.mkdir()
        folder.parent.chmod(0o755)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Rights mean nothing to root: whoever runs the tests as root is somebody else for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_folder_that_may_not_be_written_is_no_place_for_a_new_ledger(public: Path) -> None:
    public.chmod(0o555)
    with as_nobody():
        assert "cannot be written: Permission denied" in cannot_open(str(public / "ledger.db")).message


def test_a_ledger_whose_folder_may_not_be_written_is_a_ledger_error(public: Path) -> None:
    Ledger(str(public / "ledger.db")).close()
    public.chmod(0o555)
    with as_nobody():
        assert "Permission denied" in cannot_open(str(public / "ledger.db")).message


def test_a_ledger_that_may_not_be_written_can_be_read_and_not_added_to(
    public: Path, make_run: Callable[..., NewRun], noon: datetime
) -> None:
    Ledger(str(public / "ledger.db")).close()
    (public / "ledger.db").chmod(0o444)
    public.chmod(0o777)
    with as_nobody():
        ledger = Ledger(str(public / "ledger.db"))
        assert ledger.all_runs() == []
        assert "may not be written" in cannot_enqueue(ledger, make_run(1), noon).message
        ledger.close()


def test_a_file_that_sqlite_cannot_put_beside_it_is_a_ledger_error(tmp_path: Path) -> None:
    Ledger(str(tmp_path / "ledger.db")).close()
    (tmp_path / "ledger.db-wal").mkdir()
    assert "-wal" in cannot_open(str(tmp_path / "ledger.db")).message


def test_a_write_that_fails_is_a_ledger_error_and_leaves_nothing(
    tmp_path: Path, make_run: Callable[..., NewRun], noon: datetime
) -> None:
    ledger, run = Ledger(str(tmp_path / "ledger.db")), make_run(*[1] * 1000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, before[1]))
    try:
        error = cannot_enqueue(ledger, run, noon)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "its disk cannot be read or written" in error.message
    assert ledger.all_runs() == []
    assert ledger.enqueue(run, now=noon)
    ledger.close()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    disk = f"mount -t tmpfs -o size=100k tmpfs {tmp_path} && exec {sys.executable} -c '{TRY}' {tmp_path}/ledger.db"
    own_mounts = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*own_mounts, "mount -t tmpfs tmpfs /mnt"], check=False).returncode
    ):
        pytest.skip("this system lets us mount no disk of our own")
    done = subprocess.run([*own_mounts, disk], capture_output=True, text=True, check=False)
    assert "its disk has no room left" in done.stdout, done.stderr


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"])
def test_a_network_file_system_is_no_place_for_a_ledger(kind: str) -> None:
    mounts = [Mount("/", "ext4"), Mount("/srv/team", kind), Mount("/srv/team/fast", "xfs")]
    assert kind in str(fault_of(Path("/srv/team/books/ledger.db"), mounts))
    assert fault_of(Path("/srv/team/fast/ledger.db"), mounts) is None
    assert fault_of(Path("/srv/teams/ledger.db"), mounts) is None


@pytest.mark.parametrize("kind", ["ext4", "overlay", "9p", "virtiofs", "tmpfs", "apfs", "NTFS"])
def test_a_local_file_system_is_a_place_for_a_ledger(kind: str) -> None:
    assert fault_of(Path("/data/ledger.db"), [Mount("/", "nfs"), Mount("/data", kind)]) is None


def test_a_file_that_is_mounted_alone_is_no_ledger() -> None:
    mounts = [Mount("/", "overlay"), Mount("/data/ledger.db", "ext4")]
    assert "single file" in str(fault_of(Path("/data/ledger.db"), mounts))


def test_this_machines_own_folders_pass(tmp_path: Path) -> None:
    refuse_unsafe(tmp_path / "ledger.db")
    assert list(tmp_path.iterdir()) == []


# Others who use it


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger that does not wait long for others."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}?timeout=0.1")
    yield ledger
    ledger.close()


def test_a_ledger_that_another_program_holds_is_a_ledger_error_after_a_while(
    hasty: Ledger, make_run: Callable[..., NewRun], noon: datetime
) -> None:
    with database(Path(str(hasty))) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another program holds it" in cannot_enqueue(hasty, make_run(1), noon).message
    assert hasty.enqueue(make_run(1), now=noon)


def test_a_ledger_that_another_program_has_to_itself_cannot_be_opened(hasty: Ledger) -> None:
    hasty.close()
    with database(Path(str(hasty))) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert "another program holds it" in cannot_open(f"sqlite:///{hasty}?timeout=0.1").message


def test_a_transaction_may_be_less_patient_than_its_ledger(tmp_path: Path) -> None:
    Ledger(str(tmp_path / "ledger.db")).close()
    engine = open_engine(parse_url(str(tmp_path / "ledger.db")))
    with transaction(engine, patience=1.5) as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 1500
    with transaction(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    engine.dispose()


def test_a_patience_that_is_no_number_is_a_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no number"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}?timeout=long")


def test_opening_a_ledger_again_does_not_let_go_of_its_locks(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    Ledger(path).close()
    engine = open_engine(parse_url(path))
    with transaction(engine):
        open_engine(parse_url(path)).dispose()
        done = subprocess.run([sys.executable, "-c", LOCK, path], capture_output=True, text=True, check=False)
    engine.dispose()
    assert "database is locked" in done.stderr


@pytest.mark.parametrize("replaced", [False, True])
def test_a_ledger_that_is_deleted_or_replaced_meanwhile_is_a_ledger_error(
    tmp_path: Path, make_run: Callable[..., NewRun], noon: datetime, *, replaced: bool
) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(str(path))
    ledger.enqueue(make_run(1), now=noon)
    if replaced:
        shutil.copy(path, tmp_path / "copy")
        (tmp_path / "copy").rename(path)
    else:
        path.unlink()
    assert "deleted or replaced" in cannot_enqueue(ledger, make_run(1), noon).message
    assert path.exists() == replaced
    ledger.close()


def test_a_program_may_go_to_another_folder_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_run: Callable[..., NewRun], noon: datetime
) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger("ledger.db")
    monkeypatch.chdir("/")
    assert ledger.enqueue(make_run(1), now=noon)
    ledger.close()


# Damage


def test_a_sound_ledger_passes_its_check(tmp_path: Path) -> None:
    Ledger(str(tmp_path / "ledger.db")).close()
    engine = open_engine(parse_url(str(tmp_path / "ledger.db")))
    check_integrity(engine)
    engine.dispose()


@pytest.mark.parametrize("rubbish", [b"\0", b"\xff", b"phone"])
def test_a_ledger_with_damaged_pages_does_not_pass_its_check(
    tmp_path: Path, make_run: Callable[..., NewRun], noon: datetime, rubbish: bytes
) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(str(path))
    ledger.enqueue(make_run(*[10] * 3000), now=noon)
    ledger.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write((rubbish * 4096)[:8192])
    engine = open_engine(parse_url(str(path)))
    with pytest.raises(LedgerError, match="it is damaged") as raised:
        check_integrity(engine)
    engine.dispose()
    assert ".recover" in raised.value.hint


def test_a_file_with_two_names_is_no_place_for_a_ledger(tmp_path: Path) -> None:
    Ledger(f"sqlite:///{tmp_path}/ledger.db").close()
    os.link(tmp_path / "ledger.db", tmp_path / "second.db")
    for name in ("ledger.db", "second.db"):
        with pytest.raises(LedgerError, match="several names"):
            Ledger(f"sqlite:///{tmp_path}/{name}")
