"""CSV, TSV and plain text, by Python's csv module: one row at a time, whatever the size of the file."""

from __future__ import annotations

import csv
import re
from functools import partial
from io import TextIOWrapper
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError, UsageError
from voicebatch.headers import phone_columns
from voicebatch.readers.blocks import Layout, read_blocks
from voicebatch.readers.encodings import detect
from voicebatch.readers.rows import Origin, Record, Request, Rows, Source, header_place, is_blank, source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_DELIMITERS_ONLY: Final = " " + "".join(_DELIMITERS)
_NO_DELIMITER: Final = "\x1f"  # csv insists on one: a character that nobody types
_END: Final = "\0"  # no text file has it: a quotation mark that is never closed swallows it
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([^\r\n])"?\s*', re.IGNORECASE)
_LINE_BREAK: Final = re.compile(r"[\r\n]")
_OTHER_DELIMITERS: Final = "^~:!#\\/§¦"
_MOST_CELLS: Final = 16_384  # of a row in any spreadsheet
_SAMPLE_LINES: Final = 500
_TOO_MANY: Final = 0.1  # a row with more cells than the header speaks for a delimiter, but not much
_SAMPLE_CHARACTERS: Final = 1 << 20
_LONGEST_LINE: Final = 1 << 22  # characters; a line of a million columns is no person's


class _Lines(TextIOWrapper):
    """A text file whose lines end where they are longer than any."""

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override] # as TextIOWrapper itself
        """The next line, or as much of it as can be looked at."""
        return super().readline(size if size is not None and size >= 0 else _LONGEST_LINE)


def open_delimited(path: Path, request: Request) -> list[Source]:
    """The one table of a text file; its encoding and delimiter are detected unless the user named them."""
    encoding = detect(path, request.encoding)
    delimiter = _delimiter(path, encoding.codec, request)
    form = f"CSV, {_shown(delimiter)}" if delimiter != _NO_DELIMITER else "one column"
    read = partial(_records, path, encoding.codec, delimiter)
    is_plain = delimiter.isascii() and delimiter not in (_NO_DELIMITER, '"')
    read_fast = partial(_read_blocks, path, encoding.codec, delimiter) if is_plain else None
    shown = f"{form}, {encoding.shown}"
    origin = Origin(codec=encoding.codec, delimiter="" if delimiter == _NO_DELIMITER else delimiter)
    return [source(str(path), shown, read, request=request, read_fast=read_fast, origin=origin)]


def _shown(delimiter: str) -> str:
    return _DELIMITERS.get(delimiter, f"“{delimiter}”")


def _option(delimiter: str) -> str:
    return "--delimiter tab" if delimiter == "\t" else f"--delimiter '{delimiter}'"


def _lines(path: Path, codec: str) -> Iterator[str]:
    with _Lines(path.open("rb"), encoding=codec, newline="") as file:
        yield file.readline().removeprefix("\ufeff")
        yield from file


def _delimiter(path: Path, codec: str, request: Request) -> str:
    sample = _sample(path, codec)
    said = _SEPARATOR_LINE.fullmatch(sample[0])
    wanted = request.delimiter if request.delimiter is not None else said and said[1]
    if not wanted and request.delimiter is None:
        return _likeliest(sample, str(path), request.phone_column)
    delimiter = _known(wanted or "")
    if not any(delimiter in line for line in sample[bool(said) :]):
        _refuse_other(delimiter, sample[bool(said) :], str(path), request)
    return delimiter


def _sample(path: Path, codec: str) -> list[str]:
    """The first lines of the file, and of those no more than can be looked at."""
    sample: list[str] = []
    for line in islice(_lines(path, codec), _SAMPLE_LINES):
        if len(line) >= _LONGEST_LINE:
            raise _too_long(path, len(sample) + 1)
        sample.append(line)
        if sum(map(len, sample)) > _SAMPLE_CHARACTERS:
            break
    return sample


def _too_long(path: Path, line: int) -> InputError:
    return InputError(
        f"{path}, row {line} is longer than {_LONGEST_LINE:,} characters",
        hint="Check that it is the right file, and its quotation marks.",
    )


def _refuse_other(delimiter: str, sample: list[str], name: str, request: Request) -> None:
    """A file of several columns without the delimiter that it is said to have is not one of one column."""
    found = _likeliest(sample, name, request.phone_column)
    if found != _NO_DELIMITER:
        raise InputError(
            f"{name} has no {_shown(delimiter)} in its first rows, but a {_shown(found)}",
            hint=f"Say which it is, as in {_option(found)}",
        )


def _known(wanted: str) -> str:
    delimiter = "\t" if wanted.lower() in {"tab", r"\t"} else wanted
    if len(delimiter) == 1 and delimiter not in '"\r\n\0':
        return delimiter
    raise UsageError(f"“{wanted}” is no delimiter", hint="Name one character, as in --delimiter ';', or tab.")


def _likeliest(sample: list[str], name: str, phone_column: str | None) -> str:
    scores = {delimiter: _score(sample, delimiter, phone_column) for delimiter in _DELIMITERS}
    best = [delimiter for delimiter, score in scores.items() if score == max(scores.values())]
    if not scores[best[0]]:
        return _only_column(sample, name, phone_column)
    if len(best) > 1:
        raise InputError(
            f"{name}: the delimiter may be any of {', '.join(map(_shown, best))}",
            hint=f"Say which it is, as in {_option(best[0])}",
        )
    return best[0]


def _only_column(sample: list[str], name: str, phone_column: str | None) -> str:
    """No delimiter, unless another character stands between a phone column's name and others."""
    for delimiter in _OTHER_DELIMITERS:
        rows = [line.strip("\r\n").split(delimiter) for line in sample if line.strip()]
        if len({*map(len, rows)}) == 1 < len(rows[0]) and (phone_columns(rows[0]) or phone_column in rows[0]):
            raise InputError(
                f"{name}: {_shown(delimiter)} seems to stand between the columns",
                hint=f"Say so: {_option(delimiter)}",
            )
    return _NO_DELIMITER


def _score(sample: list[str], delimiter: str, phone_column: str | None) -> float:
    """How many columns the delimiter gives, times the share of rows that it splits into so many at most."""
    try:
        rows = [row for row in csv.reader(sample, delimiter=delimiter) if not is_blank(row)]
    except csv.Error:
        return 0
    if not rows:
        return 0
    place = header_place(rows, phone_column)
    columns = len(rows[place])
    below = [_fits(row, columns) for row in rows[place + 1 :]] or [1.0]
    return (columns - 1) * sum(below) / len(below)


def _fits(row: list[str], columns: int) -> float:
    if len(row) == 1:
        return 0.0
    return 1.0 if is_blank(row[columns:]) else _TOO_MANY


def _records(path: Path, codec: str, delimiter: str) -> Iterator[Record]:
    lines = _lines(path, codec)
    first = next(lines)
    if _SEPARATOR_LINE.fullmatch(first):  # no row: Excel does not show it
        first = next(lines, "")
    yield from _by_csv(chain([first], lines), 0, path=path, delimiter=delimiter)


def _by_csv(lines: Iterable[str], number: int, *, path: Path, delimiter: str, width: int = 0) -> Iterator[Record]:
    """The rows of these lines, numbered after ``number``. A whole one has ``width`` cells, or as many as the first."""
    raw: list[str] = []
    reader = csv.reader(_kept(chain(lines, [_END]), raw), delimiter=delimiter)
    while (cells := _next(reader, path, number + 1)) != [_END]:
        number += 1
        if max(map(len, raw)) >= _LONGEST_LINE:
            raise _too_long(path, number)
        if len(cells) > _MOST_CELLS and not is_blank(cells[_MOST_CELLS:]):
            raise _too_wide(path, number, len(cells))
        width = width or len(cells)
        if delimiter == _NO_DELIMITER and not "".join(cells).strip(_DELIMITERS_ONLY):
            cells = []
        yield number, cells, _swallowing(raw, cells, width, delimiter) if len(raw) > 1 else ""
        raw.clear()


def _too_wide(path: Path, number: int, cells: int) -> InputError:
    return InputError(
        f"{path}, row {number} has {cells:,} cells, more than any spreadsheet",
        hint="Check that it is the right file, and --delimiter if you gave one.",
    )


def _read_blocks(path: Path, codec: str, delimiter: str, header: tuple[str, ...], width: int) -> Iterator[Rows]:
    explain = partial(_by_csv, path=path, delimiter=delimiter, width=width)
    layout = Layout(delimiter=delimiter, width=width, header=header, explain=explain)
    with _Lines(path.open("rb"), encoding=codec, newline="") as file:
        first = file.readline().removeprefix("\ufeff")
        begun = "" if _SEPARATOR_LINE.fullmatch(first) else first
        yield from read_blocks(file, layout, begun=begun)


def _kept(lines: Iterable[str], raw: list[str]) -> Iterator[str]:
    """The lines; those of the row that is being read are in ``raw``."""
    for line in lines:
        raw.append(line)
        yield line


def _next(reader: Iterator[list[str]], path: Path, number: int) -> list[str]:
    try:
        cells = next(reader)
    except csv.Error as error:
        raise InputError(
            f"{path}, row {number} cannot be read ({error}): is a quotation mark never closed?",
            hint=f"Look at the quotation marks in row {number}.",
        ) from error
    if cells and cells != [_END] and cells[-1].endswith(_END):
        raise InputError(
            f"{path}, row {number}: a quotation mark opens a cell that never ends, and hides every row below",
            hint=f"Close or remove the quotation mark in row {number}.",
        )
    return cells


def _swallowing(raw: list[str], cells: list[str], width: int, delimiter: str) -> str:
    """What is wrong with a row of several lines, when a stray quotation mark made one row of them."""
    crowded = len(cells) < width and any(delimiter in cell and _LINE_BREAK.search(cell) for cell in cells)
    if is_blank(cells[width:]) and not crowded and _is_strict(raw, delimiter):
        return ""
    return (
        f"the row goes on over {len(raw)} lines and has {len(cells)} cells, the header {width}: "
        "a stray quotation mark in it seems to hide the rows below"
    )


def _is_strict(raw: list[str], delimiter: str) -> bool:
    try:
        return bool(list(csv.reader(raw, delimiter=delimiter, strict=True)))
    except csv.Error:
        return False
