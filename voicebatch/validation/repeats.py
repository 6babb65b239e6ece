"""Values that may stand only once in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from voicebatch.models import Fault
from voicebatch.validation.rules import Schema
from voicebatch.validation.words import listed, quoted

if TYPE_CHECKING:
    import pandas as pd


class Repeats:
    """Keeps the values that must be unique, alone or together, until the file is at its end.

    ``headers`` are the file's, by the schema's names; a group is asked only if the file has all its columns.
    """

    def __init__(self, schema: Schema, *, file: str, headers: Mapping[str, str]) -> None:
        alone = [(name,) for name, column in schema.columns.items() if column.unique]
        self._groups: Final = [group for group in (*alone, *schema.unique) if headers.keys() >= set(group)]
        self._names: Final = sorted({name for group in self._groups for name in group})
        self._file, self._headers = file, headers
        self._kept: list[pd.DataFrame] = []

    def keep(self, numbers: np.ndarray[Any, Any], values: Mapping[str, pa.Array]) -> None:
        """Remember these rows, which have these numbers in the spreadsheet."""
        if self._names:
            self._kept.append(frame_of({name: values[name] for name in self._names}).set_axis(numbers, axis=0))

    def faults(self) -> list[Fault]:
        """A fault for each time that a value stands again, by row."""
        if not self._kept:
            return []
        import pandas as pd

        frame = pd.concat(self._kept)
        found = [fault for group in self._groups for fault in self._again(frame, group)]
        return sorted(found, key=lambda fault: fault.row)

    def _again(self, frame: pd.DataFrame, group: tuple[str, ...]) -> Iterator[Fault]:
        values = frame[list(group)].dropna()  # nothing is not the same as nothing
        twice = values[values.duplicated(keep=False)]
        firsts = twice.index.to_series().groupby([twice[name] for name in group], dropna=False).transform("first")
        verb = "stands" if len(group) == 1 else "stand together"
        for row, first, cells in zip(twice.index, firsts, twice.itertuples(index=False), strict=True):
            if row != first:
                reason = f"{' and '.join(map(quoted, cells))} already {verb} in row {first}"
                yield self._fault(int(row), group, reason)

    def _fault(self, row: int, group: tuple[str, ...], reason: str) -> Fault:
        column = listed(self._headers[name] for name in group)
        return Fault(file=self._file, row=row, column=column, check="unique", reason=reason)


def frame_of(columns: Mapping[str, pa.Array]) -> pd.DataFrame:
    """Arrow columns as pandas has them."""
    import pandas as pd

    arrays = {name: pd.arrays.ArrowExtensionArray(values) for name, values in columns.items()}
    return pd.DataFrame({name: pd.Series(array) for name, array in arrays.items()})
