"""What goes into the ledger and comes out of it, as types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from voicebatch.models import Batch, BatchStatus, Channel, RowCounts, RowStatus, Stop

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


class NewBatch(NamedTuple):
    """A batch and what it should cost, ``None`` without a price."""

    batch: Batch
    estimate: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A sealed plan on its way into the ledger.

    ``planned_at`` is since when another run may have queued the same people unseen; ``None``: that does not matter.
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
    rows: Iterable[NewRow]


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


class RowLine(NamedTuple):
    """A row of the input with what became of it."""

    file: int
    row: int
    phone: str | None
    status: RowStatus
    reason: str
    batch_id: str | None
    campaign_id: str | None
    accepted_at: datetime | None
