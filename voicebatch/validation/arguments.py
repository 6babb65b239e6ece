"""What a schema gives to a check, of the types that the check compares with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.validation.cells import KINDS, read_date
from voicebatch.validation.checks import OWN, Check
from voicebatch.validation.words import advice, listed

if TYPE_CHECKING:
    import pandas as pd

_TOO_LARGE: Final = 10**18  # for a cell of this kind


class Refused(Exception):  # it is no error until it is collected
    """Why a check cannot be used as it is written."""


def read_arguments(check: Check, given: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """The arguments by pandera's names, or ``Refused``. ``given`` has one ``value`` when the schema names none."""
    if dtype not in check.kinds:
        needed = " or ".join(kind.dtypes[0] for name, kind in KINDS.items() if name in check.kinds)
        raise Refused(f"this check is not for {KINDS[dtype].words}: it needs `dtype: {needed}`")
    named = _by_position(check, given["value"]) if set(given) == {"value"} else given
    stated = {name: value for name, value in named.items() if value is not None}
    _check_names(check, stated)
    arguments = {name: _read(check.takes[name], value, dtype) for name, value in stated.items()}
    _check_order(**arguments)
    _check_lengths(check, arguments)
    return arguments


def _by_position(check: Check, value: Any) -> dict[str, Any]:
    optional = not (check.needs and check.takes) and not check.one_of
    if optional and (value is None or value is True):
        return {}
    if not check.takes:
        raise Refused("this check takes nothing: write `true`")
    if check.one_of:
        raise Refused(f"say which: {' or '.join(f'`{{{name}: {value}}}`' for name in check.takes)}")
    return {next(iter(check.takes)): value}


def _check_names(check: Check, stated: Mapping[str, Any]) -> None:
    unknown = sorted(map(str, stated.keys() - check.takes.keys()))
    if unknown:
        raise Refused(advice(unknown[0], check.takes))
    missing = [name for name in list(check.takes)[: check.needs] if name not in stated]
    if missing or (check.one_of and not stated):
        raise Refused(f"`{listed(missing or check.takes)}` is not given")


def _check_order(
    *, min_value: Any = None, max_value: Any = None, include_min: bool = True, include_max: bool = True, **_: Any
) -> None:
    if min_value is None or max_value is None:
        return
    if min_value > max_value or (min_value == max_value and not (include_min and include_max)):
        raise Refused(f"nothing is between {min_value} and {max_value}")


def _check_lengths(check: Check, arguments: Mapping[str, Any]) -> None:
    for value in arguments.values() if check.one_of else ():
        if value < 0:
            raise Refused(f"no text has {value} characters")


def _read(kind: str, value: Any, dtype: str) -> Any:
    if kind == "list":
        if not isinstance(value, list) or not value:
            raise Refused("this check takes a list, such as `[M, Mme]`")
        return [_read(OWN, item, dtype) for item in value]
    read, wanted = _KINDS[dtype if kind == OWN else kind]
    argument = read(value)
    if argument is None:
        raise Refused(f"`{value}` is not {wanted}")
    return argument


def _exactly(*types: type) -> Callable[[object], Any]:
    """YAML's ``no`` is a bool and a bool is an int to Python: each type is exactly itself."""
    return lambda value: value if type(value) in types else None


def _int(value: object) -> int | None:
    return value if type(value) is int and abs(value) < _TOO_LARGE else None


def _float(value: object) -> int | float | None:
    """A bound that is no number, or endless, would let every cell pass or none."""
    return value if isinstance(value, int | float) and type(value) is not bool and math.isfinite(value) else None


def _date(value: object) -> pd.Timestamp | None:
    """YAML reads a date without quotes itself."""
    import pandas as pd

    moment = read_date(str(value)) if isinstance(value, date | str) else None
    return None if moment is None else pd.Timestamp(moment)


def _pattern(value: object) -> str | None:
    try:
        pc.match_substring_regex(pa.array([""]), f"^({value})")
    except pa.ArrowInvalid:
        return None
    return value if isinstance(value, str) and value else None


def _region(value: object) -> str | None:
    return value if isinstance(value, str) and value in phonenumbers.SUPPORTED_REGIONS else None


_KINDS: Final[Mapping[str, tuple[Callable[[object], Any], str]]] = {
    "text": (_exactly(str), "text: put it in quotes, or give the column a `dtype`"),
    "int": (_int, "a whole number of at most 18 digits"),
    "float": (_float, "a number"),
    "bool": (_exactly(bool), "true or false"),
    "date": (_date, "a date such as 2027-03-01"),
    "pattern": (_pattern, "a regular expression of the RE2 kind (no look-ahead, no back-reference)"),
    "region": (_region, "a country's two capital letters, such as FR"),
}
