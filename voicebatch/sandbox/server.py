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
from voicebatch.sandbox import endpoints, faults, rules
from voicebatch.sandbox.account import Account
from voicebatch.sandbox.endpoints import Endpoints
from voicebatch.sandbox.faults import Faults
from voicebatch.sandbox.notifier import RETRIES, Notifier
from voicebatch.sandbox.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from decimal import Decimal

    from voicebatch.models import AudioFile
    from voicebatch.sandbox.records import Arrival, Call, CallbackSent

RATE_LIMIT: Final = wire.RATE_LIMITS[Channel.VOICE_SMS][0]
CAMPAIGN_LIMITS: Final = wire.RATE_LIMITS[Channel.VOICEMAIL]
THREADS: Final = 16
_LOOK_SECONDS: Final = 0.1  # how often the clock is looked at for what is scheduled


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that is being served: where it is, what it was asked, and what goes wrong in it."""

    base_url: str
    endpoints: Endpoints
    notifier: Notifier
    active: Faults

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every number called so far, in order, as things stand now; scheduled and cancelled ones too."""
        return self.endpoints.calls

    @property
    def requests(self) -> tuple[Arrival, ...]:
        """Every request that arrived so far, in order, refused ones too."""
        return self.endpoints.requests

    @property
    def credit(self) -> Decimal:
        """What is left of the account's credit, in euros."""
        return self.endpoints.credit_left

    @property
    def callbacks(self) -> tuple[CallbackSent, ...]:
        """Every try at a callback so far, and how it was answered."""
        self.endpoints.look()
        return self.notifier.sent

    @property
    def skipped_callbacks(self) -> int:
        """Callbacks that were not sent, because their address is not on this machine."""
        self.endpoints.look()
        return self.notifier.skipped

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that can still strike, as they are written."""
        return tuple(str(fault) for fault in self.active.active)

    def set_faults(self, *texts: str) -> None:
        """These faults and no others from now on; without any, nothing goes wrong any more."""
        self.active.replace(faults.parse_all(texts))

    def wait_for_callbacks(self, timeout: float) -> bool:
        """Waits until no callback is pending, further tries too; whether that came within ``timeout`` seconds.

        Sends that are scheduled and have not left are not waited for.
        """
        self.endpoints.look()
        return self.notifier.wait(timeout)


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
    campaign_limits: Sequence[RateLimit] = CAMPAIGN_LIMITS,
    credit: Decimal = rules.CREDIT,
    audio_tokens: Collection[str] = (),
    callback_delay: float = 0.2,
    callback_retries: Sequence[float] = RETRIES,
    faults: Sequence[str] = (),
    seed: int = 0,
) -> Iterator[Sandbox]:
    """A sandbox for as long as the ``with`` lasts; port 0 takes any free one.

    Every answer waits ``answer_delay`` seconds after the request was acted on; leaving the ``with`` ends the
    wait. ``clock`` gives timezone-aware times. A port that is taken raises ``UsageError``.

    ``rate_limit`` is of POST /tts/send, ``campaign_limits`` of POST /campaign/send; GET /me has the documented one.
    ``credit`` is in euros. ``audio_tokens`` are recordings beside ``rules.AUDIO_FILES``. Callbacks go to loopback
    addresses alone, ``callback_delay`` seconds after a send left, and again after each of the ``callback_retries``
    seconds until they are answered with a 2xx. ``faults`` are written as ``sandbox.faults`` says; those with a share
    strike the same requests for the same ``seed``.
    """
    # Flask and waitress are heavy, and a command that sends to the provider needs neither.
    from voicebatch.sandbox import web

    notifier = Notifier(delay=callback_delay, retries=callback_retries, clock=clock)
    account = Account(credit=credit, audios=_recordings(audio_tokens), on_leave=notifier.take)
    active = _asked(faults, seed)
    windows = _windows(rate_limit, campaign_limits)
    served = Endpoints(account, windows=windows, faults=active, clock=clock)
    leaving = threading.Event()

    def before_answer(late: float) -> None:
        leaving.wait(answer_delay + late)

    listener = _listener(host, port)
    app = web.create_app(served, notifier=notifier, active=active, before_answer=before_answer)
    with _looking(served, leaving), _notifying(notifier), _served(app, listener, leaving):
        address = f"http://{host}:{listener.getsockname()[1]}{web.VERSION_PATH}"
        yield Sandbox(base_url=address, endpoints=served, notifier=notifier, active=active)


def _recordings(tokens: Collection[str]) -> tuple[AudioFile, ...]:
    own = {file.token for file in rules.AUDIO_FILES}
    return (*rules.AUDIO_FILES, *(rules.recording(token) for token in tokens if token not in own))


def _asked(texts: Sequence[str], seed: int) -> Faults:
    return Faults(faults.parse_all(texts), seed=seed)


def _windows(rate_limit: RateLimit, campaign_limits: Sequence[RateLimit]) -> Mapping[str, Windows]:
    return {
        endpoints.SENDS[Channel.VOICE_SMS]: Windows([rate_limit]),
        endpoints.SENDS[Channel.VOICEMAIL]: Windows(campaign_limits),
        endpoints.CREDIT: Windows([wire.CREDIT_LIMIT]),
    }


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"The sandbox cannot listen on {host}:{port}: {error}.", hint="Take another --port, or --host."
        ) from None


@contextlib.contextmanager
def _looking(served: Endpoints, leaving: threading.Event) -> Iterator[None]:
    """Lets what is scheduled leave at its time, also when nobody asks."""

    def look() -> None:
        while not leaving.wait(_LOOK_SECONDS):
            served.look()

    thread = threading.Thread(target=look, name="sandbox clock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


@contextlib.contextmanager
def _notifying(notifier: Notifier) -> Iterator[None]:
    try:
        yield
    finally:
        notifier.stop()


@contextlib.contextmanager
def _served(app: Any, listener: socket.socket, leaving: threading.Event) -> Iterator[None]:
    import waitress

    _silence()
    server = waitress.create_server(
        app,
        sockets=[listener],
        threads=THREADS,
        clear_untrusted_proxy_headers=True,
        log_socket_errors=False,  # an OSError of the application closes the connection without an answer
    )
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
