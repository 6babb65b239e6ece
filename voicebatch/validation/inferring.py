"""A first schema from what a file holds: what is certain as rules, what was only seen in comments.

A rule that is inferred refuses cells tomorrow, so one is made of forms (kinds, shapes, a few words that repeat), never
of the limits of what happened to be there. Of people the comments tell nothing: a value is shown only where few repeat.
"""

from __future__ import annotations

import calendar
import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any, Final

import yaml

from voicebatch.errors import UsageError
from voicebatch.validation.cells import KINDS
from voicebatch.validation.document import read_document
from voicebatch.validation.observing import EMAIL, FEW, Seen
from voicebatch.validation.words import characters

_FOR_A_KIND: Final = 5  # filled cells, below which nothing is said of what the others may be
_FOR_A_SHAPE: Final = 10
_FOR_A_LIST: Final = 20
_FOR_UNIQUE: Final = 50
_LISTED: Final = 10  # words in a list, of which each
_REPEATED: Final = 3  # stands at least so often
_LONGEST_WORD: Final = 40
_LONGEST_SHAPE: Final = 20
_LONGEST_NAME: Final = 500  # of a column: YAML's own limit is near
_DIGITS_OF_A_NUMBER: Final = 6
_SHAPE: Final = re.compile(r"[9Aa ./_:#+-]*9[9Aa ./_:#+-]*")
_MARKS: Final = {"9": r"\d", "A": "[A-Z]", "a": "[a-z]", ".": r"\.", "+": r"\+"}
_CODES: Final = frozenset(
    {"cap", "code", "codes", "cp", "dossier", "contrat", "client", "iban", "id", "kennung", "matricule", "n", "no"}
    | {"nr", "nif", "plz", "siren", "siret", "uuid", "zip"}
)
_BEGIN_OF_CODES: Final = ("num", "post", "réf", "ref", "tel", "tél", "phone", "mobil", "portable", "kunden", "codice")
_HEAD: Final = """\
# A first schema, inferred by voicebatch from {rows} of {source}.
#
# Read it through before you use it: what stands here is asked of every file from now on. What was only seen stands in
# comments (after #), and nothing is asked for it; take the # away where it should be asked. Each column is
# explained in words by: voicebatch schema show THIS-FILE
schema_type: dataframe
columns:
"""

OWN_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "lang": ("language", "true"),
    "speech_rate": ("speech_rate", "true"),
    "scheduled_date": ("scheduled_date", "true"),
    "audio_token": ("str_length", "{min_value: 1, max_value: 100}"),
}
"""The columns that voicebatch reads itself, and what is asked of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line about a column: a key with a value in YAML, and what was seen. Without ``asked`` it is a comment."""

    key: str
    value: str
    seen: str = ""
    asked: bool = True

    def __str__(self) -> str:
        said = f"{'' if self.asked else '# '}{self.key}: {self.value}"
        return f"{said}  # {self.seen}" if self.seen else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A column of a schema that is being written."""

    name: str
    lines: tuple[Line, ...]

    def without(self, refused: Mapping[str, int]) -> Draft:
        """The column without the rules that refuse so many of the file's own rows, by check."""
        kept = [replace(line, asked=False, seen=_refusing(refused[line.key])) if line.key in refused else line
                for line in self.lines]  # fmt: skip
        empty = [Line(key="nullable", value="true")] if "empty" in refused else []
        return replace(self, lines=(*kept, *empty))


def draft_phone(name: str, *, callable_rows: int, rows: int, region: str | None) -> Draft:
    """The phone column. ``region`` is the country of national numbers, if the schema has to say it."""
    bad = rows - callable_rows
    seen = f"seen: {callable_rows} number{'' if callable_rows == 1 else 's'} that can be called" + (
        f", and {_rows(bad)} without one" if bad else ""
    )
    return Draft(name=name, lines=(Line(key="phone_number", value=region or "true", seen=seen),))


def draft_column(name: str, seen: Seen, *, own: str | None = None, everywhere: bool = True) -> Draft:
    """What can be asked of a column. ``own`` is its name among ``OWN_COLUMNS``; ``everywhere``: all files have it."""
    if own:
        key, value = OWN_COLUMNS[own]
        return Draft(name=name, lines=(*_ABSENT, _EMPTY, Line(key=key, value=value, seen=_filled(seen))))
    optional = () if everywhere and seen.filled else _ABSENT
    if not seen.filled:
        return Draft(name=name, lines=(*optional, replace(_EMPTY, seen="seen: nothing but empty cells")))
    return Draft(name=name, lines=(*optional, *_lines(name, seen)))


_ABSENT: Final = (Line(key="required", value="false"),)
_EMPTY: Final = Line(key="nullable", value="true")


def written(drafts: Iterable[Draft], *, source: str, rows: int) -> str:
    """The schema in YAML."""
    head = _HEAD.format(rows=_rows(rows), source=" ".join(source.split()))
    return head + "".join(_written(draft) for draft in drafts)


def _written(draft: Draft) -> str:
    if len(draft.name) > _LONGEST_NAME or not draft.name.strip():
        return "  # A column is left out here: its name is too long, or empty.\n"
    lines = "".join(f"    {line}\n" for line in draft.lines)
    return f"  {in_yaml(draft.name)}:\n{lines}"


def in_yaml(value: Any) -> str:
    """The value on one line of YAML, as a schema's reader takes it."""
    plain = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=10**9)
    plain = plain.removesuffix("...\n").rstrip("\n")
    with contextlib.suppress(UsageError):
        if read_document(f"x: {plain}", "")["x"] == value and "\n" not in plain:
            return plain
    return yaml.safe_dump(value, default_flow_style=True, default_style='"', width=10**9).rstrip("\n")


def _lines(name: str, seen: Seen) -> Iterator[Line]:
    kind = _kind(name, seen)
    yield Line(key="dtype", value=KINDS[kind].dtypes[0], seen=f"seen: {_told(kind, seen)}")
    if seen.empty:
        yield replace(_EMPTY, seen=f"seen: {seen.empty} of {seen.empty + seen.filled} cells are empty")
    if kind == "text":
        yield from _text_lines(seen)
    elif bounds := _bounds(kind, seen):
        yield Line(key="in_range", value=f"{{min_value: {bounds[0]}, max_value: {bounds[1]}}}", asked=False)


def _text_lines(seen: Seen) -> Iterator[Line]:
    if words := _words(seen):
        often = ", ".join(str(seen.counts[word]) for word in words) if seen.counts else ""
        yield Line(key="isin", value=in_yaml(words), seen=f"seen: {often} times")
    elif seen.are_emails and seen.filled >= _FOR_A_SHAPE:
        yield Line(key="str_matches", value=in_yaml(EMAIL), seen="seen: e-mail addresses")
    elif pattern := _pattern(seen):
        yield Line(key="str_matches", value=in_yaml(pattern), seen=f"seen: all {seen.filled} of this shape")
    if seen.filled >= _FOR_UNIQUE and seen.is_unique:
        yield Line(key="unique", value="true", seen=f"seen: none of {seen.filled} twice")


def _kind(name: str, seen: Seen) -> str:
    if seen.filled < _FOR_A_KIND:
        return "text"
    if _is_yes_or_no(seen):
        return "bool"
    kinds = ("date",) if _is_code(name) else ("int", "float", "date")
    return next((kind for kind in kinds if kind in seen.kinds), "text")


def _is_code(name: str) -> bool:
    """Whether a column of this name holds codes, which may begin with a zero tomorrow."""
    words = re.split(r"[\W_]+", name.casefold())
    return any(word in _CODES or word.startswith(_BEGIN_OF_CODES) for word in words)


def _is_yes_or_no(seen: Seen) -> bool:
    words = {word.strip().lower() for word in seen.counts or ()}
    return "bool" in seen.kinds and len(words) > 1 and not words <= {"0", "1"}


def _told(kind: str, seen: Seen) -> str:
    """What stands in the column, without any of it."""
    if bounds := _bounds(kind, seen):
        what = f"{bounds[0]} to {bounds[1]}"
    elif kind == "bool":
        what = "yes and no"
    elif kind == "text":
        length = f"{seen.shortest} to " * (seen.shortest < seen.longest) + characters(seen.longest)
        different = f"more than {FEW}" if seen.counts is None else str(len(seen.counts))
        what = f"{length}, {different} different"
    else:
        what = f"{seen.filled} of them"
    return f"{what}, none empty" if not seen.empty else what


def _bounds(kind: str, seen: Seen) -> tuple[str, str] | None:
    """The lowest and the highest value as YAML. Of dates the month is enough; long numbers may be somebody's."""
    low, high = seen.kinds.get(kind, (None, None))
    if low is None:
        return None
    if isinstance(low, date):
        return f"{low:%Y-%m}-01", f"{high:%Y-%m}-{calendar.monthrange(high.year, high.month)[1]}"
    return None if max(abs(low), abs(high)) >= 10**_DIGITS_OF_A_NUMBER else (f"{low:.10g}", f"{high:.10g}")


def _words(seen: Seen) -> list[str] | None:
    """The few words that repeat again and again, if the column holds nothing else."""
    counts: Mapping[str, int] = seen.counts or {}
    enough = 2 <= len(counts) <= _LISTED and seen.filled >= max(_FOR_A_LIST, _REPEATED * len(counts))
    if not enough or min(counts.values()) < _REPEATED or not all(map(_may_be_shown, counts)):
        return None
    return sorted(counts, key=lambda word: (-counts[word], word))


def _may_be_shown(word: str) -> bool:
    digits = sum(character.isdecimal() for character in word)
    return word.isprintable() and len(word) <= _LONGEST_WORD and digits < _DIGITS_OF_A_NUMBER


def _pattern(seen: Seen) -> str | None:
    """The shape as a pattern: ``^[A-Z]{2}\\d{4}$``."""
    shape = seen.shape or ""
    if seen.filled < _FOR_A_SHAPE or len(shape) > _LONGEST_SHAPE or not _SHAPE.fullmatch(shape):
        return None
    runs = ((mark, len(list(run))) for mark, run in groupby(shape))
    return f"^{''.join(_MARKS.get(mark, mark) + (f'{{{count}}}' if count > 1 else '') for mark, count in runs)}$"


def _filled(seen: Seen) -> str:
    return f"seen: {seen.filled} of {_rows(seen.filled + seen.empty)}"


def _refusing(rows: int) -> str:
    return f"not asked: {_rows(rows)} of this file would be refused"


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
