"""Which files this very process opens, natively too: the part of Linux's fanotify(7) that needs no rights (from Linux 5.13 on), by ctypes.

inotify, which tells all else, does not tell whose an open is. Where this cannot be had (another system, a file system without handles,
a container that forbids it), nobody knows, and that is said.
"""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache

_FLAGS = 0x1 | 0x2 | 0x200 | 0x400 | 0x800  # close on exec, never block; events name the folder by its handle, and the file in it
_ADD = 0x1
_OPEN, _OF_CHILDREN, _OVERFLOW = 0x20, 0x0800_0000, 0x4000
_HERE = -100
_NAMED = 2
_HANDLE_BYTES = 128
_CHUNK = 1 << 16

_EVENT = struct.Struct("IBBHQii")
_INFO = struct.Struct("BBH")
_HANDLE = struct.Struct("Ii")
_FILE_SYSTEM = 8

_Handle = tuple[int, bytes]


class OwnOpens:
    """A queue of opens in watched folders. Raises OSError where it cannot be made; reading never blocks."""

    def __init__(self) -> None:
        self._descriptor = _checked(_library().fanotify_init(_FLAGS, os.O_RDONLY))
        self._folders: dict[_Handle, str] = {}
        self._complete = True
        self._pid = os.getpid()

    def watch(self, folder: str) -> None:
        """Tell of the files in a folder, too; where that cannot be, nothing is complete any more."""
        try:
            handle = _handle_of(folder)
            _checked(_library().fanotify_mark(self._descriptor, _ADD, _OPEN | _OF_CHILDREN, _HERE, os.fsencode(folder)))
        except OSError:
            self._complete = False
        else:
            self._folders.setdefault(handle, folder)

    def collect(self) -> set[str] | None:
        """The files that this process opened since the last call, or None when some may be missing."""
        found: set[str] = set()
        complete = self._complete
        while True:
            try:
                data = os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                return found if complete else None
            at = 0
            while at < len(data):
                length, _, _, head, mask, _, pid = _EVENT.unpack_from(data, at)
                if mask & _OVERFLOW:
                    complete = False
                elif pid == self._pid:
                    found.update(self._paths(data[at + head : at + length]))
                at += length

    def close(self) -> None:
        """End it."""
        os.close(self._descriptor)

    def _paths(self, infos: bytes) -> list[str]:
        found = []
        while infos:
            kind, _, length = _INFO.unpack_from(infos)
            if kind == _NAMED:
                told = infos[_INFO.size + _FILE_SYSTEM : length]
                size, handle_kind = _HANDLE.unpack_from(told)
                end = _HANDLE.size + size
                folder = self._folders.get((handle_kind, told[_HANDLE.size : end]))
                name = os.fsdecode(told[end:].partition(b"\0")[0])
                if folder is not None and name:
                    found.append(f"{folder}/{name}")
            infos = infos[length:]
        return found


def _handle_of(folder: str) -> _Handle:
    """What the system calls a folder, whatever its path."""
    room = ctypes.create_string_buffer(_HANDLE.pack(_HANDLE_BYTES, 0), _HANDLE.size + _HANDLE_BYTES)
    mount = ctypes.c_int()
    _checked(_library().name_to_handle_at(_HERE, os.fsencode(folder), room, ctypes.byref(mount), 0))
    size, kind = _HANDLE.unpack_from(room.raw)
    return kind, room.raw[_HANDLE.size : _HANDLE.size + size]


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.fanotify_mark.argtypes = (ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p)
    library.name_to_handle_at.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    return library


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
