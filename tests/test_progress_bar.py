"""What a person sees while files are read: a bar on a terminal, lines in a log, and the first faults early."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console

from voicebatch.cli.progress import Lines, bar
from voicebatch.models import Fault, Progress

_CODES: Final = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
READING: Final = Progress(stage="reading")


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def fault(row: int, reason: str, column: str = "tel") -> Fault:
    return Fault(file="people.csv", row=row, column=column, check="any", reason=reason)


def seen_on_a_terminal(*moments: tuple[float, Progress]) -> str:
    """What is on the screen while the bar is drawn for the last of these moments, and what stays above it."""
    screen, clock = io.StringIO(), Clock()
    with bar(Console(file=screen, force_terminal=True, width=140), clock) as show:
        for seconds, moment in moments:
            clock.now = 100 + seconds
            show(moment)
    return _CODES.sub("", screen.getvalue())


def told_to_a_log(*moments: tuple[float, Progress]) -> list[str]:
    told, clock = list[str](), Clock()
    lines = Lines(told.append, clock)
    for seconds, moment in moments:
        clock.now = 100 + seconds
        lines.show(moment)
    return told


def test_a_bar_shows_rows_rows_a_second_and_the_time_left() -> None:
    steps = [(at, replace(READING, done=at * 1000, total=100_000, rejected=at)) for at in range(11)]
    screen = seen_on_a_terminal(*steps)
    assert "Reading" in screen
    assert "10000/100000" in screen
    assert "1,000 rows/s" in screen
    assert "0:01:30" in screen
    assert "10 bad" in screen


def test_the_time_left_is_known_although_the_estimate_of_the_rows_moves() -> None:
    steps = [(at, replace(READING, done=at * 1000, total=100_000 + at % 2)) for at in range(11)]
    assert "0:01:30" in seen_on_a_terminal(*steps)


def test_an_estimate_that_was_too_low_grows_with_the_rows() -> None:
    screen = seen_on_a_terminal((0, replace(READING, done=5, total=10)), (1, replace(READING, done=30, total=10)))
    assert "30/30" in screen


def test_a_total_that_is_not_known_is_a_question_mark() -> None:
    assert "30/?" in seen_on_a_terminal((0, READING), (1, replace(READING, done=30)))


def test_the_first_faults_stand_above_the_bar_each_kind_once_and_without_their_cells() -> None:
    faults = [
        fault(3, "the number is too short"),
        fault(4, "the number is too short"),
        fault(5, "`Zoé 0465710001` is not one of fr, en", "lang"),
    ]
    begun = replace(READING, done=10, first_faults=tuple(faults[:1]))
    later = replace(READING, done=20, first_faults=tuple(faults))
    screen = seen_on_a_terminal((0, begun), (2, begun), (3, later), (4, later))
    assert screen.count("people.csv, row 3, “tel”: the number is too short\n") == 1
    assert screen.count("people.csv, row 5, “lang”: the value is not one of fr, en\n") == 1
    assert "row 4" not in screen
    assert "Zoé" not in screen
    assert "0465710001" not in screen


def test_no_more_than_five_faults_are_shown_and_a_file_name_is_no_markup() -> None:
    faults = tuple(replace(fault(row, f"reason {row}"), file="[red]a.csv") for row in range(2, 20))
    screen = seen_on_a_terminal((0, READING), (2, replace(READING, done=20, first_faults=faults)))
    assert re.findall(r"^.*\[red\]a\.csv, row (\d+)", screen, flags=re.MULTILINE) == ["2", "3", "4", "5", "6"]


def test_work_that_is_done_at_once_shows_no_fault_before_its_result() -> None:
    screen = seen_on_a_terminal((0, READING), (0.5, replace(READING, done=9, first_faults=(fault(2, "too short"),))))
    assert "too short" not in screen


def test_a_new_stage_begins_at_its_own_pace() -> None:
    sending = Progress(stage="sending", done=1, total=50, accepted=1)
    screen = seen_on_a_terminal((0, READING), (1, replace(READING, done=1000)), (2, sending), (3, sending))
    assert "1 accepted, 0 refused" in screen
    assert "rows/s" not in screen.rpartition("Sending")[2]


def test_a_log_gets_a_line_at_the_beginning_and_one_every_half_minute() -> None:
    faults = (fault(3, "the number is too short"),)
    steps = [
        (at, replace(READING, done=at * 1000, total=100_000, rejected=at // 10, first_faults=faults if at else ()))
        for at in range(0, 70, 5)
    ]
    assert told_to_a_log(*steps) == [
        "Reading …",
        "Reading: 30,000 of about 100,000 rows, 1,000 rows/s, 1:10 left, 3 bad",
        "people.csv, row 3, “tel”: the number is too short",
        "Reading: 60,000 of about 100,000 rows, 1,000 rows/s, 0:40 left, 6 bad",
    ]


def test_the_rows_before_the_first_word_count_too() -> None:
    first = replace(READING, done=65_536, rejected=3)
    assert told_to_a_log((2, first), (32, replace(first, done=131_072)))[1].startswith("Reading: 131,072 rows, 4,096 ")


def test_a_log_says_no_time_left_when_the_total_is_not_known() -> None:
    assert told_to_a_log((0, READING), (40, replace(READING, done=80)), (41, Progress(stage="planning"))) == [
        "Reading …",
        "Reading: 80 rows, 2 rows/s",
        "Planning …",
    ]
