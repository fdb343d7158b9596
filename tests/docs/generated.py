"""What in docs/ is generated: the page of the verbs, and the parts of other pages that stand between two marks."""

from __future__ import annotations

import re
from pathlib import Path

from . import kept_formats, pipeline_keys, records, verbs

DOCS = Path(__file__).parents[2] / "docs"

_PART = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end of what is generated -->)", re.DOTALL)

PARTS = {
    "keys of pipeline.yaml": pipeline_keys.text,
    "gates": pipeline_keys.gates,
    "records": records.text,
    "formats": kept_formats.text,
}


def pages() -> dict[Path, str]:
    """Each page with something generated, as it should be."""
    whole = {DOCS / "verbs.md": verbs.text()}
    return whole | {page: _filled(page.read_text(encoding="utf-8")) for page in sorted(DOCS.glob("*.md")) if page.name != "verbs.md"}


def _filled(page: str) -> str:
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", page)
