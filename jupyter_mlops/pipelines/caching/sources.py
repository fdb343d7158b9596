"""What Python source says, as far as a step's key needs it: its code without what does not count, and what it imports. Pure.

Comments, blank lines and layout do not count; everything that can change a result does, docstrings among it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import decode_source
from typing import Any

from blake3 import blake3

from ...code.literals import NotLiteral, dotted, literal
from ...code.notebook_syntax import UNREADABLE, Cell, Magic, code_of, magic_of, parse_cell, parse_python, split_words
from ...code.paths import mentioned

# Functions that import what a text names, which may be computed.
_IMPORTERS = frozenset(("import_module", "__import__", "find_spec", "run_module"))
_RUNNERS = frozenset(("run_path", "spec_from_file_location", "SourceFileLoader"))
# Ways to code that is not named anywhere in the source.
_UNTOLD = frozenset(("entry_points", "iter_entry_points", "iter_modules", "walk_packages", "exec", "load_module"))
_PATH_CHANGES = frozenset(("sys.path.append", "sys.path.insert", "sys.path.extend", "path.append", "path.insert", "site.addsitedir"))
_IMPORTED_BY_MAGIC = {"matplotlib": ("matplotlib",), "pylab": ("matplotlib", "numpy")}
_SHELLS = frozenset(("!", "bash", "sh", "script", "system", "sx", "cmd"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a source says: `digest` of its code ("" without any); `imports` as (level, module, names), as `ast.ImportFrom` has them;
    `runs` are words of commands that may be files of code, `places` are added to the path of imports; `untold` tells whether more may be
    imported than the source names."""

    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...] = ()
    runs: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    untold: bool = False

    def to_json(self) -> list[Any]:
        """Plain JSON, which `from_json` reads back."""
        return [self.digest, self.imports, self.runs, self.places, self.untold]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Said:
        """What `to_json` gave."""
        digest, imports, runs, places, untold = data
        found = tuple((level, module, tuple(names)) for level, module, names in imports)
        return cls(digest=digest, imports=found, runs=tuple(runs), places=tuple(places), untold=untold)


def of_module(content: bytes) -> Said:
    """What a module says; of one that is no Python, every byte counts."""
    try:
        tree = parse_python(decode_source(content))
        return _said(tree, (), _digest(ast.dump(tree)))
    except UNREADABLE:
        return Said(digest=blake3(content).hexdigest())


def of_cell(source: str) -> Said:
    """What the cell of a Python notebook says, magics included; of one that is neither Python nor IPython, every character counts."""
    cell = parse_cell(source)
    if cell is None:
        return Said(digest=_digest(source))
    try:
        return _said(cell.tree, cell.magics, _cell_digest(cell))
    except RecursionError:
        return Said(digest=_digest(source))


def of_other_language(source: str) -> str:
    """The digest of a cell of another kernel: its text without blank lines and whole lines of comments, where those are certainly some."""
    lines = [line.rstrip() for line in source.splitlines() if line.strip()]
    code = [line for line in lines if not line.lstrip().startswith("#")]
    # Within a text or a here-document, such a line is none.
    odd = any(line.count('"') % 2 or line.count("'") % 2 or line.endswith("\\") for line in code)
    open_ended = odd or "<<" in source or '"""' in source
    kept = lines if open_ended else code
    return _digest("\n".join(kept)) if kept else ""


def joined(parts: Iterable[Said]) -> Said:
    """What several sources say together, without a digest."""
    parts = list(parts)
    return Said(
        digest="",
        imports=tuple(dict.fromkeys(item for part in parts for item in part.imports)),
        runs=tuple(dict.fromkeys(item for part in parts for item in part.runs)),
        places=tuple(dict.fromkeys(item for part in parts for item in part.places)),
        untold=any(part.untold for part in parts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """One statement of a parameters cell: the name it gives a default, if that is all it does; `plain` tells whether `value` is JSON that
    is written there; `reads` are the names it takes from the others."""

    digest: str
    name: str = ""
    plain: bool = False
    value: Any = None
    reads: frozenset[str] = field(default=frozenset())

    def to_json(self) -> list[Any]:
        """Plain JSON, which `from_json` reads back."""
        return [self.digest, self.name, self.plain, self.value, sorted(self.reads)]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Default:
        """What `to_json` gave."""
        digest, name, plain, value, reads = data
        return cls(digest=digest, name=name, plain=plain, value=value, reads=frozenset(reads))


def defaults(source: str) -> list[Default] | None:
    """The statements of a parameters cell; None where it holds more than Python."""
    cell = parse_cell(source)
    if cell is None or cell.magics or cell.changed:
        return None
    return [_default(statement) for statement in cell.tree.body]


def settled(statements: Sequence[Default], given: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """The defaults that hold, and the digests of the code that is left of a parameters cell once `given` names get other values.

    A default that a given value overrides counts only if another statement of the cell reads it, since that runs before.
    """
    overridden = frozenset(given)
    values = {item.name: item.value for item in statements if item.plain and item.name not in overridden}
    left = []
    for item in statements:
        read = any(item.name in other.reads for other in statements if other is not item)
        if item.name and not read and (item.plain or item.name in overridden):
            continue
        left.append(item.digest)
    return values, left


def _default(statement: ast.stmt) -> Default:
    digest = _digest(ast.dump(statement))
    reads = frozenset(node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            reads = frozenset(node.id for node in ast.walk(value) if isinstance(node, ast.Name))
            try:
                found = literal(value)
                if json.loads(json.dumps(found)) == found:
                    return Default(digest=digest, name=name, plain=True, value=found, reads=reads)
            except (NotLiteral, ValueError, TypeError, ArithmeticError, RecursionError):
                pass
            return Default(digest=digest, name=name, reads=reads)
        case _:
            return Default(digest=digest, reads=reads)


def _digest(text: str) -> str:
    return blake3(text.encode("utf-8", "surrogatepass")).hexdigest()


def _cell_digest(cell: Cell) -> str:
    if not cell.tree.body and not cell.magics:
        return ""
    # The body of a magic that runs Python is the cell's own tree.
    magics = [[magic.kind, magic.name, magic.text.strip(), "" if cell.tree.body else magic.body] for magic in cell.magics]
    return _digest(json.dumps([magics, ast.dump(cell.tree)]))


def _said(tree: ast.AST, magics: Iterable[Magic], digest: str) -> Said:
    reader = _Reader()
    for magic in magics:
        reader.magic(magic)
    reader.walk([tree])
    return Said(
        digest=digest,
        imports=tuple(dict.fromkeys(reader.imports)),
        runs=tuple(dict.fromkeys(reader.runs)),
        places=tuple(dict.fromkeys(reader.places)),
        untold=reader.untold,
    )


class _Reader:
    def __init__(self) -> None:
        self.imports: list[tuple[int, str, tuple[str, ...]]] = []
        self.runs: list[str] = []
        self.places: list[str] = []
        self.untold = False

    def walk(self, trees: Iterable[ast.AST]) -> None:
        for tree in trees:
            for node in ast.walk(tree):
                match node:
                    case ast.Import(names=names):
                        self.imports += [(0, alias.name, ()) for alias in names]
                    case ast.ImportFrom(module=module, names=names, level=level):
                        self.imports.append((level, module or "", tuple(alias.name for alias in names)))
                    case ast.Call():
                        self._call(node)

    def magic(self, magic: Magic) -> None:
        given = split_words(magic.text)
        match magic.name:
            case "run" if "-m" in given[:-1]:
                self._import(given[given.index("-m") + 1])
            case "run":
                self.runs += given
            case "load_ext" | "reload_ext":
                self.imports += [(0, name, ()) for name in given]
            case name if name in _IMPORTED_BY_MAGIC:
                self.imports += [(0, module, ()) for module in _IMPORTED_BY_MAGIC[name]]
            case name if name in _SHELLS:
                self.runs += commands(f"{magic.text}\n{magic.body}")
        self.walk(code_of(magic))

    def _call(self, node: ast.Call) -> None:
        if magic := magic_of(node):
            self.magic(magic)
            return
        name = dotted(node.func)
        last = name.rpartition(".")[2]
        texts = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        if name in _PATH_CHANGES:
            self.places += sorted({*texts, *_named(node)})
        elif last in _IMPORTERS:
            if node.args and isinstance(node.args[0], ast.Constant) and texts:
                self._import(texts[0])
            else:
                self.untold = True
        elif last in _RUNNERS:
            found = [text for text in (*texts, *_named(node)) if text.endswith(".py")]
            self.runs += found
            self.untold |= not found
        elif last in _UNTOLD and not (last == "exec" and ("." in name or texts)):
            self.untold = True

    def _import(self, name: str) -> None:
        level = len(name) - len(name.lstrip("."))
        self.imports.append((level, name[level:], ()))


def commands(text: str) -> list[str]:
    """The words of shell commands that may be files."""
    return [word for line in text.splitlines() for word in split_words(line.replace(";", " ; ")) if re.fullmatch(r"[\w./~ -]*\w", word)]


def _named(node: ast.Call) -> Iterator[str]:
    """The paths in the arguments of a call, as far as they can be worked out without running anything."""
    namespace: Mapping[str, Any] = {}
    for item in node.args:
        yield from mentioned(item, namespace)

