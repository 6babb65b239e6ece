"""Puts a sealed plan into the ledger, all of it or nothing, and leaves out whom another run queued meanwhile."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, and_, func, or_, select

from voicebatch.errors import InputError
from voicebatch.ledger import engine as databases
from voicebatch.ledger.records import CONTACTED, NewBatch, NewRow, NewRun
from voicebatch.ledger.tables import batches, documents, messages, rows, runs
from voicebatch.models import Batch, BatchStatus, Message, RowStatus

_CHUNK: Final = 2_000
_LONGEST_ENQUEUEING: Final = timedelta(days=30)  # from when a run is made to when others see it
_T = TypeVar("_T")


def enqueue(connection: Connection, new: NewRun, *, now: datetime) -> bool:
    """See ``Ledger.enqueue``."""
    databases.lock_enqueueing(connection)
    if connection.execute(select(runs.c.id).where(runs.c.key == new.key)).first():
        return False
    overlap = _Overlap(queued=_queued_since(connection, new))
    connection.execute(runs.insert().values(_run_values(new, now)))
    _insert_documents(connection, new)
    _insert_batches(connection, overlap.leave_out(new.batches), now)
    if overlap.left_out and not overlap.kept:
        raise InputError(
            "Another run has queued all of these people for the same message since this plan was made. "
            "Nothing was sent.",
            hint="They are called by that run: voicebatch runs",
        )
    columns = ("run_id", "file", "row", "phone", "status", "reason", "batch_id")
    lines = ((new.id, *_row_values(row)) for row in overlap.mark(new.rows))
    databases.copy_in(connection, rows, columns, lines)
    if overlap.left_out:
        suppressed = new.counts.suppressed + len(overlap.left_out)
        connection.execute(runs.update().where(runs.c.id == new.id).values(rows_suppressed=suppressed))
    return True


@dataclass(kw_only=True)
class _Overlap:
    """Whom other runs have queued since the plan was made: ``queued`` is their run by message and number."""

    queued: Mapping[str, Mapping[str, str]]
    left_out: dict[tuple[str, str], str] = field(default_factory=dict)
    kept: int = 0

    def leave_out(self, new: Iterable[NewBatch]) -> Iterator[NewBatch]:
        """The batches without those people. The estimate stays: it is never below what the others cost."""
        for batch, estimate in new:
            taken = self.queued.get(batch.message.id, {})
            numbers = tuple(number for number in batch.numbers if number not in taken) if taken else batch.numbers
            self.kept += len(numbers)
            if len(numbers) < len(batch.numbers):
                self.left_out |= {(batch.id, number): taken[number] for number in batch.numbers if number in taken}
            if numbers:
                yield NewBatch(batch if numbers == batch.numbers else replace(batch, numbers=numbers), estimate)

    def mark(self, new: Iterable[NewRow]) -> Iterable[NewRow]:
        """The rows, with those people suppressed."""
        return map(self._marked, new) if self.left_out else new

    def _marked(self, row: NewRow) -> NewRow:
        run_id = self.left_out.get((row.batch_id or "", row.phone or ""))
        if run_id is None:
            return row
        reason = f"the same message is queued in run {run_id}"
        return row._replace(status=RowStatus.SUPPRESSED, reason=reason, batch_id=None)


def _queued_since(connection: Connection, new: NewRun) -> Mapping[str, Mapping[str, str]]:
    """Whom the plan could not know of: a run that was being added then may be older than the plan by a while.

    We hold the lock: nobody is added meanwhile.
    """
    if new.planned_at is None:
        return {}
    known_since = func.coalesce(batches.c.accepted_at, batches.c.contacted_at)  # a yes may come late
    contacted = and_(batches.c.status.in_(CONTACTED), known_since >= new.planned_at)
    query = (
        select(batches.c.message_id, batches.c.run_id, batches.c.numbers)
        .select_from(batches.join(runs))
        .where(runs.c.created_at >= new.planned_at - _LONGEST_ENQUEUEING, runs.c.sandbox == int(new.sandbox))
        .where(or_(batches.c.status == BatchStatus.QUEUED, contacted))
    )
    taken: dict[str, dict[str, str]] = {}
    for message_id, run_id, numbers in connection.execute(query):
        taken.setdefault(message_id, {}).update(dict.fromkeys(numbers.split(","), run_id))
    return taken


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
        "notify_email": new.notify_email,
        "sender": new.sender,
        "report_dir": new.report_dir,
        "manifest": dict(new.manifest),
        "rows_total": new.counts.total,
        "rows_rejected": new.counts.rejected,
        "rows_suppressed": new.counts.suppressed,
        "committed": Decimal(0),
        "resumed_at": now,
    }


def _row_values(row: NewRow) -> tuple[object, ...]:
    reason = row.reason.replace("\0", "")  # of a cell that it quotes; not every database can keep one
    return (row.file, row.row, row.phone, row.status and str(row.status), reason, row.batch_id)


def _insert_documents(connection: Connection, new: NewRun) -> None:
    for name, content in new.documents.items():
        values = {"run_id": new.id, "name": name, "content": zlib.compress(content)}
        connection.execute(documents.insert().values(values))


def _insert_batches(connection: Connection, new: Iterable[NewBatch], now: datetime) -> None:
    for some in batched(new, _CHUNK):
        heard = {batch.message.id: batch.message for batch, _ in some}
        databases.insert_new(connection, messages, [_message_values(one, message) for one, message in heard.items()])
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


def batched(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Lists of that many items, the last one shorter."""
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some
