"""The ledger: the database that remembers runs, batches, attempts and charges, and so keeps the promises.

Nothing leaves before it is in here, and no transaction is open while a request is under way.
"""

from __future__ import annotations

import contextlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voicebatch.ledger.records import (
    AnswerLine,
    Cancellable,
    DeliveryLine,
    NewBatch,
    NewRow,
    NewRows,
    NewRun,
    Receipt,
    RowLine,
    Run,
    Scheduled,
    Tally,
    Uncharged,
)
from voicebatch.ledger.workers import Worker

if TYPE_CHECKING:
    from voicebatch.ledger.clock import HostClock
    from voicebatch.ledger.queue import Claim, Wait
    from voicebatch.ledger.store import Ledger

__all__ = [
    "AnswerLine", "Cancellable", "Claim", "DeliveryLine", "HostClock", "Ledger", "NewBatch", "NewRow", "NewRows",
    "NewRun", "Receipt", "RowLine", "Run", "Scheduled", "Tally", "Uncharged", "Wait", "Worker", "existing", "show_url",
]  # fmt: skip

_HEAVY: Final = {"HostClock": "clock", "Claim": "queue", "Wait": "queue", "Ledger": "store"}
"""What needs SQLAlchemy, and its module: loaded where it is used, for a file is often read without a ledger."""


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def existing(url: str) -> Ledger | None:
    """The ledger if there is one. It is not created for being looked at."""
    with contextlib.suppress(OSError):  # which the ledger itself puts into words
        if _is_path(url) and not Path(url).exists():
            return None
    from voicebatch.ledger.store import Ledger

    return Ledger.existing(url)


def show_url(url: str) -> str:
    """Where a ledger is, as a person may see it: a file's path, or a URL without its password."""
    if _is_path(url):
        return url
    from voicebatch.ledger.engine import show_url

    return show_url(url)


def _is_path(url: str) -> bool:
    return "://" not in url
