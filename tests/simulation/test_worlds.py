"""Thousands of simulated worlds, and worlds in which a rule is broken on purpose: those have to fail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import select, update

from tests.simulation.world import Crash
from voicebatch.ledger import Ledger, queue, recording
from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import attempts, batches
from voicebatch.models import BatchStatus, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.world import World

    Tell = Callable[[int], World]

AT_ONCE: Final = 50
WORLDS: Final = int(os.environ.get("VOICEBATCH_WORLDS", "10000"))
SEED: Final = os.environ.get("VOICEBATCH_SEED")
FEW: Final = 100


def test_in_some_worlds_all_promises_hold(tell: Tell) -> None:
    for seed in range(FEW):
        tell(seed)


@pytest.mark.sim
@pytest.mark.parametrize("first", [int(SEED)] if SEED else range(FEW, WORLDS, AT_ONCE))
def test_in_thousands_of_worlds_all_promises_hold(tell: Tell, first: int) -> None:
    for seed in [first] if SEED else range(first, min(first + AT_ONCE, WORLDS)):
        tell(seed)


def test_a_seed_tells_the_same_story_again(tell: Tell) -> None:
    for seed in (3, 7, 11):
        assert tell(seed).trace == tell(seed).trace


def test_the_worlds_have_everything_in_them(tell: Tell) -> None:
    stories = "\n".join("\n".join(tell(seed).trace) for seed in range(FEW))
    for event in (
        "is killed", "boots", "clock set", "told to stop", "never leaves", "does not", "reset", "unreadable", " 503 ",
        " 500 ", " 403 ", " 400 ", " 429 ",
    ):  # fmt: skip
        assert event in stories


# A rule broken on purpose


def _stamp_the_slot_when_it_is_taken(patch: pytest.MonkeyPatch) -> None:
    """The limit is counted from when a request leaves, not from when it ended."""

    def end_of_slot(attempt: Any, *_: object) -> Any:
        return attempt.started_at

    patch.setattr(recording, "_end_of_slot", end_of_slot)


def _queue_a_lost_batch_again(patch: pytest.MonkeyPatch) -> None:
    """Whoever finds the batch of a dead worker takes it over."""
    lose = queue._lose

    def lose_and_queue(connection: Any, attempt: Any, now: Any) -> None:
        lose(connection, attempt, now)
        connection.execute(update(batches).where(batches.c.id == attempt.batch_id).values(status=BatchStatus.QUEUED))

    patch.setattr(queue, "_lose", lose_and_queue)


def _retry_a_read_time_out(patch: pytest.MonkeyPatch) -> None:
    """No answer, so it is sent again."""
    patch.setitem(recording._NEXT, Outcome.UNKNOWN, BatchStatus.QUEUED)


def _record_outside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """The answer is committed, then the batch that it is for; and a process may die in between."""
    record, deaths = Ledger.record, iter(range(10**9))

    def record_in_two(self: Ledger, claim: Any, reply: Any, **how: Any) -> int:
        if next(deaths) % 10:
            return record(self, claim, reply, **how)
        with databases.transaction(self._engine) as connection:
            attempt = connection.execute(select(attempts).where(attempts.c.id == claim.attempt_id)).one()
            ended = recording._attempt_end(reply, how["now"])
            connection.execute(queue.SET_ATTEMPT, {"of_attempt": attempt.id, **ended})
        raise Crash

    patch.setattr(Ledger, "record", record_in_two)


@pytest.mark.parametrize(
    ("break_it", "what_happens"),
    [
        (_stamp_the_slot_when_it_is_taken, "was broken at"),
        (_queue_a_lost_batch_again, "called twice"),
        (_retry_a_read_time_out, "called twice"),
        (_record_outside_the_transaction, "does not end|turns in circles|without its batch|forgotten"),
    ],
)
def test_breaking_a_rule_makes_the_worlds_fail(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None], what_happens: str
) -> None:
    def tell_some() -> None:
        for seed in range(FEW):
            tell(seed)

    break_it(monkeypatch)
    with pytest.raises(AssertionError, match=what_happens):
        tell_some()
