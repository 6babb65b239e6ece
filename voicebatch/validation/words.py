"""How cells, lists and words stand in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_QUOTED: Final = 60  # characters of a cell in a sentence


def quoted(cell: object) -> str:
    """The cell on one line, and not for ever."""
    line = " ".join(str(cell).splitlines())
    return f"`{line if len(line) <= _QUOTED else line[:_QUOTED] + '…'}`"


def listed(values: Iterable[object]) -> str:
    """The values with commas between them."""
    return ", ".join(map(str, values))


def characters(count: object) -> str:
    """That many characters."""
    return f"{count} character{'' if count == 1 else 's'}"


def advice(word: object, allowed: Iterable[str]) -> str:
    """That this word means nothing, and the nearest that does."""
    known = sorted(allowed)
    near = get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"`{word}` is not known here; " + (f"did you mean `{near[0]}`?" if near else f"allowed: {listed(known)}")
