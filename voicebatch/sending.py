"""The send loop: claim, post, record, in a few threads, until nothing is queued or something says stop.

It knows neither HTTP nor SQL nor the time of day: the network, the ledger and the clock come in as arguments.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from voicebatch.ledger import Claim, Ledger, Wait, Worker
from voicebatch.models import Batch, Outcome, Progress, RateLimit, Reply
from voicebatch.pricing import total

_LOG: Final = logging.getLogger(__name__)

LEASE_MARGIN: Final = 15.0
"""Seconds that a worker is believed to be at work beyond its request's time-outs."""

_LONGEST_NAP: Final = timedelta(seconds=5)  # a waiting worker looks again: another may have changed what it waits for
_LOOK_AGAIN: Final = timedelta(seconds=0.5)


class Network(Protocol):
    """What sends a batch once and tells what came of it, without raising."""

    def send(self, batch: Batch) -> Reply:
        """One request."""
        ...


class Clock(Protocol):
    """The time, and a way to let it pass that a stop cuts short."""

    def now(self) -> datetime:
        """Timezone-aware."""
        ...

    def wait(self, until: datetime, stop: threading.Event) -> None:
        """Returns at ``until``, or as soon as ``stop`` is set."""
        ...


@dataclass(kw_only=True)
class Sender:
    """Sends a run's queued batches. Several may work on one run, in this process or another, through one ledger.

    ``timeout_seconds`` is the longest that a request takes; ``stop`` ends the work after the requests in flight.
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
    max_cost: Decimal | None = None
    on_progress: Callable[[Progress], None] = lambda _: None
    _board: _Board = field(init=False)

    def drain(self, run_id: str, start: Progress) -> None:
        """Returns when nothing of the run is queued or under way, or when it is stopped.

        ``start`` is what was done before. Raises ``LedgerError`` when the ledger fails: then nothing more is sent.
        """
        self._board = _Board(start, self.on_progress)
        while True:
            self.ledger.give_up_lost(now=self.clock.now(), is_gone=Worker.is_gone)
            self._run_threads(run_id)
            if self.stop.is_set() or not self.ledger.is_busy(run_id):
                return
            self._nap(self.clock.now() + _LOOK_AGAIN, "another worker has requests under way")

    def _run_threads(self, run_id: str) -> None:
        failed = threading.Event()
        with ThreadPoolExecutor(self.concurrency, thread_name_prefix="send") as pool:
            workers = [pool.submit(self._work, run_id, failed) for _ in range(self.concurrency)]
            try:
                wait(workers, return_when=FIRST_EXCEPTION)
            finally:
                failed.set()  # all are done, or one failed and the others finish what they have in flight
        for worker in workers:
            worker.result()

    def _work(self, run_id: str, failed: threading.Event) -> None:
        while not (self.stop.is_set() or failed.is_set()):
            match self._claim(run_id):
                case Claim() as claim:
                    self._send(claim)
                case Wait(until=until, reason=reason):
                    self._nap(until, reason)
                case None:
                    return

    def _claim(self, run_id: str) -> Claim | Wait | None:
        return self.ledger.claim(
            run_id,
            worker=self.worker,
            limiter=self.limiter,
            limits=self.limits,
            now=self.clock.now(),
            lease_seconds=self.timeout_seconds + LEASE_MARGIN,
            max_cost=self.max_cost,
        )

    def _send(self, claim: Claim) -> None:
        reply = self.network.send(claim.batch)
        self.ledger.record(claim, reply, now=self.clock.now())
        # Neither the reason nor the body: the provider may have put a number into them.
        _LOG.info("batch %s: %s %s", claim.batch.id, reply.outcome, reply.code)
        self._board.count(reply)

    def _nap(self, until: datetime, reason: str) -> None:
        self._board.waiting(until, reason)
        self.clock.wait(min(until, self.clock.now() + _LONGEST_NAP), self.stop)


class _Board:
    """What this process did so far, shown after every change."""

    def __init__(self, start: Progress, show: Callable[[Progress], None]) -> None:
        self._progress = start
        self._show = show
        self._lock = threading.Lock()
        show(start)

    def count(self, reply: Reply) -> None:
        with self._lock:
            now = self._progress
            if reply.answer:
                now = replace(now, cost=total((now.cost, reply.answer.cost)), currency=reply.answer.currency)
            self._progress = replace(
                now,
                done=now.done + (reply.outcome in {Outcome.ACCEPTED, Outcome.REFUSED, Outcome.UNKNOWN}),
                accepted=now.accepted + (reply.outcome is Outcome.ACCEPTED),
                refused=now.refused + (reply.outcome is Outcome.REFUSED),
                unknown=now.unknown + (reply.outcome is Outcome.UNKNOWN),
                waiting_until=None,
                waiting_for="",
            )
            self._show(self._progress)

    def waiting(self, until: datetime, reason: str) -> None:
        with self._lock:
            self._show(replace(self._progress, waiting_until=until, waiting_for=reason))
