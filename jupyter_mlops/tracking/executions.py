"""What `status` looks at of a recorded execution."""

from __future__ import annotations

from ..code.versions import Execution
from ..records import CellEvent, Input
from .bindings import is_users


def as_execution(event: CellEvent) -> Execution:
    """What staleness looks at of an event."""
    return Execution(
        seq=event.seq,
        source=event.source,
        cell=event.cell,
        status=event.status,
        started=event.started,
        error=event.error,
        writes=tuple(filter(is_users, event.writes)),
        deletes=event.deletes,
        values=event.values,
        files_read={item.name: _content(item) for item in map(Input.of, event.files_read)},
        files_written={item.name: _content(item) for item in map(Input.of, event.files_written)},
    )


def files_of(event: CellEvent) -> dict[str, Input]:
    """The files that an event read or wrote, by name, as they were when it ended."""
    return {item.name: item for item in (*map(Input.of, event.files_read), *map(Input.of, event.files_written))}


def _content(item: Input) -> str:
    return item.digest or " ".join(map(str, item.stat))
