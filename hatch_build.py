"""Builds the JupyterLab extension into wheels, editable installs and source distributions, so that nobody has to enable anything."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ExtensionHook(BuildHookInterface):  # type: ignore[type-arg]  # no settings of its own
    """Called by hatchling for each target."""

    def dependencies(self) -> list[str]:
        """Node, where it is needed and the machine has none."""
        bundle = _bundle(self.root)
        return [] if bundle.Bundle(Path(self.root)).fresh() or bundle.machine_has_node() else [bundle.NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the extension, unless it is built of these very sources already, as in a source distribution."""
        bundle = _bundle(self.root).Bundle(Path(self.root))
        if not bundle.fresh():
            self.app.display_info("Building the JupyterLab extension")
            bundle.build()


def _bundle(root: str) -> ModuleType:
    """labextension/bundle.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("bundle", Path(root) / "labextension" / "bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
