"""Phone numbers: from whatever a person or a spreadsheet wrote to E.164, or to a sentence that says why not.

A strict grammar of what may stand in a cell comes first (``cells``), then ``phonenumbers``, the reference for
everything that passes it (``numbers``). Whole columns take a shorter way to the same answers (``columns``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.phones.cells import read_cell
from voicebatch.phones.columns import sure_numbers
from voicebatch.phones.countries import calling_code, calling_codes, country_name, known_region, main_region
from voicebatch.phones.faults import PhoneFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "PhoneFault",
    "Phones",
    "calling_code",
    "calling_codes",
    "country_name",
    "e164_texts",
    "known_region",
    "main_region",
    "normalise",
    "read",
]

_REMEMBERED: Final = 100_000  # more than the distinct cells of one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Phones:
    """A column of phones as read: their E.164 ``digits``, 0 where ``faults`` (by position in the column) says why."""

    digits: NDArray[np.int64]
    faults: Mapping[int, PhoneFault]

    @property
    def e164(self) -> pa.Array:
        """The same as E.164 texts, null for 0."""
        return e164_texts(self.digits)


def normalise(cells: pa.Array | pa.ChunkedArray, *, region: str) -> Phones:
    """Read a column of cells: for each the same answer as ``read``, every distinct cell once."""
    column = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    texts = pc.fill_null(column.cast(pa.string()), "")
    digits = sure_numbers(texts, region)
    rows = np.flatnonzero(digits == 0)
    answers = [read(cell, region=region) for cell in texts.take(pa.array(rows)).to_pylist()]
    digits[rows] = [int(answer) if isinstance(answer, str) else 0 for answer in answers]
    faults = {row: answer for row, answer in zip(rows.tolist(), answers, strict=True) if not isinstance(answer, str)}
    return Phones(digits=digits, faults=faults)


def e164_texts(digits: NDArray[np.int64]) -> pa.Array:
    """Digits as E.164 texts, null for 0."""
    texts = pc.binary_join_element_wise("+", pa.array(digits).cast(pa.string()), "")
    return texts if digits.all() else pc.if_else(pa.array(digits > 0), texts, None)


@lru_cache(maxsize=_REMEMBERED)
def _read(cell: str, region: str) -> str | PhoneFault:
    return read_cell(cell, region)


def read(cell: str, *, region: str) -> str | PhoneFault:
    """One cell's number in E.164, or why there is none. ``region`` is the country of national numbers."""
    return _read(cell, region)
