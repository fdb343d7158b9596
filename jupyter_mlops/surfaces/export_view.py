"""How an exported workflow reads."""

from __future__ import annotations

from .answers import Exported, short
from .blocks import Blocks, Text


def export_blocks(exported: Exported) -> Blocks:
    """The file, and what is left to do."""
    title = f"Written to {short(exported.path)}." if exported.changed else f"{short(exported.path)} is up to date."
    return [Text(title, "title"), *(Text(note) for note in exported.notes)]
