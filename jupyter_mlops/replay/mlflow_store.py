"""Leads what replayed code writes to MLflow into the sandbox, whatever address the code names: into files, which are ready at once.

MLflow is not imported for this: its table of stores is changed when, and only when, the code imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_MODULE = "mlflow.tracking.registry"
_STORES = {
    "mlflow.tracking_store": "mlflow.store.tracking.file_store",
    "mlflow.model_registry_store": "mlflow.store.model_registry.file_store",
}
"""The module whose class finds a store by its address, and the stores that its kinds get here."""


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
