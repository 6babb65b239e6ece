"""The recipients file: one line for every row of the input, with what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Final

from voicebatch.models import RowStatus
from voicebatch.reports.cells import harmless, harmless_line, write_csv

COLUMNS: Final = (
    "file", "row", "phone", "status", "reason", "run_id", "batch_id", "campaign_id", "calling_code", "accepted_at",
    "delivery",
)  # fmt: skip


_SILENT: Final = {RowStatus.UNKNOWN: "its request is under way"}
"""Of rows whose batch has no reason: unknown is then only what has no answer yet."""


Columns = tuple[
    Sequence[int], Sequence[int], Sequence[str | None], Sequence[RowStatus], Sequence[str], Sequence[str | None],
    Sequence[str | None], Sequence[datetime | None],
]  # fmt: skip
"""Some rows of the input: file (a position among the inputs), row, phone, status, reason, batch_id, campaign_id and
accepted_at. Whole columns, for a file may have millions of rows."""


def write_recipients(
    folder: Path,
    run_id: str,
    files: Sequence[str],
    blocks: Iterable[Columns],
    *,
    calling_codes: Callable[[Sequence[str | None]], Sequence[str | None]],
) -> Counter[RowStatus]:
    """Writes ``recipients.csv`` and returns how many rows of each status it has."""
    written: Counter[RowStatus] = Counter()
    files = harmless_line(files)

    def lines() -> Iterator[Sequence[object]]:
        for file, row, phone, status, reason, batch_id, campaign_id, accepted_at in blocks:
            written.update(status)
            yield from zip(
                [files[position] for position in file],
                row,
                phone,
                status,
                [harmless(said) if said else _SILENT.get(what, "") for said, what in zip(reason, status, strict=True)],
                repeat(run_id, len(row)),
                batch_id,
                [one and harmless(one) for one in campaign_id],
                calling_codes(phone),
                [at and at.isoformat(timespec="seconds") for at in accepted_at],
                ["pending" if one is RowStatus.ACCEPTED else None for one in status],
                strict=True,
            )

    write_csv(folder / "recipients.csv", COLUMNS, lines())
    return written
