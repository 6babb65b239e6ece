"""What "exactly as phonenumbers" means, as a check of one column.

1. A column answers what ``read`` answers for each of its cells: the same number, or the same fault and sentence. That
   is what holds the fast path to the slow one.
2. The slow path may be wrong with it, so plain ``phonenumbers`` is asked as well (parse, type, E.164; nothing of ours).
   For a plain cell, about which we have no rule of our own, the two agree both ways: a number is accepted if, and
   only if, it is valid and its type is one that is called, and it is the same number. Plain are numbers with ``+``,
   with ``00`` where that is what one dials, and with a zero in front, in groups with spaces, dots or dashes.
3. For any other cell (a zero restored, ``.0``, ``(0)``, brackets) and for French overseas numbers an accepted number is
   one that ``phonenumbers`` holds valid, of a type that is called, and it is the end of what was typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import phonenumbers
import pyarrow as pa
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from voicebatch.phones import PhoneFault, normalise, read
from voicebatch.phones.columns import sure_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.phones.generating import Cell

CALLED: Final = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.VOIP,
    }
)
phonenumbers.enable_pattern_cache()  # or most of the time goes into compiling the patterns of so many countries
_OVERSEAS: Final = ("+590", "+262", "+594", "+596")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How many cells the fast path answered, how many plain ones were accepted and refused, and what differs."""

    fast: int
    accepted: int
    refused: int
    differences: tuple[str, ...]


def compare(cells: Sequence[Cell], region: str) -> Compared:
    """Read the cells as a column of a file from ``region``, and hold the answers to the references."""
    texts = [cell.text for cell in cells]
    phones = normalise(pa.array(texts, pa.string()), region=region)
    answers = [phones.faults.get(row, e164) for row, e164 in enumerate(phones.e164.to_pylist())]
    plain = [answer for cell, answer in zip(cells, answers, strict=True) if cell.is_plain]
    return Compared(
        fast=int(np.count_nonzero(sure_numbers(pa.array(texts, pa.string()), region))),
        accepted=sum(isinstance(answer, str) for answer in plain),
        refused=sum(not isinstance(answer, str) for answer in plain),
        differences=tuple(
            difference
            for cell, answer in zip(cells, answers, strict=True)
            for difference in _differences(cell, answer, region)
        ),
    )


def _differences(cell: Cell, answer: str | PhoneFault | None, region: str) -> Iterator[str]:
    slow = read(cell.text, region=region)
    if slow != answer:
        yield f"{region} {cell.text!r}: the column says {_said(answer)}, the cell {_said(slow)}"
    if cell.is_plain and not _is_ours(cell.text, answer, region):
        theirs = _called(cell.text, region)
        if theirs != (answer if isinstance(answer, str) else None):
            yield f"{region} {cell.text!r}: we say {_said(answer)}, phonenumbers {theirs}"
    elif isinstance(answer, str) and not _ends_as_typed(answer, cell.text):
        yield f"{region} {cell.text!r}: {answer} is not what was typed, or nothing that is called"


def _said(answer: str | PhoneFault | None) -> str | None:
    return answer.check if isinstance(answer, PhoneFault) else answer


def _is_ours(text: str, answer: str | PhoneFault | None, region: str) -> bool:
    """Whether it is a French overseas number written as a number of France: +33 690, or 0690 in a French file."""
    digits = re.sub(r"[^\d+]", "", text)
    french = digits.startswith(("+33", "0033")) or (region == "FR" and not digits.startswith(("+", "00")))
    there = isinstance(answer, str) and answer.startswith(_OVERSEAS)
    return french and (there or _called(text, region, anything=True) is not None or _is_special_overseas(digits))


def _is_special_overseas(digits: str) -> bool:
    """Special services overseas are named as such, not refused as no number."""
    national = "0" + re.sub(r"^(?:\+33|0033)?0?", "", digits)
    return any(_called(national, region, anything=True) for region in ("GP", "RE", "GF", "MQ"))


def _called(text: str, region: str | None, *, anything: bool = False) -> str | None:
    """The number in E.164 as plain ``phonenumbers`` has it, if it is valid and (or anything) can be called."""
    try:
        number = phonenumbers.parse(text.replace("\u202f", " "), region)  # the one space of ours that it does not know
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    if not anything and phonenumbers.number_type(number) not in CALLED:
        return None
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _ends_as_typed(e164: str, text: str) -> bool:
    """Whether the number is valid, called, and the end of what was typed. Some plans put digits before the last."""
    if _called(e164, None) != e164:
        return False
    number: Any = phonenumbers.parse(e164)
    national = phonenumbers.national_significant_number(number)
    rewritten = any(_rewrites(region) for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[number.country_code])
    typed = re.sub(r"\D", "", re.sub(r"(?<=\d{6})[.,]0+\W*$", "", text))
    return typed.endswith(national[-4:] if rewritten else national.lstrip("0"))


def _rewrites(region: str) -> bool:
    plan: Any = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    return plan is not None and bool(plan.national_prefix_transform_rule)
