"""Callbacks: the address that a request gives for them, and what comes to it.

The provider signs nothing. But we choose the address, so it carries the attempt's id and a code that only the ledger's
owner can make: whoever calls back with a right one has seen the request. They are parts of the path, because a
voicemail campaign's callback appends ``?campaign_token=…`` to whatever it was given.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from voicebatch.models import Callback, Channel, Delivery
from voicebatch.wire.codes import TIME_ZONE
from voicebatch.wire.forms import UnreadableAnswer, count_of, dump, figure, load, text_of

SECRET_BYTES: Final = 32
_MAC_DIGITS: Final = 32  # hexadecimal: 128 bits
_SIGNED: Final = re.compile(rf"([0-9a-f]{{24}}\.[1-9]\d{{0,8}})/([0-9a-f]{{{_MAC_DIGITS}}})/?")
_TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_ANSWERED: Final = {"VOICE_ANSWERED": True, "VOICE_NOT_ANSWERED": False}
_LONGEST: Final = 4000  # characters of a callback that are kept
_LONGEST_ID: Final = 200  # of a campaign's id: the documented ones have 10 or 21


def callback_url(base: str, attempt_id: str, secret: bytes) -> str:
    """Where the provider is to report what becomes of one attempt; a query of ``base`` stays behind it."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{attempt_id}/{_mac(attempt_id, secret)}"))


def attempt_of(path: str, secret: bytes) -> str | None:
    """The attempt whose callback comes to this path, whatever a proxy put before it; ``None`` without a right code."""
    signed = _SIGNED.fullmatch("/".join(path.rstrip("/").rsplit("/", 2)[-2:]))
    if signed and hmac.compare_digest(signed[2], _mac(signed[1], secret)):
        return signed[1]
    return None


def read_voice_callback(body: bytes | str, *, attempt_id: str) -> Callback:
    """The JSON that is POSTed for one number of a voice SMS. Raises ``UnreadableAnswer`` for anything else."""
    data = load(body)
    if not data.get("campaignId"):
        raise UnreadableAnswer("the callback names no campaign")
    status = text_of(data.get("status")).strip().lower()
    return Callback(
        attempt_id=attempt_id,
        channel=Channel.VOICE_SMS,
        campaign_id=text_of(data["campaignId"])[:_LONGEST_ID],
        number=international(text_of(data.get("phoneNumber"))),
        status=Delivery(status) if status in set(Delivery) else None,
        answered=_ANSWERED.get(text_of(data.get("additionnal_status")).strip().upper()),
        sent_at=_time(data.get("sendAt")),
        done_at=_time(data.get("doneAt")),
        seconds=figure(data["duration"]) if data.get("duration") is not None else None,
        body=_kept(body),
    )


def read_voicemail_callback(query: str, *, attempt_id: str) -> Callback:
    """The query of the GET for a whole voicemail campaign. Raises ``UnreadableAnswer`` for anything else."""
    # A provider that appends "?campaign_token=" to an address that has a query already is understood as well.
    fields = {name: values[-1] for name, values in parse_qs(query.replace("?", "&")).items()}
    if not fields.get("campaign_id"):
        raise UnreadableAnswer("the callback names no campaign")
    return Callback(
        attempt_id=attempt_id,
        channel=Channel.VOICEMAIL,
        campaign_id=text_of(fields["campaign_id"])[:_LONGEST_ID],
        delivered=_quantity(fields, "delivered_quantity"),
        total=_quantity(fields, "total_quantity"),
        body=_kept(query),
    )


def write_voice_callback(callback: Callback, *, deposited: bool = False) -> str:
    """The JSON as the provider POSTs it: the number begins with 00, times are those of Paris.

    ``deposited``: it is about a recording, and says that it was left.
    """
    answers: dict[bool | None, str] = {answered: word for word, answered in _ANSWERED.items()}
    data: dict[str, Any] = {
        "campaignId": callback.campaign_id,
        "status": callback.status,
        "additionnal_status": answers.get(callback.answered),
        "phoneNumber": (callback.number or "").replace("+", "00", 1),
        "sendAt": _written(callback.sent_at),
        "doneAt": _written(callback.done_at),
        "duration": callback.seconds,
        "audioFileComplementaire": {"status": "Deposit"} if deposited else None,
    }
    return dump({name: value for name, value in data.items() if value is not None})


def voicemail_callback_url(url: str, callback: Callback, *, token: str) -> str:
    """The address of the GET for a voicemail campaign. Assumed: ``campaign_token`` is the recording's."""
    fields = {
        "campaign_token": token,
        "campaign_id": callback.campaign_id,
        "delivered_quantity": callback.delivered or 0,
        "total_quantity": callback.total or 0,
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}"


def international(number: str) -> str:
    """A number in any of the forms of a callback, in E.164: ``0033…``, ``+33…``, ``33…``, ``06…`` (assumed: French)."""
    number = number.replace("(0)", "")
    digits = re.sub(r"\D", "", number)
    if number.strip().startswith("+") or not digits.startswith("0"):
        return f"+{digits}" if digits else ""
    return f"+{digits[2:]}" if digits.startswith("00") else f"+33{digits[1:]}"


def _mac(attempt_id: str, secret: bytes) -> str:
    return hmac.new(secret, b"voicebatch callback " + attempt_id.encode(), hashlib.sha256).hexdigest()[:_MAC_DIGITS]


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text_of(value))
        return (at if at.tzinfo else at.replace(tzinfo=TIME_ZONE)).astimezone(UTC)
    except (ValueError, OverflowError):  # an empty date of some programs is the first day of all
        return None


def _written(at: datetime | None) -> str | None:
    return at.astimezone(TIME_ZONE).strftime(_TIME_FORMAT) if at else None


def _quantity(fields: Mapping[str, str], name: str) -> int | None:
    return count_of(fields[name]) if fields.get(name, "").strip().isdecimal() else None


def _kept(said: bytes | str) -> str:
    """Of a longer one enough to tell it from every other."""
    text = text_of(said.decode(errors="replace") if isinstance(said, bytes) else said)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… {hashlib.sha256(text.encode()).hexdigest()}"
