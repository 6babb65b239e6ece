"""Phone numbers: from whatever a person or a spreadsheet wrote to E.164, or to a sentence that says why not.

A strict grammar of what may stand in a cell comes first, then ``phonenumbers``, the reference for everything
that passes it. libphonenumber alone is too kind: it drops a leading letter O and reads ``60012345.0`` as one
digit more.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_REMEMBERED: Final = 100_000  # more than the distinct cells of one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneFault:
    """Why a cell holds no number that can be called: the check's name and a sentence for the user."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phones:
    """A column of phones as read: ``e164`` is null where ``faults`` (by position in the column) says why."""

    e164: pa.Array
    faults: Mapping[int, PhoneFault]


def normalise(cells: pa.Array | pa.ChunkedArray, *, region: str) -> Phones:
    """Read a column of cells: for each the same answer as ``read``, every distinct cell once."""
    encoded = pc.fill_null(_one_array(cells).cast(pa.string()), "").dictionary_encode()
    known = _clean(encoded.dictionary, region)
    rest = pc.indices_nonzero(known.is_null())
    answers = [read(cell, region=region) for cell in encoded.dictionary.take(rest).to_pylist()]
    slow = pa.array([answer if isinstance(answer, str) else None for answer in answers], pa.string())
    e164 = pc.coalesce(known, _scattered(slow, rest, len(known))).take(encoded.indices)
    faults = {
        code: answer for code, answer in zip(rest.to_pylist(), answers, strict=True) if not isinstance(answer, str)
    }
    rows = pc.indices_nonzero(e164.is_null())
    return Phones(e164=e164, faults={row: faults[encoded.indices[row].as_py()] for row in rows.to_pylist()})


def read(cell: str, *, region: str) -> str | PhoneFault:
    """One cell's number in E.164, or why there is none. ``region`` is the country of national numbers."""
    return _read(cell, region)


def known_region(region: str) -> bool:
    """Whether numbers can be read as those of this country (two capital letters, ISO 3166)."""
    return region in phonenumbers.SUPPORTED_REGIONS


def calling_code(e164: str) -> str:
    """The calling code of a number in E.164: ``33`` of ``+33612345678``; empty when there is no such code."""
    return _code_of_beginning(e164[1:4])


@lru_cache(maxsize=1000)
def _code_of_beginning(digits: str) -> str:
    return next((digits[:end] for end in (1, 2, 3) if digits[:end] in _CALLING_CODES), "")


def calling_codes(e164: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The calling code of every number; null where the number is null or has none."""
    return _codes(pc.utf8_slice_codeunits(_one_array(e164).cast(pa.string()), 1))


def main_region(calling_code: str) -> str:
    """The country that a calling code stands for: ``FR`` for ``33``; empty when there is no one country."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(calling_code)) if calling_code.isdecimal() else None
    return "" if regions is None or regions[0] == "001" else str(regions[0])


def country_name(region: str) -> str:
    """The English name of a country: ``France`` for ``FR``; empty when unknown."""
    from phonenumbers.geodata.locale import LOCALE_DATA  # half a second: for the reports only

    names = LOCALE_DATA.get(region, {})
    name = names.get("en", "")
    while name.startswith("*"):  # "the same as in this other language"
        name = names.get(name[1:], "")
    return str(name) or _MORE_NAMES.get(region, "")


_CALLING_CODES: Final = frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
_MORE_NAMES: Final = {"AC": "Ascension Island", "TA": "Tristan da Cunha", "XK": "Kosovo"}

# --------------------------------------------------------------------------- what may stand in a cell

_AS_TEXT: Final = "format the column as text and export again"
_REASONS: Final[Mapping[str, str]] = {
    "missing": "the phone number is missing",
    "scientific_notation": f"Excel has shortened this number and its last digits are lost: {_AS_TEXT}",
    "date": f"this is a date, not a phone number: {_AS_TEXT}",
    "decimal": f"this is a number with decimals, not a phone number: {_AS_TEXT}",
    "two_numbers": "there are two numbers in the cell: keep one, or give the other a row of its own",
    "extension": "an extension cannot be dialled: give a direct number",
    "letter_o": "there is a letter O where a zero should be: type the digit 0",
    "letters": "there are letters in the phone number",
    "brackets": "a bracket in the phone number is not closed or not opened",
    "premium_rate": "premium-rate numbers are not called",
    "shared_cost": "shared-cost numbers are not called",
    "toll_free": "toll-free numbers are not called",
    "personal_number": "personal numbers, which forward calls at a special price, are not called",
    "pager": "this is a pager, which cannot play a message",
    "company_number": "company-wide access numbers (UAN) are not called",
    "voicemail": "this is the access number of a voicemail service, not a person's number",
    "short_number": "short numbers are not called: give a full phone number",
    "country_code": "no country has this calling code",
}

_NOT_CALLED: Final[Mapping[int, str]] = {
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PERSONAL_NUMBER: "personal_number",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "company_number",
    PhoneNumberType.VOICEMAIL: "voicemail",
}

_LINE_BREAKS: Final = "\n\r\v\f\x85\u2028\u2029"
_SIGNS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_LINE_BREAKS, "\n"),
    **dict.fromkeys("\t", " "),
    **dict.fromkeys("−ー⁃", "-"),
    **dict.fromkeys("·•∙⋅․", "."),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("’‘ʼ`´", "'"),
    **dict.fromkeys("[{", "("),
    **dict.fromkeys("]}", ")"),
    "\ufe0f": "",  # asks for the coloured form of a telephone sign
}
_CATEGORIES: Final = {"Zs": " ", "Pd": "-", "Cf": ""}  # spaces, dashes, invisible characters


class _Fold(dict[int, str]):
    """A table for ``str.translate`` from any character to its plain cousin, filled as characters turn up."""

    def __missing__(self, code: int) -> str:
        self[code] = plain = _plain(chr(code))
        return plain


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if "\uff01" <= character <= "\uff5e":  # full-width ASCII
        character = chr(ord(character) - 0xFEE0)
    return _SIGNS.get(character, _CATEGORIES.get(category, character))


_FOLD: Final = _Fold()
_PREFIX: Final = re.compile(
    r"^(?:[☎☏✆📞📱]|(?:t[ée]l(?:[ée]phone)?|phone|mob(?:ile)?|port(?:able)?|gsm|fixe)(?=[ .:+(\d-]))[ .:-]*",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(r"\d")
_SCIENTIFIC: Final = re.compile(r"[+-]?\d+(?:[.,]\d*)?\s*e\s*[+-]?\s*\d+", re.IGNORECASE)
_DATE: Final = re.compile(r"(?:\d{1,2}/\d{1,2}/\d{4}|\d{4}-\d{1,2}-\d{1,2})(?:[ T].*)?")
_WHOLE_DECIMAL: Final = re.compile(r"^(\+?\d{6,})[.,]0+$")  # what a numeric cell becomes as text
_DECIMAL: Final = re.compile(r"-?(?:\+?\d{6,}|[1-9]\d*)[.,]\d+")
_BETWEEN_NUMBERS: Final = re.compile(r"[\n/,;|&]|\b(?:ou|or|et|and|und|oder)\b|(?<=\d)[ (]*(?=\+)", re.IGNORECASE)
_EXTENSION: Final = re.compile(
    r"\d[ .,;()-]*(?:ext(?:ension)?|poste|interne|int|p|x|#)[ .:=]*\d{1,6}[ )]*$", re.IGNORECASE
)
_LETTER_O: Final = str.maketrans("OoОоΟο", "000000")
_SEPARATORS: Final = " .,/()'-"
_NUMBER: Final = re.compile(r"[( ]*\+?[( ]*\d[\d .,/()'-]*")
_STRAY: Final = re.compile(r"[^\d .,/()'-]")
_TRUNK_ZERO: Final = re.compile(r"(?<=\d)([ .)/-]*)\([ ]*0[ ]*\)")


@lru_cache(maxsize=_REMEMBERED)
def _read(cell: str, region: str) -> str | PhoneFault:
    text = _WHOLE_DECIMAL.sub(r"\1", _written(cell))
    check = next((check for check, found in _GRAMMAR if found(text, region)), None)
    if check:
        return _fault(check)
    text = text.replace("\n", " ")
    if not _NUMBER.fullmatch(text):
        return PhoneFault(check="characters", reason=f"`{_stray(text)}` does not belong there in a phone number")
    return _dialled(text, region)


def _written(cell: str) -> str:
    """The cell in plain ASCII as far as possible, without what stands around the number."""
    text = unicodedata.normalize("NFC", cell).translate(_FOLD)
    text = text.strip().removeprefix("'").strip()
    return _PREFIX.sub("", text).rstrip(" .,;:/-\n")


def _stray(text: str) -> str:
    found = _STRAY.search(text[1:]) if text[:1] == "+" else _STRAY.search(text)
    return found[0] if found else text[0]


def _fault(check: str) -> PhoneFault:
    return PhoneFault(check=check, reason=_REASONS[check])


def _is_two_numbers(text: str, region: str) -> bool:
    parts = [part.strip(_SEPARATORS) for part in _BETWEEN_NUMBERS.split(text)]
    if sum(len(_DIGITS.findall(part)) >= 7 for part in parts) > 1:
        return True
    whole = [part for index, part in enumerate(parts) if index == 0 or part[:1] in {"0", "+"}]
    return sum(bool(_DIGITS.search(part)) for part in parts) > 1 and any(_is_number(part, region) for part in whole)


def _is_number(text: str, region: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and any(_readings(_digits(text), region))


def _is_letter_o(text: str, _region: str) -> bool:
    mended = text.translate(_LETTER_O)
    return mended != text and bool(_DIGITS.search(text)) and bool(_NUMBER.fullmatch(mended))


def _is_unbalanced(text: str, _region: str) -> bool:
    return bool(re.sub(r"[^()]", "", text).replace("()", ""))


_GRAMMAR: Final = (  # the first that is found names the fault
    ("missing", lambda text, _region: not text),
    ("scientific_notation", lambda text, _region: _SCIENTIFIC.fullmatch(text)),
    ("date", lambda text, _region: _DATE.fullmatch(text)),
    ("decimal", lambda text, _region: _DECIMAL.fullmatch(text)),
    ("extension", lambda text, _region: _EXTENSION.search(text)),
    ("two_numbers", lambda text, region: _BETWEEN_NUMBERS.search(text) and _is_two_numbers(text, region)),
    ("letter_o", _is_letter_o),
    ("letters", lambda text, _region: any(map(str.isalpha, text))),
    ("brackets", _is_unbalanced),
)

# --------------------------------------------------------------------------- what libphonenumber reads in it

_OVERSEAS: Final[Mapping[str, tuple[str, ...]]] = {
    # Written as any French number, and dialled under calling codes of their own.
    "FR": ("GP", "RE", "GF", "MQ"),
}
_NOT_ITS_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    # libphonenumber's plan of metropolitan France lets these pass; they are Réunion's, Mayotte's and Martinique's.
    "FR": ("263", "269", "596"),
}


def _dialled(text: str, region: str) -> str | PhoneFault:
    spellings = _spellings(text)
    types = {e164: kind for digits in spellings for e164, kind in _readings(digits, region)}
    if len(types) > 1:
        return PhoneFault(check="ambiguous", reason=_two_ways(types))
    for e164, kind in types.items():
        return _fault(_NOT_CALLED[kind]) if kind in _NOT_CALLED else e164
    return _why_not(text, spellings[0], region)


def _two_ways(readings: Iterable[str]) -> str:
    ways = " or ".join(f"{e164} ({country_name(main_region(calling_code(e164)))})" for e164 in readings)
    return f"this can be read as {ways}: write it with + and the country's calling code"


def _digits(text: str) -> str:
    return re.sub(r"[^\d+]", "", text)


def _spellings(text: str) -> list[str]:
    """The digits, without the zero of ``+33 (0)6`` first and then with it, as Italy wants."""
    trunkless = _TRUNK_ZERO.sub(r"\1", text)
    return [_digits(text)] if trunkless == text else [_digits(trunkless), _digits(text)]


def _readings(digits: str, region: str) -> Iterator[tuple[str, int]]:
    """Every number that the digits can mean, in E.164, with its type.

    A spelling that is just the country's own is no guess, and so has no second reading.
    """
    if digits.startswith(("+", "00")):
        yield from _valid(_international(digits), None)
        yield from () if digits[0] == "+" else _valid(digits, region)
        return
    typed = list(_national(digits, region))
    yield from typed
    if digits[0] != "0" and not (typed and _is_own_spelling(digits, typed[0][0])):
        for prefix in {"0", _national_prefix(region)}:
            yield from _national(prefix + digits, region)
        yield from _valid("+" + digits, None)


def _international(digits: str) -> str:
    return "+" + re.sub(r"^\+?(?:00)?", "", digits)


def _national(digits: str, region: str) -> Iterator[tuple[str, int]]:
    """The number in the region's own plan, else in those that are written like it."""
    overseas = _OVERSEAS.get(region, ())
    shadowed = digits.removeprefix("0").startswith(_NOT_ITS_OWN.get(region, ()))
    for plan in overseas if shadowed else (region, *overseas):
        found = list(_valid(digits, plan))
        if found:
            yield found[0]
            return


def _valid(digits: str, region: str | None) -> Iterator[tuple[str, int]]:
    try:
        number = phonenumbers.parse(digits, region)
    except NumberParseException:
        return
    kind = phonenumbers.number_type(number)
    if kind != PhoneNumberType.UNKNOWN:  # that is what is_valid_number asks too
        yield phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), kind


def _is_own_spelling(digits: str, e164: str) -> bool:
    number = phonenumbers.parse(e164, None)
    return _digits(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)) == digits


def _national_prefix(region: str) -> str:
    return phonenumbers.ndd_prefix_for_region(region, True) or "0"  # noqa: FBT003


def _why_not(text: str, digits: str, region: str) -> PhoneFault:
    if _is_two_full_numbers(text, region):
        return _fault("two_numbers")
    is_national = not digits.startswith(("+", "00"))
    try:
        number = phonenumbers.parse(digits if is_national else _international(digits), region if is_national else None)
    except NumberParseException as error:
        return _unparsed(error.error_type, region)
    if is_national and len(digits) <= 6 and phonenumbers.is_valid_short_number_for_region(number, region):
        return _fault("short_number")
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
    halves = (("".join(groups[:cut]), "".join(groups[cut:])) for cut in range(1, len(groups)))
    return any(
        min(len(left), len(right)) >= 7 and (any(_readings(left, region)) or any(_readings(right, region)))
        for left, right in halves
    )


def _unparsed(error_type: int, region: str) -> PhoneFault:
    if error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return _fault("country_code")
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


# --------------------------------------------------------------------------- clean cells, a column at a time
#
# libphonenumber's own patterns as Arrow kernels, far faster than a Python call for each cell. Only where
# parse() can do nothing but take the digits as they stand, and only for what is an ordinary line beyond doubt.
# Every other cell is left to ``read``; the tests hold the two to the same answers.

_GAPS: Final = r"[ \x{a0}\x{202f}.-]"
_CLEAN: Final = "|".join(
    (
        r"^[+0][1-9]\d*$",
        rf"^(?:\+[1-9]\d{{0,2}}|0[1-9]\d{{0,3}})(?:{_GAPS}\d{{1,4}})+$",
        r"^[1-9]\d{6,}(?:[.,]0+)?$",
    )
)
_ORDINARY: Final = ("fixed_line", "mobile", "voip")
_SPECIAL: Final = ("premium_rate", "toll_free", "shared_cost", "personal_number", "pager", "uan", "voicemail")


def _clean(distinct: pa.Array, region: str) -> pa.Array:
    """E.164 where the cell is beyond doubt, null elsewhere."""
    rows = pc.indices_nonzero(pc.match_substring_regex(distinct, _CLEAN))
    cells = pc.replace_substring_regex(distinct.take(rows), r"[.,]0+$", "")
    cells = pc.if_else(pc.match_substring_regex(distinct.take(rows), r"^[1-9]"), cells, distinct.take(rows))
    digits = pc.replace_substring_regex(cells, _GAPS, "")
    found = pc.coalesce(_clean_international(digits), _clean_national(digits, region), _clean_bare(digits, region))
    return _scattered(found, rows, len(distinct))


def _clean_international(digits: pa.Array) -> pa.Array:
    numbers = pc.if_else(pc.starts_with(digits, "+"), pc.utf8_slice_codeunits(digits, 1), None)
    sure = _by_code(numbers, lambda code, nsn: _surely_ordinary(nsn, main_region(code)))
    return pc.if_else(sure, digits, None)


def _clean_national(digits: pa.Array, region: str) -> pa.Array:
    metadata = _metadata(region)
    if (metadata.national_prefix_for_parsing, metadata.international_prefix) != ("0", "00"):
        return pa.nulls(len(digits), pa.string())
    nsn = pc.if_else(pc.starts_with(digits, "0"), pc.utf8_slice_codeunits(digits, 1), None)
    return _e164(nsn, _surely_ordinary(nsn, region), metadata)


def _clean_bare(digits: pa.Array, region: str) -> pa.Array:
    """Without + and 0: beyond doubt when neither of them in front makes another number."""
    metadata = _metadata(region)
    if metadata.international_prefix not in {"00", "011"}:
        return pa.nulls(len(digits), pa.string())
    bare = pc.match_substring_regex(digits, r"^[1-9]")
    nsn = pc.if_else(pc.and_not(bare, pc.starts_with(digits, str(metadata.country_code))), digits, None)
    zero = pc.binary_join_element_wise("0", nsn, "")
    alone = _by_code(nsn, _surely_nobody)
    if metadata.national_prefix != "0":
        alone = pc.and_not(alone, _matches(zero, metadata.general_desc))
    return _e164(nsn, pc.and_(_surely_ordinary(nsn, region), alone), metadata)


def _e164(nsn: pa.Array, sure: pa.Array, metadata: Any) -> pa.Array:
    others = [pc.starts_with(nsn, start) for start in _NOT_ITS_OWN.get(metadata.id, ())]
    own = pc.and_not(sure, _any(others)) if others else sure
    return pc.if_else(own, pc.binary_join_element_wise(f"+{metadata.country_code}", nsn, ""), None)


def _metadata(region: str) -> Any:
    return phonenumbers.PhoneMetadata.metadata_for_region(region, None)


def _surely_ordinary(nsn: pa.Array, region: str) -> pa.Array:
    """Whether national numbers, the prefix already gone, are lines of this plan that can be called."""
    plan = _metadata(region)
    if plan is None or plan.leading_digits or main_region(str(plan.country_code)) != region:
        return pa.repeat(False, len(nsn))  # noqa: FBT003 # Arrow's own signature
    ordinary = [_matches(nsn, getattr(plan, kind)) for kind in _ORDINARY]
    special = [_matches(nsn, getattr(plan, kind)) for kind in _SPECIAL]
    return pc.and_not(
        pc.and_(pc.and_(_stays(nsn, plan), _matches(nsn, plan.general_desc)), _any(ordinary)), _any(special)
    )


def _surely_nobody(code: str, nsn: pa.Array) -> pa.Array:
    """Whether +code and these digits are no number, special services included, in any plan under the code."""
    if not code:
        return pa.repeat(True, len(nsn))  # noqa: FBT003
    plans = [_metadata(region) for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]]
    if None in plans:
        return pa.repeat(False, len(nsn))  # noqa: FBT003
    return pc.and_not(_stays(nsn, plans[0]), _any(_exists(nsn, plan) for plan in plans))


def _exists(nsn: pa.Array, plan: Any) -> pa.Array:
    shaped = _matches(nsn, plan.general_desc)
    if not pc.any(shaped).as_py():
        return shaped
    return pc.and_(shaped, _any(_matches(nsn, getattr(plan, kind)) for kind in (*_ORDINARY, *_SPECIAL)))


def _stays(nsn: pa.Array, plan: Any) -> pa.Array:
    """Whether parse() takes no national prefix off these digits."""
    prefix = plan.national_prefix_for_parsing or "0"
    return pc.invert(pc.match_substring_regex(nsn, f"^(?:0|{prefix})"))


def _matches(nsn: pa.Array, lines: Any) -> pa.Array:
    if lines is None or not lines.national_number_pattern:
        return pa.repeat(False, len(nsn))  # noqa: FBT003
    match = pc.match_substring_regex(nsn, f"^(?:{lines.national_number_pattern})$")
    lengths = pa.array(lines.possible_length, pa.int32())
    return pc.and_(match, pc.is_in(pc.utf8_length(nsn), lengths)) if len(lengths) else match


def _any(masks: Iterable[pa.Array]) -> pa.Array:
    first, *others = masks
    for mask in others:
        first = pc.or_(first, mask)
    return first


def _codes(digits: pa.Array) -> pa.Array:
    """The calling code at the beginning of digits. None is the beginning of another, so the order is free."""
    known = pa.array(sorted(_CALLING_CODES))
    beginnings = [pc.utf8_slice_codeunits(digits, 0, end) for end in (1, 2, 3)]
    return pc.coalesce(*(pc.if_else(pc.is_in(start, known), start, None) for start in beginnings))


def _by_code(numbers: pa.Array, judge: Callable[[str, pa.Array], pa.Array]) -> pa.Array:
    """Judge the numbers of each calling code together."""
    codes = pc.fill_null(_codes(numbers), "")
    groups = [(code, pc.indices_nonzero(pc.equal(codes, code))) for code in codes.unique().to_pylist()]
    verdicts = [judge(code, pc.utf8_slice_codeunits(numbers.take(rows), len(code))) for code, rows in groups]
    rows = [rows for _, rows in groups]
    return _scattered(
        _one_array(pa.chunked_array(verdicts, pa.bool_())),
        _one_array(pa.chunked_array(rows, pa.uint64())),
        len(numbers),
    )


def _scattered(values: pa.Array, rows: pa.Array, length: int) -> pa.Array:
    """An array with the values at these rows and null elsewhere."""
    places = np.full(length, -1)
    places[rows.to_numpy()] = np.arange(len(rows))
    return values.take(pa.array(places, mask=places < 0))


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
