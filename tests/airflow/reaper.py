"""Ends a deployment's processes, whatever became of the test: it waits until its standard input is closed.

``python -m tests.airflow.reaper MARK``: a process is the deployment's if its environment has this mark. Airflow's tasks
and workers lead sessions of their own, so that neither a process group nor a tree holds them all.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Final

import psutil

VARIABLE: Final = "VOICEBATCH_TEST_DEPLOYMENT"
_SECONDS: Final = 20.0


def marked(mark: str) -> Iterator[psutil.Process]:
    """The processes that were started with this mark, and all that they started."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(VARIABLE) == mark:
                yield process


def reap(mark: str) -> None:
    """Kills until nobody is left: one that is just being started is found by the next look."""
    deadline = time.monotonic() + _SECONDS
    while (left := list(marked(mark))) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=1)


if __name__ == "__main__":
    sys.stdin.read()  # until the test lets go of it, or is gone
    reap(sys.argv[1])
