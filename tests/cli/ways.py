"""What can go wrong between a request and its answer, with a provider that repeats the key wherever it can."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from tests.cli.canary import KEY
from tests.cli.parrot import SAID, WORDS, Act, Asked, agree, http
from voicebatch import wire

CODES: Final = (*wire.ACCOUNT_CODES, *wire.REQUEST_CODES, *wire.NUMBER_CODES, *wire.CANCEL_CODES, wire.FINE, "4711")
"""Every documented one, and one that is not."""
NOWHERE: Final = "https://voicebatch-canary.invalid/v1"


class Way(NamedTuple):
    """A way to fail: what comes back, where the request goes, what is in the environment.

    In addresses ``{port}`` is the parrot's, and ``{closed}`` one at which nobody listens.
    """

    act: Act = agree
    address: str = "http://127.0.0.1:{port}/v1"
    variables: Mapping[str, str] = MappingProxyType({})

    def at(self, **ports: int) -> Way:
        """With these ports."""
        variables = {name: value.format(**ports) for name, value in self.variables.items()}
        return self._replace(address=self.address.format(**ports), variables=variables)


def always(answer: bytes | None) -> Way:
    """The same answer to everything."""
    return Way(lambda _: answer)


def never(_: Asked) -> bytes | None:
    """No answer, for longer than anybody waits."""
    threading.Event().wait(0.6)
    return None


NESTED: Final = f"{'[' * 800}{json.dumps(WORDS)}{']' * 800}"
LOUD: Final = json.dumps({"message": WORDS})
ANSWERS: Final = {
    "no answer": always(None),
    "an answer too late": Way(never),
    "HTTP 429": always(http(429, WORDS, "Retry-After: 999", "X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {SAID}")),
    "HTTP 429 with the key for a time": always(http(429, WORDS, "Retry-After: 999", f"Date: {SAID}")),
    "HTTP 503 with a time": always(http(503, WORDS, "Retry-After: 999")),
    "HTTP 500": always(http(500, WORDS)),
    "HTTP 502 with a page": always(http(502, f"<html>{WORDS}</html>")),
    "HTTP 401 with a page": always(http(401, f"<html>{WORDS}</html>", f'WWW-Authenticate: Basic realm="{SAID}"')),
    "HTTP 404 with a page": always(http(404, f"<html>{WORDS}</html>")),
    "HTTP 400 with a page": always(http(400, f"<html>{WORDS}</html>")),
    "HTTP 409": always(http(409, LOUD)),
    "a redirect": always(http(302, WORDS, f"Location: http://127.0.0.1:1/{SAID}")),
    "a redirect for good": always(http(308, "", f"Location: {SAID}")),
    "words in the place of JSON": always(http(200, WORDS)),
    "half of an answer": always(http(200, f'{{"success": true, "campaignId": "{SAID}')),
    "JSON without a yes or a no": always(http(200, LOUD)),
    "JSON that is a list": always(http(200, json.dumps([WORDS]))),
    "a field twice": always(http(200, f'{{"success": true, "success": true, "message": {json.dumps(WORDS)}}}')),
    "a yes that is nested without an end": always(
        http(200, f'{{"success": true, "credit": "1", "details": {NESTED}}}')
    ),
    "a yes with HTTP 201": Way(lambda asked: agree(asked).replace(b" 200 ", b" 201 ", 1)),
    "a page in Latin-1": always(http(500, f"<html>{KEY}</html>".encode("latin-1"))),
    "a page in UTF-16": always(http(500, f"<html>{KEY}</html>".encode("utf-16"))),
    "a header that is none": always(http(500, WORDS, f"{SAID}")),
    "a header that is none, with a yes": Way(
        lambda asked: agree(asked).replace(b"\r\n", f"\r\n{SAID}\r\n".encode(), 1)
    ),
    "a cookie": always(http(500, WORDS, f"Set-Cookie: key={KEY}")),
    "a status line of no HTTP": always(f"{SAID}\r\n\r\n".encode()),
    "a status that is no number": always(f"HTTP/1.1 {SAID}\r\n\r\n".encode()),
    "lengths that differ": always(f"HTTP/1.1 200 OK\r\nContent-Length: {KEY}, 2\r\n\r\n".encode()),
    "chunks that are none": always(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SAID}\r\n".encode()),
    "less than was announced": always(http(200, WORDS).replace(b"Content-Length: ", b"Content-Length: 9", 1)),
    "what is packed and is not": always(http(200, WORDS, "Content-Encoding: gzip")),
    "more than an answer": always(http(200, WORDS * 2000)),
    "a header without an end": always(b"HTTP/1.1 200 OK\r\n" + f"X-Said: {KEY}\r\n".encode() * 200),
}
ROADS: Final = {
    "nobody there": Way(address="http://127.0.0.1:{closed}/v1"),
    "a name that nobody has": Way(address=NOWHERE),
    "TLS where there is none": Way(act=lambda _: WORDS.encode(), address="https://127.0.0.1:{port}/v1"),
    "a proxy that is not there": Way(address=NOWHERE, variables={"HTTPS_PROXY": "http://127.0.0.1:{closed}"}),
    "a proxy that refuses": Way(lambda _: http(407, WORDS), NOWHERE, {"HTTPS_PROXY": "http://127.0.0.1:{port}"}),
    "a proxy that says what is no HTTP": Way(
        lambda _: f"{SAID}\r\n\r\n".encode(), NOWHERE, {"HTTPS_PROXY": "http://127.0.0.1:{port}"}
    ),
    "a proxy for what needs none": Way(
        lambda _: http(500, WORDS), variables={"HTTP_PROXY": "http://127.0.0.1:{closed}", "ALL_PROXY": "x"}
    ),
    "a proxy of another kind": Way(address=NOWHERE, variables={"ALL_PROXY": "socks5://127.0.0.1:{closed}"}),
    "an address that is none": Way(address="https://voicebatch-canary.invalid:99999/v1"),
}
WAYS: Final = ANSWERS | ROADS
