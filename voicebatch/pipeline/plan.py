"""The plan: the sealed list of batches, and what became of every row of the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch import batching
from voicebatch.errors import InputError, NothingToSendError
from voicebatch.ledger import NewBatch, NewRows, NewRun, RowLine, show_url
from voicebatch.models import (
    NUMBERS_APART,
    Batch,
    Fault,
    Message,
    RequestCounts,
    RowCounts,
    RowStatus,
    RunStatus,
    RunSummary,
    batch_ids,
    digest,
)
from voicebatch.pacing import Usage, earliest_finish
from voicebatch.phones import e164_texts
from voicebatch.pipeline.ahead import ahead
from voicebatch.pipeline.marking import STATUSES
from voicebatch.pipeline.numbers import by_calling_code, count_by_calling_code
from voicebatch.pipeline.opt_outs import OptOutList
from voicebatch.pricing import Prices
from voicebatch.reports.recipients import Lines
from voicebatch.reports.rejected import rejected_csv
from voicebatch.settings import BATCH_ROWS, MaxInvalid

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from voicebatch.pipeline.intake import Intake

RUN_ID_LENGTH: Final = 12
_REQUESTS_AT_ONCE: Final = 1 << 11
_STATUS: Final = RowLine._fields.index("status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a run is: its key, and a digest of the content that the key stands for."""

    key: str
    content: str

    @property
    def run_id(self) -> str:
        """The run's id, which depends on the key alone."""
        return digest("run", self.key)[:RUN_ID_LENGTH]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sealed list of batches, and what became of every row of the input. Made by ``voicebatch.plan``.

    ``statuses`` has a code for every row (a position in ``STATUSES``: queued, rejected or suppressed), ``reasons`` a
    sentence for those that are not queued, by position; ``suppressed`` counts them by kind. The same input gives the
    same plan, id for id.
    """

    identity: Identity
    message: Message
    notify_url: str | None
    notify_email: str | None
    sender: str | None
    sandbox: bool
    report_dir: Path
    intake: Intake
    opt_outs: tuple[OptOutList, ...]
    statuses: NDArray[np.int8]
    reasons: Mapping[int, str]
    suppressed: Mapping[str, int]
    prices: Prices
    usages: tuple[Usage, ...]
    created_at: datetime
    planned_at: datetime | None
    ledger_url: str = field(repr=False)
    batch_size: int
    max_invalid: MaxInvalid
    manifest: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """The id that the run will have."""
        return self.identity.run_id

    @cached_property
    def counts(self) -> RowCounts:
        """Rows by status."""
        tally = np.bincount(self.statuses, minlength=len(STATUSES)).tolist()
        return RowCounts(total=len(self.statuses), **dict(zip(map(str, STATUSES), tally, strict=True)))

    @cached_property
    def _grouping(self) -> batching.Grouping:
        """The requests, of rows by their positions in the input."""
        queued = np.flatnonzero(self._is_queued).astype(np.int32)
        grouping = batching.group(self.intake.message[queued], batch_size=self.batch_size)
        return replace(grouping, order=queued[grouping.order])

    @property
    def _is_queued(self) -> NDArray[np.bool_]:
        return np.equal(self.statuses, STATUSES.index(RowStatus.QUEUED))

    @cached_property
    def _batch_ids(self) -> Any:
        return _concatenated([pa.array(requests.ids, pa.string()) for requests in self._requests()], pa.string())

    @cached_property
    def messages_by_code(self) -> Mapping[str, int]:
        """How many people would be called, by calling code."""
        return count_by_calling_code(self.intake.number, self._is_queued)

    @cached_property
    def estimate(self) -> Decimal | None:
        """What the plan costs at the known prices; ``None`` when one is not known."""
        return self.prices.estimate(self.messages_by_code)

    @cached_property
    def refusal(self) -> InputError | None:
        """Why this plan may not be sent: too many bad rows, or nobody to call."""
        counts = self.counts
        if error := too_many_bad_rows(counts, self.max_invalid, self.report_dir):
            return error
        if counts.queued:
            return None
        return NothingToSendError(
            f"There is nothing to send: of {counts.total} rows {counts.rejected} are rejected and "
            f"{self.suppressed_words}.",
            hint=f"The reason of every row is in {self.report_dir / 'recipients.csv'}",
        )

    @property
    def suppressed_words(self) -> str:
        """How many are suppressed, and of what kinds: ``3 suppressed (2 hidden, 1 twice in the file)``."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.suppressed.items() if count)
        return f"{self.counts.suppressed} suppressed{f' ({kinds})' if kinds else ''}"

    def __len__(self) -> int:
        """The number of requests."""
        return len(self._grouping)

    def batches(self) -> Iterator[Batch]:
        """Every request of the plan, in the order in which they leave."""
        ordinal, messages = 0, self.intake.messages
        for requests in self._requests():
            texts = (messages[code] for code in requests.codes)
            for batch_id, message, numbers in zip(requests.ids, texts, requests.numbers, strict=True):
                of_batch = tuple(numbers.split(NUMBERS_APART))
                yield Batch(id=batch_id, run_id=self.run_id, ordinal=ordinal, message=message, numbers=of_batch)
                ordinal += 1

    def _requests(self) -> Iterator[_Requests]:
        """The same as columns, some at a time."""
        order, starts = self._grouping.order, self._grouping.starts
        for first in range(0, len(self), _REQUESTS_AT_ONCE):
            some = starts[first : first + _REQUESTS_AT_ONCE + 1]
            rows = order[some[0] : some[-1]]
            lists = pa.ListArray.from_arrays((some - some[0]).astype(np.int32), e164_texts(self.intake.number[rows]))
            numbers = pc.binary_join(lists, NUMBERS_APART).to_pylist()
            codes = self.intake.message[order[some[:-1]]]
            yield _Requests(codes, numbers, batch_ids(self.run_id, self.intake.messages.ids(codes), numbers))

    def blocks(self) -> Iterator[Lines]:
        """Every row of the input in its order, as the plan leaves it; some at a time."""
        requests, statuses = self._request_of_rows(), pa.array([status.value for status in STATUSES])
        told = _Told(self.reasons)
        for start in range(0, len(self.statuses), BATCH_ROWS):
            part = slice(start, start + BATCH_ROWS)
            rows = pa.array(self.intake.row[part])
            request = requests[part]
            nothing = pa.nulls(len(rows), pa.string())
            yield Lines(
                file=pa.array(self.intake.files_of(np.arange(start, start + len(rows)))),
                row=rows,
                phone=e164_texts(self.intake.number[part]),
                status=statuses.take(pa.array(self.statuses[part])),
                reason=told.reasons(start, len(rows)),
                batch_id=self._batch_ids.take(pa.array(request, mask=request < 0)),
                campaign_id=nothing,
                accepted_at=nothing,
                delivery=pa.repeat("", len(rows)),
            )

    def lines(self) -> Iterator[RowLine]:
        """The same, row by row."""
        for block in self.blocks():
            columns: list[Iterable[Any]] = [column.to_pylist() for column in block]
            columns[_STATUS] = map(RowStatus, columns[_STATUS])
            yield from map(RowLine._make, zip(*columns, strict=True))

    def recipients(self) -> pd.DataFrame:
        """A frame with a line for every row of the input: file, row, phone, status, reason, batch_id."""
        import pandas as pd

        names = [file.name for file in self.intake.files]
        frame = pd.DataFrame(list(self.lines()), columns=list(RowLine._fields))
        frame["file"] = [names[file] for file in frame["file"]]
        return frame.drop(columns=["campaign_id", "accepted_at", "delivery"])

    def rejected(self) -> pd.DataFrame:
        """A frame with a line for every fault: file, row, column, check, reason."""
        import pandas as pd

        return pd.DataFrame(
            [asdict(fault) for fault in self.intake.faults], columns=[one.name for one in fields(Fault)]
        )

    def summary(self) -> RunSummary:
        """The plan in figures: ``cost`` is the estimate, ``rows.queued`` what would be sent."""
        return RunSummary(
            run_id=self.run_id,
            key=self.identity.key,
            sandbox=self.sandbox,
            created_at=self.created_at,
            status=RunStatus.PLANNED,
            rows=self.counts,
            requests=RequestCounts(planned=len(self)),
            cost=self.estimate,
            currency=self.prices.currency or "EUR",
            total_seconds=Decimal(0),
            earliest_finish=earliest_finish(len(self), self.usages, self.created_at),
            countries=(),
            report_dir=str(self.report_dir),
            ledger=show_url(self.ledger_url),
        )

    def rejected_csv(self) -> Iterator[bytes | memoryview]:
        """The content of ``rejected.csv``, some at a time."""
        return rejected_csv(self.intake.headers, self.intake.rejected_rows)

    def new_run(self, *, base_url: str) -> NewRun:
        """The plan as the ledger takes it; ``base_url`` is where ``resume`` will go on."""
        return NewRun(
            id=self.run_id,
            key=self.identity.key,
            content=self.identity.content,
            channel=self.message.channel,
            sandbox=self.sandbox,
            base_url=base_url,
            notify_url=self.notify_url,
            notify_email=self.notify_email,
            sender=self.sender,
            report_dir=str(self.report_dir.absolute()),
            manifest=self.manifest,
            planned_at=self.planned_at,
            counts=self.counts,
            documents={"rejected.csv": b"".join(self.rejected_csv())},
            batches=(NewBatch(batch, estimate_batch(self.prices, batch.numbers)) for batch in self.batches()),
            rows=self._new_rows(),
        )

    def _new_rows(self) -> Iterator[NewRows]:
        """The same for the ledger, in which a queued row has the status of its batch. Made ahead, in another thread."""
        for block in ahead(self.blocks()):
            status = pc.if_else(pc.equal(block.status, RowStatus.QUEUED.value), None, block.status)
            yield NewRows(block.file, block.row, block.phone, status, block.reason, block.batch_id)

    def _request_of_rows(self) -> NDArray[np.int32]:
        """The ordinal of every row's request, -1 for a row that is in none."""
        requests = np.full(len(self.statuses), -1, dtype=np.int32)
        ordinals = np.arange(len(self), dtype=np.int32)
        requests[self._grouping.order] = np.repeat(ordinals, np.diff(self._grouping.starts))
        return requests


class _Requests(NamedTuple):
    """Some requests: their messages' codes, their numbers joined by ``NUMBERS_APART``, and their ids."""

    codes: NDArray[np.int32]
    numbers: list[str]
    ids: list[str]


class _Told:
    """Reasons by position, as Arrow columns."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        self._positions = np.array(sorted(reasons), dtype=np.int64)
        self._reasons = pa.array([reasons[at] for at in self._positions.tolist()], pa.string())

    def reasons(self, start: int, count: int) -> Any:
        """Those of so many rows; of a row without one, an empty text."""
        first, end = np.searchsorted(self._positions, [start, start + count])
        mask = np.zeros(count, np.bool_)
        mask[self._positions[first:end] - start] = True
        return pc.replace_with_mask(pa.repeat("", count), pa.array(mask), self._reasons[first:end])


def _concatenated(arrays: list[Any], kind: Any) -> Any:
    return pa.concat_arrays(arrays) if arrays else pa.array([], kind)


def estimate_batch(prices: Prices, numbers: Sequence[str]) -> Decimal | None:
    """What one request costs at these prices."""
    return prices.estimate(by_calling_code(pa.array(numbers, pa.string()))) if prices.units else None


def too_many_bad_rows(counts: RowCounts, max_invalid: MaxInvalid, folder: Path) -> InputError | None:
    """The error of an input with more bad rows than are let pass."""
    if max_invalid.allows(counts.rejected, counts.total):
        return None
    return InputError(
        f"{counts.rejected} of {counts.total} rows are bad, more than --max-invalid {max_invalid} allows.",
        hint=f"Their reasons are in {folder / 'rejected.csv'}. Correct the file, or allow more: --max-invalid",
    )
