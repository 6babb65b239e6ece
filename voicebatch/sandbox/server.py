"""Serves the sandbox over real HTTP, from a thread of this process."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from voicebatch import wire
from voicebatch.errors import UsageError
from voicebatch.models import Channel, RateLimit
from voicebatch.sandbox.records import Account, Arrival, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RATE_LIMIT: Final = wire.RATE_LIMITS[Channel.VOICE_SMS][0]
THREADS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that is being served: where it is, and what it was asked."""

    base_url: str
    account: Account

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every number called so far, in order."""
        return self.account.calls

    @property
    def requests(self) -> tuple[Arrival, ...]:
        """Every request that arrived so far, in order, refused ones too."""
        return self.account.requests


def _now() -> datetime:
    return datetime.now(UTC)


@contextlib.contextmanager
def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    rate_limit: RateLimit = RATE_LIMIT,
    answer_delay: float = 0.0,
    clock: Callable[[], datetime] = _now,
) -> Iterator[Sandbox]:
    """A sandbox for as long as the ``with`` lasts; port 0 takes any free one.

    Every answer waits ``answer_delay`` seconds after the request was acted on; leaving the ``with`` ends the
    wait. ``clock`` gives timezone-aware times. A port that is taken raises ``UsageError``.
    """
    # Flask and waitress are heavy, and a command that sends to the provider needs neither.
    from voicebatch.sandbox import web

    account = Account(rate_limit=rate_limit, clock=clock)
    leaving = threading.Event()
    app = web.create_app(account, before_answer=lambda: answer_delay and leaving.wait(answer_delay))
    listener = _listener(host, port)
    with _served(app, listener, leaving):
        address = f"http://{host}:{listener.getsockname()[1]}{web.VERSION_PATH}"
        yield Sandbox(base_url=address, account=account)


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise UsageError(f"the sandbox cannot listen on {host}:{port}: {error}", hint="take another --port") from None


@contextlib.contextmanager
def _served(app: Any, listener: socket.socket, leaving: threading.Event) -> Iterator[None]:
    import waitress

    _silence()
    server = waitress.create_server(app, sockets=[listener], threads=THREADS, clear_untrusted_proxy_headers=True)
    loop = threading.Thread(target=server.run, name="sandbox", daemon=True)
    loop.start()
    try:
        yield
    finally:
        leaving.set()
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(lambda: _close(server))
        loop.join()


def _silence() -> None:
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request may wait for a thread
    logger = logging.getLogger("waitress")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _close(server: Any) -> None:
    """Closes every connection. Runs in the server's own thread, whose loop ends when nothing is left."""
    for channel in list(server.active_channels.values()):
        channel.handle_close()
    server.close()
