"""Which assignments of a cell take data from the network or a database: directly, by a function that does, or from what they gave."""

from __future__ import annotations

import ast
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .fits import executed
from .literals import dotted, words
from .notebook_syntax import magic_of
from .outside import URL, uses_network

NETWORK, DATABASE, DERIVED = "network", "database", "derived"
_ADDRESS = "address"
_DATABASE = words(
    "connect connect_async create_engine execute execute_query executemany fetch_df fetchall fetchdf fetchmany fetchnumpy fetchone "
    "read_database read_database_uri read_sql read_sql_query read_sql_table sql sqldf"
)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Fetch:
    """An assignment `node` that binds `names` to what was fetched. `kind` is network, database, or derived (from what a fetch gave);
    `mark` tells its expression from another one."""

    node: ast.Assign | ast.AnnAssign
    names: tuple[str, ...]
    kind: str
    mark: int


def fetches(tree: ast.Module, text: Callable[[str], object], sources: frozenset[str]) -> list[Fetch]:
    """The assignments at the level of the cell that fetch, in the order of the text. `text` gives what a name is bound to as the cell
    begins; `sources` are functions that fetch, and names of what was fetched and is no data yet (a response, a connection)."""
    return [] if not _may_fetch(tree, text, sources) else list(_found(tree, text, sources | fetching_functions(tree)))


def fetching_functions(tree: ast.AST) -> frozenset[str]:
    """Functions defined at the level of a cell whose bodies use the network or a database."""
    return frozenset(
        node.name
        for node in ast.iter_child_nodes(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and uses_network(ast.walk(node), ())
    )


def assigned(node: ast.AST) -> tuple[str, ...]:
    """The names that an assignment to a name, or to several in a row, binds; () for any other statement."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return (name,)
        case ast.Assign(targets=[ast.Tuple(elts=parts) | ast.List(elts=parts)]) if all(isinstance(part, ast.Name) for part in parts):
            return tuple(part.id for part in parts if isinstance(part, ast.Name))
    return ()


def mark_of(expression: ast.expr) -> int:
    """A number that tells an expression from another one."""
    return zlib.crc32(ast.unparse(expression).encode("utf-8", "surrogatepass"))


def _may_fetch(tree: ast.Module, text: Callable[[str], object], sources: frozenset[str]) -> bool:
    """Whether it is worth a closer look: most cells are done with after one pass."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in sources or _is_address(text(name)):
                return True
            case ast.Constant(value=str(value)) if URL.match(value):
                return True
            case ast.Call() if uses_network((node,), ()):
                return True
    return False


def _found(tree: ast.Module, text: Callable[[str], object], sources: frozenset[str]) -> Iterator[Fetch]:
    addresses: set[str] = set()
    given = set(sources)
    # The code of a magic is no part of this tree: IPython hands it over again when the magic runs it.
    for node in executed(tree.body, apart=_SCOPES, code=lambda magic: ()):
        names = assigned(node)
        if not names:
            continue
        assert isinstance(node, (ast.Assign, ast.AnnAssign))
        assert node.value is not None
        kind = _kind(node.value, lambda name: name in addresses or _is_address(text(name)), given)
        if kind == _ADDRESS:
            addresses.update(names)
        elif kind:
            given.update(names)
            yield Fetch(node, names, kind, mark_of(node.value))
        else:
            given.difference_update(names)


def _kind(value: ast.expr, is_address: Callable[[str], bool], sources: set[str]) -> str:
    nodes = [node for node in ast.walk(value) if not isinstance(node, _SCOPES)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    reads = {node.id for node in nodes if isinstance(node, ast.Name)}
    if any(map(is_address, reads)) or any(isinstance(node, ast.Constant) and _is_address(node.value) for node in nodes):
        return NETWORK if calls else _ADDRESS
    if not calls:
        return DERIVED if reads & sources and not isinstance(value, ast.Name) else ""
    fetching = [call for call in calls if uses_network((call,), ())]
    if fetching:
        return DATABASE if all(dotted(call.func).rpartition(".")[2] in _DATABASE for call in fetching if not magic_of(call)) else NETWORK
    return DERIVED if reads & sources else ""


def _is_address(value: object) -> bool:
    return isinstance(value, str) and URL.match(value) is not None
