"""Grouping into requests: the least number of them, nobody left out, everyone in the order of the rows."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebatch.batching import group

# Codes as the pipeline gives them: they count up by first appearance.
messages = st.lists(st.integers(0, 6), max_size=60).map(
    lambda raw: [list(dict.fromkeys(raw)).index(code) for code in raw]
)


@given(messages, st.integers(1, 12))
def test_requests_joined_are_all_recipients_once_and_none_is_over_the_limit(codes: list[int], size: int) -> None:
    grouping = group(np.array(codes, dtype=np.int32), batch_size=size)
    requests = [grouping.members(request).tolist() for request in range(len(grouping))]
    assert sorted(member for request in requests for member in request) == list(range(len(codes)))
    assert all(1 <= len(request) <= size for request in requests)


@given(messages, st.integers(1, 12))
def test_a_request_says_one_message_in_the_order_of_the_rows(codes: list[int], size: int) -> None:
    grouping = group(np.array(codes, dtype=np.int32), batch_size=size)
    for request in range(len(grouping)):
        members = grouping.members(request).tolist()
        assert len({codes[member] for member in members}) == 1
        assert members == sorted(members)


@given(messages, st.integers(1, 12))
def test_there_are_no_more_requests_than_needed(codes: list[int], size: int) -> None:
    grouping = group(np.array(codes, dtype=np.int32), batch_size=size)
    assert len(grouping) == sum(ceil(codes.count(code) / size) for code in set(codes))


@given(messages, st.integers(1, 12))
def test_messages_leave_in_the_order_in_which_the_file_asks_for_them(codes: list[int], size: int) -> None:
    grouping = group(np.array(codes, dtype=np.int32), batch_size=size)
    said = [codes[grouping.members(request)[0]] for request in range(len(grouping))]
    assert list(dict.fromkeys(said)) == list(dict.fromkeys(codes))


def test_five_hundred_and_one_recipients_are_two_requests() -> None:
    grouping = group(np.zeros(501, dtype=np.int32), batch_size=500)
    assert [len(grouping.members(request)) for request in range(len(grouping))] == [500, 1]


def test_nobody_is_no_request() -> None:
    assert len(group(np.zeros(0, dtype=np.int32), batch_size=500)) == 0


def test_a_message_that_nobody_hears_any_more_makes_no_request() -> None:
    grouping = group(np.array([0, 0, 3], dtype=np.int32), batch_size=500)
    assert [grouping.members(request).tolist() for request in range(len(grouping))] == [[0, 1], [2]]


@pytest.mark.parametrize("count", [100_000])
def test_positions_are_64_bit_whatever_the_codes_are(count: int) -> None:
    grouping = group(np.zeros(count, dtype=np.int32), batch_size=500)
    assert grouping.order.dtype == grouping.starts.dtype == np.int64
