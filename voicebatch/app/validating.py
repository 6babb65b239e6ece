"""The input against its schema, and marked copies of it that say what is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from voicebatch.app.clocks import SystemClock
from voicebatch.app.options import OnProgress, Paths, ignore_progress, input_options, parse_max_invalid, paths_of
from voicebatch.app.schemas import read_schema, with_settings
from voicebatch.settings import NO_NAMES, InputOptions

if TYPE_CHECKING:
    from voicebatch.models import Fault
    from voicebatch.pipeline.intake import InputFile
    from voicebatch.pipeline.plan import Plan
    from voicebatch.pipeline.validating import Validation
    from voicebatch.sending import Clock


def validate(
    files: Paths,
    *,
    schema: str | os.PathLike[str] | None = None,
    region: str = "FR",
    phone_column: str | None = None,
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    include_hidden: bool = False,
    extra_lang: Sequence[str] = (),
    max_invalid: str = "5%",
    annotate: bool = False,
    out: str | os.PathLike[str] = "reports",
    clock: Clock | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Validation:
    """Checks the input against the schema and writes ``rejected.csv``; sends nothing, reads no ledger.

    ``annotate`` writes a copy of each file that has bad rows, with those marked. The result counts the rows and lists
    every fault. Raises ``UsageError`` for wrong options and ``InputError`` for
    an input that is no table; too many bad rows are in the result's ``error``.
    """
    from voicebatch.pipeline import validating
    from voicebatch.pipeline.rules import rules_of

    inputs = input_options(schema, region, phone_column, sheet, delimiter, encoding, include_hidden=include_hidden)
    loaded = read_schema(inputs.schema)
    result = validating.validate(
        paths_of(files),
        inputs=inputs,
        schema=with_settings(loaded.schema),
        rules=rules_of(inputs.region, extra_languages=extra_lang, now=(clock or SystemClock()).now()),
        max_invalid=parse_max_invalid(max_invalid),
        out=Path(out),
        on_progress=on_progress,
    )
    if not annotate:
        return result
    return replace(result, annotated=_annotate(files, inputs, result.files, result.faults, result.report_dir))


def annotate_plan(plan: Plan, files: Paths, names: Mapping[str, str] = NO_NAMES) -> tuple[Path, ...]:
    """Writes into the plan's folder a marked copy of each of its ``files`` that has bad rows; returns where.

    ``names`` are those that the plan was made with.
    """
    paths = {name: path for path, name in names.items()}
    read = [replace(file, name=paths.get(file.name, file.name)) for file in plan.intake.files]
    faults = [replace(fault, file=paths.get(fault.file, fault.file)) for fault in plan.intake.faults]
    options = plan.manifest["options"]
    wanted = (field.name for field in fields(InputOptions) if field.name != "schema")
    inputs = InputOptions(**{name: options[name] for name in wanted})
    return _annotate(files, inputs, read, faults, plan.report_dir)


def _annotate(
    files: Paths, inputs: InputOptions, read: Sequence[InputFile], faults: Sequence[Fault], folder: Path
) -> tuple[Path, ...]:
    from voicebatch.pipeline.annotating import annotate

    sha256 = {file.name: file.sha256 for file in read}
    return annotate(paths_of(files), inputs=inputs, faults=faults, sha256=sha256, folder=folder)
