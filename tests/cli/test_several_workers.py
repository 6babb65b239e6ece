"""``--workers``: one command, several processes on one run; whoever is killed or stopped, nobody is called twice."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests

import voicebatch
from tests.cli import provider as act
from tests.cli.desk import API_KEY, Desk, Process, Result, number, until
from tests.cli.provider import Provider, provide
from voicebatch.app import workers as app_workers
from voicebatch.ledger import Ledger, Worker
from voicebatch.models import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

crash = pytest.mark.crash
TEXT = ("--text", "Bonjour", "--batch-size", "1")


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, new_desk: Callable[..., Desk]) -> Desk:
    """A machine whose ledger is a file, and one whose ledger is on a server."""
    if request.param == "sqlite":
        return new_desk()
    return new_desk(VOICEBATCH_LEDGER=request.getfixturevalue("postgresql_url"))


def everyone_once(people: int) -> Counter[str]:
    return Counter(number(at) for at in range(1, people + 1))


def how(provider: Provider, *more: str) -> tuple[str, ...]:
    return ("--base-url", provider.base_url, "--yes", "--json", "--concurrency", "1", *more)


def hands(process: Process) -> list[psutil.Process]:
    """The processes of its workers."""
    return psutil.Process(process.popen.pid).children()


def workers(desk: Desk) -> list[dict[str, Any]]:
    """Those that the run's story tells of."""
    found: list[dict[str, Any]] = desk.run("runs", "show", "latest", "--json").json["story"]["workers"]
    return found


def is_there(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def held(desk: Desk, provider: Provider, count: int, *more: str) -> Process:
    """Two workers at work, with so many requests held back."""
    process = desk.start("send", "people.csv", *TEXT, *how(provider, "--workers", "2", *more))
    until(lambda: len(provider.requests) >= count or process.popen.poll() is not None, f"{count} requests")
    return process


def test_three_workers_share_a_run_and_the_key_is_in_no_process_list(new_place: Desk) -> None:
    new_place.people("people.csv", 12)
    with provide(act.meet, act.meet, act.meet) as provider:  # three at once: no two of them can do that
        provider.together = threading.Barrier(4)  # and we
        process = new_place.start("send", "people.csv", *TEXT, *how(provider, "--workers", "3"))
        until(lambda: len(provider.requests) == 3, "three requests")
        seen = [" ".join([*hand.cmdline(), *hand.environ().values()]) for hand in hands(process)]
        provider.together.wait(60)
        result = process.end()
        assert Counter(provider.called) == everyone_once(12)
    assert (result.code, result.json["status"], result.json["requests"]["sent"]) == (0, "complete", 12)
    assert len(seen) == 3
    assert not any(API_KEY in one or "postgresql://" in one for one in seen)
    assert new_place.statuses(result.json["report_dir"]) == {"accepted": 12}
    told = workers(new_place)
    assert all(worker["left_at"] for worker in told)
    assert [worker["requests"] > 0 for worker in told] == [False, True, True, True]  # the command itself sends nothing


def test_a_rehearsal_s_workers_send_to_one_sandbox_which_calls_back(desk: Desk) -> None:
    desk.people("people.csv", 40)
    how = ("--sandbox", "--callbacks", "--yes", "--json", "--workers", "2", "--rate", "20/1s")
    result = desk.run("send", "people.csv", *TEXT, *how)
    assert (result.code, result.json["rows"]["accepted"]) == (0, 40)
    assert result.json["deliveries"]["pending"] == 0
    assert result.json["requests"]["retried"] == 0


def test_what_stops_one_stops_all_and_the_code_is_as_ever(desk: Desk) -> None:
    desk.people("people.csv", 30)
    with provide(*[act.refuse("11")] * 30) as provider:
        result = desk.run("send", "people.csv", *TEXT, *how(provider, "--workers", "3"))
        assert len(provider.requests) <= 3
    assert (result.code, result.error["kind"], result.json["rows"]["queued"]) == (6, "account", 30)


def test_the_ceiling_is_that_of_all_of_them(desk: Desk) -> None:
    desk.people("people.csv", 30)
    desk.write("prices.csv", f"calling_code,unit_cost,currency\n33,{act.UNIT_COST},EUR\n")
    ceiling = ("--max-cost", str(10 * act.UNIT_COST), "--price-table", "prices.csv")
    with provide() as provider:
        result = desk.run("send", "people.csv", *TEXT, *how(provider, "--workers", "3"), *ceiling)
        assert len(provider.called) == 10
    assert (result.code, result.json["rows"]["accepted"], result.json["rows"]["queued"]) == (7, 10, 20)


def test_the_ceiling_stands_while_they_are_being_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people.csv").write_text("telephone\n" + "".join(f"{number(at)}\n" for at in range(1, 21)))
    (tmp_path / "prices.csv").write_text("calling_code,unit_cost,currency\n33,0.0450,EUR\n")
    ledger = str(tmp_path / "ledger.sqlite")
    made: dict[str, Any] = {
        "sandbox": True,
        "ledger": ledger,
        "price_table": tmp_path / "prices.csv",
        "out": tmp_path,
        "batch_size": 1,
    }
    plan = voicebatch.plan([tmp_path / "people.csv"], voicebatch.Message(text="Bonjour"), **made)
    start = app_workers._start

    def start_late() -> subprocess.Popen[bytes]:
        with contextlib.closing(Ledger(ledger)) as book:  # somebody joins meanwhile, who names no ceiling
            book.join(plan.run_id, worker=Worker("elsewhere", 1, "1"), now=book.now(), max_cost=None)
        return start()

    monkeypatch.setattr(app_workers, "_start", start_late)
    summary = voicebatch.send(plan, sandbox=True, workers=2, max_cost=Decimal("0.10"))
    assert (summary.rows.accepted, summary.rows.queued) == (2, 18)


def test_a_ledger_that_is_lost_under_them_ends_the_command_as_ever(desk: Desk) -> None:
    desk.people("people.csv", 8)
    with provide(act.hold, act.hold) as provider:
        process = held(desk, provider, 2, "--ledger", "ledger.sqlite")
        (desk.home / "ledger.sqlite").rename(desk.home / "elsewhere.sqlite")
        provider.release.set()
        result = process.end()
        assert len(provider.requests) == 2
    assert result.code == 8
    assert "was deleted or replaced" in result.error["message"]


@crash
def test_a_worker_that_is_killed_stops_nobody_and_what_it_had_is_unknown_at_once(new_place: Desk) -> None:
    new_place.people("people.csv", 20)
    with provide(act.hold, act.hold) as provider:
        process = held(new_place, provider, 2)
        killed = hands(process)[0]
        killed.kill()
        until(lambda: "ended before its work did" in process.err.read_text(), "it is noticed")
        shown = new_place.run("runs", "show", "latest", "--json").json
        assert shown["rows"]["unknown"] == 2  # that one, and what the other one waits for
        assert sorted(attempt["is_unknown"] for attempt in _attempts(shown)) == [False, True]
        provider.release.set()
        result = process.end()
        assert Counter(provider.called) == everyone_once(20)
    assert (result.code, result.json["rows"]["accepted"], result.json["rows"]["unknown"]) == (5, 19, 1)
    assert "signal 9" in result.err


def _attempts(shown: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown["story"]["attempts"]
    return found


@crash
def test_when_all_of_them_are_killed_the_rest_is_still_queued(desk: Desk) -> None:
    desk.people("people.csv", 6)
    with provide(act.hold, act.hold) as provider:
        process = held(desk, provider, 2)
        for hand in hands(process):
            hand.kill()
        result = process.end()
        provider.release.set()
        assert (result.code, result.json["rows"]["unknown"], result.json["rows"]["queued"]) == (7, 2, 4)
        resumed = desk.run("resume", "latest", *how(provider, "--workers", "2"))
        assert Counter(provider.called) == everyone_once(6)
    assert (resumed.code, resumed.json["rows"]["accepted"]) == (5, 4)


@crash
@pytest.mark.parametrize(("number_of", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("to_all", [False, True], ids=["the command", "its group"])
def test_a_signal_stops_all_after_what_is_in_flight(
    new_place: Desk, number_of: int, code: int, *, to_all: bool
) -> None:
    new_place.people("people.csv", 8)
    with provide(act.hold, act.hold) as provider:
        process = held(new_place, provider, 2)
        for one in [*hands(process), psutil.Process(process.popen.pid)] if to_all else [process]:
            (one.send_signal if isinstance(one, psutil.Process) else one.signal)(number_of)
        process.until_said("Stopping")
        time.sleep(0.5)  # for those who would begin another request
        provider.release.set()
        result = process.end()
        assert len(provider.requests) == 2
        assert (result.code, result.json["rows"]["accepted"], result.json["rows"]["queued"]) == (code, 2, 6)
        resumed = new_place.run("resume", "latest", *how(provider, "--workers", "2"))
        assert Counter(provider.called) == everyone_once(8)
    assert (resumed.code, resumed.json["rows"]["accepted"]) == (0, 8)


@crash
def test_after_a_second_signal_the_workers_still_finish_what_is_in_flight(desk: Desk) -> None:
    desk.people("people.csv", 4)
    with provide(act.hold, act.hold) as provider:
        process = held(desk, provider, 2)
        pids = [hand.pid for hand in hands(process)]
        process.signal(signal.SIGINT)
        process.until_said("Stopping")
        process.signal(signal.SIGINT)
        assert process.end().code == 130
        assert all(map(is_there, pids))
        provider.release.set()
        until(lambda: not any(map(is_there, pids)), "they end")
        assert len(provider.requests) == 2
        assert desk.run("resume", "latest", *how(provider)).code == 0
        assert Counter(provider.called) == everyone_once(4)


@crash
def test_when_the_command_is_killed_its_workers_end_after_what_is_in_flight(new_place: Desk) -> None:
    new_place.people("people.csv", 8)
    with provide(act.hold, act.hold) as provider:
        process = held(new_place, provider, 2)
        pids = [hand.pid for hand in hands(process)]
        process.signal(signal.SIGKILL)
        ended: Result = process.end()
        assert ended.code == -signal.SIGKILL
        time.sleep(0.5)  # for those who would begin another request
        provider.release.set()
        until(lambda: not any(map(is_there, pids)), "they end")
        assert len(provider.requests) == 2
        assert "Traceback" not in process.err.read_text()
        resumed = new_place.run("resume", "latest", *how(provider, "--workers", "2"))
        assert Counter(provider.called) == everyone_once(8)
    assert (resumed.code, resumed.json["rows"]["accepted"], resumed.json["rows"]["unknown"]) == (0, 8, 0)


def test_from_python_they_take_no_session_and_then_nothing_is_enqueued(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(f"telephone\n{number(1)}\n")
    ledger = tmp_path / "ledger.sqlite"
    plan = voicebatch.plan(
        [tmp_path / "people.csv"], voicebatch.Message(text="Bonjour"), sandbox=True, ledger=str(ledger), out=tmp_path
    )
    with requests.Session() as session, pytest.raises(voicebatch.UsageError, match="processes of their own"):
        voicebatch.send(plan, sandbox=True, workers=2, session=session)
    assert not ledger.exists()


def test_from_python_the_progress_is_that_of_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("telephone\n" + "".join(f"{number(at)}\n" for at in range(1, 21)))
    message, ledger, seen = voicebatch.Message(text="Bonjour"), str(tmp_path / "ledger.sqlite"), list[Progress]()
    plan = voicebatch.plan([tmp_path / "people.csv"], message, batch_size=2, sandbox=True, ledger=ledger, out=tmp_path)
    summary = voicebatch.send(plan, sandbox=True, workers=2, on_progress=seen.append)
    sending = [one for one in seen if one.stage == "sending"]
    assert [one.done for one in sending] == sorted(one.done for one in sending)
    last = sending[-1]
    assert (last.done, last.total, last.accepted, last.cost) == (20, 20, 20, summary.cost)
    assert (last.waiting_until, last.waiting_for) == (None, "")
