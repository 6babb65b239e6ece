"""What became of runs: in figures, in reports, and on somebody's word."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import socket
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from voicebatch import wire
from voicebatch.app.clocks import LedgerClock
from voicebatch.app.ledgers import ledger_url, opened
from voicebatch.app.limits import limiter_of, limits_of
from voicebatch.errors import UsageError
from voicebatch.ledger import Run, Worker, existing
from voicebatch.models import RunSummary, Story, Verdict
from voicebatch.pipeline import running
from voicebatch.reports.cells import make_folder

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger
    from voicebatch.sending import Clock

_LOG: Final = logging.getLogger(__name__)


def report(
    run: str, *, out: str | os.PathLike[str] | None = None, ledger: str | None = None, sandbox: bool = False
) -> RunSummary:
    """Writes a run's reports again, from the ledger alone, into ``out/<run id>`` (None: where they were)."""
    with opened(ledger_url(ledger, sandbox=sandbox), create=False) as book:
        found = reporting_to(out, book.find(run))
        make_folder(Path(found.report_dir))
        return concluded(found, book, wire.BASE_URL, None, LedgerClock(book))


def resolve(
    run: str,
    verdict: Verdict,
    *,
    why: str,
    who: str | None = None,
    batch_ids: Collection[str] = (),
    requeue: bool = False,
    out: str | os.PathLike[str] | None = None,
    ledger: str | None = None,
    sandbox: bool = False,
) -> tuple[int, RunSummary]:
    """Settles what is unknown as sent or not sent, on somebody's word, and writes the run's reports again.

    ``batch_ids`` are ids of batches or unique beginnings of them, none for all that are unknown. What was not sent is
    queued again if ``requeue`` says so: ``resume`` then sends it. ``who`` None: the user of this machine. Returns how
    many batches it were.
    """
    with opened(ledger_url(ledger, sandbox=sandbox), create=False) as book:
        clock, found = LedgerClock(book), reporting_to(out, book.find(run))
        book.give_up_lost(now=clock.now(), is_gone=Worker.is_gone)
        settled = book.resolve(
            found.id, verdict, who=who or user(), why=why, now=clock.now(), batch_ids=batch_ids, requeue=requeue
        )
        make_folder(Path(found.report_dir))
        return settled, concluded(found, book, wire.BASE_URL, None, clock)


def summary_of(run: str, *, ledger: str | None = None, sandbox: bool = False) -> RunSummary:
    """A run as it stands now; nothing is written."""
    with opened(ledger_url(ledger, sandbox=sandbox), create=False) as book:
        return summary_at(book.find(run), book, wire.BASE_URL, None, LedgerClock(book))


def all_summaries(*, ledger: str | None = None, sandbox: bool = False) -> list[RunSummary]:
    """Every run of the ledger, the newest first."""
    book = existing(ledger_url(ledger, sandbox=sandbox))
    if book is None:
        return []
    with contextlib.closing(book):
        return [summary_at(run, book, wire.BASE_URL, None, LedgerClock(book)) for run in book.all_runs()]


def find_run(key: str, *, ledger: str | None = None, sandbox: bool = False) -> Run | None:
    """The run that has this key, if there is one."""
    book = existing(ledger_url(ledger, sandbox=sandbox))
    if book is None:
        return None
    with contextlib.closing(book):
        return book.with_key(key)


def run_id_of(run: str, *, ledger: str | None = None, sandbox: bool = False) -> str:
    """The whole id: what a beginning or ``latest`` stands for may change while a person is asked."""
    with opened(ledger_url(ledger, sandbox=sandbox), create=False) as book:
        return book.find(run).id


def story_of(run: str, *, ledger: str | None = None, sandbox: bool = False, give_up_lost: bool = False) -> Story:
    """What happened to a run: its events, its workers, its requests.

    ``give_up_lost`` first makes unknown what a worker that is gone left under way.
    """
    with opened(ledger_url(ledger, sandbox=sandbox), create=False) as book:
        if give_up_lost:
            book.give_up_lost(now=book.now(), is_gone=Worker.is_gone)
        return book.story(book.find(run).id)


def concluded(run: Run, ledger: Ledger, base_url: str, rate: str | None, clock: Clock) -> RunSummary:
    """The run in figures, and its reports. What was sent stays sent when they cannot be written: it is only said."""
    summary = summary_at(run, ledger, base_url, rate, clock)
    try:
        running.write_reports(run, ledger, Path(run.report_dir), summary, now=clock.now())
    except (OSError, UsageError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        _LOG.warning("The reports are not written: %s. Again: voicebatch report %s --out DIR", why, run.id)
    return summary


def summary_at(run: Run, ledger: Ledger, base_url: str, rate: str | None, clock: Clock) -> RunSummary:
    """The run in figures, of a ledger that is open."""
    limits, limiter = limits_of(run.channel, rate), limiter_of(run.channel, base_url)
    return running.summarise(run, ledger, limits=limits, limiter=limiter, now=clock.now())


def reporting_to(out: str | os.PathLike[str] | None, run: Run) -> Run:
    """The run, with its reports in ``out/<run id>`` if that is given."""
    return replace(run, report_dir=str(Path(out).absolute() / run.id)) if out else run


def user() -> str:
    """Who is at the keyboard, for the record."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in a container
        name = f"user {os.getuid()}"
    return f"{name}@{socket.gethostname()}"
