"""Which encoding a text file is in."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK_BYTES: Final = 1 << 20
_BYTE_ORDER_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SHOWN: Final = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
    "iso8859-15": "ISO-8859-15",
    "mac_roman": "Mac Roman",
}
_SAMPLE_BYTES: Final = 1 << 22
_WINDOWS_ACCENT: Final = re.compile(rb"(?<=[a-z])[\xe0-\xff]")  # to a Mac these are signs and capitals
# What these are to Windows does not follow a small letter, or does not stand inside a word.
_MAC_ACCENT: Final = re.compile(rb"(?<=[a-z])(?:[\x87\x88\x8a\x8d-\x90]|[\x89\x91\x94\x95\x99\x9d](?=[a-z]))")
_EURO_OR_LIGATURE: Final = re.compile(rb"\xa4|(?<=[a-z])[\xa8\xb8\xbd](?=[a-z])")  # in ISO-8859-15: €; š, ž, œ
_C1: Final = re.compile(rb"[\x80-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """An encoding by Python's name, and as the screen shows it."""

    codec: str
    shown: str


def detect(path: Path, wanted: str | None) -> Encoding:
    """The encoding that the whole file reads in: the one wanted, or its mark's, or UTF-8, or the likeliest of others.

    Raises ``UsageError`` when there is no such encoding as the one wanted, ``InputError`` when the file is in
    none of them, or is not text.
    """
    for codec in [_known(wanted)] if wanted else _candidates(path):
        if _decodes(path, codec):
            return Encoding(codec=codec, shown=wanted or _SHOWN[codec])
    if wanted:
        raise InputError(f"{path} is not in the encoding {wanted}", hint="Leave --encoding out, or name another.")
    raise InputError(
        f"{path} is neither in UTF-8 nor in Windows-1252",
        hint="Say which encoding it is in, as in --encoding cp1250, or save it as UTF-8.",
    )


def _known(wanted: str) -> str:
    try:
        "".encode(wanted)
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"There is no encoding “{wanted}”",
            hint="Name another, as in --encoding cp1252 or --encoding utf-8.",
        ) from error
    return wanted


def _candidates(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(4096)
    marked = [codec for mark, codec in _BYTE_ORDER_MARKS.items() if head.startswith(mark)]
    if known := marked or _unmarked_utf16(head):
        yield known[0]
    else:
        yield "utf-8"
        yield _one_byte(path)


def _one_byte(path: Path) -> str:
    """Of encodings with a byte a letter, all of which read anything, the one in which accents stand in words."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    if len(_MAC_ACCENT.findall(sample)) > len(_WINDOWS_ACCENT.findall(sample)):
        return "mac_roman"
    return "iso8859-15" if _EURO_OR_LIGATURE.search(sample) and not _C1.search(sample) else "cp1252"


def _unmarked_utf16(head: bytes) -> list[str]:
    """In UTF-16, every other byte of most Western text is zero."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > len(head) / 4 and not even:
        return ["utf-16-le"]
    return ["utf-16-be"] if even > len(head) / 4 and not odd else []


def _decodes(path: Path, codec: str) -> bool:
    """Whether the whole file is text in this encoding; the beginning alone would not tell a late accent."""
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                _refuse_binary(decoder.decode(block), path)
            decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _refuse_binary(text: str, path: Path) -> None:
    if "\0" in text:
        raise InputError(
            f"{path} is not a text file",
            hint="If it is a workbook, give it its own ending, as in .xlsx; else save it as CSV in UTF-8.",
        )
