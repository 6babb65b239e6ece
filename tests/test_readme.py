"""The README's commands do what it shows, and its Python runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def newcomer(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has the sample data and nothing else."""
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOICEBATCH_")}
    return {**kept, "XDG_DATA_HOME": str(tmp_path / "data"), "HOME": str(tmp_path), "PYTHONUTF8": "1"}


def shown(expected: str) -> re.Pattern[str]:
    """The output that a block shows; … stands for what depends on time and place."""
    return re.compile(re.escape(expected).replace("…", ".*"))


@pytest.mark.parametrize("block", CONSOLE)
def test_a_command_prints_what_the_readme_shows(block: str, newcomer: dict[str, str], tmp_path: Path) -> None:
    command, _, expected = block.removeprefix("$ ").partition("\n")
    name, *arguments = shlex.split(command)
    assert name == "voicebatch"
    done = subprocess.run(
        [sys.executable, "-m", "voicebatch", *arguments],
        cwd=tmp_path, env=newcomer, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert shown(expected).fullmatch(done.stdout), done.stdout


@pytest.mark.parametrize("block", PYTHON)
def test_its_python_runs(block: str, newcomer: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, env=newcomer, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "complete" in done.stdout


def test_every_exit_code_of_the_errors_is_in_its_table() -> None:
    from voicebatch import errors

    codes = {str(one.exit_code) for one in errors.VoicebatchError.__subclasses__()}
    told = set(re.findall(r"^\| (\d+)[, ]", README, flags=re.MULTILINE))
    assert codes <= told | {"143"}
