"""A person settles what is unknown, and the provider's answer may still come later: on every ledger."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.ledger.moves import (
    ACCOUNT,
    BAD_NUMBER,
    FAR,
    LEASE,
    NOT_SENT,
    REFUSED,
    SECOND,
    THROTTLED,
    UNKNOWN,
    MakeRun,
    Yes,
    claim,
    committed,
    everyone,
    lost,
    numbers_of,
    price,
    queued,
    settle,
    statuses,
    take,
    told,
)
from voicebatch.errors import UsageError
from voicebatch.ledger import Claim, Ledger, NewRun, Worker
from voicebatch.models import BatchStatus, EventKind, Message, Outcome, Reply, RowStatus, Verdict

SENT, NOT = Verdict.SENT, Verdict.NOT_SENT
HELD = Decimal("0.24")


def unknown(ledger: Ledger, make_run: MakeRun, now: datetime, *sizes: int) -> NewRun:
    """A run whose batches are all unknown."""
    run = queued(ledger, make_run(*sizes), now)
    ledger.set_estimates(run.id, price)
    for _ in sizes:
        ledger.record(claim(ledger, run, now), UNKNOWN, now=now)
    return run


# What a person says


def test_what_was_sent_counts_as_accepted_when_it_left(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = unknown(ledger, make_run, noon, 2, 1)
    assert settle(ledger, run, SENT, noon + SECOND) == 2
    lines = [line for line in ledger.rows(run.id) if line.batch_id]
    assert {(line.status, line.accepted_at, line.reason) for line in lines} == {
        (RowStatus.ACCEPTED, noon, "settled as sent by Zoé: looked it up")
    }
    assert take(ledger, run, noon + SECOND) is None
    assert (ledger.request_counts(run.id).accepted, ledger.answers(run.id)) == (2, [])


def test_what_was_not_sent_is_left_out_and_not_called(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = unknown(ledger, make_run, noon, 2)
    assert settle(ledger, run, NOT, noon) == 1
    assert statuses(ledger, run) == [RowStatus.CANCELLED] * 2
    reasons = {line.reason for line in ledger.rows(run.id) if line.batch_id}
    assert reasons == {"settled as not-sent by Zoé: looked it up"}
    assert take(ledger, run, noon) is None


def test_what_was_not_sent_may_be_queued_again_at_its_place(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(2, 1), noon)
    first = claim(ledger, run, noon)
    ledger.record(first, UNKNOWN, now=noon)
    assert settle(ledger, run, NOT, noon, requeue=True) == 1
    again = claim(ledger, run, noon)
    assert (again.batch, again.attempt_id) == (first.batch, f"{first.batch.id}.2")
    ledger.record(again, yes(2), now=noon)
    assert statuses(ledger, run) == [RowStatus.ACCEPTED, RowStatus.ACCEPTED, RowStatus.QUEUED]
    counts = ledger.request_counts(run.id)
    assert (counts.sent, counts.retried, counts.accepted, counts.unknown) == (2, 1, 1, 0)


def test_what_was_left_out_may_be_queued_later(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = unknown(ledger, make_run, noon, 1, 1)
    settle(ledger, run, NOT, noon)
    assert settle(ledger, run, NOT, noon, requeue=True) == 0  # all that is unknown: nothing is
    first = everyone(run)[0]
    assert settle(ledger, run, NOT, noon, first, requeue=True) == 1
    assert statuses(ledger, run) == [RowStatus.QUEUED, RowStatus.CANCELLED]
    assert claim(ledger, run, noon).batch.id == first
    with pytest.raises(UsageError, match=f"Batch {first} is sending"):
        settle(ledger, run, NOT, noon, first, requeue=True)
    assert take(ledger, run, noon) is None


def test_a_wrong_verdict_is_put_right_as_long_as_nobody_is_called_again(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    batch = late.batch.id
    settle(ledger, run, NOT, noon, requeue=True)
    settle(ledger, run, SENT, noon, batch)
    lines = [line for line in ledger.rows(run.id) if line.batch_id]
    assert {(line.status, line.accepted_at) for line in lines} == {(RowStatus.ACCEPTED, noon - LEASE)}
    assert take(ledger, run, noon) is None
    settle(ledger, run, NOT, noon, batch)
    assert statuses(ledger, run) == [RowStatus.CANCELLED] * 2
    settle(ledger, run, NOT, noon, batch, requeue=True)
    settle(ledger, run, NOT, noon, batch)
    assert take(ledger, run, noon) is None
    settle(ledger, run, NOT, noon, batch, requeue=True)
    assert claim(ledger, run, noon).batch.numbers == late.batch.numbers
    assert committed(ledger, run.id) == HELD


def test_batches_are_meant_by_their_id_or_a_unique_beginning(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = unknown(ledger, make_run, noon, 1, 1, 1)
    first, second, third = everyone(run)
    assert settle(ledger, run, SENT, noon, second[:4], second) == 1  # twice the same is once
    assert statuses(ledger, run) == [RowStatus.UNKNOWN, RowStatus.ACCEPTED, RowStatus.UNKNOWN]
    assert [event.batch_id for event in told(ledger, run, EventKind.SETTLED)] == [second]
    assert settle(ledger, run, NOT, noon, first[:4], third) == 2
    assert statuses(ledger, run) == [RowStatus.CANCELLED, RowStatus.ACCEPTED, RowStatus.CANCELLED]


@pytest.mark.parametrize(("name", "message"), [("00", "More than one"), ("x", "no batch"), ("0001%", "no batch")])
def test_a_name_that_means_no_batch_or_several_settles_none(
    ledger: Ledger, make_run: MakeRun, noon: datetime, name: str, message: str
) -> None:
    run, other = unknown(ledger, make_run, noon, 1, 1), unknown(ledger, make_run, noon, 1)
    for names in ([everyone(run)[0], name], [everyone(run)[0], everyone(other)[0]]):
        with pytest.raises(UsageError, match=message if name in names else "no batch") as raised:
            settle(ledger, run, SENT, noon, *names)
        assert run.id in raised.value.hint
    assert statuses(ledger, run) == [RowStatus.UNKNOWN] * 2
    assert told(ledger, run) == []


@pytest.mark.parametrize("reply", ["queued", "sending", "yes", REFUSED, THROTTLED, BAD_NUMBER])
@pytest.mark.parametrize("verdict", Verdict)
def test_only_what_is_unknown_can_be_settled(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, reply: Reply | str, verdict: Verdict
) -> None:
    run = queued(ledger, make_run(2), noon)
    if reply != "queued":
        claimed = claim(ledger, run, noon)
        if reply != "sending":
            ledger.record(claimed, reply if isinstance(reply, Reply) else yes(2), now=noon)
    before = list(ledger.rows(run.id))
    assert settle(ledger, run, verdict, noon) == 0
    with pytest.raises(UsageError, match="only what is unknown"):
        settle(ledger, run, verdict, noon, everyone(run)[0], requeue=verdict is NOT)
    assert list(ledger.rows(run.id)) == before


def test_who_settled_what_and_when_and_why_is_in_the_story(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = unknown(ledger, make_run, noon, 3, 1)
    first, second = everyone(run)
    ledger.resolve(run.id, SENT, batch_ids=[first], who="Zoé", why="campaign 7 has it", now=noon + SECOND)
    ledger.resolve(run.id, NOT, requeue=True, who="Max", why="not in the list", now=noon + 2 * SECOND)
    events = [(event.at, event.who, event.batch_id, event.text) for event in told(ledger, run, EventKind.SETTLED)]
    assert events == [
        (noon + SECOND, "Zoé", first, "3 people: settled as sent by Zoé: campaign 7 has it"),
        (noon + 2 * SECOND, "Max", second, "1 person: settled as not-sent and queued again by Max: not in the list"),
    ]


def test_a_part_of_a_split_batch_is_settled_by_its_own_id(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(4), noon)
    ledger.record(claim(ledger, run, noon), BAD_NUMBER, now=noon)
    first, second = claim(ledger, run, noon), claim(ledger, run, noon)
    for part in (first, second):
        ledger.record(part, UNKNOWN, now=noon)
    assert settle(ledger, run, SENT, noon, first.batch.id) == 1
    assert settle(ledger, run, NOT, noon, requeue=True) == 1
    found = dict(zip(numbers_of(run), statuses(ledger, run), strict=True))
    assert {found[number] for number in first.batch.numbers} == {RowStatus.ACCEPTED}
    assert claim(ledger, run, noon).batch == second.batch


def test_who_was_settled_as_not_sent_is_no_contact_and_who_as_sent_is_one(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    message = Message(text="this one")
    run = queued(ledger, make_run(1, 1, 1, message=message), noon)
    for _ in range(3):
        ledger.record(claim(ledger, run, noon), UNKNOWN, now=noon)
    sent, left_out, again = everyone(run)
    settle(ledger, run, SENT, noon, sent)
    settle(ledger, run, NOT, noon, left_out)
    settle(ledger, run, NOT, noon, again, requeue=True)
    found = {contact.status for contact in ledger.contacts({message.id}, since=noon, sandbox=False)}
    assert found == {BatchStatus.ACCEPTED, BatchStatus.QUEUED}


def test_who_opts_out_before_being_queued_again_is_not_called(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(2, 2), noon)
    late = [lost(ledger, run, noon), lost(ledger, run, noon)]
    settle(ledger, run, NOT, noon, requeue=True)
    first, second, third, fourth = numbers_of(run)
    assert ledger.suppress_queued(run.id, dict.fromkeys([first, second, third], "on the list")) == 3
    with pytest.raises(UsageError, match="is cancelled"):  # nobody is left in it
        settle(ledger, run, NOT, noon, everyone(run)[0], requeue=True)
    ledger.record(late[0], BAD_NUMBER, now=noon)  # and nobody is queued again by an answer either
    assert claim(ledger, run, noon).batch.numbers == (fourth,)
    assert take(ledger, run, noon) is None
    rows = ledger.row_counts(run.id)
    assert (rows.suppressed, rows.refused, rows.unknown) == (1 + 3, 0, 1)
    assert statuses(ledger, run)[:3] == [RowStatus.SUPPRESSED] * 3


@pytest.mark.parametrize("answer", [THROTTLED, NOT_SENT, ACCOUNT, BAD_NUMBER])
def test_who_opts_out_while_the_request_is_under_way_is_left_out_when_it_has_to_be_made_again(
    ledger: Ledger, make_run: MakeRun, noon: datetime, answer: Reply
) -> None:
    run = queued(ledger, make_run(3), noon)
    under_way = claim(ledger, run, noon)
    first, second, third = numbers_of(run)
    assert ledger.suppress_queued(run.id, {second: "on the list"}) == 0
    assert statuses(ledger, run) == [RowStatus.UNKNOWN] * 3  # it may be too late
    ledger.record(under_way, answer, now=noon, estimate=price)
    assert statuses(ledger, run) == [RowStatus.QUEUED, RowStatus.SUPPRESSED, RowStatus.QUEUED]
    ledger.join(run.id, worker=FAR, now=noon)
    again = take(ledger, run, noon + timedelta(days=1))
    assert isinstance(again, Claim)
    assert again.batch.numbers == ((first,) if answer.about_number else (first, third))
    assert len(told(ledger, run, EventKind.WITHDRAWN)) == 1


def test_who_opts_out_while_the_outcome_is_unknown_is_not_called_again(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = unknown(ledger, make_run, noon, 2, 2)
    first, second, third, fourth = numbers_of(run)
    assert ledger.suppress_queued(run.id, {first: "on the list"}) == 0
    at_once, set_aside = everyone(run)
    settle(ledger, run, NOT, noon, set_aside)
    assert ledger.suppress_queued(run.id, dict.fromkeys([second, third], "on the list, later")) == 0
    assert settle(ledger, run, NOT, noon, at_once, requeue=True) == 1  # and nobody is left in it
    assert settle(ledger, run, NOT, noon, set_aside, requeue=True) == 1
    assert claim(ledger, run, noon).batch.numbers == (fourth,)
    assert take(ledger, run, noon) is None
    reasons = {line.phone: line.reason for line in ledger.rows(run.id) if line.status is RowStatus.SUPPRESSED}
    assert {number: reasons[number] for number in (first, second, third)} == {
        first: "on the list", second: "on the list, later", third: "on the list, later",
    }  # fmt: skip


def test_who_opts_out_too_late_was_called(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    run = queued(ledger, make_run(2), noon)
    under_way = claim(ledger, run, noon)
    ledger.suppress_queued(run.id, dict.fromkeys(numbers_of(run), "on the list"))
    assert ledger.record(under_way, yes(2, "0.12"), now=noon) == 2
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 2


# What it costs


def test_a_verdict_releases_or_keeps_what_was_held(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = unknown(ledger, make_run, noon, 2, 2, 2)
    assert committed(ledger, run.id) == 3 * HELD
    first, second, third = everyone(run)
    settle(ledger, run, SENT, noon, first)
    assert committed(ledger, run.id) == 3 * HELD
    settle(ledger, run, NOT, noon, second)
    assert committed(ledger, run.id) == 2 * HELD
    settle(ledger, run, NOT, noon, third, requeue=True)
    assert committed(ledger, run.id) == HELD
    settle(ledger, run, NOT, noon, second, requeue=True)
    assert committed(ledger, run.id) == HELD  # it was released already
    assert take(ledger, run, noon, max_cost=Decimal("0.47")) is None
    assert isinstance(take(ledger, run, noon, max_cost=Decimal("0.48")), Claim)
    assert committed(ledger, run.id) == 2 * HELD


def test_a_price_that_comes_after_the_verdict_counts_for_what_was_sent_alone(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(2, 2, 2), noon)
    for _ in range(3):
        ledger.record(claim(ledger, run, noon), UNKNOWN, now=noon)
    sent, left_out, _still_unknown = everyone(run)
    settle(ledger, run, SENT, noon, sent)
    settle(ledger, run, NOT, noon, left_out)
    assert committed(ledger, run.id) == 0
    for _ in range(2):  # the second time changes nothing
        ledger.set_estimates(run.id, price)
        assert committed(ledger, run.id) == 2 * HELD


# Answers that come late


def late_claim(ledger: Ledger, make_run: MakeRun, now: datetime) -> tuple[NewRun, Claim]:
    """A run of one batch with two people, which was given up for lost."""
    run = queued(ledger, make_run(2, estimate=HELD), now - LEASE)
    return run, lost(ledger, run, now)


def test_a_yes_that_comes_before_anybody_is_called_again_prevents_that(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon, requeue=True)
    answer = yes(2, "0.13")
    assert ledger.record(late, answer, now=noon + SECOND) == 2
    assert answer.answer is not None
    assert take(ledger, run, noon + SECOND) is None
    line, *_ = ledger.rows(run.id)
    assert (line.status, line.campaign_id, line.accepted_at, line.reason) == (
        RowStatus.ACCEPTED, answer.answer.campaign_id, noon + SECOND, "",
    )  # fmt: skip
    assert committed(ledger, run.id) == Decimal("0.26")
    (event,) = told(ledger, run, EventKind.LATE)
    assert (event.who, event.batch_id) == (str(FAR), late.batch.id)
    assert "settled as not-sent: accepted" in event.text
    contact, *_ = ledger.contacts({late.batch.message.id}, since=noon - LEASE, sandbox=False)
    assert contact.status is BatchStatus.ACCEPTED  # they were called when it left, not when they were queued


def test_a_yes_that_comes_after_the_verdict_not_sent_overrules_it(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon)
    assert committed(ledger, run.id) == 0
    ledger.record(late, yes(2, "0.13"), now=noon)
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 2
    assert committed(ledger, run.id) == Decimal("0.26")
    with pytest.raises(UsageError, match="is accepted"):
        settle(ledger, run, NOT, noon, late.batch.id, requeue=True)


def test_a_yes_that_comes_after_the_verdict_sent_brings_the_real_figures(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, SENT, noon)
    assert committed(ledger, run.id) == HELD
    ledger.record(late, yes(2, "0.13"), now=noon + SECOND)
    assert committed(ledger, run.id) == Decimal("0.26")
    assert [(answer.size, answer.cost) for answer in ledger.answers(run.id)] == [(2, Decimal("0.26"))]
    assert sum(charge.messages for charge, _ in ledger.charges(run.id)) == 2
    line, *_ = ledger.rows(run.id)
    assert (line.status, line.reason, line.accepted_at) == (RowStatus.ACCEPTED, "", noon + SECOND)
    assert len(told(ledger, run, EventKind.LATE)) == 1


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("requeue", [False, True])
def test_no_answer_at_all_leaves_the_verdict(
    ledger: Ledger, make_run: MakeRun, noon: datetime, verdict: Verdict, *, requeue: bool
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, verdict, noon, requeue=requeue and verdict is NOT)
    before = (list(ledger.rows(run.id)), committed(ledger, run.id))
    assert ledger.record(late, UNKNOWN, now=noon) == 0
    assert (list(ledger.rows(run.id)), committed(ledger, run.id)) == before


@pytest.mark.parametrize("answer", [THROTTLED, NOT_SENT, ACCOUNT])
@pytest.mark.parametrize("requeue", [False, True])
def test_an_answer_that_agrees_with_not_sent_changes_nothing_and_is_told(
    ledger: Ledger, make_run: MakeRun, noon: datetime, answer: Reply, *, requeue: bool
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon, requeue=requeue)
    before = (list(ledger.rows(run.id)), committed(ledger, run.id))
    assert ledger.record(late, answer, now=noon) == 0
    assert (list(ledger.rows(run.id)), committed(ledger, run.id)) == before
    assert len(told(ledger, run, EventKind.LATE)) == 1


@pytest.mark.parametrize("verdict", Verdict)
def test_a_no_that_comes_late_overrules_the_verdict(
    ledger: Ledger, make_run: MakeRun, noon: datetime, verdict: Verdict
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, verdict, noon)
    ledger.record(late, REFUSED, now=noon, estimate=price)
    lines = [line for line in ledger.rows(run.id) if line.batch_id]
    assert {(line.status, line.accepted_at, line.campaign_id) for line in lines} == {(RowStatus.REFUSED, None, None)}
    assert committed(ledger, run.id) == 0
    assert len(told(ledger, run, EventKind.LATE)) == 1


@pytest.mark.parametrize("answer", [THROTTLED, NOT_SENT, ACCOUNT, BAD_NUMBER])
def test_an_answer_that_contradicts_the_verdict_sent_makes_it_unknown_again(
    ledger: Ledger, make_run: MakeRun, noon: datetime, answer: Reply
) -> None:
    """They are not called again unless somebody asks for it, and not counted as called either."""
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, SENT, noon)
    assert ledger.record(late, answer, now=noon, estimate=price) == 2
    assert statuses(ledger, run) == [RowStatus.UNKNOWN] * 2
    (request,) = ledger.story(run.id).unknown
    assert request.batch_id == late.batch.id
    reasons = {line.reason for line in ledger.rows(run.id) if line.batch_id}
    said = f"settled as sent by Zoé: looked it up, but then the provider's answer came: {answer.reason}"
    assert all(reason.startswith(said) for reason in reasons)
    assert committed(ledger, run.id) == 0
    ledger.join(run.id, worker=FAR, now=noon)
    assert take(ledger, run, noon) is None
    assert settle(ledger, run, NOT, noon, requeue=True) == 1
    assert claim(ledger, run, noon + timedelta(days=1)).batch.numbers == late.batch.numbers


def test_who_was_left_out_is_not_called_by_a_refusal_of_one_number(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon)
    assert ledger.record(late, BAD_NUMBER, now=noon, estimate=price) == 0
    assert statuses(ledger, run) == [RowStatus.CANCELLED] * 2
    assert len(told(ledger, run, EventKind.LATE)) == 1
    settle(ledger, run, NOT, noon, late.batch.id, requeue=True)
    assert claim(ledger, run, noon).batch.numbers == late.batch.numbers


def test_who_is_queued_again_is_called_in_parts_after_a_refusal_of_one_number(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon, requeue=True)
    ledger.record(late, BAD_NUMBER, now=noon, estimate=price)
    assert [claim(ledger, run, noon).batch.numbers for _ in range(2)] == [(one,) for one in late.batch.numbers]


@pytest.mark.parametrize("end", [THROTTLED, UNKNOWN, REFUSED, BAD_NUMBER, "yes", "lost"])
def test_a_yes_to_all_is_a_yes_to_the_parts_that_they_are_in_since(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, end: Reply | str
) -> None:
    """One part is still queued when it comes, one is under way."""
    run = queued(ledger, make_run(4), noon)
    late = lost(ledger, run, noon)
    settle(ledger, run, NOT, noon, requeue=True)
    ledger.record(claim(ledger, run, noon), BAD_NUMBER, now=noon, estimate=price)
    part = claim(ledger, run, noon, worker=FAR)
    assert ledger.record(late, yes(4, "0.12"), now=noon) == 2
    assert statuses(ledger, run) == [RowStatus.UNKNOWN] * 2 + [RowStatus.ACCEPTED] * 2
    if isinstance(end, Reply):
        assert ledger.record(part, end, now=noon, estimate=price) == 2
    elif end == "yes":
        assert ledger.record(part, yes(2, "0.12"), now=noon) == 2  # a person let them be called again
    else:
        ledger.give_up_lost(now=noon + LEASE, is_gone=Worker.is_gone)
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 4
    ledger.join(run.id, worker=FAR, now=noon)
    assert take(ledger, run, noon + timedelta(days=1)) is None
    assert ledger.request_counts(run.id).accepted == len(ledger.answers(run.id)) == (2 if end == "yes" else 1)
    assert ledger.story(run.id).unknown == []


def test_a_yes_that_comes_while_they_are_called_again_is_recorded_with_its_charges_and_told(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon, requeue=True)
    again = claim(ledger, run, noon)
    assert ledger.record(late, yes(2, "0.13"), now=noon) == 0
    assert statuses(ledger, run) == [RowStatus.UNKNOWN] * 2  # they may be called twice: a person said so
    (event,) = told(ledger, run, EventKind.LATE)
    assert "attempt 1 came after the batch was sent again: accepted" in event.text
    assert committed(ledger, run.id) == Decimal("0.26") + HELD
    second = yes(2, "0.14")
    assert ledger.record(again, second, now=noon) == 2
    assert sorted(charge.cost for charge, _ in ledger.charges(run.id)) == [Decimal("0.26"), Decimal("0.28")]
    assert committed(ledger, run.id) == Decimal("0.54")
    assert second.answer is not None
    assert {line.campaign_id for line in ledger.rows(run.id) if line.batch_id} == {second.answer.campaign_id}


@pytest.mark.parametrize(
    ("end", "yes_comes_first"),
    list(itertools.product((THROTTLED, NOT_SENT, ACCOUNT, UNKNOWN, REFUSED, BAD_NUMBER, "lost"), (True, False))),
)
def test_who_was_called_after_all_is_never_called_a_third_time(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, end: Reply | str, *, yes_comes_first: bool
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon, requeue=True)
    again, answer = claim(ledger, run, noon, worker=FAR), yes(2, "0.13")
    assert answer.answer is not None

    def end_it() -> None:
        if isinstance(end, Reply):
            ledger.record(again, end, now=noon, estimate=price)
        else:
            ledger.give_up_lost(now=noon + LEASE, is_gone=Worker.is_gone)

    if yes_comes_first:
        ledger.record(late, answer, now=noon)
        end_it()
    else:
        end_it()
        assert ledger.record(late, answer, now=noon) == 2
    ledger.join(run.id, worker=FAR, now=noon + LEASE)
    assert take(ledger, run, noon + timedelta(days=1)) is None
    lines = [line for line in ledger.rows(run.id) if line.batch_id]
    assert {(line.status, line.campaign_id, line.accepted_at, line.reason) for line in lines} == {
        (RowStatus.ACCEPTED, answer.answer.campaign_id, noon, "")
    }
    may_have_cost = HELD if end in {UNKNOWN, "lost"} else Decimal(0)
    assert committed(ledger, run.id) == Decimal("0.26") + may_have_cost
    counts = ledger.request_counts(run.id)
    assert (counts.accepted, counts.unknown) == (1, 0)


def test_the_second_requests_late_answer_is_only_told_after_the_firsts_yes(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon, requeue=True)
    again = claim(ledger, run, noon, worker=FAR)
    ledger.give_up_lost(now=noon + LEASE, is_gone=Worker.is_gone)
    ledger.record(late, yes(2, "0.13"), now=noon + LEASE)
    ledger.record(again, REFUSED, now=noon + LEASE)
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 2
    assert committed(ledger, run.id) == Decimal("0.26")
    assert [attempt.outcome for attempt in ledger.story(run.id).attempts] == [Outcome.ACCEPTED, Outcome.REFUSED]


def test_who_was_called_by_another_run_meanwhile_is_not_queued_again(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = unknown(ledger, make_run, noon, 1)
    settle(ledger, run, NOT, noon)
    other = queued(ledger, make_run(1), noon + SECOND)  # the same person and message: the first run's was set aside
    with pytest.raises(UsageError, match=f"Run {other.id} has called"):
        settle(ledger, run, NOT, noon + 2 * SECOND, everyone(run)[0], requeue=True)
    ledger.record(claim(ledger, other, noon + 2 * SECOND), yes(), now=noon + 2 * SECOND)
    with pytest.raises(UsageError, match=f"Run {other.id} has called"):
        settle(ledger, run, NOT, noon + 3 * SECOND, everyone(run)[0], requeue=True)
    assert ledger.row_counts(run.id).cancelled == 1


@pytest.mark.parametrize("answer", [THROTTLED, NOT_SENT, ACCOUNT, BAD_NUMBER])
@pytest.mark.parametrize("is_called", [False, True])
def test_who_is_another_runs_meanwhile_is_not_queued_again_by_an_answer_that_comes_late(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, answer: Reply, *, is_called: bool
) -> None:
    run, day = queued(ledger, make_run(2), noon), timedelta(days=1)
    late = lost(ledger, run, noon)
    other = queued(ledger, make_run(2), noon + day)  # planned after the repeat window
    if is_called:
        ledger.record(claim(ledger, other, noon + day), yes(2), now=noon + day)
    ledger.record(late, answer, now=noon + day, estimate=price)
    reason = f"the same message was sent or queued by run {other.id}"
    assert {(line.status, line.reason) for line in ledger.rows(run.id) if line.file == 0} == {
        (RowStatus.SUPPRESSED, reason)
    }
    ledger.join(run.id, worker=FAR, now=noon + day)
    assert take(ledger, run, noon + 2 * day) is None


@pytest.mark.parametrize("left_out", [1, 2])
def test_who_opted_out_after_being_called_is_accepted_when_the_yes_comes(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, left_out: int
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon, requeue=True)
    assert ledger.suppress_queued(run.id, dict.fromkeys(numbers_of(run)[:left_out], "on the list")) == left_out
    assert ledger.record(late, yes(2, "0.12"), now=noon) == 2
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 2
    counts = ledger.row_counts(run.id)
    assert (counts.accepted, counts.suppressed) == (2, run.counts.suppressed)
    (contact,) = ledger.contacts({late.batch.message.id}, since=noon - LEASE, sandbox=False)
    assert sorted(contact.numbers) == numbers_of(run)


def test_who_was_called_for_certain_is_not_queued_again_by_another_verdict(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run, late = late_claim(ledger, make_run, noon)
    settle(ledger, run, NOT, noon, requeue=True)
    ledger.record(claim(ledger, run, noon), UNKNOWN, now=noon)
    settle(ledger, run, SENT, noon)
    ledger.record(late, yes(2, "0.12"), now=noon)
    with pytest.raises(UsageError, match="is accepted"):
        settle(ledger, run, NOT, noon, late.batch.id, requeue=True)


def test_a_rehearsal_calls_nobody_meanwhile(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = unknown(ledger, make_run, noon, 1)
    settle(ledger, run, NOT, noon)
    queued(ledger, replace(make_run(1), sandbox=True), noon + SECOND)
    assert settle(ledger, run, NOT, noon + 2 * SECOND, everyone(run)[0], requeue=True) == 1
