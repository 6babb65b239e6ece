"""The recipients file: one line for every row of the input, with what became of it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.models import Delivery, RowStatus
from voicebatch.reports.cells import csv_bytes, csv_lines, text_column, write_blocks

COLUMNS: Final = (
    "file", "row", "phone", "status", "reason", "run_id", "batch_id", "campaign_id", "calling_code", "accepted_at",
    "delivery",
)  # fmt: skip

_SILENT: Final = {RowStatus.UNKNOWN: "its request is under way"}
"""Of rows whose batch has no reason: unknown is then only what has no answer yet."""


class Lines(NamedTuple):
    """Some rows of the input as Arrow columns, for a file may have millions: ``file`` is a position among the inputs.

    Numbers are integers, ``accepted_at`` and all others are texts; ``reason`` and ``delivery`` are never null.
    """

    file: Any
    row: Any
    phone: Any
    status: Any
    reason: Any
    batch_id: Any
    campaign_id: Any
    accepted_at: Any
    delivery: Any


def write_recipients(
    folder: Path,
    run_id: str,
    files: Sequence[str],
    blocks: Iterable[Lines],
    *,
    calling_codes: Callable[[Any], Any],
    each: Callable[[Callable[[Lines], memoryview], Iterable[Lines]], Iterable[memoryview]] = map,
) -> Counter[RowStatus]:
    """Writes ``recipients.csv`` and returns how many rows of each status it has.

    ``each`` is ``map``, or does the same in other threads.
    """
    counts: deque[Mapping[RowStatus, int]] = deque()
    names = text_column(pa.array(files, pa.string()))

    def written(lines: Lines) -> memoryview:
        counts.append({RowStatus(one["values"]): one["counts"] for one in pc.value_counts(lines.status).to_pylist()})
        return csv_lines(
            [
                names.take(lines.file),
                lines.row,
                lines.phone,
                lines.status,
                text_column(_reason(lines)),
                pa.repeat(run_id, len(lines.row)),
                lines.batch_id,
                text_column(lines.campaign_id),
                calling_codes(lines.phone),
                lines.accepted_at,
                text_column(_delivery(lines)),
            ]
        )

    write_blocks(folder / "recipients.csv", chain([csv_bytes(COLUMNS, ())], each(written, blocks)))
    return sum(map(Counter, counts), Counter())


def _delivery(lines: Lines) -> Any:
    """Nobody has called back yet about who was accepted and is not told of."""
    is_silent = pc.and_(pc.equal(lines.status, RowStatus.ACCEPTED.value), pc.equal(lines.delivery, ""))
    return pc.if_else(is_silent, Delivery.PENDING.value, lines.delivery)


def _reason(lines: Lines) -> Any:
    said = lines.reason
    for status, words in _SILENT.items():
        is_silent = pc.and_(pc.equal(said, ""), pc.equal(lines.status, status.value))
        said = pc.if_else(is_silent, words, said)
    return said
