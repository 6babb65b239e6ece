"""What the fuzzer found in the readers, as plain tests; the inputs themselves are in tests/fuzz/kept."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import voicebatch
from tests.readers.test_hidden import PERSON, TITLES, an_xlsx
from voicebatch.errors import InputError, UsageError
from voicebatch.readers import blocks, open_sources, workbook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NUMBER = "0465711234"


def test_a_cell_in_a_column_that_no_spreadsheet_has_is_refused(tmp_path: Path) -> None:
    far = '<row r="9"><c r="ZZZZ9"><v>1</v></c></row>'
    with pytest.raises(InputError, match="475,254 columns, more than any spreadsheet"):
        open_sources(an_xlsx(tmp_path / "b.xlsx", f"{TITLES}<row>{PERSON}</row>{far}"))


def test_many_large_sheets_are_not_all_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, book = tmp_path / "b.xlsx", openpyxl.Workbook()
    for name in ("A", "B"):
        book.create_sheet(name).append(["nom"])
        book[name].cell(60, 1, "x")
    book.create_sheet("C").append(["tel"])
    book["C"].append([NUMBER])
    book.save(path)
    (source,) = open_sources(path)
    assert source.header == ("tel",)
    monkeypatch.setattr(workbook, "MOST_CELLS", 100)
    with pytest.raises(InputError, match="4 sheets, too large together") as caught:
        open_sources(path)
    assert "--sheet" in caught.value.hint
    assert open_sources(path, sheet="C")


def test_a_byte_order_mark_in_the_middle_of_a_file_stays_wherever_a_block_begins(
    tmp_path: Path, rows: Callable[..., dict[int, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "joined.csv"
    path.write_bytes(b"tel;nom\n1;a\n" + codecs.BOM_UTF8 + b"2;b\n3;c\n")
    monkeypatch.setattr(blocks, "_FEW", 1)
    for size in range(8, 24):
        monkeypatch.setattr(blocks, "_BLOCK", size)
        assert rows(path) == {2: ("1", "a"), 3: ("\ufeff2", "b"), 4: ("3", "c")}


@pytest.mark.parametrize("encoding", ["idna", "punycode", "unicode_escape", "raw_unicode_escape"])
def test_a_codec_that_no_file_is_written_in_is_no_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"tel;nom\n{NUMBER};a\n")
    with pytest.raises(UsageError, match="no encoding"):
        open_sources(path, encoding=encoding)


@pytest.mark.parametrize("kind", [pa.map_(pa.string(), pa.int8()), pa.struct([(NUMBER, pa.int8())])])
def test_no_message_about_a_parquet_column_shows_a_number(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"tel": [NUMBER], NUMBER: pa.nulls(1, kind)}), path)
    with pytest.raises(InputError, match=r"the column “…” \(a number\) holds (map|struct): no text") as caught:
        open_sources(path)
    assert NUMBER not in caught.value.message


def test_no_message_about_a_broken_zip_shows_a_cell(tmp_path: Path) -> None:
    path = an_xlsx(tmp_path / "b.xlsx", f"{TITLES}<row>{PERSON}</row>")
    content = bytearray(path.read_bytes())
    content[27] = 0x7F  # the first part's name goes on over what follows it
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"no whole workbook \(File name in directory\)$"):
        open_sources(path)


def test_no_message_about_missing_columns_shows_a_number(tmp_path: Path) -> None:
    path, schema = tmp_path / "a.csv", tmp_path / "s.yaml"
    path.write_text(f"tel;{NUMBER}\n{NUMBER};a\n")
    schema.write_text("columns: {phone: {phone_number: true}, age: {dtype: int}}")
    with pytest.raises(InputError, match=r"no column `age`; the file has `tel`, `…` \(a number\)"):
        voicebatch.validate([path], schema=schema, out=tmp_path)
