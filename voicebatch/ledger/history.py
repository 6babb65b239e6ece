"""What the ledger can tell: who was contacted, what was charged, what became of every row. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from voicebatch.ledger import queue
from voicebatch.ledger.enqueueing import batched
from voicebatch.ledger.records import (
    CONTACTED,
    ROW_STATUS,
    AnswerLine,
    ChargeLine,
    Contact,
    DeliveryLine,
    RowLine,
    Uncharged,
)
from voicebatch.ledger.tables import attempts, batches, callbacks, charges, deliveries, messages, rows, runs
from voicebatch.models import BatchStatus, Charge, Delivery, Outcome, RequestCounts, RowCounts, RowStatus
from voicebatch.pricing import Prices, times, total

_ROWS_AT_ONCE = 20_000
_OWN = tuple(rows.c[name] for name in ("file", "row", "phone", "status", "reason", "batch_id"))
_ITS = tuple(batches.c[name].label(f"its_{name}") for name in ("id", "status", "reason", "campaign_id", "accepted_at"))
"""What a row takes from its batch."""
_STATUS = 1  # among these
_DELIVERY = (deliveries.c.status.label("delivery_status"), deliveries.c.answered)
_ANSWERED = {None: "", 0: ", not answered", 1: ", answered"}
_BY_CALLBACK = and_(attempts.c.called_at.is_not(None), attempts.c.outcome != Outcome.ACCEPTED)
"""Of an attempt that the provider took, as a callback shows, and whose answer was lost (null: it may still come)."""


def contacts(
    connection: Connection, message_ids: Collection[str], *, since: datetime, sandbox: bool, keys: str
) -> Iterator[Contact]:
    """See ``Ledger.contacts``."""
    of_runs = (runs.c.sandbox == int(sandbox), runs.c.key.startswith(keys, autoescape=True))
    when = func.coalesce(batches.c.contacted_at, batches.c.queued_at)
    is_awaited = batches.c.status.in_((BatchStatus.QUEUED, BatchStatus.SENDING))
    recent = or_(is_awaited, and_(batches.c.status.in_(CONTACTED), when >= since))
    counting = select(batches).select_from(batches.join(runs)).where(recent, *of_runs)
    known = connection.execute(counting.with_only_columns(batches.c.message_id).distinct()).scalars()
    shared = [message_id for message_id in known if message_id in message_ids]
    for some in batched(shared, 500):
        query = counting.where(batches.c.message_id.in_(some)).order_by(when, batches.c.ordinal)
        for found in connection.execute(query):
            yield Contact(found.message_id, found.run_id, BatchStatus(found.status), found.numbers.split(","))


def unit_costs(connection: Connection, *, sandbox: bool) -> Prices:
    """See ``Ledger.unit_costs``."""
    charged = charges.join(attempts).join(batches).join(runs)
    of_kind = select(charges).select_from(charged).where(runs.c.sandbox == int(sandbox))
    latest = of_kind.with_only_columns(charges.c.currency).order_by(attempts.c.ended_at.desc()).limit(1)
    currency = connection.execute(latest).scalar() or ""
    columns = (charges.c.calling_code, charges.c.unit_cost, charges.c.cost, charges.c.messages)
    distinct = of_kind.with_only_columns(*columns).distinct().where(charges.c.currency == currency)
    units: dict[str, Decimal] = {}
    for code, unit, cost, count in connection.execute(distinct):
        if price := max(unit, cost / (count or 1)):  # the provider may leave the unit out
            units[code] = max(price, units.get(code, price))
    return Prices(units=units, currency=currency)


def row_counts(connection: Connection, run_id: str) -> tuple[RowCounts, bool]:
    """How many rows of the input have each status; and whether some that are unknown are only under way."""
    run = connection.execute(select(runs).where(runs.c.id == run_id)).one()
    by_status = (
        select(batches.c.status, func.sum(batches.c.size))
        .where(batches.c.run_id == run_id, batches.c.status != BatchStatus.SPLIT)
        .group_by(batches.c.status)
    )
    totals, sizes = dict.fromkeys(RowStatus, 0), dict.fromkeys(BatchStatus, 0)
    sizes.update({BatchStatus(status): int(size) for status, size in connection.execute(by_status)})
    for status, size in sizes.items():
        if size:
            totals[ROW_STATUS[status]] += size
    counts = RowCounts(
        total=run.rows_total,
        rejected=run.rows_rejected,
        suppressed=run.rows_suppressed,
        queued=totals[RowStatus.QUEUED],
        accepted=totals[RowStatus.ACCEPTED],
        refused=totals[RowStatus.REFUSED],
        unknown=totals[RowStatus.UNKNOWN],
        cancelled=totals[RowStatus.CANCELLED],
    )
    return counts, sizes[BatchStatus.SENDING] > 0


def request_counts(connection: Connection, run_id: str) -> RequestCounts:
    """See ``Ledger.request_counts``."""
    of_run = batches.c.run_id == run_id
    by_status = select(batches.c.status, func.count()).where(of_run).group_by(batches.c.status)
    planned = select(func.count()).where(of_run, batches.c.split_from.is_(None))
    made = select(
        func.sum(attempts.c.counted),
        func.sum(attempts.c.counted).filter(attempts.c.number > 1),
        func.count().filter(attempts.c.outcome == Outcome.REFUSED),
        func.count().filter(attempts.c.outcome == Outcome.ACCEPTED),
    ).select_from(attempts.join(batches)).where(of_run)  # fmt: skip
    count = dict.fromkeys(BatchStatus, 0)
    count.update({BatchStatus(status): number for status, number in connection.execute(by_status)})
    on_ones_word = select(func.count()).where(
        of_run, batches.c.status == BatchStatus.ACCEPTED, batches.c.settled.is_not(None)
    )
    by_callback = select(func.count()).select_from(attempts.join(batches)).where(of_run, _BY_CALLBACK)
    sent, retried, refused, accepted = connection.execute(made).one()
    accepted += connection.execute(by_callback).scalar_one()
    return RequestCounts(
        planned=connection.execute(planned).scalar_one(),
        sent=sent or 0,
        accepted=accepted + connection.execute(on_ones_word).scalar_one(),
        refused=refused,
        unknown=count[BatchStatus.UNKNOWN] + count[BatchStatus.SENDING],
        retried=retried or 0,
    )


def queued_requests(connection: Connection, run_id: str) -> int:
    """How many batches are queued."""
    queued = select(func.count()).where(batches.c.run_id == run_id, batches.c.status == BatchStatus.QUEUED)
    return connection.execute(queued).scalar_one()


def run_charges(connection: Connection, run_id: str) -> list[ChargeLine]:
    """See ``Ledger.charges``."""
    query = (
        select(charges, batches.c.id.label("batch_id"), batches.c.status)
        .select_from(charges.join(attempts).join(batches))
        .where(batches.c.run_id == run_id)
        .order_by(batches.c.ordinal, attempts.c.id, charges.c.calling_code)
    )
    return [
        ChargeLine(line.batch_id, line.status == BatchStatus.ACCEPTED, line.currency, _charge(line))
        for line in connection.execute(query)
    ]


def run_deliveries(connection: Connection, run_id: str) -> list[DeliveryLine]:
    """See ``Ledger.deliveries``."""
    groups = (deliveries.c.batch_id, deliveries.c.calling_code, deliveries.c.status, deliveries.c.answered)
    query = (
        select(*groups, func.count().label("people"), func.sum(deliveries.c.milliseconds).label("milliseconds"))
        .select_from(deliveries.join(batches))
        .where(batches.c.run_id == run_id, batches.c.status == BatchStatus.ACCEPTED)
        .group_by(*groups)
        .order_by(*groups[:3])
    )
    return [_delivery_line(found) for found in connection.execute(query)]


def _delivery_line(found: Row[Any]) -> DeliveryLine:
    return DeliveryLine(
        batch_id=found.batch_id,
        calling_code=found.calling_code,
        status=Delivery(found.status),
        answered=None if found.answered is None else bool(found.answered),
        people=found.people,
        seconds=Decimal(int(found.milliseconds or 0)) / 1000,
    )


def run_counts(connection: Connection, run_id: str) -> dict[str, tuple[int, int]]:
    """See ``Ledger.campaign_counts``."""
    query = (
        select(attempts.c.batch_id, attempts.c.delivered, attempts.c.delivered_of, batches.c.status)
        .select_from(attempts.join(batches))
        .where(batches.c.run_id == run_id, batches.c.status.in_((BatchStatus.ACCEPTED, BatchStatus.SPLIT)))
        .where(attempts.c.delivered_of.is_not(None))
        .order_by(attempts.c.number)
    )
    counts: dict[str, tuple[int, int]] = {}
    for found in connection.execute(query).all():
        if found.status == BatchStatus.ACCEPTED:
            counts[found.batch_id] = (found.delivered, found.delivered_of)
        elif found.delivered == found.delivered_of:  # else nobody knows in which of its parts they are
            counts |= {part_id: (size, size) for part_id, size in _accepted_parts(connection, run_id, found.batch_id)}
    return counts


def _accepted_parts(connection: Connection, run_id: str, whole: str) -> Sequence[Any]:
    query = select(batches.c.id, batches.c.size).where(
        batches.c.run_id == run_id, batches.c.split_from == whole, batches.c.status == BatchStatus.ACCEPTED
    )
    return connection.execute(query).all()


def accepted_sizes(connection: Connection, run_id: str) -> dict[str, int]:
    """See ``Ledger.accepted_sizes``."""
    accepted = (batches.c.run_id == run_id, batches.c.status == BatchStatus.ACCEPTED, batches.c.size > 0)
    query = select(batches.c.id, batches.c.size).where(*accepted).order_by(batches.c.ordinal, batches.c.id)
    return {str(batch_id): int(size) for batch_id, size in connection.execute(query)}


def numbers_of(connection: Connection, batch_ids: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """See ``Ledger.numbers_of``."""
    for some in batched(batch_ids, 500):
        query = select(batches.c.id, batches.c.numbers).where(batches.c.id.in_(some))
        for batch_id, numbers in connection.execute(query):
            yield batch_id, numbers.split(",")


def leaves_at(connection: Connection, run_id: str, *, now: datetime) -> datetime | None:
    """See ``Ledger.leaves_at``."""
    query = select(func.min(messages.c.schedule)).select_from(batches.join(messages))
    at_the_provider = batches.c.status.in_((BatchStatus.ACCEPTED, BatchStatus.UNKNOWN))
    found: datetime | None = connection.execute(
        query.where(batches.c.run_id == run_id, at_the_provider, messages.c.schedule > now)
    ).scalar()
    return found


def recordings(connection: Connection, run_id: str) -> set[str]:
    """See ``Ledger.recordings``."""
    played = select(messages.c.audio).select_from(batches.join(messages)).where(batches.c.run_id == run_id)
    return {str(token) for token in connection.execute(played.distinct()).scalars() if token}


def uncharged(connection: Connection, run_id: str) -> list[Uncharged]:
    """See ``Ledger.uncharged``."""
    by_callback = batches.c.reason == queue.BY_CALLBACK
    query = (
        select(batches.c.id, batches.c.numbers, batches.c.estimate, by_callback.label("by_callback"))
        .where(batches.c.run_id == run_id, batches.c.status == BatchStatus.ACCEPTED, batches.c.size > 0)
        .where(batches.c.cost.is_(None), or_(by_callback, batches.c.settled.is_not(None)))
        .order_by(batches.c.ordinal)
    )
    return [
        Uncharged(found.id, found.numbers.split(","), bool(found.by_callback), found.estimate)
        for found in connection.execute(query)
    ]


def odd_callbacks(connection: Connection, run_id: str | None) -> dict[str, int]:
    """See ``Ledger.odd_callbacks``."""
    query = select(callbacks.c.problem, func.count()).where(callbacks.c.problem.is_not(None))
    if run_id is None:
        query = query.where(callbacks.c.attempt_id.not_in(select(attempts.c.id)))
    else:
        query = query.select_from(callbacks.join(attempts, callbacks.c.attempt_id == attempts.c.id).join(batches))
        query = query.where(batches.c.run_id == run_id)
    found = connection.execute(query.group_by(callbacks.c.problem).order_by(callbacks.c.problem))
    return {str(problem): int(count) for problem, count in found}


def answers(connection: Connection, run_id: str) -> list[AnswerLine]:
    """See ``Ledger.answers``."""
    answered = (
        select(attempts.c.id, batches.c.id.label("batch_id"), batches.c.size)
        .add_columns(attempts.c.messages, attempts.c.cost, attempts.c.currency)
        .select_from(attempts.join(batches))
        .where(batches.c.run_id == run_id, attempts.c.outcome == Outcome.ACCEPTED)
        .order_by(batches.c.ordinal, attempts.c.id)
    )
    lines = select(charges).select_from(charges.join(attempts).join(batches)).where(batches.c.run_id == run_id)
    of_attempt: Mapping[str, list[Row[Any]]] = defaultdict(list)
    for line in connection.execute(lines):
        of_attempt[line.attempt_id].append(line)
    return [_answer(found, of_attempt[found.id]) for found in connection.execute(answered).all()]


def run_rows(connection: Connection, run_id: str) -> Iterator[RowLine]:
    """Every row of the input in its order. Each is taken apart once, for a name that is looked up takes longer."""
    parts, counts = _parts(connection, run_id), run_counts(connection, run_id)
    of_row = and_(rows.c.batch_id == deliveries.c.batch_id, rows.c.phone == deliveries.c.number)
    query = (
        select(*_OWN, *_ITS, *_DELIVERY)
        .select_from(rows.outerjoin(batches, rows.c.batch_id == batches.c.id).outerjoin(deliveries, of_row))
        .where(rows.c.run_id == run_id)
        .order_by(rows.c.file, rows.c.row)
    )
    for found in connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query):
        file, row, phone, status, reason, batch_id, *its = found
        if status is not None:
            yield RowLine(file, row, phone, RowStatus(status), reason or "", None, None, None)
        else:
            told = parts[batch_id, phone] if its[_STATUS] == BatchStatus.SPLIT else its
            yield _row_line(file, row, phone, reason, *told, counts=counts)


def _parts(connection: Connection, run_id: str) -> Mapping[tuple[str, str], Sequence[Any]]:
    """``_ITS`` and ``_DELIVERY`` of everyone whose batch of the plan was split, by that batch and number."""
    part = (batches.c.run_id == run_id, batches.c.split_from.is_not(None), batches.c.status != BatchStatus.SPLIT)
    query = select(batches.c.split_from, batches.c.numbers, *_ITS).where(*part)
    told = select(deliveries.c.batch_id, deliveries.c.number, *_DELIVERY).select_from(deliveries.join(batches))
    known = {(batch_id, number): delivery for batch_id, number, *delivery in connection.execute(told.where(*part))}
    return {
        (whole, number): (*its, *known.get((its[0], number), (None, None)))
        for whole, numbers, *its in connection.execute(query)
        for number in numbers.split(",")
    }


def _answer(found: Row[Any], lines: Sequence[Row[Any]]) -> AnswerLine:
    return AnswerLine(
        batch_id=found.batch_id,
        size=found.size,
        messages=found.messages,
        cost=found.cost,
        currency=found.currency,
        charged=total(line.cost for line in lines),
        charged_messages=sum(line.messages for line in lines),
        units=total(times(line.unit_cost, line.messages) for line in lines),
    )


def _charge(line: Row[Any]) -> Charge:
    return Charge(
        calling_code=line.calling_code,
        country_code=line.country_code,
        messages=line.messages,
        unit_cost=line.unit_cost,
        cost=line.cost,
        seconds=line.seconds,
    )


def _row_line(
    file: int,
    row: int,
    phone: str,
    reason: str | None,
    batch_id: str,
    batch_status: Any,
    batch_reason: str,
    campaign_id: str | None,
    accepted_at: datetime | None,
    told: str | None,
    answered: int | None,
    *,
    counts: Mapping[str, tuple[int, int]],
) -> RowLine:
    """A row that is in a batch has its status, and its reason unless it has one of its own."""
    status = ROW_STATUS[batch_status]
    delivery = _delivery(told, answered, counts.get(batch_id)) if status is RowStatus.ACCEPTED else ""
    why = reason or batch_reason or ""
    return RowLine(file, row, phone, status, why, batch_id, campaign_id, accepted_at, delivery)


def _delivery(told: str | None, answered: int | None, count: tuple[int, int] | None) -> str:
    """In the words of the report; of a voicemail campaign only how many are known, unless it is all or none."""
    if told:
        return f"{told}{_ANSWERED[answered]}"
    if count and count[0] == count[1]:
        return Delivery.DELIVERED.value
    return f"{count[0]} of {count[1]} delivered" if count else ""
