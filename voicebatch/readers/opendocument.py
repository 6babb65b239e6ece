"""The sheets of an .ods file, as its content tells them.

Source: OpenDocument 1.3, part 3, 9.1 (tables) and 19.736 (table:visibility). A row or cell is written once with how
often it is repeated. The text that a cell shows stands in it, beside the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from voicebatch.errors import InputError
from voicebatch.readers.archive import pieces_of, whole_part
from voicebatch.readers.cells import text
from voicebatch.readers.dates import day_first_as
from voicebatch.readers.hidden import MOST_CELLS, Hidden, Look, Range

if TYPE_CHECKING:
    from pathlib import Path

    from voicebatch.readers.formats import Shown

_TABLE: Final = "urn:oasis:names:tc:opendocument:xmlns:table:1.0 "
_TEXT: Final = "urn:oasis:names:tc:opendocument:xmlns:text:1.0 "
_OFFICE: Final = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 "
_CALC_EXT: Final = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0 "
_CELLS: Final = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_GROUPS: Final = (f"{_TABLE}table-row-group", f"{_TABLE}table-column-group")
_HIDDEN: Final = ("collapse", "filter")
_NUMBERS: Final = ("float", "currency", "percentage")
_MOST_REPEATED: Final = 1 << 24
_MOST_COLUMNS: Final = 16_384
_LONGEST_CELL: Final = 131_072  # characters
_THOUSANDS: Final = re.compile(r"[1-9]\d{0,2}(?:[\s.,'’]\d{3})+")
_AMOUNT: Final = re.compile(r"(?P<before>[^\d]*)(?P<whole>\d[\d\s.,'’]*?)(?:[.,](?P<decimals>\d+))?(?P<after>[^\d]*)")


def looks_at(path: Path) -> dict[str, Look]:
    """What is hidden in each sheet, and how far it goes. Raises ``InputError`` when that cannot be told."""
    scan = _Scan()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = scan.start, scan.end
    parser.CharacterDataHandler = scan.write
    try:
        if b"encryption-data" in whole_part(path, "META-INF/manifest.xml"):
            raise InputError(f"{path} is protected by a password", hint="Save it without a password, then try again.")
        for piece in pieces_of(path, "content.xml"):
            parser.Parse(piece)
        parser.Parse(b"", True)  # noqa: FBT003 # expat takes no name for it
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise InputError(
            f"{path} cannot be read as a workbook ({error})",
            hint="Open it in a spreadsheet program and save it again as .xlsx or CSV.",
        ) from error
    return {name: sheet.look() for name, sheet in scan.sheets.items()}


@dataclass(frozen=True, slots=True)
class _Text:
    """Shows this text, whatever the number."""

    text: str

    def __call__(self, _: object) -> str:
        return self.text


@dataclass(slots=True)
class _Sheet:
    """A sheet as far as it was read. ``row`` and ``column`` count from 0 what was passed."""

    row: int = 0
    column: int = 0
    column_defined: int = 0
    height: int = 0
    width: int = 0
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    merged: list[Range] = field(default_factory=list)
    found: Look = field(default_factory=Look)

    def look(self) -> Look:
        return Look(
            hidden=Hidden(frozenset(self.hidden_rows), frozenset(self.hidden_columns)),
            extent=self.height * self.width,
            shown=self.found.shown,
            errors=self.found.errors,
            merged=self.merged,
        )


class _Scan:
    """What expat tells, as sheets."""

    def __init__(self) -> None:
        self.sheets: dict[str, _Sheet] = {}
        self._sheet: _Sheet | None = None
        self._within = 0  # tables in a cell of a table
        self._groups: list[bool] = []  # whether each group of rows or columns that is open is hidden
        self._row: Mapping[str, str] = {}
        self._cells: list[tuple[int, int, Mapping[str, str], str]] = []
        self._cell: Mapping[str, str] | None = None
        self._written: list[str] = []
        self._size = 0
        self._quiet = 0  # a note on a cell is not its text
        self._paragraphs = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if name == f"{_TABLE}table":
            self._within += 1
            if self._within == 1:
                self._sheet = self.sheets.setdefault(attributes.get(f"{_TABLE}name", ""), _Sheet())
        elif self._sheet is None or self._within > 1:
            return
        elif name in _CELLS:
            self._cell, self._written, self._size = attributes, [], 0
        elif name == f"{_TABLE}table-row":
            self._row, self._cells, self._sheet.column = attributes, [], 0
        elif name == f"{_TABLE}table-column":
            self._column(self._sheet, attributes)
        elif name in _GROUPS:
            self._groups.append(attributes.get(f"{_TABLE}display") == "false")
        elif self._cell is not None:
            self._start_in_cell(name, attributes)

    def _start_in_cell(self, name: str, attributes: dict[str, str]) -> None:
        if name == f"{_OFFICE}annotation":
            self._quiet += 1
        elif name == f"{_TEXT}p":
            self._paragraphs += 1
        elif name == f"{_TEXT}s":
            self.write(" " * min(_repeated(attributes, f"{_TEXT}c"), _LONGEST_CELL + 1))

    def end(self, name: str) -> None:
        """An element ends."""
        if name == f"{_TABLE}table":
            self._within -= 1
        elif self._sheet is None or self._within > 1:
            return
        elif name in _CELLS:
            self._end_cell(self._sheet)
        elif name == f"{_TABLE}table-row":
            self._end_row(self._sheet)
        elif name in _GROUPS:
            self._groups.pop()
        elif self._cell is not None and name == f"{_OFFICE}annotation":
            self._quiet -= 1
        elif self._cell is not None and name == f"{_TEXT}p":
            self._paragraphs -= 1

    def write(self, data: str) -> None:
        """Text comes."""
        if self._cell is None or self._quiet or not self._paragraphs:
            return
        self._size += len(data)
        if self._size > _LONGEST_CELL:
            raise ValueError("a cell holds more text than any cell can")
        self._written.append(data)

    def _column(self, sheet: _Sheet, attributes: Mapping[str, str]) -> None:
        repeated = _repeated(attributes, f"{_TABLE}number-columns-repeated")
        if attributes.get(f"{_TABLE}visibility") in _HIDDEN or any(self._groups):
            last = min(sheet.column_defined + repeated, _MOST_COLUMNS)
            sheet.hidden_columns.update(range(sheet.column_defined, last))
        sheet.column_defined += repeated

    def _end_cell(self, sheet: _Sheet) -> None:
        attributes = self._cell or {}
        self._cell = None
        repeated = _repeated(attributes, f"{_TABLE}number-columns-repeated")
        if self._written or f"{_OFFICE}value-type" in attributes:
            self._cells.append((sheet.column, repeated, attributes, "".join(self._written)))
        sheet.column += repeated

    def _end_row(self, sheet: _Sheet) -> None:
        repeated = _repeated(self._row, f"{_TABLE}number-rows-repeated")
        first, last = sheet.row + 1, sheet.row + repeated
        sheet.row = last
        if not self._cells:
            return
        sheet.height = last
        sheet.width = max(sheet.width, self._cells[-1][0] + self._cells[-1][1])
        _refuse_spread(sheet.height * sheet.width)
        if self._row.get(f"{_TABLE}visibility") in _HIDDEN or any(self._groups):
            sheet.hidden_rows.update(range(first, last + 1))
        for column, count, attributes, written in self._cells:
            self._mark(sheet, (first, last), (column, column + count), attributes, written)

    def _mark(
        self,
        sheet: _Sheet,
        rows: tuple[int, int],
        columns: tuple[int, int],
        attributes: Mapping[str, str],
        written: str,
    ) -> None:
        if (spanned := _repeated(attributes, f"{_TABLE}number-rows-spanned")) > 1:
            sheet.merged.append(((rows[0] - 1, columns[0]), (rows[0] + spanned - 2, columns[0])))
        is_wrong = attributes.get(f"{_CALC_EXT}value-type") == "error"
        shown = None if is_wrong else _shown(attributes, written)
        if not is_wrong and shown is None:
            return
        for row in range(rows[0], rows[1] + 1):
            for column in range(*columns):
                if is_wrong:
                    sheet.found.errors.add(row, column, written[:20] or "an error")
                elif shown is not None:
                    sheet.found.shown.add(row, column, shown)


def _refuse_spread(extent: int) -> None:
    """Raises ``ValueError`` for more cells than memory holds."""
    if extent > MOST_CELLS:
        raise ValueError(f"a sheet goes on over {extent:,} cells, more than memory holds")


def _repeated(attributes: Mapping[str, str], name: str) -> int:
    count = int(attributes.get(name, "1")[:20])
    if not 0 <= count <= _MOST_REPEATED:
        raise ValueError("something is repeated more often than a sheet has rows")
    return count


def _shown(attributes: Mapping[str, str], written: str) -> Shown | None:
    """How a number or date is shown, if its text is another one than its own."""
    kind = attributes.get(f"{_OFFICE}value-type")
    if kind == "date":
        return day_first_as(attributes.get(f"{_OFFICE}date-value", ""), written)
    number = _number(attributes, written) if kind in _NUMBERS else None
    return None if number is None else _Text(number)


def _number(attributes: Mapping[str, str], written: str) -> str | None:
    value = float(attributes.get(f"{_OFFICE}value", "nan"))
    written = written.strip()
    plain = text(value)
    if plain is None or not written or written == plain:
        return None
    digits = "".join(filter(str.isdigit, written))
    if digits.lstrip("0") == plain.lstrip("-") and not _THOUSANDS.fullmatch(written):
        return written
    return _amount(written, value)


def _amount(written: str, value: float) -> str | None:
    """An amount as it is shown, but with a decimal point and without marks between the thousands."""
    if not (found := _AMOUNT.fullmatch(written)):
        return None
    whole = re.sub(r"\D", "", found["whole"])
    number = f"{whole}.{found['decimals']}" if found["decimals"] else whole
    if found["decimals"] and len(found["decimals"]) == 3 and value.is_integer():
        return None  # a mark between thousands, or a decimal sign
    size = abs(value) * (100 if "%" in written else 1)
    is_rounded = abs(float(number) - size) <= 0.5000001 * 10.0 ** -len(found["decimals"] or "")
    return f"{found['before']}{number}{found['after']}" if is_rounded and number != text(value) else None
