"""Phone numbers as columns, counted by their calling codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc

from voicebatch import phones
from voicebatch.settings import BATCH_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray


_POWERS: Final = 10 ** np.arange(19, dtype=np.int64)
_BEGINNINGS: Final = 1000  # of three digits: no calling code has more


def by_calling_code(e164: Any) -> dict[str, int]:
    counts = pc.value_counts(phones.calling_codes(e164))
    return {pair["values"]: pair["counts"] for pair in counts.to_pylist()}


def count_by_calling_code(numbers: NDArray[np.int64], among: NDArray[np.bool_]) -> dict[str, int]:
    """How many of the digits that are ``among`` (a mask) begin with each calling code."""
    counts = np.zeros(_BEGINNINGS, np.int64)
    for start in range(0, len(numbers), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        counts += np.bincount(_first_three(numbers[part][among[part]]), minlength=_BEGINNINGS)
    by_code: dict[str, int] = {}
    for beginning in np.flatnonzero(counts).tolist():
        code = phones.calling_code(f"+{beginning}")
        by_code[code] = by_code.get(code, 0) + int(counts[beginning])
    return by_code


def _first_three(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return numbers // _POWERS[np.searchsorted(_POWERS, numbers, side="right") - 3]
