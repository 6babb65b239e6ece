"""Times whole commands in turn, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence


def seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Wall time of one run of a command that has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(environment))
    return time.perf_counter() - start


def in_turn(
    ours: Sequence[str], baseline: Sequence[str], environment: Mapping[str, str], *, runs: int
) -> tuple[float, float, float]:
    """Medians of both in seconds, and the median of the ratios ours / baseline, pair by pair; the first pair is not counted."""
    pairs = [(seconds(ours, environment), seconds(baseline, environment)) for _ in range(runs + 1)][1:]
    ratios = [mine / theirs for mine, theirs in pairs]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), statistics.median(ratios)
