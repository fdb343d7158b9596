"""What `step` is asked for: a run, or a notebook, which is run once where it was never tracked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...config import Settings
from ...errors import MlopsError, NotFound, UsageError
from ...records import Step
from ...replay.genuine import refuse_altered
from ...replay.recording import Recording, recorded
from ...store import client
from ...store.objects import open_objects
from .explored import explore
from .step import check_free, choose, write

MOST_RUNS = 200


Tell = Callable[[str], None]


def cut(source: str, results: Sequence[str], out: Path, settings: Settings, tell: Tell = lambda text: None) -> Step:
    """The step that gives `results`, cut out of the run or notebook that `source` names, and written to `out`.

    `tell` is given a sentence for each stage. Raises what `step` raises, and Altered when the record was changed after it was made.
    """
    if not results:
        raise UsageError("Say what the step is to give: --result NAME, a metric, a model or a name of the notebook.")
    out = out.expanduser()
    check_free(out)
    objects = open_objects(settings)
    if not source.endswith(".ipynb"):
        candidates: Iterable[Recording] = [recorded(source, settings)]
    elif (notebook := Path(source).expanduser()).is_file():
        candidates = _of_notebook(notebook, results, out, settings, tell)
    else:
        raise NotFound("notebook", source, "Name an existing notebook, or a run: `mlops runs` lists them.")
    recording = choose(candidates, results)
    refuse_altered(recording, settings, objects)
    return write(recording, results, out, objects, tell)


def _of_notebook(notebook: Path, results: Sequence[str], out: Path, settings: Settings, tell: Tell) -> Iterator[Recording]:
    """Recordings of the notebook that may have the results, the likeliest first; it is run where there is none."""
    runs = _runs(settings, "notebook", _as_recorded(notebook, settings))
    if not runs:
        tell(f"Running {notebook.name}, which was never tracked")
        whole = recorded(explore(notebook, out), settings)
        runs = _runs(settings, "session", whole.session)
        yield from _recordings(_likely(runs, results), settings)
        yield whole
        return
    yield from _recordings(_likely(runs, results) or runs[:1], settings)
    yield from _recordings(runs[:1], settings)


def _recordings(runs: Sequence[dict[str, Any]], settings: Settings) -> Iterator[Recording]:
    for run in runs:
        try:
            yield recorded(run["id"], settings)
        except MlopsError:
            continue  # the history of an old run may be gone


def _likely(runs: Sequence[dict[str, Any]], results: Sequence[str]) -> list[dict[str, Any]]:
    """The runs that have at least one of the results among their metrics, the ones with most first."""
    counts = {run["id"]: sum(name in run["metrics"] or name == (run["model"] or {}).get("name") for name in results) for run in runs}
    return sorted((run for run in runs if counts[run["id"]]), key=lambda run: -counts[run["id"]])


def _runs(settings: Settings, key: str, value: str) -> list[dict[str, Any]]:
    """The latest runs with this value, newest first."""
    found = client.ask(settings, "runs", where="", sort="", limit=MOST_RUNS, offset=0, experiment=None)
    return [run for run in found if run[key] == value]


def _as_recorded(notebook: Path, settings: Settings) -> str:
    """The notebook's path as runs have it."""
    whole = notebook.resolve()
    return whole.relative_to(settings.project).as_posix() if whole.is_relative_to(settings.project) else whole.as_posix()
