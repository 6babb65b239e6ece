"""A number that the provider refuses costs the others nothing: its request is split until the number is alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tests.cli.desk import Desk, Result, number
from tests.cli.provider import sends
from voicebatch.sandbox import Sandbox, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

UNNAMED = ("+33600000013", "+33600000014")
NAMED = "+33600000044"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serve() as served:
        yield served


def send(desk: Desk, sandbox: Sandbox, numbers: list[str]) -> Result:
    desk.write("people.csv", [("telephone",), *((one,) for one in numbers)])
    return desk.run("send", "people.csv", "--text", "Bonjour", "--yes", "--base-url", sandbox.base_url, "--json")


@pytest.mark.parametrize("bad", [*UNNAMED, NAMED])
def test_the_others_of_a_refused_request_are_called(desk: Desk, sandbox: Sandbox, bad: str) -> None:
    good = [number(at) for at in range(9)]
    sent = send(desk, sandbox, [*good[:4], bad, *good[4:]])
    assert sent.code == 4
    assert sent.error["kind"] == "refused"
    assert sorted(call.number for call in sandbox.calls) == good
    rows = desk.recipients(sent.json["report_dir"])
    assert [(row, line["phone"]) for row, line in rows.items() if line["status"] == "refused"] == [(6, bad)]
    assert rows[6]["reason"]
    assert bad not in sent.err
    requests = sent.json["requests"]
    refused = [request for request in sends(sandbox) if request.outcome != "accepted"]
    assert (requests["planned"], requests["refused"]) == (1, len(refused))
    assert requests["sent"] == len(sends(sandbox))
    assert requests["accepted"] == len(sends(sandbox)) - len(refused)
    assert all(check["ok"] for check in desk.manifest(sent.json["report_dir"])["checks"])


def test_several_bad_numbers_are_found_and_the_story_tells_of_the_splits(desk: Desk, sandbox: Sandbox) -> None:
    good = [number(at) for at in range(7)]
    sent = send(desk, sandbox, [NAMED, *good, *UNNAMED])
    assert (sent.code, sent.json["rows"]["accepted"], sent.json["rows"]["refused"]) == (4, 7, 3)
    assert sorted(call.number for call in sandbox.calls) == good
    shown = desk.run("runs", "show", "latest")
    assert "refused because of a number in it" in shown.out
    assert not any(bad in shown.out for bad in (NAMED, *UNNAMED))


def test_one_bad_number_of_a_hundred_takes_few_requests(desk: Desk, sandbox: Sandbox) -> None:
    numbers = [number(at) for at in range(99)]
    sent = send(desk, sandbox, [*numbers[:70], UNNAMED[1], *numbers[70:]])
    assert (sent.json["rows"]["accepted"], sent.json["rows"]["refused"]) == (99, 1)
    assert sent.json["requests"]["sent"] <= 2 * math.ceil(math.log2(100)) + 1
    assert sorted(call.number for call in sandbox.calls) == numbers
