"""``voicebatch report``."""

from __future__ import annotations

import click

from voicebatch.cli import options


@click.command
@click.argument("run")
@options.option("--out", metavar="DIR", help="Default: where the run's reports are.")
@options.option("--sandbox", is_flag=True, help="A run of the sandbox's ledger.")
@options.common
def report(
    run: str,
    *,
    out: str | None,
    sandbox: bool,
    ledger: str | None,
    as_json: bool,
    verbose: int,
    quiet: bool,  # noqa: ARG001 # shows no progress
) -> None:
    """Write the reports of RUN again, from the ledger. RUN is an id, its beginning, or latest."""
    from voicebatch import app
    from voicebatch.cli import output

    output.set_up_log(verbose)
    summary = app.report(run, out=out, ledger=ledger, sandbox=sandbox)
    if as_json:
        output.print_json(output.summary_json(summary))
    else:
        output.print_summary(summary)
