"""The predictions of a window of time, counted as they are read: memory is that of the counts, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...config import Settings
from ..drift import Profile, Tally
from ..predictions import reading, segments
from ..predictions.tables import INPUTS
from .performance import Labelled
from .references import PREDICTION

STRETCHES = 12
"""A window is shown in so many parts."""
MOST_LABELLED = 200_000
"""Of more predictions with a truth, each second one is left out, as often as it takes."""


@dataclass(slots=True)
class Window:
    """What was counted: a tally for each stretch of time (`edges` are their bounds), and the predictions whose truth is known."""

    edges: list[float]
    tallies: dict[int, Tally] = field(default_factory=dict)
    rows: int = 0
    labelled: int = 0
    kept: Labelled | None = None


def count(
    settings: Settings, name: str, *, version: int, start: float, end: float, profile: Profile | None, groups: Sequence[str] = (),
    whole: bool = False,
) -> Window:  # fmt: skip
    """Read the predictions of a version and count them against the profile. `groups` are columns that labelled rows keep; `whole`: all."""
    schema = reading.schema(settings, name)
    inputs = [column for column in schema.names if column.startswith(INPUTS)]
    window = Window(edges=np.linspace(start, end, STRETCHES + 1).tolist())
    import pyarrow as pa

    with_truth = not pa.types.is_null(schema.field("truth").type)
    compared = [column for column in inputs if profile is not None and profile.column(column.removeprefix(INPUTS)) is not None]
    kept = inputs if whole else [INPUTS + group for group in groups if INPUTS + group in inputs]
    wanted = ["at", "output", *dict.fromkeys([*compared, *(kept if with_truth else [])]), *(["truth"] if with_truth else [])]
    expected = _expected(settings, name, version, start, end)
    parts: list[Labelled] = []
    stride = 1
    for batch in reading.batches(settings, name, start=start, end=end, version=version, columns=wanted):
        window.rows += batch.num_rows
        moments = batch.column("at").cast(pa.int64()).to_numpy() / 1000
        if profile is not None:
            for place, part in _stretches(batch, moments, window.edges):
                if place not in window.tallies:
                    window.tallies[place] = Tally(profile, rows=expected, seed=place)
                window.tallies[place].add(_compared(part, compared))
        if with_truth:
            found = _labelled(batch, moments, kept)
            window.labelled += len(found)
            parts.append(found.part(np.arange(len(found)) % stride == 0))
            while sum(map(len, parts)) > MOST_LABELLED:
                stride *= 2
                parts = [part.part(np.arange(len(part)) % 2 == 0) for part in parts]
    if window.labelled:
        window.kept = _together(parts, kept)
    return window


def merged(window: Window, profile: Profile) -> Tally:
    """All stretches as one."""
    tally = Tally(profile)
    for part in window.tallies.values():
        tally.take(part)
    return tally


def _expected(settings: Settings, name: str, version: int, start: float, end: float) -> int:
    """About how many rows there will be."""
    rows = 0.0
    for segment in segments.load(segments.folder_of(settings, name)).segments:
        low, high = max(start * 1000, segment.start), min(end * 1000, segment.end)
        if low <= high:
            share = (high - low + 1) / (segment.end - segment.start + 1)
            rows += segment.versions.get(str(version), 0) * min(1.0, share)
    return int(rows)


def _stretches(batch: Any, moments: np.ndarray[Any, Any], edges: Sequence[float]) -> Iterator[tuple[int, Any]]:
    """A batch in parts by time."""
    places = np.searchsorted(edges[1:-1], moments, side="right")
    if places[0] == places[-1] and (places == places[0]).all():
        yield int(places[0]), batch
        return
    for place in np.unique(places).tolist():
        yield place, batch.take(np.flatnonzero(places == place))


def _compared(batch: Any, columns: Sequence[str]) -> dict[str, Any]:
    """The columns that have a profile, by their own names, and the prediction where it is one value."""
    import pyarrow as pa

    found = {column.removeprefix(INPUTS): batch.column(column) for column in columns}
    if not pa.types.is_nested(batch.schema.field("output").type):
        found[PREDICTION] = batch.column("output")
    return found


def _labelled(batch: Any, moments: np.ndarray[Any, Any], columns: Sequence[str]) -> Labelled:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.is_valid(batch.column("truth"))
    if pa.types.is_nested(batch.schema.field("output").type):
        known = pc.and_(known, False)
    rows = np.flatnonzero(known.to_numpy(zero_copy_only=False))
    part = batch.take(rows)
    values = {column.removeprefix(INPUTS): _array(part.column(column)) for column in columns}
    return Labelled(_array(part.column("output")), _array(part.column("truth")), moments[rows], values)


def _array(column: Any) -> np.ndarray[Any, Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _together(parts: Sequence[Labelled], columns: Sequence[str]) -> Labelled:
    names = [column.removeprefix(INPUTS) for column in columns]
    return Labelled(
        np.concatenate([part.made for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.at for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in names},
    )
