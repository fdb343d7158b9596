"""Which disks are this machine's own, and which are a network's; and what is on a disk for good."""

from __future__ import annotations

import os
from pathlib import Path

_NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "afs", "vboxsf", "virtiofs", "prl_fs")
)
_MOUNTS = Path("/proc/self/mountinfo")


def is_local(folder: Path) -> bool:
    """Whether `folder` lies on a disk of this machine; False for any file system that a program provides (`fuse`), and where the system
    does not tell."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return os.name == "nt" or os.uname().sysname == "Darwin"
    path = os.path.realpath(folder)
    kind, longest = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        where = before.split()[4].encode("latin-1", "replace").decode("unicode_escape")
        # Of several mounts on one place, the last hides the others.
        if len(where) >= longest and (path == where or path.startswith(where.rstrip("/") + "/")):
            kind, longest = after.split()[0], len(where)
    return kind != "" and kind not in _NETWORK and not kind.startswith("fuse")


def settle(path: Path) -> None:
    """Let a file, or a folder's list of names, outlast a loss of power. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
