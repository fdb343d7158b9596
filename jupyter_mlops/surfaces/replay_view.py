"""How a replay reads: what was proved, by kind of result, and what was not, with both values."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import Replay, Verdict
from .blocks import Block, Blocks, Cell, Table, Text

MOST_ROWS = 12
MOST_NAMES = 8
MOST_PACKAGES = 6
_VERDICTS = ("identical", "tolerance", "different", "uncompared")
_HEADS = {"identical": "identical", "tolerance": "within tolerance", "different": "different", "uncompared": "not compared"}
_TONES = {"identical": "good", "tolerance": "plain", "different": "bad", "uncompared": "faint"}
_KINDS = {
    "metric": "metrics", "series": "stepped metrics", "parameter": "parameters", "model": "models", "frame": "data", "output": "outputs",
    "plot": "plots", "file": "files", "error": "errors",
}  # fmt: skip
_SENTENCES = {
    "identical": "Identical: the run gives the same results again.",
    "tolerance": "Equal within float tolerance: the last digits of some numbers differ.",
    "different": "Different: the run does not give the same results again.",
}


def replay_blocks(replay: Replay) -> Blocks:
    """The verdict in a sentence, the first difference, a count of each kind, and every result that is not identical."""
    results = [Verdict.of(item) for item in replay.results]
    first = replay.first if isinstance(replay.first, Verdict) or replay.first is None else Verdict.from_json(replay.first)
    blocks: list[Block] = [
        Text(_sentence(replay), "good" if replay.verdict == "identical" else "bad" if replay.verdict == "different" else "plain"),
        Text(f"run {replay.run[:8]} · {_scope(replay)} · score {_score(replay.score)} · {replay.seconds:.1f} s", "faint"),
    ]
    if first is not None:
        blocks += _first(first)
    blocks.append(_counts(results))
    others = [item for item in results if item.verdict in ("different", "tolerance") and item != first]
    if others:
        blocks.append(_rows(others[:MOST_ROWS]))
    if len(others) > MOST_ROWS:
        blocks.append(Text(f"and {len(others) - MOST_ROWS} more: --json lists all", "faint"))
    left = [item for item in results if item.verdict == "uncompared" and item != first]
    if left:
        blocks.append(_left_out(left))
    return [*blocks, *_surroundings(replay)]


def _sentence(replay: Replay) -> str:
    if replay.verdict == "identical" and replay.score < 1:
        return "Identical in all that was compared; what was not compared without a listed reason counts against the score."
    return _SENTENCES[replay.verdict]


def _scope(replay: Replay) -> str:
    cells = f"{replay.cells} cell{'' if replay.cells == 1 else 's'}"
    return f"the minimal code of {cells}" if replay.part == "slice" else cells


def _score(score: float) -> str:
    """Two digits; never 1.00 for less than all."""
    return "1" if score == 1 else f"{min(score, 0.99):.2f}"


def _first(first: Verdict) -> Blocks:
    where = f"{_named(first)} of cell [{first.seq}]"
    if first.verdict == "uncompared":
        return [Text(f"Not compared: {where}{first.why and ' (' + first.why + ')'}")]
    rows = ((Cell("recorded", "faint"), Cell(first.recorded)), (Cell("replayed", "faint"), Cell(first.replayed, "bad")))
    return [Text(f"First difference: {where}{first.why and ' (' + first.why + ')'}"), Table(("", ""), rows)]


def _named(item: Verdict) -> str:
    if item.kind in ("output", "plot", "error"):
        return item.name if item.kind in item.name else f"{item.kind} ({item.name})" if item.kind != item.name else item.kind
    if item.name.startswith(("input ", "table ")):
        return item.name
    return f"{'data' if item.kind == 'frame' else item.kind} {item.name}"


def _counts(results: Sequence[Verdict]) -> Table:
    shown = [verdict for verdict in _VERDICTS if verdict == "identical" or any(item.verdict == verdict for item in results)]
    rows = []
    for kind, told in _KINDS.items():
        of_kind = [item.verdict for item in results if item.kind == kind]
        if of_kind:
            counts = (Cell(str(of_kind.count(verdict) or ""), _TONES[verdict], number=True) for verdict in shown)
            rows.append((Cell(told), *counts))
    return Table(("", *(_HEADS[verdict] for verdict in shown)), tuple(rows))


def _rows(results: Sequence[Verdict]) -> Table:
    return Table(
        ("cell", "result", "", "recorded", "replayed"),
        tuple(
            (
                Cell(f"[{item.seq}]"),
                Cell(_named(item)),
                Cell(_HEADS[item.verdict], _TONES[item.verdict]),
                Cell(_brief(item.recorded)),
                Cell(_brief(item.replayed)),
            )
            for item in results
        ),
    )


def _left_out(results: Sequence[Verdict]) -> Table:
    """What was not compared, by the reason."""
    reasons: dict[tuple[str, bool], list[str]] = {}
    for item in results:
        reasons.setdefault((item.why, item.excused), []).append(f"[{item.seq}] {_named(item)}")
    rows = []
    for (why, excused), names in reasons.items():
        more = f", and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        rows.append((Cell(why, "faint" if excused else "bad"), Cell(", ".join(names[:MOST_NAMES]) + more)))
    return Table(("not compared, because of", ""), tuple(rows))


def _brief(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _surroundings(replay: Replay) -> Blocks:
    blocks: list[Block] = [Text(note, "faint") for note in replay.notes]
    if replay.packages:
        shown = "; ".join(replay.packages[:MOST_PACKAGES])
        more = f"; and {len(replay.packages) - MOST_PACKAGES} more" if len(replay.packages) > MOST_PACKAGES else ""
        blocks.append(Text(f"Packages that differ: {shown}{more}. `mlops replay --env` runs with the recorded ones.", "faint"))
    if replay.environment:
        blocks.append(Text(f"It ran with the recorded packages, in {replay.environment}.", "faint"))
    return blocks
