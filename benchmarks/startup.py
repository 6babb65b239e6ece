"""``voicebatch --help`` against an empty click program: at most twice its time."""

from __future__ import annotations

import os
import sys

from benchmarks.measuring import in_turn

_EMPTY = "import click\n@click.group()\ndef main(): pass\nmain(['--help'])"


def help_text() -> str:
    """The claim with its figures."""
    ours, empty, ratio = in_turn(
        [sys.executable, "-m", "voicebatch", "--help"], [sys.executable, "-c", _EMPTY], os.environ, runs=10
    )
    return f"voicebatch --help: {ours * 1000:.0f} ms, an empty click program {empty * 1000:.0f} ms: {ratio:.2f} times (at most 2)"
