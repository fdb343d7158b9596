"""Snapshots of 1M x 21 (20 float columns and one of strings, 174 MB): time, room and memory, beside what others take for the same data."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import mlflow.data
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore

from .peers import DVC, programs
from .table import Row, markdown, row, seconds

ROWS = 1_000_000
# The highest resident size is reset after the frame was made, whose making takes more than the snapshot does.
MEMORY = """
import pathlib, re, sys
import numpy, pandas, pyarrow
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024

random = numpy.random.default_rng(0)
frame = pandas.DataFrame({str(n): random.standard_normal(2_500_000) for n in range(100)})
snapshots.freeze(frame[:1000], ObjectStore(sys.argv[1]))
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = peak()
snapshots.freeze(frame, ObjectStore(sys.argv[1]))
print(peak() - before)
"""


def flat(rows: int = ROWS) -> pd.DataFrame:
    """20 columns of normal floats and one of 1,000 different strings."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({f"f{number}": random.standard_normal(rows) for number in range(20)})
    frame["s"] = random.choice([f"user_{number:05d}" for number in range(1000)], rows)
    return frame


def measure() -> list[Row]:
    """All figures of this module."""
    frame = flat()
    return [*_times(frame), *_room(frame), *_small_types(), _memory()]


def _times(frame: pd.DataFrame) -> Iterator[Row]:
    table = pa.Table.from_pandas(frame)
    buffers = [buffer for column in table.columns for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None]

    def plain() -> None:
        hasher = blake3(max_threads=blake3.AUTO)
        for buffer in buffers:
            hasher.update(buffer)

    with _folder() as folder:
        kept = ObjectStore(folder / "kept")
        snapshots.freeze(frame, kept)
        again, hashed = seconds(lambda: snapshots.freeze(frame, kept), plain, rounds=9)
        yield row("unchanged snapshot, s", again, hashed, "<= 3", "BLAKE3 over the same Arrow buffers, all cores")

        def new() -> None:
            shutil.rmtree(folder / "new", ignore_errors=True)
            snapshots.freeze(frame, ObjectStore(folder / "new"))

        ours, parquet = seconds(new, lambda: pq.write_table(table, folder / "peer.parquet", compression="snappy"))
        yield row("new snapshot, s", ours, parquet, "<= 1", "pyarrow.parquet.write_table, snappy")
        size = sum(path.stat().st_size for path in (folder / "new/packs").iterdir())
        yield row("new snapshot, bytes", size, (folder / "peer.parquet").stat().st_size, "<= 1", "the same Parquet file")
        others = seconds(lambda: mlflow.data.from_pandas(frame), lambda: joblib.hash(frame), rounds=3)
        yield row("unchanged snapshot, s", again, others[0], "printed", "mlflow.data.from_pandas, which reads 10,000 rows")
        yield row("unchanged snapshot, s", again, others[1], "printed", "joblib.hash")
        if (found := programs(DVC)) is not None:
            yield row("new snapshot, s", ours, _dvc(str(found / "dvc"), folder), "printed", "dvc add of the Parquet file")


def _dvc(dvc: str, folder: Path) -> float:
    subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=folder, check=True)
    return seconds(lambda: subprocess.run([dvc, "add", "-q", "peer.parquet"], cwd=folder, check=True), rounds=1)[0]


def _room(frame: pd.DataFrame) -> Iterator[Row]:
    with _folder() as folder:
        objects = ObjectStore(folder)
        first = snapshots.freeze(frame, objects).stored
        for name, changed, asked in _changes(frame):
            yield row(f"1M x 21, {name}: bytes", snapshots.freeze(changed, objects).stored, first, asked, "the first snapshot")
        wide = pd.DataFrame(np.random.default_rng(1).standard_normal((ROWS // 5, 50)))
        first = snapshots.freeze(wide, objects).stored
        wide[7] += 1
        yield row("one column of 50 changed: bytes", snapshots.freeze(wide, objects).stored, first, "<= 0.04", "the first snapshot")


def _changes(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, str]]:
    rows = len(frame)
    more = frame.sample(rows // 100, random_state=1)
    half = rows // 2 + 123
    yield "1% appended", pd.concat([frame, more], ignore_index=True), "<= 0.03"
    yield "block inserted in the middle", pd.concat([frame[:half], more, frame[half:]], ignore_index=True), "<= 0.10"
    dropped = np.random.default_rng(2).choice(rows, 100, replace=False)
    yield "100 scattered rows deleted", frame.drop(index=dropped).reset_index(drop=True), "printed"


def _small_types() -> Iterator[Row]:
    random = np.random.default_rng(3)
    columns = {
        "booleans": random.random((ROWS, 20)) < 0.5,
        "strings": random.choice(np.array([f"item {n}" for n in range(5000)]), (ROWS, 2)),
    }
    for kind, values in columns.items():
        frame = pd.DataFrame(values)
        with _folder() as folder:
            objects = ObjectStore(folder)
            first = snapshots.freeze(frame, objects).stored
            more = frame.sample(ROWS // 100, random_state=1)
            for name, changed in (
                ("1% appended", pd.concat([frame, more], ignore_index=True)),
                ("block inserted in the middle", pd.concat([frame[: ROWS // 2], more, frame[ROWS // 2 :]], ignore_index=True)),
            ):
                yield row(f"{kind}, {name}: bytes", snapshots.freeze(changed, objects).stored, first, "printed", "the first snapshot")


def _memory() -> Row:
    with _folder() as folder:
        done = subprocess.run([sys.executable, "-c", MEMORY, str(folder)], capture_output=True, text=True, check=True)
    return row("peak extra memory for a 2 GB frame, MiB", int(done.stdout) / 2**20, 256, "<= 1", "256 MiB")


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


if __name__ == "__main__":
    print(markdown(measure()))
