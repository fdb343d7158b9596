"""The table of the formats of what is kept, from the module that holds their versions: each constant with the text below it."""

from __future__ import annotations

import ast
import inspect

from jupyter_mlops.store import formats


def text() -> str:
    """A row for each format."""
    tree = ast.parse(inspect.getsource(formats))
    rows = []
    for constant, said in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(constant, ast.Assign) and isinstance(said, ast.Expr):
            name = ast.unparse(constant.targets[0])
            rows.append(f"| {name.lower()} | {getattr(formats, name)} | {' '.join(ast.literal_eval(said.value).split())} |")
    return "\n".join(["| format | version | where it stands |", "|---|---|---|", *rows, ""])
