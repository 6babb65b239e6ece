"""Serves the application with waitress, from threads of this process."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from voicebatch.callbacks.gate import Gate
from voicebatch.callbacks.health import Health
from voicebatch.callbacks.metrics import Metrics
from voicebatch.callbacks.records import Limits, Receipt, Result, Take
from voicebatch.callbacks.web import Application
from voicebatch.callbacks.writer import Writer
from voicebatch.errors import UsageError
from voicebatch.models import Callback

_SPEND_AT_MOST: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listener that is being served. ``url`` is what requests name as ``notify_url``, unless a proxy is before it."""

    url: str
    _metrics: Metrics
    _loop: threading.Thread

    @property
    def counts(self) -> dict[Result, int]:
        """Every request so far by what became of it."""
        return self._metrics.counts()

    @property
    def is_alive(self) -> bool:
        """Whether it still listens."""
        return self._loop.is_alive()


@contextlib.contextmanager
def serve(
    *,
    secret: bytes,
    take: Take,
    is_healthy: Callable[[], bool],
    host: str = "127.0.0.1",
    port: int = 0,
    limits: Limits = _SPEND_AT_MOST,
) -> Iterator[Listener]:
    """A listener for as long as the ``with`` lasts; port 0 takes any free one.

    At the end it takes no new callbacks, and answers those that are being written. ``secret`` is what the codes are
    made with, ``take`` puts callbacks into the ledger, ``is_healthy`` says whether the ledger answers. A port that is
    taken raises ``UsageError``.
    """
    metrics = Metrics()

    def count(callback: Callback, receipt: Receipt) -> None:
        metrics.count(callback.channel, Result.of(receipt), settled=receipt.settled)

    writer = Writer(take, on_kept=count, limits=limits)
    metrics.watch_queue(writer.waiting)
    application = Application(
        secret=secret,
        write=writer.write,
        is_healthy=Health(lambda: not (writer.is_stuck or writer.is_failing) and is_healthy()),
        metrics=metrics,
        body_bytes=limits.body_bytes,
    )
    listening = _listening(host, port)
    with writer.running(), _served(application, listening, metrics, limits) as loop:
        yield Listener(url=_url(host, listening), _metrics=metrics, _loop=loop)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"The listener cannot be on {host}:{port}: {error}.", hint="Take another --port, or --host."
        ) from None


def _url(host: str, listening: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


@contextlib.contextmanager
def _served(
    application: Application, listening: socket.socket, metrics: Metrics, limits: Limits
) -> Iterator[threading.Thread]:
    _silence()
    gate = Gate(application, listening, limits, on_refused=lambda: metrics.count(None, Result.REFUSED))
    loop = threading.Thread(target=gate.run, name="callbacks", daemon=True)
    loop.start()
    try:
        yield loop
    finally:
        gate.stop()
        loop.join(limits.wait_seconds)


def _silence() -> None:
    """What the server says of a request holds its path, and with it the code."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request may wait for a thread
    logger = logging.getLogger("waitress")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
