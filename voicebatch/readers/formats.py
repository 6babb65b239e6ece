"""Numbers and dates as a spreadsheet shows them, where their format makes another text of them.

``01000`` for 1000 in a cell with the format ``00000``, ``06 12 34 56 78``, ``1234.50 €``, ``12.5%``. Two things are
not as they are shown: thousands are not separated, and the decimal sign is a point, because a workbook does not tell
the language in which it is looked at. Scientific notation and fractions would lose digits: such numbers stay as they
are. Of dates, ``dates`` tells.

Source: ECMA-376, part 1, 18.8.30 and 18.8.31 (numFmt, numFmts). The one library for this on PyPI, ssf, is of 2020.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Final, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.readers.cells import text
from voicebatch.readers.dates import OF_THE_COUNTRY, day_first

_BUILT_IN: Final = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)",
}  # fmt: skip
"""The formats that a workbook names by number only, as far as they are of numbers."""

_LONGEST: Final = 255  # characters of a format, as in Excel
_MOST_DIGITS: Final = 400  # of a number; the largest that a cell holds has 309
_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<space>[_*].)|(?P<general>General)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION: Final = re.compile(r"(<=|>=|<>|<|>|=)(-?[\d.]+)")
_COMPARED: Final = {
    "<=": operator.le, ">=": operator.ge, "<>": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
_PLACES: Final = "0#?"
_DIFFERENT: Final = frozenset("dmyhse/b@")  # of dates, of scientific notation and fractions, of text

Shown = Callable[[object], str | None]
"""The text of a cell's value; None where the value's plain text is shown."""


@runtime_checkable
class Columnwise(Protocol):
    """Shows many values at once."""

    def __call__(self, value: object) -> str | None:
        """The text of one."""

    def column(self, values: Sequence[object]) -> pa.Array | None:
        """The texts of values; None where they are to be shown one by one."""


Condition = Callable[[Decimal], bool]


@dataclass(frozen=True, slots=True)
class _Literal:
    """Text that is shown as it is."""

    text: str


_Token = _Literal | str  # a placeholder, ".", "%", "," or "General"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    whole: tuple[_Token, ...]
    fraction: tuple[_Token, ...]
    shift: int  # of the decimal point to the right
    condition: Condition | None


def shown_in(number: int, code: str | None) -> Shown | None:
    """How the format of this number and code shows a value: those that a workbook names by number only have no code."""
    return OF_THE_COUNTRY.get(number) or shown_by(_BUILT_IN.get(number, "General") if code is None else code)


@functools.lru_cache(maxsize=4096)
def shown_by(code: str) -> Shown | None:
    """How a format shows a number or date; None where the plain text does, or where it cannot be told."""
    if len(code) > _LONGEST:
        return None
    if dates := day_first(code):
        return dates
    sections = [_section(tokens) for tokens in _split(code)[:3]]
    if not sections or any(section is None for section in sections):
        return None
    known = [section for section in sections if section]
    if all(section.whole == ("General",) and not section.fraction for section in known):
        return None
    if set(code) == {"0"}:
        return _Padded(len(code), known)
    return functools.partial(_number, known)


@dataclass(frozen=True, slots=True, eq=False)
class _Padded:
    """What nearly all formats are that matter, fast."""

    width: int
    sections: list[_Section]

    def __call__(self, value: object) -> str | None:
        return _number(self.sections, value)

    def column(self, values: Sequence[object]) -> pa.Array | None:
        """Whole numbers; None where there is anything else."""
        try:
            numbers = pa.array(values, pa.float64())
            whole = numbers.cast(pa.int64())
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            return None
        if whole.null_count or (pc.min(whole).as_py() or 0) < 0:
            return None
        return pc.utf8_lpad(whole.cast(pa.string()), self.width, "0")


def _number(sections: list[_Section], value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return _shown(sections, value)
    return None


def _split(code: str) -> list[list[_Token]]:
    """The sections of a format, for positive and negative numbers and zero. Dates and text give an impossible one."""
    sections: list[list[_Token]] = [[]]
    for part in _TOKEN.finditer(code):
        kind, written = part.lastgroup, part[part.lastgroup or 0]
        if kind in ("quoted", "escaped", "currency"):
            sections[-1].append(_Literal(written))
        elif kind == "bracket":
            sections[-1].append(f"[{written}")
        elif kind == "general":
            sections[-1].append("General")
        elif written == ";":
            sections.append([])
        elif kind == "other":
            is_code = written in ".,%" + _PLACES or written.lower() in _DIFFERENT
            sections[-1].append(written.lower() if is_code else _Literal(written))
    return sections


def _section(tokens: list[_Token]) -> _Section | None:
    condition: Condition | None = None
    kept: list[_Token] = []
    for part in tokens:
        if isinstance(part, str) and part.startswith("["):
            if re.fullmatch(r"\[[hms]+", part, re.IGNORECASE):
                return None
            condition = _condition(part[1:]) or condition
        elif isinstance(part, str) and part in _DIFFERENT:
            return None
        else:
            kept.append(part)
    percents = kept.count("%")
    point = kept.index(".") if "." in kept else len(kept)
    whole, thousands = _without_commas(kept[:point])
    fraction = [part for part in kept[point + 1 :] if part not in (".", ",")]
    return _Section(
        whole=tuple(whole), fraction=tuple(fraction), shift=2 * percents - 3 * thousands, condition=condition
    )


def _condition(written: str) -> Condition | None:
    if not (found := _CONDITION.fullmatch(written)):
        return None
    compare = _COMPARED[found[1]]
    try:
        limit = Decimal(found[2])
    except InvalidOperation:
        return None
    return lambda value: bool(compare(value, limit))


def _without_commas(tokens: list[_Token]) -> tuple[list[_Token], int]:
    """The tokens before the decimal point, and how many thousands are left out: a comma behind the last digit each."""
    last = max((index for index, part in enumerate(tokens) if _is_place(part)), default=-1)
    return [part for part in tokens if part != ","], tokens[last + 1 :].count(",") if last >= 0 else 0


def _is_place(part: _Token) -> bool:
    return isinstance(part, str) and part in _PLACES


def _shown(sections: list[_Section], value: float) -> str:
    with localcontext(prec=_MOST_DIGITS):
        number = Decimal(repr(value))
        section, is_signed = _chosen(sections, number)
        size = _rounded(abs(number).scaleb(section.shift), section)
        shown = "".join(_whole(section.whole, size)) + _fraction(section.fraction, size)
        sign = "-" if is_signed and number < 0 and size else ""
        return (sign + shown).strip()


def _rounded(size: Decimal, section: _Section) -> Decimal:
    if "General" in section.whole:
        return size
    return size.quantize(Decimal(1).scaleb(-sum(map(_is_place, section.fraction))), ROUND_HALF_UP)


def _chosen(sections: list[_Section], number: Decimal) -> tuple[_Section, bool]:
    """The section that shows a number, and whether a minus is put before what it shows."""
    if any(section.condition for section in sections):
        for section in sections:
            if section.condition is None or section.condition(number):
                return section, True
        return sections[-1], True
    if number < 0 and len(sections) > 1:
        return sections[1], False
    if number == 0 and len(sections) > 2:
        return sections[2], False
    return sections[0], True


def _whole(tokens: tuple[_Token, ...], size: Decimal) -> list[str]:
    """What stands before the decimal point; its first place takes all digits that are left."""
    digits = str(int(size)) if size >= 1 else ""
    first = next((index for index, part in enumerate(tokens) if _is_place(part)), -1)
    shown: list[str] = []
    for index in range(len(tokens) - 1, -1, -1):
        part = tokens[index]
        if isinstance(part, _Literal):
            shown.append(part.text)
        elif part == "General":
            shown.append(text(size) or "0")
        elif index == first:
            shown.append(digits or _unfilled(part))
        elif part in _PLACES:
            digits, last = digits[:-1], digits[-1:]
            shown.append(last or _unfilled(part))
        else:
            shown.append(part)
    return shown[::-1]


def _unfilled(place: str) -> str:
    return "0" if place == "0" else " " if place == "?" else ""


def _fraction(tokens: tuple[_Token, ...], size: Decimal) -> str:
    digits = iter(f"{size:f}".partition(".")[2])
    shown: list[tuple[str, bool]] = []
    for part in tokens:
        if isinstance(part, _Literal):
            shown.append((part.text, False))
        elif part in _PLACES:
            digit = next(digits, "0")
            shown.append((digit, digit == "0" and part in "#?"))
        else:
            shown.append((part, False))
    while places := [index for index, (each, _) in enumerate(shown) if each.isdigit()]:
        if not shown[places[-1]][1]:
            break
        del shown[places[-1]]
    joined = "".join(each for each, _ in shown)
    return ("." if any(_is_place(part) for part in tokens) and joined[:1].isdigit() else "") + joined
