"""IPython's syntax (magics, `!cmd`, `?help`) read as Python that keeps the line numbers of the cell."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
import string
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from .literals import words

# What the parsers raise on hostile text (broken syntax, null bytes, lone surrogates, nesting too deep), and while another thread parses.
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, SystemError)

_CELL_MAGIC = re.compile(r"%%([\w.!]+)[ \t]*(.*)")
# Valid Python (an annotation), which IPython reads as its prompt.
_PROMPT = re.compile(r"\s*In \[\d+\]: ")
_LINE_END = re.compile(r"\r\n|\r|\n")
# The parser warns of invalid escapes and of numbers run into keywords; IPython of line ends that only `str.splitlines` knows.
_MAY_WARN = re.compile(r"\\[^\r\n\\'\"abfnrtv0-7xNuU]|\\[4-7]\d\d|\d(?:and|else|for|if|in|is|not|or)\b")
_ODD_LINE_END = re.compile("[\x1c-\x1e\x85\u2028\u2029]")
_DOLLAR = re.compile(r"(?<!\$)\$([^\W\d]\w*)")

# Magics that run their text as code of the user's namespace, with the options that take a value.
_CODE_MAGICS = {
    "time": "",
    "timeit": "nrp",
    "prun": "lsTD",
    "debug": "bl",
    "memit": "rti",
    "lprun": "fmDTsu",
    "mprun": "fT",
    "snakeviz": "fd",
    "scalene": "",
    "pyinstrument": "",
}
# Their code runs in a function of its own: what it assigns is gone afterwards.
_LOCAL_MAGICS = frozenset({"timeit"})
_OTHER_LANGUAGES = words(
    "! HTML R SVG SX ai bash bigquery cmd cpp cython file html javascript js julia latex markdown mermaid octave perl px pypy python "
    "python2 python3 ruby script sh spark spark_sql sql svg sx system writefile writetemplate writeto"
)


@dataclass(frozen=True, slots=True)
class Magic:
    """One magic or command as it is called: `kind` is line, cell or shell; `text` its argument line; `body` what is below a cell magic."""

    kind: str
    name: str
    text: str
    body: str = ""

    @property
    def mark(self) -> str:
        """How it is written: `%time`, `%%bash`, `!`."""
        return {"line": "%", "cell": "%%", "shell": ""}[self.kind] + self.name

    @property
    def local(self) -> bool:
        """Whether its code runs in a namespace of its own."""
        return self.name in _LOCAL_MAGICS


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as Python: the tree counts lines as `lines` (the text as written) does.

    `changed` maps the line of a magic or command to its last line; `moved` tells whether columns differ from the text (as of prompts).
    `magics` are the cell magics on top, outermost first; the last one may be of another language, then the tree is empty.
    """

    lines: tuple[str, ...]
    tree: ast.Module
    magics: tuple[Magic, ...] = ()
    changed: dict[int, int] = field(default_factory=dict)
    moved: bool = False


def lines_of(source: str) -> list[str]:
    """The lines of a cell, as a `Cell` counts them."""
    return _LINE_END.split(source)


def parse_python(text: str) -> ast.Module:
    """The tree of plain Python, without the parser's warnings, which would appear among the user's output; raises one of `UNREADABLE`."""
    if not _MAY_WARN.search(text):
        return ast.parse(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def parse_expression(text: str) -> ast.expr:
    """The tree of one expression; raises one of `UNREADABLE`."""
    match parse_python(text.strip()).body:
        case [ast.Expr(value=value)]:
            return value
    raise SyntaxError(text)


def parse_cell(source: str) -> Cell | None:
    """The cell as Python, or None when it is neither Python nor IPython."""
    lines = tuple(lines_of(source))
    try:
        if not _PROMPT.match(source):
            return Cell(lines, parse_python(source))
    except UNREADABLE:
        pass
    try:
        return _parse_notebook(lines)
    except UNREADABLE:
        return None


def _parse_notebook(lines: tuple[str, ...]) -> Cell | None:
    rest = list(lines)
    magics: list[Magic] = []
    for number, line in enumerate(lines):
        found = _CELL_MAGIC.fullmatch(line.rstrip()) if line.startswith("%%") else None
        if found is None:
            if line.strip():
                break
            continue
        rest[number] = ""
        magic = Magic("cell", found[1], found[2], "\n".join(lines[number + 1 :]))
        magics.append(magic)
        if magic.name in _OTHER_LANGUAGES:
            return Cell(lines, ast.Module([], []), tuple(magics))
    if any(map(_ODD_LINE_END.search, rest)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text, changed, moved = _to_python(rest)
    else:
        text, changed, moved = _to_python(rest)
    try:
        return Cell(lines, parse_python(text), tuple(magics), changed, moved)
    except UNREADABLE:
        # A cell magic of some extension, whose body is no code.
        return Cell(lines, ast.Module([], []), tuple(magics)) if magics and magics[-1].name not in _CODE_MAGICS else None


def _to_python(lines: list[str]) -> tuple[str, dict[int, int], bool]:
    """IPython's own transformations, one at a time, so that the lines that each one joins are given back as empty lines."""
    from IPython.core.inputtransformer2 import TRANSFORM_LOOP_LIMIT, TransformerManager

    manager = TransformerManager()
    text = [line + "\n" for line in lines]
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    cleaned = text
    for clean in manager.cleanup_transforms[1:]:
        cleaned = cleaned[:first] + clean(cleaned[first:])
    # Some take a line for several, at line ends that Python does not know (U+2028).
    cleaned = [line + "\n" for line in "".join(cleaned).split("\n")[: len(text)]]
    moved = cleaned != text
    text = cleaned
    changed: dict[int, int] = {}
    for _ in range(TRANSFORM_LOOP_LIMIT):
        again, after = manager.do_one_token_transform(text)
        if not again:
            break
        start = next((number for number, (old, new) in enumerate(zip(text, after, strict=False)) if old != new), len(after) - 1)
        joined = len(text) - len(after)
        changed[start + 1] = start + 1 + joined
        text = [*after[: start + 1], *["\n"] * joined, *after[start + 1 :]]
    return "".join(text), changed, moved


def magic_of(node: ast.Call) -> Magic | None:
    """The magic or shell command behind `get_ipython().run_line_magic(...)` and its like, else None."""
    function = node.func
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call) and isinstance(function.value.func, ast.Name)):
        return None
    if function.value.func.id != "get_ipython":
        return None
    texts = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    if len(texts) != len(node.args):
        return None
    match function.attr, texts:
        case "run_line_magic" | "magic", [name, text]:
            return Magic("line", name, text)
        case "magic", [line]:
            name, _, text = line.partition(" ")
            return Magic("line", name, text)
        case "run_cell_magic", [name, text, body]:
            return Magic("cell", name, text, body)
        case "system" | "getoutput" | "system_raw" | "system_piped", [text]:
            return Magic("shell", "!", text)
    return None


@lru_cache(maxsize=256)
def code_of(magic: Magic) -> tuple[ast.stmt, ...]:
    """The statements that a magic runs as code; none for those that run no code."""
    if magic.kind == "shell" or (magic.kind == "line" and magic.name not in _CODE_MAGICS) or magic.name in _OTHER_LANGUAGES:
        return ()
    pieces = []
    if magic.name in _CODE_MAGICS and (magic.kind == "line" or magic.local):
        pieces.append(_after_options(magic.text, _CODE_MAGICS[magic.name]))
    if magic.kind == "cell":
        pieces.append(magic.body)
    cells = [parse_cell(piece) for piece in pieces if piece.strip()]
    return tuple(statement for cell in cells if cell for statement in cell.tree.body)


def lasting_code_of(magic: Magic) -> tuple[ast.stmt, ...]:
    """As `code_of`, without code whose names are gone afterwards."""
    return () if magic.local else code_of(magic)


def _after_options(text: str, valued: str) -> str:
    """The code behind a magic's options; functions named by `-f` count as code that is read."""
    rest, functions = text.strip(), []
    while found := re.match(r"--?(\w[\w-]*)(?:\s+|$)", rest):
        option, rest = found[1], rest[found.end() :]
        if len(option) == 1 and option in valued:
            value, _, rest = rest.partition(" ")
            rest = rest.lstrip()
            functions += [value] if option == "f" and value.replace(".", "_").isidentifier() else []
    return "\n".join([*functions, rest])


def expanded_names(magic: Magic) -> Iterator[ast.expr]:
    """The Python expressions that IPython puts into a command: `{expression}` and `$name`."""
    if magic.name in _CODE_MAGICS or (magic.kind == "cell" and magic.name not in {"sql", "writetemplate"}):
        text = "" if magic.name in _CODE_MAGICS else magic.text
    else:
        text = f"{magic.text}\n{magic.body}"
    pieces = _DOLLAR.findall(text)
    try:
        pieces += [name for _, name, _, _ in string.Formatter().parse(text) if name]
    except ValueError:
        # A lone brace: IPython then leaves `{...}` as it is, but tries the fields before it.
        pieces += re.findall(r"\{([^{}]+)\}", text)
    if magic.name == "sql":
        pieces += re.findall(r"(?<![:\w]):([^\W\d]\w*)", text)
    for piece in pieces:
        try:
            yield parse_expression(piece)
        except UNREADABLE:
            continue


def bound_by(magic: Magic) -> frozenset[str]:
    """Names that a magic binds by itself (`%%capture out`, `%store -r x`, `%%R -o x`, `%%sql x <<`, `%%bigquery x`)."""
    given = split_words(magic.text)
    names: list[str] = []
    match magic.name:
        case "capture" | "bigquery":
            names = [word for word in given if not word.startswith("-")][:1]
        case "store" if "-r" in given:
            names = [word for word in given if not word.startswith("-")]
        case "sql" if "<<" in given:
            names = given[: given.index("<<")][-1:]
        case "R" | "Rpull" | "spark" | "octave":
            names = given if magic.name == "Rpull" else _option_values(given, "-o")
    return frozenset(name for name in names if name.isidentifier())


def read_by(magic: Magic) -> frozenset[str]:
    """Names that a magic takes from the user's namespace by itself (`%%R -i x`, `%Rpush x`, `%store x`)."""
    given = split_words(magic.text)
    match magic.name:
        case "Rpush":
            names = given
        case "store" if "-r" not in given:
            names = given[:1]
        case "R" | "octave" | "spark":
            names = _option_values(given, "-i")
        case _:
            names = []
    return frozenset(name for name in names if name.isidentifier())


def dropped_by(magic: Magic) -> frozenset[str]:
    """Names that a magic removes from the user's namespace."""
    return frozenset(word for word in split_words(magic.text) if magic.name == "xdel" and word.isidentifier())


def _option_values(given: list[str], option: str) -> list[str]:
    return [name for flag, value in itertools.pairwise(given) if flag == option for name in value.split(",")]


def split_words(text: str) -> list[str]:
    """The words of a command line, as a shell splits them where it can."""
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()
