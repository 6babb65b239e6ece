"""Two plans of one moment: neither could know of the other, and nobody is called by both. On every ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest

from tests.ledger.moves import (
    BAD_NUMBER,
    REFUSED,
    SECOND,
    THROTTLED,
    UNKNOWN,
    MakeRun,
    Yes,
    claim,
    everyone,
    numbers_of,
    queued,
    settle,
    statuses,
    take,
)
from voicebatch.errors import InputError
from voicebatch.ledger import Ledger, NewRun
from voicebatch.models import Message, Reply, RequestCounts, RowStatus, Verdict

SAME: Final = Message(text="this one")


def planned(make_run: MakeRun, at: datetime, *sizes: int, message: Message = SAME) -> NewRun:
    """The people of all these runs are the same, as far as there are."""
    return replace(make_run(*sizes, message=message, documents={"rejected.csv": b"x"}), planned_at=at)


def test_whom_another_run_queued_meanwhile_is_suppressed_and_the_rest_goes(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    first, second = planned(make_run, noon, 3), planned(make_run, noon, 2, 2, 2)
    queued(ledger, first, noon + SECOND)
    queued(ledger, second, noon + 2 * SECOND)
    assert statuses(ledger, second) == [RowStatus.SUPPRESSED] * 3 + [RowStatus.QUEUED] * 3
    lines = [line for line in ledger.rows(second.id) if line.file == 0]
    assert [line.reason for line in lines] == [f"the same message is queued in run {first.id}"] * 3 + [""] * 3
    assert [line.batch_id for line in lines][:3] == [None] * 3
    rows = ledger.row_counts(second.id)
    assert (rows.total, rows.rejected, rows.suppressed, rows.queued) == (8, 1, 1 + 3, 3)
    assert ledger.request_counts(second.id).planned == 2
    claims = [claim(ledger, second, noon + 3 * SECOND).batch for _ in range(2)]
    assert [batch.id for batch in claims] == everyone(second)[1:]
    assert [number for batch in claims for number in batch.numbers] == numbers_of(second)[3:]
    assert take(ledger, second, noon + 3 * SECOND) is None


def test_when_all_of_them_are_taken_nothing_is_in_the_ledger(ledger: Ledger, make_run: MakeRun, noon: datetime) -> None:
    first, second = planned(make_run, noon, 5), planned(make_run, noon, 2, 2)
    queued(ledger, first, noon + SECOND)
    with pytest.raises(InputError, match="Another run") as raised:
        ledger.enqueue(second, now=noon + 2 * SECOND)
    assert "voicebatch runs" in raised.value.hint
    assert [run.id for run in ledger.all_runs()] == [first.id]
    assert ledger.with_key(second.key) is None
    assert list(ledger.rows(second.id)) == []
    assert ledger.request_counts(second.id) == RequestCounts()
    assert ledger.enqueue(replace(second, planned_at=noon + timedelta(days=31)), now=noon + timedelta(days=31)) is True


@pytest.mark.parametrize("difference", ["message", "sandbox", "no window"])
def test_another_message_a_rehearsal_and_a_plan_that_allows_it_are_no_overlap(
    ledger: Ledger, make_run: MakeRun, noon: datetime, difference: str
) -> None:
    queued(ledger, planned(make_run, noon, 3), noon + SECOND)
    second = {
        "message": planned(make_run, noon, 3, message=Message(text="another")),
        "sandbox": replace(planned(make_run, noon, 3), sandbox=True),
        "no window": replace(planned(make_run, noon, 3), planned_at=None),
    }[difference]
    assert statuses(ledger, queued(ledger, second, noon + SECOND)) == [RowStatus.QUEUED] * 3


@pytest.mark.parametrize(
    ("reply", "is_taken"),
    [
        ("sending", True), ("yes", True), (UNKNOWN, True), (THROTTLED, True), ("sent", True), ("requeued", True),
        (REFUSED, False), ("not sent", False), ("opted out", False),
    ],
)  # fmt: skip
def test_whoever_may_be_called_by_the_other_run_is_taken(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, reply: Reply | str, *, is_taken: bool
) -> None:
    first, second, now = planned(make_run, noon, 2), planned(make_run, noon, 2, 1), noon + SECOND
    queued(ledger, first, now)
    if reply == "opted out":
        ledger.suppress_queued(first.id, dict.fromkeys(numbers_of(first), "on the list"))
    else:
        claimed = claim(ledger, first, now)
        if reply != "sending":
            real = reply if isinstance(reply, Reply) else yes(2) if reply == "yes" else UNKNOWN
            ledger.record(claimed, real, now=now)
    if reply in {"sent", "not sent", "requeued"}:
        settle(ledger, first, Verdict.SENT if reply == "sent" else Verdict.NOT_SENT, now, requeue=reply == "requeued")
    queued(ledger, second, now + SECOND)
    status = RowStatus.SUPPRESSED if is_taken else RowStatus.QUEUED
    assert statuses(ledger, second) == [status, status, RowStatus.QUEUED]


def test_the_parts_of_a_split_batch_are_taken_and_the_refused_number_is_not(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    first, second = planned(make_run, noon, 4), planned(make_run, noon, 4)
    queued(ledger, first, noon + SECOND)
    bad = numbers_of(first)[2]
    ledger.record(claim(ledger, first, noon + SECOND), replace(BAD_NUMBER, reason=f"{bad} is wrong"), now=noon + SECOND)
    queued(ledger, second, noon + SECOND)
    assert statuses(ledger, second) == [
        RowStatus.QUEUED if number == bad else RowStatus.SUPPRESSED for number in numbers_of(second)
    ]


def test_a_run_that_was_being_added_while_the_plan_was_made_is_seen(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    """Millions of rows take a minute: the run is older than the plan, which could not see it yet."""
    minute = timedelta(minutes=1)
    first, second = planned(make_run, noon - 2 * minute, 1, 1), planned(make_run, noon, 3)
    queued(ledger, first, noon - minute)
    ledger.record(claim(ledger, first, noon + SECOND), yes(1), now=noon + SECOND)
    queued(ledger, second, noon + 2 * SECOND)
    assert statuses(ledger, second) == [RowStatus.SUPPRESSED] * 2 + [RowStatus.QUEUED]


def test_whom_the_plan_knew_to_be_called_is_its_own_affair(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    """Its window was so short that they may be called again."""
    minute = timedelta(minutes=1)
    first = queued(ledger, planned(make_run, noon, 1), noon)
    ledger.record(claim(ledger, first, noon), yes(1), now=noon)
    second = queued(ledger, planned(make_run, noon + minute, 1), noon + minute)
    assert statuses(ledger, second) == [RowStatus.QUEUED]


def test_a_batch_that_lost_some_still_counts_with_its_whole_estimate(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    queued(ledger, planned(make_run, noon, 1), noon)
    second = make_run(2, message=SAME, estimate=Decimal("0.24"))
    queued(ledger, replace(second, planned_at=noon), noon)
    assert take(ledger, second, noon, max_cost=Decimal("0.23")) is None
    assert claim(ledger, second, noon, max_cost=Decimal("0.24")).batch.numbers == (numbers_of(second)[1],)


def test_plans_that_are_sent_at_the_same_moment_queue_everybody_once(
    ledger: Ledger, ledger_url: str, make_run: MakeRun, noon: datetime
) -> None:
    other = Ledger(ledger_url)
    runs = [planned(make_run, noon, *sizes) for sizes in [(3, 3, 3), (1,), (5,), (2, 2), (9,), (4, 4, 4), (12,), (7,)]]

    def send(at: int) -> NewRun | None:
        try:
            assert (ledger, other)[at % 2].enqueue(runs[at], now=noon)
        except InputError:
            return None
        return runs[at]

    with ThreadPoolExecutor(len(runs)) as pool:
        sent = [run for run in pool.map(send, range(len(runs))) if run]
    other.close()
    assert sorted(run.id for run in ledger.all_runs()) == sorted(run.id for run in sent)
    assert called(ledger, sent, noon) == Counter(numbers_of(runs[6]))
    for run in sent:
        rows = ledger.row_counts(run.id)
        assert rows.total == run.counts.total == rows.rejected + rows.suppressed + rows.unknown


def called(ledger: Ledger, runs: Sequence[NewRun], now: datetime) -> Counter[str]:
    """Claims all there is."""
    people = Counter[str]()
    for run in runs:
        for _ in range(ledger.queued_requests(run.id)):
            people.update(claim(ledger, run, now).batch.numbers)
    return people
