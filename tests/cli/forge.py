"""Real processes of the command that need no start-up: forks of one that has imported everything and done nothing.

Most of what a command costs is the loading of its libraries, and a question about every command in every way has
hundreds of them. ``Forge`` is this side; the other one reads jobs from its standard input, each a line of JSON.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import itertools
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cli.desk import Desk, Result, discreet, until

SECONDS: Final = 60
_ROOT: Final = Path(__file__).parents[2]
_MORE: Final = ("rich.console", "rich.progress", "rich.table", "platformdirs")  # what is imported where it is used
_SERIAL: Final = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """The process that is forked."""

    popen: subprocess.Popen[str]

    def tell(self, job: object) -> int:
        """Gives it a job and returns its answer: a process id, or an exit code."""
        assert self.popen.stdin
        assert self.popen.stdout
        self.popen.stdin.write(f"{json.dumps(job)}\n")
        self.popen.stdin.flush()
        return int(self.popen.stdout.readline())


@contextlib.contextmanager
def forge() -> Iterator[Forge]:
    """A forge, until the end of the block."""
    own = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.forge"],
        cwd=_ROOT,
        env=own,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as popen:
        yield Forge(popen=popen)
        assert popen.stdin
        popen.stdin.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forged:
    """A command that is under way."""

    pid: int
    out: Path
    err: Path
    forge: Forge

    def until_said(self, *words: str) -> None:
        """Waits until it says one of these on either stream."""
        until(lambda: any(one in self.out.read_text() + self.err.read_text() for one in words), words[0])

    def signal(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def end(self) -> Result:
        """Waits for its end."""
        code = self.forge.tell(self.pid)
        return Result(code=code, out=self.out.read_text(), err=self.err.read_text())


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgedDesk(Desk):
    """A desk whose commands start at once. What they say is looked at by who runs them."""

    forge: Forge
    said: Path
    """A folder outside of the home."""

    def run(self, *arguments: str, stdin: str | None = None, **variables: str) -> Result:
        """Runs the command to its end."""
        assert stdin is None
        return self.begin(*arguments, **variables).end()

    def begin(self, *arguments: str, **variables: str) -> Forged:
        """Starts the command."""
        out, err = (self.said / f"{next(_SERIAL)}.{name}" for name in ("out", "err"))
        out.touch()
        err.touch()
        environment = self._variables({"TMPDIR": str(self.home), **variables})
        job = {"arguments": arguments, "home": str(self.home), "environment": environment,
               "out": str(out), "err": str(err)}  # fmt: skip
        return Forged(pid=self.forge.tell(job), out=out, err=err, forge=self.forge)


class QuickDesk(ForgedDesk):
    """A desk as every test has it: what is run to its end starts at once, unless Python itself is asked for more."""

    def run(self, *arguments: str, stdin: str | None = None, **variables: str) -> Result:
        """Runs the command to its end; no number, no key and no warning may be on standard error."""
        if stdin is not None or any(name.startswith("PYTHON") for name in {**self.environment, **variables}):
            return Desk.run(self, *arguments, stdin=stdin, **variables)
        return discreet(self.begin(*arguments, **variables).end())


# The other side


def _serve() -> None:
    _import_everything()
    gc.freeze()  # a collection in a fork would copy all of it
    for line in sys.stdin:
        job = json.loads(line)
        answer = _exit_code(job) if isinstance(job, int) else _start(job)
        os.write(1, f"{answer}\n".encode())


def _import_everything() -> None:
    package = importlib.import_module("voicebatch")
    names = [module.name for module in pkgutil.walk_packages(package.__path__, "voicebatch.")]
    for name in (*names, *_MORE):
        if not ("migrations" in name or name.endswith("__main__") or name.startswith("voicebatch.airflow")):
            importlib.import_module(name)


def _exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _start(job: Mapping[str, Any]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later: libraries have threads
        pid = os.fork()
    if pid:
        return pid
    signal.alarm(SECONDS)  # whatever hangs is killed, and its code says so
    code = 1
    try:
        _be_the_command(job)
    except SystemExit as ended:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 # as Python does
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _be_the_command(job: Mapping[str, Any]) -> None:
    from voicebatch.cli import run

    for number, path in enumerate((os.devnull, job["out"], job["err"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), encoding="utf-8")  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), encoding="utf-8", line_buffering=True)  # noqa: SIM115
    os.chdir(job["home"])
    os.environ.clear()
    os.environ.update(job["environment"])
    time.tzset()
    run(job["arguments"])


if __name__ == "__main__":
    _serve()
