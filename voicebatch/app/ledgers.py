"""Which ledger is meant, and that ledger open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from voicebatch.errors import UsageError
from voicebatch.ledger import existing, show_url

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger


def ledger_url(ledger: str | None, *, sandbox: bool) -> str:
    """The one that is named, or the default."""
    return ledger or default_ledger(sandbox=sandbox)


def default_ledger(*, sandbox: bool) -> str:
    """The SQLite file in the user's data directory; the sandbox has its own, so that a rehearsal is no real call."""
    import platformdirs

    return str(platformdirs.user_data_path("voicebatch") / ("sandbox.sqlite" if sandbox else "ledger.sqlite"))


@contextlib.contextmanager
def opened(url: str, *, create: bool = True) -> Iterator[Ledger]:
    """The ledger, closed at the end. Raises ``UsageError`` when it does not exist and is not to be created."""
    from voicebatch.ledger import Ledger

    ledger = Ledger(url) if create else existing(url)
    if ledger is None:
        raise UsageError(
            f"There is no ledger {show_url(url)}.", hint="Nothing was sent with it yet. Name another: --ledger"
        )
    with contextlib.closing(ledger):
        yield ledger
