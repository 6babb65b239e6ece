"""From YAML to a schema, refusing whatever would have no effect.

The YAML is read here and not by pandera's ``from_yaml``, which drops what it does not know: a misspelt check would
let every cell pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Any, Final, NamedTuple

from voicebatch.errors import UsageError
from voicebatch.validation.arguments import Refused, read_arguments
from voicebatch.validation.cells import KINDS
from voicebatch.validation.checks import ALIASES, CHECKS, words
from voicebatch.validation.document import read_document
from voicebatch.validation.rules import CheckRule, ColumnRule, Schema
from voicebatch.validation.words import advice

_Keys = Mapping[str, tuple[type | UnionType, str]]  # what may stand there, and its words

_TEXT: Final = (str, "text (put it in quotes)")
_FLAG: Final = (bool, "true or false")
_TOP_KEYS: Final[_Keys] = {
    **dict.fromkeys(("schema_type", "api", "name", "title", "description"), _TEXT),
    **dict.fromkeys(("strict", "coerce"), _FLAG),
    "version": (str | int | float, "text (put it in quotes)"),
    "columns": (dict, "a mapping"),
    "unique": (str | list, "text (put it in quotes) or a list"),
}
_COLUMN_KEYS: Final[_Keys] = {
    **dict.fromkeys(("title", "description", "dtype"), _TEXT),
    **dict.fromkeys(("nullable", "required", "unique", "coerce"), _FLAG),
    "checks": (dict | list, "a mapping or a list"),
    **dict.fromkeys(CHECKS, (object, "")),  # for who misspells one
}
_OPTION_KEYS: Final[_Keys] = {"error": _TEXT, "ignore_na": _FLAG}
# What pandera writes when asked for everything. With any other value it would do something that we do not.
_SILENT_TOP: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("checks", "index", "dtype")),
    **dict.fromkeys(("ordered", "unique_column_names", "add_missing_columns", "drop_invalid_rows"), False),
    "report_duplicates": "all",
}
_SILENT_COLUMN: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("regex", "drop_invalid_rows"), False),
    "default": None,
    "report_duplicates": "all",
}
_SILENT_OPTIONS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("check_name", "n_failure_cases", "groupby", "groups", "name")),
    "raise_warning": False,
}
_NAMELESS: Final = (
    "a check is written by its name, such as `isin: [M, Mme]`, or in a list with `options: {check_name: …}`; "
    "a function (lambda) is never run"
)
_MEANT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("min", "minimum", "min_value"), "greater_than_or_equal_to"),
    **dict.fromkeys(("max", "maximum", "max_value"), "less_than_or_equal_to"),
    **dict.fromkeys(("min_length", "max_length", "length"), "str_length"),
    **dict.fromkeys(("pattern", "matches"), "str_matches"),
    **dict.fromkeys(("enum", "values", "choices", "allowed", "allowed_values"), "isin"),
    **dict.fromkeys(("type", "kind", "format"), "dtype"),
    **dict.fromkeys(("check", "rules"), "checks"),
    **dict.fromkeys(("optional", "mandatory"), "required"),
    **dict.fromkeys(("empty", "null", "blank"), "nullable"),
}
"""What other tools call these keys."""
_DTYPES: Final[Mapping[str, str]] = {dtype: name for name, kind in KINDS.items() for dtype in kind.dtypes}


def load_schema(text: str, *, name: str) -> Schema:
    """The schema that this YAML says, or ``UsageError`` with everything in it that would have no effect.

    Both of pandera's styles of writing checks are read. ``name`` is the file's, for the messages.
    """
    top = _Place(file=name)
    schema = _schema(read_document(text, name), top)
    if top.problems:
        raise UsageError("\n".join(top.problems), hint="`voicebatch schema init` writes a schema to start from")
    return schema


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A place in a schema, where something may be wrong. All of a schema's places share ``problems``."""

    file: str
    path: str = ""
    problems: list[str] = field(default_factory=list)

    def at(self, key: object) -> _Place:
        return replace(self, path=f"{self.path}.{key}" if self.path else str(key))

    def refuse(self, message: str) -> None:
        self.problems.append(f"{self.file}: {self.path}: {message}" if self.path else f"{self.file}: {message}")


def _schema(content: Mapping[Any, Any], top: _Place) -> Schema:
    said = _said(content, _TOP_KEYS, _SILENT_TOP, top)
    if said.get("schema_type", "dataframe") != "dataframe" or said.get("api", "pandas") != "pandas":
        top.refuse("`schema_type` is `dataframe` and `api` is `pandas`, or absent")
    if not said.get("columns"):
        top.at("columns").refuse("a schema needs at least one column")
    columns = {
        str(name): _column(name, body, top.at("columns").at(name)) for name, body in said.get("columns", {}).items()
    }
    unique = _unique(said.get("unique", []), columns, top.at("unique"))
    return Schema(name=top.file, columns=columns, unique=unique, **_only(said, "title", "description", "strict"))


def _said(content: Mapping[Any, Any], keys: _Keys, silent: Mapping[str, Any], place: _Place) -> dict[str, Any]:
    """The entries that say something, each of its type; the others are refused."""
    for key, value in content.items():
        if objection := _objection(key, value, keys, silent):
            place.at(key).refuse(objection)
    return {key: value for key, value in content.items() if key in keys and isinstance(value, keys[key][0])}


def _objection(key: Any, value: Any, keys: _Keys, silent: Mapping[str, Any]) -> str | None:
    if key in silent:
        return None if value is None or value == silent[key] else "this has no effect here: leave it out"
    if key not in keys:
        return _advice(key, keys)
    kind, wanted = keys[key]
    if value is None and kind is bool:
        return f"nothing stands here: write {wanted}"
    return None if value is None or isinstance(value, kind) else f"`{value}` is not {wanted}"


def _advice(key: object, keys: _Keys) -> str:
    """That this key means nothing here, and what does."""
    if "columns" in keys and (key in _COLUMN_KEYS or key in ALIASES):
        return f"`{key}` is said of a column: write it below the column's name"
    meant = _MEANT.get(str(key))
    return f"`{key}` is not known here; did you mean `{meant}`?" if meant in keys else advice(key, keys)


def _only(said: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: said[key] for key in keys if key in said}


def _unique(group: str | list[Any], columns: Mapping[str, ColumnRule], place: _Place) -> tuple[tuple[str, ...], ...]:
    names = [group] if isinstance(group, str) else group
    for index, name in enumerate(names):
        if not isinstance(name, str) or name not in columns:
            place.refuse(advice(name, columns))
        elif name in names[:index]:
            place.refuse(f"`{name}` is written twice")
    return (tuple(map(str, names)),) if names else ()


def _column(name: object, body: object, place: _Place) -> ColumnRule:
    if not isinstance(name, str):
        place.refuse("this name is not text to YAML: put it in quotes")
    elif not name.strip():
        place.refuse("a column needs a name")
    if not isinstance(body, dict | None):
        place.refuse(_no_column(name))
        return ColumnRule()
    flat = {key: value for key, value in (body or {}).items() if ALIASES.get(key, key) in CHECKS}
    rest = {key: value for key, value in (body or {}).items() if key not in flat}
    if _forgets_checks(rest):
        place.at("checks").refuse("there is no check below it: write one, or leave it out")
    said = _said(rest, _COLUMN_KEYS, {**_SILENT_COLUMN, "name": name}, place)
    dtype = _dtype(said.get("dtype", "str"), place.at("dtype"))
    written = [*_listed_checks(said.get("checks", []), place), *_flat_checks(flat, place)]
    rules = tuple(rule for rule in (_rule(check, dtype) for check in written) if rule)
    traits = _only(said, "title", "description", "required", "nullable", "unique")
    return ColumnRule(dtype=dtype, rules=rules, **traits)


def _forgets_checks(body: Mapping[str, Any]) -> bool:
    """Whether ``checks`` stands above nothing. pandera writes that too, beside everything else."""
    return not body.get("checks", True) and not {"regex", "drop_invalid_rows"} <= body.keys()


def _no_column(name: object) -> str:
    if name in _COLUMN_KEYS or name in ALIASES:
        return f"`{name}` stands where a column's name does: indent it below the column that it is about"
    return "a column is described by a mapping, such as `{nullable: true}`"


def _dtype(word: str, place: _Place) -> str:
    if word not in _DTYPES:
        place.refuse(advice(word, _DTYPES))
    return _DTYPES.get(word, "text")


class _Written(NamedTuple):
    """A check as a schema writes it. ``given`` has one ``value`` when the schema names none."""

    name: str
    given: Mapping[str, Any]
    options: Mapping[str, Any]
    place: _Place


def _flat_checks(flat: Mapping[str, Any], place: _Place) -> Iterator[_Written]:
    """``str_length: {max_value: 20, error: too long}`` as pandera writes it since 0.24."""
    for name, value in flat.items():
        entry = value if isinstance(value, dict) else {"value": value}
        options = {key: entry[key] for key in entry if key in {*_OPTION_KEYS, *_SILENT_OPTIONS}}
        given = {key: entry[key] for key in entry if key not in options}
        yield _Written(name, given, options, place.at(name))


def _listed_checks(checks: Mapping[Any, Any] | list[Any], place: _Place) -> Iterator[_Written]:
    """The same below ``checks:``, by name, or in a list whose entries name themselves in ``options``."""
    entries = list(checks.items()) if isinstance(checks, dict) else [(None, entry) for entry in checks]
    for index, (key, value) in enumerate(entries):
        given = dict(value) if isinstance(value, dict) else {"value": value}
        options = given.pop("options", None) or {}
        name = key or (options.get("check_name") if isinstance(options, dict) else None)
        if not name or not isinstance(options, dict):
            place.at(f"checks[{index}]").refuse(_NAMELESS)
            continue
        yield _Written(str(name), given, {**options, "check_name": None}, place.at("checks").at(name))


def _rule(written: _Written, dtype: str) -> CheckRule | None:
    name, place = ALIASES.get(written.name, written.name), written.place
    options = _said(written.options, _OPTION_KEYS, _SILENT_OPTIONS, place)
    if name not in CHECKS:
        place.refuse(advice(name, CHECKS))
        return None
    try:
        statistics = read_arguments(CHECKS[name], written.given, dtype)
    except Refused as problem:
        place.refuse(str(problem))
        return None
    return CheckRule(name=name, statistics=statistics, words=words(name, statistics), **options)
