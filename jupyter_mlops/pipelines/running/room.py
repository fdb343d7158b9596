"""What of a machine is free for steps: how many at once, cores, memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ...records import PipelineStep


class Room:
    """`slots` steps at once (None: as many as there are), on `cpus` cores and `memory` bytes (None: not counted here)."""

    def __init__(self, slots: int | None, cpus: float | None = None, memory: int | None = None) -> None:
        self._slots = slots
        self._whole: Mapping[str, float | None] = {"cpus": cpus, "memory": memory}
        self._inside: dict[str, Mapping[str, float]] = {}

    def fits(self, step: PipelineStep) -> bool:
        """Whether a step can begin now. One that needs more than there is runs alone."""
        if not self._inside:
            return True
        if self._slots is not None and len(self._inside) >= self._slots:
            return False
        wanted = needs(step)
        return all(
            whole is None or sum(taken.get(name, 0.0) for taken in self._inside.values()) + wanted.get(name, 0.0) <= whole
            for name, whole in self._whole.items()
        )

    def enter(self, step: PipelineStep) -> None:
        """A step begins."""
        self._inside[step.name] = needs(step)

    def leave(self, name: str) -> None:
        """A step ended."""
        self._inside.pop(name, None)

    @property
    def inside(self) -> tuple[str, ...]:
        """The names of the steps that run."""
        return tuple(self._inside)


def needs(step: PipelineStep) -> dict[str, float]:
    """The resources of a step as numbers: what it declares, and one core if it does not say."""
    declared: Mapping[str, Any] = step.resources
    return {"cpus": float(declared.get("cpus", 1)), **({"memory": float(declared["memory"])} if "memory" in declared else {})}


def memory() -> int | None:
    """The memory of this machine in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
