"""A schema's YAML, before it means anything."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from voicebatch.errors import UsageError


def read_document(text: str, name: str) -> dict[Any, Any]:
    """The mapping that this YAML is, or ``UsageError``."""
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 # a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{name}: this is not YAML: {_problem(error)}") from error
    if not isinstance(content, dict):
        raise UsageError(
            # What stands there instead is not shown: it may be the file of recipients.
            f"{name}: this is no schema: one begins with `columns:` and a list of names below it"
        )
    return content


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key written twice: the first would be lost in silence."""


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
    if twice is not None:
        raise yaml.constructor.ConstructorError(None, None, f"`{twice}` is written twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)


def _problem(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    return f"{problem} in line {mark.line + 1}" if mark else problem
