"""What a plan will cost, from a price table or from what the provider charged before."""

from __future__ import annotations

import csv
import decimal
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from voicebatch.errors import InputError

_DEAREST: Final = Decimal(10**12)  # an amount beyond it is a slip of the keyboard
_MOST_DECIMALS: Final = 40
_EXACT: Final = decimal.Context(prec=1000, traps=[decimal.Inexact, decimal.InvalidOperation])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The price of one message per calling code, in one currency."""

    units: Mapping[str, Decimal] = field(default_factory=dict)
    currency: str = ""

    def missing(self, messages: Mapping[str, int]) -> tuple[str, ...]:
        """Calling codes among ``messages`` (calling code to number of messages) that have no price."""
        return tuple(sorted(code for code in messages if code not in self.units))

    def estimate(self, messages: Mapping[str, int]) -> Decimal | None:
        """What these messages cost, ``None`` when a price is missing."""
        if self.missing(messages):
            return None
        return total(times(self.units[code], count) for code, count in messages.items())


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum: it raises rather than round."""
    result = Decimal(0)
    for amount in amounts:
        result = _EXACT.add(result, amount)
    return result


def times(amount: Decimal, count: int) -> Decimal:
    """The exact product: it raises rather than round."""
    return _EXACT.multiply(amount, Decimal(count))


def money(amount: Decimal) -> str:
    """All digits of an amount, and at least four decimals: ``0.1200``, ``12.00000625``."""
    return f"{amount:.{max(4, _decimals(amount))}f}"


def _decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def parse_price_table(text: str, *, name: str) -> Prices:
    """Reads a CSV with the columns ``calling_code``, ``unit_cost`` and optionally ``currency`` (EUR).

    Raises ``InputError`` naming the line that cannot be a price, two prices for one code, or two currencies.
    """
    lines = _lines(text, name)
    if not lines or not {"calling_code", "unit_cost"} <= lines[0][1].keys():
        raise InputError(
            f"The price table {name} has no columns calling_code and unit_cost.",
            hint="Write it like: calling_code,unit_cost,currency and then 33,0.045,EUR",
        )
    units: dict[str, Decimal] = {}
    for number, line in lines:
        code, unit = _price(line, number, name)
        if units.setdefault(code, unit) != unit:
            raise InputError(f"The price table {name} has two prices for +{code}: see line {number}.")
    currencies = {line.get("currency") or "EUR" for _, line in lines}
    if len(currencies) > 1:
        raise InputError(f"The price table {name} mixes currencies: {', '.join(sorted(currencies))}.")
    return Prices(units=units, currency=currencies.pop())


def _lines(text: str, name: str) -> list[tuple[int, Mapping[str, str | None]]]:
    """The lines by the number that an editor shows: blank ones are skipped and counted."""
    reader = csv.DictReader(io.StringIO(text))
    try:
        return [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        raise InputError(f"The price table {name} cannot be read: {error}.") from error


def _price(line: Mapping[str, str | None], number: int, name: str) -> tuple[str, Decimal]:
    code = (line["calling_code"] or "").strip().lstrip("+")
    try:
        unit = Decimal((line["unit_cost"] or "").strip())
    except decimal.InvalidOperation:
        unit = Decimal("NaN")
    if not code.isdecimal() or not unit.is_finite() or not 0 <= unit < _DEAREST or _decimals(unit) > _MOST_DECIMALS:
        raise InputError(f"The price table {name} has no readable price in line {number}.")
    return code, unit
