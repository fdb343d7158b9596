"""Which opens are this very process's: told from those of other programs, native ones too, and said to be unknown where some are lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jupyter_mlops.tracking.files import FileWatch
from jupyter_mlops.tracking.own_opens import OwnOpens


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[FileWatch]:
    """A watch of a folder that knows of own opens, where the system tells."""
    for name in ("mine.txt", "theirs.txt", "both.txt"):
        (tmp_path / name).write_text(name)
    pq.write_table(pa.table({"x": [1]}), tmp_path / "native.parquet")
    found = FileWatch(tmp_path)
    found.know_own()
    found.drain()
    yield found
    found.close()


def told() -> bool:
    """Whether this machine tells at all: containers may forbid it."""
    try:
        OwnOpens().close()
    except OSError:
        return False
    return True


def test_what_another_program_opens_is_not_ones_own(watch: FileWatch, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").read_text()
    (tmp_path / "both.txt").read_text()
    pq.read_table(tmp_path / "native.parquet")
    subprocess.run(["cat", tmp_path / "theirs.txt", tmp_path / "both.txt"], check=True, capture_output=True)
    touched = watch.drain()
    assert {path.name for path in touched.read} == {"mine.txt", "theirs.txt", "both.txt", "native.parquet"}
    assert touched.own == (frozenset(tmp_path / name for name in ("mine.txt", "both.txt", "native.parquet")) if told() else None)


def test_folders_made_later_are_watched_too_and_cells_claim_what_was_theirs(watch: FileWatch, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    watch.drain()
    (tmp_path / "new" / "data.csv").write_text("a")
    watch.drain()
    (tmp_path / "new" / "data.csv").read_text()
    watch.claim(watch.drain())
    (tmp_path / "mine.txt").read_text()
    watch.drain()  # between two cells: no cell's
    assert watch.opened == ({tmp_path / "new" / "data.csv"} if told() else None)


def test_a_folder_that_cannot_be_watched_leaves_nothing_known(tmp_path: Path) -> None:
    if not told():
        with pytest.raises(OSError, match=r"\[Errno"):
            OwnOpens()
        return
    opens = OwnOpens()
    opens.watch(str(tmp_path))
    (tmp_path / "a").touch()
    assert opens.collect() == {f"{tmp_path}/a"}
    opens.watch(str(tmp_path / "missing"))
    assert opens.collect() is None
    opens.close()
