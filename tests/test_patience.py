"""Who does not want to wait for the limit: a scheduler that has other work for its workers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import select, update

import voicebatch
from voicebatch import app
from voicebatch.app.limits import limiter_of
from voicebatch.ledger import Ledger
from voicebatch.ledger.tables import clocks
from voicebatch.models import Channel, RateLimit, RunSummary
from voicebatch.sandbox import Sandbox, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY: Final = "any key of the sandbox"
HOUR: Final = timedelta(hours=1)
SECOND: Final = timedelta(seconds=1)  # two clocks are read one after the other
IMPATIENT: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Desk:
    """A plan of some people in a ledger, and where to send it."""

    run_id: str
    ledger_url: str
    base_url: str
    folder: Path

    def go_on(self, **how: Any) -> RunSummary:
        asked: dict[str, Any] = {
            "patience": IMPATIENT,
            "reports": False,
            "base_url": self.base_url,
            "ledger": self.ledger_url,
        } | how
        return voicebatch.resume(self.run_id, api_key=KEY, **asked)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serve() as served:
        yield served


def planned(folder: Path, ledger_url: str, base_url: str, *, people: int) -> Desk:
    (folder / "people.csv").write_text(
        "".join(["telephone,nom\n", *(f"+334657100{at:02},n{at}\n" for at in range(people))])
    )
    message = voicebatch.Message(text="Bonjour {{ nom }}.")
    plan = voicebatch.plan([folder / "people.csv"], message, ledger=ledger_url, out=folder / "reports")
    return Desk(app.enqueue(plan, base_url=base_url).id, ledger_url, base_url, folder)


def test_the_work_ends_where_the_limit_makes_it_wait_and_says_until_when(
    sandbox: Sandbox, tmp_path: Path, ledger_url: str
) -> None:
    desk, begun = planned(tmp_path, ledger_url, sandbox.base_url, people=4), datetime.now(UTC)

    summary = desk.go_on(rate="2/1h")
    assert (summary.rows.accepted, summary.rows.queued) == (2, 2)
    assert summary.waits_until is not None
    assert begun + HOUR <= summary.waits_until <= datetime.now(UTC) + HOUR
    assert summary.waits_for == "the limit of 2 requests in 3600 s is reached"
    assert not (tmp_path / "reports").exists()

    again = desk.go_on(rate="2/1h")
    assert again.rows == summary.rows
    assert again.waits_until is not None
    assert abs(again.waits_until - summary.waits_until) < SECOND
    assert len(sandbox.calls) == 2


def test_it_is_worth_coming_back_for_a_share_of_the_limit_not_for_one_request(
    sandbox: Sandbox, tmp_path: Path, ledger_url: str
) -> None:
    desk = planned(tmp_path, ledger_url, sandbox.base_url, people=45)

    summary = desk.go_on(rate="40/1h")
    assert summary.rows.queued == 5
    assert summary.waits_until is not None
    limiter, limits = limiter_of(Channel.VOICE_SMS, sandbox.base_url), [RateLimit(requests=40, seconds=3600)]
    with contextlib.closing(Ledger(ledger_url)) as ledger:
        free = [ledger.room_at(limiter, limits, wanted, now=ledger.now()) for wanted in (1, 2, 3, 40, 1000)]
    assert free == sorted(free)
    assert abs(free[1] - summary.waits_until) < SECOND
    assert free[3] == free[4]  # no more than the limit allows


def test_nobody_waits_when_everybody_is_called(sandbox: Sandbox, tmp_path: Path, ledger_url: str) -> None:
    summary = planned(tmp_path, ledger_url, sandbox.base_url, people=2).go_on(rate="2/1h")
    assert summary.rows.accepted == 2
    assert summary.waits_until is None


def test_the_providers_own_wish_to_wait_is_one_too(tmp_path: Path, ledger_url: str) -> None:
    with serve(rate_limit=RateLimit(requests=1, seconds=600)) as sandbox:
        summary = planned(tmp_path, ledger_url, sandbox.base_url, people=2).go_on(rate="100/1h", concurrency=1)
    assert (summary.rows.accepted, summary.rows.queued) == (1, 1)
    assert summary.waits_until is not None
    assert summary.waits_until > datetime.now(UTC) + timedelta(minutes=8)
    assert "the limit of" not in summary.waits_for


def test_a_provider_that_is_not_there_is_found_out_without_patience(tmp_path: Path, ledger_url: str) -> None:
    with serve() as gone:
        base_url = gone.base_url
    summary = planned(tmp_path, ledger_url, base_url, people=1).go_on(patience=timedelta(seconds=0.1))
    assert summary.stop is not None
    assert "cannot be reached" in summary.stop.message
    assert summary.waits_until is None
    assert summary.rows.queued == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_when_to_come_back_is_told_by_this_machines_clock_not_by_the_ledgers(
    sandbox: Sandbox, tmp_path: Path, hours: int
) -> None:
    ledger_url = str(tmp_path / "ledger.sqlite")
    desk = planned(tmp_path, ledger_url, sandbox.base_url, people=3)
    with contextlib.closing(Ledger(ledger_url)) as ledger, ledger._write() as connection:
        began_at = connection.execute(select(clocks.c.began_at)).scalar_one()
        connection.execute(update(clocks).values(began_at=began_at + timedelta(hours=hours)))

    summary = desk.go_on(rate="2/10m")
    assert summary.rows.queued == 1
    assert summary.waits_until is not None
    assert timedelta(minutes=9) < summary.waits_until - datetime.now(UTC) <= timedelta(minutes=10)
