"""What keeps people from being called by mistake: ceilings, questions, keys, windows, limits, the ledger itself."""

from __future__ import annotations

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
    assert not (desk.home / "data").exists()


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
    assert [request.outcome for request in sandbox.requests] == ["accepted"] * 5
    arrivals = [request.at for request in sandbox.requests]
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
