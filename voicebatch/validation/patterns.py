"""What a regular expression asks, in words, as far as it is a simple one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_KINDS: Final[Mapping[str, str]] = {
    r"\d": "digit",
    "[0-9]": "digit",
    "[A-Z]": "capital letter",
    "[a-z]": "small letter",
    "[A-Za-z]": "letter",
    "[a-zA-Z]": "letter",
    r"\s": "space",
    ".": "character",
}
_LETTER: Final = r"(?:\\[^\w\s]|[^\\^$.|?*+()\[\]{}])"
_PIECE: Final = re.compile(
    rf"(?P<text>(?:{_LETTER}(?![?*+{{]))+)"
    rf"|(?P<what>{'|'.join(map(re.escape, _KINDS))}|{_LETTER})"
    r"(?:(?P<sign>[?*+])|\{(?P<low>\d+)(?P<comma>,(?P<high>\d*))?\})?"
)
_SIGNS: Final[Mapping[str, str]] = {"?": "perhaps one {}", "*": "any number of {}s", "+": "one or more {}s"}


def in_words(check: str, pattern: str) -> str:
    """What ``str_matches`` or ``str_contains`` asks with this pattern."""
    at_end = pattern.endswith("$") and not pattern.endswith(r"\$")
    bare = pattern[: -1 if at_end else None]
    bare, at_begin = bare.removeprefix("^"), bare.startswith("^")
    pieces = list(_PIECE.finditer(bare))
    if check == "str_contains" and not at_end and not at_begin:
        begin, end = "holds ", ""
    elif check == "str_matches":
        begin, end = ("", ", and nothing else") if at_end else ("begins with ", "; anything may follow")
    else:
        pieces = []
    if not pieces or "".join(piece[0] for piece in pieces) != bare:
        return f"{'matches' if check == 'str_matches' else 'holds'} the pattern {pattern}"
    return f"{begin}{', then '.join(map(_said, pieces))}{end} (the pattern {pattern})"


def _said(piece: re.Match[str]) -> str:
    if piece["text"]:
        return f"“{_plain(piece['text'])}”"
    what = _KINDS.get(piece["what"]) or f"“{_plain(piece['what'])}”"
    if piece["sign"]:
        return _SIGNS[piece["sign"]].format(what)
    if piece["high"]:
        return f"{piece['low']} to {piece['high']} {what}s"
    count = piece["low"] or "1"
    return f"{count}{' or more' * bool(piece['comma'])} {what}{'s' * (count != '1' or bool(piece['comma']))}"


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
