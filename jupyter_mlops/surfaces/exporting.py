"""The verb `export`: writes a pipeline as the workflow of a platform, and leaves alone what the user has edited since."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..errors import UsageError
from ..pipelines.definition import loading
from ..pipelines.exporting import export_airflow, export_github, export_gitlab
from ..pipelines.exporting.export_marks import is_untouched, marked, source_of
from ..pipelines.exporting.export_project import Project, project_of
from .answers import Exported, short

_NAMES: dict[str, Callable[[Project], str]] = {
    "github": export_github.file_name,
    "gitlab": export_gitlab.file_name,
    "airflow": export_airflow.file_name,
}
_NOTES: dict[str, Callable[[Project], tuple[str, ...]]] = {
    "github": export_github.notes,
    "gitlab": export_gitlab.notes,
    "airflow": export_airflow.notes,
}


def export(path: Path, to: str, out: Path | None, *, force: bool) -> Exported:
    """Write the workflow to `out` (default: where the platform looks for it). Raises UsageError where that would undo an edit."""
    project = project_of(loading.parameters(loading.load(path), {}))
    file = Path(out) if out is not None else project.root / _NAMES[to](project)
    text = marked(_written(project, to, file.absolute()))
    before = file.read_text(encoding="utf-8") if file.exists() else None
    if before is not None and not force and is_untouched(before) and source_of(before) not in ("", project.file):
        told = f"{short(str(file))} is the workflow of {source_of(before)}"
        raise UsageError(f"{told}: give {project.file} another place with --out, or use --force to replace it.")
    if before is not None and before.replace("\r\n", "\n") != text and not (force or is_untouched(before)):
        beside = file.with_name(f"{file.name}.new")
        _write(beside, text)
        told = f"{short(str(file))} is not as it was exported, so it stays as it is"
        raise UsageError(f"{told}: {short(str(beside))} is the new one; move over what you want, or use --force.")
    if before is None or before.replace("\r\n", "\n") != text:
        _write(file, text)
    return Exported(path=str(file), to=to, changed=before != text, notes=_NOTES[to](project))


def _written(project: Project, to: str, file: Path) -> str:
    match to:
        case "github":
            return export_github.written(project)
        case "gitlab":
            return export_gitlab.written(project)
        case _:
            return export_airflow.written(project, file)


def _write(file: Path, text: str) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
