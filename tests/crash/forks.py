"""Processes that are forked from the tests' own, so that they start at once, and a trap that kills them."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from sqlalchemy import Engine, Pool, event
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

SECONDS: Final = 60
_READING: Final = ("SELECT", "PRAGMA")
_FILES: Final = frozenset({"open", "os.mkdir", "os.rename", "os.remove"})


def fork(work: Callable[[], object]) -> int:
    """Does the work in a fork of this process and returns its exit code, negative for a signal, as subprocess does.

    Nothing that is open here may be used there: connections are opened in ``work``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later: a fork of a process with threads
        pid = os.fork()
    if pid == 0:
        _be_the_child(work)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _be_the_child(work: Callable[[], object]) -> None:
    code = 1
    try:
        signal.alarm(SECONDS)  # whatever hangs is killed, and its code says so
        work()
        code = 0
    finally:
        if code:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)  # what the parent has in its buffers and hooks is the parent's


@dataclass(kw_only=True)
class Trap:
    """Kills its process at the ``at``-th point, counted from 1, and leaves word of which one it was in ``diary``."""

    at: int
    diary: Path
    passed: list[str] = field(default_factory=list)

    def point(self, what: str) -> None:
        """One more step was done, or is about to be."""
        self.passed.append(what)
        if len(self.passed) == self.at:
            self.diary.write_text(what, encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

    def watch_database(self) -> None:
        """Before every statement of every database, after those that change something, and around every commit."""
        event.listen(Engine, "before_cursor_execute", self._statement("before"))
        event.listen(Engine, "after_cursor_execute", self._statement("after", unless=_READING))
        event.listen(Engine, "commit", lambda _: self.point("before COMMIT"))
        # The connection goes back right after its transaction's end.
        event.listen(Pool, "reset", lambda *_: self.point("after the transaction"))

    def _statement(self, when: str, unless: tuple[str, ...] = ()) -> Callable[..., None]:
        def noticed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if not statement.lstrip().startswith(unless):
                self.point(f"{when} {' '.join(statement.split())[:60]}")

        return noticed

    def watch_files(self, folder: Path) -> None:
        """Before every file of the folder is opened or renamed. For good: an audit hook cannot be taken away."""

        def hook(name: str, arguments: tuple[Any, ...]) -> None:
            if name in _FILES and str(arguments[0]).startswith(str(folder)):
                self.point(f"before {name} of {Path(str(arguments[0])).name}")

        sys.addaudithook(hook)

    def session(self) -> requests.Session:
        """A session with points around the request and in the middle of it."""
        session = _Session(self)
        session.mount("http://", _Adapter(self))
        return session


class _Session(requests.Session):
    def __init__(self, trap: Trap) -> None:
        super().__init__()
        self.trust_env = False
        self._trap = trap

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        self._trap.point("before the request")
        answer = super().send(request, **how)
        self._trap.point("after the answer")
        return answer


class _Adapter(HTTPAdapter):
    def __init__(self, trap: Trap) -> None:
        super().__init__(max_retries=0)
        self.poolmanager.pool_classes_by_scheme = {"http": _pool_class(trap)}


def _pool_class(trap: Trap) -> type[HTTPConnectionPool]:
    class Connection(HTTPConnection):
        def send(self, data: Any) -> None:
            trap.point("before a part of the request is written")
            super().send(data)

        def getresponse(self) -> Any:
            trap.point("the request is written")
            return super().getresponse()

    class Connections(HTTPConnectionPool):
        ConnectionCls = Connection

    return Connections
