"""Which rows and columns of a sheet its user has hidden, or filtered away, and how far it goes: calamine does not tell.

Source: ECMA-376, part 1, 18.3.1.73 (row), 18.3.1.13 (col) and 18.3.1.4 (c). A sheet's part is read as a stream,
whatever its size, and of its elements only the tags are looked at.
"""

from __future__ import annotations

import functools
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from voicebatch.headers import column_position

if TYPE_CHECKING:
    from pathlib import Path

_PIECE: Final = 1 << 20  # bytes read at a time
_LONGEST_TAG: Final = 1 << 12  # bytes
_LARGEST_PART: Final = 1 << 24  # bytes of a part that is read as a whole: it lists sheets
_TAG: Final = re.compile(rb"<(?:\w+:)?(row|col)\b([^>]*)>")
_ATTRIBUTE: Final = re.compile(rb"""(\w+)\s*=\s*["']([^"']*)["']""")
_MOST_COLUMNS: Final = 16_384
_MOST_ROWS: Final = 1_048_576
_FAR: Final = re.compile(rb"""\br=["'][A-Z]{2}""")
_FAR_CELL: Final = re.compile(rb"""<(?:\w+:)?c\s[^>]*?\br=["']([A-Z]{2,3})\d+["'][^>]*(?<!/)>""")
_NUMBERED: Final = re.compile(rb"\br\s*=")
_TRUE: Final = ("1", "true")


@dataclass(frozen=True, slots=True)
class Hidden:
    """Row numbers as a spreadsheet shows them, and positions of columns from 0.

    ``extent`` is how many cells there are up to the last row and column in which something stands.
    """

    rows: frozenset[int] = field(default_factory=frozenset)
    columns: frozenset[int] = field(default_factory=frozenset)
    extent: int = 0


def hidden_of(path: Path, sheet: str) -> Hidden:
    """What is hidden in this sheet of an .xlsx or .xlsm file; nothing where that cannot be told."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return Hidden()
    return _hidden_of(path, sheet, changed)


@functools.lru_cache(maxsize=16)
def _hidden_of(path: Path, sheet: str, _changed: int) -> Hidden:
    try:
        with zipfile.ZipFile(path) as book, book.open(_part_of(book, sheet)) as part:
            return _hidden_in(part)
    except (zipfile.BadZipFile, zlib.error, ET.ParseError, KeyError, ValueError, StopIteration,
            NotImplementedError, RuntimeError, EOFError):  # fmt: skip
        return Hidden()  # another format under this ending; whether it can be read at all is calamine's to say


def _part_of(book: zipfile.ZipFile, sheet: str) -> str:
    """The name of the sheet's part. Raises ``KeyError`` when there is none."""
    names = {one.get("name"): one for one in _tree(book, "xl/workbook.xml").iter() if one.tag.endswith("}sheet")}
    reference = next(value for key, value in names[sheet].attrib.items() if key.endswith("}id"))
    targets = {one.get("Id"): one.get("Target", "") for one in _tree(book, "xl/_rels/workbook.xml.rels")}
    return posixpath.normpath(posixpath.join("/xl", targets[reference])).lstrip("/")


def _tree(book: zipfile.ZipFile, name: str) -> ET.Element:
    with book.open(name) as part:
        return ET.fromstring(part.read(_LARGEST_PART))  # noqa: S314 # expat refuses entities that grow


def _hidden_in(part: IO[bytes]) -> Hidden:
    rows: set[int] = set()
    columns: set[int] = set()
    width = 26
    numbered, since = b'r="0"', 0  # the last row that says its number, and how many came after it
    for kind, written in _tags(part):
        if kind == b"c":
            width = max(width, column_position(written.decode()) + 1)
            continue
        if kind == b"row":
            numbered, since = (written, 0) if _NUMBERED.search(written) else (numbered, since + 1)
        if b"hidden" not in written or (attributes := _attributes(written)).get("hidden") not in _TRUE:
            continue
        if kind == b"row":
            rows.add(int(_attributes(numbered)["r"]) + since)
        else:
            columns.update(range(int(attributes["min"]) - 1, min(int(attributes["max"]), _MOST_COLUMNS)))
    height = int(_attributes(numbered)["r"]) + since
    return Hidden(frozenset(rows), frozenset(columns), min(height, _MOST_ROWS) * min(width, _MOST_COLUMNS))


def _tags(part: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The names of rows' and columns' tags and what is written behind them; of cells beyond column Z the column."""
    rest = b""
    while piece := part.read(_PIECE):
        text = rest + piece
        end = 0
        for tag in _TAG.finditer(text):
            end = tag.end()
            yield tag[1], tag[2]
        for letters in {*_FAR_CELL.findall(text)} if _FAR.search(text) else ():
            yield b"c", letters
        rest = text[max(end, len(text) - _LONGEST_TAG) :]


def _attributes(written: bytes) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in _ATTRIBUTE.findall(written)}
