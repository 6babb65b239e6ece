"""``voicebatch report``."""

from __future__ import annotations

import click

from voicebatch.cli import options


@click.command
@click.argument("run")
@options.reporting
@options.option("--sandbox", is_flag=True, help="A run of the sandbox's ledger.")
@options.common
def report(run: str, *, out: str | None, sandbox: bool, common: options.Common) -> None:
    """Write the reports of RUN again, from the ledger. RUN is an id, its beginning, or latest."""
    from voicebatch import app
    from voicebatch.cli import output
    from voicebatch.pipeline.running import failure

    summary = app.report(run, out=out, ledger=common.ledger, sandbox=sandbox)
    if common.as_json:
        output.print_json(output.summary_json(summary))
        return
    output.print_summary(summary, common)
    if error := failure(summary):
        output.say(error.message)
        output.say(common.typeable(error.hint))
