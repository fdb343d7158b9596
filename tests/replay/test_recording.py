"""A recording is read from the journal here, and from the run's own files in MLflow elsewhere; both tell the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_mlops import config
from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.replay.recording import recorded, with_sources
from jupyter_mlops.store import client

from ..conftest import Kernel, end_workers

CELLS = [
    "x = 1",
    "%load_ext jupyter_mlops",
    "import pandas as pd\nfrom sklearn.linear_model import Ridge\nimport helper",
    "df = pd.read_csv('in.csv')\ndf.describe()",
    "alpha = 2.0\nmodel = Ridge(alpha=alpha).fit(df[['a']], df.b)",
    "r2 = model.score(df[['a']], df.b)\nprint(r2)",
    "import importlib\nopen('helper.py', 'w').write('two = 2')\nimportlib.reload(helper)",
    "other = Ridge(alpha=1.0).fit(df[['a']], df.b)",
    "late = model.score(df[['a']], df.b + 1)\nprint(late)",
]


@pytest.fixture
def tracked(project: Path, kernel: Kernel) -> Path:
    """A project with two runs, the first of which was joined by a later cell."""
    (project / "in.csv").write_text("a,b\n" + "\n".join(f"{x},{x * 3 % 7}" for x in range(20)) + "\n")
    (project / "helper.py").write_text("one = 1")
    for cell in CELLS:
        assert kernel.run(cell).error == ""
    kernel.run("%unload_ext jupyter_mlops")
    return project


def test_a_run_is_recorded_with_all_that_led_to_it(tracked: Path) -> None:
    settings = config.load(tracked)
    [second, first] = client.ask(settings, "runs")
    told = recorded(str(second["id"]), settings)
    assert [event.seq for event in told.events] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [event.status for event in told.events] == ["untracked", *["ok"] * 7]
    assert [event.source for event in told.events] == CELLS[:8]
    assert (told.project, told.cwd) == (tracked, tracked)
    # What the ninth cell added to the first run is not known yet to the second.
    assert [(run.cells, sorted(run.metrics)) for run in told.runs] == [((5, 6), ["r2"]), ((8,), [])]
    assert [(seq, module["path"]) for seq, module in told.modules] == [(3, "helper.py"), (7, "helper.py")]
    assert told.environment["packages"]["pandas"]
    assert {run.own_id for run in told.runs} == set(told.models)
    assert recorded(str(first["id"]), settings).events[-1].seq == 9


def test_another_machine_reads_the_same_from_mlflow(tracked: Path) -> None:
    settings = config.load(tracked)
    newest = str(client.ask(settings, "runs")[0]["id"])
    here = recorded(newest, settings)
    client.ask(settings, "flush", timeout=120)
    for path in (tracked / ".mlops" / "journal").glob("*.jsonl"):
        path.unlink()
    end_workers(tracked)
    there = recorded(None, settings)
    assert there.run.own_id == here.run.own_id
    assert [replace(event, outputs=()) for event in there.events] == [replace(event, outputs=()) for event in here.events]
    assert (there.project, there.cwd, there.modules) == (here.project, here.cwd, here.modules)
    own = here.run.own_id
    assert (there.models[own], there.environment["packages"]) == (here.models[own], here.environment["packages"])


def test_a_part_of_a_recording_remembers_the_whole(tracked: Path) -> None:
    settings = config.load(tracked)
    told = recorded(None, settings)
    part = with_sources(told, {3: "import pandas as pd", 5: "alpha = 3"})
    assert [(event.seq, event.source) for event in part.events] == [(3, "import pandas as pd"), (5, "alpha = 3")]
    assert part.history == told.events
    assert with_sources(part, {3: "pass"}).history == told.events
    assert part.event(5).seq == 5
    with pytest.raises(NotFound, match="execution"):
        part.event(9)


def test_what_cannot_be_replayed_is_said(project: Path) -> None:
    settings = config.load(project)
    with pytest.raises(NotFound, match="no run in"):
        recorded(None, settings)
    with pytest.raises(NotFound, match="no run 'nothing'"):
        recorded("nothing", settings)


def test_a_run_without_cells_has_no_history(tracked: Path) -> None:
    from mlflow import MlflowClient

    client.ask(config.load(tracked), "flush", timeout=120)
    plain = MlflowClient(f"sqlite:///{tracked}/mlflow.db")
    run = plain.create_run(plain.get_experiment_by_name(tracked.name).experiment_id)
    plain.log_metric(run.info.run_id, "m", 1)
    plain.set_terminated(run.info.run_id)
    with pytest.raises(UsageError, match="not made by cells"):
        recorded(run.info.run_id, config.load(tracked))
