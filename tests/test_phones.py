"""Phones as people and spreadsheets write them, and what becomes of them."""

from __future__ import annotations

from typing import Any

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebatch.phones import (
    PhoneFault,
    calling_code,
    calling_codes,
    country_name,
    known_region,
    main_region,
    normalise,
    read,
)

MOBILE = "+33612345678"
REGIONS = ("FR", "BE", "DE", "GB", "US", "ES", "IT", "MA", "CH", "PT", "RU", "AU")

SPELLINGS = [
    "0612345678",
    "06 12 34 56 78",
    " 06 12 34 56 78 ",
    "06.12.34.56.78",
    "06-12-34-56-78",
    "06/12/34/56/78",
    "06,12,34,56,78",
    "06 12 34-56.78",
    "0 6 1 2 3 4 5 6 7 8",
    "(06) 12 34 56 78",
    "[06] 12 34 56 78",
    "06 12 34 56 78.",
    "06 12 34 56 78;",
    "06 12 34 56 78\n",
    "06\t12\t34\t56\t78",
    "06\u00a012\u00a034\u00a056\u00a078",
    "06\u202f12\u202f34\u202f56\u202f78",
    "06\u200712\u200934\u300056\u200378",
    "06\u201012\u201134\u201356\u201478",
    "06\u221212\u221234\u221256\u221278",
    "06·12·34·56·78",
    "+33612345678",
    "+33 6 12 34 56 78",
    "+33 (0)6 12 34 56 78",
    "+33(0)612345678",
    "+33 ( 0 ) 6 12 34 56 78",
    "+33 [0] 6 12 34 56 78",
    "+33 0612345678",
    "(+33) 6 12 34 56 78",
    "(+33)(0)6 12 34 56 78",
    "+(33) 6 12 34 56 78",
    "( +33 ) 6 12 34 56 78",
    "+ 33 6 12 34 56 78",
    "+33.6.12.34.56.78",
    "0033612345678",
    "00 33 6 12 34 56 78",
    "00 33 (0)6 12 34 56 78",
    "+0033612345678",
    "33612345678",
    "33 6 12 34 56 78",
    "33 (0)6 12 34 56 78",
    "33612345678.0",
    "612345678",
    "6 12 34 56 78",
    "612345678.0",
    "612345678.00",
    "612345678,0",
    "0612345678.0",
    "612,345,678",
    "612'345'678",
    "'0612345678",
    "'+33612345678",
    "’0612345678",
    "tel:0612345678",
    "tel:+33-6-12-34-56-78",
    "TEL: 06 12 34 56 78",
    "Tel. 06 12 34 56 78",
    "Tél. : 06 12 34 56 78",
    "te\u0301l: 06 12 34 56 78",
    "Tél. portable : 06 12 34 56 78",
    "Tel. mobile: 06 12 34 56 78",
    "Telefon: 06 12 34 56 78",
    "Teléfono: 06 12 34 56 78",
    "Telefono 06 12 34 56 78",
    "Telefoon 06 12 34 56 78",
    "Handy 06 12 34 56 78",
    "Cell. 06 12 34 56 78",
    "Móvil: 06 12 34 56 78",
    "WhatsApp +33 6 12 34 56 78",
    "sms:0612345678",
    "P: 06 12 34 56 78",
    "N° 06 12 34 56 78",
    '="0612345678"',
    '="06 12 34 56 78"',
    '"0612345678"',
    "« 06 12 34 56 78 »",
    "<0612345678>",
    "(33) 6 12 34 56 78",
    "(0033) 6 12 34 56 78",
    "+33 06 12 34 56 78",
    "003306 12 34 56 78",
    "+33-(0)6-12-34-56-78",
    "+33/6/12/34/56/78",
    "06 12345678",
    "06.12345678",
    "06 - 12 - 34 - 56 - 78",
    "0612 34 56 78",
    "0612-34-56 78",
    "6.12.34.56.78",
    "612.345.678",
    "tél 06 12 34 56 78",
    "Téléphone : 06 12 34 56 78",
    "Mobile: 06 12 34 56 78",
    "Port. 06 12 34 56 78",
    "☎ 06 12 34 56 78",
    "☎\ufe0f 06 12 34 56 78",
    "０６１２３４５６７８",
    "＋３３６１２３４５６７８",
    "（０６）１２－３４－５６－７８",
    "٠٦١٢٣٤٥٦٧٨",
    "۰۶۱۲۳۴۵۶۷۸",
    "\ufeff0612345678",
    "0612345678\u200b",
    "\u202a+33612345678\u202c",
    "\u200e06 12 34 56 78\u200f",
    "06\u00ad12345678",
]

OTHER_NUMBERS = [
    # cell, region, E.164
    ("01 23 45 67 89", "FR", "+33123456789"),
    ("09 12 34 56 78", "FR", "+33912345678"),
    ("0690 12 34 56", "FR", "+590690123456"),
    ("0590 20 12 34", "FR", "+590590201234"),
    ("0692 12 34 56", "FR", "+262692123456"),
    ("0639 01 23 45", "FR", "+262639012345"),
    ("0262 20 12 34", "FR", "+262262201234"),
    ("0694 20 12 34", "FR", "+594694201234"),
    ("0594 20 12 34", "FR", "+594594201234"),
    ("0696 20 12 34", "FR", "+596696201234"),
    ("0596 50 12 34", "FR", "+596596501234"),
    ("0263 12 34 56", "FR", "+262263123456"),
    ("0269 60 12 34", "FR", "+262269601234"),
    ("596501234", "FR", "+596596501234"),
    ("+262 692 12 34 56", "FR", "+262692123456"),
    ("0691 22 34 56", "FR", "+590691223456"),
    ("0693 01 23 45", "FR", "+262693012345"),
    ("0697 20 12 34", "FR", "+596697201234"),
    ("0709 01 23 45", "FR", "+590709012345"),
    ("0709 11 23 45", "FR", "+596709112345"),
    ("0709 21 23 45", "FR", "+262709212345"),
    ("0709 31 23 45", "FR", "+594709312345"),
    ("690123456", "FR", "+590690123456"),
    ("690123456.0", "FR", "+590690123456"),
    # Many write the mother country's code, under which these numbers do not exist: the one reading that is valid.
    ("+33 690 12 34 56", "FR", "+590690123456"),
    ("0033 692 12 34 56", "FR", "+262692123456"),
    ("+33 (0)694 20 12 34", "FR", "+594694201234"),
    ("33696201234", "FR", "+596696201234"),
    ("+33 639 01 23 45", "DE", "+262639012345"),
    ("+33 596 50 12 34", "FR", "+33596501234"),  # libphonenumber knows this one, and a + is taken at its word
    ("(416) 555-0123", "CA", "+14165550123"),
    ("0470/123456", "BE", "+32470123456"),
    ("692123456", "FR", "+262692123456"),
    ("+32 470 12 34 56", "FR", "+32470123456"),
    ("0470/12.34.56", "BE", "+32470123456"),
    ("470123456", "BE", "+32470123456"),
    ("(202) 555-0123", "US", "+12025550123"),
    ("1-202-555-0123", "US", "+12025550123"),
    ("2025550123.0", "US", "+12025550123"),
    ("011 33 6 12 34 56 78", "US", MOBILE),
    ("0033 6 12 34 56 78", "US", MOBILE),
    ("33612345678", "US", MOBILE),
    ("612 345 678", "ES", "+34612345678"),
    ("351 234 5678", "IT", "+393512345678"),
    ("06 6981 2345", "IT", "+390669812345"),
    ("669812345", "IT", "+390669812345"),
    ("+39 06 6981 2345", "FR", "+390669812345"),
    ("+39 (0)6 6981 2345", "FR", "+390669812345"),
    ("501 234 567", "PL", "+48501234567"),
    ("8 912 345-67-89", "RU", "+79123456789"),
    ("9123456789", "RU", "+79123456789"),
    ("07912 345678", "GB", "+447912345678"),
    ("7912345678", "GB", "+447912345678"),
    ("030/1234567", "DE", "+49301234567"),
    ("0171 1234567", "DE", "+491711234567"),
    ("06 20 123 4567", "HU", "+36201234567"),
    ("0011 33 6 12 34 56 78", "AU", MOBILE),
]

FAULTS = [
    # cell, check
    ("", "missing"),
    ("   ", "missing"),
    ("\u200b\ufeff", "missing"),
    ("\u00a0", "missing"),
    ("'", "missing"),
    ("3.36E+10", "scientific_notation"),
    ("3,36E+10", "scientific_notation"),
    ("3.36e10", "scientific_notation"),
    ("6E+08", "scientific_notation"),
    ("+3,36E+10", "scientific_notation"),
    ("6.12345678E8", "scientific_notation"),
    ("6,12345678E+08", "scientific_notation"),
    ("1E9", "scientific_notation"),
    ("612345678.5", "decimal"),
    ("612345678,25", "decimal"),
    ("612.345678", "decimal"),
    ("0612345678.12", "decimal"),
    ("12/06/2034", "date"),
    ("2034-06-12", "date"),
    ("2034-06-12 00:00:00", "date"),
    ("O612345678", "letter_o"),
    ("06 12 34 56 7O", "letter_o"),
    ("o6.12.34.56.78", "letter_o"),
    ("+33 6 12 34 5O 78", "letter_o"),
    ("О612345678", "letter_o"),  # a Cyrillic one
    ("Paul", "letters"),
    ("n/a", "letters"),
    ("06 12 34 56 78 (bureau)", "letters"),
    ("06 12 34 56 AB", "letters"),
    ("0800 FLOWERS", "letters"),
    ("06 12 34 56 78 bis", "letters"),
    ("06 xx xx xx xx", "letters"),
    ("0612E45678", "letters"),
    ("06l2345678", "letter_l"),
    ("I612345678", "letter_l"),
    ("O6 l2 34 56 78", "letter_l"),
    ("#N/A", "formula_error"),
    ("#REF!", "formula_error"),
    ("#VALEUR!", "formula_error"),
    ("#¡REF!", "formula_error"),
    ("06 12 34 56 78 ext 12", "extension"),
    ("06 12 34 56 78 ext. 12", "extension"),
    ("06 12 34 56 78 poste 12", "extension"),
    ("0612345678x12", "extension"),
    ("06 12 34 56 78 #12", "extension"),
    ("06 12 34 56 78 p. 12", "extension"),
    ("01 23 45 67 89 (poste 412)", "extension"),
    ("tel:+33612345678;ext=12", "extension"),
    ("06 12 34 56 78 DW 12", "extension"),
    ("06 12 34 56 78 Durchwahl 3", "extension"),
    ("06 12 34 56 78 Nebenstelle 3", "extension"),
    ("06 12 34 56 78 toestel 4", "extension"),
    ("06 12 34 56 78 extensión 4", "extension"),
    ("06 12 34 56 78 extensão 4", "extension"),
    ("06 12 34 56 78 interno 4", "extension"),
    ("06 12 34 56 78 ramal 4", "extension"),
    ("0612345678/0712345678", "two_numbers"),
    ("0612345678 / 07 82 34 56 78", "two_numbers"),
    ("0612345678, 0782345678", "two_numbers"),
    ("0612345678;0782345678", "two_numbers"),
    ("0612345678 ou 0782345678", "two_numbers"),
    ("0612345678 or 0782345678", "two_numbers"),
    ("0612345678\n0782345678", "two_numbers"),
    ("0612345678 ou 79", "two_numbers"),
    ("0612345678/79", "two_numbers"),
    ("+33612345678+33782345678", "two_numbers"),
    ("+33612345678 +33782345678", "two_numbers"),
    ("06 12 34 56 78 07 82 34 56 78", "two_numbers"),
    ("0612345678-0782345678", "two_numbers"),
    ("0612345678 y 0782345678", "two_numbers"),
    ("0612345678 e 0782345678", "two_numbers"),
    ("0612345678 o 0782345678", "two_numbers"),
    ("0612345678 of 0782345678", "two_numbers"),
    ("0612345678 sinon 0782345678", "two_numbers"),
    ("0612345678 + 0782345678", "two_numbers"),
    ("0612345678 > 0782345678", "two_numbers"),
    ("Paul 0612345678, Anne 0782345678", "two_numbers"),
    ("06*12345678", "characters"),
    ("#31#0612345678", "characters"),
    ("-612345678", "characters"),
    ("=0612345678", "characters"),
    ("0612345678\x00", "characters"),
    ("06_12_34_56_78", "characters"),
    ("06+12345678", "characters"),
    ("?", "characters"),
    ("06 12 34 56 7²", "characters"),
    ("(06 12 34 56 78", "brackets"),
    ("06) 12 34 56 78", "brackets"),
    ("0899 12 34 56", "premium_rate"),
    ("+33 899 12 34 56", "premium_rate"),
    ("899123456", "premium_rate"),
    ("0800 12 34 56", "toll_free"),
    ("+800 1234 5678", "toll_free"),
    ("0805 12 34 56", "toll_free"),
    ("0810 12 34 56", "shared_cost"),
    ("0826 12 34 56", "shared_cost"),
    ("0890 12 34 56", "premium_rate"),
    ("15", "short_number"),
    ("17", "short_number"),
    ("114", "short_number"),
    ("3114", "short_number"),
    ("116 117", "short_number"),
    ("112", "short_number"),
    ("3615", "short_number"),
    ("36 39", "short_number"),
    ("118712", "short_number"),
    ("15.0", "decimal"),
    ("06", "too_short"),
    ("0", "too_short"),
    ("12345", "too_short"),
    ("061234567", "too_short"),
    ("61234567", "too_short"),
    ("60012345.0", "too_short"),
    ("+33 6 12 34 56 7", "too_short"),
    ("06123456789", "too_long"),
    ("+33 6 12 34 56 78 9", "too_long"),
    ("06123456780612345678", "too_long"),
    ("9" * 400, "too_long"),
    ("+999 123 456", "country_code"),
    ("+0612345678", "country_code"),
    ("07 00 00 00 00", "no_such_number"),
    ("+33 7 00 00 00 00", "no_such_number"),
    ("493012345", "ambiguous"),
]


@pytest.mark.parametrize("cell", SPELLINGS, ids=ascii)
def test_any_way_of_writing_a_french_mobile_is_read(cell: str) -> None:
    assert read(cell, region="FR") == MOBILE


@pytest.mark.parametrize(("cell", "region", "e164"), OTHER_NUMBERS)
def test_a_number_is_read_as_its_country_writes_it(cell: str, region: str, e164: str) -> None:
    assert read(cell, region=region) == e164


@pytest.mark.parametrize(("cell", "check"), FAULTS, ids=lambda value: ascii(value)[:40])
def test_a_cell_that_is_no_number_has_a_fault_of_its_own(cell: str, check: str) -> None:
    answer = read(cell, region="FR")
    assert isinstance(answer, PhoneFault)
    assert answer.check == check
    assert answer.reason


@pytest.mark.parametrize(
    ("cell", "region", "check"),
    [
        ("0900 12345", "BE", "premium_rate"),
        ("0180 1 123456", "DE", "shared_cost"),
        ("070 1234 5678", "GB", "personal_number"),
        ("07640 123456", "GB", "pager"),
        ("055 1234 5678", "GB", "company_number"),
        ("20/12/2034", "DK", "date"),
        ("15123456789", "DE", "ambiguous"),
    ],
)
def test_other_countries_have_lines_that_are_not_called(cell: str, region: str, check: str) -> None:
    answer = read(cell, region=region)
    assert isinstance(answer, PhoneFault)
    assert answer.check == check


def test_a_number_that_can_be_read_in_two_ways_is_not_guessed_and_both_are_named() -> None:
    answer = read("493012345", region="FR")
    assert isinstance(answer, PhoneFault)
    assert "+33493012345 (France)" in answer.reason
    assert "+493012345 (Germany)" in answer.reason


def test_a_number_outside_the_numbering_plan_names_the_country() -> None:
    answer = read("07 00 00 00 00", region="FR")
    assert isinstance(answer, PhoneFault)
    assert answer.reason == "no such number exists in the numbering plan of France (+33)"


def test_a_column_keeps_its_order_and_says_where_the_faults_are() -> None:
    column = pa.chunked_array([["06 12 34 56 78", None], ["", "0612345678", "O612345678"]])
    phones = normalise(column, region="FR")
    assert phones.e164.to_pylist() == [MOBILE, None, None, MOBILE, None]
    assert {place: fault.check for place, fault in phones.faults.items()} == {
        1: "missing",
        2: "missing",
        4: "letter_o",
    }
    assert phones.faults[1].reason == "the phone number is missing"


@pytest.mark.parametrize("column", [pa.array([], pa.string()), pa.chunked_array([], pa.string())])
def test_an_empty_column_has_no_faults(column: pa.Array | pa.ChunkedArray) -> None:
    phones = normalise(column, region="FR")
    assert len(phones.e164) == 0
    assert phones.faults == {}


def test_a_column_of_nulls_of_no_type_is_missing_throughout() -> None:
    assert set(normalise(pa.nulls(2), region="FR").faults) == {0, 1}


@pytest.mark.parametrize("region", REGIONS)
def test_the_table_of_spellings_reads_the_same_as_a_column(region: str) -> None:
    _same_as_read([*SPELLINGS, *(cell for cell, *_ in OTHER_NUMBERS), *(cell for cell, _ in FAULTS)], region)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), region=st.sampled_from(REGIONS))
def test_a_column_reads_the_same_as_its_cells(data: st.DataObject, region: str) -> None:
    cells = data.draw(st.lists(st.one_of(_written(region), _digits(), st.text("0123456789 +.,/()-O")), max_size=40))
    _same_as_read(cells, region)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), region=st.sampled_from(REGIONS), home=st.sampled_from(REGIONS))
def test_what_was_read_reads_as_itself_wherever_it_is_read(data: st.DataObject, region: str, home: str) -> None:
    answer = read(data.draw(_written(region)), region=region)
    if isinstance(answer, str):
        assert read(answer, region=home) == answer
        assert phonenumbers.is_valid_number(phonenumbers.parse(answer))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), region=st.sampled_from(REGIONS))
def test_separators_change_nothing(data: st.DataObject, region: str) -> None:
    number: Any = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    gaps = st.sampled_from(["", " ", "-", "\u00a0", "\u202f", "\u2011", " - ", "\u200b"])
    spelled = "+" + "".join(digit + data.draw(gaps) for digit in e164[1:])
    assert read(spelled, region="FR") == e164


@settings(max_examples=200, deadline=None)
@given(cell=st.text(max_size=30))
def test_no_cell_whatever_is_in_it_breaks_the_reading(cell: str) -> None:
    answer = read(cell, region="FR")
    assert isinstance(answer, PhoneFault) or read(answer, region="FR") == answer


def _same_as_read(cells: list[str], region: str) -> None:
    phones = normalise(pa.array(cells, pa.string()), region=region)
    answers = [read(cell, region=region) for cell in cells]
    found = [phones.faults.get(place, e164) for place, e164 in enumerate(phones.e164.to_pylist())]
    assert found == answers


def _digits() -> st.SearchStrategy[str]:
    """Digits with every beginning that a number can have, some with what a numeric cell adds."""
    parts = st.tuples(st.sampled_from(["", "0", "00", "+", "+0"]), st.from_regex(r"[0-9]{4,13}", fullmatch=True))
    return st.tuples(parts, st.sampled_from(["", "", ".0", ",0"])).map(lambda both: "".join(both[0]) + both[1])


def _written(region: str) -> st.SearchStrategy[str]:
    """A number around the plan of a region, in one of the ways in which it is written."""
    code = phonenumbers.country_code_for_region(region)
    kinds = (
        "FIXED_LINE",
        "MOBILE",
        "VOIP",
        "TOLL_FREE",
        "PREMIUM_RATE",
        "SHARED_COST",
        "UAN",
        "PERSONAL_NUMBER",
    )
    examples = [phonenumbers.example_number_for_type(region, getattr(phonenumbers.PhoneNumberType, k)) for k in kinds]
    known = [phonenumbers.national_significant_number(number) for number in examples if number is not None]
    national = st.sampled_from(known).flatmap(
        lambda nsn: st.integers(1, 4).flatmap(
            lambda kept: st.from_regex(rf"{nsn[:kept]}[0-9]{{{len(nsn) - kept}}}", fullmatch=True)
        )
    )
    prefix = st.sampled_from(["", "0", f"+{code}", f"+{code} ", f"00{code}", str(code), f"+{code} (0)", f"+{code}0"])
    return st.tuples(prefix, national).map("".join)


@pytest.mark.parametrize(
    ("e164", "code"),
    [
        (MOBILE, "33"),
        ("+12025550123", "1"),
        ("+262692123456", "262"),
        ("+80012345678", "800"),
        ("+999", ""),
        ("", ""),
    ],
)
def test_the_calling_code_is_the_longest_known_beginning(e164: str, code: str) -> None:
    assert calling_code(e164) == code
    assert calling_codes(pa.array([e164])).to_pylist() == [code or None]


def test_calling_codes_of_a_column_keep_nulls() -> None:
    assert calling_codes(pa.chunked_array([[MOBILE], [None]])).to_pylist() == ["33", None]


@pytest.mark.parametrize(
    ("code", "region"),
    [("33", "FR"), ("1", "US"), ("44", "GB"), ("262", "RE"), ("800", ""), ("999", ""), ("", ""), ("x", "")],
)
def test_a_calling_code_stands_for_its_main_country(code: str, region: str) -> None:
    assert main_region(code) == region


@pytest.mark.parametrize(
    ("region", "name"),
    [("FR", "France"), ("GB", "United Kingdom"), ("DE", "Germany"), ("XK", "Kosovo"), ("ZZ", ""), ("", "")],
)
def test_a_country_has_its_english_name(region: str, name: str) -> None:
    assert country_name(region) == name


def test_the_names_of_countries_are_those_of_libphonenumber() -> None:
    from phonenumbers.geodata.locale import LOCALE_DATA

    named = {region: names.get("en", "") for region, names in LOCALE_DATA.items()}
    assert {region: country_name(region) for region in named if not named[region].startswith("*")} == {
        region: name for region, name in named.items() if not name.startswith("*")
    }


def test_an_answer_in_russia_never_has_a_digit_that_nobody_typed() -> None:
    assert isinstance(read("113332483", region="RU"), PhoneFault)


def test_a_restored_zero_does_not_dial_abroad_unseen() -> None:
    answer = normalise(pa.array(["2486480905.0"]), region="SC").faults[0]
    assert answer.check == "ambiguous"
    assert answer == read("2486480905.0", region="SC")


def test_an_invisible_character_is_named() -> None:
    answer = read("0612345678\x00", region="FR")
    assert isinstance(answer, PhoneFault)
    assert "U+0000" in answer.reason


def test_every_country_that_can_be_called_has_a_name() -> None:
    assert [region for region in phonenumbers.SUPPORTED_REGIONS if not country_name(region)] == []


@pytest.mark.parametrize(("region", "known"), [("FR", True), ("fr", False), ("XX", False), ("", False)])
def test_a_region_is_known_by_its_two_capital_letters(region: str, *, known: bool) -> None:
    assert known_region(region) is known
