"""The typed verbs of models: their gates, versions, services and what they predict; `commands` has all verbs."""

from __future__ import annotations

from pathlib import Path

from ..records import Card, Check, Labelled, ModelVersion, Monitoring, Promotion, Release, Retraining, Scored, Validation
from .answers import Entries, Report
from .arguments import Data, Model


def validate(
    data: Data, /, *, schema: Path | None = None, reference: Data = None, learn: bool = False, out: Path | None = None
) -> Validation:
    """Check data: what is missing, out of range, repeated, old or drifted.

    With --reference and no schema, what the data should be like is learned from the reference. The exit status is 1 when something is
    wrong; the rows that are named count from 0.

    Args:
        data: a variable, the digest of a snapshot, or a file: csv, parquet, feather, json, jsonl, xlsx, or a folder of parquet files.
        schema: a schema of pandera's: a YAML file as --learn writes it, or a .py file (file.py:NAME where it holds several).
        reference: data as it should be, to be told of drift: likewise a variable, digest or file.
        learn: write a schema that is learned from the reference, else from the data itself, and check the data against it.
        out: the YAML file that it is written to.
    """
    from .validating import validate

    return validate(data, schema=schema, reference=reference, learn=learn, out=out)


def check(model: Model, /, *, data: Data = None, gates: Path | None = None, junit: Path | None = None) -> Check:
    """Hold a model against its gates.

    Each gate with its value, its bound, the verdict and why. What cannot be checked is unchecked and says what it needs. The exit status is
    1 unless all gates pass.

    Args:
        model: NAME, NAME@champion or NAME/3 of a registered model, a run, or in a notebook a variable.
        data: try it on this data, in place of what was registered with it: a variable, or the path of a file, with the column of the truth.
        gates: hold it against the gates of this file instead: a YAML list, a pipeline.yaml, or a .py with functions marked @mlops.gate.
        junit: write the gates to this file, as JUnit XML for continuous integration.
    """
    from .checking import check

    return check(model, data, gates, junit)


def register(
    run: str, name: str | None = None, /, *, reference: Data = None, test: Data = None, target: str | None = None
) -> ModelVersion:
    """Register the model of a run as the next version of a name.

    MLflow's registry keeps it, with the hash of its files and the data that it was fitted and is checked on, as the run recorded them.
    The same run again gives the same version. With one word, it is the name, and the run is the last one.

    Args:
        run: the run.
        name: the name of the registered model.
        reference: the data that it was fitted on, with the truth: a digest, a variable or a path (default: what the run recorded).
        test: the data that it is checked on, likewise.
        target: the column of the truth in them (default: found).
    """
    from .registering import register

    return register(run, name, reference, test, target)


def promote(name: str, /, *, version: int | None = None, to: str = "champion", force: bool = False, why: str = "") -> Promotion:
    """Make a version the champion, if its gates pass.

    The gates are those of [tool.mlops.models.NAME] in pyproject.toml; `approvals` there says how many others must have approved it. What is
    refused is in the audit log too, and the exit status is 1. MLflow's aliases champion, challenger and previous follow.

    Args:
        name: the registered model.
        version: which version (default: the challenger, else the newest).
        to: champion, or challenger, which needs no gates.
        force: also where a gate fails; --why must say why. Approvals cannot be forced.
        why: the reason, for the audit log.
    """
    from .registering import promote

    return promote(name, version, to, force=force, why=why)


def approve(name: str, /, *, version: int | None = None, why: str = "") -> ModelVersion:
    """Approve a version, so that somebody else may promote it.

    Who registered a version cannot approve it, and who promotes it does not count.

    Args:
        name: the registered model.
        version: which version (default: the challenger, else the newest).
        why: what you looked at, for the audit log.
    """
    from .registering import approve

    return approve(name, version, why)


def rollback(name: str, /, *, why: str = "") -> Promotion:
    """Go back to the previous champion, at once.

    No gate is asked: it was the champion before. Once more goes further back.

    Args:
        name: the registered model.
        why: the reason, for the audit log.
    """
    from .registering import rollback

    return rollback(name, why)


def audit(name: str | None = None, /, *, verify: bool = False, limit: int = 50) -> Entries | Report:
    """Show who did what to which model, when and why.

    Newest first. Every entry is chained to the one before it by its hash.

    Args:
        name: only this model (default: all).
        verify: check that no entry was changed, removed or reordered, and that the champions are those that the log tells of; the exit
            status is 1 if not.
        limit: how many at most (default: 50).
    """
    from .registering import audit

    return audit(name, verify=verify, limit=limit)


def retrain(name: str, /, *, why: str = "", force: bool = False) -> Retraining:
    """Train a model again, and promote what comes of it if it passes the gates.

    The pipeline that releases the model runs. What it gives is held against the same gates and against the champion, which stays where
    they fail. Within `cooldown` of [tool.mlops.models.NAME] it is done once, however many ask. The exit status is 1 when the pipeline
    failed, or the gates refused the model; people are told as `alerts` there says.

    Args:
        name: the registered model.
        why: what led to it, for the audit log.
        force: do not wait for the cool-down.
    """
    from .releasing import retrain

    return retrain(name, why, force=force)


def release(name: str, /, *, tag: str | None = None, git: bool = False) -> Release:
    """Tie a model version, its code, its data and the service together under one tag.

    The tag is on the version, here and in MLflow, and in the audit log, with the commit of the code and the digests of the data.

    Args:
        name: NAME (its champion), NAME@alias or NAME/3.
        tag: the tag (default: NAME-v3 for version 3).
        git: tag the commit in the git repository, too.
    """
    from .releasing import release

    return release(name, tag, git=git)


def card(name: str, /, *, out: Path | None = None) -> Card:
    """Write a model card, as Markdown and as one HTML file.

    From what was captured: data, code, parameters, metrics, slices, bias, gates, limits, lineage, approvals and the audit log, with plots
    of what the model does with its test data.

    Args:
        name: NAME (its champion), NAME@alias or NAME/3.
        out: a folder (default: cards/NAME-3), or a file that ends with .md or .html where only that is wanted.
    """
    from .releasing import card

    return card(name, out)


def serve(
    model: str, /, *, host: str = "127.0.0.1", port: int = 8000, token: str | None = None, workers: int = 1, shadow: str | None = None,
    canary: str | None = None, log_sample: float | None = None,
) -> None:  # fmt: skip
    """Answer requests for predictions over HTTP, until Ctrl-C or SIGTERM.

    It takes what MLflow's model server takes, and the Open Inference Protocol. When the alias moves to another version, that one is loaded
    and tried, and takes over without a request being lost; one that fails leaves the present one serving.

    Args:
        model: NAME (the champion), NAME@ALIAS, NAME/VERSION, or a folder that `mlops export` wrote.
        host: the address to listen at; one that others can reach needs a token.
        port: the port; 0 takes one that is free.
        token: what requests must send; better given as MLOPS_SERVE_TOKEN, which no list of processes shows.
        workers: how many processes answer (default: 1).
        shadow: an alias or version that predicts the same rows for the log, without answering.
        canary: the share of requests that the challenger answers, such as 5%, or ALIAS:5%; equal requests go the same way.
        log_sample: the share of predictions that are logged (default: as the model's settings say, else all).
    """
    from .serving import serve

    serve(model, host=host, port=port, token=token, workers=workers, shadow=shadow, canary=canary, log_sample=log_sample)


def predict(model: str, data: Data, /, *, out: Path | None = None, on: str = "local", log: bool = False) -> Scored:
    """Predict all rows of a file or frame with a registered model.

    The predictions are those of the service. Files are read and written piece by piece, however large they are; a column that does not fit
    the model's signature is refused by its name.

    Args:
        model: NAME (its champion, else the newest), NAME@champion or NAME/3.
        data: a variable, the digest of a snapshot, or a file: csv, parquet, jsonl, ..., or a folder of parquet files.
        out: the file to write, .parquet or .csv: the data with a column `prediction` (default: only show them).
        on: where it runs: local, or the address of a Dask scheduler, such as dask://host:8786.
        log: write the predictions to the log of predictions too, as the service does, and their ids to `prediction_id`.
    """
    from .predicting import predict

    return predict(model, data, out=out, on=on, log=log)


def labels(name: str, file: Data, /, *, key: tuple[str, ...] = (), truth: str | None = None) -> Labelled:
    """Tell what turned out to be true of logged predictions.

    It may come weeks later, in pieces, and twice: the same labels change nothing, others win from then on, and the earlier ones stay as
    history. Rows that belong to no prediction are named.

    Args:
        name: the model.
        file: the labels: a variable, a digest, or a file (csv, parquet, jsonl, ...), one row for each prediction or key.
        key: a column to join by that the model was given, too; again for each further one (default: ids, in a column `id` or
            `prediction_id`).
        truth: the column of the truth (default: the model's `target`, else the only other column).
    """
    from .predicting import labels

    return labels(name, file, key=key, truth=truth)


def monitor(
    name: str, /, *, since: str | None = None, until: str | None = None, by: tuple[str, ...] = (), html: Path | None = None,
    prometheus: Path | None = None, watch: str | None = None, retrain: bool = False, quiet: bool = False,
) -> Monitoring:  # fmt: skip
    """Show how a model in service does: drift, decay, latency, errors.

    Its predictions in a window of time are held against the data that it was trained on, and, once `mlops labels` told the truth, against
    its metrics on the test data. Too little data is said to be so. The exit status is 1 when something is alarming; people are told as
    `alerts` of [tool.mlops.models.NAME] says, once for each cause.

    Args:
        name: NAME (its champion, else the newest), NAME@alias or NAME/3.
        since: when the window begins: a span before its end (24h, 7d), a date or time (2026-03-01T12:00), or all (default: 24h).
        until: when it ends, a span before now, or a date or time (default: now).
        by: a column that performance is told by, too; again for each further one (default: the model's sensitive columns).
        html: write a page with plots to this file.
        prometheus: write the figures to this file (.prom), for Prometheus's node exporter.
        watch: go on, looking again after each such span (5m), until Ctrl-C.
        retrain: let drift and decay start the pipeline of the model, at most once per cool-down.
        quiet: tell nobody but the caller.
    """
    from .monitoring import monitor

    return monitor(name, since, until, by, html=html, prometheus=prometheus, watch=watch, retrain=retrain, tell=not quiet)
