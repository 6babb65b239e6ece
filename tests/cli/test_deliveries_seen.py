"""From the request to what became of each message: real commands, a real sandbox, a real listener between them."""

from __future__ import annotations

import contextlib
import json
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.desk import Desk, Process, number, until
from voicebatch.models import RateLimit
from voicebatch.sandbox import Sandbox, serve

TEXT = ("--text", "Bonjour {{ nom }}", "--yes", "--json")
RECORDING = ("--channel", "voicemail", "--audio", "sandbox-reminder", "--yes", "--json")
OFTEN = RateLimit(requests=1000, seconds=60)


@contextlib.contextmanager
def listening(desk: Desk, *options: str) -> Iterator[tuple[Process, str]]:
    """``voicebatch listen`` on the desk's ledger, and where it listens."""
    process = desk.start("listen", "--port", "0", "--json", *options)
    until(lambda: process.out.read_text().endswith("\n") or process.popen.poll() is not None, "it listens")
    try:
        yield process, json.loads(process.out.read_text())["url"]
    finally:
        process.popen.kill()
        process.popen.wait()


@contextlib.contextmanager
def sandbox(*faults: str) -> Iterator[Sandbox]:
    with serve(faults=faults, callback_delay=0.05, callback_retries=(0.2,) * 50, campaign_limits=[OFTEN]) as served:
        yield served


def send(desk: Desk, served: Sandbox, url: str, *options: str, people: int = 8) -> tuple[int, dict[str, Any]]:
    file = desk.people("people.csv", people)
    where = ("--base-url", served.base_url, "--notify-url", url, "--timeout", "5")
    sent = desk.run("send", file, *options, *where)
    return sent.code, sent.json


def test_with_answers_lost_on_purpose_nothing_is_unknown_once_the_callbacks_are_in(desk: Desk) -> None:
    with sandbox("lost-after:5x") as served, listening(desk) as (_, url):
        code, summary = send(desk, served, url, *TEXT)
        assert served.wait_for_callbacks(30)
        after = desk.run("report", "latest", "--json")
        assert (code in {0, 5}, after.code) == (True, 0)
        rows, lines = after.json["rows"], desk.recipients(after.json["report_dir"])
        assert (rows["accepted"], rows["unknown"]) == (8, 0)
        assert after.json["requests"]["unknown"] == 0
        assert Counter(call.number for call in served.calls) == dict.fromkeys(map(number, range(1, 9)), 1)
        settled = [line for line in lines.values() if line["reason"]]
        assert {line["reason"] for line in settled} == {"settled by a callback: the answer with its cost was lost"}
        assert len(settled) == 5
        assert {line["delivery"].partition(",")[0] for line in lines.values()} <= {"delivered", "undelivered"}
        assert after.json["deliveries"]["pending"] == 0
        assert any("5 people accepted by callbacks alone" in one for one in after.json["findings"])
        assert "settled" in {
            event["kind"] for event in desk.run("runs", "show", "latest", "--json").json["story"]["events"]
        }
        assert desk.run("resume", "latest", "--yes", "--json").code == 0
        assert len(served.calls) == 8
    assert summary["rows"]["total"] == 8


def test_a_lost_charge_is_estimated_by_the_prices_that_are_known(desk: Desk) -> None:
    prices = desk.write("prices.csv", "calling_code,unit_cost,currency\n33,0.0450,EUR\n")
    with sandbox("lost-after:2x") as served, listening(desk) as (_, url):
        send(desk, served, url, *TEXT, "--price-table", prices)
        assert served.wait_for_callbacks(30)
        report = desk.run("report", "latest", "--json").json
    assert report["estimated_cost"] == "0.0900"
    assert report["cost"] == "0.2700"
    assert desk.manifest(report["report_dir"])["totals"]["estimated_cost"] == "0.0900"
    (line,) = desk.table(report["report_dir"], "country_report.csv")
    assert (line["requests"], line["messages"], line["cost"]) == ("6", "6", "0.2700")
    assert int(line["delivered"]) + int(line["undelivered"]) == 8


def test_callbacks_that_are_doubled_and_out_of_order_say_the_same(desk: Desk) -> None:
    with sandbox("callbacks-doubled", "callbacks-reordered") as served, listening(desk) as (_, url):
        send(desk, served, url, *TEXT)
        assert served.wait_for_callbacks(30)
        report = desk.run("report", "latest", "--json").json
    counts = report["deliveries"]
    assert (counts["delivered"] + counts["undelivered"], counts["pending"]) == (8, 0)
    delivered = [line for line in desk.recipients(report["report_dir"]).values() if line["delivery"].startswith("del")]
    assert len(delivered) == counts["delivered"]


def test_a_listener_that_was_killed_loses_nothing_that_is_sent_again(desk: Desk) -> None:
    with sandbox() as served, listening(desk) as (process, url):
        send(desk, served, url, *TEXT, people=40)
        process.signal(signal.SIGKILL)
        process.popen.wait()
        with listening(desk, "--port", url.rpartition(":")[2]):
            assert served.wait_for_callbacks(30)
            report = desk.run("report", "latest", "--json").json
    assert report["deliveries"]["pending"] == 0
    assert report["deliveries"]["delivered"] + report["deliveries"]["undelivered"] == 40


def test_without_callbacks_everything_is_pending(desk: Desk) -> None:
    with sandbox("callbacks-missing") as served, listening(desk) as (_, url):
        _, summary = send(desk, served, url, *TEXT)
    assert summary["deliveries"]["pending"] == 8
    assert {line["delivery"] for line in desk.recipients(summary["report_dir"]).values()} == {"pending"}
    assert [line["pending"] for line in desk.table(summary["report_dir"], "delivery_report.csv")] == ["8"]


def test_a_callback_without_a_right_code_is_refused_and_changes_nothing(desk: Desk) -> None:
    import requests

    with sandbox("callbacks-missing", "lost-after:1x") as served, listening(desk) as (process, url):
        code, summary = send(desk, served, url, *TEXT, people=1)
        assert code == 5
        batch = desk.recipients(summary["report_dir"])[2]["batch_id"]
        said = {"campaignId": "x", "status": "delivered", "phoneNumber": number(1).replace("+", "00")}
        answer = requests.post(f"{url}/{batch}.1/{'0' * 32}", json=said, timeout=10)
        assert answer.status_code == 403
        assert desk.run("runs", "show", "latest", "--json").json["rows"]["unknown"] == 1
        process.signal(signal.SIGTERM)
        assert "1 refused" in process.end().err


@pytest.mark.parametrize("faults", [(), ("lost-after:1x",)])
def test_a_voicemail_campaign_goes_through_the_same_plan_ledger_and_reports(
    desk: Desk, faults: tuple[str, ...]
) -> None:
    with sandbox(*faults) as served, listening(desk) as (_, url):
        code, _ = send(desk, served, url, *RECORDING, "--notify-email", "me@example.com", "--sender", "0600000001")
        assert code in {0, 5}
        assert served.wait_for_callbacks(30)
        report = desk.run("report", "latest", "--json").json
        assert report["rows"]["accepted"] == 8
        assert len({call.campaign_id for call in served.calls}) == 1
        assert [call.token_audio for call in served.calls] == ["sandbox-reminder"] * 8
    lines = desk.recipients(report["report_dir"]).values()
    assert {line["delivery"] for line in lines} < {"delivered", *(f"{count} of 8 delivered" for count in range(8))}
    assert report["total_seconds"] == 0
    if not faults:
        (line,) = desk.table(report["report_dir"], "country_report.csv")
        assert (line["country_code"], line["messages"], line["total_seconds"]) == ("FR", "8", "0")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--channel", "voicemail", "--text", "Bonjour"), "Voicemail plays a recording"),
        (("--text", "Bonjour", "--sender", "0600000001"), "--sender is for voicemail alone"),
        (("--text", "Bonjour", "--notify-email", "me@example.com"), "--notify-email is for voicemail alone"),
        (("--channel", "voicemail", "--audio", "a", "--sender", "12"), "--sender is no phone number"),
        (("--channel", "voicemail", "--audio", "a", "--notify-email", "me"), "--notify-email is no e-mail address"),
        (("--text", "Bonjour", "--callbacks"), "--callbacks is for a rehearsal"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(
    desk: Desk, options: tuple[str, ...], words: str
) -> None:
    people = desk.people("people.csv", 1)
    refused = desk.run("send", people, *options, "--yes", "--json")
    assert refused.code == 2
    assert words in refused.error["message"]


def test_a_rehearsal_with_callbacks_shows_the_deliveries(desk: Desk) -> None:
    people = desk.people("people.csv", 12)
    rehearsed = desk.run("send", people, "--text", "Bonjour", "--sandbox", "--callbacks", "--yes")
    assert rehearsed.code == 0
    assert "Callbacks: 1" in rehearsed.out
    assert " 0 pending" in rehearsed.out
