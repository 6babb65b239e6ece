"""Workbooks: .xlsx, .xlsm, .xls and .ods, through calamine."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Final

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from voicebatch.errors import InputError
from voicebatch.headers import phone_columns
from voicebatch.readers.cells import text
from voicebatch.readers.hidden import hidden_of
from voicebatch.readers.rows import FIRST_ROWS, Origin, Record, Request, Source, header_place, is_blank, source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MOST_CELLS: Final = 100_000_000
_PANIC: Final = "PanicException"  # how calamine ends on some broken files; Python has no name to catch it by


def open_workbook(path: Path, request: Request) -> list[Source]:
    """One sheet of a workbook: the one named, else the only one with rows or with a phone column.

    Hidden sheets count only by name. A cell without a title above it is in a column of its own: a workbook's
    cells cannot slip sideways as those of a text file do.
    """
    with _calamine(path):
        workbook = _load(path)
        sheet = _named(workbook, path, request.sheet) if request.sheet else _chosen(workbook, path, request)
    read = partial(_read, path, sheet)
    hidden, origin = hidden_of(path, sheet), Origin(sheet=sheet)
    return [source(str(path), f"sheet '{sheet}'", read, request=request, hidden=hidden, origin=origin)]


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
            f"{path} cannot be read as a workbook ({error})",
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


def _read(path: Path, sheet: str) -> Iterator[Record]:
    with _calamine(path):
        yield from _records(_load(path), path, sheet)


def _records(workbook: CalamineWorkbook, path: Path, sheet: str) -> Iterator[Record]:
    _refuse_sparse(path, sheet)
    table = workbook.get_sheet_by_name(sheet)
    left = (None,) * (table.start or (0, 0))[1]
    # calamine's rows begin at row 1, but at the first column that is not empty.
    for number, cells in enumerate(table.iter_rows(), 1):
        yield number, (*left, *(cell if type(cell) is str else text(cell) for cell in cells)), ""


def _refuse_sparse(path: Path, sheet: str) -> None:
    """calamine makes room for every cell up to the last one, and ends the whole process when there is none."""
    if (extent := hidden_of(path, sheet).extent) > _MOST_CELLS:
        raise InputError(
            f"{path}: the sheet “{sheet}” goes on over {extent:,} cells, nearly all of them empty",
            hint="Copy what is filled into a new workbook, or save the sheet as CSV.",
        )


def _named(workbook: CalamineWorkbook, path: Path, wanted: str) -> str:
    names = [each.name for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    for name in names:
        if name.strip().casefold() == wanted.strip().casefold():
            return name
    raise InputError(f"{path} has no sheet “{wanted}”. Its sheets: {_listed(names)}", hint=_SAY_WHICH)


def _chosen(workbook: CalamineWorkbook, path: Path, request: Request) -> str:
    visible = [each.name for each in workbook.sheets_metadata if each.visible == SheetVisibleEnum.Visible]
    if len(visible) == 1:
        return visible[0]
    headers = {name: header for name in visible if (header := _header(workbook, path, name, request))}
    telling = [name for name, header in headers.items() if phone_columns(header)]
    if len(headers) == 1 or len(telling) == 1:
        return (telling or list(headers))[0]
    if not headers:
        raise InputError(f"{path} is empty", hint="Check that it is the right file; --sheet NAME reads a hidden sheet.")
    raise InputError(f"{path} has several sheets with rows: {_listed(telling or list(headers))}", hint=_SAY_WHICH)


def _header(workbook: CalamineWorkbook, path: Path, sheet: str, request: Request) -> list[str]:
    """The titles of a sheet's columns; empty for an empty sheet."""
    rows = list(islice((cells for _, cells, _ in _records(workbook, path, sheet) if not is_blank(cells)), FIRST_ROWS))
    return [cell for cell in rows[header_place(rows, request.phone_column)] if cell] if rows else []


_SAY_WHICH: Final = "Say which sheet to read: --sheet NAME"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
