"""What goes into the ledger and comes out of it, as types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from voicebatch.models import Batch, BatchStatus, Channel, Charge, Delivery, RowCounts, RowStatus, Stop

ROW_STATUS: Final[Mapping[BatchStatus, RowStatus]] = {
    BatchStatus.QUEUED: RowStatus.QUEUED,
    BatchStatus.SENDING: RowStatus.UNKNOWN,  # it may have arrived, and nobody has its answer yet
    BatchStatus.ACCEPTED: RowStatus.ACCEPTED,
    BatchStatus.REFUSED: RowStatus.REFUSED,
    BatchStatus.UNKNOWN: RowStatus.UNKNOWN,
    BatchStatus.CANCELLED: RowStatus.CANCELLED,
}
"""A queued row's status is that of its batch. A split batch has no rows any more: they are in its parts."""

CONTACTED: Final = (BatchStatus.SENDING, BatchStatus.ACCEPTED, BatchStatus.UNKNOWN)
"""Batches whose people were called, or may have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as the ledger has it. ``manifest`` holds what the plan knew: inputs, options, versions."""

    id: str
    key: str
    content: str
    created_at: datetime
    channel: Channel
    sandbox: bool
    base_url: str
    notify_url: str | None
    notify_email: str | None = None
    sender: str | None = None
    report_dir: str
    manifest: Mapping[str, Any]
    stop: Stop | None


class NewRow(NamedTuple):
    """A row of the input as the plan left it: rejected or suppressed with a reason, or in a batch."""

    file: int
    row: int
    phone: str | None
    status: str | None
    reason: str
    batch_id: str | None


class NewRows(NamedTuple):
    """Rows like ``NewRow`` as Arrow columns of one length: integers, and texts."""

    file: Any
    row: Any
    phone: Any
    status: Any
    reason: Any
    batch_id: Any


class NewBatch(NamedTuple):
    """A batch and what it should cost, ``None`` without a price."""

    batch: Batch
    estimate: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A sealed plan on its way into the ledger.

    ``planned_at`` is since when another run may have queued the same people unseen; ``None``: that does not matter.
    ``rows`` come one by one, or many together in columns, which is how millions go in fast.
    """

    id: str
    key: str
    content: str
    channel: Channel
    sandbox: bool
    base_url: str
    notify_url: str | None
    notify_email: str | None = None
    sender: str | None = None
    report_dir: str
    manifest: Mapping[str, Any]
    planned_at: datetime | None
    counts: RowCounts
    documents: Mapping[str, bytes]
    batches: Iterable[NewBatch]
    rows: Iterable[NewRow | NewRows]


class Contact(NamedTuple):
    """Numbers (E.164) that a run has sent a message, or has queued for it."""

    message_id: str
    run_id: str
    status: BatchStatus
    numbers: Sequence[str]


class AnswerLine(NamedTuple):
    """A yes of the provider beside the batch that it is for: ``messages`` is its ``nbSms``.

    ``charged`` and ``charged_messages`` are the sums over its charges, ``units`` over unit cost times messages.
    """

    batch_id: str
    size: int
    messages: int
    cost: Decimal
    currency: str
    charged: Decimal
    charged_messages: int
    units: Decimal


class Receipt(NamedTuple):
    """What became of a callback: whether it is new, what is odd about it, how many people it settled."""

    is_new: bool
    problem: str | None = None
    settled: int = 0


class DeliveryLine(NamedTuple):
    """People of one batch and calling code of whom the callbacks say the same: how many, and seconds really spoken."""

    batch_id: str
    calling_code: str
    status: Delivery
    answered: bool | None
    people: int
    seconds: Decimal


class Uncharged(NamedTuple):
    """A batch that counts as accepted without an answer: by a callback, or on somebody's word.

    ``estimate`` is what it should have cost, ``None`` without a price.
    """

    batch_id: str
    numbers: Sequence[str]
    by_callback: bool
    estimate: Decimal | None


class ChargeLine(NamedTuple):
    """A charge beside the batch that it is for; ``is_accepted``: its people were not taken back since."""

    batch_id: str
    is_accepted: bool
    currency: str
    charge: Charge


class RowLine(NamedTuple):
    """A row of the input with what became of it. ``delivery`` is what callbacks say, empty if none did."""

    file: int
    row: int
    phone: str | None
    status: RowStatus
    reason: str
    batch_id: str | None
    campaign_id: str | None
    accepted_at: datetime | None
    delivery: str = ""


class Tally(NamedTuple):
    """So many requests, with so many people."""

    requests: int = 0
    people: int = 0


class Scheduled(NamedTuple):
    """A campaign that the provider has, and that leaves later. It is of one batch, seldom of several parts of one.

    ``was_lost``: it was asked to take it back before, and the answer was lost.
    """

    campaign_id: str
    batch_ids: tuple[str, ...]
    people: int
    leaves_at: datetime
    was_lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellable:
    """What of a run can be taken back, and what can not.

    ``queued`` and ``scheduled`` can. ``too_late`` was scheduled and has left; ``nameless`` is scheduled, and its answer
    named no campaign; ``unknown`` may be scheduled; ``under_way`` is being sent.
    """

    queued: Tally
    scheduled: tuple[Scheduled, ...]
    too_late: Tally
    nameless: Tally
    unknown: Tally
    under_way: Tally
