"""CSV and its relatives as programs and people really write them."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebatch.errors import InputError, UsageError, VoicebatchError
from voicebatch.readers import Source, open_sources

if TYPE_CHECKING:
    from pathlib import Path

Read = Callable[..., dict[int, tuple[str | None, ...]]]


def source(folder: Path, content: bytes, **options: str) -> Source:
    (folder / "f.csv").write_bytes(content)
    (only,) = open_sources(folder / "f.csv", **options)  # type: ignore[arg-type] # only options that are text
    return only


def faults(only: Source) -> dict[int, str]:
    return {number: fault for batch in only.batches() for number, fault in batch.faults.items()}


ACCENTS = "prénom;tel\r\nZoé;0465710001\r\n"


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (ACCENTS.encode(), "CSV, semicolon, UTF-8"),
        (ACCENTS.encode("utf-8-sig"), "CSV, semicolon, UTF-8"),
        (ACCENTS.encode("cp1252"), "CSV, semicolon, Windows-1252"),
        (ACCENTS.encode("utf-16"), "CSV, semicolon, UTF-16"),
        (b"\xfe\xff" + ACCENTS.encode("utf-16-be"), "CSV, semicolon, UTF-16"),
        (ACCENTS.encode("utf-16-le"), "CSV, semicolon, UTF-16"),
        (ACCENTS.encode("utf-16-be"), "CSV, semicolon, UTF-16"),
    ],
)
def test_the_encoding_is_detected(tmp_path: Path, rows: Read, content: bytes, form: str) -> None:
    only = source(tmp_path, content)
    assert (only.form, only.header) == (form, ("prénom", "tel"))
    assert rows(tmp_path / "f.csv") == {2: ("Zoé", "0465710001")}


def test_a_late_accent_decides_the_encoding(tmp_path: Path, rows: Read) -> None:
    plain = b"prenom;tel\n" + b"Ana;0465710001\n" * 100_000
    assert source(tmp_path, plain + "Zoé;1\n".encode("cp1252")).form == "CSV, semicolon, Windows-1252"
    assert rows(tmp_path / "f.csv")[100_002] == ("Zoé", "1")


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("nom;montant;tel\nA;1,50;01\nB;2,75;02\n", "semicolon"),
        ('nom,adresse,tel\nA,"1; rue; d\'en bas",01\n', "comma"),
        ('nom,adresse\nA,"1, rue; de; la; Paix"\nB,"2, rue"\n', "comma"),
        ("nom\tadresse\nA\t1, rue de la Paix; Lyon\n", "tab"),
        ("nom|tel\nA|01\n", "vertical bar"),
        ("nom;prénom, civilité;tel\nA;B;01\nC;D;02\n", "semicolon"),
        ("a;b;c;d\n1;2;3;4\n1;2;3;4,5;6\n1;2\n", "semicolon"),
        ("sep=,\na;b,c\n1,2\n", "comma"),
        ('"sep=|"\na;b|c\n1|2\n', "vertical bar"),
        ("SEP=\t\na\tb\n1\t2\n", "tab"),
    ],
)
def test_the_delimiter_is_detected(tmp_path: Path, content: str, delimiter: str) -> None:
    assert source(tmp_path, content.encode()).form == f"CSV, {delimiter}, UTF-8"


@pytest.mark.parametrize(
    "content", ["tel\n0465710001\n", "Téléphone (fixe, mobile)\n0465710001\n", "tel\n04,65,71\n04;65\n"]
)
def test_one_column_needs_no_delimiter(tmp_path: Path, content: str) -> None:
    only = source(tmp_path, content.encode())
    assert (only.form, only.header) == ("one column, UTF-8", (content.splitlines()[0],))
    assert not faults(only)


def test_a_plain_list_of_numbers_needs_no_header(tmp_path: Path, rows: Read) -> None:
    (tmp_path / "stop.txt").write_text("04 65 71 00 01\n\n+33 4 65 71 00 02\n")
    assert rows(tmp_path / "stop.txt", has_header=False) == {
        1: ("04 65 71 00 01",),
        3: ("+33 4 65 71 00 02",),
    }


def test_a_delimiter_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="comma, semicolon") as caught:
        source(tmp_path, b"a,b;c\n1,2;3\n")
    assert "--delimiter" in caught.value.hint
    assert source(tmp_path, b"a,b;c\n1,2;3\n", delimiter=";").header == ("a,b", "c")


@pytest.mark.parametrize("name", ["tab", "TAB", r"\t", "\t"])
def test_the_tab_has_a_name(tmp_path: Path, name: str) -> None:
    assert source(tmp_path, b"a\tb;c\n1\t2\n", delimiter=name).header == ("a", "b;c")


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_a_delimiter_that_is_none_is_wrong_use(tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(UsageError, match="is no delimiter"):
        source(tmp_path, b"a;b\n1;2\n", delimiter=delimiter)


@pytest.mark.parametrize("encoding", ["klingon", "base64", "undefined"])
def test_an_encoding_that_is_none_is_wrong_use(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(UsageError, match="no encoding"):
        source(tmp_path, b"a;b\n1;2\n", encoding=encoding)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a;b\n\n1;2\n;\n;;;\n   ;\n3;4\n\n", {3: ("1", "2"), 7: ("3", "4")}),
        ("\n\na;b\n1;2\n", {4: ("1", "2")}),
        ('a;b\n"x\ny\r\nz";2\n3;4\n', {2: ("x\ny\r\nz", "2"), 3: ("3", "4")}),
        ("a;b\r1;2\r3;4\r", {2: ("1", "2"), 3: ("3", "4")}),
        ("sep=;\r\na;b\r\n1;2", {2: ("1", "2")}),
        ("a;b\n1\n2;3\n", {2: ("1", None), 3: ("2", "3")}),
        ("tel\n;;\n0465710001\n", {3: ("0465710001",)}),
        ("a;b;;;\n1;2;;;\n", {2: ("1", "2")}),
        ("a;b\n1;2;;;\n", {2: ("1", "2")}),
        ('a;b\n"Jean ""Jo"" D";2\n', {2: ('Jean "Jo" D', "2")}),
        ('a;b\n"Jean "Jo" D";2\n', {2: ('Jean Jo" D"', "2")}),
        ('a;b\n5" pipe;2\n', {2: ('5" pipe', "2")}),
        ("a;b\n x ;\u200b\n", {2: (" x ", None)}),
        ('a;b\n="0465710001";2\n', {2: ('="0465710001"', "2")}),
    ],
)
def test_rows_are_numbered_as_a_spreadsheet_shows_them(
    tmp_path: Path, rows: Read, content: str, expected: dict[int, tuple[str | None, ...]]
) -> None:
    assert not faults(source(tmp_path, content.encode()))
    assert rows(tmp_path / "f.csv") == expected


def test_a_column_without_a_title_stays_when_something_stands_in_it(tmp_path: Path, rows: Read) -> None:
    assert source(tmp_path, b"a;;b;;\n1;;2;x;\n").header == ("a", "column B", "b", "column D")
    assert rows(tmp_path / "f.csv") == {2: ("1", None, "2", "x")}


def test_a_row_wider_than_the_header_is_a_fault_and_still_there(tmp_path: Path, rows: Read) -> None:
    only = source(tmp_path, b"nom,ville,tel\nA,Lyon,01\nB,Lyon, Rhone,02\n,,,02\n")
    assert {row: fault.split(":")[0] for row, fault in faults(only).items()} == {
        3: "the row has 4 cells, the header 3",
        4: "the row has 4 cells, the header 3",
    }
    assert rows(tmp_path / "f.csv") == {
        2: ("A", "Lyon", "01"),
        3: ("B", "Lyon", " Rhone"),
        4: (None, None, None),
    }


@pytest.mark.parametrize(
    "swallowed",
    [
        'A;"B;01\nC;D;02\n"E";F;03\nG;H;04\n',  # more cells than the header
        'A;"B;01\nC;D;"02"\n',  # as many, by chance
        'A;"B;01\nC;D;""\nE;F;03"\nG;H;04\n',  # fewer
    ],
)
def test_a_stray_quotation_mark_that_hides_rows_is_a_fault(tmp_path: Path, swallowed: str) -> None:
    only = source(tmp_path, f"nom;ville;tel\n{swallowed}".encode())
    assert list(faults(only)) == [2]
    assert "a stray quotation mark" in faults(only)[2]


def test_a_quotation_mark_that_is_never_closed_is_named_by_its_row(tmp_path: Path) -> None:
    only = source(tmp_path, b'nom;tel\nA;01\n\n"B;02\nC;03\nD;04\n')
    with pytest.raises(InputError, match="row 4: a quotation mark") as caught:
        list(only.batches())
    assert "row 4" in caught.value.hint


def test_a_cell_longer_than_any_is_named_by_its_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 3 cannot be read"):
        list(source(tmp_path, b"nom;tel\nA;01\n" + b"x" * 140_000 + b";02\n").batches())


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"", {}, "is empty"),
        (b"\xef\xbb\xbf", {}, "is empty"),
        (b"\n;;\n  \n", {}, "is empty"),
        (b"sep=;\n", {}, "is empty"),
        (b"a;b\n;\n", {}, "has a header and no rows"),
        (b"a;b\n1;\0\n", {}, "is not a text file: there is a NUL in line 2"),
        (b"PK\x03\x04" + b"\0" * 50, {}, "no whole workbook"),
        ("Имя;b\nИван;\n".encode("cp1251"), {}, "is not in UTF-8, and its accents do not tell"),
        (b"\xef\xbb\xbfa;b\n\xe9;1\n", {}, "is in UTF-8, but line 2 is not"),
        (b"a;b\n\xe9;1\n", {"encoding": "utf-8"}, "is not in the encoding utf-8"),
        (b'"a;b\n1;2\n', {}, "row 1: a quotation mark"),
    ],
)
def test_a_file_that_cannot_be_used_ends_in_a_sentence(
    tmp_path: Path, content: bytes, options: dict[str, str], said: str
) -> None:
    with pytest.raises(VoicebatchError, match=said) as caught:
        source(tmp_path, content, **options)
    assert isinstance(caught.value, InputError)
    assert str(tmp_path / "f.csv") in caught.value.message
    assert caught.value.hint


def test_a_named_encoding_reads_what_detection_would_get_wrong(tmp_path: Path, rows: Read) -> None:
    (tmp_path / "mac.csv").write_bytes(ACCENTS.encode("mac_roman"))
    assert rows(tmp_path / "mac.csv", encoding="mac_roman") == {2: ("Zoé", "0465710001")}


@settings(deadline=None)  # a disk has its own pace
@given(content=st.binary(max_size=60) | st.text('ab;,"\t\r\n\0é', max_size=40).map(str.encode))
def test_no_bytes_at_all_end_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, rows: Read, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        rows(path)


ENCODINGS = {"utf-8": None, "utf-8-sig": None, "utf-16": None, "utf-16-be": "utf-16-be", "cp1252": "cp1252"}


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    encoding = draw(st.sampled_from(sorted(ENCODINGS)))
    letters = st.characters(codec="cp1252" if encoding == "cp1252" else "utf-8", exclude_characters="\0")
    cell = st.text(letters, max_size=8) | st.text(";,\t|\" \r\n'", max_size=6)
    return encoding, draw(st.lists(st.lists(cell, min_size=3, max_size=3), min_size=1, max_size=6))


@settings(deadline=None)  # a disk has its own pace
@given(
    table=tables(),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\r\n", "\n", "\r"]),
)
def test_what_python_writes_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    rows: Read,
    table: tuple[str, list[list[str]]],
    delimiter: str,
    end: str,
) -> None:
    encoding, cells = table
    path = tmp_path_factory.getbasetemp() / "written.csv"
    # Left to itself, Python puts quotation marks only around the line ends that it writes.
    writer = partial(csv.writer, quoting=csv.QUOTE_MINIMAL if end == "\r\n" else csv.QUOTE_ALL)
    with path.open("w", encoding=encoding, newline="") as file:
        writer(file, delimiter=delimiter, lineterminator=end).writerows([["a", "b", "c"], *cells, ["x", "y", "z"]])
    expected = {
        number: tuple(cell if cell.strip() else None for cell in row)
        for number, row in enumerate([*cells, ["x", "y", "z"]], 2)
        if "".join(row).strip()
    }
    assert rows(path, encoding=ENCODINGS[encoding]) == expected


TITLE = "Rendez-vous du service;;;\r\nExport du 15/03/2032 10:45;par;M. Léo;\r\n;;;\r\n"
UNDER_IT = "Nom;Prénom;Téléphone;Ville\r\nKonaté;Zoé;0465710001;Nantes\r\nLe Goff;Ana;0465710002;\r\n"


@pytest.mark.parametrize(
    ("title", "row"),
    [
        (TITLE, 4),
        (TITLE.replace(";", ""), 4),
        ("Rendez-vous\r\n", 2),
        ("\r\n\r\nListe, avec une virgule\r\n", 4),
        ("", 1),
    ],
)
def test_lines_of_a_title_above_the_header_are_no_rows(tmp_path: Path, title: str, row: int) -> None:
    only = source(tmp_path, (title + UNDER_IT).encode("cp1252"))
    assert only.header == ("Nom", "Prénom", "Téléphone", "Ville")
    assert only.form == "CSV, semicolon, Windows-1252" + (f", header in row {row}" if title else "")
    (rows,) = only.batches()
    assert (rows.numbers.tolist(), rows.faults) == ([row + 1, row + 2], {})
    assert rows.cells.column("Téléphone").to_pylist() == ["0465710001", "0465710002"]


def test_a_header_of_ones_own_is_found_under_a_title_by_the_column_that_is_wanted(tmp_path: Path) -> None:
    text = TITLE + UNDER_IT.replace("Téléphone", "Appel")
    assert source(tmp_path, text.encode(), phone_column="appel").header[2] == "Appel"
    assert source(tmp_path, text.encode()).header[0] == "Rendez-vous du service"


@pytest.mark.parametrize("first", ["Qui;Numéro d'urgence", "a;b", "Mobile;Type"])
def test_a_row_that_has_the_word_for_a_phone_in_it_is_no_header(tmp_path: Path, first: str) -> None:
    """A title has fewer cells than what stands under it."""
    only = source(tmp_path, f"{first}\nanonyme;Mobile\n0465710001;Mobile\n".encode())
    assert only.header == tuple(first.split(";"))


ONE_BYTE = "Nom;Prénom;Téléphone;Œuvre\nLe Goff;Zoé;0465710001;cœur, 12 € à l’école\nNuñez;Ömer;0465710002;Straße\n"


@pytest.mark.parametrize(
    ("codec", "shown"),
    [("cp1252", "Windows-1252"), ("mac_roman", "Mac Roman"), ("iso8859-15", "ISO-8859-15"), ("utf-8", "UTF-8")],
)
@pytest.mark.parametrize("text", [ONE_BYTE, ONE_BYTE.replace("œ", "oe").replace("Œ", "Oe"), ONE_BYTE.replace("€", "")])
def test_encodings_with_a_byte_a_letter_are_told_apart_by_their_accents(
    tmp_path: Path, text: str, codec: str, shown: str
) -> None:
    text = text.replace("’", "'") if codec == "iso8859-15" else text
    only = source(tmp_path, text.encode(codec))
    assert only.form == f"CSV, semicolon, {shown}"
    lines = [list(line.values()) for rows in only.batches() for line in rows.cells.to_pylist()]
    assert [list(only.header), *lines] == [line.split(";") for line in text.splitlines()]


@pytest.mark.parametrize(("codec", "shown"), [("cp1252", "Windows-1252"), ("mac_roman", "Mac Roman")])
@pytest.mark.parametrize("text", ["Nom;Tel\nZoé;0465710001\n", "Nom;Tel\n« Zoé » – “oui”…;0465710001\nça;0465710002\n"])
def test_an_accent_at_the_end_of_a_word_is_enough(tmp_path: Path, text: str, codec: str, shown: str) -> None:
    assert source(tmp_path, text.encode(codec)).form == f"CSV, semicolon, {shown}"
