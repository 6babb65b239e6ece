"""A schema in words: everything that it asks, and nothing that has to be looked up."""

from __future__ import annotations

import pytest

from voicebatch.validation import explain, load_schema
from voicebatch.validation.patterns import in_words

SCHEMA = r"""
title: Patients
description: Who is reminded.
strict: true
unique: [code, day]
columns:
  tel: {title: Phone, description: Mobile or not., phone_number: {region: BE}}
  code: {str_matches: '^\d{5}$', unique: true}
  age: {dtype: int, nullable: true, required: false, in_range: {min_value: 18, max_value: 99, include_max: false}}
  fee: {dtype: float, gt: 0, le: 12.5}
  member: {dtype: bool}
  day: {dtype: date, ge: 2027-01-01}
  title: {isin: {allowed_values: [M, Mme], error: write M or Mme}}
  note: {nullable: true, str_length: {max_value: 80, ignore_na: false}}
"""


def test_everything_that_a_schema_asks_is_said() -> None:
    once = "only once in the file, and each of several files is looked at by itself"
    assert explain(load_schema(SCHEMA, name="s.yaml")) == [
        "Patients",
        "Who is reminded.",
        "",
        "tel (Phone): text, the file must have it, no cell may be empty",
        "  Mobile or not.",
        "  - a phone number that can be called, of BE when written nationally",
        "",
        "code: text, the file must have it, no cell may be empty",
        f"  - every value {once}",
        r"  - 5 digits, and nothing else (the pattern ^\d{5}$)",
        "",
        "age: a whole number, the file may lack it, a cell may be empty",
        "  - between 18 and 99 (not itself)",
        "",
        "fee: a number (1.5 or 1,5), the file must have it, no cell may be empty",
        "  - greater than 0",
        "  - 12.5 or less",
        "",
        "member: yes or no (also true or false, 1 or 0, oui or non), the file must have it, no cell may be empty",
        "",
        "day: a date (2027-03-01 or 01/03/2027, with or without a time), the file must have it, no cell may be empty",
        "  - 2027-01-01 or more",
        "",
        "title: text, the file must have it, no cell may be empty",
        "  - one of M, Mme; if not, it says: write M or Mme",
        "",
        "note: text, the file must have it, a cell may be empty",
        "  - at most 80 characters long, and not empty",
        "",
        f"code and day together: {once}.",
        "A column is found whatever its capitals, accents, spaces and punctuation.",
        "A file with other columns is refused.",
    ]


def test_a_schema_without_a_phone_column_says_how_it_is_found() -> None:
    assert explain(load_schema("columns: {age: {}}", name="s.yaml"))[-3:] == [
        "The column with the phone numbers is found by its usual name.",
        "A column is found whatever its capitals, accents, spaces and punctuation.",
        "Other columns are let pass.",
    ]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"^[A-Z]{2}-\d{4}$", "2 capital letters, then “-”, then 4 digits, and nothing else"),
        (r"^FR\d+", "begins with “FR”, then one or more digits; anything may follow"),
        (r"[a-z]?[0-9]{2,4}$", "perhaps one small letter, then 2 to 4 digits, and nothing else"),
        (r"^C\.\d{3,}$", "“C.”, then 3 or more digits, and nothing else"),
        (r"^a{2}.$", "2 “a”s, then 1 character, and nothing else"),
        (r"^5\$", "begins with “5$”; anything may follow"),
    ],
)
def test_a_simple_pattern_is_said_in_words(pattern: str, words: str) -> None:
    assert in_words("str_matches", pattern) == f"{words} (the pattern {pattern})"


@pytest.mark.parametrize("pattern", [r"^(a|b)$", r"^[^@]+@", r"\w+", r"^a\\$", "a|b", "^$"])
def test_any_other_pattern_is_shown_as_it_is(pattern: str) -> None:
    assert in_words("str_matches", pattern) == f"matches the pattern {pattern}"


def test_what_a_cell_has_to_hold_is_said() -> None:
    assert in_words("str_contains", "@") == "holds “@” (the pattern @)"
    assert in_words("str_contains", "^@$") == "holds the pattern ^@$"
