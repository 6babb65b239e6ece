"""The story of a run, written as it happens: who worked on it, what it waited for, what a person decided."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, update

from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import attempts, batches, events, workers
from voicebatch.ledger.workers import Worker
from voicebatch.models import Attempt, BatchStatus, Event, EventKind, Outcome, Story, WorkerSpan

SILENCE: Final = timedelta(seconds=120)
"""A worker of another host that was not seen for so long is not at work any more."""

_PRESENT: Final = select(workers).where(workers.c.run_id == bindparam("run_id"), workers.c.left_at.is_(None))
_POSTING: Final = (
    select(attempts.c.worker)
    .select_from(attempts.join(batches))
    .where(batches.c.run_id == bindparam("run_id"), batches.c.status == BatchStatus.SENDING)
    .where(attempts.c.ended_at.is_(None), attempts.c.lease_until > bindparam("now"))
)
_OF_WORKER: Final = update(workers).where(
    workers.c.run_id == bindparam("of_run"), workers.c.name == bindparam("of_name"), workers.c.left_at.is_(None)
)
_SEEN: Final = _OF_WORKER.values(seen_at=bindparam("now"))
_LEAVE: Final = _OF_WORKER.values(seen_at=bindparam("now"), left_at=bindparam("now"))
_ADD: Final = events.insert()


def tell(
    connection: Connection,
    run_id: str,
    kind: EventKind,
    text: str,
    *,
    who: str,
    at: datetime,
    batch_id: str | None = None,
) -> None:
    """Adds a line to the story."""
    line = {"run_id": run_id, "at": at, "who": who, "kind": kind, "batch_id": batch_id, "text": text}
    connection.execute(_ADD, line)


def join(connection: Connection, run_id: str, worker: Worker, *, now: datetime) -> None:
    """A worker begins."""
    span = {"run_id": run_id, "name": str(worker), "joined_at": now, "seen_at": now}
    databases.insert_new(connection, workers, [span])
    tell(connection, run_id, EventKind.JOINED, "began to work on the run", who=str(worker), at=now)


def leave(connection: Connection, run_id: str, worker: Worker, *, now: datetime) -> None:
    """A worker ends, and says so."""
    connection.execute(_LEAVE, {"of_run": run_id, "of_name": str(worker), "now": now})
    tell(connection, run_id, EventKind.LEFT, "ended", who=str(worker), at=now)


def seen(connection: Connection, run_id: str, worker: Worker, *, now: datetime) -> None:
    """A worker is still there."""
    connection.execute(_SEEN, {"of_run": run_id, "of_name": str(worker), "now": now})


def at_work(connection: Connection, run_id: str, *, now: datetime, is_gone: Callable[[Worker], bool]) -> set[str]:
    """The names of the workers that are on the run now, as far as one can tell."""
    posting = set(connection.execute(_POSTING, {"run_id": run_id, "now": now}).scalars())
    return {
        found.name
        for found in connection.execute(_PRESENT, {"run_id": run_id}).all()
        if (found.seen_at > now - SILENCE or found.name in posting) and not is_gone(Worker.parse(found.name))
    }


def story(connection: Connection, run_id: str) -> Story:
    """All of it, in order."""
    lines = connection.execute(select(events).where(events.c.run_id == run_id).order_by(events.c.id))
    made = (
        select(attempts, batches.c.size, batches.c.status, batches.c.attempts.label("latest"))
        .select_from(attempts.join(batches))
        .where(batches.c.run_id == run_id)
        .order_by(attempts.c.started_at, attempts.c.id)
    )
    spans = select(workers).where(workers.c.run_id == run_id).order_by(workers.c.joined_at)
    requests = (
        select(attempts.c.worker, func.count())
        .select_from(attempts.join(batches))
        .where(batches.c.run_id == run_id)
        .group_by(attempts.c.worker)
    )
    counts = {str(name): int(count) for name, count in connection.execute(requests)}
    return Story(
        events=tuple(_event(line) for line in lines),
        workers=tuple(_span(found, counts) for found in connection.execute(spans)),
        attempts=tuple(_attempt(found) for found in connection.execute(made)),
    )


def _event(line: Row[Any]) -> Event:
    return Event(at=line.at, who=line.who, kind=EventKind(line.kind), text=line.text, batch_id=line.batch_id)


def _span(found: Row[Any], requests: dict[str, int]) -> WorkerSpan:
    return WorkerSpan(
        name=found.name,
        joined_at=found.joined_at,
        seen_at=found.seen_at,
        left_at=found.left_at,
        requests=requests.get(found.name, 0),
    )


def _attempt(found: Row[Any]) -> Attempt:
    return Attempt(
        batch_id=found.batch_id,
        number=found.number,
        people=found.size,
        worker=found.worker,
        started_at=found.started_at,
        ended_at=found.ended_at,
        outcome=Outcome(found.outcome) if found.outcome else None,
        http_status=found.http_status,
        code=found.code or "",
        reason=found.reason or "",
        is_unknown=found.status == BatchStatus.UNKNOWN and found.number == found.latest,
    )
