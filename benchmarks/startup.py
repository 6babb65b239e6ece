"""``voicebatch --help`` against an empty click program: at most twice its time."""

from __future__ import annotations

import os
import statistics
import sys

from benchmarks.measuring import in_turn

_EMPTY = "import click\n@click.group()\ndef main(): pass\nmain(['--help'])"


def help_text() -> str:
    """The claim with its figures."""
    measured = in_turn(
        [sys.executable, "-m", "voicebatch", "--help"], [sys.executable, "-c", _EMPTY], os.environ, runs=10
    )
    return (
        f"voicebatch --help: {measured.ours * 1000:.0f} ms, an empty click program {measured.baseline * 1000:.0f} ms. "
        f"Median of {len(measured.ratios)} pairs: {statistics.median(measured.ratios):.2f} times its time (at most 2)"
    )
