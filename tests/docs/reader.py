"""A reader who tries every block of a page: one folder, one store and one kernel for the whole page."""

from __future__ import annotations

import ast
import contextlib
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import psutil
import yaml
from IPython.core.inputtransformer2 import TransformerManager

from jupyter_mlops import config
from jupyter_mlops.models import settings as model_settings
from jupyter_mlops.pipelines.definition import yaml_lines
from jupyter_mlops.surfaces import arguments, cli
from tests.conftest import Kernel

from .blocks import Block, commands

# What differs from one reading to the next, and what stands for it where two readings are compared.
_VARYING = (
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?\b"), "DATE"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:µs|ms|s|min|h|B|kB|KB|MB|GB)\b"), "QUANTITY"),
    (re.compile(r"[─━═]+"), "RULE"),
)
_ID = re.compile(r"(?<![.])\b(?:p?[0-9a-f]{8,64}|(?<=[A-Za-z]-)[0-9a-f]{4})\b")  # no decimals
_SECONDS = 180


class Anything(dict[str, object]):
    """A namespace that has whatever is asked for: a parser of commands may then take any word for DATA."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return name

    def get(self, name: str, default: object = None) -> object:  # type: ignore[override]  # of texts alone
        return name


class Reader:
    """Tries blocks in `folder`, one after the other. The ids that a page shows stand for those that this reading gives."""

    def __init__(self, folder: Path, schema: dict[str, object]) -> None:
        self.folder = folder
        self._schema = schema
        self._kernel: Kernel | None = None
        self._ids: dict[str, str] = {}
        self._shown = ""

    def close(self) -> None:
        """End the kernel, if the page had cells, and what these started and left."""
        if self._kernel is not None:
            started = psutil.Process(self._kernel.pid).children(recursive=True)
            self._kernel.close()
            for process in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def read(self, block: Block) -> None:
        """Try one block. AssertionError where it is not true."""
        if "parsed" in block.words:
            self._parse(block)
        elif block.file:
            self._write(block)
        elif block.words == ("output",):
            self._compare(block.text, self._shown, block.place)
        else:
            self._doing()[block.language](block)

    def _doing(self) -> dict[str, Callable[[Block], None]]:
        nothing = lambda block: None  # noqa: E731  (what is for the eye alone)
        return {
            "python": self._cell, "sh": self._script, "console": self._dialogue, "yaml": self._pipeline, "toml": self._settings,
            "text": nothing, "mermaid": nothing,
        }  # fmt: skip

    def _cell(self, block: Block) -> None:
        if self._kernel is None:
            self._kernel = Kernel(self.folder)
        ran = self._kernel.run(self._own(block.text), timeout=_SECONDS)
        self._shown = ran.text + ran.stderr
        assert ran.error == "", f"{block.place}: {self._shown}"

    def _script(self, block: Block) -> None:
        status, self._shown = self._run(block.text)
        assert status == 0, f"{block.place} ends with status {status}: {self._shown}"

    def _dialogue(self, block: Block) -> None:
        for turn in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, shown = turn.partition("\n")
            status, said = self._run(command)
            assert status in (0, 1), f"{block.place}: {command} ends with status {status}: {said}"
            self._compare(shown, said, f"{block.place}: {command}")

    def _run(self, script: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._own(script)], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def _own(self, text: str) -> str:
        """The text with the ids of this reading."""
        return _ID.sub(lambda found: self._ids.get(found[0], found[0]), text)

    def _compare(self, page: str, said: str, place: str) -> None:
        """Every line of the page must have been shown, in order; `...` stands for any number of others."""
        wanted = [line for line in page.splitlines() if line.strip()]
        there = [line for line in said.splitlines() if line.strip()]
        at, free = 0, False
        for line in wanted:
            if line.strip() == "...":
                free = True
                continue
            ahead = next((index for index in range(at, len(there)) if _same(line, there[index])), None)
            assert ahead is not None, f"{place}: nobody showed {line!r} there, but\n{said}"
            assert free or ahead == at or at == 0, f"{place}: {there[at]!r} comes before {line!r}"
            self._ids |= _pairs(line, there[ahead])
            at, free = ahead + 1, False

    def _write(self, block: Block) -> None:
        file = self.folder / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        more = file.name == "pyproject.toml" and file.exists()
        file.write_text((file.read_text(encoding="utf-8") + "\n" if more else "") + block.text, encoding="utf-8")
        if file.suffix == ".toml":
            self._check_settings(file.parent)
        elif file.name == "pipeline.yaml":
            self._pipeline(block)

    def _parse(self, block: Block) -> None:
        match block.language:
            case "sh":
                for words in commands(block.text):
                    parses(words, block.place)
            case "python":
                ast.parse(TransformerManager().transform_cell(block.text))
            case "yaml":
                assert yaml.safe_load(block.text), block.place

    def _pipeline(self, block: Block) -> None:
        part = self.folder / "part-of-a-page.yaml"
        part.write_text(block.text, encoding="utf-8")
        # As a pipeline is read, where `on` is no truth value.
        jsonschema.validate({"steps": {"any": {"shell": "true"}}, **yaml_lines.read(part).values}, self._schema)

    def _settings(self, block: Block) -> None:
        place = self.folder / "settings-of-a-page"
        place.mkdir(exist_ok=True)
        (place / "pyproject.toml").write_text(block.text, encoding="utf-8")
        self._check_settings(place)

    def _check_settings(self, folder: Path) -> None:
        written = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        settings = config.load(folder)
        for name in written["tool"]["mlops"].get("models", {}):
            model_settings.of(settings, name)


def parses(words: list[str], place: str) -> None:
    """Assert that the command line's own parser takes these words: the verb, its arguments and its options."""
    token = arguments.NAMES.set(Anything())
    try:
        cli.application().parse_args(cli.common(words).tokens or ("--help",), exit_on_error=False, print_error=False)
    except Exception as error:
        raise AssertionError(f"{place}: mlops {' '.join(words)}: {cli.sentence(error)}") from error
    finally:
        arguments.NAMES.reset(token)


def _same(page: str, said: str) -> bool:
    return _plain(page) == _plain(said)


def _plain(line: str) -> str:
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return " ".join(_ID.sub("ID", line).split())


def _pairs(page: str, said: str) -> dict[str, str]:
    for pattern, word in _VARYING:
        page, said = pattern.sub(word, page), pattern.sub(word, said)
    return dict(zip(_ID.findall(page), _ID.findall(said), strict=True))
