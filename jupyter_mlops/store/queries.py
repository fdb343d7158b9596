"""Answers about runs: what MLflow has, with what is not delivered yet on top; from the ledger alone where MLflow does not answer."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlflow import entities
from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchUtils

from ..errors import NotFound, UsageError
from ..records import Run
from . import limits
from .attachments import HISTORY, events_of, recording_of
from .deliver import NOTE
from .filters import order, sorted_by, translate
from .paging import NOTEBOOK, Asked, both, other_than, token, total
from .runs import DELETED, pipeline_of, with_points
from .state import Ledger
from .tracking_server import OWN_ID, Refused, Servers, TrackingServer, Unreachable, searchable

_ID = re.compile(r"[0-9a-f]{4,32}")
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Pending:
    """Runs that are not (wholly) delivered: ours by own id, with their tracking URI."""

    run: Run
    uri: str


class Queries:
    """The reading verbs. `pending` gives the runs that wait for delivery."""

    def __init__(self, ledger: Ledger, servers: Servers, pending: Callable[[], list[Pending]], home: str) -> None:
        self._ledger = ledger
        self._servers = servers
        self._pending = pending
        self._home = home  # the project's own experiment
        self._totals: dict[tuple[Any, ...], int] = {}

    def runs(self, where: str = "", sort: str = "", limit: int = 50, offset: int = 0, experiment: str | None = None) -> list[Run]:
        """Runs that match an MLflow filter (or plain names, see `filters`), sorted, newest first by default."""
        return self._page(Asked(where, sort, limit, offset, experiment), count=False)[0]

    def page(self, asked: Asked) -> tuple[list[Run], int]:
        """The runs that are asked for, and how many there are before and after them, too."""
        return self._page(asked, count=True)

    def _page(self, asked: Asked, *, count: bool) -> tuple[list[Run], int]:
        waiting = [item.run for item in self._pending() if asked.experiment is None or item.run.experiment == asked.experiment]
        pending = [run for run in waiting if run.status != DELETED]
        found = {run.id: run for run in pending}
        candidates = [_entity(run) for run in pending]
        ordering = order(asked.sort, lambda name: self._is_param(name, pending))
        hidden = {run.own_id: place[0] for run in waiting if (place := self._ledger.place(run.own_id)) is not None}
        servers = self._places()
        # Where one server is asked, no more than `pending` of its runs can lie on pages that come after theirs.
        start = max(0, asked.offset - len(pending)) if len(servers) == 1 and servers[0][0].tells_places else 0
        wanted = asked.limit + asked.offset - start
        there = 0
        try:
            for server, names in servers:
                names = names if asked.experiment is None else {asked.experiment}
                if sorted_by(ordering):
                    server.gather_statistics()
                filter_string = both(translate(asked.where, self._is_metric(server)), asked.of_notebook, *map(other_than, hidden.values()))
                rows = list(self._search(server, names, filter_string, ordering, wanted, start))
                if count:
                    there += self._count(server, names, filter_string, start, len(rows), wanted)
                for entity, name in rows:
                    if entity.data.tags.get(OWN_ID) not in {run.own_id for run in waiting} and entity.info.run_id not in found:
                        candidates.append(entity)
                        found[entity.info.run_id] = _from_entity(entity, name)
        except Unreachable:
            return self._without_mlflow(waiting, asked, ordering)
        except Refused as refusal:
            raise _not_understood(refusal) from None
        where = translate(asked.where, lambda name: any(name in run.metrics for run in found.values()))
        chosen = self._choose(candidates, both(where, asked.of_notebook), ordering)
        of_pending = sum(item.info.run_id in {run.id for run in pending} for item in chosen)
        page = chosen[asked.offset - start : asked.offset - start + asked.limit]
        return self._exact([found[item.info.run_id] for item in page]), there + of_pending

    def _count(self, server: TrackingServer, names: set[str] | None, filter_string: str, start: int, got: int, wanted: int) -> int:
        """How many runs a filter finds, of which `got` of the `wanted` ones from place `start` on were seen."""
        if got < wanted and (got or not start):
            return start + got
        key = (server.uri, frozenset(names or ()), filter_string)
        self._totals[key] = total(
            lambda place: any(True for _ in self._search(server, names, filter_string, order(""), 1, place)),
            start + got if got else 0,
            self._totals.get(key),
        )
        return self._totals[key]

    def run(self, ref: str) -> Run:
        """The run that `ref` names: our id, MLflow's, a beginning (4 characters or more) of either, or the latest run of this name."""
        waiting = [item.run for item in self._pending()]
        for matches in (
            [run for run in waiting if ref in (run.id, run.own_id)],
            self._by_id(ref),
            [run for run in waiting if _ID.fullmatch(ref) and (run.id.startswith(ref) or run.own_id.startswith(ref))]
            + self._by_prefix(ref),
            sorted([run for run in waiting if run.name == ref] + self._by_name(ref), key=lambda run: -run.started)[:1],
        ):
            unique = {run.own_id or run.id: run for run in reversed(matches)}
            if len(unique) > 1:
                listed = ", ".join(f"{run.id[:12]} ({run.name})" for run in list(unique.values())[:5])
                raise UsageError(f"{ref!r} begins the ids of several runs: {listed}; write more characters.")
            for run in unique.values():
                return self._complete(run)
        raise NotFound("run", ref, "`mlops runs` lists them.")

    def with_logged(self, run: Run, until: float) -> Run:
        """A run that the user's own code opened, with what that code logged to it up to a time; any other run as it is."""
        if run.id == run.own_id:
            return run
        for server, _ in self._places():
            try:
                with server.calling() as client:
                    keys = set(client.get_run(run.id).data.metrics) - {limits.key(key) for key in (*run.metrics, *run.series)}
                    points = {key: client.get_metric_history(run.id, key) for key in keys}
            except (Refused, Unreachable):
                continue
            given = {key: [(item.step, item.timestamp, item.value) for item in found] for key, found in points.items()}
            return with_points(run, {key: [point for point in found if point[1] / 1000 <= until] for key, found in given.items()})
        return run

    def opened_by_code(self, session: str, last: int, until: float) -> list[Run]:
        """The runs that the code of a session opened by itself up to its execution `last`, with the metrics that it logged up to a time."""
        found: list[Run] = []
        of_session = f"tags.`mlops.session` = '{session}'"
        for server, names in self._places():
            with contextlib.suppress(Refused, Unreachable):
                found += [_from_entity(*item) for item in self._search(server, names, of_session, order(""), _MOST_OPENED)]
        early = [run for run in found if not run.own_id and min(run.cells, default=last + 1) <= last]
        bare = [Run(**{name: getattr(run, name) for name in _MARKS}) for run in sorted(early, key=lambda run: run.started)]
        return [self.with_logged(run, until) for run in bare]

    def events(self, run: Run) -> list[dict[str, Any]]:
        """The CellEvents, as JSON, that the run's own file in MLflow holds; [] when it has none."""
        history = self._history(run)
        return events_of(history) if history else []

    def recording(self, run: Run) -> dict[str, Any]:
        """What the run's own file in MLflow tells of its session (see `recordings.portable`). Raises NotFound when it has none."""
        history = self._history(run)
        told = recording_of(history) if history else None
        if told is None:
            raise NotFound("recorded history of run", run.name or run.id, "It was made elsewhere, and not delivered with its history.")
        return told

    def _history(self, run: Run) -> bytes:
        for server, _ in self._places():
            try:
                with server.calling() as client:
                    path = client.download_artifacts(run.id, HISTORY)
                with open(path, "rb") as file:
                    return file.read()
            except (Refused, Unreachable, OSError):
                continue
        return b""

    def _places(self) -> list[tuple[TrackingServer, set[str] | None]]:
        """Where to look, and for which experiments: None is all; of a shared server, only those that runs went to from here."""
        default = self._servers.default_uri()
        places = self._ledger.places()
        places.setdefault(default, set()).add(self._home)
        for item in self._pending():
            places.setdefault(item.uri, set()).add(item.run.experiment)
        local = ("sqlite:", "file:")
        chosen = []
        for uri, names in places.items():
            if uri == default and uri.startswith("sqlite:///") and not _exists(uri):
                continue  # nothing was written yet, and asking would make an empty database
            chosen.append((self._servers[uri], None if uri.startswith(local) else names))
        return chosen

    def _search(
        self, server: TrackingServer, names: set[str] | None, filter_string: str, ordering: list[str], limit: int, start: int = 0
    ) -> Iterable[tuple[entities.Run, str]]:
        if server.resting:
            raise Unreachable(server.trouble)
        with server.calling() as client:
            experiments = {str(item.experiment_id): item.name for item in searchable(client, names)}
            if not experiments:
                return
            after = token(start)
            while limit > 0:
                page = client.search_runs(
                    list(experiments), filter_string, max_results=min(limit, 1000), order_by=ordering, page_token=after
                )
                yield from ((run, experiments[run.info.experiment_id]) for run in page)
                limit -= len(page)
                after = page.token
                if not after:
                    return

    def _is_metric(self, server: TrackingServer) -> Callable[[str], bool]:
        def there(name: str) -> bool:
            if any(name in item.run.metrics for item in self._pending()):
                return True
            key = limits.key(name)
            with server.calling() as client:
                experiments = [str(item.experiment_id) for item in searchable(client, None)]
                return bool(client.search_runs(experiments, f"metrics.`{key}` > -1e308", max_results=1))

        return there

    def _choose(self, candidates: list[entities.Run], where: str, ordering: list[str]) -> list[entities.Run]:
        try:
            chosen = SearchUtils.filter(candidates, where)  # type: ignore[no-untyped-call]  # MLflow leaves these untyped
            by = sorted_by(ordering)
            if by is not None and chosen and not any(by[1] in getattr(run.data, by[0]) for run in candidates) and not self._is_there(*by):
                raise _not_sortable(by, candidates)
            return list(SearchUtils.sort(chosen, ordering))  # type: ignore[no-untyped-call]  # as above
        except MlflowException as error:
            raise _not_understood(error) from None

    def _is_param(self, name: str, pending: list[Run]) -> bool:
        """Whether a plain name is that of a parameter, and of no metric."""
        key = limits.key(name)
        if any(name in run.metrics for run in pending) or self._is_there("metrics", key):
            return False
        return any(name in run.params for run in pending) or self._is_there("params", key)

    def _is_there(self, kind: str, key: str) -> bool:
        """Whether any run that MLflow has holds a metric, parameter or tag, be it left out by the filter."""
        for server, names in self._places():
            with contextlib.suppress(Refused, Unreachable):
                if list(self._search(server, names, f"{kind}.`{key}` " + ("> -1e308" if kind == "metrics" else "LIKE '%'"), order(""), 1)):
                    return True
        return False

    def _without_mlflow(self, pending: list[Run], asked: Asked, ordering: list[str]) -> tuple[list[Run], int]:
        known = {run.own_id: run for run in [*self._ledger.runs(), *pending] if asked.experiment in (None, run.experiment)}
        by_id = {run.id: run for run in known.values() if run.status != DELETED}
        where = translate(asked.where, lambda name: any(name in run.metrics for run in by_id.values()))
        chosen = self._choose([_entity(run) for run in by_id.values()], both(where, asked.of_notebook), ordering)
        return [by_id[item.info.run_id] for item in chosen[asked.offset : asked.offset + asked.limit]], len(chosen)

    def _exact(self, found: list[Run]) -> list[Run]:
        """Parameters with the types and lengths that they had, which MLflow's texts have lost, where this store delivered the run."""
        known = {run.id: run for run in self._ledger.runs([run.id for run in found if run.delivered])}
        return [_restore(run, known[run.id]) if run.delivered and run.id in known else run for run in found]

    def _complete(self, run: Run) -> Run:
        """With every step of the metrics that have more than one."""
        if not run.delivered or run.series:
            return run
        for server, _ in self._places():
            try:
                with server.calling() as client:
                    histories = {key: client.get_metric_history(run.id, key) for key in run.metrics}
            except (Refused, Unreachable):
                continue
            steps = {
                key: [[item.step, limits.number(item.value)] for item in points]
                for key, points in histories.items()
                if len({item.step for item in points}) > 1
            }
            return replace(run, series={key: sorted(points, key=lambda point: int(point[0])) for key, points in steps.items()})
        return run

    def _by_id(self, ref: str) -> list[Run]:
        place = self._ledger.place(ref)
        if place is None and not re.fullmatch(r"[\w\-]{20,}", ref):
            return []
        servers = [self._servers[place[1]]] if place else [server for server, _ in self._places()]
        for server in servers:
            try:
                entity = server.get_run(place[0] if place else ref)
            except Refused:
                continue
            except Unreachable:
                own = self._ledger.runs([place[0]]) if place else []
                if own:
                    return own
                raise
            with server.calling() as client:
                name = client.get_experiment(entity.info.experiment_id).name
            return self._exact([_from_entity(entity, name)])
        return []

    def _by_prefix(self, ref: str) -> list[Run]:
        if not _ID.fullmatch(ref):
            return []
        own = [run for identifier in self._ledger.matching(ref) if (run := self._ledger.run(identifier)) is not None]
        if own:
            return [found for run in own for found in self._by_id(run.id)]
        return [*self._lookup(f"attributes.run_id LIKE '{ref}%'"), *self._lookup(f"tags.`{OWN_ID}` LIKE '{ref}%'")]

    def _by_name(self, ref: str) -> list[Run]:
        quote = '"' if "'" in ref else "'"
        return [] if "'" in ref and '"' in ref else self._lookup(f"attributes.run_name = {quote}{ref}{quote}")

    def _lookup(self, filter_string: str) -> list[Run]:
        found: list[Run] = []
        for server, names in self._places():
            try:
                found.extend(_from_entity(entity, name) for entity, name in self._search(server, names, filter_string, order(""), 10))
            except (Refused, Unreachable):
                continue
        return self._exact(found)


_MOST_OPENED = 10_000
# What tells one run from others, without what was logged to it.
_MARKS = ("id", "name", "status", "experiment", "started", "seconds", "session", "cells", "origin")


def _not_understood(error: Exception) -> UsageError:
    told = str(error).rstrip(" .")
    return UsageError(f'This filter or order is not understood ({told}): write, for example, --where "auc > 0.8 and C = 0.1" --sort -auc.')


def _not_sortable(by: tuple[str, str], candidates: list[entities.Run]) -> UsageError:
    """An order by what none of the runs has would be no order, and nobody would notice."""
    metrics = sorted({key for run in candidates for key in run.data.metrics})
    params = sorted({f"params.{key}" for run in candidates for key in run.data.params})
    names = ", ".join([*metrics[:_MOST_NAMED], *params[:3], "started", "ended", "name", "status"])
    kind = by[0].removesuffix("s").replace("param", "parameter")
    return UsageError(f"No run here has a {kind} {by[1]!r} to sort by: sort by {names}, or with - before it by the largest first.")


def _exists(uri: str) -> bool:
    from pathlib import Path

    return Path(uri.removeprefix("sqlite:///").split("?")[0]).exists()


def _restore(run: Run, known: Run) -> Run:
    params = dict(run.params)
    for name, value in known.params.items():
        key = limits.key(name)
        if key in params and limits.param(value) == limits.param(str(run.params[key])):
            del params[key]
            params[name] = value
    metrics = dict(run.metrics)
    for name, number in known.metrics.items():
        key = limits.key(name)
        if key in metrics and repr(limits.metric(number)) == repr(limits.metric(metrics[key])):
            del metrics[key]
            metrics[name] = number
    inputs = known.inputs or run.inputs
    return replace(
        run,
        params=params,
        metrics=metrics,
        inputs=inputs,
        model=run.model or known.model,
        series=known.series,
        skipped=known.skipped,
        error=known.error or run.error,
    )


def _from_entity(entity: entities.Run, experiment: str) -> Run:
    info, tags = entity.info, entity.data.tags
    seconds = None if info.end_time is None else (info.end_time - info.start_time) / 1000
    return Run(
        id=info.run_id,
        name=info.run_name or "",
        status=DELETED if info.lifecycle_stage == entities.LifecycleStage.DELETED else info.status,
        experiment=experiment,
        started=(info.start_time or 0) / 1000,
        seconds=seconds,
        params={key: _typed(text) for key, text in entity.data.params.items()},
        metrics={key: limits.number(value) for key, value in entity.data.metrics.items()},
        inputs=tuple(_input(item) for item in (entity.inputs.dataset_inputs if entity.inputs else ())),
        model=_json(tags.get("mlops.model"), None),
        notebook=_notebook(tags),
        cell=tags.get("mlops.cell", ""),
        replay=tags.get("mlops.replay"),
        parent=tags.get("mlflow.parentRunId"),
        error=tags.get("mlops.error", ""),
        tags={key: value for key, value in tags.items() if not key.startswith(("mlflow.", "mlops."))},
        skipped=tuple(tags["mlops.skipped"].splitlines()) if "mlops.skipped" in tags else (),
        note=tags.get(NOTE, ""),
        session=tags.get("mlops.session", ""),
        cells=tuple(_json(tags.get("mlops.cells"), [])),
        own_id=tags.get(OWN_ID, ""),
        origin="jupyter_mlops" if OWN_ID in tags else "mlflow",
        pipeline=pipeline_of(tags),
    )


def _notebook(tags: Mapping[str, str]) -> str:
    """The notebook of a run; for one of ours whose front end did not tell it, MLflow's source is the project's name, which is none."""
    name = tags.get("mlflow.source.name", "") if tags.get("mlflow.source.type") == "NOTEBOOK" else ""
    return name if OWN_ID not in tags or name.endswith((".ipynb", ".py", ".md")) else ""


def _entity(run: Run) -> entities.Run:
    """The run as MLflow would have it, for its own filters and orders."""
    started = int(run.started * 1000)
    info = entities.RunInfo(
        run.id,
        "0",
        "",
        run.status,
        started,
        None if run.seconds is None else started + int(run.seconds * 1000),
        "active",
        None,
        run_name=run.name,
    )
    tags = {limits.key(key): str(value) for key, value in run.tags.items()} | {f"mlops.{key}": value for key, value in run.pipeline.items()}
    tags |= {OWN_ID: run.own_id, NOTEBOOK: run.notebook}
    data = entities.RunData(
        [entities.Metric(limits.key(key), limits.metric(value), 0, 0) for key, value in run.metrics.items()],
        [entities.Param(limits.key(key), limits.param(value)) for key, value in run.params.items()],
        [entities.RunTag(key, value) for key, value in tags.items()],
    )
    return entities.Run(info, data)


def _typed(text: str) -> Any:
    """The number, truth value or None that a parameter's text means; else the text."""
    if len(text) > 40 or not re.fullmatch(r"-?\d+|-?[\d.]+(e[+-]?\d+)?|True|False|None", text):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _input(item: Any) -> dict[str, Any]:
    dataset = item.dataset
    if dataset.source_type == "mlops":
        source = _json(dataset.source, {})
        return {key: value for key, value in source.items() if key not in ("objects", "load")} | {"name": dataset.name}
    return {"name": dataset.name, "kind": dataset.source_type, "digest": dataset.digest, "source": str(dataset.source)}


def _json(text: str | None, default: Any) -> Any:
    try:
        return json.loads(text) if text else default
    except ValueError:
        return default
