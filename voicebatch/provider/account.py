"""The account's own endpoints: the credit, the recordings, taking a scheduled campaign back. They call nobody.

So each may be asked again. Unlike a send, what goes wrong is raised: there is no batch that has to be told about it.

| what came back                                 | a look-up, a new name | a cancellation                      |
|------------------------------------------------|-----------------------|-------------------------------------|
| 200 that says yes                              | what was asked for    | cancelled                           |
| a code about the account                       | ``AccountError``      | ``AccountError``, but for 10        |
| code 10                                        | ``AccountError``      | too late; with 401 ``AccountError`` |
| another code                                   | ``RefusedLookup``     | refused                             |
| 429; 503 with Retry-After                      | ``Throttled``         | ``Throttled``                       |
| no name, no connection, no TLS, before writing | ``Unanswered``        | ``Unanswered``                      |
| anything else, or nothing                      | ``Unanswered``        | unknown                             |

The key stands in three of these paths: see ``provider.connection``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Final, NamedTuple, TypeVar, cast

from voicebatch import wire
from voicebatch.batching import LONG_NUMBER
from voicebatch.errors import AccountError, GuardError
from voicebatch.models import AudioFile, Cancellation, CancelOutcome, Credit
from voicebatch.provider import outcomes, transport
from voicebatch.provider.connection import UNANSWERED, Answered, Connection

_T = TypeVar("_T")
_KEY_SHOWN: Final = "api-key"  # what stands in the key's place wherever somebody may see a path
_AGAIN: Final = "It called nobody, so asking again does no harm: type the same command again."
_CODE_AND_MESSAGE: Final = 2
_SETTLE: Final = "Settle it (the account, the key, --base-url), then type the same command again."


class Throttled(GuardError):
    """The provider did not act and asks to wait so many seconds."""

    def __init__(self, message: str, *, wait_seconds: float) -> None:
        super().__init__(message, hint=_AGAIN)
        self.wait_seconds = wait_seconds


class Unanswered(GuardError):
    """There was no answer that can be read. ``is_over``: the request cannot arrive any more."""

    def __init__(self, message: str, *, is_over: bool) -> None:
        super().__init__(message, hint=_AGAIN)
        self.is_over = is_over


class RefusedLookup(GuardError):
    """A no that is not about the account: ``code`` is the provider's."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class _No(NamedTuple):
    """A readable no."""

    status: int
    code: str
    message: str


class _Lost(NamedTuple):
    """No answer, or none that can be read, and why."""

    why: str
    may_have_arrived: bool = True
    is_over: bool = True

    def error(self, what: str) -> Unanswered:
        return Unanswered(f"{what} came to nothing: {self.why}.", is_over=self.is_over)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReply:
    """What the provider says of a campaign that is to be taken back. ``credit`` is what it gave back for it."""

    outcome: CancelOutcome
    reason: str = ""
    credit: Decimal | None = None
    currency: str = ""


def _now() -> datetime:
    return datetime.now(UTC)


class Account:
    """Asks about one account. ``base_url`` and ``timeout`` as for ``Provider``."""

    def __init__(self, *, base_url: str, api_key: str, timeout: float, now: Callable[[], datetime] = _now) -> None:
        self._connection = Connection(base_url=base_url, api_key=api_key, timeout=timeout)
        self._api_key = api_key
        self._timeout = timeout
        self._now = now

    def __repr__(self) -> str:
        return f"Account({self._connection.base_url})"

    def close(self) -> None:
        """Ends this thread's kept connection."""
        self._connection.hang_up()

    def credit(self, *, lease_seconds: float = math.inf) -> Credit:
        """What is left. The request ends within ``lease_seconds`` if nothing stands still, or is not written."""
        answered = self._ask("GET", wire.CREDIT_PATH, lease_seconds=lease_seconds)
        return self._look_up("The look-up of the credit", answered, self._reading(wire.read_credit))

    def audios(self) -> tuple[AudioFile, ...]:
        """The recordings that the provider has checked."""
        answered = self._ask("GET", wire.AUDIOS_PATH)
        return self._look_up("The look-up of the recordings", answered, self._reading(wire.read_audios))

    def rename(self, token: str, name: str) -> str:
        """Gives a recording another name, of ``wire.AUDIO_NAME_LENGTHS``. Returns the one that it has now."""
        request = wire.RenameRequest(api_key=self._api_key, token_audio=token, filename=name)
        answered = self._ask("POST", wire.RENAME_PATH, request.to_json())
        return self._look_up("The recording's new name", answered, self._reading(wire.read_renamed))

    def cancel(self, campaign_id: str) -> CancelReply:
        """Takes a scheduled campaign back. Raises only what says that it was not asked for, or ``AccountError``."""
        what, read = "The cancellation", self._reading(wire.read_cancellation)
        answered = self._ask("DELETE", wire.CANCEL_PATH, campaign=campaign_id)
        if isinstance(answered, _Lost) and not answered.may_have_arrived:
            raise answered.error(what)
        found = answered if isinstance(answered, _Lost) else self._read(what, answered, read)
        if isinstance(found, _Lost):
            self._connection.hang_up()
            return CancelReply(outcome=CancelOutcome.UNKNOWN, reason=found.why)
        return self._not_taken_back(found) if isinstance(found, _No) else _taken_back(found, campaign_id)

    def _not_taken_back(self, no: _No) -> CancelReply:
        code = no.code or str(no.status)  # assumed: the control codes are HTTP's, where the body has none
        outcome = outcomes.cancel_outcome(no.status, code)
        if outcome is None:
            raise self._account_error(no)
        reason = self._said(no._replace(code=code), wire.CANCEL_CODES)
        return CancelReply(outcome=outcome, reason=reason)

    def _look_up(self, what: str, answered: Answered | _Lost, read: Callable[[Answered], _T | _No]) -> _T:
        """What was asked for, or what is raised in its place. ``what`` begins the sentences about it."""
        found = answered if isinstance(answered, _Lost) else self._read(what, answered, read)
        if isinstance(found, _Lost):
            self._connection.hang_up()
            raise found.error(what)
        if not isinstance(found, _No):
            return found
        if found.code.upper() in wire.ACCOUNT_CODES:
            raise self._account_error(found)
        raise RefusedLookup(f"{what} was refused: {self._said(found, wire.REQUEST_CODES)}.", code=found.code)

    def _read(self, what: str, answered: Answered, read: Callable[[Answered], _T | _No]) -> _T | _No | _Lost:
        if wait := outcomes.asked_to_wait(answered.status, answered.headers, self._now()):
            raise Throttled(f"{what} has to wait: {wait.reason}.", wait_seconds=wait.wait_seconds or 0.0)
        if answered.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _Lost(f"the provider answered HTTP {answered.status}")
        try:
            found = read(answered)
        except wire.UnreadableAnswer as error:
            return _Lost(f"{error} (HTTP {answered.status})")
        except RecursionError:
            return _Lost(f"the answer is nested without an end (HTTP {answered.status})")
        if isinstance(found, _No) or answered.status == HTTPStatus.OK:
            return found
        return _Lost(f"a yes with HTTP {answered.status}")

    def _ask(
        self, method: str, form: str, body: str | None = None, *, campaign: str = "", lease_seconds: float = math.inf
    ) -> Answered | _Lost:
        """``form`` is a path of ``wire``."""
        path, shown = (wire.path(form, key=key, campaign=campaign) for key in (self._api_key, _KEY_SHOWN))
        try:
            with transport.written_within(lease_seconds - self._timeout):
                return self._connection.ask(method, path, body, shown=shown)
        except UNANSWERED as error:
            why, never_written = self._connection.why_unanswered(error), transport.never_written(error)
            return _Lost(why, may_have_arrived=not never_written, is_over=never_written)

    def _account_error(self, no: _No) -> AccountError:
        return AccountError(f"The provider refuses every request: {self._said(no, wire.ACCOUNT_CODES)}.", hint=_SETTLE)

    def _said(self, no: _No, meanings: Mapping[str, str]) -> str:
        """What its code means, and the provider's own words, without what may be a secret or a phone number."""
        meaning = meanings.get(no.code.upper(), "")
        theirs = f" ({no.message})" if meaning and no.message and no.message not in meaning else ""
        said = f"{meaning}{theirs}" or no.message or (f"code {no.code}" if no.code else "it does not say why")
        return LONG_NUMBER.sub("…", said)

    def _reading(self, read: Callable[[str], _T | tuple[str, str]]) -> Callable[[Answered], _T | _No]:
        """A reader of ``wire`` without the key, whose no is told apart from a yes by its type."""

        def of_answer(answered: Answered) -> _T | _No:
            found = self._connection.without_key(read(answered.text))
            if (
                isinstance(found, tuple)
                and len(found) == _CODE_AND_MESSAGE
                and all(isinstance(one, str) for one in found)
            ):
                return _No(answered.status, *cast("tuple[str, str]", found))
            return cast("_T", found)

        return of_answer


def _taken_back(found: Cancellation, campaign_id: str) -> CancelReply:
    if found.campaign_id not in {"", campaign_id}:
        return CancelReply(outcome=CancelOutcome.UNKNOWN, reason="the answer is about another campaign")
    return CancelReply(outcome=CancelOutcome.CANCELLED, credit=found.credit, currency=found.currency)
