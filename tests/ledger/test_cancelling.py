"""Taking back what is queued and what is scheduled, whatever the ledger's database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from sqlalchemy import select

from tests.ledger.moves import (
    BAD_NUMBER,
    THROTTLED,
    UNKNOWN,
    MakeRun,
    Yes,
    claim,
    committed,
    everyone,
    lost,
    price,
    queued,
    settle,
    take,
    told,
)  # fmt: skip
from voicebatch.ledger import Ledger, NewRun, Scheduled, Tally
from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import cancellations
from voicebatch.models import CancelOutcome, EventKind, Message, RowStatus, Verdict

HOUR: Final = timedelta(hours=1)
WHO: Final = "Zoé"


@pytest.fixture
def later(noon: datetime) -> Message:
    """Leaves in an hour."""
    return Message(text="Bonjour", schedule=noon + HOUR)


def accepted(ledger: Ledger, run: NewRun, noon: datetime, yes: Yes, count: int = 1) -> None:
    for _ in range(count):
        claimed = claim(ledger, run, noon)
        ledger.record(claimed, yes(len(claimed.batch.numbers)), now=noon)


def scheduled(ledger: Ledger, run: NewRun, now: datetime) -> tuple[Scheduled, ...]:
    return ledger.cancellable(run.id, now=now).scheduled


def record(
    ledger: Ledger, run: NewRun, campaign: Scheduled, outcome: CancelOutcome | None, now: datetime, **more: Any
) -> tuple[CancelOutcome | None, str]:
    return ledger.record_cancellation(run.id, campaign, outcome, who=WHO, now=now, **more)


def ask(ledger: Ledger, run: NewRun, campaign: Scheduled, now: datetime) -> bool:
    return ledger.ask_cancellation(run.id, campaign, who=WHO, now=now) is not None


def kept(ledger: Ledger, batch_id: str) -> Any:
    with databases.transaction(ledger._engine, write=False) as connection:
        return connection.execute(select(cancellations).where(cancellations.c.batch_id == batch_id)).one_or_none()


# What is queued


def test_all_that_is_queued_is_taken_back_and_what_is_under_way_stays(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(2, 3, 4), noon)
    claimed = claim(ledger, run, noon)
    assert ledger.cancel_queued(run.id, who=WHO, now=noon) == Tally(2, 7)
    counts = ledger.row_counts(run.id)
    assert (counts.queued, counts.cancelled, counts.unknown) == (0, 7, 2)
    assert take(ledger, run, noon) is None
    ledger.record(claimed, yes(2), now=noon)
    assert ledger.row_counts(run.id).accepted == 2
    reasons = {row.reason for row in ledger.rows(run.id) if row.status is RowStatus.CANCELLED}
    assert reasons == {f"cancelled by {WHO} before it was sent"}
    (event,) = told(ledger, run, EventKind.CANCELLED)
    assert (event.who, event.text) == (WHO, "7 people who were still queued are not called")
    assert ledger.cancel_queued(run.id, who=WHO, now=noon) == Tally(0, 0)
    assert len(told(ledger, run, EventKind.CANCELLED)) == 1


def test_what_returns_to_the_queue_afterwards_is_not_sent_before_somebody_goes_on(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(2, 2), noon)
    claimed = claim(ledger, run, noon)
    ledger.cancel_queued(run.id, who=WHO, now=noon)
    ledger.record(claimed, THROTTLED, now=noon)
    assert ledger.row_counts(run.id).queued == 2
    assert take(ledger, run, noon + HOUR) is None
    stop = ledger.find(run.id).stop
    assert stop
    assert "cancelled" in stop.message
    assert ledger.cancel_queued(run.id, who=WHO, now=noon) == Tally(1, 2)
    assert ledger.row_counts(run.id).queued == 0


def test_workers_that_claim_meanwhile_lose_nothing_and_nobody(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(*[1] * 40), noon)
    with ThreadPoolExecutor(4) as pool:
        claims = [pool.submit(take, ledger, run, noon) for _ in range(20)]
        cancelled = pool.submit(ledger.cancel_queued, run.id, who=WHO, now=noon)
        taken = sum(one.result() is not None for one in claims)
    assert cancelled.result() == Tally(40 - taken, 40 - taken)
    counts = ledger.row_counts(run.id)
    assert (counts.unknown, counts.cancelled, counts.queued) == (taken, 40 - taken, 0)


# What is scheduled


def test_only_what_leaves_later_and_has_a_campaign_can_be_cancelled(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message
) -> None:
    run = queued(ledger, make_run(1, 2, 3, 4, message=later), noon)
    accepted(ledger, run, noon, yes)
    lost(ledger, run, noon)
    settle(ledger, run, Verdict.SENT, noon)
    unknown = claim(ledger, run, noon)
    ledger.record(unknown, UNKNOWN, now=noon)
    claim(ledger, run, noon)
    found = ledger.cancellable(run.id, now=noon)
    assert [(one.people, one.leaves_at, one.was_lost) for one in found.scheduled] == [(1, noon + HOUR, False)]
    assert (found.nameless, found.unknown, found.under_way) == (Tally(1, 2), Tally(1, 3), Tally(1, 4))
    gone = ledger.cancellable(run.id, now=noon + HOUR)
    assert (gone.scheduled, gone.too_late, gone.unknown) == ((), Tally(2, 3), Tally())
    plain = queued(ledger, make_run(1), noon)
    accepted(ledger, plain, noon, yes)
    nothing = ledger.cancellable(plain.id, now=noon)
    assert (nothing.scheduled, nothing.too_late, nothing.queued) == ((), Tally(), Tally())


def test_a_cancelled_request_calls_nobody_and_its_credit_is_counted_once(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message
) -> None:
    run = queued(ledger, make_run(2, 3, message=later, estimate=Decimal(1)), noon)
    accepted(ledger, run, noon, yes, 2)
    first, second = scheduled(ledger, run, noon)
    assert ask(ledger, run, first, noon)
    for _ in range(2):  # the same answer twice
        back = {"credit": Decimal("0.24"), "currency": "EUR"}
        assert record(ledger, run, first, CancelOutcome.CANCELLED, noon, **back) == (CancelOutcome.CANCELLED, "")
    assert ledger.credited(run.id) == [(Decimal("0.24"), "EUR")]
    assert committed(ledger, run.id) == Decimal("0.36")
    counts = ledger.row_counts(run.id)
    assert (counts.accepted, counts.cancelled) == (3, 2)
    assert scheduled(ledger, run, noon) == (second,)
    assert not ask(ledger, run, first, noon)
    (event,) = told(ledger, run, EventKind.CANCELLED)
    assert event.text == "2 people who were scheduled are not called"
    row = kept(ledger, first.batch_ids[0])
    assert (row.who, row.at, row.outcome, row.credit) == (WHO, noon, CancelOutcome.CANCELLED, Decimal("0.24"))


@pytest.mark.parametrize(
    ("credit", "currency", "left"),
    [("0.1", "EUR", "0.14"), ("99", "EUR", "0"), ("0.24", "USD", "0.24"), ("-5", "EUR", "0.24"), ("0", "EUR", "0.24")],
)
def test_a_ceiling_counts_what_came_back_and_never_more_than_was_charged(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message, credit: str, currency: str, left: str
) -> None:
    run = queued(ledger, make_run(2, message=later), noon)
    accepted(ledger, run, noon, yes)
    (campaign,) = scheduled(ledger, run, noon)
    record(ledger, run, campaign, CancelOutcome.CANCELLED, noon, credit=Decimal(credit), currency=currency)
    assert committed(ledger, run.id) == Decimal(left)
    assert ledger.credited(run.id) == [(Decimal(credit), currency)]


@pytest.mark.parametrize("outcome", [CancelOutcome.TOO_LATE, CancelOutcome.REFUSED])
def test_a_no_leaves_the_request_as_it_is_and_may_be_asked_again(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message, outcome: CancelOutcome
) -> None:
    run = queued(ledger, make_run(2, message=later), noon)
    accepted(ledger, run, noon, yes)
    (campaign,) = scheduled(ledger, run, noon)
    ask(ledger, run, campaign, noon)
    assert record(ledger, run, campaign, outcome, noon, reason="no") == (outcome, "no")
    assert ledger.row_counts(run.id).accepted == 2
    assert scheduled(ledger, run, noon) == (campaign,)
    assert ledger.cancellable(run.id, now=noon + HOUR).too_late == Tally(1, 2)
    ask(ledger, run, campaign, noon)
    assert record(ledger, run, campaign, CancelOutcome.CANCELLED, noon)[0] is CancelOutcome.CANCELLED


def test_a_no_after_a_lost_answer_claims_nothing(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message
) -> None:
    run = queued(ledger, make_run(2, message=later), noon)
    accepted(ledger, run, noon, yes)
    (campaign,) = scheduled(ledger, run, noon)
    ask(ledger, run, campaign, noon)  # and its process ends here
    (again,) = scheduled(ledger, run, noon + 2 * HOUR)
    assert again == campaign._replace(was_lost=True)
    ask(ledger, run, again, noon)
    outcome, reason = record(ledger, run, again, CancelOutcome.REFUSED, noon, reason="there is no such campaign")
    assert outcome is CancelOutcome.UNKNOWN
    assert reason.startswith("it may be cancelled already")
    assert reason.endswith("there is no such campaign")
    assert kept(ledger, campaign.batch_ids[0]).outcome == CancelOutcome.UNKNOWN
    assert ledger.row_counts(run.id).accepted == 2
    assert record(ledger, run, again, CancelOutcome.CANCELLED, noon)[0] is CancelOutcome.CANCELLED


def test_what_was_not_asked_for_after_all_leaves_no_trace_but_an_older_one(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message
) -> None:
    run = queued(ledger, make_run(2, message=later), noon)
    accepted(ledger, run, noon, yes)
    (campaign,) = scheduled(ledger, run, noon)
    ask(ledger, run, campaign, noon)
    assert record(ledger, run, campaign, None, noon) == (None, "")
    assert kept(ledger, campaign.batch_ids[0]) is None
    ask(ledger, run, campaign, noon)
    (again,) = scheduled(ledger, run, noon)
    assert record(ledger, run, again, None, noon) == (None, "")
    assert scheduled(ledger, run, noon) == (again,)


def test_of_two_who_cancel_at_once_the_yes_stands(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message
) -> None:
    run = queued(ledger, make_run(2, message=later), noon)
    accepted(ledger, run, noon, yes)
    (campaign,) = scheduled(ledger, run, noon)
    assert ask(ledger, run, campaign, noon)
    (other,) = scheduled(ledger, run, noon)
    assert ask(ledger, run, other, noon)
    record(ledger, run, campaign, CancelOutcome.CANCELLED, noon, credit=Decimal("0.24"), currency="EUR")
    assert record(ledger, run, other, CancelOutcome.REFUSED, noon, reason="no") == (CancelOutcome.CANCELLED, "")
    assert ledger.credited(run.id) == [(Decimal("0.24"), "EUR")]
    assert ledger.row_counts(run.id).cancelled == 2


def test_the_parts_of_a_split_batch_are_cancelled_each_by_its_own_campaign(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message
) -> None:
    run = queued(ledger, make_run(4, message=later), noon)
    ledger.record(claim(ledger, run, noon), BAD_NUMBER, now=noon, estimate=price)
    while claimed := take(ledger, run, noon):
        ledger.record(claimed, yes(len(claimed.batch.numbers)), now=noon)  # type: ignore[union-attr, arg-type]
    campaigns = scheduled(ledger, run, noon)
    assert len(campaigns) > 1
    assert sum(one.people for one in campaigns) == 4
    for campaign in campaigns:
        record(ledger, run, campaign, CancelOutcome.CANCELLED, noon, credit=Decimal("0.12"), currency="EUR")
    assert ledger.row_counts(run.id).cancelled == 4
    assert {row.status for row in ledger.rows(run.id)} == {
        RowStatus.CANCELLED, RowStatus.REJECTED, RowStatus.SUPPRESSED,
    }  # fmt: skip


def test_batches_of_one_campaign_are_cancelled_together_with_one_credit(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, later: Message
) -> None:
    run = queued(ledger, make_run(2, 3, message=later), noon)
    answer = yes(2)
    for _ in range(2):
        ledger.record(claim(ledger, run, noon), answer, now=noon)
    (campaign,) = scheduled(ledger, run, noon)
    assert (campaign.people, sorted(campaign.batch_ids)) == (5, sorted(everyone(run)))
    record(ledger, run, campaign, CancelOutcome.CANCELLED, noon, credit=Decimal("0.5"), currency="EUR")
    assert ledger.credited(run.id) == [(Decimal("0.5"), "EUR")]
    assert ledger.row_counts(run.id).cancelled == 5


# Two at once


def test_who_asks_while_another_s_answer_is_awaited_does_not_believe_a_no(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime, later: Message
) -> None:
    run = queued(ledger, make_run(2, message=later), noon)
    accepted(ledger, run, noon, yes)
    (one,), (other,) = scheduled(ledger, run, noon), scheduled(ledger, run, noon)
    assert ledger.ask_cancellation(run.id, one, who="A", now=noon)
    asked = ledger.ask_cancellation(run.id, other, who="B", now=noon)
    assert asked is not None
    assert record(ledger, run, asked, CancelOutcome.TOO_LATE, noon, reason="not allowed")[0] is CancelOutcome.UNKNOWN


def test_who_could_not_ask_does_not_forget_that_another_did(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime, later: Message
) -> None:
    run = queued(ledger, make_run(2, message=later), noon)
    accepted(ledger, run, noon, yes)
    (one,), (other,) = scheduled(ledger, run, noon), scheduled(ledger, run, noon)
    assert ledger.ask_cancellation(run.id, one, who="A", now=noon)
    asked = ledger.ask_cancellation(run.id, other, who="B", now=noon)
    assert asked is not None
    record(ledger, run, asked, None, noon)
    (again,) = scheduled(ledger, run, noon)
    assert again.was_lost
