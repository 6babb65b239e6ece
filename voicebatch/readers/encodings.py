"""Which encoding a text file is in."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from voicebatch.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_BLOCK_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 4096
_BYTE_ORDER_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SHOWN: Final = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
    "iso8859-15": "ISO-8859-15",
    "mac_roman": "Mac Roman",
    "cp850": "DOS (cp850)",
}
_STRUCTURE: Final = frozenset("\r\n\t,;|")
_BYTE_A_LETTER: Final = ("cp1252", "iso8859-15", "mac_roman", "cp850")
"""Encodings that read almost any bytes: the first of those in which the text looks best is taken."""

_BYTE_A_LETTER_NAMES: Final = re.compile("cp(?:125|437|85)|iso8859|mac")
_OF_OLD_MACHINES: Final = ("mac_roman", "cp850")
_TOO_NEAR: Final = 0.9

_LETTERS: Final = frozenset("àâäáãåæçèéêëìíîïñòóôöõøœšùúûüýÿžßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖÕØŒŠÙÚÛÜÝŸŽ")
_WORDS: Final = frozenset("àáèéìíòóôåæøÀÁÈÉÌÍÒÓÅÆØ")  # those that are words by themselves
_LETTERS_OF_FEW: Final = frozenset("ðþÐÞıŁł")
_OPENING: Final = frozenset("«“‘„‚‹¿¡")
_CLOSING: Final = frozenset("»”…™®›€£%")
_ANYWHERE: Final = frozenset("’‘´–—·\xa0\xad")
_SIGNS: Final = frozenset("ºª°²§•½¼¾×±÷µ©¥¢")
_BEST_SIGNS: Final = frozenset("€°’–—«»“”‘…\xa0ºª²•")
_WORST_LETTER: Final = -2.0
_OF_NO_FILES: Final = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape"})
_MOST_DOUBTS: Final = 0.2  # of all the letters that are not ASCII
_OTHER, _SMALL, _CAPITAL, _HIGH = range(4)  # what stands beside a byte


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
    codec = _known(wanted) if wanted else _marked(path)
    if wanted and _BYTE_A_LETTER_NAMES.match(codecs.lookup(wanted).name) and _is_utf8_beyond_ascii(path):
        raise InputError(f"{path} is in UTF-8, not in {wanted}", hint="Leave --encoding out.")
    broken = _broken_at(path, codec)
    if broken and not wanted and codec == "utf-8" and not _is_mostly_utf8(path):
        codec = _byte_a_letter(path)
        broken = _broken_at(path, codec)
    if not broken:
        return Encoding(codec=codec, shown=wanted or _SHOWN[codec])
    if wanted:
        raise InputError(
            f"{path} is not in the encoding {wanted}: look at line {broken}",
            hint="Leave --encoding out, or name another.",
        )
    raise InputError(
        f"{path} is in {_SHOWN[codec]}, but line {broken} is not: it is damaged or cut off, or two files were joined",
        hint=f"Mend line {broken} and save the file as UTF-8, or say which encoding it is in: --encoding NAME",
    )


def _known(wanted: str) -> str:
    try:
        "".encode(wanted)
        is_known = codecs.lookup(wanted).name not in _OF_NO_FILES
    except (LookupError, ValueError):
        is_known = False
    if is_known:
        return wanted
    raise UsageError(
        f"There is no encoding “{wanted}”",
        hint="Name another, as in --encoding cp1252 or --encoding utf-8.",
    )


def _marked(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    marked = next((codec for mark, codec in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
    return marked or _unmarked_utf16(head) or "utf-8"


def _unmarked_utf16(head: bytes) -> str | None:
    """In UTF-16, every other byte of digits, delimiters and line ends is zero."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 8 <= len(head) or min(even, odd) * 4 > max(even, odd):
        return None
    codec = "utf-16-le" if odd > even else "utf-16-be"
    return codec if _STRUCTURE & {*head.decode(codec, "ignore")} else None


def _broken_at(path: Path, codec: str) -> int | None:
    """The number of the line that is no text in this encoding; the beginning alone would not tell a late accent.

    Raises ``InputError`` for a file that is not text at all.
    """
    decoder = codecs.getincrementaldecoder(codec)()
    line = 1
    for block, is_last in _blocks(path):
        try:
            text = decoder.decode(block, final=is_last)
        except UnicodeError as error:
            return line + getattr(error, "object", b"")[: getattr(error, "start", 0)].count(b"\n")
        if "\0" in text:
            raise InputError(
                f"{path} is not a text file: there is a NUL in line {line + text[: text.index(chr(0))].count(chr(10))}",
                hint="If it is a workbook, give it its own ending, as in .xlsx; else save it as CSV in UTF-8.",
            )
        line += text.count("\n") or text.count("\r")
    return None


def _blocks(path: Path) -> Iterator[tuple[bytes, bool]]:
    """The file's bytes, and whether they are its last."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block, False
    yield b"", True


def _is_mostly_utf8(path: Path) -> bool:
    """Whether what is UTF-8 beyond ASCII outweighs what is not: other text is UTF-8 only by a rare accident."""
    good = bad = 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for block, is_last in _blocks(path):
        text = decoder.decode(block, final=is_last)
        lost = text.count("\ufffd")
        good += len(text) - len(text.encode("ascii", "ignore")) - lost
        bad += lost
    return good >= bad


# --------------------------------------------------------------------------- a byte a letter


def _byte_a_letter(path: Path) -> str:
    """Of encodings with a byte a letter, all of which read anything, the one in which accents stand in words."""
    found = _surroundings(path)
    scores = {codec: _score(found, codec) for codec in _BYTE_A_LETTER}
    best = max(scores, key=lambda codec: scores[codec][0])
    score, doubts = scores[best]
    rivals = [codec for codec in _OF_OLD_MACHINES if scores[codec][0] > score * _TOO_NEAR]
    if score > 0 and doubts <= _MOST_DOUBTS and (best not in _OF_OLD_MACHINES or rivals == [best]):
        return best
    raise InputError(
        f"{path} is not in UTF-8, and its accents do not tell which of {', '.join(_SHOWN[codec] for codec in scores)} "
        "it is in, if any",
        hint="Save it as UTF-8, or say which encoding it is in, as in --encoding cp1252, mac_roman, cp850 or cp1250",
    )


def _is_utf8_beyond_ascii(path: Path) -> bool:
    return _broken_at(path, "utf-8") is None and _broken_at(path, "ascii") is not None


def _surroundings(path: Path) -> dict[tuple[int, int, int], int]:
    """How often each byte that is not ASCII stands between what: before, byte, after."""
    counts = np.zeros(4 * 256 * 4, np.int64)
    rest = b"\n"
    for block, is_last in _blocks(path):
        text = np.frombuffer(rest + block + b"\n" * is_last, np.uint8)
        high = np.flatnonzero(text[1:-1] >= 0x80) + 1
        kinds = _KIND[text]
        entries = (kinds[high - 1] * 256 + text[high]) * 4 + kinds[high + 1]
        counts += np.bincount(entries, minlength=len(counts))
        rest = text[-2:].tobytes()
    return {(at // 1024, at // 4 % 256, at % 4): int(counts[at]) for at in np.flatnonzero(counts).tolist()}


def _kinds() -> NDArray[np.int64]:
    kinds = np.full(256, _OTHER, np.int64)
    kinds[ord("a") : ord("z") + 1] = _SMALL
    kinds[ord("A") : ord("Z") + 1] = _CAPITAL
    kinds[0x80:] = _HIGH
    return kinds


_KIND: Final = _kinds()


def _score(found: dict[tuple[int, int, int], int], codec: str) -> tuple[float, float]:
    """How much of the text looks as people write, and the share of what does not."""
    score = doubtful = 0.0
    for (before, byte, after), count in found.items():
        points = _points(before, bytes([byte]).decode(codec, "replace"), after)
        score += points * count
        doubtful += count * (points < 0)
    return score, doubtful / sum(found.values())


def _points(before: int, character: str, after: int) -> float:
    """What a character between these is worth: 1 where people write it so, less than 0 where nobody does."""
    if character in _LETTERS:
        return _letter_points(before, character, after)
    if character.isalpha() and character not in _SIGNS:
        return -1 if character in _LETTERS_OF_FEW else _WORST_LETTER
    is_behind, is_before = before in (_SMALL, _CAPITAL), after in (_SMALL, _CAPITAL)
    if character in _ANYWHERE or (character in _SIGNS and not (is_behind and is_before)):
        return 1 if is_behind and is_before and character == "’" else 0.5 if character in _BEST_SIGNS else 0
    if (character in _OPENING and not is_behind) or (character in _CLOSING and not (is_behind and is_before)):
        return 0.5 if character in _BEST_SIGNS else 0
    return -1 if is_behind or is_before or unicodedata.category(character)[0] == "C" else -0.5


def _letter_points(before: int, letter: str, after: int) -> float:
    if (before, after) == (_OTHER, _OTHER):
        return 0.5 * (letter in _WORDS) * (1 + letter.islower())
    if (before, after) == (_HIGH, _HIGH):
        return -1
    if letter.islower():
        if (before, after) == (_CAPITAL, _CAPITAL):
            return -1
        return 0.5 if after == _CAPITAL or (before == _CAPITAL and after != _SMALL) else 1
    if before == _SMALL:
        return -1
    return 0 if before == _CAPITAL and after == _SMALL else 1
