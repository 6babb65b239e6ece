"""HTTP sessions that tell "it certainly never arrived" from "it may have arrived", and that never wait for ever.

requests and urllib3 report a failed TLS handshake like a failure in mid-answer, and a time-out during the handshake
like a time-out while reading. Here everything that goes wrong before the first byte of a request is written ends as
``NewConnectionError``, so that one look at an exception's causes is enough.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextvars import ContextVar
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.util.connection import allowed_gai_family, create_connection

from voicebatch.provider.bounds import AnswerTooLarge, BoundedSocket, Deadline

NEVER_WRITTEN: Final = (
    NewConnectionError,
    ConnectTimeoutError,
    InvalidSchema,  # a proxy of a kind that there is no driver for
    InvalidURL,  # an address, or a proxy's, that cannot be connected to
)

_LATEST: Final[ContextVar[Deadline | None]] = ContextVar("_LATEST", default=None)
_PATHS: Final[ContextVar[tuple[str, str] | None]] = ContextVar("_PATHS", default=None)


class TooLate(NewConnectionError):
    """The moment before which the request had to be written was over."""


@contextlib.contextmanager
def written_within(seconds: float) -> Iterator[None]:
    """A request in this block is written within so many seconds, or not at all: its process may have stood still."""
    token = _LATEST.set(Deadline(seconds))
    try:
        yield
    finally:
        _LATEST.reset(token)


@contextlib.contextmanager
def written_as(path: str, *, shown: str) -> Iterator[None]:
    """A request in this block to what ends with ``shown`` is written with ``path`` in its place.

    Of a secret in the path neither requests' and urllib3's exceptions nor their logs know anything, so.
    """
    token = _PATHS.set((shown, path))
    try:
        yield
    finally:
        _PATHS.reset(token)


def open_session(*, loopback: bool) -> requests.Session:
    """A session that follows no redirect and repeats nothing by itself; proxies are for the world outside only.

    A request's ``timeout``, one number, is the time for connecting (TLS and a proxy's tunnel included, the look-up of
    the name aside), and once more the time from there to the last byte of the answer.
    """
    session = _Session()
    session.trust_env = not loopback
    adapter = _Adapter(max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def never_written(error: BaseException) -> bool:
    """Whether the exception says that not one byte of the request left this machine's hands."""
    return any(isinstance(cause, NEVER_WRITTEN) for cause in _causes(error))


def too_late(error: BaseException) -> bool:
    """Whether the exception says that the request would have been written too late."""
    return any(isinstance(cause, TooLate) for cause in _causes(error))


def timed_out(error: BaseException) -> bool:
    """Whether the exception says that the time of the request was over."""
    return any(isinstance(cause, (TimeoutError, ReadTimeoutError)) for cause in _causes(error))


def too_large(error: BaseException) -> bool:
    """Whether the exception says that the answer was larger than an answer is."""
    return any(isinstance(cause, AnswerTooLarge) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it wraps: requests keeps that in ``args``, urllib3 in ``reason``.

    An exception's ``__context__`` says nothing: it may be of something that was overcome.
    """
    yield error
    for wrapped in (*error.args, getattr(error, "reason", None)):
        if isinstance(wrapped, BaseException):
            yield from _causes(wrapped)


class _Session(requests.Session):
    def get_redirect_target(self, _: requests.Response) -> None:
        """None: to look for the next address, requests would read the answer first, however large."""


class _FinalAnswer(HTTPResponse):
    """Whatever else is said before it (102, 103) is passed over; ``http.client`` knows 100 alone.

    A connection on which it was taken for the answer would give every later request the answer of the one before.
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not HTTPStatus.SWITCHING_PROTOCOLS < status < HTTPStatus.OK:
                return version, status, reason
            parse_headers(self.fp)

    def begin(self) -> None:
        """What is no header is nothing: urllib3 would log it with the address, and both may hold the key."""
        super().begin()
        self.headers.defects.clear()
        self.headers.set_payload("")


class _Http(HTTPConnection):
    response_class = _FinalAnswer

    def connect(self) -> None:
        try:
            super().connect()
        except NEVER_WRITTEN:
            raise
        except (OSError, ValueError, HTTPError, HTTPException) as error:
            raise NewConnectionError(self, f"{type(error).__name__} before the request") from error
        self.sock = cast("socket.socket", BoundedSocket(self.sock, self._deadline()))

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        url = self._path(url)
        if isinstance(self.sock, BoundedSocket):  # a kept connection
            self.sock.begin(self._deadline())
        else:
            self.connect()
        if latest := _LATEST.get():
            try:
                latest.left()
            except TimeoutError as error:
                raise TooLate(self, "too late to be written") from error
        super().request(method, url, *args, **kwargs)

    def _path(self, url: str) -> str:
        shown, path = _PATHS.get() or ("", "")
        if not url.endswith(shown):  # it was rewritten on the way here
            raise NewConnectionError(self, "another path than the one that was asked for")
        return url.removesuffix(shown) + path

    def _deadline(self) -> Deadline:
        return Deadline(cast("float", self.timeout))

    def _new_conn(self) -> socket.socket:
        """urllib3 gives every address of a name the whole time; here each gets its share of what is left."""
        found = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, allowed_gai_family(), socket.SOCK_STREAM)
        self._connecting = self._deadline()
        refusal = OSError("the name has no address")
        for untried, (*_, address) in zip(range(len(found), 0, -1), found, strict=True):
            try:
                return self._open(address[:2], self._connecting.left() / untried)
            except OSError as error:
                refusal = error
        raise refusal

    def _open(self, address: tuple[Any, ...], seconds: float) -> socket.socket:
        host, port = address
        opened = create_connection((host, port), seconds, self.source_address, self.socket_options)
        opened.settimeout(self._connecting.left())  # for the TLS handshake, which takes no longer than that
        return opened

    def _tunnel(self) -> None:
        """Through a proxy; what it answers could drip in as well."""
        plain = self.sock
        self.sock = cast("socket.socket", BoundedSocket(plain, self._connecting))
        super()._tunnel()
        self.sock = plain
        plain.settimeout(self._connecting.left())


class _Https(_Http, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("socks"):
            raise InvalidSchema("SOCKS proxies are not supported")  # their connections are of another class
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager
