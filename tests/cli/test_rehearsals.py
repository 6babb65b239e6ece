"""A rehearsal is no call, a run goes on where it was begun, and who opts out late is not called."""

from __future__ import annotations

import shlex
import shutil
import signal

import pytest

from tests.cli import provider as act
from tests.cli.desk import Desk, number, until
from tests.cli.provider import provide

TEXT = ("--text", "Bonjour {{ nom }}", "--yes", "--json")


def test_a_rehearsal_in_a_shared_ledger_never_passes_for_the_call(desk: Desk) -> None:
    people, shared = desk.people("people.csv", 3), ("--ledger", "shared.sqlite")
    rehearsed = desk.run("send", people, *TEXT, *shared, "--sandbox").json
    assert desk.manifest(rehearsed["report_dir"])["sandbox"] is True
    with provide() as provider:
        where = ("--base-url", provider.base_url)
        refused = desk.run("send", people, *TEXT, *shared, *where)
        assert (refused.code, refused.error["kind"]) == (2, "usage")
        assert "rehearsal" in refused.error["message"]
        assert not provider.requests
        called = desk.run("send", people, *TEXT, *shared, *where, "--key", "for real").json
        assert called["rows"]["accepted"] == 3
        assert desk.run("resume", called["run_id"], "--yes", *shared, "--sandbox").code == 2
    assert "rehearsal" in desk.run("runs", *shared).out


def test_a_run_goes_on_at_the_address_where_it_was_begun_by_the_very_words_of_its_hint(desk: Desk) -> None:
    people = desk.people("people.csv", 2)
    with provide(act.refuse("11"), act.accept) as provider:
        stopped = desk.run("send", people, *TEXT, "--base-url", provider.base_url, "--ledger", "my own.sqlite")
        assert stopped.code == 6
        hint = stopped.error["hint"]
        words = hint[hint.index("voicebatch ") :].split(" ", 3)
        assert words[3] == "--ledger 'my own.sqlite'"
        resumed = desk.run("resume", words[2], "--ledger", "my own.sqlite", "--yes", "--json")
        assert (resumed.code, resumed.json["rows"]["accepted"]) == (0, 2)


def test_another_address_than_the_provider_s_is_said_wherever_the_run_is(desk: Desk) -> None:
    people = desk.people("people.csv", 3)
    with provide(act.refuse("11")) as provider:
        begun = f"It was begun at {provider.base_url}, not at the provider's address."
        goes = f"It is sent to {provider.base_url}, not to the provider."
        stopped = desk.answer("y", "send", people, "--text", "Bonjour", "--base-url", provider.base_url)
        assert stopped.code == 6
        assert stopped.err.index(goes) < stopped.err.index("Call 3 people now?")
        assert begun in stopped.out
        assert begun in desk.run("runs", "show", "latest").out
        asked = desk.answer("n", "resume", "latest").err
        assert asked.index(goes) < asked.index("call 3 people now?")
        assert goes in desk.run("resume", "latest", "--yes").err
    rehearsed = desk.run("send", people, "--text", "Bonjour", "--yes", "--sandbox")
    assert rehearsed.code == 0
    assert "address" not in rehearsed.out + rehearsed.err


@pytest.mark.parametrize("command", ["plan", "send"])
def test_an_address_beside_the_sandbox_is_said_to_be_of_no_use(desk: Desk, command: str) -> None:
    people, yes = desk.people("people.csv", 3), ("--yes",) if command == "send" else ()
    with provide() as provider:
        where = ("--sandbox", "--base-url", provider.base_url)
        done = desk.run(command, people, "--text", "Bonjour", *where, "--json", *yes)
        assert (done.code, provider.requests) == (0, [])
    assert done.err.count("--sandbox has an address of its own: --base-url is not used.") == 1
    assert "not to the provider" not in done.err


def test_the_sandbox_says_how_to_send_to_it_without_touching_the_real_ledger(desk: Desk) -> None:
    people = desk.people("people.csv", 3)
    process = desk.start("sandbox", "--port", "0")
    until(lambda: "Send to it" in process.out.read_text() and process.out.read_text().endswith("\n"), "it is served")
    key, name, *words = shlex.split(process.out.read_text().splitlines()[-1].replace("FILE", people))
    assert (key, name) == ("VOICEBATCH_API_KEY=rehearsal", "voicebatch")
    sent = desk.run(*words, "--yes", "--json", VOICEBATCH_API_KEY="rehearsal")
    process.signal(signal.SIGINT)
    process.end()
    assert (sent.code, sent.json["rows"]["accepted"]) == (0, 3)
    assert sent.json["ledger"].endswith("rehearsal.sqlite")
    assert not (desk.home / "data").exists()


def test_who_opts_out_after_a_stop_is_not_called_by_the_same_command(desk: Desk) -> None:
    people = desk.people("people.csv", 3)
    desk.write("out.csv", f"phone\n{number(99)}\nnobody\n")
    with provide(act.refuse("11"), *[act.accept] * 9) as provider:
        send = ("send", people, *TEXT, "--suppress", "out.csv", "--concurrency", "1", "--base-url", provider.base_url)
        stopped = desk.run(*send)
        assert (stopped.code, stopped.json["rows"]["queued"]) == (6, 3)
        assert "out.csv: there is no phone number in 1 line, such as 3" in stopped.err
        desk.write("out.csv", f"phone\n{number(2)}\n")
        done = desk.run(*send).json
    assert (done["status"], done["rows"]["accepted"], done["rows"]["suppressed"]) == ("complete", 2, 1)
    line = desk.recipients(done["report_dir"])[3]
    assert (line["status"], line["reason"]) == ("suppressed", "on the opt-out list out.csv, row 2")
    assert all(check["ok"] for check in desk.manifest(done["report_dir"])["checks"])


def test_a_language_that_nobody_knows_is_asked_about_and_can_be_added(desk: Desk) -> None:
    desk.write("people.csv", f"telephone,lang\n{number(1)},br\n")
    assert desk.run("plan", "people.csv", "--text", "Demat", "--json").code == 3
    assert desk.run("plan", "people.csv", "--text", "Demat", "--lang", "br", "--json").code == 2
    assert desk.run("plan", "people.csv", "--text", "Demat", "--extra-lang", "br", "--json").code == 0


def test_reports_that_cannot_be_written_are_written_by_the_very_words_of_the_log(desk: Desk) -> None:
    people = desk.people("people.csv", 2)
    desk.write("reports/file", "")
    with provide(act.hold) as provider:
        process = desk.start("send", people, *TEXT, "--base-url", provider.base_url, "--ledger", "own.sqlite")
        until(lambda: provider.requests, "it is sending")
        shutil.rmtree(desk.home / "reports")
        desk.write("reports", "in the way")
        provider.release.set()
        sent = process.end()
    assert sent.code == 0
    assert "voicebatch report" in sent.err
    words = sent.err[sent.err.index("voicebatch report") :].splitlines()[0].removeprefix("voicebatch ").split()
    assert words[-2:] == ["--out", "DIR"]
    assert desk.run(*words[:-1], "elsewhere").code == 0
