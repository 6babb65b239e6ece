"""Phone numbers as columns: E.164 texts at the edges, their digits as 64-bit integers in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from voicebatch import phones

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def digits_of(e164: Any) -> NDArray[np.int64]:
    """E.164 texts as their digits."""
    digits: NDArray[np.int64] = pc.cast(pc.utf8_slice_codeunits(e164, 1), pa.int64()).to_numpy(zero_copy_only=False)
    return digits


def e164_texts(numbers: NDArray[np.int64]) -> Any:
    """Digits as E.164 texts, null for 0."""
    texts = pc.binary_join_element_wise("+", pc.cast(pa.array(numbers), pa.string()), "")
    return pc.if_else(pa.array(numbers > 0), texts, None)


def by_calling_code(e164: Any) -> dict[str, int]:
    counts = pc.value_counts(phones.calling_codes(e164))
    return {pair["values"]: pair["counts"] for pair in counts.to_pylist()}
