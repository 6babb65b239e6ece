"""Bad rows come back in a copy of the user's own text file with one more column, and the rest of it as it was."""

from __future__ import annotations

import codecs
import csv
import io
import re
import tempfile
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voicebatch

PEOPLE: Final = "Nom;Téléphone;Ville\r\nZoé;0465710001;Lyon\r\nAnaïs;abc;Évry\r\n"
REASON: Final = "Téléphone: there are letters in it"


def annotated(path: Path, out: str = "reports", **how: Any) -> Path:
    result = voicebatch.validate([path], annotate=True, max_invalid="100%", out=path.parent / out, **how)
    (copy,) = result.annotated
    return copy


def of(tmp_path: Path, content: str | bytes, **how: Any) -> bytes:
    path = tmp_path / "people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return annotated(path, **how).read_bytes()


def reason_of(copy: str, row: int, delimiter: str = ";") -> str:
    return list(csv.reader(io.StringIO(copy, newline=""), delimiter=delimiter))[row - 1][-1]


def test_one_more_column_says_what_is_wrong_with_a_row(tmp_path: Path) -> None:
    header, good, bad = of(tmp_path, PEOPLE).decode().splitlines(keepends=True)
    assert (header, good) == ("Nom;Téléphone;Ville;voicebatch\r\n", "Zoé;0465710001;Lyon;\r\n")
    assert bad.startswith("Anaïs;abc;Évry;Téléphone: there are letters")
    assert bad.endswith("\r\n")


@pytest.mark.parametrize(
    ("codec", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("cp1252", b""),
        ("mac_roman", b""),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_encoding_mark_line_ends_and_delimiter_stay(
    tmp_path: Path, codec: str, mark: bytes, end: str, delimiter: str
) -> None:
    text = PEOPLE.replace("\r\n", end).replace(";", delimiter)
    copy = of(tmp_path, mark + text.encode(codec))
    assert copy.startswith(mark)
    written = copy[len(mark) :].decode(codec)
    lines = written.split(end)
    assert [line.rsplit(delimiter, 1)[0] for line in lines[:-1]] == text.split(end)[:-1]
    (tmp_path / "copy.csv").write_bytes(copy)
    again = voicebatch.validate([tmp_path / "copy.csv"], max_invalid="100%", out=tmp_path / "again")
    assert [fault.row for fault in again.faults] == [3]
    assert again.files[0].header == ("Nom", "Téléphone", "Ville", "voicebatch")


def test_lines_above_the_header_blank_lines_and_short_rows_stay(tmp_path: Path) -> None:
    text = "sep=;\nAppels de mars\n\nNom;Téléphone;Ville\n\nZoé;0465710001\n;;\nAna\nLéo;abc"
    lines = of(tmp_path, text).decode().split("\n")
    assert lines[:3] == ["sep=;", "Appels de mars", ""]
    assert lines[3] == "Nom;Téléphone;Ville;voicebatch"
    assert lines[4:7] == ["", "Zoé;0465710001", ";;"]
    assert lines[7] == "Ana;;;Téléphone: the cell is empty"
    assert lines[8].startswith("Léo;abc;;Téléphone: there are letters")


def test_a_row_of_several_lines_is_marked_at_its_end(tmp_path: Path) -> None:
    text = 'nom,téléphone,note\nAna,abc,"two\nlines; ""so"""\nZoé,0465710001,"a, b"\n'
    copy = of(tmp_path, text).decode()
    assert 'Ana,abc,"two\nlines; ""so""",téléphone: ' in copy
    assert copy.endswith('\nZoé,0465710001,"a, b",\n')


def test_cells_that_are_quoted_get_a_quoted_neighbour(tmp_path: Path) -> None:
    lines = of(tmp_path, '"nom";"téléphone"\n"Ana";"abc"\n').decode().splitlines()
    assert lines[0] == '"nom";"téléphone";"voicebatch"'
    assert lines[1].startswith('"Ana";"abc";"téléphone: ')


def test_empty_columns_at_the_end_are_not_pushed_into_the_table(tmp_path: Path) -> None:
    lines = of(tmp_path, "nom;téléphone;;;\nAna;abc;;;\nZoé;0465710001;;;\nLéo;0465710002\n").decode().splitlines()
    assert lines[0] == "nom;téléphone;voicebatch;;"
    assert lines[1].endswith(";;")
    assert lines[2:] == ["Zoé;0465710001;;;", "Léo;0465710002;"]
    (tmp_path / "copy.csv").write_text("\n".join(lines), encoding="utf-8")
    again = voicebatch.validate([tmp_path / "copy.csv"], max_invalid="100%", out=tmp_path / "again")
    assert again.files[0].header == ("nom", "téléphone", "voicebatch")


def test_a_row_with_too_many_cells_is_marked_once_however_often(tmp_path: Path) -> None:
    first = of(tmp_path, "nom;téléphone\nAna;0465710001;rue; haute\nZoé;0465710002\n")
    assert first.splitlines()[1].startswith(b"Ana;0465710001;rue; haute;the row has 4 cells, the header 2")
    (tmp_path / "copy.csv").write_bytes(first)
    again = annotated(tmp_path / "copy.csv", "again").read_bytes()
    assert again.count(b"the row has") == 1
    corrected = again.replace(b"Ana;0465710001;rue; haute;", b"Ana;0465710001;")
    (tmp_path / "corrected.csv").write_bytes(corrected)
    assert not voicebatch.validate([tmp_path / "corrected.csv"], out=tmp_path / "last").faults


def test_a_row_that_hides_others_stays_bad_until_it_is_corrected(tmp_path: Path) -> None:
    first = of(tmp_path, 'téléphone;nom;ville\n0465710001;"Ana;Lyon\n0465710002;Zoé"\n0465710003;Léo;Lyon\n')
    assert b"seems to hide the rows below" in first
    (tmp_path / "copy.csv").write_bytes(first)
    again = voicebatch.validate([tmp_path / "copy.csv"], max_invalid="100%", out=tmp_path / "again")
    assert [(fault.row, fault.check) for fault in again.faults] == [(2, "row_shape")]


def test_a_file_of_one_column_gets_a_second_one(tmp_path: Path) -> None:
    copy = of(tmp_path, "téléphone\nabc\n0465710001\n").decode()
    assert copy.splitlines()[0] == "téléphone;voicebatch"
    assert copy.endswith("\n0465710001;\n")
    (tmp_path / "copy.csv").write_text(copy, encoding="utf-8")
    assert annotated(tmp_path / "copy.csv", "again").read_text(encoding="utf-8") == copy


def test_a_corrected_row_is_not_marked_any_more_and_a_bad_one_anew(tmp_path: Path) -> None:
    first = of(tmp_path, PEOPLE + "Léo;12;Lyon\r\n").decode()
    (tmp_path / "corrected.csv").write_bytes(first.replace(";abc;", ";0465710002;").encode())
    again = annotated(tmp_path / "corrected.csv", "again").read_bytes().decode()
    assert again.splitlines()[2] == "Anaïs;0465710002;Évry;"
    assert again.splitlines()[0] == first.splitlines()[0]
    assert reason_of(again, 4) == reason_of(first, 4) != ""
    rejected = (tmp_path / "again").rglob("rejected.csv")
    assert "voicebatch" not in next(rejected).read_text(encoding="utf-8").splitlines()[0]


def test_a_strict_schema_lets_our_column_pass(tmp_path: Path) -> None:
    schema = tmp_path / "strict.yaml"
    schema.write_text("strict: true\ncolumns:\n  nom:\n  phone: {phone_number: true}\n  ville:\n", encoding="utf-8")
    copy = of(tmp_path, PEOPLE, schema=schema)
    (tmp_path / "corrected.csv").write_bytes(copy.replace(b"abc", b"0465710002"))
    assert not voicebatch.validate([tmp_path / "corrected.csv"], schema=schema, out=tmp_path / "again").faults


def test_a_reason_is_no_formula(tmp_path: Path) -> None:
    header = '=HYPERLINK("x")'
    quoted = header.replace('"', '""')
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        f"columns:\n  '{header}': {{isin: {{allowed_values: [a]}}}}\n  phone: {{phone_number: true}}\n", "utf-8"
    )
    copy = of(tmp_path, f'"{quoted}";téléphone\nb;0465710001\n', schema=schema).decode()
    assert reason_of(copy, 2).startswith("'=HYPERLINK")


def test_what_the_encoding_cannot_say_is_said_in_plainer_letters(tmp_path: Path) -> None:
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        "columns:\n  nom: {str_length: {max_value: 3, error: 'trop long… “3” lettres ✂'}}\n  phone:\n", "utf-8"
    )
    copy = of(tmp_path, "nom;téléphone\nLéontine;0465710001\n".encode("latin-1"), schema=schema, encoding="latin-1")
    assert reason_of(copy.decode("latin-1"), 2) == 'nom: trop long. "3" lettres ?'


CELLS = st.text(st.sampled_from("ab;,\t\"'\n\r é=|"), max_size=6)
ROWS = st.lists(st.lists(CELLS, min_size=0, max_size=4), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, end=st.sampled_from(["\n", "\r\n"]), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_whatever_stands_in_the_rows_nothing_of_it_is_lost(rows: list[list[str]], end: str, quoting: Any) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=";", lineterminator=end, quoting=quoting)
    writer.writerows([["nom", "téléphone", "ville"], ["Ana", "abc", "Lyon"], *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        path.write_bytes(buffer.getvalue().encode())
        copy = annotated(path, delimiter=";")
        before, after = (
            list(csv.reader(io.StringIO(one.read_bytes().decode(), newline=""), delimiter=";")) for one in (path, copy)
        )
        assert len(before) == len(after)
        filled = [row[: max((at for at, cell in enumerate(row, 1) if cell.strip()), default=0)] for row in before]
        assert all(now[: len(was)] == was for was, now in zip(filled, after, strict=True))
        (Path(folder) / "copy.csv").write_bytes(copy.read_bytes())
        again = annotated(Path(folder) / "copy.csv", "again", delimiter=";")
        first, second = (
            re.sub(rb"\d+ (cells|lines)(.*?), the header \d", b"", one.read_bytes()) for one in (copy, again)
        )
        assert second == first  # but for how many cells a row with too many has
