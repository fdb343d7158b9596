"""Registering, promoting, approving, rolling back: what the registry says, what MLflow shows, and what the audit log tells."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from sqlalchemy import text

import jupyter_mlops as mlops
from jupyter_mlops import config
from jupyter_mlops.config import Settings
from jupyter_mlops.errors import Altered, ModelRefused, NotFound, SettingsError, UsageError
from jupyter_mlops.models import settings as model_settings
from jupyter_mlops.models.registry.auditing import problems
from jupyter_mlops.models.registry.finding import Finder
from jupyter_mlops.models.registry.promoting import approve, promote, rollback
from jupyter_mlops.records import ModelVersion, Run
from jupyter_mlops.store import client, registry
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.store.standings import Standing
from jupyter_mlops.surfaces import cli
from tests.conftest import end_workers, forget_tracking_uri
from tests.delivered import store, with_database
from tests.models.registered import frame, logged, registered
from tests.remote_mlflow import RemoteMlflow


def aliases(project: Path, name: str = "flights", uri: str | None = None) -> dict[str, int]:
    """What MLflow's page of the model shows."""
    return {alias: int(version) for alias, version in store(project, uri).get_registered_model(name).aliases.items()}


def told(settings: Settings, name: str = "flights") -> list[tuple[str, str, int | None]]:
    return [(entry.who, entry.what, entry.version) for entry in reversed(Audit(registry.state_of(settings)).entries(name))]


# -- how versions stand


@pytest.mark.parametrize(
    ("line", "challenger", "aliases"),
    [
        ((), None, {}),
        ((), 1, {"challenger": 1}),
        ((1,), None, {"champion": 1}),
        ((1, 2), 3, {"champion": 2, "previous": 1, "challenger": 3}),
    ],
)
def test_aliases_follow_from_the_line_of_champions(line: tuple[int, ...], challenger: int | None, aliases: dict[str, int]) -> None:
    assert Standing("m", line=line).with_challenger(challenger).aliases == aliases


def test_the_way_back_goes_along_the_line_of_champions() -> None:
    standing = Standing("m")
    for version in (1, 2, 3):
        standing = standing.with_champion(version)
    standing = standing.rolled_back()
    assert (standing.champion, standing.aliases) == (2, {"champion": 2, "previous": 1})
    standing = standing.with_challenger(4).with_champion(4)
    assert standing.aliases == {"champion": 4, "previous": 2}
    standing = standing.rolled_back().rolled_back()
    assert standing.aliases == {"champion": 1}
    with pytest.raises(UsageError, match="m has no champion before version 1"):
        standing.rolled_back()


@pytest.mark.parametrize(
    ("ref", "parts"),
    [
        ("flights", ("flights", None, None)), ("flights/3", ("flights", 3, None)), ("flights@champion", ("flights", None, "champion")),
        ("models:/flights/12", ("flights", 12, None)), ("models:/a b@x", ("a b", None, "x")),
    ],
)  # fmt: skip
def test_a_model_is_named_in_mlflows_way(ref: str, parts: tuple[Any, ...]) -> None:
    assert registry.parse(ref) == parts


@pytest.mark.parametrize("ref", ["", "/3", "flights/x", "a/b/c", "flights@", "@champion"])
def test_what_names_no_model_says_so(ref: str) -> None:
    with pytest.raises(UsageError, match="names no model: write NAME, NAME@champion or NAME/3"):
        registry.parse(ref)


# -- settings


def test_the_settings_of_a_model_are_read_and_misspelt_ones_refused(project: Path) -> None:
    lines = ("approvals = 1", 'cooldown = "6h"', 'gates = [{metric = "auc", at_least = 0.7}]', 'sensitive = "origin"')
    (project / "pyproject.toml").write_text("\n".join(["[tool.mlops.models.flights]", *lines]))
    found = model_settings.of(config.load(project), "flights")
    assert (found.approvals, found.cooldown, found.sensitive) == (1, 21_600.0, ("origin",))
    assert found.gates == ({"metric": "auc", "at_least": 0.7},)
    assert model_settings.of(config.load(project), "other") == model_settings.ModelSettings(name="other")
    for line in ("approval = 1", 'approvals = "1"', "approvals = -1", "sample = 2", 'cooldown = "soon"', "gates = 3"):
        (project / "pyproject.toml").write_text(f"[tool.mlops.models.flights]\n{line}\n")
        with pytest.raises(SettingsError, match=line.partition(" ")[0]):
            model_settings.of(config.load(project), "flights")


# -- registering


def test_a_run_of_plain_mlflow_is_registered_once_with_all_that_other_machines_need(project: Path) -> None:
    with_database(project)
    settings = config.load(project)
    run = Run.from_json(client.ask(settings, "run", ref=logged(project)))
    data = frame(rows=50, seed=1)
    from jupyter_mlops.models.registry.registering import register

    version = register(settings, run, "flights", test=data, target="late", who="ann")
    assert (version.version, version.by, version.flavor, version.format, version.task) == (1, "ann", "sklearn", "skops", "classification")
    assert [item["name"] for item in version.signature["inputs"]] == ["a", "b"]
    assert mlops.load(version.test).equals(data)
    assert version.reference == ""
    assert any("register it again with --reference DATA" in note for note in version.notes)
    assert register(settings, run, "flights", who="ben") == registry.version(settings, "flights")
    assert told(settings) == [("ann", "registered", 1)]
    again = register(settings, run, "flights", reference=frame(), who="ben")
    assert (again.version, again.by, bool(again.reference), again.test) == (1, "ann", True, version.test)
    tags = store(project).get_model_version("flights", "1").tags
    assert tags["mlops.digest"] == version.digest
    assert tags["mlops.target"] == "late"
    assert tags["mlops.reference"] == again.reference
    # Another machine has the same MLflow, and another shared state.
    elsewhere = Settings(project=project, database=f"sqlite:///{project}/other.db")
    (seen,) = registry.registered(elsewhere, "flights")
    assert (seen.digest, seen.test, seen.target, seen.source, seen.signature) == (
        version.digest, version.test, "late", version.source, version.signature,
    )  # fmt: skip
    assert registry.load(settings, version).predict(data[["a", "b"]]).shape == (50,)


def test_what_a_kill_left_between_mlflow_and_the_shared_state_is_completed(project: Path) -> None:
    with_database(project)
    settings = config.load(project)
    run = logged(project)
    source = registry.of_run(settings, Run.from_json(client.ask(settings, "run", ref=run))).source
    asked = [{"name": "flights", "run": run, "source": source, "tags": {}}] * 4
    with ThreadPoolExecutor() as threads:
        made = list(threads.map(lambda arguments: client.ask(settings, "registry.create", **arguments), asked))
    assert {item["version"] for item in made} == {1}
    assert mlops.register(run, "flights").version == 1
    assert [version.version for version in registry.registered(settings, "flights")] == [1]
    assert [what for _, what, _ in told(settings)] == ["registered"]


def test_data_of_a_tracked_fit_is_found_in_the_run_and_in_the_open_notebook(project: Path, kernel: Any) -> None:
    frame(400).to_csv(project / "flights.csv", index=False)
    kernel.run("%load_ext jupyter_mlops")
    kernel.run("import pandas as pd\nfrom sklearn.linear_model import LogisticRegression\ndf = pd.read_csv('flights.csv')")
    kernel.run("train, test = df.iloc[:300], df.iloc[300:]\nfeatures = ['a', 'b']")
    kernel.run("model = LogisticRegression().fit(train[features], train['late'])\naccuracy = model.score(test[features], test['late'])")
    ran = kernel.run("%mlops register flights --json")
    assert ran.error == "", ran.text
    version = ModelVersion.from_json(json.loads(ran.result["text/plain"]))
    reference, test = mlops.load(version.reference), mlops.load(version.test)
    assert (list(reference.columns), len(reference)) == (["a", "b", "late"], 300)
    assert (list(test.columns), len(test)) == (["a", "b", "origin", "late"], 100)
    assert (version.target, version.task, version.notes) == ("late", "classification", ())
    assert version.by
    shown = kernel.run("%mlops register flights").result
    assert "flights version 1" in shown["text/plain"]
    assert "<table" in shown["text/html"]


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        # The frame that the training rows were taken of is no test data, whatever is called with it.
        (["model.predict(df[['a', 'b']])", "model.score(X_test, y_test)"], "X_test"),
        (["model.score(X_test, y_test); model.predict(new[['a', 'b']])"], "X_test"),
        (["print(model.score(X_test, y_test))\nmodel.predict(new[['a', 'b']])"], "X_test"),
        (["model.predict(new[['a', 'b']])", "model.score(X_test, y_test)"], "new"),
        (["model.score(X_train, y_train)", "model.score(df[['a', 'b']], df['late'])"], ""),
    ],
)
def test_test_data_is_what_was_tried_first_and_not_learned_from(cells: list[str], found: str) -> None:
    df, new = frame(200), frame(150, seed=1)
    train, rest = df.iloc[50:].sample(frac=1, random_state=0), df.iloc[:50]
    names = {"df": df, "new": new} | {
        f"{letter}_{part}": value[columns]
        for part, value in (("train", train), ("test", rest))
        for letter, columns in (("X", ["a", "b"]), ("y", "late"))
    }
    version = ModelVersion(name="m", version=1, signature={"inputs": [{"name": "a"}, {"name": "b"}]})
    events = [SimpleNamespace(source=source, values={}) for source in cells]
    run: Any = SimpleNamespace(inputs=())
    objects: Any = None  # all is in the notebook
    told = Finder(run, version, objects, names, events).test("late", train.reset_index(drop=True))
    if not found:
        assert told.frame is None
        return
    assert told.frame is not None
    assert told.frame["a"].tolist() == names[found]["a"].tolist()
    assert told.target == "late"
    assert len(told.frame["late"]) == len(names[found])


def test_a_pickle_is_refused_with_the_line_that_allows_it(project: Path) -> None:
    with_database(project)
    run = logged(project, serialization_format="cloudpickle")
    with pytest.raises(ModelRefused, match=r'is kept as cloudpickle.*\[tool.mlops\] pickle = \["sklearn"\]'):
        mlops.register(run, "flights")
    (project / "pyproject.toml").write_text('[tool.mlops]\npickle = ["sklearn"]\n')
    version = mlops.register(run, "flights")
    assert (version.format, version.trusted) == ("cloudpickle", ())
    assert registry.load(config.load(project), version).predict(frame()[["a", "b"]]).shape == (200,)


def test_changed_files_are_never_loaded(project: Path) -> None:
    with_database(project)
    (version,) = registered(project)
    settings = config.load(project)
    folder = registry.download(settings, version)
    (folder / "model.skops").write_bytes(b"x")
    assert registry.load(settings, version) is not None  # the copy was damaged: it is fetched again
    where = store(project).get_logged_model(version.source.removeprefix("models:/")).artifact_location
    (Path(where.removeprefix("file://")) / "MLmodel").write_text("flavors: {sklearn: {pickled_model: model.skops}}")
    (folder / "model.skops").write_bytes(b"x")
    with pytest.raises(Altered, match=r"Version 1 of flights .* was altered after it was recorded, so it is not used"):
        registry.load(settings, version)


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a@b", " a"])
def test_names_that_mlflow_does_not_take_are_refused(project: Path, name: str) -> None:
    from jupyter_mlops.models.registry.registering import register

    with pytest.raises(UsageError, match="cannot be the name of a model"):
        register(config.load(project), Run(id="0" * 32, name="x", status="FINISHED", experiment="x", started=0.0), name, who="ann")


# -- promoting


def test_promotions_and_rollbacks_show_in_mlflow_and_in_the_log(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_database(project)
    settings = config.load(project)
    registered(project, count=3)
    with pytest.raises(UsageError, match="flights has no champion, so there is nothing to go back to"):
        rollback(settings, "flights", who="ann")
    for number in (1, 2):
        made = promote(settings, "flights", version=number, who="ann")
        assert (made.verdict, made.version, made.before) == ("promoted", number, number - 1 or None)
    assert promote(settings, "flights", version=2, who="ann").verdict == "unchanged"
    assert promote(settings, "flights", version=3, to="challenger", who="ann").aliases == {"champion": 2, "challenger": 3, "previous": 1}
    assert aliases(project) == {"champion": 2, "challenger": 3, "previous": 1}
    assert promote(settings, "flights", who="ann").aliases == {"champion": 3, "previous": 2}
    mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
    assert mlflow.pyfunc.load_model("models:/flights@champion").predict(frame()[["a", "b"]]).shape == (200,)
    forget_tracking_uri()
    back = rollback(settings, "flights", why="late flights are missed", who="ben")
    assert (back.verdict, back.version, back.before, back.aliases) == ("rolled back", 2, 3, {"champion": 2, "previous": 1})
    assert back.seconds < 1
    assert aliases(project) == {"champion": 2, "previous": 1}
    assert registry.version(settings, "flights").version == 2
    assert told(settings)[-3:] == [("ann", "promoted", 3), ("ann", "promoted", 3), ("ben", "rolled back", 2)]
    assert problems(settings)[0] == ()
    assert cli.run(["audit", "flights"]) == 0
    assert "rolled back" in capsys.readouterr().out
    assert cli.run(["audit", "--verify", "--json"]) == 0
    with pytest.raises(NotFound, match=r"version 9 of the model 'flights'.*3, 2 @champion"):
        registry.version(settings, "flights/9")
    with pytest.raises(UsageError, match="to champion or challenger, not to 'previous': `mlops rollback`"):
        promote(settings, "flights", to="previous", who="ann")


def test_gates_refuse_and_what_is_forced_says_why(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_database(project)
    (project / "pyproject.toml").write_text('[tool.mlops.models.flights]\ngates = [{metric = "accuracy", at_least = 0.999}]\n')
    settings = config.load(project)
    registered(project, test=frame(seed=1), target="late")
    assert cli.run(["promote", "flights"]) == 1
    shown = capsys.readouterr().out
    assert "Refused: version 1 of flights is not made champion" in shown
    assert "accuracy at least 0.999" in shown
    assert registry.champion(settings, "flights") is None
    with pytest.raises(UsageError, match="add --why TEXT"):
        promote(settings, "flights", force=True, who="ann")
    made = promote(settings, "flights", force=True, why="nothing better by Monday", who="ann")
    assert (made.verdict, made.check.verdict) == ("forced", "failed")
    entry = Audit(registry.state_of(settings)).entries("flights", 1)[0]
    assert (entry.what, entry.why, entry.details["check"]["gates"][0]["state"]) == ("forced", "nothing better by Monday", "failed")
    assert aliases(project) == {"champion": 1}


def test_a_second_person_must_approve(project: Path) -> None:
    with_database(project)
    (project / "pyproject.toml").write_text("[tool.mlops.models.flights]\napprovals = 1\n")
    settings = config.load(project)
    registered(project, who="ann")
    refused = promote(settings, "flights", who="ann")
    assert refused.verdict == "refused"
    assert "somebody other than ann must run `mlops approve flights --version 1`" in refused.why
    with pytest.raises(UsageError, match="was registered by ann: somebody else must approve it"):
        approve(settings, "flights", who="ann")
    for _ in range(2):
        assert approve(settings, "flights", why="slices are fine", who="ben").approved == ("ben",)
    assert promote(settings, "flights", who="ben").verdict == "refused", "who promotes does not count"
    assert promote(settings, "flights", force=True, why="now", who="ben").verdict == "refused", "approvals cannot be forced"
    assert promote(settings, "flights", who="ann").verdict == "promoted"
    assert told(settings) == [
        ("ann", "registered", 1), ("ann", "refused", 1), ("ben", "approved", 1), ("ben", "refused", 1), ("ben", "refused", 1),
        ("ann", "promoted", 1),
    ]  # fmt: skip


# -- aliases that others set


def test_an_alias_that_is_set_by_hand_is_set_back_and_told(project: Path) -> None:
    with_database(project)
    settings = config.load(project)
    registered(project, count=2)
    promote(settings, "flights", version=1, who="ann")
    store(project).set_registered_model_alias("flights", "champion", "2")
    assert registry.champion(settings, "flights").version == 1  # type: ignore[union-attr]  # there is one
    (note,) = registry.follow(settings, "flights")
    assert "champion was set to version 2 by hand, past the gates: it is set back" in note
    assert aliases(project) == {"champion": 1}
    store(project).delete_registered_model_alias("flights", "champion")
    registry.registered(settings, "flights")
    assert aliases(project) == {"champion": 1}
    assert told(settings)[-2:] == [("somebody in MLflow", "set back", 2), ("somebody in MLflow", "set back", None)]
    store(project).set_registered_model_alias("flights", "mine", "2")
    assert registry.follow(settings, "flights") == ()
    assert registry.version(settings, "flights@mine").version == 2


def test_what_plain_mlflow_decided_before_is_adopted(project: Path) -> None:
    with_database(project)
    settings = config.load(project)
    run = logged(project, registered_model_name="flights")
    store(project).set_registered_model_alias("flights", "champion", "1")
    assert registry.champion(settings, "flights").aliases == ("champion",)  # type: ignore[union-attr]  # there is one
    with pytest.raises(ModelRefused, match=r"was registered without `mlops register`.*`mlops register RUN flights` with its run"):
        registry.load(settings, registry.version(settings, "flights"))
    version = mlops.register(run, "flights")
    assert (version.version, version.aliases) == (1, ("champion",)), "the version that there was is the one"
    assert registry.load(settings, version) is not None
    registered(project)
    promote(settings, "flights", version=2, who="ann")
    assert rollback(settings, "flights", who="ann").version == 1
    assert [what for _, what, _ in told(settings)] == ["adopted", "registered", "registered", "promoted", "rolled back"]
    assert problems(settings)[0] == ()


def test_another_shared_state_does_not_fight_over_a_model(project: Path) -> None:
    with_database(project)
    settings = config.load(project)
    registered(project, count=2)
    promote(settings, "flights", version=1, who="ann")
    (project / "pyproject.toml").write_text('[tool.mlops]\ndatabase = "sqlite:///other.db"\n')
    end_workers(project)
    other = config.load(project)
    assert registry.champion(other, "flights").version == 1  # type: ignore[union-attr]  # as MLflow says
    with pytest.raises(UsageError, match="decides about flights: set `database`"):
        promote(other, "flights", version=2, who="ben")
    made = promote(other, "flights", version=2, force=True, why="the other machine is gone", who="ben")
    assert made.verdict == "promoted"
    assert aliases(project) == {"champion": 2}


# -- the audit log as a verb


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("""UPDATE registered_models SET aliases = '{"champion": 2}'""", "the aliases of flights (champion 2) are not those that the log"),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", "missing at the end"),
        ("INSERT INTO approvals SELECT name, version, 'eve', 0, '', json_extract(record, '$.digest') FROM model_versions", "by eve"),
        ("UPDATE model_versions SET record = json_set(record, '$.digest', 'e')", "is not the one that it was registered with"),
    ],
)
def test_what_is_changed_behind_the_logs_back_is_found(
    project: Path, capsys: pytest.CaptureFixture[str], change: str, told: str
) -> None:
    with_database(project)
    settings = config.load(project)
    registered(project)
    promote(settings, "flights", who="ann")
    with registry.state_of(settings).begin() as connection:
        connection.execute(text(change))
    capsys.readouterr()
    assert cli.run(["audit", "--verify", "--json"]) == 1
    assert re.search(re.escape(told), capsys.readouterr().out)


# -- the command line, and a remote MLflow


def test_a_rollback_takes_less_than_a_second_and_imports_no_mlflow(project: Path) -> None:
    with_database(project)
    settings = config.load(project)
    registered(project, count=2)
    for number in (1, 2):
        promote(settings, "flights", version=number, who="ann")
    code = "import sys; from jupyter_mlops.surfaces.cli import run; run(['rollback', 'flights']); print('mlflow' in sys.modules)"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    assert "Version 1 of flights is champion again, in place of version 2." in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
    assert seconds < 5, "a second on a quiet machine"
    load = "import sys; from jupyter_mlops import config; from jupyter_mlops.store import registry as r; s = config.load(); "
    load += "r.load(s, r.champion(s, 'flights')); print('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_remote_mlflow_is_registered_in_and_follows(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_database(project)
    server = RemoteMlflow(tmp_path / "server", project / "mlflow.db")
    server.begin()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        settings = config.load(project)
        runs = [logged(project, C=C, uri=server.uri) for C in (1.0, 2.0)]
        versions = [mlops.register(run, "flights", test=frame(seed=1), target="late") for run in runs]
        assert [version.version for version in versions] == [1, 2]
        for number in (1, 2):
            assert promote(settings, "flights", version=number, who="ann").verdict == "promoted"
        assert aliases(project, uri=server.uri) == {"champion": 2, "previous": 1}
        rollback(settings, "flights", who="ann")
        registry.follow(settings, "flights")
        assert aliases(project, uri=server.uri) == {"champion": 1}
        assert registry.load(settings, registry.version(settings, "flights@champion")) is not None
        assert problems(settings)[0] == ()
    finally:
        server.end()
