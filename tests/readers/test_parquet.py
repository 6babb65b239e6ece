"""Parquet files and folders as data teams write them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from voicebatch.errors import InputError
from voicebatch.readers import open_sources, parquet

if TYPE_CHECKING:
    from pathlib import Path

A_UUID = "30303030-3030-3030-3030-303030303030"
Read = Callable[..., dict[int, tuple[str | None, ...]]]


def write(path: Path, table: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([612345678.0, None, float("nan")]), ("612345678", None, None)),
        (pa.array([0.1, 2.0, None], pa.float32()), ("0.1", "2", None)),
        (pa.array([0.5, 2.0, None], pa.float16()), ("0.5", "2", None)),
        (pa.array([2**63, 1, None], pa.uint64()), ("9223372036854775808", "1", None)),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ("a", "b", "a")),
        (pa.array([1.0, 2.5, 1.0]).dictionary_encode(), ("1", "2.5", "1")),
        (pa.array(["a", " ", ""], pa.large_string()), ("a", None, None)),
        (pa.array(["a", None, "b"], pa.string_view()), ("a", None, "b")),
        (pa.array([0, 1_000, None], pa.time32("ms")), ("00:00", "00:00:01", None)),
        (pa.array([1, None, 0], pa.timestamp("ns")), ("1970-01-01 00:00", None, "1970-01-01 00:00")),
        (pa.array([90_000, None, 3_600], pa.duration("s")), ("25:00", None, "01:00")),
        (pa.array([None, None, None]), (None, None, None)),
        (pa.array([b"Zo\xc3\xa9", None, b""]), ("Zoé", None, None)),
        (pa.array([b"a", None, b" "], pa.large_binary()), ("a", None, None)),
        (pa.array([b"a", None, b" "], pa.binary_view()), ("a", None, None)),
        (pa.array(["a", None, "\u200b"], pa.large_string()), ("a", None, None)),
        (pa.array([2**64 - 1, None, 0], pa.uint64()), ("18446744073709551615", None, "0")),
        (pa.array([-128, None, 127], pa.int8()), ("-128", None, "127")),
        (pa.array([33612345678.0, None, float("nan")]), ("33612345678", None, None)),
        (pa.array([612345678, None, 1], pa.decimal128(20, 2)), ("612345678", None, "1")),
        (pa.array([True, None, False]), ("TRUE", None, "FALSE")),
        (pa.array([date(2027, 3, 1), None, None], pa.date64()), ("2027-03-01", None, None)),
        (pa.array([465710001, None, 465710001]).dictionary_encode(), ("465710001", None, "465710001")),
        (
            pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, None, None], pa.binary(16))),
            (A_UUID, None, None),
        ),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}', None, ""])), ('{"a":1}', None, None)),
        (
            pa.array([datetime(2027, 3, 1, 8, 0, tzinfo=UTC)] * 3, pa.timestamp("us", "Europe/Paris")),
            ("2027-03-01T09:00+01:00",) * 3,
        ),
    ],
    ids=str,
)
def test_every_plain_type_reads_as_text(
    tmp_path: Path, rows: Read, column: pa.Array, texts: tuple[str | None, ...]
) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"n": ["1", "2", "3"], "v": column}))
    assert tuple(cells[1] for cells in rows(path).values()) == texts


@pytest.mark.parametrize(
    "column",
    [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([b"x"], pa.binary(1)), pa.array([[b"x"]])],
    ids=lambda c: str(c.type),
)
def test_a_column_that_is_no_text_is_named(tmp_path: Path, column: pa.Array) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"tel": ["1"], "extra": column}))
    with pytest.raises(InputError, match="the column “extra” holds"):
        open_sources(path)


def test_bytes_that_are_no_text_name_their_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"tel": ["1"], "photo": [b"\xff\xd8"]}))
    with pytest.raises(InputError, match="the column “photo” holds bytes that are no text"):
        open_sources(path)


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"version": "1.0"}, {"data_page_version": "2.0"}])
def test_however_it_is_written_it_reads_the_same(
    tmp_path: Path, rows: Read, compression: str, options: dict[str, Any]
) -> None:
    table = pa.table({"tel": [f"0465{number:06}" for number in range(500)], "ville": ["Évry", None] * 250})
    pq.write_table(table, tmp_path / "t.parquet", compression=compression, row_group_size=99, **options)
    expected = {number: tuple(row.values()) for number, row in enumerate(table.to_pylist(), 2)}
    assert rows(tmp_path / "t.parquet") == expected


def test_texts_that_are_long_come_in_smaller_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_PORTION", 1000)
    texts = [f"{number % 3}" * 100 for number in range(101)]
    path = write(tmp_path / "t.parquet", pa.table({"tel": [str(number) for number in range(101)], "text": texts}))
    batches = list(open_sources(path)[0].batches())
    assert max(len(batch.numbers) for batch in batches) < 10
    assert [number for batch in batches for number in batch.numbers.tolist()] == list(range(2, 103))
    assert [text for batch in batches for text in batch.cells.column("text").to_pylist()] == texts


def test_files_of_a_folder_may_have_columns_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", pa.table({"tel": ["1"]}))
    write(tmp_path / "b.parquet", pa.table({"phone": pa.array([2], pa.int64()), "nom": ["Zoé"]}))
    assert [source.header for source in open_sources(tmp_path)] == [("tel",), ("phone", "nom")]


def test_a_damaged_file_ends_in_a_sentence_and_never_ends_the_process(tmp_path: Path, rows: Read) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"tel": ["0465710001"] * 500, "v": [str(n) for n in range(500)]}))
    whole, chance, refused = path.read_bytes(), random.Random(7), 0  # noqa: S311 # no secret
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 3, 20])):
            damaged[chance.randrange(len(whole) - 8)] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            rows(path)
        except InputError:
            refused += 1
    assert refused > 50


def test_text_that_is_no_utf8_ends_in_a_sentence(tmp_path: Path) -> None:
    broken = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    path = write(tmp_path / "t.parquet", pa.table({"tel": broken}))
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        open_sources(path)


def test_a_date_beyond_the_calendar_ends_in_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"d": pa.array([2**60], pa.timestamp("us"))}))
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        open_sources(path)


def test_records_in_many_row_groups_are_numbered_through(tmp_path: Path, rows: Read) -> None:
    pq.write_table(pa.table({"tel": ["a", None, "b", " ", "c"]}), tmp_path / "t.parquet", row_group_size=2)
    assert rows(tmp_path / "t.parquet") == {2: ("a",), 4: ("b",), 6: ("c",)}


def test_columns_of_one_name_are_told_apart(tmp_path: Path, rows: Read) -> None:
    path = write(tmp_path / "t.parquet", pa.Table.from_arrays([pa.array(["1"]), pa.array(["2"])], ["tel", "tel"]))
    assert open_sources(path)[0].header == ("tel", "tel (2)")
    assert rows(path) == {2: ("1", "2")}


def test_a_folder_gives_a_source_for_each_file_with_its_partitions(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder / "mois=03" / "ville=Saint%20Denis" / "b.parquet", pa.table({"tel": ["1"]}))
    write(folder / "mois=03" / "ville=Lyon" / "a.parquet", pa.table({"tel": ["2"], "mois": ["mars"]}))
    write(folder / "mois=__HIVE_DEFAULT_PARTITION__" / "ville=Lyon" / "part-0", pa.table({"tel": ["3"]}))
    write(folder / "_delta_log" / "x.parquet", pa.table({"other": ["4"]}))
    (folder / "_SUCCESS").touch()
    write(folder / "mois=04" / "ville=Lyon" / "empty.parquet", pa.table({"tel": pa.array([], pa.string())}))
    sources = open_sources(folder)
    found = {source.name: [row for batch in source.batches() for row in batch.cells.to_pylist()] for source in sources}
    assert found == {
        f"{folder}/mois=03/ville=Lyon/a.parquet": [{"tel": "2", "mois": "mars", "ville": "Lyon"}],
        f"{folder}/mois=03/ville=Saint%20Denis/b.parquet": [{"tel": "1", "mois": "03", "ville": "Saint Denis"}],
        f"{folder}/mois=__HIVE_DEFAULT_PARTITION__/ville=Lyon/part-0": [{"tel": "3", "mois": None, "ville": "Lyon"}],
    }


def test_a_folder_without_a_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clients.csv").write_text("nom;tel\nA;1\n")
    with pytest.raises(InputError, match="a folder without a Parquet file"):
        open_sources(tmp_path)


def test_a_file_of_another_kind_among_parquet_files_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", pa.table({"tel": ["1"]}))
    (tmp_path / "clients.csv").write_text("nom;tel\nA;1\n")
    with pytest.raises(InputError, match=r"clients\.csv cannot be read as Parquet"):
        open_sources(tmp_path)


def test_a_folder_of_empty_files_has_no_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", pa.table({"tel": pa.array([], pa.string())}))
    with pytest.raises(InputError, match="has a header and no rows"):
        open_sources(tmp_path)


def test_a_file_without_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no columns"):
        open_sources(write(tmp_path / "a.parquet", pa.table({})))


def test_each_block_says_how_much_of_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebatch.settings.BATCH_ROWS", 2)
    pq.write_table(pa.table({"phone": ["1", "2", "3", "4", "5"]}), tmp_path / "people.parquet")
    (source,) = open_sources(tmp_path / "people.parquet")
    assert [rows.share for rows in source.batches()] == [0.4, 0.8, 1.0]
