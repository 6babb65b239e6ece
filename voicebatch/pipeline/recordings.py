"""The recordings that a plan would play: which they are, and who would hear one that the account does not have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from voicebatch import headers
from voicebatch.models import Fault, RowStatus
from voicebatch.pipeline.marking import STATUSES

if TYPE_CHECKING:
    from voicebatch.pipeline.plan import Plan

_COLUMN: Final = "audio_token"


def recordings_of(plan: Plan) -> frozenset[str]:
    """The tokens of the recordings that somebody in the plan would hear."""
    tokens = plan.intake.messages.recordings()
    return frozenset(tokens[code] for code in np.unique(_queued_codes(plan)).tolist() if code in tokens)


def faults_of(plan: Plan, missing: Collection[str]) -> Iterator[Fault]:
    """A fault for every row that would play one of these recordings, by the file's own column."""
    tokens = {code: token for code, token in plan.intake.messages.recordings().items() if token in missing}
    queued = np.flatnonzero(_is_queued(plan))
    for position in queued[np.isin(plan.intake.message[queued], [*tokens])].tolist():
        file = plan.intake.file_of(position)
        token = tokens[int(plan.intake.message[position])]
        yield Fault(
            file=file.name,
            row=int(plan.intake.row[position]),
            column=headers.column(file.header, _COLUMN) or _COLUMN,
            check="known_recording",
            reason=f"`{token}` is no recording of the account",
        )


def _queued_codes(plan: Plan) -> Any:
    return plan.intake.message[_is_queued(plan)]


def _is_queued(plan: Plan) -> Any:
    return np.equal(plan.statuses, STATUSES.index(RowStatus.QUEUED))
