"""Two of the queue's moves, each in one short transaction: claim a batch, give up what is lost.

The third, ``recording``, has a module of its own.

This is the order of writes that makes a crash safe: a batch is committed as ``sending``, with its slot of the rate
limit, before its request leaves; its answer, its charges and the end of its slot are committed together afterwards.
Whatever dies in between leaves the batch in ``sending``, from where it becomes ``unknown``, never ``queued``.

Locks are taken in one order everywhere: the run, its batches, the limiter. The run's lock makes its workers take turns
for some milliseconds, and so share its stop and its ceiling; the limiter's does so for all runs that share a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, case, func, or_, select, update

from voicebatch.ledger import engine as databases
from voicebatch.ledger import events
from voicebatch.ledger.tables import attempts, batches, limiters, messages, rows, runs
from voicebatch.ledger.workers import Worker
from voicebatch.models import (
    Batch,
    BatchStatus,
    Channel,
    EventKind,
    Message,
    Outcome,
    RateLimit,
    RowStatus,
    Stop,
    people,
)
from voicebatch.pacing import Usage
from voicebatch.pricing import times, total

_POLL_SECONDS: Final = 1.0
BY_CALLBACK: Final = "settled by a callback: the answer with its cost was lost"
CALLBACK: Final = "callback"
"""Who settled a batch, beside workers and persons."""
_LOST: Final = "the process that sent it ended before it had an answer"

# Statements are built once: building them for every request would cost more than running them.
_OF_RUN: Final = (
    "id", "channel", "stop_kind", "max_cost", "max_cost_currency", "committed", "dearer", "resumed_at"
)  # fmt: skip
LOCK_RUN: Final = select(*(runs.c[name] for name in _OF_RUN)).where(runs.c.id == bindparam("run_id")).with_for_update()
SET_RUN: Final = update(runs).where(runs.c.id == bindparam("of_run"))
SET_BATCH: Final = update(batches).where(batches.c.id == bindparam("of_batch"))
SET_ATTEMPT: Final = update(attempts).where(attempts.c.id == bindparam("of_attempt"))
_ADD_ATTEMPT: Final = attempts.insert()
_NEXT_QUEUED: Final = (
    select(batches, messages.c.text, messages.c.audio, messages.c.lang, messages.c.speech_rate, messages.c.schedule)
    .select_from(batches.join(messages))
    .where(batches.c.run_id == bindparam("run_id"), batches.c.status == BatchStatus.QUEUED)
    .order_by(batches.c.ordinal)
    .limit(1)
    .with_for_update(skip_locked=True, of=batches)
)
_LOCK_LIMITER: Final = select(limiters).where(limiters.c.name == bindparam("limiter")).with_for_update()
_COUNTED: Final = (attempts.c.limiter == bindparam("limiter"), attempts.c.counted == 1)
_UNDER_WAY: Final = select(func.count()).where(*_COUNTED, attempts.c.ended_at.is_(None))
_RECENT: Final = (*_COUNTED, attempts.c.ended_at > bindparam("since"))
_RECENT_COUNT: Final = select(func.count()).where(*_RECENT)
_NTH_LATEST_END: Final = (
    select(attempts.c.ended_at).where(*_RECENT).order_by(attempts.c.ended_at.desc()).limit(1).offset(bindparam("nth"))
)
_AT_ITS_PLACE: Final = (batches.c.run_id == bindparam("run_id"), batches.c.ordinal == bindparam("ordinal"))
_YESES_THERE: Final = (
    select(attempts, batches.c.numbers)
    .select_from(attempts.join(batches))
    .where(*_AT_ITS_PLACE, or_(attempts.c.outcome == Outcome.ACCEPTED, attempts.c.called_at.is_not(None)))
    .order_by(case((attempts.c.outcome == Outcome.ACCEPTED, 0), else_=1), attempts.c.ended_at.desc())
)
_HAS_CALLED: Final = (
    select(attempts.c.id)
    .where(attempts.c.batch_id == bindparam("batch_id"), attempts.c.called_at.is_not(None))
    .limit(1)
)
_SPLIT_THERE: Final = select(batches).where(*_AT_ITS_PLACE, batches.c.split_from.is_not(None))
_IN_FLUX: Final = frozenset({BatchStatus.SENDING, BatchStatus.SPLIT})
_OPEN_ATTEMPTS: Final = (
    select(attempts.c.id, attempts.c.batch_id, attempts.c.worker, attempts.c.lease_until, batches.c.run_id)
    .select_from(attempts.join(batches))
    .where(batches.c.status == BatchStatus.SENDING, attempts.c.ended_at.is_(None))
)
_OF_THE_RUN: Final = batches.c.run_id == bindparam("run_id")
_UNDER_WAY_IN_RUN: Final = select(batches.c.id).where(_OF_THE_RUN, batches.c.status == BatchStatus.SENDING).limit(1)
_MAY_BE_CLAIMED: Final = (
    select(batches.c.id)
    .select_from(batches.join(runs))
    .where(_OF_THE_RUN, batches.c.status == BatchStatus.QUEUED, runs.c.stop_kind.is_(None))
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A batch that this worker may send now, once. Until ``lease_until`` nobody takes it for lost."""

    batch: Batch
    attempt_id: str
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing may be sent before ``until``, for this reason."""

    until: datetime
    reason: str


def claim(
    connection: Connection,
    run_id: str,
    *,
    worker: Worker,
    limiter: str,
    limits: Sequence[RateLimit],
    now: datetime,
    lease_seconds: float,
) -> Claim | Wait | None:
    """See ``Ledger.claim``."""
    run = connection.execute(LOCK_RUN, {"run_id": run_id}).one()
    if run.stop_kind:
        return None
    found = connection.execute(_NEXT_QUEUED, {"run_id": run_id}).first()
    if found is None:
        return None
    held = times(found.estimate, run.dearer) if found.estimate and run.dearer else found.estimate
    if stop := _why_too_dear(run, held):
        set_stop(connection, run_id, stop, who=str(worker), now=now)
        return None
    if wait := _must_wait(connection, limiter, limits, now):
        return wait
    if held:
        commit_cost(connection, run, held)
    return _take(connection, found, run.channel, worker, limiter, now, now + timedelta(seconds=lease_seconds), held)


def room_at(
    connection: Connection, limiter: str, limits: Sequence[RateLimit], wanted: int, *, now: datetime
) -> datetime:
    """See ``Ledger.room_at``."""
    wait = _must_wait(connection, limiter, limits, now, wanted)
    return wait.until if wait else now


def find_lost(connection: Connection, *, now: datetime, is_gone: Callable[[Worker], bool]) -> Sequence[Any]:
    """The open attempts of workers that are gone, or past their lease."""
    return [
        attempt
        for attempt in connection.execute(_OPEN_ATTEMPTS).all()
        if attempt.lease_until <= now or is_gone(Worker.parse(attempt.worker))
    ]


def give_up_lost(connection: Connection, run_id: str, *, now: datetime, is_gone: Callable[[Worker], bool]) -> int:
    """See ``Ledger.give_up_lost``; of one run."""
    connection.execute(LOCK_RUN, {"run_id": run_id})
    lost = [attempt for attempt in find_lost(connection, now=now, is_gone=is_gone) if attempt.run_id == run_id]
    for attempt in lost:
        _lose(connection, attempt, now)
    return len(lost)


def is_sending(connection: Connection, run_id: str) -> bool:
    """Whether some batch is under way."""
    return connection.execute(_UNDER_WAY_IN_RUN, {"run_id": run_id}).first() is not None


def is_busy(connection: Connection, run_id: str) -> bool:
    """Whether some batch is under way, or queued with nothing that stops it."""
    claimable = connection.execute(_MAY_BE_CLAIMED, {"run_id": run_id}).first()
    return claimable is not None or is_sending(connection, run_id)


def usage(connection: Connection, limiter: str, limit: RateLimit, now: datetime) -> Usage:
    """What is taken of a limit: requests without a known end, and those that ended within the window."""
    since = now - timedelta(seconds=limit.seconds)
    under_way = connection.execute(_UNDER_WAY, {"limiter": limiter}).scalar_one()
    recent = connection.execute(_RECENT_COUNT, {"limiter": limiter, "since": since}).scalar_one()
    return Usage(limit=limit, open=under_way, recent=recent)


def set_stop(connection: Connection, run_id: str, stop: Stop | None, *, who: str, now: datetime) -> None:
    """Tells every worker of the run to stop, and why; ``None`` lets them go on."""
    kind, message, hint = (stop.kind, stop.message, stop.hint) if stop else (None, None, None)
    values = {"stop_kind": kind, "stop_message": message, "stop_hint": hint}
    connection.execute(SET_RUN, {"of_run": run_id, **values})
    if stop:
        events.tell(connection, run_id, EventKind.STOPPED, stop.message, who=who, at=now)


def let_go_on(
    connection: Connection,
    run_id: str,
    worker: Worker,
    now: datetime,
    *,
    max_cost: Decimal | None,
    currency: str,
    is_gone: Callable[[Worker], bool],
) -> None:
    """Takes a stop away, and sets the ceiling: see ``Ledger.join``."""
    connection.execute(LOCK_RUN, {"run_id": run_id})
    alone = not events.at_work(connection, run_id, now=now, is_gone=is_gone) - {str(worker)}
    set_stop(connection, run_id, None, who=str(worker), now=now)
    values: dict[str, Any] = {"resumed_at": now}
    if alone or max_cost is not None:
        values |= {"max_cost": max_cost, "max_cost_currency": currency}
    connection.execute(SET_RUN, {"of_run": run_id, **values})


def commit_cost(connection: Connection, run: Row[Any], *amounts: Decimal) -> None:
    """Adds to what the run, whose lock is held, is committed to. Only once in a transaction."""
    connection.execute(SET_RUN, {"of_run": run.id, "committed": total((run.committed, *amounts))})


def accept_if_called(connection: Connection, batch: Row[Any], *, ended: bool = False) -> int:
    """Moves a batch to accepted if the provider said yes to a request of it, in a late answer or by a callback.

    Such a batch may have been queued again, and refused, turned away or split since: its people were called all the
    same. As long as a request of it is under way and has not ``ended``, that one's end decides. Returns for how many
    people this decides what becomes of them.
    """
    is_simple = batch.attempts <= 1 and batch.split_from is None
    if is_simple and connection.execute(_HAS_CALLED, {"batch_id": batch.id}).first() is None:
        return 0
    place = {"run_id": batch.run_id, "ordinal": batch.ordinal}
    yeses = connection.execute(_YESES_THERE, place).all()
    if not yeses:
        return 0
    meant = connection.execute(_SPLIT_THERE, place).all() if batch.status == BatchStatus.SPLIT else [batch]
    return sum(_accept(connection, one, yeses) for one in meant if ended or one.status not in _IN_FLUX)


def accept_late(connection: Connection, batch: Row[Any]) -> int:
    """The same of a batch that is not waiting for this: for how many people it is news."""
    return max(0, accept_if_called(connection, batch) - (batch.size if _is_accepted(batch) else 0))


def _accept(connection: Connection, batch: Row[Any], yeses: Sequence[Row[Any]]) -> int:
    """By the latest yes to a request to all of its people: its own, or that of a batch that it is a part of.

    A batch that has its answer keeps it, and yet has those again who left it after an earlier request that was taken.
    """
    everyone = {*_numbers(batch), *(batch.opted_out or {})}
    to_them = [yes for yes in yeses if yes.batch_id == batch.id or everyone <= {*yes.numbers.split(",")}]
    if not to_them:
        return 0
    earliest = min(one.number if one.batch_id == batch.id else 0 for one in to_them)
    if not _is_accepted(batch) or batch.reason == BY_CALLBACK:
        _set_accepted(connection, batch, to_them[0])
    return bring_back(connection, batch, earliest)


def _is_accepted(batch: Row[Any]) -> bool:
    """By the provider's own word, not a person's."""
    return bool(batch.status == BatchStatus.ACCEPTED and not batch.settled)


def _set_accepted(connection: Connection, batch: Row[Any], yes: Row[Any]) -> None:
    is_answer = yes.outcome == Outcome.ACCEPTED
    if not is_answer:
        _tell_called(connection, batch, yes)
    values = {
        "status": BatchStatus.ACCEPTED,
        "settled": None,
        "reason": "" if is_answer else BY_CALLBACK,
        "contacted_at": yes.started_at,
        "campaign_id": yes.campaign_id,
        "accepted_at": yes.ended_at if is_answer else yes.called_at,
        "cost": yes.cost if yes.batch_id == batch.id else None,
    }
    connection.execute(SET_BATCH, {"of_batch": batch.id, **values})


def _tell_called(connection: Connection, batch: Row[Any], yes: Row[Any]) -> None:
    """Once in the run's story."""
    if batch.status != BatchStatus.ACCEPTED or batch.settled:
        text = f"{people(batch.size)}: {BY_CALLBACK}"
        events.tell(
            connection, batch.run_id, EventKind.SETTLED, text, who=CALLBACK, at=yes.called_at, batch_id=batch.id
        )


def bring_back(connection: Connection, batch: Row[Any], number: int) -> int:
    """Who left the batch after its attempt of this ``number`` was called by it. Returns how many people it has now."""
    numbers = _numbers(batch)
    gone = {one: after for one, (_, after) in (batch.opted_out or {}).items() if one not in numbers}
    called = [one for one, after in gone.items() if after >= number]
    if called:
        of_batch = (rows.c.run_id == batch.run_id, rows.c.batch_id == (batch.split_from or batch.id))
        theirs = update(rows).where(*of_batch, rows.c.phone.in_(called), rows.c.status == RowStatus.SUPPRESSED)
        count = connection.execute(theirs.values(status=None, reason="")).rowcount
        connection.execute(SET_RUN.values(rows_suppressed=runs.c.rows_suppressed - count), {"of_run": batch.run_id})
        everyone = [*numbers, *called]
        values = {"numbers": ",".join(everyone), "size": len(everyone)}
        connection.execute(SET_BATCH, {"of_batch": batch.id, **values})
    return len(numbers) + len(called)


def _numbers(batch: Row[Any]) -> list[str]:
    return batch.numbers.split(",") if batch.size else []


def reason_of(batch: Row[Any], status: BatchStatus, reason: str) -> str:
    """Of what is unknown, when it left too: that is how a person finds it at the provider's."""
    if status is not BatchStatus.UNKNOWN or batch.contacted_at is None:
        return reason
    return f"{reason}; the request left at {batch.contacted_at.isoformat(timespec='seconds')}"


# Claiming


def _why_too_dear(run: Row[Any], estimate: Decimal | None) -> Stop | None:
    if run.max_cost is None:
        return None
    if estimate is None:
        return Stop(
            kind="guard",
            message=f"--max-cost {run.max_cost} needs a price for every country, and one is missing for what is next.",
            hint="The rest is still queued. To go on: voicebatch resume RUN with --max-cost and --price-table",
        )
    committed, currency = total((run.committed, estimate)), run.max_cost_currency
    if committed <= run.max_cost:
        return None
    return Stop(
        kind="guard",
        message=f"The next request could bring the cost to {committed} {currency}, above --max-cost {run.max_cost}.",
        hint="The rest is still queued. To go on: voicebatch resume RUN with a higher --max-cost",
    )


def _must_wait(
    connection: Connection, limiter: str, limits: Sequence[RateLimit], now: datetime, wanted: int = 1
) -> Wait | None:
    pause = lock_limiter(connection, limiter)
    if pause.paused_until and pause.paused_until > now:
        return Wait(until=pause.paused_until, reason=pause.reason)
    under_way = connection.execute(_UNDER_WAY, {"limiter": limiter}).scalar_one()
    waits = [_slot_wait(connection, limiter, limit, under_way, now, wanted) for limit in limits]
    return max((wait for wait in waits if wait), key=lambda wait: wait.until, default=None)


def lock_limiter(connection: Connection, limiter: str) -> Row[Any]:
    """What all who share a limit know of it, held until the transaction's end."""
    found = connection.execute(_LOCK_LIMITER, {"limiter": limiter}).first()
    if found is None:
        databases.insert_new(connection, limiters, [{"name": limiter}])
        found = connection.execute(_LOCK_LIMITER, {"limiter": limiter}).one()
    return found


def _slot_wait(
    connection: Connection, limiter: str, limit: RateLimit, under_way: int, now: datetime, wanted: int
) -> Wait | None:
    """Beside what is under way, ``room`` requests may have ended in the window; those before them free the wanted."""
    reason = f"the limit of {limit.requests} requests in {limit.seconds:g} s is reached"
    room = limit.requests - under_way
    if room <= 0:  # only requests under way hold slots: their ends are not known yet
        return Wait(until=now + timedelta(seconds=min(_POLL_SECONDS, limit.seconds)), reason=reason)
    window = timedelta(seconds=limit.seconds)
    asked = {"limiter": limiter, "since": now - window, "nth": max(0, room - wanted)}
    end: datetime | None = connection.execute(_NTH_LATEST_END, asked).scalar()
    return Wait(until=end + window, reason=reason) if end else None


def _take(
    connection: Connection,
    found: Row[Any],
    channel: str,
    worker: Worker,
    limiter: str,
    now: datetime,
    lease_until: datetime,
    held: Decimal | None,
) -> Claim:
    number = found.attempts + 1
    attempt_id = f"{found.id}.{number}"
    values = {"status": BatchStatus.SENDING, "attempts": number, "contacted_at": now, "settled": None}
    connection.execute(SET_BATCH, {"of_batch": found.id, **values})
    attempt = {
        "id": attempt_id,
        "batch_id": found.id,
        "number": number,
        "worker": str(worker),
        "limiter": limiter,
        "started_at": now,
        "lease_until": lease_until,
        "held": held,
    }
    connection.execute(_ADD_ATTEMPT, attempt)
    events.seen(connection, found.run_id, worker, now=now)
    return Claim(batch=_batch(found, Channel(channel)), attempt_id=attempt_id, lease_until=lease_until)


def _batch(found: Row[Any], channel: Channel) -> Batch:
    message = Message(
        text=found.text,
        audio=found.audio,
        channel=channel,
        lang=found.lang,
        speech_rate=found.speech_rate,
        schedule=found.schedule,
    )
    return Batch(
        id=found.id,
        run_id=found.run_id,
        ordinal=found.ordinal,
        message=message,
        numbers=tuple(found.numbers.split(",")),
    )


# Giving up


def _lose(connection: Connection, attempt: Any, now: datetime) -> None:
    """Its slot ends with its lease: what a process wrote before it died may arrive after its death."""
    ended = {"ended_at": max(now, attempt.lease_until), "outcome": Outcome.UNKNOWN, "reason": _LOST}
    connection.execute(SET_ATTEMPT, {"of_attempt": attempt.id, **ended})
    batch = connection.execute(select(batches).where(batches.c.id == attempt.batch_id)).one()
    reason = reason_of(batch, BatchStatus.UNKNOWN, _LOST)
    if not accept_if_called(connection, batch, ended=True):
        connection.execute(SET_BATCH, {"of_batch": batch.id, "status": BatchStatus.UNKNOWN, "reason": reason})
    events.tell(connection, batch.run_id, EventKind.LOST, reason, who=attempt.worker, at=now, batch_id=batch.id)
