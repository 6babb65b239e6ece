"""A key that is found wherever it went, and who looks for it: in every byte, whatever is packed unpacked."""

from __future__ import annotations

import base64
import html
import io
import json
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import psycopg
import pyarrow.parquet as pq

WORDS: Final = ("zq7head4", "core9f3c1d", "tail8w2x")
"""They come through every spelling as they are, so a part of the key is found as well."""
KEY: Final = f"{WORDS[0]}'\"/é +ü{WORDS[1]}\\%4&<{WORDS[2]}"

SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "as it is": str,
    "JSON": lambda key: json.dumps(key, ensure_ascii=False)[1:-1],
    "JSON in ASCII": lambda key: json.dumps(key)[1:-1],
    "JSON in JSON": lambda key: json.dumps(json.dumps(key))[3:-3],
    "PHP": lambda key: json.dumps(key)[1:-1].replace("/", r"\/"),
    "PHP, JSON_HEX": lambda key: "".join(
        one if one.isalnum() and one.isascii() else f"\\u{ord(one):04X}" for one in key
    ),
    "address": lambda key: quote(key, safe=""),
    "address in lower case": lambda key: "".join(
        one if one.isalnum() and one.isascii() else quote(one, safe="").lower() for one in key
    ),
    "address in Latin-1": lambda key: quote(key, safe="", encoding="latin-1"),
    "address with slashes": quote,
    "address in an address": lambda key: quote(quote(key, safe=""), safe=""),
    "form": quote_plus,
    "page": html.escape,
    "page of PHP": lambda key: html.escape(key).replace("&#x27;", "&#039;"),
    "page with names": lambda key: html.escape(key).replace("é", "&eacute;").replace("ü", "&uuml;"),
    "page with figures": lambda key: "".join(
        one if one.isalnum() and one.isascii() else f"&#{ord(one)};" for one in key
    ),
}
"""What a provider makes of the key that it was sent, and of its address."""

ENCODINGS: Final[Mapping[str, Callable[[str], bytes]]] = {
    "base64": lambda key: base64.b64encode(key.encode()),
    "base64, one byte on": lambda key: base64.b64encode(b":" + key.encode()),
    "base64, two bytes on": lambda key: base64.b64encode(b"::" + key.encode()),
    "base64 of addresses": lambda key: base64.urlsafe_b64encode(key.encode()),
    "hexadecimal": lambda key: key.encode().hex().encode(),
    "UTF-16": lambda key: key.encode("utf-16-le"),
    "Latin-1": lambda key: key.encode("latin-1"),
}
"""What somebody could make of it on the way to a file."""


def traces(content: bytes, words: tuple[str, ...] = WORDS) -> list[str]:
    """What of the key is in there."""
    lower, raw = _needles(words)
    lowered = content.lower()
    return sorted({word for word, needle in lower if needle in lowered} | {word for word, one in raw if one in content})


@cache
def _needles(words: tuple[str, ...]) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """In lower case, and as they are."""
    lower = [(word, form) for word in words for form in _forms(word.lower())]
    return lower, [(word, form) for word in words for form in _base64_forms(word)]


def _forms(word: str) -> Iterator[bytes]:
    yield word.encode()
    yield word.encode().hex().encode()
    yield word.encode("utf-16-le")


def _base64_forms(word: str) -> Iterator[bytes]:
    """The characters that depend on the word alone, wherever in a text it stands."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + word.encode())
        whole = (before + len(word)) // 3 * 4
        yield encoded[-(-before * 4 // 3) : whole]


def leaks(home: Path, said: Mapping[str, str | bytes] | None = None, *, words: tuple[str, ...] = WORDS) -> list[str]:
    """Every place below the folder, and in what was said, where something of the key is; and what."""
    spoken = ((name, text.encode() if isinstance(text, str) else text) for name, text in (said or {}).items())
    return [f"{place}: {found}" for place, content in [*spoken, *_files(home)] if (found := traces(content, words))]


def _files(home: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        content = path.read_bytes()
        name = str(path.relative_to(home))
        yield "a name", name.encode()
        yield name, content
        yield from ((f"{name}, unpacked", unpacked) for unpacked in _unpacked(path, content))


def _unpacked(path: Path, content: bytes) -> Iterator[bytes]:
    if content.startswith(b"PAR1"):
        yield repr(pq.read_table(path).to_pydict()).encode()
        yield repr(pq.read_metadata(path).metadata).encode()
    elif content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            yield from (package.read(name) for name in package.namelist())
    elif content.startswith(b"SQLite format 3\0"):
        yield from _rows_of_sqlite(path)


def _rows_of_sqlite(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            yield b"\n".join(_values(connection.execute(f'SELECT * FROM "{table}"')))  # noqa: S608 # our own names


def rows_of_postgresql(url: str) -> dict[str, bytes]:
    """Every value of every table of a database."""
    with psycopg.connect(url) as connection:
        names = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        tables = [str(name) for (name,) in connection.execute(names)]
        assert tables
        return {
            table: b"\n".join(_values(connection.execute(f'SELECT * FROM "{table}"'.encode())))  # noqa: S608
            for table in tables
        }


def _values(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    for row in rows:
        for value in row:
            content = value if isinstance(value, bytes) else str(value).encode()
            yield content
            with suppress(zlib.error):
                yield zlib.decompress(content)
