"""What a schema says, as frozen types, and what its checks ask of the rest of the program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

import pyarrow as pa

PHONE_NUMBER: Final = "phone_number"
"""The check that makes a column the phone column."""


class Verdict(Protocol):
    """Why a cell is refused: the check's name and a sentence."""

    @property
    def check(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What our own checks ask, given by who knows the answers.

    ``phones`` takes a column of cells and the schema's own region, if it names one, and says by position
    which hold no number that can be called; ``schedule`` says why a cell is no time to call, or ``None``.
    """

    phones: Callable[[pa.Array, str | None], Mapping[int, Verdict]]
    languages: tuple[str, ...]
    schedule: Callable[[str], str | None]
    speech_rates: tuple[Decimal, Decimal] = (Decimal("0.5"), Decimal(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRule:
    """One check of a column. ``words`` says what it asks for; ``error`` is the user's own sentence."""

    name: str
    statistics: Mapping[str, Any]
    words: str
    error: str | None = None
    ignore_na: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRule:
    """What a schema says of one column. ``dtype`` is ``text``, ``int``, ``float``, ``bool`` or ``date``."""

    title: str = ""
    description: str = ""
    dtype: str = "text"
    required: bool = True
    nullable: bool = False
    unique: bool = False
    rules: tuple[CheckRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Rules for the columns of a file, by the schema's names for them.

    ``unique`` holds groups of columns whose values may stand together only once in the whole file.
    """

    name: str
    columns: Mapping[str, ColumnRule]
    title: str = ""
    description: str = ""
    strict: bool = False
    unique: tuple[tuple[str, ...], ...] = ()

    @property
    def phone_column(self) -> str | None:
        """The column of the numbers to call: the one checked as ``phone_number``, or else ``phone``."""
        likely = [name for name in self.columns if name == "phone" or self._phone_rule(name)]
        return max(likely, key=lambda name: (self._phone_rule(name) is not None, name == "phone"), default=None)

    @property
    def phone_region(self) -> str | None:
        """The country of national numbers that the schema itself names in ``phone_number``."""
        return self.phone_rule.statistics.get("region") if self.phone_rule else None

    @property
    def phone_rule(self) -> CheckRule | None:
        """The ``phone_number`` of the phone column."""
        return self._phone_rule(self.phone_column)

    def _phone_rule(self, name: str | None) -> CheckRule | None:
        rules = self.columns[name].rules if name else ()
        return next((rule for rule in rules if rule.name == PHONE_NUMBER), None)
