"""``voicebatch schema init``, ``infer`` and ``show``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from voicebatch.cli import options
from voicebatch.errors import UsageError


@click.group
def schema() -> None:
    """Write a schema to start from, infer one from a file, or explain one in words."""


@schema.command
@click.argument("path", default="schema.yaml", type=click.Path())
@options.common
def init(path: str, *, common: options.Common) -> None:
    """Write the packaged schema to PATH, with comments on how to add a column. Never overwrites."""
    from voicebatch import app
    from voicebatch.cli import output

    _write_new(path, app.packaged_schema("recipients").read_text(encoding="utf-8"))
    if common.as_json:
        output.print_json({"schema": path})
    else:
        click.echo(f"Wrote {path}. Check a file with it: voicebatch validate FILE --schema {path}")


@schema.command
@options.files
@options.option("--output", metavar="PATH", type=click.Path(), help="A new file for it. Default: standard output.")
@options.form
@options.common
def infer(files: tuple[str, ...], output: str | None, *, common: options.Common, **how: Any) -> None:
    """Write a first schema from what FILES hold, to be read and changed. Says what was seen in comments.

    Never overwrites, and shows nobody's data: a value only where few repeat again and again.
    """
    from voicebatch import app
    from voicebatch.cli.output import counted, print_json
    from voicebatch.cli.progress import shown

    if output:
        _refuse_existing(output)
    with shown(quiet=common.quiet) as on_progress:
        found = app.infer_schema(files, on_progress=on_progress, **how)
    if output:
        _write_new(output, found.text)
    if common.as_json:
        print_json({"schema": output, "rows": found.rows, "columns": found.columns, "yaml": found.text})
    elif output:
        what = f"{counted(found.columns, 'column')} of {counted(found.rows, 'row')}"
        click.echo(f"Wrote {output}, with {what}. Read it through, then: voicebatch validate FILE --schema {output}")
    else:
        click.echo(found.text, nl=False)


@schema.command
@click.argument("path", required=False, type=click.Path())
@options.common
def show(path: str | None, *, common: options.Common) -> None:
    """Explain the schema in PATH, or the packaged one, in words."""
    from voicebatch import app, validation
    from voicebatch.cli import output

    lines = validation.explain(app.read_schema(Path(path) if path else None).schema)
    if common.as_json:
        output.print_json({"schema": path or "recipients.yaml", "explanation": lines})
    else:
        click.echo("\n".join(lines))


def _refuse_existing(path: str) -> None:
    if Path(path).exists():
        raise UsageError(f"{path} cannot be written: File exists.", hint="Name another path.")


def _write_new(path: str, text: str) -> None:
    """Writes a file that must not be there yet."""
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", hint="Name another path.") from error
