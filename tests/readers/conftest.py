"""What the tests of every reader share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voicebatch.readers import open_sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = tuple[str | None, ...]


@pytest.fixture(scope="session")
def rows() -> Callable[..., dict[int, Row]]:
    """The cells of every row of a file with one source, by row number."""

    def read(path: Path, **options: Any) -> dict[int, Row]:
        (source,) = open_sources(path, **options)
        found: dict[int, Row] = {}
        for batch in source.batches():
            found.update(zip(batch.numbers.tolist(), zip(*batch.cells.to_pydict().values(), strict=True), strict=True))
        return found

    return read
