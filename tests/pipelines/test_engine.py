"""Notebooks run by papermill with this package's engine: papermill's contract, and what it does not promise: whole files, true states."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbclient.exceptions import CellTimeoutError
from nbformat.v4 import new_code_cell, new_notebook
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import papermill_io

from jupyter_mlops import config
from jupyter_mlops.pipelines.kernels import client, warm
from jupyter_mlops.pipelines.kernels.engine import Executed, Tracked, execute
from jupyter_mlops.tracking import session as sessions
from tests.delivered import settled, with_database
from tests.delivery_desk import wait_until

DIE = "print('last words')\nimport os, signal, time\ntime.sleep(0.5)\nos.kill(os.getpid(), signal.SIGKILL)"

MUTE = """
import time
from ipykernel.kernelapp import IPKernelApp
print('first', flush=True)
time.sleep(0.3)
IPKernelApp.instance().iopub_thread.socket.close()
print('never seen')
"""
LONG = """
import subprocess, os, time
child = subprocess.Popen(['sleep', '600'])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


def written(path: Path, *cells: str, parameters: str = "", outputs: str = "") -> Path:
    """A notebook of these cells, between those tagged `parameters` and `outputs`."""
    first = [new_code_cell(parameters, metadata={"tags": ["parameters"]})] if parameters else []
    last = [new_code_cell(outputs, metadata={"tags": ["outputs"]})] if outputs else []
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=[*first, *map(new_code_cell, cells), *last], metadata={"kernelspec": kernel}), path)
    return path


def run(path: Path, engine: str = "mlops", **options: Any) -> Any:
    """papermill's own function; the output notebook as it is on the disk."""
    out = path.with_suffix(".out.ipynb")
    papermill.execute_notebook(path, out, engine_name=engine, progress_bar=False, **options)
    return nbformat.read(out, as_version=4)


def told(notebook: Any) -> list[tuple[Any, ...]]:
    """What a notebook says of each cell, without times and ids; texts of one stream put together."""
    return [(cell.source, *_state(cell), cell.get("execution_count"), _outputs(cell)) for cell in notebook.cells]


def _state(cell: Any) -> tuple[Any, ...]:
    # Cells that papermill adds after the run have none.
    state = cell.metadata.get("papermill", {})
    return cell.metadata.get("tags", []), state.get("status"), state.get("exception")


def _outputs(cell: Any) -> list[list[Any]]:
    shown: list[list[Any]] = []
    for out in cell.get("outputs", []):
        entry = [out.output_type, out.get("name", out.get("ename")), out.get("text", out.get("evalue")), out.get("data")]
        if shown and out.output_type == "stream" and shown[-1][:2] == entry[:2]:
            shown[-1][2] += out.text
        else:
            shown.append(entry)
    return shown


@pytest.mark.parametrize(
    "cells",
    [
        ["print(month)", "month * 2", "import sys; print('to stderr', file=sys.stderr)"],
        ["from IPython.display import HTML; display(HTML('<b>x</b>'), metadata={'a': 1})", "%%capture out\nprint(1)", "print(out)"],
        ["h = display('one', display_id='same')", "h.update('two')", "from IPython.display import clear_output"],
        ["from IPython.display import clear_output\nprint(1)\nclear_output()\nprint(2)"],
        ["x = 1", "raise ValueError('wrong')", "y = 2"],
        ["import sys; sys.exit(0)", "1 + 1"],
        ["!echo shell", "%cd ..", "import os; os.listdir()"],
        ["for i in range(3):\n    print(i, flush=True)", "", "# only a comment"],
    ],
    ids=lambda cells: cells[0].split("\n")[0][:30],
)
def test_a_notebook_is_run_as_by_papermill_itself(tmp_path: Path, cells: Sequence[str]) -> None:
    outcomes = []
    for engine in ("nbclient", "mlops"):
        path = written(tmp_path / f"{engine}.ipynb", *cells, parameters="month = 1")
        try:
            run(path, engine, parameters={"month": 3})
            error = None
        except PapermillExecutionError as caught:
            error = (caught.cell_index, caught.exec_count, caught.source, caught.ename, caught.evalue)
        notebook = nbformat.read(path.with_suffix(".out.ipynb"), as_version=4)
        info = {key for key, value in notebook.metadata.papermill.items() if value is not None}
        outcomes.append((error, told(notebook), info, notebook.metadata.language_info, sorted(notebook.metadata)))
    assert outcomes[0] == outcomes[1]


def test_a_dead_kernel_fails_its_cell_and_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "dies.ipynb", "x = 1", DIE, "x + 1")
    with pytest.raises(PapermillExecutionError) as caught:
        run(path)
    assert (caught.value.ename, caught.value.source) == ("DeadKernelError", DIE)
    assert "The kernel died while this cell ran (killed by SIGKILL" in caught.value.evalue
    notebook = nbformat.read(path.with_suffix(".out.ipynb"), as_version=4)
    states = {cell.source: cell.metadata.papermill.status for cell in notebook.cells if cell.cell_type == "code"}
    assert states == {"x = 1": "completed", DIE: "failed", "x + 1": "pending"}
    [cell] = [cell for cell in notebook.cells if cell.source == DIE]
    assert [(out.output_type, out.get("text", out.get("ename"))) for out in cell.outputs] == [
        ("stream", "last words\n"),
        ("error", "DeadKernelError"),
    ]


def test_a_crash_is_told_with_the_last_that_the_kernel_wrote(tmp_path: Path) -> None:
    crash = "import sys, os\nos.write(sys.__stderr__.fileno() if False else 2, b'')\nimport faulthandler\nfaulthandler._sigsegv()"
    with pytest.raises(PapermillExecutionError) as caught:
        run(written(tmp_path / "crash.ipynb", crash))
    assert "SIGSEGV" in caught.value.evalue


def test_a_cell_whose_time_is_over_is_no_completed_cell(tmp_path: Path) -> None:
    path = written(tmp_path / "slow.ipynb", "print('begun')\nimport time; time.sleep(600)")
    with pytest.raises(CellTimeoutError):
        run(path, execution_timeout=2)
    [cell] = nbformat.read(path.with_suffix(".out.ipynb"), as_version=4).cells
    assert cell.metadata.papermill.status == "failed"
    # Where it was interrupted then is shown too, if that comes in time.
    assert [out.get("text", out.get("ename")) for out in cell.outputs][:2] == ["begun\n", "CellTimeoutError"]


def test_all_that_a_cell_shows_arrives(tmp_path: Path) -> None:
    cells = "line = 'x' * 490\nfor i in range(60_000): print(i, line)", "for i in range(3000): display(i)"
    flood, displays = run(written(tmp_path / "flood.ipynb", *cells)).cells
    text = "".join(out.text for out in flood.outputs)
    assert [line.split(" ")[0] for line in text.splitlines()] == [str(number) for number in range(60_000)]
    assert [out.data["text/plain"] for out in displays.outputs] == [str(number) for number in range(3000)]


def message(number: int) -> dict[str, Any]:
    return {"header": {"msg_id": f"0123-abc_77_{number}"}}


def test_a_notebook_that_sets_up_its_libraries_loads_them_itself(tmp_path: Path) -> None:
    cells = "import os\nos.environ['OMP_NUM_THREADS'] = '1'", "import threadpoolctl, numpy, sklearn", "threadpoolctl.threadpool_info()"
    threads = "sorted({pool['num_threads'] for pool in threadpoolctl.threadpool_info() if pool['user_api'] == 'openmp'})"
    assert run(written(tmp_path / "threads.ipynb", *cells, threads)).cells[-1].outputs[0].data["text/plain"] == "[1]"


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        (range(5000), 0),
        ([*range(2000), *range(2001, 5000)], 0),
        ([*range(1500), *range(2500, 5000)], 1000),
        ([1, 2, 500, 501], 0),
    ],
    ids=["whole", "one on another channel", "lost", "few"],
)
def test_lost_messages_are_counted(numbers: Sequence[int], missing: int) -> None:
    count = client._Count()
    for number in numbers:
        count.add(message(number))
    assert count.missing == missing


def test_a_cell_that_is_over_without_its_end_having_come_fails(tmp_path: Path) -> None:
    path = written(tmp_path / "lost.ipynb", MUTE)
    with pytest.raises(PapermillExecutionError) as caught:
        run(path, iopub_timeout=2)
    assert caught.value.ename == "OutputLost"


def test_the_output_is_whole_json_at_every_moment(tmp_path: Path) -> None:
    path = written(tmp_path / "long.ipynb", *["print('x' * 200_000)"] * 30)
    out, over, read = path.with_suffix(".out.ipynb"), threading.Event(), list[int]()

    def reader() -> None:
        while not over.is_set():
            if out.exists():
                read.append(len(json.loads(out.read_text())["cells"]))

    watching = threading.Thread(target=reader)
    watching.start()
    run(path)
    over.set()
    watching.join()
    assert set(read) == {30}
    assert [item.name for item in tmp_path.iterdir() if item.name.endswith(".tmp")] == []


def test_the_place_of_the_output_is_respected(tmp_path: Path) -> None:
    real, link = tmp_path / "kept" / "real.ipynb", tmp_path / "quick.out.ipynb"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o640)
    link.symlink_to(real)
    (real.parent / f".real.ipynb.{2**22 + 1}.tmp").write_text("left by one that was killed")
    run(written(tmp_path / "quick.ipynb", "1 + 1"))
    assert (link.is_symlink(), stat.S_IMODE(real.stat().st_mode), len(json.loads(real.read_text())["cells"])) == (True, 0o640, 1)
    assert [item.name for item in real.parent.iterdir()] == ["real.ipynb"]
    with pytest.raises(FileNotFoundError, match=r"output folder .* doesn't exist"):
        papermill.execute_notebook(tmp_path / "quick.ipynb", tmp_path / "nowhere" / "out.ipynb", engine_name="mlops", progress_bar=False)
    assert [scheme for scheme, _ in papermill_io._handlers].count("local") == 1


def test_papermill_alone_ended_by_sigterm_keeps_what_there_is_and_leaves_nobody(tmp_path: Path) -> None:
    path = written(tmp_path / "long.ipynb", "print('first')", LONG)
    out = path.with_suffix(".out.ipynb")
    command = [sys.executable, "-m", "papermill", "--engine", "mlops", "--autosave-cell-every", "1", str(path), str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    shown: list[Any] = []
    wait_until(lambda: out.exists() and bool(shown.extend(json.loads(out.read_text())["cells"][1]["outputs"]) or shown), 120)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    first, second = nbformat.read(out, as_version=4).cells
    assert [first.metadata.papermill.status, second.metadata.papermill.status] == ["completed", "failed"]
    assert second.outputs[0].text == "".join(shown[0]["text"])
    assert "Interrupted" in [output.get("ename") for output in second.outputs]
    assert [Path("/proc", pid).exists() for pid in second.outputs[0].text.split()] == [False, False]


# -- execute


def as_json(expression: str) -> str:
    return f"__import__('json').dumps({expression})"


def executed(path: Path, **options: Any) -> Executed:
    return execute(path, path.with_suffix(".out.ipynb"), options.pop("parameters", {}), cwd=path.parent, **options)


def test_a_step_gives_its_outputs_and_tells_how_far_it_is(project: Path) -> None:
    states: list[Any] = []
    path = written(project / "step.ipynb", "table = [month] * 2\ntable", parameters="month = 1", outputs="{'table': table}")
    done = executed(
        path, parameters={"month": 3}, collect=lambda count: as_json(f"[{count}, Out[{count}], len(In)]"), on_progress=states.append
    )
    assert (done.error, done.collected, done.cells) == ("", [4, {"table": [3, 3]}, 5], 4)
    assert [(state["cell"], state["cells"]) for state in states] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert 0 < states[-1]["memory"] <= done.memory


def test_a_step_has_its_folder_environment_and_kernel(project: Path) -> None:
    folder = project / "deep"
    folder.mkdir()
    path = written(project / "step.ipynb", "import os", outputs="{'cwd': os.getcwd(), 'mark': os.environ['MARK']}")
    done = execute(path, project / "out.ipynb", {}, cwd=folder, env={"MARK": "x"}, collect=lambda count: as_json(f"Out[{count}]"))
    assert done.collected == {"cwd": str(folder), "mark": "x"}
    assert Path.cwd() == project
    missing = execute(path, project / "out.ipynb", {}, cwd=folder, kernel="no-such-kernel")
    assert (missing.ename, "no-such-kernel" in missing.error) == ("NoSuchKernel", True)


def test_a_notebook_that_names_no_kernel_runs_in_pythons(project: Path) -> None:
    path = written(project / "step.ipynb", parameters="month = 1", outputs="month")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metadata": {}}))
    done = executed(path, parameters={"month": 3}, collect=lambda count: as_json(f"Out[{count}]"))
    assert (done.error, done.collected) == ("", 3)


def test_where_kernels_cannot_be_forked_they_start_as_jupyters_do(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "FORKS", False)
    monkeypatch.setattr(warm, "WarmKernels", None)
    path = written(project / "step.ipynb", "month", parameters="month = 1", outputs="[month, __import__('os').environ['MARK']]")
    done = executed(path, parameters={"month": 3}, env={"MARK": "x"}, collect=lambda count: as_json(f"Out[{count}]"))
    assert (done.error, done.collected) == ("", [3, "x"])


@pytest.mark.parametrize(
    ("source", "options", "ename"),
    [
        ("raise ValueError('wrong')", {}, "ValueError"),
        (DIE, {}, "DeadKernelError"),
        ("import time; time.sleep(600)", {"timeout": 3}, "CellTimeoutError"),
        ("import time; time.sleep(600)", {"stop": True}, "Stopped"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_ends_a_step_is_told(project: Path, source: str, options: dict[str, Any], ename: str) -> None:
    stop = threading.Event()
    if options.pop("stop", False):
        options |= {"stop": stop, "on_progress": lambda state: state["cell"] == 2 and stop.set()}
    path = written(project / "step.ipynb", "x = 1", source, "y = 2")
    done = executed(path, collect=lambda count: "'never asked'", **options)
    assert (done.ename, done.cell, done.source, done.collected) == (ename, 2, source, None)
    assert done.error
    saved = nbformat.read(path.with_suffix(".out.ipynb"), as_version=4)
    states = [cell.metadata.papermill.status for cell in saved.cells if cell.cell_type == "code"]
    assert states == ["completed", "failed", "pending"]


def test_a_step_is_a_run_under_that_of_its_pipeline(project: Path) -> None:
    with_database(project)
    (project / "data.csv").write_text("a,b\n1,2\n")
    (project / "helper.py").write_text("def double(x): return 2 * x\n")
    cells = [
        "import helper\nimport pandas as pd\nfrom sklearn.linear_model import Ridge\ntable = pd.read_csv('data.csv')",
        "model = Ridge(alpha=0.5).fit([[0.0], [1.0]], [0.0, 1.0])\nscore = model.score([[0.0], [1.0]], [0.0, 1.0])",
        "open('made.txt', 'w').write('x')\nopen('made.txt').read()",
    ]
    live = sessions.start(settings=config.load(project))
    parent = live.runs.open_named("flights")
    run_id, failed_id = uuid.uuid4().hex, uuid.uuid4().hex
    tracked = Tracked(name="train", run=run_id, parent=parent, project=project, params={"month": 3}, tags={"step": "train"})
    done = executed(written(project / "step.ipynb", *cells), tracked=tracked)
    failing = Tracked(name="fails", run=failed_id, parent=parent, project=project)
    failed = executed(written(project / "fails.ipynb", "1 / 0"), tracked=failing)
    live.runs.close_named(parent, "FINISHED")
    live.close()
    assert (done.error, failed.ename) == ("", "ZeroDivisionError")
    assert [Path(path).name for path in done.read] == ["data.csv"]
    assert [Path(path).name for path in done.modules] == ["helper.py"]
    assert run_id in done.runs
    runs = {run.info.run_name: run for run in settled(project)}
    above = runs["flights"].info.run_id
    train, fails = runs["train"], runs["fails"]
    assert (train.info.status, train.data.tags["mlflow.parentRunId"], train.data.tags["step"]) == ("FINISHED", above, "train")
    assert {"month": "3", "alpha": "0.5"}.items() <= train.data.params.items()
    assert "score" in train.data.metrics
    assert (fails.info.status, fails.data.tags["mlflow.parentRunId"]) == ("FAILED", above)
    assert "ZeroDivisionError" in fails.data.tags["mlops.error"]


def test_steps_in_threads_do_not_disturb_each_other(project: Path) -> None:
    results: dict[int, Any] = {}

    def one(number: int) -> None:
        folder = project / str(number)
        folder.mkdir()
        path = written(folder / "step.ipynb", "import os, time\ntime.sleep(0.2)", parameters="n = 0", outputs="[n, os.getcwd()]")
        results[number] = executed(path, parameters={"n": number}, collect=lambda count: as_json(f"Out[{count}]")).collected

    threads = [threading.Thread(target=one, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [number, str(project / str(number))] for number in range(4)}
