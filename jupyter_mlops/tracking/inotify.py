"""The part of Linux's inotify(7) that watching needs, by ctypes.

The packages that wrap it add nothing here: inotify_simple is the same three calls, watchdog reads and dispatches every event in Python
on threads of its own, which takes the interpreter from the user's loop.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections import Counter
from functools import cache

ACCESS, MODIFY, OPEN = 0x1, 0x2, 0x20
MOVED_FROM, MOVED_TO, CREATE = 0x40, 0x80, 0x100
OVERFLOW, IGNORED, IS_FOLDER, ONCE = 0x4000, 0x8000, 0x40000000, 0x80000000
_EXCLUDE_UNLINKED = 0x4000000

_HEADER = struct.Struct("iIII")
_CHUNK = 1 << 16


class Inotify:
    """One queue of file events; reading never blocks."""

    def __init__(self) -> None:
        self.descriptor = _checked(_library().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._buffer = ctypes.create_string_buffer(_CHUNK)

    def add(self, path: str, mask: int) -> int:
        """Watches a file or folder, or changes what it is watched for; returns the watch's number. Raises OSError."""
        return _checked(_library().inotify_add_watch(self.descriptor, os.fsencode(path), mask | _EXCLUDE_UNLINKED))

    def change(self, path: str, mask: int) -> int:
        """As `add`, at once, without letting another thread of Python run first: for a cell that goes on meanwhile."""
        return _checked(_holding().inotify_add_watch(self.descriptor, os.fsencode(path), mask | _EXCLUDE_UNLINKED))

    def remove(self, watch: int) -> None:
        """Ends a watch; one that has ended already is all right."""
        _library().inotify_rm_watch(self.descriptor, watch)

    def read(self) -> Counter[tuple[int, int, bytes]]:
        """The events that wait as (watch, mask, name), each with how often it came, in the order of the first ones."""
        events: Counter[tuple[int, int, bytes]] = Counter()
        while (size := _holding().read(self.descriptor, self._buffer, _CHUNK)) > 0:
            data = ctypes.string_at(self._buffer, size)
            at = 0
            while at < size:
                watch, mask, _, length = _HEADER.unpack_from(data, at)
                at += _HEADER.size + length
                events[watch, mask, data[at - length : at]] += 1
        return events

    def close(self) -> None:
        os.close(self.descriptor)


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
    return library


@cache
def _holding() -> ctypes.PyDLL:
    """The same functions, called without letting go of the interpreter.

    A thread that lets go of it gets it back up to 5 ms later while a cell computes, and these calls take a microsecond.
    """
    library = ctypes.PyDLL(None, use_errno=True)
    library.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
    library.read.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
    library.read.restype = ctypes.c_ssize_t
    return library


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
