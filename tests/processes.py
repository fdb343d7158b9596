"""Real processes that all do one thing at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from jupyter_mlops.config import Settings

_START = """
import json, os, sys
from pathlib import Path
from jupyter_mlops.config import Settings
settings = Settings(project=Path(sys.argv[1]), database=json.loads(sys.argv[2]))
number = int(sys.argv[3])
def ready():
    print("ready", flush=True)
    sys.stdin.readline()
def tell(value):
    print(json.dumps(value), flush=True)
"""


class Processes:
    """Processes that run `code` with `settings` and their own `number`.

    In the code, `ready()` waits until all are, `tell(value)` reports.
    """

    def __init__(self, code: str, settings: Settings, count: int) -> None:
        words = [sys.executable, "-c", _START + code, str(settings.project), json.dumps(settings.database)]
        self.all = [
            subprocess.Popen(
                [*words, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent
            )
            for number in range(count)
        ]

    def go(self) -> None:
        """Let them all loose, once every one is ready."""
        for process in self.all:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in self.all:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    def told(self, number: int) -> Any:
        """The next thing that a process tells."""
        stdout = self.all[number].stdout
        assert stdout is not None
        return json.loads(stdout.readline())

    def ended(self) -> list[list[Any]]:
        """What each of them told, in order, once they all ended without an error."""
        found = []
        for process in self.all:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0
            found.append([json.loads(line) for line in output.splitlines() if line != "ready"])
        return found


def all_at_once(code: str, settings: Settings, count: int) -> list[list[Any]]:
    """What `count` processes told that ran the code at the same time."""
    processes = Processes(code, settings, count)
    processes.go()
    return processes.ended()
