"""waitress, with a bound on everything: who is slow or comes in crowds costs the others nothing.

One thread reads from all connections at once, and only a request that is there in full gets one of the threads that
answer. So a slow client holds a connection and nothing else, and connections are bounded here, in number and in time.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from socket import socket
from typing import Any, Final

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask

from voicebatch.callbacks.records import Limits

_OTHER_FILES: Final = 100  # what the process has open besides: the ledger and its connections
_SELECTABLE: Final = 400  # select() takes 512 where there is no poll()
_DROPPED_SHARE: Final = 10  # one in so many connections makes room


class _Request(HTTPRequestParser):  # type: ignore[misc] # waitress ships no types
    """A request that is arriving."""

    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.began = time.monotonic()


class _Refusal(ErrorTask):  # type: ignore[misc]
    """The answer to what never reaches the application: too long, or no HTTP."""

    def execute(self) -> None:
        self.channel.server.on_refused()
        super().execute()


class _Connection(HTTPChannel):  # type: ignore[misc]
    parser_class = _Request
    error_task_class = _Refusal


class Gate(TcpWSGIServer):  # type: ignore[misc]
    """Takes connections; ``run`` is its loop. ``on_refused`` hears of requests that never reach the application."""

    channel_class = _Connection

    def __init__(
        self, application: Callable[..., Any], listening: socket, limits: Limits, *, on_refused: Callable[[], object]
    ) -> None:
        self.limits = limits
        self.on_refused = on_refused
        super().__init__(
            application,
            _sock=listening,
            bind_socket=False,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            adj=_adjustments(listening, limits),
        )

    def readable(self) -> bool:
        """Whether to take another connection. The loop asks before each of its rounds."""
        if len(self._map) >= self.adj.connection_limit:
            self._drop_idlest()
        return bool(super().readable())

    def maintenance(self, now: float) -> None:
        """Closes connections that nothing comes from, and those whose request takes too long to arrive."""
        super().maintenance(now)
        latest = time.monotonic() - self.limits.arrival_seconds
        for connection in self.active_channels.values():
            if connection.request is not None and connection.request.began < latest:
                connection.will_close = True

    def stop(self) -> None:
        """Takes no new connection, answers whoever is being served, then closes all. From another thread."""
        self.trigger.pull_trigger(lambda: wasyncore.dispatcher.close(self))
        self.task_dispatcher.shutdown(timeout=self.limits.wait_seconds + 1)
        with contextlib.suppress(OSError):  # the loop may be quicker than we, and have closed the trigger
            self.trigger.pull_trigger(self._close_all)

    def _drop_idlest(self) -> None:
        """In a crowd, those that were silent longest make room: who has something to say says it at once."""
        idle = [connection for connection in self.active_channels.values() if not connection.requests]
        idle.sort(key=lambda connection: connection.last_activity)
        for connection in idle[: 1 + self.adj.connection_limit // _DROPPED_SHARE]:
            connection.will_close = True

    def _close_all(self) -> None:
        for connection in list(self.active_channels.values()):
            connection.handle_close()
        self.trigger.close()  # the last that the loop waits for


def _adjustments(listening: socket, limits: Limits) -> Any:
    return Adjustments(
        sockets=[listening],
        threads=limits.threads,
        connection_limit=_connections(limits.connections),
        max_request_header_size=limits.header_bytes,
        max_request_body_size=limits.body_bytes + 1,  # waitress refuses what reaches its limit
        channel_timeout=limits.idle_seconds,
        cleanup_interval=limits.sweep_seconds,
        asyncore_use_poll=True,  # select() fails for ever once a file's number is beyond 1023
        log_socket_errors=False,
        clear_untrusted_proxy_headers=True,
        expose_tracebacks=False,
        ident="voicebatch",
    )


def _connections(most: int) -> int:
    """As many as this process may have: a loop that cannot accept what waits would turn without end."""
    if not hasattr(select, "poll"):
        return min(most, _SELECTABLE)
    import resource  # where there is poll(), there is this

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else max(1, min(most, files - _OTHER_FILES))
