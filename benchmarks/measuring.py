"""Times two things in turn, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Median seconds of both, and the ratio ours / baseline of each pair."""

    ours: float
    baseline: float
    ratios: tuple[float, ...]

    @property
    def spread(self) -> str:
        """The lowest and the highest ratio."""
        return f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"

    @property
    def slower(self) -> str:
        """The same of speeds: baseline / ours."""
        return f"{1 / max(self.ratios):.2f} to {1 / min(self.ratios):.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a piece of work took of this process: seconds by the clock, and seconds of a processor."""

    seconds: float
    cpu: float


def seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Wall time of one run of a command that has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(environment))
    return time.perf_counter() - start


def spent(work: Callable[[], object]) -> Spent:
    """What one call took."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(seconds=time.perf_counter() - start, cpu=time.process_time() - cpu)


def in_turn(ours: Sequence[str], baseline: Sequence[str], environment: Mapping[str, str], *, runs: int) -> Pairs:
    """Runs both commands in turn, as pairs; the first pair warms up and is not counted."""
    return _compared([(seconds(ours, environment), seconds(baseline, environment)) for _ in range(runs + 1)][1:])


def calls_in_turn(ours: Callable[[], object], baseline: Callable[[], object], *, runs: int) -> tuple[Pairs, Pairs]:
    """The same for calls in this process: by the clock, and in processor time."""
    pairs = [(spent(ours), spent(baseline)) for _ in range(runs + 1)][1:]
    clock = _compared((mine.seconds, theirs.seconds) for mine, theirs in pairs)
    return clock, _compared((mine.cpu, theirs.cpu) for mine, theirs in pairs)


def _compared(measured: Iterable[tuple[float, float]]) -> Pairs:
    pairs = list(measured)
    return Pairs(
        ours=statistics.median(mine for mine, _ in pairs),
        baseline=statistics.median(theirs for _, theirs in pairs),
        ratios=tuple(mine / theirs for mine, theirs in pairs),
    )
