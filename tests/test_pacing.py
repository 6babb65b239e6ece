"""The arithmetic of rate limits, and durations as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebatch.errors import UsageError
from voicebatch.models import RateLimit
from voicebatch.pacing import Usage, back_off, earliest_finish, parse_duration, parse_rate

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
FIVE = RateLimit(requests=5, seconds=60)


@pytest.mark.parametrize(
    ("text", "requests", "seconds"),
    [
        ("2000/h", 2000, 3600),
        ("40/4s", 40, 4),
        ("5/minute", 5, 60),
        ("5/minutes", 5, 60),
        ("1/0.5s", 1, 0.5),
        (" 10 / 2 min ", 10, 120),
        ("7/D", 7, 86400),
    ],
)
def test_a_rate_is_requests_in_a_period(text: str, requests: int, seconds: float) -> None:
    assert parse_rate(text) == RateLimit(requests=requests, seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "5/", "/h", "0/h", "-1/h", "1.5/h", "five/h", "5/fortnight", "5/0s", "5/0", "²/h"]
)
def test_a_rate_that_is_none_is_a_wrong_use_that_says_how_to_write_it(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_rate(text)
    assert raised.value.hint.startswith("Write it like")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("24h", timedelta(hours=24)),
        ("90 min", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("0", timedelta(0)),
        (" 0 ", timedelta(0)),
        ("0h", timedelta(0)),
        ("1.5 hours", timedelta(minutes=90)),
        ("h", timedelta(hours=1)),
        ("30 Seconds", timedelta(seconds=30)),
    ],
)
def test_a_duration_has_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "24", "500ms", "-1h", "h24", "1h30", "1 fortnight", "1e3s", "9" * 30 + "d"])
def test_what_is_no_duration_is_a_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(("unreachable", "seconds"), [(0, 1), (0.5, 1), (2, 2), (32, 32), (61, 60), (1_000_000, 60)])
def test_the_back_off_is_as_long_again_up_to_a_minute(unreachable: float, seconds: int) -> None:
    assert back_off(timedelta(seconds=unreachable)) == timedelta(seconds=seconds)


def test_requests_within_the_limit_leave_now_and_the_next_a_window_later() -> None:
    assert earliest_finish(5, [Usage(FIVE, open=0, recent=0)], NOW) == NOW
    assert earliest_finish(6, [Usage(FIVE, open=0, recent=0)], NOW) == NOW + timedelta(seconds=60)
    assert earliest_finish(1, [Usage(FIVE, open=2, recent=3)], NOW) == NOW + timedelta(seconds=60)


def test_the_slowest_of_several_limits_decides() -> None:
    hourly = RateLimit(requests=10, seconds=3600)
    usages = [Usage(FIVE, open=0, recent=0), Usage(hourly, open=0, recent=0)]
    assert earliest_finish(11, usages, NOW) == NOW + timedelta(hours=1)


def test_without_a_limit_everything_leaves_now() -> None:
    assert earliest_finish(1000, [], NOW) == NOW


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_limit_is_full_exactly_when_no_slot_is_free(requests: int, under_way: int, recent: int) -> None:
    usage = Usage(RateLimit(requests=requests, seconds=1), open=under_way, recent=recent)
    assert usage.full == (under_way + recent >= requests)
    if usage.full and usage.blocking < usage.recent:
        left = recent - (usage.blocking + 1)  # that end, and all before it, passed out of the window
        assert under_way + left == requests - 1


@given(st.integers(1, 5000), st.integers(0, 300), st.integers(1, 100))
def test_the_last_of_many_requests_never_leaves_before_its_window(requests: int, taken: int, limit: int) -> None:
    usage = Usage(RateLimit(requests=limit, seconds=10), open=0, recent=taken)
    windows = (earliest_finish(requests, [usage], NOW) - NOW) / timedelta(seconds=10)
    assert (windows + 1) * limit >= requests + taken  # enough slots until then
    assert windows == 0 or windows * limit < requests + taken  # and one window fewer has too few
