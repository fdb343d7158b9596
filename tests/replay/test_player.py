"""Histories recorded in a real kernel and played once more: what a user's cells do, in the sandbox."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest

from jupyter_mlops import config
from jupyter_mlops.errors import Corrupt
from jupyter_mlops.records import CellEvent, to_json
from jupyter_mlops.replay import recording as recordings
from jupyter_mlops.replay.player import Options, Played, Player
from jupyter_mlops.replay.process import ReplayFailed
from jupyter_mlops.replay.recording import Recording, with_sources
from jupyter_mlops.store import journal
from jupyter_mlops.store.attachments import Environment
from jupyter_mlops.store.objects import ObjectStore, open_objects
from jupyter_mlops.store.recordings import recording as told_by

from ..conftest import Kernel
from .hand_made import event, recording, run


def record(project: Path, kernel: Kernel, cells: list[str]) -> Recording:
    """Run cells in a tracked kernel and read back what was recorded, without a worker."""
    for cell in ["%load_ext jupyter_mlops", *cells, "%unload_ext jupyter_mlops"]:
        kernel.run(cell)
    objects = open_objects(config.load(project))
    [path] = journal.journals(project / ".mlops")
    told = told_by(journal.read(path)[0], len(cells) + 1, lambda digest: Environment(digest, objects).described)
    return recordings.from_json(to_json(told | {"run": run(experiment="project")}))


def play(recording: Recording, options: Options | None = None) -> Played:
    with Player(recording, open_objects(config.load(recording.project)), options) as player:
        return player.play()


def shown(events: tuple[CellEvent, ...]) -> list[str]:
    """The text that each execution showed."""
    return ["".join(str(output["data"].get("text/plain", "")) for output in event.outputs) for event in events]


def facts(recording: Recording) -> list[tuple[int, str, str, dict[str, str], dict[str, str]]]:
    """What is compared of each execution: its end, its text, the digests of its data and of the files that it wrote."""
    return [
        (event.seq, event.status, text, dict(event.values), {item["name"]: item["digest"] for item in event.files_written})
        for event, text in zip(recording.events, shown(recording.events), strict=True)
    ]


@pytest.fixture
def outside(project: Path) -> Path:
    """A folder beside the project."""
    folder = project.parent / "shared"
    folder.mkdir()
    return folder


def test_an_untidy_unseeded_history_replays_identically(
    project: Path, outside: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data").mkdir()
    (project / "data" / "in.csv").write_text("a,b\n1,2\n3,4\n")
    (project / "helper.py").write_text("def f(x):\n    return x + 1\n")
    (outside / "near.csv").write_text("q\n1\n")
    (outside / "link").symlink_to(project)
    (outside / "far.csv").write_text("q\n1\n2\n")
    with sqlite3.connect(project / "base.sqlite") as database:
        database.execute("create table t(a int)")
        database.execute("insert into t values (1), (2)")
    cells = [
        "import os, random, sqlite3, importlib, pathlib\nimport numpy as np, pandas as pd",
        "rng = np.random.default_rng()\nx = rng.random(3)",
        "other = random.Random()\nprint(random.random(), np.random.rand(), rng.random(), os.getcwd())",
        "print(other.random(), sorted(os.listdir('data')))",
        f"a = pd.read_csv('data/in.csv')\nb = pd.read_csv('../shared/near.csv')\nc = pd.read_csv('{outside}/far.csv')\nprint(len(c))",
        "import helper\nprint(helper.f(1))",
        "pathlib.Path('helper.py').write_text('def f(x):\\n    return x * 100\\n')\nimportlib.reload(helper)\nprint(helper.f(3))",
        "connection = sqlite3.connect('base.sqlite')\nq = pd.read_sql('select * from t', connection)\nprint(q.a.sum())",
        "1 / 0",
        "a['c'] = a.a * 2\na.to_csv('out.csv')\nprint(pd.read_csv('out.csv').shape, _, In[2][:6])",
        f"print(len(pd.read_csv('{project}/data/in.csv')), len(pd.read_csv('{outside}/link/data/in.csv')))",
        "%%time\nd = a.copy()",
        "from joblib import Parallel, delayed\nprint(Parallel(n_jobs=2)(delayed(abs)(-i) for i in range(3)))",
    ]
    recorded = record(project, kernel, cells)
    profile = outside / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    # Each kernel of this user tracks by itself, but not the one in which a recording is played.
    (profile / "ipython_config.py").write_text("c.InteractiveShellApp.extensions = ['jupyter_mlops']\n")
    monkeypatch.setenv("IPYTHONDIR", str(profile.parent))
    (outside / "far.csv").write_text("q\n9\n")
    (project / "data" / "in.csv").write_text("a,b\n7,7\n")
    (project / "helper.py").unlink()
    with Player(recorded, open_objects(config.load(project))) as player:
        played = player.play()
        assert player.ask("jupyter_mlops.config:parse_size", "3 MB") == 3_000_000
        with pytest.raises(ReplayFailed, match="write a size"):
            player.ask("jupyter_mlops.config:parse_size", "much")
    assert not Path(played.objects.where).exists()
    assert (played.uncompared, played.notes) == ({}, ())
    timed = 12 + 1  # its text is a time
    assert [fact for fact in facts(played.recording) if fact[0] != timed] == [fact for fact in facts(recorded) if fact[0] != timed]
    assert (outside / "far.csv").read_text() == "q\n9\n"
    assert not (project / "helper.py").exists()


def test_a_player_that_cannot_begin_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    unreadable = recording([event(1, "x = 1", files_read=({"digest": "0" * 64},))])
    with pytest.raises(KeyError):
        Player(unreadable, ObjectStore(tmp_path / "objects"))
    assert list(tmp_path.glob("mlops-replay-*")) == []


def test_what_cannot_be_run_again_is_said_and_the_rest_goes_on(project: Path, kernel: Kernel) -> None:
    cells = [
        "import subprocess, socket\nfrom pathlib import Path\nx = 1",
        "!echo hello > told.txt\nprint(open('told.txt').read())",
        "%pip --version",
        "subprocess.run(['true'])",
        f"Path('{project.parent}/elsewhere.txt').write_text('x')",
        f"open('{project.parent}' + '/' + 'else' + 'where2.txt', 'w').close()",
        "try:\n    socket.create_connection(('nowhere.invalid', 80))\nexcept OSError:\n    print('offline')",
        "password = 'correct horse battery'\nlen(password)",
        "%mlops track",
        "print(x + 1)",
    ]
    recorded = record(project, kernel, cells)
    (project.parent / "elsewhere.txt").unlink()
    (project.parent / "elsewhere2.txt").unlink()
    played = play(recorded)
    assert {seq: why.split(":")[0] for seq, why in played.uncompared.items()} == {
        3: "!echo hello > told.txt is not run",
        5: "A replay starts no other programs",
        9: "the secret password was not recorded",
    }
    assert (played.excused, [*played.served]) == (frozenset(), [4])
    assert played.own == {10}
    texts = dict(zip((event.seq for event in played.recording.events), shown(played.recording.events), strict=True))
    assert (texts[3], texts[8], texts[10], texts[11]) == ("hello\n\n", "offline\n", "", "2\n")
    assert list(project.parent.glob("elsewhere*")) == []


def test_data_of_the_network_comes_from_its_snapshots(project: Path, kernel: Kernel) -> None:
    served = (
        "import http.server, threading, pandas as pd, requests\n"
        "class Hands(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n        self.send_response(200); self.end_headers(); self.wfile.write(b'a,b\\n1,2\\n')\n"
        "    def log_message(self, *_):\n        pass\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), Hands)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "address = f'http://127.0.0.1:{server.server_port}/t.csv'"
    )
    cells = [
        served,
        "df = pd.read_csv(address)\ndf['c'] = df.a * 10\nn = len(df)",
        "r = requests.get(address)",
        "rows = r.text.split()",
        "second = pd.DataFrame({'line': rows})\nprint(second.shape)",
        "print(rows[0])",
        "print(df.c.sum(), n)",
    ]
    recorded = record(project, kernel, cells)
    # Nobody listens any more.
    sources = {event.seq: event.source for event in recorded.events}
    sources[2] = "import pandas as pd, requests\naddress = 'http://127.0.0.1:9/t.csv'"
    played = play(with_sources(recorded, sources))
    values = {event.seq: event.values for event in recorded.events}
    again = {event.seq: event.values for event in played.recording.events}
    assert (again[3], again[6]) == (values[3], values[6])
    assert (sorted(played.served), sorted(played.uncompared)) == ([3, 6], [4, 5, 7])
    assert shown(played.recording.events)[-1] == "10 1\n"


def test_a_changed_seed_or_literal_shows(project: Path, kernel: Kernel) -> None:
    recorded = record(project, kernel, ["import numpy as np\nnp.random.seed(1)", "x = np.random.rand(5)", "y = x * 2"])
    sources = {event.seq: event.source for event in recorded.events}
    played = play(with_sources(recorded, sources | {2: "import numpy as np\nnp.random.seed(2)"}))
    assert [event.values != replayed.values for event, replayed in zip(recorded.events, played.recording.events, strict=True)] == [
        False,
        False,
        True,
        True,
    ]


def test_a_damaged_input_is_refused_with_its_name(project: Path, kernel: Kernel) -> None:
    (project / "in.csv").write_text("a\n" + "\n".join(map(str, range(500))))
    recorded = record(project, kernel, ["import pandas as pd", "df = pd.read_csv('in.csv')"])
    for pack in (project / ".mlops" / "objects" / "packs").iterdir():
        content = bytearray(pack.read_bytes())
        for place in range(8, min(len(content) - 200, 40)):
            content[place] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(content)
    with pytest.raises(Corrupt, match=r"in\.csv"):
        play(recorded)


def test_a_kernel_that_dies_is_told_with_its_cell(project: Path, kernel: Kernel) -> None:
    recorded = record(project, kernel, ["x = 1", "y = 2", "z = 3"])
    sources = {event.seq: event.source for event in recorded.events}
    played = play(with_sources(recorded, sources | {3: "import os\nos._exit(1)"}))
    assert played.uncompared == {3: "the kernel died in it ('import os')", 4: "the kernel had ended before it"}
    assert played.excused == frozenset()
