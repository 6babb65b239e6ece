"""Who must not be called: compared with the obvious slow way of finding it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from voicebatch.suppression import already_contacted, first_of_same, listed

FRENCH = 33_600_000_000
numbers = st.integers(0, 5).map(lambda last: FRENCH + last)
pairs = st.lists(st.tuples(st.integers(0, 2), numbers), max_size=25)


def codes_and_numbers(recipients: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    messages = np.array([message for message, _ in recipients], dtype=np.int32)
    return messages, np.array([number for _, number in recipients], dtype=np.int64)


@given(pairs)
def test_the_first_of_the_same_number_and_message_is_the_one_that_stays(recipients: list[tuple[int, int]]) -> None:
    firsts = first_of_same(*codes_and_numbers(recipients))
    assert firsts.tolist() == [recipients.index(pair) for pair in recipients]


def test_the_same_number_with_two_messages_is_called_twice() -> None:
    assert first_of_same(*codes_and_numbers([(0, FRENCH), (1, FRENCH)])).tolist() == [0, 1]


def test_three_of_the_same_all_point_to_the_first() -> None:
    assert first_of_same(*codes_and_numbers([(0, 1), (0, 2), (0, 1), (0, 1)])).tolist() == [0, 1, 0, 0]


@given(pairs, pairs)
def test_who_was_contacted_already_is_found_by_number_and_message(
    recipients: list[tuple[int, int]], before: list[tuple[int, int]]
) -> None:
    contacts = pd.DataFrame(before, columns=["message", "number"]).astype({"message": "int32", "number": "int64"})
    found = already_contacted(*codes_and_numbers(recipients), contacts)
    assert found.tolist() == [before.index(pair) if pair in before else -1 for pair in recipients]
    assert found.dtype == np.int64


@given(st.lists(numbers, max_size=25), st.lists(numbers, max_size=25))
def test_who_is_on_an_opt_out_list_is_found_with_the_first_entry(recipients: list[int], opt_outs: list[int]) -> None:
    found = listed(np.array(recipients, dtype=np.int64), np.array(opt_outs, dtype=np.int64))
    assert found.tolist() == [opt_outs.index(number) if number in opt_outs else -1 for number in recipients]
    assert found.dtype == np.int64


def test_numbers_keep_all_fifteen_digits() -> None:
    longest = np.array([999_999_999_999_998, 999_999_999_999_999], dtype=np.int64)
    assert listed(longest, longest[1:]).tolist() == [-1, 0]
