"""The handbook and the README are true: what is generated is up to date, blocks run or at least parse, links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

import jupyter_mlops as mlops
from jupyter_mlops.code.secrets import FORMS
from jupyter_mlops.config import Settings
from jupyter_mlops.models.settings import ModelSettings
from jupyter_mlops.surfaces import cli
from tests.delivered import with_database

from . import generated, pipeline_keys
from .blocks import LANGUAGES, blocks, mentions
from .reader import Reader, parses

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = [page for page in PAGES if any(block.language != "text" for block in blocks(page))]

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_what_is_generated_is_up_to_date() -> None:
    old = [page.name for page, text in generated.pages().items() if page.read_text(encoding="utf-8") != text]
    assert old == [], "write them anew: python -m tests.docs"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUN, ids=[page.name for page in RUN])
def test_a_page_does_what_it_says(page: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_database(project)
    # The commands of this very environment, and a terminal that is wide enough for its tables.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "150")
    reader = Reader(project, json.loads(pipeline_keys.SCHEMA.read_text(encoding="utf-8")))
    try:
        for block in blocks(page):
            reader.read(block)
    finally:
        reader.close()


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_is_in_one_language_its_links_lead_somewhere_and_its_commands_exist(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES
    assert [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if not _leads_somewhere(page, link)] == []
    for verb, *words in mentions(page):
        assert verb in mlops.VERBS or verb in ("VERB", "...") or verb.startswith("-"), f"{page.name}: mlops {verb}"
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert option in _options(verb), f"{page.name}: mlops {verb} {option}"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (lambda: [field.name for field in fields(Settings) if field.name != "project"], "docs/operations.md"),
        (lambda: [field.name for field in fields(ModelSettings) if field.name not in ("name", "file")], "docs/operations.md"),
        (lambda: [form.name for form in FORMS], "docs/operations.md"),
    ],
    ids=["settings", "settings of a model", "forms of secrets"],
)
def test_all_of_a_kind_are_told(found: Callable[[], list[str]], text: str) -> None:
    page = (ROOT / text).read_text(encoding="utf-8")
    assert [name for name in found() if f"`{name}`" not in page] == []


def test_a_command_that_is_wrong_is_found() -> None:
    parses(["runs", "--where", "auc > 0.8", "--json"], "here")
    for wrong in (["nosuch"], ["runs", "--nosuch", "1"], ["replay", "a", "b"], ["step", "a.ipynb"]):
        with pytest.raises(AssertionError, match=wrong[0]):
            parses(wrong, "here")


def test_what_a_page_says_is_shown_is_compared(tmp_path: Path) -> None:
    reader = Reader(tmp_path, {})
    reader._compare("run 0123abcd\n...\nscore 0.94012345 · 3.1 s", "run fedc9876\n\nmuch\nmore\nscore 0.94012345 · 12 s\n", "here")
    assert reader._own("mlops show 0123abcd") == "mlops show fedc9876"
    for page in ("score 0.94012346 · 3.1 s", "run 0123abcd\nscore 0.94012345 · 3.1 s", "nothing"):
        with pytest.raises(AssertionError, match="here"):
            reader._compare(page, "run fedc9876\nmuch\nscore 0.94012345 · 12 s\n", "here")


def _leads_somewhere(page: Path, link: str) -> bool:
    file, _, heading = link.partition("#")
    if re.match(r"https?://", link):
        return True
    target = page if not file else (page.parent / file)
    return target.exists() and (not heading or heading in _headings(target))


def _headings(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def _options(verb: str) -> set[str]:
    common = {"--json", "--csv", "--debug", "--help", "--version"}
    if verb not in mlops.VERBS:
        return common
    return common | {name for argument in cli.application()[verb].assemble_argument_collection() for name in argument.names}
