"""A workbook made to do harm ends in a sentence, before it takes memory or time."""

from __future__ import annotations

import random
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import openpyxl
import pytest
import xlwt

from tests.readers.test_hidden import PERSON, TITLES, an_xlsx, text_cells
from voicebatch.errors import InputError
from voicebatch.readers import archive, biff, open_sources

PEOPLE = f"{TITLES}<row>{PERSON}</row>"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:"


def read(path: Path) -> int:
    """Reads the whole file; the number of its rows."""
    return sum(len(rows.numbers) for source in open_sources(path) for rows in source.batches())


def an_ods(path: Path, data: str, before: str = "") -> Path:
    spaces = " ".join(f'xmlns:{name}="{OFFICE}{name}:1.0"' for name in ("office", "table", "text"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        book.writestr("META-INF/manifest.xml", f'<m:manifest xmlns:m="{OFFICE}manifest:1.0"/>')
        book.writestr(
            "content.xml",
            f"{before}<office:document-content {spaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="A">{data}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def ods_cell(text: str, more: str = "") -> str:
    return f'<table:table-cell office:value-type="string" {more}><text:p>{text}</text:p></table:table-cell>'


def ods_line(cells: str, more: str = "") -> str:
    return f"<table:table-row {more}>{cells}</table:table-row>"


ODS_TITLES = ods_line(ods_cell("tel") + ods_cell("nom"))


def refused(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(path)
    assert path.name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "far",
    [
        '<row r="2"><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="2"><c r="A99999999"><v>1</v></c></row>',
        '<row r="2"><c r="B999999999999"><v>1</v></c></row>',
        '<row r="2"><c r="xfd1048576"><v>1</v></c></row>',
        '<row r="2"><c r="ZZZZZZ5"><v>1</v></c></row>',
        "<row r='2'><c r='XFD1048576'><v>1</v></c></row>",
        '<row r="2"><c t="n" r="XFD1048576"><v>1</v></c></row>',
        '<row r="2"><x:c xmlns:x="x" r="XFD1048576"><v>1</v></x:c></row>',
        '<row r="1048576"><c r="ZZ2"><v>1</v></c><c><v>1</v></c></row>' + f"<row>{'<c><v>1</v></c>' * 40}</row>",
    ],
)
@pytest.mark.parametrize("filling", [0, 9_000])
def test_a_cell_far_away_is_refused_before_memory_runs_out(tmp_path: Path, far: str, filling: int) -> None:
    people = "".join(f'<row r="{row}"><c r="A{row}"><v>465710001</v></c></row>' for row in range(2, filling))
    refused(an_xlsx(tmp_path / "b.xlsx", TITLES + people + far), "goes on over [0-9,]+ cells")


@pytest.mark.parametrize("place", ["B99999999999999999999", "1A", "", "A-1", "ABCDEFGHIJ1"])
def test_a_cell_at_no_place_is_refused(tmp_path: Path, place: str) -> None:
    refused(an_xlsx(tmp_path / "b.xlsx", f'{PEOPLE}<row><c r="{place}"><v>1</v></c></row>'), "not as Excel writes it")


def test_a_million_columns_are_refused(tmp_path: Path) -> None:
    refused(an_xlsx(tmp_path / "b.xlsx", f"<row>{'<c><v>1</v></c>' * 1_000_000}</row>" + PEOPLE * 40), "cells|columns")


def test_a_dimension_that_lies_is_not_believed(tmp_path: Path) -> None:
    assert read(an_xlsx(tmp_path / "b.xlsx", PEOPLE, before='<dimension ref="A1:XFD1048576"/>')) == 1


def test_a_part_that_grows_beyond_every_spreadsheet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_LARGEST", 1 << 22)
    refused(an_xlsx(tmp_path / "b.xlsx", PEOPLE + "<row/>" * 1_000_000), "unpacked it is larger than 4 MB")
    refused(an_xlsx(tmp_path / "c.xlsx", PEOPLE, **{"x/y.bin": "\0" * (1 << 23)}), "unpacked it is larger than 4 MB")


def test_the_size_that_a_zip_claims_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_LARGEST", 1 << 22)
    size = len(PEOPLE) + 6_000_000
    path = an_xlsx(tmp_path / "b.xlsx", PEOPLE + "<row/>" * 1_000_000)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as book:
        part = book.getinfo("xl/worksheets/s.xml")
    assert part.file_size > size
    real = struct.pack("<L", part.file_size)
    assert content.count(real) == 2
    path.write_bytes(content.replace(real, struct.pack("<L", 100)))
    refused(path, "unpacked it is larger than 4 MB")


def test_a_part_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = an_xlsx(tmp_path / "b.xlsx", PEOPLE)
    with zipfile.ZipFile(path) as book:
        real = struct.pack("<L", book.getinfo("xl/worksheets/s.xml").CRC)
    path.write_bytes(path.read_bytes().replace(real, b"abcd"))
    refused(path, "is broken")


def test_thousands_of_parts_are_refused_unseen(tmp_path: Path) -> None:
    refused(an_xlsx(tmp_path / "b.xlsx", PEOPLE, **{f"x/{part}": "" for part in range(11_000)}), "11,003 parts")


def test_a_cell_that_is_larger_than_any_is_refused(tmp_path: Path) -> None:
    cell = text_cells("x" * 1_000_000)
    refused(an_xlsx(tmp_path / "b.xlsx", PEOPLE + f"<row>{cell}</row>"), "a text that no cell can hold")


def test_a_shared_text_of_a_million_runs_is_refused(tmp_path: Path) -> None:
    texts = f"<sst><si>{'<r><t>xxxxxxxx</t></r>' * 100_000}</si></sst>"
    path = an_xlsx(tmp_path / "b.xlsx", PEOPLE, **{"xl/sharedStrings.xml": texts})
    refused(path, "a text that no cell can hold")


def test_a_cell_of_very_many_runs_is_refused_with_its_place(tmp_path: Path) -> None:
    cell = f'<c t="inlineStr"><is>{"<r><t>xxxxxxxx</t></r>" * 20_000}</is></c>'
    with pytest.raises(InputError, match="cell A3 holds more text than any cell can"):
        read(an_xlsx(tmp_path / "b.xlsx", PEOPLE + f"<row>{cell}</row>"))


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha ha ha ha ha ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 30}">' for a, b in zip("abcdefg", "bcdefgh", strict=True))
    + "]>"
)


def test_entities_that_grow_are_refused(tmp_path: Path) -> None:
    refused(an_ods(tmp_path / "b.ods", ODS_TITLES + ods_line(ods_cell("&h;")), LAUGHS), "cannot be read as a workbook")
    book = an_xlsx(tmp_path / "b.xlsx", PEOPLE)
    with zipfile.ZipFile(book) as old:
        parts = {name: old.read(name).decode() for name in old.namelist()}
    grown = parts["xl/workbook.xml"].replace('name="A"', 'name="&h;"')
    refused(an_xlsx(tmp_path / "c.xlsx", PEOPLE, **{"xl/workbook.xml": LAUGHS + grown}), "b|c")


@pytest.mark.parametrize(
    "target", ["../../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "..\\..\\windows\\win.ini", ""]
)
def test_a_path_out_of_the_file_leads_nowhere(tmp_path: Path, target: str) -> None:
    with pytest.raises(InputError) as caught:
        read(an_xlsx(tmp_path / "b.xlsx", PEOPLE, sheet=target))
    assert "root:" not in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        ods_line(ods_cell("x"), 'table:number-rows-repeated="1048576"') * 40,
        ods_line(ods_cell("x", 'table:number-columns-repeated="16384"'), 'table:number-rows-repeated="1048576"'),
        ods_line(ods_cell("x", 'table:number-columns-repeated="99999999999"')),
        ods_line(ods_cell("x"), f'table:number-rows-repeated="{"9" * 5000}"'),
        ods_line(f'<table:table-cell table:number-columns-repeated="16000000"/>{ods_cell("x")}') * 3,
        ods_line(ods_cell('<text:s text:c="999999999"/>')),
        ods_line(ods_cell("x" * 200_000)),
        ods_line(ods_cell("x" * 1000 + "<text:s/>" * 200_000)),
    ],
    ids=range(8),
)
def test_what_an_ods_repeats_without_end_is_refused(tmp_path: Path, data: str) -> None:
    refused(an_ods(tmp_path / "b.ods", ODS_TITLES + data + ods_line(ods_cell("0465710001"))), "b.ods")


def test_an_empty_end_of_an_ods_is_nothing(tmp_path: Path) -> None:
    end = ods_line('<table:table-cell table:number-columns-repeated="16384"/>', 'table:number-rows-repeated="1048574"')
    assert read(an_ods(tmp_path / "b.ods", ODS_TITLES + ods_line(ods_cell("0465710001")) + end)) == 1


def test_a_workbook_of_charts_only_is_empty(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_chartsheet("Courbe")
    book.remove(book.active)
    book.save(tmp_path / "b.xlsx")
    refused(tmp_path / "b.xlsx", "is empty")


def test_a_binary_workbook_is_told(tmp_path: Path) -> None:
    an_xlsx(tmp_path / "b.xlsx", PEOPLE, **{"xl/workbook.bin": "x"})
    with zipfile.ZipFile(tmp_path / "b.xlsx") as old, zipfile.ZipFile(tmp_path / "b.xlsb", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"xl/workbook.xml", b"xl/workbook.bin"))
    refused(tmp_path / "b.xlsb", "b.xlsb")


def test_a_zip_that_is_both_kinds_of_workbook_is_none(tmp_path: Path) -> None:
    refused(an_xlsx(tmp_path / "b.xlsx", PEOPLE, **{"content.xml": "<a/>"}), "cannot be read as a workbook")


def test_an_encoding_that_there_is_not_is_refused(tmp_path: Path) -> None:
    declared = '<?xml version="1.0" encoding="UTF-99"?>'
    refused(an_ods(tmp_path / "b.ods", ODS_TITLES, declared), "cannot be read as a workbook")
    book = {"xl/_rels/workbook.xml.rels": f"{declared}<R/>"}
    with pytest.raises(InputError):
        read(an_xlsx(tmp_path / "b.xlsx", PEOPLE, **book))


def test_an_ods_without_a_list_of_its_parts_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.ods", "w") as book:
        book.writestr("content.xml", "<a/>")
    refused(tmp_path / "b.ods", "cannot be read as a workbook")


def test_an_ods_with_a_password_is_told(tmp_path: Path) -> None:
    path = an_ods(tmp_path / "b.ods", ODS_TITLES)
    with zipfile.ZipFile(path, "a") as book, pytest.warns(UserWarning, match="Duplicate name"):
        book.writestr(
            "META-INF/manifest.xml", f'<m:manifest xmlns:m="{OFFICE}manifest:1.0"><m:encryption-data/></m:manifest>'
        )
    refused(path, "protected by a password")


def test_an_xls_that_is_larger_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(biff, "_LARGEST", 1 << 10)
    old_workbook(tmp_path / "b.xls")
    refused(tmp_path / "b.xls", "too large for an .xls workbook")


def old_workbook(path: Path) -> None:
    book = xlwt.Workbook()
    page = book.add_sheet("A")
    table: list[list[object]] = [["tel", "nom"], ["0465710001", "Zoé"], [465710002, "Ana"]]
    for row, cells in enumerate(table):
        for column, cell in enumerate(cells):
            page.write(row, column, cell)
    book.save(str(path))


def new_workbook(path: Path) -> None:
    an_xlsx(path, PEOPLE)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:  # so that a changed byte is one of XML
        for name, content in parts.items():
            new.writestr(name, content)


def free_workbook(path: Path) -> None:
    an_ods(path, ODS_TITLES + ods_line(ods_cell("0465710001") + ods_cell("Zoé")))


@pytest.mark.parametrize(
    ("name", "write"), [("b.xls", old_workbook), ("b.xlsx", new_workbook), ("b.ods", free_workbook)]
)
def test_a_damaged_workbook_is_read_or_refused(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    dice = random.Random(4)  # noqa: S311 # the same damage each time
    refusals = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        (tmp_path / name).write_bytes(content[: dice.choice([None, None, dice.randrange(len(content))])])
        with suppress(InputError):
            read(tmp_path / name)
            continue
        refusals += 1
    assert refusals > 20
