"""Callbacks: a ledger and what serves it, put together."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from voicebatch.app.ledgers import default_ledger, opened
from voicebatch.errors import LedgerError, VoicebatchError

if TYPE_CHECKING:
    from voicebatch.callbacks import Listener, Result
    from voicebatch.ledger import Ledger

_LOG: Final = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 1.0


def listen(
    *,
    host: str,
    port: int,
    ledger: str | None,
    sandbox: bool,
    stop: threading.Event,
    on_ready: Callable[[Listener, str], object],
) -> Mapping[Result, int]:
    """Takes callbacks into the ledger until ``stop`` is set; returns how many requests there were, by result.

    ``on_ready`` is told the listener and, as a person may see it, the ledger. Raises ``UsageError`` for a port that is
    taken.
    """
    with opened(ledger or default_ledger(sandbox=sandbox)) as book, listening(book, host=host, port=port) as listener:
        on_ready(listener, str(book))
        if not book.all_runs():
            _LOG.warning("This ledger has no run yet. Callbacks about another ledger's requests are refused here.")
        while not stop.wait(_LOOK_SECONDS):
            if not listener.is_alive:
                raise VoicebatchError("The listener ended by itself.", hint="Start it again, with -v.")
    return listener.counts


@contextlib.contextmanager
def listening(ledger: Ledger, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Listener]:
    """Takes callbacks into an open ledger for as long as the ``with`` lasts; ``url`` is where they come to."""
    from voicebatch.callbacks import serve

    with serve(
        secret=ledger.callback_secret(),
        take=ledger.take_callbacks,
        is_healthy=lambda: _answers(ledger),
        host=host,
        port=port,
    ) as listener:
        yield listener


def _answers(ledger: Ledger) -> bool:
    try:
        ledger.with_key("")  # reads an index, and finds nothing
    except LedgerError:
        return False
    return True
