"""What libphonenumber reads in the digits of a cell, and why it reads nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult

from voicebatch.phones.countries import calling_code, country_name, main_region
from voicebatch.phones.faults import PhoneFault, fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NOT_CALLED: Final[Mapping[int, str]] = {
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PERSONAL_NUMBER: "personal_number",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "company_number",
    PhoneNumberType.VOICEMAIL: "voicemail",
}

OVERSEAS: Final[Mapping[str, tuple[str, ...]]] = {
    # Written as any French number, and dialled under calling codes of their own.
    "FR": ("GP", "RE", "GF", "MQ"),
}
_LONGEST: Final = 24  # digits of one number, with all that one dials before it
_TRUNK_ZERO: Final = re.compile(r"(?<=\d)([ .)/-]*)\([ ]*0[ ]*\)")
NOT_ITS_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    # libphonenumber's plan of metropolitan France lets these pass; they are Réunion's, Mayotte's and Martinique's.
    "FR": ("263", "269", "596"),
}


def dialled(text: str, region: str) -> str | PhoneFault:
    """The one number that a text of digits and separators means, in E.164, or why there is none."""
    spellings = _spellings(text)
    types = {e164: kind for digits in spellings for e164, kind in _readings(digits, region)}
    if len(types) > 1:
        return PhoneFault(check="ambiguous", reason=_two_ways(types))
    for e164, kind in types.items():
        return fault(_NOT_CALLED[kind]) if kind in _NOT_CALLED else e164
    return _why_not(text, spellings[0], region)


def _two_ways(readings: Iterable[str]) -> str:
    ways = " or ".join(f"{e164} ({country_name(main_region(calling_code(e164)))})" for e164 in readings)
    return f"this can be read as {ways}: write it with + and the country's calling code"


def digits_of(text: str) -> str:
    """The digits of a text, and its plus signs."""
    return re.sub(r"[^\d+]", "", text)


def _spellings(text: str) -> list[str]:
    """The digits, without the zero of ``+33 (0)6`` first and then with it, as Italy wants."""
    trunkless = _TRUNK_ZERO.sub(r"\1", text)
    return [digits_of(text)] if trunkless == text else [digits_of(trunkless), digits_of(text)]


def is_number(digits: str, region: str) -> bool:
    """Whether the digits can mean a number, be it one that is called or not."""
    return any(_readings(digits, region))


def _readings(digits: str, region: str) -> Iterator[tuple[str, int]]:
    """Every number that the digits can mean, in E.164, with its type.

    A spelling that is just the country's own is no guess, and so has no second reading.
    """
    if digits.startswith(("+", "00")):
        yield from _with_code(_international(digits))
        yield from () if digits[0] == "+" else _valid(digits, region)
        return
    typed = list(_national(digits, region))
    yield from typed
    if digits[0] != "0" and not (typed and _is_own_spelling(digits, typed[0][0])):
        yield from _national("0" + digits, region)
        yield from _with_code("+" + digits) if region in OVERSEAS else _valid("+" + digits, None)


def _international(digits: str) -> str:
    return "+" + re.sub(r"^\+?(?:00)?", "", digits)


def _with_code(digits: str) -> Iterator[tuple[str, int]]:
    """The number after its calling code. Many write an overseas number with the mother country's: ``+33 690``."""
    found = list(_valid(digits, None))
    code = calling_code(digits)
    overseas = OVERSEAS.get(main_region(code), ())
    national = digits.removeprefix(f"+{code}").removeprefix("0")
    yield from found or (_first("0" + national, overseas) if national[:1] != "0" else ())


def _national(digits: str, region: str) -> Iterator[tuple[str, int]]:
    """The number in the region's own plan, else in those that are written like it."""
    overseas = OVERSEAS.get(region, ())
    shadowed = digits.removeprefix("0").startswith(NOT_ITS_OWN.get(region, ()))
    yield from _first(digits, overseas if shadowed else (region, *overseas))


def _first(digits: str, plans: Iterable[str]) -> list[tuple[str, int]]:
    return next((found for plan in plans if (found := list(_valid(digits, plan)))), [])


def _valid(digits: str, region: str | None) -> Iterator[tuple[str, int]]:
    if not _may_be_valid(digits, region):
        return
    try:
        number = phonenumbers.parse(digits, region)
    except NumberParseException:
        return
    kind = phonenumbers.number_type(number)
    if kind != PhoneNumberType.UNKNOWN:  # that is what is_valid_number asks too
        yield phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), kind


def _may_be_valid(digits: str, region: str | None) -> bool:
    """False only where parse() cannot find a valid number: its answer takes fifty times as long."""
    if region is None:
        numbers = _numbers_under(calling_code(digits))
        return numbers is None or numbers.fullmatch(digits, 1) is not None
    numbers, abroad = _plan_of(region)
    return numbers is None or numbers.fullmatch(digits) is not None or abroad.match(digits) is not None


@lru_cache(maxsize=300)
def _plan_of(region: str) -> tuple[re.Pattern[str] | None, re.Pattern[str]]:
    """What a number's digits look like in a region, if they tell, and with what one dials abroad."""
    plan: Any = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    numbers = _numbers_under(str(plan.country_code)) if plan else None
    return numbers, re.compile(plan.international_prefix if plan else "")


@lru_cache(maxsize=300)
def _numbers_under(code: str) -> re.Pattern[str] | None:
    """What a number's digits look like under a calling code, with or without the code and zeros before the number.

    None where parse() may take more than zeros off.
    """
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code or 0), ())
    plans: list[Any] = [phonenumbers.PhoneMetadata.metadata_for_region(region, None) for region in regions]
    if not all(plan and _takes_off_zeros_only(plan) for plan in plans):
        return None
    shapes = "|".join(plan.general_desc.national_number_pattern for plan in plans) or "(?!)"
    return re.compile(f"(?:{code})?0*(?:{shapes})")


def _takes_off_zeros_only(plan: Any) -> bool:
    return plan.national_prefix_for_parsing in {None, "", "0"} and not plan.national_prefix_transform_rule


def _is_own_spelling(digits: str, e164: str) -> bool:
    number = phonenumbers.parse(e164, None)
    return digits_of(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)) == digits


def _why_not(text: str, digits: str, region: str) -> PhoneFault:
    if _is_two_full_numbers(text, region):
        return fault("two_numbers")
    is_national = not digits.startswith(("+", "00"))
    try:
        number = phonenumbers.parse(digits if is_national else _international(digits), region if is_national else None)
    except NumberParseException as error:
        return _unparsed(error.error_type, region)
    if is_national and len(digits) <= 6 and phonenumbers.is_valid_short_number_for_region(number, region):
        return fault("short_number")
    return _impossible(_without_prefix(number, digits, region) if is_national else number)


def _without_prefix(number: Any, digits: str, region: str) -> Any:
    """parse() keeps a national prefix when a digit is missing, and then finds the length right."""
    prefix = phonenumbers.ndd_prefix_for_region(region, True)  # noqa: FBT003 # their own signature
    if not prefix or not digits.startswith(prefix) or len(digits) == len(prefix):
        return number
    rest = digits.removeprefix(prefix)
    return phonenumbers.PhoneNumber(country_code=number.country_code, national_number=int(rest))


def _is_two_full_numbers(text: str, region: str) -> bool:
    groups = [group for group in re.split(r"[ .,/()'-]+", text) if group]
    digits = "".join(groups)
    cuts = [cut for cut in accumulate(map(len, groups)) if 7 <= cut <= len(digits) - 7]
    halves = [digits[:cut] for cut in cuts if cut <= _LONGEST] + [
        digits[cut:] for cut in cuts if len(digits) - cut <= _LONGEST
    ]
    return any(is_number(half, region) for half in halves)


def _unparsed(error_type: int, region: str) -> PhoneFault:
    if error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return fault("country_code")
    long = error_type == NumberParseException.TOO_LONG
    return _wrong_length("too_long" if long else "too_short", phonenumbers.country_code_for_region(region))


def _impossible(number: Any) -> PhoneFault:
    result = phonenumbers.is_possible_number_with_reason(number)
    if result == ValidationResult.TOO_LONG:
        return _wrong_length("too_long", number.country_code)
    if result in {ValidationResult.TOO_SHORT, ValidationResult.IS_POSSIBLE_LOCAL_ONLY}:
        return _wrong_length("too_short", number.country_code)
    where = _place(number.country_code)
    return PhoneFault(check="no_such_number", reason=f"no such number exists in the numbering plan of {where}")


def _wrong_length(check: str, code: int) -> PhoneFault:
    return PhoneFault(check=check, reason=f"the number is {check.replace('_', ' ')} for {_place(code)}")


def _place(code: int) -> str:
    name = country_name(main_region(str(code)))
    return f"{name} (+{code})" if name else f"calling code +{code}"
