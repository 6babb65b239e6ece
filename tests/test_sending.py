"""The send loop, with a real ledger, a scripted network and a clock that only moves when somebody waits."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebatch.errors import LedgerError
from voicebatch.ledger import Claim, Ledger, NewRun, Worker
from voicebatch.models import Batch, EventKind, Outcome, Progress, RateLimit, Reply, RowCounts
from voicebatch.sending import LEASE_MARGIN, Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    MakeRun = Callable[..., NewRun]
    Yes = Callable[..., Reply]

NOON: Final = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
WIDE: Final = RateLimit(requests=1000, seconds=3600)
UNKNOWN: Final = Reply(outcome=Outcome.UNKNOWN, reason="no answer")
REFUSED: Final = Reply(outcome=Outcome.REFUSED, reason="no")
THROTTLED: Final = Reply(outcome=Outcome.THROTTLED, reason="slow down", wait_seconds=30.0)
NOT_SENT: Final = Reply(outcome=Outcome.NOT_SENT, reason="no connection")
ACCOUNT: Final = Reply(outcome=Outcome.ACCOUNT, reason="no credit")


@dataclass
class FakeClock:
    """Time passes only through ``wait``."""

    time: datetime = NOON
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> datetime:
        with self._lock:
            return self.time

    def wait(self, until: datetime, stop: threading.Event) -> None:
        if not stop.is_set():
            with self._lock:
                self.time = max(self.time, until)


@dataclass
class Script:
    """A network that answers yes, unless its script has something else for the batch's next request."""

    yes: Yes
    replies: dict[int, list[Reply]] = field(default_factory=dict)
    then: Callable[[Batch], None] = lambda _: None
    sent: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, batch: Batch, *, notify_url: str | None, lease_seconds: float) -> Reply:  # noqa: ARG002 # its form
        with self._lock:
            self.sent.append(batch.ordinal)
            waiting = self.replies.get(batch.ordinal)
            reply = waiting.pop(0) if waiting else self.yes(len(batch.numbers))
        self.then(batch)
        return reply


@dataclass
class Work:
    """A sender and all that it works with."""

    ledger: Ledger
    network: Any
    clock: FakeClock = field(default_factory=FakeClock)
    limits: Sequence[RateLimit] = (WIDE,)
    concurrency: int = 1
    max_cost: Decimal | None = None
    unit: Decimal | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    progress: list[Progress] = field(default_factory=list)

    def drain(self, run: NewRun) -> RowCounts:
        self.ledger.enqueue(run, now=NOON)
        sender = Sender(
            ledger=self.ledger,
            network=self.network,
            clock=self.clock,
            worker=Worker.current(),
            limiter="limiter",
            limits=self.limits,
            timeout_seconds=30.0,
            stop=self.stop,
            concurrency=self.concurrency,
            max_cost=self.max_cost,
            currency="EUR",
            estimate=lambda numbers: self.unit and self.unit * len(numbers),
            on_progress=self.progress.append,
        )
        sender.drain(run.id, Progress(stage="sending", total=run.counts.queued))
        return self.ledger.row_counts(run.id)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_everything_is_sent_once(ledger: Ledger, make_run: MakeRun, yes: Yes, concurrency: int) -> None:
    run, network = make_run(*[2] * 20), Script(yes)
    counts = Work(ledger, network, concurrency=concurrency).drain(run)
    assert sorted(network.sent) == list(range(20))
    assert (counts.accepted, counts.queued, counts.unknown) == (40, 0, 0)


def test_as_many_requests_are_in_flight_as_allowed(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    together = threading.Barrier(3)
    network = Script(yes, then=lambda _: (together.wait(10), None)[1])
    assert Work(ledger, network, concurrency=3).drain(make_run(*[1] * 6)).accepted == 6


def test_two_senders_share_a_run_and_nothing_is_sent_twice(
    ledger: Ledger, ledger_url: str, make_run: MakeRun, yes: Yes
) -> None:
    run, network, other = make_run(*[1] * 40), Script(yes), Ledger(ledger_url)
    ledger.enqueue(run, now=NOON)
    threads = [
        threading.Thread(target=Work(book, network, concurrency=2).drain, args=(run,)) for book in (ledger, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(network.sent) == list(range(40))
    assert ledger.row_counts(run.id).accepted == 40


def test_what_was_throttled_is_sent_again_after_the_wait(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    network = Script(yes, {0: [THROTTLED]})
    work = Work(ledger, network)
    assert work.drain(make_run(1, 1)).accepted == 2
    assert network.sent == [0, 0, 1]
    assert work.clock.time == NOON + 30 * SECOND


def test_what_never_arrived_is_sent_again_after_its_rest(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    network = Script(yes, {0: [NOT_SENT] * 4})
    work = Work(ledger, network)
    assert work.drain(make_run(1, 1)).accepted == 2
    assert network.sent == [0, 0, 0, 0, 0, 1]
    assert work.clock.time == NOON + (1 + 1 + 2 + 4) * SECOND


def test_a_network_that_is_down_stops_the_run_and_loses_nobody(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    run, network = make_run(1, 1, 1), Script(yes, {batch: [NOT_SENT] * 99 for batch in range(3)})
    counts = Work(ledger, network).drain(run)
    stop = ledger.find(run.id).stop
    assert stop is not None
    assert (stop.kind, counts.queued) == ("guard", 3)
    assert Counter(network.sent) == {0: 6}  # at once, and after 1, 1, 2, 4 and 8 seconds


def test_what_is_unknown_or_refused_is_never_sent_again(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    network = Script(yes, {0: [UNKNOWN], 1: [REFUSED]})
    work, run = Work(ledger, network), make_run(1, 1, 1)
    work.drain(run)
    counts = work.drain(run)
    assert network.sent == [0, 1, 2]
    assert (counts.unknown, counts.refused, counts.accepted) == (1, 1, 1)


def test_an_account_error_stops_everything_and_the_rest_stays_queued(
    ledger: Ledger, make_run: MakeRun, yes: Yes
) -> None:
    run, network = make_run(*[1] * 5), Script(yes, {1: [ACCOUNT]})
    counts = Work(ledger, network).drain(run)
    assert network.sent == [0, 1]
    assert (counts.accepted, counts.queued) == (1, 4)
    assert Work(ledger, network).drain(run).accepted == 5


def test_the_ceiling_stops_before_the_request_that_would_pass_it(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    run, network = make_run(*[1] * 5, estimate=Decimal("0.12")), Script(yes)
    counts = Work(ledger, network, concurrency=4, max_cost=Decimal("0.40")).drain(run)
    assert (len(network.sent), counts.accepted, counts.queued) == (3, 3, 2)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_stop_ends_after_the_requests_in_flight(
    ledger: Ledger, make_run: MakeRun, yes: Yes, concurrency: int
) -> None:
    together = threading.Barrier(concurrency)
    stop = threading.Event()

    def interrupt(_: Batch) -> None:
        together.wait(10)
        stop.set()

    network = Script(yes, then=interrupt)
    run = make_run(*[1] * 10)
    counts = Work(ledger, network, concurrency=concurrency, stop=stop).drain(run)
    assert (counts.accepted, counts.queued, counts.unknown) == (concurrency, 10 - concurrency, 0)
    assert not ledger.is_sending(run.id)


def test_a_stop_before_the_start_sends_nothing(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    stop = threading.Event()
    stop.set()
    network = Script(yes)
    assert Work(ledger, network, stop=stop, concurrency=4).drain(make_run(1, 1)).queued == 2
    assert network.sent == []


def test_a_ledger_that_fails_while_recording_stops_the_sending(tmp_path: Path, make_run: MakeRun, yes: Yes) -> None:
    path = tmp_path / "ledger.db"
    ledger, run = Ledger(str(path)), make_run(*[1] * 10)

    def take_a_table_away(_: Batch) -> None:
        connection = sqlite3.connect(path)
        connection.execute("ALTER TABLE charges RENAME TO gone")
        connection.close()

    network = Script(yes, then=take_a_table_away)
    with pytest.raises(LedgerError, match="no such table"):
        Work(ledger, network).drain(run)
    assert network.sent == [0]
    counts = ledger.row_counts(run.id)
    assert (counts.unknown, counts.queued) == (1, 9)  # it is still being sent, for all that the ledger knows
    assert ledger.is_sending(run.id)
    ledger.close()


def test_a_programming_error_does_not_lose_what_others_have_in_flight(
    ledger: Ledger, make_run: MakeRun, yes: Yes
) -> None:
    together, failed = threading.Barrier(3), threading.Event()

    def break_one(batch: Batch) -> None:
        together.wait(10)
        if batch.ordinal == 1:
            failed.set()
            raise ZeroDivisionError("a bug of ours")
        failed.wait(10)

    run, network = make_run(*[1] * 3), Script(yes, then=break_one)
    with pytest.raises(ZeroDivisionError):
        Work(ledger, network, concurrency=3).drain(run)
    counts = ledger.row_counts(run.id)
    assert (counts.accepted, counts.unknown) == (2, 1)


def test_after_a_failure_nobody_begins_another_request(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    def break_one(batch: Batch) -> None:
        if batch.ordinal == 0:
            raise ZeroDivisionError("a bug of ours")

    network = Script(yes, then=break_one)
    with pytest.raises(ZeroDivisionError):
        Work(ledger, network, concurrency=2).drain(make_run(*[1] * 400))
    assert len(network.sent) < 400


def test_another_workers_lease_is_waited_for_and_then_its_batch_is_unknown(
    ledger: Ledger, make_run: MakeRun, yes: Yes
) -> None:
    run, network = make_run(1, 1), Script(yes)
    ledger.enqueue(run, now=NOON)
    far = Worker(host="elsewhere", pid=1, started="1")
    ledger.claim(run.id, worker=far, limiter="limiter", limits=[WIDE], now=NOON, lease_seconds=20.0)
    work = Work(ledger, network)
    counts = work.drain(run)
    assert (network.sent, counts.accepted, counts.unknown) == ([1], 1, 1)
    assert NOON + 20 * SECOND <= work.clock.time <= NOON + 25 * SECOND
    assert "another worker" in {moment.waiting_for for moment in work.progress if moment.waiting_for}.pop()


def test_what_another_worker_gives_back_is_taken_over(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    run, far = make_run(1, 1), Worker(host="elsewhere", pid=1, started="1")
    ledger.enqueue(run, now=NOON)
    found = ledger.claim(run.id, worker=far, limiter="limiter", limits=[WIDE], now=NOON, lease_seconds=20.0)
    assert isinstance(found, Claim)
    claimed: Claim = found

    class Giving(FakeClock):
        def wait(self, until: datetime, stop: threading.Event) -> None:
            super().wait(until, stop)
            if ledger.is_sending(run.id):
                ledger.record(claimed, THROTTLED, now=self.now())

    network = Script(yes)
    assert Work(ledger, network, clock=Giving()).drain(run).accepted == 2
    assert network.sent == [1, 0]


def test_a_dead_process_of_this_host_is_not_waited_for(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    run, me = make_run(1), Worker.current()
    ledger.enqueue(run, now=NOON)
    dead = Worker(host=me.host, pid=me.pid, started="0")
    ledger.claim(run.id, worker=dead, limiter="limiter", limits=[WIDE], now=NOON, lease_seconds=20.0)
    work = Work(ledger, Script(yes))
    assert work.drain(run).unknown == 1
    assert work.clock.time == NOON


def test_progress_is_told_after_every_request(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    network = Script(yes, {0: [THROTTLED], 1: [UNKNOWN], 2: [REFUSED]})
    work = Work(ledger, network)
    work.drain(make_run(1, 1, 1, 2))
    last = work.progress[-1]
    assert (last.done, last.total, last.accepted, last.refused, last.unknown) == (5, 5, 3, 1, 1)
    assert (last.cost, last.currency, last.waiting_until) == (Decimal("0.36"), "EUR", None)
    waits = [(moment.waiting_until, moment.waiting_for) for moment in work.progress if moment.waiting_for]
    assert waits[0] == (NOON + 30 * SECOND, "slow down")
    assert [moment.done for moment in work.progress] == sorted(moment.done for moment in work.progress)


@dataclass
class Strict:
    """A network that refuses whatever has a bad number in it, without naming it."""

    yes: Yes
    bad: set[str]
    called: Counter[str] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=list)

    def send(self, batch: Batch, *, notify_url: str | None, lease_seconds: float) -> Reply:  # noqa: ARG002 # its form
        self.sizes.append(len(batch.numbers))
        if self.bad.intersection(batch.numbers):
            return Reply(outcome=Outcome.REFUSED, reason="a number is wrong", about_number=True)
        self.called.update(batch.numbers)
        return self.yes(len(batch.numbers))


def test_a_bad_number_costs_the_others_nothing(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    run, bad = make_run(8, 3), {"+33600000003", "+33600000010"}
    network = Strict(yes, bad)
    work = Work(ledger, network)
    counts = work.drain(run)
    assert (counts.accepted, counts.refused, counts.queued) == (9, 2, 0)
    assert network.called == Counter({line.phone for line in ledger.rows(run.id) if line.batch_id} - bad)
    assert sorted(network.sizes) == [1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 4, 8]
    last = work.progress[-1]
    assert (last.done, last.accepted, last.refused) == (11, 9, 2)


def test_the_parts_of_what_was_refused_are_priced_under_a_ceiling(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    run, named = make_run(3, estimate=Decimal("0.36")), "+33600000002 is wrong"
    network = Script(yes, {0: [Reply(outcome=Outcome.REFUSED, reason=named, about_number=True)]})
    counts = Work(ledger, network, max_cost=Decimal("0.36"), unit=Decimal("0.12")).drain(run)
    assert (counts.accepted, counts.refused) == (2, 1)
    assert ledger.find(run.id).stop is None


def test_a_worker_that_joins_is_held_to_the_ceiling_of_the_one_at_work(
    ledger: Ledger, make_run: MakeRun, yes: Yes
) -> None:
    run = make_run(*[1] * 5, estimate=Decimal("0.12"))
    ledger.enqueue(run, now=NOON)
    far = Worker(host="elsewhere", pid=1, started="1")
    ledger.join(run.id, worker=far, now=NOON, max_cost=Decimal("0.30"), currency="EUR")
    network = Script(yes)
    assert Work(ledger, network).drain(run).queued == 3
    assert network.sent == [0, 1]


def test_an_answer_is_recorded_when_the_ledger_is_back(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    """An answer that is not recorded is an unknown outcome."""
    run, failures = make_run(2, 1), iter([True, True, False, True, False])
    network = Script(yes)

    class Failing(Ledger):
        def record(self, *arguments: Any, **options: Any) -> int:
            if next(failures, False):
                raise LedgerError("The server is away.") from OSError("connection refused")
            return super().record(*arguments, **options)

    flaky = Failing(ledger.url.render_as_string(hide_password=False))
    work = Work(flaky, network)
    assert work.drain(run).accepted == 3
    flaky.close()
    assert network.sent == [0, 1]
    assert work.clock.time == NOON + 3 * SECOND


def test_an_answer_that_could_not_be_recorded_before_its_lease_ended_stops_the_sending(
    ledger: Ledger, make_run: MakeRun, yes: Yes
) -> None:
    class Failing(Ledger):
        def record(self, *_: Any, **__: Any) -> int:
            raise LedgerError("The server is away.") from OSError("connection refused")

    run, network = make_run(1, 1), Script(yes)
    flaky = Failing(ledger.url.render_as_string(hide_password=False))
    work = Work(flaky, network)
    with pytest.raises(LedgerError, match="away"):
        work.drain(run)
    flaky.close()
    assert network.sent == [0]
    assert work.clock.time == NOON + timedelta(seconds=30 + LEASE_MARGIN)  # the request's time-out, and the margin
    assert ledger.row_counts(run.id).unknown == 1


def test_a_worker_leaves_however_it_ends(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    def break_it(_: Batch) -> None:
        raise ZeroDivisionError("a bug of ours")

    good, bad = make_run(1), make_run(1)
    Work(ledger, Script(yes)).drain(good)
    with pytest.raises(ZeroDivisionError):
        Work(ledger, Script(yes, then=break_it)).drain(bad)
    for run in (good, bad):
        assert [event.kind for event in ledger.story(run.id).events] == [EventKind.JOINED, EventKind.LEFT]
        assert not ledger.at_work(run.id, now=NOON)


@dataclass
class SlowNetwork:
    """Requests arrive some time after they leave, and their answers come some time after that."""

    clock: FakeClock
    yes: Yes
    delays: list[float]
    replies: list[Reply]
    arrivals: list[datetime] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, batch: Batch, *, notify_url: str | None, lease_seconds: float) -> Reply:  # noqa: ARG002 # its form
        never = threading.Event()
        with self._lock:
            way, answer = self.delays.pop() if self.delays else 0.0, self.delays.pop() if self.delays else 0.0
            reply = self.replies.pop() if self.replies else self.yes(len(batch.numbers))
        self.clock.wait(self.clock.now() + way * SECOND, never)
        if reply.outcome is not Outcome.NOT_SENT:
            with self._lock:
                self.arrivals.append(self.clock.now())
        self.clock.wait(self.clock.now() + answer * SECOND, never)
        return reply


@settings(max_examples=20)
@given(
    st.integers(1, 4),
    st.floats(0.5, 20),
    st.lists(st.floats(0, 25), max_size=40),
    st.lists(st.sampled_from([THROTTLED, NOT_SENT, UNKNOWN, REFUSED]), max_size=6),
    st.integers(1, 4),
)
def test_no_window_of_the_provider_ever_holds_more_requests_than_the_limit(
    ledger: Ledger,
    make_run: MakeRun,
    yes: Yes,
    requests: int,
    seconds: float,
    delays: list[float],
    replies: list[Reply],
    concurrency: int,
) -> None:
    limits = (RateLimit(requests=requests, seconds=seconds), RateLimit(requests=6, seconds=60))
    clock = FakeClock(time=ledger_time(ledger))
    network = SlowNetwork(clock, yes, list(delays), list(replies))
    run = make_run(*[1] * 12)
    Work(ledger, network, clock=clock, limits=limits, concurrency=concurrency).drain(run)
    arrivals = sorted(network.arrivals)
    stopped = ledger.find(run.id).stop is not None  # nothing arrived for so long that it gave up
    assert stopped or len(arrivals) >= 12 - replies.count(NOT_SENT)
    for limit in limits:
        window = timedelta(seconds=limit.seconds)
        for first, one_too_many in zip(arrivals, arrivals[limit.requests :], strict=False):
            assert one_too_many - first >= window


def ledger_time(ledger: Ledger) -> datetime:
    """A day for every run: the runs of other examples are out of every window."""
    return NOON + timedelta(days=len(ledger.all_runs()))


def test_a_process_that_stood_still_after_its_claim_sends_nothing_that_may_be_settled_by_now(
    ledger: Ledger, make_run: MakeRun, yes: Yes
) -> None:
    class Frozen(FakeClock):
        """It stands still for an hour, once, right after the first claim."""

        frozen: bool = False

        def now(self) -> datetime:
            if not self.frozen and ledger.is_sending(run.id):
                self.frozen = True
                self.time += 3600 * SECOND
            return super().now()

    run, network = make_run(1), Script(yes)
    assert Work(ledger, network, clock=Frozen()).drain(run).accepted == 1
    assert network.sent == [0]
    assert [attempt.outcome for attempt in ledger.story(run.id).attempts] == [Outcome.NOT_SENT, Outcome.ACCEPTED]
