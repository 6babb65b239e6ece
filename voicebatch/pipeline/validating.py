"""``validate``: the input against the schema, and the bad rows back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicebatch import readers
from voicebatch.errors import InputError
from voicebatch.models import Fault, Progress, RowCounts, digest
from voicebatch.pipeline.intake import InputFile, take_in
from voicebatch.pipeline.plan import too_many_bad_rows
from voicebatch.reports.cells import make_folder, write_blocks
from voicebatch.reports.rejected import rejected_csv
from voicebatch.settings import InputOptions, MaxInvalid
from voicebatch.validation import Rules, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What is wrong with an input: counts, every fault, the folder with ``rejected.csv``, and the marked copies.

    ``error`` is set when there are more bad rows than were allowed.
    """

    rows: RowCounts
    files: tuple[InputFile, ...]
    faults: tuple[Fault, ...]
    report_dir: Path
    error: InputError | None
    annotated: tuple[Path, ...] = ()


def validate(
    files: Sequence[Path],
    *,
    inputs: InputOptions,
    schema: Schema,
    rules: Rules,
    max_invalid: MaxInvalid,
    out: Path,
    on_progress: Callable[[Progress], None],
) -> Validation:
    """Reads and checks every row, and writes the bad ones to ``rejected.csv`` below ``out``."""
    hashes = [readers.sha256(path) for path in files]
    intake = take_in(
        files, hashes=hashes, options=inputs, schema=schema, rules=rules, writer=None, on_progress=on_progress
    )
    folder = out / f"validate-{digest(hashes)[:12]}"
    make_folder(folder)
    write_blocks(folder / "rejected.csv", rejected_csv(intake.headers, intake.rejected_rows))
    rejected = int(np.count_nonzero(intake.rejected))
    hidden = int(np.count_nonzero(intake.hidden))
    counts = RowCounts(total=len(intake.row), rejected=rejected, suppressed=hidden)
    return Validation(
        rows=counts,
        files=intake.files,
        faults=intake.faults,
        report_dir=folder,
        error=too_many_bad_rows(counts, max_invalid, folder),
    )
