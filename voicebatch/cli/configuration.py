"""``voicebatch.toml``: options by their long names, for every command or in a table named after one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from voicebatch.errors import UsageError


def read(path: str, commands: Iterable[str]) -> dict[str, Any]:
    """click's default map. Raises ``UsageError`` for a file that is no TOML, or that holds the API key."""
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    tables = {name: table for name, table in content.items() if isinstance(table, dict)}
    shared = {name: value for name, value in content.items() if name not in tables}
    _refuse_secrets(path, [*shared, *(name for table in tables.values() for name in table)])
    return {name: _options({**shared, **tables.get(name, {})}) for name in commands}


def _options(values: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in values.items()}


def _refuse_secrets(path: str, names: Iterable[str]) -> None:
    if any(name.replace("-", "_") == "api_key" for name in names):
        raise UsageError(f"{path} holds an API key.", hint="Keep it in VOICEBATCH_API_KEY, a file or the keyring.")
