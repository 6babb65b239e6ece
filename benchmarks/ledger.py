"""The ledger's ``claim`` and ``record`` against a bare ``sqlite3`` loop that makes the same writes on the same disk."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from benchmarks import requests_of_one
from benchmarks.bare import BareLoop
from benchmarks.measuring import calls_in_turn
from voicebatch.ledger import Claim, Ledger, Worker

_RUNS: Final = 9


def transactions(folder: Path, *, requests: int) -> str:
    """The claim with its figures; ``requests`` is how many are measured at a time."""
    file, everything = folder / "transactions.sqlite", requests * (_RUNS + 1)
    with contextlib.closing(Ledger(str(file))) as ledger:
        run_id = requests_of_one.enqueue(ledger, everything, report_dir=folder)
    with contextlib.closing(Ledger(str(file))) as ledger, contextlib.closing(BareLoop(file, everything)) as bare:
        clock, cpu = calls_in_turn(
            lambda: claim_and_record(ledger, run_id, requests), lambda: bare.send(requests), runs=_RUNS
        )
        assert not ledger.is_busy(run_id)
    return (
        f"claim and record: {requests / clock.ours:,.0f} requests/s on this disk, a bare sqlite3 loop with the same "
        f"writes {requests / clock.baseline:,.0f}. Of {_RUNS} pairs: {clock.slower} times its speed. Processor: "
        f"{cpu.ours / requests * 1000:.2f} ms a request, the loop {cpu.baseline / requests * 1000:.2f} ms: "
        f"{cpu.spread} times its"
    )


def claim_and_record(ledger: Ledger, run_id: str, requests: int) -> None:
    """What one worker does with a ledger, without the network in between."""
    worker, yes, limits = Worker.current(), requests_of_one.yes(), (requests_of_one.WIDE,)
    for _ in range(requests):
        claim = ledger.claim(
            run_id, worker=worker, limiter="nobody's", limits=limits, now=ledger.now(), lease_seconds=75
        )
        assert isinstance(claim, Claim)
        ledger.record(claim, yes, now=ledger.now(), limits=limits)
