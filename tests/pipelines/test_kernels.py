"""Kernels forked from a process with the usual libraries: ready at once, nothing in common but those, gone with whoever asked for them."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.pipelines.kernels.warm import WarmKernels

DRAWS = """
import random, tempfile, uuid, os, numpy, pandas
[random.random(), numpy.random.rand(), numpy.random.default_rng().random(), pandas.Series(range(10**6)).sample(1).item(),
 str(uuid.uuid4()), str(uuid.uuid1()), next(tempfile._get_candidate_names()), os.urandom(4).hex()]
"""
STATE = """
import os, sys, warnings, signal, threading
{"cwd": os.getcwd(), "original": sys.modules["multiprocessing.process"].ORIGINAL_DIR,
 "main": sys.modules["__main__"].__dict__ is globals(), "name": __name__, "path": "" in sys.path,
 "argv": [os.path.basename(item) for item in sys.argv[:2]],
 "hash": hash("text"), "seed": os.environ["PYTHONHASHSEED"],
 "mark": os.environ.get("MARK"), "leaked": sorted(n for n in globals() if "server" in n or "listener" in n),
 "registries": [m.__name__ for m in list(sys.modules.values()) if hasattr(m, "__warningregistry__")],
 "interrupt": signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL, "session": os.getsid(0) == os.getpid(),
 "inherited": [link for link in (os.readlink(f"/proc/self/fd/{n}") for n in range(3, 90) if os.path.lexists(f"/proc/self/fd/{n}"))
               if "pidfd" in link or "server.log" in link]}
"""
PARALLEL = """
import numpy, pyarrow.compute
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
X = numpy.random.default_rng(0).random((3000, 8)); y = (X[:, 0] > 0.5).astype(int)
[round(float(model.fit(X, y).score(X, y)), 1) for model in (HistGradientBoostingClassifier(max_iter=5), RandomForestClassifier(5, n_jobs=2),
 RandomForestClassifier(5, n_jobs=2).set_params(warm_start=True))] + [(X.T @ X).shape, pyarrow.compute.sum(pyarrow.array([1, 2])).as_py()]
"""


class Live:
    """A kernel that runs code and gives back the value of its last expression (which is written as Python text)."""

    def __init__(self, kernels: WarmKernels, cwd: Path, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        kernel = options.pop("kernel", "python3")
        self.manager = kernels.manager(kernel)
        self.do(self.manager.start_kernel(cwd=str(cwd), **options))
        self.client = self.connect()

    def connect(self) -> Any:
        client = self.manager.client()
        client.start_channels()
        self.do(client.wait_for_ready(120))
        return client

    def do(self, task: Any) -> Any:
        return self.loop.run_until_complete(task)

    def begin(self, code: str) -> str:
        return str(self.client.execute(code))

    def value(self, code: str) -> Any:
        return self.result(self.begin(code))

    def result(self, request: str) -> Any:
        shown = None
        while True:
            message = self.do(self.client.get_iopub_msg(timeout=120))
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "execute_result":
                shown = ast.literal_eval(message["content"]["data"]["text/plain"])
            if message["msg_type"] == "error":
                shown = message["content"]["ename"]
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return shown

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.do(self.manager.shutdown_kernel())
        self.do(asyncio.sleep(0))
        self.loop.close()


@pytest.fixture(scope="module", params=[0, 1000], ids=["forked as asked for", "made ready ahead"])
def kernels(request: pytest.FixtureRequest) -> Iterator[WarmKernels]:
    """A server with the usual libraries."""
    with WarmKernels() as server:
        server.expect(request.param)
        yield server


@pytest.fixture
def live(kernels: WarmKernels, tmp_path: Path) -> Iterator[Live]:
    """A warm kernel in an empty folder."""
    kernel = Live(kernels, tmp_path)
    yield kernel
    kernel.close()


def test_no_two_kernels_draw_the_same(kernels: WarmKernels, tmp_path: Path) -> None:
    drawn = []
    for _ in range(3):
        kernel = Live(kernels, tmp_path)
        drawn.append(kernel.value(DRAWS))
        kernel.close()
    assert [len(set(same)) for same in zip(*drawn, strict=True)] == [3] * len(drawn[0])


def test_a_kernel_begins_as_any_other_with_the_libraries_loaded(kernels: WarmKernels, tmp_path: Path) -> None:
    before = Live(kernels, tmp_path)
    before.value("import os, sys, warnings; left = 1; os.chdir('/'); os.environ['MARK'] = 'before'; sys.path.insert(0, '/before')")
    kernel = Live(kernels, tmp_path, env={**os.environ, "MARK": "mine"})
    found = kernel.value(STATE)
    hashed = subprocess.run(
        [sys.executable, "-c", "print(hash('text'))"], env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True
    )
    assert found == {
        "cwd": str(tmp_path),
        "original": str(tmp_path),
        "main": True,
        "name": "__main__",
        "path": True,
        "argv": ["ipykernel_launcher.py", "-f"],
        "hash": int(hashed.stdout),
        "seed": "0",
        "mark": "mine",
        "leaked": [],
        "registries": [],
        "interrupt": True,
        "session": True,
        "inherited": [],
    }
    assert kernel.value("'left' in globals(), '/before' in sys.path, 'sklearn.ensemble' in sys.modules, 'mlflow' in sys.modules") == (
        False,
        False,
        True,
        False,
    )
    before.close()
    kernel.close()


def test_libraries_use_all_cores_in_a_forked_kernel(live: Live) -> None:
    assert live.value(PARALLEL) == [1.0, 1.0, 1.0, (8, 8), 3]


def test_workers_of_joblib_import_what_lies_beside_the_notebook(live: Live, tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("def double(x): return 2 * x\n")
    assert live.value("import joblib, helpers\njoblib.Parallel(n_jobs=2)(joblib.delayed(helpers.double)(x) for x in range(3))") == [0, 2, 4]


def test_a_python_without_the_newer_calls_of_linux_starts_kernels_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import fcntl, os\ndel os.pidfd_open, fcntl.F_SETPIPE_SZ\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with WarmKernels(()) as server:
        server.expect(1)
        kernel = Live(server, tmp_path)
        assert kernel.value("import os; hasattr(os, 'pidfd_open')") is False
        kernel.close()


@pytest.mark.parametrize(
    ("setting", "loaded"), [({"OMP_NUM_THREADS": "1"}, False), ({"PYTHONHASHSEED": "7"}, False), ({"ANYTHING": "1"}, True)], ids=str
)
def test_settings_that_are_read_at_the_start_get_a_kernel_of_their_own(
    kernels: WarmKernels, tmp_path: Path, setting: dict[str, str], loaded: bool
) -> None:
    kernel = Live(kernels, tmp_path, env={**os.environ, **setting})
    asked = f"import os, sys; ('sklearn' in sys.modules, os.environ[{next(iter(setting))!r}], os.getcwd(), sys.argv[1])"
    assert kernel.value(asked) == (loaded, next(iter(setting.values())), str(tmp_path), "-f")
    kernel.close()


def test_a_kernelspec_that_starts_another_program_is_started_as_it_says(
    kernels: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kernels" / "mine"
    folder.mkdir(parents=True)
    command = ["/usr/bin/env", "MINE=yes", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "Mine", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    kernel = Live(kernels, tmp_path, kernel="mine")
    assert kernel.value("import os, sys; (os.environ['MINE'], 'pandas' in sys.modules)") == ("yes", False)
    kernel.close()
    assert kernel.manager.has_kernel is False


def test_a_kernel_can_be_interrupted_restarted_and_ended(live: Live) -> None:
    request = live.begin("import time\nname = 1\nwhile True: time.sleep(0.01)")
    time.sleep(0.5)
    live.do(live.manager.interrupt_kernel())
    assert live.result(request) == "KeyboardInterrupt"
    assert live.value("name") == 1
    first = live.manager.provisioner.pid
    live.client.stop_channels()
    live.do(live.manager.restart_kernel())
    live.client = live.connect()
    assert live.value("'name' in globals()") is False
    assert live.manager.provisioner.pid != first
    live.do(live.manager.shutdown_kernel())
    assert (live.do(live.manager.is_alive()), psutil.pid_exists(first)) == (False, False)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV], ids=lambda how: how.name)
def test_the_death_of_a_kernel_is_known_and_takes_its_processes_along(live: Live, how: signal.Signals) -> None:
    child = live.value("import subprocess; subprocess.Popen(['sleep', '600']).pid")
    apart = live.value("subprocess.Popen(['sleep', '600'], process_group=0).pid")
    process = live.manager.provisioner.process
    os.kill(process.pid, how)
    assert process.wait(60) == -how
    assert how.name in process.words
    psutil.wait_procs([psutil.Process(pid) for pid in (child, apart) if psutil.pid_exists(pid)], timeout=30)
    assert [psutil.pid_exists(pid) for pid in (process.pid, child, apart)] == [False] * 3


def test_what_a_kernel_leaves_open_is_written_as_it_ends(live: Live, tmp_path: Path) -> None:
    live.value("import atexit, weakref\nfile = open('left.txt', 'w'); _ = file.write('whole')")
    live.value("class Thing:\n    def __del__(self): open('deleted.txt', 'w').write('yes')\nring = Thing(); ring.self = ring")
    live.value("_ = atexit.register(lambda: open('exit.txt', 'w').write('yes'))")
    process = live.manager.provisioner.process
    live.do(live.manager.shutdown_kernel())
    assert process.wait(30) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"left.txt": "whole", "deleted.txt": "yes", "exit.txt": "yes"}


PARENT = """
import asyncio, os, sys, time
from jupyter_mlops.pipelines.kernels.warm import WarmKernels
kernels = WarmKernels(())
async def main():
    manager = kernels.manager("python3")
    await manager.start_kernel()
    client = manager.client(); client.start_channels(); await client.wait_for_ready(120)
    client.execute("import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)")
    while True:
        message = await client.get_iopub_msg(timeout=120)
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            print(kernels.folder, kernels._process.pid, manager.provisioner.pid, message["content"]["text"].strip(), flush=True)
            time.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_everything_dies_with_whoever_asked_for_it(how: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    folder, *pids = parent.stdout.readline().split()
    processes = [psutil.Process(int(pid)) for pid in pids]
    parent.send_signal(how)
    parent.wait()
    assert psutil.wait_procs(processes, timeout=60)[1] == []
    assert not Path(folder).exists()
