"""What the commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click

from voicebatch import wire
from voicebatch.errors import InputError, VoicebatchError
from voicebatch.models import CountryTotal, DeliveryCounts, RunStatus, RunSummary, people
from voicebatch.pricing import money

if TYPE_CHECKING:
    from rich.table import Table

    from voicebatch.cli.options import Common
    from voicebatch.pipeline.grouping import FaultGroup

SCHEMA_VERSION = 1
_FINDINGS: Final = 5  # on the screen; all of them are in the manifest and in JSON
_FAULT_GROUPS: Final = 15  # the same
_YES = frozenset({"1", "true", "t", "yes", "y", "on"})  # what click reads as yes


class BadRows(InputError):
    """An input that was not accepted, with what is wrong with its rows by kind."""

    def __init__(self, error: InputError, groups: Sequence[FaultGroup]) -> None:
        super().__init__(error.message, hint=error.hint)
        self.__dict__ |= error.__dict__
        self.groups = groups


def wants_json(
    arguments: Sequence[str], environment: Mapping[str, str], configured: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether the answer has to be JSON even when the options could not be read."""
    if "--json" in arguments:
        return True
    if variable := environment.get("VOICEBATCH_JSON"):
        return variable.lower() in _YES
    command = next((argument for argument in arguments if argument in configured), "")
    return bool(configured.get(command, {}).get("as_json"))


def verbosity(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """How many times -v was given, or else what the variable says."""
    short = [argument for argument in arguments if argument.startswith("-v") and set(argument[1:]) == {"v"}]
    given = sum(len(argument) - 1 for argument in short) + list(arguments).count("--verbose")
    variable = environment.get("VOICEBATCH_VERBOSE", "")
    return given or (int(variable) if variable.isdecimal() else 0)


def show_traceback(error: BaseException) -> None:
    """Where it happened, without what others put into their messages: a database's holds phone numbers."""
    before = error.__cause__ or error.__context__
    if before:
        show_traceback(before)
    own = f": {error}" if isinstance(error, VoicebatchError) else ""
    say("".join(["Traceback:\n", *traceback.format_tb(error.__traceback__), f"{type(error).__name__}{own}\n"]))


def say(text: str) -> None:
    """A line for the person, on standard error."""
    with contextlib.suppress(OSError):  # nobody reads it any more: that is no reason to stop calling
        echo(text, err=True)


def say_waiting(until: datetime, reason: str) -> None:
    """Somebody has to wait, and why."""
    say(f"{reason} Waiting until {local(until)}.")


def echo(text: str, *, err: bool = False) -> None:
    """Lines for the person. What a name of a file or of a column would do to a terminal is left out."""
    is_harmless = (letter in "\n\t" or unicodedata.category(letter)[0] != "C" for letter in text)
    click.echo("".join(letter if ok else "�" for letter, ok in zip(text, is_harmless, strict=True)), err=err)


def print_json(content: Mapping[str, Any]) -> None:
    """The one JSON object on standard output."""
    speaks_unicode = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **content}, ensure_ascii=not speaks_unicode))


def show_failure(error: VoicebatchError, *, as_json: bool) -> None:
    """What happened and what to type next; as JSON with the rows and reports as far as it got."""
    if as_json:
        print_json({**_progress_of(error), **_groups_of(error), "error": _error(error)})
    say(f"voicebatch: {error.message}")
    if error.hint:
        say(error.hint)


def summary_json(summary: RunSummary) -> dict[str, Any]:
    """A run's summary as the contract writes it."""
    return {
        "run_id": summary.run_id,
        "key": summary.key,
        "status": summary.status,
        "rows": asdict(summary.rows),
        "requests": asdict(summary.requests),
        "cost": None if summary.cost is None else money(summary.cost),
        "credited": money(summary.credited),
        "currency": summary.currency,
        "total_seconds": float(summary.total_seconds),
        "earliest_finish": summary.earliest_finish and summary.earliest_finish.isoformat(timespec="seconds"),
        "countries": [_country_json(line) for line in summary.countries],
        "deliveries": _deliveries_json(summary.deliveries),
        **({"settled_by_callback": summary.settled_by_callback} if summary.settled_by_callback else {}),
        **({} if summary.estimated_cost is None else {"estimated_cost": money(summary.estimated_cost)}),
        **({"leaves_at": summary.leaves_at.isoformat(timespec="seconds")} if summary.leaves_at else {}),
        "report_dir": summary.report_dir,
        "ledger": summary.ledger,
        **({"findings": list(summary.findings)} if summary.findings else {}),
    }


def print_summary(summary: RunSummary, common: Common) -> None:
    """The country report, the rows by status, and what needs a person's attention."""
    if summary.countries:
        print_table(country_table(summary))
    if summary.sandbox:
        echo("A rehearsal in the sandbox: nobody was called, and nothing was charged.")
    names = {"unknown": "under way or unknown"} if summary.status is RunStatus.RUNNING else {}
    counts = asdict(summary.rows)
    rows = [f"{count} {names.get(name, name)}" for name, count in counts.items() if count and name != "total"]
    echo(f"Run {summary.run_id}: {summary.status}. {counted(summary.rows.total, 'row')}: {', '.join(rows)}.")
    if summary.credited:
        echo(f"Given back for cancelled requests: {money(summary.credited)} {summary.currency}, of the cost above.")
    if summary.leaves_at:
        cancel = common.typeable(f"voicebatch cancel {summary.run_id}")
        echo(f"Scheduled: it leaves at {local(summary.leaves_at)}. Until then it can be taken back: {cancel}")
    for line in _deliveries(summary):
        echo(line)
    if is_elsewhere(summary.base_url):
        echo(f"It was begun at {summary.base_url}, not at the provider's address.")
    echo(f"Reports: {summary.report_dir}")
    for line in _to_look_at(summary):
        echo(common.typeable(line))


def print_copies(paths: Iterable[str]) -> None:
    """Where the marked copies of the input are."""
    for path in paths:
        echo(f"Marked copy: {path}")


def is_elsewhere(base_url: str | None) -> bool:
    """Whether this is another address than the provider's. A rehearsal in the sandbox has none."""
    return (base_url or wire.BASE_URL).rstrip("/") != wire.BASE_URL


def _to_look_at(summary: RunSummary) -> Iterator[str]:
    """What is unknown, whatever else happened; what the provider answered and does not add up."""
    if summary.rows.unknown and summary.status is not RunStatus.RUNNING:
        yield (
            f"Unknown: {counted(summary.requests.unknown, 'request')} with {people(summary.rows.unknown)}, who may "
            f"have been called: voicebatch runs show {summary.run_id}"
        )
    for finding in summary.findings[:_FINDINGS]:
        yield f"Check: {finding}"
    if len(summary.findings) > _FINDINGS:
        yield f"… and {len(summary.findings) - _FINDINGS} more in manifest.json"


def country_table(summary: RunSummary) -> Table:
    """The country report with a total."""
    lines = table("Country", "Code", ">Requests", ">Messages", ">Cost", ">Spoken time")
    for line in summary.countries:
        lines.add_row(*_country_cells(line))
    messages = sum(line.messages for line in summary.countries)
    cost = f"{money(summary.cost or Decimal(0))} {summary.currency}"
    lines.add_section()
    lines.add_row("Total", "", str(summary.answered), str(messages), cost, _clock(summary.total_seconds))
    return lines


def runs_table(summaries: Sequence[RunSummary]) -> Table:
    """One line a run."""
    lines = table("Run", "Begun", "Status", ">Rows", ">Queued", ">Accepted", ">Refused", ">Unknown", ">Cost", "")
    for run in summaries:
        rows = run.rows
        counts = (rows.total, rows.queued, rows.accepted, rows.refused, rows.unknown)
        cost = f"{money(run.cost or Decimal(0))} {run.currency}"
        begun = run.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        kind = "rehearsal" if run.sandbox else ""
        back = f"{money(run.credited)} given back" if run.credited else ""
        lines.add_row(
            run.run_id,
            begun,
            run.status,
            *(str(count) for count in counts),
            cost,
            ", ".join(filter(None, (kind, back))),
        )
    return lines


def print_table(lines: Table) -> None:
    """With lines on a terminal, plain elsewhere."""
    from rich.console import Console

    # What others wrote is no markup.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False, emoji=False)
    console.print(lines)


def table(*headings: str) -> Table:
    """An empty table; a heading that begins with > is that of a column of figures."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for heading in headings:
        made.add_column(heading.lstrip(">"), justify="right" if heading.startswith(">") else "left", overflow="fold")
    return made


def _country_cells(line: CountryTotal) -> list[str]:
    cost = f"{money(line.cost)} {line.currency}"
    name = f"{line.country or '?'} ({line.country_code})" if line.country_code else line.country or "?"
    return [name, f"+{line.calling_code}", str(line.requests), str(line.messages), cost, _clock(line.total_seconds)]


def _country_json(line: CountryTotal) -> dict[str, Any]:
    return {
        "calling_code": line.calling_code,
        "country_code": line.country_code,
        "requests": line.requests,
        "messages": line.messages,
        "cost": money(line.cost),
        "total_seconds": float(line.total_seconds),
        "currency": line.currency,
        "deliveries": _deliveries_json(line.deliveries),
    }


def _deliveries_json(counts: DeliveryCounts) -> dict[str, Any]:
    seconds = {name: float(getattr(counts, name)) for name in ("spoken_seconds", "announced_seconds")}
    return asdict(counts) | seconds


def _deliveries(summary: RunSummary) -> Iterator[str]:
    """What callbacks have told so far."""
    counts = summary.deliveries
    if not (summary.listens or counts.told) or not summary.rows.accepted:
        return
    said = f"; {counts.answered} answered, {counts.not_answered} did not" * bool(counts.answered + counts.not_answered)
    yield f"Callbacks: {counts.delivered} delivered, {counts.undelivered} undelivered, {counts.pending} pending{said}."
    if counts.spoken_seconds:
        whose = f" for the {counts.delivered - counts.unannounced} whose answer is known" * bool(counts.unannounced)
        yield f"Really spoken: {_clock(counts.spoken_seconds)} (announced: {_clock(counts.announced_seconds)}{whose})."


def counted(count: int, thing: str) -> str:
    """``1 line``, ``2 lines``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def local(at: datetime) -> str:
    """A time as this machine's clock on the wall shows it."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def some(rows: Sequence[int], most: int = 5, of: int = 0) -> str:
    """The first of some row numbers; there are ``of`` of them, or as many as are given."""
    return ", ".join(str(row) for row in rows[:most]) + ("…" if max(of, len(rows)) > most else "")


def fault_lines(groups: Sequence[FaultGroup], *, files: int) -> Iterator[str]:
    """What is wrong with an input of so many files, a line for each kind of fault: the most frequent ones."""
    for group in groups[:_FAULT_GROUPS]:
        where = place(group.file if files > 1 else "", group.column)
        rows = f"{counted(group.rows, 'row')}: {some(group.first_rows, of=group.rows)}"
        yield f"  {where}{group.words(rows)}"
    more = len(groups) - _FAULT_GROUPS
    if more > 0:
        yield f"  … and {counted(more, 'more kind')} of faults: see rejected.csv"


def place(file: str, column: str) -> str:
    """The beginning of a line about a file, a column, both or none."""
    from voicebatch.headers import listed

    named = ([file] if file else []) + ([listed([column])] if column else [])
    return f"{', '.join(named)}: " if named else ""


def _clock(seconds: Decimal) -> str:
    """``1:02:03.5``"""
    whole_minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(whole_minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def groups_json(groups: Sequence[FaultGroup]) -> dict[str, Any]:
    """What is wrong with an input's rows, by kind."""
    return {"fault_groups": [asdict(group) for group in groups]}


def _groups_of(error: VoicebatchError) -> dict[str, Any]:
    return groups_json(error.groups) if isinstance(error, BadRows) else {}


def _error(error: VoicebatchError) -> dict[str, str]:
    return {"kind": error.kind, "message": error.message, "hint": error.hint}


def _progress_of(error: VoicebatchError) -> dict[str, Any]:
    more = dict(error.figures) if error.annotated is None else {**error.figures, "annotated": error.annotated}
    if error.summary:
        return summary_json(error.summary) | more
    rows = {"rows": asdict(error.rows)} if error.rows else {}
    return {**rows, **({"report_dir": error.report_dir} if error.report_dir else {}), **more}
