"""Exit 2: wrong options, paths, configuration. One JSON object and one sentence each time, and nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.desk import number
from tests.cli.provider import provide

if TYPE_CHECKING:
    from tests.cli.desk import Desk

SEND = ("send", "people.csv", "--text", "Bonjour", "--yes")


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "people.csv", "--text", "Bonjour", "--no-such-option"),
        ("plan", "--text", "Bonjour"),
        ("frobnicate",),
        ("resume",),
        ("runs", "frobnicate"),
        ("send", "people.csv", "--yes"),
        (*SEND, "--audio", "token"),
        (*SEND, "--concurrency", "0"),
        (*SEND, "--limit", "many"),
        (*SEND, "--max-cost", "a lot"),
        (*SEND, "--base-url", "http://example.org/v1"),
        (*SEND, "--channel", "pigeon"),
        (*SEND, "--timeout", "nan"),
        (*SEND, "--sandbox", "--out", "people.csv"),
        ("validate", "people.csv", "--out", "people.csv"),
        (*SEND, "--speech-rate", "2.5"),
        (*SEND, "--schedule", "2020-01-01 09:00"),
        (*SEND, "--schedule", "2033-02-30 09:00"),
        (*SEND, "--schedule", "tomorrow"),
        (*SEND, "--lang", "français"),
        ("send", "people.csv", "--template", "missing.j2", "--yes"),
        ("send", "missing.csv", "--text", "Bonjour", "--yes"),
        (*SEND, "--schema", "missing.yaml"),
        (*SEND, "--suppress", "missing.csv"),
        (*SEND, "--price-table", "missing.csv"),
        ("send", "people.csv", "--text", "{{ nom", "--yes"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_2_with_one_json_object(shared_desk: Desk, arguments: tuple[str, ...]) -> None:
    shared_desk.people("people.csv", 2)
    result = shared_desk.run(*arguments, "--json")
    assert result.code == 2
    assert result.error["kind"] == "usage"
    assert not (shared_desk.home / "data").exists()


def test_without_a_key_nothing_is_sent(shared_desk: Desk) -> None:
    shared_desk.people("people.csv", 2)
    result = shared_desk.run(*SEND, "--json", VOICEBATCH_API_KEY="")
    assert result.code == 2
    assert "VOICEBATCH_API_KEY" in result.error["hint"]


def test_without_a_terminal_and_without_yes_nothing_is_sent(shared_desk: Desk) -> None:
    shared_desk.people("people.csv", 2)
    with provide() as provider:
        result = shared_desk.run(*SEND[:-1], "--base-url", provider.base_url, "--json")
    assert result.code == 2
    assert "--yes" in result.error["hint"]
    assert provider.requests == []


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_run_of_a_ledger_that_does_not_exist_is_wrong_use_and_makes_none(shared_desk: Desk, command: str) -> None:
    more = ("--yes",) if command == "resume" else ()
    result = shared_desk.run(command, "latest", "--json", *more)
    assert result.code == 2
    assert not (shared_desk.home / "data").exists()


def test_a_configuration_file_that_is_none_or_holds_the_key_or_a_stranger_is_refused(desk: Desk) -> None:
    for content in ("text = ", 'api-key = "x"', '[send]\napi_key = "x"', 'txet = "Bonjour"', "[sned]\nlimit = 1"):
        desk.write("voicebatch.toml", content)
        result = desk.run("runs", "--json")
        assert result.code == 2, content
        assert "voicebatch.toml" in result.error["message"]


def test_without_json_the_message_and_what_to_type_next_are_on_standard_error(shared_desk: Desk) -> None:
    result = shared_desk.run("plan", "people.csv", "--no-such-option")
    assert result.out == ""
    assert "--no-such-option" in result.err
    assert "--help" in result.err
    assert "Traceback" not in result.err


def test_a_variable_asks_for_json_too(shared_desk: Desk) -> None:
    result = shared_desk.run("frobnicate", VOICEBATCH_JSON="1")
    assert result.code == 2
    assert result.error["kind"] == "usage"


def test_a_terminal_without_the_characters_shows_what_it_can_and_json_stays_json(desk: Desk) -> None:
    desk.write("people.csv", f"prénom,téléphone\nZoé,{number(1)}\n".encode())
    plan = ("plan", "people.csv", "--text", "Bonjour {{ prenom }} ❤")
    assert desk.run(*plan, PYTHONIOENCODING="ascii").code == 0
    assert desk.run(*plan, "--json", PYTHONIOENCODING="ascii").json["rows"]["queued"] == 1
    assert desk.run("plan", "people.csv", "--text", "{{ nom }}", PYTHONIOENCODING="ascii").code == 3


def test_bytes_that_are_no_text_are_a_wrong_use(desk: Desk) -> None:
    desk.people("people.csv", 1)
    broken = b"\xff".decode("utf-8", "surrogateescape")
    for arguments in (("plan", "people.csv", "--text", broken), ("validate", broken), ("report", broken)):
        assert desk.run(*arguments, "--json").error["kind"] == "usage"


def test_a_name_that_is_too_long_and_an_address_that_is_none_are_a_wrong_use(desk: Desk) -> None:
    desk.people("people.csv", 1)
    assert desk.run("validate", "x" * 5000, "--json").error["kind"] == "usage"
    assert desk.run("plan", "people.csv", "--text", "x", "--notify-url", "http://[", "--json").error["kind"] == "usage"


def test_a_list_of_people_given_as_the_schema_is_not_quoted(desk: Desk) -> None:
    people = desk.people("people.csv", 1)
    assert desk.run("plan", people, "--text", "x", "--schema", people).code == 2


def test_a_list_of_runs_says_that_there_is_no_ledger_yet(desk: Desk) -> None:
    listed = desk.run("runs", "--ledger", "nowhere/x.sqlite")
    assert listed.code == 0
    assert "There is no ledger" in listed.err
    assert "nowhere/x.sqlite" in listed.err
    assert not (desk.home / "nowhere").exists()


def test_a_rehearsal_that_is_looked_for_among_the_calls_is_found_by_the_hint(desk: Desk) -> None:
    desk.people("people.csv", 2)
    rehearsed = desk.run(*SEND, "--sandbox", "--json").json["run_id"]
    missed = desk.run("runs", "show", rehearsed, "--json")
    assert missed.code == 2
    assert "add --sandbox" in missed.error["hint"]
    assert desk.run("runs", "show", rehearsed, "--sandbox").code == 0
    assert "add --sandbox" not in desk.run("runs", "show", "zz", "--sandbox").err
