"""The example DAGs, put into a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import voicebatch

if TYPE_CHECKING:
    from tests.airflow.deployment import Deployment

SMALL: Final = "example_voicebatch"
SHARDS: Final = "example_voicebatch_shards"
PEOPLE: Final = 60
"""Whom the shards call."""

_FOLDER: Final = Path(voicebatch.__file__).parent / "airflow" / "example_dags"
_STORAGE: Final = "file:///tmp/voicebatch"


def add_example(deployment: Deployment, dag_id: str, storage: Path | None = None) -> None:
    """Copies an example into the folder for DAGs as it is, or with another place for its files."""
    text = (_FOLDER / f"{dag_id}.py").read_text()
    assert _STORAGE in text
    there = text.replace(_STORAGE, storage.as_uri()) if storage else text
    (deployment.home / "dags" / f"{dag_id}.py").write_text(there)
