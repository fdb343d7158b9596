"""A user's cell reads and writes files in every way there is; the watch tells which."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from jupyter_mlops.records import Input
from jupyter_mlops.tracking.file_stats import StatWatcher
from jupyter_mlops.tracking.files import FileWatch, Touched, file_input


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "data" / "parts").mkdir(parents=True)
    frame = pd.DataFrame({"a": range(10), "b": list("abcdefghij")})
    frame.to_csv(folder / "data" / "rows.csv", index=False)
    frame.to_parquet(folder / "data" / "rows.parquet")
    for part in range(3):
        frame.to_parquet(folder / "data" / "parts" / f"{part}.parquet")
    np.save(folder / "array.npy", np.arange(1000))
    feather.write_feather(pa.table({"a": [1, 2]}), folder / "rows.feather", compression="uncompressed")
    return folder


@pytest.fixture
def watch(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileWatch]:
    monkeypatch.chdir(project)
    watch = FileWatch(project)
    time.sleep(0.05)
    watch.drain()
    yield watch
    watch.close()


def in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def shell(command: str) -> None:
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def names(touched: Touched, project: Path) -> tuple[set[str], set[str]]:
    def relative(paths: frozenset[Path]) -> set[str]:
        return {os.path.relpath(path, project) for path in paths}

    return relative(touched.read), relative(touched.written)


READS: dict[str, tuple[Callable[[], object], set[str]]] = {
    "open": (lambda: Path("data/rows.csv").open().close(), {"data/rows.csv"}),
    "pathlib": (lambda: Path("data/rows.csv").read_text(), {"data/rows.csv"}),
    "pandas csv": (lambda: pd.read_csv("data/rows.csv"), {"data/rows.csv"}),
    "pandas parquet": (lambda: pd.read_parquet("data/rows.parquet"), {"data/rows.parquet"}),
    "polars": (lambda: pl.read_csv("data/rows.csv"), {"data/rows.csv"}),
    "polars lazy": (lambda: pl.scan_parquet("data/rows.parquet").collect(), {"data/rows.parquet"}),
    "duckdb": (lambda: duckdb.sql("select sum(a) from 'data/rows.parquet'").fetchall(), {"data/rows.parquet"}),
    "duckdb glob": (
        lambda: duckdb.sql("select sum(a) from 'data/parts/*.parquet'").fetchall(),
        {f"data/parts/{part}.parquet" for part in range(3)},
    ),
    "pyarrow": (lambda: pq.read_table("data/rows.parquet"), {"data/rows.parquet"}),
    "pyarrow dataset": (lambda: ds.dataset("data/parts").to_table(), {f"data/parts/{part}.parquet" for part in range(3)}),
    "pyarrow memory map": (lambda: pa.memory_map("rows.feather").read(), {"rows.feather"}),
    "numpy memory map": (lambda: np.load("array.npy", mmap_mode="r").sum(), {"array.npy"}),
    "another process": (lambda: shell("cat data/rows.csv"), {"data/rows.csv"}),
    "a thread": (lambda: in_thread(lambda: pd.read_csv("data/rows.csv")), {"data/rows.csv"}),
    "another Python": (lambda: subprocess.run([sys.executable, "-c", "open('data/rows.csv').read()"], check=True), {"data/rows.csv"}),
    "many times": (lambda: [Path("array.npy").read_bytes() for _ in range(2000)], {"array.npy"}),
}


@pytest.mark.parametrize("way", READS)
def test_reading_is_seen(way: str, project: Path, watch: FileWatch) -> None:
    work, expected = READS[way]
    work()
    assert names(watch.drain(), project) == (expected, set())
    assert watch.drain() == Touched()


def replace_atomically() -> None:
    Path("data/.rows.tmp").write_text("a\n1\n")
    os.replace("data/.rows.tmp", "data/rows.csv")


def append() -> None:
    with open("data/rows.csv", "a") as file:
        file.write("11,k\n")


def change_through_memory_map() -> None:
    array = np.load("array.npy", mmap_mode="r+")
    array[0] = 99
    array.flush()


def leave_open() -> None:
    global kept_open
    kept_open = open("log.txt", "w")  # noqa: SIM115  # a log that a later cell goes on with
    kept_open.write("x")
    kept_open.flush()


def copy_on() -> None:
    pd.DataFrame({"a": [1]}).to_csv("new.csv")
    pd.read_csv("new.csv")


FRAME = pd.DataFrame({"k": [1, 1, 2], "v": [1, 2, 3]})
WRITES: dict[str, tuple[Callable[[], object], set[str], set[str]]] = {
    "open": (lambda: Path("out.txt").write_text("x"), set(), {"out.txt"}),
    "over a file that was there": (lambda: Path("data/rows.csv").write_text("x"), set(), {"data/rows.csv"}),
    "pandas": (lambda: FRAME.to_csv("out.csv"), set(), {"out.csv"}),
    "polars": (lambda: pl.DataFrame({"a": [1]}).write_parquet("out.parquet"), set(), {"out.parquet"}),
    "duckdb": (lambda: duckdb.sql("copy (select 1 as a) to 'out.csv'"), set(), {"out.csv"}),
    "an atomic rename over": (replace_atomically, set(), {"data/rows.csv"}),
    "an append": (append, set(), {"data/rows.csv"}),
    "reading and then writing": (lambda: pd.read_csv("data/rows.csv").to_csv("data/rows.csv"), {"data/rows.csv"}, {"data/rows.csv"}),
    "writing and then reading": (copy_on, {"new.csv"}, {"new.csv"}),
    "a memory map": (change_through_memory_map, {"array.npy"}, {"array.npy"}),
    "a file left open": (leave_open, set(), {"log.txt"}),
    "another process": (lambda: shell("echo x > out.txt; cp data/rows.csv copy.csv"), {"data/rows.csv"}, {"out.txt", "copy.csv"}),
    "a move": (lambda: shutil.move("array.npy", "moved.npy"), {"array.npy"}, {"moved.npy"}),
    "a temporary file that is gone": (
        lambda: (Path("t.csv").write_text("x"), Path("t.csv").read_text(), Path("t.csv").unlink()),
        set(),
        set(),
    ),
}


@pytest.mark.parametrize("way", WRITES)
def test_writing_is_seen(way: str, project: Path, watch: FileWatch) -> None:
    work, read, written = WRITES[way]
    time.sleep(0.01)  # the clock of files is coarser than ours
    work()
    assert names(watch.drain(), project) == (read, written)


def test_files_in_a_folder_made_by_the_same_cell_are_seen(project: Path, watch: FileWatch) -> None:
    FRAME.to_parquet("out", partition_cols=["k"])
    for depth in range(20):
        folder = project / "deep" / "/".join(map(str, range(depth)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file.txt").write_text("x")
    _, written = names(watch.drain(), project)
    assert {path for path in written if path.startswith("deep")} == {
        os.path.relpath(project / "deep" / "/".join(map(str, range(depth))) / "file.txt", project) for depth in range(20)
    }
    assert {os.path.dirname(path) for path in written if path.startswith("out")} == {"out/k=1", "out/k=2"}
    (folder / "file.txt").read_text()
    assert names(watch.drain(), project)[0] == {os.path.relpath(folder / "file.txt", project)}


def test_what_is_not_data_of_the_project_is_left_out(project: Path, watch: FileWatch) -> None:
    for name in (
        "mlflow.db",
        "mlflow.db-wal",
        "note.ipynb",
        ".hidden",
        "x.pyc",
        "mlruns/0/meta.yaml",
        ".mlops/state.db",
        "__pycache__/x.pyc",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("x")
        (project / name).read_text()
    (project / "module.py").write_text("x = 1")
    assert names(watch.drain(), project) == (set(), {"module.py"})
    (project / "module.py").read_text()
    list(project.rglob("*"))
    assert watch.drain() == Touched()
    watch.watch(["module.py"])
    (project / "module.py").read_text()
    assert names(watch.drain(), project) == ({"module.py"}, set())


def test_places_outside_the_project_are_watched_when_a_cell_mentions_them(project: Path, tmp_path: Path, watch: FileWatch) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    for name in ("one.csv", "two.csv", "sub/three.csv"):
        (outside / name).write_text("a\n1\n")
    time.sleep(0.01)
    watch.drain()
    watch.watch([outside / "one.csv", outside / "new.csv"])
    for name in ("one.csv", "two.csv"):
        pl.read_csv(outside / name)
    (outside / "new.csv").write_text("x")
    touched = watch.drain()
    assert touched == Touched(frozenset({outside / "one.csv"}), frozenset({outside / "new.csv"}))
    watch.watch([outside / "**" / "*.csv"])
    for name in ("one.csv", "two.csv", "sub/three.csv"):
        pl.read_csv(outside / name)
    assert watch.drain().read == {outside / "one.csv", outside / "two.csv", outside / "sub" / "three.csv"}


def test_links_are_followed_to_where_the_data_is(tmp_path: Path, project: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "x.csv").write_text("a\n1\n")
    (project / "linked").symlink_to(real)
    (project / "alias.csv").symlink_to(real / "x.csv")
    watch = FileWatch(project)
    time.sleep(0.05)
    watch.drain()
    (project / "linked" / "x.csv").read_text()
    assert names(watch.drain(), project)[0] == {"linked/x.csv"}
    watch.close()


def test_files_read_by_our_own_worker_count_only_where_the_cell_mentions_them(project: Path, watch: FileWatch) -> None:
    watch.expect_reader([project / "array.npy"])
    (project / "array.npy").read_bytes()
    assert watch.drain() == Touched()
    watch.watch(["array.npy"])
    (project / "array.npy").read_bytes()
    assert names(watch.drain(), project) == ({"array.npy"}, set())
    with watch.quiet():
        (project / "data" / "rows.csv").read_text()
        assert watch.drain() == Touched()


def test_a_folder_of_very_many_files_stands_for_them(project: Path, watch: FileWatch) -> None:
    images = project / "images"
    images.mkdir()
    for number in range(3000):
        (images / f"{number}.png").write_bytes(b"x")
    assert images in watch.drain().written
    for number in range(3000):
        (images / f"{number}.png").read_bytes()
    (project / "data" / "rows.csv").read_text()
    touched = watch.drain()
    assert names(touched, project) == ({"images", "data/rows.csv"}, set())
    assert touched.complete


def test_a_file_opened_without_pause_hides_no_other_file(project: Path, watch: FileWatch) -> None:
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        (project / "array.npy").read_bytes()
    (project / "rows.feather").read_bytes()
    (project / "late.txt").write_text("x")
    assert names(watch.drain(), project) == ({"array.npy", "rows.feather"}, {"late.txt"})
    (project / "rows.feather").write_bytes(b"x")
    assert names(watch.drain(), project) == (set(), {"rows.feather"})


def test_a_file_opened_without_pause_hides_no_folder_beside_it(project: Path, watch: FileWatch) -> None:
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        (project / "array.npy").read_bytes()
    for name in ("first.csv", "second.csv"):
        (project / "data" / name).write_text("x")
    assert names(watch.drain(), project) == ({"array.npy"}, {"data/first.csv", "data/second.csv"})


def test_a_queue_that_overflows_loses_no_write_and_says_so(project: Path, watch: FileWatch) -> None:
    time.sleep(0.01)
    with watch._watcher._lock:  # type: ignore[attr-defined]  # as a cell that never lets the reading thread run
        for _ in range(6000):
            (project / "array.npy").read_bytes()
            (project / "rows.feather").read_bytes()
        for number in range(5):
            (project / "data" / f"{number}.txt").write_text("x")
    touched = watch.drain()
    assert names(touched, project)[1] == {f"data/{number}.txt" for number in range(5)}
    assert not touched.complete


def test_a_forked_child_takes_no_events_from_its_parent(project: Path, watch: FileWatch) -> None:
    (project / "array.npy").read_bytes()
    child = os.fork()
    if child == 0:
        os._exit(0 if watch.drain() == Touched() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert names(watch.drain(), project) == ({"array.npy"}, set())


def test_where_the_system_does_not_tell_sizes_and_times_do(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    watch = FileWatch(project, StatWatcher)
    watch.watch(["data/rows.csv", "new.csv"])
    pl.read_csv("data/rows.csv")
    (project / "new.csv").write_text("x")
    (project / "data" / "rows.parquet").write_bytes(b"x")
    assert names(watch.drain(), project) == ({"data/rows.csv"}, {"new.csv", "data/rows.parquet"})
    assert watch.drain() == Touched()


def test_an_input_is_recorded_with_what_tells_a_change(project: Path) -> None:
    path = project / "array.npy"
    status = path.stat()
    stat = (status.st_size, status.st_mtime_ns, status.st_ino)
    assert file_input(path, project) == Input(name="array.npy", kind="file", digest=None, source=str(path), size=status.st_size, stat=stat)
    assert file_input(project / "data", project).kind == "folder"
    assert file_input(project / "gone.csv", project) == Input(
        name="gone.csv", kind="file", digest=None, source=str(project / "gone.csv"), why="it was gone when the cell ended"
    )
