"""A schema for people who don't read YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from voicebatch.validation.cells import KINDS
from voicebatch.validation.patterns import in_words
from voicebatch.validation.rules import CheckRule, ColumnRule, Schema

_SUCH_AS: Final[Mapping[str, str]] = {
    "float": " (1.5 or 1,5)",
    "bool": " (also true or false, 1 or 0, oui or non)",
    "date": " (2027-03-01 or 01/03/2027, with or without a time)",
}
_ONCE: Final = "only once in the file, and each of several files is looked at by itself"


def explain(schema: Schema) -> list[str]:
    """The schema in plain words, a line for each column and one for each rule."""
    return [
        schema.title or schema.name,
        *filter(None, [schema.description]),
        *(line for name, column in schema.columns.items() for line in _column(name, column)),
        "",
        *(f"{' and '.join(group)} together: {_ONCE}." for group in schema.unique),
        *([] if schema.phone_column else ["The column with the phone numbers is found by its usual name."]),
        "A column is found whatever its capitals, accents, spaces and punctuation.",
        "A file with other columns is refused." if schema.strict else "Other columns are let pass.",
    ]


def _column(name: str, column: ColumnRule) -> Iterator[str]:
    yield ""
    yield f"{name}{f' ({column.title})' if column.title else ''}: {', '.join(_traits(column))}"
    if column.description:
        yield f"  {column.description}"
    if column.unique:
        yield f"  - every value {_ONCE}"
    yield from (f"  - {_rule(rule, column)}" for rule in column.rules)


def _traits(column: ColumnRule) -> list[str]:
    return [
        KINDS[column.dtype].words + _SUCH_AS.get(column.dtype, ""),
        "the file must have it" if column.required else "the file may lack it",
        "a cell may be empty" if column.nullable else "no cell may be empty",
    ]


def _rule(rule: CheckRule, column: ColumnRule) -> str:
    words = in_words(rule.name, rule.statistics["pattern"]) if "pattern" in rule.statistics else rule.words
    filled = ", and not empty" if column.nullable and not rule.ignore_na else ""
    return f"{words}{filled}{f'; if not, it says: {rule.error}' if rule.error else ''}"
