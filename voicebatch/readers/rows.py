"""Rows as every reader delivers them: text cells in record batches, with the numbers a spreadsheet shows."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch import settings
from voicebatch.errors import InputError, NothingToSendError
from voicebatch.headers import NOTHING, column, phone_columns, unique_header
from voicebatch.readers.hidden import Hidden

Cells = Sequence[str | None]
Record = tuple[int, Cells, str]
"""A row's number, its cells, and what is wrong with its shape ("" for nothing)."""

_DIGITS_OF_A_NUMBER: Final = 6
FIRST_ROWS: Final = 21
"""Among so many rows that are not blank is the header, if lines of a title stand above it."""

_PIECE_ROWS: Final = 2048  # turned into columns at a time: as many as the processor's cache holds
_PIECE_CHARACTERS: Final = 1 << 23
_MOST_BLANK: Final = 1_048_576  # rows: as many as a sheet has
_NULL: Final = r"\N"  # how PostgreSQL and MySQL write nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some rows of a source, in their order.

    ``numbers`` are as a spreadsheet shows them. ``cells`` has one text column per header of the source; an
    empty cell is null, and so is one of white space only; other text is untouched. ``faults`` says, by row
    number, what is wrong with a row's shape; such a row is there all the same. ``share`` is how much of the source is
    read with these rows, between 0 and 1; 0 when that is not known.
    """

    numbers: npt.NDArray[np.int64]
    cells: pa.RecordBatch
    faults: Mapping[int, str]
    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a table stands in its file, for who makes a copy of the file.

    Of text, its ``codec`` and ``delimiter``; of a workbook, the ``sheet``. ``header_row`` is the header's number.
    """

    codec: str = ""
    delimiter: str = ""
    sheet: str = ""
    header_row: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One table of one file. ``name`` is its path as the user wrote it, ``form`` what was detected.

    ``hidden`` is what its user does not see; it is read like everything else.
    """

    name: str
    form: str
    header: tuple[str, ...]
    hidden: Hidden = field(default_factory=Hidden)
    origin: Origin = field(default_factory=Origin)
    read: Callable[[], Iterator[Rows]] = field(repr=False, compare=False)

    def batches(self) -> Iterator[Rows]:
        """The rows, at most ``settings.BATCH_ROWS`` at a time; each call reads the file again.

        Raises ``InputError`` when the file turns out to be broken further down.
        """
        with readable(self.name):
            yield from self.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the caller knows of a file. ``has_header`` None: the first row is one unless it holds a number."""

    phone_column: str | None = None
    sheet: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    has_header: bool | None = True
    every_sheet: bool = False


Reader = Callable[[Path, Request], list[Source]]

ReadFast = Callable[[tuple[str, ...], int], Iterator[Rows]]
"""Gets the header and the number of cells of its row; gives the rows from the file's first on."""


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turns what the operating system and the decoder say about a file into an ``InputError``."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{name} cannot be read: {error.strerror or error}", hint="Check the file and its permissions."
        ) from error
    except UnicodeError as error:
        raise InputError(
            f"{name} is not all in one encoding",
            hint="Say which it is in: --encoding NAME, or save it as UTF-8.",
        ) from error
    except MemoryError as error:
        raise InputError(
            f"{name} needs more memory than there is", hint="Check that it is the right file, or split it."
        ) from error


def source(
    name: str,
    form: str,
    read: Callable[[], Iterator[Record]],
    *,
    request: Request,
    read_fast: ReadFast | None = None,
    hidden: Hidden | None = None,
    origin: Origin | None = None,
) -> Source:
    """A source from records, which ``read`` begins afresh at each call.

    ``read_fast`` gives the same rows for a header, faster. Raises ``InputError`` when there is no header, or no row
    below.
    """
    records, seen = _first_rows(read, name), list[Record]()
    if not (begin := next(records, None)):
        raise InputError(f"{name} is empty", hint="Check that it is the right file.")
    place = 0
    if request.has_header is not False:
        place = header_place(_cells_kept(chain([begin], records), seen), request.phone_column)
    number, first, _ = seen[place] if seen else begin
    titled = place > 0 or not _holds_number(first) if request.has_header is None else request.has_header
    if titled and len(seen) == place + 1 and next(records, None) is None:
        raise no_rows(name)
    width = _width(first, read, titled=titled)
    header = unique_header(first[:width] if titled else [None] * width)
    if titled and read_fast:
        read_rows = partial(_below, read_fast, header, len(first), number)
    else:
        read_rows = partial(_batches, read, header, number if titled else 0)
    form = f"{form}, header in row {number}" if place else form
    return Source(
        name=name,
        form=form,
        header=header,
        hidden=hidden or Hidden(),
        origin=replace(origin or Origin(), header_row=number if titled else 0),
        read=read_rows,
    )


def _cells_kept(records: Iterable[Record], seen: list[Record]) -> Iterator[Cells]:
    for record in records:
        seen.append(record)
        yield record[1]


def header_place(rows: Iterable[Cells], phone_column: str | None) -> int:
    """Which of a file's first rows is the header: the first, unless that is a title above it.

    A header names a phone column and holds no number itself. It has more cells than any line of the title, or else its
    phone column has numbers below it, and none above.
    """
    rest = islice(rows, FIRST_ROWS)
    first = next(rest, ())
    if _is_header(first, phone_column):  # then nothing more is read
        return 0
    seen = [first, *rest]
    for place, cells in enumerate(seen):
        if _is_header(cells, phone_column) and (
            _count(cells) > max(map(_count, seen[:place])) or _is_above_numbers(seen, place, phone_column)
        ):
            return place
    return 0


def _is_header(cells: Cells, phone_column: str | None) -> bool:
    return bool(_phone_names(cells, phone_column)) and not _holds_number(cells)


def _phone_names(cells: Cells, phone_column: str | None) -> Sequence[str]:
    titles = [cell for cell in cells if cell and not cell.isspace()]
    wanted = phone_column and column(titles, phone_column)
    return phone_columns(titles) or ([wanted] if wanted else [])


def _count(cells: Cells) -> int:
    return sum(bool(cell) and not is_blank([cell]) for cell in cells)


def _is_above_numbers(rows: Sequence[Cells], place: int, phone_column: str | None) -> bool:
    """Whether below this row's name for a phone column half of the cells are numbers, and above it none."""
    names = _phone_names(rows[place], phone_column)
    columns = [position for position, cell in enumerate(rows[place]) if cell in names]
    above, below = (
        [_holds_number([cells[at]]) for cells in part for at in columns if at < len(cells) and cells[at]]
        for part in (rows[:place], rows[place + 1 :])
    )
    return any(below) and sum(below) * 2 >= len(below) and not any(above)


def no_rows(name: str) -> NothingToSendError:
    """The error for a table with nothing below its header."""
    return NothingToSendError(f"{name} has a header and no rows", hint="Check that it is the right file.")


def is_blank(cells: Cells) -> bool:
    """Whether a row has nothing in it that can be seen: such a row is no row, and keeps its number."""
    return not any(cell.strip(NOTHING) and cell != _NULL for cell in cells if cell)


def tidy(column: pa.Array) -> pa.Array:
    """A text column with null where nothing can be seen, and for ``\\N``, which is a database's null."""
    is_nothing = pc.or_(pc.equal(pc.utf8_ltrim(column, characters=NOTHING), ""), pc.equal(column, _NULL))
    return pc.if_else(is_nothing, None, column)


def filled(columns: Sequence[pa.Array], count: int) -> npt.NDArray[np.bool_]:
    """Which of so many rows have a cell that is not empty."""
    found: npt.NDArray[np.bool_] = np.zeros(count, np.bool_)
    for each in columns:
        found |= each.is_valid().to_numpy(zero_copy_only=False)
    return found


def _first_rows(read: Callable[[], Iterator[Record]], name: str) -> Iterator[Record]:
    last = 0
    for record in read():
        if not is_blank(record[1]):
            last = record[0]
            yield record
        elif record[0] - last > _MOST_BLANK:
            raise InputError(
                f"{name}: below row {last} are more than {_MOST_BLANK:,} blank rows",
                hint="Check that it is the right file, or remove them.",
            )


def _rows(read: Callable[[], Iterator[Record]]) -> Iterator[Record]:
    return (record for record in read() if not is_blank(record[1]))


def _filled(cells: Cells) -> int:
    """The width of a row up to its last cell that is not empty."""
    return next((width for width in range(len(cells), 0, -1) if not is_blank(cells[width - 1 : width])), 0)


def _width(first: Cells, read: Callable[[], Iterator[Record]], *, titled: bool) -> int:
    """The number of columns: one at the end without a title counts only when something stands in it."""
    if not titled:
        return max(_filled(cells) for _, cells, _ in _rows(read))
    if _filled(first) == len(first):
        return len(first)
    return max(_filled(cells[: len(first)]) for _, cells, _ in _rows(read))


def _holds_number(cells: Cells) -> bool:
    return any(sum(letter.isdigit() for letter in cell or "") >= _DIGITS_OF_A_NUMBER for cell in cells)


def _batches(read: Callable[[], Iterator[Record]], header: tuple[str, ...], after: int) -> Iterator[Rows]:
    yield from from_records((record for record in read() if record[0] > after), header)


def _below(read: ReadFast, header: tuple[str, ...], width: int, number: int) -> Iterator[Rows]:
    """The rows below the one with this number."""
    for rows in read(header, width):
        first = int(np.searchsorted(rows.numbers, number, side="right"))
        if first < len(rows.numbers):
            faults = {row: fault for row, fault in rows.faults.items() if row > number}
            yield replace(rows, numbers=rows.numbers[first:], cells=rows.cells.slice(first), faults=faults)


def from_records(records: Iterator[Record], header: tuple[str, ...]) -> Iterator[Rows]:
    """Records as columns; blank ones are left out."""
    records = (record for record in records if not is_blank(record[1]))
    while pieces := list(islice(_pieces(records, header), settings.BATCH_ROWS // _PIECE_ROWS)):
        yield _joined(pieces, header)


def _pieces(records: Iterator[Record], header: tuple[str, ...]) -> Iterator[Rows]:
    piece: list[Record] = []
    characters = 0
    for record in records:
        piece.append(record)
        characters += sum(map(len, filter(None, record[1])))
        if len(piece) == _PIECE_ROWS or characters > _PIECE_CHARACTERS:
            yield assembled(piece, header)
            piece, characters = [], 0
    if piece:
        yield assembled(piece, header)


def assembled(records: Sequence[Record], header: tuple[str, ...]) -> Rows:
    """Some records as columns. Cells beyond the header are a fault of their row."""
    width = len(header)
    faults = {
        number: fault or _overflow(cells, width) for number, cells, fault in records if fault or len(cells) > width
    }
    rows = (cells if len(cells) <= width else cells[:width] for _, cells, _ in records)
    columns = list(zip_longest(*rows))
    columns += [(None,) * len(records)] * (width - len(columns))
    return Rows(
        numbers=np.array([number for number, _, _ in records], np.int64),
        cells=pa.RecordBatch.from_arrays([tidy(pa.array(each, pa.string())) for each in columns], list(header)),
        faults={number: fault for number, fault in faults.items() if fault},
    )


def _joined(pieces: list[Rows], header: tuple[str, ...]) -> Rows:
    columns = zip(*(piece.cells.columns for piece in pieces), strict=True)
    return Rows(
        numbers=np.concatenate([piece.numbers for piece in pieces]),
        cells=pa.RecordBatch.from_arrays([pa.concat_arrays(column) for column in columns], list(header)),
        faults=dict(ChainMap(*(dict(piece.faults) for piece in pieces))),
    )


def _overflow(cells: Cells, width: int) -> str:
    if (filled := _filled(cells)) <= width:
        return ""
    return (
        f"the row has {filled} cells, the header {width}: "
        "a cell that holds the delimiter needs quotation marks around it"
    )
