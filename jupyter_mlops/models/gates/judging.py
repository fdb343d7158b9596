"""A model held against its gates, one after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...errors import MlopsError
from ...records import Check, Gate
from .conditions import Condition
from .evidence import Evidence, Needed, Unmet, one_line

PASSED, FAILED, UNCHECKED = "passed", "failed", "unchecked"


def judge(evidence: Evidence, conditions: Iterable[Condition], told: Callable[[str], None] | None = None) -> Check:
    """Each gate in its order. What cannot be checked is unchecked and says what is needed; NaN meets no condition; nothing is raised.

    `told` is called with a few words before each gate.
    """
    started = time.time()
    began = time.perf_counter()
    asked, found = tuple(conditions), []
    for place, condition in enumerate(asked, 1):
        if told is not None:
            told(f"gate {place} of {len(asked)}: {condition.name}")
        found.append(judged(condition, evidence))
    gates = tuple(found)
    unset = "no gate is set for this model: set `gates` in [tool.mlops.models.NAME] of pyproject.toml"
    notes = evidence.notes if gates else (*evidence.notes, unset)
    # Only what a gate has asked for: nothing is loaded to be told of.
    rival, data = vars(evidence).get("champion"), vars(evidence).get("data")
    return Check(
        model=evidence.asked, verdict=verdict(gates), gates=gates, version=evidence.version.version or None,
        against=rival.version.version or None if rival is not None else None,
        run=evidence.version.run or (evidence.run.id if evidence.run is not None else ""), data=evidence.digest,
        rows=0 if data is None else len(data), started=started, seconds=time.perf_counter() - began, notes=notes,
    )  # fmt: skip


def judged(condition: Condition, evidence: Evidence) -> Gate:
    """One gate."""
    named = Gate(name=condition.name, state=UNCHECKED, kind=condition.kind, bound=condition.bound)
    try:
        found = condition.check(evidence)
    except Needed as needed:
        return replace(named, why=f"it needs {needed}")
    except Unmet as unmet:
        return replace(named, state=FAILED, why=str(unmet))
    except MlopsError as error:
        return replace(named, why=str(error))
    except (Exception, SystemExit) as error:  # functions of the user, and libraries that meet data they were not made for
        return replace(named, state=FAILED, why=f"checking it raised {one_line(error)}")
    found = replace(found, details=_plain(found.details))
    if found.state == PASSED and found.value is not None and math.isnan(found.value):
        return replace(found, state=FAILED, why=found.why or "the value is not a number")
    return found


def _plain(value: Any) -> Any:
    """Details as JSON has them: NumPy's values as Python's own."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def verdict(gates: Iterable[Gate]) -> str:
    """failed where a gate failed, else unchecked where one could not be checked, else passed."""
    states = {gate.state for gate in gates}
    return FAILED if FAILED in states else UNCHECKED if UNCHECKED in states else PASSED
