"""How a retraining, a release, a card and an exported service read."""

from __future__ import annotations

from ..records import Card, Deployment, Gate, Release, Retraining
from .answers import short
from .blocks import Block, Blocks, Cell, Code, Table, Text
from .quantities import span

AboutReleases = Retraining | Release | Card | Deployment
"""What the verbs of this part return."""

_STATES = {
    "promoted": Text("Promoted: the new model serves.", "good"),
    "refused": Text("Refused: the champion stays.", "bad"),
    "failed": Text("Failed: the champion stays.", "bad"),
    "waiting": Text("Not promoted yet: the champion stays."),
    "unchanged": Text("Nothing new: the champion stays."),
    "skipped": Text("Skipped: nothing was started."),
}
_TONES = {"passed": "good", "failed": "bad"}


def release_blocks(answer: AboutReleases) -> Blocks:
    """The blocks of one of them."""
    match answer:
        case Retraining():
            return _retraining(answer)
        case Release():
            return _release(answer)
        case Card():
            return _card(answer)
    return _deployment(answer)


def _retraining(found: Retraining) -> Blocks:
    blocks: list[Block] = [_STATES.get(found.state, Text(found.state)), Text(found.what)]
    blocks.append(Text(f"{found.model} · {found.why} · {span(found.seconds)}", "faint"))
    gates = [Gate.of(item) for item in found.gates]
    if gates:
        rows = tuple(
            (
                Cell(gate.name),
                Cell("" if gate.value is None else f"{gate.value:.4g}", number=True),
                Cell(gate.state, _TONES.get(gate.state, "faint")),
                Cell(gate.why),
            )
            for gate in gates
        )
        blocks.append(Table(("gate", "value", "verdict", "why"), rows))
    if found.log:
        blocks.append(Text(f"what the pipeline printed: {short(found.log)}", "faint"))
    return [*blocks, *(Text(note) for note in found.notes)]


def _release(found: Release) -> Blocks:
    where = f"{found.commit[:12]}{' (with changes)' if found.changed else ''}" if found.commit else ""
    facts = {
        "model": f"{found.model} version {found.version}",
        "hash of its files": found.digest,
        "run": found.run,
        "code commit": where + (", tagged in git" if found.git else ""),
        **{f"data {name}": digest for name, digest in found.data.items()},
        "service": f"jupyter_mlops {found.service}",
        "by": found.by,
    }
    rows = tuple((Cell(name, "faint"), Cell(text)) for name, text in facts.items() if text)
    return [Text(f"Release {found.tag}", "title"), Table(("", ""), rows), *(Text(note, "faint") for note in found.notes)]


def _card(found: Card) -> Blocks:
    written = [Text(f"Written to {short(path)}.") for path in (found.html, found.markdown) if path]
    return [*written, *(Text(f"not in it: {text}", "faint") for text in found.missing)]


def _deployment(found: Deployment) -> Blocks:
    where = short(found.folder)
    return [
        Text(f"Written to {where}: {found.model} version {found.version}, with all that its service needs."),
        Text("start it there with", "faint"),
        Code("\n".join((f"cd {where}", *found.start)), "shell"),
        *(Text(note, "faint") for note in found.notes),
    ]
