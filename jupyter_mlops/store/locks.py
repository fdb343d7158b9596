"""File locks that say whether a process lives: the operating system frees them however it ends.

POSIX record locks (`fcntl.lockf`), because children made by fork do not inherit them. Their trap: a process that opens and closes
a file it has locked loses the lock, so this process's own locks are known here and their files are never opened a second time.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from ..errors import StoreError

_held: dict[str, int] = {}

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def hold(path: Path) -> int | None:
    """Lock the file at `path`, made if absent; its descriptor, or None when another process has it.

    Raises OSError when the file cannot be made, and StoreError where the file system has no locks. The lock lasts until `release`, or
    until the process ends.
    """
    if held_here(path):
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _take(descriptor)
    except OSError as error:
        os.close(descriptor)
        _only_held(path, error)
        return None
    _held[str(path)] = os.getpid()
    return descriptor


def renew(descriptor: int) -> None:
    """Take a held lock again, which costs nothing while it is held: the user's code may have opened and closed the file, which frees it."""
    try:
        _take(descriptor)
    except OSError:
        return


def stands(descriptor: int) -> bool:
    """Whether the file of a held lock is still there: one that was deleted elects nobody any more."""
    return os.fstat(descriptor).st_nlink > 0


def release(path: Path, descriptor: int) -> None:
    """Give up a lock that `hold` gave."""
    _held.pop(str(path), None)
    os.close(descriptor)


def held_here(path: Path) -> bool:
    """Whether this very process holds the lock."""
    return _held.get(str(path)) == os.getpid()


def is_held(path: Path) -> bool:
    """Whether any living process holds the lock at `path`. Raises StoreError where the file system has no locks."""
    if held_here(path):
        return True
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return False
    try:
        _take(descriptor)
    except OSError as error:
        _only_held(path, error)
        return True
    finally:
        os.close(descriptor)
    return False


def _only_held(path: Path, error: OSError) -> None:
    if error.errno not in (errno.EACCES, errno.EAGAIN):
        why = error.strerror or error
        raise StoreError(
            f"The disk of {path.parent} has no file locks ({why}): move the project to a local disk, or mount it with locks."
        ) from error
