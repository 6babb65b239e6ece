"""What the engine adds to a request: the whole ``Sender``, one request at a time, against ``requests`` alone.

Both post the same bodies to the same sandbox over loopback HTTP. The engine also commits a claim before each request
and its answer after it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import requests

from benchmarks import requests_of_one, sandboxes
from benchmarks.measuring import calls_in_turn
from voicebatch import wire
from voicebatch.app import LedgerClock
from voicebatch.ledger import Ledger, Worker
from voicebatch.models import Channel, Progress
from voicebatch.provider import Provider
from voicebatch.sending import Network, Sender

_RUNS: Final = 7
_KEY: Final = "benchmark"
_HEADERS: Final = {"Content-Type": "application/json"}


def added_time(folder: Path, *, requests_each: int) -> str:
    """The claim with its figures; ``requests_each`` is how many are measured at a time."""
    ledger = Ledger(str(folder / "engine.sqlite"))
    with contextlib.closing(ledger), sandboxes.served("1000000/s") as base_url, requests.Session() as session:
        runs = iter([requests_of_one.enqueue(ledger, requests_each, report_dir=folder) for _ in range(_RUNS + 1)])
        bodies = _bodies(requests_each)
        network = Provider(base_url=base_url, api_key=_KEY, timeout=30)
        engine = sender(ledger, network, concurrency=1, stop=threading.Event())
        clock, cpu = calls_in_turn(
            lambda: engine.drain(next(runs), Progress(stage="sending")),
            lambda: _post(session, base_url, bodies),
            runs=_RUNS,
        )
        _check(base_url, 2 * (_RUNS + 1) * requests_each)
    ours, alone = (1000 * seconds / requests_each for seconds in (clock.ours, clock.baseline))
    cpus = [1000 * seconds / requests_each for seconds in (cpu.ours, cpu.baseline)]
    return (
        f"a request through the engine and HTTP: {ours:.1f} ms, through requests.Session alone {alone:.1f} ms: "
        f"{ours - alone:.1f} ms more. Of {_RUNS} pairs: {clock.spread} times its time. Processor: {cpus[0]:.2f} ms and "
        f"{cpus[1]:.2f} ms"
    )


def sender(ledger: Ledger, network: Network, *, concurrency: int, stop: threading.Event) -> Sender:
    """The engine with a limit that nobody reaches."""
    return Sender(
        ledger=ledger,
        network=network,
        clock=LedgerClock(ledger),
        worker=Worker.current(),
        limiter="nobody's",
        limits=(requests_of_one.WIDE,),
        timeout_seconds=60,
        stop=stop,
        concurrency=concurrency,
    )


def _bodies(count: int) -> list[bytes]:
    made = requests_of_one.batches("the same", count)
    posts = [wire.SendRequest.of(one.message, one.numbers, api_key=_KEY, notify_url=None) for one in made]
    return [post.to_json().encode() for post in posts]


def _post(session: requests.Session, base_url: str, bodies: Sequence[bytes]) -> None:
    url = base_url + wire.PATHS[Channel.VOICE_SMS]
    for body in bodies:
        session.post(url, data=body, headers=_HEADERS, timeout=30).raise_for_status()


def _check(base_url: str, expected: int) -> None:
    outcomes = [arrival["outcome"] for arrival in sandboxes.sends(base_url)]
    assert outcomes == ["accepted"] * expected
