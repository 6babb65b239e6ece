"""Prices and sums: exact, or an error, never rounded."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebatch.errors import InputError
from voicebatch.pricing import Prices, money, parse_price_table, total

amounts = st.decimals(min_value=-(10**20), max_value=10**20, allow_nan=False, allow_infinity=False)


@given(st.lists(amounts, max_size=20))
def test_a_sum_is_exact_to_the_last_digit(parts: list[Decimal]) -> None:
    assert Fraction(total(parts)) == sum(map(Fraction, parts))


@given(amounts)
def test_money_shows_every_digit_and_at_least_four_decimals(amount: Decimal) -> None:
    shown = money(amount)
    assert Decimal(shown) == amount
    assert len(shown.partition(".")[2]) >= 4
    assert "E" not in shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0.12", "0.1200"), ("12.00000625", "12.00000625"), ("1E+3", "1000.0000"), ("0", "0.0000"), ("-1.5", "-1.5000")],
)
def test_money_looks_like_this(amount: str, shown: str) -> None:
    assert money(Decimal(amount)) == shown


@given(st.dictionaries(st.sampled_from(["33", "32", "1"]), amounts), st.integers(0, 10**12))
def test_an_estimate_is_exact(units: dict[str, Decimal], count: int) -> None:
    estimate = Prices(units=units).estimate(dict.fromkeys(units, count))
    assert estimate is not None
    assert Fraction(estimate) == sum(Fraction(unit) * count for unit in units.values())


def test_a_missing_price_leaves_no_estimate_and_is_named() -> None:
    prices = Prices(units={"33": Decimal("0.12")}, currency="EUR")
    assert prices.estimate({"33": 1, "32": 1, "1": 2}) is None
    assert prices.missing({"33": 1, "32": 1, "1": 2}) == ("1", "32")
    assert prices.estimate({"33": 3}) == Decimal("0.36")
    assert prices.estimate({}) == Decimal(0)


def test_a_price_table_is_read_with_all_its_digits() -> None:
    prices = parse_price_table("calling_code,unit_cost,currency\n+33,0.1200,EUR\n 32 , 0.5 ,EUR\n", name="p.csv")
    assert prices.units == {"33": Decimal("0.12"), "32": Decimal("0.5")}
    assert str(prices.units["33"]) == "0.1200"
    assert prices.currency == "EUR"


def test_a_price_table_without_currencies_is_in_euros() -> None:
    assert parse_price_table("calling_code,unit_cost\n33,0.12\n", name="p.csv").currency == "EUR"


@pytest.mark.parametrize("text", ["", "calling_code,unit_cost\n", "country,price\n33,0.12\n", "\x00"])
def test_a_table_without_the_columns_or_without_lines_says_what_to_write(text: str) -> None:
    with pytest.raises(InputError, match="has no columns") as raised:
        parse_price_table(text, name="p.csv")
    assert "calling_code,unit_cost" in raised.value.hint


@pytest.mark.parametrize(
    "line", ["33,", "33,free", "33,-1", "33,NaN", "33,Infinity", "FR,0.12", ",0.12", "33", "33,1e999999999"]
)
def test_a_line_that_is_no_price_is_named_by_the_number_that_an_editor_shows(line: str) -> None:
    with pytest.raises(InputError, match="line 4"):
        parse_price_table(f"calling_code,unit_cost\n\n1,0.5\n{line}\n", name="p.csv")


def test_two_currencies_in_one_table_are_refused() -> None:
    with pytest.raises(InputError, match="EUR, USD"):
        parse_price_table("calling_code,unit_cost,currency\n33,1,EUR\n1,1,USD\n", name="p.csv")


def test_two_prices_for_one_calling_code_are_refused() -> None:
    with pytest.raises(InputError, match=r"two prices for \+33"):
        parse_price_table("calling_code,unit_cost\n33,1\n33,2\n", name="p.csv")


def test_the_same_price_twice_is_one_price() -> None:
    assert parse_price_table("calling_code,unit_cost\n33,1\n+33,1.0\n", name="p.csv").units == {"33": Decimal(1)}


def test_what_is_no_csv_is_bad_input_and_no_crash() -> None:
    with pytest.raises(InputError, match="cannot be read"):
        parse_price_table("calling_code,unit_cost\n33," + "1" * 200_000, name="p.csv")
