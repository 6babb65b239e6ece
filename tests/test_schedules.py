"""Times as people write them, in Europe/Paris unless they say otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebatch.schedules import read_schedule

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2027-03-01 09:00", "2027-03-01T08:00"),
        ("2027-03-01T09:00", "2027-03-01T08:00"),
        ("2027-03-01 09:00:30", "2027-03-01T08:00:30"),
        ("2027-07-01 09:00", "2027-07-01T07:00"),
        ("01/03/2027 09:00", "2027-03-01T08:00"),
        ("1/3/2027 9:00", "2027-03-01T08:00"),
        ("01/03/2027 9h00", "2027-03-01T08:00"),
        ("01/03/2027 à 9h", "2027-03-01T08:00"),
        ("01/03/2027, 9:30", "2027-03-01T08:30"),
        ("01.03.2027 09:00", "2027-03-01T08:00"),
        ("01-03-2027 09:00", "2027-03-01T08:00"),
        ("2027-03-01 9h30", "2027-03-01T08:30"),
        ("2027/3/1 9:30", "2027-03-01T08:30"),
        ("  2027-03-01 09:00  ", "2027-03-01T08:00"),
        ("2027-03-01T09:00Z", "2027-03-01T09:00"),
        ("2027-03-01T09:00+02:00", "2027-03-01T07:00"),
        ("2027-03-01 09:00-05:00", "2027-03-01T14:00"),
        ("2027-03-28 01:59", "2027-03-28T00:59"),
        ("2027-03-28 03:00", "2027-03-28T01:00"),
        ("2027-10-31 02:30", "2027-10-31T00:30"),  # said twice by the clocks: the first
        ("2027-10-31T02:30+02:00", "2027-10-31T00:30"),
        ("2028-02-29 09:00", "2028-02-29T08:00"),
    ],
)
def test_a_time_is_read_as_it_is_meant(text: str, utc: str) -> None:
    read = read_schedule(text, now=NOW, zone=PARIS)
    assert read.astimezone(UTC) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["2027-02-29 09:00", "31/04/2027 09:00", "2027-13-01 09:00", "01/01/2027 25:00"])
def test_a_date_that_is_none_is_called_so(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date that exists"):
        read_schedule(text, now=NOW, zone=PARIS)


@pytest.mark.parametrize("text", ["2027-03-28 02:00", "2027-03-28 02:30", "28/03/2027 02:59"])
def test_an_hour_that_the_clocks_leave_out_does_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match="does not exist: the clocks go forward"):
        read_schedule(text, now=NOW, zone=PARIS)


@pytest.mark.parametrize("text", ["2027-10-31T02:30+01:00", "2027-10-31T01:00Z"])
def test_the_second_of_two_equal_hours_cannot_be_said_to_the_provider(text: str) -> None:
    with pytest.raises(ValueError, match="clocks show twice"):
        read_schedule(text, now=NOW, zone=PARIS)


@pytest.mark.parametrize("text", ["2026-12-31 23:59", "01/01/1999 09:00", "2027-01-01T00:59+01:00"])
def test_a_past_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is past"):
        read_schedule(text, now=NOW, zone=PARIS)


def test_now_is_not_past() -> None:
    assert read_schedule("2027-01-01 01:00", now=NOW, zone=PARIS) == NOW


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2027-03-01", "09:00", "03/2027", "20270301T0900", "46082", "1803945600"]
)
def test_what_is_no_time_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        read_schedule(text, now=NOW, zone=PARIS)


@pytest.mark.parametrize("text", ["0001-01-01 00:00", "9999-12-31 23:59-10:00", "0001-01-01T00:00+10:00"])
def test_a_time_at_the_ends_of_the_calendar_is_a_sentence_and_no_crash(text: str) -> None:
    with pytest.raises(ValueError, match=r"is past|is not a date that exists"):
        read_schedule(text, now=NOW, zone=PARIS)


@given(st.datetimes(min_value=datetime(2027, 1, 2), max_value=datetime(2090, 1, 1)))  # noqa: DTZ001 # in Paris
def test_every_local_minute_is_read_back_or_does_not_exist(local: datetime) -> None:
    minute = local.replace(second=0, microsecond=0)
    try:
        read = read_schedule(minute.strftime("%d/%m/%Y %H:%M"), now=NOW, zone=PARIS)
    except ValueError:
        instant = minute.replace(tzinfo=PARIS)
        assert instant.astimezone(UTC).astimezone(PARIS).replace(tzinfo=None) != minute
    else:
        assert read.astimezone(PARIS).replace(tzinfo=None) == minute


@given(st.text(max_size=30))
def test_whatever_stands_in_a_cell_is_a_time_or_a_sentence(text: str) -> None:
    try:
        assert read_schedule(text, now=NOW, zone=PARIS).tzinfo is not None
    except ValueError as error:
        assert str(error)  # noqa: PT017 # both ends are allowed
