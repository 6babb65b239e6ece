"""Any sequence of ledger operations keeps statuses legal and every row in exactly one of them."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from voicebatch.ledger import Claim, Ledger, NewBatch, NewRow, NewRun, Worker
from voicebatch.models import (
    MOVES,
    Answer,
    Batch,
    BatchStatus,
    Channel,
    Charge,
    Message,
    Outcome,
    RateLimit,
    Reply,
    RowCounts,
)

LEASE = 60.0
FAR = Worker(host="elsewhere", pid=1, started="1")
LIMITS = (RateLimit(requests=3, seconds=10), RateLimit(requests=8, seconds=120))
ENDS = {BatchStatus.ACCEPTED, BatchStatus.REFUSED, BatchStatus.UNKNOWN}
UNIT = Decimal("0.12")
NEXT = {
    Outcome.ACCEPTED: BatchStatus.ACCEPTED,
    Outcome.REFUSED: BatchStatus.REFUSED,
    Outcome.UNKNOWN: BatchStatus.UNKNOWN,
}


def reply_of(outcome: Outcome, messages: int, wait_seconds: float | None) -> Reply:
    if outcome is not Outcome.ACCEPTED:
        return Reply(outcome=outcome, reason=str(outcome), wait_seconds=wait_seconds)
    cost = UNIT * messages
    charge = Charge(
        calling_code="33", country_code="FR", messages=messages, unit_cost=UNIT, cost=cost, seconds=Decimal(6)
    )
    answer = Answer(
        campaign_id="c", cost=cost, currency="EUR", messages=messages, seconds=Decimal(6), charges=(charge,)
    )
    return Reply(outcome=outcome, answer=answer, wait_seconds=wait_seconds)


class AnySequence(RuleBasedStateMachine):
    """What the ledger says is compared with a dictionary after every step."""

    claims = Bundle("claims")

    @initialize(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=5))
    def open(self, sizes: list[int]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = Ledger(str(self.folder / "ledger.db"))
        self.now = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
        batches = [
            Batch(id=f"b{i}", run_id="run", ordinal=i, message=Message(text="x"), numbers=("+33600000000",) * size)
            for i, size in enumerate(sizes)
        ]
        rows = [
            NewRow(file=batch.ordinal, row=row, phone=number, status=None, reason="", batch_id=batch.id)
            for batch in batches
            for row, number in enumerate(batch.numbers)
        ]
        run = NewRun(
            id="run", key="key", content="c", channel=Channel.VOICE_SMS, sandbox=False,
            base_url="", notify_url=None, report_dir="r", manifest={}, planned_at=None,
            counts=RowCounts(total=len(rows), queued=len(rows)), documents={}, rows=rows,
            batches=[NewBatch(batch, None) for batch in batches],
        )  # fmt: skip
        assert self.ledger.enqueue(run, now=self.now)
        assert not self.ledger.enqueue(replace(run, id="other"), now=self.now)
        self.sizes = {batch.id: len(batch.numbers) for batch in batches}
        self.status = dict.fromkeys(self.sizes, BatchStatus.QUEUED)
        self.attempts = Counter[str]()
        self.leases: dict[str, datetime] = {}
        self.stopped = False

    @rule(target=claims)
    def claim(self) -> object:
        claimed = self.ledger.claim(
            "run", worker=FAR, limiter="l", limits=LIMITS, now=self.now, lease_seconds=LEASE
        )
        if not isinstance(claimed, Claim):
            return multiple()
        assert not self.stopped
        batch_id = claimed.batch.id
        assert self.status[batch_id] is BatchStatus.QUEUED
        self.attempts[batch_id] += 1
        assert claimed.attempt_id == f"{batch_id}.{self.attempts[batch_id]}"
        self.status[batch_id] = BatchStatus.SENDING
        self.leases[batch_id] = self.now + timedelta(seconds=LEASE)
        return claimed

    @rule(
        claimed=consumes(claims),
        outcome=st.sampled_from(Outcome),
        wait_seconds=st.none() | st.floats(0, 60),
        late=st.sampled_from([0, 0, 1, 200]),
    )
    def record(self, claimed: Claim, outcome: Outcome, wait_seconds: float | None, late: int) -> None:
        if late:
            self.time_passes(late)
            self.give_up_lost()
        batch_id = claimed.batch.id
        self.ledger.record(claimed, reply_of(outcome, self.sizes[batch_id], wait_seconds), now=self.now)
        after = NEXT.get(outcome, BatchStatus.QUEUED)
        assert after is self.status[batch_id] or after in MOVES[self.status[batch_id]]
        self.status[batch_id] = after
        self.leases.pop(batch_id, None)
        self.stopped |= outcome is Outcome.ACCOUNT or self.ledger.find("run").stop is not None

    @rule(seconds=st.integers(1, 100))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def give_up_lost(self) -> None:
        lost = {batch_id for batch_id, until in self.leases.items() if until <= self.now}
        assert self.ledger.give_up_lost(now=self.now, is_gone=lambda _: False) == len(lost)
        for batch_id in lost:
            self.status[batch_id] = BatchStatus.UNKNOWN
            del self.leases[batch_id]

    @rule()
    def go_on(self) -> None:
        self.ledger.join("run", worker=FAR, now=self.now)
        self.stopped = False

    @invariant()
    def every_row_has_the_one_status_of_its_batch(self) -> None:
        shown = {BatchStatus.SENDING: "unknown"}
        lines = Counter(str(line.status) for line in self.ledger.rows("run"))
        expected = Counter[str]()
        for batch_id, status in self.status.items():
            expected[shown.get(status, str(status))] += self.sizes[batch_id]
        assert lines == expected
        counts = self.ledger.row_counts("run")
        assert counts == RowCounts(total=sum(self.sizes.values()), **lines)

    @invariant()
    def charges_are_of_accepted_batches_once(self) -> None:
        accepted = [self.sizes[one] for one, status in self.status.items() if status is BatchStatus.ACCEPTED]
        assert sorted(charge.messages for charge, _ in self.ledger.charges("run")) == sorted(accepted)
        assert sum(answer.cost for answer in self.ledger.answers("run")) == UNIT * sum(accepted)

    @invariant()
    def slots_are_held_by_whatever_is_under_way(self) -> None:
        sending = list(self.status.values()).count(BatchStatus.SENDING)
        assert [usage.open for usage in self.ledger.usages("l", LIMITS, now=self.now)] == [sending] * len(LIMITS)
        assert all(usage.taken <= usage.limit.requests for usage in self.ledger.usages("l", LIMITS, now=self.now))

    @invariant()
    def a_worker_is_at_work_when_something_is_being_sent(self) -> None:
        assert self.ledger.is_sending("run") == (BatchStatus.SENDING in self.status.values())

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)


AnySequence.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestAnySequence = AnySequence.TestCase
