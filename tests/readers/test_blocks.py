"""What goes through Arrow is what Python's csv module gives: the same rows, numbers, faults and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from voicebatch.errors import InputError
from voicebatch.readers import blocks, delimited, open_sources
from voicebatch.readers.rows import Record, from_records, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voicebatch.readers import Rows

CELLS = st.one_of(
    st.sampled_from(["", " ", "a", "é€", "06 12", '"quoted"', '"a;b"', '"two\nlines"', '"dou""ble"', '""', '5" pipe']),
    st.text(st.sampled_from('ab;" \r\n\x85\u2028'), max_size=4),
)
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=4).map(";".join), max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
HEADER = "tel;y;z"


@pytest.fixture(autouse=True)
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that every few rows begin another block, and few rows are many."""
    monkeypatch.setattr(blocks, "_BLOCK", 24)
    monkeypatch.setattr(blocks, "_FEW", 8)


def told(batches: Iterator[Rows]) -> list[Any]:
    """The rows and what is wrong with them, up to an error."""
    lines: list[Any] = []
    faults: dict[int, str] = {}
    try:
        for rows in batches:
            lines += zip(rows.numbers.tolist(), rows.cells.to_pylist(), strict=True)
            faults |= rows.faults
    except InputError as error:
        return [str(error)]
    return [*lines, faults]


def by_csv(path: Path, delimiter: str) -> list[Any]:
    records = (one for one in delimited._records(path, "utf-8", delimiter) if not is_blank(one[1]))
    next(records)
    return told(from_records(records, tuple(HEADER.split(";"))))


def by_arrow(path: Path) -> list[Any]:
    (source,) = open_sources(path, delimiter=";")
    return told(source.batches())


@given(lines=LINES, end=ENDS, is_ended=st.booleans())
@example(lines=['a;"b', 'c";d'] * 9, end="\n", is_ended=True)
@example(lines=["1;2;3"] * 20 + ["a;b"] + ["1;2;3"] * 20, end="\r\n", is_ended=False)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_gives_the_same_rows(tmp_path: Path, lines: list[str], end: str, *, is_ended: bool) -> None:
    path = tmp_path / "any.csv"
    text = end.join([HEADER, "1;2;3", *lines]) + end * is_ended
    path.write_bytes(text.encode())
    assert by_arrow(path) == by_csv(path, ";")


def test_most_rows_never_become_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 1 << 16)
    path = tmp_path / "most.csv"
    rows = [f'{number};"a;""b""\n";{number % 7 or ""}' for number in range(20_000)]
    rows[9_000] = "ragged"
    path.write_text("\n".join([HEADER, *rows]))
    expected, seen = by_csv(path, ";"), list[Record]()
    explain = delimited._by_csv

    def watched(*given: Any, **how: Any) -> Iterator[Record]:
        for record in explain(*given, **how):
            seen.append(record)
            yield record

    monkeypatch.setattr(delimited, "_by_csv", watched)
    (source,) = open_sources(path, delimiter=";")
    seen.clear()
    assert told(source.batches()) == expected
    assert len(seen) < 100
