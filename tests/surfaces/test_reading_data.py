"""The data of a project as the sidebar gets it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.sparse as sparse

from jupyter_mlops import config
from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.models.drift.distributions import of_column
from jupyter_mlops.records import ColumnDistribution, Input, ModelVersion, Run, SnapshotView, to_json
from jupyter_mlops.store import registry, snapshots
from jupyter_mlops.store.objects import open_objects
from jupyter_mlops.store.standings import Standing, Standings
from jupyter_mlops.surfaces import commands
from jupyter_mlops.surfaces.routes import host, looking, reading_data, table
from tests.conftest import Kernel

EVIL = "<img src=x onerror=alert(1)>"
TABLE = pd.DataFrame(
    {
        "age": [20, 30, None, 40],
        "town": ["Ribe", "Ribe", EVIL, None],
        "born": pd.to_datetime(["2000-01-01", "1990-01-01", None, "1980-01-01"]),
        "old": [False, False, True, True],
    }
)


@pytest.fixture
def runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs of the project, made by hand: none at first."""
    (project / ".mlops").mkdir(exist_ok=True)
    known: list[Run] = []
    monkeypatch.setattr(commands, "runs", lambda **_: known)
    return known


def kept(value: Any) -> str:
    """The digest of a value that is in the store now."""
    objects = open_objects(config.load())
    taken = snapshots.freeze_file(value, objects) if isinstance(value, Path) else snapshots.freeze(value, objects)
    return taken.digest


def run(name: str, *inputs: Input, started: float = 0.0) -> Run:
    return Run(id=name * 8, own_id=f"own {name}", name=name, status="FINISHED", experiment="p", started=started, inputs=inputs)


def view(value: Any) -> SnapshotView:
    found = reading_data.snapshot(kept(value)[:12])
    json.dumps(to_json(found), allow_nan=False)
    return found


def column(found: SnapshotView, name: str) -> ColumnDistribution:
    return next(item for item in found.distributions if item.column == name)


def test_a_kernel_leaves_its_data_under_the_names_that_it_had(project: Path, kernel: Kernel) -> None:
    for cell in (
        "%load_ext jupyter_mlops",
        "import pandas as pd, jupyter_mlops as mlops\nfrom sklearn.linear_model import LinearRegression",
        "pd.DataFrame({'x': range(9), 'y': range(9)}).to_csv('points.csv', index=False)",
        "table = pd.read_csv('points.csv')\nmodel = LinearRegression().fit(table[['x']], table.y)",
        "mlops.snapshot(table.tail(3), name='tail')",
    ):
        assert not kernel.run(cell).error
    found = {item.name: item for item in reading_data.snapshots().snapshots}
    assert {"points.csv", "table[['x']]", "tail"} <= set(found)
    points = found["points.csv"]
    assert (points.kind, points.source, points.used, points.kept) == ("file", "points.csv", 1, True)
    assert points.uses[0].run == commands.find(None).id
    assert (found["tail"].rows, found["tail"].columns, found["tail"].used) == (3, 2, 0)
    assert column(reading_data.snapshot(points.digest), "y").counts == (1,) * 9


def test_the_newest_is_first_and_pages_follow(project: Path, runs: list[Run]) -> None:
    digests = [kept(pd.DataFrame({f"column {number}": [number]})) for number in range(5)]
    listed = reading_data.snapshots(limit=2, offset=1)
    assert listed.total == 5
    assert [item.digest for item in listed.snapshots] == [digests[3], digests[2]]
    assert listed.snapshots[0].schema == (("column 3", "int64"),)
    assert [item.digest for item in reading_data.snapshots(search="COLUMN 4").snapshots] == [digests[4]]
    assert [item.digest for item in reading_data.snapshots(search=digests[0][:8]).snapshots] == [digests[0]]
    assert reading_data.snapshots(search="nothing is called so").total == 0


def test_a_snapshot_tells_the_runs_that_used_it_and_the_versions_that_came_of_them(project: Path, runs: list[Run]) -> None:
    digest, test = kept(TABLE), kept(TABLE.tail(1))
    item = Input(name=EVIL, kind="frame", digest=digest, source=str(project / "data" / "people.csv"), kept=True)
    runs += [run("b", item, started=2.0), run("a", item, item, started=1.0)]
    state = registry.state_of(config.load())
    standings = Standings(state)
    with state.begin() as connection:
        standings.put(connection, Standing("people"))
        standings.keep(connection, ModelVersion(name="people", version=2, run="b" * 8, test=test))
    listed = {found.digest: found for found in reading_data.snapshots().snapshots}
    assert (listed[digest].name, listed[digest].source, listed[digest].used) == (EVIL, "data/people.csv", 2)
    assert [(use.run_name, use.versions) for use in listed[digest].uses] == [("b", ("people/2",)), ("a", ())]
    assert listed[digest].versions == listed[test].versions == ("people/2",)
    assert listed[test].name == "data of people/2"


def test_what_was_not_kept_is_told_by_its_digest(project: Path, runs: list[Run]) -> None:
    runs.append(run("a", Input(name="huge", kind="frame", digest="ab" * 32, rows=9, columns=2, why="larger than keep"), started=5.0))
    (listed,) = reading_data.snapshots().snapshots
    assert (listed.name, listed.rows, listed.columns, listed.kept, listed.created) == ("huge", 9, 2, False, 5.0)
    found = reading_data.snapshot("ab" * 32)
    assert found.note == "Only its digest was recorded (larger than keep): its values are not here."
    assert (found.head, found.distributions) == ((), ())


def test_files_without_a_name_are_not_listed(project: Path, runs: list[Run]) -> None:
    (project / "executed.ipynb").write_text("{}")
    digest = kept(project / "executed.ipynb")
    assert reading_data.snapshots().total == 0
    assert reading_data.snapshot(digest).snapshot.kind == "file"


def test_a_table_shows_its_first_rows_and_how_its_values_lie(project: Path, runs: list[Run]) -> None:
    found = view(pd.concat([TABLE] * 20, ignore_index=True))
    assert found.labels == ("age", "town", "born", "old")
    assert len(found.head) == 50
    assert found.head[2] == (None, EVIL, None, "True")
    assert found.looked == found.snapshot.rows == 80
    age = column(found, "age")
    assert (age.kind, age.rows, age.missing, age.distinct, age.least, age.mean, age.greatest) == ("number", 80, 20, 3, 20.0, 30.0, 40.0)
    assert (sum(age.counts), len(age.edges)) == (60, len(age.counts) + 1)
    town = column(found, "town")
    assert (town.kind, town.missing, town.top, town.others) == ("category", 20, (("Ribe", 40), (EVIL, 20)), 0)
    born = column(found, "born")
    assert (born.kind, born.missing, born.least) == ("time", 20, pd.Timestamp("1980-01-01").timestamp())
    assert column(found, "old").top == (("false", 40), ("true", 40))


def test_the_labels_of_rows_are_shown_with_them(project: Path, runs: list[Run]) -> None:
    found = view(pd.Series([1.5, 2.5], index=pd.Index(["a", "b"], name="key"), name="value"))
    assert (found.labels, found.head) == (("key", "value"), (("a", "1.5"), ("b", "2.5")))


def test_of_a_long_table_evenly_spread_rows_are_looked_at(project: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "VALUES", 1)
    found = view(pd.DataFrame({"rising": np.arange(200_000)}))
    assert (found.snapshot.rows, found.looked) == (200_000, 64 * (20_000 // 64))
    rising = found.distributions[0]
    assert (rising.rows, rising.least, rising.greatest) == (found.looked, 0, 199_999)
    assert max(rising.counts) < 1.5 * found.looked / len(rising.counts)


def test_an_array_shows_its_rows_and_one_distribution(project: Path, runs: list[Run]) -> None:
    found = view(np.arange(6.0).reshape(3, 2))
    assert found.head == (("0.0", "1.0"), ("2.0", "3.0"), ("4.0", "5.0"))
    assert (found.note, found.distributions[0].rows) == ("Shape: 3 x 2.", 6)
    assert view(np.array(7)).head == (("7",),)
    assert column(view(sparse.csr_matrix([[0, 0], [0, 5]])), "value").counts == (1,)


def test_a_file_is_shown_as_the_table_that_it_holds(project: Path, runs: list[Run]) -> None:
    for name, write in (("people.csv", TABLE.to_csv), ("people.parquet", TABLE.to_parquet)):
        write(project / name, index=False)
        found = view(project / name)
        assert (found.snapshot.rows, found.labels) == (4, tuple(TABLE.columns))
        assert column(found, "age").missing == 1


def test_a_file_that_is_no_table_shows_its_lines(project: Path, runs: list[Run]) -> None:
    (project / "notes.md").write_text(f"# Notes\n{EVIL}\n")
    runs.append(run("a", Input(name="notes.md", kind="file", digest=kept(project / "notes.md"), source="notes.md")))
    assert view(project / "notes.md").head == (("# Notes",), (EVIL,))
    (project / "image").write_bytes(bytes(range(256)))
    assert view(project / "image").note


def test_a_large_file_is_read_from_its_beginning(project: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "FILE_BYTES", 1000)
    pd.DataFrame({"number": range(100_000)}).to_csv(project / "long.csv", index=False)
    runs.append(run("a", Input(name="long.csv", kind="file", digest=kept(project / "long.csv"), source="long.csv")))
    found = view(project / "long.csv")
    assert found.snapshot.rows is None
    assert 0 < found.looked < 100_000
    assert found.note == f"Of the file's beginning: {found.looked:,} rows."


def test_a_folder_shows_its_files(project: Path, runs: list[Run]) -> None:
    (project / "parts").mkdir()
    (project / "parts" / EVIL.replace("/", "")).write_bytes(b"12345")
    assert view(project / "parts").head == ((EVIL.replace("/", ""), "5"),)


def test_two_files_differ_by_the_tables_that_they_hold(project: Path, runs: list[Run]) -> None:
    TABLE.to_csv(project / "a.csv", index=False)
    TABLE.assign(age=TABLE.age + 1).drop(columns="old").to_csv(project / "b.csv", index=False)
    a, b = kept(project / "a.csv"), kept(project / "b.csv")
    found = reading_data.diff(a[:12], b[:12])
    assert (found.a, found.b, found.kind, found.rows) == (a, b, "file", (4, 4))
    changes = {change.column: change.change for change in found.columns}
    assert changes == {"age": "values", "town": "same", "born": "same", "old": "removed"}
    (project / "b.txt").write_text("one line\n")
    assert "bytes" in reading_data.diff(a, kept(project / "b.txt")).detail
    assert reading_data.diff(a, a).identical


@pytest.mark.parametrize("given", ["../../etc/passwd", "zz", "<b>"])
def test_what_is_no_digest_is_told_so(project: Path, runs: list[Run], given: str) -> None:
    with pytest.raises(UsageError, match="is not a digest"):
        reading_data.snapshot(given)


def test_a_digest_that_there_is_not_is_not_found(project: Path, runs: list[Run]) -> None:
    for digest in ("abcdef", "ab" * 32):
        with pytest.raises(NotFound):
            reading_data.snapshot(digest)


@pytest.mark.parametrize(
    ("values", "kind", "counts"),
    [
        ([1, 1, 2, 30], "number", None),
        ([1e308, -1e308], "number", ()),
        ([float("inf"), 1.0, None], "number", None),
        ([], "nothing", ()),
        ([None, None], "nothing", ()),
        ([{"a": 1}, [2]], "category", ()),
        ([pa.scalar(5, pa.time64("us")).as_py()], "time", None),
        ([f"text {number}" for number in range(200)], "text", ()),
    ],
)
def test_any_column_has_a_distribution(values: list[Any], kind: str, counts: tuple[int, ...] | None) -> None:
    found = of_column("name", "type", pd.Series(values, dtype=object))
    assert found.kind == kind
    assert found.rows == len(values)
    assert found.counts == counts if counts is not None else sum(found.counts) >= 1
    json.dumps(to_json(found), allow_nan=False)


@pytest.mark.parametrize("verb", sorted(verb for verb, route in table.READING.items() if not route.required and verb != "audit"))
def test_to_look_into_a_folder_makes_no_project_of_it(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with suppress(NotFound):
        host.called(table.READING[verb], {})
    assert not list(tmp_path.iterdir())
