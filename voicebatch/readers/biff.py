"""A sheet of an .xls file, as its own records tell it.

Through xlrd, which knows the rows and columns that are hidden and the cells' number formats: calamine does not. It is
small, needs nothing else, and is kept up for exactly this old format.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError
from voicebatch.readers.formats import Shown, shown_by
from voicebatch.readers.hidden import Hidden, Look

if TYPE_CHECKING:
    from pathlib import Path

    from xlrd.book import Book
    from xlrd.sheet import Sheet

_LARGEST: Final = 1 << 28  # bytes; 65,536 rows of full cells are less
_NUMBER, _ERROR = 2, 5  # of a cell's type


def look_at(path: Path, sheet: str) -> Look:
    """What is hidden in this sheet. Raises ``InputError`` when that cannot be told."""
    import xlrd
    from xlrd.biffh import XLRDError
    from xlrd.compdoc import CompDocError

    broken = (
        XLRDError, CompDocError, AssertionError, AttributeError, LookupError, ValueError, TypeError,
        ArithmeticError, struct.error, EOFError, NotImplementedError, RecursionError,
    )  # fmt: skip
    try:
        with xlrd.open_workbook(str(path), formatting_info=True, on_demand=True, logfile=io.StringIO()) as book:
            return _look(book, book.sheet_by_name(sheet))
    except broken as error:
        raise InputError(
            f"{path}: which rows of the sheet “{sheet}” are hidden cannot be told: the file is not as Excel writes it",
            hint="Open it in a spreadsheet program and save it again as .xlsx.",
        ) from error


def refuse_giant(path: Path) -> None:
    """Raises ``InputError`` for a file that is larger than an .xls can be."""
    if path.stat().st_size > _LARGEST:
        raise InputError(
            f"{path} is too large for an .xls workbook", hint="Save it as .xlsx or CSV from a spreadsheet program."
        )


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
            elif kind == _NUMBER and formats and (shown := formats.get(sheet.cell_xf_index(row, column))):
                look.shown.add(row + 1, column, shown)


def _formats(book: Book) -> dict[int, Shown]:
    """The styles of cells, by index, whose number format makes another text of a number."""
    known = book.format_map
    shown = ((index, shown_by(known[style.format_key].format_str)) for index, style in enumerate(book.xf_list))
    return {index: each for index, each in shown if each}
