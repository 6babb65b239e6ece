"""Renders a template for many rows, on every core that there is: Jinja2 is Python, and Python uses one at a time.

The other cores are those of processes of our own, which are given rows and give texts back through a pipe: a process
that ``multiprocessing`` starts would run the caller's program once more, and that may be one that sends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from voicebatch import speech
from voicebatch.templates import MissingValue, RenderError, Template

Row = tuple[str | None, ...]
Rendered = str | MissingValue | RenderError
"""A text, or why there is none."""

_WORTH_A_PROCESS: Final = 10_000  # rows at once; starting one takes as long as rendering twice as many
_MOST_PROCESSES: Final = 8
_ROOT: Final = Path(__file__).parents[2]  # a helper has to be of the same voicebatch, wherever that was found
_PR_SET_PDEATHSIG: Final = 1  # of prctl(2)


def compile_text(text: str) -> Template:
    """The template of a message's text, with what it can say. Raises ``UsageError`` for a fault in it."""
    return Template.compile(text, filters=speech.FILTERS, functions=speech.FUNCTIONS)


class Renderer:
    """Renders the rows of one table. ``columns`` are their headers, ``variables`` those that the template calls."""

    def __init__(self, text: str, *, columns: Sequence[str], variables: Mapping[str, str]) -> None:
        self._told: Final = (text, tuple(columns), dict(variables))
        self._template, self._columns, self._variables = compile_text(text), columns, variables
        self._helpers: list[_Helper] | None = None

    def render(self, rows: Sequence[Row]) -> list[Rendered]:
        """Each row's text, or why there is none."""
        helpers = self._ready_helpers() if len(rows) >= _WORTH_A_PROCESS else []
        share = len(rows) // (len(helpers) + 1) + 1
        here, *others = (rows[share * place :][:share] for place in range(len(helpers) + 1))
        for helper, part in zip(helpers, others, strict=True):
            helper.ask(part)
        rendered = self._rendered_here(here)
        for helper, part in zip(helpers, others, strict=True):
            rendered += helper.answer() or self._rendered_here(part)
        return rendered

    def __enter__(self) -> Renderer:
        """For ``with``, whose end ends the processes."""
        return self

    def __exit__(self, error: object = None, *_: object) -> None:
        for helper in self._helpers or ():
            helper.close(in_time=error is None)

    def _rendered_here(self, rows: Sequence[Row]) -> list[Rendered]:
        return [self._text(row) for row in rows]

    def _text(self, row: Row) -> Rendered:
        cells = dict(zip(self._columns, row, strict=True))
        try:
            text = self._template.render({name: cells[header] for name, header in self._variables.items()}, cells)
        except (MissingValue, RenderError) as error:
            return error
        return RenderError("the text holds a NUL character, which nobody can say") if "\0" in text else text

    def _ready_helpers(self) -> Sequence[_Helper]:
        if self._helpers is None:
            self._helpers = [_Helper(self._told) for _ in range(1, min(_cores(), _MOST_PROCESSES))]
        return self._helpers


class _Helper:
    """A process that renders. If it cannot, for whatever reason, it has no answer, and its rows are rendered here."""

    def __init__(self, told: object) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError, ValueError):  # no such program; no more processes
            self._process = subprocess.Popen(  # noqa: S603 # our own
                [sys.executable, "-P", "-m", __name__, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])},
            )
            self.ask(told)

    def ask(self, rows: object) -> None:
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError):
                pickle.dump(rows, self._process.stdin)
                self._process.stdin.flush()

    def answer(self) -> list[Rendered] | None:
        if self._process is None or self._process.stdout is None:
            return None
        try:
            rendered: list[Rendered] = pickle.load(self._process.stdout)  # noqa: S301 # our own process
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        return rendered

    def close(self, *, in_time: bool) -> None:
        if self._process:
            if not in_time:
                self._process.kill()
            with contextlib.suppress(OSError):
                self._process.communicate()


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _help(questions: IO[bytes], answers: IO[bytes], *, parent: int) -> None:
    """What a helper does until its questions end, or who asks them."""
    _end_with(parent)
    text, columns, variables = pickle.load(questions)  # noqa: S301 # from who started us
    renderer = Renderer(text, columns=columns, variables=variables)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            pickle.dump(renderer._rendered_here(pickle.load(questions)), answers)  # noqa: S301, SLF001 # the same
            answers.flush()


def _end_with(parent: int) -> None:
    """Else who is killed in the middle of a long question would leave us at work on it. Linux alone has this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit()


if __name__ == "__main__":
    _help(sys.stdin.buffer, sys.stdout.buffer, parent=int(sys.argv[1]))
