"""What an answer, or the lack of one, means for its batch. The one place that decides what may be sent again.

| what came back                                   | outcome    | sent again by itself                         |
|--------------------------------------------------|------------|----------------------------------------------|
| 200 that says yes                                | accepted   | never                                        |
| a code about the account                         | account    | after the account is settled and ``resume``  |
| a code about the request or a number             | refused    | never: nothing was sent                      |
| 429; 503 with Retry-After, and no yes in it      | throttled  | yes, after the wait: it was not acted on     |
| 401, 403, 404, 405, 407, 410 without a code      | account    | after ``resume``: wrong address, proxy, ...  |
| 400, 411, 413, 414, 415, 422, 431 without a code | refused    | never: HTTP says that nothing was done       |
| any other 5xx, 408, a redirect, an unreadable 200| unknown    | never: it may have called everyone           |
| code 200 without a yes beside it                 | unknown    | never: 200 is what this provider calls fine  |
| no name, no connection, no TLS, before writing   | not sent   | yes, after a pause: it never arrived         |
| cut, too late or too large after writing         | unknown    | never                                        |
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from voicebatch import wire
from voicebatch.models import Answer, CancelOutcome, Outcome, Reply

BODY_KEPT: Final = 2000  # characters of an answer that the ledger keeps
_LONGEST_WAIT: Final = (
    86_400.0  # seconds; the provider's windows are an hour, so more is a slip of its clock or its unit
)
_SHORTEST_WAIT: Final = 1.0  # seconds, also when the provider says 0: it did not act on the request
_DEFAULT_WAIT: Final = 30.0  # seconds to wait after a 429 that does not say how long

_CODES: Final[Mapping[str, Outcome]] = {
    **dict.fromkeys(wire.ACCOUNT_CODES, Outcome.ACCOUNT),
    **dict.fromkeys(wire.REQUEST_CODES, Outcome.REFUSED),
    **dict.fromkeys(wire.NUMBER_CODES, Outcome.REFUSED),
}
_MEANINGS: Final = {**wire.ACCOUNT_CODES, **wire.REQUEST_CODES, **wire.NUMBER_CODES}

_CANCELLATIONS: Final[Mapping[str, CancelOutcome]] = {
    wire.FINE: CancelOutcome.UNKNOWN,  # it calls itself fine and does not say yes
    "10": CancelOutcome.TOO_LATE,  # "not allowed": assumed to be so because it leaves any moment, or has left
    "400": CancelOutcome.REFUSED,
    "404": CancelOutcome.REFUSED,
}
"""What the control codes of a cancellation mean."""

_STATUSES_WITHOUT_CODE: Final[Mapping[int, tuple[Outcome, str]]] = {
    **dict.fromkeys(
        (401, 403, 404, 405, 407, 410),
        (Outcome.ACCOUNT, "something on the way to the provider refuses every request (address, proxy or access)"),
    ),
    **dict.fromkeys((400, 411, 413, 414, 415, 422, 431), (Outcome.REFUSED, "the request was refused without a reason")),
}

_MAY_BE_ACTED_ON: Final = frozenset({*range(300, 400), HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT})
"""Whatever unlisted code the body has: a redirect and a time-out may come after the calls, a conflict from them."""


def read(status: int, headers: Mapping[str, str], body: str, *, now: datetime) -> Reply:
    """The reply that an HTTP answer amounts to. ``now`` is our clock's, for an answer that does not say its own."""
    now = _date(headers.get("Date", "")) or now
    reply = replace(_judge(status, headers, body, now), http_status=status, body=body[:BODY_KEPT])
    if reply.wait_seconds is None and (wait := _rate_header_wait(headers, now)) is not None:
        return replace(reply, wait_seconds=wait, spent=True)
    return reply


def cancel_outcome(status: int, code: str) -> CancelOutcome | None:
    """What a no to a cancellation means; ``None`` for one to every request of the account.

    Code 10 stands in both tables of the provider's. Assumed: a wrong key comes with HTTP 401, and beside every other
    status 10 is that of ``wire.CANCEL_CODES``.
    """
    is_wrong_key = status == HTTPStatus.UNAUTHORIZED and code in wire.ACCOUNT_CODES
    if code in _CANCELLATIONS and not is_wrong_key:
        return _CANCELLATIONS[code]
    if code.upper() in wire.ACCOUNT_CODES:
        return None
    return CancelOutcome.UNKNOWN if status in _MAY_BE_ACTED_ON else CancelOutcome.REFUSED


def _judge(status: int, headers: Mapping[str, str], body: str, now: datetime) -> Reply:
    if throttled := asked_to_wait(status, headers, now):
        is_yes = _read_body(HTTPStatus.OK, body).answer
        return replace(throttled, outcome=Outcome.UNKNOWN, reason=f"a yes with HTTP {status}") if is_yes else throttled
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Reply(outcome=Outcome.UNKNOWN, reason=f"the provider answered HTTP {status}")
    return _read_body(status, body)


def asked_to_wait(status: int, headers: Mapping[str, str], now: datetime) -> Reply | None:
    """The reply to a request that the provider did not act on: it asks to wait. ``None`` for every other answer."""
    retry_after = _retry_after(headers, now)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = retry_after if retry_after is not None else _reset_wait(headers, now) or _DEFAULT_WAIT
        return _throttled("the provider's rate limit was reached", wait)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after is not None:
        return _throttled("the provider asks to come back later", retry_after)
    return None


def _throttled(reason: str, wait: float) -> Reply:
    return Reply(outcome=Outcome.THROTTLED, reason=reason, wait_seconds=max(_SHORTEST_WAIT, wait))


def _read_body(status: int, body: str) -> Reply:
    try:
        answer = wire.read_answer(body)
    except wire.UnreadableAnswer as error:
        outcome, reason = _STATUSES_WITHOUT_CODE.get(status, (Outcome.UNKNOWN, str(error)))
        return Reply(outcome=outcome, reason=f"{reason} (HTTP {status})")
    if not isinstance(answer, Answer):
        return _read_code(status, *answer)
    if status == HTTPStatus.OK:
        return Reply(outcome=Outcome.ACCEPTED, answer=answer)
    return Reply(outcome=Outcome.UNKNOWN, reason=f"a yes with HTTP {status}")


def _read_code(status: int, code: str, message: str) -> Reply:
    if code == wire.FINE:
        return Reply(outcome=Outcome.UNKNOWN, code=code, reason="the answer calls itself fine and does not say yes")
    otherwise = Outcome.UNKNOWN if status in _MAY_BE_ACTED_ON else Outcome.REFUSED
    unlisted, _ = _STATUSES_WITHOUT_CODE.get(status, (otherwise, ""))
    outcome = _CODES.get(code.upper(), unlisted)
    reason = _MEANINGS.get(code.upper()) or message or "the provider refused without a reason"
    said = f" ({message})" if message and message not in reason else ""
    return Reply(outcome=outcome, code=code, reason=f"{reason}{said}", about_number=code.upper() in wire.NUMBER_CODES)


def _rate_header_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the provider's window resets, when its headers say that nothing is left of it."""
    return _reset_wait(headers, now) if headers.get("X-RateLimit-Remaining", "").strip() == "0" else None


def _reset_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """None as well for a reset that is over: then the clocks differ, or it is not epoch seconds as assumed."""
    reset = _seconds(headers.get("X-RateLimit-Reset", ""))
    wait = reset - now.timestamp() if reset is not None else 0.0
    return min(wait, _LONGEST_WAIT) if wait > 0 else None


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """RFC 9110: seconds, or a date."""
    value = headers.get("Retry-After", "")
    seconds = _seconds(value)
    if seconds is None and (date := _date(value)):
        seconds = (date - now).total_seconds()
    return None if seconds is None else min(max(0.0, seconds), _LONGEST_WAIT)


def _date(value: str) -> datetime | None:
    """An HTTP date, which is UTC also where it does not say so; None for anything else."""
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _seconds(value: str) -> float | None:
    """A header's whole number, however long; None if it is none."""
    return float(value.strip()) if value.strip().isdecimal() else None
