"""Which object each of the user's names is bound to, remembered without keeping the objects alive."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

_OF_IPYTHON = re.compile(r"In|Out|_+|_i+|_i?\d+|_oh|_ih|_dh|exit|quit|get_ipython|__.*__")


def is_users(name: str) -> bool:
    """Whether a name is the user's own, not one that IPython itself keeps changing."""
    return not _OF_IPYTHON.fullmatch(name)


class Bindings:
    """The bindings in one namespace. IPython leaves names behind with every cell, so only those that are new are looked through."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._last, self._size = "", 0
        self._objects: dict[str, int] = {}

    def remember(self, namespace: dict[str, Any]) -> None:
        """Note what every name is bound to now."""
        self._find(namespace)
        self._objects = {name: id(namespace[name]) for name in self._known if name in namespace}

    def changed(self, namespace: dict[str, Any]) -> tuple[set[str], set[str]]:
        """The names bound anew since `remember`, and the names that are gone."""
        self._find(namespace)
        gone = {name for name in self._known if name not in namespace}
        self._known -= gone
        return {name for name in self._known if self._objects.get(name) != id(namespace[name])}, gone & self._objects.keys()

    def _find(self, namespace: dict[str, Any]) -> None:
        """Learn the new names. A dict keeps its order, so they stand last, unless its size tells that others were deleted."""
        try:
            fresh = list(takewhile(self._last.__ne__, reversed(namespace)))
        except RuntimeError:  # another thread binds a name at this moment
            fresh = []
        if len(fresh) != len(namespace) - self._size:
            fresh = list(namespace)[::-1]
        self._known.update(filter(is_users, fresh))
        self._size = len(namespace)
        self._last = fresh[0] if fresh else self._last
