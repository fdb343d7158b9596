"""Which names have to do with the same objects, so that a change made through one of them is a change of others."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .literals import words
from .mutation import shared
from .notebook_syntax import UNREADABLE, parse_expression
from .statements import Statement

_PART = re.compile(r"[^\W\d]\w*(?:\.\w+|\[[^\[\]]*\])+|")
# A display of a container, or the call of a class.
_CONTAINER = re.compile(
    r"\[[^\]]*\]|\{[^}]*\}|\([^)]*,[^)]*\)"
    r"|(?:list|tuple|set|frozenset|dict|sorted|deque|(?:\w+\.)*_*[A-Z]\w*)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)",
    re.DOTALL,
)
_KEY_STORE = re.compile(r"(?:del\s+)?[^\W\d]\w*(?:\.[^\W\d]\w*|\[\s*(?:f?([\"'])[^\"'\n]*\1)\s*\])\s*(?:$|[-+*/%&|]?=(?!=))")
_STORE = re.compile(r"(?:del\s+)?[^\W\d]\w*(?:\.i?loc|\.i?at|\.values)?\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]\s*(?:$|[-+*/%&|]{0,2}=(?!=))")
_OWN_METHOD = re.compile(
    r"[^\W\d]\w*\.(append|extend|insert|add|update|pop|popitem|popleft|remove|discard|clear|setdefault|sort|reverse|drop|fillna|rename"
    r"|dropna|drop_duplicates|reset_index|set_index|sort_values|sort_index|replace|eval|query)\("
)
_PUT = re.compile(
    r"(?<![\w.])([^\W\d]\w*)(?:\.\w+|\[[^\]]*\])*"
    r"\.(?:append|appendleft|insert|add|add_module|update|extend|setdefault|register|push|put)\("
)
_LONE_NAME = re.compile(r"(?<![\w.\"'])[^\W\d]\w*(?![\w(.\"'])")
_RESHAPING = words(
    "append extend insert add update pop popitem popleft remove discard clear setdefault drop rename dropna drop_duplicates reset_index "
    "set_index sort_values sort_index eval query"
)


class Sharing:
    """Names bound to one object, names that are a part or view of another's object, and names whose objects hold others."""

    def __init__(self) -> None:
        self._same: dict[str, set[str]] = {}
        self._bases: dict[str, set[str]] = {}
        self._views: dict[str, set[str]] = {}
        self._holders: dict[str, set[str]] = {}
        self._held: dict[str, set[str]] = {}
        self._renamed = 0

    def bind(self, statement: Statement, changes: Iterable[str], *, partly: bool) -> None:
        """Take in what a statement bound and changed: what its names shared before stays with the object, under a name of its own."""
        rebound = frozenset() if partly else (statement.writes | statement.deletes) - statement.conditional - statement.mutates
        before = {name: self._rename(name) for name in rebound if self._knows(name) or name in statement.reads}
        for name in statement.writes:
            source = statement.computed.get(name, "")
            behind = statement.aliases.get(name, frozenset())
            if name in before and name in statement.reads and source:
                behind |= _shared_by(source) & {name}
            # A name that the statement binds and does not read means its new object.
            others = {other if other in statement.writes - statement.reads else before.get(other, other) for other in behind}
            if statement.body:
                others |= behind
            if others := others - {name}:
                self._share(name, others, source)
        for name in changes if not statement.body else ():
            # What is put into an object is held by it from now on: `d["a"] = a`, `items.append(a)`.
            self._hold(before.get(name, name), {before.get(other, other) for other in _put_in(name, statement)} - {name})

    def _share(self, name: str, others: set[str], source: str) -> None:
        if source.isidentifier():
            together = {name, *others}.union(*(self._same.get(other, ()) for other in others))
            for one in together:
                self._same.setdefault(one, set()).update(together - {one})
        elif _CONTAINER.fullmatch(source):
            self._hold(name, others)
        else:
            if not _PART.fullmatch(source):
                self._hold(name, others)
            for other in others:
                self._bases.setdefault(name, set()).add(other)
                self._views.setdefault(other, set()).add(name)

    def _hold(self, name: str, others: Iterable[str]) -> None:
        for other in others:
            self._holders.setdefault(other, set()).add(name)
            self._held.setdefault(name, set()).add(other)

    def _knows(self, name: str) -> bool:
        return any(name in relation for relation in (self._same, self._bases, self._views, self._holders, self._held))

    def _rename(self, name: str) -> str:
        """Let what the name shared go on without the name."""
        self._renamed += 1
        new = f"{name} {self._renamed}"
        for relation, inverse in ((self._same, self._same), (self._bases, self._views), (self._holders, self._held)):
            for one, back in ((relation, inverse), (inverse, relation)):
                if name in one:
                    one[new] = one.pop(name)
                    for other in one[new]:
                        back[other] = (back[other] - {name}) | {new}
        return new

    def reached(self, changed: Iterable[str], statement: Statement) -> set[str]:
        """The names (of now and of before) whose values change when a statement changes these objects."""
        source = statement.source.lstrip()
        keyed = bool(_KEY_STORE.match(source)) and not statement.body
        own = _OWN_METHOD.match(source) if not statement.body else None
        deep = not (keyed or own or (_STORE.match(source) and not statement.body))
        parts = not (keyed or (own and own[1] in _RESHAPING))
        found: set[str] = set()
        waiting = [(name, parts) for name in changed]
        while waiting:
            name, spreads = waiting.pop()
            if name in found:
                continue
            found.add(name)
            waiting += [(other, spreads) for other in self._same.get(name, ())]
            waiting += [(other, True) for other in self._holders.get(name, ())]
            waiting += [(other, True) for other in self._bases.get(name, ())]
            if spreads:
                waiting += [(other, True) for other in self._views.get(name, ())]
            if deep:
                waiting += [(other, True) for other in self._held.get(name, ())]
        return found


def _shared_by(source: str) -> frozenset[str]:
    try:
        return shared(parse_expression(source))
    except UNREADABLE:
        return frozenset()


def _put_in(name: str, statement: Statement) -> frozenset[str]:
    """The names whose objects a statement puts into what `name` holds."""
    source = statement.source
    for call in _PUT.finditer(source):
        if call[1] == name:
            return frozenset(_LONE_NAME.findall(source, call.end(), max(source.rfind(")"), call.end()))) & statement.reads
    store = _KEY_STORE.match(source) or _STORE.match(source)
    value = source[store.end() :] if store else ""
    return frozenset(_LONE_NAME.findall(value)) & statement.reads if not re.search(r"[-+*/<>]", value) else frozenset()
