"""What is read of a ledger's receipt, what becomes of a request, and what bounds them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from voicebatch.models import Callback


class Receipt(Protocol):
    """What the ledger says of a callback that it has."""

    @property
    def is_new(self) -> bool:
        """Whether this is the first time that it came."""

    @property
    def problem(self) -> str | None:
        """Why it is kept and does not count."""

    @property
    def settled(self) -> int:
        """How many people were unknown until it came."""


Take = Callable[[Sequence[Callback]], Sequence[Receipt]]
"""Keeps callbacks, all of them or none, and returns when they are on the disk, with a receipt for each in order.

Raises ``LedgerError`` when none is kept.
"""


class Unavailable(Exception):
    """A callback may not be in the ledger: whoever sent it has to repeat it."""


class Result(StrEnum):
    """What became of a request."""

    KEPT = "kept"  # in the ledger, for the first time
    REPEATED = "repeated"  # was in the ledger already
    ODD = "odd"  # in the ledger, with the reason why it does not count
    REFUSED = "refused"  # no right code, or no callback at all: nothing of it was read
    UNREADABLE = "unreadable"  # a right code, and not what the provider documents
    FAILED = "failed"  # answered with 503: the provider is to repeat it

    @classmethod
    def of(cls, receipt: Receipt) -> Result:
        """What the ledger's receipt says."""
        if not receipt.is_new:
            return cls.REPEATED
        return cls.ODD if receipt.problem else cls.KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a listener spends at most, whoever calls and however."""

    threads: int = 32  # requests that wait for the ledger at once; a slow client holds none
    connections: int = 1000
    header_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    arrival_seconds: float = 20.0  # from a request's first byte to its last
    idle_seconds: int = 65  # nginx keeps an unused connection for 60 s: it is to be the one that closes it
    sweep_seconds: int = 1  # how often those two are looked at
    waiting: int = 1000  # callbacks in the queue
    group: int = 500  # callbacks in one transaction
    wait_seconds: float = 10.0  # until a callback is in the ledger
