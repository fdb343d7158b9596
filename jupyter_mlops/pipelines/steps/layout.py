"""How a step reads as a notebook: parameters, imports, the kept code cell by cell with its text, and the declared outputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...records import Parameter
from ...replay.materials import SECRETS_CODE, needs_secrets
from ...store import notebook_json
from ...store.notebook_json import code_cell, text_cell
from ..definition.notebooks import OUTPUTS, PARAMETERS
from . import parameters as lifting
from .parts import Part, hoisted_imports

_FIRST = "from __future__"
_HEADING = re.compile(r"^(#{1,6})\s", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The cells of a step. `cells` are (seq, code) in the order of execution, `outputs` maps names to the expressions that give them."""

    parameters: tuple[Parameter, ...]
    imports: tuple[str, ...]
    cells: tuple[tuple[int, str], ...]
    outputs: Mapping[str, str]

    @property
    def sources(self) -> dict[int, str]:
        """The same code, as the executions that it came from: parameters and imports go with the first."""
        found: dict[int, str] = {}
        for seq, code in self.cells:
            found[seq] = f"{found[seq]}\n{code}" if seq in found else code
        top = [lifting.cell(self.parameters), *([SECRETS_CODE] if self.secret else []), *self.imports]
        top.sort(key=lambda text: not text.startswith(_FIRST))
        first = next((seq for seq, code in found.items() if not code.lstrip().startswith("%%")), next(iter(found), 0))
        found[first] = "\n".join([*(text for text in top if text), found.get(first, "")])
        return found

    @property
    def secret(self) -> bool:
        """Whether the code asks for secrets that were taken out of it."""
        return needs_secrets(code for _, code in self.cells)


def laid_out(parts: Sequence[Part], parameters: Iterable[Parameter], outputs: Mapping[str, str]) -> Layout:
    """The parts as cells: as the cells were divided, imports on top."""
    imports, rest = hoisted_imports(parts)
    imports = sorted(imports, key=lambda line: not line.startswith(_FIRST))
    cells: list[tuple[int, str]] = []
    for part in rest:
        if cells and cells[-1][0] == part.seq:
            cells[-1] = (part.seq, f"{cells[-1][1]}\n{part.text}")
        else:
            cells.append((part.seq, part.text))
    return Layout(parameters=tuple(parameters), imports=tuple(imports), cells=tuple(cells), outputs=outputs)


def notebook(layout: Layout, about: str, markdown: Mapping[int, Sequence[str]], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The step as a notebook (nbformat 4.5); `markdown` are the texts that stand above the code of an execution.

    The same step is the same file, byte for byte.
    """
    cells = [text_cell("about", about)]
    if layout.parameters:
        cells.append(code_cell(PARAMETERS, lifting.cell(layout.parameters), metadata={"tags": [PARAMETERS]}))
    if layout.secret:
        cells.append(code_cell("secrets", SECRETS_CODE))
    if layout.imports:
        cells.append(code_cell("imports", "\n".join(layout.imports)))
    told: set[str] = set()
    for number, (seq, code) in enumerate(layout.cells):
        for text in markdown.get(seq, ()):
            if text not in told:
                told.add(text)
                cells.append(text_cell(f"text-{len(told)}", text))
        cells.append(code_cell(f"code-{number + 1}", code))
    cells.append(code_cell(OUTPUTS, _outputs(layout.outputs), metadata={"tags": [OUTPUTS]}))
    return notebook_json.notebook(cells, **metadata)


def belonging(cells: Sequence[Mapping[str, Any]], index: int) -> list[str]:
    """The texts of a notebook that belong to its code cell number `index`: those directly above it, and the headings it stands under."""
    found: list[str] = []
    place = index - 1
    while place >= 0 and cells[place]["cell_type"] == "markdown":
        found.insert(0, source_of(cells[place]))
        place -= 1
    level = min((_level(text) for text in found), default=7)
    for cell in reversed(cells[: place + 1]):
        text = source_of(cell)
        if cell["cell_type"] == "markdown" and _level(text) < level:
            level = _level(text)
            found.insert(0, text)
    return [text for text in found if text.strip()]


def _level(text: str) -> int:
    """The level of the highest heading in a text; 7 where there is none."""
    return min((len(found[1]) for found in _HEADING.finditer(text)), default=7)


def source_of(cell: Mapping[str, Any]) -> str:
    """The source of a notebook's cell, which may be one text or its lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _outputs(outputs: Mapping[str, str]) -> str:
    lines = "".join(f"    {name!r}: {expression},\n" for name, expression in outputs.items())
    return f"{{\n{lines}}}" if len(outputs) > 1 else f"{{{lines.strip().rstrip(',')}}}"
