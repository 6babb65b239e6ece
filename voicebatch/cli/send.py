"""``voicebatch send`` and ``voicebatch resume``."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import click

from voicebatch import models
from voicebatch.cli import options, output
from voicebatch.cli.asking import ask, refuse_unasked
from voicebatch.cli.plan import (
    cost_words,
    finish_words,
    known_run,
    make_plan,
    marked_copies,
    message_from,
    plan_options,
    print_plan,
    settle_address,
    show_plan,
    warn_of_unreadable,
)
from voicebatch.errors import Interrupted, UsageError, VoicebatchError

if TYPE_CHECKING:
    from voicebatch.app.account import UnknownRecordings
    from voicebatch.ledger import Run
    from voicebatch.models import RunSummary
    from voicebatch.pipeline.outlook import Outlook
    from voicebatch.pipeline.plan import Plan

SEND = ("base_url", "sandbox", "callbacks", "rate", "concurrency", "workers", "timeout")
_NOTHING: Final = "Nothing was sent."
_LEFT_AT_ONCE: Final = (
    "Left at once. What was in flight may have been sent: it becomes unknown. Go on: voicebatch resume {}"
)


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
        _warn_of_another_plan(run, how)
        _resume(run.id, how, common, _copies_again(files, message, how, common))
        return
    with progress.shown(quiet=common.quiet) as on_progress:
        made = make_plan(files, message, how, on_progress)
        copies = marked_copies(made, files, how)
    _show_copies(copies, common)
    if how["yes"]:
        if not common.quiet:
            print_plan(made, on_stderr=True)
        _look_before(made, how, common)
    else:
        print_plan(made, on_stderr=common.as_json)
        _look_before(made, how, common)
        _show_ceiling(how["max_cost"], made)
        _show_address(how["base_url"])
        ask(f"Call {models.people(made.counts.queued)} now?", otherwise=_NOTHING)
    _finish(lambda **more: app.send(made, **more), made.run_id, how, common, copies)


def _copies_again(
    files: tuple[str, ...], message: models.Message, how: dict[str, Any], common: options.Common
) -> dict[str, list[str]]:
    """The marked copies for a run that is planned already: what was wrong with the files is not in its ledger."""
    from voicebatch import app

    copies = marked_copies(app.plan(files, message, **plan_options(how)), files, how) if how["annotate"] else {}
    _show_copies(copies, common)
    return copies


def _show_copies(copies: dict[str, list[str]], common: options.Common) -> None:
    if not common.as_json:
        output.print_copies(copies.get("annotated", ()))


@click.command
@click.argument("run")
@options.suppressing
@options.reporting
@options.sending
@options.pricing
@options.address
@options.common
def resume(run: str, *, common: options.Common, **how: Any) -> None:
    """Go on with RUN: send what is still queued, and nothing else. RUN is an id, its beginning, or latest."""
    _check(how)
    _resume(run, how, common)


def _check(how: dict[str, Any]) -> None:
    """Refuses what cannot be before any work is done, and finds the API key."""
    from voicebatch import app

    refuse_unasked(yes=how["yes"], otherwise=_NOTHING)
    how["max_cost"] = _amount(how["max_cost"])
    settle_address(how)
    if how["callbacks"] and not how["sandbox"]:
        raise UsageError(
            "--callbacks is for a rehearsal: real callbacks need an address that the provider can reach.",
            hint="Add --sandbox; or give --notify-url, with `voicebatch listen` behind it.",
        )
    how["api_key"] = app.check_address(how["base_url"], sandbox=how["sandbox"])


def _resume(run: str, how: dict[str, Any], common: options.Common, copies: dict[str, list[str]] | None = None) -> None:
    from voicebatch import app

    what = {name: how[name] for name in ("price_table", "suppress")} | {"ledger": common.ledger}
    where = {name: how[name] for name in ("base_url", "sandbox", "rate")}
    left = app.outlook_of(run, **what, **where)
    warn_of_unreadable(left.opt_outs)
    _ask_to_resume(left, how, common)
    # By its id: while we asked, another run may have become the latest one.
    _finish(lambda **more: app.resume(left.run_id, out=how["out"], **what, **more), left.run_id, how, common, copies)


def _look_before(to_send: Plan | Outlook, how: dict[str, Any], common: options.Common) -> None:
    """Whether the recordings exist and the credit covers it. A rehearsal in a sandbox of its own has no account."""
    if how["sandbox"]:
        return
    from voicebatch.app import account

    base_url = how["base_url"] or getattr(to_send, "base_url", None)
    settings = {name: how[name] for name in ("api_key", "timeout", "require_credit")}
    try:
        checked = account.check_before_sending(
            to_send, base_url=base_url, ledger=common.ledger, on_wait=output.say_waiting, **settings
        )
    except account.UnknownRecordings as error:
        raise _with_rows(error, to_send) from None
    for line in checked.warnings:
        output.say(line)
    for line in () if common.quiet else checked.notes:
        output.say(line)


def _with_rows(error: UnknownRecordings, to_send: Plan | Outlook) -> VoicebatchError:
    """Of a plan, whose files are written: which rows they are."""
    from voicebatch import app
    from voicebatch.pipeline.grouping import grouped
    from voicebatch.pipeline.plan import Plan

    if not isinstance(to_send, Plan):
        return error
    app.write_plan(to_send)
    groups = grouped(error.faults)
    for line in output.fault_lines(groups, files=len(to_send.intake.files)):
        output.say(line)
    error.summary = to_send.summary()
    return output.BadRows(error, groups)


def _ask_to_resume(left: Outlook, how: dict[str, Any], common: options.Common) -> None:
    if not left.people:
        output.say(f"Run {left.run_id} has nothing queued: nobody is called now. This is how it ended.")
        return
    people = models.people(left.people)
    if how["yes"]:
        output.say(f"Run {left.run_id} goes on with {people} still queued.")
        _show_address(how["base_url"] or left.base_url)
        _look_before(left, how, common)
        return
    output.say(f"Run {left.run_id}: {people} still queued, in {output.counted(left.requests, 'request')}, "
               f"all out by {finish_words(left.earliest_finish)}")  # fmt: skip
    output.say(f"Estimated cost: {cost_words(left.prices, left.messages_by_code)}")
    _look_before(left, how, common)
    _show_ceiling(how["max_cost"], left, left.charged)
    _show_address(how["base_url"] or left.base_url)
    ask(f"Run {left.run_id}: call {people} now?", otherwise=_NOTHING)


def _show_ceiling(max_cost: Decimal | None, to_send: Plan | Outlook, charged: Decimal = Decimal(0)) -> None:
    from voicebatch.pipeline.running import check_prices
    from voicebatch.pricing import money

    if max_cost is None:
        return
    check_prices(to_send.prices, to_send.messages_by_code)
    so_far = f" for the whole run, of which {money(charged)} is charged already" if charged else ""
    output.say(f"Ceiling: {money(max_cost)} {to_send.prices.currency or 'EUR'}{so_far}")


def _show_address(base_url: str | None) -> None:
    if output.is_elsewhere(base_url):
        output.say(f"It is sent to {base_url}, not to the provider.")


def _warn_of_another_plan(run: Run, how: dict[str, Any]) -> None:
    """A plan is sealed: these options had their say when it was made."""
    from voicebatch.app import parse_max_invalid
    from voicebatch.pacing import parse_duration

    asked = {
        "batch_size": how["batch_size"],
        **{name: how[name] for name in ("notify_url", "notify_email", "sender")},
        "repeat_window": str(parse_duration(how["repeat_window"])),
        "max_invalid": str(parse_max_invalid(how["max_invalid"])),
    }
    planned = run.manifest["options"]
    others = [f"--{name.replace('_', '-')} (planned with {planned.get(name) or 'none'})"
              for name, value in asked.items() if planned.get(name) != value]  # fmt: skip
    if others:
        output.say(f"Run {run.id} is planned already, so these options change nothing: {', '.join(others)}.")


def _finish(
    work: Callable[..., RunSummary],
    run_id: str,
    how: dict[str, Any],
    common: options.Common,
    copies: dict[str, list[str]] | None = None,
) -> None:
    """Does the sending and prints how it ended; raises what the exit code comes from."""
    from voicebatch.cli import progress, signals

    settings = {name: how[name] for name in (*SEND, "max_cost", "api_key")}
    last_words = common.typeable(_LEFT_AT_ONCE.format(run_id))
    with signals.stopping(last_words) as received, progress.shown(quiet=common.quiet) as on_progress:
        summary = work(stop=received.stop, on_progress=on_progress, **settings)
    error = _error(summary, received.number)
    copies = copies or {}
    if not common.as_json:
        output.print_summary(summary, common)
    if error:
        error.annotated = copies.get("annotated")
        raise error
    if common.as_json:
        output.print_json(output.summary_json(summary) | copies)


def _error(summary: RunSummary, signal_number: int | None) -> VoicebatchError | None:
    from voicebatch.pipeline.running import failure, with_unknown

    if signal_number is None or not summary.rows.queued:
        return failure(summary)
    error = Interrupted(
        f"Interrupted, with {models.people(summary.rows.queued)} still queued. What was in flight is recorded.",
        hint=with_unknown(f"Go on: voicebatch resume {summary.run_id}", summary),
        signal_number=signal_number,
    )
    error.summary = summary
    return error


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
