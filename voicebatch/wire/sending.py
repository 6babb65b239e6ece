"""The two requests that call people, and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from voicebatch.models import Answer, Channel, Charge, Message
from voicebatch.wire.codes import ACCOUNT_CODES, DATE_FORMAT, FINE, NUMBER_CODES, REQUEST_CODES, TIME_ZONE
from voicebatch.wire.forms import (
    UnreadableAnswer,
    count_of,
    date_of,
    dump,
    figure,
    load,
    load_request,
    numbers_of,
    rate_of,
    required,
    text_of,
    url_of,
    word_of,
)  # fmt: skip

_NOES: Final = frozenset({*ACCOUNT_CODES, *REQUEST_CODES, *NUMBER_CODES})
_LONGEST_CODE: Final = 64  # characters of a calling code that are kept; a database's index takes no more than some


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
        return dump({name: value for name, value in body.items() if value is not None})

    @classmethod
    def from_json(cls, body: bytes | str) -> SendRequest:
        """The request that the provider reads from a body; raises ``RefusedRequest`` with the code that it answers.

        Assumed: the key is looked at first, ``speed`` (some samples) means ``speechRate``, and unknown fields
        are ignored. Numbers are as they came; whether the date has passed is for whoever has a clock.
        """
        data = load_request(body)
        return cls(
            api_key=required(data, "apiKey", "1"),
            phone_numbers=numbers_of(required(data, "phoneNumbers", "2")),
            token_audio=word_of(data, "tokenAudio"),
            text=word_of(data, "text") if word_of(data, "tokenAudio") else required(data, "text", "43"),
            lang=word_of(data, "lang"),
            speech_rate=rate_of(word_of(data, "speechRate") or word_of(data, "speed")),
            notify_url=url_of(word_of(data, "notifyUrl")),
            scheduled_date=date_of(word_of(data, "scheduledDate")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRequest:
    """The body of POST /campaign/send: a recording for voicemail. ``sender`` is a number that the platform knows."""

    api_key: str
    phone_numbers: tuple[str, ...]
    token_audio: str
    email_for_notification: str | None = None
    sender: str | None = None
    notify_url: str | None = None
    scheduled_date: datetime | None = None

    def __repr__(self) -> str:
        """Neither the key nor a number: a repr ends up in logs."""
        return f"CampaignRequest({len(self.phone_numbers)} numbers)"

    def to_json(self) -> str:
        """The JSON with the documented names; optional fields only where they say something."""
        when = self.scheduled_date
        body: dict[str, Any] = {
            "apiKey": self.api_key,
            "tokenAudio": self.token_audio,
            "phoneNumbers": ",".join(self.phone_numbers),
            "emailForNotification": self.email_for_notification,
            "sender": self.sender,
            "notifyUrl": self.notify_url,
            "scheduledDate": when and when.astimezone(TIME_ZONE).strftime(DATE_FORMAT),
        }
        return dump({name: value for name, value in body.items() if value is not None})

    @classmethod
    def from_json(cls, body: bytes | str) -> CampaignRequest:
        """The request that the provider reads from a body; raises ``RefusedRequest`` with the code that it answers.

        Assumed: as for ``SendRequest``; ``speechRate``, which a sample has, means nothing to a recording.
        """
        data = load_request(body)
        return cls(
            api_key=required(data, "apiKey", "1"),
            phone_numbers=numbers_of(required(data, "phoneNumbers", "2")),
            token_audio=required(data, "tokenAudio", "TOKEN_AUDIO_REQUIRED"),
            email_for_notification=word_of(data, "emailForNotification"),
            sender=word_of(data, "sender"),
            notify_url=url_of(word_of(data, "notifyUrl")),
            scheduled_date=date_of(word_of(data, "scheduledDate")),
        )


def request_for(
    message: Message,
    numbers: tuple[str, ...],
    *,
    api_key: str,
    notify_url: str | None = None,
    email: str | None = None,
    sender: str | None = None,
) -> SendRequest | CampaignRequest:
    """One request for one message, for the path of its channel. ``email`` and ``sender`` are of voicemail only."""
    if message.channel is Channel.VOICE_SMS:
        return SendRequest.of(message, numbers, api_key=api_key, notify_url=notify_url)
    if message.audio is None:
        raise ValueError("voicemail plays a recording, and this message is a text")
    return CampaignRequest(
        api_key=api_key,
        phone_numbers=numbers,
        token_audio=message.audio,
        email_for_notification=email,
        sender=sender,
        notify_url=notify_url,
        scheduled_date=message.schedule,
    )


def read_answer(body: bytes | str) -> Answer | tuple[str, str]:
    """A yes as an ``Answer``, a no as its code and message.

    Figures keep the digits of the JSON. A figure that is missing counts as 0 and is left for the report's checks to
    show; only a body that is neither a documented yes nor a documented no raises ``UnreadableAnswer``.
    """
    data = load(body)
    if _says_yes(data):
        return _yes(data)
    if data.get("success") is False or ("code" in data and not data.get("success")):
        return text_of(data.get("code", "")), text_of(data.get("message") or data.get("error"))
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
    return dump(
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


def write_campaign_answer(answer: Answer, *, filename: str, size: str) -> str:
    """The JSON of a yes to POST /campaign/send: without durations and country codes."""
    detail = {
        charge.calling_code: {"nbSms": charge.messages, "cost_unity": charge.unit_cost, "cost": charge.cost}
        for charge in answer.charges
    }
    return dump(
        {
            "success": True,
            "campaignId": answer.campaign_id,
            "cost": answer.cost,
            "currency": answer.currency,
            "nbSms": answer.messages,
            "audioFile": {"filename": filename, "size": size},
            "detail": detail,
        }
    )


def write_error(code: str, message: str) -> str:
    """The JSON of a no; a code that is a number is written as one."""
    return dump({"success": False, "code": int(code) if code.isdigit() else code, "message": message})


def _says_yes(data: Mapping[str, Any]) -> bool:
    """True; or, beside a campaign and nothing that says no, what PHP may write for it, or the 200 of a control code.

    Lenient, because an unread yes makes everyone in the request unknown; a no names no campaign.
    """
    success, code = data.get("success"), text_of(data.get("code"))
    if success is True:
        if code.upper() in _NOES:
            raise UnreadableAnswer("the answer says yes and no")
        return True
    written = str(success).strip().lower() in {"true", "1"} or (success is None and code == FINE)
    return written and code in {"", FINE} and not data.get("error") and bool(text_of(data.get("campaignId")).strip())


def _yes(data: Mapping[str, Any]) -> Answer:
    detail = data.get("detail")
    seconds = figure(data.get("duration"))
    charges = [
        _charge(calling_code, line, seconds)
        for calling_code, line in _by_calling_code(detail if isinstance(detail, dict) else {}).items()
        if isinstance(line, dict)
    ]
    return Answer(
        campaign_id=text_of(data.get("campaignId")),
        cost=figure(data.get("cost")),
        currency=text_of(data.get("currency")),
        messages=count_of(data.get("nbSms")),
        seconds=seconds,
        charges=tuple(charges),
    )


def _by_calling_code(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """``+33`` is 33, unless both are there: no line of an answer may be lost."""
    codes = {code: text_of(code)[:_LONGEST_CODE] for code in detail}
    bare = {code: text.lstrip("+") for code, text in codes.items()}
    named = bare if len(set(bare.values())) == len(detail) else codes
    if len(set(named.values())) < len(detail):
        raise UnreadableAnswer("two lines of the answer's detail have one calling code")
    return {named[code]: line for code, line in detail.items()}


def _charge(calling_code: str, line: Mapping[str, Any], answer_seconds: Decimal) -> Charge:
    return Charge(
        calling_code=calling_code,
        country_code=text_of(line.get("country_code")).upper(),
        messages=count_of(line.get("nbSms")),
        unit_cost=figure(line.get("cost_unity")),
        cost=figure(line.get("cost")),
        seconds=figure(line["duration"]) if "duration" in line else answer_seconds,
    )
