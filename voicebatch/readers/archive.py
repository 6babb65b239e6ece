"""The parts of a zip file, looked at before a library that holds them in memory sees them.

What a zip says about the size of a part is not believed: each part is unpacked piece by piece and counted.
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError,
)  # fmt: skip
_PIECE: Final = 1 << 17  # bytes read at a time; of XML without a tag in them, more than a cell can hold
_MOST_PARTS: Final = 10_000
_LARGEST: Final = 1 << 30  # bytes of all parts, unpacked: a million rows of fifteen columns
_ENTRY: Final = b"PK\x01\x02"  # begins what a zip's list says of a part
_SHARED: Final = re.compile(rb"<(?:\w+:)?sst\b")  # a list of texts, each of which may have many runs
_LONGEST_TAG: Final = 1 << 12  # bytes
_QUOTE: Final = re.compile(r"\s*b?['\"]")  # begins what zipfile shows of the file, which may be its cells


def refuse_bombs(path: Path) -> None:
    """Raises ``InputError`` for a zip file that is broken, or that grows beyond what any spreadsheet holds."""
    with path.open("rb") as file:
        listed = sum(piece.count(_ENTRY) for piece in iter(lambda: file.read(_PIECE), b""))
    if listed > _MOST_PARTS:
        raise _too_large(path, f"it has {listed:,} parts")
    total = 0
    with _opened(path) as book:
        for part in book.infolist():
            ends = b""
            for piece in _pieces(book, part):
                if (total := total + len(piece)) > _LARGEST:
                    raise _too_large(path, f"unpacked it is larger than {_LARGEST >> 20:,} MB")
                ends = ends or _end_of_a_text(piece)
                if len(piece) == _PIECE and ends not in piece:
                    raise _too_large(path, f"its part {part.filename} has a text that no cell can hold")


def part_names(path: Path) -> frozenset[str]:
    """The names of a zip file's parts."""
    with _opened(path) as book:
        return frozenset(book.namelist())


def whole_part(path: Path, name: str, *, most: int = 1 << 25) -> bytes:
    """A part as a whole. Raises ``InputError`` when it has more bytes than ``most``, and ``KeyError`` without it."""
    content = b""
    for piece in pieces_of(path, name):
        if len(content := content + piece) > most:
            raise _too_large(path, f"its part {name} is")
    return content


def pieces_of(path: Path, name: str) -> Iterator[bytes]:
    """A part, piece by piece. Raises ``KeyError`` when there is none of this name."""
    with _opened(path) as book:
        yield from _pieces(book, book.getinfo(name))


def whole_tags(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut behind the end of a tag; what follows the last tag is left out."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        end = text.rfind(b">") + 1
        if end:
            yield text[:end]
        rest = text[end:][-_LONGEST_TAG:]


def _end_of_a_text(beginning: bytes) -> bytes:
    """What ends every text of a part that begins so; "" for a part that is not XML."""
    if not beginning.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return b""
    return b"si>" if _SHARED.search(beginning, 0, _LONGEST_TAG) else b"<"


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as book:
            yield book
    except _BROKEN as error:
        raise InputError(
            f"{path} is broken: it is no whole workbook ({_QUOTE.split(str(error))[0]})",
            hint="Get the file again, or open it in a spreadsheet program and save it again as .xlsx.",
        ) from error


def _pieces(book: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    part.file_size = 1 << 62  # or zipfile stops where the part says that it ends, and others do not
    with book.open(part) as file:
        while piece := file.read(_PIECE):
            yield piece


def _too_large(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is too large for a workbook: {why}",
        hint="Save the sheet as CSV, which may have any size, or split it.",
    )
