"""What every ledger must do, whatever its database."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.moves import (
    ACCOUNT,
    FAR,
    ME,
    NOT_SENT,
    REFUSED,
    SECOND,
    THROTTLED,
    UNKNOWN,
    MakeRun,
    Yes,
    claim,
    everyone,
    queued,
    take,
    wait,
)  # fmt: skip
from voicebatch.errors import InputError, LedgerError, UsageError
from voicebatch.ledger import AnswerLine, Claim, Ledger, NewBatch, NewRow, NewRows, NewRun, Worker
from voicebatch.models import (
    Batch,
    BatchStatus,
    Charge,
    Message,
    RateLimit,
    Reply,
    RequestCounts,
    RowCounts,
    RowStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG: Final = st.decimals(min_value=0, max_value=10**11, places=30)


# Enqueueing


def test_a_run_goes_in_whole_and_comes_out_the_same(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = make_run(2, 1, documents={"rejected.csv": b"\x00\xff" * 1000})
    assert ledger.enqueue(run, now=noon) is True
    found = ledger.find(run.id)
    assert (found.key, found.content, found.created_at, found.stop) == (run.key, run.content, noon, None)
    assert (found.channel, found.report_dir, found.manifest) == (run.channel, run.report_dir, run.manifest)
    assert ledger.document(run.id, "rejected.csv") == b"\x00\xff" * 1000
    assert [(line.file, line.row, line.phone, line.reason) for line in ledger.rows(run.id)] == [
        (row.file, row.row, row.phone, row.reason) for row in run.rows
    ]


@pytest.mark.parametrize("part", ["rows", "batches"])
def test_a_failure_in_the_middle_leaves_nothing(ledger: Ledger, make_run: MakeRun, noon: datetime, part: str) -> None:
    run = make_run(*[1] * 3000, documents={"a": b"b"})

    def broken(items: Any) -> Iterator[Any]:
        yield from itertools.islice(items, 2500)
        raise RuntimeError("the plan's file is gone")

    bad = replace(run, rows=broken(run.rows)) if part == "rows" else replace(run, batches=broken(run.batches))
    with pytest.raises(RuntimeError, match="gone"):
        ledger.enqueue(bad, now=noon)
    assert ledger.with_key(run.key) is None
    assert list(ledger.rows(run.id)) == []
    assert ledger.request_counts(run.id) == RequestCounts()
    assert ledger.enqueue(run, now=noon) is True
    assert ledger.row_counts(run.id) == run.counts


def test_the_same_key_twice_is_not_enqueued_twice(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(2), noon)
    assert ledger.enqueue(make_run(5, key=run.key), now=noon) is False
    assert [found.id for found in ledger.all_runs()] == [run.id]
    assert ledger.request_counts(run.id).planned == 1


def test_one_key_from_many_threads_is_enqueued_once(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    runs = [make_run(3, key="the key") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda run: ledger.enqueue(run, now=noon), runs))
    assert sorted(outcomes) == [False] * 7 + [True]
    assert len(ledger.all_runs()) == 1


# Finding


def test_a_run_is_found_by_its_id_its_beginning_or_as_the_latest(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    for number, run_id in enumerate(["aab", "abc", "b_d"]):
        queued(ledger, make_run(1, run_id=run_id), noon + number * SECOND)
    assert ledger.find("abc").id == "abc"
    assert ledger.find("ab").id == "abc"
    assert ledger.find("latest").id == "b_d"
    assert [run.id for run in ledger.all_runs()] == ["b_d", "abc", "aab"]
    with pytest.raises(UsageError, match="More than one run begins with 'a'"):
        ledger.find("a")
    for missing in ("c", "b%", "_", "abcd"):
        with pytest.raises(UsageError, match="has no run") as raised:
            ledger.find(missing)
        assert raised.value.hint


def test_an_empty_ledger_has_no_latest_run(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="has no run 'latest'"):
        ledger.find("latest")


# Claiming


def test_batches_are_claimed_once_in_their_order_with_what_is_to_be_sent(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    message = Message(text="Bonjour", lang="en", speech_rate=Decimal("0.75"), schedule=noon + timedelta(days=1))
    run = queued(ledger, make_run(2, 1, 3, message=message), noon)
    claims = [claim(ledger, run, noon) for _ in range(3)]
    assert [claimed.batch for claimed in claims] == [batch for batch, _ in run.batches]
    assert take(ledger, run, noon) is None
    assert ledger.is_sending(run.id)


def test_runs_do_not_claim_from_each_other(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    first, second = queued(ledger, make_run(1), noon), queued(ledger, make_run(1), noon)
    assert claim(ledger, second, noon).batch.run_id == second.id
    assert take(ledger, second, noon) is None
    assert claim(ledger, first, noon).batch.run_id == first.id


def test_threads_never_claim_the_same_batch(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    run = queued(ledger, make_run(*[1] * 60), noon)

    def work() -> list[str]:
        mine = []
        while isinstance(claimed := take(ledger, run, noon), Claim):
            mine.append(claimed.batch.id)
            ledger.record(claimed, yes(1), now=noon)
        return mine

    with ThreadPoolExecutor(6) as pool:
        workers = [pool.submit(work) for _ in range(6)]
    claimed = [batch_id for worker in workers for batch_id in worker.result()]
    assert sorted(claimed) == sorted(everyone(run))
    assert ledger.row_counts(run.id).accepted == 60


CLAIM_ALL: Final = """
import sys
from datetime import datetime
from voicebatch.ledger import AnswerLine, Claim, Ledger, Worker
from voicebatch.models import RateLimit
ledger = Ledger(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
while True:
    claimed = ledger.claim(sys.argv[2], worker=Worker.current(), limiter="limiter",
        limits=[RateLimit(requests=1000, seconds=3600)], now=datetime.fromisoformat(sys.argv[3]), lease_seconds=60.0)
    if not isinstance(claimed, Claim):
        break
    print(claimed.batch.id, flush=True)
    if len(sys.argv) > 4:
        sys.stdin.read()
"""


def start_claimer(ledger: Ledger, run: NewRun, now: datetime, *more: str) -> subprocess.Popen[str]:
    url = ledger.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIM_ALL, url, run.id, now.isoformat(), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_never_claim_the_same_batch(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(*[1] * 120), noon)
    processes = [start_claimer(ledger, run, noon) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    claimed = [line for process in processes for line in process.communicate()[0].split()]
    assert sorted(claimed) == sorted(everyone(run))


# Recording


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (UNKNOWN, RowStatus.UNKNOWN),
        (REFUSED, RowStatus.REFUSED),
        (THROTTLED, RowStatus.QUEUED),
        (NOT_SENT, RowStatus.QUEUED),
        (ACCOUNT, RowStatus.QUEUED),
    ],
)
def test_an_outcome_moves_its_rows(
    ledger: Ledger, make_run: MakeRun, noon: datetime, reply: Reply, status: RowStatus
) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = claim(ledger, run, noon)
    assert ledger.row_counts(run.id).unknown == 2  # on its way, nobody has its answer
    ledger.record(claimed, reply, now=noon)
    assert getattr(ledger.row_counts(run.id), status) == 2
    lines = [line for line in ledger.rows(run.id) if line.batch_id]
    assert {line.status for line in lines} == {status}
    assert all(line.reason.startswith(reply.reason) for line in lines)
    assert not ledger.is_sending(run.id)


def test_a_yes_is_kept_with_its_figures(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    run = queued(ledger, make_run(2, 3), noon)
    claimed, reply = claim(ledger, run, noon), yes(2, "0.1200")
    ledger.record(claimed, reply, now=noon + SECOND)
    assert reply.answer is not None
    assert ledger.charges(run.id) == [(reply.answer.charges[0], "EUR")]
    assert ledger.answers(run.id) == [
        AnswerLine(claimed.batch.id, 2, 2, Decimal("0.2400"), "EUR", Decimal("0.2400"), 2, Decimal("0.2400"))
    ]
    accepted = [line for line in ledger.rows(run.id) if line.status is RowStatus.ACCEPTED]
    assert {(line.campaign_id, line.accepted_at) for line in accepted} == {(reply.answer.campaign_id, noon + SECOND)}
    assert ledger.unit_costs(sandbox=False).units == {"33": Decimal("0.1200")}


@pytest.mark.parametrize("first", [REFUSED, "yes"])
@pytest.mark.parametrize("second", [UNKNOWN, THROTTLED, NOT_SENT, ACCOUNT])
def test_an_end_is_an_end_and_an_illegal_move_changes_nothing(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, first: Reply | str, second: Reply
) -> None:
    run = queued(ledger, make_run(2), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, first if isinstance(first, Reply) else yes(2), now=noon)
    before = (list(ledger.rows(run.id)), ledger.request_counts(run.id), ledger.charges(run.id))
    with pytest.raises(LedgerError, match="cannot go from"):
        ledger.record(claimed, second, now=noon)
    assert (list(ledger.rows(run.id)), ledger.request_counts(run.id), ledger.charges(run.id)) == before
    assert take(ledger, run, noon + timedelta(days=1)) is None


@settings(max_examples=25)
@given(st.lists(st.tuples(LONG, LONG, LONG), min_size=1, max_size=3))
def test_every_digit_survives(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, figures: list[tuple[Decimal, Decimal, Decimal]]
) -> None:
    run = queued(ledger, make_run(1, estimate=figures[0][0]), noon)
    charges = tuple(
        Charge(calling_code=str(code), country_code="XX", messages=1, unit_cost=unit, cost=cost, seconds=seconds)
        for code, (unit, cost, seconds) in enumerate(figures, start=1)
    )
    reply = yes(charges=charges)
    assert reply.answer is not None
    exact = replace(reply, answer=replace(reply.answer, cost=figures[0][1]))
    ledger.record(claim(ledger, run, noon, limiter=run.id), exact, now=noon)
    assert tuple(charge for charge, _ in ledger.charges(run.id)) == charges
    kept = [(one.unit_cost, one.cost, one.seconds) for one, _ in ledger.charges(run.id)]
    digits = [[figure.as_tuple() for figure in line] for line in kept]
    assert digits == [[figure.as_tuple() for figure in line] for line in figures]  # 0.1200 stays 0.1200
    assert ledger.answers(run.id)[0].cost == figures[0][1]


# Limits


def test_a_slot_is_freed_one_window_after_its_request_ended(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    limit = RateLimit(requests=2, seconds=10)
    run = queued(ledger, make_run(1, 1, 1), noon)
    first, second = claim(ledger, run, noon, limit), claim(ledger, run, noon, limit)
    assert wait(ledger, run, noon, limit).until == noon + SECOND  # nobody knows when they end: look again
    ledger.record(first, yes(), now=noon + 4 * SECOND)
    ledger.record(second, yes(), now=noon + 7 * SECOND)
    assert wait(ledger, run, noon + 8 * SECOND, limit).until == noon + 14 * SECOND
    assert wait(ledger, run, noon + 13.999 * SECOND, limit).until == noon + 14 * SECOND
    assert claim(ledger, run, noon + 14 * SECOND, limit).batch.ordinal == 2


def test_an_attempt_without_an_end_keeps_its_slot(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    limit = RateLimit(requests=1, seconds=10)
    run = queued(ledger, make_run(1, 1), noon)
    claim(ledger, run, noon, limit)
    later = noon + timedelta(hours=5)
    assert wait(ledger, run, later, limit).until == later + SECOND


def test_a_request_that_never_arrived_takes_no_slot_and_one_that_was_throttled_does(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    limit = RateLimit(requests=1, seconds=10)
    run = queued(ledger, make_run(1, 1), noon)
    ledger.record(claim(ledger, run, noon, limit), NOT_SENT, now=noon)
    ledger.record(
        claim(ledger, run, noon + SECOND, limit), replace(THROTTLED, wait_seconds=None), now=noon + 2 * SECOND
    )
    assert wait(ledger, run, noon + 3 * SECOND, limit).until == noon + 12 * SECOND
    assert [usage.taken for usage in ledger.usages("limiter", [limit], now=noon + 3 * SECOND)] == [1]


def test_a_limit_holds_over_all_runs_that_share_its_name(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    limit = RateLimit(requests=1, seconds=10)
    first, second = queued(ledger, make_run(1), noon), queued(ledger, make_run(1), noon)
    ledger.record(claim(ledger, first, noon, limit), yes(), now=noon)
    assert wait(ledger, second, noon, limit).until == noon + 10 * SECOND
    assert claim(ledger, second, noon, limit, limiter="another").batch.run_id == second.id


def test_the_strictest_of_several_limits_decides(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    limits = (RateLimit(requests=1, seconds=1), RateLimit(requests=2, seconds=100))
    run = queued(ledger, make_run(1, 1, 1), noon)
    ledger.record(claim(ledger, run, noon, *limits), yes(), now=noon)
    assert wait(ledger, run, noon, *limits).until == noon + SECOND
    ledger.record(claim(ledger, run, noon + SECOND, *limits), yes(), now=noon + SECOND)
    assert wait(ledger, run, noon + 2 * SECOND, *limits).until == noon + 100 * SECOND


def test_more_slots_taken_than_a_lowered_limit_has_are_all_waited_for(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(1, 1, 1, 1), noon)
    for number in range(3):
        ledger.record(claim(ledger, run, noon + number * SECOND), yes(), now=noon + number * SECOND)
    limit = RateLimit(requests=1, seconds=10)
    assert wait(ledger, run, noon + 3 * SECOND, limit).until == noon + 12 * SECOND


def test_the_providers_wish_to_wait_is_for_every_worker_and_the_longest_stands(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    first, second = queued(ledger, make_run(1, 1), noon), queued(ledger, make_run(1), noon)
    long, short = claim(ledger, first, noon), claim(ledger, first, noon)
    ledger.record(long, replace(THROTTLED, wait_seconds=30.0), now=noon)
    ledger.record(short, replace(THROTTLED, wait_seconds=5.0), now=noon)
    waited = wait(ledger, second, noon)
    assert (waited.until, waited.reason) == (noon + 30 * SECOND, "slow down")
    assert claim(ledger, second, noon, limiter="another limiter").batch.run_id == second.id
    assert claim(ledger, first, noon + 30 * SECOND).batch.ordinal == 0


def test_a_yes_may_make_everyone_wait_too(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    run = queued(ledger, make_run(1, 1), noon)
    ledger.record(claim(ledger, run, noon), replace(yes(), wait_seconds=12.0), now=noon)
    waited = wait(ledger, run, noon)
    assert waited.until == noon + 12 * SECOND
    assert "rate headers" in waited.reason


# Never arrived


def test_while_nothing_arrives_everyone_rests_as_long_again_and_then_the_run_stops(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run, now = queued(ledger, make_run(1, 1), noon), noon
    for seconds in (1, 1, 2, 4, 8):
        ledger.record(claim(ledger, run, now), NOT_SENT, now=now)
        waited = wait(ledger, run, now)
        assert waited.until == now + seconds * SECOND
        assert ledger.find(run.id).stop is None
        now = waited.until
    ledger.record(claim(ledger, run, now), NOT_SENT, now=now)
    stop = ledger.find(run.id).stop
    assert stop is not None
    assert stop.kind == "guard"
    assert take(ledger, run, now + timedelta(days=1)) is None


def test_a_run_that_is_resumed_has_all_the_patience_again(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run, tomorrow = queued(ledger, make_run(1, 1), noon), noon + timedelta(days=1)
    ledger.record(claim(ledger, run, noon), NOT_SENT, now=noon)
    ledger.join(run.id, worker=ME, now=tomorrow)
    ledger.record(claim(ledger, run, tomorrow), NOT_SENT, now=tomorrow)
    assert ledger.find(run.id).stop is None
    assert wait(ledger, run, tomorrow).until == tomorrow + SECOND


def test_an_answer_in_between_begins_the_patience_again(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run, now = queued(ledger, make_run(1), noon), noon
    for reply in [NOT_SENT, THROTTLED] * 4:
        now += timedelta(minutes=2)
        ledger.record(claim(ledger, run, now), reply, now=now)
    assert ledger.find(run.id).stop is None
    counts = ledger.request_counts(run.id)
    assert (counts.planned, counts.sent, counts.accepted) == (1, 4, 0)


# Stops


def test_the_account_stops_every_worker_and_leaves_the_rest_queued(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(1, 1, 1), noon)
    in_flight, stopped = claim(ledger, run, noon), claim(ledger, run, noon)
    ledger.record(stopped, ACCOUNT, now=noon)
    assert take(ledger, run, noon) is None
    ledger.record(in_flight, yes(), now=noon)
    stop = ledger.find(run.id).stop
    assert stop is not None
    assert (stop.kind, "0612345678" in stop.message) == ("account", False)
    counts = ledger.row_counts(run.id)
    assert (counts.queued, counts.accepted) == (2, 1)
    ledger.join(run.id, worker=ME, now=noon)
    assert ledger.find(run.id).stop is None
    assert claim(ledger, run, noon).attempt_id == f"{stopped.batch.id}.2"


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["yes", "unknown", "refused", "throttled"])), max_size=20))
def test_the_ceiling_is_never_passed_however_claims_and_answers_interleave(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, moves: list[tuple[bool, str]]
) -> None:
    ceiling, unit, now = Decimal("0.50"), "0.12", noon
    run = queued(ledger, make_run(*[1] * 10, estimate=Decimal(unit)), noon)
    replies = {"yes": yes(1, unit), "unknown": UNKNOWN, "refused": REFUSED, "throttled": THROTTLED}
    open_claims: list[Claim] = []
    may_cost = Decimal(0)
    for claims, answer in moves:
        now += SECOND
        if claims:
            claimed = take(ledger, run, now, limiter=run.id, max_cost=ceiling)
            if isinstance(claimed, Claim):
                open_claims.append(claimed)
                may_cost += Decimal(unit)
            elif may_cost + Decimal(unit) > ceiling:
                assert ledger.find(run.id).stop is not None
                ledger.join(run.id, worker=ME, now=noon)
        elif open_claims:
            ledger.record(open_claims.pop(0), replies[answer], now=now)
            may_cost -= Decimal(unit) if answer in {"refused", "throttled"} else 0
        assert may_cost <= ceiling


def test_the_ceiling_itself_may_be_reached_and_is_a_guard(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(1, 1, 1, estimate=Decimal("0.10")), noon)
    for _ in range(2):
        claim(ledger, run, noon, max_cost=Decimal("0.2"))
    assert take(ledger, run, noon, max_cost=Decimal("0.2")) is None
    stop = ledger.find(run.id).stop
    assert stop is not None
    assert stop.kind == "guard"
    assert "--max-cost 0.2" in stop.message
    assert ledger.row_counts(run.id).queued == 1


@settings(max_examples=25)
@given(LONG, LONG)
def test_a_ceiling_is_compared_to_the_last_digit(
    ledger: Ledger, make_run: MakeRun, noon: datetime, estimate: Decimal, other: Decimal
) -> None:
    run = queued(ledger, make_run(1, 1, estimate=estimate), noon)
    claim(ledger, run, noon, limiter=run.id, max_cost=max(estimate, other))
    second = take(ledger, run, noon, limiter=run.id, max_cost=max(estimate, other))
    assert isinstance(second, Claim) == (2 * Fraction(estimate) <= Fraction(max(estimate, other)))


def test_estimates_are_set_anew_for_what_is_queued_and_under_way(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(2, 3), noon)
    claim(ledger, run, noon)
    ledger.set_estimates(run.id, lambda numbers: Decimal(len(numbers)))
    assert take(ledger, run, noon, max_cost=Decimal("4.9")) is None
    assert len(claim(ledger, run, noon, max_cost=Decimal(5)).batch.numbers) == 3


def test_what_is_unknown_counts_for_the_ceiling_even_when_its_price_comes_later(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(2, 3), noon)
    ledger.record(claim(ledger, run, noon), UNKNOWN, now=noon)
    ledger.set_estimates(run.id, lambda numbers: Decimal(len(numbers)))
    assert take(ledger, run, noon, max_cost=Decimal("4.9")) is None


def test_who_opts_out_later_is_taken_out_of_what_is_queued(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(2, 2, 1), noon)
    ledger.record(claim(ledger, run, noon), yes(2), now=noon)
    before = [line for line in ledger.rows(run.id) if line.status is RowStatus.QUEUED]
    gone = {str(before[0].phone): "on the list", str(before[2].phone): "on the list"}
    taken = ledger.suppress_queued(run.id, gone)
    after = [line for line in ledger.rows(run.id) if line.status is RowStatus.QUEUED]
    assert [line.phone for line in after] == [line.phone for line in before if str(line.phone) not in gone]
    assert taken == len(before) - len(after)
    assert claim(ledger, run, noon).batch.numbers == tuple(line.phone for line in after)
    assert take(ledger, run, noon) is None
    counts = ledger.row_counts(run.id)
    assert (counts.suppressed, counts.accepted, counts.unknown) == (1 + taken, 2, len(after))


def test_a_charge_without_a_unit_still_teaches_a_price(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run, reply = queued(ledger, make_run(2), noon), yes(2, "0.5")
    assert reply.answer is not None
    bare = tuple(replace(charge, unit_cost=Decimal(0)) for charge in reply.answer.charges)
    ledger.record(claim(ledger, run, noon), replace(reply, answer=replace(reply.answer, charges=bare)), now=noon)
    assert ledger.unit_costs(sandbox=False).units == {"33": Decimal("0.5")}


def test_two_plans_of_one_moment_call_each_person_once(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    message = Message(text="this one")
    first, second, other = (
        replace(make_run(2, message=one), planned_at=noon) for one in (message, message, Message(text="x"))
    )
    queued(ledger, first, noon + SECOND)
    with pytest.raises(InputError, match="Another run"):
        ledger.enqueue(second, now=noon + 2 * SECOND)
    assert [run.id for run in ledger.all_runs()] == [first.id]
    assert ledger.enqueue(other, now=noon + 2 * SECOND)
    assert ledger.enqueue(replace(second, planned_at=None), now=noon + 2 * SECOND)


def test_a_rehearsal_is_no_contact_and_teaches_no_price(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    message = Message(text="this one")
    run = queued(ledger, replace(make_run(1, message=message), sandbox=True), noon)
    ledger.record(claim(ledger, run, noon), yes(1, "0.5"), now=noon)
    assert not list(ledger.contacts({message.id}, since=noon, sandbox=False))
    assert list(ledger.contacts({message.id}, since=noon, sandbox=True))
    assert not ledger.unit_costs(sandbox=False).units
    assert ledger.unit_costs(sandbox=True).units == {"33": Decimal("0.5")}


# Lost workers


def test_a_process_that_was_killed_loses_its_batch_at_once(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(2, 1), noon)
    process = start_claimer(ledger, run, noon, "and wait")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline().strip() == everyone(run)[0]
    assert ledger.give_up_lost(now=noon, is_gone=Worker.is_gone) == 0
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert ledger.give_up_lost(now=noon, is_gone=Worker.is_gone) == 1
    assert ledger.give_up_lost(now=noon, is_gone=Worker.is_gone) == 0
    counts = ledger.row_counts(run.id)
    assert (counts.unknown, counts.queued) == (2, 1)
    assert claim(ledger, run, noon).batch.ordinal == 1  # the lost one is never claimed again


def test_another_hosts_worker_is_believed_until_its_lease_runs_out(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(1), noon)
    claim(ledger, run, noon, worker=FAR, lease_seconds=60.0)
    assert ledger.give_up_lost(now=noon + 59.9 * SECOND, is_gone=Worker.is_gone) == 0
    assert ledger.give_up_lost(now=noon + 60 * SECOND, is_gone=Worker.is_gone) == 1
    assert ledger.row_counts(run.id).unknown == 1


def test_a_lost_requests_slot_ends_when_it_is_given_up(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    limit = RateLimit(requests=1, seconds=10)
    run = queued(ledger, make_run(1, 1), noon)
    claim(ledger, run, noon, limit, worker=FAR)
    ledger.give_up_lost(now=noon + 100 * SECOND, is_gone=Worker.is_gone)
    assert wait(ledger, run, noon + 101 * SECOND, limit).until == noon + 110 * SECOND


def test_a_late_answer_is_still_recorded_with_its_charges(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(2, 1, estimate=Decimal("0.50")), noon)
    late = claim(ledger, run, noon, worker=FAR)
    ledger.give_up_lost(now=noon + 100 * SECOND, is_gone=Worker.is_gone)
    ledger.record(late, yes(2), now=noon + 101 * SECOND)
    assert ledger.row_counts(run.id).accepted == 2
    assert [charge.cost for charge, _ in ledger.charges(run.id)] == [Decimal("0.24")]
    assert isinstance(
        take(ledger, run, noon + 102 * SECOND, max_cost=Decimal("0.74")), Claim
    )  # 0.24, not 0.50, is spent


def test_a_worker_is_written_and_read_as_itself() -> None:
    assert Worker.parse(str(ME)) == ME
    assert not ME.is_gone()
    assert replace(ME, started="0").is_gone()  # its process id came back
    assert not FAR.is_gone()


# What happened


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["yes", "unknown", "refused", "throttled", "not sent", "none"]), max_size=8))
def test_rows_charges_answers_and_counts_agree(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, outcomes: list[str]
) -> None:
    run = queued(ledger, make_run(*range(1, len(outcomes) + 1)), noon)
    replies = {"unknown": UNKNOWN, "refused": REFUSED, "throttled": THROTTLED, "not sent": NOT_SENT}
    claims = [claim(ledger, run, noon, limiter=run.id) for _ in outcomes]
    for claimed, outcome in zip(claims, outcomes, strict=True):
        reply = yes(len(claimed.batch.numbers)) if outcome == "yes" else replies.get(outcome)
        if reply:
            ledger.record(claimed, reply, now=noon)
    lines, rows, requests = list(ledger.rows(run.id)), ledger.row_counts(run.id), ledger.request_counts(run.id)
    assert len(lines) == rows.total == run.counts.total
    assert rows == RowCounts(
        total=len(lines), **{status: sum(line.status is status for line in lines) for status in RowStatus}
    )
    assert sum(answer.size for answer in ledger.answers(run.id)) == rows.accepted
    assert sum(answer.messages for answer in ledger.answers(run.id)) == rows.accepted
    assert sum(charge.messages for charge, _ in ledger.charges(run.id)) == rows.accepted
    assert requests.planned == len(outcomes)
    assert requests.accepted == len(ledger.answers(run.id)) == outcomes.count("yes")
    assert requests.unknown == outcomes.count("unknown") + outcomes.count("none")
    assert requests.refused == outcomes.count("refused")
    assert requests.sent == len(outcomes) - outcomes.count("not sent")


def test_contacts_are_by_message_window_and_status(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    message, hour = Message(text="this one"), timedelta(hours=1)
    replies = {"accepted": yes(1), "unknown": UNKNOWN, "refused": REFUSED, "sending": None}
    runs = {name: queued(ledger, make_run(1, message=message), noon) for name in [*replies, "queued"]}
    queued(ledger, make_run(1, message=Message(text="another")), noon)
    for name, reply in replies.items():
        claimed = claim(ledger, runs[name], noon + hour)
        if reply:
            ledger.record(claimed, reply, now=noon + hour)

    def contacted(since: datetime) -> dict[str, BatchStatus]:
        return {found.run_id: found.status for found in ledger.contacts({message.id}, since=since, sandbox=False)}

    sent = {runs[name].id: BatchStatus(name) for name in ("accepted", "unknown", "sending")}
    assert contacted(noon) == {**sent, runs["queued"].id: BatchStatus.QUEUED}
    waiting = {runs[name].id: BatchStatus(name) for name in ("queued", "sending")}  # however long ago
    assert contacted(noon + hour) == {**sent, **waiting}
    assert contacted(noon + hour + SECOND) == waiting
    assert list(ledger.contacts({"no such message"}, since=noon, sandbox=False)) == []
    assert [list(found.numbers) for found in ledger.contacts({message.id}, since=noon + hour, sandbox=False)] == [
        ["+33600000001"]
    ] * 4


def test_prices_are_learnt_from_charges_the_highest_per_country(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = queued(ledger, make_run(1, 1, 1), noon)
    for unit in ("0.9", "0.10", "0.1"):
        ledger.record(claim(ledger, run, noon), yes(1, unit), now=noon)
    prices = ledger.unit_costs(sandbox=False)
    assert (prices.units, prices.currency) == ({"33": Decimal("0.9")}, "EUR")


def test_two_runs_may_say_the_same_message(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    first, second = queued(ledger, make_run(1), noon), queued(ledger, make_run(1), noon)
    assert claim(ledger, first, noon).batch.message == claim(ledger, second, noon).batch.message


def test_reading_rows_does_not_keep_others_from_writing(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(3, 3), noon)
    lines = ledger.rows(run.id)
    next(lines)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, REFUSED, now=noon)
    assert len(list(lines)) == run.counts.total - 1


def test_a_worker_may_use_one_ledger_from_many_threads(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = queued(ledger, make_run(*[1] * 32), noon)
    start = threading.Barrier(16)

    def work(_: int) -> str:
        start.wait()
        return claim(ledger, run, noon).batch.id

    with ThreadPoolExecutor(16) as pool:
        claimed = list(pool.map(work, range(16)))
    assert len(set(claimed)) == 16


def test_a_plan_may_come_from_iterators(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    run = make_run(2)
    batch = Batch(id="only", run_id=run.id, ordinal=0, message=Message(audio="token"), numbers=("+33600000001",))
    row = NewRow(file=0, row=2, phone="+33600000001", status=None, reason="", batch_id="only")
    counts = RowCounts(total=1, queued=1)
    lazy = replace(run, batches=iter([NewBatch(batch, None)]), rows=iter([row]), counts=counts)
    assert ledger.enqueue(lazy, now=noon)
    assert claim(ledger, run, noon).batch == batch


def test_rows_in_columns_are_the_same_as_rows_one_by_one(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    one_by_one, other = make_run(2, 1), make_run(2, 1)
    rows = [*other.rows, NewRow(file=1, row=4, phone=None, status="rejected", reason='a "\0", é\n\\.', batch_id=None)]
    file, row, *texts = zip(*rows, strict=True)
    kept = NewRows(pa.array(file), pa.array(row), *(pa.array(map(_plain, text), pa.string()) for text in texts))
    few = [NewRows(*(column[at : at + 2] for column in kept)) for at in range(0, len(rows), 2)]
    queued(ledger, one_by_one, noon)
    queued(ledger, replace(other, rows=few), noon)
    first, second = ([*ledger.rows(run.id)] for run in (one_by_one, other))
    assert [line[:2] + line[3:5] for line in second[:-1]] == [line[:2] + line[3:5] for line in first]
    assert [line.batch_id for line in second[:3]] == [row.batch_id for row in other.rows][:3]
    assert (second[-1].phone, second[-1].reason) == (None, 'a "", é\n\\.')


def _plain(value: object) -> str | None:
    return None if value is None else str(value)
