"""Taking back: what is queued in the ledger, what is scheduled at the provider's.

A cancellation is written before it is asked for, as one of unknown outcome, and then with its answer: so whoever asks
again knows that an earlier answer was lost. Locks are taken in the order of ``queue``: the run, then its batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, func, select, update

from voicebatch.ledger import events, queue
from voicebatch.ledger.records import Cancellable, Scheduled, Tally
from voicebatch.ledger.tables import attempts, batches, cancellations, messages
from voicebatch.models import BatchStatus, CancelOutcome, EventKind, Outcome, Stop, people
from voicebatch.pricing import total

_OF_RUN: Final[Select[Any]] = (
    select(
        batches.c.id,
        batches.c.status,
        batches.c.size,
        batches.c.campaign_id,
        messages.c.schedule,
        cancellations.c.outcome,
    )
    .select_from(batches.join(messages).outerjoin(cancellations))
    .where(batches.c.run_id == bindparam("run_id"), batches.c.size > 0)
    .order_by(batches.c.ordinal, batches.c.id)
)
_MAY_BE_QUEUED_AGAIN: Final = (BatchStatus.SENDING, BatchStatus.UNKNOWN)
_NOES: Final = frozenset({CancelOutcome.TOO_LATE, CancelOutcome.REFUSED})
_MAYBE_BEFORE: Final = "it may be cancelled already, for the answer to an earlier cancellation was lost; now"
_SET_CANCELLATION: Final = update(cancellations).where(cancellations.c.batch_id == bindparam("of_batch"))


def cancellable(connection: Connection, run_id: str, *, now: datetime) -> Cancellable:
    """See ``Ledger.cancellable``."""
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for batch in connection.execute(_OF_RUN, {"run_id": run_id}):
        found[_standing(batch, now)].append(batch)
    return Cancellable(
        queued=_tally(found["queued"]),
        scheduled=_campaigns(found["scheduled"]),
        too_late=_tally(found["too late"]),
        nameless=_tally(found["nameless"]),
        unknown=_tally(found["unknown"]),
        under_way=_tally(found["under way"]),
    )


def _standing(batch: Row[Any], now: datetime) -> str:
    """Where a batch stands for who wants to take it back; empty when there is nothing to take back."""
    is_ahead = batch.schedule is not None and batch.schedule > now
    match batch.status:
        case BatchStatus.QUEUED:
            return "queued"
        case BatchStatus.SENDING:
            return "under way"
        case BatchStatus.UNKNOWN:
            return "unknown" if is_ahead else ""
        case BatchStatus.ACCEPTED if batch.schedule is not None:
            if not batch.campaign_id:
                return "nameless" if is_ahead else "too late"
            return "scheduled" if is_ahead or batch.outcome == CancelOutcome.UNKNOWN else "too late"
    return ""


def _tally(found: Sequence[Row[Any]]) -> Tally:
    return Tally(len(found), sum(batch.size for batch in found))


def _campaigns(found: Iterable[Row[Any]]) -> tuple[Scheduled, ...]:
    """Parts of a batch that a late yes brought back have one campaign: it is cancelled once."""
    of_campaign: dict[str, list[Row[Any]]] = defaultdict(list)
    for batch in found:
        of_campaign[batch.campaign_id].append(batch)
    return tuple(
        Scheduled(
            campaign_id=campaign_id,
            batch_ids=tuple(batch.id for batch in some),
            people=sum(batch.size for batch in some),
            leaves_at=min(batch.schedule for batch in some),
            was_lost=any(batch.outcome == CancelOutcome.UNKNOWN for batch in some),
        )
        for campaign_id, some in of_campaign.items()
    )


def cancel_queued(connection: Connection, run_id: str, *, who: str, now: datetime) -> Tally:
    """See ``Ledger.cancel_queued``."""
    connection.execute(queue.LOCK_RUN, {"run_id": run_id})
    of_run = select(batches.c.id, batches.c.size).where(batches.c.run_id == run_id)
    found = connection.execute(of_run.where(batches.c.status == BatchStatus.QUEUED).with_for_update()).all()
    taken = Tally(len(found), sum(batch.size for batch in found))
    reason = f"cancelled by {who} before it was sent"
    if found:
        queued = update(batches).where(batches.c.run_id == run_id, batches.c.status == BatchStatus.QUEUED)
        connection.execute(queued.values(status=BatchStatus.CANCELLED, reason=reason))
        text = f"{people(taken.people)} who were still queued are not called"
        events.tell(connection, run_id, EventKind.CANCELLED, text, who=who, at=now)
    may_return = select(func.count()).where(batches.c.run_id == run_id, batches.c.status.in_(_MAY_BE_QUEUED_AGAIN))
    if connection.execute(may_return).scalar_one():
        stop = Stop(kind="guard", message=f"{who} cancelled the run.", hint="To go on after all: voicebatch resume RUN")
        queue.set_stop(connection, run_id, stop, who=who, now=now)
    return taken


def ask(connection: Connection, run_id: str, campaign: Scheduled, *, who: str, now: datetime) -> Scheduled | None:
    """See ``Ledger.ask_cancellation``."""
    connection.execute(queue.LOCK_RUN, {"run_id": run_id})
    found = _still_accepted(connection, campaign)
    if not found:
        return None
    asked = select(cancellations.c.outcome).where(cancellations.c.batch_id.in_(campaign.batch_ids))
    was_lost = CancelOutcome.UNKNOWN in connection.execute(asked).scalars().all()  # others may ask at the same time
    for batch in found:
        _write(connection, batch.id, CancelOutcome.UNKNOWN, who=who, now=now, reason="its answer was lost")
    return campaign._replace(was_lost=was_lost)


def record(
    connection: Connection,
    run_id: str,
    campaign: Scheduled,
    outcome: CancelOutcome | None,
    *,
    reason: str,
    credit: Decimal | None,
    currency: str,
    who: str,
    now: datetime,
) -> tuple[CancelOutcome | None, str]:
    """See ``Ledger.record_cancellation``."""
    run = connection.execute(queue.LOCK_RUN, {"run_id": run_id}).one()
    found = _still_accepted(connection, campaign)
    if not found:
        return (CancelOutcome.CANCELLED, "") if _is_cancelled(connection, campaign) else (outcome, reason)
    if outcome is None:
        if not campaign.was_lost:
            connection.execute(cancellations.delete().where(cancellations.c.batch_id.in_(campaign.batch_ids)))
        return None, ""
    if campaign.was_lost and outcome in _NOES:
        outcome, reason = CancelOutcome.UNKNOWN, f"{_MAYBE_BEFORE}: {reason}"
    for batch in found:
        given_back = credit if batch is found[0] else None  # once for the whole campaign
        _write(connection, batch.id, outcome, who=who, now=now, reason=reason, credit=given_back, currency=currency)
    if outcome is CancelOutcome.CANCELLED:
        _take_back(connection, found, who, now)
        _give_back(connection, run, campaign, credit or Decimal(0), currency)
    return outcome, reason


def credited(connection: Connection, run_id: str) -> list[tuple[Decimal, str]]:
    """See ``Ledger.credited``."""
    query = (
        select(cancellations.c.credit, cancellations.c.currency)
        .select_from(cancellations.join(batches))
        .where(batches.c.run_id == run_id, cancellations.c.outcome == CancelOutcome.CANCELLED)
        .where(cancellations.c.credit.is_not(None))
        .order_by(batches.c.ordinal, batches.c.id)
    )
    return [(credit, currency or "") for credit, currency in connection.execute(query)]


def _still_accepted(connection: Connection, campaign: Scheduled) -> Sequence[Row[Any]]:
    """Its batches, locked, without those that somebody else took back meanwhile."""
    theirs = select(batches).where(batches.c.id.in_(campaign.batch_ids)).order_by(batches.c.ordinal, batches.c.id)
    found = connection.execute(theirs.with_for_update()).all()
    return [batch for batch in found if batch.status == BatchStatus.ACCEPTED]


def _is_cancelled(connection: Connection, campaign: Scheduled) -> bool:
    taken_back = select(cancellations.c.batch_id).where(
        cancellations.c.batch_id.in_(campaign.batch_ids), cancellations.c.outcome == CancelOutcome.CANCELLED
    )
    return connection.execute(taken_back).first() is not None


def _write(
    connection: Connection,
    batch_id: str,
    outcome: CancelOutcome,
    *,
    who: str,
    now: datetime,
    reason: str,
    credit: Decimal | None = None,
    currency: str = "",
) -> None:
    values = {
        "at": now,
        "who": who,
        "outcome": outcome,
        "reason": reason,
        "credit": credit,
        "currency": currency or None,
    }
    if not connection.execute(_SET_CANCELLATION, {"of_batch": batch_id, **values}).rowcount:
        connection.execute(cancellations.insert().values(batch_id=batch_id, **values))


def _take_back(connection: Connection, found: Sequence[Row[Any]], who: str, now: datetime) -> None:
    for batch in found:
        values = {"status": BatchStatus.CANCELLED, "reason": f"cancelled at the provider's by {who}"}
        connection.execute(queue.SET_BATCH, {"of_batch": batch.id, **values})
        text = f"{people(batch.size)} who were scheduled are not called"
        events.tell(connection, batch.run_id, EventKind.CANCELLED, text, who=who, at=now, batch_id=batch.id)


def _give_back(connection: Connection, run: Row[Any], campaign: Scheduled, credit: Decimal, currency: str) -> None:
    """Out of what the run is committed to, at most what its request counted there: a ceiling is for what was spent."""
    query = select(attempts).where(
        attempts.c.campaign_id == campaign.campaign_id, attempts.c.outcome == Outcome.ACCEPTED
    )
    of_run = select(batches.c.id).where(batches.c.run_id == run.id)
    attempt = connection.execute(query.where(attempts.c.batch_id.in_(of_run))).first()
    if attempt is None or attempt.currency != currency:
        return
    counted = attempt.held or attempt.cost
    returned = min(max(credit, Decimal(0)), max(counted, Decimal(0)))
    if returned and attempt.held:
        held = total((attempt.held, returned.copy_negate()))
        connection.execute(queue.SET_ATTEMPT, {"of_attempt": attempt.id, "held": held})
    if returned:
        queue.commit_cost(connection, run, returned.copy_negate())
