"""A schema for people who don't read YAML."""

from __future__ import annotations

from collections.abc import Iterator

from voicebatch.validation.cells import KINDS
from voicebatch.validation.rules import ColumnRule, Schema


def explain(schema: Schema) -> list[str]:
    """The schema in plain words, a line for each column and one for each rule."""
    return [
        schema.title or schema.name,
        *filter(None, [schema.description]),
        *(line for name, column in schema.columns.items() for line in _column(name, column)),
        "",
        *(f"{' and '.join(group)} together: only once in the file" for group in schema.unique),
        "Other columns are refused." if schema.strict else "Other columns are let pass.",
    ]


def _column(name: str, column: ColumnRule) -> Iterator[str]:
    yield ""
    yield f"{name}{f' ({column.title})' if column.title else ''}: {', '.join(_traits(column))}"
    if column.description:
        yield f"  {column.description}"
    yield from (f"  - {rule.words}" for rule in column.rules)


def _traits(column: ColumnRule) -> list[str]:
    return [
        KINDS[column.dtype].words,
        "the file must have it" if column.required else "optional",
        "a cell may be empty" if column.nullable else "no cell may be empty",
        *(["every value only once in the file"] if column.unique else []),
    ]
