"""Workbooks: .xlsx, .xlsm and .ods through calamine, after a look at what it would not tell or survive, and .xls."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from voicebatch.batching import LONG_NUMBER
from voicebatch.errors import InputError
from voicebatch.headers import column, phone_columns
from voicebatch.readers import archive, biff, ooxml, opendocument
from voicebatch.readers.hidden import MOST_CELLS
from voicebatch.readers.rows import FIRST_ROWS, Origin, Record, Request, Rows, Source, header_place, is_blank, source
from voicebatch.readers.sheet import Grid, pieces, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from voicebatch.readers.hidden import Look

_MOST_COLUMNS: Final = 16_384  # of any spreadsheet
_PANIC: Final = "PanicException"  # how calamine ends on some broken files; Python has no name to catch it by
_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"
_ROWS_LOOKED_AT: Final = 256  # for the header


def open_workbook(path: Path, request: Request) -> list[Source]:
    """One sheet of a workbook: the one named, else the only one with rows or with a phone column.

    Hidden sheets count only by name. A cell without a title above it is in a column of its own: a workbook's
    cells cannot slip sideways as those of a text file do.
    """
    with _calamine(path):
        book = _opened(path)
        if request.every_sheet:
            return [_source(path, sheet, request) for sheet in _filled(path, book)]
        sheet = _sheet(path, book, _named(path, book, request.sheet)) if request.sheet else _chosen(path, book, request)
        return [_source(path, sheet, request)]


def _source(path: Path, sheet: _Sheet, request: Request) -> Source:
    return source(
        str(path),
        f"sheet '{sheet.name}'",
        sheet.records,
        request=request,
        read_fast=partial(sheet.rows, request.phone_column),
        hidden=sheet.look.hidden,
        origin=Origin(sheet=sheet.name),
    )


def _filled(path: Path, book: _Book) -> Iterator[_Sheet]:
    """The sheets in which something stands, hidden ones too; of an empty workbook the first."""
    names = book.names(visible=False)
    sheets = [_sheet(path, book, name) for name in names]
    filled = [sheet for sheet in sheets if any(not is_blank(cells) for _, cells, _ in sheet.records())]
    yield from filled or sheets[:1]
    if not names:
        raise InputError(f"{path} has no sheet with cells", hint="Check that it is the right file.")


class _Book(Protocol):
    """A workbook of any format."""

    def names(self, *, visible: bool) -> list[str]:
        """The names of the sheets that have cells."""

    def sheet(self, name: str) -> tuple[Look, Grid]:
        """A sheet, parsed, and what is hidden in it."""


def _opened(path: Path) -> _Book:
    """Raises ``InputError`` for what only looks like a workbook."""
    with path.open("rb") as file:
        beginning = file.read(len(_ZIP))
    if beginning == _OLE:
        return biff.open_old(path)
    if beginning != _ZIP:
        raise _no_workbook(path)
    archive.refuse_bombs(path)
    names = archive.part_names(path)
    if ("content.xml" in names) == ("_rels/.rels" in names):
        raise _no_workbook(path)
    if "content.xml" in names:
        looks = opendocument.looks_at(path)
        return _NewWorkbook(path=path, look=partial(_known, path, looks), calamine=_load(path))
    return _NewWorkbook(path=path, look=partial(ooxml.look_at, path), calamine=_load(path))


def _known(path: Path, looks: Mapping[str, Look], name: str) -> Look:
    if name not in looks:
        raise _no_workbook(path)
    return looks[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewWorkbook:
    """A workbook that is a zip file, through calamine."""

    path: Path
    look: Callable[[str], Look]
    calamine: CalamineWorkbook

    def names(self, *, visible: bool) -> list[str]:
        """The names of the sheets that have cells."""
        return [
            each.name
            for each in self.calamine.sheets_metadata
            if each.typ == SheetTypeEnum.WorkSheet and (each.visible == SheetVisibleEnum.Visible or not visible)
        ]

    def sheet(self, name: str) -> tuple[Look, Grid]:
        """A sheet, unless that would take more memory than there is: calamine would end the process."""
        look = self.look(name)
        if look.extent > MOST_CELLS:
            raise InputError(
                f"{self.path}: the sheet “{name}” goes on over {look.extent:,} cells, more than memory holds",
                hint="Copy what is filled into a new workbook, or save the sheet as CSV.",
            )
        grid = self.calamine.get_sheet_by_name(name)
        if (columns := (grid.start or (0, 0))[1] + grid.width) > _MOST_COLUMNS:
            raise InputError(
                f"{self.path}: the sheet “{name}” has {columns:,} columns, more than any spreadsheet",
                hint="Copy what is filled into a new workbook, or save the sheet as CSV.",
            )
        return look, grid


def _no_workbook(path: Path) -> InputError:
    return InputError(
        f"{path} cannot be read as a workbook: it is none of .xlsx, .xlsm, .xls and .ods",
        hint="Open it in a spreadsheet program and save it again as .xlsx or CSV.",
    )


@contextmanager
def _calamine(path: Path) -> Iterator[None]:
    try:
        yield
    except PasswordError as error:
        raise InputError(
            f"{path} is protected by a password", hint="Save it without a password, then try again."
        ) from error
    except BaseException as error:
        if not _is_calamines(error):
            raise
        raise InputError(
            f"{path} cannot be read as a workbook ({LONG_NUMBER.sub('…', str(error))})",  # it may quote a cell
            hint="Open it in a spreadsheet program and save it again as .xlsx or CSV.",
        ) from error


def _is_calamines(error: BaseException) -> bool:
    return isinstance(error, CalamineError) or type(error).__name__ == _PANIC


def _load(path: Path) -> CalamineWorkbook:
    """The workbook, under another's ending too, as when an .xlsx is called .xls."""
    try:
        return CalamineWorkbook.from_path(path)
    except PasswordError:
        raise
    except BaseException as error:
        if not _is_calamines(error):
            raise
        return CalamineWorkbook.from_filelike(BytesIO(path.read_bytes()))


@dataclass(slots=True, kw_only=True)
class _Sheet:
    """A sheet that was parsed. It is kept until its rows are read, and parsed again when they are read again."""

    path: Path
    name: str
    look: Look
    changed: int
    grid: Grid | None

    def records(self) -> Iterator[Record]:
        """All rows; the blank ones too."""
        with _calamine(self.path):
            for numbers, columns in pieces(self._parsed(), self.look, first_rows=_ROWS_LOOKED_AT):
                cells = zip(*(each.to_pylist() for each in columns), strict=True)
                for number, row in zip(numbers.tolist(), cells, strict=True):
                    yield number, row, ""

    def rows(self, phone_column: str | None, header: tuple[str, ...], _: int) -> Iterator[Rows]:
        """All rows that are not blank."""
        with _calamine(self.path):
            grid, self.grid = self._parsed(), None
            yield from rows_of(pieces(grid, self.look), self.look, header, _phones(header, phone_column))

    def _parsed(self) -> Grid:
        if self.grid and self.path.stat().st_mtime_ns == self.changed:
            return self.grid
        self.look, grid = _opened(self.path).sheet(self.name)
        return grid


def _phones(header: tuple[str, ...], wanted: str | None) -> list[int]:
    names = [column(header, wanted)] if wanted else phone_columns(header)
    return [position for position, name in enumerate(header) if name in names]


def _sheet(path: Path, book: _Book, name: str) -> _Sheet:
    changed = path.stat().st_mtime_ns
    look, grid = book.sheet(name)
    return _Sheet(path=path, name=name, look=look, changed=changed, grid=grid)


def _named(path: Path, book: _Book, wanted: str) -> str:
    names = book.names(visible=False)
    for name in names:
        if name.strip().casefold() == wanted.strip().casefold():
            return name
    raise InputError(f"{path} has no sheet “{wanted}”. Its sheets: {_listed(names)}", hint=_SAY_WHICH)


def _chosen(path: Path, book: _Book, request: Request) -> _Sheet:
    visible = book.names(visible=True)
    if len(visible) == 1:
        return _sheet(path, book, visible[0])
    headers: dict[str, list[str]] = {}
    found: _Sheet | None = None
    cells = 0
    for name in visible:
        sheet = _sheet(path, book, name)
        cells += sheet.look.extent
        if cells > MOST_CELLS:
            raise InputError(
                f"{path} has {len(visible)} sheets, too large together to look for the right one", hint=_SAY_WHICH
            )
        if header := _header(sheet, request):
            headers[name] = header
            found = sheet if phone_columns(header) or not found else found
    telling = [name for name, header in headers.items() if phone_columns(header)]
    if found and (len(headers) == 1 or len(telling) == 1):
        return found
    if not headers:
        raise InputError(f"{path} is empty", hint="Check that it is the right file; --sheet NAME reads a hidden sheet.")
    raise InputError(f"{path} has several sheets with rows: {_listed(telling or list(headers))}", hint=_SAY_WHICH)


def _header(sheet: _Sheet, request: Request) -> list[str]:
    """The titles of a sheet's columns; empty for an empty sheet."""
    rows = list(islice((cells for _, cells, _ in sheet.records() if not is_blank(cells)), FIRST_ROWS))
    return [cell for cell in rows[header_place(rows, request.phone_column)] if cell] if rows else []


_SAY_WHICH: Final = "Say which sheet to read: --sheet NAME"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
