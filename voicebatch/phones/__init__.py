"""Phone numbers: from whatever a person or a spreadsheet wrote to E.164, or to a sentence that says why not.

A strict grammar of what may stand in a cell comes first (``cells``), then ``phonenumbers``, the reference for
everything that passes it (``numbers``). Whole columns take a shorter way to the same answers (``columns``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.phones.cells import read_cell
from voicebatch.phones.columns import sure_numbers
from voicebatch.phones.countries import calling_code, calling_codes, country_name, known_region, main_region
from voicebatch.phones.faults import PhoneFault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "PhoneFault",
    "Phones",
    "calling_code",
    "calling_codes",
    "country_name",
    "known_region",
    "main_region",
    "normalise",
    "read",
]

_REMEMBERED: Final = 100_000  # more than the distinct cells of one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Phones:
    """A column of phones as read: ``e164`` is null where ``faults`` (by position in the column) says why."""

    e164: pa.Array
    faults: Mapping[int, PhoneFault]


def normalise(cells: pa.Array | pa.ChunkedArray, *, region: str) -> Phones:
    """Read a column of cells: for each the same answer as ``read``, every distinct cell once."""
    column = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    texts = pc.fill_null(column.cast(pa.string()), "")
    e164 = sure_numbers(texts, region)
    if not e164.null_count:
        return Phones(e164=e164, faults={})
    rows = pc.indices_nonzero(e164.is_null())
    answers = [read(cell, region=region) for cell in texts.take(rows).to_pylist()]
    found = pa.array([answer if isinstance(answer, str) else None for answer in answers], pa.string())
    faults = {row: answer for row, answer in zip(rows.to_pylist(), answers, strict=True) if not isinstance(answer, str)}
    return Phones(e164=pc.replace_with_mask(e164, e164.is_null(), found), faults=faults)


@lru_cache(maxsize=_REMEMBERED)
def _read(cell: str, region: str) -> str | PhoneFault:
    return read_cell(cell, region)


def read(cell: str, *, region: str) -> str | PhoneFault:
    """One cell's number in E.164, or why there is none. ``region`` is the country of national numbers."""
    return _read(cell, region)
