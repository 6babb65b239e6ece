"""How far the work is: a bar on a terminal, a few lines elsewhere; and what is wrong with the first bad rows, early."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from voicebatch.cli.output import say
from voicebatch.models import Progress
from voicebatch.pricing import money

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS_BETWEEN_LINES: Final = 30
_SECONDS_AT_ONCE: Final = 1  # work that takes no longer ends before its first faults are read
_FIRST_FAULTS: Final = 5
_TITLES: Final = {"reading": "Reading", "planning": "Planning", "sending": "Sending", "reporting": "Writing reports"}


@contextlib.contextmanager
def shown(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """What a use case tells its progress to."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        from rich.console import Console

        with bar(Console(stderr=True)) as show:
            yield show
    else:
        yield Lines().show


@contextlib.contextmanager
def bar(console: Console, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[Progress], None]]:
    """A bar with rows a second and the time left. The first faults stand above it and stay."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Bar(*columns, console=console, transient=True, get_time=clock) as drawn:
        task = drawn.add_task("", total=None, speed="", note="")
        pace, faults = _Pace(clock), _FirstFaults()

        def show(now: Progress) -> None:
            if pace.begins(now):
                drawn.reset(task, total=None)
            for line in faults.new(now) if pace.seconds > _SECONDS_AT_ONCE else ():
                drawn.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
            # Not by update(): with each new total it would forget how fast the work goes.
            drawn.tasks[0].total = max(now.total, now.done) if now.total else None
            title, speed = _TITLES[now.stage], pace.words(now)
            drawn.update(task, description=title, completed=now.done, speed=speed, note=_note(now))

        yield show


class Lines:
    """A line when a stage begins, and then one every half minute: this may be a log."""

    def __init__(self, tell: Callable[[str], None] = say, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._pace, self._faults = _Pace(clock), _FirstFaults()
        self._told_at = 0.0

    def show(self, now: Progress) -> None:
        """What there is to say, if it is time."""
        begins = self._pace.begins(now)
        if not begins and self._clock() - self._told_at < _SECONDS_BETWEEN_LINES:
            return
        self._told_at = self._clock()
        words = ", ".join(filter(None, self._words(now, begins=begins)))
        self._tell(f"{_TITLES[now.stage]}{f': {words}' if words else ' …'}")
        for line in () if begins else self._faults.new(now):
            self._tell(line)

    def _words(self, now: Progress, *, begins: bool) -> Iterator[str]:
        if now.stage == "reading":
            if begins:
                return
            yield f"{now.done:,}{f' of about {now.total:,}' if now.total else ''} rows"
            yield self._pace.words(now)
            yield self._pace.left(now)
        yield _note(now)


class _Pace:
    """How fast a stage goes, on average since it began: the first when this was made, before it says anything."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stage, self._began, self._done = "", clock(), 0

    @property
    def seconds(self) -> float:
        """Since the stage began."""
        return self._clock() - self._began

    def begins(self, now: Progress) -> bool:
        """Whether this is a new stage; the time runs from here."""
        if now.stage == self._stage:
            return False
        if self._stage:
            self._began, self._done = self._clock(), now.done
        self._stage = now.stage
        return True

    def words(self, now: Progress) -> str:
        """Rows a second."""
        speed = self._speed(now)
        return f"{speed:,.0f} rows/s" if speed and now.stage == "reading" else ""

    def left(self, now: Progress) -> str:
        """The time that is left, if the total is known."""
        speed = self._speed(now)
        if not speed or now.total <= now.done:
            return ""
        minutes, seconds = divmod(round((now.total - now.done) / speed), 60)
        return f"{minutes}:{seconds:02} left"

    def _speed(self, now: Progress) -> float:
        return (now.done - self._done) / self.seconds if self.seconds > 0 else 0.0


class _FirstFaults:
    """The first of what is wrong, each kind once and a few in all, without what stands in the cells."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str, str]] = set()

    def new(self, now: Progress) -> Iterator[str]:
        """The lines that were not given yet."""
        if not now.first_faults:
            return
        from voicebatch.headers import listed
        from voicebatch.pipeline.grouping import sentence, shortened

        for fault in now.first_faults:
            what = sentence(fault)
            kind = (fault.file, fault.column, what)
            if kind not in self._told and len(self._told) < _FIRST_FAULTS:
                self._told.add(kind)
                column = f", {listed([fault.column])}" if fault.column else ""
                yield f"{fault.file}, row {fault.row}{column}: {shortened(what)}"


def _note(now: Progress) -> str:
    if now.stage != "sending":
        return f"{now.rejected:,} bad" if now.rejected else ""
    counts = f"{now.accepted} accepted, {now.refused} refused, {now.unknown} unknown, {money(now.cost)} {now.currency}"
    if now.waiting_until is None:
        return counts.strip()
    until = now.waiting_until.astimezone().strftime("%H:%M:%S")
    return f"{counts.strip()}; waiting until {until}: {now.waiting_for}"
