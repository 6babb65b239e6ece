"""Whether a file system keeps SQLite's promises: locks that hold, and memory that all users of a file share."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, NamedTuple

import psutil

from voicebatch.errors import LedgerError

NETWORK: Final = frozenset(
    {
        *("afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"),
        *("nfs4", "ocfs2", "smb3", "smbfs", "webdav", "fuse.ceph", "fuse.davfs", "fuse.gcsfuse", "fuse.glusterfs"),
        *("fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
"""Types, as the system calls them, that other machines write to. Source: https://sqlite.org/wal.html, "WAL does not
work over a network filesystem". A container's or virtual machine's own (overlay, 9p, virtiofs) and tmpfs are local.
"""


class Mount(NamedTuple):
    """A mounted file system, or a single file that is mounted by itself."""

    mountpoint: str
    fstype: str


def refuse_unsafe(path: Path) -> None:
    """Raises ``LedgerError`` when SQLite could not keep its promises for this file."""
    real = path.resolve()  # SQLite follows links too
    mounts = (Mount(found.mountpoint, found.fstype) for found in psutil.disk_partitions(all=True))
    if fault := fault_of(real, mounts) or _fault_of_names(real) or _fault_of_locks(real.parent):
        raise LedgerError(
            f"The ledger {path} is {fault}.",
            hint="Put it in a folder of a local disk (--ledger PATH), or on a server: "
            "--ledger postgresql://USER@HOST/DATABASE",
        )


def fault_of(path: Path, mounts: Iterable[Mount]) -> str | None:
    """What is wrong with this place for a ledger, by the innermost of the mounts around it."""
    around = [mount for mount in mounts if path.is_relative_to(mount.mountpoint)]
    innermost = max(around, key=lambda mount: len(mount.mountpoint), default=None)
    if innermost is None:
        return None
    if Path(innermost.mountpoint) == path:
        return "mounted as a single file, without the files that SQLite keeps beside it"
    if innermost.fstype.lower() in NETWORK:
        return f"on a network file system ({innermost.fstype}), where two machines would not see each other's work"
    return None


def _fault_of_names(path: Path) -> str | None:
    """SQLite keeps its log beside the name by which the file was opened: by two names there would be two."""
    with contextlib.suppress(OSError):
        if path.stat().st_nlink > 1:
            return "a file with several names (hard links), by which two processes would not see each other's work"
    return None


def _fault_of_locks(folder: Path) -> str | None:
    """Tries a lock on a file beside the ledger: closing the ledger itself would drop SQLite's locks on it."""
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".voicebatch-") as file:
            return _fault_of_lock(file)
    except OSError as error:
        return f"in a folder that cannot be written, and SQLite keeps files beside it: {error.strerror}"


def _fault_of_lock(file: IO[bytes]) -> str | None:
    if sys.platform == "win32":
        return None  # locks are the system's there
    import fcntl

    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return f"on a file system without locks ({error.strerror})"
    return None
