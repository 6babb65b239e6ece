"""Workers who share a run: who is at work, one ceiling for all, one word of the provider, one story; on all ledgers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.ledger.moves import (
    ACCOUNT,
    BAD_NUMBER,
    FAR,
    FARTHER,
    LEASE,
    ME,
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
    queued,
    settle,
    take,
    told,
    wait,
)
from voicebatch.ledger import Claim, Ledger, NewRun, Worker
from voicebatch.models import EventKind, RateLimit, Reply, Stop, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

GONE: Final = replace(ME, started="0")  # its process id came back
SILENCE: Final = timedelta(seconds=120)
CEILING: Final = Decimal("0.24")


def nobody_is_gone(_: Worker) -> bool:
    return False


def stop_of(ledger: Ledger, run: NewRun) -> Stop:
    stop = ledger.find(run.id).stop
    assert stop is not None
    return stop


# Who is at work


def test_a_worker_is_at_work_from_when_it_joins_until_it_leaves(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, other = queued(ledger, make_run(1), noon), queued(ledger, make_run(1), noon)
    assert not ledger.at_work(run.id, now=noon)
    ledger.join(run.id, worker=ME, now=noon)
    ledger.join(run.id, worker=FAR, now=noon + SECOND)
    assert ledger.at_work(run.id, now=noon + SECOND)
    assert not ledger.at_work(other.id, now=noon + SECOND)
    ledger.leave(run.id, worker=ME, now=noon + 2 * SECOND)
    assert ledger.at_work(run.id, now=noon + 2 * SECOND)
    ledger.leave(run.id, worker=FAR, now=noon + 3 * SECOND)
    assert not ledger.at_work(run.id, now=noon + 3 * SECOND)


def test_a_worker_that_comes_back_is_at_work_again(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(1), noon)
    for hour in range(2):
        ledger.join(run.id, worker=ME, now=noon + hour * timedelta(hours=1))
        assert ledger.at_work(run.id, now=noon + hour * timedelta(hours=1))
        ledger.leave(run.id, worker=ME, now=noon + hour * timedelta(hours=1) + SECOND)
    assert not ledger.at_work(run.id, now=noon + timedelta(hours=2))
    spans = [(span.joined_at, span.left_at) for span in ledger.story(run.id).workers]
    assert spans == [(noon + hour * timedelta(hours=1),) * 1 + (noon + hour * timedelta(hours=1) + SECOND,)
                     for hour in range(2)]  # fmt: skip


def test_a_process_of_this_host_that_is_gone_is_not_at_work(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(1), noon)
    ledger.join(run.id, worker=GONE, now=noon)
    assert not ledger.at_work(run.id, now=noon)
    assert ledger.at_work(run.id, now=noon, is_gone=nobody_is_gone)


def test_another_hosts_worker_is_at_work_as_long_as_it_gives_signs_of_life(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(1), noon)
    ledger.join(run.id, worker=FAR, now=noon)
    assert ledger.at_work(run.id, now=noon + SILENCE - SECOND)
    assert not ledger.at_work(run.id, now=noon + SILENCE)
    ledger.seen(run.id, worker=FAR, now=noon + SILENCE)
    assert ledger.at_work(run.id, now=noon + 2 * SILENCE - SECOND)
    assert not ledger.at_work(run.id, now=noon + 2 * SILENCE)


def test_a_request_is_a_sign_of_life(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    """A worker that never has to wait says nothing else."""
    run = queued(ledger, make_run(*[1] * 6, estimate=UNIT), noon)
    ledger.join(run.id, worker=FAR, now=noon, max_cost=Decimal("0.60"), currency="EUR")
    for minute in range(5):
        now = noon + timedelta(minutes=minute)
        ledger.record(claim(ledger, run, now, worker=FAR), yes(1), now=now)
    now = noon + timedelta(minutes=5)
    assert ledger.at_work(run.id, now=now)
    ledger.join(run.id, worker=ME, now=now)  # so it does not take the other's ceiling away
    assert take(ledger, run, now) is None
    assert "--max-cost" in stop_of(ledger, run).message


def test_a_worker_that_left_is_not_called_back_by_a_late_sign_of_life(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(1), noon)
    ledger.join(run.id, worker=ME, now=noon)
    ledger.leave(run.id, worker=ME, now=noon + SECOND)
    ledger.seen(run.id, worker=ME, now=noon + 2 * SECOND)
    assert not ledger.at_work(run.id, now=noon + 2 * SECOND)
    (span,) = ledger.story(run.id).workers
    assert (span.seen_at, span.left_at) == (noon + SECOND, noon + SECOND)


# One ceiling for all


def joined(ledger: Ledger, run: NewRun, now: datetime, worker: Worker, max_cost: Decimal | None = None) -> None:
    ledger.join(run.id, worker=worker, now=now, max_cost=max_cost, currency="EUR")


def may_claim(ledger: Ledger, run: NewRun, now: datetime) -> int:
    """How many of a run's batches may be claimed until something stops it."""
    count = 0
    while isinstance(take(ledger, run, now, worker=FAR), Claim):
        count += 1
    return count


@pytest.mark.parametrize(
    ("ceilings", "claims"),
    [
        ([None], 5),
        ([CEILING], 2),
        ([CEILING, None], 2),  # who joins without one keeps it
        ([CEILING, Decimal("0.36")], 3),  # who joins with one sets it for all
        ([CEILING, Decimal("0.12")], 1),
        ([None, CEILING], 2),
        ([CEILING, Decimal("0.48"), None], 4),
    ],
)
def test_the_ceiling_is_the_one_that_was_given_last(
    ledger: Ledger, make_run: MakeRun, noon: datetime, ceilings: list[Decimal | None], claims: int
) -> None:
    run = queued(ledger, make_run(*[1] * 5, estimate=UNIT), noon)
    for worker, ceiling in zip((FAR, FARTHER, ME), ceilings, strict=False):
        joined(ledger, run, noon, worker, ceiling)
    assert may_claim(ledger, run, noon) == claims


def end_by_leaving(ledger: Ledger, run: NewRun, now: datetime) -> datetime:
    ledger.leave(run.id, worker=FAR, now=now)
    return now


def end_by_silence(_ledger: Ledger, _run: NewRun, now: datetime) -> datetime:
    return now + SILENCE


@pytest.mark.parametrize("end", [end_by_leaving, end_by_silence])
def test_the_first_on_a_run_takes_the_last_ones_ceiling_away(
    ledger: Ledger, make_run: MakeRun, noon: datetime, end: Callable[[Ledger, NewRun, datetime], datetime]
) -> None:
    run = queued(ledger, make_run(*[1] * 5, estimate=UNIT), noon)
    joined(ledger, run, noon, FAR, CEILING)
    assert may_claim(ledger, run, noon) == 2
    now = end(ledger, run, noon)
    joined(ledger, run, now, ME)
    assert may_claim(ledger, run, now) == 3


def test_a_dead_workers_ceiling_is_taken_away_too_and_a_living_ones_is_not(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(*[1] * 5, estimate=UNIT), noon)
    joined(ledger, run, noon, GONE, CEILING)
    joined(ledger, run, noon, FAR)  # alone
    assert isinstance(take(ledger, run, noon), Claim)
    joined(ledger, run, noon, FARTHER, Decimal("0.36"))
    joined(ledger, run, noon, ME)
    assert may_claim(ledger, run, noon) == 2


def test_a_worker_that_joins_twice_is_still_alone(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(*[1] * 5, estimate=UNIT), noon)
    joined(ledger, run, noon, FAR, CEILING)
    joined(ledger, run, noon + SECOND, FAR)
    assert may_claim(ledger, run, noon + SECOND) == 5


def test_a_ceiling_lets_all_go_on_when_it_is_raised(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(*[1] * 5, estimate=UNIT), noon)
    joined(ledger, run, noon, FAR, CEILING)
    assert may_claim(ledger, run, noon) == 2
    assert stop_of(ledger, run).kind == "guard"
    joined(ledger, run, noon, ME, Decimal("0.48"))
    assert ledger.find(run.id).stop is None
    assert may_claim(ledger, run, noon) == 2


def test_a_missing_price_stops_under_a_ceiling_and_only_there(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(1, 1), noon)
    assert isinstance(take(ledger, run, noon), Claim)
    joined(ledger, run, noon, ME, CEILING)
    assert take(ledger, run, noon) is None
    stop = stop_of(ledger, run)
    assert stop.kind == "guard"
    assert "one is missing" in stop.message
    assert "--price-table" in stop.hint
    assert ledger.row_counts(run.id).queued == 1


def test_a_charge_in_another_currency_than_the_ceilings_stops_the_run(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(1, 1, 1, estimate=UNIT), noon)
    answer = yes(1).answer
    assert answer is not None
    dollars = Reply(outcome=yes(1).outcome, answer=replace(answer, currency="USD"))
    ledger.record(claim(ledger, run, noon), dollars, now=noon)
    assert ledger.find(run.id).stop is None  # without a ceiling any is welcome
    joined(ledger, run, noon, ME, Decimal(9))
    ledger.record(claim(ledger, run, noon), dollars, now=noon)
    stop = stop_of(ledger, run)
    assert stop.kind == "guard"
    assert "USD" in stop.message
    assert "EUR" in stop.message
    assert take(ledger, run, noon) is None
    assert ledger.row_counts(run.id).accepted == 2  # they were called, and it is recorded


# The provider's word, and our own slots

LIMIT: Final = RateLimit(requests=2, seconds=10)


def spent(yes: Yes, seconds: float) -> Reply:
    return replace(yes(1), wait_seconds=seconds, spent=True)


def answered(ledger: Ledger, run: NewRun, now: datetime, reply: Reply, **options: Any) -> None:
    ledger.record(claim(ledger, run, now, **options), reply, now=now, limits=[LIMIT])


def test_headers_that_leave_nothing_say_no_more_than_our_own_slots_if_those_are_taken(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(1, 1, 1, 1), noon)
    answered(ledger, run, noon, yes(1))
    answered(ledger, run, noon + 3 * SECOND, spent(yes, 8.0))
    assert wait(ledger, run, noon + 4 * SECOND, LIMIT).until == noon + 10 * SECOND  # not 11
    assert told(ledger, run, EventKind.PAUSED) == []


@pytest.mark.parametrize(("before", "seconds"), [(0, 8.0), (1, 60.0)])
def test_they_are_obeyed_when_somebody_else_sent_too_or_the_window_is_not_ours(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, before: int, seconds: float
) -> None:
    run = queued(ledger, make_run(1, 1, 1, 1), noon)
    for _ in range(before):
        answered(ledger, run, noon, yes(1))
    answered(ledger, run, noon, spent(yes, seconds))
    waited = wait(ledger, run, noon + SECOND, LIMIT)
    assert waited.until == noon + timedelta(seconds=seconds)
    assert "rate headers" in waited.reason
    (event,) = told(ledger, run, EventKind.PAUSED)
    assert "rate headers" in event.text


def test_a_request_that_was_turned_away_is_obeyed_whatever_our_slots_say(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(1, 1, 1), noon)
    answered(ledger, run, noon, yes(1))
    answered(ledger, run, noon, replace(THROTTLED, wait_seconds=11.0))
    assert wait(ledger, run, noon + SECOND, LIMIT).until == noon + 11 * SECOND


def test_a_slot_without_an_answer_is_held_until_its_lease_ends(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    one = RateLimit(requests=1, seconds=10)
    run = queued(ledger, make_run(1, 1), noon)
    ledger.record(claim(ledger, run, noon, one), UNKNOWN, now=noon + 30 * SECOND)
    assert wait(ledger, run, noon + 31 * SECOND, one).until == noon + LEASE + 10 * SECOND
    assert claim(ledger, run, noon + LEASE + 10 * SECOND, one).batch.id == everyone(run)[1]


def test_a_slot_with_an_answer_that_cannot_be_read_ends_when_it_came(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    one = RateLimit(requests=1, seconds=10)
    run = queued(ledger, make_run(1, 1), noon)
    answer = replace(UNKNOWN, http_status=500)
    ledger.record(claim(ledger, run, noon, one), answer, now=noon + 30 * SECOND)
    assert wait(ledger, run, noon + 31 * SECOND, one).until == noon + 40 * SECOND


def test_a_dead_processs_slot_is_held_until_its_lease_ends(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    """What it wrote before it died may arrive after its death."""
    one = RateLimit(requests=1, seconds=10)
    run = queued(ledger, make_run(1, 1), noon)
    claim(ledger, run, noon, one, worker=GONE)
    assert ledger.give_up_lost(now=noon + SECOND, is_gone=Worker.is_gone) == 1
    assert wait(ledger, run, noon + 2 * SECOND, one).until == noon + LEASE + 10 * SECOND


def test_an_answer_after_all_ends_the_slot_when_it_came(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    one = RateLimit(requests=1, seconds=10)
    run = queued(ledger, make_run(1, 1), noon)
    back = claim(ledger, run, noon, one, worker=GONE)
    ledger.give_up_lost(now=noon + SECOND, is_gone=Worker.is_gone)
    ledger.record(back, yes(1), now=noon + 5 * SECOND)
    assert wait(ledger, run, noon + 6 * SECOND, one).until == noon + 15 * SECOND


# The story


def test_the_story_has_everything_in_order(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    run = queued(ledger, make_run(4, 1, 1, 1), noon)
    joined(ledger, run, noon, FAR)
    joined(ledger, run, noon + SECOND, ME)
    whole = claim(ledger, run, noon + 2 * SECOND)
    ledger.record(whole, BAD_NUMBER, now=noon + 3 * SECOND)
    turned_away = claim(ledger, run, noon + 4 * SECOND)
    ledger.record(turned_away, replace(THROTTLED, wait_seconds=30.0), now=noon + 5 * SECOND)
    late = lost(ledger, run, noon + 5 * SECOND + 2 * LEASE)
    now = noon + 6 * SECOND + 2 * LEASE
    settle(ledger, run, Verdict.NOT_SENT, now)
    ledger.record(late, yes(2), now=now + SECOND)
    stopped = claim(ledger, run, now + 2 * SECOND)
    ledger.record(stopped, ACCOUNT, now=now + 3 * SECOND)
    ledger.leave(run.id, worker=ME, now=now + 4 * SECOND)
    story = ledger.story(run.id)
    assert [(event.kind, event.who, event.batch_id) for event in story.events] == [
        (EventKind.JOINED, str(FAR), None),
        (EventKind.JOINED, str(ME), None),
        (EventKind.SPLIT, str(ME), whole.batch.id),
        (EventKind.PAUSED, str(ME), turned_away.batch.id),
        (EventKind.LOST, str(FAR), late.batch.id),
        (EventKind.SETTLED, "Zoé", late.batch.id),
        (EventKind.LATE, str(FAR), late.batch.id),
        (EventKind.STOPPED, str(ME), None),
        (EventKind.LEFT, str(ME), None),
    ]
    assert [event.at for event in story.events] == sorted(event.at for event in story.events)
    assert [(span.name, span.requests, span.left_at) for span in story.workers] == [
        (str(FAR), 1, None),
        (str(ME), 3, now + 4 * SECOND),
    ]
    assert [attempt.batch_id for attempt in story.attempts] == [
        whole.batch.id, turned_away.batch.id, late.batch.id, stopped.batch.id,
    ]  # fmt: skip
    assert "0612345678" not in str(story.events)  # the provider's words had a number in them


def test_a_story_is_of_one_run(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    first, second = queued(ledger, make_run(1), noon), queued(ledger, make_run(1), noon)
    joined(ledger, first, noon, ME)
    claim(ledger, first, noon)
    story = ledger.story(second.id)
    assert (story.events, story.workers, story.attempts) == ((), (), ())
    assert committed(ledger, second.id) == 0


def test_a_worker_in_a_long_request_is_at_work_and_keeps_the_ceiling(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(1, 1, estimate=Decimal(1)), noon)
    ledger.join(run.id, worker=FAR, now=noon, max_cost=Decimal(1), currency="EUR")
    claim(ledger, run, noon, worker=FAR, lease_seconds=1000.0)
    ledger.join(run.id, worker=ME, now=noon + 500 * SECOND)
    assert take(ledger, run, noon + 500 * SECOND) is None
    assert ledger.find(run.id).stop is not None
