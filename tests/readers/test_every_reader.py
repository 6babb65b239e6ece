"""What every reader promises. A new format is a line in ``WRITERS``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from voicebatch.errors import InputError, UsageError
from voicebatch.readers import open_sources, sha256

if TYPE_CHECKING:
    from pathlib import Path

Cells = Sequence[Sequence[str]]
Read = Callable[..., dict[int, tuple[str | None, ...]]]


def write_text(path: Path, table: Cells, *, delimiter: str, encoding: str) -> None:
    text = "".join(delimiter.join(f'"{cell}"' for cell in row) + "\r\n" for row in table)
    path.write_bytes(text.encode(encoding))


def write_xlsx(path: Path, table: Cells) -> None:
    book = openpyxl.Workbook()
    for number, row in enumerate(table, 1):
        for index, cell in enumerate(row, 1):
            book.active.cell(number, index, cell or None).data_type = "s"  # a leading = is no formula
    book.save(path)


def write_xls(path: Path, table: Cells) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Feuille 1")
    for number, row in enumerate(table):
        for index, cell in enumerate(row):
            sheet.write(number, index, cell)
    book.save(str(path))


def write_ods(path: Path, table: Cells) -> None:
    book = OpenDocumentSpreadsheet()
    sheet = Table(name="Feuille 1")
    book.spreadsheet.addElement(sheet)
    for row in table:
        line = TableRow()
        sheet.addElement(line)
        for cell in row:
            box = TableCell(valuetype="string")
            box.addElement(P(text=cell))
            line.addElement(box)
    book.save(str(path))


def write_parquet(path: Path, table: Cells) -> None:
    columns = [pa.array([cell or None for cell in column], pa.string()) for column in zip(*table[1:], strict=True)]
    pq.write_table(pa.Table.from_arrays(columns or [pa.array([], pa.string())] * len(table[0]), list(table[0])), path)


WRITERS: dict[str, Callable[[Path, Cells], None]] = {
    "semicolon.csv": partial(write_text, delimiter=";", encoding="cp1252"),
    "comma.csv": partial(write_text, delimiter=",", encoding="utf-8"),
    "excel.tsv": partial(write_text, delimiter="\t", encoding="utf-16"),
    "bars.txt": partial(write_text, delimiter="|", encoding="utf-8-sig"),
    "book.xlsx": write_xlsx,
    "macros.XLSM": write_xlsx,
    "old.xls": write_xls,
    "libre.ods": write_ods,
    "table.parquet": write_parquet,
    "no ending at all": write_xlsx,
    "text.export": partial(write_text, delimiter=";", encoding="utf-8"),
    "sheet.download": write_ods,
    "old.download": write_xls,
    "columns.download": write_parquet,
}

TABLE = [
    ["Prénom", "Téléphone", "N° client"],
    ["Zoé", "04 65 71 00 01", " A;1,5|x"],
    ["", "", ""],
    ["Œdipe", "0465710002", ""],
    ["  ", "\xa0", " "],
    ["=1+1", "+33 4 65 71 00 03", "{{ 7 * 7 }}"],
]

PARQUET = ["table.parquet", "columns.download"]  # always has column names
TEXT = [
    "semicolon.csv",
    "comma.csv",
    "excel.tsv",
    "bars.txt",
    "text.export",
]  # half a text file is a text file

every_format = pytest.mark.parametrize("name", WRITERS)


@every_format
def test_the_same_table_reads_the_same_in_every_format(tmp_path: Path, rows: Read, name: str) -> None:
    WRITERS[name](tmp_path / name, TABLE)
    assert rows(tmp_path / name) == {
        2: ("Zoé", "04 65 71 00 01", " A;1,5|x"),
        4: ("Œdipe", "0465710002", None),
        6: ("=1+1", "+33 4 65 71 00 03", "{{ 7 * 7 }}"),
    }


@every_format
def test_a_source_tells_its_name_and_header_and_reads_again(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, TABLE)
    (source,) = open_sources(tmp_path / name)
    assert (source.name, source.header) == (str(tmp_path / name), ("Prénom", "Téléphone", "N° client"))
    first, second = ([batch.cells for batch in source.batches()] for _ in range(2))
    assert first == second
    assert all(batch.schema.names == list(source.header) for batch in first)
    assert all(kind == pa.string() for batch in first for kind in batch.schema.types)


@every_format
def test_a_header_without_rows_is_refused_by_name(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, TABLE[:1])
    with pytest.raises(InputError, match="has a header and no rows") as caught:
        open_sources(tmp_path / name)
    assert str(tmp_path / name) in caught.value.message


@pytest.mark.parametrize("name", sorted(set(WRITERS) - set(PARQUET)))
def test_a_list_without_a_header_keeps_its_first_row(tmp_path: Path, rows: Read, name: str) -> None:
    WRITERS[name](tmp_path / name, [["0465710001", "a"], ["0465710002", "b"]])
    expected = {1: ("0465710001", "a"), 2: ("0465710002", "b")}
    assert rows(tmp_path / name, has_header=False) == expected
    assert rows(tmp_path / name, has_header=None) == expected
    assert open_sources(tmp_path / name, has_header=False)[0].header == ("column A", "column B")


@every_format
def test_a_first_row_without_a_number_is_a_header_when_nobody_said(tmp_path: Path, rows: Read, name: str) -> None:
    WRITERS[name](tmp_path / name, [["Tel", "Motif 2027"], ["0465710002", "b"]])
    assert rows(tmp_path / name, has_header=None) == {2: ("0465710002", "b")}


@pytest.mark.parametrize("name", sorted(set(WRITERS) - set(TEXT)))
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.95])
def test_a_truncated_file_ends_in_a_sentence(tmp_path: Path, rows: Read, name: str, kept: float) -> None:
    WRITERS[name](tmp_path / name, TABLE)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError) as caught:
        rows(tmp_path / name)
    assert name in caught.value.message
    assert caught.value.hint


@every_format
def test_bytes_that_are_nothing_end_in_a_sentence(tmp_path: Path, rows: Read, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError) as caught:
        rows(tmp_path / name)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["missing.csv", "missing.xlsx", "missing", "folder/missing.parquet"])
def test_a_missing_file_is_wrong_use(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        open_sources(tmp_path / name)
    with pytest.raises(UsageError, match="There is no file"):
        sha256(tmp_path / name)


def test_a_file_that_vanishes_before_it_is_read_ends_in_a_sentence(tmp_path: Path) -> None:
    for name in ("comma.csv", "book.xlsx", "table.parquet"):
        WRITERS[name](tmp_path / name, TABLE)
        (source,) = open_sources(tmp_path / name)
        (tmp_path / name).unlink()
        with pytest.raises(InputError, match="cannot be read"):
            list(source.batches())


def test_batches_hold_no_more_rows_than_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("a,b\n" + "1,2\n" * 70_000)
    pq.write_table(pa.table({"a": ["1"] * 70_000}), tmp_path / "long.parquet")
    for name in ("long.csv", "long.parquet"):
        (source,) = open_sources(tmp_path / name)
        batches = list(source.batches())
        sizes = [len(batch.numbers) for batch in batches]
        assert (max(sizes) <= 65_536, sum(sizes)) == (True, 70_000)
        assert [batch.cells.num_rows for batch in batches] == sizes
        assert batches[-1].numbers[-1] == 70_001


TYPED: list[tuple[Any, str | None]] = [
    (612345678, "612345678"),
    (612345678.0, "612345678"),
    (33612345678.0, "33612345678"),
    (1.5e20, "150000000000000000000"),
    (12.5, "12.5"),
    (0.0000001, "0.0000001"),
    (-3.0, "-3"),
    (True, "TRUE"),
    (datetime(2027, 3, 1, 9, 0), "2027-03-01 09:00"),  # noqa: DTZ001 # a spreadsheet knows no time zone
    (datetime(2027, 3, 1, 9, 0, 30), "2027-03-01 09:00:30"),  # noqa: DTZ001 # the same
    (date(2027, 3, 1), "2027-03-01"),
    (time(9, 0), "09:00"),
    (time(9, 0, 5), "09:00:05"),
]


@pytest.mark.parametrize(("value", "text"), TYPED)
def test_a_typed_cell_reads_as_its_text(tmp_path: Path, rows: Read, value: Any, text: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(["v"])
    book.active.append([value])
    book.save(tmp_path / "typed.xlsx")
    pq.write_table(pa.table({"v": [value]}), tmp_path / "typed.parquet")
    assert rows(tmp_path / "typed.xlsx") == {2: (text,)}
    assert rows(tmp_path / "typed.parquet") == {2: (text,)}


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"abc")
    assert sha256(tmp_path / "a.csv") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_hash_of_a_folder_depends_on_its_data_files_and_their_names(tmp_path: Path) -> None:
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        write_parquet(tmp_path / folder / "part-0.parquet", TABLE)
    (tmp_path / "two" / "_SUCCESS").touch()
    (tmp_path / "three" / "part-0.parquet").rename(tmp_path / "three" / "part-1.parquet")
    one, two, three = (sha256(tmp_path / folder) for folder in ("one", "two", "three"))
    assert one == two != three


def test_decimals_lose_no_digit(tmp_path: Path, rows: Read) -> None:
    prices = [Decimal("12.50"), Decimal("7.00"), None]
    pq.write_table(
        pa.table({"v": pa.array(prices, pa.decimal128(38, 2)), "w": ["a", "b", "c"]}), tmp_path / "d.parquet"
    )
    assert rows(tmp_path / "d.parquet") == {2: ("12.50", "a"), 3: ("7", "b"), 4: (None, "c")}
