"""An .xls workbook, through xlrd.

xlrd knows what calamine does not: which rows and columns are hidden, and the cells' number formats. It is small, needs
nothing else, and is kept up for exactly this old format. It reads values too, slower than calamine, but an .xls has
65,536 rows at most, and calamine ends the whole process on a damaged one: it follows a ring of sectors until memory
runs out.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError
from voicebatch.readers.formats import Shown, shown_in
from voicebatch.readers.hidden import Hidden, Look, Range

if TYPE_CHECKING:
    from datetime import date, datetime, time
    from pathlib import Path

    from xlrd.book import Book
    from xlrd.sheet import Sheet

_LARGEST: Final = 1 << 28  # bytes; 65,536 rows of full cells are less
_NUMBER, _DATE, _TRUTH, _ERROR = 2, 3, 4, 5  # of a cell's type
_DURATION: Final = re.compile(r"\[[hms]+\]", re.IGNORECASE)
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")  # the stream of an .xlsx with a password
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class OldWorkbook:
    """The sheets of an .xls file."""

    path: Path
    book: Book

    def names(self, *, visible: bool) -> list[str]:
        """The names of the sheets that have cells."""
        return [sheet.name for sheet in self.book.sheets() if sheet.visibility == 0 or not visible]

    def sheet(self, name: str) -> tuple[Look, OldSheet]:
        """A sheet, and what is hidden in it."""
        with _readable(self.path):
            sheet = self.book.sheet_by_name(name)
            return _look(self.book, sheet), OldSheet(self.path, self.book, sheet)


@dataclass(frozen=True, slots=True)
class OldSheet:
    """A sheet's cells, as calamine would give them."""

    path: Path
    book: Book
    sheet: Sheet

    @property
    def start(self) -> tuple[int, int]:
        """Where the cells begin."""
        return 0, 0

    @property
    def width(self) -> int:
        """How many columns there are."""
        return self.sheet.ncols

    @property
    def merged_cell_ranges(self) -> list[Range]:
        """The first and the last of cells that are merged."""
        return [((row, column), (below - 1, right - 1)) for row, below, column, right in self.sheet.merged_cells]

    def iter_rows(self) -> Iterator[list[object]]:
        """The rows' values, each as wide as the sheet."""
        with _readable(self.path):
            for row in range(self.sheet.nrows):
                cells = [_value(self.book, self.sheet, row, column) for column in range(self.sheet.row_len(row))]
                yield cells + [""] * (self.width - len(cells))


def open_old(path: Path) -> OldWorkbook:
    """Raises ``InputError`` when xlrd cannot read it."""
    import xlrd

    if path.stat().st_size > _LARGEST:
        raise InputError(
            f"{path} is too large for an .xls workbook", hint="Save it as .xlsx or CSV from a spreadsheet program."
        )
    with path.open("rb") as file:
        if any(_ENCRYPTED in piece for piece in iter(lambda: file.read(_PIECE), b"")):
            raise _password(path)
    with _readable(path):
        return OldWorkbook(
            path, xlrd.open_workbook(str(path), formatting_info=True, ragged_rows=True, logfile=io.StringIO())
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what xlrd raises on a file that nobody wrote into an ``InputError``."""
    from xlrd.biffh import XLRDError
    from xlrd.compdoc import CompDocError

    try:
        yield
    except (
        XLRDError, CompDocError, AssertionError, AttributeError, LookupError, ValueError, TypeError, ArithmeticError,
        struct.error, EOFError, NotImplementedError, RecursionError, MemoryError,
    ) as error:  # fmt: skip
        if "encrypted" in str(error):
            raise _password(path) from error
        raise InputError(
            f"{path} cannot be read as a workbook ({str(error) or type(error).__name__})",
            hint="Open it in a spreadsheet program and save it again as .xlsx or CSV.",
        ) from error


def _password(path: Path) -> InputError:
    return InputError(f"{path} is protected by a password", hint="Save it without a password, then try again.")


def _look(book: Book, sheet: Sheet) -> Look:
    rows = {row + 1 for row, info in sheet.rowinfo_map.items() if info.hidden or info.height == 0}
    columns = {column for column, info in sheet.colinfo_map.items() if info.hidden or info.width == 0}
    look = Look(hidden=Hidden(frozenset(rows), frozenset(columns)), extent=sheet.nrows * sheet.ncols)
    _mark(look, book, sheet)
    return look


def _mark(look: Look, book: Book, sheet: Sheet) -> None:
    from xlrd import error_text_from_code

    formats = _formats(book)
    for row in range(sheet.nrows):
        for column, kind in enumerate(sheet.row_types(row)):
            if kind == _ERROR:
                code = int(sheet.cell_value(row, column))
                look.errors.add(row + 1, column, error_text_from_code.get(code, "an error"))
            elif kind in (_NUMBER, _DATE) and formats and (shown := formats.get(sheet.cell_xf_index(row, column))):
                look.shown.add(row + 1, column, shown)


def _formats(book: Book) -> dict[int, Shown]:
    """The styles of cells, by index, whose format makes another text of a number or date."""
    styles = enumerate(book.xf_list)
    shown = ((index, shown_in(style.format_key, _code(book, index))) for index, style in styles)
    return {index: each for index, each in shown if each}


def _code(book: Book, style: int) -> str:
    return str(book.format_map[book.xf_list[style].format_key].format_str)


def _value(book: Book, sheet: Sheet, row: int, column: int) -> object:
    kind, value = sheet.cell_type(row, column), sheet.cell_value(row, column)
    if kind == _DATE:
        return _time(book, float(value), _code(book, sheet.cell_xf_index(row, column)))
    if kind == _ERROR:
        return ""
    return bool(value) if kind == _TRUTH else value


def _time(book: Book, value: float, code: str) -> datetime | date | time | timedelta | float:
    """A date, a time of the day, or both, as far as the value tells; the number where it is none of them."""
    from xlrd.xldate import XLDateError, xldate_as_datetime

    try:
        if _DURATION.search(code):
            return timedelta(days=value)
        moment = xldate_as_datetime(value, book.datemode)
    except (XLDateError, OverflowError, ValueError):
        return value
    if value < 1:
        return moment.time()
    return moment if value % 1 else moment.date()
