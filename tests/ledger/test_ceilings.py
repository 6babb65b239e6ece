"""What a ceiling counts when the provider's figures are not those that were expected: on every ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from tests.ledger.moves import ME, SECOND, MakeRun, Yes, claim, committed, price, queued, take
from voicebatch.ledger import Ledger, NewRun

CEILING = Decimal("0.30")


def under_a_ceiling(ledger: Ledger, make_run: MakeRun, noon: datetime) -> NewRun:
    """Three people at 0.12 each."""
    run = queued(ledger, make_run(1, 1, 1), noon)
    ledger.set_estimates(run.id, price)
    return run


@pytest.mark.parametrize("cost", ["0", "-0.12"])
def test_a_yes_without_a_credible_cost_goes_on_counting_as_estimated(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes, cost: str
) -> None:
    run = under_a_ceiling(ledger, make_run, noon)
    answer = replace(yes().answer, cost=Decimal(cost), charges=())  # type: ignore[type-var]
    for _ in range(2):
        ledger.record(claim(ledger, run, noon, max_cost=CEILING), replace(yes(), answer=answer), now=noon)
    assert committed(ledger, run.id) == Decimal("0.24")
    assert take(ledger, run, noon) is None
    assert [one.cost for one in ledger.answers(run.id)] == [Decimal(cost)] * 2  # as it came


def test_charges_that_come_to_more_than_the_cost_count(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = under_a_ceiling(ledger, make_run, noon)
    answer = replace(yes(1, "0.12").answer, cost=Decimal(0))  # type: ignore[type-var]
    ledger.record(claim(ledger, run, noon, max_cost=CEILING), replace(yes(), answer=answer), now=noon)
    assert committed(ledger, run.id) == Decimal("0.12")


def test_a_request_that_is_dearer_than_estimated_makes_the_next_ones_dearer(
    ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes
) -> None:
    run = under_a_ceiling(ledger, make_run, noon)
    first = claim(ledger, run, noon, max_cost=CEILING)
    ledger.record(first, yes(1, "0.16"), now=noon + SECOND)
    assert take(ledger, run, noon + SECOND) is None  # 0.16 and 0.12 would be less than 0.30
    ledger.join(run.id, worker=ME, now=noon + SECOND, max_cost=Decimal("0.33"), currency="EUR")
    claim(ledger, run, noon + SECOND)
    assert committed(ledger, run.id) == Decimal("0.16") + Decimal("0.12") * Decimal("1.3334")


def test_new_prices_begin_anew(ledger: Ledger, make_run: MakeRun, noon: datetime, yes: Yes) -> None:
    run = under_a_ceiling(ledger, make_run, noon)
    ledger.record(claim(ledger, run, noon, max_cost=Decimal(9)), yes(1, "0.16"), now=noon)
    ledger.set_estimates(run.id, lambda _: Decimal("0.16"))
    claim(ledger, run, noon)
    assert committed(ledger, run.id) == Decimal("0.32")
