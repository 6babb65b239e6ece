"""A provider on a bad day: it takes its time, and now and then an answer is lost or a request is not acted on.

Its list of who was called is written before it answers. Every worker comes with an API key of its own, so that the
provider can tell which of them has a request under way.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from tests.cli import provider as act
from tests.cli.provider import Answer, Behaviour, Provider, Request

MISHAPS: Final[tuple[tuple[float, Behaviour], ...]] = (
    (0.010, act.cut),
    (0.010, act.lose),
    (0.005, act.fail),
    (0.005, act.garble),
    (0.001, act.wait(429, Retry_After="1")),
)
"""How often, and what comes instead of a yes."""

SECONDS: Final = 0.03  # at most, before acting and again before answering


class Weather:
    """A behaviour for every request. ``clear`` makes the rest of the day fine."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 # weather, not secrets
        self._clear = threading.Event()
        self._under_way: Counter[str] = Counter()
        self._arrived: Counter[str] = Counter()
        self._mishaps = 0
        self._lock = threading.Lock()

    def __call__(self, provider: Provider, request: Request) -> Answer | None:
        """Acts on one request, badly or well."""
        with self._lock:
            before, after, luck = self._random.random(), self._random.random(), self._random.random()
        with self._noted(request.body["apiKey"]):
            time.sleep(SECONDS * before)
            answer = self._behaviour(luck)(provider, request)
            time.sleep(SECONDS * after)
        return answer

    def clear(self) -> None:
        """From here on every answer is a yes, and arrives."""
        self._clear.set()

    def under_way(self, api_key: str) -> int:
        """How many requests of this worker arrived and are not answered yet."""
        with self._lock:
            return self._under_way[api_key]

    def arrived(self, api_key: str) -> int:
        """How many requests of this worker ever arrived."""
        with self._lock:
            return self._arrived[api_key]

    @property
    def mishaps(self) -> int:
        """How many requests did not get a yes."""
        with self._lock:
            return self._mishaps

    @contextlib.contextmanager
    def _noted(self, api_key: str) -> Iterator[None]:
        with self._lock:
            self._under_way[api_key] += 1
            self._arrived[api_key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[api_key] -= 1

    def _behaviour(self, luck: float) -> Behaviour:
        if self._clear.is_set():
            return act.accept
        for share, behaviour in MISHAPS:
            luck -= share
            if luck < 0:
                with self._lock:
                    self._mishaps += 1
                return behaviour
        return act.accept
