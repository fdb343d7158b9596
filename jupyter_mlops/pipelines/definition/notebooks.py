"""What a notebook declares, read without running it: parameters, outputs, kernel. Fast enough for a thousand of them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...code.literals import NotLiteral, dotted, literal, words
from ...code.notebook_syntax import magic_of, parse_cell
from ...errors import PipelineError
from ...records import Parameter
from ...store import formats
from .annotations import type_of
from .wording import nearest, shown

PARAMETERS, OUTPUTS = "parameters", "outputs"
"""Tags of the cells that declare what can be set, and what comes out."""
_COMMENT = re.compile(r"\s*#\s*(?:type:\s*(?P<type>\S+)\s*)?(?P<help>.*)")
_OPAQUE = words("exec globals setattr %run %store %pylab %load %macro %loadpy")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a notebook says of itself. `parameters` and `outputs` are those of its cells tagged so.

    `tagged` tells whether the parameters are known by name: there is a cell for them, and it could be read. `named` tells the same of the
    outputs; a notebook without a cell for them gives none. `annotated` are the parameters whose type is written in the code: the others
    have the type of their default. `language` is lower case ("python", "bash", "r"), `kernel` a kernelspec's name.
    """

    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[str, ...] = ()
    annotated: frozenset[str] = frozenset()
    language: str = "python"
    kernel: str = ""
    tagged: bool = False
    named: bool = True

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of this name."""
        return next((item for item in self.parameters if item.name == name), None)


_read: dict[Path, tuple[tuple[int, int, int], Declared]] = {}


def declared(path: Path) -> Declared:
    """What the notebook declares; read again only when its file changed. Raises PipelineError where it is missing or no notebook, and
    NewerFormat where it is a step that a newer version of this package wrote."""
    try:
        found = path.stat()
        stat = (found.st_size, found.st_mtime_ns, found.st_ino)
        known = _read.get(path)
        if known is None or known[0] != stat:
            known = _read[path] = (stat, of_content(json.loads(path.read_bytes()), shown(path)))
    except OSError:
        raise PipelineError(f"there is no notebook {shown(path)}{_beside(path)}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise PipelineError(f"{shown(path)} is no notebook: open it in Jupyter and save it again.") from None
    return known[1]


def of_content(notebook: Mapping[str, Any], where: str = "The notebook") -> Declared:
    """What a notebook declares, from its JSON (nbformat 3 or 4); `where` names it in an error."""
    metadata = notebook["metadata"]
    cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]] if "worksheets" in notebook else notebook["cells"]
    spec = metadata.get("kernelspec") or {}
    kernel = str(spec.get("name") or "")
    language = (metadata.get("language_info") or {}).get("name") or spec.get("language") or _language(cells) or kernel or "python"
    said = Declared(language=str(language).lower(), kernel=kernel)
    if not said.language.startswith(("python", "ipython")):
        return said
    said = replace(said, language="python")
    top, bottom = _tagged(cells, PARAMETERS), _tagged(cells, OUTPUTS)
    if top is not None:
        said = _with_parameters(said, top, _sources(metadata, where))
    return said if bottom is None else _with_outputs(said, bottom)


def _beside(path: Path) -> str:
    """Which notebook of the same folder was probably meant."""
    return nearest(path.name, sorted(item.name for item in path.parent.glob("*.ipynb")), alike=0.8) if path.parent.is_dir() else "."


def _language(cells: Sequence[Mapping[str, Any]]) -> str:
    """The language that the cells themselves name, as they did in nbformat 3."""
    return next((str(cell["language"]) for cell in cells if cell.get("language")), "")


def _tagged(cells: Sequence[Mapping[str, Any]], tag: str) -> str | None:
    """The source of the first cell with this tag."""
    for cell in cells:
        if tag in (cell.get("metadata") or {}).get("tags", ()):
            source = cell.get("source", cell.get("input", ""))
            return source if isinstance(source, str) else "".join(source)
    return None


def _sources(metadata: Mapping[str, Any], where: str) -> dict[str, str]:
    """What the inputs of a notebook that was cut as a step are read from, by name."""
    step = (metadata.get("mlops") or {}).get("step") or {}
    formats.check(where, step.get("format"), formats.STEP)
    return {item["name"]: item.get("source", "") for item in step.get("parameters", ())}


def _with_parameters(said: Declared, source: str, sources: Mapping[str, str]) -> Declared:
    cell = parse_cell(source)
    if cell is None or cell.magics:
        return said
    found: dict[str, Parameter] = {}
    annotated: set[str] = set()
    complete = True
    for statement in cell.tree.body:
        comment = _COMMENT.fullmatch(_after(statement, cell.lines))
        told = (comment["help"].strip() if comment else "") or _above(statement, cell.lines)
        for name, kind, value in _assigned(statement):
            if written := kind or (comment["type"] if comment else None):
                annotated.add(name)
            else:
                annotated.discard(name)
            found[name] = Parameter(name=name, type=written or type_of(value), default=value, help=told, source=sources.get(name, ""))
        complete &= not _opaque(statement)
    return replace(said, parameters=tuple(found.values()), annotated=frozenset(annotated), tagged=complete)


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, str, Any]]:
    """The names that a statement binds, each with its annotation ("" without) and its value (None when it is no literal)."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            written = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
            yield name, str(written), _value(value)
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _unpacked(target, value)
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return
        case _:
            for name in dict.fromkeys(_bound(statement)):
                yield name, "", None


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, str, Any]]:
    if isinstance(target, ast.Name):
        yield target.id, "", _value(value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        alike = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
        for number, item in enumerate(target.elts):
            if alike and isinstance(value, (ast.Tuple, ast.List)) and not isinstance(item, ast.Starred):
                yield from _unpacked(item, value.elts[number])
            else:
                yield from ((name, "", None) for name in _bound(item))


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that are stored to anywhere in a statement, but in functions and classes."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _SCOPES):
            yield from _bound(child)


def _value(node: ast.expr | None) -> Any:
    if node is None:
        return None
    try:
        return literal(node)
    except (NotLiteral, ValueError, TypeError, ArithmeticError, RecursionError):
        return None


def _opaque(statement: ast.stmt) -> bool:
    """Whether a statement may bind names that are not written in it."""
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and any(item.name == "*" for item in node.names):
            return True
        if isinstance(node, ast.Call):
            magic = magic_of(node)
            called = dotted(node.func) if magic is None else f"%{magic.name}"
            if called in _OPAQUE:
                return True
    return False


def _after(statement: ast.stmt, lines: Sequence[str]) -> str:
    """What stands behind a statement on its last line."""
    line = lines[(statement.end_lineno or statement.lineno) - 1]
    return line.encode()[statement.end_col_offset :].decode() if statement.end_col_offset is not None else ""


def _above(statement: ast.stmt, lines: Sequence[str]) -> str:
    """The comment on the lines directly above a statement."""
    found: list[str] = []
    for line in reversed(lines[: statement.lineno - 1]):
        if not line.startswith("#"):
            break
        found.insert(0, line.lstrip("# ").rstrip())
    return " ".join(text for text in found if text)


def _with_outputs(said: Declared, source: str) -> Declared:
    cell = parse_cell(source)
    match cell.tree.body[-1] if cell is not None and cell.tree.body else None:
        case ast.Expr(value=ast.Dict(keys=keys)):
            names = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            return replace(said, outputs=tuple(names), named=len(names) == len(keys))
        case ast.Expr(value=ast.Call(func=ast.Name(id="dict"), args=[], keywords=given)):
            names = [item.arg for item in given if item.arg is not None]
            return replace(said, outputs=tuple(names), named=len(names) == len(given))
        case _:
            return replace(said, named=False)
