"""``cancel``: what is queued, what is scheduled, what came back, and what was too late."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.cli import provider as act
from tests.cli.desk import Desk, Result, number, until
from tests.cli.provider import Provider, provide
from voicebatch.sandbox import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

CANCEL: Final = "/v1/campaign/cancel/"
LATER: Final = "2033-03-01 09:00"
SEND: Final = ("send", "people.csv", "--text", "Bonjour", "--batch-size", "2", "--concurrency", "1", "--yes", "--json")


@dataclass(frozen=True, kw_only=True)
class Office:
    """A run of three requests with two people each, which the provider has for later."""

    desk: Desk
    provider: Provider
    sent: Result
    ledger: tuple[str, ...] = ()

    def cancel(self, *more: str) -> Result:
        return self.desk.run("cancel", "latest", "--yes", "--json", *self.ledger, *more)

    def says(self, *behaviours: act.Behaviour) -> None:
        self.provider.account[CANCEL] = act.in_turn(*behaviours)

    @property
    def asked(self) -> list[str]:
        """The campaigns that were to be cancelled, in order."""
        return [request.path.rpartition("/")[2] for request in self.provider.asked_for(CANCEL)]


def opened(desk: Desk, provider: Provider, *more: str, ledger: tuple[str, ...] = ()) -> Office:
    desk.people("people.csv", 6)
    sent = desk.run(*SEND, "--base-url", provider.base_url, *ledger, *(more or ("--schedule", LATER)))
    return Office(desk=desk, provider=provider, sent=sent, ledger=ledger)


@pytest.fixture
def office(desk: Desk) -> Iterator[Office]:
    with provide() as provider:
        yield opened(desk, provider)


def requests(count: int) -> dict[str, int]:
    """So many of two people each."""
    return {"requests": count, "people": 2 * count}


GIVES_BACK: Final = act.gives_back("0.0824691356")
TOO_LATE: Final = act.say(403, '{"success": false, "code": 10, "message": "not allowed"}')
UNKNOWN_CAMPAIGN: Final = act.say(404, '{"success": false, "code": 404, "message": "not found"}')


# All of it


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_scheduled_request_is_cancelled_and_its_credit_is_in_every_report(
    desk: Desk, kind: str, request: pytest.FixtureRequest
) -> None:
    ledger = ("--ledger", request.getfixturevalue("postgresql_url")) if kind == "postgresql" else ()
    with provide() as provider:
        office = opened(desk, provider, "--schedule", LATER, ledger=ledger)
        office.says(GIVES_BACK)
        done = office.cancel()
        again = office.cancel()
    assert (done.code, done.json["status"], done.json["credited"]) == (0, "cancelled", "0.2474074068")
    assert (done.json["rows"]["cancelled"], done.json["rows"]["accepted"]) == (6, 0)
    assert Decimal(done.json["cost"]) == provider.charged
    told = done.json["cancellation"]
    assert told["credit"] == [{"amount": "0.2474074068", "currency": "EUR"}]
    assert told["scheduled"] == requests(3)
    assert {one["outcome"] for one in told["requests"]} == {"cancelled"}
    assert sum(told[name]["requests"] for name in ("queued", "too_late", "refused", "unknown", "under_way")) == 0
    assert len(set(office.asked)) == len(office.asked) == 3
    lines = desk.recipients(done.json["report_dir"]).values()
    assert {line["status"] for line in lines} == {"cancelled"}
    assert all(line["reason"].startswith("cancelled at the provider's by ") for line in lines)
    assert desk.manifest(done.json["report_dir"])["totals"]["credited"] == "0.2474074068"
    assert (again.code, again.json["credited"], again.json["cancellation"]["requests"]) == (0, "0.2474074068", [])
    shown = desk.run("runs", "show", "latest", *ledger)
    assert "Given back for cancelled requests: 0.2474074068 EUR" in shown.out
    assert shown.out.count("2 people who were scheduled are not called") == 3


def test_what_is_said_on_the_screen(office: Office) -> None:
    office.says(GIVES_BACK, TOO_LATE, UNKNOWN_CAMPAIGN)
    done = office.desk.run("cancel", "latest", "--yes")
    assert done.code == 4
    assert "Cancelled: 1 request with 2 people scheduled; 0.0824691356 EUR given back." in done.out
    first, second, third = office.asked
    assert f"Too late: campaign {second} with 2 people: it may not be cancelled (not allowed)." in done.out
    assert f"Refused: campaign {third} with 2 people: there is no such campaign (not found)." in done.out
    assert first not in done.out
    assert "2 requests with 4 people are not cancelled" in done.err


def test_only_what_is_not_cancelled_yet_is_asked_for_again(office: Office) -> None:
    office.says(GIVES_BACK, TOO_LATE, UNKNOWN_CAMPAIGN, GIVES_BACK)
    refused = office.cancel()
    assert (refused.code, refused.error["kind"]) == (4, "refused")
    told = refused.json["cancellation"]
    assert (told["scheduled"], told["too_late"], told["refused"]) == tuple(requests(1) for _ in range(3))
    assert office.desk.statuses(refused.json["report_dir"]) == {"cancelled": 2, "accepted": 4}
    again = office.cancel()
    assert (again.code, again.json["credited"]) == (0, "0.2474074068")
    assert office.asked[3:] == office.asked[1:3]


# Answers that are lost


def test_a_no_after_a_lost_answer_is_not_taken_for_one(office: Office) -> None:
    office.says(act.lose, GIVES_BACK, GIVES_BACK, UNKNOWN_CAMPAIGN, TOO_LATE, GIVES_BACK)
    lost = office.cancel()
    assert (lost.code, lost.error["kind"]) == (5, "unknown")
    assert lost.json["cancellation"]["unknown"] == requests(1)
    assert "voicebatch cancel" in lost.error["hint"]
    for code in ("no such campaign", "may not be cancelled"):
        again = office.cancel()
        assert again.code == 5
        (line,) = again.json["cancellation"]["requests"]
        assert line["outcome"] == "unknown"
        assert "it may be cancelled already" in line["reason"]
        assert code in line["reason"]
    last = office.cancel()
    assert (last.code, last.json["rows"]["cancelled"]) == (0, 6)
    assert office.asked == [*office.asked[:3], *[office.asked[0]] * 3]


@pytest.mark.parametrize("answer", [act.say(500, "oops"), act.say(200, "<html>"), act.say(200, '{"success": true}')])
def test_answers_that_cannot_be_read(office: Office, answer: act.Behaviour) -> None:
    """The last one names no campaign, which is enough."""
    office.says(answer)
    done = office.cancel()
    is_yes = done.code == 0
    assert done.code in {0, 7}
    assert len(office.asked) == 3
    assert done.json["cancellation"]["scheduled" if is_yes else "unknown"] == requests(3)
    assert done.json["rows"]["cancelled"] == 6 * is_yes


def test_a_provider_that_cannot_be_reached_was_not_asked(office: Office) -> None:
    with provide() as gone:
        address = gone.base_url
    failed = office.cancel("--base-url", address)
    assert (failed.code, failed.error["kind"]) == (7, "guard")
    assert failed.json["cancellation"]["not_asked"] == requests(3)
    office.says(UNKNOWN_CAMPAIGN)
    assert office.cancel().code == 4  # nothing was lost before, so this is a plain no


def test_a_command_that_is_killed_in_between_leaves_what_it_asked_for_unknown(office: Office) -> None:
    office.says(act.hold_cancel, UNKNOWN_CAMPAIGN, GIVES_BACK)
    process = office.desk.start("cancel", "latest", "--yes", "--json")
    until(lambda: office.asked, "a campaign is being cancelled")
    process.signal(signal.SIGKILL)
    assert process.end().code == -signal.SIGKILL
    office.provider.release.set()
    again = office.cancel()
    assert (again.code, again.json["cancellation"]["scheduled"]) == (5, requests(2))


# Waits, and an account that is refused


def test_a_wait_is_waited_for(office: Office) -> None:
    office.says(act.wait(429, Retry_After="1"), GIVES_BACK)
    done = office.cancel()
    assert (done.code, done.json["rows"]["cancelled"]) == (0, 6)
    assert "Waiting until" in done.err
    assert len(office.asked) == 4


def test_a_wait_that_is_too_long_and_an_account_that_is_refused_stop_it_with_the_rest_as_it_was(office: Office) -> None:
    office.says(GIVES_BACK, act.refuse(30), GIVES_BACK, act.wait(429, Retry_After="9999"), GIVES_BACK)
    blocked = office.cancel()
    assert (blocked.code, blocked.error["kind"]) == (6, "account")
    told = blocked.json["cancellation"]
    assert (told["scheduled"], told["not_asked"]) == (requests(1), requests(2))
    waiting = office.cancel()
    assert (waiting.code, waiting.error["kind"]) == (7, "guard")
    assert office.cancel().code == 0


# What is queued


def test_what_is_queued_is_taken_back_without_a_word_to_the_provider(desk: Desk) -> None:
    with provide(act.accept, act.refuse(20)) as provider:
        office = opened(desk, provider, "--text", "Bonjour")
        assert office.sent.code == 6
        done = desk.run("cancel", "latest", "--yes", "--json", VOICEBATCH_API_KEY="")
        assert done.code == 0
        assert done.json["cancellation"]["queued"] == requests(2)
        assert (done.json["status"], done.json["credited"]) == ("complete", "0.0000")
        assert desk.statuses(done.json["report_dir"]) == {"accepted": 2, "cancelled": 4}
        assert office.asked == []
        assert desk.run("resume", "latest", "--yes", "--base-url", provider.base_url).code == 0
    assert len(provider.requests) == 2


def test_what_is_under_way_stays_and_is_cancelled_the_next_time(desk: Desk) -> None:
    with provide(act.hold) as provider:
        desk.people("people.csv", 6)
        process = desk.start(*SEND, "--schedule", LATER, "--base-url", provider.base_url)
        until(lambda: provider.requests, "a request is under way")
        office = Office(desk=desk, provider=provider, sent=Result(code=0, out="", err=""))
        done = office.cancel()
        assert (done.code, done.error["kind"]) == (5, "unknown")
        assert done.json["cancellation"]["queued"] == requests(2)
        assert done.json["cancellation"]["under_way"] == requests(1)
        provider.release.set()
        process.end()
        again = office.cancel()
        assert (again.code, again.json["cancellation"]["scheduled"]) == (0, requests(1))
    assert len(provider.requests) == 1


# Nothing to do, and the question


def test_what_has_left_cannot_be_taken_back(desk: Desk) -> None:
    with provide() as provider:
        office = opened(desk, provider, "--text", "Bonjour")
        done = desk.run("cancel", "latest")
        assert (done.code, office.asked) == (0, [])
        assert "There was nothing to cancel." in done.out


def test_nobody_is_asked_without_a_terminal(office: Office) -> None:
    refused = office.desk.run("cancel", "latest", "--json")
    assert (refused.code, refused.error["kind"]) == (2, "usage")
    assert "Nothing was cancelled." in refused.error["message"]
    assert office.asked == []


def test_the_question_says_how_many_and_when_they_leave(office: Office) -> None:
    no = office.desk.answer("n", "cancel", "latest")
    assert no.code == 2
    assert "Cancel 3 requests with 6 people?" in no.err
    assert no.err.count("1 request with 2 people that leaves 2033-03-01") == 3
    assert office.asked == []
    assert office.desk.answer("y", "cancel", "latest").code == 0
    assert len(office.asked) == 3


def test_a_key_is_needed_before_anything_changes(office: Office) -> None:
    refused = office.desk.run("cancel", "latest", "--yes", "--json", VOICEBATCH_API_KEY="")
    assert (refused.code, office.asked) == (2, [])


def test_a_person_s_name_is_kept(office: Office) -> None:
    done = office.cancel("--who", "Zoé")
    lines = office.desk.recipients(done.json["report_dir"]).values()
    assert {line["reason"] for line in lines} == {"cancelled at the provider's by Zoé"}


# Sandboxes


def test_a_rehearsal_whose_sandbox_is_gone_says_so(desk: Desk) -> None:
    desk.people("people.csv", 4)
    assert desk.run(*SEND, "--schedule", LATER, "--sandbox").code == 0
    refused = desk.run("cancel", "latest", "--sandbox", "--yes", "--json")
    assert refused.code == 2
    assert "its sandbox ended with it" in refused.error["message"]
    assert "--base-url" in refused.error["hint"]


def test_a_sandbox_gives_the_credit_back_and_calls_nobody(desk: Desk) -> None:
    with serve() as sandbox:
        before = account_credit(desk, sandbox.base_url)
        desk.people("people.csv", 4)
        how = ("--base-url", sandbox.base_url)
        sent = desk.run(*SEND, "--schedule", LATER, *how)
        assert account_credit(desk, sandbox.base_url) == before - Decimal(sent.json["cost"])
        done = desk.run("cancel", "latest", "--yes", "--json")
        assert (done.code, done.json["credited"]) == (0, sent.json["cost"])
        assert account_credit(desk, sandbox.base_url) == before
    assert Counter(call.number for call in sandbox.calls) == Counter(number(at) for at in range(1, 5))


def account_credit(desk: Desk, base_url: str) -> Decimal:
    shown: dict[str, Any] = desk.run("credit", "--base-url", base_url, "--json").json
    return Decimal(shown["credit"])
