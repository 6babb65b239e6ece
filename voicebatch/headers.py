"""What a column's header means: its name in a template, and which column holds the phone numbers."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PHONE_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "English": ("contact number", "contact no", "number to call", "msisdn", "landline"),
    "French": ("numéro", "numéro à appeler", "numéro d'appel", "n° à appeler", "n° d'appel", "fixe", "n° 06"),
    "German": ("rufnummer", "rufnr", "festnetz", "festnetznummer", "natel"),
    "Spanish": ("fijo", "número fijo"),
    "Italian": ("fisso", "recapito telefonico"),
    "Dutch": ("06-nummer", "06 nr", "vaste lijn", "vast nummer"),
    "Portuguese": ("número para contato",),
}
"""What people call the phone column without a word for a phone, by language."""

PHONE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "English": ("phone", "phones", "telephone", "tel", "mobile", "mob", "cell", "cellphone", "cellular", "telno"),
    "French": ("téléphone", "tél", "téléphonique", "portable", "gsm", "natel", "mobile", "téléphones", "portables"),
    "German": ("telefon", "handy", "mobil", "mobiltelefon", "mobilfunk", "rufnummer"),
    "Spanish": ("teléfono", "telefónico", "móvil", "celular", "teléfonos", "tfno", "tlf", "telf", "tfn"),
    "Italian": ("telefono", "telefonico", "cellulare", "cell", "telefonino"),
    "Dutch": ("telefoon", "mobiel", "mobieltje", "gsm", "tel"),
    "Portuguese": ("telefone", "telefónico", "telemóvel", "tlm", "celular"),
}
"""Words for a phone, by language: one of these has to be in the header of a phone column."""

WORDS_BESIDE: Final[dict[str, tuple[str, ...]]] = {
    "English": (
        *("number", "numbers", "no", "num", "nbr", "nr", "value", "the", "of", "to", "call", "line", "e164"),
        *("home", "work", "business", "office", "company", "main", "primary", "preferred", "default", "direct"),
        *("personal", "private", "daytime", "day", "evening", "other", "land", "landline", "fixed", "secondary"),
        *("contact", "customer", "client", "patient", "user", "member", "recipient", "person", "my", "your"),
        *("billing", "shipping", "account", "lead", "guest", "student", "employee", "subscriber"),
    ),
    "French": (
        *("n", "no", "num", "numéro", "numéros", "de", "du", "des", "d", "la", "le", "l", "à", "appeler", "joindre"),
        *("fixe", "principal", "principale", "personnel", "personnelle", "perso", "professionnel", "professionnelle"),
        *("pro", "domicile", "dom", "bureau", "travail", "privé", "direct", "autre", "secondaire", "ligne"),
        *("client", "cliente", "patient", "patiente", "contact", "adhérent", "abonné", "usager", "destinataire"),
        *("votre", "vos", "mon", "notre", "quel", "est", "sont", "un"),
        *("bénéficiaire", "locataire", "élève", "salarié", "coordonnées", "jour", "soir", "facturation", "livraison"),
    ),
    "German": (
        *("nummer", "nummern", "nr", "der", "des", "privat", "privates", "geschäftlich", "dienstlich", "dienst"),
        *("ihre", "ihr", "deine", "meine"),
        *("festnetz", "beruflich", "arbeit", "zuhause", "haupt", "kunde", "kunden", "patient", "kontakt", "weitere"),
    ),
    "Spanish": (
        *("número", "numero", "num", "nro", "n", "de", "del", "la", "el", "fijo", "principal", "particular", "casa"),
        *("su", "tu", "mi"),
        *("trabajo", "oficina", "contacto", "cliente", "paciente", "personal", "otro"),
    ),
    "Italian": (
        *("numero", "num", "n", "nr", "di", "del", "fisso", "principale", "casa", "ufficio", "lavoro", "abitazione"),
        *("tuo", "suo", "il"),
        *("contatto", "cliente", "paziente", "personale", "altro", "recapito"),
    ),
    "Dutch": (
        *("nummer", "nummers", "nr", "van", "de", "vast", "vaste", "thuis", "werk", "privé", "zakelijk", "klant"),
        *("contact", "patiënt", "overig", "uw", "jouw", "je", "mijn"),
    ),
    "Portuguese": ("número", "nº", "de", "do", "da", "fixo", "principal", "casa", "trabalho", "contato", "contacto"),
}
"""What people write beside a word for a phone, by language. Any other word ("fax", "type", "urgence") makes it no
phone column of theirs."""

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
NOTHING: Final = " \t\n\r\v\f\x1a\x1c\x1d\x1e\x1f\x85\xa0\xad\u1680\u180e\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, (*range(0x2000, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)))
)
"""Characters that show nothing: white space, marks of direction, the end of a DOS file."""

_INVISIBLE: Final = dict.fromkeys(ord(each) for each in NOTHING if unicodedata.category(each) == "Cf")
_OTHER_CHARACTERS: Final = re.compile(r"[\W_]+")
_COLUMNS_SHOWN: Final = 20
_DIGITS_OF_A_NUMBER: Final = 6


def fold(header: str) -> str:
    """A column's name in a template: lower case, without accents, every run of other characters one ``_``."""
    letters = unicodedata.normalize("NFKD", header.translate(_INVISIBLE).casefold().translate(_LETTERS))
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _OTHER_CHARACTERS.sub("_", bare.casefold()).strip("_")


def squeeze(header: str) -> str:
    """The header without case, accents, spaces and punctuation: equal for two spellings of one name."""
    return fold(header).replace("_", "")


def _squeezed(table: Mapping[str, Iterable[str]]) -> frozenset[str]:
    return frozenset(squeeze(word) for words in table.values() for word in words)


_NAMES: Final = _squeezed(PHONE_HEADERS)
_WORDS: Final = _squeezed(PHONE_WORDS)
_BESIDE: Final = _squeezed(WORDS_BESIDE) | frozenset("0123456789")
_LONGEST_WORD: Final = max(map(len, _WORDS | _BESIDE))


def _is_made_of_words(name: str) -> bool:
    """Whether the name is words for a phone and words beside them, one behind the other, in whatever way it is cut."""
    ends = {0: False}  # where words may end, and whether one for a phone may be among them
    for start in range(len(name)):
        for end in range(start + 1, min(start + _LONGEST_WORD, len(name)) + 1) if start in ends else ():
            word = name[start:end]
            if word in _WORDS or word in _BESIDE:
                ends[end] = ends.get(end, False) or ends[start] or word in _WORDS
    return ends.get(len(name), False)


_LONGEST_NAME: Final = 60


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
    return [title for title in header if _is_phone_name(title)]


def _is_phone_name(title: str) -> bool:
    if len(title) > _LONGEST_NAME or _holds_number(title):
        return False
    name = squeeze(title)
    return name in _NAMES or _is_made_of_words(name)


def find_phone_column(header: Sequence[str], *, wanted: str | None, where: str) -> str:
    """The header of the phone column: the one wanted (``--phone-column``), else the only usual name.

    ``where`` names the file in the message of the ``InputError`` that says there is none, or more than one.
    """
    found = phone_columns(header) if wanted is None else _wanted(header, wanted, where)
    if len(found) == 1 and not _holds_number(found[0]):
        return found[0]
    if any(map(_holds_number, found or header)):
        raise InputError(
            f"{where}: the first row seems to be no header, for a number stands in it. Nobody may be forgotten.",
            hint="Write a row of names above it, with “phone” over the numbers.",
        )
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
        name = cell if cell and cell.strip(NOTHING) else f"column {column_letters(index)}"
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
    shown = ", ".join(
        "“…” (a number)" if _holds_number(name) else f"“{_shown(name)}”" for name in names[:_COLUMNS_SHOWN]
    )
    more = len(names) - _COLUMNS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _shown(name: str) -> str:
    """A name as a screen can show it: without what would steer a terminal, and not endless."""
    plain = "".join(letter if letter.isprintable() else " " for letter in name[: _LONGEST_NAME + 1])
    return f"{plain[:_LONGEST_NAME]}…" if len(plain) > _LONGEST_NAME else plain


def _holds_number(name: str) -> bool:
    return sum(character.isdecimal() for character in name) >= _DIGITS_OF_A_NUMBER
