"""A large campaign of one number a request, from the CSV file to the reports: time of every stage, and memory.

It runs in a process of its own, ``python -m benchmarks.campaign FOLDER ROWS``, so that the memory is nobody else's.
The network says yes at once: what is measured is ours alone. The baseline of sending is the bare loop on a copy of the
same ledger, in turn with ten parts of the run; that of memory is the same process when it had loaded the plan and sent
nothing.
"""

from __future__ import annotations

import contextlib
import json
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import voicebatch
from benchmarks import requests_of_one
from benchmarks.bare import BareLoop
from benchmarks.engine import sender
from benchmarks.measuring import spent
from voicebatch import wire
from voicebatch.app import opened
from voicebatch.ledger import Ledger, Run
from voicebatch.models import Batch, Message, Reply
from voicebatch.pipeline import running
from voicebatch.pipeline.plan import Plan

_PARTS: Final = 10
_BARE: Final = 1_000  # requests of the bare loop after each part; more would only take longer
_TEMPLATE: Final = "Bonjour {{ prenom }}, votre commande sera livrée {{ jour }}."
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024  # bytes; what getrusage counts in


@dataclass(kw_only=True)
class Figures:
    """Seconds of every stage, speeds as ratios to the bare loop's, and the peak of memory in bytes, early and late."""

    stages: dict[str, float] = field(default_factory=dict)
    ratios: list[float] = field(default_factory=list)
    planned_peak: int = 0
    peak: int = 0

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds what the ``with`` takes."""
        start = time.perf_counter()
        yield
        self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start


class SaysYes:
    """A network without a network; it says ``stop`` after so many requests."""

    def __init__(self, *, after: int, stop: threading.Event) -> None:
        self._yes = requests_of_one.yes()
        self._left = iter(range(after - 1))
        self._stop = stop

    def send(self, _: Batch, *, notify_url: str | None, lease_seconds: float) -> Reply:  # noqa: ARG002 # its form
        """At once."""
        if next(self._left, None) is None:
            self._stop.set()
        return self._yes


def campaign(folder: Path, *, rows: int) -> str:
    """The claim with its figures."""
    command = [sys.executable, "-m", "benchmarks.campaign", str(folder), str(rows)]
    figures = Figures(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in figures.stages.items())
    speed, ratios = rows / figures.stages["sending"], figures.ratios
    return (
        f"{rows:,} requests of one number: {stages}. Sending: {speed:,.0f} requests/s, {min(ratios):.2f} to "
        f"{max(ratios):.2f} times the speed of the bare sqlite3 loop ({len(ratios)} pairs, median "
        f"{statistics.median(ratios):.2f}; the loop for {_bare_requests(rows):,} requests each). Memory: at most "
        f"{figures.peak / 1e6:.0f} MB, {figures.peak / figures.planned_peak:.2f} times that with only the plan loaded "
        f"({figures.planned_peak / 1e6:.0f} MB)"
    )


def measure(folder: Path, rows: int) -> Figures:
    """All of it, in this process."""
    figures, file = Figures(), folder / "campaign.sqlite"
    with figures.stage("planning"):
        plan = _plan(folder, rows, file)
        assert len(plan) == rows
    figures.planned_peak = _peak()
    with opened(str(file)) as ledger, figures.stage("enqueueing"):
        run = running.enqueue(plan, ledger, base_url=wire.BASE_URL, now=ledger.now())
    bare = BareLoop(file, _PARTS * _bare_requests(rows))
    with contextlib.closing(bare), opened(str(file)) as ledger:
        for _ in range(_PARTS):
            _send_a_part(run, ledger, plan, figures, bare)
        _report(run, ledger, figures)
    figures.peak = _peak()
    return figures


def _send_a_part(run: Run, ledger: Ledger, plan: Plan, figures: Figures, bare: BareLoop) -> None:
    queued, stop = ledger.queued_requests(run.id), threading.Event()
    network = SaysYes(after=len(plan) // _PARTS, stop=stop)
    engine = sender(ledger, network, concurrency=4, stop=stop)
    with figures.stage("sending"):
        ours = spent(lambda: running.drain(run, ledger, engine.drain, max_cost=None, prices=plan.prices))
    sent, by_hand = queued - ledger.queued_requests(run.id), _bare_requests(len(plan))
    theirs = spent(lambda: bare.send(by_hand))
    figures.ratios.append(sent / ours.seconds / (by_hand / theirs.seconds))


def _report(run: Run, ledger: Ledger, figures: Figures) -> None:
    limits = (requests_of_one.WIDE,)
    with figures.stage("reporting"):
        summary = running.summarise(run, ledger, limits=limits, limiter="nobody's", now=ledger.now())
        running.write_reports(run, ledger, Path(run.report_dir), summary, now=ledger.now())
    assert summary.rows.accepted == summary.rows.total == summary.requests.accepted


def _plan(folder: Path, rows: int, ledger: Path) -> Plan:
    data, prices = folder / "campaign.csv", folder / "prices.csv"
    prices.write_text(f"calling_code,unit_cost,currency\n33,{requests_of_one.PRICE},EUR\n")
    with data.open("w", encoding="utf-8") as file:
        file.write("prenom;telephone;jour\n")
        file.writelines(f"Prénom{row % 400};061{row:07};lundi\n" for row in range(rows))
    message = Message(text=_TEMPLATE)
    return voicebatch.plan([data], message, batch_size=1, price_table=prices, out=folder, ledger=str(ledger))


def _bare_requests(rows: int) -> int:
    return min(rows // _PARTS, _BARE)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), int(sys.argv[2])))))
