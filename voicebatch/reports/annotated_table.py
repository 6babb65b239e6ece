"""A plain new workbook with the rows of a table as they were read: what is marked where the file itself cannot be.

Every cell is text, so that a leading zero stays. Written row by row, whatever the size.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from voicebatch.headers import column_letters

Row = tuple[int, Sequence[str | None]]
"""A row's number, as a spreadsheet shows it, and its cells."""

SHEET: Final = "voicebatch"
_LAST_ROW, _COLUMNS = 1_048_576, 16_384
_LONGEST_CELL: Final = 32_767  # characters; Excel takes no more
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the same rows give the same file
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")

_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS: Final = {
    "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="/xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    f'<sheets><sheet name="{SHEET}" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="/xl/worksheets/sheet1.xml"/></Relationships>',
}


class TooLarge(Exception):
    """A sheet has no room for so many rows or columns."""


def write_table(
    path: Path, rows: Iterable[Row], *, hidden_rows: Set[int] = frozenset(), hidden_columns: Set[int] = frozenset()
) -> None:
    """Writes these rows, whose numbers grow, as the one sheet of a workbook. Raises ``TooLarge``.

    What was hidden from the user stays so: ``hidden_rows`` by their numbers, ``hidden_columns`` by position.
    """
    with zipfile.ZipFile(path, "w") as book:
        for name, text in _PARTS.items():
            book.writestr(_info(name), text)
        with book.open(_info("xl/worksheets/sheet1.xml"), "w", force_zip64=True) as sheet:
            sheet.write(f'{_XML}<worksheet xmlns="{_MAIN}">{_columns(hidden_columns)}<sheetData>'.encode())
            for number, cells in rows:
                if number > _LAST_ROW or len(cells) > _COLUMNS:
                    raise TooLarge
                sheet.write(_row(number, cells, is_hidden=number in hidden_rows).encode())
            sheet.write(b"</sheetData></worksheet>")


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _columns(hidden: Set[int]) -> str:
    columns = (f'<col min="{at + 1}" max="{at + 1}" width="0" hidden="1" customWidth="1"/>' for at in sorted(hidden))
    return f"<cols>{''.join(columns)}</cols>" if hidden else ""


def _row(number: int, cells: Sequence[str | None], *, is_hidden: bool) -> str:
    written = (
        f'<c r="{column_letters(at)}{number}" t="inlineStr"><is><t xml:space="preserve">{_text(cell)}</t></is></c>'
        for at, cell in enumerate(cells)
        if cell
    )
    hidden = ' hidden="1"' if is_hidden else ""
    return f'<row r="{number}"{hidden}>{"".join(written)}</row>'


def _text(cell: str) -> str:
    """Control characters as the format writes them; what an escape of it looks like is no escape."""
    guarded = re.sub(r"_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", cell[:_LONGEST_CELL])
    return _CONTROLS.sub(lambda found: f"_x{ord(found[0]):04X}_", escape(guarded))
