"""What the sandbox remembers, as records: requests that arrived, numbers that were called, campaigns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from voicebatch.models import Channel
    from voicebatch.sandbox.faults import Fault

JSON: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request as it arrived: ``outcome`` is ``accepted`` for a send, ``answered`` for another yes, or a no's code.

    ``numbers`` were called. ``endpoint`` is a method and a documented path, without a key. ``status`` is what went
    back, 0 for a connection that was closed without an answer. ``fault`` is the name of the one that was made, if any;
    it is the ``outcome`` too where the request was not acted on.
    """

    request: int
    at: datetime
    status: int
    outcome: str
    campaign_id: str = ""
    numbers: int = 0
    endpoint: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One number called by one request. ``scheduled`` is when, if not at once.

    ``left_at`` is ``None`` as long as it waits for its time, and for ever once it is ``cancelled``. A recording has no
    ``text``, and one for voicemail no ``lang``.
    """

    request: int
    campaign_id: str
    number: str
    text: str | None
    token_audio: str | None
    lang: str
    at: datetime
    scheduled: datetime | None
    channel: Channel
    cancelled: bool = False
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What one accepted request became. ``cost`` was subtracted from the credit; ``seconds`` is one message's length.

    ``faults`` are those of its callbacks.
    """

    id: str
    channel: Channel
    cost: Decimal
    seconds: Decimal
    token_audio: str | None
    notify_url: str | None
    scheduled: datetime | None
    calls: tuple[Call, ...]
    faults: tuple[Fault, ...] = ()
    cancelled: bool = False
    left_at: datetime | None = None

    def left(self, at: datetime) -> Campaign:
        """It as it left."""
        return replace(self, left_at=at, calls=tuple(replace(call, left_at=at) for call in self.calls))

    def taken_back(self) -> Campaign:
        """It as it was cancelled."""
        return replace(self, cancelled=True, calls=tuple(replace(call, cancelled=True) for call in self.calls))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back over HTTP, ``delay`` seconds later. An empty one is none: the connection is closed instead."""

    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSent:
    """One try at one callback. ``answer`` is the listener's HTTP status, 0 without one; ``error`` says why.

    ``number`` and ``status`` are empty for a voicemail campaign. ``attempt`` counts from 1.
    """

    at: datetime
    campaign_id: str
    number: str
    status: str
    method: str
    url: str
    attempt: int
    answer: int
    error: str = ""
