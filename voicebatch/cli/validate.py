"""``voicebatch validate``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from voicebatch.cli import options

if TYPE_CHECKING:
    from voicebatch.pipeline.validating import Validation

_FAULTS: Final = 1000  # one by one in JSON; all of them are in rejected.csv


@click.command
@options.files
@options.reading
@options.common
def validate(files: tuple[str, ...], *, common: options.Common, **how: Any) -> None:
    """Check FILES against the schema and write the bad rows to rejected.csv. Sends nothing."""
    from voicebatch import app
    from voicebatch.cli import output, progress
    from voicebatch.pipeline.grouping import grouped

    with progress.shown(quiet=common.quiet) as on_progress:
        result = app.validate(files, on_progress=on_progress, **how)
    if result.error:
        result.error.rows, result.error.report_dir = result.rows, str(result.report_dir)
        result.error.annotated = [*map(str, result.annotated)] if how["annotate"] else None
        if not common.as_json:
            _print(result)
        raise output.BadRows(result.error, grouped(result.faults))
    if common.as_json:
        annotated = {"annotated": [*map(str, result.annotated)]} if how["annotate"] else {}
        output.print_json(_json(result) | annotated)
    else:
        _print(result)


def _json(result: Validation) -> dict[str, Any]:
    from voicebatch.cli import output
    from voicebatch.pipeline.grouping import grouped

    return {
        "rows": asdict(result.rows),
        "files": [{"file": file.name, "form": file.form, "rows": file.rows} for file in result.files],
        **output.groups_json(grouped(result.faults)),
        "faults": [
            {"file": fault.file, "row": fault.row, "column": fault.column, "check": fault.check}
            for fault in result.faults[:_FAULTS]
        ],
        "faults_left_out": max(0, len(result.faults) - _FAULTS),
        "report_dir": str(result.report_dir),
    }


def _print(result: Validation) -> None:
    from voicebatch.cli import output
    from voicebatch.pipeline.grouping import grouped

    for file in result.files:
        output.echo(
            f"{file.name}: {file.form}, {output.counted(file.rows, 'row')}, phone numbers in “{file.phone_column}”"
        )
    for line in output.fault_lines(grouped(result.faults), files=len(result.files)):
        output.echo(line)
    if hidden := result.rows.suppressed:
        output.echo(f"{output.counted(hidden, 'row')} hidden: left out, unless --include-hidden takes them")
    output.echo(f"{result.rows.rejected} of {result.rows.total} rows are bad: {result.report_dir / 'rejected.csv'}")
    output.print_copies(map(str, result.annotated))
