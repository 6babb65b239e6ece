"""A sheet of an .xlsx or .xlsm file, as its own part tells it.

Source: ECMA-376, part 1, 18.3.1.73 (row), 18.3.1.13 (col), 18.3.1.4 (c) and 18.8.45 (xf). A part is read as a stream,
whatever its size. A piece of it in which every row and cell is written as usual, and none is hidden or in error, is
only measured, all cells at once; the tags of any other piece are read one by one.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import numpy as np

from voicebatch.errors import InputError
from voicebatch.headers import column_position
from voicebatch.readers.archive import pieces_of, whole_part, whole_tags
from voicebatch.readers.formats import BUILT_IN, Shown, shown_by
from voicebatch.readers.hidden import MOST_CELLS, Hidden, Look

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_MOST_COLUMNS: Final = 16_384
_MOST_LETTERS: Final = 3
_MOST_DIGITS: Final = 8
_TAG: Final = re.compile(rb"<(?:\w+:)?(row|col|c)(?=[\s/>])([^>]*)>")
_ATTRIBUTE: Final = re.compile(rb"""(\w+)\s*=\s*["']([^"']*)["']""")
_REFERENCE: Final = re.compile(rb"([A-Za-z]{1,8})(\d{1,12})")
_VALUE: Final = re.compile(rb"<(?:\w+:)?v>([^<]{1,20})<")
_VALUE_WITHIN: Final = 1 << 14  # bytes, among them those of a formula
_UNUSUAL: Final = (b"hidden", b'ht="0', b't="e"')
_PREFIX: Final = b":c"  # before the name of a cell's tag
_CELL, _ROW = b'<c r="', b'<row r="'
_FEW: Final = 16  # formats that are looked for one by one
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


def _formats(path: Path, book: str) -> dict[bytes, Shown]:
    """The styles of cells, by number, whose number format makes another text of a number."""
    relations = _tree(path, _relations_of(book))
    part = next((one.get("Target", "") for one in relations if one.get("Type", "").endswith("/styles")), "")
    if not part:
        return {}
    styles = _tree(path, _joined(posixpath.dirname(book), part))
    codes = {str(number): code for number, code in BUILT_IN.items()}
    codes |= {one.get("numFmtId", ""): one.get("formatCode", "") for one in styles.iterfind("{*}numFmts/{*}numFmt")}
    cells = enumerate(styles.iterfind("{*}cellXfs/{*}xf"))
    shown = ((number, shown_by(codes.get(style.get("numFmtId", ""), "General"))) for number, style in cells)
    return {b"%d" % number: each for number, each in shown if each}


@dataclass(slots=True, kw_only=True)
class _Scan:
    """Reads a sheet's part once. ``row`` and ``column`` are those of the last tag, counted from 1."""

    formats: Mapping[bytes, Shown]
    row: int = 0
    column: int = 0
    height: int = 0
    width: int = 0
    rows: set[int] = field(default_factory=set)
    columns: set[int] = field(default_factory=set)
    found: Look = field(default_factory=Look)

    def look(self, pieces: Iterator[bytes]) -> Look:
        unusual = (*_UNUSUAL, *(b's="%b"' % style for style in self.formats))
        told = re.compile(rb"<(row|c)(?= (?:[^>]*?)(?:%b))([^>]*)>" % b"|".join(unusual))
        for index, piece in enumerate(pieces):
            if not index or _PREFIX in piece or not self._measure(piece):  # the first piece tells of columns
                self._read(_TAG.finditer(piece), piece)
            elif len(unusual) > _FEW or any(each in piece for each in unusual):
                place = self.row, self.column
                self._read(told.finditer(piece), piece)
                self.row, self.column = place
        hidden = Hidden(frozenset(self.rows), frozenset(self.columns))
        return Look(hidden=hidden, extent=self.height * self.width, shown=self.found.shown, errors=self.found.errors)

    def _measure(self, piece: bytes) -> bool:
        """Whether all rows and cells of a piece say where they are, and together are not too many."""
        places = _places(piece)
        if places is None:
            return False
        height, width = max(self.height, int(places[0].max(initial=0))), max(self.width, int(places[1].max(initial=0)))
        if height * width > MOST_CELLS:
            return False
        if len(places[0]):
            self.height, self.width, self.row, self.column = height, width, int(places[0][-1]), int(places[1][-1])
        return True

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
            self.found.errors.add(row, self.column - 1, value[1].decode("ascii", "replace") if value else "an error")
        elif kind == b"n" and (shown := self.formats.get(attributes.get(b"s", b""))):
            self.found.shown.add(row, self.column - 1, shown)

    def _place(self, reference: bytes | None) -> tuple[int, int]:
        """The row and column of a cell: those that it says, or the next ones."""
        if reference is None:
            return self.row, self.column + 1
        if not (place := _REFERENCE.fullmatch(reference)):
            raise ValueError("a cell is at no place")
        return int(place[2]), column_position(place[1].decode().upper()) + 1


def _is_zero(size: bytes | None) -> bool:
    return size is not None and float(size) == 0


def _places(piece: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The rows and columns, from 1, of all cells; None when one of them, or a row, does not say them as usual."""
    text = np.frombuffer(piece + bytes(_MOST_LETTERS + _MOST_DIGITS + len(_ROW)), np.uint8)
    tags = np.flatnonzero(text == ord("<"))
    second, third = text[tags + 1], text[tags + 2]
    cells, rows = tags[(second == ord("c")) & (third != ord("o"))], tags[(second == ord("r")) & (third == ord("o"))]
    if not (_begin(text, cells, _CELL) and _begin(text, rows, _ROW)):
        return None
    column, at = _number(text, cells + len(_CELL), first=ord("A"), base=26, most=_MOST_LETTERS, plus=1)
    row, at = _number(text, at, first=ord("0"), base=10, most=_MOST_DIGITS, plus=0)
    is_whole = np.all(text[at] == ord('"')) and np.all(column > 0) and np.all(row > 0)
    return (row, column) if is_whole else None


def _begin(text: NDArray[np.uint8], at: NDArray[np.intp], beginning: bytes) -> bool:
    return all(np.all(text[at + index] == letter) for index, letter in enumerate(beginning[2:], 2))


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
