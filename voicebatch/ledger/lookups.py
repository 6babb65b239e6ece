"""Look-ups at the provider's: they call nobody, and the credit's have a rate limit of their own.

Its slots are shared by all processes of the ledger, and as with sends a slot is freed one window after its look-up
ended. A look-up is written with the latest end that it can have, and then with its real one: so the slot of one whose
process died is freed as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, select, update

from voicebatch.ledger import queue
from voicebatch.ledger.tables import batches, limiters, lookups, messages
from voicebatch.models import BatchStatus, RateLimit

_KEPT: Final = timedelta(days=1)  # longer than any window: an older look-up takes no slot
_FORGET: Final = delete(lookups).where(
    lookups.c.limiter == bindparam("of_limiter"), lookups.c.ended_at < bindparam("before")
)
_ENDS: Final = (
    select(lookups.c.ended_at)
    .where(lookups.c.limiter == bindparam("limiter"), lookups.c.ended_at > bindparam("since"))
    .order_by(lookups.c.ended_at)
)
_END: Final = update(lookups).where(lookups.c.id == bindparam("of_lookup"))
_PAUSE: Final = update(limiters).where(limiters.c.name == bindparam("of_limiter"))


def begin(
    connection: Connection, limiter: str, limit: RateLimit, *, lease_seconds: float, now: datetime
) -> int | datetime:
    """See ``Ledger.begin_lookup``."""
    pause = queue.lock_limiter(connection, limiter).paused_until
    connection.execute(_FORGET, {"of_limiter": limiter, "before": now - _KEPT})
    window = timedelta(seconds=limit.seconds)
    ends = connection.execute(_ENDS, {"limiter": limiter, "since": now - window}).scalars().all()
    waits: list[datetime] = [pause] if pause and pause > now else []
    if len(ends) >= limit.requests:
        waits.append(ends[-limit.requests] + window)
    if waits:
        return max(waits)
    latest_end = now + timedelta(seconds=lease_seconds)
    new = lookups.insert().values(limiter=limiter, started_at=now, ended_at=latest_end).returning(lookups.c.id)
    return int(connection.execute(new).scalar_one())


def end(connection: Connection, lookup_id: int, *, pause: timedelta, now: datetime) -> None:
    """See ``Ledger.end_lookup``."""
    limiter = connection.execute(select(lookups.c.limiter).where(lookups.c.id == lookup_id)).scalar()
    if limiter is None:
        return  # forgotten: it took a day
    connection.execute(_END, {"of_lookup": lookup_id, "ended_at": now})
    known = queue.lock_limiter(connection, limiter).paused_until
    if pause and not (known and known >= now + pause):
        reason = "the provider asks to wait with look-ups"
        connection.execute(_PAUSE, {"of_limiter": limiter, "paused_until": now + pause, "reason": reason})


def queued_recordings(connection: Connection, run_id: str) -> Mapping[str, int]:
    """See ``Ledger.queued_recordings``."""
    query = (
        select(messages.c.audio, func.sum(batches.c.size))
        .select_from(batches.join(messages))
        .where(batches.c.run_id == run_id, batches.c.status == BatchStatus.QUEUED, messages.c.audio.is_not(None))
        .group_by(messages.c.audio)
        .order_by(messages.c.audio)
    )
    return {audio: int(people) for audio, people in connection.execute(query)}
