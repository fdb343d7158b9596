"""Writes the TypeScript types of what the verbs answer: `python -m tests.labextension.types` makes labextension/src/records.ts.

An interface for each record, for each answer of a verb, and for each dataclass that a reading route answers with. What Python says only in
a docstring (the form of a mapping, the records within a record) is in the table NESTED.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any, Union, get_args, get_origin, get_type_hints

from jupyter_mlops import records
from jupyter_mlops.surfaces import answers

FILE = Path(__file__).parents[2] / "labextension" / "src" / "records.ts"

WIDTH = 120

# A name that the browser has for something else.
NAMES = {"Node": "LineageNode"}

PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", Any: "unknown", object: "unknown"}

# What lies within a field, where Python's annotation leaves it open.
NESTED = {
    "CellEvent.outputs": "Output[]",
    "CellEvent.files_read": "Input[]",
    "CellEvent.files_written": "Input[]",
    "CellEvent.fetched": "Record<string, [string, string][]>",
    "Diff.columns": "ColumnChange[]",
    "Labelled.missing": "{ row: number; key: unknown }[]",
    "ModelVersion.signature": "{ inputs?: Field[]; outputs?: Field[] }",
    "Monitoring.alerts": "Alert[]",
    "Monitoring.distributions": "Record<string, { cells: unknown[]; reference: number[]; now: number[] }>",
    "Monitoring.drift": "Drift[]",
    "Monitoring.performance": "Record<string, Performance>",
    "Monitoring.series": "Record<string, [number, number | null, number][]>",
    "Monitoring.slices": "Record<string, unknown>[]",
    "Node.below": "LineageNode[]",
    "PipelineRun.edges": "Record<string, string[]>",
    "PipelineRun.release": "ReleaseOutcome | null",
    "PipelineStep.inputs": "Record<string, unknown>",
    "Promotion.check": "Check | null",
    "Replay.first": "Verdict | null",
    "Replay.results": "Verdict[]",
    "Retraining.gates": "Gate[]",
    "Run.inputs": "Input[]",
    "Run.model": "LoggedModel | null",
    "Run.series": "Record<string, [number, number][]>",
    "Slice.pieces": "Piece[]",
    "Snapshot.schema": "[string, string][]",
    "Status.cells": "CellState[]",
    "Status.names": "LostName[]",
    "Status.restart": "Foreseen[]",
    "Step.inputs": "Parameter[]",
    "Step.outputs": "{ name: string; kind: string; value?: unknown }[]",
    "Step.parameters": "Parameter[]",
    "StepRun.outputs": "Record<string, StepOutput>",
    "Trace.data": "TracedData[]",
    "Trace.prediction": "Prediction | null",
    "Trace.run": "Run | null",
    "Trace.version": "ModelVersion | null",
    "Validation.drift": "Drift[]",
    "Validation.findings": "Finding[]",
}

# The mappings named in that table, which are no records of their own.
HEAD = """\
// Written by `python -m tests.labextension.types` from the records and the answers of the verbs: change those, and write this anew.

/** The model of a run, as MLflow logged it. */
export interface LoggedModel {
  name: string;
  class: string;
  flavor: string;
  uri: string;
}

/** A column that a model takes or gives. */
export interface Field {
  name: string;
  type: string;
  required?: boolean;
}

/** How good a model is by one metric, now and on the data that it was made of. */
export interface Performance {
  value: number | null;
  reference: number | null;
  rows: number;
  interval: [number, number] | null;
}

/** What came of a pipeline's release. */
export interface ReleaseOutcome {
  state: string;
  name?: string;
  version?: number;
  alias?: string;
  why?: string;
  again?: boolean;
}

/** An output of a step, kept by content. */
export interface StepOutput {
  kind: string;
  digest: string;
  object?: string;
  format?: string;
  size?: number;
}

/** A piece of data that a prediction or a model version goes back to. */
export interface TracedData {
  name: string;
  role: string;
  kind: string;
  digest: string;
  rows: number | null;
  kept: boolean;
}
"""


def text() -> str:
    """The whole file."""
    return "\n".join([HEAD, *(_interface(kind) for kind in classes())])


def classes() -> Iterator[type]:
    """The records, the answers, and what the reading routes answer with, each group by name."""
    yield from (getattr(records, name) for name in sorted(records.__all__) if inspect.isclass(getattr(records, name)))
    yield from _defined(answers)
    try:
        routes = importlib.import_module("jupyter_mlops.surfaces.routes")
    except ModuleNotFoundError:
        return
    for module in sorted(info.name for info in pkgutil.iter_modules(routes.__path__) if info.name.startswith("reading")):
        yield from _defined(importlib.import_module(f"{routes.__name__}.{module}"))


def _defined(module: types.ModuleType) -> Iterator[type]:
    for name, kind in sorted(vars(module).items()):
        if is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__ and not name.startswith("_"):
            yield kind


def _interface(kind: type) -> str:
    own = vars(sys.modules[kind.__module__])
    hints = get_type_hints(kind, {**vars(records), **vars(answers), **own, "Mapping": Mapping, "Popen": Popen})
    lines = [f"  {item.name}: {NESTED.get(f'{kind.__name__}.{item.name}') or _type(hints[item.name])};" for item in fields(kind)]
    return "\n".join([_comment(_sentence(kind)), f"export interface {_name(kind)} {{", *lines, "}", ""])


def _type(hint: Any) -> str:
    """What a value of a Python type is in JSON, as a TypeScript type."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " | ".join(sorted({_type(item) for item in arguments}, key=lambda name: (name == "null", name)))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"[{', '.join(map(_type, arguments))}]"
    if origin in (tuple, list):
        inner = _type(arguments[0])
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if origin in (Mapping, dict):
        return f"Record<string, {_type(arguments[1])}>"
    if origin is Popen:  # `--json` gives the number of the process
        return "unknown"
    if is_dataclass(hint):
        return _name(hint)
    raise TypeError(f"{hint} has no TypeScript type yet: add it here.")


def _name(kind: type) -> str:
    return NAMES.get(kind.__name__, kind.__name__)


def _comment(sentence: str) -> str:
    line = f"/** {sentence} */"
    if len(line) <= WIDTH:
        return line
    return "\n".join(["/**", *textwrap.wrap(sentence, WIDTH, initial_indent=" * ", subsequent_indent=" * "), " */"])


def _sentence(kind: type) -> str:
    """The first sentence of a class's docstring."""
    paragraph = " ".join((inspect.getdoc(kind) or kind.__name__).split("\n\n")[0].split())
    return paragraph.split(". ")[0].removesuffix(".").removesuffix(":") + "."


def main() -> None:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    print(f"{FILE.name}: {sum(1 for _ in classes())} interfaces")


if __name__ == "__main__":
    main()
