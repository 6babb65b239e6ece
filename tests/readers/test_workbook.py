"""Workbooks as offices really keep them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import openpyxl
import pytest
import xlwt

from voicebatch.errors import InputError
from voicebatch.readers import open_sources

if TYPE_CHECKING:
    from pathlib import Path

Read = Callable[..., dict[int, tuple[str | None, ...]]]


def write(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, table in sheets.items():
        sheet = book.create_sheet(name.removeprefix("hidden_"))
        sheet.sheet_state = "hidden" if name.startswith("hidden_") else "visible"
        for row in table:
            sheet.append(row)
    book.save(path)
    return path


CLIENTS: list[list[object]] = [["nom", "tel"], ["A", "0465710001"]]
PRICES: list[list[object]] = [["acte", "prix"], ["bilan", 12]]


def test_rows_and_columns_count_from_the_corner_of_the_sheet(tmp_path: Path, rows: Read) -> None:
    book = openpyxl.Workbook()
    for cell, value in {"C4": "nom", "D4": "tel", "C6": "A", "D6": 465710001, "D9": "x"}.items():
        book.active[cell] = value
    book.save(tmp_path / "corner.xlsx")
    (source,) = open_sources(tmp_path / "corner.xlsx")
    assert source.header == ("column A", "column B", "nom", "tel")
    assert rows(tmp_path / "corner.xlsx") == {6: (None, None, "A", "465710001"), 9: (None, None, None, "x")}


def test_a_cell_without_a_title_above_is_a_column_of_its_own(tmp_path: Path, rows: Read) -> None:
    path = write(tmp_path / "b.xlsx", Clients=[*CLIENTS, ["B", "0465710002", None, "rappeler"]])
    (source,) = open_sources(path)
    assert source.header == ("nom", "tel", "column C", "column D")
    assert rows(path)[3] == ("B", "0465710002", None, "rappeler")


@pytest.mark.parametrize("name", ["Clients", "clients", " CLIENTS "])
def test_a_sheet_is_read_by_its_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "b.xlsx", Clients=CLIENTS, Autres=CLIENTS)
    (source,) = open_sources(path, sheet=name)
    assert source.form == "sheet 'Clients'"
    assert source.origin.sheet == "Clients"


def test_a_hidden_sheet_is_read_by_its_name_only(tmp_path: Path) -> None:
    path = write(tmp_path / "b.xlsx", Clients=CLIENTS, hidden_Anciens=CLIENTS, Vide=[])
    assert open_sources(path)[0].form == "sheet 'Clients'"
    assert open_sources(path, sheet="Anciens")[0].form == "sheet 'Anciens'"


def test_the_only_sheet_with_a_phone_column_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "b.xlsx", Tarifs=PRICES, Clients=CLIENTS)
    assert open_sources(path)[0].form == "sheet 'Clients'"


@pytest.mark.parametrize(
    ("sheets", "said"),
    [
        (
            {"Clients": CLIENTS, "Autres": CLIENTS, "Tarifs": PRICES},
            "several sheets with rows: “Clients”, “Autres”",
        ),
        ({"Tarifs": PRICES, "Codes": PRICES}, "several sheets with rows: “Tarifs”, “Codes”"),
        ({"Vide": [], "Blanc": [[" "]]}, "is empty"),
        ({"Vide": []}, "is empty"),
        ({"Vide": [], "hidden_Clients": CLIENTS}, "is empty"),
        ({"Clients": CLIENTS[:1]}, "has a header and no rows"),
    ],
)
def test_a_workbook_without_one_sheet_to_read_names_its_sheets(
    tmp_path: Path, sheets: dict[str, list[list[object]]], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        open_sources(write(tmp_path / "b.xlsx", **sheets))


def test_an_unknown_sheet_names_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "b.xlsx", Clients=CLIENTS, hidden_Anciens=CLIENTS)
    with pytest.raises(InputError, match=r"no sheet “Nope”\. Its sheets: “Clients”, “Anciens”") as caught:
        open_sources(path, sheet="Nope")
    assert "--sheet NAME" in caught.value.hint


def test_an_xlsx_under_the_ending_of_an_xls_is_read(tmp_path: Path, rows: Read) -> None:
    assert rows(write(tmp_path / "b.xlsx", Clients=CLIENTS).rename(tmp_path / "b.xls")) == {2: ("A", "0465710001")}


def an_xls() -> bytes:
    from io import BytesIO

    book, file = xlwt.Workbook(), BytesIO()
    book.add_sheet("S").write(0, 0, "tel")
    book.save(file)
    return file.getvalue()


def test_a_password_is_named_as_the_reason(tmp_path: Path) -> None:
    # An encrypted .xlsx is an OLE file with a stream of this name: enough to be recognised as one.
    content = bytearray(an_xls())
    entry = content.find("Workbook".encode("utf-16-le"))
    content[entry : entry + 32] = "EncryptedPackage".encode("utf-16-le")
    struct.pack_into("<H", content, entry + 64, 34)
    (tmp_path / "secret.xlsx").write_bytes(content)
    with pytest.raises(InputError, match="protected by a password"):
        open_sources(tmp_path / "secret.xlsx")


def test_an_old_workbook_with_a_password_is_told_too(tmp_path: Path) -> None:
    content = bytearray(an_xls())
    struct.pack_into("<H", content, 532, 0x2F)  # the record after the first becomes FILEPASS
    (tmp_path / "secret.xls").write_bytes(content)
    with pytest.raises(InputError, match="protected by a password"):
        open_sources(tmp_path / "secret.xls")


@pytest.mark.parametrize("above", [0, 1, 3])
def test_lines_of_a_title_above_the_header_are_no_rows(tmp_path: Path, above: int) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for number in range(above):
        sheet.append(["Tournée du 15/03/2032"] if number != 1 else [])
    for row in (["Nom", "Prénom", "Téléphone"], ["Konaté", "Zoé", "0465710001"], ["Le Goff", "Ana", "0465710002"]):
        sheet.append(row)
    book.create_sheet("Légende").append(["Code", "Sens"])
    book.save(tmp_path / "tour.xlsx")
    (only,) = open_sources(tmp_path / "tour.xlsx")
    assert only.header == ("Nom", "Prénom", "Téléphone")
    assert only.form == f"sheet '{sheet.title}'" + (f", header in row {above + 1}" if above else "")
    (rows,) = only.batches()
    assert rows.numbers.tolist() == [above + 2, above + 3]
