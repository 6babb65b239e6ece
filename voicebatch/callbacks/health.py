"""Whether the ledger answers, asked so that no flood of questions reaches it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

_GOOD_FOR_SECONDS: Final = 1.0


class Health:
    """Asks at most once a second, one at a time: whoever comes meanwhile gets the last answer."""

    def __init__(self, ask: Callable[[], bool], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = threading.Lock()
        self._asked_at = float("-inf")
        self._is_well = True

    def __call__(self) -> bool:
        """Whether all is well."""
        if self._clock() - self._asked_at > _GOOD_FOR_SECONDS and self._asking.acquire(blocking=False):
            try:
                self._is_well = self._ask()
                self._asked_at = self._clock()
            finally:
                self._asking.release()
        return self._is_well
