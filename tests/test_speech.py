"""What a template can say besides words."""

from __future__ import annotations

import doctest
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebatch import speech


def test_the_examples_in_the_docstrings_are_true() -> None:
    failures, tried = doctest.testmod(speech)
    assert tried >= 9
    assert failures == 0


@pytest.mark.parametrize(
    ("seconds", "commas"),
    [
        (0, 0),
        (0.1, 1),
        (0.5, 1),
        (0.51, 2),
        (1, 2),
        (2, 4),
        ("2", 4),
        (" 3 ", 6),
        (60, 120),
        (Decimal("1.25"), 3),
    ],
)
def test_a_pause_is_rounded_up_to_the_next_half_second(seconds: object, commas: int) -> None:
    assert speech.pause(seconds).strip() == "," * commas


@pytest.mark.parametrize("seconds", [-1, "-0.5", 60.5, 61, "1e9", "nan", "inf", "deux", "", "1,5", None])
def test_a_pause_that_makes_no_sense_is_refused(seconds: object) -> None:
    with pytest.raises(ValueError, match=r"seconds"):
        speech.pause(seconds)


def test_the_documented_three_seconds_are_six_commas() -> None:
    assert f"un{speech.pause(3)} deux" == "un ,,,,,, deux"


@pytest.mark.parametrize(
    ("value", "spoken"),
    [
        ("AB", "A, B"),
        ("a b", "a, b"),
        ("AB-123-CD", "A, B, 1, 2, 3, C, D"),
        ("Zoe\u0301", "Z, o, é"),
        ("Çelik", "Ç, e, l, i, k"),
        ("हिं", "हिं"),
        ("X", "X"),
        (4512, "4, 5, 1, 2"),
    ],
)
def test_spelling_says_letters_and_digits_one_by_one(value: object, spoken: str) -> None:
    assert speech.spell(value) == spoken


@pytest.mark.parametrize(
    ("value", "spoken"),
    [("4512", "4, 5, 1, 2"), (4512, "4, 5, 1, 2"), ("04 51-2", "0, 4, 5, 1, 2"), ("４5", "4, 5"), ("7", "7")],
)
def test_a_number_is_read_digit_by_digit(value: object, spoken: str) -> None:
    assert speech.digits(value) == spoken


@pytest.mark.parametrize("value", ["", "  ", "--", "🙂"])
def test_what_would_be_silence_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="to spell"):
        speech.spell(value)
    with pytest.raises(ValueError, match="to read"):
        speech.digits(value)


def test_a_code_with_a_letter_is_not_read_without_it() -> None:
    with pytest.raises(ValueError, match="'45A' is no number: use spell"):
        speech.digits("45A")


def test_every_comma_of_the_documentation_counts_half_a_second() -> None:
    without = speech.spoken_seconds("mot " * 100, speech_rate=Decimal(1))
    assert speech.spoken_seconds("mot " * 100 + ",,,,,,", speech_rate=Decimal(1)) - without == 3


@pytest.mark.parametrize("text", ["", "a", "   ", "\n"])
def test_the_shortest_announcement_lasts_a_second(text: str) -> None:
    assert speech.spoken_seconds(text, speech_rate=Decimal(2)) == 1


@settings(deadline=None)
@given(text=st.text(max_size=300), more=st.text(max_size=50))
def test_a_longer_text_never_lasts_less_and_a_faster_voice_never_lasts_longer(text: str, more: str) -> None:
    slow, normal, fast = (speech.spoken_seconds(text, speech_rate=Decimal(rate)) for rate in ("0.5", "1", "2"))
    assert slow >= normal >= fast >= 1
    assert normal.as_tuple().exponent == -1
    assert speech.spoken_seconds(text + more, speech_rate=Decimal(1)) >= normal
