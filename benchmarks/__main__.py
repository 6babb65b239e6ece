"""Runs every benchmark and prints its ratio."""

import tempfile
from pathlib import Path

from benchmarks import planning, startup


def main() -> None:
    """One line a claim, with what it is measured against."""
    with tempfile.TemporaryDirectory() as folder:
        for claim in (startup.help_text(), planning.plan(Path(folder), rows=100_000)):
            print(claim)


main()
