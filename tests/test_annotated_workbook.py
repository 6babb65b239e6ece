"""Bad rows come back in a copy of the user's own workbook, which loses nothing and says what is wrong."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any, Final

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl.comments import Comment
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Alignment, Border, Font, PatternFill, Protection, Side
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table as ExcelTable
from python_calamine import CalamineWorkbook

import voicebatch
from voicebatch.reports.annotated import Mark
from voicebatch.reports.annotated_workbook import NotMarkable, mark_workbook

PEOPLE: Final = (
    ("Nom", "Téléphone", "lang", "Appel"),
    ("Zoé", "04 65 71 00 01", "", "=A2&B2"),
    ("Ana", "abc", "fr", "=A3&B3"),
    ("Léo", "04 65 71 00 03", "xx", "=A4&B4"),
    ("Max", None, "xx", "=A5&B5"),
)
CHANGED: Final = {"[Content_Types].xml", "xl/styles.xml"}
# ECMA-376, part 1, 18.3.1.99: what stands behind the cells of a sheet, in this order.
ORDER: Final = (  # noqa: SIM905 # one by one they would be a page
    "sheetCalcPr sheetProtection protectedRanges scenarios autoFilter sortState dataConsolidate customSheetViews "
    "mergeCells phoneticPr conditionalFormatting dataValidations hyperlinks printOptions pageMargins pageSetup "
    "headerFooter rowBreaks colBreaks customProperties cellWatches ignoredErrors smartTags drawing legacyDrawing "
    "legacyDrawingHF drawingHF picture oleObjects controls webPublishItems tableParts extLst"
).split()
COLOUR: Final = "FFFFC7CD"
BAD: Final = {"B3", "C4", "B5", "C5"}  # of PEOPLE
SHEET: Final = "xl/worksheets/sheet1.xml"
EMPTY: Final = "the cell is empty"


def new_book(rows: object = PEOPLE) -> Any:
    book = openpyxl.Workbook()
    for row in rows:  # type: ignore[attr-defined]
        book.active.append(row)
    return book


def saved(book: Any, path: Path, *, more: dict[str, bytes] | None = None) -> Path:
    """The workbook with the values that a spreadsheet program keeps beside its formulas, and with further parts."""
    book.save(path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()} | (more or {})
    parts[SHEET] = re.sub(rb'(<c r="(D\d+)"[^>]*)>(<f>[^<]*</f>)<v\s*/>', rb'\1 t="str">\3<v>as \2</v>', parts[SHEET])
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def annotated(path: Path, out: str = "reports", **how: Any) -> Path:
    result = voicebatch.validate([path], annotate=True, max_invalid="100%", out=path.parent / out, **how)
    (copy,) = result.annotated
    assert copy.parent == result.report_dir
    return copy


def notes(path: Path, sheet: int = 0) -> dict[str, str]:
    cells = (cell for row in openpyxl.load_workbook(path).worksheets[sheet].iter_rows() for cell in row)
    return {cell.coordinate: cell.comment.text for cell in cells if cell.comment}


def coloured(path: Path, sheet: int = 0) -> set[str]:
    cells = (cell for row in openpyxl.load_workbook(path).worksheets[sheet].iter_rows() for cell in row)
    return {cell.coordinate for cell in cells if cell.fill.fill_type == "solid" and cell.fill.fgColor.rgb == COLOUR}


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def values(path: Path) -> list[object]:
    book = CalamineWorkbook.from_path(path)
    return [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]


def rebuilt(path: Path, changed: dict[str, bytes]) -> Path:
    """The workbook with other parts."""
    content = parts(path) | changed
    with zipfile.ZipFile(path, "w") as file:
        for name, written in content.items():
            file.writestr(name, written)
    return path


def cells_of(sheet: bytes) -> bytes:
    return sheet[: sheet.index(b"</sheetData>")]


def without_styles(sheet: bytes, cells: set[str]) -> bytes:
    """The sheet without the styles of these cells, and without those of them that hold nothing."""
    for cell in cells:
        sheet = re.sub(rb'(<c r="%b"[^>]*?) s="\d+"' % cell.encode(), rb"\1", sheet)
        sheet = sheet.replace(b'<c r="%b"/>' % cell.encode(), b"")
    return sheet


def test_a_bad_cell_has_a_colour_and_a_note_that_says_why(tmp_path: Path) -> None:
    copy = annotated(saved(new_book(), tmp_path / "people.xlsx"))
    assert copy.name == "people.annotated.xlsx"
    told = notes(copy)
    assert set(told) == BAD
    assert "letters" in told["B3"]
    assert told["B5"] == EMPTY
    assert coloured(copy) == BAD
    comment = openpyxl.load_workbook(copy).active["B3"].comment
    assert comment is not None
    assert comment.author == "voicebatch"


def test_what_nobody_marked_stays_byte_for_byte(tmp_path: Path) -> None:
    book = new_book()
    sheet = book.active
    sheet.row_dimensions[2].hidden = True
    sheet.column_dimensions["A"].width = 40
    sheet.auto_filter.ref = "A1:D5"
    sheet["A4"].fill = PatternFill("solid", fgColor="FFFFFF00")
    book.create_sheet("Notes").append(["nothing of ours"])
    book.defined_names["region"] = DefinedName("region", attr_text="Notes!$A$1")
    media = {"xl/media/image1.png": b"\x89PNG a picture", "customXml/item1.xml": b"<a>x</a>"}
    path = saved(book, tmp_path / "people.xlsx", more=media)
    copy = annotated(path)
    before, after = parts(path), parts(copy)
    assert {name: after[name] for name in before if name not in CHANGED | {SHEET}} == {
        name: content for name, content in before.items() if name not in CHANGED | {SHEET}
    }
    assert without_styles(cells_of(after[SHEET]), BAD) == cells_of(before[SHEET])
    assert values(copy) == values(path)
    assert "as D3" in str(values(copy))  # what the formula showed


def test_the_parts_stand_in_the_order_that_excel_insists_on(tmp_path: Path) -> None:
    book = new_book()
    sheet = book.active
    sheet["A2"].hyperlink = "https://example.com/"
    sheet.merge_cells("F1:G1")
    sheet.conditional_formatting.add("A2:A5", CellIsRule(operator="equal", formula=['"Zoé"'], fill=PatternFill()))
    validation = DataValidation(type="list", formula1='"fr,de"')
    validation.add("C2:C5")
    sheet.add_data_validation(validation)
    sheet.add_table(ExcelTable(displayName="people", ref="A1:D5"))
    sheet.protection.sheet = True
    copy = annotated(saved(book, tmp_path / "people.xlsx"))
    tail = parts(copy)[SHEET].decode().partition("</sheetData>")[2]
    names = [name for name in re.findall(r"<(\w+)", tail) if name in ORDER]
    assert names == sorted(names, key=ORDER.index)
    assert {"conditionalFormatting", "dataValidations", "legacyDrawing", "tableParts"} <= set(names)
    types = parts(copy)["[Content_Types].xml"].decode()
    assert types.index('Extension="vml"') < types.index("<Override")
    assert types.count("comments+xml") == 1


def test_a_note_of_the_users_is_kept_and_ours_comes_after_it(tmp_path: Path) -> None:
    book = new_book()
    book.active["B3"].comment = Comment("Ask her mother", "Eva")
    book.active["A2"].comment = Comment("A friend", "Eva")
    copy = annotated(saved(book, tmp_path / "people.xlsx"))
    told = notes(copy)
    assert told["A2"] == "A friend"
    assert re.fullmatch(r"Ask her mother\s+\[voicebatch\] there are letters.*", told["B3"], re.DOTALL)
    again = annotated(copy, "again")
    assert notes(again) == told
    corrected = openpyxl.load_workbook(again)
    corrected.active["B3"] = "04 65 71 00 02"
    corrected.save(tmp_path / "corrected.xlsx")
    at_last = annotated(tmp_path / "corrected.xlsx", "last")
    assert notes(at_last) == {"A2": "A friend", "B3": "Ask her mother", "C4": told["C4"], "B5": EMPTY, "C5": told["C5"]}
    assert coloured(at_last) == {"B5", "C4", "C5"}


def test_notes_and_buttons_as_excel_writes_them_are_kept(tmp_path: Path) -> None:
    book = new_book()
    book.active["B3"].comment = Comment("replaced below", "Eva")
    path = saved(book, tmp_path / "people.xlsx")
    content = parts(path)
    (comments,) = (name for name in content if "comment" in name and name.endswith(".xml"))
    (shapes,) = (name for name in content if name.endswith(".vml"))
    content[comments] = (
        b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n'
        b'<comments xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        b'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" mc:Ignorable="xr" '
        b'xmlns:xr="http://schemas.microsoft.com/office/spreadsheetml/2014/revision"><authors><author>Eva &amp; Co'
        b'</author></authors><commentList><comment ref="B3" authorId="0" shapeId="0" '
        b'xr:uid="{F1E9A0C8-0000-4000-8000-000000000001}"><text><r><rPr><b/><sz val="9"/><color indexed="81"/>'
        b'<rFont val="Tahoma"/><family val="2"/></rPr><t>Eva:</t></r><r><rPr><sz val="9"/></rPr>'
        b'<t xml:space="preserve">\nAsk her mother</t></r></text></comment></commentList></comments>'
    )
    button = b'<v:shape id="_x0000_s2049" type="#_x0000_t201"><x:ClientData ObjectType="Button"/><br></v:shape>'
    content[shapes] = content[shapes].replace(b"</xml>", button + b"</xml>")
    with zipfile.ZipFile(path, "w") as file:
        for name, written in content.items():
            file.writestr(name, written)
    copy = parts(annotated(path))
    kept, rest = copy[comments].split(b"</text></comment>", 1)
    before, after = content[comments].split(b"</text></comment>", 1)
    assert kept.replace(b"<author>voicebatch</author>", b"").startswith(before)
    assert b"[voicebatch] there are letters" in kept
    assert after.partition(b"</commentList>")[2] == rest.partition(b"</commentList>")[2]
    assert button in copy[shapes]
    ids = re.findall(rb'id="(_x0000_s\d+)"', copy[shapes])
    assert len(ids) == len(set(ids)) == 5  # of the button, of Eva's note, and of our other three


def test_a_corrected_cell_is_not_marked_any_more(tmp_path: Path) -> None:
    copy = annotated(saved(new_book(), tmp_path / "people.xlsx"))
    book = openpyxl.load_workbook(copy)
    for cell, value in (("B3", "04 65 71 00 02"), ("C4", "fr"), ("B5", "04 65 71 00 04")):
        book.active[cell] = value
    book.save(tmp_path / "corrected.xlsx")
    again = annotated(tmp_path / "corrected.xlsx", "again")
    assert set(notes(again)) == coloured(again) == {"C5"}
    shapes = b"".join(content for name, content in parts(again).items() if name.endswith(".vml"))
    assert shapes.count(b'ObjectType="Note"') == 1


def look_of(path: Path, cell: str) -> tuple[object, ...]:
    """All that a cell's style says but its fill."""
    found = openpyxl.load_workbook(path).worksheets[0][cell]
    return found.number_format, *map(repr, (found.font, found.border, found.alignment, found.protection))


def test_a_marked_cell_keeps_its_look_until_it_is_corrected_and_after(tmp_path: Path) -> None:
    book = new_book()
    for at, cell in enumerate(("B3", "C4", "B5", "A2")):
        styled = book.active[cell]
        styled.number_format = "00 00 00 00 00"
        styled.font = Font(bold=True, color="FF336699", size=10 + at)
        styled.border = Border(bottom=Side("thick", color="FF00FF00"))
        styled.alignment = Alignment(horizontal="right", wrap_text=True)
        styled.protection = Protection(locked=False)
        styled.fill = PatternFill("lightGrid", fgColor="FFFFFF00")
    path = saved(book, tmp_path / "people.xlsx")
    looks = {cell: look_of(path, cell) for cell in ("A2", "B3", "C4", "B5", "C5")}
    copy = annotated(path)
    assert coloured(copy) == BAD
    assert {cell: look_of(copy, cell) for cell in looks} == looks
    assert openpyxl.load_workbook(copy).active["A2"].fill.fill_type == "lightGrid"
    corrected = openpyxl.load_workbook(copy)
    corrected.active["B3"] = "04 65 71 00 02"
    corrected.save(tmp_path / "corrected.xlsx")
    again = annotated(tmp_path / "corrected.xlsx", "again")
    assert set(notes(again)) == coloured(again) == BAD - {"B3"}
    assert {cell: look_of(again, cell) for cell in looks} == looks


def test_the_marks_of_rows_that_were_moved_come_off_too(tmp_path: Path) -> None:
    copy = annotated(saved(new_book(), tmp_path / "people.xlsx"))
    book = openpyxl.load_workbook(copy)
    sheet = book.active
    assert sheet is not None
    sheet.move_range("A3:D3", rows=4)  # to row 7; what openpyxl moves with a cell is its style
    sheet.delete_rows(3)
    sheet["B6"] = "04 65 71 00 02"
    book.save(tmp_path / "moved.xlsx")
    assert coloured(tmp_path / "moved.xlsx") == {"C3", "B4", "C4", "B6"}
    again = annotated(tmp_path / "moved.xlsx", "again")
    assert set(notes(again)) == coloured(again) == {"C3", "B4", "C4"}


def test_our_colour_comes_off_of_whole_rows_and_columns(tmp_path: Path) -> None:
    ours = PatternFill("solid", fgColor=COLOUR)
    book = new_book()
    book.active.column_dimensions["F"].fill = ours
    book.active.row_dimensions[9].fill = ours
    book.active["A2"].fill = PatternFill("solid", fgColor="FFFFC7CE")  # Excel's own for what is bad
    again = annotated(saved(book, tmp_path / "people.xlsx"))
    sheet = openpyxl.load_workbook(again).worksheets[0]
    assert sheet.column_dimensions["F"].fill.fill_type is None
    assert sheet.row_dimensions[9].fill.fill_type is None
    assert sheet["A2"].fill.fgColor.rgb == "FFFFC7CE"
    assert coloured(again) == BAD


ASKED: Final = "columns:\n" + "".join(
    f"  {name}: {{nullable: false}}\n" for name in ("nom", "mobile", "ville", "rue", "note")
)
PRESENT: Final = b'<c r="B2" t="inlineStr"><is><t>0465710001</t></is></c><c r="D2" t="inlineStr"><is><t>r</t></is></c>'


def with_rows(path: Path, rows: bytes, *, columns: bytes = b"") -> Path:
    """A workbook with this header and these rows as they are written here."""
    path = saved(new_book([("nom", "mobile", "ville", "rue", "note")]), path)
    sheet = parts(path)[SHEET].replace(b"</sheetData>", rows + b"</sheetData>")
    return rebuilt(path, {SHEET: sheet.replace(b"<sheetData>", columns + b"<sheetData>")})


def annotated_by(schema: str, path: Path) -> Path:
    written = path.parent / "schema.yaml"
    written.write_text(schema, encoding="utf-8")
    return annotated(path, schema=written)


@pytest.mark.parametrize(
    "row",
    [
        b'<row r="2">%b</row>' % PRESENT,
        b"<row>%b</row>" % PRESENT,
        b'<row r=\'2\' ><c x=" s=\'3\'>" r="A2" />%b<c r="E2" s="0" ></c></row >' % PRESENT,
        b"<row><c/>%b</row>" % re.sub(rb' r="B2"', b"", PRESENT),
        b'<row r="2" spans="2:4" x=">">%b</row>' % PRESENT.replace(b"<c ", b"<c x=\" s='3'>\" "),
    ],
)
def test_a_cell_that_is_not_there_is_put_where_it_belongs(tmp_path: Path, row: bytes) -> None:
    path = with_rows(tmp_path / "people.xlsx", row + b'<row r="3"/>')
    copy = annotated_by(ASKED, path)
    assert set(notes(copy)) == coloured(copy) == {"A2", "C2", "E2"}
    assert values(copy)[0][1] == ["", "0465710001", "", "r", ""]  # type: ignore[index]
    written = re.findall(rb'<c (?:[^>]*? )?r="(\w)2"', parts(copy)[SHEET])
    assert written == sorted(written)
    assert parts(copy)[SHEET].count(b' r="C2"') == 1


def test_a_cell_that_is_not_there_has_the_style_of_its_row_or_else_of_its_column(tmp_path: Path) -> None:
    columns = b'<cols><col min="1" max="3" style="2"/><col min="5" max="5" width="9"/></cols>'
    second = PRESENT.replace(b'2"', b'3"')
    rows = b'<row r="2" s="1" customFormat="1">%b</row><row r="3" s="1">%b</row>' % (PRESENT, second)
    path = with_rows(tmp_path / "people.xlsx", rows, columns=columns)
    styles = parts(path)["xl/styles.xml"]
    cells = b'<cellXfs><xf/><xf numFmtId="9" applyNumberFormat="1"/><xf numFmtId="10"/></cellXfs>'
    styles = re.sub(rb"<cellXfs.*</cellXfs>", cells, styles)
    copy = annotated_by(ASKED, rebuilt(path, {"xl/styles.xml": styles}))
    formats = {cell: look_of(copy, cell)[0] for cell in ("A2", "C2", "E2", "A3", "C3", "E3")}
    assert formats == {"A2": "0%", "C2": "0%", "E2": "0%", "A3": "0.00%", "C3": "0.00%", "E3": "General"}
    assert coloured(copy) == set(formats)


@pytest.mark.parametrize(
    "rows",
    [
        b'<row r="3"><c r="B3"><v>1</v></c></row><row r="2">%b</row>' % PRESENT,
        b'<row r="2"><c r="D2"><v>1</v></c><c r="B2"><v>2</v></c></row>',
        b'<row r="2"><!-- <row> -->%b</row>' % PRESENT,
        b'<row r="2"><c r="B2" t="inlineStr"><is><t><![CDATA[abc]]></t></is></c></row>',
    ],
)
def test_cells_in_disorder_and_remarks_come_back_in_a_new_workbook(tmp_path: Path, rows: bytes) -> None:
    copy = annotated_by(ASKED, with_rows(tmp_path / "people.xlsx", rows))
    assert openpyxl.load_workbook(copy).sheetnames == ["voicebatch"]
    assert set(notes(copy)) == coloured(copy) != set()


def test_an_empty_row_can_be_marked_but_not_one_that_is_missing(tmp_path: Path) -> None:
    path = with_rows(tmp_path / "people.xlsx", b'<row r="3"/><row r="4" ht="20" /><row r="6"></row>')
    marks = [Mark(row=row, column=column, reason="why") for row in (3, 4, 6) for column in (1, 2)]
    mark_workbook(path, tmp_path / "copy.xlsx", "Sheet", marks)
    assert coloured(tmp_path / "copy.xlsx") == {"B3", "C3", "B4", "C4", "B6", "C6"}
    with pytest.raises(NotMarkable):
        mark_workbook(path, tmp_path / "copy.xlsx", "Sheet", [*marks, Mark(row=7, column=0, reason="why")])


def test_styles_that_say_next_to_nothing_are_enough(tmp_path: Path) -> None:
    path = saved(new_book(), tmp_path / "people.xlsx")
    styles = (
        b'<s:styleSheet xmlns:s="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><s:fonts><s:font/>'
        b"</s:fonts><s:borders><s:border/></s:borders><s:cellStyleXfs><s:xf/></s:cellStyleXfs>"
        b'<s:cellStyles><s:cellStyle name="Normal" xfId="0" builtinId="0"/></s:cellStyles>'
        b"</s:styleSheet>"
    )
    copy = annotated(rebuilt(path, {"xl/styles.xml": styles}))
    assert coloured(copy) == BAD
    groups = re.findall(rb"<s:(\w+s)\b", parts(copy)["xl/styles.xml"])
    assert groups == [b"fonts", b"fills", b"borders", b"cellStyleXfs", b"cellXfs", b"cellStyles"]


def test_marks_are_found_wherever_the_pieces_of_a_large_sheet_are_cut(tmp_path: Path) -> None:
    rows = [(f"Nom {row} " + "é" * 500, "abc" if row % 7 == 0 else "0465710001") for row in range(2, 4_002)]
    path = saved(new_book([("nom", "téléphone"), *rows]), tmp_path / "people.xlsx")
    bad = {f"B{row}" for row in range(7, 4_002, 7)}
    copy = annotated(path)
    assert set(notes(copy)) == coloured(copy) == bad
    before, after = parts(path)[SHEET], parts(copy)[SHEET]
    assert len(before) > 3 << 20
    assert without_styles(cells_of(after), bad) == cells_of(before)
    assert parts(annotated(copy, "again")) == parts(copy)


def test_marking_a_marked_copy_changes_nothing(tmp_path: Path) -> None:
    copy = annotated(saved(new_book(), tmp_path / "people.xlsx"))
    assert parts(annotated(copy, "again")) == parts(copy)


def test_several_faults_of_a_cell_are_one_note_and_those_of_a_row_are_its_first_cells(tmp_path: Path) -> None:
    path = saved(new_book(), tmp_path / "people.xlsx")
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        "columns:\n  Nom:\n    str_length: {min_value: 4}\n    str_matches: '[A-K]'\n  phone: {phone_number: true}\n",
        encoding="utf-8",
    )
    told = notes(annotated(path, schema=schema))
    assert told["A2"].count("\n") == 1
    assert "shorter than 4" in told["A2"]


def test_the_sheet_that_was_read_is_the_one_that_is_marked(tmp_path: Path) -> None:
    book = new_book([["Rien"]])
    other = book.create_sheet("Appels & co")
    for row in (["Liste des appels"], [None], ["Nom", "Téléphone"], ["Ana", "abc"]):
        other.append(row)
    copy = annotated(saved(book, tmp_path / "people.xlsx"))
    assert notes(copy, 0) == {}
    assert set(notes(copy, 1)) == {"B4"}


def test_a_sheet_with_prefixes_and_without_styles_is_marked_too(tmp_path: Path) -> None:
    path = saved(new_book(), tmp_path / "people.xlsx")
    content = parts(path)
    del content["xl/styles.xml"]
    for name in ("[Content_Types].xml", "xl/_rels/workbook.xml.rels"):
        content[name] = re.sub(rb"<(Override|Relationship) [^>]*styles[^>]*>", b"", content[name])
    main = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    sheet = re.sub(rb"<(/?)(\w)", rb"<\1s:\2", content[SHEET])
    content[SHEET] = re.sub(rb' s="\d+"', b"", sheet).replace(main, main.replace(b"=", b":s=", 1))
    with zipfile.ZipFile(path, "w") as file:
        for name, written in content.items():
            file.writestr(name, written)
    copy = annotated(path)
    assert set(notes(copy)) == coloured(copy) == BAD


def test_an_xlsx_that_is_not_as_excel_writes_it_comes_back_as_a_new_one(tmp_path: Path) -> None:
    path = saved(new_book(), tmp_path / "people.xlsx")
    content = parts(path)
    content["[Content_Types].xml"] += b"<!-- never closed"
    with zipfile.ZipFile(path, "w") as file:
        for name, written in content.items():
            file.writestr(name, written)
    copy = annotated(path)
    assert set(notes(copy)) == BAD
    assert openpyxl.load_workbook(copy).sheetnames == ["voicebatch"]


def write_xls(path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Appels")
    for at, row in enumerate(PEOPLE):
        for column, cell in enumerate(row[:3]):
            sheet.write(at, column, cell)
    book.save(path)


def write_ods(path: Path) -> None:
    document = OpenDocumentSpreadsheet()
    table = Table(name="Appels")
    for row in PEOPLE:
        line = TableRow()
        for cell in row[:3]:
            written = TableCell(valuetype="string")
            written.addElement(P(text=cell or ""))
            line.addElement(written)
        table.addElement(line)
    document.spreadsheet.addElement(table)
    document.save(path)


def write_parquet(path: Path) -> None:
    header, *rows = (row[:3] for row in PEOPLE)
    pq.write_table(pa.table(dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))), path)


@pytest.mark.parametrize(("ending", "write"), [("xls", write_xls), ("ods", write_ods), ("parquet", write_parquet)])
def test_of_another_format_the_rows_come_back_as_a_workbook(tmp_path: Path, ending: str, write: Any) -> None:
    write(tmp_path / f"people.{ending}")
    copy = annotated(tmp_path / f"people.{ending}")
    assert copy.name == "people.annotated.xlsx"
    rows = [[cell or "" for cell in row] for row in openpyxl.load_workbook(copy).active.iter_rows(values_only=True)]
    assert rows == [[cell or "" for cell in row[:3]] for row in PEOPLE]
    assert set(notes(copy)) == coloured(copy) == BAD
    again = voicebatch.validate([copy], max_invalid="100%", out=tmp_path / "again")
    assert [fault.row for fault in again.faults] == [3, 4, 5, 5]


def test_every_part_of_a_folder_has_a_copy_with_its_partitions(tmp_path: Path) -> None:
    for month in ("03", "04"):
        (tmp_path / "calls" / f"month={month}").mkdir(parents=True)
        write_parquet(tmp_path / "calls" / f"month={month}" / "part.parquet")
    result = voicebatch.validate([tmp_path / "calls"], annotate=True, max_invalid="100%", out=tmp_path / "out")
    assert [copy.name for copy in result.annotated] == ["part.annotated.xlsx", "part-2.annotated.xlsx"]
    lines = [[row[-1] for row in openpyxl.load_workbook(one).active.iter_rows(values_only=True)]
             for one in result.annotated]  # fmt: skip
    assert lines == [["month", *["03"] * 4], ["month", *["04"] * 4]]


def test_text_that_is_no_xml_comes_back_as_it_was(tmp_path: Path) -> None:
    strange = "a\x01b_x0041_ <&> \r\n é"
    table = pa.table({"téléphone": ["abc", "0465710001"], "nom": [strange, "=1+1"]})
    pq.write_table(table, tmp_path / "people.parquet")
    copy = annotated(tmp_path / "people.parquet")
    assert values(copy) == [[["téléphone", "nom"], ["abc", strange], ["0465710001", "=1+1"]]]
    assert b"<f>" not in parts(copy)[SHEET]


def test_more_bad_cells_than_anyone_reads_are_marked_in_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [("téléphone", "nom"), *(("abc", "A") for _ in range(10_050))]
    copy = annotated(saved(new_book(rows), tmp_path / "people.xlsx"))
    assert coloured(copy) == {f"A{row}" for row in range(2, 10_002)}
    assert sum(content.count(b"<comment ") for content in parts(copy).values()) == 10_000
    assert "the first 10,000 of 10,050 bad cells are marked" in caplog.text


def test_a_copy_that_somebody_corrects_is_never_overwritten(tmp_path: Path) -> None:
    path = saved(new_book(), tmp_path / "people.xlsx")
    copy = annotated(path)
    assert annotated(path) == copy  # the same again
    book = openpyxl.load_workbook(copy)
    book.active["B3"] = "04 65 71 00 02"
    book.save(copy)
    corrected = copy.read_bytes()
    assert annotated(path).name == "people-2.annotated.xlsx"
    assert copy.read_bytes() == corrected
    assert not list(copy.parent.glob("*.partial"))


def test_files_of_one_name_have_copies_of_different_names(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "people.xlsx" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        saved(new_book(), path)
    (tmp_path / "good.csv").write_text("nom,téléphone\nZoé,0465710001\n", encoding="utf-8")
    files = [*paths, tmp_path / "good.csv"]
    result = voicebatch.validate(files, annotate=True, max_invalid="100%", out=tmp_path / "out")
    assert [copy.name for copy in result.annotated] == ["people.annotated.xlsx", "people-2.annotated.xlsx"]


def test_without_a_bad_row_there_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("nom,téléphone\nZoé,0465710001\n", encoding="utf-8")
    result = voicebatch.validate([tmp_path / "good.csv"], annotate=True, out=tmp_path / "out")
    assert result.annotated == ()
    assert [path.name for path in result.report_dir.iterdir()] == ["rejected.csv"]
