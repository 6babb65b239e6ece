"""What a workbook's user has hidden or filtered away is known in every format, and only that."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.style import Style, TableProperties
from odf.table import Table, TableCell, TableColumn, TableHeaderRows, TableRow, TableRowGroup
from odf.text import P

from voicebatch.errors import InputError
from voicebatch.readers import archive, open_sources
from voicebatch.readers.hidden import Hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

HEADER = ["Nom", "Téléphone", "Ville"]


def hidden_of(path: Path, sheet: str | None = None) -> Hidden:
    (source,) = open_sources(path, sheet=sheet)
    list(source.batches())
    return source.hidden


def write_xlsx(path: Path, rows: Sequence[int], columns: Sequence[int]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for number in range(1, 301):
        sheet.append(HEADER if number == 1 else [f"Nom{number}", "0465710001", "Nantes"])
    for number in rows:
        sheet.row_dimensions[number].hidden = True
    for column in columns:
        sheet.column_dimensions["ABC"[column]].hidden = True
    book.save(path)


def write_xls(path: Path, rows: Sequence[int], columns: Sequence[int]) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for number in range(300):
        for column, value in enumerate(HEADER if not number else [f"Nom{number}", "0465710001", "Nantes"]):
            sheet.write(number, column, value)
    for number in rows:
        sheet.row(number - 1).hidden = True
    for column in columns:
        sheet.col(column).hidden = True
    book.save(str(path))


def write_ods(path: Path, rows: Sequence[int], columns: Sequence[int]) -> None:
    sheet = Table(name="A")
    for column in range(3):
        sheet.addElement(TableColumn(visibility="collapse" if column in columns else "visible"))
    for number in range(1, 301):
        line = ods_row(HEADER if number == 1 else [f"Nom{number}", "0465710001", "Nantes"])
        if number in rows:
            line.setAttribute("visibility", "filter" if number % 2 else "collapse")
        sheet.addElement(line)
    save_ods(path, sheet)


def ods_row(cells: Sequence[str], **attributes: Any) -> TableRow:
    line = TableRow(**attributes)
    for cell in cells:
        box = TableCell(valuetype="string")
        box.addElement(P(text=cell))
        line.addElement(box)
    return line


def save_ods(path: Path, *sheets: Table) -> None:
    book = OpenDocumentSpreadsheet()
    for sheet in sheets:
        book.spreadsheet.addElement(sheet)
    book.save(str(path))


WRITERS = {"b.xlsx": write_xlsx, "b.xls": write_xls, "b.ods": write_ods}
every_format = pytest.mark.parametrize("name", WRITERS)


@every_format
@pytest.mark.parametrize("piece", [1 << 12, 1 << 17])
def test_hidden_rows_and_columns_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, piece: int
) -> None:
    monkeypatch.setattr(archive, "_PIECE", piece)
    WRITERS[name](tmp_path / name, [2, 71, 300], [0, 2])
    assert hidden_of(tmp_path / name) == Hidden(frozenset({2, 71, 300}), frozenset({0, 2}))


@every_format
def test_nothing_is_hidden_where_nothing_is(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, [], [])
    assert hidden_of(tmp_path / name) == Hidden()


def an_xlsx(path: Path, data: str, *, before: str = "", sheet: str = "worksheets/s.xml", **parts: str) -> Path:
    """A workbook of one sheet, A, with this XML in it."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    relation = '<Relationship Id="i" Type="%s/%s" Target="%s"/>'
    relations = f'<Relationships xmlns="{package}">{relation}</Relationships>'
    content = {
        "_rels/.rels": relations % (kind, "officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{space}" xmlns:r="{kind}">'
        '<sheets><sheet name="A" sheetId="1" r:id="i"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations % (kind, "worksheet", sheet),
        "xl/worksheets/s.xml": f'<worksheet xmlns="{space}">{before}<sheetData>{data}</sheetData></worksheet>',
        **parts,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, each in content.items():
            book.writestr(name, each)
    return path


def text_cells(*texts: str, start: str = "") -> str:
    return "".join(f'<c {start}t="inlineStr"><is><t>{text}</t></is></c>' for text in texts)


TITLES = f"<row>{text_cells('tel', 'nom')}</row>"
PERSON = text_cells("0465710001", "Zoé")


@pytest.mark.parametrize(
    ("xml", "rows"),
    [
        (f"<row r='3' hidden='1'>{PERSON}</row>", {3}),
        (f'<row r="7" hidden="true">{PERSON}</row><row r="8">{PERSON}</row>', {7}),
        (f'<row>{PERSON}</row><row hidden="1">{PERSON}</row><row r="9">{PERSON}</row><row hidden="1"/>', {3, 10}),
        (f'<row r="2" hidden="0">{PERSON}</row><row r="3" customFormat="1"/>', set()),
        (f'<row r="2">{PERSON}</row><row r="4" ht="0" customHeight="1">{PERSON}</row>', {4}),
        (f'<row r="2" ht="0.5">{PERSON}</row>', set()),
        (f'<row r="2" outlineLevel="1" hidden="1">{PERSON}</row><row r="3" collapsed="1">{PERSON}</row>', {2}),
    ],
)
def test_rows_of_an_xlsx_are_known_however_they_are_written(tmp_path: Path, xml: str, rows: set[int]) -> None:
    assert hidden_of(an_xlsx(tmp_path / "b.xlsx", TITLES + xml)).rows == rows


def test_rows_under_another_prefix_are_known(tmp_path: Path) -> None:
    path = an_xlsx(tmp_path / "b.xlsx", TITLES + f'<x:row xmlns:x="x" r="2" hidden="1">{PERSON}</x:row>')
    assert hidden_of(path).rows == {2}


@pytest.mark.parametrize(
    ("column", "hidden"),
    [
        ('min="2" max="3" hidden="1"', {1, 2}),
        ('min="1" max="1" width="0" customWidth="1"', {0}),
        ('min="1" max="2" width="0.7"', set()),
        ('min="2" max="99999999999" hidden="1"', set(range(1, 16_384))),
    ],
)
def test_columns_of_an_xlsx_are_known(tmp_path: Path, column: str, hidden: set[int]) -> None:
    path = an_xlsx(tmp_path / "b.xlsx", f"{TITLES}<row>{PERSON}</row>", before=f"<cols><col {column}/></cols>")
    assert hidden_of(path).columns == hidden


@pytest.mark.parametrize("columns", ['min="x" max="y"', "", f'min="1" max="{"9" * 5000}"'])
def test_what_cannot_be_told_is_not_taken_for_visible(tmp_path: Path, columns: str) -> None:
    before = f'<cols><col {columns} hidden="1"/></cols>'
    with pytest.raises(InputError, match="which rows of the sheet “A” are hidden cannot be told"):
        hidden_of(an_xlsx(tmp_path / "b.xlsx", f"{TITLES}<row>{PERSON}</row>", before=before))


def test_groups_repeats_and_header_rows_of_an_ods_are_known(tmp_path: Path) -> None:
    sheet = Table(name="A")
    titles = TableHeaderRows()
    titles.addElement(ods_row(["tel", "nom"]))
    sheet.addElement(titles)
    outer, inner = TableRowGroup(), TableRowGroup(display="false")
    outer.addElement(ods_row(["0465710002", "visible"], numberrowsrepeated=2))
    inner.addElement(ods_row(["0465710003", "grouped away"], numberrowsrepeated=3))
    outer.addElement(inner)
    sheet.addElement(outer)
    sheet.addElement(TableRow(numberrowsrepeated=4))
    sheet.addElement(ods_row(["0465710004", "filtered"], visibility="filter", numberrowsrepeated=2))
    sheet.addElement(ods_row(["0465710005", "visible"]))
    sheet.addElement(TableRow(numberrowsrepeated=1_000_000, visibility="collapse"))
    save_ods(tmp_path / "b.ods", sheet)
    assert hidden_of(tmp_path / "b.ods").rows == {4, 5, 6, 11, 12}


def test_each_sheet_of_an_ods_has_its_own(tmp_path: Path) -> None:
    sheets = [Table(name=name) for name in ("A", "B")]
    for sheet in sheets:
        sheet.addElement(ods_row(["tel"]))
        sheet.addElement(ods_row(["0465710003"], **({"visibility": "collapse"} if sheet is sheets[1] else {})))
    save_ods(tmp_path / "b.ods", *sheets)
    assert hidden_of(tmp_path / "b.ods", "A").rows == set()
    assert hidden_of(tmp_path / "b.ods", "B").rows == {2}


def a_hidden_ods_sheet(path: Path) -> None:
    book = OpenDocumentSpreadsheet()
    away = Style(name="away", family="table")
    away.addElement(TableProperties(display="false"))
    book.automaticstyles.addElement(away)
    for name, style in (("Old", {"stylename": away}), ("Empty", {})):
        sheet = Table(name=name, **style)
        if name == "Old":
            sheet.addElement(ods_row(["tel"]))
            sheet.addElement(ods_row(["0465710003"]))
        book.spreadsheet.addElement(sheet)
    book.save(str(path))


def a_hidden_xls_sheet(path: Path) -> None:
    book = xlwt.Workbook()
    book.add_sheet("Empty")
    sheet = book.add_sheet("Old")
    sheet.write(0, 0, "tel")
    sheet.write(1, 0, "0465710003")
    sheet.visibility = 2
    book.save(str(path))


def a_hidden_xlsx_sheet(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Old")
    sheet.append(["tel"])
    sheet.append(["0465710003"])
    sheet.sheet_state = "veryHidden"
    book.save(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("b.ods", a_hidden_ods_sheet), ("b.xls", a_hidden_xls_sheet), ("b.xlsx", a_hidden_xlsx_sheet)],
)
def test_a_hidden_sheet_is_never_chosen_in_silence(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    write(tmp_path / name)
    with pytest.raises(InputError, match="is empty"):
        open_sources(tmp_path / name)
    assert open_sources(tmp_path / name, sheet="old")[0].form == "sheet 'Old'"


def test_a_far_cell_in_which_nothing_stands_is_none(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Téléphone"], *[["0465710001"]] * 9_000):
        book.active.append(row)
    book.active["XFD9000"].font = openpyxl.styles.Font(bold=True)
    book.save(tmp_path / "styled.xlsx")
    (source,) = open_sources(tmp_path / "styled.xlsx")
    assert sum(len(rows.numbers) for rows in source.batches()) == 9_000
