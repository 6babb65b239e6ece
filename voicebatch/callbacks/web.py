"""The WSGI application: ``POST …/ATTEMPT/CODE`` for a voice SMS, ``GET`` for a voicemail campaign.

No framework: the provider calls back once for every person, so what each costs is what a listener costs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from voicebatch import wire
from voicebatch.callbacks.metrics import CONTENT_TYPE, Metrics
from voicebatch.callbacks.records import Receipt, Result, Unavailable
from voicebatch.callbacks.writer import in_words
from voicebatch.models import Callback, Channel

_LOG: Final = logging.getLogger(__name__)
_CHANNELS: Final = {"POST": Channel.VOICE_SMS, "GET": Channel.VOICEMAIL}
_RETRY_AFTER_SECONDS: Final = 30

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class _Answer(NamedTuple):
    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def _answer(status: str, body: bytes, *headers: tuple[str, str], kind: str = "application/json") -> _Answer:
    own = (("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"))
    return _Answer(status, own + headers, body)


# Said to everybody alike: who has no right code learns nothing.
_OK: Final = _answer("200 OK", b'{"status":"ok"}')
_UNREADABLE: Final = _answer("400 Bad Request", b'{"status":"unreadable"}')
_FORBIDDEN: Final = _answer("403 Forbidden", b'{"status":"forbidden"}')
_NO_METHOD: Final = _answer("405 Method Not Allowed", b'{"status":"no such method"}', ("Allow", "GET, POST"))
_TOO_LONG: Final = _answer("413 Content Too Large", b'{"status":"too long"}')
_BROKEN: Final = _answer("500 Internal Server Error", b'{"status":"failed"}')
_LATER: Final = _answer(
    "503 Service Unavailable", b'{"status":"repeat later"}', ("Retry-After", str(_RETRY_AFTER_SECONDS))
)


class _TooLong(ValueError):
    """A body beyond the limit."""


class Application:
    """Answers 200 when ``write`` has returned, which is when the callback is in the ledger."""

    def __init__(
        self,
        *,
        secret: bytes,
        write: Callable[[Callback], Receipt],
        is_healthy: Callable[[], bool],
        metrics: Metrics,
        body_bytes: int,
    ) -> None:
        self._secret = secret
        self._write = write
        self._is_healthy = is_healthy
        self._metrics = metrics
        self._body_bytes = body_bytes
        self._has_said = False
        self._pages = {"/healthz": self._health, "/metrics": self._figures}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI's entrance."""
        try:
            answer = self._answer(environ)
        except Exception as error:  # noqa: BLE001 # the server would log the path, and with it the code
            _LOG.error("A callback could not be taken: %s", in_words(error))
            answer = _BROKEN
        start_response(answer.status, list(answer.headers))
        return [answer.body]

    def _answer(self, environ: Environ) -> _Answer:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if page := self._pages.get(path):
            return page() if method == "GET" else _NO_METHOD
        channel = _CHANNELS.get(method)
        attempt_id = wire.attempt_of(path, self._secret) if channel else None
        if channel and attempt_id:
            return self._take(channel, attempt_id, environ)
        self._metrics.count(channel, Result.REFUSED)
        self._say_once()
        return _FORBIDDEN if channel else _NO_METHOD

    def _say_once(self) -> None:
        """It may be anybody's; but if it is the provider's, a ledger is confused with another."""
        if not self._has_said:
            self._has_said = True
            _LOG.warning("A request without a right code was refused. Is this the ledger that the run was sent from?")

    def _take(self, channel: Channel, attempt_id: str, environ: Environ) -> _Answer:
        began = time.perf_counter()
        try:
            self._write(self._read(channel, attempt_id, environ))
        except _TooLong:
            return self._failed(channel, Result.UNREADABLE, _TOO_LONG)
        except wire.UnreadableAnswer as error:
            _LOG.warning("A callback about attempt %s is unreadable: %s", attempt_id, error)
            return self._failed(channel, Result.UNREADABLE, _UNREADABLE)
        except Unavailable:
            return self._failed(channel, Result.FAILED, _LATER)
        self._metrics.answered(time.perf_counter() - began)
        return _OK

    def _read(self, channel: Channel, attempt_id: str, environ: Environ) -> Callback:
        if channel is Channel.VOICEMAIL:
            return wire.read_voicemail_callback(environ["QUERY_STRING"], attempt_id=attempt_id)
        body = environ["wsgi.input"].read(self._body_bytes + 1)
        if len(body) > self._body_bytes:
            raise _TooLong
        return wire.read_voice_callback(body, attempt_id=attempt_id)

    def _failed(self, channel: Channel, result: Result, answer: _Answer) -> _Answer:
        self._metrics.count(channel, result)
        return answer

    def _health(self) -> _Answer:
        return _OK if self._is_healthy() else _LATER

    def _figures(self) -> _Answer:
        return _answer("200 OK", self._metrics.page(), kind=CONTENT_TYPE)
