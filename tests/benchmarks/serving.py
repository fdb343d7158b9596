"""One scikit-learn pipeline with 30 columns behind several services, asked by 32 clients: ours, MLflow's, BentoML's, and the plainest app.

Each service is a process of its own, with one worker, and they are asked in turn. Ours logs every prediction; the others log none.

BentoML's Python is that of an environment of its own (see `peers`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from .peers import programs
from .startup import command
from .table import Row, row

CLIENTS = 32
SECONDS = float(os.environ.get("MLOPS_SERVING_SECONDS", "8"))
ROUNDS = 2
APP = '''\
import joblib
import pandas as pd
from fastapi import FastAPI, Request

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/invocations")
async def predict(request: Request):
    told = (await request.json())["dataframe_split"]
    frame = pd.DataFrame(told["data"], columns=told["columns"])
    return {"predictions": model.predict(frame).tolist()}
'''
BENTO = '''\
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, traffic={"timeout": 60})
class Shop:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api(batchable=True, max_batch_size=1024)
    def predict(self, rows: list[dict[str, Any]]) -> list[int]:
        return self.model.predict(pd.DataFrame(rows)).tolist()
'''


def measure() -> list[Row]:
    """All figures of this module."""
    with tempfile.TemporaryDirectory(prefix="serving-", ignore_cleanup_errors=True) as place:
        return list(_figures(Path(place)))


def _figures(place: Path) -> Iterator[Row]:
    bodies = _prepare(place)
    services: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as running:
        for name, start in (("ours", _ours), ("mlflow models serve", _mlflow), ("bare uvicorn app", _bare), ("BentoML", _bento)):
            found = start(place, running)
            if found is not None:
                services[name] = found
        for kind, clients in (("single", CLIENTS), ("thousand", 4)):
            for _ in range(ROUNDS):
                for name, service in services.items():
                    body = bodies[f"{kind}-rows" if name == "BentoML" else kind]
                    told = _load(service["port"], service["path"], body, clients)
                    service.setdefault(kind, []).append(told)
        for service in services.values():
            service["memory"] = _memory(service["pid"]) / 2**20
    ours = services.pop("ours")
    asked = {"mlflow models serve": 10.0, "BentoML": 2.0, "bare uvicorn app": 2.5}
    for kind, what, clients in (("single", "single rows", CLIENTS), ("thousand", "batches of 1,000 rows", 4)):
        for name, service in services.items():
            best, other = _best(ours[kind]), _best(service[kind])
            bound = f">= {asked[name]:g}"
            yield row(f"{what}, {clients} clients, requests/s", best["rate"], other["rate"], bound, _note(name, other))
            yield row(f"{what}, {clients} clients, p99 in ms", best["p99"] * 1e3, other["p99"] * 1e3, "< 1", name)
    for name, service in services.items():
        yield row("memory of the service, MB", ours["memory"], service["memory"], "< 1", name)


def _best(told: list[dict[str, Any]]) -> dict[str, Any]:
    return max(told, key=lambda item: float(item["rate"]))


def _note(name: str, told: dict[str, Any]) -> str:
    others = {status: count for status, count in told["statuses"].items() if status != "200"}
    return f"{name}; not answered: {others}" if others else name


def _prepare(place: Path) -> dict[str, Path]:
    """The pipeline as MLflow's files, as our folder, and as a joblib file; the bodies of the requests."""
    import joblib
    import mlflow.sklearn
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from jupyter_mlops.store.model_folders import inspect, needed_types
    from jupyter_mlops.store.seals import folder_digest

    chance = np.random.default_rng(0)
    numbers = {f"x{number}": chance.normal(size=5_000) for number in range(24)}
    words = {f"c{number}": chance.choice(["red", "green", "blue"], 5_000) for number in range(6)}
    frame = pd.DataFrame({**numbers, **words})
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), list(numbers)), (OneHotEncoder(handle_unknown="ignore"), list(words))
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, (frame["x0"] + frame["x1"] > 0).astype(int))
    ours = place / "ours"
    ours.mkdir()
    mlflow.sklearn.save_model(
        model, str(ours / "model"), signature=infer_signature(frame, model.predict(frame)), input_example=frame.iloc[:3],
        pip_requirements=[f"scikit-learn=={version('scikit-learn')}"],
        serialization_format="skops", skops_trusted_types=["numpy.dtype", "sklearn.compose._column_transformer._RemainderColsList"],
    )  # fmt: skip
    trusted = needed_types(inspect(ours / "model", "the pipeline"), "the pipeline")
    described = {
        "name": "shop", "version": 1, "digest": folder_digest(ours / "model"), "flavor": "sklearn", "format": "skops",
        "trusted": list(trusted),
    }  # fmt: skip
    (ours / "model.json").write_text(json.dumps({"format": 1, "version": described}))
    joblib.dump(model, place / "model.joblib")
    bodies = {}
    for kind, rows in (("single", 1), ("thousand", 1_000)):
        some = frame.iloc[:rows]
        bodies[kind] = place / f"{kind}.json"
        bodies[kind].write_text(json.dumps({"dataframe_split": {"columns": list(some), "data": some.to_numpy().tolist()}}))
        bodies[f"{kind}-rows"] = place / f"{kind}-rows.json"
        bodies[f"{kind}-rows"].write_text(json.dumps({"rows": some.to_dict(orient="records")}))
    return bodies


def _ours(place: Path, running: contextlib.ExitStack) -> dict[str, Any]:
    folder = place / "project"
    folder.mkdir()
    port = _port()
    process = _start([command("mlops"), "serve", str(place / "ours"), "--port", str(port)], folder, running)
    _wait(port, "/ready", process)
    return {"port": port, "path": "/invocations", "pid": process.pid}


def _mlflow(place: Path, running: contextlib.ExitStack) -> dict[str, Any]:
    port = _port()
    words = ["-m", "mlflow", "models", "serve", "-m", str(place / "ours" / "model"), "--env-manager", "local", "-p", str(port)]
    process = _start([sys.executable, *words], place, running)
    _wait(port, "/ping", process)
    return {"port": port, "path": "/invocations", "pid": process.pid}


def _bare(place: Path, running: contextlib.ExitStack) -> dict[str, Any]:
    (place / "bare.py").write_text(APP)
    port = _port()
    process = _start([sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--log-level", "warning"], place, running)
    _wait(port, "/docs", process)
    return {"port": port, "path": "/invocations", "pid": process.pid}


def _bento(place: Path, running: contextlib.ExitStack) -> dict[str, Any] | None:
    """BentoML; None where it does not install beside these versions."""
    pins = [f"{name}=={version(name)}" for name in ("scikit-learn", "pandas", "numpy")]
    found = programs("bentoml", "joblib", *pins)
    if found is None:
        return None
    (place / "service.py").write_text(BENTO)
    port = _port()
    words = [str(found / "bentoml"), "serve", "service:Shop", "--port", str(port)]
    process = _start(words, place, running, {"BENTOML_HOME": str(place / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"})
    _wait(port, "/readyz", process)
    return {"port": port, "path": "/predict", "pid": process.pid}


def _start(words: list[str], folder: Path, running: contextlib.ExitStack, more: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    log = running.enter_context((folder / f"{Path(words[0]).name}-{len(list(folder.iterdir()))}.log").open("wb"))
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **(more or {})}
    process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log, start_new_session=True, env=environment)
    running.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(port: int, path: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"the service at port {port} does not answer")


def _load(port: int, path: str, body: Path, clients: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "tests.benchmarks.load", str(port), path, str(body), str(clients), str(SECONDS)]
    found = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    return dict(json.loads(found.stdout))


def _memory(pid: int) -> float:
    process = psutil.Process(pid)
    return float(sum(item.memory_info().rss for item in (process, *process.children(recursive=True))))


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
