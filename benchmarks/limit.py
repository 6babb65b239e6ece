"""Several processes on one run and one limit: how close to the least possible time, and never a request too many."""

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
_WORKERS: Final = 4


def saturation(folder: Path) -> str:
    """The claim of several commands, with its figures."""
    took = _seconds(folder / "limit", [()] * _PROCESSES)
    return (
        f"{_REQUESTS} requests at {_RATE} by {_PROCESSES} processes: {took:.2f} s from the first arrival to the last, "
        f"none turned away. The least possible is {_LEAST:.0f} s: {took / _LEAST:.3f} times that (at most 1.1)"
    )


def share(folder: Path) -> str:
    """The claim of one command with several workers, with its figures."""
    took = _seconds(folder / "workers", [("--workers", str(_WORKERS))])
    return (
        f"{_REQUESTS} requests at {_RATE} with --workers {_WORKERS}: {took:.2f} s from the first arrival to the last, "
        f"none turned away. The least possible is {_LEAST:.0f} s: {_LEAST / took:.1%} of the limit is used"
    )


def _seconds(folder: Path, commands: Sequence[Sequence[str]]) -> float:
    """From the first arrival to the last, of a run that these work on together."""
    file = f"{folder}.sqlite"
    with contextlib.closing(Ledger(file)) as ledger:
        run_id = requests_of_one.enqueue(ledger, _REQUESTS, report_dir=folder)
    with sandboxes.served(_RATE) as base_url:
        how = ["resume", run_id, "--ledger", file, "--base-url", base_url, "--rate", _RATE, "--yes"]
        _run_together([[*how, *more] for more in commands], folder.parent)
        arrivals = sandboxes.sends(base_url)
    _check(arrivals)
    return (_at(arrivals[-1]) - _at(arrivals[0])).total_seconds()


def _run_together(commands: Sequence[Sequence[str]], folder: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "voicebatch", *arguments, "--json", "--quiet"],
            env=_environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for arguments in commands
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
