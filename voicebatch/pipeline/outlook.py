"""What a run that stopped would still send: for the question that comes before it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from voicebatch.ledger import Run
from voicebatch.models import RateLimit, RowStatus
from voicebatch.pacing import earliest_finish
from voicebatch.pipeline.numbers import by_calling_code
from voicebatch.pipeline.opt_outs import OptOutList
from voicebatch.pricing import Prices, total

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is queued, without who is on the opt-out lists. ``charged`` is what the run has cost so far.

    ``base_url`` is where the run was begun, empty for a rehearsal.
    """

    run_id: str
    people: int
    requests: int
    messages_by_code: Mapping[str, int]
    prices: Prices
    charged: Decimal
    earliest_finish: datetime
    opt_outs: Sequence[OptOutList]
    base_url: str


def look_ahead(
    run: Run,
    ledger: Ledger,
    *,
    prices: Prices,
    opt_outs: Sequence[OptOutList],
    limits: Sequence[RateLimit],
    limiter: str,
    now: datetime,
) -> Outlook:
    """Reads the run's queue; changes nothing."""
    gone = {f"+{number}" for one in opt_outs for number in one.numbers.tolist()}
    queued = (row for row in ledger.rows(run.id) if row.status is RowStatus.QUEUED and row.phone not in gone)
    pairs = [(row.phone, row.batch_id) for row in queued]
    requests = len({batch_id for _, batch_id in pairs})
    return Outlook(
        run_id=run.id,
        people=len(pairs),
        requests=requests,
        messages_by_code=by_calling_code(pa.array([phone for phone, _ in pairs], pa.string())),
        prices=prices,
        charged=total(answer.cost for answer in ledger.answers(run.id)),
        earliest_finish=earliest_finish(requests, ledger.usages(limiter, limits, now=now), now),
        opt_outs=opt_outs,
        base_url=run.base_url,
    )
