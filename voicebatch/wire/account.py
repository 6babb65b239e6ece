"""The account's own endpoints: the credit, the recordings, taking a scheduled campaign back.

The key stands in three of these paths: they reach no log and no message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from voicebatch.models import AudioFile, Cancellation, Credit
from voicebatch.wire.codes import AUDIO_NAME_LENGTHS, TIME_ZONE
from voicebatch.wire.forms import (
    RefusedRequest,
    UnreadableAnswer,
    dump,
    figure,
    load,
    load_request,
    required,
    text_of,
)  # fmt: skip

CREDIT_PATH: Final = "/me/{key}"
AUDIOS_PATH: Final = "/audios/{key}"
RENAME_PATH: Final = "/audio-file/rename"
CANCEL_PATH: Final = "/campaign/cancel/{key}/{campaign}"

_CURRENCIES: Final = {"€": "EUR"}  # GET /me writes a sign where the others write a code


def path(form: str, *, key: str, campaign: str = "") -> str:
    """One of the paths above, filled in."""
    return form.format(key=quote(key, safe=""), campaign=quote(campaign, safe=""))


def read_credit(body: bytes | str) -> Credit | tuple[str, str]:
    """The answer of GET /me, whose ``success`` may be missing; a no as its code and message."""
    data = load(body)
    if data.get("success") is False or "credit" not in data:
        return _no(data)
    details = data.get("details")
    return Credit(
        amount=_amount(data["credit"]),
        currency=_currency(data),
        details=details if isinstance(details, dict) else {},
    )


def write_credit(credit: Credit) -> str:
    """The JSON of GET /me: the amount is a string, the currency a sign."""
    signs = {code: sign for sign, code in _CURRENCIES.items()}
    currency = signs.get(credit.currency, credit.currency)
    return dump(
        {"success": True, "credit": f"{credit.amount:f}", "currency": currency, "details": dict(credit.details)}
    )


def read_audios(body: bytes | str) -> tuple[AudioFile, ...] | tuple[str, str]:
    """The answer of GET /audios; a no as its code and message."""
    data = load(body)
    files = data.get("datas")
    if data.get("success") is False or not isinstance(files, list):
        return _no(data)
    return tuple(_audio(one) for one in files if isinstance(one, dict))


def write_audios(files: Sequence[AudioFile]) -> str:
    """The JSON of GET /audios."""
    return dump({"nb_datas": len(files), "datas": [_written(one) for one in files]})


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameRequest:
    """The body of POST /audio-file/rename."""

    api_key: str
    token_audio: str
    filename: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"RenameRequest({self.token_audio!r})"

    def to_json(self) -> str:
        """The JSON with the documented names."""
        return dump({"apiKey": self.api_key, "tokenAudio": self.token_audio, "filename": self.filename})

    @classmethod
    def from_json(cls, body: bytes | str) -> RenameRequest:
        """What the provider reads; raises ``RefusedRequest``. Assumed: a name of another length is a bad request."""
        data = load_request(body)
        request = cls(
            api_key=required(data, "apiKey", "1"),
            token_audio=required(data, "tokenAudio", "TOKEN_AUDIO_REQUIRED"),
            filename=required(data, "filename", "90"),
        )
        if len(request.filename) not in AUDIO_NAME_LENGTHS:
            raise RefusedRequest("90", "the filename has 3 to 50 characters")
        return request


def read_renamed(body: bytes | str) -> str | tuple[str, str]:
    """The name that a recording has now; a no as its code and message."""
    data = load(body)
    if data.get("success") is not True:
        return _no(data)
    return text_of(data.get("filename"))


def write_renamed(request: RenameRequest) -> str:
    """The JSON of a yes to POST /audio-file/rename."""
    return dump({"success": True, "filename": request.filename, "tokenAudio": request.token_audio})


def read_cancellation(body: bytes | str) -> Cancellation | tuple[str, str]:
    """The answer of DELETE /campaign/cancel; a no as its code (see ``CANCEL_CODES``) and message."""
    data = load(body)
    if data.get("success") is not True:
        return _no(data)
    return Cancellation(
        campaign_id=text_of(data.get("campaignId")),
        credit=figure(data.get("assignedCredit")),
        currency=_currency(data),
    )


def write_cancellation(cancelled: Cancellation) -> str:
    """The JSON of a yes to DELETE /campaign/cancel: the credit is a string."""
    return dump(
        {
            "success": True,
            "campaignId": cancelled.campaign_id,
            "assignedCredit": f"{cancelled.credit:f}",
            "currency": cancelled.currency,
        }
    )


def _no(data: Mapping[str, Any]) -> tuple[str, str]:
    if "code" not in data and data.get("success") is not False:
        raise UnreadableAnswer("the answer says neither yes nor no")
    return text_of(data.get("code")), text_of(data.get("message") or data.get("error"))


def _currency(data: Mapping[str, Any]) -> str:
    said = text_of(data.get("currency")).strip()
    return _CURRENCIES.get(said, said)


def _amount(value: object) -> Decimal:
    """Unlike a figure of a charge, one that cannot be read is no 0: somebody would think that the credit is gone."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise UnreadableAnswer("the credit is no figure")
    text = str(value).strip().replace(",", ".")
    amount = figure(text)
    if not any(map(str.isdigit, text)) or (not amount and text.strip("+-0.")):
        raise UnreadableAnswer("the credit is no figure")
    return amount


def _audio(data: Mapping[str, Any]) -> AudioFile:
    return AudioFile(
        token=text_of(data.get("token")),
        name=text_of(data.get("name")),
        size=text_of(data.get("size")),
        duration=text_of(data.get("duration")),
        created_at=_created(data.get("created_at")),
    )


def _created(value: object) -> datetime | None:
    """PHP's way of writing a time."""
    if not isinstance(value, dict):
        return None
    try:
        at = datetime.fromisoformat(text_of(value.get("date")))
        zone = ZoneInfo(text_of(value.get("timezone")) or TIME_ZONE.key)
    except (ValueError, OSError, KeyError):  # no time; no such zone
        return None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _written(file: AudioFile) -> dict[str, Any]:
    at = file.created_at and file.created_at.astimezone(TIME_ZONE).strftime("%Y-%m-%d %H:%M:%S.%f")
    return {
        "name": file.name,
        "token": file.token,
        "size": file.size,
        "duration": file.duration,
        "created_at": {"date": at, "timezone_type": 3, "timezone": TIME_ZONE.key},
    }
