"""Nobody is called from a row that the user of a workbook does not see, unless that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from tests.cli.desk import Desk, number
from tests.cli.provider import provide

if TYPE_CHECKING:
    from pathlib import Path

TEXT = ("--text", "Bonjour {{ nom }}", "--yes", "--json")


def write(path: Path, *, hidden: tuple[int, ...] = (), column: str = "") -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Nom", "Téléphone"], ["Zoé", number(1)], ["Ana", number(2)], ["Léo", "abc"], ["Max", number(4)]):
        sheet.append(row)
    for one in hidden:
        sheet.row_dimensions[one].hidden = True
    if column:
        sheet.column_dimensions[column].hidden = True
    book.save(path)


def test_hidden_rows_are_left_out_counted_and_named(desk: Desk) -> None:
    write(desk.home / "people.xlsx", hidden=(3, 4))
    with provide() as provider:
        how = ("send", "people.xlsx", *TEXT, "--base-url", provider.base_url)
        sent = desk.run(*how)
        assert (sent.code, sorted(provider.called)) == (0, [number(1), number(4)])
        assert sent.json["rows"] == {**sent.json["rows"], "suppressed": 2, "rejected": 0, "accepted": 2}
        lines = desk.recipients(sent.json["report_dir"])
        assert [lines[row]["reason"] for row in (3, 4)] == ["hidden"] * 2
        again = desk.run(*how, "--include-hidden", "--max-invalid", "1")
        assert again.json["rows"] == {**again.json["rows"], "suppressed": 2, "rejected": 1, "accepted": 1}
        assert provider.called[2:] == [number(2)]  # the others were called already


def test_hidden_rows_of_an_old_and_of_a_free_workbook_are_left_out(desk: Desk) -> None:
    old = xlwt.Workbook()
    page = old.add_sheet("A")
    free, table = OpenDocumentSpreadsheet(), Table(name="A")
    for index, cells in enumerate((["Nom", "Téléphone"], ["Zoé", number(1)], ["Ana", number(2)], ["Léo", number(3)])):
        line = TableRow(visibility="filter" if index == 2 else "visible")
        for column, cell in enumerate(cells):
            page.write(index, column, cell)
            box = TableCell(valuetype="string")
            box.addElement(P(text=cell))
            line.addElement(box)
        table.addElement(line)
    page.row(2).hidden = True
    old.save(str(desk.home / "old.xls"))
    free.spreadsheet.addElement(table)
    free.save(str(desk.home / "free.ods"))
    for name in ("old.xls", "free.ods"):
        assert "2 to call, 1 suppressed (1 hidden), 0 rejected" in desk.run("plan", name, *TEXT[:2]).out


def test_a_phone_column_that_is_hidden_is_asked_about(desk: Desk) -> None:
    write(desk.home / "people.xlsx", hidden=(4,), column="B")
    refused = desk.run("plan", "people.xlsx", "--text", "Bonjour")
    assert refused.code == 3
    assert "“Téléphone” with the phone numbers is hidden" in refused.err
    assert desk.run("plan", "people.xlsx", "--text", "Bonjour", "--include-hidden", "--max-invalid", "1").code == 0


def test_a_plan_says_how_many_are_hidden(desk: Desk) -> None:
    write(desk.home / "people.xlsx", hidden=(2, 4))
    assert "2 to call, 2 suppressed (2 hidden), 0 rejected" in desk.run("plan", "people.xlsx", *TEXT[:2]).out
