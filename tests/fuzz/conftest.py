"""What the fuzzer came to, at the end of the session."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.fuzz.targets import SMALL
from voicebatch.readers import blocks

if TYPE_CHECKING:
    from collections.abc import Callable

TRIED: Final = "tried"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the processes that fuzz."""
    for name, size in SMALL.items():
        monkeypatch.setattr(blocks, name, size)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[Counter[str]], None]:
    """Keeps how many inputs each target accepted and refused."""
    return lambda tally: request.node.user_properties.append((TRIED, dict(tally)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Adds up the counts of all processes."""
    ended = [report for how in ("passed", "failed") for report in terminalreporter.getreports(how)]
    tally: Counter[str] = Counter()
    for some in (some for report in ended for name, some in report.user_properties if name == TRIED):
        tally.update(some)
    for target in sorted({key.split()[0] for key in tally}):
        accepted, refused, failed = (tally[f"{target} {how}"] for how in ("accepted", "refused", "failed"))
        tried = accepted + refused + failed
        terminalreporter.write_line(f"{target:9}{tried:10,} tried{accepted:10,} accepted{refused:10,} refused")
    if tally:
        terminalreporter.write_line(f"{'all':9}{tally.total():10,} tried")
