"""``voicebatch schema init`` and ``voicebatch schema show``."""

from __future__ import annotations

from pathlib import Path

import click

from voicebatch.cli import options
from voicebatch.errors import UsageError


@click.group
def schema() -> None:
    """Write a schema to start from, or explain one in words."""


@schema.command
@click.argument("path", default="schema.yaml", type=click.Path())
@options.common
def init(path: str, *, common: options.Common) -> None:
    """Write the packaged schema to PATH, with comments on how to add a column. Never overwrites."""
    from voicebatch import app
    from voicebatch.cli import output

    target = Path(path)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(app.packaged_schema("recipients").read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", hint="Name another path.") from error
    if common.as_json:
        output.print_json({"schema": str(target)})
    else:
        click.echo(f"Wrote {path}. Check a file with it: voicebatch validate FILE --schema {path}")


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
