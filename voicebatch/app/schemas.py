"""The schema that the input has to meet: the user's, the packaged one, or a first one from the files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from voicebatch.app.options import OnProgress, Paths, input_options, paths_of
from voicebatch.errors import UsageError
from voicebatch.headers import column

if TYPE_CHECKING:
    from voicebatch.pipeline.inferring import Inferred
    from voicebatch.validation import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSchema:
    """A schema, and the file that it came from."""

    schema: Schema
    text: str

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_schema(path: Path | None) -> LoadedSchema:
    """A user's schema, or the packaged ``recipients.yaml``. Raises ``UsageError`` for one that cannot be used."""
    source = path or packaged_schema("recipients")
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"The schema {source} cannot be read: {error}.", hint="Check the path.") from error
    from voicebatch.validation import load_schema

    return LoadedSchema(schema=load_schema(text, name=str(path) if path else "recipients.yaml"), text=text)


def with_settings(schema: Schema) -> Schema:
    """With the packaged rules of the columns that are a row's own settings, whatever it says of them: they are sent."""
    ours = read_schema(None).schema
    columns = dict(schema.columns)
    for name in (one for one in ours.columns if one != ours.phone_column):
        theirs = column(list(columns), name)
        if theirs is None and not schema.strict:
            columns[name] = ours.columns[name]
        elif theirs and columns[theirs].dtype == "text":
            known = {rule.name for rule in columns[theirs].rules}
            more = tuple(rule for rule in ours.columns[name].rules if rule.name not in known)
            columns[theirs] = replace(columns[theirs], rules=(*columns[theirs].rules, *more))
    return replace(schema, columns=columns)


def packaged_schema(name: str) -> Path:
    """A schema that comes with voicebatch: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parent.parent
    inside = here / "schemas" / f"{name}.yaml"
    return inside if inside.exists() else here.parent / "schemas" / f"{name}.yaml"


def infer_schema(
    files: Paths,
    *,
    region: str,
    phone_column: str | None,
    sheet: str | None,
    delimiter: str | None,
    encoding: str | None,
    include_hidden: bool,
    on_progress: OnProgress,
) -> Inferred:
    """A first schema from what the files hold."""
    from voicebatch.pipeline.inferring import infer

    inputs = input_options(None, region, phone_column, sheet, delimiter, encoding, include_hidden=include_hidden)
    return infer(paths_of(files), inputs=inputs, on_progress=on_progress)
