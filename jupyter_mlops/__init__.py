"""Every result of a notebook becomes a durable, complete MLflow run: `%load_ext jupyter_mlops`, then work as usual.

The verbs are functions here (`mlops.runs()`), magics in a notebook (`%mlops runs`) and commands in a shell (`mlops runs`).
Nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0.dev0"

VERBS = (
    "track", "log", "tag", "note", "delete",
    "snapshot", "load", "diff", "validate",
    "runs", "show", "compare", "status", "lineage",
    "slice", "replay", "restore", "step",
    "run", "schedule", "scheduler", "export",
    "check", "register", "promote", "approve", "rollback", "audit", "release", "card", "serve", "predict", "labels", "monitor", "retrain",
    "verify", "gc", "init", "doctor", "ui", "demo",
)  # fmt: skip

__all__ = ["__version__", "gate", "load_ipython_extension", "unload_ipython_extension", "widget", *VERBS]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext jupyter_mlops`: tracking starts, and `%mlops` and `%%mlops` are there."""
    if sys.platform == "win32":
        raise import_module(".errors", __name__).NotOnWindows
    import_module(".surfaces.magics", __name__).load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%unload_ext jupyter_mlops`: tracking ends and nothing of it stays in the kernel."""
    import_module(".surfaces.magics", __name__).unload(shell)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Called by the Jupyter server as it starts: the routes that the sidebar asks."""
    return [{"module": __name__, "app": import_module(".surfaces.routes.application", __name__).MlopsServer}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Called by JupyterLab's tools: where the built sidebar is."""
    return [{"src": "labextension", "dest": "@jupyter-mlops/labextension"}]


def __getattr__(name: str) -> Any:
    """A verb, the decorator of gates, or `widget`, imported when it is first used (PEP 562)."""
    if name in VERBS:
        verb = getattr(import_module(".surfaces.commands", __name__), name)
        return import_module(".surfaces.arguments", __name__).for_python(verb)
    if name == "gate":
        return import_module(".models.gates.own", __name__).gate
    if name == "widget":
        return import_module(".surfaces.widgets", __name__).widget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """This package. A folder that is named like a verb (replay/) does not take the verb's place when it is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in VERBS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
