"""Who holds a batch, and whether that process still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Worker:
    """A process: its host, its process id, and when it started, because process ids come back."""

    host: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> Worker:
        """This process."""
        pid = os.getpid()
        return cls(host=_host(), pid=pid, started=_started(pid))

    @classmethod
    def parse(cls, name: str) -> Worker:
        """Reads what ``str`` wrote."""
        host, pid, started = name.rsplit(" ", 2)
        return cls(host=host, pid=int(pid), started=started)

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started}"

    def is_gone(self) -> bool:
        """Whether this is a process of this host that certainly ended; never true for another host's."""
        return self.host == _host() and _started(self.pid) != self.started


def _host() -> str:
    """The host's name, its boot and its name space of process ids: containers may share a name."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not (boot.exists() and namespace.exists()):
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot.read_text()[:8]}/{namespace.stat().st_ino}"


def _started(pid: int) -> str:
    """When the process started, empty if it ended. On Linux in ticks since the boot: a stepped clock moves nothing."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        return _ticks(stat)
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""


def _ticks(stat: Path) -> str:
    try:
        state, *fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in {"Z", "X"} else fields[18]
