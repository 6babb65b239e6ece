"""The words of the trade as types: what flows from the file to the provider and back.

Frozen all of them: a change is a new copy. Money is ``Decimal`` beside a currency, a time is
timezone-aware, a duration is in seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final


class Channel(StrEnum):
    """How the message reaches the phone."""

    VOICE_SMS = "voice-sms"  # a call that reads the message aloud: POST /tts/send
    VOICEMAIL = "voicemail"  # a recording left on voicemail, without a call: POST /campaign/send


class RowStatus(StrEnum):
    """What became of a row of the input. Every row has exactly one."""

    REJECTED = "rejected"  # bad data: it never became a recipient
    SUPPRESSED = "suppressed"  # a duplicate, on an opt-out list, already sent, or beyond --limit
    QUEUED = "queued"  # in the plan, and certainly not sent yet
    ACCEPTED = "accepted"  # the provider said yes; only a callback says "delivered"
    REFUSED = "refused"  # the provider said no
    UNKNOWN = "unknown"  # the request may have arrived and its answer was lost
    CANCELLED = "cancelled"  # taken back before it left


class BatchStatus(StrEnum):
    """Where a batch stands in the ledger."""

    QUEUED = "queued"  # committed, not sent
    SENDING = "sending"  # claimed by a worker: from here on it may have arrived
    ACCEPTED = "accepted"  # answered with yes
    REFUSED = "refused"  # answered with no: nobody in it was called
    UNKNOWN = "unknown"  # no readable answer: never sent again by itself
    CANCELLED = "cancelled"  # taken back by the user
    SPLIT = "split"  # refused because of a number in it: its people are in smaller batches now


MOVES: Final[dict[BatchStatus, frozenset[BatchStatus]]] = {
    BatchStatus.QUEUED: frozenset({BatchStatus.SENDING, BatchStatus.CANCELLED}),
    BatchStatus.SENDING: frozenset(
        {
            BatchStatus.QUEUED,  # certainly not sent: never arrived, or the provider asked us to wait
            BatchStatus.ACCEPTED,
            BatchStatus.REFUSED,
            BatchStatus.SPLIT,
            BatchStatus.UNKNOWN,
        }
    ),
    # A worker that was given up for lost may still come back with its answer; else a person settles it.
    BatchStatus.UNKNOWN: frozenset(
        {
            BatchStatus.ACCEPTED,
            BatchStatus.REFUSED,
            BatchStatus.SPLIT,
            BatchStatus.QUEUED,
            BatchStatus.CANCELLED,
        }
    ),
    BatchStatus.ACCEPTED: frozenset({BatchStatus.CANCELLED}),
    BatchStatus.REFUSED: frozenset(),
    BatchStatus.CANCELLED: frozenset(),
    BatchStatus.SPLIT: frozenset(),
}
"""The legal moves of a batch. The ledger refuses every other, but one: the provider's own late answer overrules what a
person settled meanwhile."""


class Verdict(StrEnum):
    """What a person found out about a request whose outcome was unknown."""

    SENT = "sent"  # the provider has it: its people count as accepted
    NOT_SENT = "not-sent"  # the provider does not have it: nobody in it was called


class Delivery(StrEnum):
    """What a callback says of a message, in the provider's words."""

    PENDING = "pending"  # taken, and not at its end yet; also what nobody has said anything about
    DELIVERED = "delivered"  # the phone was reached
    UNDELIVERED = "undelivered"  # it was not, and will not be tried again


class CancelOutcome(StrEnum):
    """What became of the wish to take a scheduled request back."""

    CANCELLED = "cancelled"  # nobody in it is called, and its credit came back
    TOO_LATE = "too late"  # it has left, or is about to
    REFUSED = "refused"  # the provider says no for another reason
    UNKNOWN = "unknown"  # no readable answer: asking again does no harm


class RunStatus(StrEnum):
    """Where a run stands, derived from its batches."""

    PLANNED = "planned"  # a plan only: not in the ledger
    RUNNING = "running"  # a worker holds some of its batches
    COMPLETE = "complete"  # nothing is queued and nothing is unknown
    INCOMPLETE = "incomplete"  # something is still queued
    UNKNOWN = "unknown"  # nothing is queued, something is unknown
    STOPPED = "stopped"  # the account or a guard stopped it, and something is still queued
    CANCELLED = "cancelled"  # nothing was accepted and the rest was taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is heard: a text (before rendering, a Jinja2 template) or the token of a recorded audio file.

    ``speech_rate`` is between 0.5 and 2; ``schedule`` is timezone-aware, ``None`` for now.
    Two messages with the same ``id`` sound the same at the same time, whichever run they belong to.
    """

    text: str | None = None
    audio: str | None = None
    channel: Channel = Channel.VOICE_SMS
    lang: str = "fr"
    speech_rate: Decimal = Decimal(1)
    schedule: datetime | None = None

    @property
    def id(self) -> str:
        """24 hexadecimal digits that depend on what is heard, and on nothing else."""
        return self.ids([self.text])[0]

    def ids(self, texts: Iterable[str | None]) -> list[str]:
        """The ids of messages that are this one but for their texts."""
        when = self.schedule.astimezone(UTC).isoformat() if self.schedule else None
        if self.audio:
            return [digest(str(self.channel), {"audio": self.audio}, when) for _ in texts]
        spoken = {"lang": self.lang, "rate": format(self.speech_rate.normalize(), "f"), "text": 0}
        before, after = _canonical((str(self.channel), spoken, when)).split('"text":0', 1)  # written once for all texts
        said = ("null" if text is None else _in_quotes(text) for text in texts)
        return [_hash(f'{before}"text":{text}{after}') for text in said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Recipients of one message, sent by one API request. ``numbers`` are E.164, in the order of the rows."""

    id: str
    run_id: str
    ordinal: int
    message: Message
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One country's line in an answer's ``detail``. ``seconds`` is one message's spoken length."""

    calling_code: str
    country_code: str
    messages: int
    unit_cost: Decimal
    cost: Decimal
    seconds: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The provider's yes, with its own figures, as received."""

    campaign_id: str
    cost: Decimal
    currency: str
    messages: int
    seconds: Decimal
    charges: tuple[Charge, ...]


class Outcome(StrEnum):
    """What an attempt came to, and so what may happen to its batch next."""

    ACCEPTED = "accepted"  # a readable yes
    REFUSED = "refused"  # a readable no to this request
    ACCOUNT = "account"  # a readable no to every request: stop the run, the batch goes back to the queue
    THROTTLED = "throttled"  # the provider did not act and asks to wait: back to the queue
    NOT_SENT = "not sent"  # it certainly never arrived: back to the queue
    UNKNOWN = "unknown"  # everything else


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An attempt's end as the provider module saw it.

    ``wait_seconds`` is the provider's own word (Retry-After, rate headers) on when the next request may leave, for
    every worker; ``spent`` says that it is of rate headers that leave nothing of the window, not of a request that was
    turned away. ``about_number``: refused because of one or more numbers in it, the others can be sent in smaller
    requests. ``body`` is what came back, shortened; it never holds the API key.
    """

    outcome: Outcome
    reason: str = ""
    code: str = ""
    http_status: int | None = None
    answer: Answer | None = None
    wait_seconds: float | None = None
    spent: bool = False
    about_number: bool = False
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """What the provider calls back about one attempt, whose id its address carries.

    A voice SMS has one for each ``number`` (E.164, or as it came): ``status``, whether somebody ``answered`` (``None``:
    not said), and how many seconds were really spoken. A voicemail campaign has one for all: ``delivered`` of
    ``total``. ``status`` is ``None`` for a word that is not documented; ``body`` is what came.
    """

    attempt_id: str
    channel: Channel
    campaign_id: str
    number: str | None = None
    status: Delivery | None = None
    answered: bool | None = None
    sent_at: datetime | None = None
    done_at: datetime | None = None
    seconds: Decimal | None = None
    delivered: int | None = None
    total: int | None = None
    body: str = ""

    def __repr__(self) -> str:
        """No number: a repr ends up in logs."""
        return f"Callback({self.attempt_id}, {self.status})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What is left on the account, as the provider writes it. ``details`` is by product, as received."""

    amount: Decimal
    currency: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFile:
    """A recording that the provider has checked. ``size`` and ``duration`` are as it writes them."""

    token: str
    name: str
    size: str
    duration: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """A scheduled campaign that was taken back, and the credit that the provider gave back for it."""

    campaign_id: str
    credit: Decimal
    currency: str


STOOD_STILL: Final = Reply(outcome=Outcome.NOT_SENT, reason="this process stood still before it could send")
"""Of a request that was held back because its lease was over, or nearly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with one row, in plain words. ``row`` is the number that a spreadsheet shows."""

    file: str
    row: int
    column: str
    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most ``requests`` in any window of ``seconds``."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """How many rows of the input have each status. They add up to ``total``."""

    total: int = 0
    rejected: int = 0
    suppressed: int = 0
    queued: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """Requests of a run: ``sent`` is every attempt that may have arrived, ``retried`` those after a batch's first."""

    planned: int = 0
    sent: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """What became of accepted messages: ``delivered`` + ``undelivered`` + ``pending`` are all of them.

    ``answered`` and ``not_answered`` are among the others, where the provider says so. ``spoken_seconds`` are what it
    counts afterwards, over all messages; ``announced_seconds`` what its answers had said of those that were delivered
    (of ``unannounced`` ones the answer was lost).
    """

    delivered: int = 0
    undelivered: int = 0
    pending: int = 0
    answered: int = 0
    not_answered: int = 0
    spoken_seconds: Decimal = Decimal(0)
    announced_seconds: Decimal = Decimal(0)
    unannounced: int = 0

    def __add__(self, other: DeliveryCounts) -> DeliveryCounts:
        """Of both together."""
        return DeliveryCounts(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    @property
    def told(self) -> int:
        """How many messages a callback has told the end of."""
        return self.delivered + self.undelivered


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryTotal:
    """One line of the country report: exact sums of the charges of one calling code, country and currency."""

    calling_code: str
    country_code: str
    country: str
    currency: str
    requests: int
    messages: int
    unit_cost_min: Decimal | None
    unit_cost_max: Decimal | None
    cost: Decimal
    total_seconds: Decimal
    deliveries: DeliveryCounts = DeliveryCounts()

    @property
    def message_seconds(self) -> Decimal:
        """Spoken seconds of one message, on average, to the millisecond."""
        return (self.total_seconds / (self.messages or 1)).quantize(Decimal("0.001"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a run stopped before its queue was empty: an error's kind, message and hint."""

    kind: str
    message: str
    hint: str = ""


class EventKind(StrEnum):
    """What happened to a run, for its story."""

    JOINED = "joined"  # a worker began
    LEFT = "left"  # a worker ended, and said so
    PAUSED = "paused"  # the provider's word, or its silence, made every worker wait
    STOPPED = "stopped"  # the account or a guard stopped every worker
    LOST = "lost"  # a worker ended in the middle of a request: the batch is unknown
    SPLIT = "split"  # a batch was refused because of a number in it
    SETTLED = "settled"  # a person said what became of an unknown batch
    LATE = "late"  # an answer came for a batch that was settled or sent again meanwhile
    WITHDRAWN = "withdrawn"  # people who opted out after the plan left the queue
    CANCELLED = "cancelled"  # somebody took back what was queued or scheduled


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of a run's story. ``who`` is a worker, or the person who settled something."""

    at: datetime
    who: str
    kind: EventKind
    text: str
    batch_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request of a run as the ledger has it. ``ended_at`` and ``outcome`` are ``None`` while it is under way.

    ``is_unknown``: nobody knows whether its people were called, and nobody has settled it.
    """

    batch_id: str
    number: int
    people: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: Outcome | None
    http_status: int | None
    code: str
    reason: str
    is_unknown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpan:
    """A worker's time on a run; ``requests`` are those that it made."""

    name: str
    joined_at: datetime
    seen_at: datetime
    left_at: datetime | None
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened to a run, in order."""

    events: tuple[Event, ...]
    workers: tuple[WorkerSpan, ...]
    attempts: tuple[Attempt, ...]

    @property
    def unknown(self) -> list[Attempt]:
        """The requests that a person has to settle."""
        return [attempt for attempt in self.attempts if attempt.is_unknown]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run in figures, as the screen, the JSON and the manifest show it.

    ``findings`` are sentences about what the provider answered and does not add up; nothing of it is corrected.
    ``answered`` counts the requests that ``countries`` are about; ``base_url`` is where the run was begun.
    ``estimated_cost`` is what requests should have cost whose answers were lost, and is in no other figure (``None``:
    nothing is missing, or it has no price); ``settled_by_callback`` are the people of such requests. ``listens`` says
    that callbacks were asked for, ``leaves_at`` when the next of what is scheduled leaves the provider. ``credited`` is
    what the provider gave back for cancelled requests; ``cost`` is what it charged, that included. ``waits_until`` is
    when it is worth going on, by this machine's clock, and ``waits_for`` why not before, for who did not want to wait.
    """

    run_id: str
    key: str
    sandbox: bool
    created_at: datetime
    status: RunStatus
    rows: RowCounts
    requests: RequestCounts
    cost: Decimal | None
    currency: str
    total_seconds: Decimal
    earliest_finish: datetime | None
    countries: tuple[CountryTotal, ...]
    report_dir: str
    ledger: str
    stop: Stop | None = None
    findings: tuple[str, ...] = ()
    answered: int = 0
    base_url: str = ""
    deliveries: DeliveryCounts = DeliveryCounts()
    estimated_cost: Decimal | None = None
    settled_by_callback: int = 0
    listens: bool = False
    leaves_at: datetime | None = None
    credited: Decimal = Decimal(0)
    waits_until: datetime | None = None
    waits_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment of the work, for a progress bar: ``stage`` is reading, planning, sending or reporting.

    ``done`` of ``total`` counts rows while reading and people while sending, as do ``accepted``, ``refused`` and
    ``unknown``; ``total`` is 0 when it is not known, and an estimate while text is read. ``rejected`` counts the bad
    rows so far, ``first_faults`` are the first of what is wrong with them.
    """

    stage: str
    done: int = 0
    total: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    cost: Decimal = Decimal(0)
    currency: str = ""
    waiting_until: datetime | None = None
    waiting_for: str = ""
    rejected: int = 0
    first_faults: tuple[Fault, ...] = ()


_canonical: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_in_quotes: Final = json.encoder.encode_basestring  # a text as _canonical writes it


def digest(*parts: Any) -> str:
    """24 hexadecimal digits that depend on the parts (anything JSON can say) and on nothing else."""
    return _hash(_canonical(parts))


NUMBERS_APART: Final = '","'


def batch_ids(run_id: str, message_ids: Iterable[str], numbers: Iterable[str]) -> list[str]:
    """``digest(run_id, message_id, numbers)`` of every batch; ``numbers`` are joined by ``NUMBERS_APART`` already."""
    begin = f'["{run_id}","'
    return [_hash(f'{begin}{message}",["{joined}"]]') for message, joined in zip(message_ids, numbers, strict=True)]


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def people(count: int) -> str:
    """``1 person``, ``2 people``."""
    return f"{count} {'person' if count == 1 else 'people'}"
