"""Dates in workbooks read as their user sees them, as far as they read in one way only."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl.utils.datetime import CALENDAR_MAC_1904

import voicebatch

Read = Callable[..., dict[int, tuple[str | None, ...]]]

DAY = datetime(2032, 3, 5)  # noqa: DTZ001 # a spreadsheet knows no time zone
MOMENT = datetime(2032, 3, 5, 14, 30, 45)  # noqa: DTZ001 # the same

IN_FORMATS = [
    ("dd/mm/yyyy", DAY, "05/03/2032"),
    ("d/m/yy", DAY, "05/03/2032"),
    ("DD\\-MM\\-YYYY", DAY, "05/03/2032"),
    ('dd"."mm"."yy', DAY, "05/03/2032"),
    ("dd/mm/yyyy;@", DAY, "05/03/2032"),
    ("[$-40C]dd/mm/yyyy;@", DAY, "05/03/2032"),
    ("[Red]dd/mm/yyyy", DAY, "05/03/2032"),
    ("mm-dd-yy", DAY, "05/03/2032"),  # written as number 14: as the country has it
    ("m/d/yy h:mm", MOMENT, "05/03/2032 14:30"),  # written as number 22
    ("dd/mm/yyyy\\ hh:mm", MOMENT, "05/03/2032 14:30"),
    ("dd/mm/yyyy\\ hh:mm", DAY, "05/03/2032 00:00"),
    ("dd/mm/yyyy hh:mm:ss", MOMENT, "05/03/2032 14:30:45"),
    ("dd/mm/yyyy h:mm AM/PM", MOMENT, "05/03/2032 14:30"),
    ('[$-40C]dd/mm/yy" à "hh"h"mm', MOMENT, "05/03/2032 14:30"),
    ("hh:mm dd/mm/yyyy", MOMENT, "05/03/2032 14:30"),
    ("dd/mm/yyyy", MOMENT, "05/03/2032"),
    ("mm/dd/yyyy", DAY, "2032-03-05"),
    ("yyyy-mm-dd", DAY, "2032-03-05"),
    ("d-mmm-yy", DAY, "05/03/2032"),
    ("dddd dd/mm/yyyy", DAY, "05/03/2032"),
    ("dd/mm", DAY, "2032-03-05"),
    ("dd/mm/yyyy dd", DAY, "2032-03-05"),
    ("[>1]dd/mm/yyyy", DAY, "2032-03-05"),
    ("yyyy-mm-dd", MOMENT, "2032-03-05 14:30:45"),
    ("[$-40C]d mmmm yyyy", MOMENT, "05/03/2032"),
    ("hh:mm", time(9, 5), "09:05"),
    ("dd/mm/yyyy", time(9, 5), "09:05"),
]


def xlsx(path: Path, *lines: list[tuple[object, str]]) -> Path:
    book = openpyxl.Workbook()
    for number, line in enumerate(lines, 1):
        for column, (value, code) in enumerate(line, 1):
            cell = book.active.cell(number, column, value)
            cell.number_format = code
    book.save(path)
    return path


def xls(path: Path, *lines: list[tuple[object, str]]) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for number, line in enumerate(lines):
        for column, (value, code) in enumerate(line):
            sheet.write(number, column, value, xlwt.easyxf(num_format_str=code))
    book.save(str(path))
    return path


def ods(path: Path, *lines: list[tuple[str, str]]) -> Path:
    """Each cell is its date, or "" for a text, and what it shows."""
    book = OpenDocumentSpreadsheet()
    sheet = Table(name="A")
    for line in lines:
        row = TableRow()
        for value, shown in line:
            cell = TableCell(valuetype="date", datevalue=value) if value else TableCell(valuetype="string")
            cell.addElement(P(text=shown))
            row.addElement(cell)
        sheet.addElement(row)
    book.spreadsheet.addElement(sheet)
    book.save(str(path))
    return path


@pytest.mark.parametrize(("code", "value", "shown"), IN_FORMATS)
@pytest.mark.parametrize("write", [xlsx, xls])
def test_a_date_with_the_day_first_reads_as_it_is_shown_and_any_other_as_iso(
    tmp_path: Path, rows: Read, write: Callable[..., Path], code: str, value: object, shown: str
) -> None:
    if write is xls:  # where the names of the formats of the country are others
        code = {"mm-dd-yy": "M/D/YY", "m/d/yy h:mm": "M/D/YY h:mm"}.get(code, code)
    titles, texts = [("v", "General"), ("w", "General")], ("a", "General")
    path = write(tmp_path / f"b.{write.__name__}", titles, [(value, code), texts])
    assert rows(path) == {2: (shown, "a")}


@pytest.mark.parametrize(
    ("value", "written", "read"),
    [
        ("2032-03-05", "05/03/2032", "05/03/2032"),
        ("2032-03-05", "5/3/32", "05/03/2032"),
        ("2032-03-05", "5. 3. 2032", "05/03/2032"),
        ("2032-03-05T14:30:45", "05/03/2032 14:30", "05/03/2032 14:30"),
        ("2032-03-05T14:30:45", "05/03/32 à 14h30", "05/03/2032 14:30"),
        ("2032-03-05T14:30:45", "05/03/2032 02:30:45 PM", "05/03/2032 14:30:45"),
        ("2032-03-05T14:30:45", "05/03/2032", "05/03/2032"),
        ("2032-03-05", "05/03/2032 00:00", "05/03/2032 00:00"),
        ("2032-03-05", "03/05/2032", "2032-03-05"),
        ("2032-03-05", "2032-03-05", "2032-03-05"),
        ("2032-03-05", "5 mars 2032", "2032-03-05"),
        ("2032-03-05", "vendredi 05/03/2032", "2032-03-05"),
        ("2032-03-05", "05/03/2031", "2032-03-05"),
        ("2032-03-05", "05/03", "2032-03-05"),
        ("2032-03-05", "", "2032-03-05"),
        ("2032-03-05T14:30:45", "03/05/32 14:30", "2032-03-05 14:30:45"),
    ],
)
def test_a_date_in_an_ods_reads_as_it_is_shown_where_the_day_is_first(
    tmp_path: Path, rows: Read, value: str, written: str, read: str
) -> None:
    path = ods(tmp_path / "b.ods", [("", "v"), ("", "w")], [(value, written), ("", "a")])
    assert rows(path) == {2: (read, "a")}


def test_durations_stay_as_they_are(tmp_path: Path, rows: Read) -> None:
    path = xlsx(tmp_path / "b.xlsx", [("v", "General")], [(timedelta(hours=30), "[h]:mm")])
    assert rows(path) == {2: ("30:00",)}


def test_dates_that_count_from_1904_are_the_same_days(tmp_path: Path, rows: Read) -> None:
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    book.active.append(["v"])
    book.active.append([DAY])
    book.active["A2"].number_format = "dd/mm/yyyy"
    book.save(tmp_path / "b.xlsx")
    old = xlwt.Workbook()
    old.dates_1904 = True
    sheet = old.add_sheet("A")
    sheet.write(0, 0, "v")
    sheet.write(1, 0, (date(2032, 3, 5) - date(1904, 1, 1)).days, xlwt.easyxf(num_format_str="dd/mm/yyyy"))
    old.save(str(tmp_path / "b.xls"))
    assert rows(tmp_path / "b.xlsx") == rows(tmp_path / "b.xls") == {2: ("05/03/2032",)}


def edited(path: Path, old: str, new: str) -> Path:
    """The workbook with something else in its sheet."""
    with ZipFile(path) as book, ZipFile(path.with_name(f"edited-{path.name}"), "w") as copy:
        for name in book.namelist():
            content = book.read(name).decode()
            if "sheet1" in name:
                assert old in content
                content = content.replace(old, new)
            copy.writestr(name, content)
    return path.with_name(f"edited-{path.name}")


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="A2" s="1"><f>TODAY()</f><v>48278</v></c>',  # a formula
        '<c r="A2" s="1" t="d"><v>2032-03-05</v></c>',
        '<c r="A2" t="n" s="1"><v>48278</v></c>',  # another order than that of Excel
        "<c r='A2' s='1'><v>48278</v></c>",
        '<c r="A2" s="1" cm="1" t="n"><v>48278</v></c>',
        '<c s="1"><v>48278</v></c>',
    ],
)
@pytest.mark.parametrize("above", [0, 3000])  # where cells are looked at one by one, and where all at once
def test_a_date_is_known_however_its_cell_is_written(tmp_path: Path, rows: Read, cell: str, above: int) -> None:
    path = xlsx(tmp_path / "b.xlsx", [("v", "General")], [(DAY, "dd/mm/yyyy")])
    usual = '<c r="A2" s="1" t="n"><v>48278</v></c>'
    filler = "".join(f'<row r="{row}"><c r="A{row}" t="n"><v>1</v></c></row>' for row in range(3, 3 + above))
    last = 3 + above
    moved = (usual if above else cell).replace('"A2"', '"A2"')
    again = cell.replace("A2", f"A{last}")
    path = edited(path, f"{usual}</row>", f'{moved}</row>{filler}<row r="{last}">{again}</row>')
    read = rows(path)
    assert read[2] == read[last] == ("05/03/2032",)
    assert len(read) == 2 + above


def test_formats_may_change_from_row_to_row(tmp_path: Path, rows: Read) -> None:
    lines: list[list[tuple[object, str]]] = [[("v", "General")]]
    codes = [("00000", 75, "00075"), ("dd/mm/yyyy", DAY, "05/03/2032"), ("yyyy-mm-dd", DAY, "2032-03-05")]
    codes += [("00000", "75", "75"), ("00000", True, "TRUE"), ("0.00", 1, "1.00"), ("General", 1, "1")]
    expected = {}
    for number in range(2, 6002):
        code, value, shown = codes[number % len(codes)]
        lines.append([(value, code)])
        expected[number] = (shown,)
    assert rows(xlsx(tmp_path / "b.xlsx", *lines)) == expected


@pytest.mark.parametrize("name", ["b.xlsx", "b.xls", "b.ods"])
def test_dates_that_read_as_shown_are_valid_as_dates_and_as_times_to_leave(tmp_path: Path, name: str) -> None:
    (tmp_path / "s.yaml").write_text("columns: {phone: {phone_number: FR}, birth: {dtype: date, ge: 2032-03-05}}")
    born, early = DAY, DAY - timedelta(days=1)
    leave, texts = datetime(2097, 5, 3, 9, 0), "General"  # noqa: DTZ001 # a spreadsheet knows no time zone
    lines: list[list[tuple[Any, str]]] = [[("phone", texts), ("birth", texts), ("scheduled_date", texts)]]
    codes = [("d/m/yy", "d/m/yy hh:mm"), ("dd/mm/yyyy", "dd/mm/yyyy hh:mm:ss"), ("mm/dd/yyyy", "yyyy-mm-dd hh:mm")]
    for number, (day, moment) in enumerate(codes):
        lines.append([(f"046571000{number}", texts), (born, day), (leave, moment)])
        lines.append([(f"046571001{number}", texts), (early, day), (leave, moment)])
    if name == "b.ods":
        shown = ["5/3/32", "4/3/32", "05/03/2032", "04/03/2032", "03/05/2032", "03/04/2032"]
        leaves = ["3/5/97 09:00"] * 2 + ["03/05/2097 09:00:00"] * 2 + ["2097-05-03 09:00"] * 2
        written = [
            [("", phone), (birth.date().isoformat(), text), (moment.isoformat(), when)]
            for ((phone, _), (birth, _), (moment, _)), text, when in zip(lines[1:], shown, leaves, strict=True)
        ]
        path = ods(tmp_path / name, [("", "phone"), ("", "birth"), ("", "scheduled_date")], *written)
    else:
        path = {"b.xlsx": xlsx, "b.xls": xls}[name](tmp_path / name, *lines)
    voicebatch.validate([path], schema=tmp_path / "s.yaml", max_invalid="100%", out=tmp_path / "out")
    (rejected,) = (tmp_path / "out").glob("*/rejected.csv")
    with rejected.open(newline="", encoding="utf-8") as file:
        bad = [(row["birth"], row["column"]) for row in csv.DictReader(file)]
    assert bad == [("04/03/2032", "birth"), ("04/03/2032", "birth"), ("2032-03-04", "birth")]
