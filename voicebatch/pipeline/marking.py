"""Gives every row of the input one status and, unless it is queued, a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import numpy as np

from voicebatch import suppression
from voicebatch.models import BatchStatus, RowStatus
from voicebatch.pipeline.opt_outs import OptOutList

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from voicebatch.ledger import Ledger
    from voicebatch.pipeline.intake import Intake

_WORDS: Final = {
    BatchStatus.QUEUED: "is queued in",
    BatchStatus.SENDING: "is being sent by",
    BatchStatus.ACCEPTED: "was already sent by",
    BatchStatus.UNKNOWN: "may have been sent by",
}


STATUSES: Final = tuple(RowStatus)
"""What a status code of a row means: its position here."""

_row: Final = attrgetter("row")
_QUEUED: Final = STATUSES.index(RowStatus.QUEUED)


class Marks:
    """Gives every row its status and its reason. A row that has one keeps it."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.statuses = np.full(len(intake.row), _QUEUED, dtype=np.int8)
        self.reasons: dict[int, str] = {}
        self.suppressed: Counter[str] = Counter()

    def reject(self) -> None:
        """Rows with a fault, all their sentences in one."""
        by_row = (faults for table in self._intake.rejected_rows for _, faults in groupby(table.faults, _row))
        sentences = ("; ".join(dict.fromkeys(fault.reason for fault in faults)) for faults in by_row)
        self._mark(np.flatnonzero(self._intake.rejected), RowStatus.REJECTED, sentences)

    def suppress_hidden(self) -> None:
        """Rows that the user of a workbook has hidden, or filtered away."""
        hidden = np.flatnonzero(self._intake.hidden)
        self._suppress("hidden", hidden, repeat("hidden", len(hidden)))

    def suppress_listed(self, lists: Sequence[OptOutList]) -> None:
        """Numbers on an opt-out list."""
        for opt_outs in lists:
            found = suppression.listed(self._intake.number, self._is_queued(), opt_outs.numbers)
            self._suppress("on an opt-out list", found.positions, map(opt_outs.reason, found.by))

    def suppress_duplicates(self) -> None:
        """The same number and the same message twice: the first is kept."""
        found = suppression.repeated(self._intake.message, self._intake.number, self._is_queued())
        reasons = (f"the same number and message as {self._place(first)}" for first in found.by)
        self._suppress("twice in the file", found.positions, reasons)

    def suppress_contacted(
        self, ledger: Ledger, run_id: str, *, since: datetime, sandbox: bool, keys: str = ""
    ) -> None:
        """Numbers that another run, whose key begins so, has sent the same message since then, or has queued for it."""
        contacts = self._contacts(ledger, run_id, since, sandbox=sandbox, keys=keys)
        intake = self._intake
        found = suppression.already_contacted(intake.message, intake.number, self._is_queued(), contacts)
        reasons = (str(contacts["reason"][entry]) for entry in found.by)
        self._suppress("already sent or queued", found.positions, reasons)

    def suppress_beyond(self, limit: int | None) -> None:
        """Whoever comes after the first ``limit`` recipients."""
        beyond_limit = "beyond --limit"
        if limit is not None:
            beyond = np.flatnonzero(self._is_queued())[limit:]
            self._suppress(beyond_limit, beyond, (beyond_limit for _ in beyond))

    def _contacts(self, ledger: Ledger, run_id: str, since: datetime, *, sandbox: bool, keys: str) -> pd.DataFrame:
        import pandas as pd

        messages = self._intake.messages
        codes = {each: code for code, each in enumerate(messages.ids(np.arange(len(messages), dtype=np.int32)))}
        lines = [
            (
                codes[contact.message_id],
                int(number[1:]),
                f"the same message {_WORDS[contact.status]} run {contact.run_id}",
            )
            for contact in ledger.contacts(codes.keys(), since=since, sandbox=sandbox, keys=keys)
            if contact.run_id != run_id
            for number in contact.numbers
        ]
        frame = pd.DataFrame(lines, columns=["message", "number", "reason"])
        return frame.astype({"message": "int32", "number": "int64"})

    def _is_queued(self) -> NDArray[np.bool_]:
        return np.equal(self.statuses, _QUEUED)

    def _suppress(self, kind: str, positions: NDArray[np.int64], reasons: Iterable[str]) -> None:
        self.suppressed[kind] += len(positions)
        self._mark(positions, RowStatus.SUPPRESSED, reasons)

    def _mark(self, positions: NDArray[np.int64], status: RowStatus, reasons: Iterable[str]) -> None:
        self.statuses[positions] = STATUSES.index(status)
        self.reasons.update(zip(positions.tolist(), reasons, strict=True))

    def _place(self, at: int) -> str:
        row, file = self._intake.row[at], self._intake.file_of(at).name
        return f"row {row}" if len(self._intake.files) == 1 else f"row {row} of {file}"
