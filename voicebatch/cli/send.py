"""``voicebatch send`` and ``voicebatch resume``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from voicebatch.cli import options
from voicebatch.cli.plan import known_run, make_plan, message_from, print_plan, show_plan
from voicebatch.errors import Interrupted, UsageError, VoicebatchError

if TYPE_CHECKING:
    from voicebatch.models import RunSummary

SEND = ("base_url", "sandbox", "rate", "concurrency", "timeout")


@click.command
@options.files
@options.message
@options.reading
@options.planning
@options.sending
@options.pricing
@options.address
@options.option("--dry-run", is_flag=True, help="The same as plan.")
@options.common
def send(files: tuple[str, ...], *, dry_run: bool, common: options.Common, **how: Any) -> None:
    """Plan FILES, ask, send, report. The same content and options again never call anyone twice."""
    how["ledger"] = common.ledger
    if dry_run:
        show_plan(files, how, common=common)
        return
    from voicebatch import app
    from voicebatch.cli import progress

    _check(how)
    message = message_from(how)
    if run := known_run(files, message, how):
        _ask_to_resume(run.id, how, common)
        _finish(
            lambda **more: app.resume(
                run.id,
                ledger=common.ledger,
                price_table=how["price_table"],
                suppress=how["suppress"],
                out=how["out"],
                **more,
            ),
            how,
            common,
        )
        return
    with progress.shown(quiet=common.quiet) as on_progress:
        made = make_plan(files, message, how, on_progress)
    if not how["yes"]:
        print_plan(made, on_stderr=common.as_json)
        _ask(f"Call {made.counts.queued} people now?")
    _finish(lambda **more: app.send(made, **more), how, common)


@click.command
@click.argument("run")
@options.sending
@options.pricing
@options.address
@options.common
def resume(run: str, *, common: options.Common, **how: Any) -> None:
    """Go on with RUN: send what is still queued, and nothing else. RUN is an id, its beginning, or latest."""
    from voicebatch import app

    _check(how)
    _ask_to_resume(run, how, common)
    _finish(lambda **more: app.resume(run, ledger=common.ledger, price_table=how["price_table"], **more), how, common)


def _check(how: dict[str, Any]) -> None:
    """Refuses what cannot be before any work is done, and finds the API key."""
    from voicebatch import app

    _refuse_unasked(yes=how["yes"])
    how["max_cost"] = _amount(how["max_cost"])
    how["api_key"] = app.check_address(how["base_url"], sandbox=how["sandbox"])


def _ask_to_resume(run: str, how: dict[str, Any], common: options.Common) -> None:
    from voicebatch import app
    from voicebatch.cli import output

    left = app.summary_of(run, ledger=common.ledger, sandbox=how["sandbox"])
    if not left.rows.queued:
        output.say(f"Run {left.run_id} has nothing queued: nobody is called now. This is how it ended.")
    elif how["yes"]:
        output.say(f"Run {left.run_id} goes on with the {left.rows.queued} people who are still queued.")
    else:
        _ask(f"Run {left.run_id}: call the {left.rows.queued} people who are still queued now?")


def _finish(work: Callable[..., RunSummary], how: dict[str, Any], common: options.Common) -> None:
    """Does the sending and prints how it ended; raises what the exit code comes from."""
    from voicebatch.cli import output, progress, signals

    settings = {name: how[name] for name in (*SEND, "max_cost", "api_key")}
    with signals.stopping() as received, progress.shown(quiet=common.quiet) as on_progress:
        summary = work(stop=received.stop, on_progress=on_progress, **settings)
    error = _error(summary, received.number)
    if not common.as_json:
        output.print_summary(summary)
    if error:
        raise error
    if common.as_json:
        output.print_json(output.summary_json(summary))


def _error(summary: RunSummary, signal_number: int | None) -> VoicebatchError | None:
    from voicebatch.pipeline.running import failure

    if signal_number is None or not summary.rows.queued:
        return failure(summary)
    error = Interrupted(
        f"Interrupted: {summary.rows.queued} people are still queued. What was in flight is recorded.",
        hint=f"Go on: voicebatch resume {summary.run_id}",
        signal_number=signal_number,
    )
    error.summary = summary
    return error


def _refuse_unasked(*, yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on. Nothing was sent.", hint="To send without asking: --yes")


def _ask(question: str) -> None:
    if not click.confirm(question, err=True):
        raise UsageError("Nothing was sent.")


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text.replace(",", "."))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise UsageError(f"--max-cost {text!r} is no amount.", hint="Write it like 25 or 12.50")
    return amount
