"""What every endpoint needs: where the provider is, the key, HTTP sessions, and what went wrong on the way in words.

The key stands in no exception and in no log: of an error only its type is told, of an answer only what is left without
the key, and a path with the key in it is put together where it is written to the socket.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from html.entities import codepoint2name
from typing import Final, TypeVar, cast
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from voicebatch.errors import UsageError
from voicebatch.provider import bounds, transport

_T = TypeVar("_T")

UNANSWERED: Final = (OSError, HTTPError, ValueError)
"""What ``Connection.ask`` raises without an answer: of requests, and what that does not translate."""

_IDLE_SECONDS: Final = 2.0
"""A kept connection that rested longer is not used again: if the server closed it at the very moment of our request,
the reset would be an unknown outcome, and a person would have to settle it. A new connection
costs a tenth of a second."""
_SHORTEST_SECRET: Final = 4  # characters: a made-up key of fewer stands in many a word and figure, and is no secret
_LONGEST_KEY: Final = 1000  # characters
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache",
    "Accept-Encoding": "identity",  # a few hundred bytes: nothing to pack
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back, read to its end. The headers and the text may hold the key."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)


class Connection:
    """The way to the provider, one HTTP session a thread, or through the one that is given. See ``Provider``."""

    def __init__(self, *, base_url: str, api_key: str, timeout: float, session: requests.Session | None = None) -> None:
        self.base_url: Final = check_base_url(base_url)
        self.timeout: Final = timeout
        key = check_api_key(api_key)
        self._key: Final = _spelt(key) if len(key) >= _SHORTEST_SECRET else None
        self._given_session = session
        self._threads = threading.local()

    def ask(self, method: str, path: str, body: str | None = None, *, shown: str | None = None) -> Answered:
        """One request, and its whole answer. Raises one of ``UNANSWERED``; nothing is ever repeated here.

        ``shown`` is the path as anybody may see it, where the real one holds the key: a given session asks for that.
        """
        data = None if body is None else body.encode()
        with transport.written_as(path, shown=shown) if shown else contextlib.nullcontext():
            answer, content = self._exchange(method, self.base_url + (shown or path), data)
        text = content.decode("utf-8-sig", errors="replace").replace("\0", "")  # which not every database can keep
        return Answered(status=answer.status_code, headers=answer.headers, text=text)

    def hang_up(self) -> None:
        """Ends this thread's kept connection: more of an answer may follow, and is not the next one."""
        self.session().close()

    def session(self) -> requests.Session:
        """This thread's."""
        if self._given_session:
            return self._given_session
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = transport.open_session(loopback=is_loopback(self.base_url))
            self._threads.used_at = time.monotonic()
        elif time.monotonic() - self._threads.used_at > _IDLE_SECONDS:
            session.close()  # only drops its connections
        return session

    def why_unanswered(self, error: Exception) -> str:
        """In words, of which none is the exception's own: its text can hold the address, and that can hold the key."""
        if transport.never_written(error):
            return f"no connection to the provider ({type(error).__name__})"
        if transport.timed_out(error):
            return f"no complete answer within {self.timeout:g} s"
        if transport.too_large(error):
            return "an answer of more than 1 MB, which nobody reads to its end"
        return f"no answer to the request ({type(error).__name__})"

    def without_key(self, said: _T) -> _T:
        """The same with stars in the key's place: a text, or whatever is made of texts."""
        return cast("_T", _without(self._key, said)) if self._key else said

    def _exchange(self, method: str, url: str, data: bytes | None) -> tuple[requests.Response, bytes]:
        try:
            with self.session().request(
                method, url, data=data, headers=_HEADERS, timeout=self.timeout, allow_redirects=False, stream=True
            ) as answer:
                return answer, bounds.read_body(answer, bounds.Deadline(self.timeout))
        finally:
            self._threads.used_at = time.monotonic()


def check_base_url(base_url: str) -> str:
    """The URL without its last slash. The key travels with every request, so http is for loopback addresses only."""
    with contextlib.suppress(ValueError):  # brackets around what is no address, a port that is none
        parts = urlsplit(base_url)
        is_loopback_http = parts.scheme == "http" and is_loopback(base_url)
        if parts.hostname and parts.port != 0 and (parts.scheme == "https" or is_loopback_http):
            return base_url.rstrip("/")
    raise UsageError(
        f"--base-url {base_url!r} is not an https address.",
        hint="Only https keeps the API key secret; http is accepted for 127.0.0.1 and localhost.",
    )


def check_api_key(key: str) -> str:
    """The key, if it can be one. Raises ``UsageError``; of half a character Python's own error would show all of it."""
    if len(key) > _LONGEST_KEY:
        raise UsageError(f"The API key has {len(key)} characters, and none is that long.", hint="Is it another file?")
    if not key.isprintable():  # neither half of a character is, nor a line break
        raise UsageError("The API key holds a character that cannot be printed.", hint="Copy it once more.")
    return key


def is_loopback(base_url: str) -> bool:
    """Whether what is sent there stays on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _spelt(key: str) -> re.Pattern[str]:
    """The key in whatever an answer may make of it, character by character: each may be written in its own way."""
    return re.compile("".join(rf"\\{{0,8}}(?:{'|'.join(_ways(character))})" for character in key), re.IGNORECASE)


def _ways(character: str) -> Iterator[str]:
    """How a character may be written, as regular expressions; their bounds are for an answer of a million backslashes.

    As it is, in JSON (in JSON again: the backslashes before it), in an address, in a page.
    """
    code, units = ord(character), re.findall("....", character.encode("utf-16-be").hex())
    yield re.escape(character)
    yield r"\\{0,8}".join(f"u{unit}" for unit in units)
    for encoding in ("utf-8", "latin-1"):
        yield "".join(f"%(?:25){{0,3}}{byte:02x}" for byte in character.encode(encoding, errors="ignore")) or "(?!)"
    yield rf"&(?:amp;){{0,3}}(?:{codepoint2name.get(code, '#')}|#0{{0,6}}{code}|#x0{{0,6}}{code:x});"
    if character == " ":
        yield r"\+"
    if not character.isascii():
        yield "\ufffd"  # the answer was in another encoding


def _without(key: re.Pattern[str], said: object) -> object:
    """Into whatever holds texts, however deep."""
    if type(said) is str:  # and no member of an Enum
        return key.sub("***", said)
    if isinstance(said, Mapping):
        return {_without(key, name): _without(key, value) for name, value in said.items()}
    if isinstance(said, list | tuple):
        return type(said)(_without(key, one) for one in said)
    if is_dataclass(said) and not isinstance(said, type):
        return replace(said, **{one.name: _without(key, getattr(said, one.name)) for one in fields(said)})
    return said
