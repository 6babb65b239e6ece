"""What the ledger's tests say again and again: who works, what the provider answers, one claim."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select

from voicebatch.ledger import Claim, Ledger, NewRun, Wait, Worker
from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import runs
from voicebatch.models import (
    Callback,
    Channel,
    Delivery,
    Event,
    EventKind,
    Outcome,
    RateLimit,
    Reply,
    RowStatus,
    Verdict,
)

MakeRun = Callable[..., NewRun]
Yes = Callable[..., Reply]

ME: Final = Worker.current()
FAR: Final = Worker(host="elsewhere", pid=1, started="1")
FARTHER: Final = Worker(host="farther", pid=2, started="2")
SECOND: Final = timedelta(seconds=1)
LEASE: Final = timedelta(seconds=60)
WIDE: Final = RateLimit(requests=1000, seconds=3600)
UNIT: Final = Decimal("0.12")
_SERIAL: Final = itertools.count(1)

UNKNOWN: Final = Reply(outcome=Outcome.UNKNOWN, reason="no answer")
REFUSED: Final = Reply(outcome=Outcome.REFUSED, reason="too many phone numbers in one request")
BAD_NUMBER: Final = Reply(outcome=Outcome.REFUSED, reason="a phone number is wrong", about_number=True)
THROTTLED: Final = Reply(outcome=Outcome.THROTTLED, reason="slow down")
NOT_SENT: Final = Reply(outcome=Outcome.NOT_SENT, reason="no connection")
ACCOUNT: Final = Reply(outcome=Outcome.ACCOUNT, reason="no credit for 0612345678", code="11")


def take(ledger: Ledger, run: NewRun, now: datetime, *limits: RateLimit, **options: Any) -> Claim | Wait | None:
    """``max_cost`` is set before, as by a worker who joins with it."""
    if max_cost := options.pop("max_cost", None):
        ledger.join(run.id, worker=ME, now=now, max_cost=max_cost, currency="EUR")
    given_options = {"worker": ME, "limiter": "limiter", "lease_seconds": LEASE.total_seconds(), **options}
    return ledger.claim(run.id, limits=limits or (WIDE,), now=now, **given_options)


def claim(ledger: Ledger, run: NewRun, now: datetime, *limits: RateLimit, **options: Any) -> Claim:
    """What has to be there to be claimed."""
    claimed = take(ledger, run, now, *limits, **options)
    assert isinstance(claimed, Claim)
    return claimed


def wait(ledger: Ledger, run: NewRun, now: datetime, *limits: RateLimit, **options: Any) -> Wait:
    """What has to be waited for."""
    waited = take(ledger, run, now, *limits, **options)
    assert isinstance(waited, Wait)
    return waited


def queued(ledger: Ledger, run: NewRun, now: datetime) -> NewRun:
    """The run, in the ledger."""
    assert ledger.enqueue(run, now=now)
    return run


def lost(ledger: Ledger, run: NewRun, now: datetime) -> Claim:
    """A claim whose lease ran out: its batch is unknown, and its worker may still come back."""
    claimed = claim(ledger, run, now - LEASE, worker=FAR)
    assert ledger.give_up_lost(now=now, is_gone=Worker.is_gone) == 1
    return claimed


def settle(ledger: Ledger, run: NewRun, verdict: Verdict, now: datetime, *names: str, requeue: bool = False) -> int:
    """On Zoé's word."""
    why = "looked it up"
    return ledger.resolve(run.id, verdict, batch_ids=names, requeue=requeue, who="Zoé", why=why, now=now)


def price(numbers: Sequence[str]) -> Decimal:
    """What a request to so many numbers costs."""
    return UNIT * len(numbers)


def everyone(run: NewRun) -> list[str]:
    """The ids of the batches of its plan."""
    return [batch.id for batch, _ in run.batches]


def numbers_of(run: NewRun) -> list[str]:
    """Whom its plan calls, in the order of the rows."""
    return [number for batch, _ in run.batches for number in batch.numbers]


def statuses(ledger: Ledger, run: NewRun) -> list[RowStatus]:
    """What became of those, in the same order."""
    found = {line.phone: line.status for line in ledger.rows(run.id)}
    return [found[number] for number in numbers_of(run)]


def told(ledger: Ledger, run: NewRun, *kinds: EventKind) -> list[Event]:
    """The run's story, or what is of these kinds in it."""
    return [event for event in ledger.story(run.id).events if not kinds or event.kind in kinds]


def committed(ledger: Ledger, run_id: str) -> Decimal:
    """What is charged, plus the estimates of what is under way or unknown: what a ceiling is compared with."""
    with databases.transaction(ledger._engine, write=False) as connection:
        found: Decimal = connection.execute(select(runs.c.committed).where(runs.c.id == run_id)).scalar_one()
    return found


def said(
    claimed: Claim | str, number: str | None, status: Delivery | None = Delivery.DELIVERED, **more: Any
) -> Callback:
    """A callback that differs from every other in its body."""
    attempt_id = claimed if isinstance(claimed, str) else claimed.attempt_id
    given = {"campaign_id": "C1", "channel": Channel.VOICE_SMS, "body": f"body {next(_SERIAL)}", **more}
    return Callback(attempt_id=attempt_id, number=number, status=status, **given)


def counted(claimed: Claim, delivered: int, total: int) -> Callback:
    """The one of a whole voicemail campaign."""
    return said(claimed, None, None, channel=Channel.VOICEMAIL, delivered=delivered, total=total)
