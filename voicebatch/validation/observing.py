"""What a column holds, noted a batch at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.validation.cells import KINDS, filled

FEW: Final = 50  # different values that are counted one by one
EMAIL: Final = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_CODE: Final = r"^\s*[+-]?(?:0\d|\d{8})"  # a zero in front, or more digits than a quantity has
_REFERENCE: Final = r"^\S*[0-9@]\S*$"
_MARKS: Final = (("[0-9]", "9"), ("[A-Z]", "A"), ("[a-z]", "a"))


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was seen of one column. Memory does not grow with the rows, but for the hashes of up to ``most`` references.

    ``kinds`` are the kinds that every cell so far is of, with the lowest and the highest value. ``counts`` has each
    value while they are ``FEW``, ``shape`` the cells' one shape (``A99`` for ``B12``), or they are ``None``.
    """

    most: int
    filled: int = 0
    empty: int = 0
    shortest: int = 0
    longest: int = 0
    kinds: dict[str, tuple[Any, Any]] = field(
        default_factory=lambda: dict.fromkeys(KINDS.keys() - {"text"}, (None, None))
    )
    counts: Counter[str] | None = field(default_factory=Counter)
    shape: str | None = ""
    are_emails: bool = True
    _hashes: list[np.ndarray[Any, Any]] | None = field(default_factory=list)

    def add(self, cells: pa.Array) -> None:
        """Note these cells of the column."""
        text = filled(cells)
        self.empty += text.null_count
        text = text.drop_null()
        if not len(text):
            return
        distinct = text.unique()
        self._measure(distinct)
        self.filled += len(text)
        self._narrow(distinct)
        self._count(text, distinct)
        self._remember(text, distinct)
        self.are_emails = self.are_emails and _all(distinct, EMAIL)

    @property
    def is_unique(self) -> bool:
        """Whether these are references (digits or ``@`` in each, no space), none of them twice."""
        return bool(self._hashes) and len(np.unique(np.concatenate(self._hashes or []))) == self.filled

    def _measure(self, distinct: pa.Array) -> None:
        lengths = pc.min_max(pc.utf8_length(distinct)).as_py()
        self.shortest = min(self.shortest, lengths["min"]) if self.filled else lengths["min"]
        self.longest = max(self.longest, lengths["max"])
        shapes = distinct
        for pattern, mark in _MARKS:
            shapes = pc.replace_substring_regex(shapes, pattern, mark).unique()
        alike = len(shapes) == 1 and self.shape in ({shapes[0].as_py()} if self.filled else {""})
        self.shape = shapes[0].as_py() if alike else None

    def _narrow(self, distinct: pa.Array) -> None:
        """Forget the kinds that one of these cells is not of."""
        for name, (low, high) in list(self.kinds.items()):
            values = KINDS[name].read(distinct)
            if values.null_count or (name in {"int", "float"} and _any(distinct, _CODE)):
                del self.kinds[name]
            elif name != "bool":
                here = pc.min_max(values).as_py()
                bounds = [bound for bound in (low, high, here["min"], here["max"]) if bound is not None]
                self.kinds[name] = min(bounds), max(bounds)

    def _count(self, text: pa.Array, distinct: pa.Array) -> None:
        if self.counts is None:
            return
        if len(distinct) <= FEW:
            self.counts.update({pair["values"]: pair["counts"] for pair in pc.value_counts(text).to_pylist()})
        if len(distinct) > FEW or len(self.counts) > FEW:
            self.counts = None

    def _remember(self, text: pa.Array, distinct: pa.Array) -> None:
        if self._hashes is None:
            return
        if len(distinct) < len(text) or self.filled > self.most or not _all(distinct, _REFERENCE):
            self._hashes = None
        else:
            self._hashes.append(pd.util.hash_array(distinct.to_numpy(zero_copy_only=False), categorize=False))


def _all(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py())


def _any(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())
