"""Whose reads they are when steps run side by side."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_mlops.pipelines.caching.sightings import own


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("data/mine.csv", "", True),
        ("data/theirs.csv", 'pd.read_csv("data/mine.csv"[:4])', True),
        ("data/theirs.csv", 'pd.read_csv("theirs.csv")', True),
        ("data/theirs.csv", 'sorted(Path("data").glob("*.csv"))', True),
        ("data/theirs.csv", "sorted(Path('data').glob('*.csv'))", True),
        ("data/theirs.csv", 'pd.read_parquet("out/mine.parquet")', False),
        ("data/theirs.csv", "database = 3", False),
        ("data/fresh.csv", 'pd.read_csv("data/fresh.csv")', False),
        ("data/gone.csv", 'pd.read_csv("data/gone.csv")', False),
    ],
)
def test_a_file_that_another_step_declares_is_its_own_unless_the_code_names_it(
    tmp_path: Path, file: str, text: str, expected: bool
) -> None:
    (tmp_path / "data").mkdir()
    for name, when in (("mine", 100.0), ("theirs", 100.0), ("fresh", 300.0)):
        (tmp_path / "data" / f"{name}.csv").touch()
        os.utime(tmp_path / "data" / f"{name}.csv", (when, when))
    path = str(tmp_path / file)
    assert own([path], since=200.0, elsewhere={str(tmp_path / "data" / "theirs.csv")}, text=text) == ([path] if expected else [])
