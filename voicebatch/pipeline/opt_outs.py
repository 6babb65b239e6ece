"""Reads the lists of people who must not be called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch import headers, phones, readers
from voicebatch.errors import InputError
from voicebatch.pipeline.numbers import digits_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutList:
    """An opt-out list as it was read. ``numbers`` are E.164 digits, ``rows`` where each stands.

    ``unreadable`` are the rows that hold no number: nobody is protected by those.
    """

    name: str
    sha256: str
    numbers: NDArray[np.int64]
    rows: NDArray[np.int64]
    unreadable: tuple[int, ...]

    def reason(self, entry: int) -> str:
        """Why the number of this entry is not called."""
        return f"on the opt-out list {self.name}, row {self.rows[entry]}"


def read_opt_outs(path: Path, *, region: str) -> OptOutList:
    """Reads a list of people who must not be called, with or without a header; unreadable lines are counted.

    Raises ``InputError`` for a list without a single number: it would protect nobody.
    """
    numbers: list[NDArray[np.int64]] = []
    rows: list[NDArray[np.int64]] = []
    unreadable: list[int] = []
    for source in readers.open_sources(path, has_header=None):
        column = source.header[0] if len(source.header) == 1 else _opt_out_column(source)
        for part in source.batches():
            e164 = phones.normalise(part.cells.column(column), region=region).e164
            readable = pc.is_valid(e164).to_numpy(zero_copy_only=False)
            unreadable += part.numbers[~readable].tolist()
            numbers.append(digits_of(e164.filter(pa.array(readable))))
            rows.append(part.numbers[readable])
    found = np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)
    if not len(found):
        raise InputError(
            f"The opt-out list {path} has no readable phone number, so it would protect nobody.",
            hint="Check that it is the right file and the right column.",
        )
    return OptOutList(
        name=str(path),
        sha256=readers.sha256(path),
        numbers=found,
        rows=np.concatenate(rows),
        unreadable=tuple(unreadable),
    )


def _opt_out_column(source: readers.Source) -> str:
    return headers.find_phone_column(source.header, wanted=None, where=source.name)
