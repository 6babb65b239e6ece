"""The one thread that writes: whoever comes while a transaction is under way shares the next one.

A commit costs a write to the disk whatever it holds, so under load many callbacks share one, and alone a callback waits
for nobody.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final

from voicebatch.callbacks.records import Limits, Receipt, Take, Unavailable
from voicebatch.errors import LedgerError
from voicebatch.models import Callback

_LOG: Final = logging.getLogger(__name__)
_Waiting = tuple[Callback, "Future[Receipt]"]


class Writer:
    """Puts callbacks into the ledger. ``on_kept`` hears of each that is in it, from the thread that wrote it."""

    def __init__(self, take: Take, *, on_kept: Callable[[Callback, Receipt], object], limits: Limits) -> None:
        self._take = take
        self._on_kept = on_kept
        self._limits = limits
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(limits.waiting)
        self._writing_since: float | None = None
        self._is_failing = False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Writes for as long as the ``with`` lasts, and what waits at its end."""
        thread = threading.Thread(target=self._run, name="callbacks writer", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(queue.Full):  # then the ledger hangs, and nobody waits for it any more
                self._queue.put(None, timeout=self._limits.wait_seconds)
            thread.join(self._limits.wait_seconds)

    def write(self, callback: Callback) -> Receipt:
        """Returns when the callback is in the ledger. Raises ``Unavailable`` when that takes too long or fails.

        Then it may get there still: what was given up is written when its turn comes, and its repetition changes
        nothing.
        """
        if self.is_stuck:
            raise Unavailable  # at once: a thread that waits as well is missed by who asks for something else
        written: Future[Receipt] = Future()
        try:
            self._queue.put_nowait((callback, written))
            return written.result(self._limits.wait_seconds)
        except (queue.Full, TimeoutError):
            raise Unavailable from None

    @property
    def is_stuck(self) -> bool:
        """Whether the transaction under way takes longer than anybody waits."""
        since = self._writing_since
        return since is not None and time.monotonic() - since > self._limits.wait_seconds

    @property
    def is_failing(self) -> bool:
        """Whether the ledger did not take the last group: it may be read, and its disk is full."""
        return self._is_failing

    def waiting(self) -> int:
        """How many wait for the next transaction."""
        return self._queue.qsize()

    def _run(self) -> None:
        is_open = True
        while is_open:
            found = [self._queue.get(), *self._rest()]
            is_open = None not in found
            if group := [waiting for waiting in found if waiting]:
                self._write(group)

    def _rest(self) -> Iterator[_Waiting | None]:
        with contextlib.suppress(queue.Empty):
            for _ in range(self._limits.group - 1):
                yield self._queue.get_nowait()

    def _write(self, group: Sequence[_Waiting]) -> None:
        self._writing_since = time.monotonic()
        try:
            kept = list(zip(group, self._take([callback for callback, _ in group]), strict=True))
        except Exception as error:  # noqa: BLE001 # the thread has to outlive whatever it is; nobody is told "kept"
            self._fail(group, error)
            return
        finally:
            self._writing_since = None
        self._recover()
        for (callback, written), receipt in kept:
            self._on_kept(callback, receipt)  # first: whoever is answered finds it counted
            written.set_result(receipt)

    def _fail(self, group: Sequence[_Waiting], error: Exception) -> None:
        if not self._is_failing:  # said once, not for each of thousands
            _LOG.warning("Callbacks are answered with 503 until the ledger takes them: %s", in_words(error))
        self._is_failing = True
        for _, written in group:
            written.set_exception(Unavailable())

    def _recover(self) -> None:
        if self._is_failing:
            _LOG.warning("The ledger takes callbacks again.")
        self._is_failing = False


def in_words(error: Exception) -> str:
    """What failed, without what others put into their messages: that may be a number."""
    if isinstance(error, LedgerError):
        return error.message
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {where.name}, line {where.lineno} of {where.filename}"
