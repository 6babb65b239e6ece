"""The queue's third move: an attempt's end, its charges, its batch's next status and what all workers learn from it.

All of it is committed together. Half of it would be a charge without its call, or a call that is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal, localcontext
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select

from voicebatch import batching
from voicebatch.errors import LedgerError
from voicebatch.ledger import events, queue, settling
from voicebatch.ledger.queue import Claim
from voicebatch.ledger.tables import attempts, batches, charges, limiters
from voicebatch.models import (
    MOVES,
    Answer,
    BatchStatus,
    EventKind,
    Outcome,
    RateLimit,
    Reply,
    Stop,
    Verdict,
    digest,
)
from voicebatch.pacing import back_off
from voicebatch.pricing import total

Estimate = Callable[[Sequence[str]], Decimal | None]
"""What a request to these numbers (E.164) costs, ``None`` without a price."""

_NEXT: Final[dict[Outcome, BatchStatus]] = {
    Outcome.ACCEPTED: BatchStatus.ACCEPTED,
    Outcome.REFUSED: BatchStatus.REFUSED,
    Outcome.UNKNOWN: BatchStatus.UNKNOWN,
    Outcome.ACCOUNT: BatchStatus.QUEUED,
    Outcome.THROTTLED: BatchStatus.QUEUED,
    Outcome.NOT_SENT: BatchStatus.QUEUED,
}
"""Where an attempt's outcome moves its batch."""

_CALLED_AGAIN: Final = frozenset({BatchStatus.QUEUED, BatchStatus.SPLIT})

_UNREACHABLE: Final = timedelta(seconds=15)  # then the run stops
_ATTEMPT: Final = select(attempts).where(attempts.c.id == bindparam("attempt_id"))
_BATCH: Final = select(batches).where(batches.c.id == bindparam("batch_id")).with_for_update()
_ADD_CHARGES: Final = charges.insert()


def record(
    connection: Connection,
    claim: Claim,
    reply: Reply,
    *,
    limits: Sequence[RateLimit],
    estimate: Estimate,
    now: datetime,
) -> int:
    """See ``Ledger.record``."""
    run = connection.execute(queue.LOCK_RUN, {"run_id": claim.batch.run_id}).one()
    batch = connection.execute(_BATCH, {"batch_id": claim.batch.id}).one()
    attempt = connection.execute(_ATTEMPT, {"attempt_id": claim.attempt_id}).one()
    if attempt.outcome == reply.outcome:
        return 0  # recorded before: that commit worked, and only its confirmation was lost
    ended = _attempt_end(reply, _end_of_slot(attempt, reply, now))
    ended |= {"held": attempt.held if _keeps_estimate(reply, attempt) else None}
    ended |= {"campaign_id": reply.answer.campaign_id if reply.answer else attempt.campaign_id}  # of a callback
    connection.execute(queue.SET_ATTEMPT, {"of_attempt": attempt.id, **ended})
    if reply.answer:
        _insert_charges(connection, attempt.id, reply.answer)
    _settle_cost(connection, run, attempt, reply)
    decided = _move(connection, batch, attempt, reply, estimate, now)
    unreachable = _unreachable_for(connection, run, attempt.limiter, reply, now)
    if wait := _wished_wait(connection, attempt.limiter, reply, unreachable, limits, now):
        _pause(connection, attempt, run.id, now + wait, reply.reason, now)
    if stop := _why_stop(run, reply, unreachable):
        queue.set_stop(connection, run.id, stop, who=attempt.worker, now=now)
    return decided


def _end_of_slot(attempt: Row[Any], reply: Reply, now: datetime) -> datetime:
    """Without an answer the request may still be on its way, from a network that is slow or sends it again."""
    unanswered = reply.outcome is Outcome.UNKNOWN and reply.http_status is None
    end: datetime = max(now, attempt.lease_until) if unanswered else now
    return end


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
        connection.execute(_ADD_CHARGES, lines)


def _settle_cost(connection: Connection, run: Row[Any], attempt: Row[Any], reply: Reply) -> None:
    """Puts what an attempt cost in the place of its estimate; if nobody knows, the estimate stays."""
    if _keeps_estimate(reply, attempt):
        return
    cost, held = _cost(reply), attempt.held or Decimal(0)
    if cost or held:
        queue.commit_cost(connection, run, cost, held.copy_negate())
    if run.max_cost is not None and held and cost > held:  # then what is queued will cost more as well
        with localcontext(prec=100, rounding=ROUND_UP):
            dearer = round(cost / held * (run.dearer or 1), 4)
        connection.execute(queue.SET_RUN, {"of_run": run.id, "dearer": dearer})


def _keeps_estimate(reply: Reply, attempt: Row[Any]) -> bool:
    """As long as the request may have cost something that no answer tells: a callback shows that it did."""
    if reply.answer is not None:
        return _cost(reply) <= 0
    return reply.outcome is Outcome.UNKNOWN or attempt.called_at is not None


def _cost(reply: Reply) -> Decimal:
    """What a ceiling has to count: the answer's cost, or the sum of its charges if that is more."""
    answer = reply.answer
    return max(answer.cost, total(charge.cost for charge in answer.charges)) if answer else Decimal(0)


# The batch


def _move(
    connection: Connection, batch: Row[Any], attempt: Row[Any], reply: Reply, estimate: Estimate, now: datetime
) -> int:
    """Returns for how many people this decides what becomes of them."""
    if _is_overtaken(batch, attempt, reply):
        _tell_late(connection, batch, attempt, reply, now)
        return queue.accept_late(connection, batch)
    if reply.outcome is not Outcome.ACCEPTED and (called := queue.accept_if_called(connection, batch, ended=True)):
        return called
    is_about_some = reply.about_number and batch.size  # of 0: all of them opted out meanwhile
    parts = batching.regroup(batch.numbers.split(","), said=reply.reason) if is_about_some else None
    status = BatchStatus.SPLIT if parts and parts.again else _NEXT[reply.outcome]
    reason = reply.reason
    _check_move(batch, status)
    if batch.settled:
        _tell_late(connection, batch, attempt, reply, now)
        if batch.status != BatchStatus.QUEUED and status in _CALLED_AGAIN:  # which nobody asked for
            if batch.settled == Verdict.NOT_SENT:
                return 0
            status, parts = BatchStatus.UNKNOWN, None
            reason = f"{batch.reason}, but then the provider's answer came: {reply.reason}"
    values: dict[str, Any] = {
        "status": status,
        "settled": None,
        "reason": queue.reason_of(batch, status, reason),
        "contacted_at": None if status is BatchStatus.QUEUED else attempt.started_at,
        "campaign_id": reply.answer and reply.answer.campaign_id,
        "accepted_at": now if reply.answer else None,
        "cost": reply.answer and reply.answer.cost,
    }
    connection.execute(queue.SET_BATCH, {"of_batch": batch.id, **values})
    if parts and parts.again:
        _split(connection, batch, parts, reply, estimate, who=attempt.worker, now=now)
    if status is BatchStatus.ACCEPTED:
        return queue.bring_back(connection, batch, attempt.number)
    if status not in _CALLED_AGAIN:
        return int(batch.size)
    is_late = batch.status != BatchStatus.SENDING
    settling.leave_out(connection, batch, who=attempt.worker, now=now, is_late=is_late)
    return len(parts.refused) if parts else 0


def _is_overtaken(batch: Row[Any], attempt: Row[Any], reply: Reply) -> bool:
    """Whether the batch was sent again meanwhile, or was settled and the answer says nothing against it."""
    if attempt.number != batch.attempts:
        return True
    agrees = batch.settled == Verdict.NOT_SENT and _NEXT[reply.outcome] is BatchStatus.QUEUED
    return bool(batch.settled) and (agrees or reply.outcome is Outcome.UNKNOWN)


def _check_move(batch: Row[Any], status: BatchStatus) -> None:
    if not (status in MOVES[BatchStatus(batch.status)] or batch.status == status or batch.settled):
        raise LedgerError(f"Batch {batch.id} cannot go from {batch.status} to {status}.")


def _tell_late(connection: Connection, batch: Row[Any], attempt: Row[Any], reply: Reply, now: datetime) -> None:
    known = f"was settled as {batch.settled}" if batch.settled else "was sent again"
    text = f"the answer to attempt {attempt.number} came after the batch {known}: {reply.outcome}"
    events.tell(connection, batch.run_id, EventKind.LATE, text, who=attempt.worker, at=now, batch_id=batch.id)


def _split(
    connection: Connection,
    batch: Row[Any],
    parts: batching.Regrouping,
    reply: Reply,
    estimate: Estimate,
    *,
    who: str,
    now: datetime,
) -> None:
    """The people of a refused batch in new batches: who is at fault refused, the others queued where it stood."""
    prices = _shares(batch, parts.again, estimate)
    new = [
        _part(batch, numbers, price, BatchStatus.QUEUED, "", now)
        for numbers, price in zip(parts.again, prices, strict=True)
    ]
    if parts.refused:
        new.append(_part(batch, parts.refused, None, BatchStatus.REFUSED, reply.reason, now))
    connection.execute(batches.insert(), new)
    sizes = " and ".join(str(one["size"]) for one in new)
    text = f"refused because of a number in it: its {batch.size} people are in new batches of {sizes}"
    events.tell(connection, batch.run_id, EventKind.SPLIT, text, who=who, at=now, batch_id=batch.id)


def _shares(batch: Row[Any], parts: Sequence[Sequence[str]], estimate: Estimate) -> list[Decimal | None]:
    """What the parts should cost, by the prices that the batch has: another worker may have set dearer ones."""
    own, whole = [estimate(numbers) for numbers in parts], estimate(batch.numbers.split(","))
    if batch.estimate is None or (whole and whole >= batch.estimate):
        return own
    weights = own if whole else [Decimal(len(numbers)) for numbers in parts]
    with localcontext(prec=100, rounding=ROUND_UP):
        return [round(batch.estimate * (weight or 0) / (whole or batch.size), 6) for weight in weights]


def _part(
    batch: Row[Any],
    numbers: Sequence[str],
    estimate: Decimal | None,
    status: BatchStatus,
    reason: str,
    now: datetime,
) -> dict[str, Any]:
    return {
        "id": digest(batch.id, numbers),
        "run_id": batch.run_id,
        "ordinal": batch.ordinal,
        "message_id": batch.message_id,
        "size": len(numbers),
        "numbers": ",".join(numbers),
        "status": status,
        "reason": reason,
        "queued_at": now,
        "estimate": estimate,
        "split_from": batch.split_from or batch.id,
    }


# What all workers learn


def _unreachable_for(
    connection: Connection, run: Row[Any], limiter: str, reply: Reply, now: datetime
) -> timedelta | None:
    """For how long no request of the run arrived, ``None`` if this one did; a resumed run begins anew."""
    if reply.outcome is not Outcome.NOT_SENT:
        return None
    of_limiter = (attempts.c.limiter == limiter, attempts.c.counted == 1)
    arrived = select(func.max(attempts.c.ended_at)).where(*of_limiter, attempts.c.ended_at <= now)
    last = connection.execute(arrived).scalar()
    first = (
        select(func.min(attempts.c.ended_at))
        .select_from(attempts.join(batches))
        .where(batches.c.run_id == run.id, attempts.c.counted == 0, attempts.c.started_at >= run.resumed_at)
    )
    since: datetime | None = connection.execute(first.where(attempts.c.ended_at > last) if last else first).scalar()
    return now - (since or now)


def _wished_wait(
    connection: Connection,
    limiter: str,
    reply: Reply,
    unreachable: timedelta | None,
    limits: Sequence[RateLimit],
    now: datetime,
) -> timedelta:
    if unreachable is not None:
        return back_off(unreachable)
    wait = timedelta(seconds=reply.wait_seconds or 0)
    if reply.spent and any(_spent_by_us(connection, limiter, limit, wait, now) for limit in limits):
        return timedelta(0)
    return wait


def _spent_by_us(connection: Connection, limiter: str, limit: RateLimit, wait: timedelta, now: datetime) -> bool:
    """Then our own slots say when the window is over, and more exactly than the headers' whole seconds."""
    is_its_window = wait <= timedelta(seconds=limit.seconds + 1)
    return is_its_window and queue.usage(connection, limiter, limit, now).full


def _pause(connection: Connection, attempt: Row[Any], run_id: str, until: datetime, reason: str, now: datetime) -> None:
    """The longest of the provider's wishes stands, for every worker."""
    known = queue.lock_limiter(connection, attempt.limiter)
    if known.paused_until and known.paused_until >= until:
        return
    reason = reason or "the provider's rate headers say that nothing is left of its window"
    connection.execute(
        limiters.update().where(limiters.c.name == attempt.limiter).values(paused_until=until, reason=reason)
    )
    text = f"every worker waits until {until.isoformat(timespec='seconds')}: {reason}"
    events.tell(connection, run_id, EventKind.PAUSED, text, who=attempt.worker, at=now, batch_id=attempt.batch_id)


def _why_stop(run: Row[Any], reply: Reply, unreachable: timedelta | None) -> Stop | None:
    if reply.outcome is Outcome.ACCOUNT:
        return Stop(
            kind="account",
            message=f"The provider refuses every request: {batching.LONG_NUMBER.sub('…', reply.reason)}.",
            hint="The rest is still queued. Settle it (the account, the key, --base-url), then: voicebatch resume RUN",
        )
    if unreachable is not None and unreachable >= _UNREACHABLE:
        return Stop(
            kind="guard",
            message=f"The provider cannot be reached: {reply.reason}.",
            hint="Nothing of what is queued was sent. When the network is back: voicebatch resume RUN",
        )
    if run.max_cost is not None and reply.answer and reply.answer.currency != run.max_cost_currency:
        return Stop(
            kind="guard",
            message=f"The provider charges in {reply.answer.currency}, and --max-cost is in {run.max_cost_currency}.",
            hint="The rest is still queued. To go on: voicebatch resume RUN with a --price-table in that currency",
        )
    return None
