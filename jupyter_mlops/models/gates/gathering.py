"""The evidence on a model, and the conditions that are set for it: from the words of a command, the registry and the project's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import Settings
from ...errors import DataError, MlopsError, NotFound, PipelineError, UsageError
from ...records import ModelVersion, Run
from .. import settings as model_settings
from .conditions import Condition, parse
from .evidence import Evidence, Sources
from .own import defined

if TYPE_CHECKING:
    import pandas as pd

PIPELINE = "pipeline.yaml"
_PIPELINE_TAG = "mlops.pipeline"
_MOST_RUNS = 200
_FLUSH_SECONDS = 60.0
_NO_DATA = "test data: give it with --data, or register the model again with --test DATA"
_NO_REFERENCE = "the training data: register the model again with --reference DATA"


# -- the conditions


def conditions_of(settings: Settings, name: str) -> tuple[Condition, ...]:
    """The gates of a registered model, each once: those of its settings, those of the release of its pipeline, and those of this process.

    That is `[tool.mlops.models.NAME] gates` in pyproject.toml, `release: gates` of the pipeline that the setting `pipeline` names (else of
    the one in the project that releases this model), and functions marked with `@mlops.gate`. Raises PipelineError, and UsageError where
    several pipelines release it.
    """
    return once((*of_settings(settings, name), *_of_pipeline(settings, name), *defined(name)))


def of_settings(settings: Settings, name: str) -> tuple[Condition, ...]:
    """The gates of `[tool.mlops.models.NAME]`. Raises PipelineError and SettingsError."""
    chosen = model_settings.of(settings, name)
    if not chosen.gates:
        return ()
    file = Path(chosen.file)
    try:
        return parse(chosen.gates, folder=settings.project, file=file.name, line=_line_of(file, name))
    except NotFound as error:
        raise PipelineError(f"gates of {name}: {error}", file.name, _line_of(file, name)) from None


def of_project(settings: Settings) -> tuple[tuple[Condition, ...], str]:
    """The gates for a model that is not registered: those of the project's pipeline.yaml and of this process; and the former's place."""
    path = settings.project / PIPELINE
    found: tuple[Condition, ...] = ()
    if path.is_file():
        from ...pipelines.definition import loading

        found = of_release(loading.load(path).release, path.parent, str(path))
    return once((*found, *defined())), path.name if found else ""


def of_release(release: Mapping[str, Any] | None, folder: Path, file: str = "") -> tuple[Condition, ...]:
    """The gates of a pipeline's release. Raises PipelineError, and NotFound for a function that is not there."""
    return parse((release or {}).get("gates") or (), folder=folder, file=file)


def from_file(path: Path) -> tuple[Condition, ...]:
    """The gates of a file: a YAML list of them, a pipeline.yaml with a release, or a .py with functions marked `@mlops.gate`.

    Raises NotFound and PipelineError.
    """
    from ...pipelines.definition import yaml_lines
    from ...pipelines.definition.gates import GATE
    from ...pipelines.definition.kinds import Items, Wrong

    if not path.is_file():
        raise NotFound("file", str(path), "--gates takes a YAML list of gates, a pipeline.yaml with a release, or a .py with @mlops.gate.")
    folder = path.resolve().parent
    if path.suffix == ".py":
        return parse([{"gate": path.name}], folder=folder, file=str(path))
    document = yaml_lines.read(path)
    values: Any = document.values
    at: tuple[str, ...] = ()
    for key in ("release", "gates"):
        if isinstance(values, Mapping) and key in values:
            values, at = values[key], (*at, key)
    try:
        return parse(Items(GATE, "a list of gates, such as [{metric: auc, at_least: 0.7}]").read(values, at), folder=folder, file=str(path))
    except Wrong as wrong:
        raise document.error(wrong.at, wrong.what) from None


def _of_pipeline(settings: Settings, name: str) -> tuple[Condition, ...]:
    from ..retraining.pipelines import pipeline_of

    try:
        pipeline = pipeline_of(settings, name)
    except NotFound:
        if model_settings.of(settings, name).pipeline:
            raise
        return ()
    return of_release(pipeline.release, Path(pipeline.folder), pipeline.path)


def once(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """The conditions without those that are equal to an earlier one."""
    found: list[Condition] = []
    for condition in conditions:
        if condition not in found:
            found.append(condition)
    return tuple(found)


def _line_of(file: Path, name: str) -> int:
    """The line of a model's gates in a pyproject.toml, whose reader keeps no lines; 0 where it is written in another way."""
    inside = False
    for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
        text = line.strip()
        if text.startswith("["):
            inside = text.replace('"', "").replace("'", "").startswith(f"[tool.mlops.models.{name}]")
        if inside and text.partition("=")[0].strip() == "gates":
            return number
    return 0


# -- the evidence


def of_version(
    settings: Settings, ref: str | ModelVersion, *, data: Any = None, champion: bool = True, metrics: Mapping[str, float] | None = None
) -> Evidence:
    """The evidence on a registered version: NAME, NAME@alias or NAME/3, or its record.

    `data` (a frame, a path or a digest) takes the place of the test data that was registered with it. `champion` gathers the champion's
    evidence on the same data, too. `metrics` are further ones that count as recorded. Nothing is loaded yet. Raises NotFound.
    """
    from ...store import registry

    version = registry.version(settings, ref) if isinstance(ref, str) else ref
    rival = registry.champion(settings, version.name) if champion and version.name else None
    if rival is not None and rival.version == version.version and version.version:
        rival = None
    asked = ref if isinstance(ref, str) else f"{version.name}/{version.version}"
    return _evidence(settings, version, _run_of(settings, version), data, rival, asked, metrics)


def of_run(settings: Settings, run: Run, *, data: Any = None, metrics: Mapping[str, float] | None = None) -> Evidence:
    """The evidence on the model of a run that is not registered. Raises NotFound for a run without one."""
    from ...store import registry

    return _evidence(settings, registry.of_run(settings, run), run, data, None, run.id[:8], metrics)


def of_model(settings: Settings, model: Any, *, data: Any = None, run: Run | None = None, asked: str = "") -> Evidence:
    """The evidence on a model that is a value, as in a notebook; `run` is the one that made it, where that is known.

    Without a target, the one column of the data that the model does not take holds the truth.
    """
    version = ModelVersion(name="", version=0, run=run.id if run is not None else "")
    found = _evidence(settings, version, run, data, None, asked or type(model).__name__, None)
    found.sources = replace(found.sources, model=lambda: model)
    if data is not None and not found.target and found.data is not None:
        rest = [str(name) for name in found.data.columns if str(name) not in found.columns] if found.columns else []
        found.target = rest[0] if len(rest) == 1 else ""
    return found


def _evidence(
    settings: Settings, version: ModelVersion, run: Run | None, data: Any, rival: ModelVersion | None, asked: str,
    metrics: Mapping[str, float] | None,
) -> Evidence:  # fmt: skip
    from ...store import registry

    chosen = model_settings.of(settings, version.name) if version.name else model_settings.ModelSettings(name="")
    source: Any = data if data is not None else version.test or chosen.test or None
    learned = version.reference or chosen.reference or None
    target = version.target or chosen.target
    read = _Reader(settings, source)

    def beaten() -> Evidence | None:
        if rival is None:
            return None
        found = _evidence(settings, rival, _run_of(settings, rival), read.frame, None, f"{rival.name}/{rival.version}", None)
        found.target = target or found.target
        return found

    sources = Sources(
        model=lambda: registry.load(settings, version), data=read.frame, reference=_Reader(settings, learned).frame,
        champion=beaten,
    )  # fmt: skip
    return Evidence(
        asked=asked, sources=sources, version=version, target=target, run=run, settings=settings,
        digest=source if isinstance(source, str) and data is None else "", fresh=data is not None,
        metrics={**_recorded(settings, version, run), **(metrics or {})},
        lacks={"data": _NO_DATA, "reference": _NO_REFERENCE}, notes=(),
    )  # fmt: skip


class _Reader:
    """Reads a frame once, whoever asks for it."""

    def __init__(self, settings: Settings, source: Any) -> None:
        self._settings, self._source = settings, source
        self._read: Sequence[pd.DataFrame | None] = ()

    def frame(self) -> pd.DataFrame | None:
        """The frame; None where there is no source. Raises MlopsError."""
        if not self._read:
            # The champion is tried on what its challenger read.
            read = self._source() if callable(self._source) else self._source
            self._read = (None if read is None else frame_of(self._settings, read),)
        return self._read[0]


def frame_of(settings: Settings, source: Any) -> pd.DataFrame:
    """The frame that a value, a path (also relative to the project), a URL or a digest gives. Raises MlopsError."""
    from ...store.objects import open_objects
    from ..validation.data import data_of

    if isinstance(source, str) and not Path(source).exists() and (settings.project / source).exists():
        source = settings.project / source
    if isinstance(source, tuple) and len(source) == 2:
        return joined(*source)
    return data_of(source, open_objects(settings)).frame


def joined(features: Any, truth: Any, target: str = "target") -> pd.DataFrame:
    """X and y as one frame, with the truth as its last column. Raises DataError where they have not the same number of rows."""
    import numpy as np
    import pandas as pd

    frame = features.copy(deep=False) if isinstance(features, pd.DataFrame) else pd.DataFrame(np.asarray(features))
    values = truth.to_numpy() if hasattr(truth, "to_numpy") else np.asarray(truth)
    if len(values) != len(frame):
        raise DataError(f"X has {len(frame):,} rows and y has {len(values):,}: give those that belong together.")
    frame.columns = [str(name) for name in frame.columns]
    frame[str(getattr(truth, "name", None) or target)] = values
    return frame


def _recorded(settings: Settings, version: ModelVersion, run: Run | None) -> dict[str, float]:
    """What was recorded of a model: by its run, at its registration, and by the other steps of the pipeline that made it."""
    found = {**(run.metrics if run is not None else {}), **version.metrics}
    above = _run(settings, run.parent) if run is not None and run.parent else None
    if above is not None and above.pipeline:
        last = {name.rpartition(".")[2]: value for name, value in above.metrics.items()}
        found = {**last, **above.metrics, **found}
    return found


def _run_of(settings: Settings, version: ModelVersion) -> Run | None:
    return _run(settings, version.run) if version.run else None


def _run(settings: Settings, ref: str) -> Run | None:
    from ...store import client

    try:
        return Run.from_json(client.ask(settings, "run", ref=ref))
    except MlopsError:
        return None  # deleted since, or its server does not answer: what the version says of itself is enough for most gates


def named(settings: Settings, ref: str, *, data: Any = None, find: Callable[[str], Run] | None = None) -> Evidence:
    """The evidence on MODEL: a registered model (NAME, NAME@alias, NAME/3), else a run. Raises NotFound with what there is."""
    from ...store import client

    if "@" in ref or "/" in ref:
        return of_version(settings, ref, data=data)
    try:
        return of_version(settings, ref, data=data)
    except (NotFound, UsageError) as unregistered:
        run_of = find or (lambda text: Run.from_json(client.ask(settings, "run", ref=text)))
        try:
            run = run_of(ref)
        except NotFound:
            remedy = "`mlops runs` lists the runs; `mlops register RUN NAME` registers a model."
            raise NotFound("registered model or run", ref, remedy) from unregistered
    return of_run(settings, _with_model(settings, run), data=data)


def _with_model(settings: Settings, run: Run) -> Run:
    """The run of the step that made a pipeline's model, also where this run of the pipeline only found it made; another run as it is.

    Raises NotFound where no step made one, UsageError where several did.
    """
    from ...store import client

    pipeline = run.pipeline.get("pipeline", "")
    if not pipeline or "step" in run.pipeline or run.model:
        return run
    client.ask(settings, "flush", timeout=_FLUSH_SECONDS)
    where = f"tags.`{_PIPELINE_TAG}` = '{pipeline}'" if "'" not in pipeline else ""
    there = map(Run.from_json, client.ask(settings, "runs", where=where, sort="", limit=_MOST_RUNS, offset=0, experiment=None))
    steps = [*filter(None, (_run(settings, ref) for ref in run.pipeline.get("cached_runs", "").split(", ") if ref))]
    above = {run.id, run.own_id, *(item.id for item in steps)}
    for item in sorted(there, key=lambda item: item.started):
        # Several fits in one cell are runs below the step's.
        if item.parent in above:
            steps.append(item)
            above.add(item.id)
    made = {item.id: item for item in steps if item.model}
    if not made:
        remedy = "Check the run of a step that fitted one; `mlops runs` lists them."
        raise NotFound("model in the steps of the pipeline", pipeline, remedy)
    if len(made) > 1:
        listed = ", ".join(f"{item.id[:12]} ({item.name})" for item in made.values())
        raise UsageError(f"Several steps of the pipeline {pipeline} made a model: check one of {listed}.")
    return next(iter(made.values()))
