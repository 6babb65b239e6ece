"""The limit, used to the full: hours of a queue that never runs dry, as the provider counts what arrives."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.simulation.conftest import empty
from tests.simulation.provider import Fate, Provider, Weather
from tests.simulation.world import World, make_run
from voicebatch.models import RateLimit

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger

HOUR: Final = 3600.0
SUNNY: Final = Weather(
    fates={Fate.FAIR: 1.0},
    throttles=0,
    errors=0,
    short_answers=0,
    no_credit_from=float("inf"),
    no_credit_until=float("inf"),
    bad_numbers={},
    headers=True,
)


def saturate(ledger: Ledger, limits: tuple[RateLimit, ...], *, requests: int, processes: int, slowest: float) -> World:
    """So many one-number batches, sent by several processes; answers take up to ``slowest`` seconds each way."""
    empty(ledger)
    world = World(1, ledger)
    dice = random.Random(1)  # noqa: S311 # the same every time
    people = [f"+336{at:08}" for at in range(requests)]
    world.scene = replace(
        world.scene, limits=limits, runs=[make_run(dice, "run", people, size=1)], weather=SUNNY, crashes=0.0,
        max_cost=None, slowest=slowest, processes=processes, lanes=4, steps_of_clocks=5, reboots=0, terms=0,
        timeout=30.0, habits=None,
    )  # fmt: skip
    world.provider = Provider(limits=limits, weather=SUNNY, random=dice)
    world.listener = None
    world.patience = 100 * requests
    world.tell()
    return world


def least_seconds(requests: int, limit: RateLimit) -> float:
    """How long it takes at least from the first arrival to the last."""
    return ((requests - 1) // limit.requests) * limit.seconds


@pytest.mark.sim
@pytest.mark.parametrize("slowest", [0.2, 2.0, 8.0])
def test_at_least_99_percent_of_2000_an_hour_is_used_and_never_a_429(world_ledger: Ledger, slowest: float) -> None:
    limit = RateLimit(requests=2000, seconds=HOUR)
    world = saturate(world_ledger, (limit,), requests=6001, processes=3, slowest=slowest)
    arrivals = sorted(world.provider.arrivals)
    assert world.provider.beyond == 0
    assert least_seconds(6001, limit) / (arrivals[-1] - arrivals[0]) >= 0.99


@pytest.mark.sim
def test_two_limits_at_once_are_both_used_and_both_kept(world_ledger: Ledger) -> None:
    hour, minute = RateLimit(requests=200, seconds=HOUR), RateLimit(requests=5, seconds=60.0)
    world = saturate(world_ledger, (hour, minute), requests=601, processes=3, slowest=0.2)
    arrivals = sorted(world.provider.arrivals)
    assert world.provider.beyond == 0
    assert least_seconds(601, hour) / (arrivals[-1] - arrivals[0]) >= 0.98
    assert least_seconds(200, minute) / (arrivals[199] - arrivals[0]) >= 0.98


def test_a_small_limit_is_used_to_the_full_in_a_small_world(world_ledger: Ledger) -> None:
    limit = RateLimit(requests=40, seconds=4.0)
    world = saturate(world_ledger, (limit,), requests=241, processes=3, slowest=0.02)
    arrivals = sorted(world.provider.arrivals)
    assert world.provider.beyond == 0
    assert (arrivals[-1] - arrivals[0]) / least_seconds(241, limit) <= 1.10
