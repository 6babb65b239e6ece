"""The provider's side of callbacks, and a ledger of paper to take them into."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from voicebatch import wire
from voicebatch.errors import LedgerError
from voicebatch.models import Callback

SECRET: Final = b"s" * wire.SECRET_BYTES
ATTEMPT: Final = f"{'a' * 24}.1"
NUMBER: Final = "0033465710000"
CAMPAIGN: Final = "XHa7GXvhy6zkhQEf4HtHG"
SECONDS: Final = 30.0
VOICEMAIL: Final = {
    "campaign_token": "t0k3n", "campaign_id": CAMPAIGN, "delivered_quantity": "1", "total_quantity": "2",
}  # fmt: skip


class PaperReceipt(NamedTuple):
    """What a ledger of paper says."""

    is_new: bool
    problem: str | None = None
    settled: int = 0


@dataclass(kw_only=True)
class PaperLedger:
    """Keeps callbacks in a list. It takes none while ``is_open`` is not set, and refuses all while ``is_broken``."""

    is_open: threading.Event = field(default_factory=threading.Event)
    is_asked: threading.Event = field(default_factory=threading.Event)
    is_broken: bool = False
    is_well: bool = True
    settles: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)
    groups: list[list[Callback]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.is_open.set()

    @property
    def kept(self) -> list[Callback]:
        """All of them in order."""
        return [callback for group in self.groups for callback in group]

    def take(self, callbacks: Sequence[Callback]) -> list[PaperReceipt]:
        """As ``Ledger.take_callbacks``."""
        self.is_asked.set()
        assert self.is_open.wait(SECONDS)
        if self.is_broken:
            raise LedgerError("The ledger is on paper, and the paper is wet.")
        before = {callback.body for callback in self.kept}
        self.groups.append(list(callbacks))
        return [
            PaperReceipt(callback.body not in before, self.problems.get(callback.number or ""), self.settles)
            for callback in callbacks
        ]


def body(number: str = NUMBER, **more: Any) -> dict[str, Any]:
    """The documented callback of a voice SMS."""
    return {
        "campaignId": CAMPAIGN,
        "status": "delivered",
        "additionnal_status": "VOICE_ANSWERED",
        "phoneNumber": number,
        "sendAt": "2026-01-13 11:35:00",
        "doneAt": "2026-01-13 11:35:12",
        "duration": 6,
        **more,
    }


def address(url: str, *, attempt_id: str = ATTEMPT, secret: bytes = SECRET) -> str:
    """Where the provider was told to call back."""
    return wire.callback_url(url, attempt_id, secret)


def request(url: str, content: Any, *headers: str, attempt_id: str = ATTEMPT, secret: bytes = SECRET) -> bytes:
    """A POST as it goes over the wire."""
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    path = urlsplit(address(url, attempt_id=attempt_id, secret=secret)).path
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(payload)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + payload


@contextlib.contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    """A connection of its own."""
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=SECONDS) as connection:
        yield connection


def status(connection: socket.socket) -> int | None:
    """Reads one answer; ``None`` when the connection was closed without one."""
    head = b""
    with contextlib.suppress(ConnectionResetError):
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := connection.recv(1)):  # never one of the next answer
                return None
            head += byte
        length = next(int(line[15:]) for line in head.decode().splitlines() if line.startswith("Content-Length:"))
        connection.recv(length, socket.MSG_WAITALL)
        return int(head.split(b" ")[1])
    return None
