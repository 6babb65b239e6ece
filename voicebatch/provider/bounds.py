"""What one request may take: until when, and how much may come back.

A socket's own time-out starts anew with every byte that drips in, so it bounds nothing. Here each write and each read
gets what is left of the request's time; the thread that waits is the one that gives up, at no other request's cost.
"""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Iterator
from typing import Any, Final, cast

import requests
from urllib3.response import HTTPResponse

from voicebatch.pacing import steady_seconds

LARGEST_ANSWER: Final = 1_000_000  # bytes, its header included, packed or unpacked; a real one has a few thousand
_PIECE: Final = 65_536  # bytes


class AnswerTooLarge(OSError):
    """More came back than an answer has: whatever it is, it is not read on."""


class Deadline:
    """A moment, in seconds from now, on a clock that nobody sets and that goes on while the machine sleeps."""

    __slots__ = ("_moment",)

    def __init__(self, seconds: float) -> None:
        self._moment = steady_seconds() + seconds

    def left(self) -> float:
        """Seconds until then, more than 0; raises ``TimeoutError`` when there are none."""
        seconds = self._moment - steady_seconds()
        if seconds <= 0:
            raise TimeoutError("the time of this request is over")
        return seconds


class BoundedSocket:
    """A connected socket, plain or TLS, for ``http.client``: a request and its whole answer have one deadline.

    A request ends in time or raises ``TimeoutError``; an answer larger than ``LARGEST_ANSWER`` raises
    ``AnswerTooLarge``. Whatever is not about writing and reading is the socket's own.
    """

    def __init__(self, connected: Any, deadline: Deadline) -> None:
        self._socket = connected
        self.begin(deadline)

    def begin(self, deadline: Deadline) -> None:
        """Another request on the same connection."""
        self._deadline = deadline
        self._room = LARGEST_ANSWER

    def settimeout(self, _: object) -> None:
        """Nothing: urllib3 would set the time of every single read."""

    def sendall(self, data: bytes) -> None:
        """Writes it all in the time that is left; ``ssl`` would take the whole time for every piece."""
        unsent = memoryview(data)
        while unsent:
            self._socket.settimeout(self._deadline.left())
            unsent = unsent[self._socket.send(unsent) :]

    def makefile(self, _: str) -> io.BufferedReader:
        """The answer, for reading."""
        return io.BufferedReader(_Answer(self._socket.makefile("rb", buffering=0), self))

    def receive(self, unread: io.RawIOBase, buffer: memoryview) -> int:
        """One read in the time that is left."""
        self._socket.settimeout(self._deadline.left())
        count = cast("int", unread.readinto(buffer))
        self._room -= count
        if self._room < 0:
            raise AnswerTooLarge
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class _Answer(io.RawIOBase):
    def __init__(self, unread: io.RawIOBase, bounds: BoundedSocket) -> None:
        super().__init__()
        self._unread = unread
        self._bounds = bounds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._bounds.receive(self._unread, buffer)

    def close(self) -> None:
        self._unread.close()  # a socket stays open until its last file is closed
        super().close()


def read_body(response: requests.Response, deadline: Deadline) -> bytes:
    """The body of a response that was opened with ``stream=True``; packed by gzip or deflate, it is unpacked.

    Raises ``AnswerTooLarge``, ``TimeoutError``, or what urllib3 raises for a body that is cut.
    """
    body = bytearray()
    for piece in _pieces(response):
        deadline.left()
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise AnswerTooLarge
    return _unpacked(bytes(body), response.headers.get("Content-Encoding", ""))


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """As they come in, and packed: how much of a bomb urllib3 unpacks for a small piece depends on its version."""
    raw = response.raw
    if not isinstance(raw, HTTPResponse) or raw.closed:  # a given session's hook or adapter has read it
        return response.iter_content(_PIECE)
    read = getattr(raw, "read1", raw.read)  # urllib3 before 2.1 waits for a whole piece
    return iter(lambda: read(_PIECE, decode_content=False), b"")


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding.strip().lower() in {"gzip", "x-gzip", "deflate"}:
        with contextlib.suppress(zlib.error):  # it is not packed, whatever its header says
            body = zlib.decompressobj(wbits=zlib.MAX_WBITS + 32).decompress(body, LARGEST_ANSWER + 1)
    if len(body) > LARGEST_ANSWER:
        raise AnswerTooLarge
    return body
