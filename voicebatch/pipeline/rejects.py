"""Keeps the bad rows as they came until they are given back: few as a rule, but a whole file if all of it is bad."""

from __future__ import annotations

import mmap
import tempfile
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from voicebatch.errors import UsageError
from voicebatch.models import Fault
from voicebatch.reports.rejected import RejectedRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MOST_IN_MEMORY: Final = 1 << 26  # bytes


class Rejects:
    """The bad rows of one table. Beyond some megabytes they are in a temporary file."""

    def __init__(self) -> None:
        self._numbers: list[NDArray[np.int64]] = []
        self._cells: list[Any] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._writer: Any = None

    def keep(self, numbers: NDArray[np.int64], cells: Any) -> None:
        """Some more rows (a record batch), which have these numbers."""
        self._numbers.append(numbers)
        self._cells.append(cells)
        self._bytes += cells.nbytes
        if self._bytes > _MOST_IN_MEMORY:
            self._put_away()

    def rows(self, faults: Sequence[Fault]) -> RejectedRows:
        """All of them, in order. ``faults`` are in the order of the rows, and each kept row has one."""
        numbers = np.concatenate(self._numbers)
        return RejectedRows(cells=self._table(), order=np.argsort(numbers, kind="stable"), faults=faults)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._numbers)

    def _put_away(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 # as long as there are rows to be given back
                self._writer = pa.ipc.new_stream(self._file, self._cells[0].schema)
            for cells in self._cells:
                self._writer.write_batch(cells)
            self._file.flush()
        except OSError as error:
            raise UsageError(
                f"The bad rows cannot be kept in {tempfile.gettempdir()}: {error.strerror or error}.",
                hint="Make room there, or name another folder in the variable TMPDIR.",
            ) from error
        self._cells, self._bytes = [], 0

    def _table(self) -> Any:
        if self._file is None:
            return pa.Table.from_batches(self._cells)
        self._put_away()
        self._writer.close()
        with self._file as file:
            file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return pa.ipc.open_stream(pa.py_buffer(mapped)).read_all()
