"""The story of a run: who worked on it, what happened, what is unknown. What may be a phone number is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from voicebatch.batching import LONG_NUMBER
from voicebatch.cli import output
from voicebatch.models import Attempt, Event, EventKind, Outcome, Story, WorkerSpan

if TYPE_CHECKING:
    from rich.table import Table

    from voicebatch.cli.options import Common

_MOST_REQUESTS: Final = 20  # on the screen; --json has all
_MOST_EVENTS: Final = 100
_WORDS: Final = {EventKind.PAUSED: "waits"}
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00)")  # as the ledger writes one into a text
_ID: Final = 8  # digits that tell a run's batches apart, and are still easy to read


def story_json(story: Story) -> dict[str, Any]:
    """All of it."""
    return {
        "workers": [_plain(span) for span in story.workers],
        "events": [_plain(event) for event in story.events],
        "attempts": [_plain(attempt) for attempt in story.attempts],
        "unknown": [_plain(attempt) for attempt in story.unknown],
    }


def print_story(story: Story, run_id: str, common: Common) -> None:
    """What a person wants to know, in the order of asking."""
    from voicebatch.pipeline.running import how_to_settle

    unknown = story.unknown
    _print("Who worked on it:", _workers(story.workers))
    earlier = len(story.events) - _MOST_EVENTS
    _print("What happened:" + f" (… and {earlier} earlier: --json)" * (earlier > 0), _events(story.events))
    _print_requests("Requests whose outcome is unknown:", unknown, _unknown)
    if unknown:
        click.echo(common.typeable(how_to_settle(run_id)))
    _print_requests("Requests under way:", [one for one in story.attempts if one.ended_at is None], _unknown)
    known = {(one.batch_id, one.number) for one in unknown}
    others = [one for one in story.attempts if _is_special(one) and (one.batch_id, one.number) not in known]
    _print_requests("Requests that were not simply accepted:", others, _special)


def said(text: str, show_time: Callable[[str], str] = str) -> str:
    """What somebody else wrote, on one line; times stay, what may be a phone number does not."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    parts = _TIME.split(line)
    return "".join(show_time(part) if at % 2 else LONG_NUMBER.sub("…", part) for at, part in enumerate(parts))


def worker_name(name: str) -> str:
    """Host and process id of a worker; a person's name as it is."""
    host, _, rest = name.partition(" ")
    pid = rest.split(" ")[0]
    return f"{host.split('/')[0]}/{pid}" if pid.isdecimal() else name


def _plain(one: Any) -> dict[str, Any]:
    fields = asdict(one)
    fields |= {name: said(fields[name]) for name in ("text", "reason", "who") if name in fields}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def _print(heading: str, lines: Table) -> None:
    if lines.row_count:
        click.echo(f"\n{heading}")
        output.print_table(lines)


def _print_requests(heading: str, attempts: Sequence[Attempt], lines: Callable[[Sequence[Attempt]], Table]) -> None:
    _print(heading, lines(attempts[:_MOST_REQUESTS]))
    if len(attempts) > _MOST_REQUESTS:
        click.echo(f"… and {len(attempts) - _MOST_REQUESTS} more: --json")


def _local(text: str) -> str:
    return output.local(datetime.fromisoformat(text))


def _is_special(attempt: Attempt) -> bool:
    return attempt.ended_at is not None and (attempt.outcome is not Outcome.ACCEPTED or attempt.number > 1)


def _workers(spans: Sequence[WorkerSpan]) -> Table:
    lines = output.table("Worker", "From", "To", ">Requests")
    for span in spans:
        to = output.local(span.left_at) if span.left_at else f"seen {output.local(span.seen_at)}"
        lines.add_row(worker_name(span.name), output.local(span.joined_at), to, str(span.requests))
    return lines


def _events(events: Sequence[Event]) -> Table:
    lines = output.table("At", "", "Batch", "Who", "")
    for event in events[-_MOST_EVENTS:]:
        word, batch = _WORDS.get(event.kind, event.kind), (event.batch_id or "")[:_ID]
        text = event.text.replace(f" by {event.who}:", ":", 1)  # who it was stands in the column before
        lines.add_row(output.local(event.at), word, batch, said(worker_name(event.who)), said(text, _local))
    return lines


def _unknown(attempts: Sequence[Attempt]) -> Table:
    lines = output.table("Batch", ">People", "Left", "Worker", "Why")
    for one in attempts:
        left = output.local(one.started_at)
        lines.add_row(one.batch_id, str(one.people), left, worker_name(one.worker), said(one.reason, _local))
    return lines


def _special(attempts: Sequence[Attempt]) -> Table:
    lines = output.table("Batch", ">Try", ">People", "Left", "Outcome", "Why")
    for one in attempts:
        lines.add_row(one.batch_id[:_ID], str(one.number), str(one.people), output.local(one.started_at),
                      str(one.outcome), said(_why(one), _local))  # fmt: skip
    return lines


def _why(attempt: Attempt) -> str:
    status = f"HTTP {attempt.http_status}" if attempt.http_status and "HTTP" not in attempt.reason else ""
    code = f"code {attempt.code}" if attempt.code else ""
    return ", ".join(part for part in (status, code, attempt.reason) if part)
