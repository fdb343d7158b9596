"""What a run of a pipeline leaves for continuous integration: steps and gates as JUnit XML, and a summary as Markdown for the job's page.

The XML has the elements that JUnit's own Ant task writes and that GitLab, Jenkins and GitHub's actions read; the graph in the summary is a
Mermaid flowchart, which GitHub and GitLab draw.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from ..records import Check, Gate, PipelineRun, StepRun
from .answers import short
from .line import number
from .pipeline_view import counted, error_text, headline
from .quantities import size, span

SYMBOLS = {
    "done": "✅", "passed": "✅", "cached": "♻️", "failed": "❌", "skipped": "⏭️", "cancelled": "🛑", "waiting": "⏳", "unchecked": "❔"
}  # fmt: skip
MOST_CHARTED = 100
"""Steps up to which a summary has the graph."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_RUN = ("skipped", "cancelled", "waiting")


def junit(run: PipelineRun) -> str:
    """The run as JUnit XML: a suite of its steps and, where its release has gates, a suite of those.

    A step that was cached passes, in no time; one that was skipped or cancelled, and a gate that was not checked, count as skipped.
    """
    root = ElementTree.Element("testsuites", name=_clean(run.name), time=f"{run.seconds:.3f}")
    suites = [_suite(run, "steps", [_step_case(run, step) for step in run.steps])]
    if run.gates:
        suites.append(_suite(run, "gates", [_gate_case(run.name, gate) for gate in run.gates]))
    root.extend(suites)
    return _written(root)


def markdown(run: PipelineRun) -> str:
    """The run as Markdown: its outcome, steps, metrics and gates, its graph, and what failed."""
    params = ", ".join(f"{_code(name)} = {_code(value)}" for name, value in run.params.items())
    parts = [
        f"## {SYMBOLS[run.status]} {_inline(run.name)}: {run.status}",
        f"{counted(run.steps)} in {span(run.seconds)} · run {_code(run.id[:8])}" + (f" · {params}" if params else ""),
        _table(("", "step", "state", "time", "memory", "metrics"), (_step_row(step) for step in run.steps)),
    ]
    if run.gates:
        parts.append(_table(("", "gate", "value", ""), (_gate_row(gate) for gate in run.gates)))
    if any(run.edges.values()) and len(run.edges) <= MOST_CHARTED:
        parts.append(_fenced(_chart(run), "mermaid"))
    for step in run.steps:
        if step.state == "failed":
            parts += _failure(step)
    return "\n\n".join([*parts, *map(_inline, run.notes)]) + "\n"


def junit_of(check: Check) -> str:
    """The gates of a model as JUnit XML: one suite. A gate that could not be checked counts as skipped, and says what it needs."""
    suite = _of_cases(check.model, "gates", [_gate_case(check.model, gate) for gate in check.gates], check.started)
    root = ElementTree.Element("testsuites", name=_clean(check.model), time=f"{check.seconds:.3f}")
    root.append(suite)
    return _written(root)


def _written(root: ElementTree.Element) -> str:
    for count in ("tests", "failures", "skipped"):
        root.set(count, str(sum(int(suite.attrib[count]) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(run: PipelineRun, name: str, cases: Sequence[ElementTree.Element]) -> ElementTree.Element:
    return _of_cases(run.name, name, cases, run.started)


def _of_cases(whose: str, name: str, cases: Sequence[ElementTree.Element], started: float) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_clean(f"{whose} {name}"), tests=str(len(cases)), errors="0")
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("time", f"{sum(float(case.attrib['time']) for case in cases):.3f}")
    suite.set("timestamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)))
    suite.extend(cases)
    return suite


def _step_case(run: PipelineRun, step: StepRun) -> ElementTree.Element:
    seconds = step.seconds if step.seconds is not None and step.state in ("done", "failed") else 0.0
    case = ElementTree.Element("testcase", classname=_clean(run.name), name=_clean(step.step), time=f"{seconds:.3f}")
    notebook = short(step.notebook) if step.notebook else ""
    if step.state == "failed":
        text = "\n\n".join(part for part in (step.source, error_text(step), notebook) if part)
        ElementTree.SubElement(case, "failure", message=_clean(headline(step)), type="StepFailed").text = _clean(text)
    elif step.state in _NOT_RUN:
        ElementTree.SubElement(case, "skipped", message=_clean("; ".join(step.why) or step.state))
    elif step.why or notebook:
        ElementTree.SubElement(case, "system-out").text = _clean("\n".join([step.state, *step.why, *filter(None, [notebook])]))
    return case


def _gate_case(whose: str, gate: Gate) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_clean(f"{whose}.gates"), name=_clean(gate.name), time="0.000")
    value = "" if gate.value is None else f"measured {number(gate.value)}"
    message = _clean(gate.why or value)
    if gate.state == "failed":
        ElementTree.SubElement(case, "failure", message=message, type="GateFailed")
    elif gate.state == "unchecked":
        ElementTree.SubElement(case, "skipped", message=message)
    return case


def _clean(text: str) -> str:
    """A text without the characters that XML has no place for, such as those of colours."""
    return _NOT_XML.sub("", text)


def _step_row(step: StepRun) -> tuple[str, ...]:
    ran = step.state in ("done", "failed")
    metrics = ", ".join(f"{_code(name)} {number(value)}" for name, value in step.metrics.items())
    state = step.state if step.attempts < 2 else f"{step.state}, attempt {step.attempts}"
    memory = size(step.memory) if ran and step.memory else ""
    return SYMBOLS.get(step.state, ""), _inline(step.step), state, span(step.seconds) if ran else "", memory, metrics


def _gate_row(gate: Gate) -> tuple[str, ...]:
    return SYMBOLS[gate.state], _inline(gate.name), "" if gate.value is None else number(gate.value), _inline(gate.why or gate.state)


def _failure(step: StepRun) -> list[str]:
    place = f" in cell {step.cell} of {step.cells}" if step.cells else ""
    source = [_fenced(step.source, "python")] if step.source else []
    return [f"### {_inline(step.step)} failed{place}", *source, _fenced(error_text(step), "text")]


def _chart(run: PipelineRun) -> str:
    marks = {step.step: f"n{place}" for place, step in enumerate(run.steps)}
    boxes = [f'  {marks[step.step]}["{SYMBOLS.get(step.state, "")} {_entities(step.step)}"]' for step in run.steps]
    arrows = [f"  {marks[source]} --> {marks[name]}" for name, sources in run.edges.items() for source in dict.fromkeys(sources)]
    return "\n".join(["flowchart LR", *boxes, *arrows])


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _fenced(text: str, language: str) -> str:
    """A block of code whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _code(value: object) -> str:
    text = " ".join(str(value).split())
    fence = "`" * (1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return f"{fence}{text}{fence}" if "`" not in text else f"{fence} {text} {fence}"


def _inline(text: str) -> str:
    """A text in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", " ".join(text.split()))


def _entities(text: str) -> str:
    """A text as Mermaid takes it between quotes: whatever is no letter or digit by its number."""
    return re.sub(r"[^\w .-]", lambda found: f"#{ord(found[0])};", text)
