"""What a column's header means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebatch.errors import InputError
from voicebatch.headers import (
    PHONE_HEADERS,
    column,
    column_letters,
    find_phone_column,
    fold,
    unique_header,
    variables,
)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Prénom ", "prenom"),
        ("N° client", "n_client"),
        ("Nº client", "n_client"),
        ("№ client", "n_client"),
        ("Date du rendez-vous", "date_du_rendez_vous"),
        ("Œuvre", "oeuvre"),
        ("Straße", "strasse"),
        ("STRASSE", "strasse"),
        ("  __Montant (€)__ ", "montant"),
        ("Pre\u0301nom", "prenom"),
        ("Nom\nde\xa0famille", "nom_de_famille"),
        ("Ｎａｍｅ", "name"),
        ("Телефон", "телефон"),
        ("---", ""),
    ],
)
def test_a_header_folds_to_its_name_in_a_template(header: str, name: str) -> None:
    assert fold(header) == name


@given(st.text())
def test_folding_twice_changes_nothing_more(header: str) -> None:
    assert fold(fold(header)) == fold(header)


@pytest.mark.parametrize("name", [name for names in PHONE_HEADERS.values() for name in names])
def test_every_usual_name_finds_the_phone_column(name: str) -> None:
    assert find_phone_column(["nom", name.upper(), "ville"], wanted=None, where="f.csv") == name.upper()


@pytest.mark.parametrize("spelling", ["Phone-Number", "phone number", "PHONENUMBER", " phone_number ", "Phone Number:"])
def test_the_phone_column_is_found_in_any_spelling(spelling: str) -> None:
    assert find_phone_column([spelling, "nom"], wanted=None, where="f.csv") == spelling


def test_the_wanted_phone_column_comes_before_the_usual_one() -> None:
    header = ["Téléphone", "Contact d'urgence"]
    assert find_phone_column(header, wanted="contact d’urgence", where="f.csv") == "Contact d'urgence"


@pytest.mark.parametrize(
    ("header", "wanted", "said"),
    [
        (["nom", "ville"], None, ["f.csv", "“nom”, “ville”"]),
        (["Téléphone", "Mobile", "nom"], None, ["f.csv", "“Téléphone”, “Mobile”"]),
        (["Téléphone", "Téléphone (2)"], None, ["“Téléphone”, “Téléphone (2)”"]),
        (["nom", "tel"], "Portable", ["f.csv", "“Portable”", "“nom”, “tel”"]),
        (["Tel", "TEL."], "tél", ["“tél”", "“Tel”, “TEL.”"]),
        ([f"c{n}" for n in range(500)], None, ["“c0”", "480 more"]),
    ],
)
def test_without_exactly_one_phone_column_the_columns_are_named(
    header: list[str], wanted: str | None, said: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        find_phone_column(header, wanted=wanted, where="f.csv")
    assert all(words in caught.value.message for words in said)
    assert caught.value.hint


def test_the_hint_says_how_to_name_the_phone_column() -> None:
    with pytest.raises(InputError) as caught:
        find_phone_column(["nom"], wanted=None, where="f.csv")
    assert "--phone-column NAME" in caught.value.hint


def test_a_column_is_meant_by_its_exact_header_before_another_spelling() -> None:
    assert column(["Tel", "TEL"], "TEL") == "TEL"
    assert column(["Nom", "Rendez-vous"], "rendez vous") == "Rendez-vous"
    assert column(["Nom", "---"], "prenom") is None
    assert column(["Nom", "---"], "!") is None


def test_a_name_that_may_be_several_columns_names_them() -> None:
    with pytest.raises(InputError, match="“Tel”, “TEL”"):
        column(["Tel", "TEL"], "tel")


def test_variables_list_every_header_of_a_name() -> None:
    header = ["Prénom", "prenom", "N° client", "---"]
    assert variables(header) == {"prenom": ("Prénom", "prenom"), "n_client": ("N° client",)}


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["Nom ", None, " "], ("Nom ", "column B", "column C")),
        (["a", "a", "A", "a"], ("a", "a (2)", "A", "a (3)")),
        (["a", "a", "a (2)"], ("a", "a (2)", "a (2) (2)")),
        (["column B", None], ("column B", "column B (2)")),
    ],
)
def test_every_column_gets_a_name_of_its_own(cells: list[str | None], names: tuple[str, ...]) -> None:
    assert unique_header(cells) == names


@given(st.lists(st.none() | st.sampled_from(["a", "a (2)", "column C", ""])))
def test_no_two_columns_have_one_name(cells: list[str | None]) -> None:
    assert len(set(unique_header(cells))) == len(cells)


def test_column_letters_are_those_of_a_spreadsheet() -> None:
    assert [column_letters(n) for n in (0, 25, 26, 701, 702, 16383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]
