"""One user's machine: a folder of its own, a clean environment, and the command as a real process."""

from __future__ import annotations

import csv
import itertools
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

COMMAND: Final = (sys.executable, "-m", "voicebatch")
API_KEY: Final = "key-of-the-tests-5f3c"
# Numbers that the regulator keeps for fiction: 04 65 71 00 00 to 04 65 71 99 99.
FICTION: Final = re.compile(r"46571[\s.]?\d{2}[\s.]?\d{2}|4 65 71 \d\d \d\d")
SECONDS: Final = 90.0
_SERIAL: Final = itertools.count(1)
SUMMARY_KEYS: Final = {
    "schema_version", "run_id", "key", "status", "rows", "requests", "cost", "credited", "currency", "total_seconds",
    "earliest_finish", "countries", "deliveries", "report_dir", "ledger",
}  # fmt: skip
ROW_KEYS: Final = ("total", "rejected", "suppressed", "queued", "accepted", "refused", "unknown", "cancelled")


def number(at: int) -> str:
    """The n-th fictional French number, in E.164."""
    return f"+3346571{at:04d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which has to be exactly one JSON object on one line."""
        assert self.out.count("\n") == 1, self.out
        content = json.loads(self.out)
        assert isinstance(content, dict)
        assert content["schema_version"] == 1
        return content

    @property
    def error(self) -> dict[str, str]:
        """The error in the JSON; the same words are on standard error."""
        error: dict[str, str] = self.json["error"]
        assert set(error) == {"kind", "message", "hint"}
        assert error["message"] in self.err
        assert error["hint"] in self.err
        return error


def discreet(result: Result) -> Result:
    """What holds for every command that ever ends: no number, no key and no warning is on standard error."""
    assert API_KEY not in result.out + result.err
    assert not FICTION.search(result.err), result.err
    assert "Warning" not in result.err, result.err
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A command that is under way."""

    popen: subprocess.Popen[bytes]
    out: Path
    err: Path

    def until_said(self, words: str) -> None:
        """Waits until it says this on standard error."""
        until(lambda: words in self.err.read_text() or self.popen.poll() is not None, words)
        assert words in self.err.read_text()

    def signal(self, number: int) -> None:
        """Sends a signal."""
        self.popen.send_signal(number)

    def end(self) -> Result:
        """Waits for its end."""
        code = self.popen.wait(SECONDS)
        return discreet(Result(code=code, out=self.out.read_text(), err=self.err.read_text()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """``run`` is a whole command, ``start`` one that goes on while the test looks at it."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str | None = None, **variables: str) -> Result:
        """Runs the command to its end; no number, no key and no warning may be on standard error."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.home,
            env=self._variables(variables),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return discreet(Result(code=done.returncode, out=done.stdout, err=done.stderr))

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL, **variables: str) -> Process:
        """Starts the command; what it prints goes to files, so that a test can watch it."""
        out, err = (self.home / f"{next(_SERIAL)}.{name}" for name in ("out", "err"))
        with out.open("w") as out_file, err.open("w") as err_file:
            popen = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=self.home,
                env=self._variables(variables),
                stdin=stdin,
                stdout=out_file,
                stderr=err_file,
            )
        return Process(popen=popen, out=out, err=err)

    def answer(self, reply: str, *arguments: str, meanwhile: Callable[[], object] = bool, **variables: str) -> Result:
        """Runs the command on a terminal and answers its question, after something else happened."""
        master, slave = pty.openpty()
        try:
            process = self.start(*arguments, stdin=slave, **variables)
            process.until_said("[y/N]")
            meanwhile()
            os.write(master, f"{reply}\n".encode())
            return process.end()
        finally:
            os.close(slave)
            os.close(master)

    def write(self, name: str, content: str | bytes | Iterable[Iterable[object]]) -> str:
        """Writes a file: bytes, a text, or the rows of a CSV."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(content)
        return name

    def people(self, name: str, count: int, *, first: int = 1) -> str:
        """Writes a file of that many people called A1, A2 …"""
        numbers = range(first, first + count)
        return self.write(name, [("nom", "telephone"), *((f"A{at}", number(at)) for at in numbers)])

    def table(self, report_dir: str, name: str) -> list[dict[str, str]]:
        """The lines of a report."""
        with (self.home / report_dir / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def recipients(self, report_dir: str) -> dict[int, dict[str, str]]:
        """``recipients.csv`` of one input file, by row."""
        lines = self.table(report_dir, "recipients.csv")
        by_row = {int(line["row"]): line for line in lines}
        assert len(by_row) == len(lines)
        return by_row

    def statuses(self, report_dir: str) -> Counter[str]:
        """How many rows have each status."""
        return Counter(line["status"] for line in self.table(report_dir, "recipients.csv"))

    def manifest(self, report_dir: str) -> dict[str, Any]:
        """``manifest.json``."""
        document: dict[str, Any] = json.loads((self.home / report_dir / "manifest.json").read_text(encoding="utf-8"))
        return document

    def _variables(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "VOICEBATCH_API_KEY": API_KEY,
        }
        return {name: value for name, value in {**own, **self.environment, **more}.items() if value}


def until(condition: Callable[[], object], what: str) -> None:
    """Polls a condition that is about to become true."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.01)
