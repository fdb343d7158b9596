"""Which object each of the user's names is bound to, remembered without keeping the objects alive."""

from __future__ import annotations

import re
from itertools import compress, takewhile
from operator import itemgetter, ne
from typing import Any

_OF_IPYTHON = re.compile(r"In|Out|_+|_i+|_i?\d+|_oh|_ih|_dh|exit|quit|get_ipython|__.*__")


def is_users(name: str) -> bool:
    """Whether a name is the user's own, not one that IPython itself keeps changing."""
    return not _OF_IPYTHON.fullmatch(name)


class Bindings:
    """The bindings in one namespace. IPython leaves names behind with every cell, so only those that are new are looked through."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self._last, self._size = "", 0
        self._names: tuple[str, ...] = ()
        self._objects: tuple[int, ...] = ()

    def remember(self, namespace: dict[str, Any]) -> None:
        """Note what every name is bound to now."""
        self._find(namespace)
        try:
            self._objects = _objects(tuple(self._known), namespace)
        except KeyError:
            self._known = {name: None for name in self._known if name in namespace}
            self._objects = _objects(tuple(self._known), namespace)
        self._names = tuple(self._known)

    def changed(self, namespace: dict[str, Any]) -> tuple[set[str], set[str]]:
        """The names bound anew since `remember`, and the names that are gone."""
        self._find(namespace)
        try:
            bound = set(compress(self._names, map(ne, self._objects, _objects(self._names, namespace))))
            gone = set[str]()
        except KeyError:
            before = dict(zip(self._names, self._objects, strict=True))
            gone = {name for name in before if name not in namespace}
            bound = {name for name, known in before.items() if name not in gone and id(namespace[name]) != known}
        new = [name for name in list(self._known)[len(self._names) :] if name in namespace]
        return bound.union(new), gone

    def _find(self, namespace: dict[str, Any]) -> None:
        """Learn the new names. A dict keeps its order, so they stand last, unless its size tells that others were deleted."""
        try:
            fresh = list(takewhile(self._last.__ne__, reversed(namespace)))
        except RuntimeError:  # another thread binds a name at this moment
            fresh = []
        if len(fresh) != len(namespace) - self._size:
            fresh = list(namespace)[::-1]
        self._known.update(dict.fromkeys(filter(is_users, reversed(fresh))))
        self._size = len(namespace)
        self._last = fresh[0] if fresh else self._last


def _objects(names: tuple[str, ...], namespace: dict[str, Any]) -> tuple[int, ...]:
    """The identities of what the names are bound to; raises KeyError when one is gone. No name costs a step of Python."""
    if len(names) < 2:
        return tuple(id(namespace[name]) for name in names)
    return tuple(map(id, itemgetter(*names)(namespace)))
