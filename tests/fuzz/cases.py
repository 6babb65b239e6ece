"""One input of the fuzzer: decided by its number alone, and written down so that it can be kept."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz import mutating, tokens

SEEDS: Final = Path(__file__).parent / "seeds"
KEPT: Final = Path(__file__).parent / "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a target is given: a file's content and ending, and options by their names."""

    target: str
    suffix: str
    content: bytes
    options: Mapping[str, Any] = field(default_factory=dict)

    def dumps(self) -> str:
        """As JSON."""
        said = {**asdict(self), "content": base64.b64encode(self.content).decode()}
        return json.dumps(said, indent=1, sort_keys=True) + "\n"

    @classmethod
    def loads(cls, text: str) -> Case:
        """The case that ``dumps`` wrote."""
        said = json.loads(text)
        return cls(**{**said, "content": base64.b64decode(said["content"])})


def make_case(number: int) -> Case:
    """The input of this number."""
    rng = Random(number)  # noqa: S311 # the same every time
    target = rng.choices(tuple(_MAKE), [share for share, _ in _MAKE.values()])[0]
    return _MAKE[target][1](rng, target)


# Files


@cache
def _texts(folder: str) -> tuple[tuple[str, str], ...]:
    """The ending and the text of each seed in a folder, from whichever encoding it is in."""
    return tuple((path.suffix, _decoded(path.read_bytes())) for path in sorted((SEEDS / folder).iterdir()))


def _decoded(content: bytes) -> str:
    for encoding in ("utf-16",) if content[:2] == b"\xff\xfe" else ("utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


@cache
def _files(folder: str) -> tuple[tuple[str, bytes], ...]:
    return tuple((path.suffix, path.read_bytes()) for path in sorted((SEEDS / folder).iterdir()))


@cache
def _parts(content: bytes) -> Mapping[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        return {name: book.read(name).decode() for name in book.namelist()}


def _text_file(rng: Random, folder: str = "text") -> tuple[str, bytes]:
    suffix, text = rng.choice(_texts(folder))
    others = [text for _, text in _texts(folder)]
    if rng.random() < 0.15:
        text = mutating.other_numbers(rng, text)
    text = mutating.damaged(rng, text, tokens.TEXT, others)
    content = text.encode(rng.choice(tokens.WRITTEN_IN), errors="replace")
    if rng.random() < 0.15:
        content = mutating.damaged(rng, content, tokens.BYTES, [content])
    return suffix if rng.random() < 0.97 else rng.choice(tokens.SUFFIXES), content


def _workbook(rng: Random) -> tuple[str, bytes]:
    suffix, content = rng.choice(_files("workbooks"))
    if suffix == ".xls":
        return suffix, mutating.damaged_xls(rng, content)
    if suffix == ".ods":
        return suffix, mutating.damaged_zip(rng, _parts(content), tokens.ODS, tokens.VALUES)
    return suffix, mutating.damaged_zip(rng, _parts(content), tokens.XLSX, tokens.VALUES)


def _parquet(rng: Random) -> tuple[str, bytes]:
    content = rng.choice(_files("parquet"))[1] if rng.random() < 0.5 else _a_table(rng)
    return ".parquet", content if rng.random() < 0.3 else mutating.damaged_parquet(rng, content)


def _a_table(rng: Random) -> bytes:
    """A Parquet file of columns of any type."""
    rows = rng.choice((1, 2, 3, 30))
    columns = {"tel": pa.array([rng.choice(tokens.CELLS) for _ in range(rows)])}
    for _ in range(rng.randrange(4)):
        kind, values = rng.choice(tokens.ARROW)
        column = pa.array([rng.choice(values) for _ in range(rows)], kind)
        columns[rng.choice(tokens.HEADERS)] = (
            column.dictionary_encode() if pa.types.is_primitive(kind) and rng.random() < 0.2 else column
        )
    made = io.BytesIO()
    pq.write_table(pa.table(columns), made, compression=rng.choice(("none", "none", "snappy", "zstd")))
    return made.getvalue()


def _any_file(rng: Random) -> tuple[str, bytes]:
    how = rng.random()
    return _text_file(rng) if how < 0.6 else _workbook(rng) if how < 0.85 else _parquet(rng)


# Cases


def _seldom(rng: Random, **values: tuple[Any, ...]) -> dict[str, Any]:
    """Of each option mostly nothing, else one of its values."""
    return {name: rng.choice(some) for name, some in values.items() if rng.random() < 0.03}


def _how_to_read(rng: Random) -> dict[str, Any]:
    return _seldom(
        rng,
        phone_column=tokens.NAMES,
        sheet=tokens.SHEETS,
        delimiter=tokens.DELIMITERS,
        encoding=tokens.ENCODINGS,
    )


def _read(make: Callable[[Random], tuple[str, bytes]]) -> Callable[[Random, str], Case]:
    def case(rng: Random, target: str) -> Case:
        suffix, content = make(rng)
        options = {**_how_to_read(rng), **_seldom(rng, has_header=(False, None))}
        return Case(target=target, suffix=suffix, content=content, options=options)

    return case


def _opt_outs(rng: Random, target: str) -> Case:
    suffix, content = _text_file(rng, "opt_outs") if rng.random() < 0.8 else _any_file(rng)
    return Case(target=target, suffix=suffix, content=content, options={"region": rng.choice(tokens.REGIONS)})


def _taken_in(rng: Random, target: str) -> Case:
    suffix, content = _any_file(rng)
    options = _how_to_read(rng) | _seldom(rng, include_hidden=(True,), region=tokens.REGIONS, extra_lang=(["xx"],))
    options["max_invalid"] = rng.choice(("100%", "100%", "5%", "1"))
    if rng.random() < 0.2:
        options["schema"] = _damaged_text(rng, "schemas", tokens.YAML)
    if target == "plan":
        plain = rng.choice(("Bonjour", "Bonjour", "Bonjour {{ row }}", "{{ nom }}", "{{ tel }}"))
        options["text"] = plain if rng.random() < 0.7 else _damaged_text(rng, "templates", tokens.JINJA)
        options |= _seldom(rng, limit=(1, 0, 10**30), batch_size=(1, 2, 501), lang=("en", "", "zz"))
        if rng.random() < 0.15:
            suppress = _text_file(rng, "opt_outs")[1]
            options["suppress"] = base64.b64encode(suppress).decode()
    return Case(target=target, suffix=suffix, content=content, options=options)


def _damaged_text(rng: Random, folder: str, some: tuple[str, ...]) -> str:
    texts = [text for _, text in _texts(folder)]
    text = rng.choice(texts)
    if folder == "schemas" and rng.random() < 0.6:
        return mutating.damaged_lines(rng, text, texts)
    return mutating.damaged(rng, mutating.other_numbers(rng, text) if rng.random() < 0.3 else text, some, texts)


def _written(folder: str, some: tuple[str, ...]) -> Callable[[Random, str], Case]:
    def case(rng: Random, target: str) -> Case:
        content = _damaged_text(rng, folder, some).encode(errors="replace")
        return Case(target=target, suffix=".txt", content=content, options={"seed": rng.randrange(1000)})

    return case


def _phones(rng: Random, target: str) -> Case:
    begun = [rng.choice(tokens.CELLS if rng.random() < 0.5 else tokens.NUMBERS) for _ in range(3)]
    cells = [mutating.damaged(rng, cell, tokens.CELLS, tokens.CELLS) for cell in begun]
    content = json.dumps([rng.choice(cells)[:300] for _ in range(rng.choice((1, 2, 5)))]).encode()
    return Case(target=target, suffix=".json", content=content, options={"region": rng.choice(tokens.REGIONS)})


_MAKE: Final[Mapping[str, tuple[int, Callable[[Random, str], Case]]]] = {
    "text": (22, _read(_text_file)),
    "workbook": (7, _read(_workbook)),
    "parquet": (8, _read(_parquet)),
    "opt_outs": (2, _opt_outs),
    "validate": (1, _taken_in),
    "annotate": (1, _taken_in),
    "plan": (1, _taken_in),
    "schema": (17, _written("schemas", tokens.YAML)),
    "template": (20, _written("templates", tokens.JINJA)),
    "phones": (21, _phones),
}
"""How many in a hundred inputs each target gets, and how one is made."""
