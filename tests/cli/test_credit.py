"""``credit`` and ``audio``, and the look at the account before anything is sent."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli import provider as act
from tests.cli.desk import API_KEY, Desk, number
from tests.cli.provider import UNIT_COST, Provider, provide
from voicebatch.app import account
from voicebatch.errors import GuardError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT: Final = ("--text", "Bonjour")
ME: Final = "/v1/me/"
AUDIOS: Final = "/v1/audios/"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with provide() as provided:
        yield provided


def at(provider: Provider) -> tuple[str, str]:
    return "--base-url", provider.base_url


class Clock:
    """A time that passes when somebody waits."""

    def __init__(self) -> None:
        self.time = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def wait(self, until: datetime, _: threading.Event) -> None:
        self.time = max(self.time, until)


# credit


def test_the_credit_is_shown_with_what_the_details_say(desk: Desk, provider: Provider) -> None:
    shown = desk.run("credit", *at(provider))
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == "Credit: 1000000.0000 EUR\n  tts: 5 h, 55 m, 66 s\n  voice: 10 message\n"
    provider.account[ME] = act.has_credit("19.5")
    told = desk.run("credit", *at(provider), "--json").json
    assert (told["credit"], told["currency"]) == ("19.5000", "EUR")
    assert told["details"] == {"tts": {"h": 5, "m": 55, "s": 66}, "voice": {"message": 10}}
    assert [request.path for request in provider.asked] == [f"{ME}{API_KEY}"] * 2


@pytest.mark.parametrize(("code", "meaning"), [("10", "the API key is wrong"), ("30", "the account is blocked")])
@pytest.mark.parametrize("command", [("credit",), ("audio", "list"), ("audio", "rename", "tok", "Un nom")])
def test_an_account_that_is_refused_is_exit_6(
    desk: Desk, provider: Provider, command: tuple[str, ...], code: str, meaning: str
) -> None:
    no = act.refuse(code, f"the key {API_KEY} is bad")
    provider.account = dict.fromkeys(provider.account, no)
    refused = desk.run(*command, *at(provider), "--json")
    assert (refused.code, refused.error["kind"]) == (6, "account")
    assert meaning in refused.error["message"]


@pytest.mark.parametrize("command", [("credit",), ("audio", "list"), ("audio", "rename", "tok", "Un nom")])
def test_an_answer_that_cannot_be_read_is_exit_7_and_may_be_asked_for_again(
    desk: Desk, provider: Provider, command: tuple[str, ...]
) -> None:
    provider.account = dict.fromkeys(provider.account, act.say(200, f"<html>{API_KEY}</html>"))
    failed = desk.run(*command, *at(provider), "--json", "-vv")
    assert (failed.code, failed.error["kind"]) == (7, "guard")
    assert "again does no harm" in failed.error["hint"]


def test_a_key_is_needed_and_an_address_that_keeps_it_secret(desk: Desk) -> None:
    assert desk.run("credit", VOICEBATCH_API_KEY="").code == 2
    assert desk.run("credit", "--base-url", "http://example.org/v1").code == 2


def test_the_sixth_look_up_in_a_minute_waits_whoever_makes_it(provider: Provider, tmp_path: Path) -> None:
    clock, waits = Clock(), list[str]()
    began = clock.now()
    for _ in range(7):
        account.credit(
            api_key=API_KEY, base_url=provider.base_url, ledger=str(tmp_path / "ledger.sqlite"), clock=clock,
            on_wait=lambda _, reason: waits.append(reason),
        )  # fmt: skip
    assert timedelta(seconds=60) <= clock.now() - began < timedelta(seconds=70)
    assert len(provider.asked) == 7
    assert len(waits) == 1
    assert "5 times in 60 s" in waits[0]


def test_the_provider_s_wait_is_waited_for_unless_it_is_long(provider: Provider, tmp_path: Path) -> None:
    clock, ledger = Clock(), str(tmp_path / "ledger.sqlite")
    provider.account[ME] = act.in_turn(
        act.wait(429, Retry_After="20"), act.has_credit("1"), act.wait(429, Retry_After="999")
    )
    asked = {"api_key": API_KEY, "base_url": provider.base_url, "ledger": ledger, "clock": clock}
    began = clock.now()
    assert account.credit(**asked).amount == 1  # type: ignore[arg-type]
    assert clock.now() - began >= timedelta(seconds=20)
    with pytest.raises(GuardError, match="wait"):
        account.credit(**asked)  # type: ignore[arg-type]
    assert len(provider.asked) == 3


# audio


def test_the_recordings_are_listed(desk: Desk, provider: Provider) -> None:
    nothing = desk.run("audio", "list", *at(provider))
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "The account has no recordings.\n")
    provider.account[AUDIOS] = act.has_audios("tok-1", "tok-2")
    listed = desk.run("audio", "list", *at(provider))
    assert [line.split()[0] for line in listed.out.splitlines()] == ["Token", "tok-1", "tok-2"]
    (one, _) = desk.run("audio", "list", *at(provider), "--json").json["audios"]
    assert one == {
        "token": "tok-1", "name": "name of tok-1", "duration": "0:07", "size": "104.5Ko",
        "created_at": "2018-04-16T13:26:46+02:00",
    }  # fmt: skip


def test_a_recording_is_renamed(desk: Desk, provider: Provider) -> None:
    renamed = desk.run("audio", "rename", "tok-1", "Vœux 2027", *at(provider))
    assert (renamed.code, renamed.out) == (0, "The recording tok-1 is called “Vœux 2027” now.\n")
    told = desk.run("audio", "rename", "tok-1", "abc", *at(provider), "--json").json
    assert (told["token"], told["name"]) == ("tok-1", "abc")
    assert provider.asked[0].body == {"apiKey": API_KEY, "tokenAudio": "tok-1", "filename": "Vœux 2027"}


@pytest.mark.parametrize("name", ["ab", "a" * 51, ""])
def test_a_name_that_is_too_short_or_too_long_is_not_even_asked_for(desk: Desk, provider: Provider, name: str) -> None:
    refused = desk.run("audio", "rename", "tok-1", name, *at(provider), "--json")
    assert refused.code == 2
    assert "3 to 50 characters" in refused.error["message"]
    assert provider.asked == []


def test_a_recording_that_there_is_not_cannot_be_renamed(desk: Desk, provider: Provider) -> None:
    provider.account["/v1/audio-file/rename"] = act.refuse("AUDIO_FILE_NOT_FOUND")
    refused = desk.run("audio", "rename", "tok-9", "Un nom", *at(provider), "--json")
    assert (refused.code, refused.error["kind"]) == (2, "usage")
    assert "no audio file" in refused.error["message"]
    assert "audio list" in refused.error["hint"]


# Before sending


@pytest.fixture
def priced(desk: Desk) -> Desk:
    """Three people, who cost 0.1237037034 EUR."""
    desk.people("people.csv", 3)
    desk.write("prices.csv", f"calling_code,unit_cost,currency\n33,{UNIT_COST},EUR\n")
    desk.write("dollars.csv", f"calling_code,unit_cost,currency\n33,{UNIT_COST},USD\n")
    return desk


SEND: Final = ("send", "people.csv", *TEXT, "--yes", "--json", "--price-table", "prices.csv")


def test_a_credit_that_is_enough_is_said_and_looked_up_once(priced: Desk, provider: Provider) -> None:
    sent = priced.run(*SEND, *at(provider), "--require-credit")
    assert sent.code == 0
    assert f"The credit of 1000000.0000 EUR covers the estimated {3 * UNIT_COST} EUR." in sent.err
    assert [request.path for request in provider.asked] == [f"{ME}{API_KEY}"]


def test_a_credit_that_is_not_enough_is_a_warning_with_both_figures(priced: Desk, provider: Provider) -> None:
    provider.account[ME] = act.has_credit("0.12")
    sent = priced.run(*SEND, *at(provider), "-q")
    assert sent.code == 0
    assert f"The credit of 0.1200 EUR does not cover the estimated {3 * UNIT_COST} EUR." in sent.err
    assert len(provider.called) == 3


@pytest.mark.parametrize(
    ("credit", "more", "words"),
    [
        (act.has_credit("0.12"), (), "does not cover"),
        (act.has_credit("99"), ("--price-table", "dollars.csv"), "two currencies"),
        (act.has_credit("99", "$"), (), "two currencies"),
        (act.say(501, "<html>no</html>"), (), "came to nothing"),
        (act.say(200, '{"success": true, "credit": "much"}'), (), "came to nothing"),
        (act.wait(429, Retry_After="900"), (), "wait"),
        (act.lose, (), "came to nothing"),
    ],
)
def test_a_credit_that_has_to_be_enough_refuses_what_it_cannot_be_known_to_cover(
    priced: Desk, provider: Provider, credit: act.Behaviour, more: tuple[str, ...], words: str
) -> None:
    provider.account[ME] = credit
    refused = priced.run(*SEND, *more, *at(provider), "--require-credit")
    assert (refused.code, refused.error["kind"]) == (6, "account")
    assert words in refused.error["message"]
    assert "Nothing was sent." in refused.error["message"]
    assert priced.run("runs", "--json").json["runs"] == []
    sent = priced.run(*SEND, *more, *at(provider))
    assert sent.code == 0
    assert len(provider.called) == 3


def test_without_a_price_nothing_can_be_compared(priced: Desk, provider: Provider) -> None:
    send = ("send", "people.csv", *TEXT, "--yes", "--json", *at(provider))
    refused = priced.run(*send, "--require-credit")
    assert refused.code == 6
    assert "no price is known for +33" in refused.error["message"]
    assert provider.requests == []
    sent = priced.run(*send)
    assert sent.code == 0
    assert "no price is known for +33 (--price-table)" in sent.err


@pytest.mark.parametrize("more", [(), ("--require-credit",)])
def test_an_account_that_would_refuse_every_request_is_exit_6_before_anything_is_queued(
    priced: Desk, provider: Provider, more: tuple[str, ...]
) -> None:
    provider.account[ME] = act.refuse(30)
    refused = priced.run(*SEND, *more, *at(provider))
    assert (refused.code, refused.error["kind"]) == (6, "account")
    assert provider.requests == []
    assert priced.run("runs", "--json").json["runs"] == []


def test_nobody_is_asked_about_a_rehearsal_or_a_plan(priced: Desk, provider: Provider) -> None:
    assert priced.run(*SEND, "--sandbox", "--require-credit").code == 0
    assert priced.run(*SEND, "--dry-run", *at(provider)).code == 0
    assert provider.asked == []


def test_more_sends_than_look_ups_are_allowed_do_not_wait(priced: Desk, provider: Provider) -> None:
    for at_once in range(6):
        sent = priced.run(*SEND, *at(provider), "--key", str(at_once), "--repeat-window", "0")
        assert sent.code == 0
    assert "5 times in 60 s" in sent.err
    assert len(provider.asked) == 5


def test_the_credit_is_shown_before_the_question(priced: Desk, provider: Provider) -> None:
    answered = priced.answer("n", *SEND[:4], "--price-table", "prices.csv", *at(provider))
    assert answered.code == 2
    assert answered.err.index("The credit of") < answered.err.index("Call 3 people now?")
    assert provider.requests == []


def test_a_run_that_goes_on_is_checked_for_what_is_left(priced: Desk) -> None:
    with provide(act.accept, act.refuse(20)) as provider:
        how = ("--batch-size", "1", "--concurrency", "1", *at(provider))
        assert priced.run(*SEND, *how).code == 6
        provider.account[ME] = act.has_credit("0.08")
        resume = ("resume", "latest", "--yes", "--json", "--price-table", "prices.csv", *at(provider))
        refused = priced.run(*resume, "--require-credit")
        assert refused.code == 6
        assert f"estimated {2 * UNIT_COST} EUR" in refused.error["message"]
        assert len(provider.requests) == 2
        assert priced.run(*resume).code == 0
    assert Counter(provider.called) == Counter(number(at) for at in (1, 2, 3))


# Recordings


def test_a_recording_of_the_option_that_there_is_not_is_exit_2(desk: Desk, provider: Provider) -> None:
    desk.people("people.csv", 3)
    provider.account[AUDIOS] = act.has_audios("tok-1")
    send = ("send", "people.csv", "--yes", "--json", *at(provider), "--audio")
    refused = desk.run(*send, "tok-2")
    assert (refused.code, refused.error["kind"]) == (2, "usage")
    assert "'tok-2'" in refused.error["message"]
    assert provider.requests == []
    assert desk.run("runs", "--json").json["runs"] == []
    assert desk.run(*send, "tok-1").code == 0
    assert len(provider.asked_for(AUDIOS)) == 2


def test_recordings_of_a_column_that_there_are_not_are_exit_3_with_their_rows(desk: Desk, provider: Provider) -> None:
    desk.write("people.csv", [("telephone", "Audio token"), (number(1), "tok-1"), (number(2), "tok-2"), (number(3), ""),
                              (number(4), "tok-3")])  # fmt: skip
    provider.account[AUDIOS] = act.has_audios("tok-1")
    refused = desk.run("send", "people.csv", *TEXT, "--yes", "--json", *at(provider))
    assert (refused.code, refused.error["kind"]) == (3, "input")
    assert "'tok-2', 'tok-3'" in refused.error["message"]
    (group,) = refused.json["fault_groups"]
    assert (group["column"], group["first_rows"]) == ("Audio token", [3, 5])
    assert "“Audio token”: the value is no recording of the account in 2 rows: 3, 5" in refused.err
    assert (desk.home / refused.json["report_dir"] / "rejected.csv").exists()
    assert provider.requests == []
    assert desk.run("runs", "--json").json["runs"] == []


def test_a_list_of_recordings_that_cannot_be_read_is_said_and_no_reason_to_stop(desk: Desk, provider: Provider) -> None:
    desk.people("people.csv", 3)
    provider.account[AUDIOS] = act.say(404, "<html>no</html>")
    sent = desk.run("send", "people.csv", "--audio", "tok-2", "--yes", "--json", *at(provider))
    assert sent.code == 0
    assert "The look-up of the recordings came to nothing" in sent.err


def test_a_text_needs_no_list_of_recordings(priced: Desk, provider: Provider) -> None:
    assert priced.run(*SEND, *at(provider)).code == 0
    assert provider.asked_for(AUDIOS) == []


def test_a_recording_that_is_gone_stops_a_run_that_would_go_on(desk: Desk) -> None:
    desk.people("people.csv", 4)
    with provide(act.accept, act.refuse(20)) as provider:
        provider.account[AUDIOS] = act.in_turn(act.has_audios("tok-1"), act.has_audios())
        how = ("--yes", "--json", "--concurrency", "1", *at(provider))
        assert desk.run("send", "people.csv", "--audio", "tok-1", "--batch-size", "2", *how).code == 6
        gone = desk.run("resume", "latest", *how)
        assert (gone.code, gone.error["kind"]) == (3, "input")
        assert "'tok-1', which 2 people would hear" in gone.error["message"]
        assert "voicebatch cancel" in gone.error["hint"]
        assert len(provider.requests) == 2
