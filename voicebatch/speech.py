"""What a template can say besides words: pauses, letters and digits one by one; and how long a text lasts.

The provider knows one mark, the comma: half a second of silence (``un ,,,,,, deux`` pauses three seconds).
Everything here is built on it. A new filter is a function and a line in ``FILTERS``.
"""

from __future__ import annotations

import math
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMMA_SECONDS: Final = Decimal("0.5")  # said by the provider's page on POST /tts/send
PAUSE_SECONDS_MAX: Final = 60
CHARACTERS_PER_SECOND: Final = 15  # assumed: French read aloud at rate 1; the provider publishes no figure
SPOKEN_SECONDS_MIN: Final = Decimal(1)

_BETWEEN: Final = ", "  # one comma: the shortest pause there is


def pause(seconds: object) -> str:
    """A pause of this many seconds, 60 at most, rounded up to the next half second.

    >>> pause(2)
    ' ,,,,'
    >>> pause("0.7")
    ' ,,'
    >>> pause(0)
    ''
    """
    commas = math.ceil(_seconds(seconds) / COMMA_SECONDS)
    return f" {',' * commas}" if commas else ""


def with_pause(value: object, seconds: object = COMMA_SECONDS) -> str:
    """The value and a pause after it, by default of one comma.

    >>> with_pause("Ana", 2)
    'Ana ,,,,'
    """
    return f"{value}{pause(seconds)}"


def spell(value: object) -> str:
    """The letters and digits of the value one by one, with half a second between two.

    An accent stays on its letter; spaces and punctuation are left out. A value without a letter or a digit
    raises ``ValueError``: silence is not what the template asked for.

    >>> spell("Zoé 42")
    'Z, o, é, 4, 2'
    >>> spell("AB-123")
    'A, B, 1, 2, 3'
    """
    return _one_by_one(_characters(str(value)), f"{str(value)!r} has no letter or digit to spell")


def digits(value: object) -> str:
    """The digits of a number one by one, with half a second between two.

    Whatever stands between digits is left out; a letter raises ``ValueError``, because a code without its
    letter would be another code.

    >>> digits("4512")
    '4, 5, 1, 2'
    >>> digits("06 12")
    '0, 6, 1, 2'
    """
    text = unicodedata.normalize("NFKC", str(value))
    if any(character.isalpha() for character in text):
        raise ValueError(f"{str(value)!r} is no number: use spell")
    return _one_by_one([c for c in text if c.isdecimal()], f"{str(value)!r} has no digit to read")


def spoken_seconds(text: str, *, speech_rate: Decimal) -> Decimal:
    """An estimate of how long the text lasts when read aloud, to a tenth of a second, 1 s at least.

    It assumes 15 characters a second at rate 1 (``CHARACTERS_PER_SECOND``), in proportion to the rate, and
    half a second for every comma at every rate. The provider's answer has the real figure.

    >>> spoken_seconds("Le rendez-vous est à neuf heures.", speech_rate=Decimal(1))
    Decimal('2.2')
    >>> spoken_seconds("un ,,,,,, deux", speech_rate=Decimal(1))
    Decimal('3.5')
    """
    spoken = " ".join(text.replace(",", " ").split())
    seconds = len(spoken) / (CHARACTERS_PER_SECOND * speech_rate) + text.count(",") * COMMA_SECONDS
    return max(SPOKEN_SECONDS_MIN, seconds).quantize(Decimal("0.1"))


FILTERS: Final[Mapping[str, Callable[..., str]]] = {"pause": with_pause, "spell": spell, "digits": digits}
"""What may stand after a ``|`` in a template, besides Jinja2's own filters."""

FUNCTIONS: Final[Mapping[str, Callable[..., str]]] = {"pause": pause}
"""What a template may call."""


def _seconds(value: object) -> Decimal:
    try:
        seconds = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{str(value)!r} is no number of seconds") from None
    if not seconds.is_finite() or not 0 <= seconds <= PAUSE_SECONDS_MAX:
        raise ValueError(f"a pause lasts 0 to {PAUSE_SECONDS_MAX} seconds, not {value}")
    return seconds


def _characters(text: str) -> list[str]:
    found: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        if found and unicodedata.category(character).startswith("M"):
            found[-1] += character
        elif character.isalnum():
            found.append(character)
    return found


def _one_by_one(characters: list[str], otherwise: str) -> str:
    if not characters:
        raise ValueError(otherwise)
    return _BETWEEN.join(characters)
