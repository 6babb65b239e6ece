"""Thousands of simulated worlds, and worlds in which a rule is broken on purpose: those have to fail."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import select, update

from tests.simulation.callbacks import Crash, Listener
from voicebatch.ledger import Ledger, delivering, queue, recording
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
        " 500 ", " 403 ", " 400 ", " 429 ", "callbacks come in", "listener dies", "called back about at last",
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


def _queue_what_is_called_back_about(patch: pytest.MonkeyPatch) -> None:
    """A callback for a request that nobody knows of is a reason to send it."""

    def queue_it(connection: Any, batch: Any, *_: object) -> int:
        connection.execute(queue.SET_BATCH, {"of_batch": batch.id, "status": BatchStatus.QUEUED})
        return int(batch.size)

    patch.setattr(queue, "_accept", queue_it)


def _let_a_callback_wait_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """One that came before the answer was lost is forgotten then."""
    accept = queue.accept_if_called

    def accept_now_or_never(connection: Any, batch: Any, *, ended: bool = False) -> int:
        return 0 if ended else accept(connection, batch)

    patch.setattr(queue, "accept_if_called", accept_now_or_never)


def _believe_a_person_more(patch: pytest.MonkeyPatch) -> None:
    """What somebody settled stays as it is, whatever is called back."""
    accept = delivering._accept

    def accept_what_is_unknown(connection: Any, attempt: Any, now: Any) -> int:
        settled = select(batches.c.settled).where(batches.c.id == attempt.batch_id)
        return 0 if connection.execute(settled).scalar() else accept(connection, attempt, now)

    patch.setattr(delivering, "_accept", accept_what_is_unknown)


def _let_whatever_comes_last_count(patch: pytest.MonkeyPatch) -> None:
    """Of a number's callbacks the latest to come in is its last word."""
    serial = itertools.count()
    patch.setattr(delivering._Read, "rank", property(lambda _: f"{next(serial):050}"))


def _call_back_before_it_is_kept(patch: pytest.MonkeyPatch) -> None:
    """A listener says yes, and then writes; and dies in between."""

    def say_yes_first(self: Listener, some: Any) -> bool:
        with contextlib.suppress(Crash), self._perhaps_dying():
            self.ledger.take_callbacks([word.callback for word in some], now=self.ledger.now())
        self._note(some)
        return True

    patch.setattr(Listener, "take", say_yes_first)


@pytest.mark.parametrize(
    ("break_it", "what_happens"),
    [
        (_stamp_the_slot_when_it_is_taken, "was broken at"),
        (_queue_a_lost_batch_again, "called twice"),
        (_retry_a_read_time_out, "called twice"),
        (_record_outside_the_transaction, "does not end|turns in circles|without its batch|forgotten"),
        (_queue_what_is_called_back_about, "after a callback|called twice"),
        (_let_a_callback_wait_for_nothing, "unknown, and called back"),
        (_believe_a_person_more, "after a callback|cancelled, and called|unknown, and called back"),
        (_let_whatever_comes_last_count, "not the last word"),
        (_call_back_before_it_is_kept, "after a callback|and called back|not the last word"),
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
