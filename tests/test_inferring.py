"""``schema infer``: it accepts the file that it came from, asks what is certain, and shows nobody's data."""

from __future__ import annotations

import csv
import string
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import voicebatch
from voicebatch.errors import InputError, UsageError
from voicebatch.headers import squeeze
from voicebatch.pipeline.inferring import infer
from voicebatch.settings import InputOptions
from voicebatch.validation import explain, load_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = sorted((Path(__file__).parent.parent / "sample_data").glob("rendez-vous.*"))


def phone(at: int) -> str:
    """A fictional number."""
    return f"046571{at:04d}"


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    return path


def inferred(*paths: Path, region: str = "FR") -> str:
    return infer(paths, inputs=InputOptions(delimiter=",", region=region), on_progress=lambda _: None).text


def lines(tmp_path: Path, title: str, *cells: str) -> list[str]:
    """What is written of a column with these cells, beside a phone column."""
    path = write(tmp_path / "people.csv", ["tel", title], [(phone(at), cell) for at, cell in enumerate(cells)])
    text = inferred(path)
    return [line.strip() for line in text.partition(f"  {title}:\n")[2].splitlines()]


def asked(tmp_path: Path, title: str, *cells: str) -> list[str]:
    """The same without comments."""
    return [line.partition("  #")[0] for line in lines(tmp_path, title, *cells) if not line.startswith("#")]


def faults(folder: Path, path: Path, text: str) -> list[tuple[int, str, str]]:
    """What the inferred schema finds in a file, except bad phone numbers and settings that nobody could send."""
    (folder / "inferred.yaml").write_text(text, encoding="utf-8")
    delimiter = None if path in SAMPLES else ","
    result = voicebatch.validate(
        [path], schema=folder / "inferred.yaml", max_invalid="100%", out=folder / "reports", delimiter=delimiter
    )
    column = result.files[0].phone_column
    bad = {fault.row for fault in result.faults if fault.column == column}
    settings_of_rows = {"language", "speech_rate", "scheduled_date"}  # which are checked whatever a schema says
    return [
        (fault.row, fault.column, fault.check)
        for fault in result.faults
        if fault.row not in bad and fault.check not in settings_of_rows
    ]


# --------------------------------------------------------------------------- the law

CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "0", "1", "12", "-3", "007", "1,5", "1.50", "1e5", "oui", "non", "yes", "N", "M.", "Mme"]
    ),
    st.sampled_from(["75001", "01000", "A12", "B34", "a@b.fr", "2027-03-01", "01/03/2027", "31/02/2027", "08:30"]),
    st.sampled_from(["fr", "en", "xx", "0,8", "9", "612345678", "10000000", "é", "no", "~", "#", "- a", "a: b"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6),
)
TITLES = st.one_of(
    st.sampled_from(["lang", "Speech rate", "scheduled_date", "audio token", "id", "code postal", "no", "yes", "~"]),
    st.sampled_from(
        ["n°", "1e5", "0x1F", "08:30", "2027-03-01", "<<", "=", "a: b", "# x", "[a", "{a", "*a", "&a", "!a"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
    st.text(string.printable, min_size=1, max_size=8),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A header and rows; each column has one kind of cells, and some that may be anything."""
    titles = draw(st.lists(TITLES, min_size=1, max_size=4, unique_by=squeeze))
    palettes = [draw(st.lists(CELLS, min_size=1, max_size=4)) for _ in titles]
    height = draw(st.integers(1, 30))
    phones = st.one_of(st.integers(0, 9999).map(phone), st.just("06"))
    rows = [
        [draw(phones), *(draw(st.one_of(st.sampled_from(palette), CELLS)) for palette in palettes)]
        for _ in range(height)
    ]
    return ["tel", *titles], [[phone(1), *rows[0][1:]], *rows]


@settings(max_examples=60)
@given(table=tables())
@example((["tel", "id"], [["06", "A1"], *([phone(at), f"A{at}"] for at in range(1, 60))]))
@example((["tel", "lang"], [[phone(1), "xx"], [phone(2), "fr"]]))
def test_what_is_inferred_accepts_the_file_that_it_came_from(table: tuple[list[str], list[list[str]]]) -> None:
    header, rows = table
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "people.csv", header, rows)
        assert faults(Path(folder), path, inferred(path)) == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.suffix)
def test_it_accepts_the_sample_data_and_can_be_explained(sample: Path, tmp_path: Path) -> None:
    text = infer([sample], inputs=InputOptions(), on_progress=lambda _: None).text
    assert faults(tmp_path, sample, text) == []
    schema = load_schema(text, name="inferred.yaml")
    assert schema.columns["Date du rendez-vous"].dtype == "date"
    assert "Heure: text, the file must have it, no cell may be empty" in explain(schema)


# --------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("title", "cells", "expected"),
    [
        ("age", [str(age) for age in range(20, 40)], ["dtype: int"]),
        ("solde", ["1,5", "2", "-3,25", "0", "12.5"], ["dtype: float"]),
        ("date", ["01/03/2027", "2027-03-02", "03/03/2027 09:00", "04/03/2027", "05/03/2027"], ["dtype: date"]),
        ("membre", ["oui", "non", "Oui", "oui", "non"], ["dtype: bool"]),
        ("étage", ["1", "", "2", "3", "4", "5"], ["dtype: int", "nullable: true"]),
        ("ville", ["01", "02", "10", "11", "12"], ["dtype: str"]),
        ("code postal", ["75001"] * 5 + ["69001"] * 6, ["dtype: str", r"str_matches: ^\d{5}$"]),
        ("autre", ["612345678"] * 5, ["dtype: str"]),
        ("few", ["1", "2"], ["dtype: str"]),
        ("civilité", ["M.", "Mme"] * 12, ["dtype: str", "isin: [M., Mme]"]),
        ("civilité", ["no", "1e5"] * 12, ["dtype: str", 'isin: ["1e5", "no"]']),
        ("civilité", ["M."] * 20 + ["Mlle"], ["dtype: str"]),
        ("pays", ["France"] * 30, ["dtype: str"]),
        (
            "mail",
            [f"{letter}@b.fr" for letter in "abcdefghij"],
            ["dtype: str", r"str_matches: ^[^@\s]+@[^@\s]+\.[^@\s]+$"],
        ),
        (
            "dossier",
            [f"AB-{at:04d}" for at in range(60)],
            ["dtype: str", r"str_matches: ^[A-Z]{2}-\d{4}$", "unique: true"],
        ),
        ("nom", [f"Martin {'x' * at}" for at in range(60)], ["dtype: str"]),
        ("montant", [f"{at},50" for at in range(60)], ["dtype: float"]),
        ("vide", ["", "", ""], ["required: false", "nullable: true"]),
        ("Lang", ["fr", "", "en"], ["required: false", "nullable: true", "language: true"]),
        ("lang", ["fr", "xx"], ["required: false", "nullable: true"]),
    ],
)
def test_a_column_is_asked_what_is_certain(title: str, cells: list[str], expected: list[str], tmp_path: Path) -> None:
    assert asked(tmp_path, title, *cells) == expected


def test_comments_say_what_was_seen_and_what_could_be_asked(tmp_path: Path) -> None:
    assert lines(tmp_path, "age", *(str(age) for age in range(20, 40)), "") == [
        "dtype: int  # seen: 20 to 39",
        "nullable: true  # seen: 1 of 21 cells are empty",
        "# in_range: {min_value: 20, max_value: 39}",
    ]
    assert lines(tmp_path, "né le", *(f"0{day}/02/1980" for day in range(1, 7)))[1] == (
        "# in_range: {min_value: 1980-02-01, max_value: 1980-02-29}"
    )
    assert lines(tmp_path, "lang", "fr", "xx")[-1] == (
        "# language: true  # not asked: 1 row of this file would be refused"
    )


def test_what_could_be_asked_can_be_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "people.csv", ["tel", "age"], [(phone(at), str(20 + at)) for at in range(9)])
    text = inferred(path).replace("# in_range", "in_range")
    (rule,) = load_schema(text, name="s.yaml").columns["age"].rules
    assert rule.statistics == {"min_value": 20, "max_value": 28}
    assert faults(tmp_path, path, text) == []


def test_nobodys_data_is_shown(tmp_path: Path) -> None:
    header = ["tel", "deuxième", "nom", "client", "né le", "conseiller", "mail", "solde"]
    rows = [
        [phone(at), f"06 12 34 56 {at:02d}", f"Nom{at}", str(80000000 + at), f"{at % 28 + 1:02d}/05/1971",
         "06 99 99 99 99", f"m{at}@x.fr", str(7654321 + at)] for at in range(90)
    ]  # fmt: skip
    text = inferred(write(tmp_path / "people.csv", header, rows))
    assert not [cell for row in rows for cell in row if cell in text]
    assert "7654" not in text


def test_the_schema_says_the_region_of_its_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "people.csv", ["gsm"], [("02 511 22 33",)])
    assert "phone_number: {region: BE}" in inferred(path, region="BE")
    with pytest.raises(InputError, match="No row has a number that can be called"):
        inferred(path, region="FR")
    with pytest.raises(UsageError, match="no country code"):
        inferred(path, region="XX")


def test_of_several_files_a_column_that_one_lacks_is_optional(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", ["Nom", "tel", "étage"], [("A", phone(1), "1"), ("B", phone(2), "")])
    second = write(tmp_path / "b.csv", ["Portable", "NOM"], [(phone(3), "C")])
    text = inferred(first, second)
    schema = load_schema(text, name="s.yaml")
    assert list(schema.columns) == ["Nom", "tel", "étage"]
    assert [column.required for column in schema.columns.values()] == [True, True, False]
    assert faults(tmp_path, first, text) == faults(tmp_path, second, text) == []


def test_hidden_rows_teach_nothing_unless_asked(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [["tel", "âge"], *([f"+33{phone(at)[1:]}", at] for at in range(8)), [f"+33{phone(9)[1:]}", "inconnu"]]:
        sheet.append(row)
    sheet.row_dimensions[10].hidden = True
    book.save(tmp_path / "people.xlsx")

    def dtype(*, include_hidden: bool) -> str:
        inputs = InputOptions(include_hidden=include_hidden)
        text = infer([tmp_path / "people.xlsx"], inputs=inputs, on_progress=lambda _: None).text
        return load_schema(text, name="s.yaml").columns["âge"].dtype

    assert (dtype(include_hidden=False), dtype(include_hidden=True)) == ("int", "text")
