"""Commits: made once, found while they are true, and claimed by one process at a time, which may die."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_mlops import errors
from jupyter_mlops.config import Settings
from jupyter_mlops.pipelines.caching import contents
from jupyter_mlops.pipelines.caching.commits import NEVER, Commit, Commits
from jupyter_mlops.store import live, snapshots
from jupyter_mlops.store.leases import Lease
from jupyter_mlops.store.objects import open_objects
from jupyter_mlops.store.results import relied_upon
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.store.state import Ledger
from tests.processes import Processes, all_at_once

KEY = "k" * 64
OUTPUTS = {"table": {"kind": "frame", "digest": "d" * 64, "object": "o" * 64, "format": "parquet", "size": 10}}
PARTS = {"params": {"month": 3, "name": "ø\x00"}}
COMMIT = Commit(key=KEY, parts=PARTS, pipeline="flights", step="prepare", outputs=OUTPUTS, run="r", seconds=1.5)

_COMMITS = """
from jupyter_mlops.pipelines.caching import contents
from jupyter_mlops.pipelines.caching.commits import Commit, Commits
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.store.state import Ledger
commits = Commits(SharedState(settings), contents.opened(settings.project, settings.home))
def commit(key, **values):
    return Commit(key=key, parts={}, pipeline="flights", step="prepare", **values)
"""


@pytest.fixture
def commits(state: SharedState, project: Path) -> Commits:
    """Commits of an empty shared state, seen from the empty project."""
    return Commits(state, contents.opened(project, project / ".mlops"))


def claimed(commits: Commits, key: str = KEY, seconds: float = 60.0, made_after: float = 0.0) -> Lease:
    """A claim that is certainly free."""
    lease = commits.claim(key, "me", seconds, made_after)
    assert isinstance(lease, Lease)
    return lease


def test_what_was_committed_is_found_whole(commits: Commits) -> None:
    before = commits.state.now()
    made = commits.add(replace(COMMIT, notebook="n" * 64), claimed(commits))
    assert replace(made, made=0.0, number=0, notebook="") == COMMIT
    assert before <= made.made <= commits.state.now()
    assert [commits.find(KEY), commits.latest("flights", "prepare"), commits.latest_of("flights")] == [made, made, {"prepare": made}]
    assert [commits.find("x"), commits.latest("flights", "train"), commits.latest("other", "prepare")] == [None] * 3
    assert sorted(set(relied_upon(commits.state))) == ["d" * 64, "n" * 64, "o" * 64]


def test_a_claim_gives_the_commit_the_lease_or_nothing_while_another_is_at_work(commits: Commits) -> None:
    lease = claimed(commits)
    assert commits.claim(KEY, "you") is None
    made = commits.add(COMMIT, lease)
    commits.leases.release(lease)
    assert commits.claim(KEY, "you") == made


def test_the_same_work_is_committed_once(commits: Commits) -> None:
    lease = claimed(commits)
    first = commits.add(COMMIT, lease)
    assert commits.add(replace(COMMIT, run="again"), lease) == first


def test_whoever_was_overtaken_commits_nothing(commits: Commits) -> None:
    late = claimed(commits, seconds=0.05)
    time.sleep(0.1)
    lease = claimed(commits)
    with pytest.raises(errors.LeaseLost, match=r"taken over from me"):
        commits.add(replace(COMMIT, run="late"), late)
    assert commits.find(KEY) is None
    made = commits.add(replace(COMMIT, run="in time"), lease)
    assert commits.add(replace(COMMIT, run="late"), late) == made


def test_a_forced_run_does_not_take_what_was_there_but_what_another_forced_run_makes(commits: Commits) -> None:
    lease = claimed(commits)
    commits.add(COMMIT, lease)
    commits.leases.release(lease)
    since = commits.state.now()
    again = claimed(commits, made_after=since)
    assert commits.claim(KEY, "you", made_after=since) is None
    made = commits.add(replace(COMMIT, run="forced"), again)
    commits.leases.release(again)
    assert (commits.claim(KEY, "you", made_after=since), commits.find(KEY)) == (made, made)
    assert isinstance(commits.claim(KEY, "you", made_after=NEVER), Lease)


def test_a_commit_counts_only_while_what_was_observed_is_as_it_was(commits: Commits, project: Path) -> None:
    found = []
    for text in ("one", "two"):
        (project / "notes.txt").write_text(text)
        lease = claimed(commits)
        made = commits.add(replace(COMMIT, run=text, observed=commits.contents.observe(["notes.txt"])), lease)
        commits.leases.release(lease)
        found.append(made.run)
    assert found == ["one", "two"]
    for text, run in {"one": "one", "two": "two"}.items():
        (project / "notes.txt").write_text(text)
        assert commits.find(KEY).run == run  # type: ignore[union-attr]  # a commit that is there
    (project / "notes.txt").write_text("three")
    assert commits.judged(KEY) == (None, "notes.txt")


def test_a_forgotten_commit_is_made_anew(commits: Commits) -> None:
    lease = claimed(commits)
    made = commits.add(COMMIT, lease)
    commits.leases.release(lease)
    commits.forget(made)
    assert commits.find(KEY) is None
    claimed(commits)


def test_many_processes_do_each_step_once(shared_settings: Settings, state: SharedState) -> None:
    code = f"""{_COMMITS}
import time
from jupyter_mlops.store import live, snapshots
from jupyter_mlops.store.leases import Lease
from jupyter_mlops.store.objects import open_objects
from jupyter_mlops.store.results import relied_upon
ready()
for name in "abcdef":
    while True:
        claim = commits.claim(name * 64, str(number), 30)
        if isinstance(claim, Lease):
            tell(name)
            time.sleep(0.03)
            commits.add(commit(claim.name[-64:], run=str(number)), claim)
            commits.leases.release(claim)
            break
        if claim is not None:
            break
        time.sleep(0.005)
"""
    worked = [name for names in all_at_once(code, shared_settings, 5) for name in names]
    assert sorted(worked) == list("abcdef")


def test_a_killed_process_leaves_nothing_that_looks_finished(shared_settings: Settings, commits: Commits) -> None:
    code = f"""{_COMMITS}
import os, signal
lease = commits.claim("k" * 64, "killed", 3600)
ready()
from sqlalchemy import event
from sqlalchemy.engine import Engine
@event.listens_for(Engine, "commit")
def die(connection):
    os.kill(os.getpid(), signal.SIGKILL)
commits.add(commit("k" * 64), lease)
"""
    processes = Processes(code, shared_settings, 1)
    processes.go()
    assert processes.all[0].wait(60) == -9
    assert commits.find(KEY) is None
    made = commits.add(COMMIT, claimed(commits))
    assert commits.find(KEY) == made


def test_what_results_rely_on_is_not_collected(commits: Commits, shared_settings: Settings) -> None:
    objects = open_objects(shared_settings)
    (shared_settings.project / "report.txt").write_text("a report")
    report = snapshots.freeze_file(shared_settings.project / "report.txt", objects)
    notebook = objects.put(b"the executed notebook")
    dropped = objects.put(b"what nothing needs")
    outputs = {"report": {"kind": "file", "digest": report.digest, "object": report.digest, "format": "txt", "size": 8}}
    commits.add(replace(COMMIT, outputs=outputs, notebook=notebook), claimed(commits))
    needed = live.needed(shared_settings, Ledger(shared_settings.home), objects)
    assert (needed >= {notebook, *snapshots.references(report.digest, objects)}, dropped in needed) == (True, False)
