"""Files as rows of text, whatever their format. A new format is a file here and a line in ``READERS``."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError, NoSuchFileError, UsageError
from voicebatch.readers import parquet
from voicebatch.readers.delimited import open_delimited
from voicebatch.readers.parquet import open_parquet
from voicebatch.readers.rows import Reader, Request, Rows, Source, readable
from voicebatch.readers.workbook import open_workbook

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Rows", "Source", "open_sources", "sha256"]

READERS: Final[dict[str, Reader]] = {
    ".csv": open_delimited,
    ".tsv": open_delimited,
    ".txt": open_delimited,
    ".xlsx": open_workbook,
    ".xlsm": open_workbook,
    ".xls": open_workbook,
    ".ods": open_workbook,
    ".parquet": open_parquet,
}
"""The reader of a file by its ending, in lower case, where its first bytes do not tell."""

_BY_CONTENT: Final[dict[bytes, Reader]] = {
    b"PK\x03\x04": open_workbook,  # .xlsx and .ods are zip files
    b"\xd0\xcf\x11\xe0": open_workbook,  # .xls is an OLE file
    parquet.MAGIC: open_parquet,
}
"""The reader of a file by its first four bytes, whatever its ending."""

_NO_TABLES: Final = {
    b"\x1f\x8b": "compressed",
    b"7z\xbc\xaf": "compressed",
    b"Rar!": "compressed",
    b"%PDF": "a PDF",
    b"{\rtf": "a text document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
"""What people give by mistake, by its first bytes."""

_HEAD_BYTES: Final = 1024
_WEB_PAGE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|meta|table|style|\?xml|!--)", re.IGNORECASE
)
_TEXT: Final = re.compile(rb"(?:\xef\xbb\xbf)?[^\0-\x08]+|(?:\xff\xfe|\xfe\xff).*", re.DOTALL)


def open_sources(
    path: Path,
    *,
    phone_column: str | None = None,
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    has_header: bool | None = True,
    every_sheet: bool = False,
) -> list[Source]:
    """The tables of a file or of a Parquet folder, opened: their headers are known, their rows not yet read.

    Lines of a title above the header are no rows: the header is known by its phone column, ``phone_column`` or a usual
    name.

    ``has_header`` False: the first row is data, and the columns are ``column A``, ``column B`` and so on;
    None: it is a header unless it holds a number. Parquet always has one. ``every_sheet``: of a workbook all that have
    rows, hidden ones too.

    Raises ``UsageError`` when there is no such file, and ``InputError`` for everything about its contents,
    here or while its rows are read.
    """
    _refuse_missing(path)
    request = Request(
        phone_column=phone_column,
        sheet=sheet,
        delimiter=delimiter,
        encoding=encoding,
        has_header=has_header,
        every_sheet=every_sheet,
    )
    with readable(str(path)):
        return _reader(path)(path, request)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes; of a folder, that of its data files' relative paths and hashes."""
    _refuse_missing(path)
    with readable(str(path)):
        if not path.is_dir():
            return _file_hash(path)
        lines = (f"{_file_hash(part)}  {part.relative_to(path).as_posix()}\n" for part in parquet.parts(path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _refuse_missing(path: Path) -> None:
    try:
        if path.is_file() or path.is_dir():
            return
        there = path.exists()
    except OSError as error:  # a name that is too long
        raise UsageError(f"There can be no file {path}: {error.strerror}.", hint="Check the path.") from error
    except ValueError as error:  # a name with a NUL
        raise UsageError(f"There can be no file {str(path)!r}: {error}.", hint="Check the path.") from error
    if there:
        raise UsageError(
            f"{path} is a pipe or a device, no file: it could not be read twice.",
            hint="Write what comes out of it into a file, and give that.",
        )
    raise NoSuchFileError(f"There is no file {path}", hint="Check the path.")


def _reader(path: Path) -> Reader:
    if path.is_dir():
        return open_parquet
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    _refuse_other_kinds(path, head)
    if reader := _BY_CONTENT.get(head[:4]):
        return reader
    reader = READERS.get(path.suffix.lower(), open_delimited)
    # Many a program that "exports to Excel" writes text and calls it .xls.
    return open_delimited if reader is open_workbook and _TEXT.fullmatch(head) else reader


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    kind = next((kind for mark, kind in _NO_TABLES.items() if head.startswith(mark)), None)
    if _WEB_PAGE.match(head):
        kind = "a web page or XML"
    if kind:
        raise InputError(
            f"{path} is {kind}, and no table that can be read",
            hint="Unpack it first."
            if kind == "compressed"
            else "Open it in a spreadsheet program and save it as .xlsx or CSV.",
        )


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
