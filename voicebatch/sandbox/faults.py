"""Faults on demand: what can go wrong with an answer or a callback, how often, and what then comes instead.

A fault is written ``NAME``, ``NAME:SHARE`` or ``NAME:Nx``: every request that calls people, a share of them (0 to 1),
the next N; a duration may follow where one matters, as in ``slow:0.1:30s``. The first fault of the list that strikes is
the one that a request gets, so ``throttled:3x`` and ``lost-after:1x`` make three answers of 429 and then a lost one.
Those of callbacks add up.

``NAME@ENDPOINT`` strikes another endpoint instead (``cancel``, ``credit``, ``audios``, ``rename``), so that a count of
those that call people is never spent on a look-up.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from voicebatch import wire
from voicebatch.errors import UsageError
from voicebatch.pacing import parse_duration
from voicebatch.sandbox.records import Response


class FaultKind(StrEnum):
    """What goes wrong."""

    LOST_BEFORE = "lost-before"  # the connection is closed without an answer, and nothing was done
    LOST_AFTER = "lost-after"  # the same, and everything was done
    ERROR_BEFORE = "error-before"  # HTTP 503 of a gateway; nothing was done
    ERROR_AFTER = "error-after"  # HTTP 500; everything was done
    GARBLED = "garbled"  # everything was done, and the answer is cut in the middle, with HTTP 200
    SLOW = "slow"  # everything was done; the answer comes some seconds later
    THROTTLED = "throttled"  # HTTP 429 with Retry-After, whatever the windows say; nothing was done
    SHORT_COUNT = "short-count"  # the last number of the request is not called, counted or charged
    CALLBACKS_LATE = "callbacks-late"  # they come some seconds later
    CALLBACKS_DOUBLED = "callbacks-doubled"  # each comes twice
    CALLBACKS_REORDERED = "callbacks-reordered"  # last number first, and each gets a pending after its end
    CALLBACKS_MISSING = "callbacks-missing"  # none comes


class Target(StrEnum):
    """Which requests a fault strikes."""

    SEND = "send"  # both that call people; whoever names none means these
    CANCEL = "cancel"  # DELETE /campaign/cancel
    CREDIT = "credit"  # GET /me
    AUDIOS = "audios"  # GET /audios
    RENAME = "rename"  # POST /audio-file/rename


BEFORE: Final = frozenset({FaultKind.LOST_BEFORE, FaultKind.ERROR_BEFORE, FaultKind.THROTTLED})
AFTER: Final = frozenset({FaultKind.LOST_AFTER, FaultKind.ERROR_AFTER, FaultKind.GARBLED, FaultKind.SLOW})
CALLBACKS: Final = frozenset(
    {
        FaultKind.CALLBACKS_LATE,
        FaultKind.CALLBACKS_DOUBLED,
        FaultKind.CALLBACKS_REORDERED,
        FaultKind.CALLBACKS_MISSING,
    }
)
SECONDS: Final = {FaultKind.SLOW: 5.0, FaultKind.THROTTLED: 1.0, FaultKind.CALLBACKS_LATE: 10.0}
"""How long they last when nobody says; the other kinds have no duration."""

_FORM: Final = "Write it like lost-after, lost-after:0.1, throttled:3x, slow:0.1:30s or lost-after@cancel:1x."
_GATEWAY_PAGE: Final = "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault: for the next ``count`` requests to an endpoint, or for a ``share`` of them."""

    kind: FaultKind
    target: Target = Target.SEND
    share: float = 1.0
    count: int | None = None
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """``NAME``, ``NAME:SHARE``, ``NAME:Nx``; ``@ENDPOINT`` may follow the name, ``:DURATION`` end it."""
        head, *words = (word.strip() for word in text.split(":"))
        fault = _named(head)
        if len(words) == 2 or (words and _is_duration(words[-1])):
            fault = replace(fault, seconds=_seconds(fault.kind, words.pop(), text))
        if len(words) > 1:
            raise UsageError(f"{text!r} is not a fault.", hint=_FORM)
        return _how_often(fault, words[0], text) if words else fault

    def __str__(self) -> str:
        """As it is written."""
        where = f"@{self.target}" * (self.target is not Target.SEND)
        often = f":{self.count}x" if self.count is not None else f":{self.share:g}" * (self.share != 1)
        lasts = f":{self.seconds:g}s" if self.seconds != SECONDS.get(self.kind, 0.0) else ""
        return f"{self.kind}{where}{often}{lasts}"


class Faults:
    """The faults that are asked for now. Any thread may call it; the same ``seed`` strikes the same requests."""

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self._faults = list(faults)
        self._random = random.Random(seed)  # noqa: S311 - it has to repeat itself
        self._lock = threading.Lock()

    @property
    def active(self) -> tuple[Fault, ...]:
        """Those that can still strike, with what is left of their counts."""
        with self._lock:
            return tuple(self._faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Other ones from now on."""
        with self._lock:
            self._faults = list(faults)

    def first(self, kinds: frozenset[FaultKind], target: Target = Target.SEND) -> Fault | None:
        """The first of these kinds that strikes a request now; it alone is counted."""
        with self._lock:
            return next((fault for fault in self._aimed(kinds, target) if self._strikes(fault)), None)

    def every(self, kinds: frozenset[FaultKind]) -> tuple[Fault, ...]:
        """All of these kinds that strike now."""
        with self._lock:
            return tuple(fault for fault in self._aimed(kinds, Target.SEND) if self._strikes(fault))

    def _aimed(self, kinds: frozenset[FaultKind], target: Target) -> list[Fault]:
        return [fault for fault in self._faults if fault.kind in kinds and fault.target is target]

    def _strikes(self, fault: Fault) -> bool:
        if fault.count is None:
            return self._random.random() < fault.share
        at = self._faults.index(fault)
        self._faults[at : at + 1] = [replace(fault, count=fault.count - 1)] if fault.count > 1 else []
        return fault.count > 0


def instead(fault: Fault | None) -> Response | None:
    """What comes instead of acting, for a fault that strikes before it."""
    if fault is None or fault.kind not in BEFORE:
        return None
    if fault.kind is FaultKind.LOST_BEFORE:
        return Response()
    if fault.kind is FaultKind.ERROR_BEFORE:
        return _page(503)
    body = wire.write_error("429", "too many requests: wait")
    return Response(status=429, body=body, headers={"Retry-After": str(math.ceil(fault.seconds))})


def spoilt(fault: Fault | None, response: Response) -> Response:
    """What becomes of the answer to a request that was acted on."""
    if fault is None or fault.kind not in AFTER:
        return response
    if fault.kind is FaultKind.LOST_AFTER:
        return Response()
    if fault.kind is FaultKind.ERROR_AFTER:
        return _page(500)
    if fault.kind is FaultKind.SLOW:
        return replace(response, delay=fault.seconds)
    return replace(response, status=200, body=response.body[: len(response.body) // 2])


def _page(status: int) -> Response:
    return Response(status=status, body=_GATEWAY_PAGE.format(status=status), content_type="text/html")


def _named(head: str) -> Fault:
    name, at, target = head.partition("@")
    if name not in set(FaultKind):
        raise UsageError(f"{name!r} is no fault.", hint=f"There are {', '.join(FaultKind)}.")
    kind = FaultKind(name)
    if at and target not in set(Target):
        raise UsageError(f"{target!r} is no endpoint.", hint=f"There are {', '.join(Target)}.")
    if at and kind not in BEFORE | AFTER:
        raise UsageError(f"{head!r}: {kind} is of sends alone.", hint=_FORM)
    return Fault(kind=kind, target=Target(target or Target.SEND), seconds=SECONDS.get(kind, 0.0))


def _is_duration(word: str) -> bool:
    return word[-1:].isalpha() and not word.endswith("x")


def _seconds(kind: FaultKind, word: str, text: str) -> float:
    if kind not in SECONDS:
        raise UsageError(f"{text!r}: {kind} has no duration.", hint=f"Only {', '.join(SECONDS)} have one.")
    return parse_duration(word).total_seconds()


def _how_often(fault: Fault, word: str, text: str) -> Fault:
    if word.endswith("x") and word[:-1].isdecimal() and int(word[:-1]) > 0:
        return replace(fault, count=int(word[:-1]))
    try:
        share = float(word)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r} does not say how often.", hint=_FORM)
    return replace(fault, share=share)


def parse_all(texts: Sequence[str]) -> tuple[Fault, ...]:
    """Faults as they are written, in their order."""
    return tuple(Fault.parse(text) for text in texts)
