"""What keeps people from being called by mistake: ceilings, questions, keys, windows, limits, the ledger itself."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.cli import provider as act
from tests.cli.desk import Desk, Result, number
from tests.cli.provider import UNIT_COST, Provider, provide
from voicebatch.models import RateLimit
from voicebatch.sandbox import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = ("--text", "Bonjour")


# --max-cost


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    desk: Desk
    provider: Provider
    without_price: Result
    runs_without_price: Result
    stopped: Result
    resumed: Result


@pytest.fixture(scope="module")
def ceiling(new_desk: Callable[..., Desk]) -> Iterator[Ceiling]:
    desk = new_desk()
    desk.people("people.csv", 6)
    desk.write("prices.csv", f"calling_code,unit_cost,currency\n33,{UNIT_COST},EUR\n")
    with provide() as provider:
        how = ("--base-url", provider.base_url, "--yes", "--json")
        send = ("send", "people.csv", *TEXT, "--batch-size", "2", *how, "--max-cost", "0.17")
        without_price = desk.run(*send)
        runs = desk.run("runs", "--json")
        stopped = desk.run(*send, "--price-table", "prices.csv")
        before = len(provider.requests)
        assert before == 2
        yield Ceiling(
            desk=desk,
            provider=provider,
            without_price=without_price,
            runs_without_price=runs,
            stopped=stopped,
            resumed=desk.run("resume", "latest", *how, "--max-cost", "0,25"),  # its price is in the ledger now
        )


def test_a_ceiling_without_a_price_is_wrong_use_and_leaves_nothing_behind(ceiling: Ceiling) -> None:
    assert ceiling.without_price.code == 2
    assert "--price-table" in ceiling.without_price.error["hint"]
    assert ceiling.runs_without_price.json["runs"] == []


def test_a_run_stops_before_the_request_that_would_pass_the_ceiling(ceiling: Ceiling) -> None:
    assert ceiling.stopped.code == 7
    assert ceiling.stopped.error["kind"] == "guard"
    assert "--max-cost" in ceiling.stopped.error["hint"]
    summary = ceiling.stopped.json
    assert summary["status"] == "stopped"
    assert (summary["rows"]["accepted"], summary["rows"]["queued"]) == (4, 2)
    assert Decimal(summary["cost"]) == 4 * UNIT_COST


def test_a_higher_ceiling_lets_resume_go_on_at_prices_learnt_from_the_ledger(ceiling: Ceiling) -> None:
    assert ceiling.resumed.code == 0
    assert Decimal(ceiling.resumed.json["cost"]) == ceiling.provider.charged == 6 * UNIT_COST
    assert Counter(ceiling.provider.called) == Counter(number(at) for at in range(1, 7))


# The question


def test_no_is_no_and_stdout_stays_one_json_object(desk: Desk) -> None:
    desk.people("people.csv", 3)
    with provide() as provider:
        result = desk.answer("n", "send", "people.csv", *TEXT, "--base-url", provider.base_url, "--json")
    assert result.code == 2
    assert result.error["kind"] == "usage"
    assert provider.requests == []
    assert desk.run("runs", "--json").json["runs"] == []


def test_yes_is_yes_and_the_same_command_asks_again_before_it_goes_on_with_the_rest(desk: Desk) -> None:
    desk.people("people.csv", 3)
    with provide(act.refuse(11)) as provider:
        command = ("send", "people.csv", *TEXT, "--base-url", provider.base_url)
        stopped = desk.answer("y", *command)
        assert stopped.code == 6
        assert "3 people" in stopped.err
        assert "voicebatch resume" in stopped.err
        assert len(provider.requests) == 1
        assert desk.answer("n", *command).code == 2
        assert len(provider.requests) == 1
        assert provider.called == []


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A run that is asked about before it is sent, and again before the rest is."""

    sent: Result
    without_price: Result
    resumed: Result


@pytest.fixture(scope="module")
def asked(new_desk: Callable[..., Desk]) -> Iterator[Asked]:
    desk = new_desk(TZ="Asia/Kolkata")
    desk.people("people.csv", 6)
    desk.write("prices.csv", f"calling_code,unit_cost,currency\n33,{UNIT_COST},EUR\n")
    desk.write("out.csv", f"phone\n{number(6)}\nnobody\n")
    with provide(act.accept, act.refuse(11)) as provider:
        how = ("--base-url", provider.base_url, "--rate", "1/min", "--concurrency", "1")
        send = ("send", "people.csv", *TEXT, "--batch-size", "2", *how, "--max-cost", "10")
        without_price = desk.run(*send, "--json", "--yes")
        sent = desk.answer("y", *send, "--price-table", "prices.csv", "--rate", "9/min")
        yield Asked(
            sent=sent,
            without_price=without_price,
            resumed=desk.answer("n", "resume", "latest", *how, "--max-cost", "10", "--suppress", "out.csv"),
        )


def test_before_sending_people_requests_cost_time_and_ceiling_are_shown(asked: Asked) -> None:
    shown = asked.sent.out + asked.sent.err
    assert "6 to call" in shown
    assert re.search(r"3 requests, all out by \d{4}-\d\d-\d\d \d\d:\d\d IST at best", shown)
    assert f"Estimated cost: {6 * UNIT_COST} EUR" in shown
    assert "Ceiling: 10.0000 EUR" in shown
    assert "Call 6 people now?" in shown
    assert asked.without_price.code == 2


def test_before_going_on_the_same_is_shown_of_what_is_left(asked: Asked) -> None:
    shown = asked.resumed.err
    assert re.search(r"3 people still queued, in 2 requests, all out by .* IST at best", shown)
    assert f"Estimated cost: {3 * UNIT_COST} EUR" in shown
    assert f"Ceiling: 10.0000 EUR for the whole run, of which {2 * UNIT_COST} is charged already" in shown
    assert "call 3 people now?" in shown
    assert "out.csv: there is no phone number in 1 line, such as 3" in shown


def test_without_a_price_the_question_says_so_and_a_ceiling_needs_no_question(desk: Desk) -> None:
    desk.people("people.csv", 2)
    send = ("send", "people.csv", *TEXT, "--sandbox")
    assert "Estimated cost: no price known for +33: give --price-table" in desk.answer("n", *send).out
    process = desk.start(*send, "--max-cost", "1", "--yes")
    assert process.end().code == 2


def test_options_that_come_too_late_for_a_plan_are_named(desk: Desk) -> None:
    desk.people("people.csv", 2)
    send = ("send", "people.csv", *TEXT, "--sandbox", "--yes")
    planned = desk.run(*send, "--max-invalid", "3", "--repeat-window", "2d")
    assert desk.run(*send, "--max-invalid", "3", "--repeat-window", "48h").err.count("change nothing") == 0
    other = desk.run(*send, "--batch-size", "1", "--notify-url", "https://example.com/", "--repeat-window", "2d")
    assert (planned.code, other.code) == (0, 0)
    (line,) = [line for line in other.err.splitlines() if "change nothing" in line]
    assert "--batch-size (planned with 500), --notify-url (planned with none), --max-invalid (planned with 3)" in line
    assert "--repeat-window" not in line


def test_who_opted_out_meanwhile_is_left_out_by_resume(desk: Desk) -> None:
    desk.people("people.csv", 4)
    desk.write("out.csv", f"phone\n{number(2)}\n")
    desk.write("more.txt", f"{number(3)}\n")
    with provide(act.refuse(11)) as provider:
        where = ("--base-url", provider.base_url, "--yes", "--json")
        desk.run("send", "people.csv", *TEXT, *where)
        done = desk.run("resume", "latest", "--suppress", "out.csv", "--suppress", "more.txt", *where)
        assert provider.called == [number(1), number(4)]
    assert (done.code, done.json["rows"]["suppressed"]) == (0, 2)
    assert desk.recipients(done.json["report_dir"])[4]["reason"] == "on the opt-out list more.txt, row 1"


# Keys and windows


@dataclass(frozen=True, kw_only=True)
class Keys:
    provider: Provider
    first: Result
    other_content: Result
    other_key: Result
    window_off: Result


@pytest.fixture(scope="module")
def keys(new_desk: Callable[..., Desk]) -> Iterator[Keys]:
    desk = new_desk()
    desk.people("people.csv", 2)
    desk.people("others.csv", 2, first=11)
    with provide() as provider:
        how = (*TEXT, "--base-url", provider.base_url, "--yes", "--json", "--ledger",
               f"sqlite+pysqlite:///{desk.home}/books/own.sqlite")  # fmt: skip
        yield Keys(
            provider=provider,
            first=desk.run("send", "people.csv", *how, "--key", "march"),
            other_content=desk.run("send", "others.csv", *how, "--key", "march"),
            other_key=desk.run("send", "people.csv", *how, "--key", "april"),
            window_off=desk.run("send", "people.csv", *how, "--key", "may", "--repeat-window", "0"),
        )
    assert (desk.home / "books" / "own.sqlite").exists()
    assert not (desk.home / "data").exists()


def test_a_key_used_for_other_content_is_wrong_use(keys: Keys) -> None:
    assert keys.first.code == 0
    assert keys.first.json["key"] == "march"
    assert keys.first.json["ledger"].endswith("/books/own.sqlite")
    assert keys.other_content.code == 2
    assert "march" in keys.other_content.error["message"]
    assert number(11) not in keys.provider.called


def test_another_key_does_not_call_whoever_heard_the_same_message_within_the_window(keys: Keys) -> None:
    assert keys.other_key.code == 3
    assert keys.other_key.json["rows"]["suppressed"] == 2


def test_a_window_of_0_calls_again(keys: Keys) -> None:
    assert keys.window_off.code == 0
    assert Counter(keys.provider.called) == {number(1): 2, number(2): 2}


# The pace


def test_as_many_requests_are_in_flight_as_allowed(desk: Desk) -> None:
    desk.people("people.csv", 3)
    key_file = desk.write("key.txt", "key-from-a-file\n")
    with provide(act.meet, act.meet, act.meet) as provider:
        result = desk.run("send", "people.csv", *TEXT, "--batch-size", "1", "--concurrency", "3", "--yes", "--json",
                          "--base-url", provider.base_url, VOICEBATCH_API_KEY="",
                          VOICEBATCH_API_KEY_FILE=key_file)  # fmt: skip
    assert result.code == 0
    assert {request.body["apiKey"] for request in provider.requests} == {"key-from-a-file"}


def test_a_rate_is_kept_where_the_requests_arrive(desk: Desk) -> None:
    desk.people("people.csv", 5)
    with serve(rate_limit=RateLimit(requests=2, seconds=1.0)) as sandbox:
        result = desk.run("send", "people.csv", *TEXT, "--batch-size", "1", "--rate", "2/1s", "--yes",
                          "--base-url", sandbox.base_url, "--json")  # fmt: skip
    assert result.code == 0
    assert [request.outcome for request in act.sends(sandbox)] == ["accepted"] * 5
    arrivals = [request.at for request in act.sends(sandbox)]
    assert all(later - sooner >= timedelta(seconds=1) for sooner, later in zip(arrivals, arrivals[2:], strict=False))


# The ledger


@pytest.mark.parametrize("ledger", ["people.csv/ledger.sqlite", "people.csv"])
def test_a_ledger_that_cannot_be_written_is_exit_8_and_nothing_is_sent(desk: Desk, ledger: str) -> None:
    desk.people("people.csv", 2)
    with provide() as provider:
        result = desk.run("send", "people.csv", *TEXT, "--ledger", ledger, "--base-url", provider.base_url, "--yes",
                          "--json")  # fmt: skip
    assert result.code == 8
    assert result.error["kind"] == "ledger"
    assert "--ledger" in result.error["hint"]
    assert provider.requests == []


def test_a_traceback_of_a_ledger_that_fails_shows_no_number(desk: Desk) -> None:
    desk.people("people.csv", 2)
    with provide() as provider:
        how = ("--base-url", provider.base_url, "--yes", "--json")
        desk.people("first.csv", 1, first=100)
        assert desk.run("send", "first.csv", *TEXT, *how, "-q").err == ""
        with sqlite3.connect(desk.home / "data" / "voicebatch" / "ledger.sqlite") as connection:
            connection.execute("CREATE TRIGGER full BEFORE INSERT ON rows BEGIN SELECT RAISE(ABORT, 'no room'); END")
        connection.close()
        result = desk.run("send", "people.csv", *TEXT, *how, "-vv")
    assert result.code == 8
    assert "Traceback" in result.err
    assert "no room" in result.error["message"]
    assert len(provider.requests) == 1
