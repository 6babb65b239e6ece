"""Bad rows come back as they came, in order, wherever they were kept."""

from __future__ import annotations

import csv
import tempfile
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from voicebatch.errors import UsageError
from voicebatch.models import Fault
from voicebatch.pipeline import rejects
from voicebatch.pipeline.rejects import Rejects
from voicebatch.reports.rejected import rejected_csv


def fault(row: int) -> Fault:
    return Fault(file="a.csv", row=row, column="b", check="check", reason=f"bad {row}")


def batch(rows: list[int]) -> tuple[np.ndarray, pa.RecordBatch]:
    cells = {"a": [f"row {row}" for row in rows], "b": [None if row % 2 else 'x, "y"\n' for row in rows]}
    return np.array(rows), pa.RecordBatch.from_pydict(cells, pa.schema([("a", pa.string()), ("b", pa.string())]))


@pytest.mark.parametrize("in_memory", [0, 1 << 26], ids=["in a file", "in memory"])
@pytest.mark.parametrize("at_once", [1, 3, 1 << 11])
def test_rows_come_back_in_order(monkeypatch: pytest.MonkeyPatch, in_memory: int, at_once: int) -> None:
    monkeypatch.setattr(rejects, "_MOST_IN_MEMORY", in_memory)
    monkeypatch.setattr("voicebatch.reports.rejected._AT_ONCE", at_once)
    kept = Rejects()
    for rows in ([2, 5, 9], [10, 12], [3, 11], [4]):  # those that only the whole file shows are found last
        kept.keep(*batch(rows))
    faults = [fault(row) for row in (2, 3, 4, 4, 5, 9, 10, 11, 12, 12)]
    text = b"".join(rejected_csv(["a", "none", "b"], [kept.rows(faults)])).decode()
    lines = list(csv.reader(StringIO(text, newline="")))[1:]
    assert [line[0] for line in lines] == [f"row {one.row}" for one in faults]
    assert [line[2] for line in lines] == ["" if one.row % 2 else 'x, "y"\n' for one in faults]
    assert [line[1:2] + line[3:] for line in lines] == [
        ["", "a.csv", str(one.row), "b", "check", one.reason] for one in faults
    ]


def test_without_room_for_them_the_error_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rejects, "_MOST_IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="nowhere") as raised:
        Rejects().keep(*batch([2]))
    assert "TMPDIR" in raised.value.hint
