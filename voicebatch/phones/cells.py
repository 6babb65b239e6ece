"""What may stand in a cell: a strict grammar, which comes before libphonenumber.

libphonenumber alone is too kind: it drops a leading letter O and reads ``60012345.0`` as one digit more.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from voicebatch.phones.faults import PhoneFault, fault
from voicebatch.phones.numbers import dialled, digits_of, is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_LABELS: Final = (
    r"t[ée]l(?:[ée]phone|[ée]fono|efon|efoon)?|phone|cell?(?:ulare?)?|mob(?:ile?|iel)?|m[óo]vil|port(?:able)?|handy|gsm|"
    r"fixe|sms|callto|whatsapp|[tmp](?=:)|n°"
)
_PREFIX: Final = re.compile(rf"^(?:[☎☏✆📞📱]|(?:(?:{_LABELS})(?=[ .:+(\d-])[ .:-]*){{1,2}})[ .:-]*", re.IGNORECASE)
_QUOTED: Final = re.compile(r'=?"(.*)"|[«“„<](.*)[»”>]')  # ="06" keeps the zero in a CSV for Excel
_DIGITS: Final = re.compile(r"\d")
_SCIENTIFIC: Final = re.compile(r"[+-]?\d+(?:[.,]\d*)?\s*e\s*[+-]?\s*\d{1,3}", re.IGNORECASE)
_DATE: Final = re.compile(r"(?:\d{1,2}/\d{1,2}/\d{4}|[12]\d{3}-\d{1,2}-\d{1,2})(?:[ T].*)?")
_WHOLE_DECIMAL: Final = re.compile(r"^(\+?\d{6,})[.,]0+$")  # what a numeric cell becomes as text
_DECIMAL: Final = re.compile(r"-?(?:\+?\d{6,}|[1-9]\d*)[.,]\d+")
_BETWEEN_NUMBERS: Final = re.compile(
    r"[\n/,;|&>]|\b(?:ou|or|et|and|und|oder|puis|sinon|of|en)\b|(?<= )[yeo](?= )|(?<=\d)[ (]*(?=\+)", re.IGNORECASE
)
_EXTENSION: Final = re.compile(
    r"\d[ .,;()-]*(?:ext(?:ens(?:i[óo]n|[ãa]o)?)?|postes?|intern[eo]|int|p|x|#|dw|durchwahl|nst|nebenstelle|"
    r"app(?:arat)?|toestel|tst|anexo|ramal)[ .:=]*\d{1,6}[ )]*$",
    re.IGNORECASE,
)
_FORMULA_ERROR: Final = re.compile(r"#[A-ZÀ-Ü0/¡¿]{3,}[!?]?")
_LETTER_O: Final = str.maketrans("OoОоΟο", "000000")
_LETTER_L: Final = str.maketrans("OoОоΟοlI", "00000011")
_SEPARATORS: Final = " .,/()'-"
_NUMBER: Final = re.compile(r"[( ]*\+?[( ]*\d[\d .,/()'-]*")
_STRAY: Final = re.compile(r"[^\d .,/()'-]")


def read_cell(cell: str, region: str) -> str | PhoneFault:
    """One cell's number in E.164, or why there is none."""
    text = _WHOLE_DECIMAL.sub(r"\1", _written(cell))
    check = next((check for check, found in _GRAMMAR if found(text, region)), None)
    if check:
        return fault(check)
    text = text.replace("\n", " ")
    if not _NUMBER.fullmatch(text):
        return PhoneFault(check="characters", reason=f"`{_stray(text)}` does not belong there in a phone number")
    return dialled(text, region)


def _written(cell: str) -> str:
    """The cell in plain ASCII as far as possible, without what stands around the number."""
    text = unicodedata.normalize("NFC", cell).translate(_FOLD)
    text = text.strip().removeprefix("'").strip()
    if quoted := _QUOTED.fullmatch(text):
        text = (quoted[1] or quoted[2] or "").strip()
    return _PREFIX.sub("", text).rstrip(" .,;:/-\n")


def _stray(text: str) -> str:
    found = _STRAY.search(text[1:]) if text[:1] == "+" else _STRAY.search(text)
    character = found[0] if found else text[0]
    return character if character.isprintable() else f"U+{ord(character):04X}"


def _is_two_numbers(text: str, region: str) -> bool:
    parts = [part.strip(_SEPARATORS) for part in _BETWEEN_NUMBERS.split(text)]
    if sum(len(_DIGITS.findall(part)) >= 7 for part in parts) > 1:
        return True
    whole = [part for index, part in enumerate(parts) if index == 0 or part[:1] in {"0", "+"}]
    return sum(bool(_DIGITS.search(part)) for part in parts) > 1 and any(_is_number(part, region) for part in whole)


def _is_number(text: str, region: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and is_number(digits_of(text), region)


def _is_number_with(letters: Mapping[int, int | str], text: str) -> bool:
    """Whether it would be written as a number, if these letters were digits."""
    mended = text.translate(letters)
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
    ("letter_o", lambda text, _region: _is_number_with(_LETTER_O, text)),
    ("letter_l", lambda text, _region: _is_number_with(_LETTER_L, text)),
    ("formula_error", lambda text, _region: _FORMULA_ERROR.fullmatch(text)),
    ("letters", lambda text, _region: any(map(str.isalpha, text))),
    ("brackets", _is_unbalanced),
)
