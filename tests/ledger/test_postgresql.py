"""The ledger on a PostgreSQL server: how it is found, shared and locked, and one sentence for whatever is wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.servers import PostgresqlServer
from voicebatch.errors import LedgerError, UsageError
from voicebatch.ledger import Ledger, NewRow, NewRun, show_url
from voicebatch.ledger.engine import open_engine, parse_url, transaction
from voicebatch.ledger.tables import metadata
from voicebatch.models import RowStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    MakeRun = Callable[..., NewRun]

OPEN: Final = "import sys; from voicebatch.ledger import Ledger; sys.stdin.readline(); Ledger(sys.argv[1]).close()"
WITHOUT_DRIVER: Final = """
import sys
sys.modules["psycopg"] = None
from voicebatch.errors import UsageError
from voicebatch.ledger import Ledger
try:
    Ledger("postgresql://me:secret@host/db")
except UsageError as error:
    print(error.message, error.hint)
"""


@pytest.fixture
def empty(postgresql: PostgresqlServer) -> Iterator[str]:
    """A database without any table."""
    postgresql.run("CREATE DATABASE nothing")
    yield postgresql.url("nothing")
    postgresql.run("DROP DATABASE nothing WITH (FORCE)")


@pytest.fixture
def book(postgresql_url: str) -> Iterator[Ledger]:
    """A new ledger."""
    ledger = Ledger(postgresql_url)
    yield ledger
    ledger.close()


def name_of(url: str) -> str:
    return str(parse_url(url).database)


def is_there(url: str) -> bool:
    found = Ledger.existing(url)
    if found:
        found.close()
    return found is not None


def cannot_open(url: str) -> LedgerError:
    with pytest.raises(LedgerError) as raised:
        Ledger(url)
    assert raised.value.hint
    assert "secret" not in raised.value.message + raised.value.hint
    return raised.value


def show_of(url: str, setting: str, *, write: bool) -> str:
    engine = open_engine(parse_url(url))
    with transaction(engine, write=write) as connection:
        found = connection.exec_driver_sql(f"SHOW {setting}").scalar_one()
    engine.dispose()
    return str(found)


# Finding it


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_usual_urls_all_lead_to_the_ledger(postgresql_url: str, scheme: str) -> None:
    assert is_there(postgresql_url.replace("postgresql", scheme, 1))


@pytest.mark.parametrize("scheme", ["mysql", "mssql+pyodbc", "postgresql+asyncpg"])
def test_another_database_is_a_wrong_use_that_names_what_works(scheme: str) -> None:
    with pytest.raises(UsageError, match="SQLite file or a PostgreSQL database") as raised:
        Ledger.existing(f"{scheme}://me:secret@host/db")
    assert "secret" not in raised.value.message


def test_without_the_driver_the_hint_says_how_to_install_it() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_DRIVER], capture_output=True, text=True, check=True)
    assert "psycopg" in done.stdout
    assert "pip install 'voicebatch[postgresql]'" in done.stdout


def test_a_database_is_no_ledger_until_it_is_opened_for_writing(empty: str, postgresql: PostgresqlServer) -> None:
    assert not is_there(empty)
    assert postgresql.run("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", database="nothing") == []
    Ledger(empty).close()
    assert is_there(empty)


def test_a_ledger_is_in_the_first_schema_of_the_search_path(empty: str, postgresql: PostgresqlServer) -> None:
    postgresql.run("CREATE SCHEMA books", database="nothing")
    Ledger(f"{empty}&options=-csearch_path%3Dbooks").close()
    assert not is_there(empty)
    assert is_there(f"{empty}&options=-csearch_path%3Dbooks")
    assert "nowhere" not in cannot_open(f"{empty}&options=-csearch_path%3Dnowhere").message


def test_migrated_from_zero_equals_the_tables(empty: str) -> None:
    Ledger(empty).close()
    engine = open_engine(parse_url(empty))
    with transaction(engine, write=False) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


# Sharing it


@pytest.mark.parametrize("processes", [4])
def test_processes_that_open_a_new_database_at_once_all_succeed(empty: str, processes: int) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", OPEN, empty], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [(process.communicate()[1], process.returncode) for process in started] == [(b"", 0)] * processes


def test_two_who_enqueue_at_one_moment_take_turns(
    book: Ledger, postgresql_url: str, make_run: MakeRun, noon: datetime
) -> None:
    runs, other = [make_run(1, key="the key") for _ in range(2)], Ledger(postgresql_url)
    done: list[bool] = []
    threads = [
        threading.Thread(target=lambda *work: done.append(work[0].enqueue(work[1], now=noon)), args=work)
        for work in zip((book, other), runs, strict=True)
    ]
    with psycopg.connect(postgresql_url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(hashtextextended('voicebatch enqueue', 0))")
        for thread in threads:
            thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while holder.execute(waiting).fetchone() != (2,):
            assert not done
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(done) == [False, True]
    assert len(book.all_runs()) == 1


def test_whoever_reads_sees_one_moment(book: Ledger, postgresql_url: str, make_run: MakeRun, noon: datetime) -> None:
    engine = open_engine(parse_url(postgresql_url))
    with transaction(engine, write=False) as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one()
        book.enqueue(make_run(1), now=noon)
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one() == before == 0
    engine.dispose()


def test_a_reading_transaction_cannot_write(postgresql_url: str) -> None:
    engine = open_engine(parse_url(postgresql_url))
    with pytest.raises(LedgerError, match="read-only"), transaction(engine, write=False) as connection:
        connection.exec_driver_sql("DELETE FROM limiters")
    engine.dispose()


def test_a_commit_is_on_the_disk_whatever_the_servers_default(
    postgresql: PostgresqlServer, postgresql_url: str
) -> None:
    postgresql.run(f"ALTER DATABASE {name_of(postgresql_url)} SET synchronous_commit = off")
    assert show_of(postgresql_url, "synchronous_commit", write=True) == "on"


def test_a_writer_that_is_cut_off_lets_go_of_its_locks_and_a_reader_may_take_its_time(postgresql_url: str) -> None:
    assert show_of(postgresql_url, "idle_in_transaction_session_timeout", write=True) == "1min"
    assert show_of(postgresql_url, "idle_in_transaction_session_timeout", write=False) == "0"


def test_what_another_program_locks_is_waited_for_as_long_as_the_url_says(
    postgresql_url: str, make_run: MakeRun, noon: datetime
) -> None:
    ledger = Ledger(f"{postgresql_url}&timeout=0.1")
    with psycopg.connect(postgresql_url) as holder:
        holder.execute("LOCK TABLE runs")
        with pytest.raises(LedgerError, match="another program holds it") as raised:
            ledger.enqueue(make_run(1), now=noon)
    assert raised.value.hint
    assert ledger.enqueue(make_run(1), now=noon)
    ledger.close()


def test_a_transaction_may_be_less_patient(postgresql_url: str) -> None:
    engine = open_engine(parse_url(postgresql_url))
    with transaction(engine, patience=1.5) as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "1500ms"
    with transaction(engine) as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "30s"
    engine.dispose()


@pytest.mark.parametrize("reason", ["a\tb", "two\nlines\r", "back\\slash", "\\N", "\\.", '"', "é 💬", "NULL", ""])
def test_whatever_is_in_a_row_comes_out_again(book: Ledger, make_run: MakeRun, noon: datetime, reason: str) -> None:
    odd = NewRow(file=2, row=2, phone=None, status=RowStatus.REJECTED, reason=reason, batch_id=None)
    run = make_run(1)
    book.enqueue(replace(run, rows=[*run.rows, odd]), now=noon)
    last = list(book.rows(run.id))[-1]
    assert (last.reason, last.phone, last.status) == (reason, None, RowStatus.REJECTED)


# What can be wrong with it


def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    url = "postgresql://me:secret@127.0.0.1:1/books?connect_timeout=2"
    for message in (cannot_open(url).message, cannot_look(url)):
        assert "127.0.0.1" in message
        assert "books" in message


def cannot_look(url: str) -> str:
    with pytest.raises(LedgerError) as raised:
        Ledger.existing(url)
    assert "secret" not in raised.value.message + raised.value.hint
    return raised.value.message


def test_a_host_that_is_not_there_is_a_ledger_error() -> None:
    assert "no-such-host.invalid" in cannot_open("postgresql://me:secret@no-such-host.invalid/books").message


def test_a_wrong_password_is_a_ledger_error_that_does_not_show_it(postgresql: PostgresqlServer) -> None:
    postgresql.run("CREATE ROLE locked LOGIN PASSWORD 'right'")
    error = cannot_open(postgresql.url("migrated", user="locked", password="secret-wrong"))  # noqa: S106
    postgresql.run("DROP ROLE locked")
    assert 'password authentication failed for user "locked"' in error.message


def test_a_database_that_is_not_there_is_a_ledger_error(postgresql: PostgresqlServer) -> None:
    assert 'database "no_such" does not exist' in cannot_open(postgresql.url("no_such")).message


def test_an_option_that_the_driver_does_not_know_is_a_ledger_error(postgresql_url: str) -> None:
    assert "nonsense" in cannot_open(f"{postgresql_url}&nonsense=1").message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host:99/db",
        "postgres://host/db?password=secret",
        "postgresql://host/db?sslpassword=secret",
    ],
)
def test_a_password_is_not_shown_wherever_it_stands(url: str) -> None:
    assert "secret" not in show_url(url)
    assert "host" in show_url(url)


def test_other_programs_tables_may_be_in_the_same_schema(empty: str, postgresql: PostgresqlServer) -> None:
    postgresql.run("CREATE TABLE customers (id int)", database="nothing")
    assert not is_there(empty)
    Ledger(empty).close()
    assert is_there(empty)


@pytest.mark.parametrize("table", ["runs", "rows", "alembic_version"])
def test_another_programs_table_of_our_name_is_left_alone(empty: str, postgresql: PostgresqlServer, table: str) -> None:
    postgresql.run(f"CREATE TABLE {table} (version_num text)", database="nothing")
    assert repr(table) in cannot_open(empty).message
    tables = postgresql.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database="nothing")
    assert tables == [(table,)]


def test_a_ledger_of_a_newer_version_says_to_upgrade(postgresql: PostgresqlServer, postgresql_url: str) -> None:
    postgresql.run("UPDATE alembic_version SET version_num = '9999'", database=name_of(postgresql_url))
    assert "pip install --upgrade" in cannot_open(postgresql_url).hint


def test_a_user_who_may_only_read_can_look_and_cannot_send(
    postgresql: PostgresqlServer, postgresql_url: str, make_run: MakeRun, noon: datetime
) -> None:
    database = name_of(postgresql_url)
    postgresql.run(
        "CREATE ROLE reader LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database=database
    )
    ledger = Ledger(postgresql.url(database, user="reader"))
    assert ledger.all_runs() == []
    with pytest.raises(LedgerError, match="permission denied") as raised:
        ledger.enqueue(make_run(1), now=noon)
    ledger.close()
    postgresql.run("DROP OWNED BY reader", "DROP ROLE reader", database=database)
    assert "right" in raised.value.hint


def test_no_phone_number_is_in_an_error(book: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = make_run(1)
    rows = list(run.rows)
    for bad in ([*rows, *rows], [rows[0]._replace(phone="+33612345678 and more than fits")]):
        with pytest.raises(LedgerError) as raised:
            book.enqueue(replace(run, rows=bad), now=noon)
        assert "+336" not in raised.value.message
    engine = open_engine(book.url)
    with pytest.raises(LedgerError) as raised, transaction(engine) as connection:
        connection.exec_driver_sql("SELECT '+33612345678'::date")
    engine.dispose()
    assert "612345678" not in raised.value.message


def test_connections_that_the_server_closed_are_made_anew(
    postgresql: PostgresqlServer, book: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    postgresql.run(f"{others} pg_backend_pid()", database=str(book.url.database))
    assert book.enqueue(make_run(1), now=noon)


def write_twice(ledger: Ledger, between: Callable[[], None]) -> None:
    engine = open_engine(ledger.url)
    with transaction(engine) as connection:
        connection.exec_driver_sql("DELETE FROM limiters")
        between()
        connection.exec_driver_sql("DELETE FROM limiters")


def test_a_server_that_goes_away_is_a_ledger_error_until_it_is_back(make_run: MakeRun, noon: datetime) -> None:
    with PostgresqlServer.started() as server:
        ledger, run = Ledger(server.url()), make_run(1)
        with pytest.raises(LedgerError) as raised:
            write_twice(ledger, between=server.process.stop)
        assert "resume" in raised.value.hint
        with pytest.raises(LedgerError, match="postgres"):
            ledger.enqueue(run, now=noon)
        cannot_open(server.url())
        server.process.start()
        assert ledger.enqueue(run, now=noon)
        again = Ledger(server.url())
        assert [found.id for found in again.all_runs()] == [run.id]
        again.close()
        ledger.close()
