"""A provider that repeats the key: in its words, its fields, its headers, and in what is no HTTP at all."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.cli.canary import KEY, SPELLINGS
from tests.cli.desk import number

SAID: Final = " ; ".join(spell(KEY) for spell in SPELLINGS.values())
"""The key in every way that a provider may repeat it."""
WORDS: Final = f"{SAID} for {number(1)}, 0033465710002 and 04 65 71 00 03"
"""The same, and numbers."""
CAMPAIGN: Final = "c4mpa1gn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    body: bytes

    @property
    def what(self) -> str:
        """The endpoint's name: ``me``, ``audios``, ``rename``, ``cancel``, ``send``, or ``CONNECT``."""
        parts = self.path.split("/")
        return next((name for name in ("me", "audios", "rename", "cancel", "send") if name in parts), self.method)


Act = Callable[[Asked], bytes | None]
"""What goes back over the wire; ``None`` closes the connection without a word."""


class Parrot:
    """Where it is, what it was asked, and what it does, which a test may change."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.asked: list[Asked] = []
        self.act: Act = agree


def http(status: int, body: str | bytes = "", *headers: str) -> bytes:
    """An answer on the wire; the headers are whole lines."""
    content = body if isinstance(body, bytes) else body.encode()
    lines = (f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(content)}", "Connection: close", "", "")
    return "\r\n".join(lines).encode() + content


def refuse(code: str, status: int = 400) -> bytes:
    """A no, with a message that repeats the key as PHP writes it."""
    said = {"success": False, "code": int(code) if code.isdigit() else code, "message": WORDS}
    return http(status, json.dumps(said).replace("/", r"\/"))


def agree(asked: Asked) -> bytes:
    """A yes whose every text holds the key."""
    return http(200, json.dumps(_yes(asked), ensure_ascii=False))


def _yes(asked: Asked) -> dict[str, Any]:
    match asked.what:
        case "me":
            return {"success": True, "credit": "19", "currency": SAID, "details": {SAID: {KEY: SAID}, "more": [SAID]}}
        case "audios":
            at = {"date": "2018-04-16 13:26:46.000000", "timezone_type": 3, "timezone": KEY}
            file = {"name": SAID, "token": KEY, "size": SAID, "duration": SAID, "created_at": at}
            return {"nb_datas": 1, "datas": [file, file | {"created_at": {"date": SAID}}]}
        case "rename":
            return {"success": True, "filename": SAID, "tokenAudio": SAID}
        case "cancel":
            campaign = asked.path.rpartition("/")[2]
            return {"success": True, "campaignId": campaign, "assignedCredit": "1.8", "currency": SAID}
    return _accepted(asked, CAMPAIGN)


def _accepted(asked: Asked, campaign: str) -> dict[str, Any]:
    count = len(json.loads(asked.body)["phoneNumbers"].split(","))
    figures = {"nbSms": count, "cost": 0.1 * count}
    line = {**figures, "cost_unity": 0.1, "country_code": SAID, "duration": 6.3}
    return {"success": True, "campaignId": campaign, "currency": SAID, "lang": SAID, "duration": 6.3, **figures,
            "detail": {KEY: line}}  # fmt: skip


def accept(asked: Asked) -> bytes:
    """A yes to a send that names a campaign of its own, and to whatever else."""
    if asked.what != "send":
        return agree(asked)
    own = f"{CAMPAIGN}{abs(hash(asked.body)) % 10**8}"
    return http(200, json.dumps(_accepted(asked, own) | {"currency": "EUR"}))


class _Handler(socketserver.StreamRequestHandler):
    timeout = 20

    def handle(self) -> None:
        first, _, rest = self._head().partition("\r\n")
        method, path, *_ = first.split(" ")
        length = next((line[15:] for line in rest.split("\r\n") if line.lower().startswith("content-length:")), "0")
        asked = Asked(method=method, path=path, body=self.rfile.read(int(length)))
        parrot: Parrot = self.server.parrot  # type: ignore[attr-defined] # see perched
        parrot.asked.append(asked)
        with contextlib.suppress(OSError):  # the client may have given up
            self.wfile.write(parrot.act(asked) or b"")

    def _head(self) -> str:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := self.rfile.readline()):
                return "NOTHING /"
            head += line
            if head[:1] == b"\x16":  # TLS
                return "TLS /"
        return head.decode()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    parrot: Parrot

    def handle_error(self, *_: object) -> None:
        """Says nothing: who broke the connection is looked at."""


@contextlib.contextmanager
def perched(act: Act = agree) -> Iterator[Parrot]:
    """A parrot on a free port, until the end of the block."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.parrot = Parrot(server.server_address[1])
        server.parrot.act = act
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.parrot
        finally:
            server.shutdown()
            thread.join()
