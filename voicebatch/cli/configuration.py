"""``voicebatch.toml``: options by their long names, for every command or in a table named after one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from voicebatch.errors import UsageError


def read(path: str, commands: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """click's default map. ``commands`` has each command's options: names in the file, and of their parameters.

    Raises ``UsageError`` for a file that is no TOML, or that holds the API key or a name that is no option.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    tables = {name: table for name, table in content.items() if isinstance(table, dict)}
    shared = {name: value for name, value in content.items() if name not in tables}
    _refuse_secrets(path, [*shared, *(name for table in tables.values() for name in table)])
    _refuse_strangers(path, "a command", tables, commands)
    _refuse_strangers(path, "an option", shared, {name for options in commands.values() for name in options})
    for command, table in tables.items():
        _refuse_strangers(path, f"an option of {command}", table, commands[command])
    return {name: _defaults({**shared, **tables.get(name, {})}, options) for name, options in commands.items()}


def _defaults(values: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    named = {name.replace("-", "_"): value for name, value in values.items()}
    return {options[name]: value for name, value in named.items() if name in options}


def _refuse_strangers(path: str, kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """A misspelt ``max-cost`` would be a ceiling that is not there."""
    known = {name.replace("_", "-") for name in known}
    for name in names:
        if name.replace("_", "-") not in known:
            raise UsageError(f"{path}: {name!r} is not {kind}.", hint=f"There are: {', '.join(sorted(known))}")


def _refuse_secrets(path: str, names: Iterable[str]) -> None:
    if any(name.replace("-", "_") == "api_key" for name in names):
        raise UsageError(f"{path} holds an API key.", hint="Keep it in VOICEBATCH_API_KEY, a file or the keyring.")
