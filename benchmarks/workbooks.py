"""Reading a workbook against calamine alone, which gives Python a value for every cell and does nothing with it."""

from __future__ import annotations

from pathlib import Path

from openpyxl import Workbook
from python_calamine import CalamineWorkbook

from benchmarks.measuring import calls_in_turn
from voicebatch import readers


def read(folder: Path, *, rows: int) -> str:
    """The claim with its figures: from opening the file to the last row as Arrow columns."""
    path = folder / "recipients.xlsx"
    _write(path, rows)

    def ours() -> None:
        (source,) = readers.open_sources(path)
        assert sum(len(block.numbers) for block in source.batches()) == rows

    def calamine() -> None:
        assert len(CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()) == rows + 1

    clock, processor = calls_in_turn(ours, calamine, runs=5)
    return (
        f"workbook of {rows:,} rows: {clock.ours:.2f} s, calamine alone {clock.baseline:.2f} s. "
        f"{clock.spread} times its time (at most 2), {processor.spread} times its processor time"
    )


def _write(path: Path, rows: int) -> None:
    """Eight columns: five of text, two of numbers, and one that is empty."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Clients")
    sheet.append(["Nom", "Prénom", "Téléphone", "Ville", "Jour", "Code postal", "Référence", "Remarque"])
    for number in range(rows):
        cells = (f"Nom{number}", f"Prénom{number % 400}", 612_000_000 + number, f"Ville{number % 30}", "lundi")
        sheet.append([*cells, 69001, f"R{number:08d}", None])
    book.save(path)
