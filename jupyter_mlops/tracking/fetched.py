"""Keeps the frames and arrays that network and database statements give, as they come: they cannot be had again."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Callable, Mapping
from typing import Any

from ..code.fetching import Fetch, fetches, fetching_functions
from ..records import Input

KEEPER = "__mlops_fetched__"
_NUMBERS = (int, float, complex, type(None))

Keep = Callable[[str, Any, str, int, Callable[[Input], None]], bool]


class FetchKeeper:
    """An IPython AST transformer: `df = read_sql(...)` becomes `df = came(read_sql(...))`, which hands the value on unchanged.

    `keep(name, value, source, mark, ready)` freezes a value and tells whether it is data; `namespace` is the user's. `items` are the
    snapshots that the running cell was given so far, by name.
    """

    def __init__(
        self,
        keep: Keep,
        namespace: Mapping[str, Any],
        enabled: Callable[[], bool],
        on_trouble: Callable[[BaseException], None],
    ) -> None:
        self._keep, self._namespace, self._enabled, self._on_trouble = keep, namespace, enabled, on_trouble
        self._fetches: list[tuple[Fetch, str]] = []
        self._functions: frozenset[str] = frozenset()
        self._raw: set[str] = set()
        self.items: dict[str, list[Input]] = {}

    def install(self) -> None:
        """Make the keeper known to all code of this process."""
        setattr(builtins, KEEPER, self)

    def new_cell(self) -> None:
        """Forget what came for the last cell."""
        self.items.clear()

    def visit(self, tree: ast.AST) -> ast.AST:
        """The tree of a cell, changed where it fetches; what IPython asks of a transformer."""
        try:
            return self._module(tree) if isinstance(tree, ast.Module) and self._enabled() else tree
        except Exception as error:
            self._on_trouble(error)
            return tree

    def _module(self, tree: ast.Module) -> ast.Module:
        found = fetches(tree, self._namespace.get, self._functions | self._raw)
        self._functions |= fetching_functions(tree)
        if not found:
            return tree
        numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}
        changed = copy.deepcopy(tree)
        nodes = list(ast.walk(changed))
        for fetch in found:
            node = nodes[numbers[id(fetch.node)]]
            assert isinstance(node, (ast.Assign, ast.AnnAssign))
            assert node.value is not None
            source = ast.unparse(fetch.node)[:200]
            self._fetches.append((fetch, source))
            function = ast.Attribute(ast.Name(KEEPER, ast.Load()), "came", ast.Load())
            node.value = ast.copy_location(ast.Call(function, [ast.Constant(len(self._fetches) - 1), node.value], []), node.value)
        return ast.fix_missing_locations(changed)

    def came(self, index: int, value: Any) -> Any:
        """What the statement `index` gives; it goes on unchanged whatever happens here."""
        try:
            self._came(*self._fetches[index], value)
        except Exception as error:
            self._on_trouble(error)
        return value

    def _came(self, fetch: Fetch, source: str, value: Any) -> None:
        values = dict(zip(fetch.names, value, strict=False)) if len(fetch.names) > 1 and isinstance(value, (tuple, list)) else {}
        for name, part in (values or dict.fromkeys(fetch.names, value)).items():
            items = self.items.setdefault(name, [])
            if self._keep(name, part, source, fetch.mark, items.append) or isinstance(part, _NUMBERS):
                self._raw.discard(name)
            else:
                self._raw.add(name)
