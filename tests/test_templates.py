"""Templates: what they need, what they say, and how they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebatch import speech
from voicebatch.errors import UsageError
from voicebatch.templates import MissingValue, RenderError, Template, distinct

if TYPE_CHECKING:
    from collections.abc import Sequence

Cells = dict[str, str | None]


def compiled(text: str) -> Template:
    return Template.compile(text, filters=speech.FILTERS, functions=speech.FUNCTIONS)


def rendered(text: str, row: Cells | None = None, **values: str | None) -> str:
    return compiled(text).render(values, row or {})


@pytest.mark.parametrize(
    ("text", "names", "headers", "whole_row"),
    [
        ("Bonjour", set(), set(), False),
        ("{{ prenom }} {{ ville | upper }}", {"prenom", "ville"}, set(), False),
        ("{% if a %}{{ b }}{% else %}{{ c }}{% endif %}", {"a", "b", "c"}, set(), False),
        ("{{ pause(delai) }}", {"delai"}, set(), False),
        (
            "{% set x = a %}{{ x }}{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}",
            {"a"},
            set(),
            False,
        ),
        ('{{ row["N° client"] }} {{ row["Ville "] }}', set(), {"N° client", "Ville "}, False),
        ('{{ row["a"] }} {{ row[b] }}', {"b"}, {"a"}, True),
        ("{% for k in row %}{{ k }}{% endfor %}", set(), set(), True),
        ("{{ row.ville }}", set(), set(), True),
        ("{% set row = 'x' %}{{ row }}", set(), set(), False),
        ("{% macro m(x) %}{{ x }}{{ y }}{% endmacro %}{{ m(z) }}", {"y", "z"}, set(), False),
        ("{# {{ nothing }} #}x", set(), set(), False),
    ],
)
def test_a_template_knows_the_columns_that_it_needs(
    text: str,
    names: set[str],
    headers: set[str],
    whole_row: bool,  # noqa: FBT001 - a column of the table
) -> None:
    template = compiled(text)
    assert (set(template.names), set(template.headers), template.whole_row) == (names, headers, whole_row)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("  Bonjour \n\n le\u00a0 monde\t", "Bonjour le monde"),
        ("Bonjour {{ prenom }}", "Bonjour Zoé"),
        ("{{ prenom | pause(2) }} {{ code | digits }}", "Zoé ,,,, 4, 5, 1, 2"),
        ("un {{ pause(3) }} deux", "un ,,,,,, deux"),
        ("{{ prenom | spell }}", "Z, o, é"),
        ("{% if vide %}oui{% else %}non{% endif %}", "non"),
        ("{% if not vide %}rien{% endif %}", "rien"),
        ('{{ vide | default("au rez-de-chaussée") }}', "au rez-de-chaussée"),
        ('{{ blanc | d("rien") }} {{ absent or "absent" }}', "rien absent"),
        ("{% if vide is defined %}oui{% else %}non{% endif %}", "non"),
        ('{{ row["N° client"] }}', "12"),
        ("{% for k, v in row.items() %}{{ k }} {{ v }} {% endfor %}", "N° client 12"),
        ("{{ prenom | upper | reverse }}", "ÉOZ"),
    ],
)
def test_a_template_says(text: str, spoken: str) -> None:
    values: Cells = {"prenom": "Zoé", "code": "4512", "vide": "", "blanc": " \u00a0"}
    assert compiled(text).render(values, {"N° client": "12"}) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "{{ etage }}", "{{ etage | upper }}", "{{ etage | pause(1) }}", "{{ etage | int }}",
        "{{ etage | abs }}", "{{ etage | round }}", "{{ etage | tojson }}", "{{ etage | items | list }}",
        "{{ [etage] }}", "{{ [1, 2] | join(etage) }}",
        "{{ etage | map('upper') | list }}", "{{ etage ~ 'x' }}", "{{ etage == 'x' }}", "{{ etage.foo }}",
        "{{ etage in ['x'] }}", "{% for c in etage %}{{ c }}{% endfor %}", "{{ '%s' | format(etage) }}",
        "{{ pause(etage) }}", "{{ rien | default(etage) }}", '{{ row["etage"] }}', "{{ row }}",
        "{{ etage | length }}", "{% set x = etage %}{{ x }}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("cell", [None, "", " ", "\u00a0\t\n"])
def test_an_empty_cell_is_an_error_wherever_it_would_be_heard(text: str, cell: str | None) -> None:
    with pytest.raises(MissingValue) as caught:
        rendered(text, {"etage": cell}, etage=cell)
    assert caught.value.name == "etage"


def test_a_column_that_is_not_given_is_missing() -> None:
    with pytest.raises(MissingValue, match="'N° client'"):
        rendered('{{ row["N° client"] }}')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{% for i in range(1000000000) %}x{% endfor %}", "Range too big"),
        ("{% for i in range(10**9) %}x{% endfor %}", "power"),
        ("{{ 10**10**10 }}", "power"),
        ("{{ prenom * 100000000000000 }}", "MemoryError"),
        ("{{ prenom | pause(99) }}", "0 to 60 seconds"),
        ("{{ prenom | digits }}", "is no number: use spell"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ prenom.foo }}", "has no attribute 'foo'"),
        ("{{ prenom.__class__.__mro__ }}", "unsafe"),
        ("{{ row.clear() }}", "unsafe"),
        ("{{ prenom + 1 }}", "str"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
        ("{# nothing #}", "empty"),
        ("{% if prenom == 'Ana' %}x{% endif %}", "empty"),
    ],
)
def test_what_goes_wrong_in_one_row_is_a_sentence_about_that_row(text: str, reason: str) -> None:
    with pytest.raises(RenderError, match=reason) as caught:
        rendered(text, prenom="Zoé")
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("a\n{{ b", "line 2", "syntax"),
        ("{% for %}", "line 1", ""),
        ("{% if a %}", "line 1", ""),
        ("{{ a | puase(2) }}", "line 1 of the template: there is no filter 'puase'", "did you mean 'pause'?"),
        ("x\n\n{% if a %}{{ a | uper }}{% endif %}", "line 3 of the template: there is no filter", "'upper'"),
        ("{{ a is definde }}", "there is no test 'definde'", "'defined'"),
        ("{{ puase(2) }}", "there is no function 'puase'", "'pause'"),
        ("{{ lipsum() }}", "there is no function 'lipsum'", "pause, range"),
        ("{{ prenom() }}", "there is no function 'prenom'", ""),
        ("{{ pause }}", "pause is a function", 'row["pause"]'),
        ("{{ a | random }}", "there is no filter 'random'", ""),
        ("\n{% include 'x' %}", "line 2 of the template: include reads another file", ""),
        ("{% import 'x' as y %}", "import reads another file", ""),
        ("{% from 'x' import y %}", "import reads another file", ""),
        ("{% extends 'x' %}", "extends reads another file", ""),
        ("{% block a %}{% endblock %}", "a block", ""),
        ("{{ " + "(" * 5000, "cannot be compiled", "simpler"),
        ("{{ " + "9" * 5000 + " }}", "cannot be compiled", "simpler"),
        ("{% for a in b %}" * 30 + "{% endfor %}" * 30, "cannot be compiled", "simpler"),
        ("", "empty", ""),
        (" \n", "empty", ""),
    ],
)
def test_a_fault_in_the_template_is_told_with_its_line_and_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        compiled(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.hint


SYNTAX = st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "7*7", "row", "prenom", "<b>", "&", "'", '"', " "])
CELLS = st.lists(SYNTAX | st.text(max_size=5), min_size=1).map("".join).filter(str.strip)


@settings(deadline=None)
@given(cell=CELLS)
def test_template_syntax_in_a_cell_is_never_run(cell: str) -> None:
    plain = " ".join(cell.split())
    assert rendered("{{ prenom }}", prenom=cell) == plain
    assert rendered("{{ row['a'] }}", {"a": cell}) == plain


@settings(deadline=None)
@given(text=st.text(min_size=1).filter(lambda text: "{" not in text and text.strip()))
def test_a_text_without_template_syntax_is_said_as_it_is(text: str) -> None:
    assert rendered(text) == " ".join(text.split())


def reference(columns: Sequence[Sequence[str | None]]) -> tuple[list[int], list[int]]:
    seen: dict[tuple[str | None, ...], int] = {}
    codes, first = [], []
    for number, values in enumerate(zip(*columns, strict=True)):
        if values not in seen:
            first.append(number)
        codes.append(seen.setdefault(values, len(seen)))
    return codes, first


TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.tuples(*[st.sampled_from(["a", "b", "", None])] * width), max_size=40).map(
        lambda rows: [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
    )
)


@settings(deadline=None)
@given(table=TABLES)
def test_distinct_rows_are_those_of_a_plain_dictionary(table: list[list[str | None]]) -> None:
    codes, first = distinct([pa.array(column, pa.string()) for column in table])
    assert (codes.tolist(), first.tolist()) == reference(table)


def test_distinct_takes_chunked_and_dictionary_columns() -> None:
    chunked = pa.chunked_array([["a", None], ["a"], []])
    encoded = pa.array(["x", None, "x"]).dictionary_encode()
    codes, first = distinct([chunked, encoded])
    assert (codes.tolist(), first.tolist()) == ([0, 1, 0], [0, 1])


def test_without_columns_all_rows_are_one_group() -> None:
    codes, first = distinct([], rows=3)
    assert (codes.tolist(), first.tolist()) == ([0, 0, 0], [0])
    with pytest.raises(ValueError, match="how many rows"):
        distinct([])


def test_many_columns_of_many_values_do_not_overflow() -> None:
    column = pa.array(np.arange(70_000)).cast(pa.string())
    codes, first = distinct([column] * 6)
    assert np.array_equal(codes, np.arange(70_000))
    assert np.array_equal(first, codes)
