"""The registry under concurrent promotions and kill -9: one champion at every read, and an audit log that tells of each change."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from jupyter_mlops import config
from jupyter_mlops.config import Settings
from jupyter_mlops.models.registry.auditing import problems
from jupyter_mlops.models.registry.promoting import promote
from jupyter_mlops.store import registry
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.store.standings import Standings
from tests.delivered import store, with_database
from tests.delivery_desk import wait_until
from tests.faults.counting import Recorder
from tests.models.registered import registered

FAULTS = int(os.environ.get("MLOPS_FAULTS", "8"))
VERSIONS = 3
PROGRAM = """
import random, sys
from jupyter_mlops import config
from jupyter_mlops.errors import MlopsError
from jupyter_mlops.models.registry.promoting import promote, rollback
chance, settings = random.Random(int(sys.argv[1])), config.load()
print("begun", flush=True)
while True:
    try:
        if chance.random() < 0.3:
            rollback(settings, "flights", who=sys.argv[1])
        else:
            to = chance.choice(["champion", "champion", "challenger"])
            promote(settings, "flights", version=chance.randint(1, 3), to=to, who=sys.argv[1])
    except MlopsError as error:
        print(error, file=sys.stderr, flush=True)
"""


class Watch(threading.Thread):
    """Reads the champion all the time, here and in MLflow."""

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(daemon=True)
        self._settings, self._client = settings, store(project)
        self.over = threading.Event()
        self.reads, self.wrong = 0, list[str]()

    def run(self) -> None:
        standings = Standings(registry.state_of(self._settings))
        while not self.over.is_set():
            standing = standings.get("flights")
            if standing is None or standing.champion not in (1, 2, 3) or standing.line[-1] != standing.champion:
                self.wrong.append(f"here: {standing}")
            aliases = self._client.get_registered_model("flights").aliases
            if aliases.get("champion") not in ("1", "2", "3", 1, 2, 3):
                self.wrong.append(f"MLflow: {aliases}")
            self.reads += 1
            time.sleep(0.005)


def begin(project: Path, seed: int) -> subprocess.Popen[str]:
    """A process that promotes and rolls back as fast as it can."""
    with (project / "said").open("a") as said:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(seed)], cwd=project, stdout=subprocess.PIPE, stderr=said, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_there_is_one_champion_at_every_read(project: Path, record_property: Recorder) -> None:
    with_database(project)
    settings = config.load(project)
    registered(project, count=VERSIONS)
    promote(settings, "flights", version=1, who="ann")
    chance = random.Random(0)
    watch = Watch(settings, project)
    watch.start()
    runners = [begin(project, seed) for seed in range(2)]
    try:
        for fault in range(FAULTS):
            time.sleep(chance.random() * 0.5)
            if fault % 4 == 3:  # the worker that writes to MLflow
                os.kill(json.loads((project / ".mlops" / "worker.json").read_text())["pid"], signal.SIGKILL)
                wait_until(lambda: registry.follow(settings, "flights") == (), 60)
                continue
            victim = runners.pop(0)
            victim.kill()
            victim.wait()
            runners.append(begin(project, 10 + fault))
    finally:
        for runner in runners:
            runner.kill()
            runner.wait()
        watch.over.set()
        watch.join()
    assert watch.wrong == []
    assert watch.reads > FAULTS

    audit = Audit(registry.state_of(settings))
    assert audit.verify() == ()
    champion = None
    for entry in reversed(audit.entries("flights")):
        if entry.what == "rolled back" or (entry.what == "promoted" and entry.details["to"] == "champion"):
            assert entry.details["from"] == champion, entry
            champion = entry.details["aliases"]["champion"]
        assert entry.what in ("registered", "promoted", "rolled back"), "nothing was taken for set by hand"
    assert audit.head()[0] > VERSIONS + FAULTS

    wait_until(lambda: registry.follow(settings, "flights") == (), 60)
    standing = Standings(registry.state_of(settings)).get("flights")
    assert standing is not None
    assert standing.champion == champion
    assert {alias: int(version) for alias, version in store(project).get_registered_model("flights").aliases.items()} == standing.aliases
    assert problems(settings)[0] == ()
    record_property("faults", FAULTS)
