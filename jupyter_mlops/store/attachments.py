"""The files that go with a run: the history as a notebook, environment, code, parameters and values kept whole."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import MlopsError
from ..records import to_json
from . import formats, limits
from .notebook_json import Objects, as_json, code_cell, notebook, notebook_output
from .runs import RunState, SessionState

HISTORY = "mlops/history.ipynb"


class Environment:
    """What a session ran in, from the object that its journal names: packages, git state, the user's own modules."""

    def __init__(self, digest: str | None, objects: Objects) -> None:
        self._objects = objects
        self.described: dict[str, Any] = {}
        if digest:
            try:
                self.described = json.loads(objects.get(digest))
            except (MlopsError, OSError, ValueError):
                self.described = {"missing": digest}

    @property
    def commit(self) -> str:
        """The git commit, "" outside a repository."""
        return str(self._git.get("commit") or "")

    @property
    def requirements(self) -> list[str]:
        """One `name==version` for each installed package."""
        packages: Mapping[str, str] = self.described.get("packages") or {}
        return [f"{name}=={version}" for name, version in sorted(packages.items())]

    @property
    def sys_path(self) -> list[str]:
        """Where the session imported modules from, beyond its project."""
        return [str(folder) for folder in self.described.get("sys_path") or ()]

    @property
    def _git(self) -> Mapping[str, Any]:
        git = self.described.get("git")
        return git if isinstance(git, Mapping) else {}

    def files(self) -> dict[str, bytes]:
        """The files that say all this, by artifact path."""
        if not self.described:
            return {}
        listed = {key: value for key, value in self.described.items() if key != "git"} | {
            "git": {k: v for k, v in self._git.items() if k != "diff"}
        }
        files = {"mlops/environment.json": as_json(listed)}
        if self.requirements:
            files["requirements.txt"] = ("\n".join(self.requirements) + "\n").encode()
        if self._git.get("diff"):
            files["mlops/git.diff"] = str(self._git["diff"]).encode("utf-8", "surrogateescape")
        for module in self.described.get("modules") or ():
            try:
                files[safe_path(f"mlops/modules/{_below(module)}")] = self._objects.get(module["digest"])
            except (MlopsError, OSError, KeyError):
                continue
        return files


def _below(module: Mapping[str, Any]) -> str:
    path = str(module.get("path") or "")
    if path and not path.startswith(("/", "..")) and ":" not in path:
        return path
    name = str(module.get("module") or module.get("name") or "module")
    return name.replace(".", "/") + ("/__init__.py" if path.endswith("__init__.py") else ".py")


def run_files(state: RunState, session: SessionState) -> dict[str, bytes]:
    """The files that depend on the run alone, by artifact path; all but the history, which `history_notebook` makes."""
    files: dict[str, bytes] = {}
    defaults = {str(model.get("name") or index): model["all_params"] for index, model in enumerate(state.models) if model.get("all_params")}
    if defaults:
        files["mlops/params.json"] = as_json(defaults)
    whole = whole_values(state)
    if whole:
        files["mlops/values.json"] = as_json(whole)
    if state.error:
        files["mlops/traceback.txt"] = state.error.encode("utf-8", "backslashreplace")
    if state.skipped:
        files["mlops/skipped.txt"] = ("\n".join(state.skipped) + "\n").encode("utf-8", "backslashreplace")
    return files


def whole_values(state: RunState) -> dict[str, Any]:
    """Names and values that MLflow cannot take as they are.

    {"params" | "metrics" | "tags": {name: {"key": MLflow's name, "value": the whole value}}}; metrics have "values", [[step, value], ...].
    """
    found: dict[str, dict[str, Any]] = {"params": {}, "metrics": {}, "tags": {}}
    for name, value in state.params.items():
        if limits.key(name) != name or limits.param(value) != str(value):
            found["params"][name] = {"key": limits.key(name), "value": value}
    for name, text in state.tags.items():
        if text is not None and (limits.key(name) != name or limits.tag(text) != text):
            found["tags"][name] = {"key": limits.key(name), "value": text}
    for name, value, step, _ in state.metrics:
        if limits.key(name) != name or not limits.exact(value):
            entry = found["metrics"].setdefault(name, {"key": limits.key(name), "values": []})
            entry["values"].append([step, value])
    return {kind: entries for kind, entries in found.items() if entries}


def history_notebook(events: Sequence[Mapping[str, Any]], own: set[int], objects: Objects, told: Mapping[str, Any] | None = None) -> bytes:
    """The executions as a notebook (nbformat 4.5): source as executed, in true order, outputs for the run's `own` cells only.

    Each cell's metadata holds the rest of its event under "mlops", and the notebook's what is `told` of the session (see
    `recordings.portable`), so that another machine can replay from this file alone.
    """
    cells = [_cell(event, event["seq"] in own, objects) for event in events]
    return as_json(notebook(cells, **({} if told is None else {"mlops": {"format": formats.HISTORY} | to_json(told)})))


def events_of(content: bytes) -> list[dict[str, Any]]:
    """The CellEvents, as JSON, that `history_notebook` wrote. Raises NewerFormat."""
    document = json.loads(content)
    formats.check(f"The run's {HISTORY} in MLflow", document["metadata"].get("mlops", {}).get("format"), formats.HISTORY)
    cells = document["cells"]
    return [cell["metadata"]["mlops"] | {"source": cell["source"]} for cell in cells if "mlops" in cell.get("metadata", {})]


def recording_of(content: bytes) -> dict[str, Any] | None:
    """What `history_notebook` was told of the session, with the events and the outputs of the run's own; None where it was not told."""
    events, document = events_of(content), json.loads(content)
    told: dict[str, Any] | None = document["metadata"].get("mlops")
    if told is None:
        return None
    shown = {cell["metadata"]["mlops"]["seq"]: [_shown(output) for output in cell["outputs"]] for cell in document["cells"]}
    return told | {"events": [event | {"outputs": shown[event["seq"]]} for event in events]}


def _shown(output: Mapping[str, Any]) -> dict[str, Any]:
    """An output of a notebook as an event has it."""
    match output["output_type"]:
        case "stream":
            return {"kind": "stream", "name": output["name"], "data": {"text/plain": output["text"]}}
        case "error":
            return {"kind": "error", "name": output["ename"], "data": {"text/plain": "\n".join(output["traceback"])}}
        case kind:
            return {"kind": "result" if kind == "execute_result" else "display", "name": "", "data": output["data"]}


def _cell(event: Mapping[str, Any], own: bool, objects: Objects) -> dict[str, Any]:
    kept = {key: value for key, value in event.items() if key not in ("source", "outputs")}
    outputs = [notebook_output(output, event["seq"], objects) for output in event.get("outputs", ())] if own else []
    source, told = event.get("source", ""), {"mlops": kept}
    return code_cell(f"execution-{event['seq']}", source, metadata=told, count=event["seq"], outputs=outputs)


def safe_path(path: str) -> str:
    """An artifact path that stays inside the run's folder and that file systems and URLs take; a changed one is told apart by a hash."""
    normal = posixpath.normpath(path.replace("\\", "/"))
    if (
        re.fullmatch(r"[\w\-. /()+=,]+", normal)
        and not normal.startswith(("/", ".."))
        and all(0 < len(part.encode()) < 200 for part in normal.split("/"))
    ):
        return normal
    parts = [re.sub(r"[^\w\-. ()+=,]+", "_", part).strip()[-60:] for part in normal.split("/") if part not in ("", ".", "..")]
    mark = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    stem, extension = posixpath.splitext("/".join(parts) or "file")
    return f"{stem}_{mark}{extension}"
