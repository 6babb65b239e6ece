"""A copy of a user's own workbook with its bad cells marked: a colour, and a note that says why.

Only what the marks need is added; formulas and their values, formats, filters, pictures, charts and macros are copied
as they are. The colour is the cell's own, so that it moves with the cell and every program finds it. Source: ECMA-376,
part 1, 18.3.1.99 (the order of a sheet's elements), 18.7 (notes), and part 4, 19.4 (their shapes).
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final
from xml.sax.saxutils import escape

from voicebatch.headers import column_letters
from voicebatch.reports.annotated import AUTHOR, MOST_CELLS, Mark
from voicebatch.reports.annotated_cells import Cells, without_colour
from voicebatch.reports.annotated_package import Package, append, elements, inserted, opened, root, small
from voicebatch.reports.annotated_styles import Styles

_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES: Final = "application/vnd.openxmlformats-officedocument"
_PIECE: Final = 1 << 20
_BEGIN_OF_CELLS: Final = re.compile(rb"<([\w.-]+:)?sheetData(?:\s[^<>]*)?(?<!/)>")
_LONGEST_HEAD: Final = 1 << 22  # bytes before the cells, among them the columns'
_END_OF_CELLS: Final = re.compile(rb"</(?:[\w.-]+:)?sheetData\s*>")
_LONGEST_TAG: Final = 256
_LAST_ROW, _LAST_COLUMN = 1_048_575, 16_383  # from 0

# What may stand behind the drawing that holds the notes' shapes.
_AFTER_DRAWING: Final = frozenset(
    ("legacyDrawingHF", "drawingHF", "picture", "oleObjects", "controls", "webPublishItems", "tableParts", "extLst",
     "AlternateContent")
)  # fmt: skip

_SIGN: Final = f"[{AUTHOR}] "  # before what we add to a note of the user's
_ADDED_WORDS: Final = re.compile(rf"(?:\s|&#1[03];|&#x[aAdD];|_x000[aAdD]_){{0,8}}{re.escape(_SIGN)}[^<]*")
_LONGEST_NOTE: Final = 4_000  # characters
_UNSPEAKABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")

_STYLES: Final = (
    f'{_XML}<styleSheet xmlns="{_MAIN}"><fonts count="1"><font><sz val="11"/><name '
    'val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill '
    'patternType="gray125"/></fill></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/>'
    '</cellStyleXfs><cellXfs count="1"><xf xfId="0"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" '
    'xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_NOTES: Final = f'{_XML}<comments xmlns="{_MAIN}"><authors></authors><commentList></commentList></comments>'
_NAMESPACES: Final = (
    'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" '
    'xmlns:x="urn:schemas-microsoft-com:office:excel"'
)
_SHAPE_TYPE: Final = (
    f'<v:shapetype {_NAMESPACES} id="_x0000_t202" coordsize="21600,21600" o:spt="202" '
    'path="m,l,21600r21600,l21600,xe"><v:stroke joinstyle="miter"/>'
    '<v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>'
)
_SHAPES: Final = (
    f'<xml {_NAMESPACES}><o:shapelayout v:ext="edit"><o:idmap v:ext="edit" data="1"/></o:shapelayout>'
    f"{_SHAPE_TYPE}</xml>"
)
_SHAPE: Final = re.compile(r"<((?:[\w.-]+:)?shape)\s(?:(?!<\1\s).)*?</\1\s*>", re.DOTALL)
_SHAPE_NUMBER: Final = re.compile(r"_x0000_s(\d{1,9})\b")
_SHAPE_CELL: Final = re.compile(r"<((?:[\w.-]+:)?(Row|Column))>\s*(\d+)\s*</\1>")


class NotMarkable(Exception):
    """The file is no .xlsx whose parts we know our way about in."""


def mark_workbook(path: Path, copy: Path, sheet: str, marks: Sequence[Mark]) -> None:
    """Writes a copy in which the first cells of ``marks`` are marked, and marks of an earlier time are not.

    Raises ``NotMarkable``; the copy is then of no use.
    """
    marks = marks[:MOST_CELLS]
    try:
        with zipfile.ZipFile(path) as archive:
            _mark(Package(archive), copy, sheet, marks)
    except (zipfile.BadZipFile, zlib.error, LookupError, ValueError, StopIteration, NotImplementedError, RuntimeError,
            EOFError) as error:  # fmt: skip
        raise NotMarkable(str(error)) from error


def _mark(package: Package, copy: Path, sheet: str, marks: Sequence[Mark]) -> None:
    book = next(iter(package.related("", "officeDocument").values()))
    part = _part_of(package, book, sheet)
    head, length, tail = _around_cells(package, part)
    styles_part = _styles_part(package, book)
    styles = Styles(package.text(styles_part))
    above = without_colour(head.decode(), styles)
    cells = Cells(above, root(tail)[0], [(mark.row, mark.column) for mark in marks], styles)
    has_notes_anew = _write_notes(package, part, marks)
    below = _with_drawing(tail, _write_shapes(package, part, tail, marks, has_notes_anew))

    def write_sheet(copy: IO[bytes]) -> None:
        copy.write(above.encode())
        copy.writelines(cells.copied(_pieces_of_cells(package, part, len(head), length)))
        copy.write(below.encode())

    # Only when the cells are written it is known which styles there have to be.
    package.write(copy, {part: write_sheet, styles_part: styles.write})


def _part_of(package: Package, book: str, sheet: str) -> str:
    text = package.text(book)
    group = next(one for one in elements(text, 1) if one.name == "sheets")
    listed = elements(text[group.start : group.end], 1)
    sheets = {one.attributes["name"]: one.attributes for one in listed}
    relation = next(value for name, value in sheets[sheet].items() if name.endswith(":id"))
    return package.related(book, "worksheet")[relation]


# The sheet: what stands before its cells and below them is read as a whole.


def _around_cells(package: Package, part: str) -> tuple[bytes, int, str]:
    """What stands before a sheet's cells, how many bytes those have, and what comes below."""
    with package.open(part) as sheet:
        window = sheet.read(_LONGEST_HEAD)
        begin = _BEGIN_OF_CELLS.search(window)
        if not begin:
            raise ValueError("the sheet has no cells")
        head, window, length = window[: begin.end()], window[begin.end() :], 0
        while not (end := _END_OF_CELLS.search(window)):
            length += max(0, len(window) - _LONGEST_TAG)
            if not (piece := sheet.read(_PIECE)):
                raise ValueError("the sheet has no end")
            window = window[-_LONGEST_TAG:] + piece
        tail = small(window[end.end() :] + sheet.read(1 << 27))
        return head, length + end.end(), tail.decode()


def _pieces_of_cells(package: Package, part: str, begin: int, length: int) -> Iterator[bytes]:
    with package.open(part) as sheet:
        sheet.seek(begin)
        while length and (piece := sheet.read(min(_PIECE, length))):
            length -= len(piece)
            yield piece


def _with_drawing(tail: str, drawing: str | None) -> str:
    if drawing is None:
        return tail
    tag = f'<{root(tail)[0]}legacyDrawing xmlns:r="{_RELATIONS}" r:id="{drawing}"/>'
    return inserted(tail, tag, before=_AFTER_DRAWING, level=0)


def _styles_part(package: Package, book: str) -> str:
    """The name of the part with the styles, which is a new one if there was none."""
    if not package.related(book, "styles"):
        content_type = f"{_TYPES}.spreadsheetml.styles+xml"
        package.add("xl/styles.xml", _STYLES, content_type=content_type, owner=book, kind="styles")
    return next(iter(package.related(book, "styles").values()))


# The notes, and the shapes in which they are shown.


def _write_notes(package: Package, part: str, marks: Sequence[Mark]) -> frozenset[tuple[int, int]]:
    """Puts the reasons into the sheet's notes. Returns the cells whose notes are or were ours alone."""
    name = next(iter(package.related(part, "comments").values()), None)
    if name is None:
        content_type = f"{_TYPES}.spreadsheetml.comments+xml"
        package.add("xl/voicebatchComments{}.xml", _NOTES, content_type=content_type, owner=part, kind="comments")
        name = next(iter(package.related(part, "comments").values()))
    xml, us = _with_author(package.text(name))
    reasons = {f"{column_letters(mark.column)}{mark.row}": _words(mark.reason) for mark in marks}
    start, end = next((one.start, one.end) for one in elements(xml, 1) if one.name == "commentList")
    notes, former = _users_notes(xml[start:end], us, reasons)
    prefix = root(xml)[0]
    new = [
        f'<{prefix}comment ref="{cell}" authorId="{us}"><{prefix}text><{prefix}t xml:space="preserve">{reason}'
        f"</{prefix}t></{prefix}text></{prefix}comment>"
        for cell, reason in reasons.items()
    ]
    content = "".join([*notes, *new])
    package.put(name, f"{xml[:start]}<{prefix}commentList>{content}</{prefix}commentList>{xml[end:]}")
    return frozenset(_cell(cell) for cell in (*former, *reasons))


def _with_author(xml: str) -> tuple[str, int]:
    """The notes with us among their authors, and our position there."""
    authors = next(one for one in elements(xml, 1) if one.name == "authors")
    known = xml[authors.start : authors.end]
    names = [re.sub(r"<[^>]*>", "", known[one.start : one.end]) for one in elements(known, 1)]
    if AUTHOR in names:
        return xml, names.index(AUTHOR)
    prefix = root(xml)[0]
    tag = f"<{prefix}author>{AUTHOR}</{prefix}author>"
    return xml[: authors.start] + append(known, tag) + xml[authors.end :], len(names)


def _users_notes(notes: str, us: int, reasons: dict[str, str]) -> tuple[list[str], list[str]]:
    """The notes of others, with ``reasons`` of their cells taken from there and added; the cells of our former ones."""
    kept, former = [], []
    for one in elements(notes, 1):
        cell = one.attributes["ref"]
        if one.attributes["authorId"] == str(us):
            former.append(cell)
            continue
        note = _ADDED_WORDS.sub("", notes[one.start : one.end])
        kept.append(_with_words(note, reason) if (reason := reasons.pop(cell, None)) is not None else note)
    return kept, former


def _with_words(note: str, reason: str) -> str:
    """The note with another run of text, before what is said of how Japanese is read."""
    prefix = root(note)[0]
    run = f'<{prefix}r><{prefix}t xml:space="preserve">\n\n{_SIGN}{reason}</{prefix}t></{prefix}r>'
    start, end = next((one.start, one.end) for one in elements(note, 1) if one.name == "text")
    text = inserted(opened(note[start:end]), run, before=frozenset({"rPh", "phoneticPr"}), level=1)
    return note[:start] + text + note[end:]


def _words(reason: str) -> str:
    short = reason if len(reason) <= _LONGEST_NOTE else f"{reason[:_LONGEST_NOTE]}…"
    return escape(_UNSPEAKABLE.sub("�", short))


def _cell(name: str) -> tuple[int, int]:
    """Row and column, both from 0."""
    letters = name.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(name[len(letters) :]) - 1, column - 1


def _write_shapes(
    package: Package, part: str, tail: str, marks: Sequence[Mark], ours: frozenset[tuple[int, int]]
) -> str | None:
    """Gives every note of ours its shape, which is hidden until the mouse is there. Returns the id of a new drawing."""
    marked = {(mark.row - 1, mark.column) for mark in marks}
    drawing = next((one for one in elements(tail, 0) if one.name == "legacyDrawing"), None)
    if drawing is None:
        shapes = _with_shapes(_SHAPES, sorted(marked & ours))
        content_type = f"{_TYPES}.vmlDrawing"
        pattern = "xl/drawings/voicebatch{}.vml"
        return package.add(pattern, shapes, content_type=content_type, owner=part, kind="vmlDrawing")
    relation = next(value for name, value in drawing.attributes.items() if name.endswith(":id"))
    name = package.related(part, "vmlDrawing")[relation]
    others = _SHAPE.sub(lambda shape: "" if _shape_cell(shape[0]) in ours else shape[0], package.text(name))
    if "_x0000_t202" not in others:
        others = append(others, _SHAPE_TYPE)
    package.put(name, _with_shapes(others, sorted(marked & ours)))
    return None


def _shape_cell(shape: str) -> tuple[int, int] | None:
    """Row and column of a note's shape, both from 0; ``None`` for a button and the like."""
    found = {name: int(number) for _, name, number in _SHAPE_CELL.findall(shape)}
    return (found["Row"], found["Column"]) if found.keys() == {"Row", "Column"} and '"Note"' in shape else None


def _with_shapes(xml: str, cells: Sequence[tuple[int, int]]) -> str:
    first = max([1024, *map(int, _SHAPE_NUMBER.findall(xml))]) + 1
    return append(xml, "".join(_shape(first + at, *cell) for at, cell in enumerate(cells)))


def _shape(number: int, row: int, column: int) -> str:
    top, right = min(max(0, row - 1), _LAST_ROW - 4), min(column + 1, _LAST_COLUMN - 4)
    return (
        f'<v:shape {_NAMESPACES} id="_x0000_s{number}" type="#_x0000_t202" style="position:absolute;'
        'margin-left:60pt;margin-top:2pt;width:200pt;height:60pt;z-index:1;visibility:hidden" fillcolor="#ffffe1" '
        'o:insetmode="auto"><v:fill color2="#ffffe1"/><v:shadow on="t" color="black" obscured="t"/>'
        '<v:path o:connecttype="none"/><v:textbox style="mso-direction-alt:auto"><div style="text-align:left"></div>'
        '</v:textbox><x:ClientData ObjectType="Note"><x:MoveWithCells/><x:SizeWithCells/>'
        f"<x:Anchor>{right}, 15, {top}, 2, {right + 4}, 15, {top + 4}, 4</x:Anchor><x:AutoFill>False</x:AutoFill>"
        f"<x:Row>{row}</x:Row><x:Column>{column}</x:Column></x:ClientData></v:shape>"
    )
