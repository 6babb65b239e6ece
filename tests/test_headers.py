"""What a column's header means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebatch.errors import InputError
from voicebatch.headers import (
    PHONE_HEADERS,
    PHONE_WORDS,
    WORDS_BESIDE,
    column,
    column_letters,
    find_phone_column,
    fold,
    listed,
    phone_columns,
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
        ("\ufeffTe\u00adl\u200b", "tel"),
        ("\u200ePrénom\u200f\x1a", "prenom"),
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


KNOWN = (
    "Tél. mobile|Tél (portable)|N° Tél|No. Tel|tél.|TÉLÉPHONE :|Numéro de tél.|Numéro(s) de téléphone|Téléphone 1|"
    "Contact téléphonique|telephone_portable|N°Portable|numero_telephone|num_tel|Téléphone du client|Fixe|"
    "Phone 1 - Value|MobilePhone|phoneNumber|PHONE_NUMBER|Phone (Mobile)|Phone Number (2)|phone_e164|Cell #|"
    "Home Phone|Business Phone|Primary Phone|customer_phone|Contact Number|MSISDN|mobile_phone_number|"
    "Telefon (mobil)|Handy-Nr.|Tel.-Nr.|TelNr|Mobilfunknummer|Telefon privat|Telefon geschäftlich|Rufnummer|"
    "Nº de teléfono|Tlf.|Móvil|Número de celular|Teléfono fijo|N. di telefono|Numero cellulare|Recapito telefonico|"
    "06-nummer|Mobiel nummer|Telefoonnummer|Telemóvel|Nº de telemóvel"
)
NO_PHONES = (
    "Fax|Télécopie|Tel fax|Phone type|Phone 1 - Type|Phone 1 - Label|Phone country code|tel_verified|Mobile app|"
    "Téléphone d'urgence|Emergency phone|Téléphone du conjoint|Opérateur mobile|Modèle de portable|Opt-in téléphone|"
    "Durée appel|Appelé le|Hôtel|motel|Castel|intel|cellule|mobilier|Mobilité|Telegram|Client|Contact|Patient|"
    "Number|N°|Nr|N° client|Numéro client|Numéro de dossier|Ligne|Bureau|Direct|Principal|1|06|Tél. 04 65 71 00 00|"
    "0465710001"
)


@pytest.mark.parametrize("words", PHONE_WORDS.items(), ids=lambda item: item[0])
def test_a_word_for_a_phone_may_have_other_words_of_its_language_beside_it(words: tuple[str, tuple[str, ...]]) -> None:
    language, phones = words
    for phone in phones:
        for beside in ("", *WORDS_BESIDE[language]):
            header = [f"{beside} {phone}", f"{phone} ({beside})", f"{phone}_{beside}_2"]
            assert phone_columns(header) == header


@pytest.mark.parametrize(
    "header",
    KNOWN.split("|"),
)
def test_what_people_and_programs_write_above_phone_numbers_is_known(header: str) -> None:
    assert phone_columns(["Nom", header, "Ville"]) == [header]


@pytest.mark.parametrize(
    "header",
    NO_PHONES.split("|"),
)
def test_a_column_that_only_sounds_like_a_phone_is_none(header: str) -> None:
    assert phone_columns([header]) == []


@pytest.mark.parametrize(
    "header",
    [
        ["First Name", "Home Phone", "Mobile Phone", "Business Fax"],  # Outlook
        ["Record ID", "Phone Number", "Mobile Phone Number"],  # HubSpot
        ["Name", "Phone 1 - Type", "Phone 1 - Value", "Phone 2 - Value"],  # Google Contacts
        ["Nom", "Portable", "Fixe"],
    ],
)
def test_several_phone_columns_are_all_named(header: list[str]) -> None:
    found = phone_columns(header)
    assert len(found) == 2
    with pytest.raises(InputError) as caught:
        find_phone_column(header, wanted=None, where="f.csv")
    assert all(f"“{name}”" in caught.value.message for name in found)


def test_a_header_in_a_message_neither_steers_the_screen_nor_fills_it() -> None:
    shown = listed(["a\x1b[2Jb\nc\u202ed", "x" * 100_000])
    assert shown == f"“a [2Jb c d”, “{'x' * 60}…”"


def test_a_header_of_repeated_words_is_judged_at_once() -> None:
    assert phone_columns([word * 12 + "x" for word in ("telno", "nonum", "mobil", "telle", "11111")]) == []


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
