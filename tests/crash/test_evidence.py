"""The check finds every way in which the promise can be broken: one that cannot fail would be worse than none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.crash.evidence import RULES, Evidence, faults


def lines(**changes: str) -> list[dict[str, str]]:
    """Rows 2 to 5 of a run that went well, but for these statuses."""
    usual = {"A": "accepted", "B": "refused", "C": "unknown", "D": "rejected"}
    return [
        {"row": str(row), "phone": phone, "status": status}
        for row, (phone, status) in enumerate({**usual, **changes}.items(), start=2)
    ]


def counts(**changes: int) -> dict[str, int]:
    """Of the same."""
    return {"total": 4, "accepted": 1, "refused": 1, "unknown": 1, "rejected": 1, "queued": 0, **changes}


GOOD = Evidence(called=Counter("AC"), rows=range(2, 6), lines=lines(), counts=counts())


@pytest.mark.parametrize("called", ["AC", "A"])
def test_a_run_that_kept_its_promise_has_no_faults(called: str) -> None:
    assert faults(replace(GOOD, called=Counter(called))) == []


@pytest.mark.parametrize(
    ("evidence", "fault"),
    [
        (replace(GOOD, called=Counter("AAC")), "called 2 times: A"),
        (replace(GOOD, called=Counter("ACC")), "called 2 times: C"),
        (replace(GOOD, lines=lines()[:-1], counts=counts(total=3, rejected=0)), "lost: row 5"),
        (replace(GOOD, rows=range(2, 5)), "not of the input: row 5"),
        (replace(GOOD, lines=lines() * 2, counts=dict.fromkeys(counts(), 8)), "listed 2 times: row 2"),
        (replace(GOOD, called=Counter("C")), "accepted, and never called: A"),
        (replace(GOOD, called=Counter("ABC")), "called, and neither accepted nor unknown: B"),
        (replace(GOOD, called=Counter("ACX")), "called, and neither accepted nor unknown: X"),
        (replace(GOOD, lines=lines(B="queued"), counts=counts(refused=0, queued=1)), "still queued: B"),
        (replace(GOOD, counts=counts(accepted=2)), "counted {'total': 4, 'accepted': 2"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_found(evidence: Evidence, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(evidence)), faults(evidence)


def test_every_rule_has_a_way_to_fail() -> None:
    assert len(RULES) == 6  # each is broken above: a new rule needs its line there
