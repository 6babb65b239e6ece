"""What a workbook's user has hidden or filtered away is known, and only that."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import openpyxl
import pytest

from voicebatch.errors import InputError
from voicebatch.readers import hidden, open_sources
from voicebatch.readers.hidden import Hidden, hidden_of

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, *rows: int, columns: str = "") -> Path:
    book = openpyxl.Workbook()
    book.active.title = "Vide"
    sheet = book.create_sheet("Clients & Cie")
    for number in range(1, 3001):
        sheet.append(["Nom", "Téléphone", "Ville"] if number == 1 else [f"Nom{number}", "0465710001", "Nantes"])
    for number in rows:
        sheet.row_dimensions[number].hidden = True
    for letter in columns:
        sheet.column_dimensions[letter].hidden = True
    book.save(path)
    return path


@pytest.mark.parametrize("piece", [64, 1 << 20])
def test_hidden_rows_and_columns_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(hidden, "_PIECE", piece)
    path = write(tmp_path / "b.xlsx", 2, 700, 3000, columns="AC")
    assert hidden_of(path, "Clients & Cie") == Hidden(frozenset({2, 700, 3000}), frozenset({0, 2}), 3000 * 26)
    assert hidden_of(path, "Vide") == Hidden()
    assert hidden_of(path, "no such sheet") == Hidden()
    (source,) = open_sources(path, sheet="Clients & Cie")
    assert source.hidden.rows == {2, 700, 3000}


@pytest.mark.parametrize(
    ("xml", "rows"),
    [
        ("<row r='2' hidden='1'><c/></row>", {2}),
        ('<x:row hidden="true" r="7"/><x:row r="8"/>', {7}),
        ('<row><c/></row><row hidden="1"></row><row r="9"/><row hidden="1"/>', {2, 10}),
        ('<row r="2" hidden="0"/><row r="3" customFormat="1"/>', set()),
        ('<rowBreaks hidden="1"/><cols hidden="1"/>', set()),
    ],
)
def test_rows_are_known_however_they_are_written(xml: str, rows: set[int]) -> None:
    assert hidden._hidden_in(BytesIO(f"<sheetData>{xml}</sheetData>".encode())).rows == rows


@pytest.mark.parametrize("columns", ['min="1" max="99999999999"', 'min="x" max="y"', "", f'min="1" max="{"9" * 5000}"'])
def test_a_workbook_that_nobody_wrote_is_no_trouble(tmp_path: Path, columns: str) -> None:
    parts = {
        "xl/workbook.xml": '<w xmlns="m" xmlns:r="r"><sheets><sheet name="A" r:id="i"/></sheets></w>',
        "xl/_rels/workbook.xml.rels": '<R xmlns="p"><Relationship Id="i" Target="worksheets/s.xml"/></R>',
        "xl/worksheets/s.xml": f'<cols><col {columns} hidden="1"/></cols>',
    }
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)
    assert len(hidden_of(tmp_path / "b.xlsx", "A").columns) in {0, 16_384}
    (tmp_path / "c.xlsx").write_bytes((tmp_path / "b.xlsx").read_bytes()[:-30])
    assert hidden_of(tmp_path / "c.xlsx", "A") == Hidden()


@pytest.mark.parametrize("far", ["XFD1048576", "ZZ1048576", "AMJ900000"])
def test_a_sheet_with_a_cell_at_its_far_end_is_refused_before_memory_runs_out(tmp_path: Path, far: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Téléphone"])
    book.active.append(["0465710001"])
    book.active[far] = "x"
    book.save(tmp_path / "sparse.xlsx")
    with pytest.raises(InputError, match="nearly all of them empty"):
        open_sources(tmp_path / "sparse.xlsx")


def test_a_far_cell_in_which_nothing_stands_is_none(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Téléphone"], *[["0465710001"]] * 9_000):
        book.active.append(row)
    book.active["XFD9000"].font = openpyxl.styles.Font(bold=True)
    book.save(tmp_path / "styled.xlsx")
    (source,) = open_sources(tmp_path / "styled.xlsx")
    assert sum(len(rows.numbers) for rows in source.batches()) == 9_000
