"""A schema's YAML, before it means anything."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, Final

import yaml

from voicebatch.errors import UsageError

_TAB: Final = "found character '\\t' that cannot start any token"
_TAG: Final = re.compile(r"could not determine a constructor for the tag '(?:tag:yaml\.org,2002:)?(.+)'")


def read_document(text: str, name: str) -> dict[Any, Any]:
    """The mapping that this YAML is, or ``UsageError``."""
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: this is not YAML as a schema is written{_problem(error)}") from error
    if not isinstance(content, dict):
        raise UsageError(
            # What stands there instead is not shown: it may be the file of recipients.
            f"{name}: this is no schema: one begins with `columns:` and a list of names below it"
        )
    return content


class _Loader(yaml.SafeLoader):
    """YAML without what would be lost, read as something else, or grow without end.

    A key written twice, a reference (``*``) and a tag are refused. Numbers are decimal: to YAML 1.1 the postal code
    01000 would be 512, and the time 08:30 would be 510.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call] # they ship none
            problem = f"`*{event.anchor}` stands for something else: write it out"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
    if twice is not None:
        raise yaml.constructor.ConstructorError(None, None, f"`{twice}` is written twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_NUMBERS: Final = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"),
    "tag:yaml.org,2002:float": re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"),
}
_Loader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, _pattern, list("-+0123456789"))


def _problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return ": it is nested too deep"
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    words = " ".join(_words(problem).split())
    return f" (line {mark.line + 1}): {words}" if mark else f": {words}"


def _words(problem: str) -> str:
    """What PyYAML says, in a schema's terms."""
    if problem == _TAB:
        return "there is a tab: indent with spaces"
    if tag := _TAG.match(problem):
        return "`<<` is not read here: write it out" if tag[1] == "merge" else f"the tag `!!{tag[1]}` is not read here"
    return problem.replace("but found another document", "a second document begins: a schema is one")
