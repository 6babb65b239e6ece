"""From files to recipients: read, validate, normalise, render. Columns all the way, one record batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch import headers, phones, readers
from voicebatch.errors import InputError
from voicebatch.models import Fault, Message, Progress
from voicebatch.pipeline.numbers import digits_of
from voicebatch.pipeline.writing import MessageWriter
from voicebatch.reports.rejected import RejectedRow
from voicebatch.settings import InputOptions
from voicebatch.validation import Rules, Schema, Validator

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_MESSAGE: Final = -1
NO_NUMBER: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One table of the input as the manifest names it."""

    name: str
    sha256: str
    form: str
    header: tuple[str, ...]
    phone_column: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The input as columns: one entry for every row, in the order of the files and of their rows.

    ``file`` is a position in ``files``, ``number`` the E.164 digits (0: none), ``message`` a position in ``messages``
    (-1: none), counted by first appearance. A row with a fault is rejected; a ``hidden`` one has neither fault nor
    message.
    """

    files: tuple[InputFile, ...]
    file: NDArray[np.int32]
    row: NDArray[np.int64]
    number: NDArray[np.int64]
    message: NDArray[np.int32]
    rejected: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    messages: tuple[Message, ...]
    faults: tuple[Fault, ...]
    rejected_rows: tuple[RejectedRow, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        """The union of the files' headers, in their order."""
        return tuple(dict.fromkeys(header for file in self.files for header in file.header))


def take_in(
    files: Sequence[Path],
    *,
    options: InputOptions,
    schema: Schema,
    rules: Rules,
    writer: MessageWriter | None,
    on_progress: Callable[[Progress], None],
) -> Intake:
    """Reads every row once. Without a ``writer`` no message is rendered: that is ``validate``.

    Raises ``UsageError`` for a path that does not exist and ``InputError`` for what cannot be read as a table.
    """
    hashes = {path: readers.sha256(path) for path in files}
    opened = [(source, hashes[path]) for path in files for source in _open(path, options)]
    taken: list[_Taken] = []
    for source, sha256 in opened:
        done = sum(len(one.row) for one in taken)
        taken.append(_take_source(source, sha256, options, schema, rules, writer, _counting(on_progress, done)))
    return _joined(taken, writer)


def _open(path: Path, options: InputOptions) -> list[readers.Source]:
    return readers.open_sources(
        path,
        phone_column=options.phone_column,
        sheet=options.sheet,
        delimiter=options.delimiter,
        encoding=options.encoding,
    )


def _counting(on_progress: Callable[[Progress], None], before: int) -> Callable[[int], None]:
    return lambda rows: on_progress(Progress(stage="reading", done=before + rows))


@dataclass(slots=True, kw_only=True)
class _Taken:
    """What was taken from one source."""

    source: readers.Source
    sha256: str
    phone_column: str
    hidden_rows: frozenset[int]
    row: list[NDArray[np.int64]] = field(default_factory=list)
    number: list[NDArray[np.int64]] = field(default_factory=list)
    message: list[NDArray[np.int32]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    rejected_rows: list[RejectedRow] = field(default_factory=list)


def _take_source(
    source: readers.Source,
    sha256: str,
    options: InputOptions,
    schema: Schema,
    rules: Rules,
    writer: MessageWriter | None,
    on_rows: Callable[[int], None],
) -> _Taken:
    phone_column = _phone_column(source, options, schema)
    hidden_rows = frozenset[int]() if options.include_hidden else source.hidden.rows
    taken = _Taken(source=source, sha256=sha256, phone_column=phone_column, hidden_rows=hidden_rows)
    columns = _schema_columns(source, schema, phone_column)
    validator = Validator(
        schema, rules=rules, file=source.name, columns=columns, header=source.header, reads_phones=True
    )
    writing = writer.for_table(source.header, file=source.name) if writer else None
    for rows in source.batches():
        _take_rows(taken, rows, schema.phone_region or options.region, validator, writing)
        on_rows(sum(len(numbers) for numbers in taken.row))
    _take_late_faults(taken, validator.finish())
    return taken


def _phone_column(source: readers.Source, options: InputOptions, schema: Schema) -> str:
    """As the user says, else as the user's schema says, else by its usual name."""
    wanted = options.phone_column
    if wanted is None and schema.phone_column and schema.phone_column != "phone":
        wanted = headers.column(source.header, schema.phone_column)
    found = headers.find_phone_column(source.header, wanted=wanted, where=source.name)
    if source.header.index(found) in source.hidden.columns and not options.include_hidden:
        raise InputError(
            f"{source.name}: the column {headers.listed([found])} with the phone numbers is hidden.",
            hint="Show it and save the file; or call them all the same: --include-hidden",
        )
    return found


def _schema_columns(source: readers.Source, schema: Schema, phone_column: str) -> dict[str, str | None]:
    """The file's header for every column of the schema."""
    return {
        name: phone_column if name == schema.phone_column else headers.column(source.header, name)
        for name in schema.columns
    }


def _take_rows(taken: _Taken, rows: readers.Rows, region: str, validator: Validator, writing: Any) -> None:
    cells, file = rows.cells, taken.source.name
    read = phones.normalise(cells.column(taken.phone_column), region=region)
    faults = [
        *(
            Fault(file=file, row=row, column="", check="row_shape", reason=reason)
            for row, reason in rows.faults.items()
        ),
        *validator.check(rows.numbers, cells, read.faults),
    ]
    faults += _phone_faults(taken, rows, read, faults)
    faults = [fault for fault in faults if fault.row not in taken.hidden_rows]
    good = np.isin(rows.numbers, [*taken.hidden_rows, *(fault.row for fault in faults)], invert=True)
    message = np.full(len(good), NO_MESSAGE, dtype=np.int32)
    if writing:
        message[good], missing = writing.write(rows.numbers[good], cells.filter(pa.array(good)))
        faults += missing
    taken.row.append(rows.numbers)
    taken.number.append(_digits(read.e164))
    taken.message.append(message)
    taken.faults += faults
    taken.rejected_rows += _rejected_rows(file, rows, {fault.row for fault in faults})


def _phone_faults(taken: _Taken, rows: readers.Rows, read: phones.Phones, faults: Sequence[Fault]) -> Iterator[Fault]:
    """A number that cannot be called is a fault whether the schema asks for it or not, and only once."""
    told = {fault.row for fault in faults if fault.column == taken.phone_column}
    for position, fault in read.faults.items():
        row = int(rows.numbers[position])
        if row not in told:
            yield Fault(
                file=taken.source.name, row=row, column=taken.phone_column, check=fault.check, reason=fault.reason
            )


def _digits(e164: Any) -> NDArray[np.int64]:
    return digits_of(pc.fill_null(e164, f"+{NO_NUMBER}"))


def _take_late_faults(taken: _Taken, faults: Sequence[Fault]) -> None:
    """Faults that only the whole file shows: their rows are read once more, to be given back as they came."""
    faults = [fault for fault in faults if fault.row not in taken.hidden_rows]
    rejected = {fault.row for fault in taken.faults}
    late = {fault.row for fault in faults} - rejected
    taken.faults += faults
    if late:
        for rows in taken.source.batches():
            taken.rejected_rows += _rejected_rows(taken.source.name, rows, late)


def _rejected_rows(file: str, rows: readers.Rows, wanted: set[int]) -> list[RejectedRow]:
    if not wanted:
        return []
    mask = np.isin(rows.numbers, list(wanted))
    lines: list[Mapping[str, str | None]] = rows.cells.filter(pa.array(mask)).to_pylist()
    return [
        RejectedRow(file=file, row=int(row), cells=cells) for row, cells in zip(rows.numbers[mask], lines, strict=True)
    ]


def _joined(taken: Sequence[_Taken], writer: MessageWriter | None) -> Intake:
    row = [_concatenated(one.row, np.int64) for one in taken]
    rejected = [np.isin(numbers, [fault.row for fault in one.faults]) for numbers, one in zip(row, taken, strict=True)]
    hidden = [np.isin(numbers, [*one.hidden_rows]) for numbers, one in zip(row, taken, strict=True)]
    return Intake(
        files=tuple(_input_file(one) for one in taken),
        file=np.repeat(np.arange(len(taken), dtype=np.int32), [len(numbers) for numbers in row]),
        row=_concatenated(row, np.int64),
        number=_concatenated([part for one in taken for part in one.number], np.int64),
        message=_concatenated([part for one in taken for part in one.message], np.int32),
        rejected=_concatenated(rejected, np.bool_),
        hidden=_concatenated(hidden, np.bool_),
        messages=writer.messages if writer else (),
        faults=tuple(fault for one in taken for fault in sorted(one.faults, key=lambda fault: fault.row)),
        rejected_rows=tuple(line for one in taken for line in sorted(one.rejected_rows, key=lambda line: line.row)),
    )


def _concatenated(parts: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)


def _input_file(taken: _Taken) -> InputFile:
    return InputFile(
        name=taken.source.name,
        sha256=taken.sha256,
        form=taken.source.form,
        header=taken.source.header,
        phone_column=taken.phone_column,
        rows=sum(len(numbers) for numbers in taken.row),
    )
