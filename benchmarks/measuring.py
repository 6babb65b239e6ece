"""Times two things in turn, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import os
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
    """What a piece of work took: seconds by the clock, seconds of a processor, and memory at most, in megabytes."""

    seconds: float
    cpu: float
    megabytes: float = 0.0


def process(command: Sequence[str], environment: Mapping[str, str]) -> Spent:
    """What one run of a command took that has to succeed."""
    start = time.perf_counter()
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(environment))
    _, status, used = os.wait4(started.pid, 0)
    seconds = time.perf_counter() - start
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise subprocess.CalledProcessError(started.returncode, command)
    return Spent(seconds=seconds, cpu=used.ru_utime + used.ru_stime, megabytes=used.ru_maxrss / 1024)


def spent(work: Callable[[], object]) -> Spent:
    """What one call took."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(seconds=time.perf_counter() - start, cpu=time.process_time() - cpu)


def in_turn(ours: Sequence[str], baseline: Sequence[str], environment: Mapping[str, str], *, runs: int) -> Pairs:
    """Runs both commands in turn, as pairs; the first pair warms up and is not counted."""
    pairs = [(process(ours, environment).seconds, process(baseline, environment).seconds) for _ in range(runs + 1)]
    return compared(pairs[1:])


def calls_in_turn(ours: Callable[[], object], baseline: Callable[[], object], *, runs: int) -> tuple[Pairs, Pairs]:
    """The same for calls in this process: by the clock, and in processor time."""
    pairs = [(spent(ours), spent(baseline)) for _ in range(runs + 1)][1:]
    clock = compared((mine.seconds, theirs.seconds) for mine, theirs in pairs)
    return clock, compared((mine.cpu, theirs.cpu) for mine, theirs in pairs)


def compared(measured: Iterable[tuple[float, float]]) -> Pairs:
    """What pairs of seconds say, ours first."""
    pairs = list(measured)
    return Pairs(
        ours=statistics.median(mine for mine, _ in pairs),
        baseline=statistics.median(theirs for _, theirs in pairs),
        ratios=tuple(mine / theirs for mine, theirs in pairs),
    )
