"""How versions of models, promotions and the audit log read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..records import AuditEntry, Check, Gate, ModelVersion, Promotion
from .answers import Entries
from .blocks import Block, Blocks, Cell, Table, Text
from .line import number
from .quantities import size

AboutRegistry = ModelVersion | Promotion | Entries
"""What the verbs of the registry return."""

_GOOD = {"promoted", "rolled back", "unchanged"}
_TONES = {"refused": "bad", "forced": "bad", "set back": "bad", "load failed": "bad", "retrain failed": "bad", "promoted": "good"}
_STATES = {"passed": "good", "failed": "bad", "unchecked": "faint"}


def registry_blocks(answer: AboutRegistry) -> Blocks:
    """The blocks of what a verb of the registry gave."""
    match answer:
        case ModelVersion():
            return _version(answer)
        case Promotion():
            return _promotion(answer)
    return _entries(answer)


def _version(version: ModelVersion) -> Blocks:
    """A version: where it came from, what it is checked by, and what is lacking."""
    aliases = "".join(f" @{alias}" for alias in version.aliases)
    blocks: list[Block] = [Text(f"{version.name} version {version.version}{aliases}", "title")]
    kind = " · ".join(part for part in (version.task, version.flavor, version.format, size(version.size) if version.size else "") if part)
    rows = {
        "run": version.run[:8],
        "model": kind,
        "hash": version.digest[:16],
        "fitted on": version.reference[:16],
        "checked on": version.test[:16],
        "truth": version.target,
        "registered": " · ".join(part for part in (version.by, _when(version.created)) if part),
        "approved by": ", ".join(version.approved),
        "release": version.release,
    }
    blocks.append(Table(("", ""), tuple((Cell(name, "faint"), Cell(text)) for name, text in rows.items() if text)))
    blocks += [Text(note, "faint") for note in version.notes]
    if not version.aliases:
        command = f"mlops promote {version.name} --version {version.version}"
        blocks.append(Text(f"`{command}` makes it the champion, if its gates pass.", "faint"))
    return blocks


def _promotion(promotion: Promotion) -> Blocks:
    """What came of it first, then the gates that were asked."""
    blocks: list[Block] = [Text(_told(promotion), "good" if promotion.verdict in _GOOD else "bad")]
    check = Check.of(promotion.check) if promotion.check else None
    if check is not None and check.gates:
        blocks.append(_gates([Gate.of(item) for item in check.gates]))
    if promotion.why:
        blocks.append(Text(f"why: {promotion.why}" if promotion.verdict != "refused" else promotion.why))
    blocks += [Text(note, "faint") for note in promotion.notes]
    aliases = " · ".join(f"{alias} {version}" for alias, version in promotion.aliases.items())
    entry = f"entry {promotion.entry} of the audit log" if promotion.entry else ""
    return [*blocks, Text(" · ".join(part for part in (aliases, entry, promotion.who) if part), "faint")]


def _told(promotion: Promotion) -> str:
    name, version, alias, before = promotion.model, promotion.version, promotion.alias, promotion.before
    after = f", after version {before}" if before else ""
    match promotion.verdict:
        case "refused":
            kept = f"; version {before} stays" if before else ""
            return f"Refused: version {version} of {name} is not made {alias}{kept}."
        case "unchanged":
            return f"Version {version} of {name} is {alias} already."
        case "rolled back":
            return f"Version {version} of {name} is champion again, in place of version {before}."
        case "forced":
            return f"Version {version} of {name} is {alias} now{after}, although its gates do not all pass."
    return f"Version {version} of {name} is {alias} now{after}."


def _gates(gates: list[Gate]) -> Table:
    rows = tuple(
        (
            Cell(gate.name),
            Cell(gate.state, _STATES.get(gate.state, "plain")),
            Cell("" if gate.value is None else number(gate.value), number=True),
            Cell(gate.why, "faint"),
        )
        for gate in gates
    )
    return Table(("gate", "verdict", "value", "why"), rows)


def _entries(entries: Entries) -> Blocks:
    """One row for each entry, newest first."""
    if not entries:
        return [Text("The audit log is empty: `mlops register RUN NAME` writes its first entry.", "faint")]
    rows = tuple(
        (
            Cell(str(entry.seq), "faint", number=True),
            Cell(_when(entry.at)),
            Cell(entry.who),
            Cell(entry.what, _TONES.get(entry.what, "plain")),
            Cell(entry.model + (f" version {entry.version}" if entry.version is not None else "")),
            Cell("; ".join(part for part in (entry.why, told_by(entry)) if part), "faint"),
        )
        for entry in entries
    )
    return [Table(("entry", "when", "who", "what", "model", "why"), rows, needed=5)]


def told_by(entry: AuditEntry) -> str:
    """What the details of an entry say beyond its other fields, in a few words; "" for nothing."""
    check = entry.details.get("check")
    if isinstance(check, Mapping):
        gates: list[Mapping[str, Any]] = list(check.get("gates") or ())
        passed = sum(gate.get("state") == "passed" for gate in gates)
        return f"{passed} of {len(gates)} gates passed"
    before = entry.details.get("from")
    return f"before: version {before}" if isinstance(before, int) else ""


def _when(moment: float) -> str:
    return time.strftime("%d %b %H:%M:%S" if time.time() - moment < 300 * 86_400 else "%d %b %Y", time.localtime(moment)) if moment else ""
