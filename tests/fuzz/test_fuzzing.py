"""A million damaged inputs: never a traceback, never a crash, never a row lost; and the check of that can fail."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.fuzz import broken
from tests.fuzz.cases import KEPT, Case, make_case
from tests.fuzz.fuzzing import fuzz
from tests.fuzz.targets import TARGETS, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INPUTS: Final = int(os.environ.get("VOICEBATCH_INPUTS", "1000000"))
SEED: Final = os.environ.get("VOICEBATCH_SEED")
FIRST: Final = int(os.environ.get("VOICEBATCH_FIRST") or 0)
AT_ONCE: Final = min(20_000, max(1, INPUTS // 8))
BEGINNINGS: Final = [int(SEED)] if SEED else range(FIRST, FIRST + INPUTS, AT_ONCE)
FEW: Final = 150


@pytest.mark.fuzz
@pytest.mark.parametrize("first", BEGINNINGS)
def test_of_a_million_inputs_none_breaks_the_law(first: int, count: Callable[[Counter[str]], None]) -> None:
    fuzzed = fuzz(first, 1 if SEED else min(AT_ONCE, FIRST + INPUTS - first))
    count(fuzzed.tally)
    assert not fuzzed.failures, "\n".join(map(str, fuzzed.failures))


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.json")), ids=lambda path: path.stem)
def test_what_once_broke_the_law_does_not_again(path: Path, tmp_path: Path) -> None:
    run(Case.loads(path.read_text()), tmp_path, TARGETS)


def test_a_number_makes_the_same_input_again_and_it_can_be_kept() -> None:
    for number in range(FEW):
        case = make_case(number)
        assert case == make_case(number) == Case.loads(case.dumps())


def test_every_target_accepts_some_inputs_and_refuses_others(tmp_path: Path) -> None:
    told = {(case.target, run(case, tmp_path, TARGETS)) for case in map(make_case, range(FEW))}
    assert {target for target, _ in told} == TARGETS.keys()
    assert {(target, accepted) for target in ("text", "workbook", "parquet") for accepted in (True, False)} <= told


def test_a_target_broken_on_purpose_is_found_out_with_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEBATCH_FUZZ_SECONDS", "0.5")
    first = next(first for first in itertools.count() if _has_each_once(first))
    fuzzed = fuzz(first, len(broken.TARGETS), targets=broken.__name__, found=tmp_path)
    found = {make_case(failure.number).target: failure.why for failure in fuzzed.failures}
    assert "KeyError" in found["text"]
    assert "without a message" in found["schema"]
    assert "a phone number" in found["template"]
    assert "MemoryError" in found["phones"]
    assert "SIGABRT" in found["workbook"]
    assert "SIGPROF" in found["parquet"] or "SIGALRM" in found["parquet"]  # on a busy machine the clock is first
    assert "_turn_in_circles" in found["parquet"]
    for failure in fuzzed.failures:
        assert Case.loads(failure.saved.read_text()) == make_case(failure.number)
        assert f"make fuzz SEED={failure.number}" in str(failure)


def _has_each_once(first: int) -> bool:
    return {make_case(first + place).target for place in range(len(broken.TARGETS))} == broken.TARGETS.keys()
