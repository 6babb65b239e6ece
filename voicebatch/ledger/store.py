"""The ledger as the use cases see it: runs go in whole, and come out as figures, rows and documents."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.engine import URL

from voicebatch.errors import UsageError
from voicebatch.ledger import cancelling, delivering, enqueueing, events, history, lookups, queue, recording, settling
from voicebatch.ledger import engine as databases
from voicebatch.ledger.clock import HostClock, ServerClock
from voicebatch.ledger.queue import Claim, Wait
from voicebatch.ledger.recording import Estimate
from voicebatch.ledger.records import (
    AnswerLine,
    Cancellable,
    ChargeLine,
    Contact,
    DeliveryLine,
    NewRun,
    Receipt,
    RowLine,
    Run,
    Scheduled,
    Tally,
    Uncharged,
)
from voicebatch.ledger.tables import documents, runs
from voicebatch.ledger.workers import Worker
from voicebatch.models import (
    Callback,
    CancelOutcome,
    Channel,
    Charge,
    RateLimit,
    Reply,
    RequestCounts,
    RowCounts,
    Stop,
    Story,
    Verdict,
)
from voicebatch.pacing import Usage
from voicebatch.pricing import Prices

_PATIENCE_WITH_AN_ANSWER = 600.0  # seconds; it is worth more than anybody's time: without it 500 people are unknown
_PATIENCE_WITH_OTHERS = 300.0  # seconds; somebody may be putting millions of rows into the ledger


def _no_estimate(_: Sequence[str]) -> None:
    return None


class Ledger:
    """One database of runs. Every method is one transaction, and raises ``LedgerError`` when it cannot be kept.

    ``clock`` is where its time comes from: see ``ledger.clock``.
    """

    def __init__(self, url: str) -> None:
        self.address = url
        """As it was given: whoever it is handed to opens the same ledger. It may hold a password."""
        self._url = databases.parse_url(url)
        self._engine = databases.open_engine(self._url)
        self.clock: HostClock | ServerClock = HostClock() if self._url.get_backend_name() == "sqlite" else ServerClock()
        databases.migrate(self._engine)

    @classmethod
    def existing(cls, url: str) -> Ledger | None:
        """The ledger if there is one. It is not created for being looked at."""
        return cls(url) if databases.exists(databases.parse_url(url)) else None

    @property
    def url(self) -> URL:
        """Where it is."""
        return self._url

    def __str__(self) -> str:
        return databases.show(self._url)

    def close(self) -> None:
        """Gives the database's connections back."""
        self._engine.dispose()

    def now(self) -> datetime:
        """The time that all its workers share, whatever their own clocks say."""
        return self.clock.now(self._engine)

    def read_clock(self) -> datetime:
        """The same time, without writing that it was asked for."""
        return self.clock.read(self._engine)

    # Runs

    def enqueue(self, new: NewRun, *, now: datetime) -> bool:
        """Commits the whole run as queued, or nothing of it. False when its key is there already.

        Whom another run has queued for the same message since the plan was made is suppressed. Raises ``InputError``
        when nobody is left.
        """
        with self._write() as connection:
            return enqueueing.enqueue(connection, new, now=now)

    def find(self, name: str) -> Run:
        """The run with this id, this unique beginning of an id, or the ``latest``."""
        newest_first = select(runs).order_by(runs.c.created_at.desc(), runs.c.id)
        query = newest_first if name == "latest" else newest_first.where(runs.c.id.startswith(name, autoescape=True))
        with self._read() as connection:
            found = connection.execute(query.limit(1 if name == "latest" else 2)).all()
        if len(found) > 1:
            raise UsageError(f"More than one run begins with {name!r}.", hint="List them: voicebatch runs")
        if not found:
            raise UsageError(f"The ledger {self} has no run {name!r}.", hint="List the runs: voicebatch runs")
        return _run(found[0])

    def with_key(self, key: str) -> Run | None:
        """The run of this key."""
        with self._read() as connection:
            found = connection.execute(select(runs).where(runs.c.key == key)).first()
        return _run(found) if found else None

    def all_runs(self) -> list[Run]:
        """Every run, the newest first."""
        with self._read() as connection:
            return [_run(found) for found in connection.execute(select(runs).order_by(runs.c.created_at.desc()))]

    def document(self, run_id: str, name: str) -> bytes:
        """A document of the plan, as it was written then."""
        query = select(documents.c.content).where(documents.c.run_id == run_id, documents.c.name == name)
        with self._read() as connection:
            return zlib.decompress(connection.execute(query).scalar_one())

    def check_integrity(self) -> None:
        """Raises ``LedgerError`` when the database is damaged."""
        databases.check_integrity(self._engine)

    # Workers

    def join(
        self,
        run_id: str,
        *,
        worker: Worker,
        now: datetime,
        max_cost: Decimal | None = None,
        currency: str = "",
        is_gone: Callable[[Worker], bool] = Worker.is_gone,
    ) -> None:
        """A worker begins, and lets all go on if they were stopped.

        The run's ceiling is its workers' together: the one that is given here counts for all from now on, and the first
        one on a run sets it or takes it away.
        """
        with self._write() as connection:
            queue.let_go_on(connection, run_id, worker, now, max_cost=max_cost, currency=currency, is_gone=is_gone)
            events.join(connection, run_id, worker, now=now)

    def come_along(self, run_id: str, *, worker: Worker, now: datetime) -> None:
        """A worker begins, and what stopped the others stops it as well."""
        with self._write() as connection:
            connection.execute(queue.LOCK_RUN, {"run_id": run_id})
            events.join(connection, run_id, worker, now=now)

    def leave(self, run_id: str, *, worker: Worker, now: datetime) -> None:
        """A worker ends."""
        with self._write() as connection:
            connection.execute(queue.LOCK_RUN, {"run_id": run_id})
            events.leave(connection, run_id, worker, now=now)

    def seen(self, run_id: str, *, worker: Worker, now: datetime) -> None:
        """A worker that has nothing to do for a while is still there."""
        with self._write() as connection:
            events.seen(connection, run_id, worker, now=now)

    def at_work(self, run_id: str, *, now: datetime, is_gone: Callable[[Worker], bool] = Worker.is_gone) -> bool:
        """Whether somebody works on the run."""
        with self._read() as connection:
            return bool(events.at_work(connection, run_id, now=now, is_gone=is_gone))

    def story(self, run_id: str) -> Story:
        """What happened to the run, in order."""
        with self._read() as connection:
            return events.story(connection, run_id)

    # The queue

    def claim(
        self,
        run_id: str,
        *,
        worker: Worker,
        limiter: str,
        limits: Sequence[RateLimit],
        now: datetime,
        lease_seconds: float,
    ) -> Claim | Wait | None:
        """The next batch to send, with a slot of the rate limit; or until when to wait; or None: nothing to do.

        The batch is committed as sending when this returns. None also means that the run was stopped.
        """
        with databases.transaction(self._engine, patience=_PATIENCE_WITH_OTHERS) as connection:
            return queue.claim(
                connection,
                run_id,
                worker=worker,
                limiter=limiter,
                limits=limits,
                now=now,
                lease_seconds=lease_seconds,
            )

    def record(
        self,
        claim: Claim,
        reply: Reply,
        *,
        now: datetime,
        limits: Sequence[RateLimit] = (),
        estimate: Estimate = _no_estimate,
    ) -> int:
        """Commits an attempt's end: its outcome, charges, the slot's end, the provider's word on waiting.

        A batch that was refused because of a number in it goes on as smaller ones, which ``estimate`` prices. Returns
        for how many people this decided what becomes of them. The same answer twice is the same as once.
        """
        with databases.transaction(self._engine, patience=_PATIENCE_WITH_AN_ANSWER) as connection:
            return recording.record(connection, claim, reply, limits=limits, estimate=estimate, now=now)

    def give_up_lost(self, *, now: datetime, is_gone: Callable[[Worker], bool]) -> int:
        """Moves the batches of every run whose worker is gone, or whose lease ran out, from sending to unknown.

        Returns how many. Their slots of the rate limit end now.
        """
        with self._read() as connection:
            run_ids = {lost.run_id for lost in queue.find_lost(connection, now=now, is_gone=is_gone)}
        return sum(self._give_up_lost(run_id, now, is_gone) for run_id in sorted(run_ids))

    def _give_up_lost(self, run_id: str, now: datetime, is_gone: Callable[[Worker], bool]) -> int:
        with self._write() as connection:
            return queue.give_up_lost(connection, run_id, now=now, is_gone=is_gone)

    def is_busy(self, run_id: str) -> bool:
        """Whether some batch is under way, or queued with nothing that stops it."""
        with self._read() as connection:
            return queue.is_busy(connection, run_id)

    def is_sending(self, run_id: str) -> bool:
        """Whether some batch is under way."""
        with self._read() as connection:
            return queue.is_sending(connection, run_id)

    def room_at(self, limiter: str, limits: Sequence[RateLimit], wanted: int, *, now: datetime) -> datetime:
        """When so many requests may leave at once, as far as one can tell now; at most what the limits allow."""
        with self._write() as connection:
            return queue.room_at(connection, limiter, limits, wanted, now=now)

    def usages(self, limiter: str, limits: Sequence[RateLimit], *, now: datetime) -> list[Usage]:
        """What is taken of every limit now."""
        with self._read() as connection:
            return [queue.usage(connection, limiter, limit, now) for limit in limits]

    # What people change

    def resolve(
        self,
        run_id: str,
        verdict: Verdict,
        *,
        who: str,
        why: str,
        now: datetime,
        batch_ids: Collection[str] = (),
        requeue: bool = False,
    ) -> int:
        """Settles batches that are unknown: those with these ids, or unique beginnings of them, or all.

        Recorded with who, when and why. What was not sent is queued again if ``requeue`` says so, also later. Returns
        how many it were; raises ``UsageError`` for a batch that is not unknown, and then settles none.
        """
        with self._write() as connection:
            return settling.resolve(
                connection, run_id, verdict, names=batch_ids, requeue=requeue, who=who, why=why, now=now
            )

    def suppress_queued(self, run_id: str, reasons: Mapping[str, str]) -> int:
        """Takes numbers (E.164, with the reason) out of what is still queued. Returns how many rows that were.

        For who opted out after the plan was made. A batch that nobody is left in is cancelled.
        """
        now, who = self.now(), str(Worker.current())
        with self._write() as connection:
            return settling.withdraw(connection, run_id, reasons, who=who, now=now)

    def set_estimates(self, run_id: str, estimate: Callable[[Sequence[str]], Decimal]) -> None:
        """Prices what is queued anew, and what may have cost something if it has no price yet.

        ``estimate`` gets a batch's numbers.
        """
        with self._write() as connection:
            settling.set_estimates(connection, run_id, estimate)

    # Look-ups

    def begin_lookup(
        self, limiter: str, limit: RateLimit, *, lease_seconds: float, now: datetime | None = None
    ) -> int | datetime:
        """Takes a slot for a look-up that ends within ``lease_seconds``: its id, or until when there is none."""
        at = now or self.now()
        with self._write() as connection:
            return lookups.begin(connection, limiter, limit, lease_seconds=lease_seconds, now=at)

    def end_lookup(self, lookup_id: int, *, wait_seconds: float = 0.0, now: datetime | None = None) -> None:
        """Its slot is free one window from now. ``wait_seconds`` is the provider's word for all who share the limit."""
        at = now or self.now()
        with self._write() as connection:
            lookups.end(connection, lookup_id, pause=timedelta(seconds=wait_seconds), now=at)

    def queued_recordings(self, run_id: str) -> Mapping[str, int]:
        """The tokens of the recordings that are still to be played, and to how many people."""
        with self._read() as connection:
            return lookups.queued_recordings(connection, run_id)

    # Cancelling

    def cancellable(self, run_id: str, *, now: datetime) -> Cancellable:
        """What of the run can be taken back now, and what can not."""
        with self._read() as connection:
            return cancelling.cancellable(connection, run_id, now=now)

    def cancel_queued(self, run_id: str, *, who: str, now: datetime) -> Tally:
        """Takes all that is queued out of the queue. What may return to it is not sent again before ``resume``."""
        with self._write() as connection:
            return cancelling.cancel_queued(connection, run_id, who=who, now=now)

    def ask_cancellation(self, run_id: str, campaign: Scheduled, *, who: str, now: datetime) -> Scheduled | None:
        """Notes that the provider is about to be asked. ``None`` when there is nothing to ask for any more.

        What is returned is to be recorded: it knows whether another answer was lost, or is still awaited by somebody.
        """
        with self._write() as connection:
            return cancelling.ask(connection, run_id, campaign, who=who, now=now)

    def record_cancellation(
        self,
        run_id: str,
        campaign: Scheduled,
        outcome: CancelOutcome | None,
        *,
        reason: str = "",
        credit: Decimal | None = None,
        currency: str = "",
        who: str,
        now: datetime,
    ) -> tuple[CancelOutcome | None, str]:
        """Commits what became of it; ``None``: it was not asked for after all. Returns what stands, and why.

        A no after a lost answer stays unknown: that one may have been a yes. The same answer twice is as once.
        """
        with databases.transaction(self._engine, patience=_PATIENCE_WITH_AN_ANSWER) as connection:
            return cancelling.record(
                connection, run_id, campaign, outcome, reason=reason, credit=credit, currency=currency, who=who, now=now
            )

    def credited(self, run_id: str) -> list[tuple[Decimal, str]]:
        """What the provider gave back for the run's cancelled requests, each with its currency."""
        with self._read() as connection:
            return cancelling.credited(connection, run_id)

    # Callbacks

    def callback_secret(self) -> bytes:
        """What the codes in the addresses for callbacks are made with. It is made when it is first asked for."""
        with self._write() as connection:
            return delivering.secret(connection)

    def take_callbacks(self, callbacks: Sequence[Callback], *, now: datetime | None = None) -> list[Receipt]:
        """Keeps callbacks, all of them in one transaction, and what they say of deliveries.

        In whatever order and however often they come, the last word of each number is the same. A batch that was
        unknown is accepted by its first callback.
        """
        at = now or self.now()
        with self._write() as connection:
            return delivering.take(connection, callbacks, now=at)

    # What happened

    def contacts(
        self, message_ids: Collection[str], *, since: datetime, sandbox: bool, keys: str = ""
    ) -> Iterator[Contact]:
        """Who was sent one of these messages since then, or is queued for it, however long.

        Under way and unknown count as sent. Rehearsals in the ``sandbox`` count among themselves only; ``keys`` is how
        the keys of the runs begin that count.
        """
        with self._read() as connection:
            yield from history.contacts(connection, message_ids, since=since, sandbox=sandbox, keys=keys)

    def unit_costs(self, *, sandbox: bool) -> Prices:
        """The highest price of one message that the provider ever charged, per calling code, in its latest currency."""
        with self._read() as connection:
            return history.unit_costs(connection, sandbox=sandbox)

    def row_counts(self, run_id: str) -> RowCounts:
        """How many rows of the input have each status."""
        with self._read() as connection:
            return history.row_counts(connection, run_id)[0]

    def standing(self, run_id: str) -> tuple[RowCounts, bool]:
        """The same, and whether some that are unknown are only under way: both of one moment, whoever is at work."""
        with self._read() as connection:
            return history.row_counts(connection, run_id)

    def request_counts(self, run_id: str) -> RequestCounts:
        """Requests of the plan, and what was made of them: a split batch was refused, and its parts are more."""
        with self._read() as connection:
            return history.request_counts(connection, run_id)

    def queued_requests(self, run_id: str) -> int:
        """How many batches are queued."""
        with self._read() as connection:
            return history.queued_requests(connection, run_id)

    def charges(self, run_id: str) -> list[tuple[Charge, str]]:
        """Every charge of every accepted request, once, with its currency."""
        return [(line.charge, line.currency) for line in self.charge_lines(run_id)]

    def charge_lines(self, run_id: str) -> list[ChargeLine]:
        """The same, beside the batches that they are for."""
        with self._read() as connection:
            return history.run_charges(connection, run_id)

    def deliveries(self, run_id: str) -> list[DeliveryLine]:
        """What callbacks say of the people whose request was accepted, and was not taken back since."""
        with self._read() as connection:
            return history.run_deliveries(connection, run_id)

    def campaign_counts(self, run_id: str) -> dict[str, tuple[int, int]]:
        """Of each voicemail batch that was called back about: how many messages were delivered, of how many."""
        with self._read() as connection:
            return history.run_counts(connection, run_id)

    def accepted_sizes(self, run_id: str) -> dict[str, int]:
        """How many people each accepted batch has."""
        with self._read() as connection:
            return history.accepted_sizes(connection, run_id)

    def numbers_of(self, batch_ids: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """The numbers (E.164) of these batches."""
        with self._read() as connection:
            yield from history.numbers_of(connection, batch_ids)

    def leaves_at(self, run_id: str, *, now: datetime) -> datetime | None:
        """When the next request leaves that the provider, perhaps, has for later; ``None``: nothing is scheduled."""
        with self._read() as connection:
            return history.leaves_at(connection, run_id, now=now)

    def recordings(self, run_id: str) -> set[str]:
        """The tokens of the recordings that the run plays."""
        with self._read() as connection:
            return history.recordings(connection, run_id)

    def uncharged(self, run_id: str) -> list[Uncharged]:
        """The batches that count as accepted though nobody knows what they cost."""
        with self._read() as connection:
            return history.uncharged(connection, run_id)

    def odd_callbacks(self, run_id: str | None) -> dict[str, int]:
        """How many callbacks of a run are odd, by what is odd about them; ``None``: those that belong to no run."""
        with self._read() as connection:
            return history.odd_callbacks(connection, run_id)

    def answers(self, run_id: str) -> list[AnswerLine]:
        """Every yes of the provider beside the batch that it is for and the sums of its charges."""
        with self._read() as connection:
            return history.answers(connection, run_id)

    def rows(self, run_id: str) -> Iterator[RowLine]:
        """Every row of the input in its order."""
        with self._read() as connection:
            yield from history.run_rows(connection, run_id)

    def _read(self) -> Any:
        return databases.transaction(self._engine, write=False)

    def _write(self) -> Any:
        return databases.transaction(self._engine)


def _run(found: Row[Any]) -> Run:
    stop = Stop(kind=found.stop_kind, message=found.stop_message, hint=found.stop_hint) if found.stop_kind else None
    return Run(
        id=found.id,
        key=found.key,
        content=found.content,
        created_at=found.created_at,
        channel=Channel(found.channel),
        sandbox=bool(found.sandbox),
        base_url=found.base_url,
        notify_url=found.notify_url,
        notify_email=found.notify_email,
        sender=found.sender,
        report_dir=found.report_dir,
        manifest=found.manifest,
        stop=stop,
    )
