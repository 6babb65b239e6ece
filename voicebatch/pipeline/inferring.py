"""``schema infer``: a first schema from files, tried on these very files before it is given away."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from voicebatch import headers, phones, readers
from voicebatch.errors import InputError, UsageError
from voicebatch.models import Fault, Progress
from voicebatch.pipeline.intake import open_tables, schema_columns
from voicebatch.pipeline.rules import rules_of
from voicebatch.settings import InputOptions
from voicebatch.validation import Validator, load_schema
from voicebatch.validation.inferring import OWN_COLUMNS, Draft, draft_column, draft_phone, written
from voicebatch.validation.observing import Seen

_REFERENCES: Final = 10_000_000  # hashes of references that are kept, all columns together


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """A first schema in YAML, and what it was made from."""

    text: str
    rows: int
    columns: int


def infer(
    files: Sequence[Path], *, inputs: InputOptions, on_progress: Callable[[Progress], None], now: datetime | None = None
) -> Inferred:
    """Reads the files twice: once to see what they hold, once to try what was inferred.

    Rows without a number that can be called, and rows of a wrong shape, are left aside: nothing is learnt from them.
    Raises ``InputError`` when there are no others.
    """
    if not phones.known_region(inputs.region):
        raise UsageError(f"--region {inputs.region!r} is no country code.", hint="Write it like FR, BE or GB.")
    tables = [_Table(source=source, inputs=inputs) for path in files for source in open_tables(path, inputs)]
    looked = _look(tables, inputs, on_progress)
    drafts = looked.drafts()
    refused = _try(written(drafts, source="", rows=0), tables, now or datetime.now(UTC))
    drafts = [draft.without(refused.get(draft.name, {})) for draft in drafts]
    source = ", ".join(table.source.name for table in tables)
    return Inferred(text=written(drafts, source=source, rows=looked.rows), rows=looked.rows, columns=len(drafts))


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One table of the input, and which of its rows count."""

    source: readers.Source
    inputs: InputOptions

    @cached_property
    def phone_column(self) -> str:
        """Its header."""
        return headers.find_phone_column(self.source.header, wanted=self.inputs.phone_column, where=self.source.name)

    def batches(self) -> Iterator[tuple[readers.Rows, Any]]:
        """The rows, and a mask of those that have a number and the right shape."""
        for rows in self.source.batches():
            digits = phones.normalise(rows.cells.column(self.phone_column), region=self.inputs.region).digits
            good = np.isin(rows.numbers, list(rows.faults), invert=True) & (digits > 0)
            yield rows, good & np.isin(rows.numbers, list(self._hidden), invert=True)

    @cached_property
    def spellings(self) -> frozenset[str]:
        """The columns but that of the phone numbers, whatever their capitals, accents and punctuation."""
        return frozenset(map(_spelling, self.others))

    @cached_property
    def others(self) -> list[str]:
        """The columns but that of the phone numbers."""
        return [title for title in self.source.header if title != self.phone_column]

    @property
    def _hidden(self) -> frozenset[int]:
        return frozenset() if self.inputs.include_hidden else self.source.hidden.rows


def _look(tables: Sequence[_Table], inputs: InputOptions, on_progress: Callable[[Progress], None]) -> _Looked:
    looked = _Looked(tables=tables)
    for table in tables:
        for rows, good in table.batches():
            looked.add(table, rows, good)
            on_progress(Progress(stage="reading", done=looked.rows, rejected=looked.rows - looked.good))
    if looked.good:
        return looked
    raise InputError(
        f"No row has a number that can be called, with the phone numbers in “{tables[0].phone_column}” read as those "
        f"of {inputs.region}.",
        hint="Name the column, or the country of the numbers: --phone-column NAME, --region CODE",
    )


@dataclass(slots=True, kw_only=True)
class _Looked:
    """What was seen of all tables together. A column is one in all its spellings, and called as it is first."""

    tables: Sequence[_Table]
    seen: dict[str, Seen] = field(default_factory=dict)
    rows: int = 0
    good: int = 0

    def add(self, table: _Table, rows: readers.Rows, good: Any) -> None:
        """Note the good ones of these rows."""
        cells = rows.cells.filter(pa.array(good))
        self.rows += len(good)
        self.good += len(cells)
        for title in table.others:
            most = _REFERENCES // len(table.source.header)
            self.seen.setdefault(_spelling(title), Seen(most=most)).add(cells.column(title))

    def drafts(self) -> list[Draft]:
        """The columns in the order of the files, the phone column where it stands in the first."""
        own = {_spelling(name): name for name in OWN_COLUMNS}
        titles = dict[str, str]()
        for title in (title for table in self.tables for title in table.others):
            titles.setdefault(_spelling(title), title)
        drafts = [
            draft_column(titles[name], seen, own=own.get(name), everywhere=self._is_everywhere(name))
            for name, seen in self.seen.items()
        ]
        first = self.tables[0]
        region = None if first.inputs.region == InputOptions().region else f"{{region: {first.inputs.region}}}"
        phone = draft_phone(first.phone_column, callable_rows=self.good, rows=self.rows, region=region)
        drafts.insert(first.source.header.index(first.phone_column), phone)
        return drafts

    def _is_everywhere(self, name: str) -> bool:
        return all(name in table.spellings for table in self.tables)


def _spelling(title: str) -> str:
    return headers.squeeze(title) or title


def _try(text: str, tables: Sequence[_Table], now: datetime) -> Mapping[str, Mapping[str, int]]:
    """How many of the rows that count each rule would refuse: by column and check."""
    schema, rules = load_schema(text, name="the inferred schema"), rules_of(InputOptions().region, now=now)
    refused: dict[str, Counter[str]] = defaultdict(Counter)
    for table in tables:
        titles = schema_columns(table.source, schema, table.phone_column)
        names = {title: name for name, title in titles.items()}
        validator = Validator(schema, rules=rules, file=table.source.name, columns=titles, reads_phones=True)
        for fault in _faults(table, validator):
            refused[names[fault.column]][fault.check] += 1
    return refused


def _faults(table: _Table, validator: Validator) -> Iterator[Fault]:
    """What is wrong with the rows that count."""
    bad = set[int]()
    for rows, good in table.batches():
        bad.update(rows.numbers[~good].tolist())
        yield from (fault for fault in validator.check(rows.numbers, rows.cells) if fault.row not in bad)
    yield from (fault for fault in validator.finish() if fault.row not in bad)
