"""SIGINT, SIGTERM and SIGHUP: they end the command at once, or while sending after what is in flight."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from voicebatch.cli.output import say
from voicebatch.errors import Interrupted

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Signals:
    """The first signal sets ``stop``; a second one leaves at once, as a crash would: the ledger knows what it did."""

    def __init__(self, last_words: str) -> None:
        # On a terminal there is a progress bar in the line, or the ^C that was typed.
        self._new_line = "\n" * sys.stderr.isatty()
        self._last_words = f"{self._new_line}{last_words}\n".encode() if last_words else b""
        self.stop = threading.Event()
        self.number: int | None = None

    def handle(self, number: int, _: FrameType | None) -> None:
        """A signal came."""
        if self.stop.is_set():
            with contextlib.suppress(OSError):  # not sys.stderr: whoever was interrupted may be writing to it
                os.write(2, self._last_words)
            os._exit(128 + number)
        self.number = number
        self.stop.set()
        say(f"{self._new_line}Stopping: requests in flight are finished first. Again to leave at once.")


@contextlib.contextmanager
def stopping(last_words: str = "") -> Iterator[Signals]:
    """While sending: signals ask the workers to stop. ``last_words`` are said by a second one."""
    signals = Signals(last_words)
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
