"""How a slice reads: a heading that says how sure it is, and its code."""

from __future__ import annotations

from ..records import Slice
from .blocks import Block, Blocks, Code, Text

_PROOFS = {
    "minimal": ("proved minimal: replayed with the same result, and without any of it the result is another", "good"),
    "proved": ("proved: replayed with the same result", "good"),
    "unproved": ("unproved", "bad"),
}


def slice_blocks(found: Slice) -> Blocks:
    """The blocks of a slice."""
    text, tone = _PROOFS[found.proof]
    share = f"{found.kept} of {found.executed} executed statements"
    blocks: list[Block] = [
        Text(f"{found.name} of run {found.run[:8]}", "title"),
        Text(f"{share} · {text}" + (f": {found.why}" if found.why else ""), tone),
        Code(found.source.rstrip()),
    ]
    return blocks
