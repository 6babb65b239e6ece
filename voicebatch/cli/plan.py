"""``voicebatch plan``, and what it shares with ``send``: the plan on the screen."""

from __future__ import annotations

import functools
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click

from voicebatch import wire
from voicebatch.cli import options
from voicebatch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from voicebatch.ledger import Run
    from voicebatch.models import Message, Progress
    from voicebatch.pipeline.opt_outs import OptOutList
    from voicebatch.pipeline.plan import Plan
    from voicebatch.pricing import Prices

MESSAGE = ("text", "template", "audio", "channel", "lang", "speech_rate", "schedule", "extra_lang")
CONTENT = ("schema", "region", "phone_column", "sheet", "delimiter", "encoding", "include_hidden")
PLAN = (*CONTENT, "extra_lang", "suppress", "max_invalid", "repeat_window", "limit", "batch_size", "key", "notify_url",
        "notify_email", "sender",
        "price_table", "rate", "base_url", "sandbox", "out", "ledger")  # fmt: skip

_DATE: Final = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?"
_LONG_NUMBER: Final = re.compile(rf"({_DATE})|\+?\d(?:[ .-]?\d){{6,}}")


@click.command
@options.files
@options.message
@options.reading
@options.planning
@options.pricing
@options.address
@options.common
def plan(files: tuple[str, ...], *, common: options.Common, **how: Any) -> None:
    """Check FILES and show what would be sent: requests, time, cost. Sends nothing."""
    show_plan(files, how | {"ledger": common.ledger}, common=common)


def show_plan(files: tuple[str, ...], how: dict[str, Any], *, common: options.Common) -> None:
    """The command ``plan``, and ``send --dry-run``."""
    from voicebatch import app
    from voicebatch.cli import output, progress

    settle_address(how)
    message = message_from(how)
    refuse_known(files, message, how)
    with progress.shown(quiet=common.quiet) as on_progress:
        made = make_plan(files, message, how, on_progress)
        app.write_plan(made)
        copies = marked_copies(made, files, how)
    if common.as_json:
        output.print_json(output.summary_json(made.summary()) | copies)
    else:
        print_plan(made)
        output.print_copies(copies.get("annotated", ()))


def settle_address(how: dict[str, Any]) -> None:
    """A rehearsal goes to a sandbox of its own, wherever the options point."""
    from voicebatch.cli import output

    if how["sandbox"] and how["base_url"]:
        output.say("--sandbox has an address of its own: --base-url is not used.")
        how["base_url"] = None


def message_from(how: dict[str, Any]) -> Message:
    """The message that the options ask for."""
    from pathlib import Path

    from voicebatch import app

    wanted = {name: how[name] for name in MESSAGE}
    wanted["template"] = Path(wanted["template"]) if wanted["template"] else None
    return app.make_message(**wanted)


def known_run(files: tuple[str, ...], message: Message, how: dict[str, Any]) -> Run | None:
    """The run that this very command made already."""
    from voicebatch import app

    return app.existing_run(
        files,
        message,
        key=how["key"],
        limit=how["limit"],
        ledger=how["ledger"],
        sandbox=how["sandbox"],
        **{name: how[name] for name in CONTENT},
    )


def refuse_known(files: tuple[str, ...], message: Message, how: dict[str, Any]) -> None:
    """A plan of what was sent already has nothing to send: its run is what goes on."""
    if run := known_run(files, message, how):
        raise InputError(
            f"Nothing new to send: this content is run {run.id} already.",
            hint=f"How it stands: voicebatch runs show {run.id}. Go on with it: voicebatch resume {run.id}. "
            "To call everyone again: another --key and --repeat-window 0",
        )


def make_plan(
    files: tuple[str, ...], message: Message, how: dict[str, Any], on_progress: Callable[[Progress], None]
) -> Plan:
    """The plan. Raises why it may not be sent, if so, with its files written."""
    from voicebatch import app
    from voicebatch.cli import output
    from voicebatch.pipeline.grouping import grouped

    made = app.plan(files, message, on_progress=on_progress, **plan_options(how))
    warn_of_unreadable(made.opt_outs)
    if made.refusal:
        app.write_plan(made)
        show_faults(made, output.say)
        made.refusal.summary = made.summary()
        if copies := marked_copies(made, files, how):
            made.refusal.annotated = copies["annotated"]
            made.refusal.hint += "".join(f"\nMarked copy: {path}" for path in copies["annotated"])
        raise output.BadRows(made.refusal, grouped(made.intake.faults))
    return made


def marked_copies(made: Plan, files: tuple[str, ...], how: dict[str, Any]) -> dict[str, list[str]]:
    """Writes the marked copies if ``--annotate`` asks for them; where they are, as JSON has it."""
    from voicebatch import app

    return {"annotated": [*map(str, app.annotate_plan(made, files))]} if how["annotate"] else {}


def show_faults(made: Plan, echo: Callable[[str], object]) -> None:
    """What is wrong with the rows that are left out."""
    from voicebatch.cli import output
    from voicebatch.pipeline.grouping import grouped

    for line in output.fault_lines(grouped(made.intake.faults), files=len(made.intake.files)):
        echo(line)


def plan_options(how: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that ``app.plan`` takes."""
    return {name: how[name] for name in PLAN}


def warn_of_unreadable(opt_outs: Sequence[OptOutList]) -> None:
    """Lines of an opt-out list that protect nobody."""
    from voicebatch.cli import output

    for one in opt_outs:
        if one.unreadable:
            where = f"{output.counted(len(one.unreadable), 'line')}, such as {output.some(one.unreadable)}"
            output.say(f"{one.name}: there is no phone number in {where}. They leave nobody out.")


def print_plan(made: Plan, *, on_stderr: bool = False) -> None:
    """What would be sent, in a few lines; on standard error where standard output is kept for JSON."""
    from voicebatch.cli import output

    echo = functools.partial(output.echo, err=on_stderr)
    summary = made.summary()
    for file in made.intake.files:
        echo(f"{file.name}: {file.form}, {output.counted(file.rows, 'row')}, phone numbers in “{file.phone_column}”")
    show_faults(made, echo)
    for one in made.opt_outs:
        echo(f"{one.name}: {output.counted(len(one.numbers), 'number')} not to call")
    rows = summary.rows
    echo(
        f"{output.counted(rows.total, 'row')}: {rows.queued} to call, {made.suppressed_words}, {rows.rejected} rejected"
    )
    echo(f"First message: {first_message(made)}")
    echo(f"{output.counted(summary.requests.planned, 'request')}, all out by {finish_words(summary.earliest_finish)}")
    if made.message.schedule:
        leaves = made.message.schedule.astimezone(wire.TIME_ZONE)
        cancel = f"voicebatch cancel {made.run_id}"
        echo(f"The provider holds them until {leaves:%Y-%m-%d %H:%M} in Paris. Until then: {cancel}")
    echo(f"Estimated cost: {cost_words(made.prices, made.messages_by_code)}")
    echo(f"Run {summary.run_id}. Files: {summary.report_dir}")


def cost_words(prices: Prices, messages_by_code: Mapping[str, int]) -> str:
    """The estimate as far as prices are known."""
    from voicebatch.pricing import money

    missing = prices.missing(messages_by_code)
    known = {code: count for code, count in messages_by_code.items() if code not in missing}
    cost = f"{money(prices.estimate(known) or Decimal(0))} {prices.currency or 'EUR'}"
    if not missing:
        return cost
    without = f"no price known for +{', +'.join(missing)}: give --price-table"
    return f"{cost} for {sum(known.values())} people; {without}" if known else without


def finish_words(finish: datetime | None) -> str:
    """When the last request can have left."""
    return f"{finish.astimezone():%Y-%m-%d %H:%M %Z} at best" if finish else "now"


def first_message(made: Plan) -> str:
    """What the first person hears; long numbers are left out, because what is printed may end up in a log."""
    message = next(made.batches()).message
    text = f"the recording {message.audio}" if message.audio else f"“{message.text}” ({message.lang})"
    return _LONG_NUMBER.sub(lambda found: found[1] or "…", text)
