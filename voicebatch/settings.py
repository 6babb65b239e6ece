"""Options with their defaults, as plain values. Where they come from (command line, variables, file) is ``cli``'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Final

BATCH_ROWS: Final = 65_536
"""Rows that are read, checked and rendered at a time."""


NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})
"""Files are called by their paths."""

OWN_COLUMN: Final = "voicebatch"
"""The column that a marked copy of a text file has besides the user's: no schema needs to know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """How the input is read and checked."""

    schema: Path | None = None  # None: the packaged recipients.yaml
    region: str = "FR"
    phone_column: str | None = None
    sheet: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    include_hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxInvalid:
    """How many bad rows are let pass: a number of rows, or a share of all rows between 0 and 1."""

    rows: int | None = None
    share: Decimal | None = Decimal("0.05")

    def allows(self, rejected: int, total: int) -> bool:
        """Whether a run may go on with this many rejected rows."""
        if self.rows is not None:
            return rejected <= self.rows
        return rejected <= (self.share or 0) * total

    def __str__(self) -> str:
        """As the option is written."""
        return str(self.rows) if self.rows is not None else f"{((self.share or Decimal(0)) * 100).normalize():f}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What becomes a recipient, and how recipients are grouped."""

    suppress: tuple[Path, ...] = ()
    max_invalid: MaxInvalid = MaxInvalid()
    repeat_window: timedelta = timedelta(hours=24)
    siblings: str | None = None  # how the keys of runs begin whose people do not hear the same message again
    limit: int | None = None
    batch_size: int = 500
    key: str | None = None  # None: from the content
    notify_url: str | None = None
    notify_email: str | None = None
    sender: str | None = None
    price_table: Path | None = None
    out: Path = Path("reports")
