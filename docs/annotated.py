"""Draws ``annotated.svg``: the marked copy of ``sample_data/rendez-vous.xlsx`` as a spreadsheet program shows it.

Every cell, colour and note comes from the workbook that ``voicebatch validate --annotate`` writes; a test compares.
Again: ``python docs/annotated.py``
"""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import openpyxl

import voicebatch

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "sample_data" / "rendez-vous.xlsx"
ROWS = (1, 15, 16, 17, 47, 48, 49)
WIDTHS = {"A": 90, "B": 100, "C": 140, "D": 110, "E": 150, "F": 70, "G": 170}
HEIGHT, MARGIN, LINE = 30, 40, 44  # characters of a line of a note


def picture() -> str:
    """The picture of a copy that is made now."""
    with tempfile.TemporaryDirectory() as folder:
        (copy,) = voicebatch.validate([SAMPLE], annotate=True, out=folder).annotated
        return "\n".join(_drawn(openpyxl.load_workbook(copy).worksheets[0])) + "\n"


def _drawn(sheet: Any) -> Iterator[str]:
    width, height = MARGIN + sum(WIDTHS.values()), HEIGHT * (len(ROWS) + 1)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    yield ' font-family="Calibri, Carlito, Arial, sans-serif" font-size="14">'
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    for column in WIDTHS:
        yield from _box(column, 0, column, "#e6e6e6")
    notes = []
    for place, row in enumerate(ROWS, 1):
        yield f'<rect y="{HEIGHT * place}" width="{MARGIN}" height="{HEIGHT}" fill="#e6e6e6" stroke="#bfbfbf"/>'
        yield f'<text x="{MARGIN / 2}" y="{HEIGHT * place + 20}" text-anchor="middle" fill="#444444">{row}</text>'
        for column in WIDTHS:
            cell = sheet[f"{column}{row}"]
            yield from _box(column, place, _shown(cell.value), _colour(cell))
            if cell.comment:
                notes += _note(column, place, cell.comment.text)
    yield from notes
    yield "</svg>"


def _shown(value: Any) -> str:
    return f"{value:%H:%M}" if hasattr(value, "hour") else str(value or "")


def _colour(cell: Any) -> str:
    return f"#{cell.fill.fgColor.rgb[2:]}" if cell.fill.fill_type == "solid" else "#ffffff"


def _left(column: str) -> int:
    return MARGIN + sum(width for name, width in WIDTHS.items() if name < column)


def _box(column: str, place: int, text: str, colour: str) -> Iterator[str]:
    x, y = _left(column), HEIGHT * place
    yield f'<rect x="{x}" y="{y}" width="{WIDTHS[column]}" height="{HEIGHT}" fill="{colour}" stroke="#bfbfbf"/>'
    yield f'<text x="{x + 6}" y="{y + 20}" fill="#222222">{escape(text)}</text>'


def _note(column: str, place: int, text: str) -> Iterator[str]:
    """The red corner of the cell, and the note beside it."""
    x, y = _left(column) + WIDTHS[column], HEIGHT * place
    lines = textwrap.wrap(text, LINE)
    yield f'<path d="M{x - 8} {y} h8 v8 z" fill="#d00000"/>'
    box = f'x="{x + 16}" y="{y - 8}" width="330" height="{19 * len(lines) + 10}"'
    yield f'<rect {box} fill="#ffffe1" stroke="#555555"/>'
    for at, line in enumerate(lines):
        yield f'<text x="{x + 24}" y="{y + 9 + 19 * at}" fill="#222222">{escape(line)}</text>'


if __name__ == "__main__":
    (HERE / "annotated.svg").write_text(picture(), encoding="utf-8")
