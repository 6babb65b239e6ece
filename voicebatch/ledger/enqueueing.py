"""Puts a sealed plan into the ledger, all of it or nothing, and leaves out whom another run queued meanwhile."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, and_, func, or_, select

from voicebatch.errors import InputError
from voicebatch.ledger import engine as databases
from voicebatch.ledger.records import CONTACTED, NewBatch, NewRow, NewRows, NewRun
from voicebatch.ledger.tables import batches, documents, messages, rows, runs
from voicebatch.models import BatchStatus, Message, RowStatus

_CHUNK: Final = 2_000
_OF_BATCH: Final = (
    "id", "run_id", "ordinal", "message_id", "size", "numbers", "status", "reason", "queued_at", "attempts", "estimate",
)  # fmt: skip
_ELSEWHERE: Final = "the same message is queued in run "
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
    blocks = (_row_values(new.id, overlap.mark(block)) for block in _in_columns(new.rows))
    databases.copy_in(connection, rows, ("run_id", *NewRows._fields), blocks)
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
            taken = self.queued.get(batch.message.id, {}) if self.queued else {}
            numbers = tuple(number for number in batch.numbers if number not in taken) if taken else batch.numbers
            self.kept += len(numbers)
            if len(numbers) < len(batch.numbers):
                self.left_out |= {(batch.id, number): taken[number] for number in batch.numbers if number in taken}
            if numbers:
                yield NewBatch(batch if numbers == batch.numbers else replace(batch, numbers=numbers), estimate)

    def mark(self, new: NewRows) -> NewRows:
        """The rows, with those people suppressed."""
        if not self.left_out:
            return new
        import pyarrow as pa
        import pyarrow.compute as pc

        runs_of = [self.left_out.get(one) for one in zip(new.batch_id.to_pylist(), new.phone.to_pylist(), strict=True)]
        run_id = pa.array(runs_of, pa.string())
        is_out = pc.is_valid(run_id)
        return new._replace(
            status=pc.if_else(is_out, RowStatus.SUPPRESSED.value, new.status),
            reason=pc.if_else(is_out, pc.binary_join_element_wise(_ELSEWHERE, run_id, ""), new.reason),
            batch_id=pc.if_else(is_out, None, new.batch_id),
        )


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


def _in_columns(new: Iterable[NewRow | NewRows]) -> Iterator[NewRows]:
    """Those that come one by one as columns too."""
    for are_columns, same in itertools.groupby(new, lambda rows: isinstance(rows, NewRows)):
        blocks = ([one] for one in same) if are_columns else batched(same, _CHUNK)  # noqa: B031 # once
        yield from map(_columns_of, blocks)


def _columns_of(new: Sequence[NewRow | NewRows]) -> NewRows:
    import pyarrow as pa

    if isinstance(new[0], NewRows):
        return new[0]

    file, row, *texts = zip(*new, strict=True)
    return NewRows(pa.array(file), pa.array(row), *(pa.array(map(_text, column), pa.string()) for column in texts))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _row_values(run_id: str, block: NewRows) -> tuple[Any, ...]:
    import pyarrow as pa
    import pyarrow.compute as pc

    reason = pc.replace_substring(block.reason, "\0", "")  # of a cell that it quotes; not every database can keep one
    return (pa.repeat(run_id, len(block.row)), *block._replace(reason=reason))


def _insert_documents(connection: Connection, new: NewRun) -> None:
    for name, content in new.documents.items():
        values = {"run_id": new.id, "name": name, "content": zlib.compress(content)}
        connection.execute(documents.insert().values(values))


def _insert_batches(connection: Connection, new: Iterable[NewBatch], now: datetime) -> None:
    for some in batched(new, _CHUNK):
        ids = {message: message.id for message in {batch.message for batch, _ in some}}
        heard = {message_id: _message_values(message_id, message) for message, message_id in ids.items()}
        databases.insert_new(connection, messages, list(heard.values()))
        databases.copy_in(connection, batches, _OF_BATCH, [_batch_values(connection, some, ids, now)])


def _message_values(message_id: str, message: Message) -> dict[str, Any]:
    return {
        "id": message_id,
        "text": message.text,
        "audio": message.audio,
        "lang": message.lang,
        "speech_rate": message.speech_rate,
        "schedule": message.schedule,
    }


def _batch_values(
    connection: Connection, some: Sequence[NewBatch], ids: Mapping[Message, str], now: datetime
) -> tuple[Any, ...]:
    """The columns ``_OF_BATCH``."""
    import pyarrow as pa

    queued = [batch for batch, _ in some]
    costs = {cost: databases.stored(connection, batches.c.estimate, cost) for cost in {cost for _, cost in some}}
    return (
        pa.array([batch.id for batch in queued]),
        pa.array([batch.run_id for batch in queued]),
        pa.array([batch.ordinal for batch in queued]),
        pa.array([ids[batch.message] for batch in queued]),
        pa.array([len(batch.numbers) for batch in queued]),
        pa.array([",".join(batch.numbers) for batch in queued]),
        pa.repeat(BatchStatus.QUEUED.value, len(some)),
        pa.repeat("", len(some)),
        pa.repeat(databases.stored(connection, batches.c.queued_at, now), len(some)),
        pa.repeat(0, len(some)),
        pa.array([costs[cost] for _, cost in some], pa.string()),
    )


def batched(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Lists of that many items, the last one shorter."""
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some
