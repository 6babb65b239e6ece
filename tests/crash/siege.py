"""Workers of one run that are killed at random and started again, until there were enough kills."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from tests.cli.desk import Desk, Process
from tests.crash.weather import Weather

KEEPERS: Final = 4
LONGEST_LIFE: Final = 0.4  # seconds from "Sending" to the kill
SENT: Final = 0.5  # the share of those that get as far as a request first, however slow the machine
LONGEST_START: Final = 1.5  # seconds from its start, for a kill before it sends
EARLY: Final = 0.1  # the share of those
ENDINGS: Final = frozenset({0, 5})  # with which a worker may end by itself


@dataclass(kw_only=True)
class Siege:
    """``begin`` and ``go_on`` are the command's two ways to work on the run; ``weather`` is what the server sees."""

    desk: Desk
    kills: int
    seed: int
    begin: tuple[str, ...]
    go_on: tuple[str, ...]
    weather: Weather
    early: int = 0
    in_request: int = 0
    requests_hit: int = 0
    surprises: list[str] = field(default_factory=list)
    _left: int = field(init=False)
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _begun: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def lay(self) -> int:
        """Returns how many workers were killed: fewer than asked for when the run came to its end before."""
        self._left = self.kills
        with ThreadPoolExecutor(KEEPERS) as pool:
            keepers = [pool.submit(self._keep, random.Random(f"{self.seed} {at}")) for at in range(KEEPERS)]  # noqa: S311
        for keeper in keepers:
            keeper.result()
        return self.kills - self._left

    def _keep(self, dice: random.Random) -> None:
        while self._take():
            if not self._one_life(dice):
                self._give_back()

    def _take(self) -> bool:
        with self._lock:
            if self._left == 0 or self._over.is_set():
                return False
            self._left -= 1
            return True

    def _give_back(self) -> None:
        with self._lock:
            self._left += 1

    def _one_life(self, dice: random.Random) -> bool:
        """Starts a worker and kills it; False when it ended before."""
        api_key = f"worker-{next(self._keys)}"
        again = self._begun.is_set() and dice.random() < 0.75  # `send` finds its run as well as `resume`
        process = self.desk.start(*(self.go_on if again else self.begin), VOICEBATCH_API_KEY=api_key)
        early = dice.random() < EARLY
        if early:
            time.sleep(dice.uniform(0, LONGEST_START))
        elif _until(process, lambda: "Sending" in process.err.read_text()):
            self._begun.set()
            if dice.random() < SENT:
                _until(process, lambda: self.weather.arrived(api_key))
            time.sleep(dice.uniform(0, LONGEST_LIFE))
        return self._kill(process, api_key)

    def _kill(self, process: Process, api_key: str) -> bool:
        hit = self.weather.under_way(api_key)
        process.signal(signal.SIGKILL)
        result = process.end()
        if result.code != -signal.SIGKILL:
            self._ended_by_itself(result.code, result.err)
            return False
        with self._lock:
            self.early += "Sending" not in result.err
            self.in_request += bool(hit)
            self.requests_hit += hit
        return True

    def _ended_by_itself(self, code: int, err: str) -> None:
        if code in ENDINGS:
            self._over.set()
        else:
            self.surprises.append(f"exit {code}: {err[-500:]}")


def _until(process: Process, condition: Callable[[], object]) -> bool:
    """Waits for a condition; False when the process ended before."""
    while process.popen.poll() is None:
        if condition():
            return True
        time.sleep(0.005)
    return False
