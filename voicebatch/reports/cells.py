"""CSV files that a spreadsheet can open without harm, written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, Final

from voicebatch.errors import UsageError

# A byte order mark, a zero-width space, a NUL may be dropped on the way in; to some locales full-width signs are signs.
_FORMULA: Final = re.compile(r"[\s\x00\xad\u180e\u200b-\u200f\u2060-\u2064\ufeff]*[=+\-@\t\r＝＋－＠]")
_SPECIAL: Final = re.compile(r'[",\r\n]')
_PLAIN_NUMBER: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?")


_ABANDONED_SECONDS: Final = 600.0  # without a byte more: nobody is writing it, on whatever host


def harmless(text: str) -> str:
    """A cell that a spreadsheet would run as a formula gets a leading apostrophe; a plain number stays as it is."""
    if text[:1].isalnum() or not _FORMULA.match(text) or _PLAIN_NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def csv_bytes(header: Sequence[str], lines: Iterable[Sequence[object]]) -> bytes:
    """RFC 4180 in UTF-8: commas, CRLF, quotes where needed; ``None`` is an empty cell."""
    content = BytesIO()
    with TextIOWrapper(content, encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([harmless(name) for name in header])
        writer.writerows(harmless_line(line) for line in lines)
        file.flush()
        return content.getvalue()


def partial_of(path: Path) -> Path:
    """Where a file grows until it is whole: each process has its own, for several may report one run."""
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Writes a whole CSV file: a reader sees the old one or the new one."""
    write_bytes(path, csv_bytes(header, lines))


def csv_lines(columns: Sequence[Any]) -> memoryview:
    """Lines of CSV from Arrow columns. A null is an empty cell.

    What is not known to be a word or a number must be a ``text_column`` already.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    comma, end, nothing = (pa.scalar(text, pa.large_string()) for text in (",", "\r\n", ""))
    *cells, last = [column.cast(pa.large_string()) for column in columns]
    filled = pc.JoinOptions(null_handling="replace", null_replacement="")
    ending = pc.binary_join_element_wise(last, nothing, end, options=filled)
    lines = pc.binary_join_element_wise(*cells, ending, comma, options=filled)
    _, offsets, texts = lines.buffers()
    ends = memoryview(offsets).cast("q")  # the texts of an Arrow column stand one behind the other
    return memoryview(texts)[ends[lines.offset] : ends[lines.offset + len(lines)]]


def text_column(cells: Any) -> Any:
    """An Arrow column of texts as cells of CSV (RFC 4180): ``harmless``, in quotation marks where they are needed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.max(pc.binary_length(cells)).as_py():
        return cells  # all are empty
    doubtful = pc.fill_null(pc.match_substring_regex(cells, r'^[^0-9A-Za-z]|[",\r\n]'), False)  # noqa: FBT003
    mended = [_in_quotes(harmless(cell)) for cell in cells.filter(doubtful).to_pylist()]
    return pc.replace_with_mask(cells, doubtful, pa.array(mended, cells.type))


def _in_quotes(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _SPECIAL.search(cell) else cell


def make_folder(folder: Path) -> None:
    """Makes the folder of a run's documents; before anything is sent, because afterwards is too late to find out.

    And removes what a process that was killed left half written there. Raises ``UsageError`` when the folder cannot be
    written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        _remove_abandoned(folder)
    except OSError as error:
        raise UsageError(
            f"The reports cannot be written to {folder}: {error.strerror}.", hint="Name another folder: --out DIR"
        ) from error


def _remove_abandoned(folder: Path) -> None:
    for partial in folder.glob("*.partial"):
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            if partial.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                partial.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file: a reader sees the old one or the new one."""
    write_blocks(path, [content])


def write_blocks(path: Path, blocks: Iterable[bytes | memoryview]) -> None:
    """The same of what need not be in memory all at once."""
    partial = partial_of(path)
    with partial.open("wb") as file:
        file.writelines(blocks)
    partial.replace(path)


def harmless_line(line: Iterable[object]) -> list[str]:
    """A line of cells that somebody else wrote; ``None`` is an empty cell."""
    return ["" if value is None else harmless(str(value)) for value in line]
