"""Callbacks are kept once, tell what became of each message, and settle what was unknown: on every ledger."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

import pytest

from tests.conftest import HELLO
from tests.ledger.moves import (
    ACCOUNT,
    BAD_NUMBER,
    FAR,
    LEASE,
    REFUSED,
    SECOND,
    THROTTLED,
    UNKNOWN,
    MakeRun,
    Yes,
    claim,
    committed,
    counted,
    lost,
    numbers_of,
    price,
    queued,
    said,
    settle,
    statuses,
    take,
    told,
)
from voicebatch.errors import UsageError
from voicebatch.ledger import Claim, DeliveryLine, Ledger, NewRun, Receipt, Worker
from voicebatch.models import CancelOutcome, Channel, Delivery, EventKind, Reply, RowStatus, Verdict

DELIVERED, UNDELIVERED, PENDING = Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.PENDING
SETTLED: Final = "settled by a callback: the answer with its cost was lost"


def accepted(ledger: Ledger, make_run: MakeRun, yes: Yes, now: datetime, size: int = 2) -> tuple[NewRun, Claim]:
    run = queued(ledger, make_run(size), now)
    claimed = claim(ledger, run, now)
    ledger.record(claimed, yes(size), now=now)
    return run, claimed


def deliveries(ledger: Ledger, run: NewRun) -> list[str]:
    """What the report says of everyone, in the order of the rows."""
    found = {line.phone: line.delivery for line in ledger.rows(run.id)}
    return [found[number] for number in numbers_of(run)]


# The secret


def test_the_secret_is_made_once_and_is_each_ledgers_own(ledger: Ledger, ledger_url: str) -> None:
    secret = ledger.callback_secret()
    assert len(secret) == 32
    again = Ledger(ledger_url)
    assert again.callback_secret() == secret
    again.close()


# What became of a message


def test_a_callback_says_what_became_of_a_message(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run, claimed = accepted(ledger, make_run, yes, noon, size=4)
    first, second, third, _ = numbers_of(run)
    receipts = ledger.take_callbacks(
        [
            said(claimed, first, answered=True, seconds=Decimal("6.3"), done_at=noon),
            said(claimed, second, answered=False, seconds=Decimal(2)),
            said(claimed, third, UNDELIVERED),
        ]
    )
    assert [receipt.is_new for receipt in receipts] == [True] * 3
    assert deliveries(ledger, run) == ["delivered, answered", "delivered, not answered", "undelivered", ""]
    batch = claimed.batch.id
    assert sorted(ledger.deliveries(run.id), key=lambda line: line.seconds) == [
        DeliveryLine(batch, "33", UNDELIVERED, None, 1, Decimal(0)),
        DeliveryLine(batch, "33", DELIVERED, answered=False, people=1, seconds=Decimal(2)),
        DeliveryLine(batch, "33", DELIVERED, answered=True, people=1, seconds=Decimal("6.3")),
    ]


def test_the_same_callback_again_changes_nothing(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run, claimed = accepted(ledger, make_run, yes, noon)
    one = said(claimed, numbers_of(run)[0], seconds=Decimal(5), campaign_id=ledger.answers(run.id) and "C1")
    assert [receipt.is_new for receipt in ledger.take_callbacks([one, one])] == [True, False]
    assert ledger.take_callbacks([one]) == [Receipt(is_new=False)]
    assert [(line.people, line.seconds) for line in ledger.deliveries(run.id)] == [(1, Decimal(5))]


def test_in_whatever_order_they_come_the_last_word_is_the_same(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run, claimed = accepted(ledger, make_run, yes, noon, size=6)
    times = {PENDING: noon, UNDELIVERED: noon + SECOND, DELIVERED: noon + 2 * SECOND}
    for number, order in zip(numbers_of(run), itertools.permutations(times), strict=True):
        for status in order:
            ledger.take_callbacks([said(claimed, number, status, done_at=times[status])])
    assert deliveries(ledger, run) == ["delivered"] * 6


def test_what_is_at_its_end_is_not_pending_again(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run, claimed = accepted(ledger, make_run, yes, noon, size=1)
    (number,) = numbers_of(run)
    ledger.take_callbacks([said(claimed, number, UNDELIVERED, done_at=noon)])
    ledger.take_callbacks([said(claimed, number, PENDING, sent_at=noon + SECOND)])
    assert deliveries(ledger, run) == ["undelivered"]


def test_several_about_one_number_may_come_at_once(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run, claimed = accepted(ledger, make_run, yes, noon, size=1)
    (number,) = numbers_of(run)
    ledger.take_callbacks([said(claimed, number, DELIVERED, done_at=noon), said(claimed, number, PENDING)])
    assert deliveries(ledger, run) == ["delivered"]


def test_a_national_number_is_found_in_its_request(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    new = make_run(1)
    batch = replace(new.batches[0].batch, numbers=("+262692000000",))  # type: ignore[index] # a list
    line = new.batches[0]._replace(batch=batch)  # type: ignore[index] # the same
    row = new.rows[0]._replace(phone="+262692000000")  # type: ignore[index] # the same
    run = queued(ledger, replace(new, batches=[line], rows=[row, *new.rows[1:]]), noon)  # type: ignore[index] # the same
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(1), now=noon)
    ledger.take_callbacks([said(claimed, "+33692000000")])  # 0692 00 00 00
    assert deliveries(ledger, run) == ["delivered"]
    assert [line.calling_code for line in ledger.deliveries(run.id)] == ["262"]


def test_of_a_voicemail_campaign_the_count_is_known(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, replace(make_run(2), channel=Channel.VOICEMAIL), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(2), now=noon)
    ledger.take_callbacks([counted(claimed, 1, 2)])
    assert deliveries(ledger, run) == ["1 of 2 delivered"] * 2
    ledger.take_callbacks([counted(claimed, 2, 2)])
    ledger.take_callbacks([counted(claimed, 1, 2)])
    assert deliveries(ledger, run) == ["delivered"] * 2
    assert ledger.campaign_counts(run.id) == {claimed.batch.id: (2, 2)}


def test_the_parts_of_a_split_batch_are_told_apart(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run = queued(ledger, make_run(4), noon)
    ledger.record(claim(ledger, run, noon), BAD_NUMBER, now=noon)
    halves = [claim(ledger, run, noon) for _ in range(2)]
    for half in halves:
        ledger.record(half, yes(2), now=noon)
        ledger.take_callbacks([said(half, half.batch.numbers[0])])
    assert sorted(deliveries(ledger, run)) == ["", "", "delivered", "delivered"]


# What is odd is kept and shown


def test_a_number_that_is_not_in_the_request_is_kept_and_counts_for_nobody(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run, claimed = accepted(ledger, make_run, yes, noon)
    (receipt,) = ledger.take_callbacks([said(claimed, "+4912345678")])
    assert receipt == Receipt(is_new=True, problem="its number is not in the request")
    assert ledger.odd_callbacks(run.id) == {"its number is not in the request": 1}
    assert ledger.deliveries(run.id) == []


def test_another_campaign_is_shown_and_counts(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run, claimed = accepted(ledger, make_run, yes, noon, size=1)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0], campaign_id="another")])
    assert ledger.odd_callbacks(run.id) == {"it names another campaign than the answer (and counts all the same)": 1}
    assert deliveries(ledger, run) == ["delivered"]


def test_a_request_that_the_ledger_does_not_know_is_kept(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(1), noon)
    (receipt,) = ledger.take_callbacks([said(f"{'0' * 24}.1", "+33600000001")])
    assert receipt.problem == "its request is not in this ledger"
    assert ledger.odd_callbacks(None) == {"its request is not in this ledger": 1}
    assert ledger.odd_callbacks(run.id) == {}


def test_a_status_that_is_not_documented_is_kept(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run, claimed = accepted(ledger, make_run, yes, noon, size=1)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0], None)])
    assert list(ledger.odd_callbacks(run.id)) == ["its status is none of the documented ones"]
    assert deliveries(ledger, run) == [""]


# The first one settles what was unknown


def is_settled(ledger: Ledger, run: NewRun) -> bool:
    lines = [line for line in ledger.rows(run.id) if line.batch_id]
    return {(line.status, line.reason, line.campaign_id) for line in lines} == {(RowStatus.ACCEPTED, SETTLED, "C1")}


def unknown(ledger: Ledger, make_run: MakeRun, now: datetime) -> tuple[NewRun, Claim]:
    run = queued(ledger, make_run(2), now)
    ledger.set_estimates(run.id, price)
    claimed = claim(ledger, run, now)
    ledger.record(claimed, UNKNOWN, now=now)
    return run, claimed


@pytest.mark.parametrize("status", [PENDING, DELIVERED, UNDELIVERED, None])
def test_an_unknown_batch_is_accepted_by_its_first_callback(
    ledger: Ledger, make_run: MakeRun, noon: datetime, status: Delivery | None
) -> None:
    run, claimed = unknown(ledger, make_run, noon)
    (receipt,) = ledger.take_callbacks([said(claimed, numbers_of(run)[0], status)], now=noon + SECOND)
    assert receipt.settled == 2
    assert is_settled(ledger, run)
    assert [line.accepted_at for line in ledger.rows(run.id) if line.batch_id] == [noon + SECOND] * 2
    assert take(ledger, run, noon) is None
    assert committed(ledger, run.id) == Decimal("0.24")
    (event,) = told(ledger, run, EventKind.SETTLED)
    assert (event.who, event.text) == ("callback", f"2 people: {SETTLED}")
    (left,) = ledger.uncharged(run.id)
    assert (left.by_callback, left.estimate, list(left.numbers)) == (True, Decimal("0.24"), numbers_of(run))
    counts = ledger.request_counts(run.id)
    assert (counts.sent, counts.accepted, counts.unknown) == (1, 1, 0)
    assert ledger.story(run.id).unknown == []


def test_a_second_callback_settles_nothing_more(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run, claimed = unknown(ledger, make_run, noon)
    receipts = ledger.take_callbacks([said(claimed, number) for number in numbers_of(run)])
    assert sorted(receipt.settled for receipt in receipts) == [0, 2]
    assert [receipt.settled for receipt in ledger.take_callbacks([said(claimed, numbers_of(run)[0])])] == [0]
    assert len(told(ledger, run, EventKind.SETTLED)) == 1


def test_a_count_of_voicemail_settles_too(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run, claimed = unknown(ledger, make_run, noon)
    ledger.take_callbacks([counted(claimed, 0, 2)])
    assert is_settled(ledger, run)


def test_a_callback_that_comes_before_the_answer_settles_when_that_is_lost(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = claim(ledger, run, noon)
    (receipt,) = ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    assert receipt.settled == 0
    assert statuses(ledger, run) == [RowStatus.UNKNOWN] * 2
    assert ledger.record(claimed, UNKNOWN, now=noon) == 2
    assert is_settled(ledger, run)


def test_a_callback_that_comes_before_its_worker_is_lost_settles_it_then(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = claim(ledger, run, noon - LEASE, worker=FAR)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    assert ledger.give_up_lost(now=noon, is_gone=Worker.is_gone) == 1
    assert is_settled(ledger, run)


def test_the_answer_that_comes_all_the_same_brings_the_charges(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = lost(ledger, run, noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    assert is_settled(ledger, run)
    answer = yes(2)
    ledger.record(claimed, answer, now=noon + SECOND)
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 2
    assert {line.reason for line in ledger.rows(run.id) if line.batch_id} == {""}
    assert [charge.cost for charge, _ in ledger.charges(run.id)] == [Decimal("0.24")]
    assert ledger.uncharged(run.id) == []
    assert ledger.request_counts(run.id).accepted == 1


def test_a_person_cannot_call_again_what_a_callback_shows(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run, claimed = unknown(ledger, make_run, noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    with pytest.raises(UsageError, match="only what is unknown can be settled"):
        settle(ledger, run, Verdict.NOT_SENT, noon, claimed.batch.id, requeue=True)


@pytest.mark.parametrize("requeue", [True, False])
def test_a_callback_overrules_a_person_who_said_that_it_was_not_sent(
    ledger: Ledger, make_run: MakeRun, noon: datetime, *, requeue: bool
) -> None:
    run, claimed = unknown(ledger, make_run, noon)
    settle(ledger, run, Verdict.NOT_SENT, noon, requeue=requeue)
    assert committed(ledger, run.id) == 0
    (receipt,) = ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    assert receipt.settled == 2
    assert is_settled(ledger, run)
    assert take(ledger, run, noon) is None
    assert committed(ledger, run.id) == Decimal("0.24")


def test_a_callback_confirms_a_person_who_said_that_it_was_sent(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, claimed = unknown(ledger, make_run, noon)
    settle(ledger, run, Verdict.SENT, noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    assert is_settled(ledger, run)
    assert committed(ledger, run.id) == Decimal("0.24")


def test_what_is_being_sent_again_meanwhile_is_accepted_unless_that_is_answered(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, claimed = unknown(ledger, make_run, noon)
    settle(ledger, run, Verdict.NOT_SENT, noon, requeue=True)
    again = claim(ledger, run, noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    assert "is being sent again" in told(ledger, run, EventKind.LATE)[-1].text
    ledger.record(again, THROTTLED, now=noon)
    assert is_settled(ledger, run)
    assert take(ledger, run, noon) is None


@pytest.mark.parametrize("reply", [REFUSED, THROTTLED, ACCOUNT])
def test_of_a_request_that_the_provider_turned_away_only_a_delivery_counts(
    ledger: Ledger, make_run: MakeRun, noon: datetime, reply: Reply
) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, reply, now=noon)
    before = statuses(ledger, run)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0], UNDELIVERED)])
    assert statuses(ledger, run) == before
    assert list(ledger.odd_callbacks(run.id)) == ["its request was not accepted"]
    ledger.take_callbacks([said(claimed, numbers_of(run)[0], DELIVERED)])
    assert is_settled(ledger, run)


def test_what_was_sent_twice_on_a_persons_word_costs_twice(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run, claimed = unknown(ledger, make_run, noon)
    settle(ledger, run, Verdict.NOT_SENT, noon, requeue=True)
    ledger.record(claim(ledger, run, noon), yes(2), now=noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 2
    assert committed(ledger, run.id) == Decimal("0.48")
    assert ledger.request_counts(run.id).accepted == 2


def test_what_was_turned_away_after_it_was_called_back_about_still_has_its_estimate(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(2), noon)
    ledger.set_estimates(run.id, price)
    claimed = claim(ledger, run, noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    ledger.record(claimed, ACCOUNT, now=noon)
    assert is_settled(ledger, run)
    assert committed(ledger, run.id) == Decimal("0.24")


def test_a_price_that_comes_later_counts_for_what_was_called_back_about(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = lost(ledger, run, noon)
    settle(ledger, run, Verdict.NOT_SENT, noon, requeue=True)
    ledger.record(claim(ledger, run, noon), yes(2), now=noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    ledger.set_estimates(run.id, price)
    assert committed(ledger, run.id) == Decimal("0.48")


def split_since(ledger: Ledger, make_run: MakeRun, now: datetime) -> tuple[NewRun, Claim]:
    """A request that a person settled as not sent; it was made again, and split because of a number in it."""
    run = queued(ledger, make_run(4), now)
    ledger.set_estimates(run.id, price)
    claimed = lost(ledger, run, now)
    settle(ledger, run, Verdict.NOT_SENT, now, requeue=True)
    ledger.record(claim(ledger, run, now), BAD_NUMBER, now=now, estimate=price)
    return run, claimed


def test_a_request_whose_batch_was_split_since_is_accepted_once_and_held_once(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, claimed = split_since(ledger, make_run, noon)
    (receipt,) = ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    assert receipt.settled == 4
    assert is_settled(ledger, run)
    assert take(ledger, run, noon) is None
    assert ledger.request_counts(run.id).accepted == 1
    assert committed(ledger, run.id) == Decimal("0.48")
    ledger.record(claimed, replace(UNKNOWN, reason="late"), now=noon)
    assert committed(ledger, run.id) == Decimal("0.48")


def test_the_answer_to_a_request_whose_batch_was_split_takes_the_place_of_its_estimate(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run, claimed = split_since(ledger, make_run, noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0])])
    ledger.record(claimed, yes(4, "0.10"), now=noon)
    assert committed(ledger, run.id) == Decimal("0.40")


def test_what_became_of_a_message_is_told_of_whom_a_split_put_elsewhere(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, claimed = split_since(ledger, make_run, noon)
    first, *others = numbers_of(run)
    ledger.take_callbacks([said(claimed, first), said(claimed, others[-1], PENDING)])
    ledger.take_callbacks([said(claimed, others[-1], UNDELIVERED)])
    assert deliveries(ledger, run) == ["delivered", "", "", "undelivered"]
    assert sum(line.people for line in ledger.deliveries(run.id)) == 2


def test_callbacks_of_several_runs_may_come_at_once(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    pairs = [unknown(ledger, make_run, noon) for _ in range(3)]
    receipts = ledger.take_callbacks([said(claimed, numbers_of(run)[0]) for run, claimed in pairs])
    assert [receipt.settled for receipt in receipts] == [2, 2, 2]
    assert all(is_settled(ledger, run) for run, _ in pairs)


# What was cancelled at the provider's


@pytest.mark.parametrize("before", [True, False])
def test_of_what_was_cancelled_only_a_delivery_says_the_contrary(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime, *, before: bool
) -> None:
    later = replace(HELLO, schedule=noon + 100 * SECOND)
    run = queued(ledger, make_run(2, message=later), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(2), now=noon)
    first, second = numbers_of(run)
    if before:
        ledger.take_callbacks([said(claimed, first, PENDING)])
    (campaign,) = ledger.cancellable(run.id, now=noon).scheduled
    assert ledger.ask_cancellation(run.id, campaign, who="Zoé", now=noon)
    ledger.record_cancellation(run.id, campaign, CancelOutcome.CANCELLED, who="Zoé", now=noon)
    ledger.take_callbacks([said(claimed, first, PENDING), said(claimed, first, UNDELIVERED)])
    assert statuses(ledger, run) == [RowStatus.CANCELLED] * 2
    assert ledger.odd_callbacks(run.id)["its request was cancelled"] == 2
    ledger.take_callbacks([said(claimed, second, DELIVERED)])
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 2
