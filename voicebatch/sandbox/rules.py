"""What the sandbox answers to a request: its tables of special keys and numbers, its checks, and its prices.

Where the provider's pages are silent, what we assume stands here under the word *assumed*.
"""

from __future__ import annotations

import csv
import io
import re
import secrets
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from voicebatch import speech, wire
from voicebatch.models import Answer, Charge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# Any other key is a good one.
SPECIAL_KEYS: Final[Mapping[str, str]] = {
    "sandbox-wrong-key": "10",
    "sandbox-no-credit": "11",
    "sandbox-disabled": "20",
    "sandbox-blocked": "30",
    "sandbox-refused": "40",
    "sandbox-wrong-ip": "96",
}

# Numbers that anybody would take for valid: one of them in a request refuses all of it. They let a rehearsal
# see what becomes of the others.
SPECIAL_NUMBERS: Final[Mapping[str, str]] = {
    "+33600000013": "13",
    "+33600000014": "14",
    "+33600001414": "14",
    "+32470000014": "14",
    "+33600000044": "DESTINATION_INVALID",
    "+33600004444": "DESTINATION_INVALID",
    "+32470000044": "DESTINATION_INVALID",
}

# Assumed: the documentation gives codes in the body and no status. 400 for what is not listed.
HTTP_STATUS: Final[Mapping[str, int]] = {
    **dict.fromkeys(wire.ACCOUNT_CODES, 403),
    "1": 401,
    "10": 401,
    "429": 429,
}

LANG_DEFAULT: Final = "fr"  # assumed
CURRENCY: Final = "EUR"
AUDIO_SECONDS: Final = Decimal(10)  # the sandbox has no recordings: all last as long

# Assumed: French numbers nationally, every country's with + or 00; a bare 33… is refused. Premium, toll-free
# and short French numbers are no destination. The first prefix that fits counts.
_PREFIXES: Final = (("+", "+"), ("00", "+"), ("0", "+33"))
_DIALLED: Final = re.compile(r"\+(?:33[1-79][0-9]{8}|(?!33)[1-9][0-9]{6,14})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one message to a calling code costs in the sandbox. All figures are invented."""

    calling_code: str
    country_code: str
    unit_cost: Decimal


@cache
def prices() -> Mapping[str, Price]:
    """The sandbox's price of every calling code that it knows, from ``prices.csv``.

    The figures are invented for the sandbox, as of the date in ``since``: the provider's are others.
    A calling code that several countries share has one price, under the largest of them.
    """
    table = resources.files(__package__).joinpath("prices.csv").read_text(encoding="utf-8")
    return {
        line["calling_code"]: Price(
            calling_code=line["calling_code"],
            country_code=line["country_code"],
            unit_cost=Decimal(line["unit_cost"]),
        )
        for line in csv.DictReader(io.StringIO(table))
    }


def accept(request: wire.SendRequest, *, now: datetime) -> tuple[Answer, tuple[str, ...]]:
    """The yes to a request and the numbers that are called, in E.164; raises ``RefusedRequest`` for a no."""
    _check(SPECIAL_KEYS.get(request.api_key))
    if request.scheduled_date and request.scheduled_date <= now:
        raise refusal("45")
    numbers = tuple(_international(number) for number in request.phone_numbers)
    for number in numbers:
        _check(SPECIAL_NUMBERS.get(number), number)
    return _answer(Counter(_price(number) for number in numbers), seconds=_seconds(request)), numbers


def refusal(code: str, number: str = "") -> wire.RefusedRequest:
    """The no with this code; only an invalid destination is named, as the provider does."""
    if code == "DESTINATION_INVALID":
        return wire.RefusedRequest(code, f"the phone number {number} is not a valid destination")
    known = {**wire.ACCOUNT_CODES, **wire.REQUEST_CODES, **wire.NUMBER_CODES}
    return wire.RefusedRequest(code, known[code])


def _check(code: str | None, number: str = "") -> None:
    if code:
        raise refusal(code, number)


def _international(number: str) -> str:
    known = next((pair for pair in _PREFIXES if number.startswith(pair[0])), None)
    dialled = known[1] + number.removeprefix(known[0]) if known else number
    if not _DIALLED.fullmatch(dialled):
        raise refusal("DESTINATION_INVALID", number)
    return dialled


def _price(number: str) -> Price:
    # No calling code begins with another one.
    for length in (2, 3, 4):
        if price := prices().get(number[1:length]):
            return price
    raise refusal("13", number)


def _seconds(request: wire.SendRequest) -> Decimal:
    if request.token_audio:
        return AUDIO_SECONDS
    asked = Decimal(1) if request.speech_rate is None else request.speech_rate
    rate = min(max(asked, wire.SPEECH_RATE_MIN), wire.SPEECH_RATE_MAX)
    return speech.spoken_seconds(request.text or "", speech_rate=rate)


def _answer(messages: Mapping[Price, int], *, seconds: Decimal) -> Answer:
    charges = tuple(_charge(price, count, seconds) for price, count in messages.items())
    return Answer(
        campaign_id=secrets.token_hex(10),
        cost=sum((charge.cost for charge in charges), Decimal(0)),
        currency=CURRENCY,
        messages=sum(charge.messages for charge in charges),
        seconds=seconds,
        charges=charges,
    )


def _charge(price: Price, messages: int, seconds: Decimal) -> Charge:
    return Charge(
        calling_code=price.calling_code,
        country_code=price.country_code,
        messages=messages,
        unit_cost=price.unit_cost,
        cost=price.unit_cost * messages,
        seconds=seconds,
    )
