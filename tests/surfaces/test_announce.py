"""What a notebook shows by itself when a cell made a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_mlops import config
from jupyter_mlops.records import Run
from jupyter_mlops.store import state
from jupyter_mlops.surfaces.announce import Announcer

RUN = Run(id="a" * 32, own_id="a" * 32, name="fox", status="FINISHED", experiment="e", started=1.0, metrics={"auc": 0.5})


def test_waiting_runs_are_told_once_and_again_after_they_went(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config.load()
    settings.home.mkdir()
    shell: Any = SimpleNamespace()
    announce = Announcer(shell, settings)
    told = []
    for why in ("", "no answer", "no answer", "", "gone again"):
        state.tell_trouble(settings.home, why)
        announce([RUN])
        told.append(why if "does not take the runs" in capsys.readouterr().out else None)
    assert told == [None, "no answer", None, None, "gone again"]
