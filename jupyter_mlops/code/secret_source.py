"""Secrets in the source of a cell: Python and IPython's own syntax, replaced so that the lines stay where they are."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Protocol

from .notebook_syntax import UNREADABLE
from .secret_forms import Kind, Spot, render, secret_part
from .secret_literals import folded, named_literals

_LINE_SYNTAX = re.compile(r"\s*(?:[\w.,\[\] ]+=\s*)?[%!]|\s*\?|[^#'\"]*\?\s*$")
_CELL_MAGIC = re.compile(r"\s*%%(?P<name>\w+)")
_PYTHON_CELLS = frozenset(("time", "timeit", "capture", "prun", "mlops", "mprun", "memit", "snakeviz", "python", "python3", "pypy"))
_ENV_MAGIC = re.compile(r"\s*%(?:set_)?env\s+(?P<name>\w+)(?:\s+|\s*=\s*)(?P<secret>.*\S)")
_PASSWORD_FLAGS = (
    re.compile(r"\bcurl\b.*?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']+:(?P<secret>[^\s\"']+)"),
    re.compile(r"\b(?:mysql|mysqldump|mariadb|sshpass)\b.*?\s-p\s?[\"']?(?P<secret>[^\s\"'-][^\s\"']*)"),
)

_Edit = tuple[int, int, str]


class Finder(Protocol):
    """What finds and names secrets: `Redactor`."""

    def kind(self, name: str) -> Kind | None: ...
    def learn(self, name: str, value: str) -> str: ...
    def spots(self, text: str) -> list[Spot]: ...


def replace(source: str, finder: Finder) -> str:
    """The source with its secrets replaced by `secret("NAME")`; lines keep their numbers, and what parsed still parses."""
    lines = source.split("\n")
    magic = _cell_magic(lines)
    if magic is not None and magic not in _PYTHON_CELLS:
        return "\n".join(_shell(line, finder) for line in lines)
    ours = _magic_lines(source, lines)
    python = "\n".join(_blank(line) if index in ours else line for index, line in enumerate(lines))
    try:
        tree = ast.parse(python)
    except UNREADABLE:
        return "\n".join(_shell(line, finder) for line in lines)
    replaced = _replace_python(python, tree, finder).split("\n")
    if len(replaced) != len(lines):
        return render(source, finder.spots(source), "«secret {}»")
    return "\n".join(_shell(lines[index], finder) if index in ours else line for index, line in enumerate(replaced))


def _cell_magic(lines: list[str]) -> str | None:
    first = next((line for line in lines if line.strip()), "")
    match = _CELL_MAGIC.match(first)
    return match["name"] if match else None


def _magic_lines(source: str, lines: list[str]) -> set[int]:
    """Indexes of the lines that only IPython understands; none when the source is plain Python."""
    try:
        ast.parse(source)
    except UNREADABLE:
        pass
    else:
        return set()
    found: set[int] = set()
    continued = False
    for index, line in enumerate(lines):
        if continued or _LINE_SYNTAX.match(line):
            found.add(index)
            continued = line.rstrip().endswith("\\")
    return found


def _blank(line: str) -> str:
    return line[: len(line) - len(line.lstrip())] + "pass"


def _replace_python(python: str, tree: ast.Module, finder: Finder) -> str:
    data = python.encode()
    starts = [0]
    for line in data.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    edits = [(_span(node, starts), text) for node, text in _literal_edits(tree, finder)]
    edits += [(span, text) for span, text in _comment_edits(python, starts, finder)]
    result = _apply(data, edits)
    try:
        ast.parse(result)
    except (SyntaxError, ValueError):
        # A place where Python takes literals only, such as a pattern of `match`.
        return render(python, finder.spots(python), "«secret {}»")
    return result


def _literal_edits(tree: ast.Module, finder: Finder) -> Iterator[tuple[ast.expr, str]]:
    named: dict[ast.expr, str] = {}
    for name, node in named_literals(tree):
        kind = finder.kind(name)
        value = folded(node)
        if kind is None or not value:
            continue
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        part = secret_part(kind, text)
        if part is not None and node not in named:
            named[node] = _expression(node, text, [Spot(text.index(part), text.index(part) + len(part), finder.learn(name, part))])
    yield from named.items()
    yield from _unnamed(tree, named, finder)


def _unnamed(node: ast.AST, named: dict[ast.expr, str], finder: Finder) -> Iterator[tuple[ast.expr, str]]:
    """Literals that hold a secret by its form, or one that is known."""
    if node in named:
        return
    value = folded(node) if isinstance(node, ast.expr) else None
    if value is not None and isinstance(node, ast.expr):
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        spots = finder.spots(text)
        if spots:
            spots = [Spot(spot.start, spot.end, finder.learn(spot.name, text[spot.start : spot.end])) for spot in spots]
            yield node, _expression(node, text, spots)
            return
    for child in ast.iter_child_nodes(node):
        yield from _unnamed(child, named, finder)


def _expression(node: ast.expr, text: str, spots: list[Spot]) -> str:
    """Python that gives the literal's text with `secret(...)` in place of its spots."""
    whole = isinstance(node, ast.JoinedStr) and any(isinstance(part, ast.FormattedValue) for part in node.values)
    if _is_bytes(node):
        pieces = [
            repr(piece.encode("latin-1")) if isinstance(piece, str) else f'secret("{piece.name}").encode()'
            for piece in _pieces(text, spots)
        ]
    elif whole and isinstance(node, ast.JoinedStr):
        pieces = _formatted(node, text, spots)
    else:
        pieces = [repr(piece) if isinstance(piece, str) else f'secret("{piece.name}")' for piece in _pieces(text, spots)]
    return pieces[0] if len(pieces) == 1 else f"({' + '.join(pieces)})"


def _pieces(text: str, spots: list[Spot]) -> list[str | Spot]:
    pieces: list[str | Spot] = []
    at = 0
    for spot in spots:
        pieces += [text[at : spot.start], spot]
        at = spot.end
    return [piece for piece in (*pieces, text[at:]) if piece != ""]


def _formatted(node: ast.JoinedStr, text: str, spots: list[Spot]) -> list[str]:
    """An f-string's pieces; a spot that goes over a computed part takes that part with it."""
    pieces: list[str] = []
    at = 0
    done = 0
    for part in node.values:
        if not isinstance(part, ast.Constant):
            inside = any(spot.start < at < spot.end for spot in spots)
            if not inside:
                pieces.append(ast.unparse(ast.JoinedStr(values=[part])))
            continue
        end = at + len(str(part.value))
        for spot in spots:
            if at <= spot.start < end:
                if text[done : spot.start]:
                    pieces.append(repr(text[done : spot.start]))
                pieces.append(f'secret("{spot.name}")')
                done = spot.end
        if text[done:end]:
            pieces.append(repr(text[done:end]))
        done = max(done, end)
        at = end
    return pieces


def _is_bytes(node: ast.expr) -> bool:
    return isinstance(folded(node), bytes)


def _comment_edits(python: str, starts: list[int], finder: Finder) -> Iterator[tuple[tuple[int, int], str]]:
    if "#" not in python:
        return
    lines = python.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(python).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            start = starts[row - 1] + len(lines[row - 1][:column].encode())
            yield (start, start + len(token.string.encode())), render(token.string, finder.spots(token.string), "«secret {}»")


def _span(node: ast.expr, starts: list[int]) -> tuple[int, int]:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return starts[node.lineno - 1] + node.col_offset, starts[end_line - 1] + end_column


def _apply(data: bytes, edits: list[tuple[tuple[int, int], str]]) -> str:
    for (start, end), text in sorted(edits, reverse=True):
        lost = data[start:end].count(b"\n")
        if lost:
            text = f"({text}{chr(10) * lost})"
        data = data[:start] + text.encode() + data[end:]
    return data.decode()


def _shell(line: str, finder: Finder) -> str:
    """A line that is not Python; IPython puts the value of `{...}` into it when it runs."""
    match = _ENV_MAGIC.match(line)
    if match and (kind := finder.kind(match["name"])) and (part := secret_part(kind, match["secret"].strip("\"'"))):
        finder.learn(match["name"], part)
    for pattern in _PASSWORD_FLAGS:
        if flag := pattern.search(line):
            finder.learn("password", flag["secret"])
            start, end = flag.span("secret")
            line = render(line, [Spot(start, end, finder.learn("password", flag["secret"]))], "{{secret('{}')}}")
    spots = finder.spots(line)
    for spot in spots:
        finder.learn(spot.name, line[spot.start : spot.end])
    return render(line, finder.spots(line), "{{secret('{}')}}")
