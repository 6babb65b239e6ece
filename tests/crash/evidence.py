"""The promise as a check from outside: who was called, by the server's own list, against what the run says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How a run ended. ``rows`` are the input's, by their number in the file.

    ``called`` is the server's list, ``lines`` are those of ``recipients.csv``, ``counts`` the rows of the summary.
    """

    called: Counter[str]
    rows: Collection[int]
    lines: Sequence[Mapping[str, str]]
    counts: Mapping[str, int]

    @property
    def statuses(self) -> Counter[str]:
        """How many rows have each status, by the file."""
        return Counter(line["status"] for line in self.lines)

    def with_status(self, *statuses: str) -> list[Mapping[str, str]]:
        """The lines with one of these."""
        return [line for line in self.lines if line["status"] in statuses]


def faults(evidence: Evidence) -> list[str]:
    """Every way in which the promise is broken, as sentences. None: it is kept."""
    return [fault for rule in RULES for fault in rule(evidence)]


def _nobody_is_called_twice(evidence: Evidence) -> Iterator[str]:
    return (f"called {times} times: {number}" for number, times in evidence.called.items() if times > 1)


def _every_row_is_there_once(evidence: Evidence) -> Iterator[str]:
    listed = Counter(int(line["row"]) for line in evidence.lines)
    yield from (f"lost: row {row}" for row in sorted(set(evidence.rows) - set(listed)))
    yield from (f"not of the input: row {row}" for row in sorted(set(listed) - set(evidence.rows)))
    yield from (f"listed {times} times: row {row}" for row, times in listed.items() if times > 1)


def _who_is_accepted_was_called(evidence: Evidence) -> Iterator[str]:
    accepted = (line["phone"] for line in evidence.with_status("accepted"))
    return (f"accepted, and never called: {number}" for number in accepted if number not in evidence.called)


def _who_was_called_is_accepted_or_unknown(evidence: Evidence) -> Iterator[str]:
    may_be = {line["phone"] for line in evidence.with_status("accepted", "unknown")}
    return (f"called, and neither accepted nor unknown: {number}" for number in sorted(set(evidence.called) - may_be))


def _nobody_is_left_in_the_queue(evidence: Evidence) -> Iterator[str]:
    return (f"still queued: {line['phone']}" for line in evidence.with_status("queued"))


def _the_counts_are_those_of_the_file(evidence: Evidence) -> Iterator[str]:
    counted = {**dict.fromkeys(evidence.counts, 0), **evidence.statuses, "total": len(evidence.lines)}
    if counted != dict(evidence.counts):
        yield f"counted {dict(evidence.counts)}, written {counted}"


RULES: Final[tuple[Callable[[Evidence], Iterator[str]], ...]] = (
    _nobody_is_called_twice,
    _every_row_is_there_once,
    _who_is_accepted_was_called,
    _who_was_called_is_accepted_or_unknown,
    _nobody_is_left_in_the_queue,
    _the_counts_are_those_of_the_file,
)
