"""Faults on the screen: one sentence for each kind, with its rows, and nothing of what stands in a cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import voicebatch
from voicebatch.cli import output
from voicebatch.cli.output import fault_lines
from voicebatch.models import Fault
from voicebatch.pipeline.grouping import grouped, sentence

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """
unique: [town, street]
columns:
  phone: {phone_number: true}
  town: {isin: [Lyon, Bron]}
  street: {nullable: true}
  code: {str_length: {exact_value: 5}}
  age: {dtype: int, in_range: {min_value: 1, max_value: 99}}
  card: {unique: true, str_matches: '^C: \\d+$'}
  day: {scheduled_date: true, nullable: true}
  title: {isin: {allowed_values: [M], error: 'write M: nothing else'}, nullable: true}
"""
HEADER = "phone;town;street;code;age;card;day;title"
GOOD = "0465710001;Lyon;;69001;40;C: 1;;"
ADVICE = "a cell that holds the delimiter needs quotation marks around it"
SECRETS = ("Xanadu", "Rue", "1234", "C: 7", "banana", "Miss", "31/02", "46571", "0612", "'or'")


def lines(tmp_path: Path, *rows: str) -> list[str]:
    """What is said of a file with these rows; the first of them is row 2."""
    (tmp_path / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "people.csv").write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    result = voicebatch.validate(
        [tmp_path / "people.csv"], schema=tmp_path / "schema.yaml", delimiter=";", out=tmp_path / "reports"
    )
    return list(fault_lines(grouped(result.faults), files=1))


def test_each_kind_of_fault_is_one_sentence_with_its_count_and_first_rows(tmp_path: Path) -> None:
    short = [f"04657{at};Lyon;Rue {at};69001;40;C: {at};;" for at in range(10, 17)]
    assert lines(tmp_path, GOOD, *short) == [
        "  “phone”: the number is too short for France (+33) in 7 rows: 3, 4, 5, 6, 7…"
    ]


def test_sentences_that_quote_cells_become_one_sentence_without_them(tmp_path: Path) -> None:
    told = lines(
        tmp_path,
        GOOD.replace("C: 1", "C: 7"),
        "0465710002;Xanadu;Rue A;1234;banana;C: 7;31/02/2032 08:00;Miss",
        "0465710003;'or';Rue A;123456;120;none;2020-01-01 08:00;Mrs is",
        "0465710004;Lyon;Rue A;69001;40;C: 8;;",
        "0465710005;Lyon;Rue A;69001;40;C: 9;;",
        "0465/71x0006;Lyon;Rue B;69001;40;C: 10;;",
        "0465710006;Lyon;Rue C;69001;40;C: 11;;;too;many",
    )
    assert sorted(told) == sorted(
        [
            "  “town”: the value is not one of Lyon, Bron in 2 rows: 3, 4",
            "  “code”: the length of the value is not 5 in 2 rows: 3, 4",
            "  “age”: the value is not a whole number in 1 row: 3",
            "  “age”: the value is not between 1 and 99 in 1 row: 4",
            "  “card”: the value already stands in a row above in 1 row: 3",
            r"  “card”: the value does not begin as the pattern ^C: \d+$ says in 1 row: 4",
            "  “day”: the value is not a date that exists in 1 row: 3",
            "  “day”: the value is past in 1 row: 4",
            "  “title”: write M: nothing else in 2 rows: 3, 4",
            "  “town, street”: the values already stand together in a row above in 1 row: 6",
            "  “phone”: an extension cannot be dialled in 1 row: 7 (give a direct number)",
            f"  there are more than the header's 8 cells in 1 row: 8 ({ADVICE})",
        ]
    )
    assert not [secret for secret in SECRETS for line in told if secret in line]


@pytest.mark.parametrize(
    ("reason", "general"),
    [
        ("`_` does not belong there in a phone number", "there is a character that does not belong in a number"),
        ("`a` is `b` is not one of x, y", "the value is not one of x, y"),
        ("`a\nb` is not a date", "the value is not a date"),
        ('"l\'an" is not a date and time: write it', "the value is not a date and time: write it"),
        ("the template needs “Nom”, and the cell is empty", "the template needs a value, and the cell is empty"),
        (
            "the template fails: could not convert '0612345678'",
            "the template fails: see the reasons in rejected.csv",
        ),
        ("the row goes on over 3 lines and has 9 cells, the header 8: a quote", "there are too many lines: a quote"),
        ("the value has 1 character, not 5", "the length of the value is not 5"),
        ("'M' or 'Mme', nothing else", "'M' or 'Mme', nothing else"),
    ],
)
def test_what_stands_in_the_cell_is_left_out(reason: str, general: str) -> None:
    assert sentence(Fault(file="a.csv", row=2, column="a", check="any", reason=reason)) == general


def faults(*kinds: tuple[str, str, int]) -> list[Fault]:
    return [
        Fault(file=file, row=row, column=column, check="empty", reason="the cell is empty")
        for file, column, rows in kinds
        for row in range(2, 2 + rows)
    ]


def test_a_screen_shows_the_most_frequent_kinds_and_counts_the_others() -> None:
    told = list(fault_lines(grouped(faults(*((("a.csv"), f"c{at}", at) for at in range(1, 41)))), files=1))
    assert len(told) == 16
    assert told[0] == "  “c40”: the cell is empty in 40 rows: 2, 3, 4, 5, 6…"
    assert told[-1] == "  … and 25 more kinds of faults: see rejected.csv"


def test_of_several_files_it_says_which_even_when_only_one_has_faults() -> None:
    assert list(fault_lines(grouped(faults(("a.csv", "tel", 1))), files=2)) == [
        "  a.csv, “tel”: the cell is empty in 1 row: 2"
    ]
    assert len(grouped(faults(("a.csv", "tel", 1), ("b.csv", "tel", 1)))) == 2


def test_a_header_that_is_a_number_is_not_shown() -> None:
    (line,) = fault_lines(grouped(faults(("a.csv", "0465710001", 1))), files=1)
    assert not re.search(r"\d{6}", line)


def test_a_long_list_of_allowed_values_does_not_hide_the_rows() -> None:
    fault = Fault(file="a.csv", row=2, column="a", check="isin", reason=f"`x` is not one of {', '.join('ab' * 99)}")
    (line,) = fault_lines(grouped([fault]), files=1)
    assert line.endswith("a, b, a, … in 1 row: 2")
    assert len(line) < 160


def test_a_row_counts_once_for_a_kind() -> None:
    twice = faults(("a.csv", "tel", 1)) * 2
    assert [(group.rows, group.first_rows) for group in grouped(twice)] == [(1, (2,))]


def test_a_name_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo("a\x1b[31m\u202ered\x07\udcff.csv:\n\t\u00a0é")
    assert capsys.readouterr().out == "a�[31m�red��.csv:\n\t\u00a0é\n"
