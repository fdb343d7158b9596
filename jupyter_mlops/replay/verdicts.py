"""The verdict on a replay: two recordings compared result by result.

Identical means identical: metrics to the last bit, data by digest, pictures pixel by pixel. What may differ although nothing changed is
left out only for a listed reason (`causes.CAUSES`), and never called identical; what could not be compared without such a reason counts
as a miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..records import Replay, Verdict
from .findings import Finding
from .texts import DIFFERENT, IDENTICAL, TOLERANCE, UNCOMPARED, settled

if TYPE_CHECKING:
    from .player import Played
    from .recording import Recording

_MAKERS = ("metric", "series", "model")


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
