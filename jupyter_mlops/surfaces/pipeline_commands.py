"""The typed verbs of pipelines, their schedules and their workflows elsewhere; `commands` has all verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..records import Deployment, PipelineRun
from .answers import Exported, History, Plan, Scheduled, Schedules, Served
from .arguments import Given


def run(
    *sources: Path, params: Given = None, only: tuple[str, ...] = (), from_: str | None = None, force: bool = False, dry_run: bool = False,
    on: str = "local", jobs: int | None = None, out: Path | None = None, junit: Path | None = None, summary: Path | None = None,
    graph: Path | None = None,
) -> PipelineRun | Plan:  # fmt: skip
    """Run a pipeline, or notebooks, and leave out what is done already.

    A step is done when one with the same code, parameters, contents of inputs and environment gave its outputs before. What several
    notebooks take from each other is told by the names of their parameters and outputs. The exit status is 1 when a step failed.

    Args:
        sources: a pipeline.yaml, or one or more notebooks.
        params: parameters of the pipeline or notebook, as NAME=VALUE.
        only: only this step, on what the others gave before; again for each further one.
        from_: this step and all that follow from it.
        force: run the chosen steps also where they are done already.
        dry_run: only say what would run, and why.
        on: where the steps run: local, or the address of a Dask scheduler, such as dask://host:8786.
        jobs: how many steps at once (default: as many as there are cores).
        out: the folder of the executed notebooks; for a single notebook also a file.
        junit: write steps and gates to this file, as JUnit XML for continuous integration.
        summary: write a summary to this file, as Markdown for a job's page.
        graph: draw the steps and their states to this file, as SVG.
    """
    from .running import Choice, Reports, plan, run

    choice = Choice(sources=sources, params=params or {}, only=only, start=from_, force=force)
    reports = Reports(junit=junit, summary=summary, graph=graph)
    return plan(choice, reports) if dry_run else run(choice, reports, on=on, jobs=jobs, out=out)


def schedule(
    action: Literal["add", "list", "remove", "pause", "resume", "history"] = "list", what: str | None = None, /, *,
    params: Given = None, cron: str | None = None, timezone: str | None = None, catchup: Literal["none", "latest", "all"] | None = None,
    jitter: str | None = None, overlap: Literal["skip", "queue", "allow"] | None = None, name: str | None = None, limit: int = 20,
) -> Schedules | Scheduled | History:  # fmt: skip
    """Let a pipeline run by itself when it is due.

    Add, list, remove, pause and resume schedules, and see what came of them. `mlops schedule add pipeline.yaml` takes the schedule that
    the file has; options take the place of its entries. `mlops scheduler` runs what is due. A time that the clock skips in spring is due
    right after; one that it shows twice in autumn is due once.

    Args:
        action: add, list (the default), remove, pause, resume or history.
        what: for add the pipeline.yaml or notebook, else the name of a schedule.
        params: parameters of the runs, as NAME=VALUE; {due} in a text is the due time, {due:%Y-%m-%d} its date.
        cron: minute, hour, day of the month, month and weekday: "0 6 * * 1" is Mondays at six.
        timezone: whose clock that is, such as Europe/Copenhagen (default: this computer's; for a file's own times UTC).
        catchup: which due times to run that came while no scheduler did: none, the latest (the default), or all.
        jitter: start up to so much later, such as 5m, so that not all start at once.
        overlap: what to do while an earlier run goes on: skip (the default), queue, or allow both.
        name: the name of the schedule (default: the pipeline's).
        limit: how many due times history lists at most (default: 20).
    """
    from . import scheduling

    if action == "list":
        return scheduling.listed(what)
    if action == "history":
        return scheduling.history(what, limit)
    if action == "add":
        given = {"cron": cron, "timezone": timezone, "catchup": catchup, "jitter": jitter, "overlap": overlap}
        return scheduling.add(what, name, params or {}, {key: value for key, value in given.items() if value is not None})
    return scheduling.change(action, what)


def scheduler(*, once: bool = False, jobs: int = 4) -> Served | None:
    """Run schedules when they are due, until Ctrl-C or SIGTERM.

    Any number of them may share a store, and any may be killed: each due time is run once, and another goes on with what a dead one left.

    Args:
        once: run what is due now, wait for it, and end; the exit status is 1 when a run failed. For cron and continuous integration.
        jobs: how many pipelines at once (default: 4).
    """
    from .scheduling import serve

    return serve(once=once, jobs=jobs)


def export(
    what: str, /, *, to: Literal["github", "gitlab", "airflow", "docker", "kubernetes"], out: Path | None = None, force: bool = False
) -> Exported | Deployment:
    """Write a pipeline as a workflow, or a model as a service.

    The workflow, of your own CI or of Airflow, installs the project, runs the pipeline on the same schedule with the same parameters,
    carries the state over from run to run, and keeps the executed notebooks. The service is a folder with the model, its hash, the locked
    requirements and this package, which starts anywhere. A file that was edited since it was exported stays; the new text is then written
    beside it, as FILE.new.

    Args:
        what: a pipeline.yaml; for docker and kubernetes a model: NAME (its champion), NAME@alias or NAME/3.
        to: github, gitlab or airflow for a pipeline, docker or kubernetes for a model.
        out: the file to write (default: where the platform looks for it); of a model the folder (default: deploy/NAME-3).
        force: write it over an edited file, too.
    """
    if to in ("docker", "kubernetes"):
        from .releasing import export as deployed

        return deployed(str(what), to, out, force=force)
    from .exporting import export as exported

    return exported(Path(what), to, out, force=force)
