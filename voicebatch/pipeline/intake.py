"""From files to recipients: read, validate, normalise, render. Columns all the way, one record batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from voicebatch import headers, phones, readers
from voicebatch.errors import InputError
from voicebatch.models import Fault, Progress
from voicebatch.pipeline.ahead import map_ahead
from voicebatch.pipeline.messages import NO_MESSAGE, NO_MESSAGES, Messages
from voicebatch.pipeline.rejects import Rejects
from voicebatch.pipeline.writing import MessageWriter, TableWriter
from voicebatch.reports.rejected import RejectedRows
from voicebatch.settings import NO_NAMES, InputOptions
from voicebatch.validation import Rules, Schema, Validator

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST_FAULTS: Final = 5


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

    ``starts`` says where each of ``files`` begins, ``number`` holds the E.164 digits (0: none), ``message`` a position
    in ``messages`` (-1: none), counted by first appearance. A row with a fault is rejected; a ``hidden`` one has
    neither fault nor message.
    """

    files: tuple[InputFile, ...]
    starts: NDArray[np.int64]
    row: NDArray[np.int32]
    number: NDArray[np.int64]
    message: NDArray[np.int32]
    rejected: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    messages: Messages
    faults: tuple[Fault, ...]
    rejected_rows: tuple[RejectedRows, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        """The union of the files' headers, in their order."""
        return tuple(dict.fromkeys(header for file in self.files for header in file.header))

    def files_of(self, positions: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
        """Of each of these rows the position of its file."""
        return np.searchsorted(self.starts, positions, side="right") - 1

    def file_of(self, position: int | np.integer[Any]) -> InputFile:
        """The file of one row."""
        return self.files[int(self.files_of([int(position)])[0])]


def take_in(
    files: Sequence[Path],
    *,
    hashes: Sequence[str],
    options: InputOptions,
    schema: Schema,
    rules: Rules,
    writer: MessageWriter | None,
    on_progress: Callable[[Progress], None],
    names: Mapping[str, str] = NO_NAMES,
) -> Intake:
    """Reads every row once. Without a ``writer`` no message is rendered: that is ``validate``.

    ``hashes`` are the SHA-256 of the files, for the manifest; ``names`` are what people call those that are copies, by
    their paths. Raises ``UsageError`` for a path that does not
    exist and ``InputError`` for what cannot be read as a table.
    """
    opened = [
        (replace(source, name=called(source.name, names)), sha256)
        for path, sha256 in zip(files, hashes, strict=True)
        for source in open_tables(path, options)
    ]
    desk = _Desk(options=options, schema=schema, rules=rules, writer=writer, on_progress=on_progress)
    for source, sha256 in opened:
        desk.take(source, sha256)
    return _joined(desk.taken, writer)


def called(name: str, names: Mapping[str, str]) -> str:
    """What people call what begins with the path of a copy."""
    return next((shown + name.removeprefix(path) for path, shown in names.items() if name.startswith(path)), name)


def open_tables(path: Path, options: InputOptions) -> list[readers.Source]:
    """The tables of a file or folder, opened as the options say."""
    return readers.open_sources(
        path,
        phone_column=options.phone_column,
        sheet=options.sheet,
        delimiter=options.delimiter,
        encoding=options.encoding,
    )


@dataclass(slots=True, kw_only=True)
class _Taken:
    """What was taken from one source."""

    source: readers.Source
    sha256: str
    phone_column: str
    hidden_rows: frozenset[int]
    row: list[NDArray[np.int32]] = field(default_factory=list)
    number: list[NDArray[np.int64]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    rejects: Rejects = field(default_factory=Rejects)
    rows: int = 0
    rejected: int = 0


class _Read(NamedTuple):
    """Some rows with what Arrow makes of them without a look at anything else: phone numbers, and plain texts."""

    rows: readers.Rows
    phones: phones.Phones
    texts: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """Takes in one source after another. The rows ahead are read and prepared by other threads meanwhile."""

    options: InputOptions
    schema: Schema
    rules: Rules
    writer: MessageWriter | None
    on_progress: Callable[[Progress], None]
    taken: list[_Taken] = field(default_factory=list)

    def take(self, source: readers.Source, sha256: str) -> None:
        """Every row of this source."""
        phone_column = _phone_column(source, self.options, self.schema)
        hidden_rows = frozenset[int]() if self.options.include_hidden else source.hidden.rows
        taken = _Taken(source=source, sha256=sha256, phone_column=phone_column, hidden_rows=hidden_rows)
        self.taken.append(taken)
        columns = schema_columns(source, self.schema, phone_column)
        validator = Validator(
            self.schema,
            rules=self.rules,
            file=source.name,
            columns=columns,
            header=source.header,
            reads_phones=True,
            unseen=hidden_rows,
        )
        with self.writer.for_table(source.header, file=source.name) if self.writer else nullcontext() as writing:
            for read in self._ahead(source, phone_column, writing):
                keys = _take_rows(taken, read, validator, writing)
                if self.writer:
                    self.writer.book.add(keys)
                self._tell(read.rows.share)
        _take_late_faults(taken, validator.finish())

    def _ahead(self, source: readers.Source, phone_column: str, writing: TableWriter | None) -> Iterator[_Read]:
        region = self.schema.phone_region or self.options.region
        prepare = partial(_prepared, phone_column=phone_column, region=region, writing=writing)
        return map_ahead(prepare, source.batches())

    def _tell(self, share: float) -> None:
        """How far it is, as if the sources to come had no rows."""
        done, here = sum(one.rows for one in self.taken), self.taken[-1].rows
        progress = Progress(
            stage="reading",
            done=done,
            total=round(done - here + here / share) if share else 0,
            rejected=sum(one.rejected for one in self.taken),
            first_faults=tuple(islice((fault for one in self.taken for fault in one.faults), _FIRST_FAULTS)),
        )
        self.on_progress(progress)


def _prepared(rows: readers.Rows, *, phone_column: str, region: str, writing: TableWriter | None) -> _Read:
    read = phones.normalise(rows.cells.column(phone_column), region=region)
    return _Read(rows, read, writing.plain_texts(rows.cells) if writing else None)


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


def schema_columns(source: readers.Source, schema: Schema, phone_column: str) -> dict[str, str | None]:
    """The file's header for every column of the schema."""
    return {
        name: phone_column if name == schema.phone_column else headers.column(source.header, name)
        for name in schema.columns
    }


def _take_rows(taken: _Taken, read: _Read, validator: Validator, writing: TableWriter | None) -> Any:
    """Notes everything about some rows but their messages, whose keys are returned."""
    rows, file, keys = read.rows, taken.source.name, None
    faults = [
        *(
            Fault(file=file, row=row, column="", check="row_shape", reason=reason)
            for row, reason in rows.faults.items()
        ),
        *validator.check(rows.numbers, rows.cells, read.phones.faults),
    ]
    faults += _phone_faults(taken, rows, read.phones, faults)
    faults = [fault for fault in faults if fault.row not in taken.hidden_rows]
    if writing:
        good = np.isin(rows.numbers, [*taken.hidden_rows, *(fault.row for fault in faults)], invert=True)
        keys, missing = writing.write(rows.numbers, rows.cells, good, read.texts)
        faults += missing
    bad = {fault.row for fault in faults}
    taken.rows += len(rows.numbers)
    taken.row.append(rows.numbers.astype(np.int32))
    taken.number.append(read.phones.digits)
    taken.faults += faults
    taken.rejected += len(bad)
    _keep_rejected(taken, rows, bad)
    return keys


def _phone_faults(taken: _Taken, rows: readers.Rows, read: phones.Phones, faults: Sequence[Fault]) -> Iterator[Fault]:
    """A number that cannot be called is a fault whether the schema asks for it or not, and only once."""
    told = {fault.row for fault in faults if fault.column == taken.phone_column}
    for position, fault in read.faults.items():
        row = int(rows.numbers[position])
        if row not in told:
            yield Fault(
                file=taken.source.name, row=row, column=taken.phone_column, check=fault.check, reason=fault.reason
            )


def _take_late_faults(taken: _Taken, faults: Sequence[Fault]) -> None:
    """Faults that only the whole file shows: their rows are read once more, to be given back as they came."""
    faults = [fault for fault in faults if fault.row not in taken.hidden_rows]
    rejected = {fault.row for fault in taken.faults}
    late = {fault.row for fault in faults} - rejected
    taken.faults += faults
    if late:
        for rows in taken.source.batches():
            _keep_rejected(taken, rows, late)


def _keep_rejected(taken: _Taken, rows: readers.Rows, wanted: set[int]) -> None:
    if wanted:
        mask = np.isin(rows.numbers, list(wanted))
        taken.rejects.keep(rows.numbers[mask], rows.cells.filter(pa.array(mask)))


def _joined(taken: Sequence[_Taken], writer: MessageWriter | None) -> Intake:
    files, sizes = tuple(_input_file(one) for one in taken), [one.rows for one in taken]
    starts = np.cumsum([0, *sizes])
    row = _gathered([one.row for one in taken], sum(sizes), np.int32)
    rejected, hidden = np.zeros(len(row), np.bool_), np.zeros(len(row), np.bool_)
    for one, start, end in zip(taken, starts, starts[1:], strict=False):
        one.faults.sort(key=lambda fault: fault.row)
        rejected[start:end] = np.isin(row[start:end], [fault.row for fault in one.faults])
        hidden[start:end] = np.isin(row[start:end], [*one.hidden_rows])
    if writer:
        message, messages = writer.book.finish()
    else:
        message, messages = np.full(len(row), NO_MESSAGE, np.int32), NO_MESSAGES
    return Intake(
        files=files,
        starts=starts[:-1],
        row=row,
        number=_gathered([one.number for one in taken], len(row), np.int64),
        message=message,
        rejected=rejected,
        hidden=hidden,
        messages=messages,
        faults=tuple(fault for one in taken for fault in one.faults),
        rejected_rows=tuple(one.rejects.rows(one.faults) for one in taken if one.rejects),
    )


def _gathered(parts: Iterable[list[NDArray[Any]]], length: int, kind: type) -> NDArray[Any]:
    """The parts as one, each given free when it is copied: there may not be room for all of them twice."""
    whole: NDArray[Any] = np.empty(length, dtype=kind)
    at = 0
    for some in parts:
        some.reverse()
        while some:
            part = some.pop()
            whole[at : at + len(part)] = part
            at += len(part)
    return whole


def _input_file(taken: _Taken) -> InputFile:
    return InputFile(
        name=taken.source.name,
        sha256=taken.sha256,
        form=taken.source.form,
        header=taken.source.header,
        phone_column=taken.phone_column,
        rows=taken.rows,
    )
