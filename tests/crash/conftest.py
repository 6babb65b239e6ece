"""What the crash tests share: a machine, and a word to whoever watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A machine for one test."""
    home = tmp_path / "desk"
    home.mkdir()
    return Desk(home=home)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a line at once, captured or not: these tests take minutes, and their figures are what they are for."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", flush=True)  # noqa: T201 # see above

    return line
