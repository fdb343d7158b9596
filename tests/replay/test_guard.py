"""What the guard refuses and lets pass, tried in a process of its own: a hook cannot be taken away again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REFUSED, DONE = "refused", "done"

CASES = [
    ("open('inside.txt', 'w').close()", DONE),
    ("open(OUTSIDE + '/data.txt').read()", DONE),
    ("open('/dev/null', 'w').close()", DONE),
    ("open(OUTSIDE + '/new.txt', 'w').close()", REFUSED),
    ("open(OUTSIDE + '/data.txt', 'r+').close()", REFUSED),
    ("os.open(OUTSIDE + '/data.txt', os.O_RDWR)", REFUSED),
    ("os.remove(OUTSIDE + '/data.txt')", REFUSED),
    ("os.rename('mine.txt', OUTSIDE + '/mine.txt')", REFUSED),
    ("os.rename(OUTSIDE + '/data.txt', 'stolen.txt')", REFUSED),
    ("os.mkdir(OUTSIDE + '/folder')", REFUSED),
    ("os.makedirs(OUTSIDE, exist_ok=True)", DONE),
    ("os.remove('data.txt', dir_fd=os.open(OUTSIDE, os.O_RDONLY))", REFUSED),
    ("shutil.rmtree(OUTSIDE)", REFUSED),
    ("os.symlink(OUTSIDE, 'link'); open('link/data.txt', 'w').close()", REFUSED),
    ("os.symlink(OUTSIDE + '/data.txt', 'one'); os.remove('one')", REFUSED),
    ("sqlite3.connect('mine.db').close(); sqlite3.connect(':memory:').close()", DONE),
    ("sqlite3.connect(OUTSIDE + '/base.db')", REFUSED),
    ("subprocess.run(['true'])", REFUSED),
    ("os.system('true')", REFUSED),
    ("os.posix_spawn('/bin/true', ['true'], {})", REFUSED),
    ("subprocess.run([sys.executable, '-c', 'print(1)'])", REFUSED),
    ("platform.processor()", DONE),
    ("multiprocessing.get_context('spawn').Pool(1).map(abs, [-1])", DONE),
    ("multiprocessing.Pool(1).map(abs, [-1])", DONE),
    ("socket.create_connection(('192.0.2.1', 80), timeout=1)", REFUSED),
    ("socket.getaddrinfo('nowhere.invalid', 80)", REFUSED),
    ("socket.create_connection(('127.0.0.1', 9), timeout=1)", REFUSED),
    ("s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()).close()", DONE),
    ("a, b = socket.socketpair(); a.send(b'x'); b.recv(1)", DONE),
    ("os.kill(os.getppid(), 0)", REFUSED),
    ("os.kill(os.getpid(), 0)", DONE),
    ("open(OUTSIDE + '/barred.txt').read()", REFUSED),
    ("ctypes.util.find_library('c'); tempfile.mkdtemp()", DONE),
]

WORKERS = [
    ("list(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')).map(write, [OUTSIDE + '/by_worker']))", REFUSED),
    ("Parallel(n_jobs=2)(delayed(write)(OUTSIDE + f'/by_worker{n}') for n in range(2))", REFUSED),
    ("Parallel(n_jobs=2)(delayed(write)(ROOT + f'/by_worker{n}') for n in range(2))", DONE),
]

PROGRAM = """
import ctypes.util, multiprocessing, os, platform, shutil, socket, sqlite3, subprocess, sys, tempfile
from concurrent.futures import ProcessPoolExecutor
from joblib import Parallel, delayed
from jupyter_mlops.replay.guard import Guard, Refused
def write(path):
    open(path, "w").close()
ROOT, OUTSIDE = sys.argv[1:]
os.chdir(ROOT)
tempfile.tempdir = ROOT
if __name__ == "__main__":
    guard = Guard(ROOT)
    guard.barred = {OUTSIDE + "/barred.txt": "it changed"}
    guard.follow(ROOT + "/guard")
    guard.install()
    for code in CASES:
        try:
            exec(code)
            print("done")
        except PermissionError as error:
            assert "A replay" in str(error) or "it changed" in str(error), error
            print("refused")
"""


def test_the_guard(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    for path in (root / "mine.txt", outside / "data.txt", outside / "barred.txt"):
        path.write_text("x")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("CASES", repr([code for code, _ in (*CASES, *WORKERS)])))
    done = subprocess.run([sys.executable, str(program), str(root), str(outside)], capture_output=True, text=True, timeout=120)
    outcomes = done.stdout.split()
    assert done.stderr == ""
    cases = [*CASES, *WORKERS]
    assert [(code, outcome) for (code, _), outcome in zip(cases, outcomes, strict=True)] == cases
    assert sorted(path.name for path in outside.iterdir()) == ["barred.txt", "data.txt"]


@pytest.mark.parametrize("event", ["import", "compile", "object.__getattr__", "builtins.id"])
def test_what_is_of_no_concern_ends_at_once(event: str) -> None:
    from jupyter_mlops.replay.guard import Guard

    hooks: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "addaudithook", hooks.append)
        Guard("/nowhere").install()
    assert hooks[0](event, (1, 2, 3)) is None  # type: ignore[operator]
