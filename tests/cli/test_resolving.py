"""``resolve`` and ``runs show``: a person settles what nobody can know, and the run's story tells it."""

from __future__ import annotations

import contextlib
import re
import signal
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from tests.cli import provider as act
from tests.cli.desk import FICTION, Desk, Result, number, until
from tests.cli.provider import Provider, provide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REASON = ("--reason", "looked on the platform")


@dataclass(frozen=True, kw_only=True)
class Office:
    """A run of four requests with two people each, of which the first three have no known outcome."""

    desk: Desk
    provider: Provider
    sent: Result

    def resolve(self, *arguments: str) -> Result:
        return self.desk.run("resolve", "latest", *arguments)

    def resume(self) -> Result:
        return self.desk.run("resume", "latest", "--yes", "--base-url", self.provider.base_url, "--json")

    def show(self) -> dict[str, Any]:
        story: dict[str, Any] = self.desk.run("runs", "show", "latest", "--json").json["story"]
        return story

    def batch(self, row: int) -> str:
        return self.desk.recipients(self.sent.json["report_dir"])[row]["batch_id"]


@contextlib.contextmanager
def opened(desk: Desk) -> Iterator[Office]:
    desk.people("people.csv", 8)
    with provide(act.cut, act.lose, act.garble) as provider:
        sent = desk.run("send", "people.csv", "--text", "Bonjour", "--batch-size", "2", "--concurrency", "1", "--yes",
                        "--base-url", provider.base_url, "--json")  # fmt: skip
        assert (sent.code, sent.json["rows"]["unknown"]) == (5, 6)
        yield Office(desk=desk, provider=provider, sent=sent)


@pytest.fixture
def office(desk: Desk) -> Iterator[Office]:
    with opened(desk) as office:
        yield office


@pytest.fixture(scope="module")
def shared_office(new_desk: Callable[..., Desk]) -> Iterator[Office]:
    """For tests that settle nothing."""
    with opened(new_desk()) as office:
        yield office


def test_an_operator_settles_what_is_unknown_and_everybody_is_called_once(office: Office) -> None:
    called, missed = office.batch(2), office.batch(4)
    first = office.resolve("--as", "sent", "--batch", called, "--who", "Zoé", *REASON, "--json")
    assert (first.code, first.json["status"], first.json["rows"]["accepted"]) == (0, "unknown", 4)
    assert first.json["settled"] == {"as": "sent", "requests": 1, "people": 2, "batches": [called]}
    requeued = office.resolve("--as", "not-sent", "--requeue", "--batch", missed[:6], *REASON)
    assert requeued.code == 0
    assert "Settled as not-sent: 1 request with 2 people." in requeued.out
    assert f"voicebatch resume {office.sent.json['run_id']}" in requeued.err
    last = office.resolve("--as", "sent", "--yes", *REASON, "--json")
    assert (last.code, last.json["status"], last.json["settled"]["requests"]) == (0, "incomplete", 1)
    done = office.resume()
    assert (done.code, done.json["rows"]["accepted"]) == (0, 8)
    assert Counter(office.provider.called) == Counter(number(at) for at in range(1, 9))
    assert done.json["findings"] == ["4 people accepted on somebody's word alone: what that cost is not in the report."]
    reason = office.desk.recipients(done.json["report_dir"])[2]["reason"]
    assert reason == "settled as sent by Zoé: looked on the platform"
    assert office.show()["unknown"] == []
    (line,) = done.json["countries"]
    (total,) = [line for line in office.desk.run("runs", "show", "latest").out.splitlines() if line[:5] == "Total"]
    assert int(total.split()[1]) == line["requests"] == 2


def test_a_wrong_verdict_is_corrected_by_the_same_command_until_the_people_are_called_again(office: Office) -> None:
    called, missed = office.batch(2), office.batch(4)
    office.resolve("--as", "not-sent", "--requeue", "--batch", called, *REASON)
    office.resolve("--as", "sent", "--batch", missed, *REASON)
    assert office.resolve("--as", "sent", "--batch", called, *REASON).code == 0
    assert office.resolve("--as", "not-sent", "--requeue", "--batch", missed, *REASON).code == 0
    assert office.resolve("--as", "sent", "--yes", *REASON).code == 0
    assert office.resume().json["rows"]["accepted"] == 8
    assert Counter(office.provider.called) == Counter(number(at) for at in range(1, 9))
    assert office.resolve("--as", "not-sent", "--batch", missed, *REASON).code == 2


def test_what_was_not_sent_is_left_out_until_somebody_queues_it_after_all(office: Office) -> None:
    left_out = office.resolve("--as", "not-sent", "--batch", office.batch(4), *REASON)
    assert office.desk.statuses(office.sent.json["report_dir"])["cancelled"] == 2
    command = re.search(r"voicebatch resolve \S+ (--as .*) --reason TEXT", left_out.err)
    assert command
    assert office.resolve(*command[1].split(), *REASON).code == 0
    assert office.resume().json["rows"]["cancelled"] == 0
    assert Counter(office.provider.called)[number(3)] == 1


def test_all_that_is_unknown_is_asked_about_by_requests_and_people(office: Office) -> None:
    again = office.desk.answer("n", "resolve", "latest", "--as", "not-sent", "--requeue", *REASON)
    assert "Settle 3 requests with 6 people as not-sent, and queue them to be called again?" in again.err
    how = ("resolve", "latest", "--as", "sent", *REASON)
    no = office.desk.answer("n", *how)
    assert no.code == 2
    assert "3 requests with 6 people" in no.err
    assert office.batch(2) in no.err
    assert office.desk.answer("y", *how).code == 0
    assert office.desk.statuses(office.sent.json["report_dir"]) == {"accepted": 8}
    nothing = office.resolve("--as", "sent", "--yes", *REASON, "--json")
    assert nothing.code == 2
    assert "nothing to settle" in nothing.error["message"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--as", "sent"), "--reason"),
        (("--as", "sent", "--reason", " \n"), "--reason"),
        (("--as", "maybe", *REASON), "maybe"),
        (REASON, "--as"),
        (("--as", "sent", *REASON), "--yes"),
        (("--as", "sent", "--requeue", "--yes", *REASON), "--requeue"),
        (("--as", "sent", "--batch", "zz", *REASON), "zz"),
        (("--as", "sent", "--batch", "", *REASON), "More than one"),
    ],
)
def test_what_is_not_said_clearly_settles_nothing(shared_office: Office, arguments: tuple[str, ...], word: str) -> None:
    result = shared_office.resolve(*arguments, "--json")
    assert result.code == 2
    assert word in result.error["message"] + result.error["hint"]
    assert len(shared_office.show()["unknown"]) == 3


def test_a_batch_that_is_not_unknown_is_refused_with_all_the_others(shared_office: Office) -> None:
    refused = shared_office.resolve(
        "--as", "sent", "--batch", shared_office.batch(2), "--batch", shared_office.batch(8), *REASON, "--json"
    )
    assert refused.code == 2
    assert "accepted" in refused.error["message"]
    assert len(shared_office.show()["unknown"]) == 3


def test_the_story_names_who_settled_something_once(office: Office) -> None:
    settle = ("--who", "Zoé Martin", "--reason", "by phone: no", "--batch")
    office.resolve("--as", "sent", *settle, office.batch(2))
    office.resolve("--as", "not-sent", "--requeue", *settle, office.batch(4))
    shown = [line for line in office.desk.run("runs", "show", "latest").out.splitlines() if " settled " in line]
    assert [line.count("Zoé Martin") for line in shown] == [1, 1]
    assert [line.rstrip().rpartition(" settled as ")[2] for line in shown] == [
        "sent: by phone: no",
        "not-sent and queued again: by phone: no",
    ]


def test_a_batch_that_is_named_twice_is_settled_once(office: Office) -> None:
    batch = office.batch(2)
    assert office.resolve("--as", "sent", "--batch", batch, "--batch", batch[:9], *REASON).code == 0
    assert [event["kind"] for event in office.show()["events"]].count("settled") == 1


@pytest.fixture(scope="module")
def told(new_desk: Callable[..., Desk]) -> Iterator[tuple[Desk, Provider]]:
    """A run to which everything happens, half of it settled by a person who writes a number."""
    desk = new_desk(TZ="Asia/Kolkata")
    desk.people("people.csv", 30)
    script = (
        act.refuse("DESTINATION_INVALID", f"the phone number {number(1)} is not a valid destination"),
        act.wait(429, Retry_After="1"),
        *[act.cut] * 25,
    )
    with provide(*script) as provider:
        send = ("send", "people.csv", "--text", "Bonjour", "--batch-size", "1", "--concurrency", "1")
        desk.run(*send, "--yes", "--base-url", provider.base_url)
        batch = desk.run("runs", "show", "latest", "--json").json["story"]["unknown"][0]["batch_id"]
        desk.run("resolve", "latest", "--as", "sent", "--batch", batch, "--reason", f"{number(3)} [heard] it")
        yield desk, provider


def test_the_story_tells_who_worked_what_happened_and_what_to_look_up(told: tuple[Desk, Provider]) -> None:
    desk, provider = told
    shown = desk.run("runs", "show", "latest")
    assert shown.code == 0
    assert "began to work" in shown.out
    assert re.search(
        r"every worker waits until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d IST: the provider's rate limit", shown.out
    )
    assert re.search(r"settled +[0-9a-f]{8} .*: … \[heard\] it", shown.out)
    assert "… and 4 more: --json" in shown.out
    assert "HTTP 429" in shown.out
    assert not FICTION.search(shown.out + shown.err)
    story = desk.run("runs", "show", "latest", "--json").json["story"]
    assert len(story["unknown"]) == 24
    assert set(story) == {"workers", "events", "attempts", "unknown"}
    assert len(story["attempts"]) == story["workers"][0]["requests"] == len(provider.requests) == 31
    left = datetime.fromisoformat(story["unknown"][0]["started_at"])
    assert abs(left - provider.requests[4].at) < timedelta(seconds=2)
    assert f"{left.astimezone(ZoneInfo('Asia/Kolkata')):%Y-%m-%d %H:%M:%S IST}" in shown.out
    assert [event["kind"] for event in story["events"]] == ["joined", "paused", "left", "settled"]


def test_a_worker_that_was_killed_is_told_as_lost_with_what_it_left(desk: Desk) -> None:
    desk.people("people.csv", 2)
    with provide(act.hold) as provider:
        send = ("send", "people.csv", "--text", "Bonjour", "--batch-size", "1", "--concurrency", "1", "--yes")
        process = desk.start(*send, "--base-url", provider.base_url)
        until(lambda: provider.requests, "a request arrived")
        process.signal(signal.SIGKILL)
        process.end()
        reported = desk.run("report", "latest", "--json").json["report_dir"]
        assert desk.recipients(reported)[2]["reason"] == "its request is under way"
        shown = desk.run("runs", "show", "latest").out
        assert "Requests under way:" not in shown
        assert "Requests whose outcome is unknown:" in shown
        assert "1 unknown" in shown
        settled = desk.run("resolve", "latest", "--as", "sent", "--yes", *REASON, "--json")
    assert (settled.code, settled.json["rows"]["accepted"], settled.json["rows"]["queued"]) == (0, 1, 1)
    shown = desk.run("runs", "show", "latest").out
    assert "the process that sent it ended" in shown
    assert " lost " in shown


def test_while_a_request_is_under_way_there_is_nothing_to_settle_but_to_wait(desk: Desk) -> None:
    desk.people("people.csv", 2)
    with provide(act.hold) as provider:
        process = desk.start("send", "people.csv", "--text", "Bonjour", "--yes", "--base-url", provider.base_url)
        until(lambda: provider.requests, "a request arrived")
        refused = desk.run("resolve", "latest", "--as", "sent", "--yes", *REASON, "--json")
        shown = desk.run("runs", "show", "latest")
        provider.release.set()
        assert process.end().code == 0
    assert refused.code == 2
    assert "1 request with 2 people is under way" in refused.error["message"]
    assert "Wait for the answer" in refused.error["hint"]
    assert "Requests under way:" in shown.out
    assert "running. 2 rows: 2 under way or unknown." in shown.out
    assert "voicebatch resolve" not in shown.out + shown.err
