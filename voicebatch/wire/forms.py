"""JSON as the provider reads and writes it, and figures that keep their digits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlsplit

from voicebatch.wire.codes import ACCOUNT_CODES, NUMBERS_PER_REQUEST, REQUEST_CODES, TIME_ZONE

_MOST_DIGITS: Final = 12  # before the point
_MOST_MESSAGES: Final = 2**31  # no request has so many, and no database's integer holds more
_MOST_DECIMALS: Final = 40  # PHP writes 0.12 as 0.12000000000000001 when it is told to


class UnreadableAnswer(ValueError):
    """The body is not what the provider documents, so it says nothing about what was done."""


class RefusedRequest(ValueError):
    """A no of the provider's: a documented ``code`` and the ``message`` beside it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def load(body: bytes | str) -> dict[str, Any]:
    try:
        data = json.loads(
            body, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_refuse_repeated
        )
    except UnreadableAnswer:
        raise
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise UnreadableAnswer("the answer is not JSON") from error
    if not isinstance(data, dict):
        raise UnreadableAnswer("the answer is not a JSON object")
    return data


def load_request(body: bytes | str) -> dict[str, Any]:
    try:
        return load(body)
    except UnreadableAnswer:
        raise refusal("90") from None


def refusal(code: str) -> RefusedRequest:
    return RefusedRequest(code, ACCOUNT_CODES.get(code) or REQUEST_CODES[code])


def word_of(data: Mapping[str, Any], name: str) -> str | None:
    """A field as text; the samples write some figures as strings. Empty means absent."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise refusal("90")
    word = str(value)
    if not word.isascii() and any("\ud800" <= character <= "\udfff" for character in word):
        raise refusal("90")
    return word if word.strip() else None


def required(data: Mapping[str, Any], name: str, code: str) -> str:
    word = word_of(data, name)
    if word is None:
        raise refusal(code)
    return word


def numbers_of(joined: str) -> tuple[str, ...]:
    numbers = tuple(number.strip() for number in joined.split(",") if number.strip())
    if not numbers:
        raise refusal("2")
    if len(numbers) > NUMBERS_PER_REQUEST:
        raise refusal("PHONE_NUMBER_SIZE_ERROR")
    return numbers


def rate_of(word: str | None) -> Decimal | None:
    try:
        rate = None if word is None else Decimal(word)
    except InvalidOperation:
        raise refusal("90") from None
    if rate is not None and not rate.is_finite():
        raise refusal("90")
    return rate


def url_of(word: str | None) -> str | None:
    try:
        parts = urlsplit(word or "http://none.invalid")
    except ValueError:
        raise refusal("NOTIFY_URL_INVALID") from None
    # A sample's "http://..." has a host of dots.
    if parts.scheme not in {"http", "https"} or not (parts.hostname or "").strip("."):
        raise refusal("NOTIFY_URL_INVALID")
    return word


def date_of(word: str | None) -> datetime | None:
    if word is None:
        return None
    try:
        return datetime.strptime(word.replace("T", " ", 1), "%Y-%m-%d %H:%M:%S").replace(tzinfo=TIME_ZONE)
    except ValueError:
        raise refusal("45") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no figure")


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two fields with one name nobody knows which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnreadableAnswer("a field of the answer stands there twice")
    return found


def figure(value: object) -> Decimal:
    """A figure with its own digits; some documented figures are strings, and anything else is no figure."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return Decimal(0)
    try:
        figure = Decimal(value)
    except InvalidOperation:
        return Decimal(0)
    return figure if _is_credible(figure) else Decimal(0)


def _is_credible(figure: Decimal) -> bool:
    """Below a million millions, with decimals that the ledger's columns hold."""
    decimals = figure.as_tuple().exponent
    return isinstance(decimals, int) and figure.adjusted() < _MOST_DIGITS and decimals >= -_MOST_DECIMALS


def text_of(value: object) -> str:
    """What the provider wrote, as every database can keep it: no half of a surrogate pair, no NUL."""
    return str(value or "").encode("utf-8", errors="replace").decode().replace("\x00", "")


def count_of(value: object) -> int:
    count = int(figure(value))
    return count if abs(count) < _MOST_MESSAGES else 0


def dump(data: Mapping[str, Any]) -> str:
    # A double keeps fifteen significant digits, which is what the provider's own JSON is made of.
    return json.dumps(data, ensure_ascii=False, default=float)
