"""The object store under kill -9, full and failing disks, flipped bits, and gc at the wrong moment."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.errors import Corrupt, DiskFull, MlopsError, StoreError
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore
from tests.faults.counting import Recorder

FAULTS = int(os.environ.get("MLOPS_FAULTS", "25"))
KILLS = FAULTS
FLIPS = 4 * FAULTS
COLLECTIONS = 4 * FAULTS

WRITER = """
import sys
import numpy, pandas
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore
objects = ObjectStore(sys.argv[1])
random = numpy.random.default_rng(int(sys.argv[2]))
while True:
    frame = pandas.DataFrame({"a": random.random(3000), "s": random.integers(0, 9, 3000).astype(str)})
    print(snapshots.freeze(frame, objects).digest, flush=True)
"""


def frame(seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame({"a": generator.random(20_000), "s": generator.integers(0, 99, 20_000).astype(str)})


def test_killed_writers_lose_nothing_and_leave_nothing_behind(tmp_path: Path, record_property: Recorder) -> None:
    """A digest that was printed had been handed to the operating system."""
    promised: list[str] = []
    for kill in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(kill)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        promised.append(process.stdout.readline().strip())
        time.sleep(random.Random(kill).random() * 0.05)
        process.send_signal(signal.SIGKILL)
        promised.extend(line.strip() for line in process.stdout if len(line) == 65)
        process.wait()
    objects = ObjectStore(tmp_path)
    for digest in promised:
        assert snapshots.digest(snapshots.load(digest, objects)) == digest
    assert list(objects.verify()) == []
    objects.sweep()
    assert list((tmp_path / "tmp").iterdir()) == []
    record_property("faults", KILLS)


@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, DiskFull), (errno.EIO, StoreError)], ids=["full", "broken"])
def test_a_disk_that_fails_at_any_write_leaves_earlier_data_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[MlopsError], record_property: Recorder
) -> None:
    objects = ObjectStore(tmp_path)
    monkeypatch.setattr("jupyter_mlops.store.objects._BUFFER", 4 * 1024)
    first = snapshots.freeze(frame(), objects).digest
    write, number, failures = os.write, 0, []
    for failing in range(10_000):
        number = 0

        def fails(handle: int, data: bytes) -> int:
            nonlocal number
            number += 1
            if number > failing:  # noqa: B023 - the function is replaced before the next round
                raise OSError(code, os.strerror(code))
            return write(handle, data)

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fails)
            try:
                second = snapshots.freeze(frame(1), objects).digest
                break
            except error as caught:
                failures.append(str(caught))
        assert list((tmp_path / "tmp").iterdir()) == []
        assert list(ObjectStore(tmp_path).verify()) == []
    assert len(failures) >= 5
    assert all(str(tmp_path) in sentence for sentence in failures)
    assert [snapshots.digest(snapshots.load(digest, ObjectStore(tmp_path))) for digest in (first, second)] == [first, second]
    record_property("faults", len(failures))


def test_every_flipped_bit_is_named_by_verify_and_refused_by_load(tmp_path: Path, record_property: Recorder) -> None:
    digest = snapshots.freeze(frame(), ObjectStore(tmp_path)).digest
    pack = next((tmp_path / "packs").iterdir())
    whole = pack.read_bytes()
    generator = random.Random(1)
    bits = [*range(64), *(len(whole) * 8 - 1 - bit for bit in range(64)), *(generator.randrange(len(whole) * 8) for _ in range(FLIPS))]
    unseen, loaded, sentences = [], [], []
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        pack.write_bytes(damaged)
        if not any(pack.name in problem.where for problem in ObjectStore(tmp_path).verify()):
            unseen.append(bit)
        try:
            snapshots.load(digest, ObjectStore(tmp_path))
            loaded.append(bit)
        except (Corrupt, StoreError) as error:
            sentences.append(f"{error} {error.__cause__}")
    assert unseen == []
    assert all(pack.name in sentence for sentence in sentences)
    assert [bit for bit in loaded if bit >= 64] == [], "only the first 8 bytes of a pack, its magic, are not part of any object"
    record_property("faults", len(bits))


def test_gc_never_deletes_what_is_put_at_the_same_time(tmp_path: Path, record_property: Recorder) -> None:
    """Writers put the same few objects again and again while gc, which knows of none, deletes what is older than the grace period."""
    grace, contents = 0.3, [bytes([number]) * 5000 for number in range(5)]
    stop = threading.Event()
    lost: list[str] = []
    puts = 0

    def write() -> None:
        nonlocal puts
        objects = ObjectStore(tmp_path)
        while not stop.is_set():
            content = random.choice(contents)
            started = time.monotonic()
            digest = objects.put(content)
            readable = ObjectStore(tmp_path).has(digest)
            if not readable and time.monotonic() - started < grace:
                lost.append(digest)
            puts += 1
            time.sleep(random.random() * grace)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    collector = ObjectStore(tmp_path)
    removed = 0
    for _ in range(COLLECTIONS):
        removed += collector.gc([], grace=grace)[0]
        time.sleep(0.02)
    stop.set()
    for writer in writers:
        writer.join()
    assert lost == []
    assert removed > 0
    assert puts > COLLECTIONS / 10
    record_property("faults", COLLECTIONS)
