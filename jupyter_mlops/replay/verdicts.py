"""The verdict on a replay: two recordings compared result by result.

Identical means identical: metrics to the last bit, data by digest, pictures pixel by pixel. What may differ although nothing changed is
left out only for a listed reason (`CAUSES`), and never called identical; what could not be compared without such a reason counts as a miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import NotFound
from ..records import Replay, Verdict
from ..store.objects import ObjectStore
from .causes import CAUSES
from .findings import Ask, Finding, findings
from .texts import DIFFERENT, IDENTICAL, TOLERANCE, UNCOMPARED, settled

if TYPE_CHECKING:
    from .player import Played
    from .recording import Recording

__all__ = ["CAUSES", "Ask", "Finding", "compare", "confirmed", "findings", "result", "summary"]

_MAKERS = ("metric", "series", "model")


def compare(recorded: Recording, played: Played, objects: ObjectStore, models: Ask | None = None) -> Replay:
    """Compare a recording with what came of playing it. `objects` are those of the record, `models` is the player's `ask`."""
    return summary(recorded, findings(recorded, played, objects, models), played)


def result(replay: Replay, name: str, seq: int | None = None) -> Verdict:
    """The verdict of one named result: a metric, parameter, name of data, file or model; of several the last. Raises NotFound."""
    found: list[Verdict] = [item for item in replay.results if item.name == name and (seq is None or item.seq == seq)]
    if not found:
        found = [item for item in replay.results if item.kind == name and (seq is None or item.seq == seq)]
    if not found:
        known = ", ".join(dict.fromkeys(item.name for item in replay.results if item.kind in (*_MAKERS, "frame")))
        raise NotFound("result", name, f"The run has {known}." if known else "")
    rank = {IDENTICAL: 0, TOLERANCE: 1, UNCOMPARED: 2, DIFFERENT: 3}
    last = max(item.seq for item in found)
    return max((item for item in found if item.seq == last), key=lambda item: rank[item.verdict])


def summary(recorded: Recording, found: Sequence[Finding], played: Played) -> Replay:
    """The overall verdict: that of the worst result. Where nothing was compared, none of the run's own results, or not all of those that
    should be, it is no proof."""
    results = [finding.verdict for finding in found]
    counted = [item for item in results if not (item.verdict == UNCOMPARED and item.excused)]
    identical = sum(item.verdict == IDENTICAL for item in counted)
    first = next((item for item in results if item.verdict == DIFFERENT), None)
    verdict = DIFFERENT if first else TOLERANCE if any(item.verdict == TOLERANCE for item in results) else IDENTICAL
    notes = list(played.notes)
    if verdict != DIFFERENT and (lack := _unproved(recorded, results)):
        verdict = DIFFERENT
        first = min((item for item in results if item.verdict == UNCOMPARED), key=lambda item: item.excused, default=None)
        notes.append(lack)
    return Replay(
        run=recorded.run.id,
        verdict=verdict,
        score=identical / len(counted) if counted else 0.0,
        results=tuple(results),
        first=first,
        cells=len(recorded.events),
        notes=tuple(notes),
        seconds=played.seconds,
    )


def _unproved(recorded: Recording, results: Sequence[Verdict]) -> str:
    if not any(item.verdict in (IDENTICAL, TOLERANCE) for item in results):
        return "Nothing could be compared, so nothing is proved."
    seqs = set(recorded.run.cells)
    own = [item for item in results if item.kind in _MAKERS and (item.seq in seqs or not seqs)]
    if own and not any(item.verdict in (IDENTICAL, TOLERANCE) for item in own):
        return "None of the run's metrics and models could be compared, so nothing is proved."
    lost = [item.name for item in own if item.verdict == UNCOMPARED and not item.excused]
    if lost:
        return f"{', '.join(dict.fromkeys(lost))} of the run could not be compared, so that is not proved."
    return ""


def confirmed(first: Sequence[Finding], second: Sequence[Finding], between: Sequence[Finding]) -> list[Finding]:
    """The findings after a second replay: a difference that only the code excuses must be there between the two replays as well.

    `first` and `second` compare the record with each of the replays, `between` the replays with each other.
    """
    others = {finding.key: finding for finding in second}
    apart = {finding.key: finding for finding in between}
    return [_settled(finding, others.get(finding.key), apart.get(finding.key)) if finding.doubtful else finding for finding in first]


def _settled(finding: Finding, second: Finding | None, between: Finding | None) -> Finding:
    verdict = finding.verdict
    if second is None or between is None:
        return Finding(replace(verdict, excused=False, why=f"{verdict.why}; a second replay could not tell"))
    varies = between.verdict.verdict not in (IDENTICAL, TOLERANCE)
    if finding.compared.words:
        varies = settled(finding.compared, second.compared)
    if varies or second.verdict.verdict == IDENTICAL:
        return finding
    why = "a second replay gave what the first one gave: the difference is no matter of chance"
    return Finding(replace(verdict, verdict=DIFFERENT, excused=False, why=why))
