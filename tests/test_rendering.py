"""Texts that other processes render are those that this one would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicebatch.pipeline import rendering
from voicebatch.pipeline.rendering import Renderer, Row
from voicebatch.templates import MissingValue

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = "{% if b == '1' %}Bonjour{% else %}Salut{% endif %} {{ a | upper }} {{ 10 // (c | int) }}"
ROWS: list[Row] = [(name, str(at % 3), str(at % 5)) for at in range(200) for name in (f"zoé{at}", None, "\0")]


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Renderer]:
    monkeypatch.setattr(rendering, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(rendering, "_cores", lambda: 3)
    with Renderer(TEMPLATE, columns=("a", "b", "c"), variables={"a": "a", "b": "b", "c": "c"}) as made:
        yield made


def told(rendered: list[rendering.Rendered]) -> list[tuple[type, str]]:
    return [(type(one), str(one)) for one in rendered]


@pytest.mark.parametrize("count", [0, 1, 2, 3, len(ROWS)])
def test_every_row_has_its_text_or_its_error_whoever_renders_it(renderer: Renderer, count: int) -> None:
    alone = [renderer._text(row) for row in ROWS[:count]]
    assert told(renderer.render(ROWS[:count])) == told(alone)
    assert told(renderer.render(ROWS[:count])) == told(alone)


def test_other_processes_did_their_share(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    here: list[Row] = []

    def nothing(_: Renderer, rows: list[Row]) -> list[rendering.Rendered]:
        here.extend(rows)
        return []

    monkeypatch.setattr(Renderer, "_rendered_here", nothing)
    assert len(renderer.render(ROWS)) == len(ROWS) - len(here)
    assert 0 < len(here) <= len(ROWS) // 3 + 1


def test_nobody_misses_a_process_that_was_killed(renderer: Renderer) -> None:
    alone = [renderer._text(row) for row in ROWS]
    renderer.render(ROWS)
    for helper in renderer._ready_helpers():
        assert helper._process is not None
        helper._process.kill()
        helper._process.wait()
    assert told(renderer.render(ROWS)) == told(alone)


def test_without_another_python_everything_is_rendered_here(
    monkeypatch: pytest.MonkeyPatch, renderer: Renderer
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert told(renderer.render(ROWS)) == told([renderer._text(row) for row in ROWS])


def test_the_end_of_a_table_ends_the_processes(renderer: Renderer) -> None:
    renderer.render(ROWS)
    helpers = renderer._ready_helpers()
    renderer.__exit__()
    assert [helper._process and helper._process.returncode for helper in helpers] == [0, 0]


def test_a_missing_value_keeps_its_name_on_its_way(renderer: Renderer) -> None:
    errors = [one for one in renderer.render(ROWS) if isinstance(one, MissingValue)]
    assert {error.name for error in errors} == {"a"}
