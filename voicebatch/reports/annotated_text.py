"""A copy of a user's own text file with one more column, in which stands what is wrong with a row.

The rest stays as it is, byte for byte: encoding, mark, line ends, quoting, blank lines, what stands above the header.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from voicebatch.reports.cells import harmless
from voicebatch.settings import OWN_COLUMN

_NO_DELIMITER: Final = "\x1f"
_DELIMITERS: Final = ";,\t|"
_SEPARATOR_LINE: Final = re.compile(r'\ufeff?"?sep=[^\r\n]"?\s*', re.IGNORECASE)
_SHAPE: Final = re.compile(r"the row (?:has|goes on over) \d+ ")  # how readers begin what is wrong with a row's shape
_MARK: Final = "\ufeff"
_ASCII_QUOTES: Final = str.maketrans("“”’…", '""\'.')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Our column: its position, whether an earlier copy has it already, and whether its cells are to be quoted."""

    at: int
    is_there: bool
    is_quoted: bool


def mark_text(
    path: Path, copy: Path, *, codec: str, delimiter: str, header_row: int, width: int, reasons: Mapping[int, str]
) -> None:
    """Writes the copy. ``width`` counts the columns that the header names, and of them our own is always the last.

    Without a ``delimiter`` the file has one column. ``reasons`` go by the numbers of the rows.
    """
    codec = _exact(path, codec)
    added = delimiter or _new_delimiter(path, codec)
    with path.open(encoding=codec, newline="") as source, copy.open("w", encoding=codec, newline="") as target:
        for number, raw, cells in _records(source, delimiter or _NO_DELIMITER):
            if number < header_row or not any(map(str.strip, cells)):
                target.write(raw)
                continue
            body = raw.rstrip("\r\n")
            if number == header_row:
                place = _Place(at=width, is_there=False, is_quoted=body.endswith('"'))
                if cells[width - 1 : width] == [OWN_COLUMN]:
                    place = replace(place, at=width - 1, is_there=True)
            reason = OWN_COLUMN if number == header_row else _encodable(harmless(reasons.get(number, "")), codec)
            said = _cell(reason, added, is_quoted=place.is_quoted)
            target.write(_with_cell(body, cells, place, added, said) + raw[len(body) :])


def _exact(path: Path, codec: str) -> str:
    """An encoding that leaves a byte order mark in the text, where it is written again."""
    if codec == "utf-8-sig":
        return "utf-8"
    if codec != "utf-16":
        return codec
    with path.open("rb") as file:
        return {b"\xfe\xff": "utf-16-be", b"\xff\xfe": "utf-16-le"}.get(file.read(2), "utf-16-le")


def _new_delimiter(path: Path, codec: str) -> str:
    """For a file of one column: a delimiter that does not occur in it."""
    with path.open(encoding=codec, newline="") as file:
        used = {letter for line in file for letter in _DELIMITERS if letter in line}
    return next((letter for letter in _DELIMITERS if letter not in used), ";")


def _records(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, str, list[str]]]:
    """Each record's number, its text as it stands in the file, and its cells; as the reader numbers them."""
    raw: list[str] = []
    first = next(lines, "")
    if _SEPARATOR_LINE.fullmatch(first):
        yield 0, first, []
        first = next(lines, "")
    for number, cells in enumerate(csv.reader(_kept(first, lines, raw), delimiter=delimiter), 1):
        yield number, "".join(raw), cells
        raw.clear()


def _kept(first: str, lines: Iterator[str], raw: list[str]) -> Iterator[str]:
    raw.append(first)
    yield first.removeprefix(_MARK)
    for line in lines:
        raw.append(line)
        yield line


def _with_cell(body: str, cells: list[str], place: _Place, delimiter: str, said: str) -> str:
    """A record with our cell at its position, if there is something to say or a cell to say nothing in."""
    at, width = place.at, len(cells)
    if _SHAPE.match(said.lstrip('"')):
        # Such a row may hide others. It has to stay bad until it is corrected, so ours stands beyond the table.
        if not (place.is_there and width > at + 1 and _SHAPE.match(cells[-1])):
            return body + delimiter * max(1, at + 2 - width) + said
        at = width - 1
    elif width == at:
        return f"{body}{delimiter}{said}"
    elif width < at:
        return body + delimiter * (at - width + 1) + said if said else body
    raw = _raw_cells(body, delimiter)
    if len(raw) != width:
        return f"{body}{delimiter}{said}" if said else body
    return delimiter.join([*raw[:at], said, *raw[at + 1 :]])


def _raw_cells(body: str, delimiter: str) -> list[str]:
    """A record's cells with their quotation marks."""
    mark = re.escape(delimiter)
    return [found[1] for found in re.finditer(rf'(?:^|{mark})((?:"(?:[^"]|"")*(?:"|$))?[^{mark}]*)', body, re.DOTALL)]


def _cell(text: str, delimiter: str, *, is_quoted: bool) -> str:
    if text and (is_quoted or any(letter in text for letter in f'{delimiter}"')):
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text


def _encodable(text: str, codec: str) -> str:
    """What the file's encoding cannot say is said in plainer letters."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return text.translate(_ASCII_QUOTES).encode(codec, "replace").decode(codec)
    return text
