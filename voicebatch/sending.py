"""The send loop: claim, post, record, until nothing is queued or something says stop.

It knows neither HTTP nor SQL nor the time of day: the network, the ledger and the clock come in as arguments. Nor does
it know threads: a lane, which has one request under way at a time, is a generator that says what it wants (post this,
nap until then) and is told what came of it. ``Sender.drain`` runs lanes in threads; a simulation runs thousands of them
in one, and days in milliseconds.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from voicebatch.batching import LONG_NUMBER
from voicebatch.errors import LedgerError
from voicebatch.ledger import Claim, Ledger, Wait, Worker
from voicebatch.models import STOOD_STILL, Batch, Outcome, Progress, RateLimit, Reply
from voicebatch.pricing import total

_LOG: Final = logging.getLogger(__name__)

LEASE_MARGIN: Final = 60.0
"""Seconds that a worker is believed to be at work beyond its request's time-outs: a name server may take that long."""

_LONGEST_NAP: Final = timedelta(seconds=5)  # a waiting worker looks again: another may have changed what it waits for
_LOOK_AGAIN: Final = timedelta(seconds=0.5)
_ROUND: Final = timedelta(seconds=1)  # between looks for lost workers while waiting
_SIGN_OF_LIFE: Final = timedelta(seconds=20)
_TRY_AGAIN: Final = timedelta(seconds=1)
_NEVER: Final = threading.Event()


class Network(Protocol):
    """What sends a batch once and tells what came of it, without raising."""

    def send(self, batch: Batch, *, notify_url: str | None, lease_seconds: float) -> Reply:
        """One request, which leaves in time to end within ``lease_seconds``, or not at all.

        ``notify_url`` is where the provider is to call back about it.
        """
        ...


class Clock(Protocol):
    """The time, and a way to let it pass that a stop cuts short."""

    def now(self) -> datetime:
        """Timezone-aware, and the same for every worker on the ledger."""
        ...

    def wait(self, until: datetime, stop: threading.Event) -> None:
        """Returns at ``until``, or as soon as ``stop`` is set."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A lane wants this sent, once; it is told the reply."""

    batch: Batch
    notify_url: str | None
    lease_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nap:
    """A lane has nothing to do until then. ``firmly``: a stop does not cut it short."""

    until: datetime
    reason: str
    firmly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """So many lanes are to be run, all to their end."""

    count: int


Lane = Generator[Post | Nap, Reply | None, None]


@dataclass(kw_only=True)
class Sender:
    """Sends a run's queued batches. Several may work on one run, in this process or another, through one ledger.

    ``timeout_seconds`` is the longest that a request takes; ``stop`` ends the work after the requests in flight.
    ``max_cost`` is a ceiling in ``currency`` for all workers of the run; ``estimate`` prices a request to some numbers.
    ``notify_url`` is an attempt's own address for callbacks, by the attempt's id. Who has ``patience`` ends the work
    where the limit would make it wait longer than that: ``waits_until`` then says until when, ``waits_for`` why. As
    long as nothing arrives it waits all the same: only who tries on finds out that the provider cannot be reached.
    """

    ledger: Ledger
    network: Network
    clock: Clock
    worker: Worker
    limiter: str
    limits: Sequence[RateLimit]
    timeout_seconds: float
    stop: threading.Event
    concurrency: int = 4
    margin_seconds: float = LEASE_MARGIN
    max_cost: Decimal | None = None
    currency: str = ""
    estimate: Callable[[Sequence[str]], Decimal | None] = lambda _: None
    notify_url: Callable[[str], str | None] = lambda _: None
    is_gone: Callable[[Worker], bool] = Worker.is_gone
    on_progress: Callable[[Progress], None] = lambda _: None
    patience: timedelta | None = None
    waits_until: datetime | None = field(init=False, default=None)
    waits_for: str = field(init=False, default="")
    _is_cut_off: bool = field(init=False, default=False)
    _board: _Board = field(init=False)
    _looked_at: datetime | None = field(init=False, default=None)
    _seen_at: datetime | None = field(init=False, default=None)

    def drain(self, run_id: str, start: Progress) -> None:
        """Returns when nothing of the run is queued or under way, when it is stopped, or when patience ends.

        ``start`` is what was done before. Raises ``LedgerError`` when the ledger fails: then nothing more is sent.
        """
        self.begin(run_id, start)
        try:
            for step in self.rounds(run_id):
                match step:
                    case Lanes(count=count):
                        self._run_threads(run_id, count)
                    case Nap() as nap:
                        self._wait(nap)
        finally:
            with contextlib.suppress(LedgerError):  # what matters was recorded, or has raised before
                self.end(run_id)

    def begin(self, run_id: str, start: Progress) -> None:
        """Joins the run's workers."""
        self._board = _Board(start, self.on_progress)
        self.ledger.join(
            run_id,
            worker=self.worker,
            now=self.clock.now(),
            max_cost=self.max_cost,
            currency=self.currency,
            is_gone=self.is_gone,
        )

    def end(self, run_id: str) -> None:
        """Leaves the run's workers."""
        self.ledger.leave(run_id, worker=self.worker, now=self.clock.now())

    def rounds(self, run_id: str) -> Generator[Lanes | Nap, None, None]:
        """All of the work: lanes until nobody has anything under way any more."""
        pause = _LOOK_AGAIN
        while True:
            self.ledger.give_up_lost(now=self.clock.now(), is_gone=self.is_gone)
            yield Lanes(count=self.concurrency)
            if self.stop.is_set() or self.waits_until or not self.ledger.is_busy(run_id):
                return
            yield self._nap(self.clock.now() + pause, "another worker has requests under way")
            pause = min(2 * pause, _LONGEST_NAP)

    def lane(self, run_id: str, failed: threading.Event = _NEVER) -> Lane:
        """One request after another, until nothing is queued, ``stop`` is set or another lane ``failed``."""
        while not (self.stop.is_set() or failed.is_set()):
            match self._claim(run_id):
                case Claim() as claim:
                    left = (claim.lease_until - self.clock.now()).total_seconds()
                    is_late = left < self.timeout_seconds  # somebody may have settled the batch by now
                    reply = STOOD_STILL if is_late else (yield self._post(claim, left))
                    assert reply is not None  # noqa: S101 # for the type checker: a Post is answered
                    yield from self._record(claim, reply)
                case Wait(until=until, reason=reason):
                    if self._is_too_long(until, reason):
                        return
                    yield self._nap(until, reason)
                    self._look_around(run_id)
                case None:
                    return

    def _is_too_long(self, until: datetime, reason: str) -> bool:
        """Whether nobody here wants to wait for that; then it is kept."""
        if self.patience is None or self._is_cut_off or until - self.clock.now() <= self.patience:
            return False
        self.waits_until, self.waits_for = until, reason
        return True

    def _post(self, claim: Claim, lease_seconds: float) -> Post:
        return Post(batch=claim.batch, notify_url=self.notify_url(claim.attempt_id), lease_seconds=lease_seconds)

    def _claim(self, run_id: str) -> Claim | Wait | None:
        return self.ledger.claim(
            run_id,
            worker=self.worker,
            limiter=self.limiter,
            limits=self.limits,
            now=self.clock.now(),
            lease_seconds=self.timeout_seconds + self.margin_seconds,
        )

    def _record(self, claim: Claim, reply: Reply) -> Generator[Nap, None, None]:
        """Tries until somebody takes the batch for lost: an answer that is not recorded is an unknown outcome."""
        while True:
            now = self.clock.now()
            self._is_cut_off = reply.outcome is Outcome.NOT_SENT
            try:
                decided = self.ledger.record(claim, reply, now=now, limits=self.limits, estimate=self.estimate)
            except LedgerError as error:
                if error.__cause__ is None or now >= claim.lease_until:
                    _LOG.error("batch %s: %s, and this could not be recorded", claim.batch.id, _in_short(reply))
                    raise
                yield Nap(until=now + _TRY_AGAIN, reason=error.message, firmly=True)
            else:
                _LOG.info("batch %s: %s", claim.batch.id, _in_short(reply))
                self._board.count(reply, decided)
                return

    def _look_around(self, run_id: str) -> None:
        """While waiting: others may be lost, and with them slots; and they may wonder whether we are."""
        now = self.clock.now()
        if self._looked_at is None or now >= self._looked_at + _ROUND:
            self._looked_at = now
            self.ledger.give_up_lost(now=now, is_gone=self.is_gone)
        if self._seen_at is None or now >= self._seen_at + _SIGN_OF_LIFE:
            self._seen_at = now
            self.ledger.seen(run_id, worker=self.worker, now=now)

    def _nap(self, until: datetime, reason: str) -> Nap:
        self._board.waiting(until, reason)
        return Nap(until=min(until, self.clock.now() + _LONGEST_NAP), reason=reason)

    # In threads

    def _run_threads(self, run_id: str, count: int) -> None:
        failed = threading.Event()
        with ThreadPoolExecutor(count, thread_name_prefix="send") as pool:
            workers = [pool.submit(self._run, self.lane(run_id, failed)) for _ in range(count)]
            try:
                wait(workers, return_when=FIRST_EXCEPTION)
            finally:
                failed.set()  # all are done, or one failed and the others finish what they have in flight
        for worker in workers:
            worker.result()

    def _run(self, lane: Lane) -> None:
        reply: Reply | None = None
        with contextlib.suppress(StopIteration):
            while True:
                match lane.send(reply):
                    case Post(batch=batch, notify_url=notify_url, lease_seconds=lease_seconds):
                        reply = self.network.send(batch, notify_url=notify_url, lease_seconds=lease_seconds)
                    case Nap() as nap:
                        reply = None
                        self._wait(nap)

    def _wait(self, nap: Nap) -> None:
        self.clock.wait(nap.until, _NEVER if nap.firmly else self.stop)


def _in_short(reply: Reply) -> str:
    """Neither the reason nor the body: the provider may have put a number into them."""
    campaign = f" as campaign {reply.answer.campaign_id}" if reply.answer else ""
    return f"{reply.outcome} {LONG_NUMBER.sub('…', reply.code)}".strip() + campaign


class _Board:
    """What this process did so far, shown after every change."""

    def __init__(self, start: Progress, show: Callable[[Progress], None]) -> None:
        self._progress = start
        self._show = show
        self._lock = threading.Lock()
        show(start)

    def count(self, reply: Reply, people: int) -> None:
        with self._lock:
            now = self._progress
            if reply.answer:
                now = replace(now, cost=total((now.cost, reply.answer.cost)), currency=reply.answer.currency)
            self._progress = replace(
                now,
                done=now.done + people,
                accepted=now.accepted + people * (reply.outcome is Outcome.ACCEPTED),
                refused=now.refused + people * (reply.outcome is Outcome.REFUSED),
                unknown=now.unknown + people * (reply.outcome is Outcome.UNKNOWN),
                waiting_until=None,
                waiting_for="",
            )
            self._show(self._progress)

    def waiting(self, until: datetime, reason: str) -> None:
        with self._lock:
            self._show(replace(self._progress, waiting_until=until, waiting_for=reason))
