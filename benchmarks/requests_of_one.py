"""Runs whose every request is to one number, the smallest there is, and the provider's yes to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

from voicebatch import wire
from voicebatch.ledger import Ledger, NewBatch, NewRow, NewRun
from voicebatch.models import Answer, Batch, Channel, Charge, Message, Outcome, RateLimit, Reply, RowCounts, digest

PRICE: Final = Decimal("0.045")
WIDE: Final = RateLimit(requests=1_000_000, seconds=1)
"""A limit that nobody reaches."""

_MESSAGE: Final = Message(text="Bonjour, votre commande sera livrée lundi à Lyon.")
_SERIAL: Final = itertools.count(1)


def enqueue(ledger: Ledger, requests: int, *, report_dir: Path) -> str:
    """Puts a new run with so many requests into the ledger and returns its id."""
    run_id = digest("benchmark", next(_SERIAL))
    ledger.enqueue(_run(run_id, requests, report_dir), now=ledger.now())
    return run_id


def batches(run_id: str, requests: int) -> Iterator[Batch]:
    """The requests of such a run."""
    for ordinal in range(requests):
        numbers = (f"+3361{ordinal:07}",)
        batch_id = digest(run_id, ordinal)
        yield Batch(id=batch_id, run_id=run_id, ordinal=ordinal, message=_MESSAGE, numbers=numbers)


def yes() -> Reply:
    """One number accepted."""
    seconds = Decimal("3.2")
    charge = Charge(calling_code="33", country_code="FR", messages=1, unit_cost=PRICE, cost=PRICE, seconds=seconds)
    answer = Answer(
        campaign_id="0123456789abcdef0123", cost=PRICE, currency="EUR", messages=1, seconds=seconds, charges=(charge,)
    )
    body = wire.write_answer(answer, lang="fr")
    return Reply(outcome=Outcome.ACCEPTED, http_status=200, answer=answer, body=body)


def _run(run_id: str, requests: int, report_dir: Path) -> NewRun:
    made = list(batches(run_id, requests))
    return NewRun(
        id=run_id,
        key=run_id,
        content=run_id,
        channel=Channel.VOICE_SMS,
        sandbox=False,
        base_url=wire.BASE_URL,
        notify_url=None,
        report_dir=str(report_dir),
        manifest={"inputs": [{"name": "recipients.csv"}], "options": {"region": "FR"}},
        planned_at=None,
        counts=RowCounts(total=requests, queued=requests),
        documents={"rejected.csv": b""},
        batches=[NewBatch(batch, PRICE) for batch in made],
        rows=[
            NewRow(file=0, row=row, phone=batch.numbers[0], status=None, reason="", batch_id=batch.id)
            for row, batch in enumerate(made, start=2)
        ],
    )
