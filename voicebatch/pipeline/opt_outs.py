"""Reads the lists of people who must not be called."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebatch import headers, phones, readers
from voicebatch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutList:
    """An opt-out list as it was read. ``numbers`` are E.164 digits, ``rows`` and ``sources`` where each stands.

    ``sources`` are positions in ``files``: a folder has several. ``unreadable`` are the rows that hold no number:
    nobody is protected by those.
    """

    name: str
    sha256: str
    files: tuple[str, ...]
    numbers: NDArray[np.int64]
    rows: NDArray[np.int64]
    sources: NDArray[np.int32]
    unreadable: tuple[int, ...]

    def reason(self, entry: int) -> str:
        """Why the number of this entry is not called."""
        return f"on the opt-out list {self.files[self.sources[entry]]}, row {self.rows[entry]}"


def read_opt_outs(path: Path, *, region: str) -> OptOutList:
    """Reads a list of people who must not be called, with or without a header; unreadable lines are counted.

    Of several phone columns all count, and so do all columns of a list without a header, and rows that are hidden:
    rather one call too few. Raises ``InputError`` for a list without a single number: it would protect nobody.
    """
    with _without_the_inputs_options():
        sources = readers.open_sources(path, has_header=None, every_sheet=True)
        parts = [
            (at, *found)
            for at, source in enumerate(sources)
            for found in _read(source, region, alone=len(sources) == 1)
        ]
    numbers = _concatenated([numbers for _, numbers, _, _ in parts])
    if not len(numbers):
        raise InputError(
            f"The opt-out list {path} has no readable phone number, so it would protect nobody.",
            hint="Check that it is the right file and the right column.",
        )
    return OptOutList(
        name=str(path),
        sha256=readers.sha256(path),
        files=tuple(_name(source, sources) for source in sources),
        numbers=numbers,
        rows=_concatenated([rows for _, _, rows, _ in parts]),
        sources=np.repeat(
            np.array([at for at, *_ in parts], dtype=np.int32), [len(numbers) for _, numbers, _, _ in parts]
        ),
        unreadable=tuple(row for _, _, _, unreadable in parts for row in unreadable.tolist()),
    )


@contextmanager
def _without_the_inputs_options() -> Iterator[None]:
    """``--encoding``, ``--delimiter`` and ``--sheet`` are about the input: no message may ask for them here."""
    try:
        yield
    except InputError as error:
        hint = "Save the list as CSV in UTF-8, one number on each line." if "--" in error.hint else error.hint
        raise InputError(f"Opt-out list: {error.message}", hint=hint) from error


def _name(source: readers.Source, sources: Sequence[readers.Source]) -> str:
    has_others = [other.name for other in sources].count(source.name) > 1
    return f"{source.name}, sheet “{source.origin.sheet}”" if has_others else source.name


def _read(source: readers.Source, region: str, *, alone: bool) -> Iterator[tuple[Numbers, Numbers, Numbers]]:
    """Some numbers at a time, with their rows, and the rows that hold none.

    Of several sheets one may be of something else: what reads as a number counts in any of its columns.
    """
    columns = _phone_columns(source) if alone else headers.phone_columns(source.header) or source.header
    for part in source.batches():
        read = [phones.normalise(part.cells.column(column), region=region).digits for column in columns]
        found = [digits > 0 for digits in read]
        numbers = [digits[there] for digits, there in zip(read, found, strict=True)]
        rows = [part.numbers[there] for there in found]
        yield np.concatenate(numbers), np.concatenate(rows), part.numbers[~np.any(found, axis=0)]


def _phone_columns(source: readers.Source) -> Sequence[str]:
    if len(source.header) == 1 or source.header == headers.unique_header([None] * len(source.header)):
        return source.header
    if named := headers.phone_columns(source.header):
        return named
    raise InputError(
        f"{source.name}: no column has a usual name of a phone column. Its columns: {headers.listed(source.header)}",
        hint="Write “phone” above the column with the numbers, or leave only that column.",
    )


def _concatenated(parts: Sequence[Numbers]) -> Numbers:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
