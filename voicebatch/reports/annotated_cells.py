"""The cells of a sheet, copied as they are but for the styles of some: a stream, whatever its size.

Only rows with cells to be marked are looked into. Source: ECMA-376, part 1, 18.3.1.4 (c), 18.3.1.13 (col) and
18.3.1.73 (row).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from voicebatch.headers import column_letters, column_position
from voicebatch.reports.annotated_package import Element, attributes, elements, with_attribute
from voicebatch.reports.annotated_styles import Styles

_REST_OF_TAG: Final = rb"""(?=[\s/>])(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+>"""
_REFERENCE: Final = re.compile("([A-Z]{1,3})([0-9]{1,7})")
_LONGEST_TEXT: Final = 1 << 20  # bytes, more than a cell can hold
_TRUE: Final = ("1", "true")


def without_colour(head: str, styles: Styles) -> str:
    """What comes before a sheet's cells, with our colour taken from its columns."""
    for column in reversed(_columns(head)):
        style = int(column.attributes.get("style", "0"))
        if style in styles.ours:
            tag = with_attribute(head[column.start : column.end], "style", str(styles.plain(style)))
            head = head[: column.start] + tag + head[column.end :]
    return head


class Cells:
    """Copies a sheet's cells once: our colour comes off wherever it is, and then on these cells of each row."""

    def __init__(self, head: str, prefix: str, cells: Iterable[tuple[int, int]], styles: Styles) -> None:
        """``head`` is what comes before. A cell is a spreadsheet's number of a row, and a position from 0."""
        self._columns = [(_span(one.attributes), one.attributes.get("style", "0")) for one in _columns(head)]
        self._prefix, self._styles = prefix, styles
        name, ours = re.escape(prefix.encode()), b"|".join(b"%d" % style for style in sorted(styles.ours))
        self._former = re.compile(rb"""(<%b(?:c|row)\s(?:[^<>]*?\s)?s\s*=\s*["'])(%b)(?=["'])""" % (name, ours))
        self._row_tag = re.compile(rb"<%brow%b" % (name, _REST_OF_TAG))
        self._any_tag = re.compile(rb"</?%b(?:row|c)%b" % (name, _REST_OF_TAG))
        self._due: dict[int, list[int]] = defaultdict(list)
        for row, column in sorted(cells):
            self._due[row].append(column)
        self._row, self._column = 0, -1  # those of the last tag
        self._style = ""  # that a row has for cells which do not exist
        self._waiting: list[int] = []  # of a row, columns that are still to be marked
        self._inside = False  # of a row that has some

    def copied(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces with the styles changed. Raises ``ValueError`` for what is not in order."""
        for piece in _with_whole_tags(pieces):
            if b"<!" in piece:
                raise ValueError("a remark or the like stands between the cells")
            yield self._marked(self._former.sub(self._plain, piece) if self._styles.ours else piece)
        if self._due or self._inside:
            raise ValueError("rows are missing")

    def _plain(self, tag: re.Match[bytes]) -> bytes:
        return tag[1] + b"%d" % self._styles.plain(int(tag[2]))

    def _marked(self, piece: bytes) -> bytes:
        parts, at, done = [], 0, 0
        while tag := (self._any_tag if self._inside else self._row_tag).search(piece, at):
            at = tag.end()
            new = self._tag(tag[0].decode())
            if new is not None:
                parts += [piece[done : tag.start()], new.encode()]
                done = at
        return b"".join([*parts, piece[done:]])

    def _tag(self, tag: str) -> str | None:
        """What a tag is replaced by, if it is."""
        if not self._inside:
            return self._begin_row(tag)
        if tag.startswith("</"):
            return self._end_row(tag) if tag.rstrip("> \t\r\n").endswith("row") else None
        return self._cell(tag)

    def _begin_row(self, tag: str) -> str | None:
        told = attributes(tag)
        number = int(told.get("r", self._row + 1))
        if number <= self._row:
            raise ValueError("the rows are in disorder")
        self._row, self._column, self._waiting = number, -1, self._due.pop(number, [])
        if not self._waiting:
            return None
        self._style = told.get("s", "0") if told.get("customFormat") in _TRUE else ""
        if tag.endswith("/>"):
            return f"{tag[:-2]}>{self._missing()}</{self._prefix}row>"
        self._inside = True
        return None

    def _end_row(self, tag: str) -> str:
        self._inside = False
        return self._missing() + tag

    def _cell(self, tag: str) -> str | None:
        told = attributes(tag)
        column = self._place(told.get("r"))
        if column <= self._column:
            raise ValueError("the cells are in disorder")
        self._column = column
        missing = self._missing(column)
        if column not in self._waiting:
            return missing + tag if missing else None
        self._waiting.remove(column)
        return missing + with_attribute(tag, "s", str(self._styles.coloured(int(told.get("s", "0")))))

    def _place(self, reference: str | None) -> int:
        if reference is None:
            return self._column + 1
        place = _REFERENCE.fullmatch(reference)
        if not place or int(place[2]) != self._row:
            raise ValueError("a cell is not in its row")
        return column_position(place[1])

    def _missing(self, before: int | None = None) -> str:
        """Cells to be marked that do not exist yet, and whose place is here."""
        due = [column for column in self._waiting if before is None or column < before]
        del self._waiting[: len(due)]
        return "".join(map(self._empty_cell, due))

    def _empty_cell(self, column: int) -> str:
        style = self._style or next((style for span, style in self._columns if column + 1 in span), "0")
        number = self._styles.coloured(int(style))
        return f'<{self._prefix}c r="{column_letters(column)}{self._row}" s="{number}"/>'


def _columns(head: str) -> list[Element]:
    return [one for one in elements(head, 2) if one.name == "col"]


def _span(column: dict[str, str]) -> range:
    return range(int(column["min"]), int(column["max"]) + 1)


def _with_whole_tags(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut before a tag: nothing within one is written with ``<``."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        cut = max(0, text.rfind(b"<"))
        if len(text) - cut > _LONGEST_TEXT:
            raise ValueError("a text is longer than a cell can hold")
        yield text[:cut]
        rest = text[cut:]
    yield rest
