"""``voicebatch runs`` and ``voicebatch runs show``."""

from __future__ import annotations

import click

from voicebatch.cli import options


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
    else:
        output.say("No runs yet." + ("" if sandbox else " Rehearsals have their own ledger: voicebatch runs --sandbox"))


@runs.command
@click.argument("run")
@options.option("--sandbox", is_flag=True, help="A run of the sandbox's ledger.")
@options.common
@click.pass_context
def show(context: click.Context, run: str, *, sandbox: bool, common: options.Common) -> None:
    """Show RUN as it stands: its countries, rows and cost. RUN is an id, its beginning, or latest."""
    from voicebatch import app
    from voicebatch.cli import output
    from voicebatch.pipeline.running import failure

    above = context.parent.params["sandbox"] if context.parent else False
    summary = app.summary_of(run, ledger=common.ledger, sandbox=sandbox or above)
    if common.as_json:
        output.print_json(output.summary_json(summary))
        return
    output.print_summary(summary)
    if error := failure(summary):
        output.say(error.message)
        output.say(options.same_place(error.hint, ledger=common.ledger, sandbox=sandbox or above))
