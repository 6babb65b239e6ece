"""``import voicebatch``: the same pipeline for programs, and nothing heavy loaded before it is used."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import requests

import voicebatch
from tests.cli.desk import Desk, number
from tests.cli.provider import UNIT_COST, Provider, provide
from voicebatch.errors import InputError
from voicebatch.ledger import HostClock, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voicebatch.models import Progress

HEAVY = (
    "pandas",
    "pandera",
    "pyarrow",
    "numpy",
    "requests",
    "sqlalchemy",
    "alembic",
    "flask",
    "jinja2",
    "phonenumbers",
)
LOADED = f"import sys; print([name for name in {HEAVY!r} if name in sys.modules])"

QUIETLY = """
import contextlib, io, voicebatch.cli
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    voicebatch.cli.run({})
"""


def test_a_ledger_whose_time_is_behind_this_machines_still_knows_who_was_called_since_the_plan(desk: Desk) -> None:
    ledger = Ledger(str(desk.home / "ledger.db"))
    ledger.clock = HostClock(wall=lambda: datetime.now(UTC) - timedelta(minutes=10))
    ledger.now()
    ledger.close()
    files = [desk.home / desk.people(name, 2, first=first) for name, first in (("a.csv", 1), ("b.csv", 1))]
    files[1].write_text(files[1].read_text() + "\n")  # another export
    first, second = (
        voicebatch.plan([path], voicebatch.Message(text="Bonjour"), sandbox=True, ledger=str(desk.home / "ledger.db"))
        for path in files
    )
    assert voicebatch.send(first, sandbox=True).rows.accepted == 2
    with pytest.raises(InputError, match="Another run"):
        voicebatch.send(second, sandbox=True)


@dataclass(frozen=True, kw_only=True)
class Program:
    plan: voicebatch.Plan
    summary: voicebatch.RunSummary
    again: voicebatch.RunSummary
    resumed: voicebatch.RunSummary
    reported: voicebatch.RunSummary
    provider: Provider
    stages: list[str]
    desk: Desk


@pytest.fixture(scope="module")
def program(new_desk: Callable[..., Desk]) -> Iterator[Program]:
    desk, stages = new_desk(), list[str]()
    path = desk.home / desk.write(
        "people.csv", [("nom", "tel"), *((f"A{at}", number(at)) for at in range(40)), ("B", "x")]
    )
    ledger = str(desk.home / "ledger.sqlite")

    def watch(now: Progress) -> None:
        stages.append(now.stage)

    message = voicebatch.Message(text="Bonjour {{ nom }}", lang="fr")
    plan = voicebatch.plan([path], message, ledger=ledger, out=desk.home / "reports", batch_size=7, on_progress=watch)
    with provide() as provider, requests.Session() as session:
        session.trust_env = False
        summary = voicebatch.send(
            plan, api_key="key", base_url=provider.base_url, session=session, concurrency=1, on_progress=watch
        )
        yield Program(
            plan=plan,
            summary=summary,
            again=voicebatch.send(plan, api_key="key", base_url=provider.base_url),
            resumed=voicebatch.resume("latest", ledger=ledger, api_key="key", base_url=provider.base_url),
            reported=voicebatch.report(plan.run_id[:8], ledger=ledger, out=desk.home / "again"),
            provider=provider,
            stages=stages,
            desk=desk,
        )


def test_a_plan_gives_frames(program: Program) -> None:
    recipients, rejected = program.plan.recipients(), program.plan.rejected()
    assert list(recipients["row"]) == list(range(2, 43))
    assert Counter(recipients["status"]) == {"queued": 40, "rejected": 1}
    assert list(rejected["row"]) == [42]
    assert len(program.plan) == 40
    assert program.plan.summary().rows.queued == 40


def test_send_calls_everyone_once_and_says_what_it_cost(program: Program) -> None:
    assert program.summary.status == "complete"
    assert program.summary.rows.accepted == 40
    assert program.summary.cost == 40 * UNIT_COST == program.provider.charged
    assert Counter(program.provider.called) == Counter(number(at) for at in range(40))


def test_nothing_is_sent_again_by_send_or_resume(program: Program) -> None:
    assert program.again == program.resumed == program.summary


def test_reports_go_where_they_are_asked_to(program: Program) -> None:
    folder = program.desk.home / "again" / program.plan.run_id
    assert program.reported.report_dir == str(folder)
    assert (folder / "country_report.parquet").exists()


def test_progress_names_its_stages_in_order(program: Program) -> None:
    assert list(dict.fromkeys(program.stages)) == ["reading", "planning", "sending", "reporting"]


def test_validate_gives_its_faults_without_raising_for_bad_rows(desk: Desk) -> None:
    path = desk.home / desk.write("people.csv", "tel\n0465710001\nx\n")
    result = voicebatch.validate([path], out=desk.home / "reports")
    assert [(fault.row, fault.column) for fault in result.faults] == [(3, "tel")]
    assert isinstance(result.error, voicebatch.InputError)


@pytest.mark.parametrize(
    "options",
    [
        {"region": "ZZ"},
        {"limit": 0},
        {"batch_size": 501},
        {"rate": "5"},
        {"repeat_window": "soon"},
        {"max_invalid": "lots"},
        {"notify_url": "example.org"},
    ],
)
def test_wrong_options_are_usage_errors(desk: Desk, options: dict[str, object]) -> None:
    path = desk.home / desk.people("people.csv", 1)
    with pytest.raises(voicebatch.UsageError):
        voicebatch.plan([path], voicebatch.Message(text="x"), ledger=str(desk.home / "none"), **options)  # type: ignore[arg-type] # that's the point


def test_a_plan_that_may_not_be_sent_raises_why(desk: Desk) -> None:
    path = desk.home / desk.write("people.csv", "tel\nx\n")
    plan = voicebatch.plan([path], voicebatch.Message(text="x"), ledger=str(desk.home / "l"), out=desk.home / "r")
    with pytest.raises(voicebatch.InputError, match="1 of 1 rows"):
        voicebatch.send(plan, api_key="key")


def test_a_ceiling_needs_a_price(desk: Desk) -> None:
    path = desk.home / desk.people("people.csv", 1)
    plan = voicebatch.plan([path], voicebatch.Message(text="x"), ledger=str(desk.home / "l"), out=desk.home / "r")
    with pytest.raises(voicebatch.UsageError, match=r"\+33"):
        voicebatch.send(plan, api_key="key", max_cost=Decimal(1))
    assert not (desk.home / "l").exists()


@pytest.mark.parametrize(
    "code",
    [
        "import voicebatch",
        "import voicebatch; voicebatch.Message(text='x')",
        "import voicebatch.cli",
        QUIETLY.format(["--help"]),
        QUIETLY.format(["send", "--help"]),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{code}\n{LOADED}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert all(getattr(voicebatch, name) for name in voicebatch.__all__)
    with pytest.raises(AttributeError, match="frobnicate"):
        voicebatch.frobnicate  # noqa: B018 # asking is the test
