"""Small damage to text, bytes, zip files, Parquet and .xls, by a random generator: the same again for the same one."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from typing import TYPE_CHECKING, AnyStr, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

MOST: Final = 30_000  # characters or bytes of a damaged text: what is small is fast
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_VALUE: Final = re.compile(r'"[^"<>]*"')
_ELEMENT: Final = re.compile(r"<([\w:]+)(?: [^<>]*)?(?:/>|>[^<]*</\1>)")
_NUMBERS: Final = (
    "0", "1", "-1", "2", "00", "255", "256", "16384", "32768", "65535", "65536", "1048576", "1048577", "2147483647",
    "2147483648", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "99999999999999999999",
    "1e308", "1e309", "1e-400", "-0", "0.1", "NaN", "inf", "1_0", "0x10", "٣", "²",
)  # fmt: skip
_FOOTER_END: Final = 8  # bytes behind a Parquet footer: its length and the mark
_RECORD: Final = struct.Struct("<HH")  # of .xls: a kind, and how many bytes follow
_STREAM: Final = 512  # where the workbook begins in the .xls files here, in one piece


def damaged(rng: Random, content: AnyStr, tokens: Sequence[AnyStr], others: Sequence[AnyStr]) -> AnyStr:
    """The content with a few changes, seldom none. ``tokens`` are put in, ``others`` are what it is spliced with."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5, 9))):
        start = rng.randrange(len(content) + 1)
        end = min(start + rng.choice((0, 1, 1, 2, 5, 40)), len(content))
        put = _put(rng, content[start:end], tokens, others)
        content = (content[:start] + put + content[end:])[:MOST]
    return content[: rng.randrange(len(content) + 1)] if rng.random() < 0.03 else content


def _put(rng: Random, there: AnyStr, tokens: Sequence[AnyStr], others: Sequence[AnyStr]) -> AnyStr:
    """What comes in the place of what is there."""
    how = rng.random()
    if how < 0.5:
        return rng.choice(tokens)
    if how < 0.6:
        return there[:0]
    if how < 0.7:
        return there * rng.choice((2, 3, 30))
    if how < 0.8:
        return there + rng.choice(tokens) * rng.choice((1, 2, 2, 9))
    if how < 0.9:
        other = rng.choice(others)
        start = rng.randrange(len(other) + 1)
        return other[start : start + rng.choice((5, 50, 500))]
    return there[::-1]


def flipped(rng: Random, content: bytes, start: int, end: int, most: int = 3) -> bytes:
    """The content with a few bytes between these two places changed."""
    flipped = bytearray(content)
    for _ in range(rng.randint(1, most) if end > start else 0):
        flipped[rng.randrange(start, end)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(flipped)


def damaged_lines(rng: Random, text: str, others: Sequence[str]) -> str:
    """The text with lines lost, moved, twice there or of another text; mostly still of the same structure."""
    lines = text.splitlines(keepends=True)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        line = rng.choice(rng.choice(others).splitlines(keepends=True))
        at = rng.randrange(len(lines))
        lines[at : at + rng.choice((0, 1, 1))] = [line] if rng.random() < 0.7 else []
        lines = lines or [text]
    text = "".join(lines)
    return text if rng.random() < 0.6 else other_numbers(rng, text)


def other_numbers(rng: Random, text: str) -> str:
    """The text with one of its numbers replaced by one that is at the edge of something."""
    return _replaced(rng, text, _NUMBER, lambda _: rng.choice(_NUMBERS))


def damaged_xml(rng: Random, text: str, tokens: Sequence[str], values: Sequence[str]) -> str:
    """XML with a few changes that mostly leave it XML: other values, elements more or less or twice, other numbers."""
    value = f'"{rng.choice(values)}"'
    for _ in range(rng.choice((1, 1, 2, 4))):
        how = rng.random()
        if how < 0.3:
            text = _replaced(rng, text, _VALUE, lambda _: value)
        elif how < 0.5:
            text = other_numbers(rng, text)
        elif how < 0.6:
            text = _replaced(rng, text, _ELEMENT, lambda _: "")
        elif how < 0.7:
            text = _replaced(rng, text, _ELEMENT, lambda found: found[0] * rng.choice((2, 3, 30)))
        elif how < 0.95:
            text = _replaced(rng, text, _ELEMENT, lambda found: rng.choice((f"{rng.choice(tokens)}{found[0]}", "")))
        else:
            text = damaged(rng, text, tokens, [text])
    return text[: 4 * MOST]


def _replaced(rng: Random, text: str, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> str:
    places = list(pattern.finditer(text))
    if not places:
        return text
    found = rng.choice(places)
    return text[: found.start()] + by(found) + text[found.end() :]


def damaged_zip(rng: Random, parts: Mapping[str, str], tokens: Sequence[str], values: Sequence[str]) -> bytes:
    """A zip file of XML parts, of which some are damaged, lost or twice there; seldom the zip is damaged itself."""
    names = [*parts]
    weights = [len(parts[name]) if re.search("sheet|content|Strings|styles", name) else 40 for name in names]
    hit = set(rng.choices(names, weights, k=rng.choice((1, 1, 2))))
    made = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(made, "w") as book:
        for name, part in parts.items():
            if name not in hit:
                book.writestr(zipfile.ZipInfo(name), part, method)
            elif rng.random() > 0.02:
                place = name if rng.random() > 0.02 else damaged(rng, name, ("../", "/", "é", "\\"), names)
                text = damaged_xml(rng, part, tokens, values)
                book.writestr(zipfile.ZipInfo(place), text.encode(errors="replace"), method)
    content = made.getvalue()
    return content if rng.random() > 0.08 else flipped(rng, content, 0, len(content))


def damaged_parquet(rng: Random, content: bytes) -> bytes:
    """A Parquet file with changes in its pages, or in the footer that says what they are, or anywhere."""
    footer = len(content) - _FOOTER_END - int.from_bytes(content[-_FOOTER_END:-4], "little")
    spans = ((4, footer), (footer, len(content) - _FOOTER_END), (0, len(content)))
    return flipped(rng, content, *rng.choice(spans), most=rng.choice((1, 3, 20)))


def damaged_xls(rng: Random, content: bytes) -> bytes:
    """An .xls file with records of its workbook changed, lost, moved or of another kind or length."""
    records, end = _records(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(records))
        kind, body = records[at]
        how = rng.random()
        if how < 0.5:
            records[at] = kind, flipped(rng, body, 0, len(body))
        elif how < 0.65:
            records[at] = rng.choice(records)[0], body
        elif how < 0.75:
            records[at] = kind, body[: rng.randrange(len(body) + 1)]
        elif how < 0.85:
            records[at] = kind, body + rng.randbytes(rng.choice((1, 2, 100)))
        else:
            records.insert(rng.randrange(len(records)), records[at] if how < 0.92 else records.pop(at))
    stream = b"".join(_RECORD.pack(kind, len(body)) + body for kind, body in records)
    size = end - _STREAM
    content = content[:_STREAM] + stream[:size].ljust(size, b"\0") + content[end:]
    return content if rng.random() > 0.1 else flipped(rng, content, 0, len(content))


def _records(content: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """The records of an .xls, and where they end."""
    records: list[tuple[int, bytes]] = []
    place = _STREAM
    while (header := _RECORD.unpack_from(content, place)) != (0, 0):
        kind, length = header
        place += _RECORD.size
        records.append((kind, content[place : place + length]))
        place += length
    return records, place
