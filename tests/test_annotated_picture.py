"""The picture in the README shows what a marked workbook really holds."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent.parent / "docs"


def test_the_picture_is_of_a_copy_that_is_made_today() -> None:
    drawn = runpy.run_path(str(DOCS / "annotated.py"))["picture"]()
    assert (DOCS / "annotated.svg").read_text(encoding="utf-8") == drawn, "run: python docs/annotated.py"
