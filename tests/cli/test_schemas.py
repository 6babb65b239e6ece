"""``schema infer`` and ``schema show`` as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.desk import Desk, number

if TYPE_CHECKING:
    from tests.cli.desk import Result


def write(desk: Desk) -> str:
    rows = [(number(at), f"{at:05d}", 20 + at) for at in range(30)]
    return desk.write("people.csv", [("Téléphone", "code postal", "âge"), *rows, ("06", "x", "x")])


def test_a_schema_is_inferred_explained_and_obeyed(desk: Desk) -> None:
    people = write(desk)
    printed = desk.run("schema", "infer", people)
    assert (printed.code, number(1) in printed.out) == (0, False)
    written = desk.run("schema", "infer", people, "--output", "own.yaml")
    assert written.out.startswith("Wrote own.yaml, with 3 columns of 31 rows.")
    assert (desk.home / "own.yaml").read_text(encoding="utf-8") == printed.out
    assert "âge: a whole number" in desk.run("schema", "show", "own.yaml").out
    desk.write("tomorrow.csv", [("Téléphone", "code postal", "âge"), (number(1), "7501", "vingt")])
    checked = desk.run("validate", "tomorrow.csv", "--schema", "own.yaml", "--max-invalid", "1")
    assert checked.out.splitlines()[1:3] == [
        r"  “code postal”: the value does not begin as the pattern ^\d{5}$ says in 1 row: 2",
        "  “âge”: the value is not a whole number in 1 row: 2",
    ]


def test_json_is_one_object_and_nothing_is_overwritten(desk: Desk) -> None:
    people = write(desk)

    def infer(*more: str) -> Result:
        return desk.run("schema", "infer", people, "--json", *more)

    found = infer()
    assert (found.json["schema"], found.json["rows"], found.json["columns"]) == (None, 31, 3)
    assert "phone_number: true" in found.json["yaml"]
    desk.write("own.yaml", "mine")
    refused = infer("--output", "own.yaml")
    assert (refused.code, refused.error["message"]) == (2, "own.yaml cannot be written: File exists.")
    assert (desk.home / "own.yaml").read_text(encoding="utf-8") == "mine"
    assert infer("--region", "xx").code == infer("--phone-column", "nom").code - 1 == 2


def test_what_is_wrong_is_in_the_json_of_an_input_that_is_not_accepted(desk: Desk) -> None:
    desk.write("people.csv", [("tel", "nom"), *((f"06{at}", f"Nom{at}") for at in range(1200)), (number(1), "A")])
    group = {
        "file": "people.csv", "column": "tel", "check": "too_short", "rows": 1200, "first_rows": [2, 3, 4, 5, 6],
        "sentence": "the number is too short for France (+33)",
    }  # fmt: skip
    for command in (("validate",), ("plan", "--text", "Bonjour", "--sandbox")):
        refused = desk.run(*command, "people.csv", "--json")
        assert (refused.code, refused.json["fault_groups"]) == (3, [group])
    checked = desk.run("validate", "people.csv", "--json", "--max-invalid", "100%").json
    assert checked["fault_groups"] == [group]
    assert (len(checked["faults"]), checked["faults_left_out"]) == (1000, 200)
    said = desk.run("send", "people.csv", "--text", "Bonjour", "--sandbox", "--yes").err
    assert "  “tel”: the number is too short for France (+33) in 1200 rows: 2, 3, 4, 5, 6…" in said
