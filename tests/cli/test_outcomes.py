"""What the provider, the network and the user can do to a run, and what becomes of its people."""

from __future__ import annotations

import re
import socket
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.cli import provider as act
from tests.cli.desk import Desk, Result, number
from tests.cli.provider import Provider, provide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """One run to which everything happens, request by request, and then ``resume``."""

    desk: Desk
    provider: Provider
    sent: Result
    requests_after_sent: int
    resumed: Result

    @property
    def statuses(self) -> dict[int, str]:
        return {row: line["status"] for row, line in self.desk.recipients(self.sent.json["report_dir"]).items()}


@pytest.fixture(scope="module")
def mixed(new_desk: Callable[..., Desk]) -> Iterator[Mixed]:
    desk = new_desk()
    desk.people("people.csv", 9)
    script = (
        act.accept,  # row 2
        act.refuse("DESTINATION_INVALID", f"the phone number {number(2)} is not a valid destination"),
        act.fail,  # row 4
        act.garble,
        act.cut,
        act.wait(429, Retry_After="1"),  # row 7
        act.accept,
        act.wait(503, Retry_After="0"),  # row 8
        act.accept,
        act.hold,  # row 9
        act.accept,
    )
    with provide(*script) as provider:
        how = ("--base-url", provider.base_url, "--yes", "--concurrency", "1", "--timeout", "1", "-v")
        sent = desk.run("send", "people.csv", "--text", "Bonjour", "--batch-size", "1", *how, "--json")
        requests = len(provider.requests)
        yield Mixed(
            desk=desk,
            provider=provider,
            sent=sent,
            requests_after_sent=requests,
            resumed=desk.run("resume", sent.json["run_id"][:6], *how, "--json"),
        )


class TestARunToWhichEverythingHappens:
    def test_every_row_ends_with_the_status_that_its_answer_means(self, mixed: Mixed) -> None:
        assert mixed.statuses == {
            2: "accepted",
            3: "refused",  # by a code
            4: "unknown",  # HTTP 500
            5: "unknown",  # a 200 that is no answer
            6: "unknown",  # cut connection
            7: "accepted",  # after a 429
            8: "accepted",  # after a 503 with Retry-After
            9: "unknown",  # time-out
            10: "accepted",
        }

    def test_it_exits_5_and_says_that_people_may_have_been_called(self, mixed: Mixed) -> None:
        assert mixed.sent.code == 5
        assert mixed.sent.error["kind"] == "unknown"
        summary = mixed.sent.json
        assert summary["status"] == "unknown"
        assert (summary["rows"]["accepted"], summary["rows"]["refused"], summary["rows"]["unknown"]) == (4, 1, 4)
        assert summary["requests"] == {
            "planned": 9, "sent": 11, "accepted": 4, "refused": 1, "unknown": 4, "retried": 2,
        }  # fmt: skip

    def test_only_what_was_certainly_not_done_was_sent_again(self, mixed: Mixed) -> None:
        assert set(Counter(mixed.provider.called).values()) == {1}
        asked = [request.numbers[0] for request in mixed.provider.requests]
        assert asked == [number(at) for at in (1, 2, 3, 4, 5, 6, 6, 7, 7, 8, 9)]

    def test_retry_after_is_obeyed(self, mixed: Mixed) -> None:
        throttled, again = mixed.provider.requests[5:7]
        assert again.at - throttled.at >= timedelta(seconds=1)

    def test_every_row_that_was_not_accepted_has_a_reason(self, mixed: Mixed) -> None:
        for line in mixed.desk.recipients(mixed.sent.json["report_dir"]).values():
            assert bool(line["reason"]) == (line["status"] != "accepted")
            assert bool(line["campaign_id"]) == (line["status"] == "accepted")

    def test_resume_sends_nothing_unknown_and_says_the_same(self, mixed: Mixed) -> None:
        assert mixed.resumed.code == 5
        assert len(mixed.provider.requests) == mixed.requests_after_sent
        assert mixed.resumed.json == mixed.sent.json

    def test_the_checks_of_the_manifest_hold(self, mixed: Mixed) -> None:
        checks = mixed.desk.manifest(mixed.sent.json["report_dir"])["checks"]
        assert [check["ok"] for check in checks] == [True] * 5

    def test_the_manifest_lists_what_is_unknown_to_be_looked_up(self, mixed: Mixed) -> None:
        unknown = mixed.desk.manifest(mixed.sent.json["report_dir"])["unknown"]
        batches = {line["batch_id"] for line in mixed.desk.table(mixed.sent.json["report_dir"], "recipients.csv")
                   if line["status"] == "unknown"}  # fmt: skip
        assert {one["batch_id"] for one in unknown} == batches
        assert all(one["people"] == 1 and one["reason"] for one in unknown)
        left = sorted(datetime.fromisoformat(one["left_at"]) for one in unknown)
        arrived = [mixed.provider.requests[at].at for at in (2, 3, 4, 9)]
        assert all(abs(one - other) < timedelta(seconds=2) for one, other in zip(left, arrived, strict=True))


def test_a_refusal_is_exit_4_with_the_others_called(desk: Desk) -> None:
    desk.people("people.csv", 4)
    with provide(act.refuse(14)) as provider:
        sent = desk.run("send", "people.csv", "--text", "Bonjour", "--batch-size", "1", "--concurrency", "1", "--yes",
                        "--base-url", provider.base_url, "--json")  # fmt: skip
    assert sent.code == 4
    assert sent.error["kind"] == "refused"
    assert sent.json["status"] == "complete"
    assert desk.statuses(sent.json["report_dir"]) == {"accepted": 3, "refused": 1}
    assert provider.called == [number(2), number(3), number(4)]


def test_who_was_refused_is_counted_in_people_however_often_their_request_was_split(desk: Desk) -> None:
    desk.people("people.csv", 4)
    bad = (number(1), number(4))

    def choose(provider: Provider, request: act.Request) -> act.Answer | None:
        return (act.refuse(14) if set(bad) & set(request.numbers) else act.accept)(provider, request)

    with provide(*[choose] * 20) as provider:
        sent = desk.run("send", "people.csv", "--text", "Bonjour", "--concurrency", "1", "--yes",
                        "--base-url", provider.base_url, "--json")  # fmt: skip
    assert sent.code == 4
    assert sent.error["message"] == "The provider refused 2 people."


def test_no_credit_stops_the_run_with_exit_6_and_a_resume_completes_it_once_settled(desk: Desk) -> None:
    desk.people("people.csv", 6)
    with provide(act.accept, act.refuse("NOT_CREDIT")) as provider:
        how = ("--base-url", provider.base_url, "--yes", "--concurrency", "1", "--json")
        stopped = desk.run("send", "people.csv", "--text", "Bonjour", "--batch-size", "2", *how)
        assert stopped.code == 6
        assert stopped.error["kind"] == "account"
        assert f"voicebatch resume {stopped.json['run_id']}" in stopped.error["hint"]
        assert stopped.json["status"] == "stopped"
        assert len(provider.requests) == 2
        assert desk.statuses(stopped.json["report_dir"]) == {"accepted": 2, "queued": 4}
        resumed = desk.run("resume", "latest", *how)
    assert resumed.code == 0
    assert resumed.json["status"] == "complete"
    assert provider.called == [number(at) for at in range(1, 7)]


@pytest.mark.crash
def test_a_provider_that_cannot_be_reached_stops_the_run_with_exit_7_and_everyone_queued(desk: Desk) -> None:
    desk.people("people.csv", 3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sent = desk.run("send", "people.csv", "--text", "Bonjour", "--yes", "--timeout", "1",
                    "--base-url", f"http://127.0.0.1:{port}/v1", "--json")  # fmt: skip
    assert sent.code == 7
    assert sent.error["kind"] == "guard"
    assert desk.statuses(sent.json["report_dir"]) == {"queued": 3}
    assert sent.json["requests"]["sent"] == 0


def test_answers_that_do_not_add_up_are_shown_and_change_no_exit_code(desk: Desk) -> None:
    desk.people("people.csv", 8)
    with provide(*[act.miscount] * 7) as provider:
        send = (
            "send",
            "people.csv",
            "--text",
            "Bonjour",
            "--batch-size",
            "1",
            "--yes",
            "--base-url",
            provider.base_url,
        )
        sent = desk.run(*send)
        again = desk.run(*send, "--json")
    assert (sent.code, again.code) == (0, 0)
    assert sent.out.count("Check: Batch ") == 5
    assert "… and 9 more in manifest.json" in sent.out
    assert len(again.json["findings"]) == 14
    checks = {check["check"]: check for check in desk.manifest(again.json["report_dir"])["checks"]}
    assert checks["every answer adds up"]["ok"] is False
    assert checks["every answer adds up"]["findings"] == again.json["findings"]
    assert not checks["accepted numbers = nbSms"]["ok"]


def test_what_is_unknown_is_said_apart_even_when_the_account_stops_the_run(desk: Desk) -> None:
    desk.people("people.csv", 3)
    with provide(act.cut, act.refuse("NOT_CREDIT")) as provider:
        stopped = desk.run("send", "people.csv", "--text", "Bonjour", "--batch-size", "1", "--concurrency", "1",
                           "--yes", "--base-url", provider.base_url, "--ledger", "own.sqlite")  # fmt: skip
    assert stopped.code == 6
    also = "The outcome of 1 request with 1 person is unknown: voicebatch runs show"
    assert also in stopped.err
    command = re.search(r"Unknown: 1 request with 1 person, .*: voicebatch (runs show .*)", stopped.out)
    assert command
    shown = desk.run(*command[1].split())
    assert "voicebatch resume" in shown.err
    assert also not in shown.err
    assert "--as not-sent --requeue --batch ID" in shown.out
    listed = desk.run("runs", "--ledger", "own.sqlite")
    assert "voicebatch runs show RUN --ledger own.sqlite" in listed.err
