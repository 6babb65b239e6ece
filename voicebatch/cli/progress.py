"""The progress bar: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from voicebatch.cli.output import say
from voicebatch.models import Progress
from voicebatch.pricing import money

_SECONDS_BETWEEN_LINES = 30
_TITLES = {"reading": "Reading", "planning": "Planning", "sending": "Sending", "reporting": "Writing reports"}


@contextlib.contextmanager
def shown(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """What a use case tells its progress to."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines().show


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, note="")

        def show(now: Progress) -> None:
            title = _TITLES[now.stage]
            bar.update(task, description=title, completed=now.done, total=now.total or None, note=_note(now))

        yield show


class _Lines:
    """A line when a stage begins, and then one every half minute: this may be a log."""

    def __init__(self) -> None:
        self._stage = ""
        self._told_at = 0.0

    def show(self, now: Progress) -> None:
        """What there is to say, if it is time."""
        if now.stage == self._stage and time.monotonic() - self._told_at < _SECONDS_BETWEEN_LINES:
            return
        self._stage, self._told_at = now.stage, time.monotonic()
        note = _note(now)
        say(f"{_TITLES[now.stage]}{': ' if note else ' …'}{note}")


def _note(now: Progress) -> str:
    if now.stage != "sending":
        return ""
    counts = f"{now.accepted} accepted, {now.refused} refused, {now.unknown} unknown, {money(now.cost)} {now.currency}"
    if now.waiting_until is None:
        return counts.strip()
    until = now.waiting_until.astimezone().strftime("%H:%M:%S")
    return f"{counts.strip()}; waiting until {until}: {now.waiting_for}"
