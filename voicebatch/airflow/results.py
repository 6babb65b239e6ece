"""What a task leaves for others: a small result for XCom, and the lines of its log while it works."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from voicebatch.models import Progress, RunSummary
    from voicebatch.pipeline.plan import Plan

_FAULT_GROUPS: Final = 20
_TOLD_EVERY: Final = timedelta(seconds=30)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def result_of(summary: RunSummary) -> dict[str, Any]:
    """Counts, cost and where the reports are: under a kilobyte, whatever the size of the run; no phone number.

    ``cost`` is the exact decimal as text (``None``: not known yet), ``total_seconds`` what was spoken.
    """
    from voicebatch.pricing import money

    return {
        "run_id": summary.run_id,
        "sandbox": summary.sandbox,
        "key": summary.key,
        "status": str(summary.status),
        "rows": asdict(summary.rows),
        "requests": asdict(summary.requests),
        "cost": None if summary.cost is None else money(summary.cost),
        "currency": summary.currency,
        "total_seconds": float(summary.total_seconds),
        "report": summary.report_dir or None,
    }


def plan_words(plan: Plan) -> Iterator[str]:
    """What is in the files, and what is wrong with them; never what stands in a cell."""
    from voicebatch.pipeline.grouping import grouped

    counts = plan.counts
    yield f"{counts.total} rows: {counts.queued} to call, {plan.suppressed_words}, {counts.rejected} rejected"
    for group in grouped(plan.intake.faults)[:_FAULT_GROUPS]:
        rows = f"{group.rows} row{'' if group.rows == 1 else 's'}: {', '.join(map(str, group.first_rows))}"
        yield f"{group.file}, {group.column or 'row'}: {group.words(rows)}"


def run_words(summary: RunSummary) -> Iterator[str]:
    """How a run stands, for the end of a task's log."""
    from voicebatch.pricing import money

    counts = ", ".join(f"{count} {status}" for status, count in asdict(summary.rows).items() if count)
    cost = "" if summary.cost is None else f", {money(summary.cost)} {summary.currency}"
    yield f"Run {summary.run_id}: {summary.status}. Rows: {counts}{cost}"
    if summary.sandbox:
        yield "A rehearsal in the sandbox: nobody was called, and nothing was charged."
    if summary.report_dir:
        yield f"Reports: {summary.report_dir}"


class Teller:
    """Writes progress into a log, a line every now and then."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told_at = _LONG_AGO
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        """Says it if the stage is another one, or some time went by."""
        now = datetime.now(UTC)
        if progress.stage == self._stage and now < self._told_at + _TOLD_EVERY:
            return
        self._told_at, self._stage = now, progress.stage
        self._log.info("%s%s%s", progress.stage, _counts(progress), _waiting(progress))


def _counts(progress: Progress) -> str:
    if progress.stage != "sending":
        return f": {progress.done} rows" if progress.done else ""
    return (
        f": {progress.done} of {progress.total} people, {progress.accepted} accepted, {progress.refused} refused, "
        f"{progress.unknown} unknown"
    )


def _waiting(progress: Progress) -> str:
    if progress.waiting_until is None:
        return ""
    return f"; waiting until {progress.waiting_until.isoformat(timespec='seconds')}: {progress.waiting_for}"
