"""A run that is killed, stopped or told to stop: what is in flight is recorded, the rest waits for ``resume``."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.cli import provider as act
from tests.cli.desk import number, until
from tests.cli.provider import provide
from voicebatch.sandbox import serve

if TYPE_CHECKING:
    from tests.cli.desk import Desk


pytestmark = pytest.mark.crash


def test_a_run_that_is_killed_in_mid_request_is_resumed_and_nobody_is_called_twice(desk: Desk) -> None:
    desk.people("people.csv", 40)
    with serve(answer_delay=2.0) as sandbox:
        common = ("--base-url", sandbox.base_url, "--yes", "--json", "--concurrency", "2")
        process = desk.start("send", "people.csv", "--text", "Bonjour", "--batch-size", "10", *common)
        until(lambda: len(act.sends(sandbox)) >= 2, "two requests are under way")
        process.signal(signal.SIGKILL)
        assert process.end().code == -signal.SIGKILL
        resumed = desk.run("resume", "latest", *common)
    assert resumed.code == 5
    rows = resumed.json["rows"]
    assert rows["unknown"] > 0
    assert rows["accepted"] > 0
    assert rows["unknown"] + rows["accepted"] == 40
    assert Counter(call.number for call in sandbox.calls) == Counter(number(at) for at in range(1, 41))
    statuses = desk.statuses(resumed.json["report_dir"])
    assert statuses == {"accepted": rows["accepted"], "unknown": rows["unknown"]}


@pytest.mark.parametrize(("number_of_signal", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_mid_request_lets_it_finish_and_leaves_the_rest_queued_for_resume(
    desk: Desk, number_of_signal: int, code: int
) -> None:
    desk.people("people.csv", 6)
    with provide(act.hold) as provider:
        how = ("--base-url", provider.base_url, "--yes", "--concurrency", "1", "--json")
        process = desk.start("send", "people.csv", "--text", "Bonjour", "--batch-size", "2", *how)
        until(lambda: provider.requests, "a request arrived")
        process.signal(number_of_signal)
        process.until_said("Stopping")
        provider.release.set()
        stopped = process.end()
        assert stopped.code == code
        assert stopped.error["kind"] == "interrupted"
        assert f"voicebatch resume {stopped.json['run_id']}" in stopped.error["hint"]
        assert stopped.json["status"] == "incomplete"
        assert desk.statuses(stopped.json["report_dir"]) == {"accepted": 2, "queued": 4}
        resumed = desk.run("resume", stopped.json["run_id"], *how)
    assert resumed.code == 0
    assert provider.called == [number(at) for at in range(1, 7)]


def test_a_second_signal_leaves_at_once_and_says_how_to_go_on(desk: Desk) -> None:
    desk.people("people.csv", 6)
    with provide(act.hold) as provider:
        process = desk.start("send", "people.csv", "--text", "Bonjour", "--batch-size", "2", "--concurrency", "1",
                             "--yes", "--base-url", provider.base_url, "--ledger", "own.sqlite")  # fmt: skip
        until(lambda: provider.requests, "a request arrived")
        process.signal(signal.SIGINT)
        process.until_said("Stopping")
        process.signal(signal.SIGINT)
        left = process.end()
        assert left.code == 130
        line = left.err.splitlines()[-1]
        assert line.startswith("Left at once. What was in flight may have been sent: it becomes unknown.")
        resumed = desk.run(*line.partition("Go on: voicebatch ")[2].split(), "--yes", "--json")
    assert resumed.code == 5
    assert (resumed.json["rows"]["accepted"], resumed.json["rows"]["unknown"]) == (4, 2)


@pytest.mark.parametrize(("number_of_signal", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_file_is_read_ends_the_command_at_once(desk: Desk, number_of_signal: int, code: int) -> None:
    lines = "".join(f"A{at},046571{at % 10_000:04d}\n" for at in range(400_000))
    desk.write("people.csv", f"nom,telephone\n{lines}")
    process = desk.start("send", "people.csv", "--text", "Bonjour {{ nom }}", "--yes", "--sandbox", "--json")
    process.until_said("Reading")
    process.signal(number_of_signal)
    stopped = process.end()
    assert stopped.code == code
    assert stopped.error["kind"] == "interrupted"
    assert not (desk.home / "data").exists()
    assert "Sending" not in stopped.err


def test_two_processes_that_send_the_same_file_at_once_share_the_work(desk: Desk) -> None:
    desk.people("people.csv", 20)
    with provide() as provider:
        command = ("send", "people.csv", "--text", "Bonjour", "--batch-size", "1", "--base-url", provider.base_url,
                   "--yes", "--json")  # fmt: skip
        both = [desk.start(*command), desk.start(*command)]
        results = [process.end() for process in both]
    assert Counter(provider.called) == Counter(number(at) for at in range(1, 21))
    assert {result.json["rows"]["accepted"] for result in results} == {20}
    assert [result.code for result in results] == [0, 0]
