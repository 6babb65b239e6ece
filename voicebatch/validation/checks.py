"""The checks that a schema may name, and what each says of a cell that it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from voicebatch.validation.cells import KINDS
from voicebatch.validation.rules import PHONE_NUMBER, CheckRule, Rules, Verdict
from voicebatch.validation.words import characters, listed, quoted

if TYPE_CHECKING:
    import pandas as pd

OWN: Final = "own"  # of the column's own kind
_ANY: Final = frozenset(KINDS)
_TEXT: Final = frozenset({"text"})
_ORDERED: Final = frozenset({"int", "float", "date"})
_FORBIDDEN: Final = "{cell} is not allowed here".format

Judge = Callable[..., Mapping[int, Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check: what it takes, for which kinds of column, and how it is said.

    ``takes`` has pandera's names for what a schema gives, and the kind of each. The first ``needs`` of them must be
    given, or with ``one_of`` any of them, by name. ``words`` gets what was given, by name; ``fault`` also the quoted
    ``cell``, its ``length`` and the ``words``. A check of our own has a ``judge`` instead: it gets distinct cells, the
    ``Rules`` and what was given, and says by position which it refuses.
    """

    kinds: frozenset[str] = _TEXT
    takes: Mapping[str, str] = field(default_factory=dict)
    needs: int = 1
    one_of: bool = False
    words: Callable[..., str]
    fault: Callable[..., str] = "{cell} is not {words}".format
    judge: Judge | None = None


def words(name: str, statistics: Mapping[str, Any]) -> str:
    """What this check asks for, in plain words."""
    return CHECKS[name].words(**_said(statistics))


def pandera_check(rule: CheckRule, rules: Rules) -> Any:
    """The check as pandera runs it on a column."""
    import pandera.pandas as pandera

    judge = CHECKS[rule.name].judge
    if judge is None:
        return getattr(pandera.Check, rule.name)(**rule.statistics)
    return pandera.Check(partial(_passes, partial(judge, rules=rules, **rule.statistics)), name=rule.name)


def reasons(rule: CheckRule, cells: pa.Array, rules: Rules) -> list[tuple[str, str]]:
    """Of each of these cells, which the check has refused: the name of what is wrong, and a sentence."""
    check = CHECKS[rule.name]
    if check.judge:
        verdicts = check.judge(cells, rules=rules, **rule.statistics)
        return [(verdicts[place].check, rule.error or verdicts[place].reason) for place in range(len(cells))]
    say = partial(check.fault, words=rule.words, **_said(rule.statistics))
    return [(rule.name, rule.error or say(cell=quoted(cell), length=len(cell))) for cell in cells.to_pylist()]


def _said(statistics: Mapping[str, Any]) -> dict[str, Any]:
    """What a check was given as a sentence shows it: of a date, midnight goes without saying."""
    return {
        name: str(value).removesuffix(" 00:00:00") if isinstance(value, datetime) else value
        for name, value in statistics.items()
    }


def _passes(judge: Judge, cells: pd.Series[Any]) -> pd.Series[bool]:
    import pandas as pd

    encoded = pa.chunked_array([pa.array(cells, pa.string())]).combine_chunks().dictionary_encode()
    refused = judge(encoded.dictionary)
    bad = np.isin(encoded.indices.to_numpy(zero_copy_only=False), list(refused))
    return pd.Series(~bad, index=cells.index)


# --------------------------------------------------------------------------- longer words


def _range_words(min_value: object, max_value: object, include_min: object = None, include_max: object = None) -> str:
    lower, upper = (" (not itself)" if include is False else "" for include in (include_min, include_max))
    return f"between {min_value}{lower} and {max_value}{upper}"


def _length_words(min_value: int | None = None, max_value: int | None = None, exact_value: int | None = None) -> str:
    if exact_value is not None:
        return f"exactly {characters(exact_value)} long"
    bounds = {"at least": min_value, "at most": max_value}
    limits = [f"{bound} {value}" for bound, value in bounds.items() if value is not None]
    only_one = {min_value, max_value} == {1, None}
    return f"{' and '.join(limits)} character{'' if only_one else 's'} long"


def _length_fault(
    *,
    length: int,
    min_value: int | None = None,
    max_value: int | None = None,
    exact_value: int | None = None,
    **_: object,
) -> str:
    if exact_value is not None:
        return f"the value has {characters(length)}, not {exact_value}"
    if min_value is not None and length < min_value:
        return f"the value is shorter than {characters(min_value)}"
    return f"the value is longer than {characters(max_value)}"


def _phone_words(region: str | None = None) -> str:
    return f"a phone number that can be called{f', of {region} when written nationally' if region else ''}"


# --------------------------------------------------------------------------- judges


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    check: str
    reason: str


def _cell_by_cell(check: str, why: Callable[[str, Rules], str | None]) -> Judge:
    """The judge that asks of each cell why it is refused, ``None`` being not at all."""

    def judge(cells: pa.Array, rules: Rules) -> Mapping[int, Verdict]:
        answers = ((place, why(cell, rules)) for place, cell in enumerate(cells.to_pylist()))
        return {place: _Refusal(check=check, reason=reason) for place, reason in answers if reason is not None}

    return judge


def _why_no_language(cell: str, rules: Rules) -> str | None:
    known = cell.strip().lower() in rules.languages
    return None if known else f"{quoted(cell)} is not one of {listed(rules.languages)}"


def _why_no_speech_rate(cell: str, rules: Rules) -> str | None:
    low, high = rules.speech_rates
    try:
        fits = low <= Decimal(cell.strip().replace(",", ".")) <= high
    except InvalidOperation:
        return f"{quoted(cell)} is not a number between {low} and {high}"
    return None if fits else f"{quoted(cell)} is not between {low} and {high}"


# --------------------------------------------------------------------------- the table

ALIASES: Final[Mapping[str, str]] = {
    "eq": "equal_to",
    "ne": "not_equal_to",
    "gt": "greater_than",
    "ge": "greater_than_or_equal_to",
    "lt": "less_than",
    "le": "less_than_or_equal_to",
    "between": "in_range",
}
CHECKS: Final[Mapping[str, Check]] = {
    "equal_to": Check(kinds=_ANY, takes={"value": OWN}, words="equal to {value}".format),
    "not_equal_to": Check(kinds=_ANY, takes={"value": OWN}, words="anything but {value}".format, fault=_FORBIDDEN),
    "greater_than": Check(kinds=_ORDERED, takes={"min_value": OWN}, words="greater than {min_value}".format),
    "greater_than_or_equal_to": Check(kinds=_ORDERED, takes={"min_value": OWN}, words="{min_value} or more".format),
    "less_than": Check(kinds=_ORDERED, takes={"max_value": OWN}, words="less than {max_value}".format),
    "less_than_or_equal_to": Check(kinds=_ORDERED, takes={"max_value": OWN}, words="{max_value} or less".format),
    "in_range": Check(
        kinds=_ORDERED,
        takes={"min_value": OWN, "max_value": OWN, "include_min": "bool", "include_max": "bool"},
        needs=2,
        words=_range_words,
    ),
    "isin": Check(
        kinds=_ANY, takes={"allowed_values": "list"}, words=lambda allowed_values: f"one of {listed(allowed_values)}"
    ),
    "notin": Check(
        kinds=_ANY,
        takes={"forbidden_values": "list"},
        words=lambda forbidden_values: f"none of {listed(forbidden_values)}",
        fault=_FORBIDDEN,
    ),
    "str_matches": Check(
        takes={"pattern": "pattern"},
        words="begins as the pattern {pattern} says".format,
        fault="{cell} does not begin as the pattern {pattern} says".format,
    ),
    "str_contains": Check(
        takes={"pattern": "pattern"},
        words="holds what the pattern {pattern} says".format,
        fault="{cell} does not hold what the pattern {pattern} says".format,
    ),
    "str_startswith": Check(
        takes={"string": "text"},
        words="begins with {string}".format,
        fault="{cell} does not begin with {string}".format,
    ),
    "str_endswith": Check(
        takes={"string": "text"}, words="ends with {string}".format, fault="{cell} does not end with {string}".format
    ),
    "str_length": Check(
        takes={"min_value": "int", "max_value": "int", "exact_value": "int"},
        needs=0,
        one_of=True,
        words=_length_words,
        fault=_length_fault,
    ),
    PHONE_NUMBER: Check(
        takes={"region": "region"},
        needs=0,
        words=_phone_words,
        judge=lambda cells, rules, region=None: rules.phones(cells, region),
    ),
    "language": Check(
        words="a language that the provider speaks".format, judge=_cell_by_cell("language", _why_no_language)
    ),
    "speech_rate": Check(
        words="a speech rate between 0.5 and 2".format, judge=_cell_by_cell("speech_rate", _why_no_speech_rate)
    ),
    "scheduled_date": Check(
        words="a date and time in the future".format,
        judge=_cell_by_cell("scheduled_date", lambda cell, rules: rules.schedule(cell)),
    ),
}
