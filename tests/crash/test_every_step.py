"""A run is killed at every step between the plan and the reports, one after another, and each time gone on with."""

from __future__ import annotations

import itertools
import json
import random
import signal
import time
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import create_engine, text

from tests.cli.desk import until
from tests.crash.stage import PEOPLE, Ending, Kill, Stage, do_nothing
from voicebatch.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.cli.desk import Desk

SAMPLE: Final = 15  # of hundreds of steps are tried in the everyday tests


@pytest.fixture
def base_url(desk: Desk) -> Iterator[str]:
    """A sandbox in a process of its own."""
    sandbox = desk.start("sandbox", "--port", "0", "--rate", "1000000/s", "--json")
    try:
        until(lambda: sandbox.out.read_text() or sandbox.popen.poll() is not None, "the sandbox is there")
        assert sandbox.popen.poll() is None, sandbox.err.read_text()
        yield str(json.loads(sandbox.out.read_text())["base_url"])
    finally:
        sandbox.signal(signal.SIGTERM)
        sandbox.end()


@pytest.fixture
def make_stage(desk: Desk, base_url: str) -> Callable[[str], Stage]:
    """A stage for one kind of ledger."""

    def make(ledger_url: str) -> Stage:
        people = desk.home / desk.write("people.csv", PEOPLE)
        stage = Stage(home=desk.home, people=people, ledger_url=ledger_url, base_url=base_url)
        stage.warm_up()
        return stage

    return make


@pytest.fixture
def sqlite_stage(make_stage: Callable[[str], Stage], tmp_path: Path) -> Stage:
    """A stage for the everyday tests."""
    return make_stage(f"sqlite+pysqlite:///{tmp_path / 'ledger.db'}")


@pytest.mark.crash
def test_a_kill_at_any_step_calls_nobody_twice_and_loses_nobody(
    make_stage: Callable[[str], Stage], ledger_url: str, say: Callable[[str], None]
) -> None:
    began = time.monotonic()
    stage = make_stage(ledger_url)
    endings = play(stage, ((step,) for step in numbers(stage)))
    say(figures(endings, time.monotonic() - began))
    assert broken(endings) == {}
    assert [ending.kills[0] for ending in endings if ending.unknown] == in_doubt(endings)


@pytest.mark.crash
def test_a_second_kill_while_the_run_goes_on_calls_nobody_twice_and_loses_nobody(
    make_stage: Callable[[str], Stage], ledger_url: str, say: Callable[[str], None]
) -> None:
    began, dice = time.monotonic(), random.Random(0)  # noqa: S311 # any steps will do, and the same ones every time
    stage = make_stage(ledger_url)
    steps = numbers(stage)
    endings = play(stage, ((step, dice.choice(steps)) for step in steps[::3]))
    say(figures(endings, time.monotonic() - began))
    assert broken(endings) == {}
    assert any(len(ending.kills) > 1 for ending in endings)


def test_a_kill_at_some_steps_calls_nobody_twice_and_loses_nobody(sqlite_stage: Stage) -> None:
    steps = numbers(sqlite_stage)
    assert broken(play(sqlite_stage, ((step,) for step in steps[:: len(steps) // SAMPLE]))) == {}


def test_a_ledger_that_queues_again_what_is_lost_is_found_out(sqlite_stage: Stage) -> None:
    step = sqlite_stage.steps().index("after the answer") + 1
    (ending,) = play(sqlite_stage, [(step,)], alter=queue_what_is_lost)
    assert any(fault.startswith("called 2 times") for fault in ending.faults)


def test_reports_that_leave_somebody_out_are_found_out(sqlite_stage: Stage) -> None:
    (ending,) = play(sqlite_stage, [(1,)], alter=forget_a_row)
    assert any(fault.startswith("lost: row") for fault in ending.faults)


def numbers(stage: Stage) -> range:
    """Of all steps."""
    steps = range(1, len(stage.steps()) + 1)
    assert len(steps) > 100
    return steps


def play(stage: Stage, kills: Iterable[tuple[int, ...]], *, alter: Callable[[], None] = do_nothing) -> list[Ending]:
    """Plays the run with kills at these steps, one time after another."""
    return [stage.play(*steps, alter=alter) for steps in kills]


def in_doubt(endings: Sequence[Ending]) -> list[Kill]:
    """The kills after which nobody can know whether people were called.

    From the end of the transaction that claims a batch to the commit of the one that records its answer.
    """
    kills, found, answered, doubt = [ending.kills[0] for ending in endings], list[Kill](), False, False
    for kill, following in itertools.pairwise(kills):
        doubt = doubt or following.what == "before the request"
        answered = (answered or kill.what == "after the answer") and doubt
        found += [kill] if doubt else []
        doubt = doubt and not (answered and kill.what == "before COMMIT")
    return found


def queue_what_is_lost() -> None:
    """The mistake that all this is there to find: a request without an answer is sent again."""

    def give_up_lost(self: Ledger, **_: object) -> int:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            done = connection.execute(text("UPDATE batches SET status = 'queued' WHERE status = 'sending'"))
        engine.dispose()
        return done.rowcount

    Ledger.give_up_lost = give_up_lost  # type: ignore[method-assign]


def forget_a_row() -> None:
    """The other mistake: somebody is in no report."""
    rows = Ledger.rows
    Ledger.rows = lambda self, run_id: itertools.islice(rows(self, run_id), 1, None)  # type: ignore[method-assign]


def broken(endings: Sequence[Ending]) -> dict[str, list[str]]:
    """What went wrong, by the steps of the kills."""
    return {str(ending.kills): ending.faults for ending in endings if ending.faults}


def figures(endings: Sequence[Ending], seconds: float) -> str:
    """The line for whoever watches."""
    return (
        f"{sum(len(ending.kills) for ending in endings)} kills at {len(endings)} steps, {seconds:.0f} s: "
        f"{len(broken(endings))} broken, {sum(ending.unknown > 0 for ending in endings)} with somebody unknown, "
        f"{sum(ending.uncalled > 0 for ending in endings)} of them with somebody who was not called"
    )
