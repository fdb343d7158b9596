"""How the demo reads: its runs, a comparison, a lineage, then the loop act by act, and what to try next."""

from __future__ import annotations

import shlex
from pathlib import Path

from .answers import Demo, short
from .blocks import Blocks, Cell, Table, Text


def demo_blocks(demo: Demo, *, runs: Blocks, comparison: Blocks, lineage: Blocks) -> Blocks:
    """The blocks of the demo, around those of its parts. What is read first stands last, where a terminal ends."""
    folder = short(str(Path(demo.notebook).parent))
    compared = " ".join(run.id[:8] for run in demo.comparison.runs)
    acts = tuple((Cell(act.name, "good"), Cell(act.outcome)) for act in demo.acts)
    commands = tuple((Cell(command), Cell(shows, "faint")) for command, shows in demo.next.items())
    return [
        Text("mlops runs --sort -auc", "title"), *runs,
        Text(f"mlops compare {compared}", "title"), *comparison,
        Text(f"mlops lineage {demo.comparison.runs[-1].id[:8]}.auc", "title"), *lineage,
        Text(f"The whole loop, in {demo.seconds:.0f} s", "title"), Table(("act", "what came of it"), acts),
        Text("What to try next", "title"),
        *([] if folder == "." else [Text(f"cd {shlex.quote(folder)}   everything below is done in this folder")]),
        Table(("command", "what it shows"), commands),
    ]  # fmt: skip
