"""``plan`` and ``validate``: several files of several kinds, opt-outs, dialects, schemas, and what they write."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.desk import ROW_KEYS, SUMMARY_KEYS, Desk, Result, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Lines = dict[tuple[str, int], dict[str, str]]


def write_workbook(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)


@dataclass(frozen=True, kw_only=True)
class Planned:
    desk: Desk
    result: Result

    @property
    def summary(self) -> dict[str, Any]:
        return self.result.json

    @property
    def lines(self) -> Lines:
        lines = self.desk.table(self.summary["report_dir"], "recipients.csv")
        return {(line["file"], int(line["row"])): line for line in lines}


@pytest.fixture(scope="module")
def planned(new_desk: Callable[..., Desk]) -> Planned:
    """Three files of three kinds, three opt-out lists of three kinds, a price table, a limit."""
    desk = new_desk()
    desk.write("a.csv", [("telephone", "nom"), (number(1), "A"), (number(2), "B"), ("nonsense", "C")])
    write_workbook(
        desk.home / "b.xlsx", {"Notes": [["x"]], "Gens": [["Nom", "Mobile"], ["A", 465710001], ["B", number(4)]]}
    )
    folder = desk.home / "set" / "year=2032"
    folder.mkdir(parents=True)
    for part in (0, 1):
        numbers = [number(5 + part), number(7 + part)]
        pq.write_table(pa.table({"phone": numbers, "nom": ["P", "Q"]}), folder / f"part-{part}.parquet")
    desk.write("out.csv", f"Téléphone;Motif\n{number(2)};non\nillisible;?\n")
    desk.write("out.txt", "04 65 71 00 05\n")
    write_workbook(desk.home / "out.xlsx", {"x": [["Tel"], ["0033465710006"]]})
    desk.write("prices.csv", "calling_code,unit_cost,currency\n+33,0.1234567,EUR\n")
    result = desk.run(
        "plan", "a.csv", "b.xlsx", "set", "--text", "Bonjour {{ nom }}", "--suppress", "out.csv", "--suppress",
        "out.txt", "--suppress", "out.xlsx", "--price-table", "prices.csv", "--limit", "3", "--batch-size", "1",
        "--max-invalid", "1", "--out", "elsewhere", "--json",
    )  # fmt: skip
    return Planned(desk=desk, result=result)


def test_a_plan_says_what_would_be_sent(planned: Planned) -> None:
    assert planned.result.code == 0
    summary = planned.summary
    assert set(summary) == SUMMARY_KEYS
    assert summary["status"] == "planned"
    assert summary["rows"] == dict.fromkeys(ROW_KEYS, 0) | {"total": 9, "rejected": 1, "suppressed": 5, "queued": 3}
    assert summary["requests"]["planned"] == 3
    assert Decimal(summary["cost"]) == 3 * Decimal("0.1234567")


def test_every_row_of_every_file_has_one_line(planned: Planned) -> None:
    lines = planned.lines
    assert len(lines) == 9
    by_file = {file: [line["status"] for (name, _), line in lines.items() if name == file] for file, _ in lines}
    assert list(by_file.values()) == [
        ["queued", "suppressed", "rejected"],
        ["suppressed", "queued"],
        ["suppressed", "queued"],
        ["suppressed", "suppressed"],
    ]


def test_every_row_that_is_not_queued_says_why(planned: Planned) -> None:
    reasons = {key: line["reason"] for key, line in planned.lines.items()}
    assert "out.csv" in reasons["a.csv", 3]
    assert "out.csv" in reasons["a.csv", 3]
    assert "row 2 of a.csv" in next(reason for (file, row), reason in reasons.items() if "b.xlsx" in file and row == 2)
    texts = list(reasons.values())
    assert any("out.txt" in text for text in texts)
    assert any("out.xlsx" in text for text in texts)
    assert texts[-1] == "beyond --limit"


def test_a_plan_writes_its_files_and_leaves_the_ledger_alone(planned: Planned) -> None:
    folder = planned.desk.home / planned.summary["report_dir"]
    assert folder.relative_to(planned.desk.home).parts == ("elsewhere", planned.summary["run_id"])
    assert {path.name for path in folder.iterdir()} == {"recipients.csv", "rejected.csv", "manifest.json"}
    assert not (planned.desk.home / "data").exists()
    manifest = planned.desk.manifest(planned.summary["report_dir"])
    assert [check["ok"] for check in manifest["checks"]] == [True]
    assert all(len(one["sha256"]) == 64 for one in (*manifest["inputs"], *manifest["opt_outs"], manifest["schema"]))
    assert manifest["opt_outs"][0]["unreadable"] == [3]


def test_a_dialect_that_is_told_is_obeyed_and_a_dry_run_is_a_plan(desk: Desk) -> None:
    content = "Prénom|Bureau|Portable\r\nZoé|x|0470 12 34 56\r\nAndré|x|+32 470 12 34 57\r\n"
    desk.write("gens.txt", content.encode("cp1252"))
    result = desk.run(
        "send", "gens.txt", "--dry-run", "--text", "Bonjour {{ prenom }}", "--delimiter", "|", "--encoding", "cp1252",
        "--region", "be", "--phone-column", "portable", "--json",
    )  # fmt: skip
    assert result.code == 0
    assert result.json["status"] == "planned"
    assert result.json["cost"] is None
    assert [line["phone"] for line in desk.recipients(result.json["report_dir"]).values()] == [
        "+32470123456",
        "+32470123457",
    ]
    assert not (desk.home / "data").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("nom,telephone\nA,0465710001\n", ("--text", "{{ prenom }} {{ nom }}"), ("prenom", "“nom”, “telephone”")),
        ("nom,telephone,mobile\nA,0465710001,0465710002\n", ("--text", "x"), ("telephone", "mobile")),
        ("nom,adresse\nA,x\n", ("--text", "x"), ("nom", "adresse")),
        ("nom,telephone\nA,0465710001\n", ("--text", "x", "--phone-column", "gsm"), ("gsm",)),
        ("", ("--text", "x"), ("people.csv",)),
        ("nom,telephone\nA,0465710001\n", ("--text", "x", "--suppress", "nobody.csv"), ("nobody.csv",)),
    ],
)  # fmt: skip
def test_an_input_that_is_not_accepted_is_exit_3_and_says_what_was_looked_for(
    shared_desk: Desk, content: str, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    shared_desk.write("people.csv", content)
    shared_desk.write("nobody.csv", "telephone\nnobody\n")
    result = shared_desk.run("plan", "people.csv", *arguments, "--json")
    assert result.code == 3
    assert result.error["kind"] == "input"
    assert all(word in result.error["message"] + result.error["hint"] for word in words), result.error


def test_too_many_bad_rows_are_exit_3_with_the_rows_and_the_folder(desk: Desk) -> None:
    desk.write("people.csv", [("telephone",), *((number(at),) for at in range(18)), ("+338",), ("=cmd",)])
    result = desk.run("send", "people.csv", "--text", "x", "--yes", "--json")
    assert result.code == 3
    assert result.json["rows"]["rejected"] == 2
    lines = desk.table(result.json["report_dir"], "rejected.csv")
    assert [(line["telephone"], line["row"]) for line in lines] == [("+338", "20"), ("'=cmd", "21")]
    assert "rejected.csv" in result.error["hint"]
    assert not (desk.home / "data").exists()


def test_validate_counts_lists_and_writes_the_bad_rows(desk: Desk) -> None:
    desk.write(
        "people.csv", [("telephone", "lang"), *((number(at), "fr") for at in range(8)), ("06", "xx"), ("", "fr")]
    )
    strict = desk.run("validate", "people.csv", "--json")
    assert strict.code == 3
    assert strict.json["rows"]["total"] == 10
    assert strict.json["rows"]["rejected"] == 2
    lines = desk.table(strict.json["report_dir"], "rejected.csv")
    assert list(lines[0]) == ["telephone", "lang", "file", "row", "column", "check", "reason"]
    assert [(line["row"], line["column"]) for line in lines] == [
        ("10", "telephone"), ("10", "lang"), ("11", "telephone"),
    ]  # fmt: skip
    lenient = desk.run("validate", "people.csv", "--max-invalid", "20%")
    assert lenient.code == 0
    assert "2 of 10 rows are bad" in lenient.out
    assert not (desk.home / "data").exists()


def test_a_schema_of_one_s_own_is_written_explained_and_obeyed(desk: Desk) -> None:
    assert desk.run("schema", "init", "own.yaml", "--json").json["schema"] == "own.yaml"
    assert desk.run("schema", "init", "own.yaml", "--json").code == 2
    path = desk.home / "own.yaml"
    more = "  age:\n    dtype: int\n    in_range: {min_value: 18, max_value: 120}\n"
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    assert any("age" in line for line in desk.run("schema", "show", "own.yaml", "--json").json["explanation"])
    write_workbook(
        desk.home / "gens.xlsx",
        {"Un": [["tel"], [number(1)]], "Deux": [["tel", "age"], [number(1), 20], [number(2), 7]]},
    )
    result = desk.run("validate", "gens.xlsx", "--sheet", "Deux", "--schema", "own.yaml", "--json")
    assert result.code == 3
    assert [(line["column"], line["row"]) for line in desk.table(result.json["report_dir"], "rejected.csv")] == [
        ("age", "3")
    ]
    no_sheet = desk.run("validate", "gens.xlsx", "--sheet", "Trois", "--json")
    assert no_sheet.code == 3
    assert "Deux" in no_sheet.error["message"] + no_sheet.error["hint"]
