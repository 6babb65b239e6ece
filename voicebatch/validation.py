"""Rules on the input: pandera schemas in YAML, and every fault of a batch of rows in plain words.

The YAML is read by this module and not by pandera's ``from_yaml``, which drops what it does not know: a
misspelt check would let every cell pass. Here a schema that says anything without effect is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrorReason, SchemaErrors
from pandera.extensions import register_check_method

from voicebatch.errors import InputError, UsageError
from voicebatch.models import Fault

_QUOTED: Final = 60  # characters of a cell in a sentence
_TIME_ZONE: Final = ZoneInfo("Europe/Paris")  # of a date without an offset


class Verdict(Protocol):
    """Why a cell is refused: the check's name and a sentence."""

    @property
    def check(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the registered checks ask, given by who knows the answers.

    ``phones`` takes a column of cells and the schema's own region, if it names one, and says by position
    which hold no number that can be called; ``schedule`` says why a cell is no time to call, or ``None``.
    """

    phones: Callable[[pa.Array, str | None], Mapping[int, Verdict]]
    languages: tuple[str, ...]
    schedule: Callable[[str], str | None]
    speech_rates: tuple[Decimal, Decimal] = (Decimal("0.5"), Decimal(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRule:
    """One check of a column. ``words`` says what it asks for; ``error`` is the user's own sentence."""

    name: str
    statistics: Mapping[str, Any]
    words: str
    error: str | None = None
    ignore_na: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRule:
    """What a schema says of one column. ``dtype`` is ``text``, ``int``, ``float``, ``bool`` or ``date``."""

    title: str = ""
    description: str = ""
    dtype: str = "text"
    required: bool = True
    nullable: bool = False
    unique: bool = False
    rules: tuple[CheckRule, ...] = ()

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks in plain words."""
        return tuple(rule.words for rule in self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Rules for the columns of a file, by the schema's names for them.

    ``unique`` holds groups of columns whose values may stand together only once in the whole file.
    """

    name: str
    columns: Mapping[str, ColumnRule]
    title: str = ""
    description: str = ""
    strict: bool = False
    unique: tuple[tuple[str, ...], ...] = ()

    @property
    def phone_column(self) -> str | None:
        """The column of the numbers to call: the one checked as ``phone_number``, or else ``phone``."""
        checked = [name for name, _ in self._phone_rules()]
        named = [name for name in self.columns if name == "phone"]
        return next((name for name in named if name in checked), next(iter(checked + named), None))

    @property
    def phone_region(self) -> str | None:
        """The country of national numbers that the schema itself names in ``phone_number``."""
        return next(
            (rule.statistics.get("region") for name, rule in self._phone_rules() if name == self.phone_column),
            None,
        )

    def _phone_rules(self) -> Iterator[tuple[str, CheckRule]]:
        for name, column in self.columns.items():
            yield from ((name, rule) for rule in column.rules if rule.name == "phone_number")


def load_schema(text: str, *, name: str) -> Schema:
    """The schema that this YAML says, or ``UsageError`` with everything in it that would have no effect.

    Both of pandera's styles of writing checks are read. ``name`` is the file's, for the messages.
    """
    _register()
    source = _Source(name)
    content = _yaml(text, name)
    schema = _schema(content, source)
    if source.problems:
        raise UsageError("\n".join(source.problems), hint="`voicebatch schema init` writes a schema to start from")
    return schema


def explain(schema: Schema) -> list[str]:
    """The schema in plain words, a line for each column and one for each rule."""
    lines = [schema.title or schema.name, *filter(None, [schema.description])]
    for name, column in schema.columns.items():
        lines += ["", f"{name}{f' ({column.title})' if column.title else ''}: {', '.join(_traits(column))}"]
        lines += [f"  {text}" for text in [column.description, *(f"- {words}" for words in column.checks)] if text]
    lines += ["", *(f"{' and '.join(group)} together: only once in the file" for group in schema.unique)]
    lines += ["Other columns are refused." if schema.strict else "Other columns are let pass."]
    return lines


def _traits(column: ColumnRule) -> list[str]:
    return [
        _KINDS[column.dtype],
        "the file must have it" if column.required else "optional",
        "a cell may be empty" if column.nullable else "no cell may be empty",
        *(["every value only once in the file"] if column.unique else []),
    ]


# --------------------------------------------------------------------------- the checks and their words


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """A check that a schema may name: what it takes, for which kinds of column, and how it is said."""

    words: Callable[..., str]
    takes: tuple[str, ...] = ()
    needs: int = 1  # how many of them
    one_of: bool = False  # any of them, by name
    kinds: frozenset[str]
    fault: Callable[..., str] | None = None  # of the cell and what it takes; without one: "`cell` is not" and the words


_KINDS: Final[Mapping[str, str]] = {
    "text": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no",
    "date": "a date",
}
_DTYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("str", "string", "object", "string[pyarrow]", "string[python]"), "text"),
    **dict.fromkeys(("int", "int64", "Int64"), "int"),
    **dict.fromkeys(("float", "float64", "Float64"), "float"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
    **dict.fromkeys(("date", "datetime", "datetime64[ns]", "datetime64[us]"), "date"),
}
_ALIASES: Final[Mapping[str, str]] = {
    "eq": "equal_to",
    "ne": "not_equal_to",
    "gt": "greater_than",
    "ge": "greater_than_or_equal_to",
    "lt": "less_than",
    "le": "less_than_or_equal_to",
    "between": "in_range",
}
_ANY: Final = frozenset(_KINDS)
_TEXT: Final = frozenset({"text"})
_ORDERED: Final = frozenset({"int", "float", "date"})


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _characters(count: object) -> str:
    return f"{count} character{'' if count == 1 else 's'}"


def _length_words(min_value: int | None, max_value: int | None, exact_value: int | None) -> str:
    if exact_value is not None:
        return f"exactly {_characters(exact_value)} long"
    limits = [
        *([f"at least {min_value}"] if min_value is not None else []),
        *([f"at most {max_value}"] if max_value is not None else []),
    ]
    only_one = {min_value, max_value} == {1, None}
    return f"{' and '.join(limits)} character{'' if only_one else 's'} long"


def _quoted(cell: object) -> str:
    """The cell as a sentence shows it: on one line, and not for ever."""
    line = " ".join(str(cell).splitlines())
    return f"`{line if len(line) <= _QUOTED else line[:_QUOTED] + '…'}`"


def _quoting(sentence: str) -> Callable[..., str]:
    return lambda cell, *statistics: sentence.format(_quoted(cell), *statistics)


def _length_fault(cell: str, min_value: int | None, max_value: int | None, exact_value: int | None) -> str:
    if exact_value is not None:
        return f"the value has {_characters(len(cell))}, not {exact_value}"
    if min_value is not None and len(cell) < min_value:
        return f"the value is shorter than {_characters(min_value)}"
    return f"the value is longer than {_characters(max_value)}"


def _range_words(min_value: object, max_value: object, include_min: object, include_max: object) -> str:
    lower, upper = (" (not itself)" if include is False else "" for include in (include_min, include_max))
    return f"between {min_value}{lower} and {max_value}{upper}"


_CHECKS: Final[Mapping[str, _Check]] = {
    "equal_to": _Check(words="equal to {}".format, takes=("value",), kinds=_ANY),
    "not_equal_to": _Check(
        words="anything but {}".format, fault=_quoting("{} is not allowed here"), takes=("value",), kinds=_ANY
    ),
    "greater_than": _Check(words="greater than {}".format, takes=("min_value",), kinds=_ORDERED),
    "greater_than_or_equal_to": _Check(words="{} or more".format, takes=("min_value",), kinds=_ORDERED),
    "less_than": _Check(words="less than {}".format, takes=("max_value",), kinds=_ORDERED),
    "less_than_or_equal_to": _Check(words="{} or less".format, takes=("max_value",), kinds=_ORDERED),
    "in_range": _Check(
        words=_range_words,
        takes=("min_value", "max_value", "include_min", "include_max"),
        needs=2,
        kinds=_ORDERED,
    ),
    "isin": _Check(words=lambda values: f"one of {_list(values)}", takes=("allowed_values",), kinds=_ANY),
    "notin": _Check(
        words=lambda values: f"none of {_list(values)}",
        fault=_quoting("{} is not allowed here"),
        takes=("forbidden_values",),
        kinds=_ANY,
    ),
    "str_matches": _Check(
        words="begins as the pattern {} says".format,
        fault=_quoting("{} does not begin as the pattern {} says"),
        takes=("pattern",),
        kinds=_TEXT,
    ),
    "str_contains": _Check(
        words="holds what the pattern {} says".format,
        fault=_quoting("{} does not hold what the pattern {} says"),
        takes=("pattern",),
        kinds=_TEXT,
    ),
    "str_startswith": _Check(
        words="begins with {}".format,
        fault=_quoting("{} does not begin with {}"),
        takes=("string",),
        kinds=_TEXT,
    ),
    "str_endswith": _Check(
        words="ends with {}".format, fault=_quoting("{} does not end with {}"), takes=("string",), kinds=_TEXT
    ),
    "str_length": _Check(
        words=_length_words,
        fault=_length_fault,
        takes=("min_value", "max_value", "exact_value"),
        needs=0,
        one_of=True,
        kinds=_TEXT,
    ),
    # Ours: their faults are the judges'.
    "phone_number": _Check(
        words=lambda region=None: (
            f"a phone number that can be called{f', of {region} when written nationally' if region else ''}"
        ),
        takes=("region",),
        needs=0,
        kinds=_TEXT,
    ),
    "language": _Check(words=lambda: "a language that the provider speaks", needs=0, kinds=_TEXT),
    "speech_rate": _Check(words=lambda: "a speech rate between 0.5 and 2", needs=0, kinds=_TEXT),
    "scheduled_date": _Check(words=lambda: "a date and time in the future", needs=0, kinds=_TEXT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    check: str
    reason: str


def _phone_judge(cells: pa.Array, rules: Rules, region: str | None = None) -> Mapping[int, Verdict]:
    return rules.phones(cells, region)


def _language_judge(cells: pa.Array, rules: Rules) -> Mapping[int, Verdict]:
    return _one_by_one(
        "language",
        cells,
        lambda cell: (
            None
            if cell.strip().lower() in rules.languages
            else f"{_quoted(cell)} is not one of {_list(rules.languages)}"
        ),
    )


def _speech_rate_judge(cells: pa.Array, rules: Rules) -> Mapping[int, Verdict]:
    low, high = rules.speech_rates

    def judge(cell: str) -> str | None:
        try:
            fits = low <= Decimal(cell.strip().replace(",", ".")) <= high
        except InvalidOperation:
            return f"{_quoted(cell)} is not a number between {low} and {high}"
        return None if fits else f"{_quoted(cell)} is not between {low} and {high}"

    return _one_by_one("speech_rate", cells, judge)


def _schedule_judge(cells: pa.Array, rules: Rules) -> Mapping[int, Verdict]:
    return _one_by_one("scheduled_date", cells, rules.schedule)


def _one_by_one(check: str, cells: pa.Array, judge: Callable[[str], str | None]) -> Mapping[int, Verdict]:
    reasons = ((index, judge(cell)) for index, cell in enumerate(cells.to_pylist()))
    return {index: _Refusal(check=check, reason=reason) for index, reason in reasons if reason is not None}


_JUDGES: Final[Mapping[str, Callable[..., Mapping[int, Verdict]]]] = {
    "phone_number": _phone_judge,
    "language": _language_judge,
    "speech_rate": _speech_rate_judge,
    "scheduled_date": _schedule_judge,
}
_RULES: ContextVar[Rules] = ContextVar("rules of the validation under way")


def _register() -> None:
    """Make our checks pandera's, once."""
    for name in _JUDGES.keys() - pandera.Check.REGISTERED_CUSTOM_CHECKS.keys():
        register_check_method(_passes(name), statistics=list(_CHECKS[name].takes), supported_types=pd.Series)


def _passes(name: str) -> Callable[..., Any]:
    def check(cells: Any, **statistics: Any) -> Any:
        encoded = _one_array(pa.array(cells, pa.string())).dictionary_encode()
        refused = _JUDGES[name](encoded.dictionary, _RULES.get(), **statistics)
        bad = np.isin(encoded.indices.to_numpy(zero_copy_only=False), list(refused))
        return pd.Series(~bad, index=cells.index)

    def with_region(cells: Any, region: str | None = None) -> Any:
        return check(cells, region=region)

    def without(cells: Any) -> Any:
        return check(cells)

    # pandera takes the name and the statistics from the function's own.
    function = with_region if _CHECKS[name].takes else without
    function.__name__ = name
    return function


# --------------------------------------------------------------------------- from YAML to a schema

_TOP_KEYS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "schema_type": str,
    "version": (str, int, float),
    "api": str,
    "name": str,
    "title": str,
    "description": str,
    "columns": dict,
    "strict": bool,
    "unique": (str, list),
    "coerce": bool,
}
_COLUMN_KEYS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "title": str,
    "description": str,
    "dtype": str,
    "nullable": bool,
    "required": bool,
    "unique": bool,
    "coerce": bool,
    "checks": (dict, list),
}
_OPTION_KEYS: Final[Mapping[str, type]] = {"error": str, "ignore_na": bool}
# What pandera writes when asked for everything. With any other value it would do something that we do not.
_SILENT_TOP: Final[Mapping[str, Any]] = {
    "checks": None,
    "index": None,
    "dtype": None,
    "ordered": False,
    "report_duplicates": "all",
    "unique_column_names": False,
    "add_missing_columns": False,
    "drop_invalid_rows": False,
}
_SILENT_COLUMN: Final[Mapping[str, Any]] = {
    "regex": False,
    "default": None,
    "report_duplicates": "all",
    "drop_invalid_rows": False,
    "name": None,
}
_SILENT_OPTIONS: Final[Mapping[str, Any]] = {
    "check_name": None,
    "raise_warning": False,
    "n_failure_cases": None,
    "groupby": None,
    "groups": None,
    "name": None,
}


@dataclass(frozen=True, slots=True)
class _Source:
    """Where messages about a schema begin, and where they are collected."""

    name: str
    problems: list[str] = field(default_factory=list)

    def refuse(self, path: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(f"{self.name}: {path}: {message}" if path else f"{self.name}: {message}")

    def unknown(self, path: str, word: object, allowed: Iterable[str]) -> None:
        """Note a word that has no meaning, with the nearest that has."""
        self.refuse(path, _advice(str(word), allowed))


def _advice(word: str, allowed: Iterable[str]) -> str:
    near = get_close_matches(word, sorted(allowed), n=1, cutoff=0.5)
    return f"`{word}` is not known here; " + (
        f"did you mean `{near[0]}`?" if near else f"allowed: {_list(sorted(allowed))}"
    )


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key written twice: the first would be lost in silence."""


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
    if twice is not None:
        raise yaml.constructor.ConstructorError(None, None, f"`{twice}` is written twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)


def _yaml(text: str, name: str) -> dict[str, Any]:
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 # a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{name}: this is not YAML: {_yaml_problem(error)}") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{name}: a schema begins with `columns:` and a list of names below it, not with {content!r:.40}"
        )
    return content


def _yaml_problem(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    return f"{problem} in line {mark.line + 1}" if mark else problem


def _schema(content: Mapping[Any, Any], source: _Source) -> Schema:
    known = _checked_keys(content, _TOP_KEYS, _SILENT_TOP, "", source)
    if known.get("schema_type", "dataframe") != "dataframe" or known.get("api", "pandas") != "pandas":
        source.refuse("", "`schema_type` is `dataframe` and `api` is `pandas`, or absent")
    if not known.get("columns"):
        source.refuse("columns", "a schema needs at least one column")
    columns = {str(name): _column(name, body, source) for name, body in known.get("columns", {}).items()}
    return Schema(
        name=source.name,
        columns=columns,
        title=known.get("title") or "",
        description=known.get("description") or "",
        strict=known.get("strict", False),
        unique=_unique(known.get("unique"), columns, source),
    )


def _unique(group: str | list[Any] | None, columns: Mapping[str, Any], source: _Source) -> tuple[tuple[str, ...], ...]:
    names = [group] if isinstance(group, str) else group or []
    for name in names:
        if name not in columns:
            source.unknown("unique", name, columns)
    return (tuple(map(str, names)),) if names else ()


def _checked_keys(
    content: Mapping[Any, Any],
    keys: Mapping[str, type | tuple[type, ...]],
    silent: Mapping[str, Any],
    path: str,
    source: _Source,
) -> dict[str, Any]:
    """The entries that say something, each of its type; the others are refused."""
    said = {
        key: value for key, value in content.items() if not (key in silent and (value is None or value == silent[key]))
    }
    for key, value in said.items():
        here = f"{path}.{key}" if path else str(key)
        if key in silent:
            source.refuse(here, "this has no effect here: leave it out")
        elif key not in keys:
            source.unknown(here, key, keys)
        elif value is not None and not isinstance(value, keys[key]):
            source.refuse(here, f"`{value}` is not {_type_words(keys[key])}")
    return {key: value for key, value in said.items() if key in keys and isinstance(value, keys[key])}


def _type_words(types: type | tuple[type, ...]) -> str:
    names = {str: "text (put it in quotes)", bool: "true or false", dict: "a mapping", list: "a list"}
    return " or ".join(names[kind] for kind in (types if isinstance(types, tuple) else (types,)) if kind in names)


def _column(name: object, body: object, source: _Source) -> ColumnRule:
    path = f"columns.{name}"
    if not isinstance(name, str):
        source.refuse(path, "this name is not text to YAML: put it in quotes")
    if not isinstance(body, dict | None):
        source.refuse(path, "a column is described by a mapping, such as `{nullable: true}`")
        return ColumnRule()
    flat = {key: value for key, value in (body or {}).items() if _ALIASES.get(key, key) in _CHECKS}
    rest = {key: value for key, value in (body or {}).items() if key not in flat}
    known = _checked_keys(
        rest,
        {**_COLUMN_KEYS, **dict.fromkeys(_CHECKS, object)},
        {**_SILENT_COLUMN, "name": name},
        path,
        source,
    )
    dtype = _dtype(known.get("dtype", "str"), path, source)
    written = [*_written_checks(known.get("checks") or {}, path, source), *_flat_checks(flat, path)]
    rules = [_rule(check, stats, options, dtype, where, source) for check, stats, options, where in written]
    return ColumnRule(
        title=known.get("title", ""),
        description=known.get("description", ""),
        dtype=dtype,
        required=known.get("required", True),
        nullable=known.get("nullable", False),
        unique=known.get("unique", False),
        rules=tuple(rule for rule in rules if rule),
    )


def _dtype(word: str, path: str, source: _Source) -> str:
    if word not in _DTYPES:
        source.unknown(f"{path}.dtype", word, _DTYPES)
    return _DTYPES.get(word, "text")


_Written = tuple[str, Any, Mapping[str, Any], str]  # a check's name, what it is given, its options, its place


def _flat_checks(flat: Mapping[str, Any], path: str) -> Iterator[_Written]:
    """``str_length: {max_value: 20, error: too long}`` as pandera writes it since 0.24."""
    for name, value in flat.items():
        entry = value if isinstance(value, dict) else {"value": value}
        options = {key: entry[key] for key in entry if key in {*_OPTION_KEYS, *_SILENT_OPTIONS}}
        yield name, {key: entry[key] for key in entry if key not in options}, options, f"{path}.{name}"


def _written_checks(checks: Mapping[Any, Any] | list[Any], path: str, source: _Source) -> Iterator[_Written]:
    """The same below ``checks:``, by name, or in a list whose entries name themselves in ``options``."""
    entries = list(checks.items()) if isinstance(checks, dict) else [(None, entry) for entry in checks]
    for index, (key, value) in enumerate(entries):
        entry = dict(value) if isinstance(value, dict) else {"value": value}
        options = entry.pop("options", None) or {}
        name = key or (options.get("check_name") if isinstance(options, dict) else None)
        if not name or not isinstance(options, dict):
            source.refuse(f"{path}.checks[{index}]", "a check in a list says `options: {check_name: …}`")
            continue
        yield str(name), entry, {**options, "check_name": None}, f"{path}.checks.{name}"


class _Refused(Exception):  # it is no error until it is collected
    """Why a check cannot be used as it is written."""


def _rule(
    name: str, given: Mapping[str, Any], options: Mapping[str, Any], dtype: str, path: str, source: _Source
) -> CheckRule | None:
    name = _ALIASES.get(name, name)
    check = _CHECKS.get(name)
    said = _checked_keys(options, _OPTION_KEYS, _SILENT_OPTIONS, path, source)
    if check is None:
        source.unknown(path, name, _CHECKS)
        return None
    try:
        statistics = _statistics(check, given, dtype)
    except _Refused as problem:
        source.refuse(path, str(problem))
        return None
    words = check.words(*_arguments(check, statistics))
    return CheckRule(name=name, statistics=statistics, words=words, **said)


def _arguments(check: _Check, statistics: Mapping[str, Any]) -> list[Any]:
    return [_said(statistics.get(name)) for name in check.takes]


def _said(value: Any) -> Any:
    """A date as a sentence shows it: midnight goes without saying."""
    return str(value).removesuffix(" 00:00:00") if isinstance(value, pd.Timestamp) else value


def _statistics(check: _Check, given: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """What a check is given, by pandera's names and of the types that it compares with."""
    if dtype not in check.kinds:
        kinds = " or ".join("str" if kind == "text" else kind for kind in _KINDS if kind in check.kinds)
        raise _Refused(f"this check is not for {_KINDS[dtype]}: it needs `dtype: {kinds}`")
    named = given if set(given) != {"value"} else _by_position(check, given["value"])
    statistics = {key: value for key, value in named.items() if value is not None}
    unknown = sorted(map(str, statistics.keys() - set(check.takes)))
    if unknown:
        raise _Refused(_advice(unknown[0], check.takes))
    missing = [key for key in check.takes[: check.needs] if key not in statistics]
    if missing or (check.one_of and not statistics):
        raise _Refused(f"`{_list(missing or check.takes)}` is not given")
    read = {key: _value(key, value, dtype) for key, value in statistics.items()}
    if "max_value" in read and "min_value" in read and read["min_value"] > read["max_value"]:
        raise _Refused(f"nothing is between {read['min_value']} and {read['max_value']}")
    return read


def _by_position(check: _Check, value: Any) -> dict[str, Any]:
    if not check.needs and not check.one_of and (value is None or value is True):
        return {}
    if check.one_of or not check.takes:
        ways = " or ".join(f"`{{{name}: {value}}}`" for name in check.takes)
        raise _Refused(f"say which: {ways}" if ways else "this check takes nothing: write `true`")
    return {check.takes[0]: value}


def _value(key: str, value: Any, dtype: str) -> Any:
    """One statistic, of the type that the check compares with."""
    if key in {"allowed_values", "forbidden_values"}:
        if not isinstance(value, list) or not value:
            raise _Refused("this check takes a list, such as `[M, Mme]`")
        return [_value("value", item, dtype) for item in value]
    kind = _STATISTIC_KINDS.get(key) or ("int" if dtype == "text" and key.endswith("_value") else dtype)
    read = _READERS[kind](value)
    if read is None:
        raise _Refused(f"`{value}` is not {_VALUE_WORDS[kind]}")
    return read


def _pattern(value: object) -> str | None:
    try:
        pc.match_substring_regex(pa.array([""]), f"^({value})")
    except pa.ArrowInvalid:
        return None
    return value if isinstance(value, str) else None


def _timestamp(value: object) -> pd.Timestamp | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return pd.Timestamp(datetime.combine(value, time()))
    moment = value if isinstance(value, datetime) else _moment(value) if isinstance(value, str) else None
    return None if moment is None else pd.Timestamp(_local(moment))


def _of(*types: type) -> Callable[[object], Any]:
    """YAML's ``no`` is a bool and a bool is an int to Python: each type is exactly itself."""
    return lambda value: value if type(value) in types else None


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "text": _of(str),
    "int": _of(int),
    "float": _of(int, float),
    "bool": _of(bool),
    "date": _timestamp,
    "pattern": _pattern,
    "region": lambda value: value if value in phonenumbers.SUPPORTED_REGIONS else None,
}
_STATISTIC_KINDS: Final = {
    "pattern": "pattern",
    "string": "text",
    "region": "region",
    "include_min": "bool",
    "include_max": "bool",
}
_VALUE_WORDS: Final[Mapping[str, str]] = {
    "text": "text: put it in quotes, or give the column a `dtype`",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "date": "a date such as 2027-03-01",
    "pattern": "a regular expression of the RE2 kind (no look-ahead, no back-reference)",
    "region": "a country's two capital letters, such as FR",
}

# --------------------------------------------------------------------------- cells as values


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _as_text(cells: pa.Array) -> pa.Array:
    """The cells as they stand; null where there is nothing in them."""
    text = cells.cast(pa.string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), None, text)


def _as_int(text: pa.Array) -> pa.Array:
    digits = pc.replace_substring_regex(pc.utf8_trim_whitespace(text), r"[.,]0+$", "")
    return _where(r"^[+-]?\d{1,18}$", pc.utf8_ltrim(digits, "+"), digits).cast(pa.int64())


def _as_float(text: pa.Array) -> pa.Array:
    number = pc.replace_substring(pc.utf8_trim_whitespace(text), ",", ".")
    pattern = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$"
    return _where(pattern, pc.utf8_ltrim(number, "+"), number).cast(pa.float64())


def _as_bool(text: pa.Array) -> pa.Array:
    word = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    yes, no = (pc.is_in(word, pa.array(words)) for words in (_YES, _NO))
    return pc.if_else(pc.or_(yes, no), yes, None)


def _as_date(text: pa.Array) -> pa.Array:
    encoded = text.dictionary_encode()
    moments = [_moment(cell) for cell in encoded.dictionary.to_pylist()]
    local = [None if moment is None else _local(moment) for moment in moments]
    return pa.array(local, pa.timestamp("us")).take(encoded.indices)


def _moment(cell: str) -> datetime | None:
    """A date as a person or a program writes it: ISO 8601, or day/month/year with or without a time."""
    iso = re.sub(r"^(\d\d)/(\d\d)/(\d{4})\b", r"\3-\2-\1", cell.strip())
    try:
        return datetime.fromisoformat(iso) if re.match(r"\d{4}-\d\d-\d\d", iso) else None
    except ValueError:
        return None


def _local(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(_TIME_ZONE).replace(tzinfo=None)


def _where(pattern: str, values: pa.Array, text: pa.Array) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(text, pattern), values, None)


_YES: Final = ("true", "1", "yes", "y", "oui", "o", "vrai")
_NO: Final = ("false", "0", "no", "n", "non", "faux")
_CONVERSIONS: Final[Mapping[str, Callable[[pa.Array], pa.Array]]] = {
    "text": lambda text: text,
    "int": _as_int,
    "float": _as_float,
    "bool": _as_bool,
    "date": _as_date,
}
_ARROW_TYPES: Final[Mapping[str, pa.DataType]] = {
    "text": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.timestamp("us"),
}

# --------------------------------------------------------------------------- the validator


@dataclass(frozen=True, slots=True)
class _Cells:
    """A column of a batch: the cells' text, their values, and the file's header."""

    header: str
    text: pa.Array
    values: pa.Array


class Validator:
    """Every fault of one file, a batch of rows at a time, and at the end what only the whole shows.

    ``columns`` gives the file's header for each of the schema's columns, ``None`` where the file has none;
    ``header`` is all the file's. Raises ``InputError`` when the file lacks a column that the schema requires,
    or has one that a strict schema does not know.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        rules: Rules,
        file: str,
        columns: Mapping[str, str | None],
        header: Sequence[str] = (),
    ) -> None:
        self._schema, self._rules, self._file = schema, rules, file
        self._headers = {name: found for name in schema.columns if (found := columns.get(name)) is not None}
        self._check_header(header)
        self._pandera = pandera.DataFrameSchema({name: _pandera_column(schema.columns[name]) for name in self._headers})
        self._groups = [group for group in self._unique_groups() if set(group) <= self._headers.keys()]
        self._kept: list[pd.DataFrame] = []

    def check(self, numbers: np.ndarray[Any, Any], cells: pa.RecordBatch) -> list[Fault]:
        """The faults of these rows, by row and then by column. ``numbers`` are the spreadsheet's."""
        if not cells.num_rows or not self._headers:
            return []
        columns = {name: self._cells(name, cells) for name in self._headers}
        frame = pd.DataFrame({name: _series(column.values) for name, column in columns.items()})
        self._keep(numbers, frame)
        found = [*self._unreadable(columns), *self._failures(frame, columns), *self._empty(columns)]
        order = {name: index for index, name in enumerate(self._headers)}
        found.sort(key=lambda fault: (fault[0], order[fault[1]]))
        return [
            Fault(
                file=self._file,
                row=int(numbers[place]),
                column=self._headers[name],
                check=check,
                reason=reason,
            )
            for place, name, check, reason in found
        ]

    def finish(self) -> list[Fault]:
        """The values that stand in the file more often than once: a fault for each but the first."""
        if not self._kept:
            return []
        frame = pd.concat(self._kept)
        faults = [fault for group in self._groups for fault in self._repeats(frame, group)]
        return sorted(faults, key=lambda fault: fault.row)

    def _check_header(self, header: Sequence[str]) -> None:
        columns = self._schema.columns
        missing = [name for name, column in columns.items() if column.required and name not in self._headers]
        if missing:
            has = f"; the file has {_list(map(_quoted, header))}" if header else ""
            raise InputError(f"{self._file}: there is no column {_list(map(_quoted, missing))}{has}")
        extra = [name for name in header if name not in self._headers.values()] if self._schema.strict else []
        if extra:
            raise InputError(
                f"{self._file}: the schema {self._schema.name} knows no column {_list(map(_quoted, extra))}"
            )
        twice = [name for name in self._headers.values() if header.count(name) > 1]
        if twice:
            raise InputError(f"{self._file}: there are two columns {_list(map(_quoted, twice))}")

    def _unique_groups(self) -> Iterator[tuple[str, ...]]:
        yield from ((name,) for name, column in self._schema.columns.items() if column.unique)
        yield from self._schema.unique

    def _cells(self, name: str, cells: pa.RecordBatch) -> _Cells:
        text = _as_text(cells.column(self._headers[name]))
        return _Cells(self._headers[name], text, _CONVERSIONS[self._schema.columns[name].dtype](text))

    def _keep(self, numbers: np.ndarray[Any, Any], frame: pd.DataFrame) -> None:
        names = sorted({name for group in self._groups for name in group})
        if names:
            self._kept.append(frame[names].set_axis(pd.Index(numbers), axis=0))

    def _unreadable(self, columns: Mapping[str, _Cells]) -> Iterator[_Found]:
        for name, column in columns.items():
            kind = _KINDS[self._schema.columns[name].dtype]
            bad = pc.and_(column.text.is_valid(), column.values.is_null())
            for place in pc.indices_nonzero(bad).to_pylist():
                yield place, name, "dtype", f"{_quoted(column.text[place])} is not {kind}"

    def _empty(self, columns: Mapping[str, _Cells]) -> Iterator[_Found]:
        """What ``ignore_na: false`` asks; pandera would let an undecided check pass."""
        for name, column in columns.items():
            rule = self._schema.columns[name]
            asked = [check for check in rule.rules if rule.nullable and not check.ignore_na]
            places = pc.indices_nonzero(column.text.is_null()).to_pylist() if asked else []
            yield from ((place, name, check.name, check.error or _EMPTY) for check in asked for place in places)

    def _failures(self, frame: pd.DataFrame, columns: Mapping[str, _Cells]) -> Iterator[_Found]:
        token = _RULES.set(self._rules)
        try:
            # Both can be turned off by a variable of the environment, and then everything would pass.
            with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
                self._pandera.validate(frame, lazy=True, inplace=True)
        except SchemaErrors as errors:
            for error in errors.schema_errors:
                yield from self._found(error, columns[error.schema.name])
        finally:
            _RULES.reset(token)

    def _found(self, error: Any, cells: _Cells) -> Iterator[_Found]:
        name, column = error.schema.name, self._schema.columns[error.schema.name]
        if error.reason_code is SchemaErrorReason.SERIES_CONTAINS_NULLS:
            empty = cells.text.is_null()
            places = [place for place in _places(error) if empty[place].as_py()]
            yield from ((place, name, "empty", _EMPTY) for place in places)
        elif error.reason_code is SchemaErrorReason.DATAFRAME_CHECK:
            rule, places = column.rules[error.check_index], _places(error)
            for place, (check, reason) in zip(places, self._sentences(rule, cells.text.take(places)), strict=True):
                yield place, name, check, rule.error or reason
        else:
            raise UsageError(f"{self._schema.name}: columns.{name}: {error.check} broke: {error.failure_cases}")

    def _sentences(self, rule: CheckRule, cells: pa.Array) -> list[tuple[str, str]]:
        check, judge = _CHECKS[rule.name], _JUDGES.get(rule.name)
        if judge:
            verdicts = judge(cells, self._rules, **rule.statistics)
            return [(verdicts[index].check, verdicts[index].reason) for index in range(len(cells))]
        say = check.fault or (lambda cell, *_: f"{_quoted(cell)} is not {rule.words}")
        arguments = _arguments(check, rule.statistics)
        return [(rule.name, say(cell, *arguments)) for cell in cells.to_pylist()]

    def _repeats(self, frame: pd.DataFrame, group: tuple[str, ...]) -> Iterator[Fault]:
        names = list(group)
        values = frame[names].dropna(how="all")
        values = values[values.duplicated(keep=False)]
        firsts = values.index.to_series().groupby([values[name] for name in names], dropna=False).transform("first")
        header = _list(self._headers[name] for name in names)
        for row, first, cells in zip(values.index, firsts, values.itertuples(index=False), strict=True):
            if row != first:
                verb = "stands" if len(names) == 1 else "stand together"
                reason = f"{' and '.join(map(_quoted, cells))} already {verb} in row {first}"
                yield Fault(file=self._file, row=int(row), column=header, check="unique", reason=reason)


_Found = tuple[int, str, str, str]  # place in the batch, the schema's column, check, reason
_EMPTY: Final = "the cell is empty"


def _pandera_column(column: ColumnRule) -> Any:
    checks = [getattr(pandera.Check, rule.name)(**rule.statistics) for rule in column.rules]
    return pandera.Column(pd.ArrowDtype(_ARROW_TYPES[column.dtype]), checks, nullable=column.nullable)


def _series(values: pa.Array) -> pd.Series[Any]:
    return pd.Series(pd.arrays.ArrowExtensionArray(values))


def _places(error: Any) -> list[int]:
    return [int(place) for place in error.failure_cases["index"]]
