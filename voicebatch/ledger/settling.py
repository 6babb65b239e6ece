"""What people change in the queue: they settle what is unknown, withdraw who opted out, set a ceiling and prices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select, update

from voicebatch.errors import UsageError
from voicebatch.ledger import engine as databases
from voicebatch.ledger import events, queue
from voicebatch.ledger.records import CONTACTED
from voicebatch.ledger.tables import attempts, batches, rows, runs
from voicebatch.models import BatchStatus, EventKind, Outcome, RowStatus, Verdict, people
from voicebatch.pricing import total

_SET_ROW: Final = update(rows).where(
    rows.c.run_id == bindparam("of_run"), rows.c.file == bindparam("of_file"), rows.c.row == bindparam("of_row")
)
_MAY_BE_QUEUED: Final = or_(
    batches.c.status.in_((BatchStatus.QUEUED, BatchStatus.SENDING, BatchStatus.UNKNOWN)), batches.c.settled.is_not(None)
)
"""Batches that are called, or may be when an answer or a person says that their request was not sent."""


def resolve(
    connection: Connection,
    run_id: str,
    verdict: Verdict,
    *,
    names: Collection[str],
    requeue: bool,
    who: str,
    why: str,
    now: datetime,
) -> int:
    """See ``Ledger.resolve``."""
    run = connection.execute(queue.LOCK_RUN, {"run_id": run_id}).one()
    meant = _to_settle(connection, run_id, names)
    found = list({batch.id: batch for batch in meant}.values())
    if requeue:
        databases.lock_enqueueing(connection)
        for batch in found:
            _refuse_called_again(connection, batch)
    changes = [_hold(connection, batch, verdict) for batch in found]
    for batch in found:
        values = _settled(connection, batch, verdict, requeue=requeue, who=who, why=why)
        connection.execute(queue.SET_BATCH, {"of_batch": batch.id, **values})
        events.tell(
            connection, run_id, EventKind.SETTLED, f"{people(batch.size)}: {values['reason']}",
            who=who, at=now, batch_id=batch.id,
        )  # fmt: skip
    queue.commit_cost(connection, run, *changes)
    for batch in found if requeue else ():
        leave_out(connection, batch, who=who, now=now, is_late=False)
    return len(found)


def _to_settle(connection: Connection, run_id: str, names: Collection[str]) -> Iterator[Row[Any]]:
    """The batches that are meant: all that are unknown, or those whose ids begin so."""
    of_run = select(batches).where(batches.c.run_id == run_id).order_by(batches.c.ordinal).with_for_update()
    if not names:
        yield from connection.execute(of_run.where(batches.c.status == BatchStatus.UNKNOWN)).all()
    for name in sorted(set(names)):
        exact = connection.execute(of_run.where(batches.c.id == name)).all()
        begin_so = of_run.where(batches.c.id.startswith(name, autoescape=True)).limit(2)
        found = exact or connection.execute(begin_so).all()
        if len(found) != 1:
            what = "More than one batch begins" if found else "There is no batch that begins"
            raise UsageError(f"{what} with {name!r}.", hint=f"They are in recipients.csv: voicebatch report {run_id}")
        if not _may_settle(found[0]):
            raise UsageError(
                f"Batch {found[0].id} is {found[0].status}: only what is unknown can be settled, or settled otherwise.",
                hint="Wait for its answer."
                if found[0].status == BatchStatus.SENDING
                else f"What is unknown: voicebatch runs show {run_id}",
            )
        yield found[0]


def _may_settle(batch: Row[Any]) -> bool:
    """What is unknown; and what a person was wrong about, as long as it is not sent again and anybody is left in it."""
    return batch.status == BatchStatus.UNKNOWN or (batch.settled is not None and batch.size > 0)


def _refuse_called_again(connection: Connection, batch: Row[Any]) -> None:
    for run_id in _called_elsewhere(connection, batch).values():
        raise UsageError(
            f"Run {run_id} has called people of batch {batch.id} with the same message since, or will.",
            hint="Leave --requeue out. Who is still to be called: a new run with a file of only them.",
        )


def _called_elsewhere(connection: Connection, batch: Row[Any]) -> dict[str, str]:
    """Whom another run has called since, or will, and which: they were left out of it only while it was unknown."""
    numbers = set(batch.numbers.split(","))
    others = (
        select(batches.c.run_id, batches.c.numbers)
        .select_from(batches.join(runs))
        .where(batches.c.message_id == batch.message_id, batches.c.run_id != batch.run_id)
        .where(runs.c.sandbox == select(runs.c.sandbox).where(runs.c.id == batch.run_id).scalar_subquery())
        .where(batches.c.status.in_((BatchStatus.QUEUED, *CONTACTED)))
        .where(func.coalesce(batches.c.contacted_at, batches.c.queued_at) >= batch.queued_at)
    )
    return {
        number: other.run_id
        for other in connection.execute(others)
        for number in numbers.intersection(other.numbers.split(","))
    }


def _hold(connection: Connection, batch: Row[Any], verdict: Verdict) -> Decimal:
    """A request that was sent holds its estimate of the ceiling, one that was not holds nothing. Returns the change."""
    attempt = connection.execute(select(attempts).where(*_latest_of(batch))).one()
    if attempt.outcome != Outcome.UNKNOWN:
        return Decimal(0)  # the provider's answer says what it cost
    before = attempt.held or Decimal(0)
    held = (before or batch.estimate) if verdict is Verdict.SENT else None
    connection.execute(queue.SET_ATTEMPT, {"of_attempt": attempt.id, "held": held})
    return total((held or Decimal(0), before.copy_negate()))


def _latest_of(batch: Row[Any]) -> tuple[Any, ...]:
    return attempts.c.batch_id == batch.id, attempts.c.number == batch.attempts


def _settled(
    connection: Connection, batch: Row[Any], verdict: Verdict, *, requeue: bool, who: str, why: str
) -> dict[str, Any]:
    what = f"{verdict} and queued again" if requeue else verdict
    values = {"settled": verdict, "reason": f"settled as {what} by {who}: {why}"}
    if verdict is Verdict.SENT:
        left_at = connection.execute(select(attempts.c.started_at).where(*_latest_of(batch))).scalar_one()
        return {**values, "status": BatchStatus.ACCEPTED, "contacted_at": left_at, "accepted_at": left_at}
    status = BatchStatus.QUEUED if requeue else BatchStatus.CANCELLED
    return {**values, "status": status, "contacted_at": None, "accepted_at": None}


def leave_out(connection: Connection, batch: Row[Any], *, who: str, now: datetime, is_late: bool) -> None:
    """Of a batch that returns to the queue, whoever must not be called any more.

    That is who opted out while its request was under way; and if that was ``is_late``, whom another run has called in
    the meantime.
    """
    if batch.opted_out:
        opted_out = {number: reason for number, (reason, _) in batch.opted_out.items()}
        withdraw(connection, batch.run_id, opted_out, who=who, now=now)
    if is_late:
        databases.lock_enqueueing(connection)
        others = _called_elsewhere(connection, batch)
        reasons = {number: f"the same message was sent or queued by run {run_id}" for number, run_id in others.items()}
        why = "whom another run calls with the same message"
        withdraw(connection, batch.run_id, reasons, who=who, now=now, why=why, message_id=batch.message_id)


def withdraw(
    connection: Connection,
    run_id: str,
    reasons: Mapping[str, str],
    *,
    who: str,
    now: datetime,
    why: str = "who opted out after the plan was made",
    message_id: str | None = None,
) -> int:
    """See ``Ledger.suppress_queued``; with a ``message_id`` of that message alone."""
    if not reasons:
        return 0
    connection.execute(queue.LOCK_RUN, {"run_id": run_id})
    waiting = select(batches).where(batches.c.run_id == run_id, _MAY_BE_QUEUED)
    if message_id:
        waiting = waiting.where(batches.c.message_id == message_id, batches.c.status == BatchStatus.QUEUED)
    gone: set[tuple[str, str]] = set()
    for batch in connection.execute(waiting.with_for_update()).all():
        numbers = batch.numbers.split(",")
        listed = {number: reasons[number] for number in numbers if number in reasons} if batch.size else {}
        if not listed:
            continue
        values: dict[str, Any] = {}
        if batch.status == BatchStatus.QUEUED:
            gone |= {(batch.split_from or batch.id, number) for number in listed}
            values = _shrunk([number for number in numbers if number not in listed])
        if batch.status != BatchStatus.QUEUED or batch.attempts or batch.split_from:
            # It may return to the queue; or a yes may come to a request that they were in.
            after = batch.attempts if batch.status == BatchStatus.QUEUED else None
            noted = {number: (reason, after) for number, reason in listed.items()}
            values["opted_out"] = {**(batch.opted_out or {}), **noted}
        connection.execute(queue.SET_BATCH, {"of_batch": batch.id, **values})
    lines = [
        {"of_run": run_id, "of_file": file, "of_row": row, "status": RowStatus.SUPPRESSED, "reason": reasons[phone]}
        for file, row, phone, batch_id in _queued_rows(connection, run_id, {batch_id for batch_id, _ in gone})
        if (batch_id, phone) in gone
    ]
    if lines:
        connection.execute(_SET_ROW, lines)
        known = runs.c.rows_suppressed + len(lines)
        connection.execute(queue.SET_RUN.values(rows_suppressed=known), {"of_run": run_id})
        text = f"{people(len(lines))} {why} left the queue"
        events.tell(connection, run_id, EventKind.WITHDRAWN, text, who=who, at=now)
    return len(lines)


def _shrunk(left: Sequence[str]) -> dict[str, Any]:
    """A batch that nobody is left in is cancelled."""
    return {"numbers": ",".join(left), "size": len(left)} if left else {"status": BatchStatus.CANCELLED, "size": 0}


def _queued_rows(connection: Connection, run_id: str, batch_ids: Collection[str]) -> Sequence[Any]:
    """All in one pass over the run's rows, which have no index by batch: that would cost every run a lot."""
    if not batch_ids:
        return []
    columns = (rows.c.file, rows.c.row, rows.c.phone, rows.c.batch_id)
    found = connection.execute(select(*columns).where(rows.c.run_id == run_id, rows.c.status.is_(None)))
    return [row for row in found if row.batch_id in batch_ids]


def set_estimates(connection: Connection, run_id: str, estimate: Callable[[Sequence[str]], Decimal]) -> None:
    """See ``Ledger.set_estimates``."""
    run = connection.execute(queue.LOCK_RUN, {"run_id": run_id}).one()
    connection.execute(queue.SET_RUN, {"of_run": run_id, "dearer": None})
    of_run = select(batches.c.id, batches.c.numbers).where(batches.c.run_id == run_id).with_for_update()
    for found in connection.execute(of_run.where(batches.c.status == BatchStatus.QUEUED)).all():
        connection.execute(queue.SET_BATCH, {"of_batch": found.id, "estimate": estimate(found.numbers.split(","))})
    unpriced = (
        select(attempts.c.id, batches.c.numbers)
        .select_from(attempts.join(batches))
        .where(batches.c.run_id == run_id, attempts.c.held.is_(None))
        .where(or_(attempts.c.outcome.is_(None), _is_unknown()))
    )
    held = {found.id: estimate(found.numbers.split(",")) for found in connection.execute(unpriced).all()}
    for attempt_id, amount in held.items():
        connection.execute(queue.SET_ATTEMPT, {"of_attempt": attempt_id, "held": amount})
    queue.commit_cost(connection, run, *held.values())


def _is_unknown() -> Any:
    """An attempt that may have cost what nobody knows yet: one that was called back about, or the last of a batch that
    is unknown or was settled as sent."""
    may_have_cost = or_(batches.c.status == BatchStatus.UNKNOWN, batches.c.settled == Verdict.SENT)
    is_last = attempts.c.number == batches.c.attempts
    return and_(or_(attempts.c.called_at.is_not(None), and_(may_have_cost, is_last)), attempts.c.cost.is_(None))
