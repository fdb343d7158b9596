"""Objects by content: on a disk, in memory, and on S3."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from blake3 import blake3

from jupyter_mlops.errors import NotKept
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore
from jupyter_mlops.store.places import Remote
from tests import s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, s3_server.s3(patch) as server:
        yield server.url


@pytest.fixture(params=["folder", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    return str(tmp_path / "objects") if request.param == "folder" else f"memory://{tmp_path.name}"


def test_what_was_put_is_got_back_from_another_process_view(url: str) -> None:
    contents = [b"", b"x", b"hello" * 1000, os.urandom(100_000)]
    digests = ObjectStore(url).put_many(contents)
    other = ObjectStore(url)
    assert digests == [blake3(content).hexdigest() for content in contents]
    assert [other.get(digest) for digest in digests] == contents
    assert list(other.get_many(digests[::-1])) == contents[::-1]
    assert (other.has(digests[1]), other.has("00" * 32)) == (True, False)
    assert list(other.verify()) == []


def test_a_snapshot_is_loaded_from_its_digest_alone(url: str) -> None:
    frame = pd.DataFrame({"a": np.arange(30_000.0), "s": ["x", None, "y"] * 10_000})
    digest = snapshots.freeze(frame, ObjectStore(url)).digest
    pd.testing.assert_frame_equal(snapshots.load(digest, ObjectStore(url)), frame)


def test_gc_deletes_what_nothing_refers_to_and_keeps_the_rest(url: str) -> None:
    objects = ObjectStore(url)
    keep, drop = objects.put_many([os.urandom(5000), os.urandom(7000)])
    assert objects.gc([keep]) == (0, 0), "what was written a moment ago may get its reference yet"
    assert objects.gc([keep], grace=-60) == (1, 7000)
    assert (ObjectStore(url).has(keep), ObjectStore(url).has(drop)) == (True, False)
    with pytest.raises(NotKept):
        objects.get(drop)


def test_nothing_is_stored_twice(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    content = os.urandom(10_000)
    assert objects.put(content) == objects.put(content) == ObjectStore(tmp_path).put(content)
    assert len(list((tmp_path / "packs").iterdir())) == 1


def test_many_small_packs_become_one(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    digests = [objects.put(os.urandom(100)) for _ in range(40)]
    objects.gc(digests, grace=-1)
    assert len(list((tmp_path / "packs").iterdir())) == 1
    assert all(map(ObjectStore(tmp_path).has, digests))


def test_a_reader_follows_objects_that_gc_moved(tmp_path: Path) -> None:
    reader, objects = ObjectStore(tmp_path), ObjectStore(tmp_path)
    keep, drop = objects.put_many([b"keep" * 100, b"drop" * 100])
    assert reader.has(keep)
    objects.gc([keep], grace=-1)
    assert reader.get(keep) == b"keep" * 100
    assert not objects.has(drop)


def test_a_reader_of_nothing_creates_nothing(tmp_path: Path) -> None:
    assert not ObjectStore(tmp_path / "objects").has("00" * 32)
    assert list(tmp_path.iterdir()) == []


def test_threads_share_a_store(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    contents = [os.urandom(1000) for _ in range(40)]
    threads = [threading.Thread(target=objects.put, args=(content,)) for content in contents * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [objects.get(blake3(content).hexdigest()) for content in contents] == contents


def test_a_pack_that_another_took_for_stray_before_it_was_locked_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, swept = fcntl.flock, list[int]()

    def lock_late(handle: int, kind: int) -> None:
        if not swept:
            swept.append(0)
            swept[0] = ObjectStore(tmp_path).sweep()
        lock(handle, kind)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    digest = ObjectStore(tmp_path).put(b"x" * 100)
    assert swept == [1]
    assert ObjectStore(tmp_path).get(digest) == b"x" * 100


def test_packs_wait_in_no_folder_that_somebody_else_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    planted, theirs = tmp_path / f"mlops-packs-{os.getuid()}", tmp_path / "theirs"
    theirs.mkdir()

    def waiting() -> Path:
        return Remote("memory://bucket").temporary().parent

    planted.symlink_to(theirs)
    assert waiting() not in (planted, theirs)
    planted.unlink()
    planted.mkdir()
    planted.chmod(0o777)
    assert waiting() != planted
    planted.rmdir()
    place = Remote("memory://bucket")
    assert [waiting(), waiting(), place.temporary().parent, place.temporary().parent] == [planted] * 4
    assert planted.stat().st_mode & 0o777 == 0o700
    assert not list(theirs.iterdir())
