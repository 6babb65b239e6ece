"""What the sandbox answers to a request: its special keys and numbers, its checks, its prices, its recordings.

Where the provider's pages are silent, what we assume stands here under the word *assumed*.
"""

from __future__ import annotations

import csv
import io
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Final

from voicebatch import speech, wire
from voicebatch.models import Answer, AudioFile, Charge, Credit, Delivery

Request = wire.SendRequest | wire.CampaignRequest

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

# The samples of the provider's page write their number so; whoever tries one as it stands gets an answer.
SAMPLE_NUMBERS: Final[Mapping[str, str]] = {"06XXXXXXXX": "+33600000000"}

# Any other number that can be dialled is a sender that the platform knows.
SPECIAL_SENDERS: Final[Mapping[str, str]] = {"+33600000099": "SENDER_NOT_AUTHORIZED"}

# Assumed: the documentation gives codes in the body and no status. 400 for what is not listed.
HTTP_STATUS: Final[Mapping[str, int]] = {
    **dict.fromkeys(wire.ACCOUNT_CODES, 403),
    "1": 401,
    "10": 401,
    "404": 404,
    "429": 429,
}
CANCEL_STATUS: Final = 403  # assumed: of what may not be cancelled, whose code 10 is no wrong key there

LANG_DEFAULT: Final = "fr"  # assumed
CURRENCY: Final = "EUR"
CREDIT: Final = Decimal(1_000_000)  # euros: a rehearsal of any length is not stopped by them

_RECORDED_AT: Final = datetime(2026, 1, 1, 9, 0, tzinfo=wire.TIME_ZONE)


def recording(token: str, name: str = "", *, duration: str = "0:10") -> AudioFile:
    """A recording that the sandbox pretends to have."""
    return AudioFile(token=token, name=name or token, size="160.2Ko", duration=duration, created_at=_RECORDED_AT)


AUDIO_FILES: Final = (
    recording("sandbox-welcome", "Bienvenue", duration="0:07"),
    recording("sandbox-reminder", "Rappel de rendez-vous", duration="0:12"),
    recording("tokenAudio", "Exemple"),  # the token that the samples of the provider's page have
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of the call to a number, as its callbacks say it. ``pending``: one says so first."""

    delivery: Delivery = Delivery.DELIVERED
    answered: bool = True
    pending: bool = False


# By a number's last digit, so that a rehearsal sees every kind of callback; the others are delivered and answered.
FATES: Final[Mapping[str, Fate]] = {
    "5": Fate(pending=True),
    "7": Fate(answered=False),  # an answering machine
    "9": Fate(delivery=Delivery.UNDELIVERED, answered=False),
}
RINGING: Final = timedelta(seconds=4)  # from leaving to being answered or not


def fate(number: str) -> Fate:
    """What becomes of the call to this number; only its last digit matters."""
    return FATES.get(number[-1:], Fate())


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
    since: date


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
            since=date.fromisoformat(line["since"]),
        )
        for line in csv.DictReader(io.StringIO(table))
    }


def check_key(key: str) -> None:
    """Raises ``RefusedRequest`` for no key and for a special one."""
    _check(SPECIAL_KEYS.get(key) if key.strip() else "1")


def called(request: Request, *, now: datetime, audios: Mapping[str, AudioFile]) -> tuple[str, ...]:
    """The numbers that a request calls, in E.164; raises ``RefusedRequest`` for a no.

    Assumed: what is wrong with the key is said before what is wrong with the request, and that before its numbers.
    """
    check_key(request.api_key)
    if request.scheduled_date and request.scheduled_date <= now:
        raise refusal("45")
    if request.token_audio and request.token_audio not in audios:
        raise refusal("AUDIO_FILE_NOT_FOUND")
    if isinstance(request, wire.CampaignRequest) and request.sender:
        _check_sender(request.sender)
    numbers = tuple(_international(number) for number in request.phone_numbers)
    for number in numbers:
        _check(SPECIAL_NUMBERS.get(number), number)
        _price(number)
    return numbers


def answer(numbers: Sequence[str], *, seconds: Decimal) -> Answer:
    """The yes to calling these numbers with a message of this length, with its price by country."""
    messages = Counter(_price(number) for number in numbers)
    charges = tuple(_charge(price, count, seconds) for price, count in messages.items())
    return Answer(
        campaign_id=secrets.token_hex(10),
        cost=sum((charge.cost for charge in charges), Decimal(0)),
        currency=CURRENCY,
        messages=sum(charge.messages for charge in charges),
        seconds=seconds,
        charges=charges,
    )


def seconds(request: Request, *, audios: Mapping[str, AudioFile]) -> Decimal:
    """How long the message of an accepted request lasts."""
    if isinstance(request, wire.SendRequest) and not request.token_audio:
        return _spoken_seconds(request)
    minutes, _, rest = audios[request.token_audio or ""].duration.partition(":")
    return Decimal(minutes) * 60 + Decimal(rest)


def credit(amount: Decimal) -> Credit:
    """The credit left, with what it is good for in messages of ten seconds to France (assumed)."""
    messages = int(amount / prices()["33"].unit_cost)
    hours, rest = divmod(messages * 10, 3600)
    spoken = {"h": hours, "m": rest // 60, "s": rest % 60}
    details = {"tts": spoken, "tts_fixe": spoken, "voice": {"message": messages}}
    return Credit(amount=amount, currency=CURRENCY, details=details)


def refusal(code: str, number: str = "") -> wire.RefusedRequest:
    """The no with this code; only an invalid destination is named, as the provider does."""
    if code == "DESTINATION_INVALID":
        return wire.RefusedRequest(code, f"the phone number {number} is not a valid destination")
    known = {**wire.ACCOUNT_CODES, **wire.REQUEST_CODES, **wire.NUMBER_CODES}
    return wire.RefusedRequest(code, known[code])


def _check(code: str | None, number: str = "") -> None:
    if code:
        raise refusal(code, number)


def _check_sender(sender: str) -> None:
    try:
        number = _international(sender)
    except wire.RefusedRequest:
        raise refusal("SENDER_INVALID") from None
    _check(SPECIAL_SENDERS.get(number))


def _international(number: str) -> str:
    if number in SAMPLE_NUMBERS:
        return SAMPLE_NUMBERS[number]
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


def _spoken_seconds(request: wire.SendRequest) -> Decimal:
    asked = Decimal(1) if request.speech_rate is None else request.speech_rate
    rate = min(max(asked, wire.SPEECH_RATE_MIN), wire.SPEECH_RATE_MAX)
    return speech.spoken_seconds(request.text or "", speech_rate=rate)


def _charge(price: Price, messages: int, seconds: Decimal) -> Charge:
    return Charge(
        calling_code=price.calling_code,
        country_code=price.country_code,
        messages=messages,
        unit_cost=price.unit_cost,
        cost=price.unit_cost * messages,
        seconds=seconds,
    )
