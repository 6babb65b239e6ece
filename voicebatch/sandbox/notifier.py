"""Sends callbacks from a few threads, over plain HTTP connections to this machine and to nothing else."""

from __future__ import annotations

import contextlib
import heapq
import http.client
import itertools
import socket
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from voicebatch.sandbox import notices
from voicebatch.sandbox.records import JSON, CallbackSent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from voicebatch.sandbox.notices import Notice
    from voicebatch.sandbox.records import Campaign

WORKERS: Final = 4
TIMEOUT: Final = 5.0  # seconds for connecting, and once more for every read of the answer
RETRIES: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before each further try at a callback that was not answered with a 2xx; after the last it is given up."""
_ANSWER_BYTES: Final = 64 * 1024
_CONNECTIONS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Job:
    """The callbacks of one number that are still to come: each waits for the end of the one before it."""

    due: float  # by time.monotonic()
    ordinal: int
    thread: tuple[Notice, ...] = field(compare=False)
    tries: int = field(default=0, compare=False)  # of the first of them


class Notifier:
    """Sends the callbacks of campaigns that left, ``delay`` seconds later. Any thread may call it.

    ``retries`` are the pauses before further tries. Its threads start with the first callback.
    """

    def __init__(self, *, delay: float, retries: Sequence[float], clock: Callable[[], datetime]) -> None:
        self._delay = delay
        self._retries = retries
        self._clock = clock
        self._change = threading.Condition()
        self._ordinals = itertools.count()
        self._jobs: list[_Job] = []
        self._under_way = 0
        self._sent: list[CallbackSent] = []
        self._skipped = 0
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._lines: list[_Line] = []

    @property
    def sent(self) -> tuple[CallbackSent, ...]:
        """Every try so far, in the order in which they ended."""
        with self._change:
            return tuple(self._sent)

    @property
    def skipped(self) -> int:
        """Callbacks that were not sent, because their address is not on this machine."""
        with self._change:
            return self._skipped

    @property
    def pending(self) -> int:
        """Numbers and voicemail campaigns whose callbacks are not at their end."""
        with self._change:
            return len(self._jobs) + self._under_way

    def take(self, campaign: Campaign) -> None:
        """Will send the callbacks of a campaign that left."""
        threads = notices.notices(campaign)
        with self._change:
            if threads and not notices.is_loopback(campaign.notify_url or ""):
                self._skipped += sum(map(len, threads))
            elif threads and not self._stopping:
                due = time.monotonic() + self._delay + notices.lateness(campaign)
                for thread in threads:
                    self._add(_Job(due=due, ordinal=next(self._ordinals), thread=thread))
                self._start()

    def wait(self, timeout: float) -> bool:
        """Waits until nothing is pending; whether that came within ``timeout`` seconds."""
        with self._change:
            return self._change.wait_for(lambda: not self._jobs and not self._under_way, timeout)

    def stop(self) -> None:
        """Ends every thread at once; what is pending is not sent any more."""
        with self._change:
            self._stopping = True
            self._jobs.clear()
            self._change.notify_all()
        for line in self._lines:
            line.cut()
        for thread in self._threads:
            thread.join()

    def _add(self, job: _Job) -> None:
        heapq.heappush(self._jobs, job)
        self._change.notify_all()

    def _start(self) -> None:
        while len(self._threads) < WORKERS:
            line = _Line()
            thread = threading.Thread(target=self._work, args=(line,), name="sandbox callbacks", daemon=True)
            self._lines.append(line)
            self._threads.append(thread)
            thread.start()

    def _work(self, line: _Line) -> None:
        with contextlib.closing(line):
            while job := self._next():
                self._end(self._tried(job, line))

    def _next(self) -> _Job | None:
        with self._change:
            while not self._stopping:
                wait = self._jobs[0].due - time.monotonic() if self._jobs else None
                if wait is not None and wait <= 0:
                    self._under_way += 1
                    return heapq.heappop(self._jobs)
                self._change.wait(wait)
            return None

    def _tried(self, job: _Job, line: _Line) -> _Job | None:
        """What is left of a job after one try."""
        notice, now = job.thread[0], time.monotonic()
        answer, error = line.send(notice)
        self._record(notice, job.tries + 1, answer, error)
        if not 200 <= answer < 300 and job.tries < len(self._retries):
            return replace(job, due=now + self._retries[job.tries], tries=job.tries + 1)
        return replace(job, due=now, thread=job.thread[1:], tries=0) if job.thread[1:] else None

    def _record(self, notice: Notice, attempt: int, answer: int, error: str) -> None:
        record = CallbackSent(
            at=self._clock(),
            campaign_id=notice.campaign_id,
            number=notice.number,
            status=notice.status,
            method=notice.method,
            url=notice.url,
            attempt=attempt,
            answer=answer,
            error=error,
        )
        with self._change:
            self._sent.append(record)

    def _end(self, rest: _Job | None) -> None:
        with self._change:
            self._under_way -= 1
            if rest and not self._stopping:
                self._add(rest)
            self._change.notify_all()


class _Line:
    """One worker's connection, kept while the address stays the same. It follows no redirect and knows no proxy."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None
        self._address: tuple[str, str | None, int | None] | None = None
        self._is_cut = False

    def send(self, notice: Notice) -> tuple[int, str]:
        """The HTTP status of the answer and nothing, or 0 and what went wrong."""
        try:
            return self._exchanged(notice, urlsplit(notice.url)), ""
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a path that HTTP cannot say
            self.close()
            return 0, type(error).__name__

    def cut(self) -> None:
        """Ends whatever it waits for. From another thread."""
        self._is_cut = True
        connected = self._connection and self._connection.sock
        if connected:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hangs up."""
        if self._connection:
            self._connection.close()

    def _exchanged(self, notice: Notice, url: SplitResult) -> int:
        connection = self._to(url)
        if connection.sock is None:
            connection.connect()
        if self._is_cut:
            raise ConnectionAbortedError
        path = f"{url.path or '/'}{'?' * bool(url.query)}{url.query}"
        body = notice.body.encode() or None
        connection.request(notice.method, path, body, {"Content-Type": JSON} if body else {})
        with connection.getresponse() as answer:
            answer.read(_ANSWER_BYTES)
            if answer.read(1):
                connection.close()
            return answer.status

    def _to(self, url: SplitResult) -> http.client.HTTPConnection:
        address = (url.scheme, url.hostname, url.port)
        if self._connection is None or address != self._address:
            self.close()
            self._connection = _CONNECTIONS[url.scheme](url.hostname or "", url.port, timeout=TIMEOUT)
            self._address = address
        return self._connection
