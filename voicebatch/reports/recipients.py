"""The recipients file: one line for every row of the input, with what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from voicebatch.models import RowStatus
from voicebatch.reports.cells import harmless, harmless_line, write_csv

COLUMNS: Final = (
    "file", "row", "phone", "status", "reason", "run_id", "batch_id", "campaign_id", "calling_code", "accepted_at",
    "delivery",
)  # fmt: skip


_UNDER_WAY: Final = "its request is under way"  # unknown as long as there is neither an answer nor a reason


class Line(Protocol):
    """A row of the input; ``file`` is its position among the inputs."""

    @property
    def file(self) -> int: ...
    @property
    def row(self) -> int: ...
    @property
    def phone(self) -> str | None: ...
    @property
    def status(self) -> RowStatus: ...
    @property
    def reason(self) -> str: ...
    @property
    def batch_id(self) -> str | None: ...
    @property
    def campaign_id(self) -> str | None: ...
    @property
    def accepted_at(self) -> datetime | None: ...


def write_recipients(
    folder: Path, run_id: str, files: Sequence[str], lines: Iterable[Line], *, calling_code: Callable[[str], str]
) -> Counter[RowStatus]:
    """Writes ``recipients.csv`` and returns how many rows of each status it has."""
    written: Counter[RowStatus] = Counter()
    files = harmless_line(files)

    def cells() -> Iterator[list[object]]:
        for line in lines:
            written[line.status] += 1
            yield _cells(run_id, files, line, calling_code)

    write_csv(folder / "recipients.csv", COLUMNS, cells())
    return written


def _cells(run_id: str, files: Sequence[str], line: Line, calling_code: Callable[[str], str]) -> list[object]:
    return [
        files[line.file],
        line.row,
        line.phone,
        line.status,
        harmless(line.reason) or (_UNDER_WAY if line.status is RowStatus.UNKNOWN else ""),
        run_id,
        line.batch_id,
        line.campaign_id and harmless(line.campaign_id),
        calling_code(line.phone) if line.phone else None,
        line.accepted_at and line.accepted_at.isoformat(timespec="seconds"),
        "pending" if line.status is RowStatus.ACCEPTED else None,
    ]
