"""The notebooks that the demo plays: executed by papermill in a process of its own, told heading by heading, ended when they must be."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from ..errors import DemoFailed

TOLD = "JPY_SESSION_NAME"
"""Where JupyterLab tells a kernel which notebook it runs; papermill does not."""
ENDING_SECONDS = 10
_CELL = re.compile(r"Executing Cell (\d+)-")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class Playing:
    """A notebook that is being executed in `folder`; `tell` is given each heading as its cells begin.

    It has a session of its own, so that Ctrl-C reaches only the demo, which ends everything in good order (see `end_all`).
    """

    def __init__(self, name: str, folder: Path, tell: Callable[[str], None]) -> None:
        source = installed(name)
        self.notebook = folder / name
        self._headings = headings(json.loads(source.read_text(encoding="utf-8")))
        self._tell, self._said = tell, ""
        command = [sys.executable, "-m", "papermill", str(source), str(self.notebook), "--cwd", str(folder), "--kernel", "python3"]
        self._process = subprocess.Popen(
            [*command, "--no-progress-bar", "--log-output"], cwd=folder, env=os.environ | {TOLD: str(self.notebook)}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def end(self) -> Path:
        """Wait until it is executed, and give the executed notebook. Raises DemoFailed."""
        status = self._process.wait()
        self._listener.join()
        if status:
            raise DemoFailed(str(self.notebook), _error(self.notebook) or self._said or f"papermill ended with status {status}")
        return self.notebook

    def _listen(self, told: IO[str]) -> None:
        last = ""
        for line in told:
            self._said = line.strip() or self._said
            if (cell := _CELL.match(line)) and (heading := self._headings.get(int(cell[1]))) and heading != last:
                last = heading
                self._tell(heading)


def headings(notebook: Mapping[str, Any]) -> dict[int, str]:
    """The heading that stands above each cell, by its number from 1."""
    found: dict[int, str] = {}
    last = ""
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "markdown" and (said := _HEADING.findall("".join(cell["source"]))):
            last = said[-1]
        found[number] = last
    return found


def installed(name: str) -> Path:
    """A file of the tutorials as it was installed; in a development checkout, where it is written."""
    package = Path(__file__).parents[1]
    return next(path for path in (package / "notebooks" / name, package.parent / "notebooks" / name) if path.exists())


def end_all(folder: Path) -> None:
    """End, each by its own id, the processes that this one started, and those of this package that they left behind in `folder`."""
    import psutil

    here = psutil.Process()
    ours = {*here.children(recursive=True), *_left(folder, {here, *here.parents()})}
    for process in ours:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(list(ours), timeout=ENDING_SECONDS)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _left(folder: Path, spared: Iterable[Any]) -> set[Any]:
    """Processes whose parent has ended already: services, workers and trainings that work in the folder."""
    import psutil

    found = set()
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        with contextlib.suppress(psutil.Error):
            about = str(folder) in words or Path(process.cwd()).is_relative_to(folder)
            if about and any("jupyter_mlops" in word for word in words):
                found.add(process)
    return found - set(spared)


def _error(notebook: Path) -> str:
    """What the cell raised that ended it; "" where no cell did."""
    with contextlib.suppress(OSError, ValueError):
        outputs = (output for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] for output in cell.get("outputs", ()))
        return next((f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"), "")
    return ""
