"""The provider's endpoints: one request at a time, each under its limit, and with the fault that strikes it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from voicebatch import wire
from voicebatch.models import Channel
from voicebatch.sandbox import faults, rules
from voicebatch.sandbox.account import Account, NotAllowed
from voicebatch.sandbox.faults import FaultKind, Faults, Target
from voicebatch.sandbox.records import Arrival, Call, Campaign, Response
from voicebatch.sandbox.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from voicebatch.models import Answer

SENDS: Final[Mapping[Channel, str]] = {channel: f"POST {path}" for channel, path in wire.PATHS.items()}
CREDIT: Final = f"GET {wire.CREDIT_PATH}"
AUDIOS: Final = f"GET {wire.AUDIOS_PATH}"
RENAME: Final = f"POST {wire.RENAME_PATH}"
CANCEL: Final = f"DELETE {wire.CANCEL_PATH}"
_TARGETS: Final = {
    **dict.fromkeys(SENDS.values(), Target.SEND),
    CREDIT: Target.CREDIT,
    AUDIOS: Target.AUDIOS,
    RENAME: Target.RENAME,
    CANCEL: Target.CANCEL,
}
_READERS: Final[Mapping[Channel, Callable[[bytes], rules.Request]]] = {
    Channel.VOICE_SMS: wire.SendRequest.from_json,
    Channel.VOICEMAIL: wire.CampaignRequest.from_json,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """How a request was answered, and what it did."""

    response: Response
    outcome: str
    campaign_id: str = ""
    numbers: int = 0


class Endpoints:
    """Answers requests one at a time and remembers them. Any thread may call it.

    ``windows`` are by endpoint; one that has none is not limited. A fault that strikes before acting leaves them alone.
    """

    def __init__(
        self,
        account: Account,
        *,
        windows: Mapping[str, Windows],
        faults: Faults,
        clock: Callable[[], datetime],
    ) -> None:
        self._account = account
        self._windows = windows
        self._faults = faults
        self._clock = clock
        self._lock = threading.Lock()
        self._arrivals: list[Arrival] = []

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every number called so far, in order, as things stand now."""
        self.look()
        with self._lock:
            return self._account.calls

    @property
    def requests(self) -> tuple[Arrival, ...]:
        """Every request that arrived so far, in order."""
        with self._lock:
            return tuple(self._arrivals)

    @property
    def credit_left(self) -> Decimal:
        """The account's credit, in euros."""
        with self._lock:
            return self._account.credit

    def look(self) -> None:
        """Lets scheduled sends leave whose time has come."""
        with self._lock:
            if self._account.has_scheduled:
                self._account.leave(self._clock())

    def send(self, channel: Channel, body: bytes) -> Response:
        """POST /tts/send and POST /campaign/send."""
        read = _READERS[channel]
        return self._handle(SENDS[channel], lambda now: self._accept(channel, read(body), now))

    def credit(self, key: str) -> Response:
        """GET /me/{key}."""
        return self._about(CREDIT, key, lambda: wire.write_credit(rules.credit(self._account.credit)))

    def audios(self, key: str) -> Response:
        """GET /audios/{key}."""
        return self._about(AUDIOS, key, lambda: wire.write_audios(tuple(self._account.audios.values())))

    def cancel(self, key: str, campaign_id: str) -> Response:
        """DELETE /campaign/cancel/{key}/{campaign}."""
        return self._about(CANCEL, key, lambda: wire.write_cancellation(self._account.cancel(campaign_id)))

    def rename(self, body: bytes) -> Response:
        """POST /audio-file/rename."""

        def act(_: datetime) -> _Done:
            request = wire.RenameRequest.from_json(body)
            rules.check_key(request.api_key)
            self._account.rename(request.token_audio, request.filename)
            return _answered(wire.write_renamed(request))

        return self._handle(RENAME, act)

    def _about(self, endpoint: str, key: str, write: Callable[[], str]) -> Response:
        def act(_: datetime) -> _Done:
            rules.check_key(key)
            return _answered(write())

        return self._handle(endpoint, act)

    def _handle(self, endpoint: str, act: Callable[[datetime], _Done]) -> Response:
        with self._lock:
            now = self._clock()
            self._account.leave(now)
            fault = self._faults.first(faults.BEFORE | faults.AFTER, _TARGETS[endpoint])
            done = _instead(fault) or self._acted(endpoint, act, now)
            response = faults.spoilt(fault, done.response)
            self._arrivals.append(
                Arrival(
                    request=self._ordinal,
                    at=now,
                    status=response.status,
                    outcome=done.outcome,
                    campaign_id=done.campaign_id,
                    numbers=done.numbers,
                    endpoint=endpoint,
                    fault=fault.kind if fault else "",
                )
            )
            return response

    def _acted(self, endpoint: str, act: Callable[[datetime], _Done], now: datetime) -> _Done:
        windows = self._windows.get(endpoint) or Windows()
        if not windows.take(now):
            refused = wire.RefusedRequest("429", "too many requests: wait for the end of the window")
            return _refused(refused, {**windows.headers(), "Retry-After": str(windows.wait(now))})
        try:
            done = act(now)
        except wire.RefusedRequest as refusal:
            return _refused(refusal, windows.headers())
        return replace(done, response=replace(done.response, headers=windows.headers()))

    def _accept(self, channel: Channel, request: rules.Request, now: datetime) -> _Done:
        numbers = rules.called(request, now=now, audios=self._account.audios)
        if self._faults.first(frozenset({FaultKind.SHORT_COUNT})):
            numbers = numbers[:-1]
        seconds = rules.seconds(request, audios=self._account.audios)
        answer = rules.answer(numbers, seconds=seconds)
        self._account.add(self._campaign(channel, request, numbers, answer, now))
        return _Done(
            response=Response(status=200, body=self._written(request, answer)),
            outcome="accepted",
            campaign_id=answer.campaign_id,
            numbers=answer.messages,
        )

    def _written(self, request: rules.Request, answer: Answer) -> str:
        if isinstance(request, wire.SendRequest):
            return wire.write_answer(answer, lang=request.lang or rules.LANG_DEFAULT)
        file = self._account.audios[request.token_audio]
        return wire.write_campaign_answer(answer, filename=file.name, size=file.size)

    def _campaign(
        self, channel: Channel, request: rules.Request, numbers: tuple[str, ...], answer: Answer, now: datetime
    ) -> Campaign:
        called = Call(
            request=self._ordinal,
            campaign_id=answer.campaign_id,
            number="",
            text=_text_of(request),
            token_audio=request.token_audio,
            lang=_lang_of(request),
            at=now,
            scheduled=request.scheduled_date,
            channel=channel,
            left_at=None if request.scheduled_date else now,
        )
        return Campaign(
            id=answer.campaign_id,
            channel=channel,
            cost=answer.cost,
            seconds=answer.seconds,
            token_audio=request.token_audio,
            notify_url=request.notify_url,
            scheduled=request.scheduled_date,
            calls=tuple(replace(called, number=number) for number in numbers),
            faults=self._faults.every(faults.CALLBACKS) if request.notify_url else (),
            left_at=called.left_at,
        )

    @property
    def _ordinal(self) -> int:
        return len(self._arrivals) + 1


def _answered(body: str) -> _Done:
    return _Done(response=Response(status=200, body=body), outcome="answered")


def _instead(fault: faults.Fault | None) -> _Done | None:
    response = faults.instead(fault)
    if fault is None or response is None:
        return None
    return _Done(response=response, outcome="429" if response.status == 429 else fault.kind)


def _refused(refusal: wire.RefusedRequest, headers: Mapping[str, str]) -> _Done:
    known = rules.HTTP_STATUS.get(refusal.code, 400)
    status = rules.CANCEL_STATUS if isinstance(refusal, NotAllowed) else known
    body = wire.write_error(refusal.code, refusal.message)
    response = Response(status=status, body=body, headers=headers)
    return _Done(response=response, outcome=refusal.code)


def _text_of(request: rules.Request) -> str | None:
    return request.text if isinstance(request, wire.SendRequest) and not request.token_audio else None


def _lang_of(request: rules.Request) -> str:
    return request.lang or rules.LANG_DEFAULT if isinstance(request, wire.SendRequest) else ""
