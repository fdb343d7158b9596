"""The page of the verbs, from their signatures and docstrings: what `mlops VERB --help` says, for reading at leisure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import jupyter_mlops as mlops
from jupyter_mlops.surfaces import commands
from jupyter_mlops.surfaces.arguments import Data, Given, Model, Texts, Values

HEAD = """\
<!-- Written by `python -m tests.docs` from the docstrings of the verbs: change those, and write this anew. -->

# Verbs

A verb is the same in a shell (`mlops runs`, or `jupyter mlops runs`), in a notebook (`%mlops runs`) and in Python (`mlops.runs()` after
`import jupyter_mlops as mlops`; options are keywords, and what it returns is described in [Python](python.md#records)). `mlops VERB --help`
says what stands here.

With every verb:

| option | what it does |
|---|---|
| `--json` | prints the answer as JSON |
| `--debug` | shows the traceback of an error, which otherwise is one sentence |
| `--help` | explains the verb |

`mlops runs` also has `--csv`. `mlops --version` prints the version, and `mlops --completion bash` (or zsh, fish) what lets a shell
complete commands and options: put `eval "$(mlops --completion bash)"` into its start-up file.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | done, and the answer is no: a replay differs, a gate failed, a step failed, data is wrong, something is damaged |
| 2 | wrong use, or an error: one sentence on stderr says what to do |
| 130 | interrupted by Ctrl-C |

RUN is a run's id or the beginning of it, its name, or an MLflow run id. Where it may be left out, it is the last run. DATA is a path, the
digest of a snapshot, or in a notebook the name of a variable. In what follows, brackets stand around what may be left out, and dots after
what may come several times.
"""

GROUPS = {
    "Track": ("track", "log", "tag", "note", "delete"),
    "Data": ("snapshot", "load", "diff", "validate"),
    "Look": ("runs", "show", "compare", "status", "lineage"),
    "Run it again": ("slice", "replay", "restore", "step"),
    "Pipelines": ("run", "schedule", "scheduler", "export"),
    "Models": ("check", "register", "promote", "approve", "rollback", "audit", "release", "card"),
    "In service": ("serve", "predict", "labels", "monitor", "retrain"),
    "Housekeeping": ("verify", "gc", "init", "doctor", "ui", "demo"),
}

MORE = {
    "Track": "[Python](python.md#runs), [moving](moving.md#your-own-notebooks)",
    "Data": "[data](data.md)",
    "Look": "[concepts](concepts.md#the-words)",
    "Run it again": "[replay](replay.md)",
    "Pipelines": "[pipelines](pipeline.md)",
    "Models": "[models](models.md)",
    "In service": "[models](models.md#serve)",
    "Housekeeping": "[operations](operations.md)",
}
"""Where a group is explained at length."""

_KINDS: tuple[tuple[Any, str], ...] = ((Model, "MODEL"), (Values, "NAME=VALUE"), (Texts, "NAME=TEXT"))
_POSITIONAL = {"sources": "PIPELINE|NOTEBOOK", "runs": "RUN", "a": "A", "b": "B"}
_OPTIONS = {
    "run": "RUN", "only": "STEP", "from_": "STEP", "on": "ADDRESS", "experiment": "NAME", "name": "NAME", "to": "ALIAS", "canary": "SHARE",
    "shadow": "ALIAS", "key": "COLUMN", "by": "COLUMN", "target": "COLUMN", "truth": "COLUMN", "timezone": "ZONE", "result": "NAME",
    "since": "TIME", "until": "TIME", "watch": "SPAN", "jitter": "SPAN", "tag": "TAG",
}  # fmt: skip
"""What stands for a text, where its name says more than its type."""


def text() -> str:
    """The whole page."""
    ungrouped = set(mlops.VERBS) - {verb for group in GROUPS.values() for verb in group}
    if ungrouped:
        raise ValueError(f"Say in GROUPS where {', '.join(sorted(ungrouped))} belongs.")
    parts = [HEAD, _contents()]
    for group, names in GROUPS.items():
        parts += [f"## {group}\n", f"More in {MORE[group]}.\n", *(_verb(name) for name in names if name in mlops.VERBS)]
    return "\n".join(parts).rstrip() + "\n"


def _contents() -> str:
    rows = [f"| {group} | {', '.join(f'[{name}](#{name})' for name in names)} |" for group, names in GROUPS.items()]
    return "\n".join(["| | |", "|---|---|", *rows, ""])


def _verb(name: str) -> str:
    function = getattr(commands, name)
    summary, body, arguments = documented(function)
    parts = [f"### {name}\n", f"{summary}\n", f"```text\n{synopsis(name, function)}\n```\n"]
    parts += [f"{paragraph}\n" for paragraph in body]
    if arguments:
        labels = dict(_labels(function))
        rows = [f"| `{labels[item]}` | {_cell(meaning)} |" for item, meaning in arguments.items()]
        parts += ["\n".join(["| argument | meaning |", "|---|---|", *rows, ""])]
    return "\n".join(parts)


def documented(function: Callable[..., Any]) -> tuple[str, list[str], dict[str, str]]:
    """The first sentence of a docstring, its further paragraphs, and its arguments with their meanings."""
    said, _, below = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    summary, *body = [" ".join(paragraph.split()) for paragraph in said.strip().split("\n\n")]
    arguments: dict[str, str] = {}
    for line in inspect.cleandoc(below).splitlines():
        begun = re.match(r"(\w+): (.*)", line)
        if begun:
            arguments[begun[1]] = begun[2]
        elif line.strip():
            arguments[list(arguments)[-1]] += f" {line.strip()}"
    return summary, body, arguments


def synopsis(name: str, function: Callable[..., Any], width: int = 110) -> str:
    """The verb with all its arguments, as its user writes them, in lines that are not too long."""
    lines = [f"mlops {name}"]
    for word in (word for _, word in _words(function)):
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append(" " * len(f"mlops {name}"))
        lines[-1] += f" {word}"
    return "\n".join(lines)


def _labels(function: Callable[..., Any]) -> list[tuple[str, str]]:
    """Each argument by the word that it is known by: --limit, or RUN."""
    return [(name, re.sub(r"^\[?((-p|--[\w-]+)?[^\[\] .]*).*", r"\1", word).replace("|", "\\|")) for name, word in _words(function)]


def _words(function: Callable[..., Any]) -> list[tuple[str, str]]:
    """How each argument is written, with brackets where it may be left out and dots where it may come several times."""
    hints = get_type_hints(function, include_extras=True)
    return [(name, _word(item, hints[name])) for name, item in inspect.signature(function).parameters.items()]


def _word(item: inspect.Parameter, hint: Any) -> str:
    if hint == Given:
        return "[-p NAME=VALUE]..."
    wanted = _wanted(item.name, hint, item.kind is not inspect.Parameter.KEYWORD_ONLY)
    if item.kind is inspect.Parameter.VAR_POSITIONAL:
        return f"{wanted}..."
    needed = item.default is inspect.Parameter.empty
    if item.kind is inspect.Parameter.KEYWORD_ONLY:
        option = f"--{item.name.rstrip('_').replace('_', '-')}"
        written = option if hint is bool else f"{option} {wanted}"
        several = "..." if get_origin(hint) is tuple else ""
        return written if needed else f"[{written}]{several}"
    return wanted if needed else f"[{wanted}]"


def _wanted(name: str, hint: Any, positional: bool) -> str:
    """What stands for the value of an argument: the kind of the value, or of a positional one its name."""
    for kind, word in _KINDS:
        if hint == kind:
            return word
    if hint == Data:
        return _POSITIONAL.get(name, "DATA")
    inner = [part for part in get_args(hint) if part is not type(None) and part is not Ellipsis]
    if get_origin(hint) is Literal:
        return "|".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType, tuple) and inner:
        return _wanted(name, inner[0], positional)
    if hasattr(hint, "__metadata__"):
        return _wanted(name, inner[0], positional)
    if positional:
        return _POSITIONAL.get(name, name.upper())
    return {int: "N", float: "NUMBER", Path: "PATH"}.get(hint) or _OPTIONS.get(name, "TEXT")


def _cell(sentence: str) -> str:
    return sentence.replace("|", "\\|")
