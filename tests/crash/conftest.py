"""What the crash tests share: a machine, and a word to whoever watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIGURES: Final = "figures"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A machine for one test."""
    home = tmp_path / "desk"
    home.mkdir()
    return Desk(home=home)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a line for the end of the session: the figures of these tests are what they are for."""
    return lambda text: request.node.user_properties.append((FIGURES, text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures of every test, whichever process it ran in."""
    ended = [report for how in ("passed", "failed") for report in terminalreporter.getreports(how)]
    for report in ended:
        for text in (text for name, text in report.user_properties if name == FIGURES):
            terminalreporter.write_line(f"{report.location[2]}\n  {text}")
