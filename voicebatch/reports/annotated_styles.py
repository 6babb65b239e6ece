"""The styles of a workbook's cells: each of them with our colour, and without it.

A style of a cell is its fonts, borders, number format and so on, by number; another colour is another style. Source:
ECMA-376, part 1, 18.8.10 (cellXfs), 18.8.20 (fill), 18.8.39 (the order of the elements) and 18.8.45 (xf).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Final

from voicebatch.reports.annotated_package import append, elements, inserted, opened, root, with_attribute

COLOUR: Final = "FFFFC7CD"  # next to Excel's own for what is bad, which a user may have chosen
_MOST_STYLES: Final = 65_000  # Excel takes no more
_AFTER_STYLES: Final = frozenset(("cellStyles", "dxfs", "tableStyles", "colors", "extLst"))
_AFTER_FILLS: Final = _AFTER_STYLES | {"borders", "cellStyleXfs", "cellXfs"}
_FIRST_FILLS: Final = ("none", "gray125")  # are always these two
_FILL: Final = '<{0}fill><{0}patternFill patternType="{1}"/></{0}fill>'
_OURS: Final = (
    '<{0}fill><{0}patternFill patternType="solid"><{0}fgColor rgb="{1}"/><{0}bgColor indexed="64"/></{0}patternFill>'
    "</{0}fill>"
)
_STYLES: Final = "<{0}cellXfs><{0}xf/></{0}cellXfs>"

_Look = tuple[frozenset[tuple[str, str]], str]
"""All of a style but its fill."""


class Styles:
    """A workbook's styles, to which others are added when they are asked for."""

    def __init__(self, xml: str) -> None:
        self._xml, colours = _with_our_fill(_with_groups(opened(xml)))
        members = _members(self._xml, "cellXfs")
        filled = [attributes.get("fillId", "0") for attributes, _ in members]
        self._colour = colours[0]
        self._styles = [style for _, style in members]
        self._looks = [_look(attributes, style) for attributes, style in members]
        self._places: dict[tuple[_Look, str], int] = {}
        for at, look_and_fill in enumerate(zip(self._looks, filled, strict=True)):
            self._places.setdefault(look_and_fill, at)
        self._known = len(members)
        self.ours = frozenset(at for at, fill in enumerate(filled) if fill in colours)

    def coloured(self, style: int) -> int:
        """The style that is this one with our colour."""
        return self._with_fill(style, self._colour)

    def plain(self, style: int) -> int:
        """The style that is this one without any colour."""
        return self._with_fill(style, "0")

    def write(self, copy: IO[bytes]) -> None:
        """Writes the part, with the styles that were asked for so far."""
        copy.write(_with_members(self._xml, "cellXfs", self._styles[self._known :], self._known).encode())

    def _with_fill(self, style: int, fill: str) -> int:
        look = self._looks[style]
        if (look, fill) not in self._places:
            if len(self._styles) >= _MOST_STYLES:
                raise ValueError("there are too many styles")
            new = with_attribute(with_attribute(self._styles[style], "fillId", fill), "applyFill", "1")
            self._places[look, fill] = len(self._styles)
            self._styles.append(new)
            self._looks.append(look)
        return self._places[look, fill]


def _with_groups(xml: str) -> str:
    prefix = root(xml)[0]
    xml = _with_group(xml, "fills", f"<{prefix}fills></{prefix}fills>", _AFTER_FILLS)
    return _with_group(xml, "cellXfs", _STYLES.format(prefix), _AFTER_STYLES)


def _with_group(xml: str, group: str, default: str, after: frozenset[str]) -> str:
    if any(one.name == group for one in elements(xml, 1)):
        return xml
    return inserted(xml, default, before=after, level=1)


def _with_our_fill(xml: str) -> tuple[str, list[str]]:
    """The styles with our colour among the fills, and the numbers of all fills that are like it."""
    fills = [fill for _, fill in _members(xml, "fills")]
    if known := [str(at) for at, fill in enumerate(fills) if _is_ours(fill)]:
        return xml, known
    prefix = root(xml)[0]
    first = [_FILL.format(prefix, name) for name in _FIRST_FILLS[len(fills) :]]
    added = [*first, _OURS.format(prefix, COLOUR)]
    return _with_members(xml, "fills", added, len(fills)), [str(len(fills) + len(added) - 1)]


def _members(xml: str, group: str) -> list[tuple[dict[str, str], str]]:
    """The elements of a group, with their attributes."""
    found = next(one for one in elements(xml, 1) if one.name == group)
    written = xml[found.start : found.end]
    return [(one.attributes, written[one.start : one.end]) for one in elements(written, 1)]


def _with_members(xml: str, group: str, added: Sequence[str], known: int) -> str:
    if not added:
        return xml
    found = next(one for one in elements(xml, 1) if one.name == group)
    written = with_attribute(append(xml[found.start : found.end], "".join(added)), "count", str(known + len(added)))
    return xml[: found.start] + written + xml[found.end :]


def _is_ours(fill: str) -> bool:
    pattern = next(elements(fill, 1), None)
    colours = (one.attributes.get("rgb", "") for one in elements(fill, 2) if one.name == "fgColor")
    return (
        pattern is not None and pattern.attributes.get("patternType") == "solid" and COLOUR in map(str.upper, colours)
    )


def _look(attributes: dict[str, str], style: str) -> _Look:
    rest = frozenset((name, value) for name, value in attributes.items() if name not in {"fillId", "applyFill"})
    return rest, style.partition(">")[2]
