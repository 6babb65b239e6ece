"""The fast path for whole columns answers exactly as ``phonenumbers``, and the check of that can fail."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.phones.comparing import Compared, compare
from tests.phones.generating import REGIONS, cells
from voicebatch.phones import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE: Final = 4000
NUMBERS: Final = int(os.environ.get("VOICEBATCH_NUMBERS", "2000000"))
SEED: Final = os.environ.get("VOICEBATCH_SEED")
SEEDS: Final = [int(SEED)] if SEED else range(-(-NUMBERS // AT_ONCE))


def column(seed: int, number: int = AT_ONCE) -> Compared:
    """The column of a seed: the seed also says which country's file it is in."""
    region = REGIONS[seed % len(REGIONS)]
    return compare(list(cells(random.Random(seed), region, number)), region)  # noqa: S311 # the same every time


@pytest.mark.phones
@pytest.mark.parametrize("seed", SEEDS)
def test_millions_of_numbers_are_read_as_phonenumbers_reads_them(seed: int) -> None:
    compared = column(seed)
    shown = "\n  ".join(compared.differences[:10])
    assert not compared.differences, f"{len(compared.differences)} differences; make phones SEED={seed}\n  {shown}"


@pytest.mark.parametrize("seed", range(60))
def test_some_numbers_of_sixty_countries_are_read_as_phonenumbers_reads_them(seed: int) -> None:
    assert column(seed, 100).differences == ()


@pytest.mark.phones
def test_the_columns_have_everything_in_them() -> None:
    compared = [column(seed, 100) for seed in range(60)]
    assert sum(one.fast for one in compared) > 1200
    assert sum(one.accepted for one in compared) > 500
    assert sum(one.refused for one in compared) > 500


def test_a_seed_makes_the_same_cells_again() -> None:
    assert column(3, 50) == column(3, 50)


# A table broken on purpose


def _call_premium_numbers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(columns, "_SPECIAL", ())
    patch.setattr(columns, "_ORDINARY", (*columns._ORDINARY, "premium_rate"))


def _take_any_digits(patch: pytest.MonkeyPatch) -> None:
    kinds = columns._kinds
    patch.setattr(columns, "_kinds", lambda lines: tuple(replace(kind, pattern=r"\d+") for kind in kinds(lines)))


def _take_any_length(patch: pytest.MonkeyPatch) -> None:
    kinds = columns._kinds
    patch.setattr(
        columns,
        "_kinds",
        lambda lines: tuple(replace(kind, lengths=(), pattern=kind.pattern + r"\d?") for kind in kinds(lines)),
    )


def _never_look_for_a_second_reading(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(columns, "_adds_nothing", lambda _format: True)


def _take_every_zero_off(patch: pytest.MonkeyPatch) -> None:
    plan = columns._plan.__wrapped__
    patch.setattr(
        columns, "_plan", lambda region: replace(found, prefix="0", is_plain=True) if (found := plan(region)) else None
    )


def _forget_that_overseas_is_elsewhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(columns, "NOT_ITS_OWN", {})


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Tables to break, which are whole again afterwards."""
    caches = (columns._plan, columns._plans, columns._shape)
    for cache in caches:
        cache.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


@pytest.mark.phones
@pytest.mark.parametrize(
    "break_it",
    [
        _call_premium_numbers,
        _take_any_digits,
        _take_any_length,
        _never_look_for_a_second_reading,
        _take_every_zero_off,
        _forget_that_overseas_is_elsewhere,
    ],
)
def test_a_table_broken_on_purpose_is_found_out(
    tables: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None]
) -> None:
    break_it(tables)
    assert any(column(seed, 2000).differences for seed in range(12))
