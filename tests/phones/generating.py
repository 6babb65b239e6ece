"""Cells with phone numbers: walks through libphonenumber's own patterns, mutated, and written in many ways."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KINDS: Final = (
    *("fixed_line", "mobile") * 4,  # as in a real file
    *("voip", "premium_rate", "toll_free", "shared_cost", "personal_number", "pager", "uan", "voicemail"),
)
_DIGITS: Final = "0123456789"
_Walk = list[tuple[re.Pattern[str], list[str]]]
_FRENCH: Final = ("FR", "GP", "RE", "GF", "MQ", "YT")


def _plan(region: str) -> Any:
    return phonenumbers.PhoneMetadata.metadata_for_region(region, None)


def _regions() -> tuple[str, ...]:
    """All regions; those come first whose plans rewrite numbers, and France with its overseas departments."""
    supported = sorted(phonenumbers.SUPPORTED_REGIONS)
    rewriting = [region for region in supported if _plan(region).national_prefix_transform_rule]
    return tuple(dict.fromkeys((*_FRENCH, *rewriting, *supported)))


REGIONS: Final = _regions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A written number. ``is_plain`` says that it holds nothing about which we have rules of our own."""

    text: str
    is_plain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Number:
    """A national number of ``home`` that is to be written in a file from ``region``."""

    dice: random.Random
    region: str
    home: str
    national: str


def cells(dice: random.Random, region: str, number: int) -> Iterator[Cell]:
    """So many cells as they may stand in a file whose national numbers are those of ``region``."""
    walks: dict[str, _Walk] = {}
    for _ in range(number):
        home = region if dice.random() < 0.8 else dice.choice(REGIONS)
        plan = dice.choice(_FRENCH) if home == "FR" else home
        if plan not in walks:
            walks[plan] = _lines(plan)
        national = _mutated(dice, _walked(dice, walks[plan]))
        write = dice.choice(_AT_HOME if home == region else _FROM_ABROAD)
        yield write(_Number(dice=dice, region=region, home=home, national=national))


# --------------------------------------------------------------------------- numbers


def _lines(region: str) -> _Walk:
    """The patterns of a region's lines, each with the numbers to which its walk has come."""
    descriptions = [getattr(_plan(region), kind) for kind in _KINDS]
    return [
        (re.compile(lines.national_number_pattern), [lines.example_number])
        for lines in descriptions
        if lines is not None and lines.national_number_pattern and lines.example_number
    ]


def _walked(dice: random.Random, walk: _Walk) -> str:
    """Some steps of a walk that never leaves its pattern: it ends up everywhere in it."""
    pattern, reached = dice.choice(walk)
    at = dice.choice(reached)
    for _ in range(6):
        there = list(at)
        for place in dice.choices(range(len(there)), k=dice.choice((1, 2, 4, 8))):
            there[place] = dice.choice(_DIGITS)
        if pattern.fullmatch(found := "".join(there)):
            at = found
    reached.append(at)
    return at


def _mutated(dice: random.Random, number: str) -> str:
    for _ in range(dice.choice((0, 0, 0, 1, 1, 2))):
        number = dice.choice(_MUTATIONS)(
            number, dice.choice((0, 1, 2, dice.randrange(len(number) + 1))), dice.choice(_DIGITS)
        )
    return number or "0"


_MUTATIONS: Final[tuple[Callable[[str, int, str], str], ...]] = (
    lambda number, at, digit: number[:at] + digit + number[at + 1 :],
    lambda number, at, digit: number[:at] + digit + number[at:],
    lambda number, at, _: number[:at] + number[at + 1 :],
    lambda number, at, _: number[:at] + number[at : at + 2][::-1] + number[at + 2 :],
)

# --------------------------------------------------------------------------- how they are written


def _spaced(dice: random.Random, number: str, *, gaps: tuple[str, ...] = (" ", "-", "\u00a0", "\u202f", "  ")) -> str:
    """In groups, or not at all. Two groups with a dot between them are a decimal to us, so there are more."""
    how = dice.random()
    if how < 0.4:
        return number
    if how < 0.5:
        return ".".join(re.findall("..?", number)) if len(number) > 4 else number
    gap, size = dice.choice(gaps), dice.choice((1, 2, 2, 3, 4))
    head = dice.choice((0, 1, 2, 3))
    return gap.join(filter(None, (number[:head], *re.findall(f".{{1,{size}}}", number[head:]))))


def _code(region: str) -> str:
    return str(_plan(region).country_code)


def _with_plus(number: _Number) -> Cell:
    gap = number.dice.choice(("", "", " ", "-", "."))
    text = f"+{_code(number.home)}{gap}{_spaced(number.dice, number.national)}"
    return Cell(text=text, is_plain=text.count(".") != 1)


def _with_idd(number: _Number) -> Cell:
    gap = number.dice.choice(("", " "))
    text = f"00{gap}{_code(number.home)}{gap}{_spaced(number.dice, number.national)}"
    return Cell(text=text, is_plain=_plan(number.region).international_prefix == "00" and text.count(".") != 1)


def _has_one_zero(text: str) -> bool:
    """Two are dialled before a calling code: in every country's file, if not in every country."""
    return re.match("0[1-9]", re.sub(r"\D", "", text)) is not None


def _with_trunk_prefix(number: _Number) -> Cell:
    prefix = _plan(number.region).national_prefix or ""
    text = _spaced(number.dice, prefix + number.national)
    return Cell(text=text, is_plain=_has_one_zero(text) and text.count(".") != 1)


def _with_zero(number: _Number) -> Cell:
    text = _spaced(number.dice, "0" + number.national)
    return Cell(text=text, is_plain=_has_one_zero(text) and text.count(".") != 1)


def _with_code_and_zero(number: _Number) -> Cell:
    zero = number.dice.choice(("0", " 0", "(0)", " (0) ", " (0)"))
    return Cell(text=f"+{_code(number.home)}{zero}{_spaced(number.dice, number.national)}", is_plain=False)


def _bare(number: _Number) -> Cell:
    return Cell(text=_spaced(number.dice, number.national), is_plain=False)


def _bare_with_code(number: _Number) -> Cell:
    return Cell(text=_spaced(number.dice, _code(number.home) + number.national), is_plain=False)


def _as_number(number: _Number) -> Cell:
    digits = number.dice.choice((number.national, _code(number.home) + number.national)).lstrip("0") or "0"
    return Cell(text=digits + number.dice.choice((".0", ",0", ".00")), is_plain=False)


def _in_brackets(number: _Number) -> Cell:
    area = number.dice.choice(("", "0")) + number.national[: number.dice.choice((1, 2, 3, 4))]
    return Cell(text=f"({area}) {_spaced(number.dice, number.national[len(area.removeprefix('0')) :])}", is_plain=False)


def _with_slash(number: _Number) -> Cell:
    area = number.dice.choice((1, 2, 3, 4))
    return Cell(text=f"0{number.national[:area]}/{_spaced(number.dice, number.national[area:])}", is_plain=False)


def _as_text(number: _Number) -> Cell:
    around = number.dice.choice(("'{}", " {}", "{} ", "tel:{}", "\u200e{}"))
    return Cell(text=around.format(_with_trunk_prefix(number).text), is_plain=False)


_FROM_ABROAD: Final = (_with_plus, _with_plus, _with_plus, _with_idd, _bare_with_code, _with_code_and_zero, _as_number)
_AT_HOME: Final = (
    _with_plus, _with_plus, _with_idd, _with_trunk_prefix, _with_trunk_prefix, _with_zero, _bare, _bare,
    _bare_with_code, _with_code_and_zero, _as_number, _in_brackets, _with_slash, _as_text,
)  # fmt: skip
