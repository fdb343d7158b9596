"""The tutorial of a year as a stream: a model is trained, serves, drifts, is trained again, refused, taken back and traced."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from jupyter_mlops import config
from jupyter_mlops.store import registry
from jupyter_mlops.store.audit import Audit

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAME = "late-flights"


@pytest.mark.timeout(900)
def test_the_tutorial_runs_and_its_year_goes_as_it_tells(project: Path) -> None:
    shutil.copytree(NOTEBOOKS / "stream", project / "stream", ignore=shutil.ignore_patterns("seen.parquet"))
    notebook = nbformat.read(NOTEBOOKS / "4_serve_and_monitor.ipynb", 4)
    try:
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(project)}}).execute()
    finally:
        end_services(project)
    settings = config.load()
    audit = Audit(registry.state_of(settings))
    told = [(entry.what, entry.version) for entry in reversed(audit.entries(NAME)) if entry.what != "alert"]
    assert [what for what, _ in told if what in ("retrain started", "retrained", "rolled back", "released", "refused")] == [
        "retrain started", "retrained", "refused", "rolled back", "released"
    ]  # fmt: skip
    assert [version for what, version in told if what == "promoted"] == [1, 2]
    assert any(entry.what == "alert" for entry in audit.entries(NAME))
    champion = registry.champion(settings, NAME)
    assert champion is not None
    assert (champion.version, champion.release) == (1, "late-flights-v1")
    assert audit.verify() == ()
    assert (project / "cards" / "late-flights-1" / "card.html").is_file()


def end_services(folder: Path) -> None:
    """End what a notebook that failed left serving, each by its own pid."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        try:
            if command[3:4] == ["serve"] and process.cwd().startswith(str(folder)):
                process.terminate()
                process.wait(30)
        except psutil.Error:
            continue
