"""The queue's three moves, each inside one short transaction: claim, record, give up what is lost.

This is the order of writes that makes a crash safe: a batch is committed as ``sending``, with its slot of the rate
limit, before its request leaves; its answer, its charges and the end of its slot are committed together afterwards.
Whatever dies in between leaves the batch in ``sending``, from where it becomes ``unknown``, never ``queued``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update

from voicebatch.errors import LedgerError
from voicebatch.ledger.tables import attempts, batches, charges, limiters, messages, runs
from voicebatch.ledger.workers import Worker
from voicebatch.models import MOVES, Answer, Batch, BatchStatus, Channel, Message, Outcome, RateLimit, Reply, Stop
from voicebatch.pacing import Usage, back_off
from voicebatch.pricing import total

_NEXT: Final[dict[Outcome, BatchStatus]] = {
    Outcome.ACCEPTED: BatchStatus.ACCEPTED,
    Outcome.REFUSED: BatchStatus.REFUSED,
    Outcome.UNKNOWN: BatchStatus.UNKNOWN,
    Outcome.ACCOUNT: BatchStatus.QUEUED,
    Outcome.THROTTLED: BatchStatus.QUEUED,
    Outcome.NOT_SENT: BatchStatus.QUEUED,
}
"""Where an attempt's outcome moves its batch."""

_LONG_NUMBER: Final = re.compile(
    r"\+?\d(?:[ .\-/]?\d){5,}"
)  # a provider's message may hold a phone number, and this one is shown
_UNREACHABLE: Final = timedelta(seconds=15)  # then the run stops
_POLL_SECONDS: Final = 1.0
_LOST: Final = "the process that sent it ended before it had an answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A batch that this worker may send now, once."""

    batch: Batch
    attempt_id: str


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
    max_cost: Decimal | None,
) -> Claim | Wait | None:
    """See ``Ledger.claim``."""
    run = connection.execute(select(runs).where(runs.c.id == run_id).with_for_update()).one()
    if run.stop_kind:
        return None
    found = connection.execute(_next_queued(run_id)).first()
    if found is None:
        return None
    committed = total((run.committed, found.estimate or Decimal(0)))
    if max_cost is not None and committed > max_cost:
        set_stop(connection, run_id, _ceiling(max_cost, committed))
        return None
    if wait := _must_wait(connection, limiter, limits, now):
        return wait
    connection.execute(update(runs).where(runs.c.id == run_id).values(committed=committed))
    return _take(connection, found, run.channel, worker, limiter, now, lease_seconds)


def record(connection: Connection, claim: Claim, reply: Reply, *, now: datetime) -> None:
    """See ``Ledger.record``."""
    batch = connection.execute(select(batches).where(batches.c.id == claim.batch.id).with_for_update()).one()
    attempt = connection.execute(select(attempts).where(attempts.c.id == claim.attempt_id)).one()
    connection.execute(update(attempts).where(attempts.c.id == attempt.id).values(_attempt_end(reply, now)))
    if reply.answer:
        _insert_charges(connection, attempt.id, reply.answer)
    if attempt.number == batch.attempts:  # else a person had it sent again meanwhile, and that attempt decides
        _move(connection, batch, reply, now)
    _settle_cost(connection, batch, reply)
    unreachable = _unreachable_for(connection, batch.run_id, attempt.limiter, reply, now)
    if wait := _wished_wait(reply, unreachable):
        _pause(connection, attempt.limiter, now + wait, reply.reason)
    if stop := _stop_for(reply, unreachable):
        set_stop(connection, batch.run_id, stop)


def give_up_lost(connection: Connection, *, now: datetime, is_gone: Callable[[Worker], bool]) -> int:
    """See ``Ledger.give_up_lost``."""
    open_attempts = (
        select(attempts.c.id, attempts.c.batch_id, attempts.c.worker, attempts.c.lease_until)
        .select_from(attempts.join(batches))
        .where(batches.c.status == BatchStatus.SENDING, attempts.c.ended_at.is_(None))
    )
    lost = [
        attempt
        for attempt in connection.execute(open_attempts).all()
        if attempt.lease_until <= now or is_gone(Worker.parse(attempt.worker))
    ]
    for attempt in lost:
        _lose(connection, attempt, now)
    return len(lost)


def usage(connection: Connection, limiter: str, limit: RateLimit, now: datetime) -> Usage:
    """What is taken of a limit: requests without a known end, and those that ended within the window."""
    counted = select(func.count()).select_from(attempts).where(attempts.c.limiter == limiter, attempts.c.counted == 1)
    under_way = connection.execute(counted.where(attempts.c.ended_at.is_(None))).scalar_one()
    recent = connection.execute(counted.where(_within(limit, now))).scalar_one()
    return Usage(limit=limit, open=under_way, recent=recent)


def set_stop(connection: Connection, run_id: str, stop: Stop | None) -> None:
    """Tells every worker of the run to stop, and why; ``None`` lets them go on."""
    kind, message, hint = (stop.kind, stop.message, stop.hint) if stop else (None, None, None)
    values = {"stop_kind": kind, "stop_message": message, "stop_hint": hint}
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))


# Claiming


def _next_queued(run_id: str) -> Select[Any]:
    return (
        select(batches, messages.c.text, messages.c.audio, messages.c.lang, messages.c.speech_rate, messages.c.schedule)
        .select_from(batches.join(messages))
        .where(batches.c.run_id == run_id, batches.c.status == BatchStatus.QUEUED)
        .order_by(batches.c.ordinal)
        .limit(1)
        .with_for_update(skip_locked=True, of=batches)
    )


def _must_wait(connection: Connection, limiter: str, limits: Sequence[RateLimit], now: datetime) -> Wait | None:
    pause = connection.execute(select(limiters).where(limiters.c.name == limiter).with_for_update()).first()
    if pause and pause.paused_until and pause.paused_until > now:
        return Wait(until=pause.paused_until, reason=pause.reason)
    waits = [_slot_wait(connection, limiter, limit, now) for limit in limits]
    return max((wait for wait in waits if wait), key=lambda wait: wait.until, default=None)


def _slot_wait(connection: Connection, limiter: str, limit: RateLimit, now: datetime) -> Wait | None:
    taken = usage(connection, limiter, limit, now)
    if not taken.full:
        return None
    reason = f"the limit of {limit.requests} requests in {limit.seconds:g} s is reached"
    if taken.blocking >= taken.recent:  # only requests under way hold slots: their ends are not known yet
        return Wait(until=now + timedelta(seconds=min(_POLL_SECONDS, limit.seconds)), reason=reason)
    ends = select(attempts.c.ended_at).where(
        attempts.c.limiter == limiter, attempts.c.counted == 1, _within(limit, now)
    )
    end: datetime = connection.execute(ends.order_by(attempts.c.ended_at).offset(taken.blocking).limit(1)).scalar_one()
    return Wait(until=end + timedelta(seconds=limit.seconds), reason=reason)


def _within(limit: RateLimit, now: datetime) -> ColumnElement[bool]:
    return attempts.c.ended_at > now - timedelta(seconds=limit.seconds)


def _take(
    connection: Connection,
    found: Row[Any],
    channel: str,
    worker: Worker,
    limiter: str,
    now: datetime,
    lease_seconds: float,
) -> Claim:
    number = found.attempts + 1
    attempt_id = f"{found.id}.{number}"
    values = {"status": BatchStatus.SENDING, "attempts": number, "contacted_at": now}
    connection.execute(update(batches).where(batches.c.id == found.id).values(values))
    connection.execute(
        attempts.insert().values(
            id=attempt_id,
            batch_id=found.id,
            number=number,
            worker=str(worker),
            limiter=limiter,
            started_at=now,
            lease_until=now + timedelta(seconds=lease_seconds),
        )
    )
    return Claim(batch=_batch(found, Channel(channel)), attempt_id=attempt_id)


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


def _ceiling(max_cost: Decimal, committed: Decimal) -> Stop:
    return Stop(
        kind="guard",
        message=f"The next request could bring the cost to {committed}, above --max-cost {max_cost}.",
        hint="The rest is still queued. To go on: voicebatch resume RUN with a higher --max-cost",
    )


# Recording


def _attempt_end(reply: Reply, now: datetime) -> dict[str, Any]:
    answer = reply.answer
    return {
        "ended_at": now,
        "outcome": reply.outcome,
        "counted": 0 if reply.outcome is Outcome.NOT_SENT else 1,
        "http_status": reply.http_status,
        "code": reply.code,
        "reason": reply.reason,
        "body": reply.body,
        "campaign_id": answer and answer.campaign_id,
        "cost": answer and answer.cost,
        "currency": answer and answer.currency,
        "messages": answer and answer.messages,
        "seconds": answer and answer.seconds,
    }


def _insert_charges(connection: Connection, attempt_id: str, answer: Answer) -> None:
    lines = [
        {
            "attempt_id": attempt_id,
            "calling_code": charge.calling_code,
            "country_code": charge.country_code,
            "currency": answer.currency,
            "messages": charge.messages,
            "unit_cost": charge.unit_cost,
            "cost": charge.cost,
            "seconds": charge.seconds,
        }
        for charge in answer.charges
    ]
    if lines:
        connection.execute(charges.insert(), lines)


def _move(connection: Connection, batch: Row[Any], reply: Reply, now: datetime) -> None:
    status = _NEXT[reply.outcome]
    if status not in MOVES[BatchStatus(batch.status)] and batch.status != status:
        raise LedgerError(f"Batch {batch.id} cannot go from {batch.status} to {status}.")
    values: dict[str, Any] = {"status": status, "reason": _reason(batch, status, reply.reason)}
    if reply.answer:
        values |= {"campaign_id": reply.answer.campaign_id, "accepted_at": now, "cost": reply.answer.cost}
    if status is BatchStatus.QUEUED:
        values |= {"contacted_at": None}
    connection.execute(update(batches).where(batches.c.id == batch.id).values(values))


def _reason(batch: Row[Any], status: BatchStatus, reason: str) -> str:
    """Of what is unknown, when it left too: that is how a person finds it at the provider's."""
    if status is not BatchStatus.UNKNOWN or batch.contacted_at is None:
        return reason
    return f"{reason}; the request left at {batch.contacted_at.isoformat(timespec='seconds')}"


def _settle_cost(connection: Connection, batch: Row[Any], reply: Reply) -> None:
    """Puts what an attempt cost in the place of its estimate; what is unknown stays estimated."""
    if reply.outcome is not Outcome.UNKNOWN:
        cost = reply.answer.cost if reply.answer else Decimal(0)
        commit_cost(connection, batch.run_id, cost, (batch.estimate or Decimal(0)).copy_negate())


def commit_cost(connection: Connection, run_id: str, *amounts: Decimal) -> None:
    """Adds to what the run is committed to."""
    known = select(runs.c.committed).where(runs.c.id == run_id).with_for_update()
    committed = total((connection.execute(known).scalar_one(), *amounts))
    connection.execute(update(runs).where(runs.c.id == run_id).values(committed=committed))


def _pause(connection: Connection, limiter: str, until: datetime, reason: str) -> None:
    """The longest of the provider's wishes stands, for every worker."""
    known = connection.execute(select(limiters).where(limiters.c.name == limiter)).first()
    reason = reason or "the provider's rate headers say that nothing is left of its window"
    if known is None:
        connection.execute(limiters.insert().values(name=limiter, paused_until=until, reason=reason))
    elif known.paused_until is None or known.paused_until < until:
        connection.execute(update(limiters).where(limiters.c.name == limiter).values(paused_until=until, reason=reason))


def _unreachable_for(
    connection: Connection, run_id: str, limiter: str, reply: Reply, now: datetime
) -> timedelta | None:
    """For how long no request of the run arrived, ``None`` if this one did; a resumed run begins anew."""
    if reply.outcome is not Outcome.NOT_SENT:
        return None
    arrived = select(func.max(attempts.c.ended_at)).where(attempts.c.limiter == limiter, attempts.c.counted == 1)
    last = connection.execute(arrived).scalar()
    first = (
        select(func.min(attempts.c.ended_at))
        .select_from(attempts.join(batches).join(runs))
        .where(runs.c.id == run_id, attempts.c.counted == 0, attempts.c.started_at >= runs.c.resumed_at)
    )
    since: datetime | None = connection.execute(first.where(attempts.c.ended_at > last) if last else first).scalar()
    return now - (since or now)


def _wished_wait(reply: Reply, unreachable: timedelta | None) -> timedelta:
    if unreachable is not None:
        return back_off(unreachable)
    return timedelta(seconds=reply.wait_seconds or 0)


def _stop_for(reply: Reply, unreachable: timedelta | None) -> Stop | None:
    if reply.outcome is Outcome.ACCOUNT:
        return Stop(
            kind="account",
            message=f"The provider refuses every request: {_LONG_NUMBER.sub('…', reply.reason)}.",
            hint="The rest is still queued. Settle it (the account, the key, --base-url), then: voicebatch resume RUN",
        )
    if unreachable is not None and unreachable >= _UNREACHABLE:
        return Stop(
            kind="guard",
            message=f"The provider cannot be reached: {reply.reason}.",
            hint="Nothing of what is queued was sent. When the network is back: voicebatch resume RUN",
        )
    return None


def _lose(connection: Connection, attempt: Any, now: datetime) -> None:
    """Its slot ends now: a request of a process that is gone, or past its lease, is certainly over."""
    ended = {"ended_at": now, "outcome": Outcome.UNKNOWN, "reason": _LOST}
    connection.execute(update(attempts).where(attempts.c.id == attempt.id).values(ended))
    batch = connection.execute(select(batches).where(batches.c.id == attempt.batch_id)).one()
    lost = {"status": BatchStatus.UNKNOWN, "reason": _reason(batch, BatchStatus.UNKNOWN, _LOST)}
    connection.execute(update(batches).where(batches.c.id == batch.id).values(lost))
