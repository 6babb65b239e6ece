"""Gives numbered inputs to processes of their own, and says which of them broke the law or the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzz.cases import make_case
from tests.fuzz.working import AT

ROOT: Final = Path(__file__).parents[2]
FOUND: Final = ROOT / "reports" / "fuzz"
_ENOUGH: Final = 20  # failures: more of them say nothing new
_ENVIRONMENT: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others take address space that they do not use
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONWARNINGS": "error::RuntimeWarning,error::UserWarning,error::FutureWarning",
    "MALLOC_ARENA_MAX": "2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An input that must not happen again, and where it was saved."""

    number: int
    why: str
    saved: Path

    def __str__(self) -> str:
        """With how to have it again."""
        again = f"make fuzz SEED={self.number}, or move {self.saved} to tests/fuzz/kept"
        return f"input {self.number}: {again}\n{self.why}"


@dataclass(slots=True, kw_only=True)
class Fuzzed:
    """How many inputs each target accepted, refused and failed, and the failures."""

    tally: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


def fuzz(first: int, count: int, *, targets: str = "tests.fuzz.targets", found: Path = FOUND) -> Fuzzed:
    """Tries these inputs. A process that dies of one is a failure, and another goes on behind it."""
    fuzzed, end = Fuzzed(), first + count
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        while first < end and len(fuzzed.failures) < _ENOUGH:
            died, why = _work(fuzzed, first, end - first, Path(name), targets, found)
            if not why:
                break
            first = died + 1
            fuzzed.tally[f"{make_case(died).target} failed"] += 1
            fuzzed.failures.append(_saved(died, why, found))
    return fuzzed


def _memory() -> Path | None:
    memory = Path("/dev/shm")  # noqa: S108 # looked for, not relied on
    return memory if os.access(memory, os.W_OK) else None


def _work(fuzzed: Fuzzed, first: int, count: int, folder: Path, targets: str, found: Path) -> tuple[int, str]:
    """Lets a process work; the input at which it ended, and why if that was before the last."""
    command = [sys.executable, "-m", "tests.fuzz.working", str(first), str(count), str(folder), targets]
    (folder / AT).write_bytes(first.to_bytes(8, "little"))
    with (folder / "said").open("w+b") as said, (folder / "errors").open("w+b") as errors:
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **_ENVIRONMENT}, stdout=said, stderr=errors, check=False
        )
    for line in (folder / "said").read_text().splitlines():
        told = json.loads(line)
        if "number" in told:
            fuzzed.failures.append(_saved(told["number"], told["why"], found))
        else:
            fuzzed.tally.update(told)
    at = int.from_bytes((folder / AT).read_bytes(), "little")
    if not ended.returncode:
        return at, ""
    how = signal.Signals(-ended.returncode).name if ended.returncode < 0 else f"exit code {ended.returncode}"
    return at, f"the process ended with {how}\n{(folder / 'errors').read_text(errors='replace')[-6000:]}"


def _saved(number: int, why: str, found: Path) -> Failure:
    case = make_case(number)
    found.mkdir(parents=True, exist_ok=True)
    path = found / f"{case.target}-{number}.json"
    path.write_text(case.dumps())
    return Failure(number=number, why=why, saved=path)
