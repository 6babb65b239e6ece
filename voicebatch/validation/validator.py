"""The faults of a file's rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.errors import InputError, UsageError
from voicebatch.models import Fault
from voicebatch.settings import OWN_COLUMN
from voicebatch.validation.cells import KINDS, filled
from voicebatch.validation.checks import pandera_check, reasons
from voicebatch.validation.repeats import Repeats, frame_of
from voicebatch.validation.rules import CheckRule, Rules, Schema, Verdict
from voicebatch.validation.words import listed, quoted

_DIGITS_OF_A_NUMBER: Final = 6


class _Cells(NamedTuple):
    """A column of a batch: what stands in its cells, and the values that this means."""

    text: pa.Array
    values: pa.Array


class _Found(NamedTuple):
    """A fault of the cell in this place of the batch, in the column that the schema calls so."""

    place: int
    column: str
    check: str
    reason: str


class Validator:
    """Every fault of one file, a batch of rows at a time, and at the end what only the whole shows.

    ``columns`` gives the file's header for each of the schema's columns, ``None`` where the file has none;
    ``header`` is all the file's. With ``reads_phones`` the caller has read the phone column, and says what it found.
    The rows ``unseen`` (by number) make no other row's value stand twice.
    Raises ``InputError`` when the file lacks a column that the schema requires,
    or has one that a strict schema does not know.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        rules: Rules,
        file: str,
        columns: Mapping[str, str | None],
        header: Sequence[str] = (),
        reads_phones: bool = False,
        unseen: Set[int] = frozenset(),
    ) -> None:
        self._schema, self._rules, self._file, self._unseen = schema, rules, file, unseen
        self._headers = {name: found for name in schema.columns if (found := columns.get(name)) is not None}
        self._check_header(header)
        self._told = schema.phone_rule if reads_phones else None
        self._repeats = Repeats(schema, file=file, headers=self._headers)
        self._checked = [name for name in self._headers if self._asked(name)]

    def check(
        self, numbers: np.ndarray[Any, Any], cells: pa.RecordBatch, phones: Mapping[int, Verdict] | None = None
    ) -> list[Fault]:
        """The faults of these rows, by row and then by column. ``numbers`` are the spreadsheet's.

        ``phones`` says by position in which cells of the phone column is no number, for who ``reads_phones``.
        """
        if not cells.num_rows or not self._headers:
            return []
        columns = {name: self._cells(name, cells) for name in self._headers}
        self._keep(numbers, columns)
        refused = [*self._not_called(columns, phones or {}), *self._refused(columns)]
        found = [*self._unreadable(columns), *refused, *self._empty(columns)]
        order = {name: index for index, name in enumerate(self._headers)}
        found.sort(key=lambda fault: (fault.place, order[fault.column]))
        return [self._fault(int(numbers[fault.place]), fault) for fault in found]

    def _keep(self, numbers: np.ndarray[Any, Any], columns: Mapping[str, _Cells]) -> None:
        seen = np.isin(numbers, [*self._unseen], invert=True)
        values = {name: column.values.filter(pa.array(seen)) for name, column in columns.items()}
        self._repeats.keep(numbers[seen], values)

    def finish(self) -> list[Fault]:
        """The values that stand in the file more often than once: a fault for each but the first."""
        return self._repeats.faults()

    def _check_header(self, header: Sequence[str]) -> None:
        required = [name for name, column in self._schema.columns.items() if column.required]
        known = list(self._headers.values())
        missing = [name for name in required if name not in self._headers]
        extra = [name for name in header if name not in (*known, OWN_COLUMN)] if self._schema.strict else []
        twice = [name for name in known if header.count(name) > 1]
        has = f"; the file has {_names(header)}" if header else ""
        for wrong, message in (
            (missing, f"there is no column {_names(missing)}{has}"),
            (extra, f"the schema {self._schema.name} knows no column {_names(extra)}"),
            (twice, f"there are two columns {_names(twice)}"),
        ):
            if wrong:
                raise InputError(f"{self._file}: {message}")

    @cached_property
    def _pandera(self) -> Any:
        """Its checks alone: types and empty cells are ours to tell, since to pandera an unreadable cell is a null."""
        import pandera.pandas as pandera

        checks = {name: [pandera_check(rule, self._rules) for rule in self._asked(name)] for name in self._checked}
        return pandera.DataFrameSchema(
            {name: pandera.Column(checks=asked, nullable=True) for name, asked in checks.items()}
        )

    def _asked(self, name: str) -> list[CheckRule]:
        """The column's rules that pandera runs."""
        return [rule for rule in self._schema.columns[name].rules if rule is not self._told]

    def _cells(self, name: str, cells: pa.RecordBatch) -> _Cells:
        text = filled(cells.column(self._headers[name]))
        return _Cells(text, KINDS[self._schema.columns[name].dtype].read(text))

    def _unreadable(self, columns: Mapping[str, _Cells]) -> Iterator[_Found]:
        for name, (text, values) in columns.items():
            kind = KINDS[self._schema.columns[name].dtype].words
            for place in pc.indices_nonzero(pc.and_(text.is_valid(), values.is_null())).to_pylist():
                yield _Found(place, name, "dtype", f"{quoted(text[place])} is not {kind}")

    def _not_called(self, columns: Mapping[str, _Cells], phones: Mapping[int, Verdict]) -> Iterator[_Found]:
        name = self._schema.phone_column
        if self._told is None or name is None or name not in columns:
            return
        is_valid = columns[name].text.is_valid().to_numpy(zero_copy_only=False)
        for place, verdict in phones.items():
            if is_valid[place]:
                yield _Found(place, name, verdict.check, self._told.error or verdict.reason)

    def _refused(self, columns: Mapping[str, _Cells]) -> Iterator[_Found]:
        if not self._checked:
            return  # and pandera, which takes half a second to load, is not loaded
        from pandera.config import ValidationDepth, config_context
        from pandera.errors import SchemaErrors

        frame = frame_of({name: columns[name].values for name in self._checked})
        try:
            # Both can be turned off by a variable of the environment, and then everything would pass.
            with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
                self._pandera.validate(frame, lazy=True, inplace=True)
        except SchemaErrors as errors:
            for error in errors.schema_errors:
                yield from self._found(error, columns[error.schema.name].text)

    def _found(self, error: Any, text: pa.Array) -> Iterator[_Found]:
        from pandera.errors import SchemaErrorReason

        name = error.schema.name
        if error.reason_code is not SchemaErrorReason.DATAFRAME_CHECK:
            raise UsageError(f"{self._schema.name}: columns.{name}: {error.check} broke: {error.failure_cases}")
        rule = self._asked(name)[error.check_index]
        places = [int(place) for place in error.failure_cases["index"]]
        for place, (check, reason) in zip(places, reasons(rule, text.take(places), self._rules), strict=True):
            yield _Found(place, name, check, reason)

    def _empty(self, columns: Mapping[str, _Cells]) -> Iterator[_Found]:
        for name, (text, _) in columns.items():
            refusals = self._refusals_of_nothing(name)
            places = pc.indices_nonzero(text.is_null()).to_pylist() if refusals else []
            yield from (_Found(place, name, *refusal) for refusal in refusals for place in places)

    def _refusals_of_nothing(self, name: str) -> list[tuple[str, str]]:
        """Who refuses an empty cell, and why: a nullable column's ``ignore_na: false`` does too."""
        column, reason = self._schema.columns[name], "the cell is empty"
        asking = [(rule.name, rule.error or reason) for rule in column.rules if not rule.ignore_na]
        return asking if column.nullable else [("empty", reason)]

    def _fault(self, row: int, found: _Found) -> Fault:
        column = self._headers[found.column]
        return Fault(file=self._file, row=row, column=column, check=found.check, reason=found.reason)


def _names(columns: Iterable[str]) -> str:
    """Without people's numbers, which stand in the first row of a file that has no header."""
    return listed("`…` (a number)" if _holds_number(column) else quoted(column) for column in columns)


def _holds_number(name: str) -> bool:
    return sum(character.isdecimal() for character in name) >= _DIGITS_OF_A_NUMBER
