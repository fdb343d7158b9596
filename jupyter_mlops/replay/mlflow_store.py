"""Leads what replayed code writes to MLflow into the sandbox, whatever address the code names: into files, which are ready at once.

MLflow is not imported for this: its table of stores is changed when, and only when, the code imports it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from ..records import Run
from ..store.runs import with_points

PLACE = Path("home", "mlruns")
"""Where it lands, below the root of a sandbox."""
_STATUS = {3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODULE = "mlflow.tracking.registry"
_STORES = {
    "mlflow.tracking_store": "mlflow.store.tracking.file_store",
    "mlflow.model_registry_store": "mlflow.store.model_registry.file_store",
}
"""The module whose class finds a store by its address, and the stores that its kinds get here."""


def with_logged(runs: Sequence[Run], place: Path) -> tuple[Run, ...]:
    """The runs of a replay with what the replayed code itself logged to MLflow at `place`, and the runs that it opened there by itself."""
    folders = {folder.name: folder for folder in place.glob("*/*") if (folder / "meta.yaml").is_file() and (folder / "metrics").is_dir()}
    known = [with_points(run, _points(folders.pop(run.id))) if run.id in folders else run for run in runs]
    opened = [run for folder in folders.values() if (run := _opened(folder)) is not None]
    return (*known, *sorted(opened, key=lambda run: run.started))


def _opened(folder: Path) -> Run | None:
    """A run that code opened while it was tracked; None for any other. The files are as MLflow's store of files writes them."""
    meta, cells = yaml.safe_load((folder / "meta.yaml").read_text("utf-8")), folder / "tags" / "mlops.cells"
    if not cells.is_file():
        return None
    status = _STATUS.get(meta["status"], "RUNNING")
    run = Run(id=folder.name, name=meta.get("run_name") or "", status=status, experiment="", started=meta["start_time"] / 1000)
    return with_points(replace(run, cells=tuple(json.loads(cells.read_text("utf-8")))), _points(folder))


def _points(folder: Path) -> dict[str, list[tuple[int, int, float]]]:
    """The metrics of a run, as (step, time in milliseconds, value)."""
    metrics = folder / "metrics"
    found: dict[str, list[tuple[int, int, float]]] = {}
    for file in filter(Path.is_file, metrics.rglob("*")):
        lines = (line.split() for line in file.read_text("utf-8").splitlines() if line.strip())
        found[file.relative_to(metrics).as_posix()] = [(int(line[2]), int(line[0]), float(line[1])) for line in lines]
    return found


class Redirection:
    """A finder of modules that changes one of MLflow's as it is loaded; `place` is the URI of the folder in which everything lands."""

    def __init__(self, place: str) -> None:
        self._place = place

    def install(self) -> None:
        """From now on, for imports to come."""
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's own spec, with a loader that changes it after it was loaded; None for all other modules."""
        if name != _MODULE:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None and spec.loader is not None:
                load = spec.loader.exec_module

                def loaded(module: ModuleType, load: Callable[[ModuleType], None] = load) -> None:
                    load(module)
                    self._change(module)

                spec.loader.exec_module = loaded  # type: ignore[method-assign]  # of this loader, which loads this module alone
                return spec
        return None

    def _change(self, module: ModuleType) -> None:
        place, known = self._place, module.StoreRegistry.get_store_builder

        def get_store_builder(registry: Any, store_uri: str | None) -> Callable[..., Any]:
            store = _STORES.get(registry.group_name)
            if store is None:
                found: Callable[..., Any] = known(registry, store_uri)
                return found
            return lambda *addresses, **named: import_module(store).FileStore(place)

        module.StoreRegistry.get_store_builder = get_store_builder
