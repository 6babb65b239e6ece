"""Voice Partner's API as it stands on the wire: addresses, limits, codes, and the JSON of both directions.

The client (``provider``) and the ``sandbox`` both speak through this module, so a field is named once. Where the
provider's pages are silent, what we assume stands here under the word *assumed*, one line each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from voicebatch.models import Answer, Channel, Charge, Message, RateLimit

BASE_URL: Final = "https://api.voicepartner.fr/v1"
TIME_ZONE: Final = ZoneInfo("Europe/Paris")  # assumed: of scheduledDate and of the callbacks' times
DATE_FORMAT: Final = "%Y-%m-%d %H:%M:00"
NUMBERS_PER_REQUEST: Final = 500  # documented for /campaign/send; assumed for /tts/send
SPEECH_RATE_MIN: Final = Decimal("0.5")
SPEECH_RATE_MAX: Final = Decimal(2)

PATHS: Final[Mapping[Channel, str]] = {Channel.VOICE_SMS: "/tts/send"}
RATE_LIMITS: Final[Mapping[Channel, tuple[RateLimit, ...]]] = {
    Channel.VOICE_SMS: (RateLimit(requests=2000, seconds=3600),),
}

LANGUAGES: Final[tuple[str, ...]] = (  # assumed: the provider publishes no list
    "ar", "bg", "ca", "cs", "cy", "da", "de", "el", "en", "es", "eu", "fi", "fr", "gl", "he", "hi", "hr", "hu",
    "id", "is", "it", "ja", "ko", "lt", "lv", "ms", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv",
    "th", "tr", "uk", "vi", "zh",
)  # fmt: skip

# The codes of the provider's error page, by what they say about the next request.
ACCOUNT_CODES: Final[Mapping[str, str]] = {
    "1": "the API key is missing",
    "10": "the API key is wrong",
    "11": "the account has no credit left",
    "NOT_CREDIT": "the account has no credit left",
    "20": "the account is disabled",
    "30": "the account is blocked",
    "40": "access is refused",
    "96": "this machine's IP address is not allowed",
}
REQUEST_CODES: Final[Mapping[str, str]] = {
    "2": "a phone number is required",
    "PHONE_NUMBER_REQUIRED": "a phone number is required",
    "43": "a text is required",
    "45": "the scheduled date is not accepted",
    "46": "the scheduled date is not accepted",
    "47": "the scheduled date is not accepted",
    "48": "the scheduled date is not accepted",
    "49": "the scheduled date is not accepted",
    "50": "too many phone numbers in one request",
    "PHONE_NUMBER_SIZE_ERROR": "too many phone numbers in one request",
    "90": "the request's JSON is malformed",
    "TOKEN_AUDIO_REQUIRED": "an audio token is required",
    "AUDIO_FILE_NOT_FOUND": "there is no audio file with this token",
    "NOTIFY_URL_INVALID": "the notify URL is not accepted",
    "SENDER_NOT_AUTHORIZED": "the sender is not authorised",
    "SENDER_INVALID": "the sender is not valid",
}
FINE: Final = "200"  # of the control codes; documented for /campaign/cancel, and not among the errors
NUMBER_CODES: Final[Mapping[str, str]] = {
    "13": "there is no price for a number in the request",
    "14": "a number in the request is on the provider's STOP list",
    "55": "there is no number to send to",
    "DESTINATION_INVALID": "a number in the request is not a valid destination",
}


_MOST_DIGITS: Final = 12  # before the point
_MOST_MESSAGES: Final = 2**31  # no request has so many, and no database's integer holds more
_NOES: Final = frozenset({*ACCOUNT_CODES, *REQUEST_CODES, *NUMBER_CODES})
_LONGEST_CODE: Final = 64  # characters of a calling code that are kept; a database's index takes no more than some
_MOST_DECIMALS: Final = 40  # PHP writes 0.12 as 0.12000000000000001 when it is told to


class UnreadableAnswer(ValueError):
    """The body is not what the provider documents, so it says nothing about what was done."""


class RefusedRequest(ValueError):
    """A no of the provider's: a documented ``code`` and the ``message`` beside it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """The body of POST /tts/send. ``phone_numbers`` are E.164 on our side (assumed: accepted for every country)."""

    api_key: str
    phone_numbers: tuple[str, ...]
    text: str | None = None
    token_audio: str | None = None
    lang: str | None = None
    speech_rate: Decimal | None = None
    notify_url: str | None = None
    scheduled_date: datetime | None = None

    def __repr__(self) -> str:
        """Neither the key nor a number: a repr ends up in logs."""
        return f"SendRequest({len(self.phone_numbers)} numbers)"

    @classmethod
    def of(cls, message: Message, numbers: tuple[str, ...], *, api_key: str, notify_url: str | None) -> SendRequest:
        """One request for one message; an audio token takes the place of text, language and speech rate."""
        spoken = message.audio is None
        return cls(
            api_key=api_key,
            phone_numbers=numbers,
            text=message.text if spoken else None,
            token_audio=message.audio,
            lang=message.lang if spoken else None,
            speech_rate=message.speech_rate if spoken else None,
            notify_url=notify_url,
            scheduled_date=message.schedule,
        )

    def to_json(self) -> str:
        """The JSON with the documented names; optional fields only where they say something."""
        rate, when = self.speech_rate, self.scheduled_date
        body: dict[str, Any] = {
            "apiKey": self.api_key,
            "phoneNumbers": ",".join(self.phone_numbers),
            "text": self.text,
            "tokenAudio": self.token_audio,
            "lang": self.lang,
            "speechRate": None if rate == 1 else rate,
            "notifyUrl": self.notify_url,
            "scheduledDate": when and when.astimezone(TIME_ZONE).strftime(DATE_FORMAT),
        }
        return _dump({name: value for name, value in body.items() if value is not None})

    @classmethod
    def from_json(cls, body: bytes | str) -> SendRequest:
        """The request that the provider reads from a body; raises ``RefusedRequest`` with the code that it answers.

        Assumed: the key is looked at first, ``speed`` (some samples) means ``speechRate``, and unknown fields
        are ignored. Numbers are as they came; whether the date has passed is for whoever has a clock.
        """
        data = _load_request(body)
        return cls(
            api_key=_required(data, "apiKey", "1"),
            phone_numbers=_numbers(_required(data, "phoneNumbers", "2")),
            token_audio=_word(data, "tokenAudio"),
            text=_word(data, "text") if _word(data, "tokenAudio") else _required(data, "text", "43"),
            lang=_word(data, "lang"),
            speech_rate=_rate(_word(data, "speechRate") or _word(data, "speed")),
            notify_url=_url(_word(data, "notifyUrl")),
            scheduled_date=_date(_word(data, "scheduledDate")),
        )


def read_answer(body: bytes | str) -> Answer | tuple[str, str]:
    """A yes as an ``Answer``, a no as its code and message.

    Figures keep the digits of the JSON. A figure that is missing counts as 0 and is left for the report's checks to
    show; only a body that is neither a documented yes nor a documented no raises ``UnreadableAnswer``.
    """
    data = _load(body)
    if _says_yes(data):
        return _yes(data)
    if data.get("success") is False or ("code" in data and not data.get("success")):
        return _text(data.get("code", "")), _text(data.get("message") or data.get("error"))
    raise UnreadableAnswer("the answer says neither yes nor no")


def write_answer(answer: Answer, *, lang: str) -> str:
    """The JSON of a yes as the provider writes it; figures of up to fifteen digits are exact."""
    detail = {
        charge.calling_code: {
            "nbSms": charge.messages,
            "cost_unity": charge.unit_cost,
            "cost": charge.cost,
            "country_code": charge.country_code.lower(),
            "duration": charge.seconds,
        }
        for charge in answer.charges
    }
    return _dump(
        {
            "success": True,
            "campaignId": answer.campaign_id,
            "cost": answer.cost,
            "currency": answer.currency,
            "nbSms": answer.messages,
            "lang": lang,
            "duration": answer.seconds,
            "detail": detail,
        }
    )


def write_error(code: str, message: str) -> str:
    """The JSON of a no; a code that is a number is written as one."""
    return _dump({"success": False, "code": int(code) if code.isdigit() else code, "message": message})


def _load(body: bytes | str) -> dict[str, Any]:
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


def _load_request(body: bytes | str) -> dict[str, Any]:
    try:
        return _load(body)
    except UnreadableAnswer:
        raise _refusal("90") from None


def _refusal(code: str) -> RefusedRequest:
    return RefusedRequest(code, ACCOUNT_CODES.get(code) or REQUEST_CODES[code])


def _word(data: Mapping[str, Any], name: str) -> str | None:
    """A field as text; the samples write some figures as strings. Empty means absent."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _refusal("90")
    word = str(value)
    if not word.isascii() and any("\ud800" <= character <= "\udfff" for character in word):
        raise _refusal("90")
    return word if word.strip() else None


def _required(data: Mapping[str, Any], name: str, code: str) -> str:
    word = _word(data, name)
    if word is None:
        raise _refusal(code)
    return word


def _numbers(joined: str) -> tuple[str, ...]:
    numbers = tuple(number.strip() for number in joined.split(",") if number.strip())
    if not numbers:
        raise _refusal("2")
    if len(numbers) > NUMBERS_PER_REQUEST:
        raise _refusal("PHONE_NUMBER_SIZE_ERROR")
    return numbers


def _rate(word: str | None) -> Decimal | None:
    try:
        rate = None if word is None else Decimal(word)
    except InvalidOperation:
        raise _refusal("90") from None
    if rate is not None and not rate.is_finite():
        raise _refusal("90")
    return rate


def _url(word: str | None) -> str | None:
    try:
        parts = urlsplit(word or "http://none.invalid")
    except ValueError:
        raise _refusal("NOTIFY_URL_INVALID") from None
    # A sample's "http://..." has a host of dots.
    if parts.scheme not in {"http", "https"} or not (parts.hostname or "").strip("."):
        raise _refusal("NOTIFY_URL_INVALID")
    return word


def _date(word: str | None) -> datetime | None:
    if word is None:
        return None
    try:
        return datetime.strptime(word.replace("T", " ", 1), "%Y-%m-%d %H:%M:%S").replace(tzinfo=TIME_ZONE)
    except ValueError:
        raise _refusal("45") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no figure")


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two fields with one name nobody knows which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnreadableAnswer("a field of the answer stands there twice")
    return found


def _says_yes(data: Mapping[str, Any]) -> bool:
    """True; or, beside a campaign and nothing that says no, what PHP may write for it, or the 200 of a control code.

    Lenient, because an unread yes makes everyone in the request unknown; a no names no campaign.
    """
    success, code = data.get("success"), _text(data.get("code"))
    if success is True:
        if code.upper() in _NOES:
            raise UnreadableAnswer("the answer says yes and no")
        return True
    written = str(success).strip().lower() in {"true", "1"} or (success is None and code == FINE)
    return written and code in {"", FINE} and not data.get("error") and bool(_text(data.get("campaignId")).strip())


def _yes(data: Mapping[str, Any]) -> Answer:
    detail = data.get("detail")
    seconds = _decimal(data.get("duration"))
    charges = [
        _charge(calling_code, line, seconds)
        for calling_code, line in _by_calling_code(detail if isinstance(detail, dict) else {}).items()
        if isinstance(line, dict)
    ]
    return Answer(
        campaign_id=_text(data.get("campaignId")),
        cost=_decimal(data.get("cost")),
        currency=_text(data.get("currency")),
        messages=_integer(data.get("nbSms")),
        seconds=seconds,
        charges=tuple(charges),
    )


def _by_calling_code(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """``+33`` is 33, unless both are there: no line of an answer may be lost."""
    codes = {code: _text(code)[:_LONGEST_CODE] for code in detail}
    bare = {code: text.lstrip("+") for code, text in codes.items()}
    named = bare if len(set(bare.values())) == len(detail) else codes
    if len(set(named.values())) < len(detail):
        raise UnreadableAnswer("two lines of the answer's detail have one calling code")
    return {named[code]: line for code, line in detail.items()}


def _charge(calling_code: str, line: Mapping[str, Any], answer_seconds: Decimal) -> Charge:
    return Charge(
        calling_code=calling_code,
        country_code=_text(line.get("country_code")).upper(),
        messages=_integer(line.get("nbSms")),
        unit_cost=_decimal(line.get("cost_unity")),
        cost=_decimal(line.get("cost")),
        seconds=_decimal(line["duration"]) if "duration" in line else answer_seconds,
    )


def _decimal(value: object) -> Decimal:
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


def _text(value: object) -> str:
    """What the provider wrote, as every database can keep it: no half of a surrogate pair, no NUL."""
    return str(value or "").encode("utf-8", errors="replace").decode().replace("\x00", "")


def _integer(value: object) -> int:
    count = int(_decimal(value))
    return count if abs(count) < _MOST_MESSAGES else 0


def _dump(data: Mapping[str, Any]) -> str:
    # A double keeps fifteen significant digits, which is what the provider's own JSON is made of.
    return json.dumps(data, ensure_ascii=False, default=float)
