"""Several processes on one ledger: one run is shared, and two runs never call the same people."""

from __future__ import annotations

import shutil
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli import provider as act
from tests.cli.desk import Desk, number, until
from tests.cli.provider import provide

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.desk import Result

pytestmark = pytest.mark.crash

TEXT = ("--text", "Bonjour")


def everyone_once(people: int) -> Counter[str]:
    return Counter(number(at) for at in range(1, people + 1))


def test_a_resume_joins_a_send_that_is_under_way(desk: Desk) -> None:
    desk.people("people.csv", 12)
    with provide(act.meet, act.meet, act.meet) as provider:  # three at once: neither process can do that alone
        how = ("--base-url", provider.base_url, "--yes", "--json")
        first = desk.start("send", "people.csv", *TEXT, "--batch-size", "1", "--concurrency", "1", *how)
        until(lambda: provider.requests, "the first one sends")
        second = desk.start("resume", "latest", "--concurrency", "2", *how)
        results = [process.end() for process in (first, second)]
        assert Counter(provider.called) == everyone_once(12)
        workers = desk.run("runs", "show", "latest", "--json").json["story"]["workers"]
    assert [(result.code, result.json["status"]) for result in results] == [(0, "complete")] * 2
    assert [worker["requests"] > 0 and worker["left_at"] is not None for worker in workers] == [True, True]


def test_who_has_nothing_to_do_any_more_is_no_reason_to_call_a_run_unfinished(desk: Desk) -> None:
    desk.people("people.csv", 2)
    with provide(act.hold) as provider:
        how = ("--base-url", provider.base_url, "--yes", "--json", "--concurrency", "1")
        first = desk.start("send", "people.csv", *TEXT, "--batch-size", "1", *how)
        until(lambda: provider.requests, "the first one waits for an answer")
        second = desk.start("resume", "latest", *how)
        until(lambda: len(provider.requests) == 2, "the second one has done the rest")
        time.sleep(0.7)  # it naps from now on, and looks every half second whether the first one is done
        provider.release.set()
        results = [process.end() for process in (first, second)]
    assert [(result.code, result.json["status"]) for result in results] == [(0, "complete")] * 2


def test_another_machine_goes_on_where_it_has_no_place_for_the_reports(desk: Desk) -> None:
    desk.people("people.csv", 2)
    with provide(act.refuse("11")) as provider:
        how = ("--base-url", provider.base_url, "--yes", "--json")
        desk.run("send", "people.csv", *TEXT, *how)
        shutil.rmtree(desk.home / "reports")
        desk.write("reports", "in the way")
        refused = desk.run("resume", "latest", *how)
        assert (refused.code, len(provider.requests)) == (2, 1)
        assert "--out" in refused.error["hint"]
        resumed = desk.run("resume", "latest", "--out", "own", *how)
    assert resumed.code == 0
    assert desk.statuses(resumed.json["report_dir"]) == {"accepted": 2}


def test_two_runs_of_the_same_people_at_once_call_each_of_them_once(desk: Desk) -> None:
    desk.people("people.csv", 10)
    with provide() as provider:
        how = ("--base-url", provider.base_url, "--yes", "--json")
        both = [desk.start("send", "people.csv", *TEXT, "--key", key, *how) for key in ("one", "two")]
        results = [process.end() for process in both]
        assert Counter(provider.called) == everyone_once(10)
    assert sorted(result.code for result in results) == [0, 3]


def test_whom_another_run_queued_between_the_plan_and_the_yes_is_left_out_and_said(desk: Desk) -> None:
    desk.people("first.csv", 6)
    desk.people("second.csv", 6, first=5)
    with provide() as provider:
        where = ("--base-url", provider.base_url, "--json")
        others: list[Result] = []
        sent = desk.answer(
            "y", "send", "second.csv", *TEXT, *where,
            meanwhile=lambda: others.append(desk.run("send", "first.csv", *TEXT, "--yes", *where)),
        )  # fmt: skip
        assert Counter(provider.called) == everyone_once(10)
    run_id = others[0].json["run_id"]
    assert sent.code == 0
    assert f"2 people were queued by run {run_id} meanwhile and left out" in sent.err
    assert (sent.json["rows"]["suppressed"], sent.json["rows"]["accepted"]) == (2, 4)
    assert desk.recipients(sent.json["report_dir"])[2]["reason"] == f"the same message is queued in run {run_id}"


def test_if_nobody_is_left_by_then_nothing_is_sent(desk: Desk) -> None:
    desk.people("people.csv", 3)
    with provide() as provider:
        send = ("send", "people.csv", *TEXT, "--base-url", provider.base_url, "--json")
        sent = desk.answer("y", *send, "--key", "late", meanwhile=lambda: desk.run(*send, "--yes"))
        assert Counter(provider.called) == everyone_once(3)
    assert (sent.code, sent.error["kind"]) == (3, "input")
    assert [run["key"] for run in desk.run("runs", "--json").json["runs"]] != ["late"]


def test_a_run_that_was_confirmed_is_the_one_that_goes_on(desk: Desk) -> None:
    """Another one became the latest while the question was on the screen."""
    desk.people("first.csv", 2)
    desk.people("second.csv", 2, first=3)
    with provide(act.refuse("11"), act.refuse("11")) as provider:
        where = ("--base-url", provider.base_url, "--json")
        first = desk.run("send", "first.csv", *TEXT, "--yes", *where)
        resumed = desk.answer(
            "y", "resume", "latest", *where,
            meanwhile=lambda: desk.run("send", "second.csv", *TEXT, "--yes", *where),
        )  # fmt: skip
        assert resumed.json["run_id"] == first.json["run_id"]
        assert provider.called == [number(1), number(2)]


@pytest.mark.parametrize("option", ["--ledger", "VOICEBATCH_LEDGER"])
def test_two_workers_share_a_ledger_on_a_server_and_one_of_them_is_killed(
    new_desk: Callable[..., Desk], postgresql_url: str, option: str
) -> None:
    desk, ledger = (
        (new_desk(), (option, postgresql_url)) if option[0] == "-" else (new_desk(**{option: postgresql_url}), ())
    )
    desk.people("people.csv", 20)
    with provide(act.accept, act.hold) as provider:
        how = (*ledger, "--base-url", provider.base_url, "--yes", "--json", "--concurrency", "1")
        first = desk.start("send", "people.csv", *TEXT, "--batch-size", "1", *how)
        until(lambda: len(provider.requests) >= 2, "the first one waits for an answer")
        second = desk.start("resume", "latest", *how)
        until(lambda: len(provider.requests) >= 5, "the second one works")
        first.signal(signal.SIGKILL)
        assert first.end().code == -signal.SIGKILL
        ended = second.end()
        assert Counter(provider.called) == everyone_once(20)
        assert (ended.code, ended.json["rows"]["accepted"], ended.json["rows"]["unknown"]) == (5, 19, 1)
        resolve = ("resolve", "latest", "--as", "sent", "--reason", "the platform has it", "--yes")
        assert desk.run(*resolve, *ledger).code == 0
        resumed = desk.run("resume", "latest", *how)
        assert (resumed.code, resumed.json["rows"]["accepted"]) == (0, 20)
        assert Counter(provider.called) == everyone_once(20)
    shown = desk.run("runs", "show", "latest", *ledger)
    assert " lost " in shown.out


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_nul_in_a_cell_costs_one_row_on_every_ledger(desk: Desk, postgresql_url: str, kind: str) -> None:
    """Which PostgreSQL cannot keep in a text, and a Parquet file can."""
    table = pa.table({
        "telephone": [number(1), number(2), f"\0{number(3)[1:]}", number(4)],
        "prénom": ["Zoé", "Jo\0hn", "Ana", "Léo"],
        "lang": ["fr", "fr", "fr", "f\0r"],
        "vi\0lle": ["Nantes"] * 4,
    })  # fmt: skip
    pq.write_table(table, desk.home / "people.parquet")
    ledger = postgresql_url if kind == "postgresql" else "ledger.sqlite"
    text = ("--text", "Bonjour {{ prenom }}", "--max-invalid", "3")
    with provide() as provider:
        sent = desk.run(
            "send", "people.parquet", *text, "--base-url", provider.base_url, "--yes", "--json", "--ledger", ledger
        )
    assert (sent.code, provider.called) == (0, [number(1)])
    found = {row: line["reason"] for row, line in desk.recipients(sent.json["report_dir"]).items() if line["reason"]}
    assert "NUL" in found[3]
    assert found.keys() == {3, 4, 5}


def test_a_password_in_a_ledger_s_address_is_never_shown(desk: Desk) -> None:
    address = "postgresql://me:s3cret@127.0.0.1:1/voicebatch"
    for arguments, variables in ((("--ledger", address), {}), ((), {"VOICEBATCH_LEDGER": address})):
        result = desk.run("resume", "latest", "--yes", "-vv", *arguments, **variables)
        assert result.code == 8
        assert "s3cret" not in result.out + result.err
        assert "voicebatch resume RUN" in result.err
