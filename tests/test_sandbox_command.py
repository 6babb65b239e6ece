"""``voicebatch sandbox``, as a real process: every option reaches what it serves."""

from __future__ import annotations

import contextlib
import json
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests

from tests.cli.desk import Desk, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY: Final[dict[str, Any]] = {"apiKey": "any", "phoneNumbers": "0600000000", "tokenAudio": "mine"}


@contextlib.contextmanager
def served(desk: Desk, *options: str) -> Iterator[str]:
    process = desk.start("sandbox", "--port", "0", "--json", *options)
    until(lambda: process.out.read_text().endswith("}\n") or process.popen.poll() is not None, "it is served")
    try:
        yield json.loads(process.out.read_text())["base_url"]
    finally:
        process.signal(signal.SIGINT)
        process.end()


def test_its_options_are_the_account_and_what_goes_wrong(tmp_path: Path) -> None:
    options = ("--credit", "12,50", "--audio", "mine", "--campaign-rate", "3/min", "--callback-delay", "0",
               "--fault", "throttled:1x", "--fault", "error-after:1x", "--seed", "7")  # fmt: skip
    with served(Desk(home=tmp_path), *options) as base_url:
        assert requests.get(f"{base_url}/me/any", timeout=10).json()["credit"] == "12.50"
        answers = [requests.post(f"{base_url}/campaign/send", json=BODY, timeout=10) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [429, 500, 200, 200, 429]
    assert answers[3].headers["X-RateLimit-Limit"] == "3"


@pytest.mark.parametrize(
    "option",
    [("--fault", "explosion"), ("--fault", "lost-after:2"), ("--credit", "plenty"), ("--credit", "-1"),
     ("--campaign-rate", "often"), ("--callback-delay", "-1")],
)  # fmt: skip
def test_a_wrong_option_is_wrong_use_and_nothing_is_served(tmp_path: Path, option: tuple[str, str]) -> None:
    refused = Desk(home=tmp_path).run("sandbox", "--port", "0", *option)
    assert (refused.code, refused.out) == (2, "")
