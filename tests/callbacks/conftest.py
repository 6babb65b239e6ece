"""What the tests of callbacks share: a listener in this process, with a ledger of paper behind it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import requests

from tests.callbacks.calling import SECRET, PaperLedger
from tests.cli.desk import Desk
from voicebatch.callbacks import Limits, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from voicebatch.callbacks import Listener


@pytest.fixture
def paper() -> PaperLedger:
    """A new ledger of paper."""
    return PaperLedger()


@pytest.fixture
def listening(paper: PaperLedger) -> Iterator[Callable[..., AbstractContextManager[Listener]]]:
    """A listener with these limits."""

    @contextlib.contextmanager
    def start(**limits: float) -> Iterator[Listener]:
        made = Limits(**limits)  # type: ignore[arg-type] # seconds or a count, as its field says
        with serve(secret=SECRET, take=paper.take, is_healthy=lambda: paper.is_well, limits=made) as listener:
            yield listener

    yield start
    paper.is_open.set()


@pytest.fixture
def listener(listening: Callable[..., AbstractContextManager[Listener]]) -> Iterator[Listener]:
    """A listener with the usual limits."""
    with listening() as one:
        yield one


@pytest.fixture
def client() -> Iterator[requests.Session]:
    """Connections that are kept alive."""
    with requests.Session() as session:
        yield session


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A machine for one test."""
    return Desk(home=tmp_path)
