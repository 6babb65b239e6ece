"""Clean cells, a column at a time.

libphonenumber's own patterns as Arrow kernels, far faster than a Python call for each cell. Only where parse() can
do nothing but take the digits as they stand, and only for what is an ordinary line beyond doubt. Every other cell is
left to ``read``; ``make phones`` holds the two to the same answers. A number is its E.164 digits as a 64-bit integer,
and 0 is a number that is in doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.phones.countries import CALLING_CODES, main_region
from voicebatch.phones.numbers import NOT_ITS_OWN, OVERSEAS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Rows = NDArray[np.intp]
    Mask = NDArray[np.bool_]

_GAP: Final = r"(?:[ .-]|\x{a0}|\x{202f})"
_SHAPES: Final = (
    r"(?:\+|00?)?[1-9]\d{5,}",
    rf"(?:\+[1-9]\d{{0,2}}|00{_GAP}?[1-9]\d{{0,2}}|0[1-9]\d{{0,3}})(?:{_GAP}+\d+)+",
    rf"[1-9]\d{{0,2}}(?:{_GAP}+\d+){{2,}}",  # with one gap it might be a decimal, with four digits first a date
    rf"\((?:\+[1-9]\d{{0,2}}|0?[1-9]\d{{0,3}})\){_GAP}*\d+(?:{_GAP}+\d+)*",
)
_AREA_SLASH: Final = rf"0[1-9]\d{{0,2}}/[1-9]\d*(?:{_GAP}+\d+)*"
_TRUNK_ZERO: Final = rf"^((?:\+|00)[1-9]\d{{0,2}}){_GAP}*\(0\){_GAP}*([1-9])"
_WHOLE_DECIMAL: Final = r"^\+?\d{6,}[.,]0$"

_MOST_DIGITS: Final = 14  # with a calling code and a zero in front they still fit into 64 bits
_POWERS: Final = 10 ** np.arange(19, dtype=np.int64)
_PLUS, _BRACKET, _ZERO = np.frombuffer(b"+(0", np.uint8)


class _Line(IntEnum):
    """What stands behind E.164 digits."""

    NONE = 0  # no number at all, special services included
    ORDINARY = 1  # a line that can be called
    DOUBTFUL = 2  # a special service, or more than these kernels can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class _Digits:
    """Cells as digits: ``values`` and ``lengths`` are without the zeros in front, of which there are ``zeros``."""

    values: Numbers
    lengths: Numbers
    zeros: Numbers
    has_plus: Mask

    def at(self, rows: Rows) -> _Digits:
        """Those of some cells."""
        return _Digits(
            values=self.values[rows], lengths=self.lengths[rows], zeros=self.zeros[rows], has_plus=self.has_plus[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Lines of one kind or more: their pattern, and their lengths if not any."""

    pattern: str
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A country's numbering plan.

    ``prefix`` is what parse() takes off a national number, as a pattern; it may put ``grows`` digits in its place.
    ``abroad`` is what one dials first to call abroad, as a pattern. ``is_plain`` says that nothing is put in its place,
    and that it is the same for all countries under the calling code.
    """

    region: str
    code: int
    prefix: str
    abroad: str
    is_plain: bool
    leading: str
    shaped: tuple[_Kind, ...]
    ordinary: tuple[_Kind, ...]
    special: tuple[_Kind, ...]
    lengths: tuple[int, ...]
    grows: int
    written_bare: bool


def sure_numbers(cells: pa.Array, region: str) -> Numbers:
    """The E.164 digits where the cell is beyond doubt, 0 elsewhere."""
    found = _sure(cells, region)
    doubtful = np.flatnonzero(found == 0)
    if len(doubtful):
        rest = _tidied(cells.take(pa.array(doubtful)))
        mended = _sure(rest, region)
        found[doubtful] = np.where(mended, mended, _sure_without_trunk_zero(rest, region))
    return found


def _tidied(cells: pa.Array) -> pa.Array:
    """Without spaces around it, the ``="…"`` or apostrophe of a text cell, and the ``.0`` of a numeric cell."""
    cells = pc.utf8_trim_whitespace(cells)
    formula = pc.match_substring_regex(cells, '^="[^"]+"$')
    cells = pc.if_else(formula, pc.utf8_slice_codeunits(cells, 2, -1), cells)
    quoted = pc.match_substring_regex(cells, "^'[^']")
    cells = pc.if_else(quoted, pc.utf8_slice_codeunits(cells, 1), cells)
    whole = pc.match_substring_regex(cells, _WHOLE_DECIMAL)
    return pc.if_else(whole, pc.utf8_slice_codeunits(cells, 0, -2), cells)


def _sure_without_trunk_zero(cells: pa.Array, region: str) -> Numbers:
    """``+33 (0)6``: beyond doubt where parse() takes the zero off, so that it may be there or not."""
    shaped = pc.match_substring_regex(cells, _TRUNK_ZERO)
    if not pc.any(shaped).as_py():
        return np.zeros(len(cells), np.int64)
    spelled = pc.replace_substring_regex(pc.if_else(shaped, cells, None), _TRUNK_ZERO, r"\1 0\2")
    return _sure(spelled, region, trunk_zero=True)


def _sure(cells: pa.Array, region: str, *, trunk_zero: bool = False) -> Numbers:
    clean = pc.fill_null(pc.match_substring_regex(cells, _shape(region)), False)  # noqa: FBT003 # Arrow's own signature
    rows = np.flatnonzero(clean.to_numpy(zero_copy_only=False))
    digits = _digits(cells if len(rows) == len(cells) else cells.take(pa.array(rows)))
    numbers = np.zeros(len(cells), np.int64)
    numbers[rows] = _numbers(digits, region, trunk_zero=trunk_zero)
    return numbers


@lru_cache(maxsize=300)
def _shape(region: str) -> str:
    plan = _plan(region)
    slash = (_AREA_SLASH,) if plan and min(plan.lengths, default=0) > 3 else ()  # no area code is a number
    return f"^(?:{'|'.join((*_SHAPES, *slash))})$"


def _digits(cells: pa.Array) -> _Digits:
    """The digits of cells of a clean shape, which begin with ``+``, ``(`` or a digit and have two digits or more."""
    _, offsets_buffer, data = cells.buffers()
    if not len(cells):
        none = np.zeros(0, np.int64)
        return _Digits(values=none, lengths=none, zeros=none, has_plus=np.zeros(0, np.bool_))
    offsets = np.frombuffer(offsets_buffer, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    text = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
    starts = offsets - offsets[0]
    are_digits = (text - _ZERO) < np.uint8(10)  # below "0" it wraps round
    before = np.zeros(len(text) + 1, np.int32)
    np.cumsum(are_digits, out=before[1:])
    first, second = text[starts[:-1]], text[starts[:-1] + 1]
    places, digits = before[starts], text[are_digits]
    zeros = (digits[places[:-1]] == _ZERO).astype(np.int64)
    zeros += zeros & (digits[places[:-1] + 1] == _ZERO)
    lengths = np.diff(places) - zeros
    compact = pa.Array.from_buffers(pa.string(), len(cells), [None, pa.py_buffer(places), pa.py_buffer(digits)])
    fits = lengths <= _MOST_DIGITS
    return _Digits(
        values=(compact if fits.all() else pc.if_else(pa.array(fits), compact, "0")).cast(pa.int64()).to_numpy(),
        lengths=np.minimum(lengths, _MOST_DIGITS),
        zeros=zeros,
        has_plus=(first == _PLUS) | ((first == _BRACKET) & (second == _PLUS)),
    )


def _numbers(digits: _Digits, region: str, *, trunk_zero: bool) -> Numbers:
    """The numbers that the digits are beyond doubt, else 0."""
    plan = _plan(region)
    numbers = np.zeros(len(digits.values), np.int64)
    with_code = digits.has_plus | (digits.zeros == 2 if plan and plan.abroad == "00" else False)
    rows = np.flatnonzero(with_code)
    if len(rows):
        some = digits.at(rows)
        numbers[rows] = _ordinary(*_lines(some.values, some.lengths, trunk_zero=trunk_zero))
    if plan is None or not plan.is_plain or trunk_zero:
        return numbers
    for zeros, read in ((1, _national), (0, _bare)):
        rows = np.flatnonzero(~with_code & (digits.zeros == zeros))
        if len(rows):
            numbers[rows] = read(digits.at(rows), plan)
    return numbers


def _ordinary(lines: NDArray[np.uint8], numbers: Numbers) -> Numbers:
    return np.where(lines == _Line.ORDINARY, numbers, 0)


def _national(digits: _Digits, plan: _Plan) -> Numbers:
    """Written with a zero: the national prefix, or in countries without one the first digit."""
    if plan.prefix not in {"", "0"}:
        return np.zeros(len(digits.values), np.int64)
    lengths = digits.lengths + (plan.prefix == "")
    found = _ordinary(*_lines(*_with_code(digits.values, lengths, plan.code), region=plan.region))
    return np.where(_dials_abroad(digits, plan), 0, found)


def _bare(digits: _Digits, plan: _Plan) -> Numbers:
    """Without + and 0: beyond doubt when neither of them in front makes another number."""
    if plan.prefix not in {"", "0", "1"}:
        return np.zeros(len(digits.values), np.int64)
    own = _ordinary(*_lines(*_with_code(digits.values, digits.lengths, plan.code), region=plan.region))
    own[_begins_with_a_code(digits, plan)] = 0
    international, foreign = _lines(digits.values, digits.lengths)
    if not plan.written_bare:
        own[international != _Line.NONE] = 0
        if plan.prefix != "0":
            with_zero = _with_code(digits.values, digits.lengths + 1, plan.code)
            own[_lines(*with_zero)[0] != _Line.NONE] = 0
    too_long = digits.lengths > _longest(plan)
    as_written = foreign == digits.values
    found = np.where(too_long, np.where(as_written, _ordinary(international, foreign), 0), own)
    return np.where(_dials_abroad(digits, plan), 0, found)


def _begins_with_a_code(digits: _Digits, plan: _Plan) -> Mask:
    """Whether parse() might take the first digits for a calling code. It does not in a plan that knows the number."""
    overseas = [_metadata(region).country_code for region in OVERSEAS.get(plan.region, ())]
    codes = overseas if plan is _plans(plan.code)[0] else [*overseas, plan.code]
    return _starts(digits.values, digits.lengths, map(str, codes))


def _longest(plan: _Plan) -> int:
    """The most digits of a number in the plans under which national numbers are looked for."""
    codes = {plan.code, *(_metadata(region).country_code for region in OVERSEAS.get(plan.region, ()))}
    return max(max(other.lengths) for code in codes for other in _plans(code))


def _dials_abroad(digits: _Digits, plan: _Plan) -> Mask:
    """Whether the digits begin as one dials abroad from this country, be it with a zero that was eaten."""
    if plan.abroad == "00":
        return np.zeros(len(digits.values), np.bool_)
    bare = pa.array(digits.values).cast(pa.string())
    with_zero = pc.binary_join_element_wise("0", bare, "")
    pattern = f"^(?:{plan.abroad})"
    found: Mask = _matches(with_zero, pattern) | ((digits.zeros == 0) & _matches(bare, pattern))
    return found


def _with_code(values: Numbers, lengths: Numbers, code: int) -> tuple[Numbers, Numbers]:
    return code * _POWERS[lengths] + values, lengths + len(str(code))


# --------------------------------------------------------------------------- what stands behind E.164 digits


def _lines(
    numbers: Numbers, lengths: Numbers, *, region: str = "", trunk_zero: bool = False
) -> tuple[NDArray[np.uint8], Numbers]:
    """What stands behind each number, and the number under which it is called.

    They differ for a zero after the calling code, and for overseas numbers that are written as a mother country's.
    ``region`` says that they were written as national numbers, ``trunk_zero`` that a zero has to be taken off.
    """
    lines = np.full(len(numbers), _Line.NONE, np.uint8)
    numbers = numbers.copy()
    codes = _CODE_OF_BEGINNING[numbers // _POWERS[np.maximum(lengths - 3, 0)]]
    for code in np.flatnonzero(np.bincount(codes)).tolist():
        if code:
            rows = np.flatnonzero(codes == code)
            rest = lengths[rows] - len(str(code))
            lines[rows], numbers[rows] = _lines_under(code, numbers[rows], rest, region, trunk_zero=trunk_zero)
    return lines, numbers


def _lines_under(
    code: int, numbers: Numbers, lengths: Numbers, region: str, *, trunk_zero: bool
) -> tuple[NDArray[np.uint8], Numbers]:
    plans = _plans(code)
    if not plans:
        return np.full(len(numbers), _Line.DOUBTFUL, np.uint8), numbers
    numbers, lengths, dropped = _without_zero(numbers, lengths, plans[0])
    lines = _lines_in(plans, numbers, lengths)
    overseas = OVERSEAS.get(plans[0].region, ())
    elsewhere = lines == _Line.NONE
    if overseas:
        national = numbers - code * _POWERS[lengths]
        if region == plans[0].region:
            elsewhere |= _starts(national, lengths, NOT_ITS_OWN.get(region, ()))
        lines[elsewhere] = _Line.NONE
    for other in overseas:
        rows = np.flatnonzero(lines == _Line.NONE) if elsewhere.any() else np.zeros(0, np.intp)
        if len(rows):
            there = _plans(_metadata(other).country_code)
            moved = there[0].code * _POWERS[lengths[rows]] + national[rows]
            lines[rows] = _lines_in(there, moved, lengths[rows])
            numbers[rows] = moved
    if trunk_zero:
        lines[~dropped] = _Line.DOUBTFUL
    return lines, numbers


def _without_zero(numbers: Numbers, lengths: Numbers, plan: _Plan) -> tuple[Numbers, Numbers, Mask]:
    """``+33 06``: parse() takes the zero off where it is the whole national prefix."""
    dropped = (numbers - plan.code * _POWERS[lengths] < _POWERS[np.maximum(lengths - 1, 0)]) & (lengths > 1)
    if plan.prefix != "0" or not plan.is_plain:
        return numbers, lengths, np.zeros(len(numbers), np.bool_)
    shorter = plan.code * _POWERS[np.maximum(lengths - 1, 0)] + (numbers - plan.code * _POWERS[lengths])
    return np.where(dropped, shorter, numbers), lengths - dropped, dropped


def _starts(national: Numbers, lengths: Numbers, beginnings: Iterable[str]) -> Mask:
    found = np.zeros(len(national), np.bool_)
    for beginning in beginnings:
        found |= national // _POWERS[np.maximum(lengths - len(beginning), 0)] == int(beginning)
    return found


def _lines_in(plans: tuple[_Plan, ...], numbers: Numbers, lengths: Numbers) -> NDArray[np.uint8]:
    """As number_type() finds it: in the first of the plans under a calling code that knows the number."""
    texts = pa.array(numbers).cast(pa.string())
    lines = np.full(len(numbers), _Line.NONE, np.uint8)
    main = plans[0]
    left = np.ones(len(numbers), np.bool_)
    if main.prefix:
        left = ~_matches(texts, f"^{main.code}(?:{main.prefix})")
        lines[~left & (lengths + main.grows >= min(min(plan.lengths) for plan in plans))] = _Line.DOUBTFUL
    for plan in plans:
        rows = np.flatnonzero(left)
        if not len(rows):
            break
        some = texts if len(rows) == len(numbers) else texts.take(pa.array(rows))
        lines[rows] = found = _lines_of_plan(plan, some, lengths[rows])
        left[rows] = found == _Line.NONE
        if plan.leading:
            left[rows] &= ~_matches(some, f"^{plan.code}(?:{plan.leading})")
    return lines


def _lines_of_plan(plan: _Plan, texts: pa.Array, lengths: Numbers) -> NDArray[np.uint8]:
    shaped = _any_kind(plan.shaped, plan, texts, lengths)
    ordinary = _any_kind(plan.ordinary, plan, texts, lengths)
    special = _any_kind(plan.special, plan, texts, lengths)
    lines = np.where(special, np.uint8(_Line.DOUBTFUL), ordinary.astype(np.uint8))
    if plan.leading:
        shaped &= _matches(texts, f"^{plan.code}(?:{plan.leading})")
    return np.where(shaped, lines, np.uint8(_Line.NONE))


def _any_kind(kinds: tuple[_Kind, ...], plan: _Plan, texts: pa.Array, lengths: Numbers) -> Mask:
    found = np.zeros(len(texts), np.bool_)
    for kind in kinds:
        matching = _matches(texts, f"^{plan.code}(?:{kind.pattern})$")
        found |= matching & _has_length(lengths, kind.lengths) if kind.lengths else matching
    return found


def _has_length(lengths: Numbers, allowed: tuple[int, ...]) -> Mask:
    table = np.zeros(32, np.bool_)
    table[list(allowed)] = True
    found: Mask = table[np.maximum(lengths, 0)]
    return found


def _matches(texts: pa.Array, pattern: str) -> Mask:
    found: Mask = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return found


# --------------------------------------------------------------------------- libphonenumber's tables

_ORDINARY: Final = ("fixed_line", "mobile", "voip")
_SPECIAL: Final = ("premium_rate", "toll_free", "shared_cost", "personal_number", "pager", "uan", "voicemail")


def _code_of_beginning() -> NDArray[np.intp]:
    """The calling code at the beginning of three digits, else 0. None is the beginning of another."""
    table = np.zeros(1000, np.intp)
    for code in CALLING_CODES:
        first = int(code.ljust(3, "0"))
        table[first : first + 10 ** (3 - len(code))] = int(code)
    return table


_CODE_OF_BEGINNING: Final = _code_of_beginning()


def _metadata(region: str) -> Any:
    return phonenumbers.PhoneMetadata.metadata_for_region(region, None)


@lru_cache(maxsize=300)
def _plans(code: int) -> tuple[_Plan, ...]:
    """The plans under a calling code, the main one first; none for codes that are no country's."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code] if main_region(str(code)) else ()
    plans = [_plan(region) for region in regions]
    return tuple(plan for plan in plans if plan) if None not in plans else ()


@lru_cache(maxsize=300)
def _plan(region: str) -> _Plan | None:
    metadata = _metadata(region)
    if metadata is None:
        return None
    main = _metadata(main_region(str(metadata.country_code)))
    prefix = metadata.national_prefix_for_parsing or ""
    return _Plan(
        region=region,
        code=metadata.country_code,
        prefix=prefix,
        is_plain=not metadata.national_prefix_transform_rule and prefix == (main.national_prefix_for_parsing or ""),
        abroad=metadata.international_prefix or "",
        leading=metadata.leading_digits or "",
        shaped=_kinds([metadata.general_desc]),
        ordinary=_kinds(getattr(metadata, kind) for kind in _ORDINARY),
        special=_kinds(getattr(metadata, kind) for kind in _SPECIAL),
        lengths=tuple(metadata.general_desc.possible_length),
        grows=len(re.findall(r"(?<!\\)\d", metadata.national_prefix_transform_rule or "")),
        written_bare=all(map(_adds_nothing, main.number_format)),
    )


def _adds_nothing(number_format: Any) -> bool:
    """Whether a number so formatted has no digits but its own, and those in their order."""
    written = number_format.format.replace(r"\1", number_format.national_prefix_formatting_rule or r"\1", 1)
    groups = re.findall(r"\\(\d)", written)
    return groups == sorted(set(groups)) and not re.search(r"\d", re.sub(r"\\\d", "", written))


def _kinds(descriptions: Iterable[Any]) -> tuple[_Kind, ...]:
    """Kinds of lines; those of the same lengths together."""
    patterns: dict[tuple[int, ...], list[str]] = {}
    for lines in descriptions:
        if lines is not None and lines.national_number_pattern and lines.possible_length != (-1,):
            patterns.setdefault(tuple(lines.possible_length), []).append(lines.national_number_pattern)
    return tuple(_Kind(pattern="|".join(those), lengths=lengths) for lengths, those in patterns.items())
