"""What was kept once is read for ever, and what a newer version kept is refused: with what to do, and without changing it."""

from __future__ import annotations

import json
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from jupyter_mlops.config import Settings
from jupyter_mlops.errors import MlopsError, NewerFormat
from jupyter_mlops.models.exporting import bundle
from jupyter_mlops.models.predictions import reading, segments
from jupyter_mlops.pipelines.definition import loading, notebooks
from jupyter_mlops.pipelines.scheduling.schedule import Schedules
from jupyter_mlops.records import to_json
from jupyter_mlops.store import attachments, formats, journal, live, packs, results, results_file, snapshots
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.store.objects import ObjectStore, own_objects
from jupyter_mlops.store.runs import fold_session
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.store.standings import Standings
from jupyter_mlops.store.state import Ledger, recent
from jupyter_mlops.surfaces import cli
from tests.delivery_desk import Desk
from tests.kept_formats import FOLDER, NAMES, NUMBER

KEPT = sorted(FOLDER.glob("*.zip"), key=lambda path: int(path.stem))


@pytest.fixture
def kept(project: Path) -> Settings:
    """The latest archive, unpacked as a project; tables that no verb had needed yet are added to it."""
    settings = unpacked(KEPT[-1], project)
    with closing(SharedState(settings)) as state:
        state.now()
    return settings


def unpacked(archive: Path, project: Path) -> Settings:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(project)
    return Settings(project=project)


def test_there_is_an_archive_of_todays_formats() -> None:
    assert [path.stem for path in KEPT] == [str(number) for number in range(1, NUMBER + 1)]
    assert sum(path.stat().st_size for path in KEPT) < 400_000 * NUMBER


@pytest.mark.parametrize("archive", KEPT, ids=lambda path: path.stem)
def test_what_was_kept_is_read(archive: Path, project: Path) -> None:
    settings = unpacked(archive, project)
    told = json.loads((project / "told.json").read_text())
    session = {run["session"]: run for run in told["runs"] if run["model"]}
    assert len(session) == 1
    (name, run) = next(iter(session.items()))

    ledger = Ledger(settings.home)
    with closing(ledger):
        delivered = ledger.run(run["own_id"])
    assert delivered is not None
    assert (delivered.metrics, delivered.params) == (run["metrics"], run["params"])
    assert run["own_id"] in {item["own_id"] for item in recent(settings.home)}

    folded = fold_session(journal.read(settings.home / "journal" / f"{name}.jsonl")[0])
    assert {key: value for key, value, _, _ in folded.runs[run["own_id"]].metrics} == run["metrics"]

    recording = attachments.recording_of((project / "history.ipynb").read_bytes())
    assert recording is not None
    assert recording["runs"][0]["metrics"] == run["metrics"]
    assert any("LogisticRegression(C=C)" in event["source"] for event in recording["events"])

    objects = own_objects(settings)
    assert list(objects.verify()) == []
    assert snapshots.load(told["snapshot"]["digest"], objects).to_dict("list") == told["snapshot"]["value"]

    with closing(SharedState(settings)) as state:
        assert [to_json(entry) for entry in Audit(state).entries()] == told["audit"]
        assert Audit(state).verify() == ()
        assert [item.name for item in Schedules(state).all()] == [item["name"] for item in told["schedule"]]
        version = Standings(state).versions("flights")[0]
        assert version.aliases == ("champion",)
        outputs = results.latest_of(state, "counted")[0]["outputs"]
    assert [row["outputs"] for row in results_file.latest_of(settings, "counted") or ()] == [outputs]

    assert reading.counts(settings, "flights") == {1: 40}
    assert reading.read(settings, "flights").column("inputs.b").to_pylist() == told["snapshot"]["value"]["b"]

    pipeline = loading.load(project / "pipeline.yaml")
    assert (pipeline.name, pipeline.params, [step.name for step in pipeline.steps]) == ("counted", {"unit": "lines"}, ["count"])
    step = notebooks.declared(project / "step.ipynb")
    assert step.outputs == ("accuracy",)
    assert any(item.source for item in step.parameters)
    assert bundle.read(project / "exported").digest == version.digest


def ledger(settings: Settings) -> Callable[[], Any]:
    with closing(sqlite3.connect(settings.home / "state.db")) as database:
        database.execute(f"PRAGMA user_version={formats.LEDGER + 1}")
    return lambda: Ledger(settings.home)


def shared(settings: Settings) -> Callable[[], Any]:
    with closing(sqlite3.connect(settings.home / "shared.db")) as database, database:
        database.execute("UPDATE formats SET version = ?", (formats.SHARED + 1,))
    assert results_file.latest_of(settings, "counted") is None
    return lambda: Audit(SharedState(settings)).entries()


def journals(settings: Settings) -> Callable[[], Any]:
    path = journal.journals(settings.home)[0]
    newer_journal(path)
    return lambda: journal.read(path)


def found_in_journals(settings: Settings) -> Callable[[], Any]:
    path = journal.journals(settings.home)[0]
    newer_journal(path)
    return lambda: journal.find(path, [b"run"])


def newer_journal(path: Path) -> None:
    first, rest = path.read_bytes().split(b"\n", 1)
    header = json.loads(first.rpartition(b"\t")[0]) | {"version": formats.JOURNAL + 1}
    path.write_bytes(journal.encode(header) + rest)


def newer_pack(settings: Settings) -> None:
    for path in (settings.home / "objects" / "packs").glob("*.pack"):
        content = path.read_bytes()
        path.write_bytes(content[:-12] + struct.pack("<I", formats.PACK + 1) + content[-8:])


def pack(settings: Settings) -> Callable[[], Any]:
    newer_pack(settings)
    digest = json.loads((settings.project / "told.json").read_text())["snapshot"]["digest"]
    return lambda: snapshots.load(digest, own_objects(settings))


def collected_packs(settings: Settings) -> Callable[[], Any]:
    newer_pack(settings)
    return lambda: own_objects(settings).gc([], grace=-1)


def newer_manifest(settings: Settings) -> tuple[str, ObjectStore]:
    objects = own_objects(settings)
    digest = blake3(b"of tomorrow").hexdigest()
    manifest = json.dumps({"format": formats.SNAPSHOT + 1, "kind": "unheard of"}).encode()
    with objects.writing() as batch:
        batch.append(packs.manifest(bytes.fromhex(digest), manifest))
    return digest, objects


def snapshot(settings: Settings) -> Callable[[], Any]:
    digest, objects = newer_manifest(settings)
    return lambda: snapshots.load(digest, objects)


def collected_snapshots(settings: Settings) -> Callable[[], Any]:
    """What a newer snapshot needs of other packs is not known, so that nothing is collected beside it."""
    digest, objects = newer_manifest(settings)
    own = Ledger(settings.home)
    own.set_file("data.csv", (1, 2, 3), {"digest": digest})
    return lambda: live.needed(settings, own, objects)


def history(settings: Settings) -> Callable[[], Any]:
    path = settings.project / "history.ipynb"
    changed(path, ("metadata", "mlops", "format"), formats.HISTORY + 1)
    return lambda: attachments.recording_of(path.read_bytes())


def step(settings: Settings) -> Callable[[], Any]:
    path = settings.project / "step.ipynb"
    changed(path, ("metadata", "mlops", "step", "format"), formats.STEP + 1)
    return lambda: notebooks.declared(path)


def pipeline(settings: Settings) -> Callable[[], Any]:
    path = settings.project / "pipeline.yaml"
    path.write_text(f"format: {formats.PIPELINE + 1}\nunheard: of\n")
    return lambda: loading.load(path)


def predictions(settings: Settings) -> Callable[[], Any]:
    folder = segments.folder_of(settings, "flights")
    changed(folder / "manifest.json", ("format",), formats.PREDICTIONS + 1)
    return lambda: reading.counts(settings, "flights")


def exported(settings: Settings) -> Callable[[], Any]:
    folder = settings.project / "exported"
    changed(folder / "model.json", ("format",), formats.EXPORTED + 1)
    return lambda: bundle.read(folder)


def changed(path: Path, keys: tuple[str, ...], value: Any) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    place = document
    for key in keys[:-1]:
        place = place[key]
    assert place[keys[-1]] == value - 1
    place[keys[-1]] = value
    path.write_text(json.dumps(document), encoding="utf-8")


NEWER: dict[Callable[[Settings], Callable[[], Any]], str] = {
    ledger: "LEDGER", shared: "SHARED", journals: "JOURNAL", found_in_journals: "JOURNAL", pack: "PACK", collected_packs: "PACK",
    snapshot: "SNAPSHOT", collected_snapshots: "SNAPSHOT", history: "HISTORY", step: "STEP", pipeline: "PIPELINE",
    predictions: "PREDICTIONS", exported: "EXPORTED",
}  # fmt: skip


def test_every_format_is_tried_in_a_newer_version() -> None:
    assert set(NEWER.values()) == set(NAMES)


@pytest.mark.parametrize("newer", NEWER, ids=lambda newer: newer.__name__)
def test_a_newer_version_is_refused_and_left_as_it_is(kept: Settings, newer: Callable[[Settings], Callable[[], Any]]) -> None:
    read = newer(kept)
    before = contents(kept.project)
    with pytest.raises(NewerFormat, match=r"was written by a newer jupyter_mlops .*: upgrade this package \(.*\); it is left as it is\.$"):
        read()
    assert contents(kept.project) == before


def contents(folder: Path) -> dict[str, bytes]:
    # A database that is read has the files of its write-ahead log beside it.
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))}


def test_a_newer_journal_waits_for_its_own_version_and_the_others_are_delivered(project: Path, desk: Desk) -> None:
    unpacked(KEPT[-1], project / "kept")
    for path in journal.journals(project / "kept" / ".mlops"):
        target = project / ".mlops" / "journal" / path.name
        target.write_bytes(path.read_bytes())
        newer_journal(target)
        content = target.read_bytes()
    desk.courier.read()
    assert all("newer jupyter_mlops" in trouble for trouble in desk.courier.troubles)
    assert desk.courier.troubles
    assert desk.courier.delivered(desk.courier.sizes())
    assert target.read_bytes() == content


def test_a_command_says_that_the_store_is_newer(kept: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    ledger(kept)
    assert cli.run(["runs"]) == 2
    err = capsys.readouterr().err
    assert "state.db was written by a newer jupyter_mlops" in err
    assert len(err.splitlines()) == 1


def test_what_has_no_version_was_written_before_there_were_any(kept: Settings) -> None:
    with closing(sqlite3.connect(kept.home / "shared.db")) as database, database:
        database.execute("DROP TABLE formats")
    with closing(SharedState(kept)) as state:
        assert Audit(state).entries()
    formats.check("a file", None, 1)
    with pytest.raises(MlopsError):
        formats.check("a file", 2, 1)
