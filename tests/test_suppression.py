"""Who must not be called: compared with the obvious slow way of finding it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voicebatch.suppression import Found, already_contacted, listed, repeated

SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it only sets a number
FRENCH = 33_600_000_000
numbers = st.integers(0, 5).map(lambda last: FRENCH + last)
recipients = st.lists(st.tuples(st.integers(0, 2), numbers, st.booleans()), max_size=25)
"""Message, number, and whether it is among those that count."""
People = list[tuple[int, int, bool]]


def columns(people: People) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    messages, digits, among = zip(*people, strict=True) if people else ((), (), ())
    return np.array(messages, np.int32), np.array(digits, np.int64), np.array(among, np.bool_)


def found_by(found: Found) -> list[tuple[int, int]]:
    return list(zip(found.positions.tolist(), found.by.tolist(), strict=True))


@pytest.fixture(autouse=True, params=[2, 1 << 20])
def rows_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebatch.suppression._AT_ONCE", request.param)


@given(recipients)
@SETTINGS
def test_who_stands_again_is_found_with_the_first_of_the_same_number_and_message(people: People) -> None:
    firsts: dict[tuple[int, int], int] = {}
    expected = [
        (at, firsts[message, number])
        for at, (message, number, counts) in enumerate(people)
        if counts and firsts.setdefault((message, number), at) != at
    ]
    assert found_by(repeated(*columns(people))) == expected


def test_the_same_number_with_two_messages_is_called_twice() -> None:
    assert found_by(repeated(*columns([(0, FRENCH, True), (1, FRENCH, True)]))) == []


def test_three_of_the_same_all_point_to_the_first() -> None:
    people = [(0, number, True) for number in (1, 2, 1, 1)]
    assert found_by(repeated(*columns(people))) == [(2, 0), (3, 0)]


def test_looking_for_repeats_leaves_the_input_as_it_was() -> None:
    messages, digits, among = columns([(0, 2, True), (0, 1, True)])
    repeated(messages, digits, among)
    assert digits.tolist() == [2, 1]


@given(recipients, st.lists(st.tuples(st.integers(0, 2), numbers), max_size=25))
@SETTINGS
def test_who_was_contacted_already_is_found_by_number_and_message(
    people: People, before: list[tuple[int, int]]
) -> None:
    contacts = pd.DataFrame(before, columns=["message", "number"]).astype({"message": "int32", "number": "int64"})
    expected = [
        (at, before.index((message, number)))
        for at, (message, number, counts) in enumerate(people)
        if counts and (message, number) in before
    ]
    assert found_by(already_contacted(*columns(people), contacts)) == expected


@given(recipients, st.lists(numbers, max_size=25))
@SETTINGS
def test_who_is_on_an_opt_out_list_is_found_with_the_first_entry(people: People, opt_outs: list[int]) -> None:
    _, digits, among = columns(people)
    expected = [
        (at, opt_outs.index(number)) for at, (_, number, counts) in enumerate(people) if counts and number in opt_outs
    ]
    assert found_by(listed(digits, among, np.array(opt_outs, dtype=np.int64))) == expected


def test_numbers_keep_all_fifteen_digits() -> None:
    longest = np.array([999_999_999_999_998, 999_999_999_999_999], dtype=np.int64)
    assert found_by(listed(longest, np.ones(2, np.bool_), longest[1:])) == [(1, 0)]
