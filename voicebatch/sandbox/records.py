"""The sandbox's account: its rate window, and everything that arrived and everybody who was called."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from voicebatch import wire
from voicebatch.sandbox import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voicebatch.models import Answer, RateLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request as it arrived: ``outcome`` is ``accepted`` or a refusal's code, ``numbers`` were called."""

    request: int
    at: datetime
    status: int
    outcome: str
    campaign_id: str = ""
    numbers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One number called by one request. ``scheduled`` is when, if not at once."""

    request: int
    campaign_id: str
    number: str
    text: str | None
    token_audio: str | None
    lang: str
    at: datetime
    scheduled: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back over HTTP."""

    status: int
    body: str
    headers: Mapping[str, str]


class Window:
    """A fixed window of requests, which starts with its first one."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._ends = datetime.min.replace(tzinfo=UTC)
        self._used = 0

    def take(self, now: datetime) -> bool:
        """Whether a request that arrives now is within the limit; one beyond it does not count."""
        if now >= self._ends:
            self._ends, self._used = now + timedelta(seconds=self._limit.seconds), 0
        within = self._used < self._limit.requests
        self._used += within
        return within

    def headers(self) -> dict[str, str]:
        """The rate headers as they stand after the last ``take``."""
        return {
            "X-RateLimit-Limit": str(self._limit.requests),
            "X-RateLimit-Remaining": str(self._limit.requests - self._used),
            "X-RateLimit-Reset": str(math.ceil(self._ends.timestamp())),
        }

    def wait(self, now: datetime) -> int:
        """Whole seconds until the window is over."""
        return max(1, math.ceil((self._ends - now).total_seconds()))


class Account:
    """Answers requests one at a time and remembers them. Any thread may call it."""

    def __init__(self, *, rate_limit: RateLimit, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._window = Window(rate_limit)
        self._lock = threading.Lock()
        self._arrivals: list[Arrival] = []
        self._calls: list[Call] = []

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every number called so far, in order."""
        with self._lock:
            return tuple(self._calls)

    @property
    def requests(self) -> tuple[Arrival, ...]:
        """Every request that arrived so far, in order."""
        with self._lock:
            return tuple(self._arrivals)

    def send(self, body: bytes) -> Response:
        """Acts on the body of POST /tts/send, at the time of its arrival."""
        with self._lock:
            now = self._clock()
            if not self._window.take(now):
                return self._throttle(now)
            try:
                request = wire.SendRequest.from_json(body)
                answer, numbers = rules.accept(request, now=now)
            except wire.RefusedRequest as refusal:
                return self._refuse(refusal, now)
            self._call(request, answer, numbers, now)
            return self._accept(answer, request.lang or rules.LANG_DEFAULT, now)

    def _throttle(self, now: datetime) -> Response:
        refusal = wire.RefusedRequest("429", "too many requests: wait for the end of the window")
        return self._refuse(refusal, now, {"Retry-After": str(self._window.wait(now))})

    def _refuse(
        self, refusal: wire.RefusedRequest, now: datetime, headers: Mapping[str, str] | None = None
    ) -> Response:
        status = rules.HTTP_STATUS.get(refusal.code, 400)
        ordinal = len(self._arrivals) + 1
        self._arrivals.append(Arrival(request=ordinal, at=now, status=status, outcome=refusal.code))
        body = wire.write_error(refusal.code, refusal.message)
        return Response(status=status, body=body, headers={**self._window.headers(), **(headers or {})})

    def _accept(self, answer: Answer, lang: str, now: datetime) -> Response:
        self._arrivals.append(
            Arrival(
                request=len(self._arrivals) + 1,
                at=now,
                status=200,
                outcome="accepted",
                campaign_id=answer.campaign_id,
                numbers=answer.messages,
            )
        )
        body = wire.write_answer(answer, lang=lang)
        return Response(status=200, body=body, headers=self._window.headers())

    def _call(self, request: wire.SendRequest, answer: Answer, numbers: tuple[str, ...], now: datetime) -> None:
        self._calls.extend(
            Call(
                request=len(self._arrivals) + 1,
                campaign_id=answer.campaign_id,
                number=number,
                text=None if request.token_audio else request.text,
                token_audio=request.token_audio,
                lang=request.lang or rules.LANG_DEFAULT,
                at=now,
                scheduled=request.scheduled_date,
            )
            for number in numbers
        )
