"""The time that all workers of a ledger share, whatever is done to the clocks of their hosts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.moves import SECOND, MakeRun, claim, queued
from tests.servers import PostgresqlServer
from voicebatch.errors import LedgerError
from voicebatch.ledger import HostClock, Ledger
from voicebatch.ledger.clock import ServerClock, boot_id
from voicebatch.pacing import steady_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON: Final = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Host:
    """A machine whose clock somebody sets, and that can be started again."""

    wall_time: datetime = NOON
    uptime: float = 1000.0
    boots: int = 0

    def pass_time(self, seconds: float) -> None:
        self.wall_time += timedelta(seconds=seconds)
        self.uptime += seconds

    def boot(self, *, clock: datetime) -> None:
        self.boots += 1
        self.wall_time, self.uptime = clock, 3.0

    def process(self, path: Path) -> Ledger:
        """A ledger as a new process on this host opens it."""
        ledger = Ledger(str(path))
        ledger.clock = HostClock(boot=f"boot {self.boots}", steady=lambda: self.uptime, wall=lambda: self.wall_time)
        return ledger


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def book(host: Host, tmp_path: Path) -> Iterator[Ledger]:
    """An SQLite ledger on that host."""
    ledger = host.process(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


# Every ledger


def test_two_processes_on_one_ledger_have_one_time_that_goes_on(ledger: Ledger, ledger_url: str) -> None:
    other = Ledger(ledger_url)
    times = [book.now() for _ in range(20) for book in (ledger, other)]
    other.close()
    assert all(time.tzinfo is not None for time in times)
    # A server's time is exact but for half of the way to it and back.
    assert all(later - earlier > -SECOND for earlier, later in itertools.pairwise(times))
    assert abs(times[-1] - datetime.now(UTC)) < 60 * SECOND


# A host's


def test_a_step_of_the_hosts_clock_changes_nothing(host: Host, book: Ledger) -> None:
    assert book.now() == NOON
    host.wall_time += timedelta(hours=5)
    assert book.now() == NOON
    host.pass_time(7)
    host.wall_time -= timedelta(days=400)
    assert book.now() == NOON + 7 * SECOND


def test_the_first_who_asks_decides_for_every_process_of_this_boot(host: Host, book: Ledger, tmp_path: Path) -> None:
    assert book.now() == NOON
    host.pass_time(60)
    host.wall_time += timedelta(hours=1)
    later = host.process(tmp_path / "ledger.db")
    assert later.now() == book.now() == NOON + 60 * SECOND
    later.close()


def test_after_a_boot_the_time_is_the_hosts_again(host: Host, book: Ledger, tmp_path: Path) -> None:
    book.now()
    host.boot(clock=NOON + timedelta(hours=3))
    again = host.process(tmp_path / "ledger.db")
    assert again.now() == NOON + timedelta(hours=3)
    host.pass_time(1)
    assert again.now() == NOON + timedelta(hours=3) + SECOND
    again.close()


def test_a_host_that_starts_with_a_clock_that_is_behind_goes_on_from_the_last_attempt(
    host: Host, book: Ledger, tmp_path: Path, make_run: MakeRun
) -> None:
    run = queued(book, make_run(1), book.now())
    host.pass_time(100)
    claim(book, run, book.now())
    host.boot(clock=datetime(1970, 1, 1, tzinfo=UTC))
    again = host.process(tmp_path / "ledger.db")
    assert again.now() == NOON + 100 * SECOND
    host.wall_time = NOON + timedelta(hours=1)  # the network told it meanwhile
    host.pass_time(5)
    assert again.now() == NOON + 105 * SECOND
    again.close()


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(["pass", "step", "start"]), st.floats(-1e6, 1e6)), max_size=30))
def test_on_one_boot_the_time_passes_as_it_does_and_no_process_disagrees(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, float]]
) -> None:
    host, path, passed = Host(), tmp_path_factory.mktemp("host") / "ledger.db", 0.0
    processes = [host.process(path)]
    assert processes[0].now() == NOON
    for kind, seconds in steps:
        if kind == "pass":
            host.pass_time(abs(seconds))
            passed += abs(seconds)
        elif kind == "step":
            host.wall_time += timedelta(seconds=seconds)
        elif len(processes) < 4:
            processes.append(host.process(path))
        times = {process.now() for process in processes}
        assert len(times) == 1
        assert abs(times.pop() - (NOON + timedelta(seconds=passed))) < timedelta(milliseconds=1)
    for process in processes:
        process.close()


def test_this_host_has_a_boot_and_a_steady_clock_that_never_goes_back() -> None:
    assert boot_id() == boot_id() != ""
    times = [steady_seconds() for _ in range(100)]
    assert times == sorted(times)


# A server's


def test_the_time_is_the_servers(postgresql: PostgresqlServer, postgresql_url: str) -> None:
    ledger = Ledger(postgresql_url)
    ((before,),) = postgresql.run("SELECT clock_timestamp()")
    now = ledger.now()
    ((after,),) = postgresql.run("SELECT clock_timestamp()")
    ledger.close()
    assert before - SECOND <= now <= after + SECOND


def test_it_goes_on_with_the_workers_own_steady_clock_and_asks_again_every_half_minute(postgresql_url: str) -> None:
    host = Host()
    ledger = Ledger(postgresql_url)
    ledger.clock = ServerClock(steady=lambda: host.uptime)
    first = ledger.now()
    host.pass_time(29)  # for this worker: hardly any passes for the server
    assert ledger.now() == first + 29 * SECOND
    host.pass_time(2)
    assert abs(ledger.now() - first) < 20 * SECOND  # the server knows better
    ledger.close()


def test_a_server_that_is_away_for_a_while_does_not_stop_the_time() -> None:
    host = Host()
    with PostgresqlServer.started() as server:
        ledger = Ledger(server.url())
        ledger.clock = ServerClock(steady=lambda: host.uptime)
        first = ledger.now()
        server.process.stop()
        host.pass_time(31)
        assert ledger.now() == first + 31 * SECOND
        stranger = ServerClock(steady=lambda: host.uptime)
        with pytest.raises(LedgerError):
            stranger.now(ledger._engine)
        server.process.start()
        host.pass_time(10)
        assert ledger.now() == first + 41 * SECOND  # it does not ask all the time
        host.pass_time(21)
        assert abs(ledger.now() - first) < 30 * SECOND  # the server is asked again: a minute did not pass for it
        ledger.close()
