"""The slots of the credit's limit, which all processes of a ledger share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from tests.ledger.moves import SECOND, MakeRun, claim, queued
from voicebatch.ledger import Ledger
from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import lookups
from voicebatch.models import Message, RateLimit

LIMIT: Final = RateLimit(requests=2, seconds=60)
LEASE: Final = 30.0
WINDOW: Final = timedelta(seconds=60)


def begin(ledger: Ledger, now: datetime, limiter: str = "credit host") -> int | datetime:
    return ledger.begin_lookup(limiter, LIMIT, lease_seconds=LEASE, now=now)


def begun(ledger: Ledger, now: datetime, limiter: str = "credit host") -> int:
    slot = begin(ledger, now, limiter)
    assert isinstance(slot, int)
    return slot


def test_a_slot_is_free_one_window_after_its_look_up_ended(ledger: Ledger, noon: datetime) -> None:
    first, second = begun(ledger, noon), begun(ledger, noon)
    ledger.end_lookup(first, now=noon + 3 * SECOND)
    ledger.end_lookup(second, now=noon + 5 * SECOND)
    assert begin(ledger, noon + 10 * SECOND) == noon + 3 * SECOND + WINDOW
    assert begin(ledger, noon + 2 * SECOND + WINDOW) == noon + 3 * SECOND + WINDOW
    begun(ledger, noon + 3 * SECOND + WINDOW)
    assert begin(ledger, noon + 4 * SECOND + WINDOW) == noon + 5 * SECOND + WINDOW


def test_a_look_up_without_an_end_gives_its_slot_back_when_it_must_be_over(ledger: Ledger, noon: datetime) -> None:
    begun(ledger, noon)
    begun(ledger, noon)
    over = noon + timedelta(seconds=LEASE)
    assert begin(ledger, over) == over + WINDOW
    begun(ledger, over + WINDOW)


def test_limiters_do_not_take_each_others_slots(ledger: Ledger, noon: datetime) -> None:
    for limiter in ("credit one", "credit two"):
        begun(ledger, noon, limiter)
        begun(ledger, noon, limiter)
        assert isinstance(begin(ledger, noon, limiter), datetime)


def test_the_providers_word_on_waiting_counts_for_all(ledger: Ledger, noon: datetime) -> None:
    ledger.end_lookup(begun(ledger, noon), wait_seconds=500, now=noon)
    ledger.end_lookup(begun(ledger, noon + 500 * SECOND), wait_seconds=7, now=noon + 501 * SECOND)
    assert begin(ledger, noon + 502 * SECOND) == noon + 508 * SECOND
    begun(ledger, noon + 508 * SECOND)


def test_what_is_older_than_a_day_is_forgotten(ledger: Ledger, noon: datetime) -> None:
    begun(ledger, noon)
    begun(ledger, noon + timedelta(days=2))
    with databases.transaction(ledger._engine, write=False) as connection:
        assert connection.execute(select(func.count()).select_from(lookups)).scalar_one() == 1


def test_no_two_take_the_last_slot(ledger: Ledger, noon: datetime) -> None:
    with ThreadPoolExecutor(8) as pool:
        slots = list(pool.map(lambda _: begin(ledger, noon), range(8)))
    assert len([slot for slot in slots if isinstance(slot, int)]) == LIMIT.requests


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 29)), max_size=15))
def test_no_window_ever_has_more_look_ups_than_allowed(
    ledger: Ledger, noon: datetime, asked: list[tuple[int, int]]
) -> None:
    """Whenever within a look-up the provider counts it."""
    limiter, now, spans = f"credit {len(asked)} {asked}", noon, list[tuple[datetime, datetime]]()
    for pause, lasts in asked:
        now += pause * SECOND
        slot = begin(ledger, now, limiter)
        if isinstance(slot, int):
            ended = now + lasts * SECOND
            ledger.end_lookup(slot, now=ended)
            spans.append((now, ended))
    for begun_at, _ in spans:
        others = [ended for before, ended in spans if before < begun_at and ended > begun_at - WINDOW]
        assert len(others) < LIMIT.requests


def test_the_recordings_that_are_still_to_be_played_are_counted(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    plan = make_run(2, 3, 1, message=Message(audio="one"))
    *first, last = plan.batches
    last = last._replace(batch=replace(last.batch, message=Message(audio="two")))
    run = queued(ledger, replace(plan, batches=[*first, last]), noon)
    assert ledger.queued_recordings(run.id) == {"one": 5, "two": 1}
    claim(ledger, run, noon)
    assert ledger.queued_recordings(run.id) == {"one": 3, "two": 1}
    assert ledger.queued_recordings(queued(ledger, make_run(1), noon).id) == {}
