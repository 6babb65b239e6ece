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
from openpyxl.styles import PatternFill
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table as ExcelTable
from python_calamine import CalamineWorkbook

import voicebatch

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
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = re.sub(rb'(<c r="(D\d+)"[^>]*)>(<f>[^<]*</f>)<v\s*/>', rb'\1 t="str">\3<v>as \2</v>', parts[sheet])
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


def coloured(path: Path) -> set[str]:
    formats = openpyxl.load_workbook(path).worksheets[0].conditional_formatting
    ours = (one for one in formats if one.rules[0].formula == ['LEN("voicebatch")>0'])
    found = [(one, rule) for one in ours for rule in one.rules]
    assert all(rule.dxf.fill.bgColor.rgb == "FFFFC7CE" for _, rule in found)
    return {str(area) for one, _ in found for area in one.sqref.ranges}


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def values(path: Path) -> list[object]:
    book = CalamineWorkbook.from_path(path)
    return [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]


def cells_of(sheet: bytes) -> bytes:
    return sheet[: sheet.index(b"</sheetData>")]


def test_a_bad_cell_has_a_colour_and_a_note_that_says_why(tmp_path: Path) -> None:
    copy = annotated(saved(new_book(), tmp_path / "people.xlsx"))
    assert copy.name == "people.annotated.xlsx"
    told = notes(copy)
    assert set(told) == {"B3", "C4", "B5", "C5"}
    assert "letters" in told["B3"]
    assert told["B5"] == EMPTY
    assert coloured(copy) == {"B3", "B5", "C4:C5"}
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
    sheet_part = "xl/worksheets/sheet1.xml"
    assert {name: after[name] for name in before if name not in CHANGED | {sheet_part}} == {
        name: content for name, content in before.items() if name not in CHANGED | {sheet_part}
    }
    assert cells_of(after[sheet_part]) == cells_of(before[sheet_part])
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
    tail = parts(copy)["xl/worksheets/sheet1.xml"].decode().partition("</sheetData>")[2]
    names = [name for name in re.findall(r"<(\w+)", tail) if name in ORDER]
    assert names == sorted(names, key=ORDER.index)
    assert {"conditionalFormatting", "dataValidations", "legacyDrawing", "tableParts"} <= set(names)
    assert len(set(re.findall(r'priority="(\d+)"', tail))) == 2
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
    assert coloured(at_last) == {"B5", "C4:C5"}


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
    sheet = re.sub(rb"<(/?)(\w)", rb"<\1s:\2", content["xl/worksheets/sheet1.xml"])
    content["xl/worksheets/sheet1.xml"] = re.sub(rb' s="\d+"', b"", sheet).replace(main, main.replace(b"=", b":s=", 1))
    with zipfile.ZipFile(path, "w") as file:
        for name, written in content.items():
            file.writestr(name, written)
    copy = annotated(path)
    assert set(notes(copy)) == {"B3", "C4", "B5", "C5"}
    assert coloured(copy) == {"B3", "B5", "C4:C5"}


def test_an_xlsx_that_is_not_as_excel_writes_it_comes_back_as_a_new_one(tmp_path: Path) -> None:
    path = saved(new_book(), tmp_path / "people.xlsx")
    content = parts(path)
    content["[Content_Types].xml"] += b"<!-- never closed"
    with zipfile.ZipFile(path, "w") as file:
        for name, written in content.items():
            file.writestr(name, written)
    copy = annotated(path)
    assert set(notes(copy)) == {"B3", "C4", "B5", "C5"}
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
    assert set(notes(copy)) == coloured(copy) - {"C4:C5"} | {"C4", "C5"} == {"B3", "C4", "B5", "C5"}
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
    assert b"<f>" not in parts(copy)["xl/worksheets/sheet1.xml"]


def test_more_bad_cells_than_anyone_reads_are_marked_in_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [("téléphone", "nom"), *(("abc", "A") for _ in range(10_050))]
    copy = annotated(saved(new_book(rows), tmp_path / "people.xlsx"))
    assert coloured(copy) == {"A2:A10001"}
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
