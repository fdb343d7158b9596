"""What a step declares of its inputs, asked before it begins, in a process of its own.

`python -m jupyter_mlops.pipelines.running.checking REQUEST`: who checks data is not known here. Whoever starts a run names it
(`Task.checks`, as module:function), and the machine that does the step imports it by that name.

The request is a JSON file {"checks", "inputs": {NAME: {"data", "schema", "reference"}}, "objects", "answer"}; the file `answer` gets
{NAME: {"validation": ...} or {"error": ...}}.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ...errors import MlopsError
from ...records import Finding, PipelineStep, Validation, to_json
from ..definition.functions import path_of
from .calling import find
from .children import supervise
from .task import Report

REFUSED = "The step did not begin:"
"""How the last line of a refusal starts."""
_MOST_FINDINGS = 10


class DataChecks(Protocol):
    """Holds data against what is declared of it."""

    def __call__(self, data: Any, *, schema: str | None, reference: str | None, objects: str) -> Validation:
        """What is wrong with data, given as a path or value; `schema` and `reference` are paths (the reference may be a digest), `objects`
        is where snapshots are. Raises MlopsError."""


def refusal(
    step: PipelineStep, arguments: Mapping[str, Any], *, checks: str, folder: Path, objects: str, env: Mapping[str, str], report: Report
) -> str:
    """Why a step may not begin with these inputs: what is wrong with them, the sum of it in the last line. "" where nothing is.

    What `report` raises ends the checks and goes on.
    """
    if not step.validate:
        return ""
    if not checks:
        return f"The step {step.name} declares checks of its inputs, which `mlops run` makes: run it so."
    with tempfile.TemporaryDirectory(prefix="mlops-check-") as temporary:
        request, answer, log = (Path(temporary, name) for name in ("request.json", "answer.json", "log"))
        inputs = {
            name: {"data": arguments[name], "schema": _placed(folder, asked, "schema"), "reference": _placed(folder, asked, "reference")}
            for name, asked in step.validate.items()
        }
        asked_for = {"checks": checks, "inputs": inputs, "objects": objects, "answer": str(answer)}
        request.write_text(json.dumps(asked_for, default=str), "utf-8")
        ended = supervise(
            [sys.executable, "-P", "-m", __name__, str(request)], cwd=folder, env={**os.environ, **env}, log=log, timeout=step.timeout,
            alive=lambda: report({"event": "cell"}),
        )  # fmt: skip
        if ended.late:
            return f"The checks of its inputs were ended after the step's timeout of {step.timeout:g} s."
        if not answer.exists():
            said = log.read_text("utf-8", "replace").strip()[-2000:]
            return f"{said}\nThe checks of its inputs ended with status {ended.status}.".strip()
        told = json.loads(answer.read_text("utf-8"))
    return _told(step, told)


def files(step: PipelineStep) -> tuple[str, ...]:
    """The files that the checks of a step need, relative to the pipeline's folder."""
    paths = [asked[key] for asked in step.validate.values() for key in ("schema", "reference") if asked.get(key)]
    return tuple(dict.fromkeys(path_of(path) for path in paths))


def _placed(folder: Path, asked: Mapping[str, Any], key: str) -> str | None:
    """A path as it lies on this machine; a digest, and what is not there, as it is written."""
    value = asked.get(key)
    return str(folder / value) if value and (folder / path_of(value)).exists() else value


def _told(step: PipelineStep, told: Mapping[str, Any]) -> str:
    """What was found, as text: the findings of each input, and a sentence at the end."""
    lines, sums = [], []
    for name, found in told.items():
        against = " and ".join(filter(None, (step.validate[name].get("schema"), step.validate[name].get("reference"))))
        if "error" in found:
            lines.append(f"{name}: {found['error']}")
            sums.append(f"{name} cannot be checked")
            continue
        validation = Validation.from_json(found["validation"])
        findings = [Finding.from_json(item) for item in validation.findings]
        if not findings:
            continue
        lines.append(f"{name} ({step.inputs[name]}, {validation.rows:,} rows) against {against}:")
        lines += [f"  ✗ {_line(item)}" for item in findings[:_MOST_FINDINGS]]
        if len(findings) > _MOST_FINDINGS:
            lines.append(f"  and {len(findings) - _MOST_FINDINGS} more findings: `mlops validate` shows all")
        kinds = dict.fromkeys(f"{item.check} {item.column}".strip() for item in findings)
        few = ", ".join([*list(kinds)[:4], *([f"{len(kinds) - 4} more"] if len(kinds) > 4 else [])])
        sums.append(f"{name} fails {len(findings)} of {validation.checks:,} checks ({few})")
    return "\n".join([*lines, f"{REFUSED} its input {'; '.join(sums)}."]) if sums else ""


def _line(item: Finding) -> str:
    rows = ", ".join(map(str, item.rows))
    where = f" [row{'s' * (len(item.rows) > 1)} {rows}{', …' if item.count > len(item.rows) else ''}]" if rows else ""
    values = f" [{', '.join(map(repr, item.examples[:3]))}]" if item.examples else ""
    return f"{item.check} {item.column}: ".replace(" : ", ": ") + item.what + values + where


def main(request: Path) -> None:
    """Make the checks."""
    asked = json.loads(request.read_text("utf-8"))
    checks: DataChecks = find(asked["checks"])
    # Schemas are the user's own code, and find modules of the project; none of those may stand in for one of ours.
    sys.path.append(os.getcwd())
    told: dict[str, Any] = {}
    for name, given in asked["inputs"].items():
        try:
            found = checks(given["data"], schema=given["schema"], reference=given["reference"], objects=asked["objects"])
            told[name] = {"validation": to_json(found)}
        except MlopsError as error:
            told[name] = {"error": str(error)}
    answer = Path(asked["answer"])
    answer.with_suffix(".part").write_text(json.dumps(told, default=str), "utf-8")
    answer.with_suffix(".part").replace(answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
