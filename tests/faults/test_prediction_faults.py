"""The log of predictions when its process is killed, its disk is full, and its files are torn."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlops.config import Settings
from jupyter_mlops.models.predictions import log as logging
from jupyter_mlops.models.predictions import reading, sealing, segments, streams
from jupyter_mlops.models.predictions.ids import ids
from jupyter_mlops.models.predictions.log import Log
from jupyter_mlops.store import client
from tests.delivery_desk import wait_until
from tests.faults.counting import Recorder

COUNT = int(os.environ.get("MLOPS_FAULTS", "4"))
ROOT = client.PACKAGE.parent

_SERVICE = """
import os, sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import numpy as np
from jupyter_mlops.config import Settings
from jupyter_mlops.models.predictions import log
from jupyter_mlops.models.predictions.ids import ids
log.FLUSH_SECONDS, log.STREAM_ROWS = 0.05, 500
service = log.Log(Settings(project=Path(sys.argv[1])), "m")
print("ready", flush=True)
total = 0
while True:
    made = ids(10)
    total += service.write({"a": np.arange(10), "b": ["x"] * 10}, np.zeros(10), ids=made, version=1)
    os.write(1, f"{total} {service.counts['written']}\\n".encode())
    time.sleep(0.001)
"""


def test_a_service_killed_at_any_moment_loses_little_and_the_log_says_how_much(project: Path, record_property: Recorder) -> None:
    settings, chance = Settings(project=project), random.Random(1)
    taken = lost = 0
    for _ in range(COUNT):
        processes = [
            subprocess.Popen([sys.executable, "-c", _SERVICE, str(project), str(ROOT)], stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        time.sleep(0.2 + chance.random() * 0.8)
        for process in processes:
            process.send_signal(signal.SIGKILL)
            assert process.stdout is not None
            told = process.stdout.read().splitlines()
            process.wait()
            total, kept = map(int, told[-1].split())
            taken += total
            lost += total - kept
        read = reading.read(settings, "m", columns=["id", "inputs.a"])
        found = read.column("id").to_pylist()
        assert len(set(found)) == len(found)
        counted = sum(item["rows"] for item in reading.losses(settings, "m"))
        # The last request was counted before its line was printed, or the kill came between the two.
        assert taken <= len(found) + counted <= taken + 20 * COUNT
        assert len(found) >= taken - lost
        if chance.random() < 0.5:
            sealing.tidy(settings, "m", grace=0)
            assert reading.read(settings, "m").num_rows == len(found)
            assert sum(item["rows"] for item in reading.losses(settings, "m")) == counted
    sealing.tidy(settings, "m", grace=0)
    folder = segments.folder_of(settings, "m")
    assert {path.suffix for path in folder.iterdir()} <= {".parquet", ".json", ".lock"}
    assert sum(path.suffix == ".lock" for path in folder.iterdir()) == 2
    record_property("faults", 2 * COUNT)


def stream(folder: Path) -> tuple[Path, list[int]]:
    """A stream of three batches, and the bytes after each."""
    folder.mkdir(parents=True)
    made = streams.Writer(folder)
    sizes, batch = [], None
    for number in range(3):
        batch = _batch(number)
        if number == 0:
            written = made.stream(batch.schema)
        written.append(batch)
        sizes.append(written.size)
    made.close(forget=True)
    return written.path, sizes


def _batch(number: int) -> Any:
    from jupyter_mlops.models.predictions.tables import batch_of

    return batch_of([({"a": [1.5, None], "b": ["x", "yz"]}, [number, number], ids(2), 1, "champion", None, None)])


def test_a_stream_cut_at_any_byte_gives_the_batches_before_it(project: Path, record_property: Recorder) -> None:
    path, sizes = stream(project / "log")
    content = path.read_bytes()
    for length in range(len(content)):
        found = streams.whole(content[:length])
        assert len(found) == sum(size <= length for size in sizes), length
    for filling in (b"\0" * 4096, os.urandom(4096)):
        assert len(streams.whole(content + filling)) == 3
    record_property("faults", len(content))


def test_a_full_disk_stops_no_service_and_what_is_lost_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(project=project)
    monkeypatch.setattr(logging, "QUEUE_ROWS", 500)
    monkeypatch.setattr(logging, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(logging, "_RETRY_SECONDS", 0.02)
    service = Log(settings, "m")
    service.write({"a": np.arange(100)}, np.zeros(100), ids=ids(100), version=1)
    assert service.flush()
    room = [10]
    write = os.write

    def full(file: int, content: Any) -> int:
        if len(content) > 40 and len(content) > room[0]:
            if room[0] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            part, room[0] = write(file, bytes(content)[: room[0]]), 0  # a short write first, as a disk does that fills up
            return part
        return write(file, content)

    monkeypatch.setattr(streams.os, "write", full)
    taken = sum(service.write({"a": np.arange(100)}, np.zeros(100), ids=ids(100), version=1) for _ in range(3))
    wait_until(lambda: "No space left on device" in service.trouble, 10)
    assert taken == 300
    assert reading.read(settings, "m").num_rows == 100
    taken += sum(service.write({"a": np.arange(100)}, np.zeros(100), ids=ids(100), version=1) for _ in range(4))
    assert (taken, service.counts["disk"], service.counts["no_room"]) == (500, 200, 0)
    room[0] = 10**9
    assert service.flush()
    assert service.trouble == ""
    service.close()
    assert reading.read(settings, "m").num_rows == 600
    assert [(item["rows"], item["why"]) for item in reading.losses(settings, "m")] == [(200, "the disk had no room for them")]


def test_a_service_starts_and_answers_without_a_disk(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(logging, "_RETRY_SECONDS", 0.02)
    (project / ".mlops").write_text("a file where the store should be")
    service = Log(Settings(project=project), "m", redact=("a",))
    made = ids(2)
    assert service.write({"a": [1, 2]}, [0, 1], ids=made, version=1) == 2
    wait_until(lambda: bool(service.trouble), 10)
    assert "free the disk; they wait in memory" in service.trouble
    (project / ".mlops").unlink()
    assert service.flush()
    service.close()
    assert reading.find(Settings(project=project), made[1]).output == 1


@pytest.mark.parametrize("moment", ["write_parquet", "replace", "unlink"])
def test_a_crash_while_sealing_neither_loses_nor_doubles_a_row(project: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    settings = Settings(project=project)
    folder = segments.folder_of(settings, "m")

    class Crash(BaseException):
        """What no handler of errors catches, as a kill."""

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    made = []
    for _ in range(3):
        writer = streams.Writer(folder)
        batch = _batch(1)
        made += batch.column("id").to_pylist()
        own = writer.stream(batch.schema)
        own.append(batch)
        writer.count(2, 0, 0, 0)
        own.finish()
        writer.close(forget=False)
    with monkeypatch.context() as broken:
        place: Any = {"write_parquet": sealing, "replace": segments, "unlink": Path}[moment]
        broken.setattr(place, moment, crash)
        with pytest.raises(Crash):
            sealing.tidy(settings, "m", grace=0)
        assert sorted(reading.read(settings, "m").column("id").to_pylist()) == sorted(made)
    assert sorted(reading.read(settings, "m").column("id").to_pylist()) == sorted(made)
    sealing.tidy(settings, "m", grace=0)
    assert sorted(reading.read(settings, "m").column("id").to_pylist()) == sorted(made)
    assert reading.losses(settings, "m") == []
    assert not list(folder.glob("*.arrows"))
