"""Schemas as users write them, and the faults that they find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandera.pandas as pandera
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context

from voicebatch.errors import InputError, UsageError
from voicebatch.validation import Rules, Schema, Validator, explain, load_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicebatch.models import Fault

SCHEMAS = Path(__file__).parent.parent / "schemas"


@dataclass(frozen=True)
class Refusal:
    check: str
    reason: str


def bad_phones(cells: pa.Array, region: str | None) -> Mapping[int, Refusal]:
    """A stand-in for the reading of phones: a number has a plus, and a Belgian schema wants 32."""
    start = "+32" if region == "BE" else "+"
    return {
        place: Refusal("too_short", "the number is too short")
        for place, cell in enumerate(cells.to_pylist())
        if not cell.startswith(start)
    }


def bad_schedule(cell: str) -> str | None:
    return None if cell.startswith("20") else f"`{cell}` is no time to call"


RULES = Rules(phones=bad_phones, languages=("fr", "en"), schedule=bad_schedule)


def validator(schema: Schema, header: Sequence[str]) -> Validator:
    columns = {name: name if name in header else None for name in schema.columns}
    return Validator(schema, rules=RULES, file="people.csv", columns=columns, header=header)


def faults(text: str, **columns: list[str | None]) -> list[tuple[int, str, str, str]]:
    """The faults of a small file whose first row of data is row 2."""
    cells = pa.RecordBatch.from_pydict({name: pa.array(values, pa.string()) for name, values in columns.items()})
    checking = validator(load_schema(text, name="mine.yaml"), cells.schema.names)
    found = [*checking.check(np.arange(2, 2 + cells.num_rows), cells), *checking.finish()]
    return [(fault.row, fault.column, fault.check, fault.reason) for fault in found]


def column(rules: str, *cells: str | None) -> list[str]:
    """The sentences about a column ``a`` with these rules in YAML's flow style."""
    return [reason for *_, reason in faults(f"columns: {{a: {{{rules}}}}}", a=list(cells))]


# --------------------------------------------------------------------------- loading


@pytest.mark.parametrize("name", ["recipients", "opt_outs", "country_report"])
def test_the_packaged_schemas_load_and_can_be_explained(name: str) -> None:
    schema = load_schema((SCHEMAS / f"{name}.yaml").read_text("utf-8"), name=f"{name}.yaml")
    assert schema.title
    assert all(column.description for column in schema.columns.values())
    assert explain(schema)[0] == schema.title


def test_the_example_in_the_packaged_schema_loads_when_uncommented() -> None:
    text = (SCHEMAS / "recipients.yaml").read_text("utf-8")
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("#   ")]
    schema = load_schema("columns:\n" + "\n".join(lines), name="example.yaml")
    assert list(schema.columns) == ["postcode", "age", "title", "email"]
    assert schema.columns["age"].dtype == "int"
    assert schema.columns["title"].rules[0].error == "write M or Mme"


STYLES = [
    "str_length: {min_value: 2, max_value: 3, error: two or three}",
    "checks: {str_length: {min_value: 2, max_value: 3, options: {error: two or three}}}",
    "checks: [{min_value: 2, max_value: 3, options: {check_name: str_length, error: two or three}}]",
    "str_length: {min_value: 2, max_value: 3, exact_value: null, error: two or three, raise_warning: false}",
]


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_pandera_says_the_same(style: str) -> None:
    schema = load_schema(f"columns: {{a: {{{style}}}}}", name="s.yaml")
    (rule,) = schema.columns["a"].rules
    assert (rule.name, rule.statistics, rule.error) == (
        "str_length",
        {"min_value": 2, "max_value": 3},
        "two or three",
    )
    assert column(style, "a", "ab", "abcd") == ["two or three", "two or three"]


@pytest.mark.parametrize("minimal", [True, False])
def test_what_pandera_writes_can_be_loaded(*, minimal: bool) -> None:
    check = pandera.Check
    written = pandera.DataFrameSchema(
        {
            "a": pandera.Column(str, [check.str_length(max_value=5), check.isin(["x", "y"], error="x or y")]),
            "b": pandera.Column(int, check.in_range(0, 5), nullable=True, required=False),
            "c": pandera.Column(str, check.str_matches("^x"), title="C"),
        },
        unique=["a", "b"],
    ).to_yaml(minimal=minimal)
    schema = load_schema(written, name="written.yaml")
    assert [rule.name for column in schema.columns.values() for rule in column.rules] == [
        "str_length",
        "isin",
        "in_range",
        "str_matches",
    ]
    assert schema.unique == (("a", "b"),)
    assert schema.columns["b"].nullable
    assert not schema.columns["b"].required


REFUSED = [
    # YAML, words of the message
    ("columns: {a: {str_lenght: {max_value: 3}}}", "columns.a.str_lenght: `str_lenght`", "`str_length`?"),
    ("columns: {a: {nullabel: true}}", "columns.a.nullabel", "`nullable`?"),
    ("colums: {a: {}}", "colums", "`columns`?"),
    ("columns: {a: {checks: {isinn: [x]}}}", "columns.a.checks.isinn", "`isin`?"),
    ("columns: {a: {checks: [{value: 3, options: {check_name: nope}}]}}", "columns.a.checks.nope", "allowed"),
    ("columns: {a: {checks: [{str_length: 3}]}}", "columns.a.checks[0]", "check_name"),
    ("columns: {a: {checks: [isin]}}", "columns.a.checks[0]", "check_name"),
    ("columns: {a: {str_length: {max: 3}}}", "columns.a.str_length: `max`", "`max_value`?"),
    ("columns: {a: {isin: {allowed_values: [x], eror: no}}}", "columns.a.isin: `eror`", ""),
    ("columns: {a: {isin: {allowed_values: [x], error: 5}}}", "columns.a.isin.error", "quotes"),
    ("columns: {a: {isin: {allowed_values: [x], ignore_na: 1}}}", "columns.a.isin.ignore_na", "true or false"),
    ("columns: {a: {isin: {allowed_values: [x], raise_warning: true}}}", "raise_warning", "no effect"),
    ("columns: {a: {isin: {allowed_values: [x], groupby: b}}}", "groupby", "no effect"),
    ("columns: {a: {drop_invalid_rows: true}}", "columns.a.drop_invalid_rows", "no effect"),
    ("columns: {a: {default: x}}", "columns.a.default", "no effect"),
    ("columns: {a: {regex: true}}", "columns.a.regex", "no effect"),
    ("{columns: {a: {}}, index: [{dtype: int}]}", "index", "no effect"),
    ("{columns: {a: {}}, checks: {isin: [x]}}", "checks", "no effect"),
    ("{columns: {a: {}}, ordered: true}", "ordered", "no effect"),
    ("{columns: {a: {}}, add_missing_columns: true}", "add_missing_columns", "no effect"),
    ("{columns: {a: {}}, drop_invalid_rows: true}", "drop_invalid_rows", "no effect"),
    ("{columns: {a: {}}, strict: filter}", "strict: `filter`", "true or false"),
    ("{columns: {a: {}}, unique: [b]}", "unique: `b`", "a"),
    ("{columns: {a: {}}, schema_type: series}", "schema_type", "dataframe"),
    ("{columns: {a: {}}, api: polars}", "api", "pandas"),
    ("columns: {a: {dtype: strng}}", "columns.a.dtype: `strng`", "`string`?"),
    ("columns: {a: {dtype: category}}", "columns.a.dtype", "category"),
    ("columns: {a: {nullable: 'yes'}}", "columns.a.nullable", "true or false"),
    ("columns: {a: {title: 5}}", "columns.a.title", "quotes"),
    ("columns: {a: [x]}", "columns.a", "mapping"),
    ("columns: {no: {}}", "columns.False", "quotes"),
    ("columns: {a: {isin: [no, oui]}}", "columns.a.isin: `False`", "quotes"),
    ("columns: {a: {isin: [75, 69]}}", "columns.a.isin: `75`", "dtype"),
    ("columns: {a: {isin: abc}}", "columns.a.isin", "a list"),
    ("columns: {a: {isin: []}}", "columns.a.isin", "a list"),
    ("columns: {a: {isin: {}}}", "columns.a.isin", "not given"),
    ("columns: {a: {str_length: 5}}", "columns.a.str_length", "say which"),
    ("columns: {a: {str_length: {}}}", "columns.a.str_length", "not given"),
    ("columns: {a: {str_length: {min_value: 5, max_value: 3}}}", "columns.a.str_length", "nothing is between"),
    ("columns: {a: {str_length: {min_value: two}}}", "columns.a.str_length", "whole number"),
    ("columns: {a: {in_range: {min_value: 1, max_value: 2}}}", "columns.a.in_range", "dtype: int or float"),
    ("columns: {a: {dtype: int, in_range: {min_value: 1}}}", "columns.a.in_range", "`max_value` is not given"),
    ("columns: {a: {dtype: int, in_range: [1, 2]}}", "columns.a.in_range", "not given"),
    ("columns: {a: {dtype: int, str_length: {min_value: 1}}}", "columns.a.str_length", "dtype: str"),
    ("columns: {a: {dtype: date, gt: soon}}", "columns.a.gt", "a date"),
    ("columns: {a: {str_matches: '(a'}}", "columns.a.str_matches", "regular expression"),
    ("columns: {a: {str_matches: '(?=a)'}}", "columns.a.str_matches", "look-ahead"),
    ("columns: {a: {str_contains: 5}}", "columns.a.str_contains", "regular expression"),
    ("columns: {a: {unique_values_eq: [x]}}", "columns.a.unique_values_eq", ""),
    ("columns: {a: {phone_number: {region: XX}}}", "columns.a.phone_number", "capital letters"),
    ("columns: {a: {language: [fr]}}", "columns.a.language", "takes nothing"),
    ("columns: {a: {language: false}}", "columns.a.language", "takes nothing"),
    ("columns: {}", "columns", "at least one column"),
    ("columns: [a, b]", "columns", "mapping"),
    ("columns: {a: {}, a: {}}", "not YAML", "`a` is written twice"),
    ("columns:\n\t- a", "not YAML", "(line 2): there is a tab"),
    ("columns: {a: [", "not YAML", "line 1"),
    ("columns: {a: {dtype: date, gt: 2027-13-45}}", "", ""),
    ("- a\n- b", "begins with `columns:`", ""),
    ("", "begins with `columns:`", ""),
    ("schemas/recipients.yaml", "begins with `columns:`", ""),
    ("!!python/object/apply:os.getcwd []", "not YAML", "!!python/object/apply:os.getcwd"),
    ("columns: {a: {checks: ['lambda x: x > 3']}}", "columns.a.checks[0]", "a function (lambda) is never run"),
    ("columns: {a: {checks: {lambda: 'x > 3'}}}", "columns.a.checks.lambda", "`lambda` is not known"),
    ("columns: {a: {checks: }}", "columns.a.checks", "there is no check below it"),
    ("columns: {a: {checks: []}}", "columns.a.checks", "there is no check below it"),
    ("columns: {a: {nullable: }}", "columns.a.nullable", "write true or false"),
    ("{columns: {a: {}}, isin: [x]}", "isin", "below the column's name"),
    ("columns: {a: {}, isin: [x]}", "columns.isin", "indent it below the column"),
    ("columns: {a: {dtype: int, max: 5}}", "columns.a.max", "`less_than_or_equal_to`?"),
    ("columns: {a: {dtype: float, gt: .nan}}", "columns.a.gt", "a number"),
    ("columns: {a: {dtype: float, lt: .inf}}", "columns.a.lt", "a number"),
    ("columns: {a: {dtype: int, lt: 1000000000000000000}}", "columns.a.lt", "a whole number"),
    ("columns: {a: {dtype: int, isin: [010]}}", "columns.a.isin: `010`", "a whole number"),
    ("columns: {a: {str_length: {max_value: -1}}}", "columns.a.str_length", "no text has -1 characters"),
    (
        "columns: {a: {dtype: int, in_range: {min_value: 1, max_value: 1, include_min: false}}}",
        "columns.a.in_range",
        "nothing is between",
    ),
    ("columns: {a: {str_matches: ''}}", "columns.a.str_matches", "regular expression"),
    ("columns: {' ': {}}", "columns", "needs a name"),
    ("{unique: [a, a], columns: {a: {}}}", "unique", "`a` is written twice"),
    ("columns: {a: &x {nullable: true}, b: *x}", "not YAML", "`*x` stands for something else"),
    ("columns: {a: {<<: {nullable: true}}}", "not YAML", "`<<` is not read here"),
    ("columns: {a: {}}\n---\ncolumns: {b: {}}", "not YAML", "(line 2): a second document"),
    ("columns: &c {a: *c}", "not YAML", "`*c`"),
    ("columns: " + "[" * 5000, "not YAML", "nested too deep"),
]


@pytest.mark.parametrize(("text", "where", "what"), REFUSED)
def test_a_schema_that_would_be_ignored_in_part_is_refused(text: str, where: str, what: str) -> None:
    with pytest.raises(UsageError) as error:
        load_schema(text, name="mine.yaml")
    assert error.value.message.startswith("mine.yaml: ")
    assert where in error.value.message
    assert what in error.value.message


def test_a_schema_that_multiplies_itself_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x]", *(f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]" for at in range(1, 30))]
    with pytest.raises(UsageError, match=r"`\*a0` stands for something else"):
        load_schema("\n".join([*lines, "columns: {a: {isin: *a29}}"]), name="mine.yaml")


def test_codes_and_times_in_a_list_are_what_they_look_like() -> None:
    assert column("isin: [01000, 08:30]", "01000", "08:30", "512") == ["`512` is not one of 01000, 08:30"]


def test_everything_wrong_with_a_schema_is_said_at_once() -> None:
    with pytest.raises(UsageError) as error:
        load_schema("{colums: 1, columns: {a: {nulable: true}, b: {isin: x}}}", name="mine.yaml")
    assert len(error.value.message.splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("columns: {tel: {phone_number: true}, phone: {}}", "tel"),
        ("columns: {tel: {phone_number: true}, phone: {phone_number: true}}", "phone"),
        ("columns: {phone: {}, name: {}}", "phone"),
        ("columns: {name: {}}", None),
    ],
)
def test_the_phone_column_is_the_one_with_the_check_or_the_name(text: str, phone: str | None) -> None:
    assert load_schema(text, name="s.yaml").phone_column == phone


def test_a_schema_may_name_the_region_of_its_phones() -> None:
    text = "columns: {phone: {phone_number: BE}}"
    assert load_schema(text, name="s.yaml").phone_region == "BE"
    assert faults(text, phone=["+32470123456", "+33612345678"]) == [
        (3, "phone", "too_short", "the number is too short")
    ]


def test_a_schema_is_explained_in_plain_words() -> None:
    age = "title: Age, dtype: int, nullable: true, required: false, in_range: {min_value: 18, max_value: 99}"
    assert explain(load_schema(f"columns: {{age: {{{age}}}}}", name="mine.yaml")) == [
        "mine.yaml",
        "",
        "age (Age): a whole number, the file may lack it, a cell may be empty",
        "  - between 18 and 99",
        "",
        "The column with the phone numbers is found by its usual name.",
        "A column is found whatever its capitals, accents, spaces and punctuation.",
        "Other columns are let pass.",
    ]


# --------------------------------------------------------------------------- checking cells

SENTENCES = [
    # rules, a cell that passes, one that does not, the sentence
    ("isin: [fr, en]", "fr", "xx", "`xx` is not one of fr, en"),
    ("notin: [x]", "y", "x", "`x` is not allowed here"),
    ("eq: x", "x", "y", "`y` is not equal to x"),
    ("ne: x", "y", "x", "`x` is not allowed here"),
    ("str_length: {max_value: 3}", "abc", "abcd", "the value is longer than 3 characters"),
    ("str_length: {min_value: 2}", "éé", "é", "the value is shorter than 2 characters"),
    ("str_length: {exact_value: 1}", "é", "éé", "the value has 2 characters, not 1"),
    (r"str_matches: '^\d{5}$'", "75001", "7500", r"`7500` does not begin as the pattern ^\d{5}$ says"),
    ("str_contains: '@'", "a@b", "ab", "`ab` does not hold what the pattern @ says"),
    ("str_startswith: a", "ab", "ba", "`ba` does not begin with a"),
    ("str_endswith: a", "ba", "ab", "`ab` does not end with a"),
    ("dtype: int", " 12 ", "abc", "`abc` is not a whole number"),
    ("dtype: int", "12.0", "12.5", "`12.5` is not a whole number"),
    ("dtype: int", "-3", "1e5", "`1e5` is not a whole number"),
    ("dtype: int", "+3", "9" * 30, f"`{'9' * 30}` is not a whole number"),
    ("dtype: float", "1,5", "1,5,2", "`1,5,2` is not a number"),
    ("dtype: float64", "1.5e3", "nan", "`nan` is not a number"),
    ("dtype: bool", "Oui", "peut-être", "`peut-être` is not yes or no"),
    ("dtype: date", "2027-03-01", "31/02/2027", "`31/02/2027` is not a date"),
    ("dtype: 'datetime64[ns]'", "01/03/2027 09:00", "demain", "`demain` is not a date"),
    ("dtype: int, gt: 5", "6", "5", "`5` is not greater than 5"),
    ("dtype: int, ge: 5", "5", "4", "`4` is not 5 or more"),
    ("dtype: float, lt: 5", "4,9", "5,0", "`5,0` is not less than 5"),
    ("dtype: float, le: 5.5", "5,5", "5,6", "`5,6` is not 5.5 or less"),
    ("dtype: int, between: {min_value: 1, max_value: 3}", "3", "4", "`4` is not between 1 and 3"),
    (
        "dtype: int, in_range: {min_value: 1, max_value: 3, include_max: false}",
        "2",
        "3",
        "`3` is not between 1 and 3 (not itself)",
    ),
    ("dtype: int, isin: [1, 2]", "2", "3", "`3` is not one of 1, 2"),
    ("dtype: bool, eq: true", "vrai", "0", "`0` is not equal to True"),
    ("dtype: date, ge: 2027-01-01", "01/01/2027", "2026-12-31", "`2026-12-31` is not 2027-01-01 or more"),
    ("dtype: date, lt: '2027-01-01 12:00'", "2027-01-01T09:59Z", "2027-01-01T11:00Z", None),
    ("phone_number: true", "+33", "33", "the number is too short"),
    ("language: true", " FR ", "xx", "`xx` is not one of fr, en"),
    ("speech_rate: true", "0,5", "2.1", "`2.1` is not between 0.5 and 2"),
    ("speech_rate: true", "2", "fast", "`fast` is not a number between 0.5 and 2"),
    ("speech_rate: true", "1.25", "NaN", "`NaN` is not a number between 0.5 and 2"),
    ("scheduled_date: true", "2027", "later", "`later` is no time to call"),
    ("isin: {allowed_values: [x], error: write x}", "x", "y", "write x"),
    ("phone_number: {error: call me}", "+33", "33", "call me"),
]


@pytest.mark.parametrize(("rules", "good", "bad", "sentence"), SENTENCES)
def test_a_bad_cell_has_one_plain_sentence(rules: str, good: str, bad: str, sentence: str | None) -> None:
    found = column(rules, good, bad)
    assert len(found) == 1
    assert sentence is None or found == [sentence]


@pytest.mark.parametrize("empty", [None, "", "  ", "\u00a0"])
@pytest.mark.parametrize(
    "rules", ["isin: [x]", "dtype: int, gt: 3", "phone_number: true", "str_length: {min_value: 3}"]
)
def test_an_empty_cell_is_one_fault_unless_the_column_is_nullable(rules: str, empty: str | None) -> None:
    assert column(rules, empty) == ["the cell is empty"]
    assert column(f"nullable: true, {rules}", empty) == []


def test_ignore_na_false_asks_for_a_value_even_of_a_nullable_column() -> None:
    rules = "nullable: true, str_length: {max_value: 3, ignore_na: false}"
    assert column(rules, None, "abc", "abcd") == ["the cell is empty", "the value is longer than 3 characters"]


def test_every_fault_of_every_cell_is_told_by_row_and_then_by_column() -> None:
    text = "columns: {b: {isin: [x], str_length: {max_value: 2}}, a: {dtype: int}}"
    found = faults(text, a=["1", "x", "y"], b=["abc", "x", "abc"])
    assert [(row, name, check) for row, name, check, _ in found] == [
        (2, "b", "isin"),
        (2, "b", "str_length"),
        (3, "a", "dtype"),
        (4, "b", "isin"),
        (4, "b", "str_length"),
        (4, "a", "dtype"),
    ]


def test_a_fault_names_the_file_the_files_own_header_and_the_spreadsheets_row() -> None:
    schema = load_schema("columns: {phone: {phone_number: true}}", name="s.yaml")
    checking = Validator(schema, rules=RULES, file="f.csv", columns={"phone": "N° de tél."}, header=["N° de tél."])
    (fault,) = checking.check(np.array([7, 9]), pa.RecordBatch.from_pydict({"N° de tél.": ["+33", "33"]}))
    assert (fault.file, fault.row, fault.column, fault.check) == ("f.csv", 9, "N° de tél.", "too_short")


def test_a_long_or_broken_cell_is_shortened_in_the_sentence() -> None:
    (sentence,) = column("isin: [x]", "a\nb" + "c" * 500)
    assert sentence.startswith("`a bccc")
    assert len(sentence) < 120


def test_an_optional_column_that_the_file_lacks_is_no_fault() -> None:
    assert faults("columns: {a: {}, b: {required: false, isin: [x]}}", a=["1"]) == []


def test_no_rows_and_no_columns_have_no_faults() -> None:
    assert faults("columns: {a: {isin: [x]}}", a=[]) == []
    assert faults("columns: {b: {required: false}}", a=["1"]) == []


def test_missing_required_columns_are_named_with_those_that_the_file_has() -> None:
    with pytest.raises(InputError, match="no column `a`, `b`; the file has `x`, `y`"):
        faults("columns: {a: {}, b: {}, c: {required: false}}", x=["1"], y=["1"])


def test_a_strict_schema_refuses_columns_that_it_does_not_know() -> None:
    with pytest.raises(InputError, match="knows no column `b`"):
        faults("{strict: true, columns: {a: {}}}", a=["1"], b=["1"])


def test_a_header_that_stands_twice_is_refused() -> None:
    schema = load_schema("columns: {a: {}}", name="s.yaml")
    with pytest.raises(InputError, match="two columns `A`"):
        Validator(schema, rules=RULES, file="f.csv", columns={"a": "A"}, header=["A", "A"])


def test_panderas_own_configuration_cannot_turn_validation_off() -> None:
    with config_context(validation_enabled=False):
        assert column("isin: [x]", "y") == ["`y` is not one of x"]
    with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY):
        assert column("isin: [x]", "y") == ["`y` is not one of x"]


def test_a_check_that_breaks_is_an_error_and_never_a_pass() -> None:
    def broken(_cell: str) -> str | None:
        raise RuntimeError("no clock")

    schema = load_schema("columns: {a: {scheduled_date: true}}", name="mine.yaml")
    rules = Rules(phones=bad_phones, languages=(), schedule=broken)
    checking = Validator(schema, rules=rules, file="f.csv", columns={"a": "a"}, header=["a"])
    with pytest.raises(UsageError, match=r"mine.yaml: columns.a: .*no clock"):
        checking.check(np.array([2]), pa.RecordBatch.from_pydict({"a": ["x"]}))


# --------------------------------------------------------------------------- the whole file


def test_a_value_that_stands_twice_names_the_row_where_it_stood_first() -> None:
    found = faults("columns: {a: {unique: true, nullable: true}}", a=["x", None, "y", "x", "", "x"])
    assert found == [(row, "a", "unique", "`x` already stands in row 2") for row in (5, 7)]


def test_values_that_are_unique_together_may_each_stand_twice() -> None:
    text = "{unique: [a, b], columns: {a: {nullable: true}, b: {dtype: int, nullable: true}}}"
    found = faults(text, a=["x", "x", "x", None, None], b=["1", "2", "1.0", None, None])
    assert found == [(4, "a, b", "unique", "`x` and `1` already stand together in row 2")]


def test_a_group_that_the_file_lacks_a_column_of_is_not_asked() -> None:
    assert faults("{unique: [a, b], columns: {a: {}, b: {required: false}}}", a=["x", "x"]) == []


CELL = st.sampled_from([None, "", "x", "y", "1", "2,0", "abc", "2027-01-01", "+33", "fr"])
SCHEMA = """
unique: [a, b]
columns:
  a: {isin: [x, y], unique: true}
  b: {dtype: float, nullable: true, gt: 1}
  c: {phone_number: true, str_length: {max_value: 3, ignore_na: false}}
"""


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL, CELL), max_size=12), size=st.integers(1, 5))
def test_a_file_has_the_same_faults_however_it_is_cut_into_batches(rows: list[Any], size: int) -> None:
    table = pa.table({name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate("abc")})
    assert sorted(_all(table, size), key=repr) == sorted(_all(table, len(rows) + 1), key=repr)


def _all(table: pa.Table, size: int) -> list[Fault]:
    checking = validator(load_schema(SCHEMA, name="s.yaml"), table.column_names)
    found: list[Fault] = []
    row = 2
    for batch in table.to_batches(max_chunksize=size):
        found += checking.check(np.arange(row, row + batch.num_rows), batch)
        row += batch.num_rows
    return [*found, *checking.finish()]


@pytest.mark.parametrize(
    "text",
    ["columns: {phone: {phone_number: [FR]}}", "columns: {a: {}}\nunique: [[a]]", "columns: {a: {dtype: date, gt: x}}"],
)
def test_a_schema_of_the_wrong_shape_is_a_sentence_and_no_crash(text: str) -> None:
    with pytest.raises(UsageError):
        load_schema(text, name="mine.yaml")


def test_a_date_beyond_the_calendar_is_a_fault_and_no_crash() -> None:
    assert len(column("dtype: date", "9999-12-31T23:59-12:00")) == 1
