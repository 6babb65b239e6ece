"""A process that gives inputs to their targets. It says where it is first: it may not live to say what happened.

``python -m tests.fuzz.working FIRST COUNT FOLDER TARGETS``: the numbers of the inputs, where ``at`` and the files are
put, and the module with ``TARGETS``. A JSON line on standard output is either a failure or counts so far.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import logging
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import Final

from tests.fuzz.cases import make_case
from tests.fuzz.targets import SMALL, run
from voicebatch.readers import blocks

AT: Final = "at"
CPU_SECONDS: Final = float(os.environ.get("VOICEBATCH_FUZZ_SECONDS", "30"))
STUCK_SECONDS: Final = 10 * CPU_SECONDS  # by the clock on the wall: nothing is computed, and it does not go on
MEMORY_BYTES: Final = 2 << 30
_AT_ONCE: Final = 500


def main(first: int, count: int, folder: Path, module: str) -> None:
    """Inputs one after another, each with its own time."""
    _limit()
    for name, size in SMALL.items():
        setattr(blocks, name, size)
    targets = importlib.import_module(module).TARGETS
    tally: Counter[str] = Counter()
    at = os.open(folder / AT, os.O_WRONLY | os.O_CREAT)
    for number in range(first, first + count):
        os.pwrite(at, number.to_bytes(8, "little"), 0)
        _arm(CPU_SECONDS, STUCK_SECONDS)
        case = make_case(number)
        try:
            told = "accepted" if run(case, folder, targets) else "refused"
        except Exception as error:  # noqa: BLE001 # whatever it is
            told = "failed"
            _say({"number": number, "why": _why(error)})
        tally[f"{case.target} {told}"] += 1
        if tally.total() == _AT_ONCE:
            _say(tally)
            tally.clear()
    _arm(0, 0)
    _say(tally)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Says where it hangs, then dies of the signal, be it in Python, C++ or Rust.
    faulthandler.register(signal.SIGPROF, chain=True)
    faulthandler.register(signal.SIGALRM, chain=True)
    logging.getLogger("voicebatch").addHandler(logging.NullHandler())


def _arm(cpu_seconds: float, seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _why(error: Exception) -> str:
    return "".join(traceback.format_exception(error, limit=-8))


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 # to who started us


if __name__ == "__main__":
    faulthandler.enable()
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
