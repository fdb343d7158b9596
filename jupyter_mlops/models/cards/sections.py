"""From facts to the sections of a card. What could not be had is left out, and listed at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...records import AuditEntry, Gate, Input
from ..gates.conditions import shown
from . import behaviour
from .facts import Facts
from .parts import Code, Part, Plot, Section, Sheet, Table, Words
from .plots import curves, history

_TONES = {"passed": "good", "failed": "bad"}
_MOST_TILES = 4
_MOST_ENTRIES = 30
_MOST_PARAMS = 60
_LONGEST = 300


def sheet(facts: Facts) -> Sheet:
    """The whole card."""
    version = facts.version
    looked = behaviour.looked(facts.evidence, facts.settings)
    made: list[tuple[str, str, Callable[[], Iterable[Part]]]] = [
        ("What it is", "model", lambda: _model(facts)),
        ("How good it is", "performance", lambda: (*_metrics(facts, looked.metrics), *looked.performance)),
        ("Gates", "gates", lambda: _gates(facts)),
        ("Where it does worse", "slices", lambda: looked.slices),
        ("How it treats groups", "bias", lambda: looked.bias),
        ("Data", "data", lambda: (*_data(facts), *looked.data)),
        ("Code", "code", lambda: _code(facts)),
        ("Parameters", "parameters", lambda: _parameters(facts)),
        ("Limits", "limits", lambda: _limits(facts, looked.limits)),
        ("Where it comes from", "lineage", lambda: _lineage(facts)),
        ("Who decided what", "audit", lambda: _audit(facts)),
    ]
    sections = [Section(title=title, anchor=anchor, parts=tuple(parts())) for title, anchor, parts in made]
    missing = (*facts.missing, *looked.missing)
    if missing:
        listed = Section(title="What this card lacks", anchor="missing", parts=tuple(Words(text=text, tone="faint") for text in missing))
        sections.append(listed)
    return Sheet(
        title=f"{version.name}",
        subtitle=f"Version {version.version} · {_task(facts)} · registered {_day(version.created)}"
        + (f" by {version.by}" if version.by else ""),
        badges=_badges(facts),
        tiles=_tiles(facts, looked.metrics),
        sections=tuple(section for section in sections if section.parts),
        missing=missing,
    )


def _badges(facts: Facts) -> tuple[tuple[str, str], ...]:
    check = facts.check
    found = [(alias, "good" if alias == "champion" else "plain") for alias in facts.version.aliases]
    if check is not None:
        found.append((f"gates {check.verdict}", _TONES.get(check.verdict, "plain")))
    found += [(f"approved by {name}", "good") for name in facts.version.approved]
    if facts.settings.approvals > len(facts.version.approved):
        found.append((f"{facts.settings.approvals - len(facts.version.approved)} approvals open", "bad"))
    found += [(item.tag, "plain") for item in facts.releases]
    if facts.run is not None and facts.run.replay:
        found.append((f"replay {facts.run.replay}", "good" if facts.run.replay == "identical" else "plain"))
    return tuple(found)


def _tiles(facts: Facts, computed: Mapping[str, float]) -> tuple[tuple[str, str, str], ...]:
    fresh = [(name, shown(value), "on the test data") for name, value in computed.items() if math.isfinite(value)]
    recorded = [(name, shown(float(value)), "as recorded") for name, value in facts.version.metrics.items() if name not in computed]
    return tuple((fresh or recorded)[:_MOST_TILES])


def _model(facts: Facts) -> Iterable[Part]:
    version, run = facts.version, facts.run
    if run is not None and run.note:
        yield Words(text=run.note)
    signature = version.signature
    rows = {
        "model": str((run.model or {}).get("class") or "") if run is not None else "",
        "task": _task(facts),
        "predicts": version.target,
        "takes": f"{len(signature.get('inputs') or ())} columns" if signature.get("inputs") else "",
        "file format": f"{version.format} (MLflow flavor {version.flavor})" if version.format else version.flavor,
        "size": f"{version.size / 1e6:.2f} MB" if version.size else "",
        "hash of the files": version.digest,
        "trusted types": ", ".join(version.trusted),
        "address in MLflow": version.uri,
    }
    yield Table(columns=("", ""), rows=tuple((name, text) for name, text in rows.items() if text))
    if signature.get("inputs"):
        columns = [(str(item.get("name", "")), str(item.get("type", "")), "" if item.get("required", True) else "may be missing")
                   for item in signature["inputs"] if isinstance(item, Mapping)]  # fmt: skip
        yield Table(columns=("column it takes", "type", ""), rows=tuple(columns))


def _metrics(facts: Facts, computed: Mapping[str, float]) -> Iterable[Part]:
    names = list(dict.fromkeys((*computed, *facts.version.metrics, *(facts.run.metrics if facts.run is not None else ()))))
    recorded = {**(facts.run.metrics if facts.run is not None else {}), **facts.version.metrics}
    if names:
        rows = tuple((name, _number(computed.get(name)), _number(recorded.get(name))) for name in names)
        yield Table(columns=("metric", "on the test data, now", "as recorded with the run"), rows=rows, numbers=(1, 2))
    if facts.run is not None and facts.run.series:
        steps = {name: points for name, points in facts.run.series.items() if len(points) > 1}
        if steps:
            yield Plot(name="curves", svg=curves(steps), text=f"{', '.join(steps)} by step", caption="Learning curves, as recorded.")
    metric, points = _history(facts)
    if len(points) > 1:
        svg = history(points, facts.champion, metric, facts.version.version)
        yield Plot(name="history", svg=svg, text=f"{metric} of {len(points)} versions", caption="As recorded with each version.")


def _history(facts: Facts) -> tuple[str, list[tuple[int, float]]]:
    for metric in facts.version.metrics:
        points = [(item.version, float(item.metrics[metric])) for item in reversed(facts.versions) if metric in item.metrics]
        if len(points) > 1:
            return metric, points
    return "", []


def _gates(facts: Facts) -> Iterable[Part]:
    check = facts.check
    if check is None:
        ask = f"`mlops check {facts.version.name}/{facts.version.version}`"
        yield Words(text=f"No gates were asked about this version yet: {ask}.", tone="faint")
        return
    gates = [Gate.of(item) for item in check.gates]
    against = f", against version {check.against}" if check.against else ""
    yield Words(text=f"{check.verdict.capitalize()}{against}, {_when(check.started)}.", tone=_TONES.get(check.verdict, "plain"))
    yield Table(
        columns=("gate", "value", "verdict", "why"),
        rows=tuple((gate.name, _number(gate.value), gate.state, gate.why) for gate in gates),
        numbers=(1,),
        tones=tuple(_TONES.get(gate.state, "faint") for gate in gates),
    )


def _data(facts: Facts) -> Iterable[Part]:
    version, run = facts.version, facts.run
    rows = []
    for name, digest in (("training (reference)", version.reference), ("test", version.test)):
        if digest:
            rows.append((name, "", "", digest))
    for item in map(Input.of, run.inputs if run is not None else ()):
        size = f"{item.rows:,} x {item.columns:,}" if item.rows is not None and item.columns is not None else ""
        rows.append((item.name, item.kind, size, item.digest or "not read"))
    if rows:
        yield Words(text="Snapshots by content: `mlops load DIGEST` gives each back, value for value.", tone="faint")
        yield Table(columns=("data", "kind", "rows x columns", "digest"), rows=tuple(rows), numbers=(2,))


def _code(facts: Facts) -> Iterable[Part]:
    found = facts.slice
    if found is None and facts.cells:
        yield Words(text="The cells of its run, as they were executed.", tone="faint")
        yield Code(text="\n\n".join(facts.cells))
    if found is None:
        return
    proof = {"minimal": "proved by replay, and minimal", "proved": "proved by replay"}.get(found.proof, "from the code alone, not replayed")
    yield Words(text=f"{found.kept} of {found.executed} executed statements give the model and its metrics ({proof}).", tone="faint")
    yield Code(text=found.source)


def _parameters(facts: Facts) -> Iterable[Part]:
    params = {**facts.version.params, **(facts.run.params if facts.run is not None else {})}
    if params:
        rows = [(name, _brief(value)) for name, value in params.items()]
        yield Table(columns=("parameter", "value"), rows=tuple(rows[:_MOST_PARAMS]))
        if len(rows) > _MOST_PARAMS:
            yield Words(text=f"and {len(rows) - _MOST_PARAMS} more: `mlops show {facts.version.run[:8]}`", tone="faint")


def _limits(facts: Facts, found: Iterable[Part]) -> Iterable[Part]:
    yield from found
    for note in facts.version.notes:
        yield Words(text=note)
    check = facts.check
    for gate in map(Gate.of, check.gates if check is not None else ()):
        if gate.state != "passed":
            why = f" ({gate.why})" if gate.why else ""
            yield Words(text=f"Gate {gate.state}: {gate.name}{why}.", tone=_TONES.get(gate.state, "plain"))


def _lineage(facts: Facts) -> Iterable[Part]:
    version, run = facts.version, facts.run
    git = facts.environment.get("git") or {}
    rows = {
        "run": version.run,
        "name of the run": run.name if run is not None else "",
        "notebook": run.notebook if run is not None else "",
        "experiment": run.experiment if run is not None else "",
        "made": _when(run.started) if run is not None else "",
        "took": f"{run.seconds:.1f} s" if run is not None and run.seconds is not None else "",
        "code commit": f"{git['commit']}{' (with changes)' if git.get('dirty') else ''}" if git.get("commit") else "",
        "Python": str(facts.environment.get("python") or ""),
        "replayed": run.replay or "not yet" if run is not None else "",
        "releases": ", ".join(item.tag for item in facts.releases),
    }
    yield Table(columns=("", ""), rows=tuple((name, text) for name, text in rows.items() if text))
    yield Words(text=f"`mlops lineage {version.name}/{version.version}` goes on from here to every statement and file.", tone="faint")


def _audit(facts: Facts) -> Iterable[Part]:
    mine = [entry for entry in facts.entries if entry.version in (facts.version.version, None)]
    if facts.settings.approvals:
        told = ", ".join(facts.version.approved) or "nobody yet"
        yield Words(text=f"Needs {facts.settings.approvals} approvals by others than who promotes it; approved by {told}.")
    if mine:
        rows = tuple((_when(entry.at), entry.who, entry.what, entry.why) for entry in mine[:_MOST_ENTRIES])
        yield Table(columns=("when", "who", "what", "why"), rows=rows, tones=tuple(map(_tone, mine[:_MOST_ENTRIES])))
        last = max(facts.entries, key=lambda entry: entry.seq)
        told = f"The audit log's entry {last.seq} was the model's last as this card was written; its hash is {last.digest}."
        yield Words(text=told, tone="faint")


def _tone(entry: AuditEntry) -> str:
    return {"promoted": "good", "approved": "good", "refused": "bad", "forced": "bad", "retrain failed": "bad", "load failed": "bad"}.get(
        entry.what, ""
    )


def _task(facts: Facts) -> str:
    if facts.version.task or facts.evidence is None:
        return facts.version.task or "model"
    return behaviour.task(facts.evidence)


def _number(value: Any) -> str:
    return "" if value is None else shown(float(value))


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
