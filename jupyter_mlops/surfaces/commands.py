"""The typed verbs, once: Python functions here, commands in a shell, magics in a notebook. Each returns a record; none prints.

RUN is a run's id or the beginning of it, its name, or an MLflow run id. Where it may be left out, it is the last run.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from .. import config
from ..errors import NotFound, UsageError
from ..records import CellEvent, Diff, Node, Problem, Replay, Restored, Run, Slice, Snapshot, Status, Step, Trace
from ..store import client
from . import editing
from .answers import Change, Collected, Comparison, Demo, Page, Prepared, Report, Runs, Story, Tracking
from .arguments import Data, Texts, Values, is_digest
from .model_commands import approve as approve
from .model_commands import audit as audit
from .model_commands import card as card
from .model_commands import check as check
from .model_commands import labels as labels
from .model_commands import monitor as monitor
from .model_commands import predict as predict
from .model_commands import promote as promote
from .model_commands import register as register
from .model_commands import release as release
from .model_commands import retrain as retrain
from .model_commands import rollback as rollback
from .model_commands import serve as serve
from .model_commands import validate as validate
from .pipeline_commands import export as export
from .pipeline_commands import run as run
from .pipeline_commands import schedule as schedule
from .pipeline_commands import scheduler as scheduler


def track(what: str = "status", /) -> Tracking | AbstractContextManager[Any]:
    """Pause or resume tracking, or make one run of a block.

    `%mlops track off` pauses, `%mlops track on` resumes, `%mlops track` says how it stands. `%%mlops track NAME` on top of a cell, or
    `with mlops.track(NAME):` in any Python program, makes everything inside one run of that name.

    Args:
        what: on, off, status (the default), or the name of a run.
    """
    if what in ("on", "off", "status"):
        return editing.switch(what)
    from ..tracking.block import track as block

    return block(what)


def log(*values: Values, run: str | None = None, step: int | None = None, file: tuple[Path, ...] = ()) -> Change:
    """Add metrics, parameters and files to a run by hand.

    Numbers become metrics; texts, true, false and lists become parameters. In Python, give a dict: `mlops.log({"auc": 0.91})`.

    Args:
        values: what to add, as NAME=VALUE; in a notebook VALUE may be a variable.
        run: the run (default: the last one).
        step: the step of the metrics, for values that come again and again.
        file: files or folders to keep with the run.
    """
    merged = _merge(values)
    if not merged and not file:
        raise UsageError("There is nothing to log: give NAME=VALUE, or a file with --file.")
    return editing.log(run, merged, step, file)


def tag(*tags: Texts, run: str | None = None) -> Change:
    """Put tags on a run; an empty text takes a tag away.

    Args:
        tags: the tags, as NAME=TEXT.
        run: the run (default: the last one).
    """
    merged = _merge(tags)
    if not merged:
        raise UsageError("There is nothing to tag: give NAME=TEXT, for example stage=draft.")
    texts = {name: str(text) if text not in (None, "") else None for name, text in merged.items()}
    return editing.patch("tagged", run, texts, tags=texts)


def note(text: str, /, *, run: str | None = None) -> Change:
    """Write the note of a run: what you saw, what to try next.

    MLflow shows it as the run's description.

    Args:
        text: the note; it takes the place of an earlier one.
        run: the run (default: the last one).
    """
    return editing.patch("noted", run, {"note": text}, note=text)


def delete(*runs: str) -> list[Change]:
    """Delete runs.

    MLflow keeps them in its bin, which `mlflow gc` empties; their data stays until `mlops gc`.

    Args:
        runs: the runs to delete, each named: there is no default here.
    """
    if not runs:
        raise UsageError("Say which run to delete: `mlops runs` lists them.")
    found = [find(ref) for ref in runs]
    for item in found:
        if item.status == "DELETED":
            back = f"`mlflow runs restore --run-id {item.id}` brings it back"
            raise UsageError(f"Run {item.name} ({item.id[:8]}) is deleted already: {back}.")
    return [editing.patch_run("deleted", item, {}, deleted=True) for item in found]


def snapshot(data: Data, /, *, name: str = "") -> Snapshot:
    """Freeze data by its content, and keep it.

    Equal content has one digest and is stored once; what changes later costs only what changed.

    Args:
        data: a variable (frame, array, sparse matrix, ...), or the path of a file or folder.
        name: a name to find it by.
    """
    return editing.snapshot(data, name)


def load(digest: str, /, *, out: Path | None = None) -> Any:
    """Get the data of a snapshot back.

    What comes back equals what went in.

    Args:
        digest: the digest that `snapshot` or a run's inputs show, or its first characters (6 or more).
        out: write it to this file or folder instead; a frame as .parquet or .csv, an array as .npy.
    """
    from .reading import read, write

    if not is_digest(digest):
        raise UsageError(f"{digest!r} is not a digest: a digest is 6 to 64 hex digits, as `mlops snapshot` and `mlops show` print them.")
    return read(digest) if out is None else write(digest, out)


def diff(a: Data, b: Data, /) -> Diff:
    """Compare two pieces of data.

    Their schema, their rows, and each column's change with statistics.

    Args:
        a: the earlier data: a digest, a variable, or a path.
        b: the later data, likewise.
    """
    from ..store import snapshots
    from ..store.objects import open_objects

    objects = open_objects(config.load())
    return snapshots.diff(editing.frozen(a, objects), editing.frozen(b, objects), objects)


def runs(
    *, where: str = "", sort: Annotated[str, Parameter(allow_leading_hyphen=True)] = "", limit: int = 50, experiment: str | None = None
) -> Runs:
    """List runs, newest first.

    Args:
        where: which runs, for example "auc > 0.8 and C = 0.1" (names of metrics, parameters and tags).
        sort: what to sort by, for example auc; -auc for the largest first.
        limit: how many at most (default: 50).
        experiment: only the runs of this experiment (default: all).
    """
    if limit < 1:
        raise UsageError(f"--limit {limit} lists nothing: give 1 or more.")
    answer = client.ask(config.load(), "runs", where=where, sort=sort, limit=limit, offset=0, experiment=experiment)
    found = Runs(Run.from_json(item) for item in answer)
    found.sought = " in ".join(part for part in (where, f"experiment {experiment}" if experiment else "") if part)
    return found


def show(run: str | None = None, /) -> Story:
    """Tell the whole story of a run.

    What it gave, from which parameters, data and cells, and what was left out.

    Args:
        run: the run (default: the last one).
    """
    found = find(run)
    return Story(run=found, cells=tuple(cells_of(found)))


def compare(*runs: str) -> Comparison:
    """Compare runs side by side.

    The parameters, metrics and data that differ, and the difference of the cells' code.

    Args:
        runs: two or more runs.
    """
    from .comparison import compare as compared

    if len(runs) < 2:
        raise UsageError("Name two or more runs to compare: `mlops runs` lists them.")
    found = [find(ref) for ref in runs]
    return compared(found, [cells_of(run) for run in found])


def status() -> Status:
    """Tell which outputs of the notebook are stale.

    Also which names no longer have code that makes them, and what a restart and a run of all cells would change; nothing is run for it.
    In a shell, this is told of the notebook that was tracked last.
    """
    from ..tracking.status import of_last_session, of_session

    live = editing.current()
    return of_session(live) if live is not None and live.shell is not None else of_last_session(config.load())


def lineage(ref: str | None = None, /, *, of: str | None = None, out: Path | None = None) -> Node | Trace:
    """Show what a result, a model or a prediction came from, or what came from data.

    For a run: its parameters and data, and from its model and metrics down to the statements, files and snapshots that made them. For a
    prediction or a model version: the version, its run, the minimal code and the exact data, and in a sentence whatever is missing. For a
    snapshot: the runs that used it, the versions that came of them, and how many predictions these made.

    Args:
        ref: a run, a prediction's id, NAME/VERSION or NAME@champion of a model, the digest of a snapshot, or RUN.NAME for one result of a
            run (default: the last run).
        of: a metric, `model`, or a name of the notebook: that result alone.
        out: write all predictions of the version, or of those that used the data, to this file: .parquet or .csv.
    """
    from .tracing import lineage as traced

    return traced(ref, of, out)


def slice(run: str | None = None, name: str | None = None, /, *, out: Path | None = None, quick: bool = False) -> Slice:
    """Show the least code that gives a result again, and prove it.

    Whole statements of the cells as they were executed, with the literals that feed the result on top. They are replayed (see `replay`),
    with more statements where they did not give the result, and with fewer where they give it without.

    Args:
        run: the run (default: the last one).
        name: a metric, `model`, any name of the notebook, `figure`, or `figure 7` for those of the seventh execution (default: the run's
            model and metrics).
        out: write the code to this file too (`step` makes a notebook of it).
        quick: do not replay it.
    """
    from .slicing import slice_of

    return slice_of(find(run), name, out=out, quick=quick)


def replay(run: str | None = None, /, *, slice: bool = False, env: bool = False, live: bool = False, allow: bool = False) -> Replay:
    """Run a run again and prove that it gives the same results.

    Its recorded cells run in their true order, in a fresh kernel and a folder of their own, on the recorded data; every result is compared.
    The code runs with your rights: network, other programs and writes elsewhere are refused in Python, native code is not confined.
    The exit status is 1 when results differ.

    Args:
        run: the run (default: the last one).
        slice: run only the code that its metrics and models need.
        env: run with the recorded packages, installed into an environment that is kept for the next time.
        live: ask the network and databases again, in place of what they gave when it was recorded.
        allow: refuse nothing.
    """
    from .replaying import replay as replayed

    return replayed(find(run), slice=slice, env=env, live=live, allow=allow)


def restore(run: str, folder: Path, /) -> Restored:
    """Put a run back into a folder, ready to open and run.

    The notebook as executed, the least code that gives its result, the data and local modules in their places, and the requirements.

    Args:
        run: the run.
        folder: a folder that is empty, or does not exist yet.
    """
    from .steps import restore as restored

    return restored(find(run), folder)


def step(source: str | None = None, /, *, result: tuple[str, ...] = (), out: Path) -> Step:
    """Cut a papermill notebook out of a messy one.

    It holds only the code that gives the named results; literals and input files become its parameters. It is run with the recorded values
    first, and written only if that gives the recorded results. A notebook that was never tracked is run once, tracked.

    Args:
        source: a run, or the path of a notebook (default: the last run).
        result: what the step is to give: a metric, model, or name of the notebook; again for each further one.
        out: the notebook to write.
    """
    from .steps import step as cut

    return cut(source, result, out)


def verify() -> Report:
    """Check that nothing in the store is damaged.

    Every stored byte against its digest, and every journal against its checksums. The exit status is 1 if anything is damaged.
    """
    problems = tuple(Problem.from_json(item) for item in client.ask(config.load(), "verify"))
    return Report(title="Store", problems=problems or (Problem(what="every object and every journal is as it was written", ok=True),))


def gc(*, dry_run: bool = False) -> Collected:
    """Remove stored data that no run needs.

    What a run, a snapshot or the result of a step refers to stays. Files of outputs that no step used for a week go, too (they are made
    again when a step needs them), and the oldest due times of schedules, of which 10,000 each are kept. Predictions go when the `retention`
    of their model is over.

    Args:
        dry_run: only say what would be removed.
    """
    from ..code.secrets import without_credentials
    from ..pipelines.clearing import clear

    settings = config.load()
    if settings.objects is not None:
        raise UsageError(
            f"Others may use {without_credentials(settings.objects)}, too, and `gc` knows only what this project needs: let a lifecycle"
            " rule of the bucket remove what is old, or take `objects` out of the settings to clear what lies here."
        )
    if not dry_run and (settings.home / "predictions").is_dir():
        from ..models.predictions.sealing import tidy_all

        tidy_all(settings)
    answer = client.ask(settings, "gc", dry_run=dry_run)
    files, file_bytes, firings = clear(settings, dry_run=dry_run)
    told = {"files": files, "file_bytes": file_bytes, "firings": firings}
    return Collected(removed=answer["removed"], freed=answer["freed"], dry_run=dry_run, **told)


def init(*, experiment: str | None = None) -> Prepared:
    """Prepare this folder: settings, .gitignore entries, and a pipeline to begin with.

    Adds [tool.mlops] to pyproject.toml, pipeline.yaml with two notebooks in steps/ where there is no pipeline, and in a git repository a
    check of it before each commit, for pre-commit. What is there already stays as it is; a second time changes nothing.

    Args:
        experiment: the MLflow experiment of this project (default: the folder's name).
    """
    from .project import prepare

    return prepare(Path.cwd(), experiment)


def doctor() -> Report:
    """Check that everything works, and say how to mend what does not.

    The installation, the store, the delivery worker, the disk and the clock. The exit status is 1 if something is wrong.
    """
    from .health import examine

    return Report(title="Health", problems=tuple(examine(config.load())))


def ui(*, port: int | None = None) -> Page:
    """Open MLflow's own pages on the runs.

    They are served for this computer only. In a shell, Ctrl-C ends it.

    Args:
        port: the port (default: a free one).
    """
    from .project import serve_ui

    return serve_ui(config.load(), port)


def demo() -> Demo:
    """Play the whole loop on a year of real flights, and see what came of it.

    Track, replay, cut a step, run a pipeline, pass gates, serve, drift, train again, roll back, trace a prediction: in this folder if it is
    empty, else in a new one below it. It takes two to three minutes, and no network; Ctrl-C ends all of it.
    """
    from .demo import play

    return play(Path.cwd())


def find(ref: str | None) -> Run:
    """The run that RUN names; None is the last run of this kernel, else of the store. Raises NotFound."""
    settings = config.load()
    if ref is not None:
        return Run.from_json(client.ask(settings, "run", ref=ref))
    own = editing.last_run()
    if own is not None:
        return own
    answer = client.ask(settings, "runs", where="", sort="", limit=1, offset=0, experiment=None)
    if not answer:
        raise NotFound("run in", settings.project.name, "Fit a model in a notebook after `%load_ext jupyter_mlops`, or try `mlops demo`.")
    return Run.from_json(answer[0])


def cells_of(run: Run) -> list[CellEvent]:
    """The executions that belong to a run, in true order; [] for a run that another tool wrote."""
    events = [CellEvent.from_json(item) for item in client.ask(config.load(), "history", ref=run.id)]
    return [event for event in events if event.seq in run.cells] if run.cells else events


def _merge(mappings: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    for item in mappings:
        if not isinstance(item, Mapping):
            raise UsageError(f"{item!r} has no name: give a dict, for example {{'auc': 0.91}}.")
    return {str(name): value for item in mappings for name, value in item.items()}
