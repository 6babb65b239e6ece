"""What ``pip install .`` gives is complete."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip would build."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_schemas_migrations_prices_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for schema in (ROOT / "schemas").glob("*.yaml"):
        assert f"voicebatch/schemas/{schema.name}" in names
    for part in ("py.typed", "sandbox/prices.csv", "ledger/migrations/env.py"):
        assert f"voicebatch/{part}" in names
    assert not any(name.startswith(("tests/", "sample_data/")) for name in names)


def test_the_wheel_runs_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "people.csv").write_text("nom;portable\nAnne;04 65 71 00 01\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "XDG_DATA_HOME": str(tmp_path / "data")}
    command = ["send", "people.csv", "--text", "Bonjour {{ nom }}", "--sandbox", "--yes", "--json"]
    where = (
        "import voicebatch, runpy; assert 'site' in voicebatch.__file__; runpy.run_module('voicebatch', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", where, *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"accepted": 1' in done.stdout
