"""Grouping into requests, and regrouping what was refused: few requests, nobody left out, the order of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from math import ceil
from typing import Final

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicebatch.batching import group, regroup

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


# Regrouping

PEOPLE: Final = tuple(f"+336{serial:08}" for serial in range(12345670, 12345690))
FIFTH: Final = "+33612345674"
NOTHING_SAID: Final = "invalid phone number"

numbers: Final = st.lists(
    st.from_regex(r"\+(33[1-9]|39[03]|1[2-9]|44[17])[0-9]{8}", fullmatch=True), min_size=1, max_size=60, unique=True
)


@pytest.mark.parametrize(
    "said",
    [
        "+33612345674",
        "0033612345674",
        "33612345674",
        "0612345674",
        "612345674",
        "+33 6 12 34 56 74",
        "06 12 34 56 74",
        "06\u00a012\u00a034\u00a056\u00a074",
        "06\u202f12\u202f34\u202f56\u202f74",
        "06.12.34.56.74",
        "06-12-34-56-74",
        "06/12/34/56/74",
        "+33 (0)6 12 34 56 74",
        "Numéro invalide : 0612345674.",
        "phoneNumbers[4]=33612345674 is not valid",
        "invalid: 33612345674, 33612345674",
        "['33612345674']",
        "code 10: the number <0612345674> is wrong (2 checks failed)",
    ],
)
def test_a_number_that_is_named_is_taken_out_and_the_others_stay_together(said: str) -> None:
    after = regroup(PEOPLE, said=said)
    assert after.refused == (FIFTH,)
    assert after.again == (tuple(number for number in PEOPLE if number != FIFTH),)


def test_several_that_are_named_are_all_taken_out() -> None:
    after = regroup(PEOPLE, said="invalid: 0612345688, +33 6 12 34 56 70 and 0033612345674")
    assert after.refused == (PEOPLE[0], FIFTH, PEOPLE[18])
    assert sum(after.again, ()) == tuple(number for number in PEOPLE if number not in after.refused)


def test_all_that_are_named_are_all_refused() -> None:
    after = regroup(PEOPLE[:2], said=" ; ".join(PEOPLE[:2]))
    assert (after.refused, after.again) == (PEOPLE[:2], ())


@pytest.mark.parametrize(
    "said",
    [
        "",
        NOTHING_SAID,
        "33699999999 is invalid",  # none of them
        "4567 is invalid",  # too short to be one
        "345674",
        "in request 12345678901234567890",
        "0612345674 0612345675",  # two, or one of twenty digits
    ],
)
def test_without_a_name_there_are_two_halves(said: str) -> None:
    after = regroup(PEOPLE, said=said)
    assert (after.refused, after.again) == ((), (PEOPLE[:10], PEOPLE[10:]))


def test_a_national_number_that_may_be_two_of_them_names_neither() -> None:
    french, british = "+33612345674", "+44612345674"
    assert regroup((french, british), said="0612345674 is wrong").refused == ()
    assert regroup((french, british), said="+44612345674 is wrong").refused == (british,)


@given(numbers, st.text() | st.sampled_from([*PEOPLE, NOTHING_SAID]), st.data())
def test_whoever_is_refused_and_whoever_is_tried_again_are_everyone_once_in_order(
    people: list[str], text: str, data: st.DataObject
) -> None:
    named = data.draw(st.lists(st.sampled_from(people), max_size=3))
    after = regroup(people, said=", ".join([*named, text]))
    again = [number for part in after.again for number in part]
    assert Counter([*after.refused, *again]) == Counter(people)
    assert again == [number for number in people if number in again]
    assert list(after.refused) == [number for number in people if number in after.refused]
    assert all(0 < len(part) < len(people) for part in after.again)  # so it ends
    assert len(people) == 1 or set(after.refused) <= set(named) | set(people) & set(PEOPLE)


def send_until_done(
    people: Collection[str], bad: Collection[str], says: Callable[[list[str]], str]
) -> tuple[int, set[str]]:
    """A provider that refuses every request with a bad number in it. Returns requests, and who was refused."""
    waiting, requests, refused = [tuple(people)], 0, set[str]()
    while waiting:
        request = waiting.pop()
        requests += 1
        if at_fault := [number for number in request if number in bad]:
            after = regroup(request, said=says(at_fault))
            refused |= {*after.refused}
            waiting += after.again
    return requests, refused


@given(st.integers(1, 500), st.data())
@example(500, None)
def test_one_bad_number_that_nobody_names_is_found_in_about_twice_log2_n_requests(
    count: int, data: st.DataObject | None
) -> None:
    people = [f"+336{serial:08}" for serial in range(count)]
    bad = data.draw(st.sampled_from(people)) if data else people[250]
    requests, refused = send_until_done(people, {bad}, lambda _: NOTHING_SAID)
    assert refused == {bad}
    assert requests <= 2 * ceil(np.log2(count)) + 1


@given(st.integers(1, 200), st.data())
def test_however_many_are_bad_they_and_only_they_are_refused_in_the_end(count: int, data: st.DataObject) -> None:
    people = [f"+336{serial:08}" for serial in range(count)]
    bad = set(data.draw(st.lists(st.sampled_from(people))))
    requests, refused = send_until_done(people, bad, lambda _: NOTHING_SAID)
    assert refused == bad
    assert requests <= 1 + 2 * len(bad) * ceil(np.log2(count))


@given(st.integers(1, 200), st.data())
def test_when_the_bad_ones_are_named_one_more_request_is_enough(count: int, data: st.DataObject) -> None:
    people = [f"+336{serial:08}" for serial in range(count)]
    bad = set(data.draw(st.lists(st.sampled_from(people))))
    requests, refused = send_until_done(people, bad, lambda at_fault: f"invalid: {', '.join(at_fault)}")
    assert refused == bad
    assert requests <= 2
    requests, refused = send_until_done(people, bad, lambda at_fault: f"{at_fault[0]} is invalid")
    assert refused == bad
    assert requests <= 1 + len(bad)
