"""``--annotate``: bad rows come back marked; corrected and given again, only who was not called is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import openpyxl
import pytest

import voicebatch
from tests.cli.desk import Desk, number
from tests.cli.provider import provide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT: Final = ("--text", "Bonjour {{ nom }}, à {{ heure }}.", "--max-invalid", "2")
ROWS: Final = (
    ("nom", "téléphone", "heure"),
    ("Zoé", number(1), "8 h"),
    ("Ana", "abc", "9 h"),
    ("Léo", number(3), "10 h"),
    ("Max", number(4), None),  # what the template needs
    ("Eva", number(5), "11 h"),
)


def write_xlsx(desk: Desk) -> str:
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    book.save(desk.home / "people.xlsx")
    return "people.xlsx"


def correct_xlsx(copy: Path) -> None:
    book = openpyxl.load_workbook(copy)
    sheet = book.active
    assert sheet is not None
    marked = {cell.coordinate for row in sheet.iter_rows() for cell in row if cell.comment}
    assert marked == {"B3", "C5"}
    sheet["B3"], sheet["C5"] = number(2), "10 h 30"
    book.save(copy)


def write_csv(desk: Desk) -> str:
    lines = (";".join(cell or "" for cell in row) for row in ROWS)
    return desk.write("people.csv", "\r\n".join(lines).encode("cp1252"))


def correct_csv(copy: Path) -> None:
    text = copy.read_bytes().decode("cp1252")
    assert "heure: the template needs" in text
    copy.write_bytes(
        text.replace(";abc;", f";{number(2)};").replace(f"{number(4)};;", f"{number(4)};12 h;").encode("cp1252")
    )


@pytest.mark.parametrize(("write", "correct"), [(write_xlsx, correct_xlsx), (write_csv, correct_csv)])
def test_of_a_corrected_copy_only_who_was_not_called_is_called(
    desk: Desk, write: Callable[[Desk], str], correct: Callable[[Path], None]
) -> None:
    file = write(desk)
    with provide() as provider:
        how = (*TEXT, "--yes", "--json", "--base-url", provider.base_url)
        first = desk.run("send", file, *how, "--annotate")
        assert first.code == 0
        assert sorted(provider.called) == [number(1), number(3), number(5)]
        (copy,) = first.json["annotated"]
        assert str((desk.home / copy).parent) == first.json["report_dir"]
        correct(desk.home / copy)
        second = desk.run("send", copy, *how)
        assert second.code == 0
        assert second.json["rows"] == {**second.json["rows"], "suppressed": 3, "rejected": 0, "accepted": 2}
        assert sorted(provider.called[3:]) == [number(2), number(4)]
        reasons = [line["reason"] for line in desk.table(second.json["report_dir"], "recipients.csv")]
        assert sum("was already sent by run" in reason for reason in reasons) == 3


def test_a_run_is_the_same_with_marked_copies_and_without(desk: Desk) -> None:
    file = write_xlsx(desk)
    planned = desk.run("plan", file, *TEXT, "--sandbox", "--json")
    assert "annotated" not in planned.json
    sent = desk.run("send", file, *TEXT, "--sandbox", "--yes", "--annotate")
    assert planned.json["run_id"] in sent.out
    # Sent already, and only then it is asked for: nobody is called, and the copy is there.
    (desk.home / "reports" / planned.json["run_id"] / "people.annotated.xlsx").unlink()
    again = desk.run("send", file, *TEXT, "--sandbox", "--yes", "--annotate")
    assert again.code == 0
    assert "nobody is called now" in again.err
    assert f"Marked copy: reports/{planned.json['run_id']}/people.annotated.xlsx" in again.out


def test_too_many_bad_rows_come_back_marked_too(desk: Desk) -> None:
    file = write_csv(desk)
    refused = desk.run("plan", file, *TEXT[:2], "--json", VOICEBATCH_ANNOTATE="1")
    assert refused.code == 3
    (copy,) = refused.json["annotated"]
    assert (desk.home / copy).exists()
    assert f"Marked copy: {copy}" in refused.error["hint"]
    invalid = desk.run("validate", file, "--annotate")
    assert invalid.code == 3
    assert "Marked copy: reports/validate-" in invalid.out


def test_a_plan_and_a_check_say_where_the_copy_is(desk: Desk) -> None:
    file = write_csv(desk)
    desk.write("voicebatch.toml", "annotate = true\n")
    planned = desk.run("plan", file, *TEXT, "--json")
    assert planned.json["annotated"] == [f"{planned.json['report_dir']}/people.annotated.csv"]
    checked = desk.run("validate", file, "--max-invalid", "9", "--json")
    assert checked.json["annotated"] == [f"{checked.json['report_dir']}/people.annotated.csv"]


def test_a_program_gets_the_paths(desk: Desk) -> None:
    file = desk.home / write_csv(desk)
    result = voicebatch.validate([file], annotate=True, out=desk.home / "out")
    assert [path.name for path in result.annotated] == ["people.annotated.csv"]
    assert result.error is not None
