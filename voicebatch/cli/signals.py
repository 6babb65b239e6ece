"""SIGINT, SIGTERM and SIGHUP: they end the command at once, or while sending after what is in flight."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from voicebatch.cli.output import say
from voicebatch.errors import Interrupted

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Signals:
    """The first signal sets ``stop``; a second one leaves at once, as a crash would: the ledger knows what it did."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.number: int | None = None

    def handle(self, number: int, _: FrameType | None) -> None:
        """A signal came."""
        if self.stop.is_set():
            os._exit(128 + number)
        self.number = number
        self.stop.set()
        say("Stopping: requests in flight are finished first. Again to leave at once.")


@contextlib.contextmanager
def stopping() -> Iterator[Signals]:
    """While sending: signals ask the workers to stop."""
    signals = Signals()
    with _handlers(signals.handle):
        yield signals


class _Leave(BaseException):
    """Ends the command from wherever it is: no ``except Exception`` on the way, ours or a library's, may eat it."""


@contextlib.contextmanager
def leaving() -> Iterator[None]:
    """While nothing is being sent: a signal ends the command."""

    def leave(number: int, _: FrameType | None) -> None:
        raise _Leave(number)

    try:
        with _handlers(leave):
            yield
    except _Leave as signalled:
        hint = "What was sent, if anything: voicebatch runs"
        raise Interrupted("Interrupted.", hint=hint, signal_number=signalled.args[0]) from None


@contextlib.contextmanager
def _handlers(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)
