"""Times whole commands in turn, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Wall time of one run of a command that has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(environment))
    return time.perf_counter() - start


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Median seconds of both, and the ratio ours / baseline of each pair."""

    ours: float
    baseline: float
    ratios: tuple[float, ...]


def in_turn(ours: Sequence[str], baseline: Sequence[str], environment: Mapping[str, str], *, runs: int) -> Pairs:
    """Runs both in turn, as pairs; the first pair warms up and is not counted."""
    pairs = [(seconds(ours, environment), seconds(baseline, environment)) for _ in range(runs + 1)][1:]
    return Pairs(
        ours=statistics.median(mine for mine, _ in pairs),
        baseline=statistics.median(theirs for _, theirs in pairs),
        ratios=tuple(mine / theirs for mine, theirs in pairs),
    )
