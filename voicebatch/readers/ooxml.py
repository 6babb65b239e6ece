"""A sheet of an .xlsx or .xlsm file, as its own part tells it.

Source: ECMA-376, part 1, 18.3.1.73 (row), 18.3.1.13 (col), 18.3.1.4 (c) and 18.8.45 (xf). A part is read as a stream,
whatever its size. A piece of it in which every row and cell is written as usual, and none is hidden or in error, is
only measured, all cells at once; the tags of any other piece are read one by one.
"""

from __future__ import annotations

import posixpath
import re
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import numpy as np

from voicebatch.errors import InputError
from voicebatch.headers import column_position
from voicebatch.readers.archive import pieces_of, whole_part, whole_tags
from voicebatch.readers.formats import Shown, shown_in
from voicebatch.readers.hidden import MOST_CELLS, Hidden, Look, Marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_MOST_COLUMNS: Final = 16_384
_MOST_LETTERS: Final = 3
_MOST_DIGITS: Final = 8
_BEYOND: Final = 64  # bytes that may be looked at behind the last tag: a place, a style and a kind
_TAG: Final = re.compile(rb"<(?:\w+:)?(row|col|c)(?=[\s/>])([^>]*)>")
_ATTRIBUTE: Final = re.compile(rb"""(\w+)\s*=\s*["']([^"']*)["']""")
_REFERENCE: Final = re.compile(rb"([A-Za-z]{1,8})(\d{1,12})")
_VALUE: Final = re.compile(rb"<(?:\w+:)?v>([^<]{1,20})<")
_VALUE_WITHIN: Final = 1 << 14  # bytes, among them those of a formula
_UNUSUAL: Final = re.compile(rb"""<(row|c)(?= [^>]*?(?:hidden|ht="0|t="e"))([^>]*)>""")
_NOT_HIDDEN: Final = (b'hidden="false"', b'hidden="0"')
_STYLED: Final = re.compile(rb"<c [^>]*? s=")
_PREFIX: Final = b":c"  # before the name of a cell's tag
_CELL, _ROW, _STYLE, _KIND = b'<c r="', b'<row r="', b' s="', b' t="'
_NUMBERS: Final = (b"n", b"d")  # kinds of cells: numbers, also those that are dates, and dates as text
_TRUE: Final = (b"1", b"true")


def look_at(path: Path, sheet: str) -> Look:
    """What is hidden in this sheet, and how far it goes. Raises ``InputError`` when that cannot be told."""
    try:
        book = _workbook_part(path)
        pieces = pieces_of(path, _sheet_part(path, book, sheet))
        return _Scan(formats=_formats(path, book)).look(whole_tags(pieces))
    except (ET.ParseError, LookupError, ValueError, StopIteration, OverflowError) as error:
        raise InputError(
            f"{path}: which rows of the sheet “{sheet}” are hidden cannot be told: the file is not as Excel writes it",
            hint="Open it in a spreadsheet program and save it again as .xlsx.",
        ) from error


def _workbook_part(path: Path) -> str:
    """The name of the part that lists the sheets."""
    return next(
        _joined("", one.get("Target", ""))
        for one in _tree(path, "_rels/.rels")
        if one.get("Type", "").endswith("/officeDocument")
    )


def _sheet_part(path: Path, book: str, sheet: str) -> str:
    names = {one.get("name"): one for one in _tree(path, book).iter() if one.tag.endswith("}sheet")}
    reference = next(value for key, value in names[sheet].attrib.items() if key.endswith("}id"))
    targets = {one.get("Id"): one.get("Target", "") for one in _tree(path, _relations_of(book))}
    return _joined(posixpath.dirname(book), targets[reference])


def _relations_of(part: str) -> str:
    folder, name = posixpath.split(part)
    return posixpath.join(folder, "_rels", f"{name}.rels")


def _joined(folder: str, target: str) -> str:
    """A part's name: paths count from the zip's own root, and lead nowhere else."""
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def _tree(path: Path, name: str) -> ET.Element:
    return ET.fromstring(whole_part(path, name))  # noqa: S314 # expat refuses entities that grow


def _formats(path: Path, book: str) -> dict[int, Shown]:
    """The styles of cells, by number, whose format makes another text of a number or date."""
    relations = _tree(path, _relations_of(book))
    part = next((one.get("Target", "") for one in relations if one.get("Type", "").endswith("/styles")), "")
    if not part:
        return {}
    styles = _tree(path, _joined(posixpath.dirname(book), part))
    codes = {one.get("numFmtId"): one.get("formatCode", "") for one in styles.iterfind("{*}numFmts/{*}numFmt")}
    names = [style.get("numFmtId", "0") for style in styles.iterfind("{*}cellXfs/{*}xf")]
    shown = ((style, shown_in(_whole(name.encode()), codes.get(name))) for style, name in enumerate(names))
    return {style: each for style, each in shown if each}


def _whole(number: bytes) -> int:
    return int(number) if number.isdigit() and len(number) <= _MOST_DIGITS else -1


class _Shown(Marks["Shown"]):
    """Cells in formats, noted many at a time."""

    def add_all(
        self, rows: NDArray[np.int64], column: int, styles: NDArray[np.int64], formats: Mapping[int, Shown]
    ) -> None:
        """The same as ``add`` for each of these cells of a column."""
        marked, whats = self._columns.setdefault(column, (array("I"), array("I")))
        if (np.diff(rows, prepend=marked[-1] if marked else 0) <= 0).any():
            for row, style in zip(rows.tolist(), styles.tolist(), strict=True):
                self.add(row, column, formats[style])
            return
        marked.frombytes(rows.astype(np.uintc).tobytes())
        numbers, positions = np.unique(styles, return_inverse=True)
        codes = [self._whats.setdefault(formats[number], len(self._whats)) for number in numbers.tolist()]
        whats.frombytes(np.array(codes, np.uintc)[positions].tobytes())


@dataclass(slots=True, kw_only=True)
class _Scan:
    """Reads a sheet's part once. ``row`` and ``column`` are those of the last tag, counted from 1."""

    formats: Mapping[int, Shown]
    row: int = 0
    column: int = 0
    height: int = 0
    width: int = 0
    rows: set[int] = field(default_factory=set)
    columns: set[int] = field(default_factory=set)
    shown: _Shown = field(default_factory=_Shown)
    errors: Marks[str] = field(default_factory=Marks)

    def look(self, pieces: Iterator[bytes]) -> Look:
        for index, piece in enumerate(pieces):
            is_usual = index and _PREFIX not in piece  # the first piece tells of columns
            cells = _cells(piece, are_styled=bool(self.formats)) if is_usual else None
            if cells is None or not self._measure(cells):
                self._read(_TAG.finditer(piece), piece)
                continue
            self._mark(cells)
            if _has_unusual(piece):
                place = self.row, self.column
                self._read(_UNUSUAL.finditer(piece), piece)
                self.row, self.column = place
        hidden = Hidden(frozenset(self.rows), frozenset(self.columns))
        return Look(hidden=hidden, extent=self.height * self.width, shown=self.shown, errors=self.errors)

    def _measure(self, cells: _Cells) -> bool:
        """Whether these cells and all before are not too many together."""
        height = max(self.height, int(cells.rows.max(initial=0)))
        width = max(self.width, int(cells.columns.max(initial=0)))
        if height * width > MOST_CELLS:
            return False
        if len(cells.rows):
            self.height, self.width, self.row, self.column = height, width, int(cells.rows[-1]), int(cells.columns[-1])
        return True

    def _mark(self, cells: _Cells) -> None:
        """Notes how the numbers and dates among these cells are shown."""
        wanted = np.isin(cells.styles, list(self.formats))
        rows, columns, styles = cells.rows[wanted], cells.columns[wanted], cells.styles[wanted]
        for column in np.unique(columns).tolist():
            here = columns == column
            self.shown.add_all(rows[here], column - 1, styles[here], self.formats)

    def _read(self, tags: Iterator[re.Match[bytes]], piece: bytes) -> None:
        for tag in tags:
            attributes = dict(_ATTRIBUTE.findall(tag[2]))
            if tag[1] == b"c":
                self._cell(attributes, piece, tag)
            elif tag[1] == b"row":
                self.row, self.column = int(attributes.get(b"r", self.row + 1)), 0
                if attributes.get(b"hidden") in _TRUE or _is_zero(attributes.get(b"ht")):
                    self.rows.add(self.row)
            elif attributes.get(b"hidden") in _TRUE or _is_zero(attributes.get(b"width")):
                last = min(int(attributes[b"max"]), _MOST_COLUMNS)
                self.columns.update(range(int(attributes[b"min"]) - 1, last))

    def _cell(self, attributes: dict[bytes, bytes], piece: bytes, tag: re.Match[bytes]) -> None:
        row, self.column = self._place(attributes.get(b"r"))
        if tag[2].endswith(b"/"):
            return
        self.height, self.width = max(self.height, row), max(self.width, self.column)
        kind = attributes.get(b"t", b"n")
        if kind == b"e":
            value = _VALUE.search(piece, tag.end(), tag.end() + _VALUE_WITHIN)
            self.errors.add(row, self.column - 1, value[1].decode("ascii", "replace") if value else "an error")
        elif kind in _NUMBERS and (shown := self.formats.get(_whole(attributes.get(b"s", b"")))):
            self.shown.add(row, self.column - 1, shown)

    def _place(self, reference: bytes | None) -> tuple[int, int]:
        """The row and column of a cell: those that it says, or the next ones."""
        if reference is None:
            return self.row, self.column + 1
        if not (place := _REFERENCE.fullmatch(reference)):
            raise ValueError("a cell is at no place")
        return int(place[2]), column_position(place[1].decode().upper()) + 1


def _is_zero(size: bytes | None) -> bool:
    return size is not None and float(size) == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """The cells of a piece in their order: rows and columns from 1; ``styles`` are -1 for those without numbers."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    styles: NDArray[np.int64]


def _cells(piece: bytes, *, are_styled: bool) -> _Cells | None:
    """All cells; None when one of them, or a row, is not written as usual. Without styles all of these are -1."""
    text = np.frombuffer(piece + bytes(_BEYOND), np.uint8)
    tags = np.flatnonzero(text == ord("<"))
    second, third = text[tags + 1], text[tags + 2]
    cells, rows = tags[(second == ord("c")) & (third != ord("o"))], tags[(second == ord("r")) & (third == ord("o"))]
    if not (np.all(_begin(text, cells, _CELL)) and np.all(_begin(text, rows, _ROW))):
        return None
    column, at = _number(text, cells + len(_CELL), first=ord("A"), base=26, most=_MOST_LETTERS, plus=1)
    row, at = _number(text, at, first=ord("0"), base=10, most=_MOST_DIGITS, plus=0)
    if not (np.all(text[at] == ord('"')) and np.all(column > 0) and np.all(row > 0)):
        return None
    styles = _styles(piece, text, at + 1) if are_styled else np.full(len(cells), -1)
    return None if styles is None else _Cells(rows=row, columns=column, styles=styles)


def _styles(piece: bytes, text: NDArray[np.uint8], at: NDArray[np.intp]) -> NDArray[np.int64] | None:
    """The styles of the cells with numbers, from what follows the cells' places; None when one stands elsewhere."""
    is_styled = _begin(text, at, _STYLE)
    count = int(is_styled.sum())
    if piece.count(b" s=") != count and len(_STYLED.findall(piece)) != count:  # the first finds those of rows too
        return None
    style, end = _number(text, at[is_styled] + len(_STYLE), first=ord("0"), base=10, most=_MOST_DIGITS, plus=0)
    ends, is_typed = np.isin(text[end + 1], (ord(">"), ord("/"))), _begin(text, end + 1, _KIND)
    if not (np.all(text[end] == ord('"')) and np.all(ends | is_typed)):
        return None
    is_number = ends | np.isin(text[end + 1 + len(_KIND)], [ord(kind) for kind in _NUMBERS])
    styles = np.full(len(at), -1)
    styles[is_styled] = np.where(is_number, style, -1)
    return styles


def _has_unusual(piece: bytes) -> bool:
    """Whether a row may be hidden, or a cell in error."""
    return (
        b't="e"' in piece
        or b'ht="0' in piece
        or (b"hidden" in piece and piece.count(b"hidden") != sum(map(piece.count, _NOT_HIDDEN)))
    )


def _begin(text: NDArray[np.uint8], at: NDArray[np.intp], beginning: bytes) -> NDArray[np.bool_]:
    """At which of these places this begins."""
    found = np.ones(len(at), np.bool_)
    for index, letter in enumerate(beginning):
        found &= text[at + index] == letter
    return found


def _number(
    text: NDArray[np.uint8], at: NDArray[np.intp], *, first: int, base: int, most: int, plus: int
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The numbers that begin at these places, in digits from ``first`` on, and the places behind them."""
    value = np.zeros(len(at), np.int64)
    for _ in range(most):
        digit = text[at].astype(np.int64) - first
        is_digit = (digit >= 0) & (digit < base)
        if not is_digit.any():
            break
        value = np.where(is_digit, value * base + digit + plus, value)
        at = at + is_digit
    return value, at
