"""``voicebatch runs`` and ``voicebatch runs show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from voicebatch.cli import options
from voicebatch.errors import LedgerError, UnknownError, UsageError
from voicebatch.models import RunStatus

if TYPE_CHECKING:
    from voicebatch.models import Story


@click.group(invoke_without_command=True)
@options.option("--sandbox", is_flag=True, help="The sandbox's ledger.")
@options.common
@click.pass_context
def runs(context: click.Context, *, sandbox: bool, common: options.Common) -> None:
    """List the ledger's runs, the newest first."""
    if context.invoked_subcommand:
        return
    from voicebatch import app
    from voicebatch.cli import output

    summaries = app.all_summaries(ledger=common.ledger, sandbox=sandbox)
    if common.as_json:
        output.print_json({"runs": [output.summary_json(summary) for summary in summaries]})
    elif summaries:
        output.print_table(output.runs_table(summaries))
        if any(summary.rows.unknown and summary.status is not RunStatus.RUNNING for summary in summaries):
            output.say(common.typeable("What is unknown, and what to do: voicebatch runs show RUN"))
    else:
        there = "" if sandbox else " Rehearsals have their own ledger: voicebatch runs --sandbox"
        output.say(f"No runs yet.{_no_ledger(common.ledger, sandbox=sandbox)}{there}")


def _no_ledger(ledger: str | None, *, sandbox: bool) -> str:
    from voicebatch import app

    try:
        with app.opened(ledger or app.default_ledger(sandbox=sandbox), create=False):
            return ""
    except UsageError as error:
        return f" {error.message}"


@runs.command
@click.argument("run")
@options.option("--sandbox", is_flag=True, help="A run of the sandbox's ledger.")
@options.common
@click.pass_context
def show(context: click.Context, run: str, *, sandbox: bool, common: options.Common) -> None:
    """Show RUN as it stands, and what happened to it. RUN is an id, its beginning, or latest."""
    from voicebatch import app
    from voicebatch.cli import output, story
    from voicebatch.pipeline.running import failure

    sandbox = sandbox or bool(context.parent and context.parent.params["sandbox"])
    run_id = _find(run, common.ledger, sandbox=sandbox)
    told = _story(run_id, common.ledger, sandbox=sandbox)
    summary = app.summary_of(run_id, ledger=common.ledger, sandbox=sandbox)
    if common.as_json:
        output.print_json({**output.summary_json(summary), "story": story.story_json(told)})
        return
    output.print_summary(summary, common)
    story.print_story(told, summary.run_id, common)
    if error := failure(summary):
        output.say(error.message)
    if error and not isinstance(error, UnknownError):  # the story says what to do with what is unknown
        output.say(common.typeable(error.hint.partition("\n")[0]))


def _find(run: str, ledger: str | None, *, sandbox: bool) -> str:
    from voicebatch import app

    try:
        return app.run_id_of(run, ledger=ledger, sandbox=sandbox)
    except UsageError as error:
        if not sandbox:
            error.hint += "\nRehearsals have their own ledger: if it was one, add --sandbox"
        raise


def _story(run_id: str, ledger: str | None, *, sandbox: bool) -> Story:
    """What a worker that is gone left under way is unknown from now on, if the ledger can be written."""
    from voicebatch import app

    try:
        return app.story_of(run_id, ledger=ledger, sandbox=sandbox, give_up_lost=True)
    except LedgerError:
        return app.story_of(run_id, ledger=ledger, sandbox=sandbox)
