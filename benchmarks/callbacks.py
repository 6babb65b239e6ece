"""Callbacks that ``voicebatch listen`` takes a second, from several senders at once, on both kinds of ledger.

The baseline, in turn with it on the same machine, is a bare application on the same server with the same threads, which
reads the body, answers, and keeps nothing: ``python -m benchmarks.callbacks`` serves it. Senders are processes with
raw sockets, because whatever they cost is missing to who is measured. In the last part the listener is killed in
between, and what was not answered is sent again.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import select

import voicebatch
from benchmarks.measuring import Pairs
from voicebatch import wire
from voicebatch.ledger import Ledger
from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import attempts, batches, callbacks
from voicebatch.models import Delivery, Message

_PARTS: Final = 3
_SENDERS: Final = 4
_CONNECTIONS: Final = 8  # of each sender
_THREADS: Final = 32
_BEGIN_SECONDS: Final = 1.0  # for the senders to be ready
_ANSWER: Final = b'{"status":"ok"}'
_KILLS: Final = 2
_COMMAND: Final = (sys.executable, "-m", "voicebatch", "listen", "--json", "--ledger")
_BARE: Final = (sys.executable, "-m", "benchmarks.callbacks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one sender did: when it began and ended, and how often it had to repeat a callback."""

    began: float
    ended: float
    repeated: int


def taken(folder: Path, *, callbacks_each: int) -> str:
    """The claim with its figures; ``callbacks_each`` is how many are sent at a time."""
    from tests.servers import PostgresqlServer

    with _pool() as pool, PostgresqlServer.started() as server:
        # A commit is to be on the disk here, as in the other ledger.
        server.run("ALTER SYSTEM SET fsync = on", "SELECT pg_reload_conf()")
        on_sqlite = _measure(pool, str(folder / "callbacks.sqlite"), folder, callbacks_each)
        on_postgresql = _measure(pool, server.url(), folder, callbacks_each)
    return (
        f"callbacks taken: {callbacks_each / on_sqlite.ours:,.0f} a second on SQLite, "
        f"{callbacks_each / on_postgresql.ours:,.0f} on PostgreSQL (at least 500), from {_SENDERS} processes with "
        f"{_CONNECTIONS} connections each; a bare application that keeps nothing "
        f"{callbacks_each / on_sqlite.baseline:,.0f}. Of {_PARTS} pairs: {on_sqlite.slower} and {on_postgresql.slower} "
        f"times its speed. Every callback is in the ledger once, also after kill -9 in between"
    )


def _measure(pool: ProcessPoolExecutor, ledger_url: str, folder: Path, each: int) -> Pairs:
    with contextlib.closing(Ledger(ledger_url)) as ledger:
        _send_campaign(ledger_url, folder, people=each * (_PARTS + 2))
        bodies, requests = zip(*_calls(ledger), strict=True)
        parts = [requests[at : at + each] for at in range(0, len(requests), each)]
        with _serving(*_COMMAND, ledger_url, "--port", "0") as url, _serving(*_BARE) as bare:
            pairs = [(_seconds(pool, url, part), _seconds(pool, bare, part)) for part in parts[:-1]][1:]
        _kill_in_between(pool, ledger_url, parts[-1])
        _check(ledger, bodies)
    ours, baseline = zip(*pairs, strict=True)
    ratios = tuple(mine / theirs for mine, theirs in pairs)
    return Pairs(ours=statistics.median(ours), baseline=statistics.median(baseline), ratios=ratios)


def _send_campaign(ledger_url: str, folder: Path, *, people: int) -> None:
    file = folder / "called.csv"
    file.write_text("telephone\n" + "".join(f"061{at:07}\n" for at in range(people)))
    plan = voicebatch.plan([file], Message(text="Bonjour"), ledger=ledger_url, out=folder, sandbox=True)
    voicebatch.send(plan, sandbox=True)


def _calls(ledger: Ledger) -> Iterator[tuple[str, bytes]]:
    """A callback for everybody who was called: its body, and the whole request."""
    secret = ledger.callback_secret()
    query = select(attempts.c.id, attempts.c.campaign_id, batches.c.numbers).join(batches)
    with databases.transaction(ledger._engine, write=False) as connection:  # noqa: SLF001 # what the provider knows
        called = connection.execute(query).all()
    for attempt_id, campaign_id, numbers in called:
        path = urlsplit(wire.callback_url("http://a/calls", attempt_id, secret)).path
        for number in numbers.split(","):
            body = json.dumps(_said(campaign_id, number))
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            yield body, f"{head}\r\n\r\n{body}".encode()


def _said(campaign_id: str, number: str) -> Mapping[str, Any]:
    return {
        "campaignId": campaign_id,
        "status": "delivered",
        "additionnal_status": "VOICE_ANSWERED",
        "phoneNumber": f"00{number[1:]}",
        "sendAt": "2026-01-13 11:35:00",
        "doneAt": "2026-01-13 11:35:12",
        "duration": 6,
    }


# The listener


@contextlib.contextmanager
def _serving(*command: str) -> Iterator[str]:
    """Where the process listens, for as long as the ``with`` lasts. It gets no time to say goodbye."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["url"])
        finally:
            process.kill()


def _kill_in_between(pool: ProcessPoolExecutor, ledger_url: str, requests: Sequence[bytes]) -> None:
    sent: list[Future[Sent]] = []
    port = "0"
    for _ in range(_KILLS):
        with _serving(*_COMMAND, ledger_url, "--port", port) as url:
            sent = sent or _start(pool, url, requests)
            time.sleep(_BEGIN_SECONDS + 0.5)
        port = str(urlsplit(url).port)
    with _serving(*_COMMAND, ledger_url, "--port", port):
        assert sum(one.result().repeated for one in sent) > 0


def _check(ledger: Ledger, bodies: Iterable[str]) -> None:
    with databases.transaction(ledger._engine, write=False) as connection:  # noqa: SLF001 # every one, as it came
        kept = Counter(connection.execute(select(callbacks.c.body)).scalars())
    assert kept == Counter(bodies), "a callback is lost, or is there twice"
    told = Counter[Delivery]()
    for line in ledger.deliveries(ledger.find("latest").id):
        told[line.status] += line.people
    assert told == {Delivery.DELIVERED: kept.total()}


def serve_bare() -> None:
    """Answers at once, whatever comes, until it is killed."""
    import logging

    import waitress

    def answer(environ: Mapping[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(_ANSWER)))])
        return [_ANSWER]

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.create_server(answer, host="127.0.0.1", port=0, threads=_THREADS, asyncore_use_poll=True)
    print(json.dumps({"url": f"http://127.0.0.1:{server.effective_port}"}), flush=True)
    server.run()


# The senders


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(_SENDERS, mp_context=multiprocessing.get_context("spawn"))


def _seconds(pool: ProcessPoolExecutor, url: str, requests: Sequence[bytes]) -> float:
    """From the first sender's beginning to the last one's end."""
    sent = [one.result() for one in _start(pool, url, requests)]
    assert sum(one.repeated for one in sent) == 0
    return max(one.ended for one in sent) - min(one.began for one in sent)


def _start(pool: ProcessPoolExecutor, url: str, requests: Sequence[bytes]) -> list[Future[Sent]]:
    begin = time.monotonic() + _BEGIN_SECONDS
    return [pool.submit(send, url, requests[at::_SENDERS], begin) for at in range(_SENDERS)]


def send(url: str, requests: Sequence[bytes], begin: float) -> Sent:
    """Sends everything from then on, one request on each connection at a time, until each is answered with 200."""
    lines = [_Line(url) for _ in range(_CONNECTIONS)]
    waiting, repeated = deque(requests), 0
    time.sleep(max(0.0, begin - time.monotonic()))
    began = time.monotonic()
    while waiting:
        asked = [(line, waiting.popleft()) for line in lines[: len(waiting)]]
        for line, request in asked:
            line.send(request)
        failed = [request for line, request in asked if not line.is_taken()]
        waiting.extend(failed)
        repeated += len(failed)
        time.sleep(0.02 * bool(failed))
    return Sent(began=began, ended=time.monotonic(), repeated=repeated)


class _Line:
    """A connection that is kept, and made anew when it broke."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = str(parts.hostname), parts.port or 80
        self._socket: socket.socket | None = None

    def send(self, request: bytes) -> None:
        try:
            self._socket = self._socket or socket.create_connection(self._place, timeout=60)
            self._socket.sendall(request)
        except OSError:
            self._drop()

    def is_taken(self) -> bool:
        answer = b""
        try:
            while self._socket and not answer.endswith(b"}"):
                if not (some := self._socket.recv(4096)):
                    self._drop()
                answer += some
        except OSError:
            self._drop()
        return answer.startswith(b"HTTP/1.1 200") and answer.endswith(_ANSWER)

    def _drop(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None


if __name__ == "__main__":
    serve_bare()
