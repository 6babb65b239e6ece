"""What a column's header means: its name in a template, and which column holds the phone numbers."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PHONE_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "English": (
        *(
            "phone",
            "phone number",
            "phone no",
            "telephone",
            "telephone number",
            "tel",
            "tel number",
            "tel no",
        ),
        *("mobile", "mobile phone", "mobile number", "mobile no", "cell", "cellphone", "cell number"),
        *("contact number", "contact phone", "phone mobile", "msisdn"),
    ),
    "French": (
        *(
            "téléphone",
            "tél",
            "portable",
            "gsm",
            "numéro",
            "numéro de téléphone",
            "n° de téléphone",
            "n° tél",
        ),
        *(
            "n° téléphone",
            "numéro téléphone",
            "num tél",
            "téléphone portable",
            "téléphone mobile",
            "tél mobile",
        ),
        *("tél portable", "numéro de portable", "numéro de mobile", "numéro portable", "numéro mobile"),
        *("n° de portable", "n° portable", "n° mobile", "n° de mobile", "n° gsm", "numéro gsm"),
    ),
    "German": (
        *("telefon", "telefonnummer", "telefonnr", "tel nr", "handy", "handynummer", "handynr", "mobil"),
        *("mobilnummer", "mobiltelefon", "rufnummer", "natel"),
    ),
    "Spanish": (
        *("teléfono", "móvil", "celular", "número de teléfono", "teléfono móvil", "número de móvil"),
        *("número de celular", "n° de teléfono"),
    ),
    "Italian": ("telefono", "cellulare", "numero di telefono", "numero di cellulare", "n° di telefono"),
    "Dutch": ("telefoon", "telefoonnummer", "mobiel", "gsm-nummer", "mobiel nummer", "telefoonnr"),
    "Portuguese": ("telefone", "telemóvel", "número de telefone", "número de telemóvel"),
}
"""How people head the phone column, by language; matched without case, accents, spaces and punctuation."""

# Letters that Unicode doesn't take apart into letter and accent; and the º of "Nº", which it reads as an o.
_LETTERS: Final = str.maketrans(
    {
        "œ": "oe",
        "æ": "ae",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ı": "i",
        "º": " ",
        "ª": " ",
        "№": "n ",
    }
)
_OTHER_CHARACTERS: Final = re.compile(r"[\W_]+")
_REPEAT_MARK: Final = re.compile(r" \(\d+\)$")
_COLUMNS_SHOWN: Final = 20
_DIGITS_OF_A_NUMBER: Final = 6


def fold(header: str) -> str:
    """A column's name in a template: lower case, without accents, every run of other characters one ``_``."""
    letters = unicodedata.normalize("NFKD", header.casefold().translate(_LETTERS))
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _OTHER_CHARACTERS.sub("_", bare.casefold()).strip("_")


def squeeze(header: str) -> str:
    """The header without case, accents, spaces and punctuation: equal for two spellings of one name."""
    return fold(header).replace("_", "")


_PHONE_NAMES: Final = frozenset(squeeze(name) for names in PHONE_HEADERS.values() for name in names)


def column(header: Sequence[str], name: str) -> str | None:
    """The one header that a name means: as it is written, else by any spelling of it; ``None`` for none.

    Raises ``InputError`` when several headers are spellings of the name.
    """
    if name in header:
        return name
    spellings = [title for title in header if squeeze(title) == squeeze(name)] if squeeze(name) else []
    if len(spellings) > 1:
        raise InputError(
            f"“{name}” may be any of the columns {listed(spellings)}",
            hint="Write the column's name exactly as it stands in the file.",
        )
    return spellings[0] if spellings else None


def phone_columns(header: Sequence[str]) -> list[str]:
    """The headers that are a usual name of a phone column, in order; a repeated one counts each time."""
    return [title for title in header if squeeze(_REPEAT_MARK.sub("", title)) in _PHONE_NAMES]


def find_phone_column(header: Sequence[str], *, wanted: str | None, where: str) -> str:
    """The header of the phone column: the one wanted (``--phone-column``), else the only usual name.

    ``where`` names the file in the message of the ``InputError`` that says there is none, or more than one.
    """
    found = phone_columns(header) if wanted is None else _wanted(header, wanted, where)
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"{where}: the phone numbers may be in any of the columns {listed(found)}"
    else:
        problem = f"{where}: no column has a usual name of a phone column. Its columns: {listed(header)}"
    raise InputError(problem, hint="Say which column has the phone numbers: --phone-column NAME")


def _wanted(header: Sequence[str], wanted: str, where: str) -> list[str]:
    found = column(header, wanted)
    if found is None:
        raise InputError(
            f"{where}: no column is called “{wanted}”. Its columns: {listed(header)}",
            hint="Name one of them: --phone-column NAME",
        )
    return [found]


def variables(header: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What a template can call by name: each folded name with the headers that fold to it."""
    names: dict[str, tuple[str, ...]] = {}
    for title in header:
        names[fold(title)] = (*names.get(fold(title), ()), title)
    names.pop("", None)
    return names


def unique_header(cells: Sequence[str | None]) -> tuple[str, ...]:
    """A name for every column: as it came, ``column F`` for an empty one, `` (2)`` after an exact repeat."""
    names: dict[str, None] = {}
    for index, cell in enumerate(cells):
        name = cell if cell and not cell.isspace() else f"column {column_letters(index)}"
        names[_unused(name, names)] = None
    return tuple(names)


def _unused(name: str, names: dict[str, None]) -> str:
    candidate, repeat = name, 1
    while candidate in names:
        repeat += 1
        candidate = f"{name} ({repeat})"
    return candidate


def column_letters(index: int) -> str:
    """A column's letters in a spreadsheet: ``A`` for 0, ``AA`` for 26."""
    before, last = divmod(index, 26)
    return (column_letters(before - 1) if before else "") + chr(ord("A") + last)


def column_position(letters: str) -> int:
    """The position, from 0, of the column that a spreadsheet calls so."""
    return functools.reduce(lambda position, letter: position * 26 + ord(letter) - ord("A") + 1, letters, 0) - 1


def listed(names: Sequence[str]) -> str:
    """Column names for a message. A file without a header has people's numbers there, and no message may show those."""
    shown = ", ".join("“…” (a number)" if _holds_number(name) else f"“{name}”" for name in names[:_COLUMNS_SHOWN])
    more = len(names) - _COLUMNS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _holds_number(name: str) -> bool:
    return sum(character.isdecimal() for character in name) >= _DIGITS_OF_A_NUMBER
