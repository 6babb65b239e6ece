"""Delivered, undelivered and pending are the accepted people of each country, whatever became of their requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.ledger.moves import (
    BAD_NUMBER,
    THROTTLED,
    UNKNOWN,
    WIDE,
    MakeRun,
    Yes,
    claim,
    counted,
    lost,
    numbers_of,
    price,
    queued,
    said,
    settle,
)
from voicebatch.ledger import Claim, Ledger, NewRun
from voicebatch.models import Channel, Charge, Delivery, Reply, RunSummary, Verdict
from voicebatch.pipeline import running

UNDELIVERED = Delivery.UNDELIVERED


def summed(ledger: Ledger, run: NewRun, now: datetime) -> RunSummary:
    """The run's summary, of which the law holds."""
    found = running.summarise(ledger.find(run.id), ledger, limits=(WIDE,), limiter="limiter", now=now)
    counts = found.deliveries
    assert counts.delivered + counts.undelivered + counts.pending == found.rows.accepted
    assert sum(line.deliveries.delivered + line.deliveries.pending for line in found.countries) == (
        counts.delivered + counts.pending
    )
    return found


def of_numbers(run: NewRun, *numbers: str, channel: Channel = Channel.VOICE_SMS) -> NewRun:
    """A run whose one batch has these numbers."""
    (line,), rows = list(run.batches), list(run.rows)
    batch = replace(line.batch, numbers=numbers)
    theirs = [row._replace(phone=number) for row, number in zip(rows, numbers, strict=False)]
    return replace(run, channel=channel, batches=[line._replace(batch=batch)], rows=[*theirs, *rows[len(numbers) :]])


def charge(code: str, country: str, messages: int) -> Charge:
    unit = Decimal("0.10")
    return Charge(
        calling_code=code, country_code=country, messages=messages, unit_cost=unit, cost=unit * messages,
        seconds=Decimal(3),
    )  # fmt: skip


def sent_again(ledger: Ledger, make_run: MakeRun, now: datetime, size: int = 2) -> tuple[NewRun, Claim, Claim]:
    """A run whose batch somebody took for not sent, and that is under way a second time."""
    run = queued(ledger, make_run(size), now)
    ledger.set_estimates(run.id, price)
    first = lost(ledger, run, now)
    settle(ledger, run, Verdict.NOT_SENT, now, requeue=True)
    return run, first, claim(ledger, run, now)


@pytest.mark.parametrize("reply", [THROTTLED, UNKNOWN])
def test_an_answer_that_comes_after_the_callback_of_an_earlier_attempt_brings_the_charges(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime, reply: Reply
) -> None:
    run, first, second = sent_again(ledger, make_run, noon)
    ledger.record(second, reply, now=noon)
    ledger.take_callbacks([said(first, numbers_of(run)[0])])
    assert summed(ledger, run, noon).settled_by_callback == 2
    ledger.record(first, yes(2), now=noon)
    found = summed(ledger, run, noon)
    assert (found.cost, found.estimated_cost, found.settled_by_callback) == (Decimal("0.24"), None, 0)
    assert (found.deliveries.delivered, found.deliveries.pending) == (1, 1)


@pytest.mark.parametrize("before", [True, False])
def test_of_a_batch_that_was_split_since_the_parts_are_counted(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime, *, before: bool
) -> None:
    run, first, second = sent_again(ledger, make_run, noon, size=4)
    ledger.record(second, BAD_NUMBER, now=noon, estimate=price)
    if before:
        ledger.take_callbacks([said(first, number) for number in numbers_of(run)])
        assert summed(ledger, run, noon).deliveries.delivered == 4
    ledger.record(first, yes(4), now=noon)
    ledger.take_callbacks([said(first, numbers_of(run)[0])])
    found = summed(ledger, run, noon)
    assert (found.cost, found.estimated_cost) == (Decimal("0.48"), None)


def test_an_answer_without_charges_has_people_all_the_same(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(2, charges=()), now=noon)
    ledger.take_callbacks([said(claimed, numbers_of(run)[0], UNDELIVERED)])
    found = summed(ledger, run, noon)
    assert [(line.calling_code, line.messages, line.unit_cost_min) for line in found.countries] == [("33", 0, None)]
    assert (found.deliveries.undelivered, found.deliveries.pending) == (1, 1)


def test_an_answer_that_counts_too_few_leaves_nobody_out(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, make_run(3), noon)
    ledger.record(claim(ledger, run, noon), yes(2), now=noon)
    assert summed(ledger, run, noon).deliveries.pending == 3


def test_a_part_of_a_calling_code_with_a_code_of_its_own_is_in_its_own_line(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, of_numbers(make_run(1), "+12425551234"), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(charges=(charge("1242", "BS", 1),)), now=noon)
    ledger.take_callbacks([said(claimed, "+12425551234")])
    (line,) = summed(ledger, run, noon).countries
    assert (line.country_code, line.deliveries.delivered, line.deliveries.pending) == ("BS", 1, 0)


@pytest.mark.parametrize(("delivered", "by_country"), [(5, {"33": 2, "32": 3}), (4, {"32": 3, "33": 1}), (0, {})])
def test_of_a_voicemail_campaign_no_country_has_more_deliveries_than_people(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime, delivered: int, by_country: dict[str, int]
) -> None:
    people = ("+33600000001", "+33600000002", "+32470000001", "+32470000002", "+32470000003")
    run = queued(ledger, of_numbers(make_run(5), *people, channel=Channel.VOICEMAIL), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(charges=(charge("33", "", 2), charge("32", "", 3))), now=noon)
    ledger.take_callbacks([counted(claimed, delivered, 5)])
    found = summed(ledger, run, noon)
    counts = {line.calling_code: line.deliveries.delivered for line in found.countries}
    assert counts == {"33": 0, "32": 0, **by_country}
    assert found.deliveries.delivered == delivered


def test_a_count_of_a_campaign_that_was_split_since_is_that_of_its_parts(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, replace(make_run(4), channel=Channel.VOICEMAIL), noon)
    first = lost(ledger, run, noon)
    settle(ledger, run, Verdict.NOT_SENT, noon, requeue=True)
    ledger.record(claim(ledger, run, noon), BAD_NUMBER, now=noon)
    ledger.take_callbacks([counted(first, 4, 4)])
    assert summed(ledger, run, noon).deliveries.delivered == 4


@pytest.mark.parametrize(("delivered", "total"), [(0, 0), (2**31 - 1, 1), (3, 2), (1, 3), (-1, 2)])
def test_a_count_that_cannot_be_of_the_people_is_odd(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime, delivered: int, total: int
) -> None:
    run = queued(ledger, replace(make_run(2), channel=Channel.VOICEMAIL), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(2), now=noon)
    ledger.take_callbacks([counted(claimed, delivered, total)])
    assert list(ledger.odd_callbacks(run.id)) == ["its count is not one of the people in the request"]
    assert summed(ledger, run, noon).deliveries.pending == 2
    assert "delivered" not in {line.delivery for line in ledger.rows(run.id)}


def test_a_callback_of_another_channel_is_odd(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(2), now=noon)
    ledger.take_callbacks([said(claimed, number) for number in numbers_of(run)])
    ledger.take_callbacks([counted(claimed, 2, 2)])
    assert "it is of another channel than its request" in ledger.odd_callbacks(run.id)
    assert summed(ledger, run, noon).deliveries.delivered == 2


def test_a_callback_without_a_number_is_odd(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run = queued(ledger, make_run(1), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(1), now=noon)
    ledger.take_callbacks([said(claimed, "")])
    assert list(ledger.odd_callbacks(run.id)) == ["it names no number"]


def test_a_number_of_another_country_is_not_taken_for_a_french_one(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, of_numbers(make_run(1), "+39612345678"), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(charges=(charge("39", "IT", 1),)), now=noon)
    ledger.take_callbacks([said(claimed, "+33612345678")])
    assert summed(ledger, run, noon).deliveries.pending == 1


def test_the_year_of_an_empty_date_is_no_later_one(ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime) -> None:
    run = queued(ledger, make_run(1), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(1), now=noon)
    (number,) = numbers_of(run)
    ledger.take_callbacks([said(claimed, number, done_at=noon - timedelta(days=1))])
    ledger.take_callbacks([said(claimed, number, UNDELIVERED, done_at=datetime(999, 1, 1, tzinfo=UTC))])
    assert summed(ledger, run, noon).deliveries.delivered == 1


def test_what_is_announced_is_that_of_the_messages_that_were_delivered(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, make_run(3, 1), noon)
    ledger.set_estimates(run.id, price)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, yes(3), now=noon)
    other = claim(ledger, run, noon)
    ledger.record(other, UNKNOWN, now=noon)
    first, second, _, fourth = numbers_of(run)
    ledger.take_callbacks([said(claimed, first, seconds=Decimal(6)), said(claimed, second, UNDELIVERED)])
    ledger.take_callbacks([said(other, fourth, seconds=Decimal(7))])
    counts = summed(ledger, run, noon).deliveries
    assert (counts.spoken_seconds, counts.announced_seconds, counts.unannounced) == (Decimal(13), Decimal("6.3"), 1)
