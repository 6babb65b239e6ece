"""The ledger as the use cases see it: runs go in whole, and come out as figures, rows and documents."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, Row, Select, and_, func, or_, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL

from voicebatch.errors import InputError, UsageError
from voicebatch.ledger import engine as databases
from voicebatch.ledger import queue
from voicebatch.ledger.queue import Claim, Wait
from voicebatch.ledger.tables import attempts, batches, charges, documents, messages, rows, runs
from voicebatch.ledger.workers import Worker
from voicebatch.models import (
    Batch,
    BatchStatus,
    Channel,
    Charge,
    Message,
    Outcome,
    RateLimit,
    Reply,
    RequestCounts,
    RowCounts,
    RowStatus,
    Stop,
)
from voicebatch.pacing import Usage
from voicebatch.pricing import Prices

__all__ = ["Claim", "Ledger", "NewRow", "NewRun", "Run", "Wait"]

_CHUNK: Final = 20_000
_T = TypeVar("_T")

ROW_STATUS: Final[Mapping[BatchStatus, RowStatus]] = {
    BatchStatus.QUEUED: RowStatus.QUEUED,
    BatchStatus.SENDING: RowStatus.UNKNOWN,  # it may have arrived, and nobody has its answer yet
    BatchStatus.ACCEPTED: RowStatus.ACCEPTED,
    BatchStatus.REFUSED: RowStatus.REFUSED,
    BatchStatus.UNKNOWN: RowStatus.UNKNOWN,
    BatchStatus.CANCELLED: RowStatus.CANCELLED,
}
"""A queued row's status is that of its batch."""

_CONTACTED: Final = (BatchStatus.SENDING, BatchStatus.ACCEPTED, BatchStatus.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as the ledger has it. ``manifest`` holds what the plan knew: inputs, options, versions."""

    id: str
    key: str
    content: str
    created_at: datetime
    channel: Channel
    sandbox: bool
    base_url: str
    notify_url: str | None
    report_dir: str
    manifest: Mapping[str, Any]
    stop: Stop | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A row of the input as the plan left it: rejected or suppressed with a reason, or in a batch."""

    file: int
    row: int
    phone: str | None
    status: RowStatus | None
    reason: str
    batch_id: str | None


class NewBatch(NamedTuple):
    """A batch and what it should cost, ``None`` without a price."""

    batch: Batch
    estimate: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A sealed plan on its way into the ledger.

    ``planned_at`` is since when another run may have queued the same people unseen; ``None``: that does not matter.
    """

    id: str
    key: str
    content: str
    channel: Channel
    sandbox: bool
    base_url: str
    notify_url: str | None
    report_dir: str
    manifest: Mapping[str, Any]
    planned_at: datetime | None
    counts: RowCounts
    documents: Mapping[str, bytes]
    batches: Iterable[NewBatch]
    rows: Iterable[NewRow]


class Contact(NamedTuple):
    """Numbers (E.164) that a run has sent a message, or has queued for it."""

    message_id: str
    run_id: str
    status: BatchStatus
    numbers: Sequence[str]


class RowLine(NamedTuple):
    """A row of the input with what became of it."""

    file: int
    row: int
    phone: str | None
    status: RowStatus
    reason: str
    batch_id: str | None
    campaign_id: str | None
    accepted_at: datetime | None


class Ledger:
    """One database of runs. Every method is one transaction, and raises ``LedgerError`` when it cannot be kept."""

    def __init__(self, url: str) -> None:
        self._url = databases.parse_url(url)
        self._engine = databases.open_engine(self._url)
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

    # Runs

    def enqueue(self, new: NewRun, *, now: datetime) -> bool:
        """Commits the whole run as queued, or nothing of it. False when its key is there already.

        Raises ``InputError`` when another run has queued some of these people for the same message since the plan.
        """
        with databases.transaction(self._engine) as connection:
            if connection.execute(select(runs.c.id).where(runs.c.key == new.key)).first():
                return False
            taken = _queued_since(connection, new)
            connection.execute(runs.insert().values(_run_values(new, now)))
            _insert_documents(connection, new)
            _insert_batches(connection, _untaken(new.batches, taken), now)
            _insert_rows(connection, new.id, new.rows)
        return True

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

    def let_go_on(self, run_id: str, *, now: datetime) -> None:
        """Lets workers begin, or go on with a run that was stopped."""
        with databases.transaction(self._engine) as connection:
            queue.set_stop(connection, run_id, None)
            connection.execute(runs.update().where(runs.c.id == run_id).values(resumed_at=now))

    def suppress_queued(self, run_id: str, reasons: Mapping[str, str]) -> int:
        """Takes numbers (E.164, with the reason) out of what is still queued. Returns how many rows that were.

        For who opted out after the plan was made. A batch that nobody is left in is cancelled.
        """
        with databases.transaction(self._engine) as connection:
            taken = sum(
                _take_out(connection, found, reasons) for found in connection.execute(_queued_batches(run_id)).all()
            )
            known = runs.c.rows_suppressed + taken
            connection.execute(runs.update().where(runs.c.id == run_id).values(rows_suppressed=known))
        return taken

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
        max_cost: Decimal | None = None,
    ) -> Claim | Wait | None:
        """The next batch to send, with a slot of the rate limit; or until when to wait; or None: nothing to do.

        The batch is committed as sending when this returns. None also means that the run was stopped.
        """
        with databases.transaction(self._engine) as connection:
            return queue.claim(
                connection,
                run_id,
                worker=worker,
                limiter=limiter,
                limits=limits,
                now=now,
                lease_seconds=lease_seconds,
                max_cost=max_cost,
            )

    def record(self, claim: Claim, reply: Reply, *, now: datetime) -> None:
        """Commits an attempt's end: its outcome, charges, the slot's end, the provider's word on waiting."""
        with databases.transaction(self._engine) as connection:
            queue.record(connection, claim, reply, now=now)

    def give_up_lost(self, *, now: datetime, is_gone: Callable[[Worker], bool]) -> int:
        """Moves the batches of every run whose worker is gone, or whose lease ran out, from sending to unknown.

        Returns how many. Their slots of the rate limit end now.
        """
        with databases.transaction(self._engine) as connection:
            return queue.give_up_lost(connection, now=now, is_gone=is_gone)

    def is_busy(self, run_id: str) -> bool:
        """Whether some batch is under way, or queued with nothing that stops it."""
        of_run = select(batches.c.id).select_from(batches.join(runs)).where(runs.c.id == run_id)
        queued = and_(batches.c.status == BatchStatus.QUEUED, runs.c.stop_kind.is_(None))
        query = of_run.where(or_(batches.c.status == BatchStatus.SENDING, queued)).limit(1)
        with self._read() as connection:
            return connection.execute(query).first() is not None

    def is_sending(self, run_id: str) -> bool:
        """Whether some batch is under way."""
        query = select(batches.c.id).where(batches.c.run_id == run_id, batches.c.status == BatchStatus.SENDING)
        with self._read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def usages(self, limiter: str, limits: Sequence[RateLimit], *, now: datetime) -> list[Usage]:
        """What is taken of every limit now."""
        with self._read() as connection:
            return [queue.usage(connection, limiter, limit, now) for limit in limits]

    def set_estimates(self, run_id: str, estimate: Callable[[Sequence[str]], Decimal]) -> None:
        """Prices what is queued anew, and what is unknown if it has no price; ``estimate`` gets a batch's numbers."""
        of_run = select(batches.c.id, batches.c.numbers, batches.c.status).where(batches.c.run_id == run_id)
        unpriced = and_(batches.c.status == BatchStatus.UNKNOWN, batches.c.estimate.is_(None))
        with databases.transaction(self._engine) as connection:
            for found in connection.execute(of_run.where(or_(batches.c.status == BatchStatus.QUEUED, unpriced))).all():
                new = estimate(found.numbers.split(","))
                connection.execute(batches.update().where(batches.c.id == found.id).values(estimate=new))
                if found.status == BatchStatus.UNKNOWN:
                    queue.commit_cost(connection, run_id, new)

    # What happened

    def contacts(self, message_ids: Collection[str], *, since: datetime, sandbox: bool) -> Iterator[Contact]:
        """Who was sent one of these messages since then, or is queued for it, however long.

        Under way and unknown count as sent. Rehearsals in the ``sandbox`` count among themselves only.
        """
        when = func.coalesce(batches.c.contacted_at, batches.c.queued_at)
        recent = or_(batches.c.status == BatchStatus.QUEUED, and_(batches.c.status.in_(_CONTACTED), when >= since))
        counting = select(batches).select_from(batches.join(runs)).where(recent, runs.c.sandbox == int(sandbox))
        with self._read() as connection:
            known = connection.execute(counting.with_only_columns(batches.c.message_id).distinct()).scalars()
            shared = [message_id for message_id in known if message_id in message_ids]
            for some in _batched(shared, 500):
                query = counting.where(batches.c.message_id.in_(some)).order_by(when, batches.c.ordinal)
                for found in connection.execute(query):
                    status = BatchStatus(found.status)
                    yield Contact(found.message_id, found.run_id, status, found.numbers.split(","))

    def unit_costs(self, *, sandbox: bool) -> Prices:
        """The highest price of one message that the provider ever charged, per calling code, in its latest currency."""
        charged = charges.join(attempts).join(batches).join(runs)
        of_kind = select(charges).select_from(charged).where(runs.c.sandbox == int(sandbox))
        latest = of_kind.with_only_columns(charges.c.currency).order_by(attempts.c.ended_at.desc()).limit(1)
        units: dict[str, Decimal] = {}
        with self._read() as connection:
            currency = connection.execute(latest).scalar() or ""
            columns = (charges.c.calling_code, charges.c.unit_cost, charges.c.cost, charges.c.messages)
            distinct = of_kind.with_only_columns(*columns).distinct().where(charges.c.currency == currency)
            for code, unit, cost, messages in connection.execute(distinct):
                if price := max(unit, cost / (messages or 1)):  # the provider may leave the unit out
                    units[code] = max(price, units.get(code, price))
        return Prices(units=units, currency=currency)

    def row_counts(self, run_id: str) -> RowCounts:
        """How many rows of the input have each status."""
        by_status = select(batches.c.status, func.sum(batches.c.size)).where(batches.c.run_id == run_id)
        with self._read() as connection:
            run = connection.execute(select(runs).where(runs.c.id == run_id)).one()
            sizes = connection.execute(by_status.group_by(batches.c.status)).all()
        totals = dict.fromkeys(RowStatus, 0)
        for status, size in sizes:
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

    def request_counts(self, run_id: str) -> RequestCounts:
        """Batches by status, and attempts."""
        of_run = batches.c.run_id == run_id
        by_status = select(batches.c.status, func.count()).where(of_run).group_by(batches.c.status)
        made = select(
            func.sum(attempts.c.counted), func.sum(attempts.c.counted).filter(attempts.c.number > 1)
        ).select_from(attempts.join(batches)).where(of_run)  # fmt: skip
        with self._read() as connection:
            count = dict.fromkeys(BatchStatus, 0)
            count.update({BatchStatus(status): number for status, number in connection.execute(by_status)})
            sent, retried = connection.execute(made).one()
        return RequestCounts(
            planned=sum(count.values()),
            sent=sent or 0,
            accepted=count[BatchStatus.ACCEPTED],
            refused=count[BatchStatus.REFUSED],
            unknown=count[BatchStatus.UNKNOWN] + count[BatchStatus.SENDING],
            retried=retried or 0,
        )

    def charges(self, run_id: str) -> list[tuple[Charge, str]]:
        """Every charge of every accepted request, once, with its currency."""
        query = select(charges).select_from(charges.join(attempts).join(batches)).where(batches.c.run_id == run_id)
        with self._read() as connection:
            found = connection.execute(query.order_by(batches.c.ordinal, charges.c.calling_code)).all()
        return [(_charge(line), line.currency) for line in found]

    def answers(self, run_id: str) -> list[tuple[int, int, Decimal, str]]:
        """Of every accepted batch: its size, and its answer's ``nbSms``, ``cost`` and currency."""
        query = (
            select(batches.c.size, attempts.c.messages, attempts.c.cost, attempts.c.currency)
            .select_from(attempts.join(batches))
            .where(batches.c.run_id == run_id, attempts.c.outcome == Outcome.ACCEPTED)
        )
        with self._read() as connection:
            return [tuple(found) for found in connection.execute(query)]

    def rows(self, run_id: str) -> Iterator[RowLine]:
        """Every row of the input in its order."""
        query = (
            select(rows, batches.c.status.label("batch_status"), batches.c.reason.label("batch_reason"))
            .add_columns(batches.c.campaign_id, batches.c.accepted_at)
            .select_from(rows.outerjoin(batches, rows.c.batch_id == batches.c.id))
            .where(rows.c.run_id == run_id)
            .order_by(rows.c.file, rows.c.row)
        )
        with self._read() as connection:
            for found in connection.execution_options(yield_per=_CHUNK).execute(query):
                yield _row_line(found)

    def _read(self) -> Any:
        return databases.transaction(self._engine, write=False)


def _run_values(new: NewRun, now: datetime) -> dict[str, Any]:
    return {
        "id": new.id,
        "key": new.key,
        "content": new.content,
        "created_at": now,
        "channel": new.channel,
        "sandbox": int(new.sandbox),
        "base_url": new.base_url,
        "notify_url": new.notify_url,
        "report_dir": new.report_dir,
        "manifest": dict(new.manifest),
        "rows_total": new.counts.total,
        "rows_rejected": new.counts.rejected,
        "rows_suppressed": new.counts.suppressed,
        "committed": Decimal(0),
        "resumed_at": now,
    }


def _queued_since(connection: Connection, new: NewRun) -> Mapping[str, set[str]]:
    """Whom other runs have queued since the plan was made, by message. We hold the lock: nobody is added meanwhile."""
    if new.planned_at is None:
        return {}
    query = (
        select(batches.c.message_id, batches.c.numbers)
        .select_from(batches.join(runs))
        .where(runs.c.created_at >= new.planned_at, runs.c.sandbox == int(new.sandbox))
        .where(batches.c.status.in_((BatchStatus.QUEUED, *_CONTACTED)))
    )
    taken: dict[str, set[str]] = {}
    for message_id, numbers in connection.execute(query):
        taken.setdefault(message_id, set()).update(numbers.split(","))
    return taken


def _untaken(new: Iterable[NewBatch], taken: Mapping[str, set[str]]) -> Iterator[NewBatch]:
    for one in new:
        if taken and not taken.get(one.batch.message.id, set()).isdisjoint(one.batch.numbers):
            raise InputError(
                "Another run has queued some of these people for the same message since this plan was made. "
                "Nothing was sent.",
                hint="Run the same command again: they are left out then.",
            )
        yield one


def _insert_documents(connection: Connection, new: NewRun) -> None:
    for name, content in new.documents.items():
        values = {"run_id": new.id, "name": name, "content": zlib.compress(content)}
        connection.execute(documents.insert().values(values))


def _insert_batches(connection: Connection, new: Iterable[NewBatch], now: datetime) -> None:
    for some in _batched(new, _CHUNK // 10):
        heard = {batch.message.id: batch.message for batch, _ in some}
        connection.execute(
            sqlite.insert(messages).on_conflict_do_nothing(),
            [_message_values(message_id, message) for message_id, message in heard.items()],
        )
        connection.execute(batches.insert(), [_batch_values(batch, estimate, now) for batch, estimate in some])


def _message_values(message_id: str, message: Message) -> dict[str, Any]:
    return {
        "id": message_id,
        "text": message.text,
        "audio": message.audio,
        "lang": message.lang,
        "speech_rate": message.speech_rate,
        "schedule": message.schedule,
    }


def _batch_values(batch: Batch, estimate: Decimal | None, now: datetime) -> dict[str, Any]:
    return {
        "id": batch.id,
        "run_id": batch.run_id,
        "ordinal": batch.ordinal,
        "message_id": batch.message.id,
        "size": len(batch.numbers),
        "numbers": ",".join(batch.numbers),
        "status": BatchStatus.QUEUED,
        "queued_at": now,
        "estimate": estimate,
    }


def _insert_rows(connection: Connection, run_id: str, new: Iterable[NewRow]) -> None:
    """Through the driver's bulk path: there may be millions."""
    sql = "INSERT INTO rows (run_id, file, row, phone, status, reason, batch_id) VALUES (?, ?, ?, ?, ?, ?, ?)"
    for some in _batched(new, _CHUNK):
        values = [(run_id, row.file, row.row, row.phone, row.status, row.reason, row.batch_id) for row in some]
        connection.exec_driver_sql(sql, values)


def _batched(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some


def _queued_batches(run_id: str) -> Select[Any]:
    return select(batches).where(batches.c.run_id == run_id, batches.c.status == BatchStatus.QUEUED)


def _take_out(connection: Connection, batch: Row[Any], reasons: Mapping[str, str]) -> int:
    numbers = batch.numbers.split(",")
    left = [number for number in numbers if number not in reasons]
    if len(left) == len(numbers):
        return 0
    values = {"numbers": ",".join(left), "size": len(left)} if left else {"status": BatchStatus.CANCELLED, "size": 0}
    connection.execute(batches.update().where(batches.c.id == batch.id).values(values))
    for number in set(numbers) - set(left):
        gone = {"status": RowStatus.SUPPRESSED, "reason": reasons[number], "batch_id": None}
        of_number = rows.c.phone == number
        connection.execute(
            rows.update().where(rows.c.run_id == batch.run_id, rows.c.batch_id == batch.id, of_number).values(gone)
        )
    return len(numbers) - len(left)


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
        report_dir=found.report_dir,
        manifest=found.manifest,
        stop=stop,
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


def _row_line(found: Row[Any]) -> RowLine:
    status = RowStatus(found.status) if found.status else ROW_STATUS[BatchStatus(found.batch_status)]
    return RowLine(
        file=found.file,
        row=found.row,
        phone=found.phone,
        status=status,
        reason=found.reason or found.batch_reason or "",
        batch_id=found.batch_id,
        campaign_id=found.campaign_id,
        accepted_at=found.accepted_at,
    )
