"""What the audit log tells of the demo's model, as the acts of the loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..records import AuditEntry
from .answers import Act


def acts_of(entries: Sequence[AuditEntry], predictions: Mapping[int, int]) -> Iterator[Act]:
    """The acts, in the order of the loop. `entries` are the oldest first, `predictions` how many each version made."""
    story = _Story(entries)
    yield Act(name="gates", outcome=story.gates())
    yield Act(name="serve", outcome=story.served(predictions))
    yield Act(name="monitor", outcome=story.alerts())
    yield Act(name="retrain", outcome=story.retrained())
    yield Act(name="rollback", outcome=story.rolled_back())


class _Story:
    def __init__(self, entries: Sequence[AuditEntry]) -> None:
        self._entries = entries

    def gates(self) -> str:
        accepted, refused = self._all("promoted")[-1], self._all("refused")[-1]
        return f"version {accepted.version} passed ({_against(accepted)}); version {refused.version} was refused ({_against(refused)})"

    def served(self, predictions: Mapping[int, int]) -> str:
        shares = " and ".join(f"{rows:,} by version {version}" for version, rows in sorted(predictions.items()))
        labelled = sum(entry.details["new"] for entry in self._all("labelled"))
        return f"{sum(predictions.values()):,} rows answered over HTTP, {shares}; the truth came for {labelled:,}"

    def alerts(self) -> str:
        alerts = self._all("alert")
        drifted = [str(entry.details["about"]) for entry in alerts if entry.details["kind"] == "drift"]
        decayed = [entry.why for entry in alerts if entry.details["kind"] == "decay"]
        return "; ".join([f"drift of {', '.join(drifted)}", *decayed[:1]])

    def retrained(self) -> str:
        started, promoted = self._all("retrain started")[0], self._all("promoted")[-1]
        took = promoted.at - started.at
        return f"begun by these alerts; {took:.0f} s later version {promoted.version} was the champion, past the same gates"

    def rolled_back(self) -> str:
        back = self._all("rolled back")[0]
        took = next((entry.at - back.at for entry in self._all("swapped") if entry.at >= back.at), None)
        when = "" if took is None else f" and answered {took:.1f} s later"
        return f"version {back.version} became champion again{when}, in place of version {back.details['from']}"

    def _all(self, what: str) -> list[AuditEntry]:
        return [entry for entry in self._entries if entry.what == what]


def _against(entry: AuditEntry) -> str:
    """How a version did against the champion, as its gate said."""
    gates = entry.details["check"]["gates"]
    return next((str(gate["why"]).partition(";")[0] for gate in gates if gate["kind"] == "no_worse_than"), entry.why)
