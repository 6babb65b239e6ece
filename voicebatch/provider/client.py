"""The client: builds the request, posts it, and never raises for what the network or the provider does."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import HTTPError

from voicebatch import wire
from voicebatch.errors import UsageError
from voicebatch.models import STOOD_STILL, Batch, Outcome, Reply
from voicebatch.provider import bounds, outcomes, transport

_IDLE_SECONDS: Final = 2.0
"""A kept connection that rested longer is not used again: if the server closed it at the very moment of our request,
the reset would be an unknown outcome, and a person would have to settle it. A new connection
costs a tenth of a second."""
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache",
    "Accept-Encoding": "identity",  # a few hundred bytes: nothing to pack
}


def _now() -> datetime:
    return datetime.now(UTC)


class Provider:
    """Sends batches, one HTTP session a thread, or through the one that is given.

    ``base_url`` is https, or http on a loopback address. ``email`` and ``sender`` are of voicemail. ``timeout``, in seconds, is the longest that connecting takes
    (the look-up of the name aside), and once more the longest from there to the last byte of the answer.

    A given ``session`` keeps its adapters, which must not repeat a POST. With requests' own adapter a request may
    leave after its lease, and ``timeout`` holds for each address of the name, for each read of the answer's header, and
    for the answer's body but for its last read: a header or a chunk's own line that drips in has no bound. Its size is
    bounded, but for what hooks read and for a redirect, which requests reads by itself.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        timeout: float,
        email: str | None = None,
        sender: str | None = None,
        session: requests.Session | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._base_url = check_base_url(base_url)
        self._api_key = api_key
        self._spellings = _spellings(api_key) if api_key else frozenset()
        self._timeout = timeout
        self._email = email
        self._sender = sender
        self._given_session = session
        self._now = now
        self._threads = threading.local()

    def __repr__(self) -> str:
        return f"Provider({self._base_url})"

    def send(self, batch: Batch, *, notify_url: str | None = None, lease_seconds: float = math.inf) -> Reply:
        """Posts one batch once. Whatever happens is in the reply; nothing is ever repeated here.

        It ends within ``lease_seconds`` if nothing stands still, and is not written if it could not any more.
        """
        request = wire.request_for(
            batch.message,
            batch.numbers,
            api_key=self._api_key,
            notify_url=notify_url,
            email=self._email,
            sender=self._sender,
        )
        try:
            with transport.written_within(lease_seconds - self._timeout):
                answer, body = self._post(self._base_url + wire.PATHS[batch.message.channel], request.to_json())
        except (OSError, HTTPError, ValueError) as error:  # of requests, and what it does not translate
            return self._unanswered(error)
        text = body.decode("utf-8-sig", errors="replace").replace("\0", "")  # which not every database can keep
        reply = outcomes.read(answer.status_code, answer.headers, text, now=self._now())
        if reply.outcome is Outcome.UNKNOWN:
            self._session().close()  # more of this answer may follow, and must not be taken for the next one
        return replace(self._reply_without_key(reply), body=self._without_key(text)[: outcomes.BODY_KEPT])

    def _post(self, url: str, body: str) -> tuple[requests.Response, bytes]:
        try:
            with self._session().post(
                url, data=body.encode(), headers=_HEADERS, timeout=self._timeout, allow_redirects=False, stream=True
            ) as answer:
                return answer, bounds.read_body(answer, bounds.Deadline(self._timeout))
        finally:
            self._threads.used_at = time.monotonic()

    def _session(self) -> requests.Session:
        if self._given_session:
            return self._given_session
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = transport.open_session(loopback=_is_loopback(self._base_url))
            self._threads.used_at = time.monotonic()
        elif time.monotonic() - self._threads.used_at > _IDLE_SECONDS:
            session.close()  # only drops its connections
        return session

    def _unanswered(self, error: Exception) -> Reply:
        # Only the exception's type: its text can hold the address, and an address can hold the key.
        if transport.too_late(error):
            return STOOD_STILL
        if transport.never_written(error):
            return Reply(outcome=Outcome.NOT_SENT, reason=f"no connection to the provider ({type(error).__name__})")
        if transport.timed_out(error):
            return Reply(outcome=Outcome.UNKNOWN, reason=f"no complete answer within {self._timeout:g} s")
        if transport.too_large(error):
            return Reply(outcome=Outcome.UNKNOWN, reason="an answer of more than 1 MB, which nobody reads to its end")
        return Reply(outcome=Outcome.UNKNOWN, reason=f"no answer to the request ({type(error).__name__})")

    def _reply_without_key(self, reply: Reply) -> Reply:
        """After it was read: a short key may be part of a word or a figure."""
        answer = reply.answer and replace(reply.answer, campaign_id=self._without_key(reply.answer.campaign_id))
        return replace(reply, reason=self._without_key(reply.reason), code=self._without_key(reply.code), answer=answer)

    def _without_key(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, "***")
        return text


def _spellings(key: str) -> frozenset[str]:
    """The ways in which an answer may repeat the key: as it is, in JSON, in JSON as PHP writes it, in an address."""
    in_json = [json.dumps(key, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    return frozenset({key, quote(key, safe=""), *in_json, *(one.replace("/", r"\/") for one in in_json)})


def check_base_url(base_url: str) -> str:
    """The URL without its last slash. The key travels in the body, so http is for loopback addresses only."""
    with contextlib.suppress(ValueError):  # brackets around what is no address
        parts = urlsplit(base_url)
        if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(base_url))):
            return base_url.rstrip("/")
    raise UsageError(
        f"--base-url {base_url!r} is not an https address.",
        hint="Only https keeps the API key secret; http is accepted for 127.0.0.1 and localhost.",
    )


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
