"""What the ledger can tell: who was contacted, what was charged, what became of every row. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from voicebatch.ledger.enqueueing import batched
from voicebatch.ledger.records import CONTACTED, ROW_STATUS, AnswerLine, Contact, RowLine
from voicebatch.ledger.tables import attempts, batches, charges, rows, runs
from voicebatch.models import BatchStatus, Charge, Outcome, RequestCounts, RowCounts, RowStatus
from voicebatch.pricing import Prices, times, total

_ROWS_AT_ONCE = 20_000
_ITS = tuple(batches.c[name].label(f"its_{name}") for name in ("id", "status", "reason", "campaign_id", "accepted_at"))
"""What a row takes from its batch."""


def contacts(
    connection: Connection, message_ids: Collection[str], *, since: datetime, sandbox: bool
) -> Iterator[Contact]:
    """See ``Ledger.contacts``."""
    when = func.coalesce(batches.c.contacted_at, batches.c.queued_at)
    is_awaited = batches.c.status.in_((BatchStatus.QUEUED, BatchStatus.SENDING))
    recent = or_(is_awaited, and_(batches.c.status.in_(CONTACTED), when >= since))
    counting = select(batches).select_from(batches.join(runs)).where(recent, runs.c.sandbox == int(sandbox))
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
    for code, unit, cost, messages in connection.execute(distinct):
        if price := max(unit, cost / (messages or 1)):  # the provider may leave the unit out
            units[code] = max(price, units.get(code, price))
    return Prices(units=units, currency=currency)


def row_counts(connection: Connection, run_id: str) -> RowCounts:
    """How many rows of the input have each status."""
    run = connection.execute(select(runs).where(runs.c.id == run_id)).one()
    by_status = (
        select(batches.c.status, func.sum(batches.c.size))
        .where(batches.c.run_id == run_id, batches.c.status != BatchStatus.SPLIT)
        .group_by(batches.c.status)
    )
    totals = dict.fromkeys(RowStatus, 0)
    for status, size in connection.execute(by_status):
        totals[ROW_STATUS[BatchStatus(status)]] += int(size)
    return RowCounts(
        total=run.rows_total,
        rejected=run.rows_rejected,
        suppressed=run.rows_suppressed,
        queued=totals[RowStatus.QUEUED],
        accepted=totals[RowStatus.ACCEPTED],
        refused=totals[RowStatus.REFUSED],
        unknown=totals[RowStatus.UNKNOWN],
        cancelled=totals[RowStatus.CANCELLED],
    )


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
    sent, retried, refused, accepted = connection.execute(made).one()
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


def run_charges(connection: Connection, run_id: str) -> list[tuple[Charge, str]]:
    """Every charge of every accepted request, once, with its currency."""
    query = select(charges).select_from(charges.join(attempts).join(batches)).where(batches.c.run_id == run_id)
    found = connection.execute(query.order_by(batches.c.ordinal, attempts.c.id, charges.c.calling_code))
    return [(_charge(line), line.currency) for line in found]


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
    """Every row of the input in its order."""
    parts = _parts(connection, run_id)
    query = (
        select(rows, *_ITS)
        .select_from(rows.outerjoin(batches, rows.c.batch_id == batches.c.id))
        .where(rows.c.run_id == run_id)
        .order_by(rows.c.file, rows.c.row)
    )
    for found in connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query):
        is_in_part = found.its_status == BatchStatus.SPLIT and found.status is None
        yield _row_line(found, parts[found.batch_id, found.phone] if is_in_part else found)


def _parts(connection: Connection, run_id: str) -> Mapping[tuple[str, str], Any]:
    """The batch of everyone whose batch of the plan was split, by that batch and number."""
    query = (
        select(*_ITS, batches.c.split_from, batches.c.numbers)
        .where(batches.c.run_id == run_id, batches.c.split_from.is_not(None))
        .where(batches.c.status != BatchStatus.SPLIT)
    )
    return {
        (found.split_from, number): found for found in connection.execute(query) for number in found.numbers.split(",")
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


def _row_line(found: Row[Any], batch: Any) -> RowLine:
    """A row that is in no batch has its own status and reason."""
    own = found.status is not None
    return RowLine(
        file=found.file,
        row=found.row,
        phone=found.phone,
        status=RowStatus(found.status) if own else ROW_STATUS[BatchStatus(batch.its_status)],
        reason=found.reason or ("" if own else batch.its_reason) or "",
        batch_id=None if own else batch.its_id,
        campaign_id=None if own else batch.its_campaign_id,
        accepted_at=None if own else batch.its_accepted_at,
    )
