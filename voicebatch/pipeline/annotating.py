"""``--annotate``: the input files that have bad rows, given back with those rows marked."""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from voicebatch import readers
from voicebatch.errors import InputError, UsageError
from voicebatch.models import Fault
from voicebatch.pipeline.intake import open_tables
from voicebatch.reports.annotated import MOST_CELLS, Names, marks_of, reasons_of
from voicebatch.reports.annotated_table import SHEET, Row, TooLarge, write_table
from voicebatch.reports.annotated_text import mark_text
from voicebatch.reports.annotated_workbook import NotMarkable, mark_workbook
from voicebatch.reports.cells import make_folder
from voicebatch.settings import InputOptions

_LOG: Final = logging.getLogger(__name__)
_WORKBOOKS: Final = (".xlsx", ".xlsm")
_TEXTS: Final = (".csv", ".tsv", ".txt")


def annotate(
    files: Sequence[Path], *, inputs: InputOptions, faults: Sequence[Fault], sha256: dict[str, str], folder: Path
) -> tuple[Path, ...]:
    """Writes a marked copy of each file that has bad rows, and says where: ``Name.annotated.xlsx``.

    A text file and an .xlsx stay what they are; of any other format it is a workbook of the rows as they were read.
    ``sha256`` says of each file, by its name, what was in it when the faults were found.
    """
    by_file: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_file[fault.file].append(fault)
    if not by_file:
        return ()
    make_folder(folder)
    names = Names(folder, files)
    try:
        return tuple(
            names.place(copy, f"{Path(source.name).stem}{ending}")
            for path in files
            for source in _with_faults(path, inputs, by_file, sha256)
            for copy, ending in _copies(source, by_file[source.name], names.partial())
        )
    except OSError as error:
        raise UsageError(
            f"No marked copy can be written to {folder}: {error.strerror}.", hint="Name another folder: --out DIR"
        ) from error
    finally:
        names.partial().unlink(missing_ok=True)


def _with_faults(
    path: Path, inputs: InputOptions, by_file: dict[str, list[Fault]], sha256: dict[str, str]
) -> Iterator[readers.Source]:
    if not path.is_dir() and str(path) not in by_file:
        return
    found = [source for source in open_tables(path, inputs) if source.name in by_file]
    if found and readers.sha256(path) != sha256[found[0].name]:
        raise InputError(f"{path} changed while it was read.", hint="Run the command again.")
    yield from found


def _copies(source: readers.Source, faults: Sequence[Fault], copy: Path) -> Iterator[tuple[Path, str]]:
    """The copy of one table, and the ending of its name; none of a table that is too large for a workbook."""
    path, origin = Path(source.name), source.origin
    if origin.codec:
        mark_text(
            path,
            copy,
            codec=origin.codec,
            delimiter=origin.delimiter,
            header_row=origin.header_row,
            width=len(source.header),
            reasons=reasons_of(faults),
        )
        yield copy, path.suffix if path.suffix.lower() in _TEXTS else _TEXTS[0]
        return
    with contextlib.suppress(NotMarkable):
        if origin.sheet:
            _mark(path, copy, origin.sheet, source, faults)
            yield copy, path.suffix if path.suffix.lower() in _WORKBOOKS else _WORKBOOKS[0]
            return
    plain = copy.with_name(f"rows-{copy.name}")
    try:
        write_table(plain, _rows(source), hidden_rows=source.hidden.rows, hidden_columns=source.hidden.columns)
        _mark(plain, copy, SHEET, source, faults)
        yield copy, _WORKBOOKS[0]
    except TooLarge:
        _LOG.warning("%s has more rows or columns than a workbook: there is no marked copy of it.", source.name)
    finally:
        plain.unlink(missing_ok=True)


def _mark(path: Path, copy: Path, sheet: str, source: readers.Source, faults: Sequence[Fault]) -> None:
    marks = marks_of(faults, source.header)
    mark_workbook(path, copy, sheet, marks)
    if len(marks) > MOST_CELLS:
        _LOG.warning("%s: the first %s of %s bad cells are marked.", source.name, f"{MOST_CELLS:,}", f"{len(marks):,}")


def _rows(source: readers.Source) -> Iterator[Row]:
    lines = (
        (int(number), list(line.values()))
        for rows in source.batches()
        for number, line in zip(rows.numbers, rows.cells.to_pylist(), strict=True)
    )
    return chain([(source.origin.header_row, source.header)], lines)
