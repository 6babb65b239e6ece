"""Several processes of this machine that send one run together. Each is a worker; this one only looks after them.

They share the queue, the limit, the ceiling and the stop through the ledger, like workers of several machines. What a
worker is told goes through its standard input, for a process list shows arguments. That end stays open as long as we
live: when it closes, whyever, the worker finishes its requests in flight and ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voicebatch.errors import GuardError, LedgerError, VoicebatchError
from voicebatch.models import Progress, RateLimit
from voicebatch.pricing import Prices, total

if TYPE_CHECKING:
    from voicebatch.sending import Sender

_LOG: Final = logging.getLogger(__name__)
_ROOT: Final = Path(__file__).parents[2]  # a worker has to be of the same voicebatch, wherever that was found
_LOOK_SECONDS: Final = 0.2  # for a stop, which may come from a signal
SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Those that ask to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a worker has to know. ``level`` is from which level on it tells its log."""

    ledger: str = field(repr=False)
    run_id: str
    base_url: str
    api_key: str = field(repr=False)
    notify_url: str | None
    timeout: float
    concurrency: int
    limiter: str
    limits: Sequence[RateLimit]
    prices: Prices
    level: int


Told = Progress | VoicebatchError | tuple[int, str] | None
"""What a worker says: how far it is, why it cannot go on, a line of its log with the level; ``None`` at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """So many workers, who send as ``sender`` would. ``job`` is what each is told."""

    count: int
    sender: Sender
    job: Job

    def drain(self, run_id: str, start: Progress) -> None:
        """Returns when all workers have ended. Raises what stopped one of them, and then the others end as well.

        A worker that is killed stops nobody: what it had under way is unknown at once.
        """
        sender = self.sender
        sender.begin(run_id, start)  # we are at work until they have ended: nobody else takes himself for alone
        try:
            self._drain(run_id, start)
        finally:
            with contextlib.suppress(LedgerError):
                sender.end(run_id)

    def _drain(self, run_id: str, start: Progress) -> None:
        needed = min(self.count, max(1, self.sender.ledger.queued_requests(run_id)))
        said: queue.Queue[tuple[_Hand, Told]] = queue.Queue()
        with contextlib.ExitStack() as ends, contextlib.ExitStack() as dismissals:
            hands = []
            for _ in range(needed):
                hands.append(ends.enter_context(_hand(self.job, said.put)))
                dismissals.callback(hands[-1].dismiss)  # all of them, before the first is waited for
            self._follow(hands, said, start)

    def _follow(self, hands: Sequence[_Hand], said: queue.Queue[tuple[_Hand, Told]], start: Progress) -> None:
        board, errors = _Board(start, self.sender.on_progress), list[VoicebatchError]()
        at_work = set(hands)
        while at_work:
            if errors or self.sender.stop.is_set():
                for hand in at_work:
                    hand.dismiss()
            with contextlib.suppress(queue.Empty):
                hand, told = said.get(timeout=_LOOK_SECONDS)
                match told:
                    case Progress():
                        board.show(hand, told)
                    case VoicebatchError():
                        errors.append(told)
                    case (level, line):
                        _LOG.log(level, "%s", line)
                    case None:
                        at_work.remove(hand)
                        board.gone(hand)
                        self._see_off(hand)
        if errors:
            raise errors[0]

    def _see_off(self, hand: _Hand) -> None:
        if code := hand.popen.wait():
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            _LOG.warning("A worker ended before its work did (%s). What it had under way is unknown.", how)
            self.sender.ledger.give_up_lost(now=self.sender.clock.now(), is_gone=self.sender.is_gone)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Hand:
    """One worker's process."""

    popen: subprocess.Popen[bytes]

    def dismiss(self) -> None:
        """It ends after its requests in flight."""
        with contextlib.suppress(OSError):
            assert self.popen.stdin is not None  # noqa: S101 # for the type checker: it is a pipe
            self.popen.stdin.close()


@contextlib.contextmanager
def _hand(job: Job, tell: Callable[[tuple[_Hand, Told]], object]) -> Iterator[_Hand]:
    """A worker, who has ended at the end of the ``with``."""
    hand = _Hand(popen=_start())
    listener = threading.Thread(target=_listen, args=(hand, tell), daemon=True)
    try:
        listener.start()
        with contextlib.suppress(OSError):  # it ended already
            assert hand.popen.stdin is not None  # noqa: S101 # for the type checker
            pickle.dump(job, hand.popen.stdin)
            hand.popen.stdin.flush()
        yield hand
    finally:
        hand.dismiss()
        hand.popen.wait()
        listener.join()


def _start() -> subprocess.Popen[bytes]:
    """With signals held back until it can handle them: one to all of the process group may come at any moment."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if hasattr(signal, "pthread_sigmask") else None
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "voicebatch.app.working"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        )
    except OSError as error:
        raise GuardError(
            f"A worker cannot be started: {error.strerror}. What is queued stays queued.",
            hint="Go on: voicebatch resume RUN with fewer --workers",
        ) from error
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _environment() -> dict[str, str]:
    """Without our own variables: what they say a worker is told, and some are secrets."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOICEBATCH_")}
    return inherited | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])}


def _listen(hand: _Hand, tell: Callable[[tuple[_Hand, Told]], object]) -> None:
    assert hand.popen.stdout is not None  # noqa: S101 # for the type checker
    try:
        with hand.popen.stdout as said, contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                tell((hand, pickle.load(said)))  # noqa: S301 # from our own process
    finally:
        tell((hand, None))


class _Board:
    """How far all of them are together, shown after every change."""

    def __init__(self, start: Progress, show: Callable[[Progress], None]) -> None:
        self._start, self._show = start, show
        self._of: dict[_Hand, Progress] = {}
        self._ended: list[Progress] = []
        show(start)

    def show(self, hand: _Hand, now: Progress) -> None:
        self._of[hand] = now
        self._show(self._whole())

    def gone(self, hand: _Hand) -> None:
        """What it did counts; it waits for nothing any more."""
        if hand in self._of:
            self._ended.append(replace(self._of.pop(hand), waiting_until=None))

    def _whole(self) -> Progress:
        parts = [self._start, *self._ended, *self._of.values()]
        waiting = [one for one in self._of.values() if one.waiting_until]
        counts: dict[str, Any] = {
            name: sum(getattr(one, name) for one in parts) for name in ("done", "accepted", "refused", "unknown")
        }
        all_wait = waiting and len(waiting) == len(self._of)
        first = min(waiting, key=lambda one: str(one.waiting_until)) if all_wait else self._start
        return replace(
            self._start,
            **counts,
            cost=total(one.cost for one in parts),
            currency=next((one.currency for one in parts if one.currency), ""),
            waiting_until=first.waiting_until,
            waiting_for=first.waiting_for,
        )
