"""A request that was refused because of a number in it costs the others nothing, on every ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.moves import (
    ACCOUNT,
    BAD_NUMBER,
    FAR,
    NOT_SENT,
    REFUSED,
    SECOND,
    THROTTLED,
    UNIT,
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
    statuses,
    take,
    told,
)
from voicebatch.ledger import Claim, Ledger, NewRun
from voicebatch.ledger.recording import Estimate
from voicebatch.models import BatchStatus, EventKind, Message, Outcome, Reply, RowStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse(ledger: Ledger, claimed: Claim, now: datetime, said: str = BAD_NUMBER.reason) -> int:
    return ledger.record(claimed, replace(BAD_NUMBER, reason=said), now=now, estimate=price)


# What becomes of its people


def test_its_people_are_queued_in_halves_at_its_place_in_the_order(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    message = Message(text="Bonjour", lang="en", speech_rate=Decimal("0.75"))
    run = queued(ledger, make_run(5, 1, message=message), noon)
    whole = claim(ledger, run, noon)
    assert refuse(ledger, whole, noon) == 0
    assert statuses(ledger, run) == [RowStatus.QUEUED] * 6
    parts = sorted((claim(ledger, run, noon).batch for _ in range(2)), key=lambda part: part.numbers)
    assert [part.numbers for part in parts] == [whole.batch.numbers[:3], whole.batch.numbers[3:]]
    assert {(part.message, part.ordinal, part.run_id) for part in parts} == {(message, 0, run.id)}
    assert len({whole.batch.id, *(part.id for part in parts)}) == 3
    assert claim(ledger, run, noon).batch.id == everyone(run)[1]
    assert take(ledger, run, noon) is None


def test_a_number_that_is_named_is_refused_with_the_reason_and_the_others_are_queued_together(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(4), noon)
    whole = claim(ledger, run, noon)
    _, bad, *_ = whole.batch.numbers
    assert refuse(ledger, whole, noon, f"{bad} is no number") == 1
    lines = {line.phone: line for line in ledger.rows(run.id)}
    assert (lines[bad].status, lines[bad].reason) == (RowStatus.REFUSED, f"{bad} is no number")
    again = claim(ledger, run, noon).batch
    assert again.numbers == tuple(number for number in whole.batch.numbers if number != bad)
    assert {lines[number].batch_id for number in again.numbers} == {again.id}
    assert len({again.id, lines[bad].batch_id, whole.batch.id}) == 3


def test_when_all_are_named_or_there_is_only_one_the_request_is_refused_as_it_is(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(1, 2), noon)
    alone, both = claim(ledger, run, noon), claim(ledger, run, noon)
    assert refuse(ledger, alone, noon) == 1
    assert refuse(ledger, both, noon, " and ".join(both.batch.numbers)) == 2
    lines = [line for line in ledger.rows(run.id) if line.batch_id]
    assert [(line.status, line.batch_id) for line in lines] == [
        (RowStatus.REFUSED, batch_id)
        for batch_id in (everyone(run)[0], everyone(run)[1], everyone(run)[1])
    ]  # fmt: skip
    assert told(ledger, run, EventKind.SPLIT) == []
    assert take(ledger, run, noon) is None


def test_a_refusal_that_is_not_about_a_number_is_for_all_of_them(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(4), noon)
    whole = claim(ledger, run, noon)
    named = f"{whole.batch.numbers[0]} may not call {whole.batch.numbers[1]}"
    assert ledger.record(whole, replace(REFUSED, reason=named), now=noon) == 4
    assert statuses(ledger, run) == [RowStatus.REFUSED] * 4
    assert take(ledger, run, noon) is None


def test_a_row_shows_the_batch_that_it_is_in_now_with_what_became_of_it(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(4), noon)
    refuse(ledger, claim(ledger, run, noon), noon)
    accepted, unknown, answer = claim(ledger, run, noon), claim(ledger, run, noon), yes(2)
    ledger.record(accepted, answer, now=noon + SECOND)
    ledger.record(unknown, UNKNOWN, now=noon + SECOND)
    assert answer.answer is not None
    campaign = answer.answer.campaign_id
    shown = {
        line.phone: (line.batch_id, line.status, line.campaign_id, line.accepted_at)
        for line in ledger.rows(run.id)
        if line.batch_id
    }
    assert shown == {
        **dict.fromkeys(accepted.batch.numbers, (accepted.batch.id, RowStatus.ACCEPTED, campaign, noon + SECOND)),
        **dict.fromkeys(unknown.batch.numbers, (unknown.batch.id, RowStatus.UNKNOWN, None, None)),
    }
    reasons = {line.reason for line in ledger.rows(run.id) if line.batch_id == unknown.batch.id}
    assert reasons == {"no answer; the request left at 2027-03-01T12:00:00+00:00"}


def test_a_part_may_be_split_again_until_the_number_is_alone(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(8, 1), noon)
    bad, sizes = numbers_of(run)[5], list[int]()
    while isinstance(claimed := take(ledger, run, noon), Claim):
        sizes.append(len(claimed.batch.numbers))
        if bad in claimed.batch.numbers:
            refuse(ledger, claimed, noon)
        else:
            ledger.record(claimed, yes(len(claimed.batch.numbers)), now=noon)
    assert Counter(sizes) == Counter([8, 4, 4, 2, 2, 1, 1, 1])
    assert [number for number, status in zip(numbers_of(run), statuses(ledger, run), strict=True)
            if status is not RowStatus.ACCEPTED] == [bad]  # fmt: skip
    counts = ledger.request_counts(run.id)
    assert (counts.planned, counts.sent, counts.accepted, counts.refused) == (2, 8, 4, 4)
    assert (counts.unknown, counts.retried) == (0, 0)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.data())
def test_whoever_is_bad_everybody_else_is_called_once(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, sizes: list[int], data: st.DataObject
) -> None:
    run = queued(ledger, make_run(*sizes, estimate=Decimal(1)), noon)
    people = numbers_of(run)
    bad, silent = set(data.draw(st.lists(st.sampled_from(people)))), data.draw(st.booleans())
    called, requests = Counter[str](), 0
    while isinstance(claimed := take(ledger, run, noon, limiter=run.id), Claim):
        requests += 1
        if at_fault := [number for number in claimed.batch.numbers if number in bad]:
            refuse(ledger, claimed, noon, "wrong" if silent else at_fault[0])
        else:
            called.update(claimed.batch.numbers)
            ledger.record(claimed, yes(len(claimed.batch.numbers), str(UNIT)), now=noon)
        rows = ledger.row_counts(run.id)
        assert rows.total == rows.queued + rows.accepted + rows.refused + rows.unknown + rows.rejected + rows.suppressed
    assert called == Counter(set(people) - bad)
    assert statuses(ledger, run) == [RowStatus.REFUSED if one in bad else RowStatus.ACCEPTED for one in people]
    assert committed(ledger, run.id) == sum(answer.cost for answer in ledger.answers(run.id)) == price([*called])
    counts = ledger.request_counts(run.id)
    assert (counts.planned, counts.sent) == (len(sizes), requests)
    assert counts.accepted + counts.refused == requests


# What it costs


def test_a_ceiling_knows_the_parts_at_their_own_prices(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(4, estimate=Decimal("0.48")), noon)
    whole = claim(ledger, run, noon, max_cost=Decimal("0.48"))
    assert committed(ledger, run.id) == Decimal("0.48")
    refuse(ledger, whole, noon)
    assert committed(ledger, run.id) == 0  # nobody was called
    first = claim(ledger, run, noon)
    assert committed(ledger, run.id) == Decimal("0.24")
    ledger.record(first, yes(2, "0.13"), now=noon)
    assert take(ledger, run, noon) is None  # 0.26, and as much again
    stop = ledger.find(run.id).stop
    assert stop is not None
    assert "cost to 0.52" in stop.message
    assert len(claim(ledger, run, noon, max_cost=Decimal("0.53")).batch.numbers) == 2


@pytest.mark.parametrize("own", [lambda _: None, lambda numbers: Decimal("0.01") * len(numbers)])
def test_parts_have_their_share_of_what_the_whole_should_cost(
    ledger: Ledger, make_run: MakeRun, noon: datetime, own: Estimate
) -> None:
    """A ceiling goes by the prices that it was set with, whoever records the refusal."""
    run = queued(ledger, make_run(3, estimate=Decimal("0.36")), noon)
    whole = claim(ledger, run, noon, max_cost=Decimal("0.36"))
    ledger.record(whole, BAD_NUMBER, now=noon, estimate=own)
    claim(ledger, run, noon)
    assert committed(ledger, run.id) == Decimal("0.24")
    claim(ledger, run, noon)
    assert committed(ledger, run.id) == Decimal("0.36")


# What else may happen to parts


def test_who_opts_out_is_taken_out_of_a_part(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(6, 2), noon)
    refuse(ledger, claim(ledger, run, noon), noon)
    people = numbers_of(run)
    gone = {*people[:3], people[4], people[6]}  # all of one part, one of the other, one of another batch
    assert ledger.suppress_queued(run.id, dict.fromkeys(gone, "on the list")) == 5
    lines = {line.phone: line for line in ledger.rows(run.id)}
    assert {(lines[one].status, lines[one].reason, lines[one].batch_id) for one in gone} == {
        (RowStatus.SUPPRESSED, "on the list", None)
    }
    rows = ledger.row_counts(run.id)
    assert (rows.suppressed, rows.queued, rows.cancelled) == (1 + 5, 3, 0)
    claims = [claim(ledger, run, noon).batch.numbers for _ in range(2)]
    assert claims == [(people[3], people[5]), (people[7],)]
    assert take(ledger, run, noon) is None
    (event,) = told(ledger, run, EventKind.WITHDRAWN)
    assert "5 people" in event.text


def test_contacts_are_those_of_the_parts(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    message = Message(text="this one")
    run = queued(ledger, make_run(5, message=message), noon)
    whole = claim(ledger, run, noon)
    refuse(ledger, whole, noon, f"{whole.batch.numbers[0]} is wrong")
    rest = claim(ledger, run, noon)
    refuse(ledger, rest, noon)
    sent = claim(ledger, run, noon)
    ledger.record(sent, yes(2), now=noon)
    found = {
        tuple(contact.numbers): contact.status for contact in ledger.contacts({message.id}, since=noon, sandbox=False)
    }
    left = tuple(number for number in rest.batch.numbers if number not in sent.batch.numbers)
    assert found == {sent.batch.numbers: BatchStatus.ACCEPTED, left: BatchStatus.QUEUED}


def test_an_answer_that_comes_late_splits_all_the_same(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(2, estimate=Decimal("0.24")), noon)
    late = lost(ledger, run, noon)
    assert committed(ledger, run.id) == Decimal("0.24")
    refuse(ledger, late, noon)
    assert committed(ledger, run.id) == 0
    assert statuses(ledger, run) == [RowStatus.QUEUED] * 2
    assert {len(claim(ledger, run, noon).batch.numbers) for _ in range(2)} == {1}


def test_the_story_tells_of_it(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(5), noon)
    whole = claim(ledger, run, noon, worker=FAR)
    refuse(ledger, whole, noon + SECOND, f"{whole.batch.numbers[0]} is wrong")
    (event,) = told(ledger, run)
    assert (event.kind, event.batch_id, event.at, event.who) == (
        EventKind.SPLIT, whole.batch.id, noon + SECOND, str(FAR),
    )  # fmt: skip
    assert "5 people" in event.text
    assert "4 and 1" in event.text
    (attempt,) = ledger.story(run.id).attempts
    assert (attempt.outcome, attempt.people) == (Outcome.REFUSED, 5)


# The same answer twice


def everything(ledger: Ledger, run: NewRun) -> Sequence[Any]:
    return (
        list(ledger.rows(run.id)), ledger.row_counts(run.id), ledger.request_counts(run.id), ledger.charges(run.id),
        ledger.answers(run.id), ledger.story(run.id), committed(ledger, run.id), ledger.find(run.id).stop,
    )  # fmt: skip


@pytest.mark.parametrize("answer", ["yes", UNKNOWN, REFUSED, BAD_NUMBER, THROTTLED, NOT_SENT, ACCOUNT])
@pytest.mark.parametrize("late", [False, True])
def test_an_answer_that_is_recorded_twice_is_recorded_once(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, answer: Reply | str, *, late: bool
) -> None:
    """The first commit worked, and its confirmation was lost."""
    run = queued(ledger, make_run(3, 1, estimate=Decimal("0.36")), noon)
    claimed = lost(ledger, run, noon) if late else claim(ledger, run, noon)
    reply = answer if isinstance(answer, Reply) else yes(3)
    ledger.record(claimed, reply, now=noon, estimate=price)
    before = everything(ledger, run)
    assert ledger.record(claimed, reply, now=noon + 5 * SECOND, estimate=price) == 0
    assert everything(ledger, run) == before


@pytest.mark.parametrize("answer", [THROTTLED, NOT_SENT, ACCOUNT])
def test_an_answer_that_is_recorded_twice_leaves_the_next_attempt_alone(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, answer: Reply
) -> None:
    run = queued(ledger, make_run(2, estimate=Decimal("0.24")), noon)
    first = claim(ledger, run, noon)
    ledger.record(first, answer, now=noon)
    ledger.join(run.id, worker=FAR, now=noon + SECOND)
    second = claim(ledger, run, noon + 2 * SECOND)
    before = everything(ledger, run)
    assert ledger.record(first, answer, now=noon + 3 * SECOND) == 0
    assert everything(ledger, run) == before
    assert ledger.record(second, yes(2), now=noon + 3 * SECOND) == 2
