"""The folders draw the flow: a folder imports only from those before it."""

from __future__ import annotations

from pathlib import Path

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_every_folder_imports_only_from_those_before_it() -> None:
    root = Path(__file__).parents[1]
    assert lint_imports(config_filename=str(root / "pyproject.toml"), cache_dir=None) == EXIT_STATUS_SUCCESS
