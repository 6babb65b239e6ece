"""Three processes on one run and one limit: how close to the least possible time, and never a request too many."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import requests_of_one, sandboxes
from voicebatch.ledger import Ledger

_RATE: Final = "40/4s"
_REQUESTS: Final = 161
_LEAST: Final = 16.0  # seconds from the first arrival to the last: 4 windows of 40 requests, and one more
_PROCESSES: Final = 3


def saturation(folder: Path) -> str:
    """The claim with its figures."""
    file = str(folder / "limit.sqlite")
    with contextlib.closing(Ledger(file)) as ledger:
        run_id = requests_of_one.enqueue(ledger, _REQUESTS, report_dir=folder / "limit")
    with sandboxes.served(_RATE) as base_url:
        _resume_together(["resume", run_id, "--ledger", file, "--base-url", base_url, "--rate", _RATE, "--yes"], folder)
        arrivals = sandboxes.sends(base_url)
    _check(arrivals)
    took = (_at(arrivals[-1]) - _at(arrivals[0])).total_seconds()
    return (
        f"{_REQUESTS} requests at {_RATE} by {_PROCESSES} processes: {took:.2f} s from the first arrival to the last, "
        f"none turned away. The least possible is {_LEAST:.0f} s: {took / _LEAST:.3f} times that (at most 1.1)"
    )


def _resume_together(arguments: Sequence[str], folder: Path) -> None:
    command = [sys.executable, "-m", "voicebatch", *arguments, "--json", "--quiet"]
    started = [
        subprocess.Popen(command, env=_environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(_PROCESSES)
    ]
    for process in started:
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()


def _environment(folder: Path) -> Mapping[str, str]:
    return {**os.environ, "VOICEBATCH_API_KEY": "benchmark", "XDG_DATA_HOME": str(folder)}


def _check(arrivals: Sequence[Mapping[str, Any]]) -> None:
    """Everybody was called once; a request beyond the limit would be there with its 429."""
    assert [arrival["outcome"] for arrival in arrivals] == ["accepted"] * _REQUESTS


def _at(arrival: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(arrival["at"])
