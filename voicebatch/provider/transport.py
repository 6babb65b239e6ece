"""HTTP sessions that tell "it certainly never arrived" from "it may have arrived".

requests and urllib3 report a failed TLS handshake like a failure in mid-answer, and a time-out during the handshake
like a time-out while reading. Here everything that goes wrong before the first byte of a request is written ends as
``NewConnectionError``, so that one look at an exception's causes is enough.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

NEVER_WRITTEN: Final = (
    NewConnectionError,
    ConnectTimeoutError,
    InvalidSchema,  # a proxy of a kind that requests has no driver for
    InvalidURL,  # an address, or a proxy's, that cannot be connected to
)


def open_session(*, loopback: bool) -> requests.Session:
    """A session that follows no redirect and repeats nothing by itself; proxies are for the world outside only."""
    session = requests.Session()
    session.trust_env = not loopback
    adapter = _Adapter(max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def never_written(error: BaseException) -> bool:
    """Whether the exception says that not one byte of the request left this machine's hands.

    requests keeps what it wraps in ``args``, urllib3 in ``reason``. An exception's ``__context__`` says nothing: it may
    be of something that was overcome.
    """
    if isinstance(error, NEVER_WRITTEN):
        return True
    wrapped = (*error.args, getattr(error, "reason", None))
    return any(never_written(cause) for cause in wrapped if isinstance(cause, BaseException))


class _ConnectMixin:
    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc] # of the connection class that this is mixed into
        except NEVER_WRITTEN:
            raise
        except (OSError, ssl.SSLError, HTTPError) as error:
            raise NewConnectionError(self, f"{type(error).__name__} before the request") from error  # type: ignore[arg-type]


class _Http(_ConnectMixin, HTTPConnection):
    pass


class _Https(_ConnectMixin, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager
