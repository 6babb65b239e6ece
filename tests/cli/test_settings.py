"""Where options come from: the command line, then ``VOICEBATCH_…`` variables, then ``voicebatch.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.cli.desk import Desk, Result

if TYPE_CHECKING:
    from collections.abc import Callable

TOML = """
json = true
text = "Bonjour {{ nom }}"
batch-size = 1

[plan]
limit = 2
out = "from-the-file"
"""


@dataclass(frozen=True, kw_only=True)
class Layers:
    file: Result
    variable: Result
    option: Result


@pytest.fixture(scope="module")
def layers(new_desk: Callable[..., Desk]) -> Layers:
    desk = new_desk()
    desk.people("people.csv", 9)
    desk.write("voicebatch.toml", TOML)
    variables = {"VOICEBATCH_LIMIT": "6", "VOICEBATCH_BATCH_SIZE": "3", "VOICEBATCH_QUIET": "1"}
    # One text for everyone, so that the batch size shows.
    return Layers(
        file=desk.run("plan", "people.csv"),
        variable=desk.run("plan", "people.csv", VOICEBATCH_TEXT="Bonjour", **variables),
        option=desk.run("plan", "people.csv", "--text", "Salut", "--limit", "8", "--batch-size", "4", **variables),
    )


def test_the_file_gives_what_nothing_else_does(layers: Layers) -> None:
    assert layers.file.code == 0
    assert layers.file.json["rows"]["queued"] == 2
    assert layers.file.json["requests"]["planned"] == 2
    assert "from-the-file" in layers.file.json["report_dir"]


def test_a_variable_goes_before_the_file(layers: Layers) -> None:
    assert layers.variable.json["rows"]["queued"] == 6
    assert layers.variable.json["requests"]["planned"] == 2
    assert layers.variable.err == ""


def test_an_option_goes_before_the_variable(layers: Layers) -> None:
    assert layers.option.json["rows"]["queued"] == 8
    assert layers.option.json["requests"]["planned"] == 2


def test_the_file_makes_errors_and_other_commands_json_too(desk: Desk) -> None:
    desk.write("voicebatch.toml", "json = true\n")
    assert desk.run("plan", "--frobnicate").error["kind"] == "usage"
    assert desk.run("schema", "show").json["explanation"]
    assert desk.run("runs").json["runs"] == []


def test_a_rehearsal_needs_no_key_and_has_a_ledger_of_its_own(desk: Desk) -> None:
    desk.people("people.csv", 3)
    sent = desk.run("send", "people.csv", "--text", "Bonjour", "--sandbox", "--yes", "-v", VOICEBATCH_API_KEY="")
    assert sent.code == 0
    assert "3 accepted" in sent.out
    assert "France (FR)" in sent.out
    assert {path.name for path in (desk.home / "data" / "voicebatch").glob("*.sqlite")} == {"sandbox.sqlite"}
    assert desk.run("runs", "--json").json["runs"] == []
    (run,) = desk.run("runs", "--sandbox", "--json").json["runs"]
    assert run["rows"]["accepted"] == 3
    assert run["run_id"] in desk.run("report", "latest", "--sandbox").out
