"""What a worker's process does, ``python -m voicebatch.app.working``: see ``workers``, which starts it."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import sys
import threading
from functools import partial
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from voicebatch.app.addresses import callback_urls, network_to
from voicebatch.app.clocks import LedgerClock
from voicebatch.app.workers import SIGNALS, Job, Told
from voicebatch.errors import VoicebatchError
from voicebatch.ledger import Worker
from voicebatch.ledger.store import Ledger
from voicebatch.models import Progress
from voicebatch.pipeline.plan import estimate_batch
from voicebatch.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable


class _Pipe:
    """Our way to who started us. When nobody is there any more, that is the sign to stop."""

    def __init__(self, pipe: IO[bytes], stop: threading.Event) -> None:
        self._pipe, self._stop, self._lock = pipe, stop, threading.Lock()

    def tell(self, told: Told) -> None:
        try:
            with self._lock:
                pickle.dump(told, self._pipe)
                self._pipe.flush()
        except OSError:
            self._stop.set()


class _Log(logging.Handler):
    """Tells every line to who started us, whose log it is."""

    def __init__(self, tell: Callable[[Told], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Without the traceback: it is for who asks this process itself."""
        self._tell((record.levelno, record.getMessage()))


class _SharedLedger(Ledger):
    """Who started us has let the run go on and set its ceiling: who begins late does not undo another one's stop."""

    def join(self, run_id: str, *, worker: Worker, now: Any, **_: Any) -> None:
        """Only that the worker is there."""
        self.come_along(run_id, worker=worker, now=now)


def work(job: Job, pipe: _Pipe, stop: threading.Event) -> None:
    """Sends until nothing is queued, or ``stop`` is set."""
    with contextlib.closing(_SharedLedger(job.ledger)) as ledger:
        run = ledger.find(job.run_id)
        network = network_to(job.base_url, job.api_key, run, timeout=job.timeout)
        sender = Sender(
            ledger=ledger,
            network=network,
            clock=LedgerClock(ledger),
            worker=Worker.current(),
            limiter=job.limiter,
            limits=job.limits,
            timeout_seconds=2 * job.timeout,  # to connect, and to read
            stop=stop,
            concurrency=job.concurrency,
            estimate=partial(estimate_batch, job.prices),
            notify_url=callback_urls(job.notify_url, ledger),
            on_progress=pipe.tell,
        )
        sender.drain(run.id, Progress(stage="sending"))


def _handle_signals(stop: threading.Event) -> None:
    """The first asks to stop, a second one ends us at once: the ledger knows what we did."""

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in SIGNALS:
        signal.signal(number, handle)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _stop_with(questions: int, stop: threading.Event) -> None:
    """Waits for the end of who started us, or for being dismissed: both close the pipe."""
    with contextlib.suppress(OSError):
        while os.read(questions, 1):
            pass
    stop.set()


def main() -> None:
    """Reads the job, does it, and tells what stopped it."""
    stop = threading.Event()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints: it is not for the pipe
    _handle_signals(stop)
    pipe = _Pipe(answers, stop)
    try:
        job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 # from who started us
    except EOFError:  # who ended before it could tell
        return
    logging.basicConfig(handlers=[_Log(pipe.tell)], level=logging.WARNING)
    logging.getLogger("voicebatch").setLevel(job.level)
    threading.Thread(target=_stop_with, args=(sys.stdin.fileno(), stop), daemon=True).start()
    try:
        work(job, pipe, stop)
    except VoicebatchError as error:
        pipe.tell(error)


if __name__ == "__main__":
    main()
