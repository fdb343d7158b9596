"""The key of a step: what decides its result, each part by its name so that a change can be told. Equal keys, equal results."""

from __future__ import annotations

import difflib
import itertools
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from ...code.secret_forms import kind_of_name, secret_part
from ...errors import PipelineError
from ...records import Pipeline, PipelineStep
from ..definition.functions import path_of
from . import sources
from .contents import Contents
from .distributions import python
from .modules import Modules
from .sources import Default, Said

FORMAT = 1
"""Part of every key: results of a version that took other things into account are not found."""
_SCRIPTS = frozenset((".py", ".sh", ".bash", ".r", ".jl", ".pl", ".rb", ".js", ".awk", ".sed", ".sql"))
_LONGEST = 60
_NUMBERS = "numbers"


class Keys:
    """Makes the parts of steps' keys. What it looked up is valid until `forget`."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._modules = Modules(contents.folder, contents, contents.distributions)

    def forget(self) -> None:
        """Look at everything again from now on."""
        self._modules.forget()
        self._contents.distributions.forget()

    def parts(self, step: PipelineStep, inputs: Mapping[str, str], pipeline: Pipeline) -> dict[str, Any]:
        """What decides the result of a step, given the digests of its inputs by name. Plain JSON.

        `params` holds a notebook's defaults too; `environment` maps distributions to versions. Raises PipelineError for a source that is
        not there.
        """
        environment = {**pipeline.env, **step.env}
        params = plain(step.params)
        parts: dict[str, Any] = {"format": FORMAT, "kind": step.kind, "inputs": dict(inputs), "env": plain(environment)}
        if step.outputs:
            parts["outputs"] = dict(step.outputs)
        if step.validate:
            parts["validate"] = self._checks(step)
        match step.kind:
            case "notebook":
                self._notebook(step, params, environment, parts)
            case "python":
                self._function(step, environment, parts)
            case _:
                self._command(step, environment, parts)
        parts["params"] = {**parts.get("params", {}), **params}
        self._schemas(step, environment, parts)
        return parts

    def _checks(self, step: PipelineStep) -> dict[str, str]:
        """The contents of what inputs are held against. Raises PipelineError."""
        found = {}
        for name, asked in step.validate.items():
            for what, value in asked.items():
                file = path_of(value)
                try:
                    content = self._contents.file(file)
                except OSError:
                    if what == "schema" or os.sep in value or "." in value:
                        raise PipelineError(f"step {step.name!r}: there is no {what} {value} for {name!r}: correct its path.") from None
                    content = value  # a digest
                found[f"{name} {what}"] = content if file == value else f"{content} {value}"
        return found

    def _schemas(self, step: PipelineStep, environment: Mapping[str, str], parts: dict[str, Any]) -> None:
        """What schemas that are written in Python import of the project."""
        paths = dict.fromkeys(path_of(asked.get("schema", "")) for asked in step.validate.values())
        files = tuple(path for path in paths if path.endswith(".py"))
        if files:
            found = self._modules.needed(Said(digest="", runs=files), environment)
            parts["modules"] = dict(sorted({**parts.get("modules", {}), **found.local}.items()))

    def _notebook(self, step: PipelineStep, params: Mapping[str, Any], environment: Mapping[str, str], parts: dict[str, Any]) -> None:
        path = str(self._contents.folder / step.source)
        try:
            read = self._contents.remembered("notebook", path, _notebook)
        except OSError:
            raise PipelineError(f"step {step.name!r}: there is no notebook {step.source}: correct its path.") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise PipelineError(f"step {step.name!r}: {step.source} is no notebook: open it in Jupyter and save it again.") from None
        parts["kernel"] = step.kernel or read["kernel"] or "python3"
        cells = list(read["cells"])
        if read["defaults"] is not None:
            given = {*params, *step.inputs}
            parts["params"], left = sources.settled([Default.from_json(item) for item in read["defaults"]], given)
            cells[read["top"]] = blake3("".join(left).encode()).hexdigest()[:32] if left else ""
        parts["code"] = [digest for digest in cells if digest]
        parts[_NUMBERS] = [number for number, digest in zip(read["numbers"], cells, strict=True) if digest]
        if read["said"] is not None:
            self._needs(Said.from_json(read["said"]), environment, parts)

    def _function(self, step: PipelineStep, environment: Mapping[str, str], parts: dict[str, Any]) -> None:
        module, _, function = step.source.rpartition(":")
        parts["code"] = [function]
        if module.endswith(".py"):
            if not (self._contents.folder / module).is_file():
                raise PipelineError(f"step {step.name!r}: there is no file {module}: correct its path.")
            self._needs(Said(digest="", runs=(module,)), environment, parts)
        else:
            self._needs(Said(digest="", imports=((0, module, ()),)), environment, parts)

    def _command(self, step: PipelineStep, environment: Mapping[str, str], parts: dict[str, Any]) -> None:
        parts["code"] = [step.source]
        scripts = list(self._scripts(step))
        code = [script for script in scripts if script.endswith(".py")]
        if code:
            self._needs(Said(digest="", runs=tuple(code)), environment, parts)
        others = {script: self._contents.file(script) for script in scripts if not script.endswith(".py")}
        if others:
            parts["modules"] = {**parts.get("modules", {}), **others}

    def _scripts(self, step: PipelineStep) -> Iterator[str]:
        """The programs of the pipeline's folder that a command names; data that it names is for `inputs`."""
        try:
            words = shlex.split(step.source)
        except ValueError:
            words = step.source.split()
        made = {os.path.normpath(path) for path in step.outputs.values()}
        for word in dict.fromkeys(words):
            path = self._contents.folder / word
            is_program = path.suffix.lower() in _SCRIPTS or os.access(path, os.X_OK)
            if "{" not in word and os.path.normpath(word) not in made and is_program and path.is_file() and not os.path.isabs(word):
                yield os.path.normpath(word)

    def _needs(self, said: Said, environment: Mapping[str, str], parts: dict[str, Any]) -> None:
        found = self._modules.needed(said, environment)
        installed = self._contents.distributions
        parts["modules"] = dict(sorted(found.local.items()))
        parts["environment"] = {"python": python(), **(installed.all() if found.untold else installed.needed(found.others))}


def key(parts: Mapping[str, Any]) -> str:
    """The BLAKE3 of the parts, whatever order they are in. How cells are numbered does not count: text and comments change it."""
    counted = {name: value for name, value in parts.items() if name != _NUMBERS}
    return blake3(json.dumps(counted, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences that say how parts differ, such as `params.month: 3 -> 4`, `inputs.flights: content changed`, `code: cell 3`."""
    found: list[str] = []
    for name in ("kind", "kernel"):
        if old.get(name) != new.get(name):
            found.append(f"{name}: {old.get(name) or 'none'} -> {new.get(name) or 'none'}")
    if old.get("code") != new.get("code"):
        found += _code_changes(old, new)
    for name in ("params", "env", "outputs"):
        found += [f"{name}.{item}: {_short(one)} -> {_short(other)}" for item, one, other in _differences(old, new, name)]
    found += [f"inputs.{item}: {_word(one, other)}" for item, one, other in _differences(old, new, "inputs", "content changed")]
    found += [f"validate.{item}: {_word(one, other)}" for item, one, other in _differences(old, new, "validate")]
    found += [f"modules: {item}{_suffix(one, other)}" for item, one, other in _differences(old, new, "modules")]
    found += [f"environment: {item} {one or 'none'} -> {other or 'none'}" for item, one, other in _differences(old, new, "environment")]
    if not found and old != new:
        found.append("the way in which keys are made")
    return tuple(found)


def plain(value: Any) -> Any:
    """A value as JSON that differs for values that differ; dates and the like, which YAML has, by their text and type. What is secret by
    its name is replaced by a digest, since parts are kept and shown."""
    if isinstance(value, Mapping):
        return {str(name): _hidden(item) if _is_secret(str(name), item) else plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return {type(value).__name__: str(value)}


def _is_secret(name: str, value: Any) -> bool:
    kind = kind_of_name(name)
    return kind is not None and isinstance(value, str) and secret_part(kind, value) is not None


def _hidden(value: str) -> str:
    return f"secret {blake3(value.encode(), derive_key_context='jupyter_mlops secrets in keys').hexdigest()[:16]}"


def _notebook(path: str) -> dict[str, Any]:
    """What keys need of a notebook. `cells` are digests of its code cells ("" without code), `numbers` count those that are executed, `top`
    is the place of the parameters cell among them, `defaults` what it holds, `said` what all cells say together (None for another language
    than Python)."""
    from ..definition.notebooks import PARAMETERS, of_content

    content = json.loads(Path(path).read_bytes())
    declared = of_content(content, path)
    cells = [cell for sheet in content["worksheets"] for cell in sheet["cells"]] if "worksheets" in content else content["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    # A source may be one text or its lines; nbformat 3 called it input.
    texts = ["".join(cell.get("source", cell.get("input", ""))) for cell in code]
    numbers = list(itertools.accumulate(int(bool(text.strip())) for text in texts))
    read: dict[str, Any] = {"kernel": declared.kernel, "numbers": numbers, "top": None, "defaults": None, "said": None}
    if declared.language != "python":
        return {**read, "cells": [_half(sources.of_other_language(text)) for text in texts]}
    told = [sources.of_cell(text) for text in texts]
    top = next((place for place, cell in enumerate(code) if PARAMETERS in (cell.get("metadata") or {}).get("tags", ())), None)
    if top is not None and (defaults := sources.defaults(texts[top])) is not None:
        read |= {"top": top, "defaults": [item.to_json() for item in defaults]}
    return {**read, "cells": [_half(item.digest) for item in told], "said": sources.joined(told).to_json()}


def _half(digest: str) -> str:
    """128 bits are enough for one cell, and each key keeps all of its cells."""
    return digest[:32]


def _code_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = list(old.get("code") or ()), list(new.get("code") or ())
    if new.get("kind") != "notebook" or old.get("kind") != "notebook":
        return ["code: " + (f"{_short(before[0])} -> {_short(after[0])}" if before and after else "changed")]
    numbered = [list(parts.get(_NUMBERS) or range(1, len(parts["code"]) + 1)) for parts in (old, new)]
    found: list[str] = []
    for kind, start, stop, first, last in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind in ("replace", "insert"):
            found.append(f"code: {_cells(numbered[1][first:last])}" + (" new" if kind == "insert" else ""))
        elif kind == "delete":
            found.append(f"code: {_cells(numbered[0][start:stop])} gone")
    return found


def _cells(numbers: Sequence[int]) -> str:
    return f"cell {numbers[0]}" if len(numbers) == 1 else f"cells {numbers[0]} to {numbers[-1]}"


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], part: str, missing: str = "") -> list[tuple[str, Any, Any]]:
    before, after = old.get(part) or {}, new.get(part) or {}
    names = [*before, *(name for name in after if name not in before)]
    return [(name, before.get(name), after.get(name)) for name in names if _unlike(before, after, name)]


def _unlike(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> bool:
    return name not in before or name not in after or json.dumps(before[name], sort_keys=True) != json.dumps(after[name], sort_keys=True)


def _word(one: Any, other: Any) -> str:
    return "new" if one is None else "gone" if other is None else "content changed"


def _suffix(one: Any, other: Any) -> str:
    return " new" if one is None else " gone" if other is None else ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
