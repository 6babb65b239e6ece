"""Lists of people who must not be called, as people keep them; and the same person twice, however it is spelt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import voicebatch
from voicebatch.errors import InputError
from voicebatch.pipeline.opt_outs import OptOutList, read_opt_outs

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO, THREE = 33465710001, 33465710002, 33465710003


def opt_outs(folder: Path, text: str | bytes, name: str = "stop.csv") -> OptOutList:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_opt_outs(folder / name, region="FR")


def found(one: OptOutList) -> list[tuple[int, int]]:
    return list(zip(one.numbers.tolist(), one.rows.tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "expected", "unreadable"),
    [
        ("04 65 71 00 01\n+33 4 65 71 00 02\nrien\n0033465710003\n", [(ONE, 1), (TWO, 2), (THREE, 4)], (3,)),
        ("0465710001", [(ONE, 1)], ()),
        ("Tel\n465710001\n\n465710002.0\n", [(ONE, 2), (TWO, 4)], ()),
        ("Liste STOP\nau 15/03/2032 10:45\n04 65 71 00 01\n", [(ONE, 3)], (2,)),
        ("Opposition;;\n;;\nNom;Tel;Motif\nA;0465710001;x\n", [(ONE, 4)], ()),
        (
            "Nom;Téléphone;Portable\nA;0465710001;\nB;0465710002;0465710003\nC;;\n",
            [(ONE, 2), (TWO, 3), (THREE, 3)],
            (4,),
        ),
        ("Dupont;Ana;0465710001;15/03/2032\nDurand;;0465710002;\n", [(ONE, 1), (TWO, 2)], ()),
        ("0465710001,0465710002,0465710003\n", [(ONE, 1), (TWO, 1), (THREE, 1)], ()),
        ("\ufeffdate,msisdn\n2032-01-01,33465710001\n", [(ONE, 2)], ()),
        ("Tel\n0465710001 / 0465710002\n0465710003\n", [(THREE, 3)], (2,)),
        ("Nom;Tel\nA;0465710001;0465710002\n", [(ONE, 2)], ()),
    ],
)
def test_a_list_is_read_as_people_keep_it(
    tmp_path: Path, text: str, expected: list[tuple[int, int]], unreadable: tuple[int, ...]
) -> None:
    one = opt_outs(tmp_path, text)
    assert (sorted(found(one), key=lambda each: each[1]), one.unreadable) == (expected, unreadable)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("Tel\n", "has a header and no rows"),
        ("Nom;Tel\nA;12\n", "has no readable phone number"),
        ("0465710001 0465710002\n", "has no readable phone number"),
        ("Nom;STOP\nA;0465710001\n", "no column has a usual name of a phone column"),
        ("Nom^Tel\nA^0465710001\n", "“^” seems to stand between the columns"),
        (b"Nom;Tel\n\xc8\xe2\xe0\xed;0465710001\n", "its accents do not tell"),
    ],
)
def test_a_list_that_protects_nobody_is_refused_with_what_can_be_done(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        opt_outs(tmp_path, text)
    assert said in caught.value.message
    assert caught.value.hint
    assert "--" not in caught.value.hint  # the options for reading are about the input


def test_who_is_hidden_in_a_workbook_is_protected_all_the_same(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for line in (["Tel"], ["0465710001"], [465710002]):
        book.active.append(line)
    book.active.row_dimensions[2].hidden = True
    book.active.column_dimensions["A"].hidden = True
    book.save(tmp_path / "stop.xlsx")
    assert found(read_opt_outs(tmp_path / "stop.xlsx", region="FR")) == [(ONE, 2), (TWO, 3)]


def test_a_folder_says_which_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "stop").mkdir()
    pq.write_table(pa.table({"tel": ["0465710001"]}), tmp_path / "stop" / "a.parquet")
    pq.write_table(pa.table({"tel": pa.array([None, TWO], pa.int64())}), tmp_path / "stop" / "b.parquet")
    one = read_opt_outs(tmp_path / "stop", region="FR")
    assert [one.reason(entry) for entry in range(2)] == [
        f"on the opt-out list {tmp_path}/stop/a.parquet, row 2",
        f"on the opt-out list {tmp_path}/stop/b.parquet, row 3",
    ]


def planned(folder: Path, *files: Path, **options: Any) -> list[tuple[str, str]]:
    plan = voicebatch.plan(
        files, voicebatch.Message(text="Bonjour"), ledger=str(folder / "ledger.db"), out=folder / "out", **options
    )
    frame = plan.recipients()
    return [
        (str(status), reason.replace(f"{folder}/", ""))
        for status, reason in zip(frame["status"], frame["reason"], strict=True)
    ]


SPELLINGS = ["0465710001", "+33 4 65 71 00 01", "0033465710001", "465710001", "04.65.71.00.01", "tel: 04-65-71-00-01"]


def test_the_same_person_twice_is_found_in_any_spelling_and_in_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(["Nom;Tel", *(f"x;{each}" for each in SPELLINGS)]))
    pq.write_table(pa.table({"phone": [ONE, TWO]}), tmp_path / "b.parquet")
    told = planned(tmp_path, tmp_path / "a.csv", tmp_path / "b.parquet")
    twice = ("suppressed", "the same number and message as row 2 of a.csv")
    assert told == [("queued", ""), *[twice] * (len(SPELLINGS) - 1), twice, ("queued", "")]


def test_every_suppression_says_which_list_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Tel\n0465710001\n0465710002\n0465710003\n0465710004\n")
    (tmp_path / "stop.txt").write_text("+33 4 65 71 00 01\n")
    (tmp_path / "stop.tsv").write_bytes("Prénom\tTéléphone\nZoé\t465710001\nZoé\t465710002\n".encode("utf-16"))
    pq.write_table(pa.table({"mobile": [None, 465710003.0]}), tmp_path / "stop.parquet")
    lists = [tmp_path / name for name in ("stop.txt", "stop.tsv", "stop.parquet")]
    assert planned(tmp_path, tmp_path / "a.csv", suppress=lists) == [
        ("suppressed", "on the opt-out list stop.txt, row 1"),
        ("suppressed", "on the opt-out list stop.tsv, row 3"),
        ("suppressed", "on the opt-out list stop.parquet, row 3"),
        ("queued", ""),
    ]
