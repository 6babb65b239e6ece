"""The client: builds the request, posts it, and never raises for what the network or the provider does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import requests

from voicebatch import wire
from voicebatch.models import STOOD_STILL, Batch, Outcome, Reply
from voicebatch.provider import outcomes, transport
from voicebatch.provider.connection import UNANSWERED, Connection


def _now() -> datetime:
    return datetime.now(UTC)


class Provider:
    """Sends batches, one HTTP session a thread, or through the one that is given.

    ``base_url`` is https, or http on a loopback address. ``email`` and ``sender`` are of voicemail. ``timeout``, in
    seconds, is the longest that connecting takes (the look-up of the name aside), and once more the longest from there
    to the last byte of the answer.

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
        self._connection = Connection(base_url=base_url, api_key=api_key, timeout=timeout, session=session)
        self._api_key = api_key
        self._timeout = timeout
        self._email = email
        self._sender = sender
        self._now = now

    def __repr__(self) -> str:
        return f"Provider({self._connection.base_url})"

    def close(self) -> None:
        """Ends this thread's kept connection; another is made when it is needed."""
        self._connection.hang_up()

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
                answer = self._connection.ask("POST", wire.PATHS[batch.message.channel], request.to_json())
        except UNANSWERED as error:
            return self._unanswered(error)
        reply = outcomes.read(answer.status, answer.headers, answer.text, now=self._now())
        if reply.outcome is Outcome.UNKNOWN:
            self._connection.hang_up()
        body = self._connection.without_key(answer.text)[: outcomes.BODY_KEPT]
        # Not before it was read: the key may stand in a word or a figure of it.
        return replace(self._connection.without_key(reply), body=body)

    def _unanswered(self, error: Exception) -> Reply:
        if transport.too_late(error):
            return STOOD_STILL
        outcome = Outcome.NOT_SENT if transport.never_written(error) else Outcome.UNKNOWN
        return Reply(outcome=outcome, reason=self._connection.why_unanswered(error))
