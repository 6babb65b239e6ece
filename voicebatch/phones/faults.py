"""Why a cell holds no number that can be called, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneFault:
    """Why a cell holds no number that can be called: the check's name and a sentence for the user."""

    check: str
    reason: str


_AS_TEXT: Final = "format the column as text and export again"
_REASONS: Final[Mapping[str, str]] = {
    "missing": "the phone number is missing",
    "scientific_notation": f"Excel has shortened this number and its last digits are lost: {_AS_TEXT}",
    "date": f"this is a date, not a phone number: {_AS_TEXT}",
    "decimal": f"this is a number with decimals, not a phone number: {_AS_TEXT}",
    "two_numbers": "there are two numbers in the cell: keep one, or give the other a row of its own",
    "extension": "an extension cannot be dialled: give a direct number",
    "letter_o": "there is a letter O where a zero should be: type the digit 0",
    "letter_l": "there is a letter l or I where a one should be: type the digit 1",
    "formula_error": "this is the error of a formula, not a phone number",
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


def fault(check: str) -> PhoneFault:
    """The fault of a check whose sentence is always the same."""
    return PhoneFault(check=check, reason=_REASONS[check])
