"""The fenced blocks of a page, and what their first words say of them.

    ```python         a cell, run in the page's kernel
    ```sh             run in the page's folder; it must end with status 0
    ```console        commands after `$`, run as well; below each what it prints
    ```text output    what the block before it shows (among other things)
    ```yaml           a part of pipeline.yaml, held against its schema
    ```toml           settings, which must be known and well written

A block that begins with `# NAME.ext` is a file of the page's folder and is written there; of pyproject.toml it is a part. With the word
`parsed`, a block is not run: of `sh` every line of `mlops` must parse, of `python` the syntax must be right, and YAML must be YAML.
Blocks of `text` and `mermaid` are for the eye alone.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = {"python", "sh", "console", "text", "yaml", "toml", "mermaid"}

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+\.\w+)(?:[ :,].*)?\n")
_SEPARATORS = {"&&", "||", ";", "|", "&", "(", ")", ">", "\n"}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: where it stands, its language, the further words after that, and its text."""

    page: Path
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def file(self) -> str:
        """The name of the file that it is, else ""."""
        named = _FILE.match(self.text) if self.language in ("python", "yaml", "toml") else None
        return named[1] if named else ""

    @property
    def place(self) -> str:
        """Where it is, for whoever has to mend it."""
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        language, *words = fence["info"].split() or ["text"]
        indent = len(fence["indent"])
        body = "".join(line[indent:] if line.strip() else line for line in fence["text"].splitlines(keepends=True))
        found.append(Block(page, text.count("\n", 0, fence.start()) + 1, language, tuple(words), body))
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command `mlops ...` in some lines of shell."""
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="();|&>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words: list[str] | None = None
        begins = True
        for word in lexer:
            if word in _SEPARATORS:
                if words is not None:
                    yield words
                words, begins = None, True
            elif words is not None:
                words.append(word)
            elif begins and word == "mlops":
                words = []
            else:
                begins = begins and ("=" in word or word == "jupyter")
        if words is not None:
            yield words


def mentions(page: Path) -> Iterator[list[str]]:
    """The words of every `mlops ...` in the page's prose."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for code in re.findall(r"`%{0,2}mlops ([^`\n]+)`", prose):
        yield from commands(f"mlops {code}")
