"""A session hands its records to the operating system, and the next process finds them."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from jupyter_mlops.store import journal
from jupyter_mlops.store.journal import Journal
from tests.delivery_desk import wait_until


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".mlops"


def test_records_come_back_as_they_went(home: Path) -> None:
    written = Journal.create(home, {"pid": 7, "tracking_uri": "sqlite:///x.db"})
    odd = {"kind": "begin", "seq": 1, "source": "x = '🦊\\n\\t'\x00\ud800", "started": float("inf")}
    written.append(odd)
    written.close()
    records, offset = journal.read(written.path)
    assert records[0]["kind"] == "session"
    assert (records[0]["session"], records[0]["pid"], records[0]["tracking_uri"]) == (written.session, 7, "sqlite:///x.db")
    assert records[1] == odd
    assert records[2]["kind"] == "end"
    assert offset == written.path.stat().st_size


def test_reading_goes_on_where_it_stopped(home: Path) -> None:
    written = Journal.create(home, {})
    written.append({"kind": "begin", "seq": 1})
    _, offset = journal.read(written.path)
    written.append({"kind": "begin", "seq": 2})
    assert journal.read(written.path, offset)[0] == [{"kind": "begin", "seq": 2}]
    written.close()


def test_a_session_that_does_nothing_leaves_nothing(home: Path) -> None:
    written = Journal.create(home, {})
    written.close()
    assert not home.exists()


def test_only_the_user_may_look(home: Path) -> None:
    written = Journal.create(home, {})
    written.append({"kind": "begin", "seq": 1})
    modes = {path.name.replace(written.session, "S"): path.stat().st_mode & 0o777 for path in (home, *home.rglob("*"))}
    assert modes == {".mlops": 0o700, "journal": 0o700, "S.jsonl": 0o600, "S.lock": 0o600}
    written.close()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-1], id="the end of the last line is missing"),
        pytest.param(lambda data: data[:-20], id="half of the last line is missing"),
        pytest.param(lambda data: data + b"\x00" * 100, id="zeros follow"),
        pytest.param(lambda data: data + b'{"kind":"run"', id="a line was begun"),
        pytest.param(lambda data: data[:-14] + bytes([data[-14] ^ 1]) + data[-13:], id="a bit of the last line flipped"),
    ],
)
def test_a_damaged_last_line_is_ignored(home: Path, damage: object) -> None:
    written = Journal.create(home, {})
    for seq in range(3):
        written.append({"kind": "begin", "seq": seq, "source": "x"})
    data = written.path.read_bytes()
    written.path.write_bytes(damage(data))  # type: ignore[operator]  # the table holds functions
    seen = [record["seq"] for record in journal.read(written.path)[0] if record["kind"] == "begin"]
    assert seen in ([0, 1], [0, 1, 2])
    assert seen == [0, 1] or damage(data).startswith(data)  # type: ignore[operator]  # likewise
    written.close()


def test_a_journal_lives_as_long_as_its_process(home: Path) -> None:
    code = "import sys, time; from jupyter_mlops.store.journal import Journal; from pathlib import Path\n"
    code += "j = Journal.create(Path(sys.argv[1]), {}); j.append({'kind': 'begin', 'seq': 1}); print(j.path, flush=True); time.sleep(100)"
    process = subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    assert journal.alive(path)
    process.kill()
    wait_until(lambda: not journal.alive(path), 10)
    process.wait()
    assert [record["kind"] for record in journal.read(path)[0]] == ["session", "begin"]


def test_looking_at_a_session_from_its_own_process_does_not_end_it(home: Path) -> None:
    written = Journal.create(home, {})
    written.append({"kind": "begin", "seq": 1})
    assert journal.alive(written.path)
    check = "import sys; from pathlib import Path; from jupyter_mlops.store import journal; print(journal.alive(Path(sys.argv[1])))"
    # User code that reads every file of the project frees the lock; the next record takes it again.
    written.path.with_suffix(".lock").read_bytes()
    written.append({"kind": "begin", "seq": 2})
    assert subprocess.check_output([sys.executable, "-c", check, str(written.path)], text=True).strip() == "True"
    written.close()
    assert not journal.alive(written.path)


def _append_in_child(written: Journal) -> None:
    written.append({"kind": "begin", "seq": 99})
    written.close()


def test_a_forked_child_neither_writes_nor_ends_the_session(home: Path) -> None:
    written = Journal.create(home, {})
    written.append({"kind": "begin", "seq": 1})
    child = multiprocessing.get_context("fork").Process(target=_append_in_child, args=(written,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert [record.get("seq") for record in journal.read(written.path)[0]] == [None, 1]
    assert journal.alive(written.path)
    written.close()


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 1, 40, 200])
def test_a_full_disk_delays_records_and_loses_none(home: Path, monkeypatch: pytest.MonkeyPatch, failure: int, room: int) -> None:
    monkeypatch.setattr(journal, "RETRY_SECONDS", 3600.0)
    written = Journal.create(home, {})
    real, left = os.write, [room]

    def full(descriptor: int, data: bytes) -> int:
        if left[0] == 0:
            raise OSError(failure, os.strerror(failure))
        count = real(descriptor, bytes(data[: left[0]]))
        left[0] -= count
        return count

    monkeypatch.setattr(os, "write", full)
    for seq in range(5):
        written.append({"kind": "begin", "seq": seq})
    assert written.trouble is not None
    assert os.strerror(failure) in written.trouble
    monkeypatch.setattr(os, "write", real)
    written.append({"kind": "begin", "seq": 5})
    assert written.trouble is None
    written.close()
    assert [record.get("seq") for record in journal.read(written.path)[0][1:-1]] == [0, 1, 2, 3, 4, 5]


def test_records_are_written_later_by_themselves(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "RETRY_SECONDS", 0.05)
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file where the folder belongs")
    written = Journal.create(home, {})
    written.append({"kind": "begin", "seq": 1})
    assert written.trouble is not None
    home.unlink()
    wait_until(lambda: written.trouble is None, 10)
    assert [record["kind"] for record in journal.read(written.path)[0]] == ["session", "begin"]
    written.close()


def test_threads_share_a_journal(home: Path) -> None:
    written = Journal.create(home, {})
    threads = [
        threading.Thread(target=lambda n=n: [written.append({"kind": "begin", "seq": n * 1000 + i}) for i in range(200)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written.close()
    seen = [record["seq"] for record in journal.read(written.path)[0] if record["kind"] == "begin"]
    assert sorted(seen) == [n * 1000 + i for n in range(8) for i in range(200)]


def test_the_store_may_be_deleted_under_a_living_session(home: Path) -> None:
    import shutil

    written = Journal.create(home, {})
    written.append({"kind": "begin", "seq": 1})
    shutil.rmtree(home)
    written.append({"kind": "begin", "seq": 2})
    assert [record.get("seq") for record in journal.read(written.path)[0]] == [None, 2]
    assert journal.alive(written.path)
    written.close()


def test_a_line_is_json_a_tab_and_its_checksum(home: Path) -> None:
    line = journal.encode({"kind": "begin", "seq": 1})
    text, _, checksum = line.rstrip(b"\n").partition(b"\t")
    assert json.loads(text) == {"kind": "begin", "seq": 1}
    assert int(checksum, 16) == zlib.crc32(text)
