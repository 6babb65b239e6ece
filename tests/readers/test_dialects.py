"""Text as every program writes it: delimiters, line ends, encodings, invisible characters, and what is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from voicebatch.errors import InputError, UsageError
from voicebatch.headers import find_phone_column
from voicebatch.readers import Source, open_sources

if TYPE_CHECKING:
    from pathlib import Path

Read = Callable[..., dict[int, tuple[str | None, ...]]]


def source(folder: Path, content: bytes | str, name: str = "f.csv", **options: Any) -> Source:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (only,) = open_sources(folder / name, **options)
    return only


def table(only: Source) -> list[list[str | None]]:
    return [list(row.values()) for batch in only.batches() for row in batch.cells.to_pylist()]


def refusal(folder: Path, content: bytes | str, name: str = "f.csv", **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        table(source(folder, content, name, **options))
    assert caught.value.hint
    return caught.value


CODECS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
    "iso8859-15": "Windows-1252",  # the same bytes, for these letters
    "mac_roman": "Mac Roman",
    "cp850": "DOS (cp850)",
}
PEOPLE = (
    'Nom;Prénom;Téléphone;Ville\n"Kona""té";Zoé;0465710001;"Na\nntes; Loire"\n\n'
    '"Le Goff";Ana;"0465710002";Évry\n;;;\nX;Y;0465710003;\n'
)


@pytest.mark.parametrize("codec", CODECS)
def test_every_delimiter_line_end_and_encoding_gives_the_same_rows(tmp_path: Path, rows: Read, codec: str) -> None:
    for delimiter, end in itertools.product(",;\t|", ("\n", "\r\n", "\r")):
        text = PEOPLE.replace(";", delimiter).replace("\n", end)
        only = source(tmp_path, text.encode(codec))
        assert only.form.endswith(f", {CODECS[codec]}")
        assert rows(tmp_path / "f.csv") == {
            2: ('Kona"té', "Zoé", "0465710001", f"Na{end}ntes{delimiter} Loire"),
            4: ("Le Goff", "Ana", "0465710002", "Évry"),
            6: ("X", "Y", "0465710003", None),
        }
        assert only.header == ("Nom", "Prénom", "Téléphone", "Ville")


@pytest.mark.parametrize(
    "text",
    [
        "Имя;Телефон;Город\nИван;0465710001;Москва\n",
        "名前;電話\n山田　太郎;0465710001\n",
        "Όνομα;Τηλέφωνο\nΓιώργος;0465710001\n",
        "Nom;Tel\nŁukasz Wałęsa;0465710001\n",
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_is_known_without_a_mark_and_with_few_ascii_letters(tmp_path: Path, text: str, codec: str) -> None:
    only = source(tmp_path, text.encode(codec))
    assert [";".join(only.header), *(";".join(map(str, row)) for row in table(only))] == text.splitlines()


@pytest.mark.parametrize(
    ("codec", "names"),
    [
        ("cp1252", "André|Gérard Lefèvre|NOËL|Zoé – l’aînée|«\xa0Léa\xa0»|prix : 12 €|N° 4|à"),
        ("cp1252", "MÜLLER|Größe|Jäger|Straße"),
        ("cp1252", "Muñoz|¿Qué?|María José|Íñigo"),
        ("cp1252", "João|Conceição|Åse Sørensen|Ærø"),
        ("mac_roman", "André|FRANÇOIS|LÉA|l’été"),
        ("mac_roman", "João|Conceição|André"),
        ("cp850", "André|FRANÇOIS|LÉA|Agnès|Zoé"),
        ("cp850", "Müller|Größe|Jürgen|Straße"),
        ("iso8859-15", "cœur|Šimon|12 €|André"),
    ],
)
def test_names_in_an_encoding_with_a_byte_a_letter_keep_their_accents(tmp_path: Path, codec: str, names: str) -> None:
    lines = [f"{name};046571{number:04}" for number, name in enumerate(names.split("|"), 1)]
    only = source(tmp_path, "\r\n".join(["Nom;Tel", *lines]).encode(codec))
    assert [f"{name};{phone}" for name, phone in table(only)] == lines


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1250", "Imię;Tel\nŁukasz;0465710001\nWałęsa;0465710002\nŻółć;0465710003\n"),
        ("cp1251", "Имя;Телефон\nИван;0465710001\n"),
        ("cp1253", "Όνομα;Τηλέφωνο\nΓιώργος;0465710001\n"),
        ("cp1254", "Adı;Tel\nIşık Şahin;0465710001\n"),
        ("gbk", "姓名;电话\n张三;0465710001\n"),
        ("mac_roman", "Navn;Tel\nVenäjä;0465710001\n"),  # in cp850 this is Venèjè
    ],
)
def test_an_encoding_that_cannot_be_told_is_asked_for(tmp_path: Path, codec: str, text: str) -> None:
    asked = refusal(tmp_path, text.encode(codec))
    assert "accents do not tell" in asked.message
    assert "--encoding" in asked.hint
    only = source(tmp_path, text.encode(codec), encoding=codec)
    assert ";".join(only.header) == text.splitlines()[0]


UTF8 = "Nom;Tel\n" + "Zoé;0465710001\n" * 3000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (UTF8.encode() + b"L\xe9a;0465710002\n" + UTF8.encode(), "is in UTF-8, but line 3002 is not"),
        (UTF8.encode() + b"Zo\xc3", "is in UTF-8, but line 3002 is not"),
        (UTF8.encode("utf-8-sig") + b"L\xe9a;0465710002\n", "is in UTF-8, but line 3002 is not"),
        (UTF8.encode("utf-16")[:-1], "is in UTF-16, but line 3001 is not"),
        (UTF8.encode("utf-16-be")[:-1], "is in UTF-16, but line 3001 is not"),
        (UTF8.encode() + b"Lea\0;0465710002\n", "not a text file: there is a NUL in line 3002"),
        (b"Nom;T\0l\n" * 9, "not a text file: there is a NUL in line 1"),
        (UTF8.encode() + b"\0" * 5000, "not a text file: there is a NUL in line 3002"),
        (UTF8.encode().replace(b"\n", b"\r") + b"L\xe9a\r", "is in UTF-8, but line"),
    ],
)
def test_a_byte_that_does_not_belong_is_told_by_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refusal(tmp_path, content).message


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (UTF8, {"encoding": "cp1252"}, "is in UTF-8, not in cp1252"),
        (UTF8, {"encoding": "latin-1"}, "is in UTF-8, not in latin-1"),
        (UTF8.encode("cp1252"), {"encoding": "utf-8"}, "is not in the encoding utf-8: look at line 2"),
        (UTF8, {"encoding": "utf-16"}, "is not in the encoding utf-16"),
        ("nom;tel\nA;0465710001\n", {"delimiter": ","}, "has no comma in its first rows, but a semicolon"),
        ("nom\ttel\nA\t0465710001\n", {"delimiter": ";"}, "has no semicolon in its first rows, but a tab"),
        ("sep=,\nnom;tel\nA;0465710001\n", {}, "has no comma in its first rows, but a semicolon"),
        ("nom^tel\nA^0465710001\n", {}, "“^” seems to stand between the columns"),
        ("nom~tel~ville\nA~0465710001~x\n", {}, "“~” seems to stand between the columns"),
        ("nom:tel\nA:0465710001\n", {}, "“:” seems to stand between the columns"),
        ("nom#appel\nA#0465710001\n", {"phone_column": "appel"}, "“#” seems to stand between the columns"),
    ],
)
def test_what_is_wrong_or_cannot_be_told_is_said(
    tmp_path: Path, content: bytes | str, options: dict[str, str], said: str
) -> None:
    told = refusal(tmp_path, content, **options)
    assert said in told.message
    assert "--encoding" in told.hint or "--delimiter" in told.hint


@pytest.mark.parametrize("delimiter", "^~:#§")
def test_a_delimiter_that_is_told_is_obeyed(tmp_path: Path, delimiter: str) -> None:
    text = "nom;tel\nA;0465710001\n".replace(";", delimiter)
    assert table(source(tmp_path, text, delimiter=delimiter)) == [["A", "0465710001"]]


@pytest.mark.parametrize("text", ["tel\n0465710001\n", "Tél. (fixe/mobile)\n0465710001\n"])
def test_one_column_may_be_read_with_the_delimiter_of_every_day(tmp_path: Path, text: str) -> None:
    assert table(source(tmp_path, text, delimiter=";")) == [["0465710001"]]


def test_invisible_characters_are_nothing(tmp_path: Path) -> None:
    text = (
        "\ufeff\u200bNom;\u200eTél\u200fé\u00adphone\u200b;V\u00a0ille\n\u200b;\ufeff;\u2060\nA;0465710001;\u200b\n"
        "\u200e;\\N;\u00ad\nB;0465710002;\\N\n\x1a"
    )
    only = source(tmp_path, text)
    assert table(only) == [["A", "0465710001", None], ["B", "0465710002", None]]
    assert find_phone_column(only.header, wanted="telephone", where="f.csv") == only.header[1]
    assert [batch.numbers.tolist() for batch in only.batches()] == [[3, 5]]


@pytest.mark.parametrize("header", ["\ufeffTel;Nom", '\ufeff"Tel";"Nom"', "\ufeff\ufeffTel;Nom"])
def test_a_mark_before_the_first_column_is_no_part_of_its_name(tmp_path: Path, header: str) -> None:
    only = source(tmp_path, f"{header}\n0465710001;A\n")
    assert find_phone_column(only.header, wanted=None, where="f.csv") == only.header[0]


@pytest.mark.parametrize("empty", [1, 300])
@pytest.mark.parametrize("side", ["left", "right"])
def test_hundreds_of_empty_columns_change_nothing(tmp_path: Path, side: str, empty: int) -> None:
    lines = ["Nom;Tel", "A;0465710001", "B;0465710002"]
    more = ";" * empty
    only = source(tmp_path, "\n".join(more + line if side == "left" else line + more for line in lines))
    assert [[cell for cell in row if cell] for row in table(only)] == [["A", "0465710001"], ["B", "0465710002"]]
    assert not any(batch.faults for batch in only.batches())
    assert len(only.header) == 2 + empty * (side == "left")


@pytest.mark.parametrize(
    ("title", "row"),
    [
        ("Rendez-vous, service; Nantes", 2),
        ("a;b;c;d;e", 2),
        ("Liste;Téléphone mobile du service d'accueil", 2),
        (";;Clients du mois;;\n\n;;;", 4),
        ('"Clients\ndu mois";;', 2),
    ],
)
def test_a_title_with_as_many_cells_as_the_header_is_no_header(tmp_path: Path, title: str, row: int) -> None:
    only = source(tmp_path, f"{title}\nNom;Tel\nA;0465710001\nB;0465710002\n")
    assert only.header == ("Nom", "Tel")
    assert only.form.endswith(f"header in row {row}")
    assert table(only) == [["A", "0465710001"], ["B", "0465710002"]]


@pytest.mark.parametrize(
    "text",
    [
        "Qui;Appel\nA;0465710001\nB;portable\nC;0465710002\n",
        "Qui;Appel\nA;\nB;portable\nC;mobile\n",
        "Société;Tél. 04 65 71 00 00\nNom;Tel\nA;0465710001\n",
    ],
)
def test_rows_above_a_word_for_a_phone_are_not_dropped(tmp_path: Path, text: str) -> None:
    assert ";".join(source(tmp_path, text).header) == text.splitlines()[0]


def test_a_line_of_totals_below_does_not_hide_the_header(tmp_path: Path) -> None:
    only = source(tmp_path, "Export;Nantes\nNom;Tel\nA;0465710001\nTotal;60\n")
    assert only.header == ("Nom", "Tel")


def test_lines_of_notes_below_are_rows_of_their_own(tmp_path: Path, rows: Read) -> None:
    source(tmp_path, "Nom;Tel;Montant\nA;0465710001;60\nTotal;;60\n\nFin de liste\n")
    assert rows(tmp_path / "f.csv") == {
        2: ("A", "0465710001", "60"),
        3: ("Total", None, "60"),
        5: ("Fin de liste", None, None),
    }


EXPORTS = {
    "French Excel, CSV": ("Nom;Téléphone;Montant\r\nZoé;0465710001;1,50\r\n".encode("cp1252"), "f.csv"),
    "French Excel, CSV UTF-8": ("Nom;Téléphone;Montant\r\nZoé;0465710001;1,50\r\n".encode("utf-8-sig"), "f.csv"),
    "French Excel, CSV (Macintosh)": ("Nom;Téléphone;Montant\rZoé;0465710001;1,50\r".encode("mac_roman"), "f.csv"),
    "French Excel, CSV (MS-DOS)": ("Nom;Téléphone;Montant\r\nZoé;0465710001;1,50\r\n".encode("cp850"), "f.csv"),
    "Excel, Unicode text": ('Nom\tTéléphone\tMontant\r\nZoé\t0465710001\t"1,50"\r\n'.encode("utf-16"), "f.txt"),
    "Google Sheets, CSV": ('Nom,Téléphone,Montant\r\nZoé,0465710001,"1,50"'.encode(), "f.csv"),
    "Google Sheets, TSV": ("Nom\tTéléphone\tMontant\r\nZoé\t0465710001\t1,50".encode(), "f.tsv"),
    "LibreOffice": ('"Nom","Téléphone","Montant"\n"Zoé","0465710001","1,50"\n'.encode(), "f.csv"),
    "pgAdmin": ('"Nom";"Téléphone";"Montant"\n"Zoé";"0465710001";"1,50"\n'.encode(), "f.csv"),
    "psql, COPY": ("Nom\tTéléphone\tMontant\nZoé\t0465710001\t1,50\n\\N\t\\N\t\\N\n".encode(), "f.tsv"),
    "a web application's Excel": ("Nom\tTéléphone\tMontant\r\nZoé\t0465710001\t1,50\r\n".encode("utf-16"), "f.xls"),
    "a program's Excel": ("Nom;Téléphone;Montant\r\nZoé;0465710001;1,50\r\n".encode("cp1252"), "f.xls"),
    "sep=": ("sep=;\r\nNom;Téléphone;Montant\r\nZoé;0465710001;1,50\r\n".encode("cp1252"), "f.csv"),
}


@pytest.mark.parametrize("program", EXPORTS)
def test_what_programs_export_needs_no_option(tmp_path: Path, program: str) -> None:
    content, name = EXPORTS[program]
    only = source(tmp_path, content, name)
    assert only.header == ("Nom", "Téléphone", "Montant")
    assert table(only) == [["Zoé", "0465710001", "1,50"]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.csv.gz", b"\x1f\x8b\x08\0rest", "is compressed"),
        ("f.pdf", b"%PDF-1.7\n%\xe2\xe3", "is a PDF"),
        ("f.csv", b"\x89PNG\r\n\x1a\n", "is a picture"),
        ("f.xls", b"<html><table><tr><td>Tel</td></tr></table></html>", "is a web page"),
        ("f.xls", b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "is a web page or XML"),
        ("f.xlsx", b"\0\1\2\3" * 99, "cannot be read as a workbook"),
    ],
)
def test_what_is_no_table_is_called_by_its_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    assert said in refusal(tmp_path, content, name).message


def test_a_device_or_a_name_that_cannot_be_is_no_file(tmp_path: Path) -> None:
    import os
    from pathlib import Path as AnyPath

    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", AnyPath("/dev/zero"), AnyPath("/dev/null")):
        with pytest.raises(UsageError, match="is a pipe or a device, no file"):
            open_sources(path)
    with pytest.raises(UsageError, match=r"There (can be|is) no file"):
        open_sources(tmp_path / "a\0b.csv")
