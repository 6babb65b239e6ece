"""A workbook's cells read as their user sees them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import openpyxl
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import CoveredTableCell, Table, TableCell, TableRow
from odf.text import P

from voicebatch.readers import open_sources

if TYPE_CHECKING:
    from pathlib import Path

Read = Callable[..., dict[int, tuple[str | None, ...]]]

CALC_EXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"

SHOWN = [
    ("00000", 1000, "01000"),
    ("00000", 75011, "75011"),
    ("0000000000", 612345678, "0612345678"),
    ('0#" "##" "##" "##" "##', 612345678, "06 12 34 56 78"),
    ("0#\\ ##\\ ##\\ ##\\ ##", 612345678, "06 12 34 56 78"),
    ('"+"0', 33612345678, "+33612345678"),
    ("[<=9999999]###\\-####;\\(###\\)\\ ###\\-####", 2025550123, "(202) 555-0123"),
    ("[<=9999999]###\\-####;\\(###\\)\\ ###\\-####", 5550123, "555-0123"),
    ("0.00", 12.5, "12.50"),
    ("0.00", 2.675, "2.68"),
    ("0", 12.7, "13"),
    ("#,##0", 1234, "1234"),
    ('#,##0.00\\ "€"', 1234.5, "1234.50 €"),
    ("#,##0.00\\ [$€-40C]", 1234.5, "1234.50 €"),
    ('_-* #,##0.00\\ "€"_-;\\-* #,##0.00\\ "€"_-;_-* "-"??\\ "€"_-', -7, "-7.00 €"),
    ("0%", 0.5, "50%"),
    ("0.0%", 0.125, "12.5%"),
    ("0.##", 12.5, "12.5"),
    ("0;(0)", -4, "(4)"),
    ('General" kg"', 12.5, "12.5 kg"),
    ("General", 0.1, "0.1"),
    ("0.00E+00", 612345678, "612345678"),
    ("# ?/?", 0.5, "0.5"),
    ("@", 612345678, "612345678"),
]


@pytest.mark.parametrize(("code", "value", "shown"), SHOWN)
def test_a_number_in_a_format_reads_as_it_is_shown(
    tmp_path: Path, rows: Read, code: str, value: float, shown: str
) -> None:
    book = openpyxl.Workbook()
    book.active.append(["v", "w"])
    book.active.append([value, "a"])
    book.active["A2"].number_format = code
    book.save(tmp_path / "b.xlsx")
    old = xlwt.Workbook()
    sheet = old.add_sheet("A")
    for column, title in enumerate("vw"):
        sheet.write(0, column, title)
    sheet.write(1, 0, value, xlwt.easyxf(num_format_str=code))
    sheet.write(1, 1, "a")
    old.save(str(tmp_path / "b.xls"))
    assert rows(tmp_path / "b.xlsx") == {2: (shown, "a")}
    assert rows(tmp_path / "b.xls") == {2: (shown, "a")}


def test_only_the_cells_in_the_format_are_shown_in_it(tmp_path: Path, rows: Read) -> None:
    book = openpyxl.Workbook()
    book.active.append(["cp", "note", "n"])
    for value in (1000, "1000", None, True, 2000, 3000):
        book.active.append([value, "a", 1000])
    for number in (2, 3, 4, 5, 7):
        book.active.cell(number, 1).number_format = "00000"
    book.save(tmp_path / "b.xlsx")
    assert [row[0] for row in rows(tmp_path / "b.xlsx").values()] == ["01000", "1000", None, "TRUE", "2000", "03000"]
    assert {row[2] for row in rows(tmp_path / "b.xlsx").values()} == {"1000"}


def test_formats_hold_in_every_part_of_a_long_sheet(tmp_path: Path, rows: Read) -> None:
    book = openpyxl.Workbook()
    book.active.append(["tel", "cp"])
    for number in range(2, 5002):
        book.active.append([f"04657{number:05}", number])
        book.active.cell(number, 2).number_format = "00000"
    book.save(tmp_path / "b.xlsx")
    assert rows(tmp_path / "b.xlsx") == {number: (f"04657{number:05}", f"{number:05}") for number in range(2, 5002)}


def ods(path: Path, *lines: list[TableCell]) -> Path:
    book = OpenDocumentSpreadsheet()
    sheet = Table(name="A")
    for cells in lines:
        line = TableRow()
        for cell in cells:
            line.addElement(cell)
        sheet.addElement(line)
    book.spreadsheet.addElement(sheet)
    book.save(str(path))
    return path


def text_cell(text: str, **attributes: object) -> TableCell:
    cell = TableCell(valuetype="string", **attributes)
    cell.addElement(P(text=text))
    return cell


def number_cell(value: float, shown: str, kind: str = "float") -> TableCell:
    cell = TableCell(valuetype=kind, value=str(value), **({"currency": "EUR"} if kind == "currency" else {}))
    cell.addElement(P(text=shown))
    return cell


@pytest.mark.parametrize(
    ("value", "written", "kind", "read"),
    [
        (1000, "01000", "float", "01000"),
        (612345678, "06 12 34 56 78", "float", "06 12 34 56 78"),
        (612345678, "06.12.34.56.78", "float", "06.12.34.56.78"),
        (612345678, "612345678", "float", "612345678"),
        (612345678, "6,12E+08", "float", "612345678"),
        (612345678, "###", "float", "612345678"),
        (1234, "1 234", "float", "1234"),
        (1234.5, "1 234,50 €", "currency", "1234.50 €"),
        (12.5, "12,5", "float", "12.5"),
        (12.5, "12,50", "float", "12.50"),
        (0.125, "12,5 %", "percentage", "12.5 %"),
        (3.14159, "3,14", "float", "3.14"),
        (-4, "-4", "float", "-4"),
    ],
)
def test_a_number_in_an_ods_reads_as_it_is_shown(
    tmp_path: Path, rows: Read, value: float, written: str, kind: str, read: str
) -> None:
    path = ods(
        tmp_path / "b.ods",
        [text_cell("v"), text_cell("w")],
        [number_cell(value, written, kind), text_cell("a")],
    )
    assert rows(path) == {2: (read, "a")}


def an_error_in_an_ods(path: Path) -> None:
    ods(
        path.with_suffix(".tmp"),
        [text_cell("nom"), text_cell("tel")],
        [text_cell("Zoé"), text_cell("#N/A")],
        [text_cell("#N/A"), text_cell("0465710002")],
    )
    wrong = f'xmlns:calcext="{CALC_EXT}" calcext:value-type="error"'
    with zipfile.ZipFile(path.with_suffix(".tmp")) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode()
            new.writestr(name, content.replace("><text:p>#N/A", f" {wrong}><text:p>#N/A"))


def an_error_in_an_xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["nom", "tel"], ["Zoé", "#N/A"], ["#N/A", "0465710002"]):
        book.active.append(row)
    for cell in ("B2", "A3"):
        book.active[cell].data_type = "e"
    book.save(path)


def an_error_in_an_xls(path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for column, title in enumerate(("nom", "tel")):
        sheet.write(0, column, title)
    sheet.write(1, 0, "Zoé")
    sheet.row(1).set_cell_error(1, 0x2A)
    sheet.row(2).set_cell_error(0, 0x2A)
    sheet.write(2, 1, "0465710002")
    book.save(str(path))


@pytest.mark.parametrize(
    ("name", "write"),
    [("b.xlsx", an_error_in_an_xlsx), ("b.xls", an_error_in_an_xls), ("b.ods", an_error_in_an_ods)],
)
def test_a_formula_in_error_is_no_data_and_has_its_own_sentence_among_phone_numbers(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    (source,) = open_sources(tmp_path / name)
    (batch,) = source.batches()
    assert batch.cells.to_pydict() == {"nom": ["Zoé", None], "tel": [None, "0465710002"]}
    assert batch.faults == {2: "the formula in cell B2 gives no number: it shows #N/A"}


def test_a_row_with_nothing_but_a_phone_number_in_error_is_not_forgotten(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["nom", "tel"], [None, "#REF!"], ["Zoé", "0465710002"]):
        book.active.append(row)
    book.active["B2"].data_type = "e"
    book.save(tmp_path / "b.xlsx")
    (source,) = open_sources(tmp_path / "b.xlsx")
    (batch,) = source.batches()
    assert batch.numbers.tolist() == [2, 3]
    assert list(batch.faults) == [2]


HOUSEHOLD: list[list[str | None]] = [
    ["Famille", "Téléphone", "Enfant"],
    ["Konaté", "0465710001", "Léo"],
    [None, None, "Zoé"],
    [None, None, None],
    ["Le Goff", "0465710002", "Max"],
]


def merged_xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in HOUSEHOLD:
        book.active.append(row)
    for cells in ("A2:A4", "B2:B4"):
        book.active.merge_cells(cells)
    book.save(path)


def merged_xls(path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for number, row in enumerate(HOUSEHOLD):
        for column, value in enumerate(row):
            if number == 1 and column < 2:
                sheet.write_merge(1, 3, column, column, value)
            elif value:
                sheet.write(number, column, value)
    book.save(str(path))


def merged_ods(path: Path) -> None:
    lines = []
    for number, row in enumerate(HOUSEHOLD):
        line = [text_cell(value) if value else TableCell() for value in row]
        if number == 1:
            line[:2] = [text_cell(str(value), numberrowsspanned=3) for value in row[:2]]
        if number in (2, 3):
            line[:2] = [CoveredTableCell(), CoveredTableCell()]
        lines.append(line)
    ods(path, *lines)


@pytest.mark.parametrize(("name", "write"), [("b.xlsx", merged_xlsx), ("b.xls", merged_xls), ("b.ods", merged_ods)])
def test_a_merged_cell_stands_in_each_of_its_rows_that_has_something_else(
    tmp_path: Path, rows: Read, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    assert rows(tmp_path / name) == {
        2: ("Konaté", "0465710001", "Léo"),
        3: ("Konaté", "0465710001", "Zoé"),
        5: ("Le Goff", "0465710002", "Max"),
    }


def test_a_merged_title_and_a_header_of_two_rows_do_not_confuse(tmp_path: Path, rows: Read) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Liste de mars"], ["Nom", "Contact"], [None, "Téléphone", "Ville"], ["Zoé", "0465710001", "Nantes"]):
        sheet.append(row)
    for cells in ("A1:C1", "A2:A3", "B2:C2"):
        sheet.merge_cells(cells)
    book.save(tmp_path / "b.xlsx")
    (source,) = open_sources(tmp_path / "b.xlsx")
    assert source.header == ("Nom", "Téléphone", "Ville")
    assert rows(tmp_path / "b.xlsx") == {4: ("Zoé", "0465710001", "Nantes")}


def test_a_header_merged_over_two_rows_is_one(tmp_path: Path, rows: Read) -> None:
    book = openpyxl.Workbook()
    for row in (["Nom", "Téléphone"], [], ["Zoé", "0465710001"]):
        book.active.append(row)
    for cells in ("A1:A2", "B1:B2"):
        book.active.merge_cells(cells)
    book.save(tmp_path / "b.xlsx")
    assert rows(tmp_path / "b.xlsx") == {3: ("Zoé", "0465710001")}


def test_a_merged_cell_goes_on_where_rows_are_read_in_pieces(
    tmp_path: Path, rows: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebatch.readers.sheet._MOST_CELLS", 8)  # four rows at a time
    book = openpyxl.Workbook()
    for number in range(1, 31):
        book.active.append(["tel", "ville"] if number == 1 else [f"04657100{number:02}", None])
    book.active["B3"] = "Nantes"
    book.active.merge_cells("B3:B28")
    book.save(tmp_path / "b.xlsx")
    read = rows(tmp_path / "b.xlsx")
    assert [number for number, row in read.items() if row[1] == "Nantes"] == list(range(3, 29))
    assert len(read) == 29
