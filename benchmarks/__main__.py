"""Runs every benchmark and prints its ratio.

``--full`` sends the large campaign to 100,000 people, not 20,000, and plans and enqueues ten million rows as well.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import callbacks, campaign, claims, engine, enqueueing, ledger, limit, planning, startup, workbooks


def main(folder: Path, *, full: bool) -> None:
    """One line a claim, with what it is measured against."""
    lines: list[Callable[[], str]] = [
        startup.help_text,
        lambda: planning.plan(folder, rows=1_000_000),
        lambda: planning.texts(rows=200_000),
        lambda: workbooks.read(folder, rows=100_000),
        lambda: ledger.transactions(folder, requests=200),
        lambda: claims.claims(folder),
        lambda: enqueueing.enqueueing(folder, rows=500_000, runs=3),
        lambda: engine.added_time(folder, requests_each=200),
        lambda: campaign.campaign(folder, rows=100_000 if full else 20_000),
        lambda: limit.saturation(folder),
        lambda: limit.share(folder),
        lambda: callbacks.taken(folder, callbacks_each=2_000),
    ]
    if full:
        lines.append(lambda: planning.long_plan(folder, rows=10_000_000))
        lines.append(lambda: enqueueing.enqueueing(folder, rows=10_000_000, runs=1))
    for line in lines:
        print(line(), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary), full="--full" in sys.argv[1:])
