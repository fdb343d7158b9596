"""Runs in the kernel of a step, before its first cell and after its last: the step is one run, and all that it computes belongs to it.

Both are called in a way that leaves no trace in the kernel's history. They never raise: a step is not disturbed by its being recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ... import config
from ...tracking import session as sessions
from ...tracking.files import file_input


def begin(told: str) -> str:
    """Start tracking in this kernel (the notebook need not load the extension) and open the run of the step; its session, or "".

    `told` is a JSON list: the run's name, its id, the id of the run it hangs under (or null), the project, parameters and tags.
    """
    from IPython.core.getipython import get_ipython

    name, run, parent, project, params, tags = json.loads(told)
    try:
        live = sessions.start(get_ipython(), config.load(Path(project)))
        live.files.know_own()
        given = {"parent": parent, "params": params, "tags": tags}
        live.runs.open_named(name, run, **{key: value for key, value in given.items() if value})
        live.deliver()
    except Exception:  # an unwritable project, a broken setting
        return ""
    return live.journal.session


def end(told: str) -> str:
    """Close the run, and give as JSON the session, its runs, and the files and modules that its cells used (see `engine.Executed`).

    `told` is a JSON list: the run's id, its status, and the traceback of what failed.
    """
    run, status, error = json.loads(told)
    live = sessions.current()
    if live is None:
        return "{}"
    found: dict[str, Any] = {"session": live.journal.session}
    try:
        live.runs.close_named(run, status, live.redactor.text(error))
        found |= {"read": _read(live), "own": _own(live), "modules": _modules(live), "runs": list(live.runs.orders)}
        live.deliver()
    except Exception as trouble:  # as above
        live.trouble(trouble)
    return json.dumps(found)


def _read(live: sessions.Session) -> dict[str, str | None]:
    """The files that cells read and had not written themselves by then, by absolute path."""
    read: dict[str, str | None] = {}
    written = set[str]()
    for trace in sorted(live.history.traces.values(), key=lambda trace: trace.execution.seq):
        written |= trace.execution.files_written.keys()
        for name, content in trace.execution.files_read.items():
            if name not in written:
                # What is too large to be read in the kernel is told by its size and time of change.
                read.setdefault(str(live.settings.project / name), None if " " in content else content)
    return read


def _own(live: sessions.Session) -> list[str] | None:
    """Those of the files that this very process opened, named as `_read` names them."""
    opened, project = live.files.opened, live.settings.project
    return None if opened is None else [str(project / file_input(path, project).name) for path in opened]


def _modules(live: sessions.Session) -> dict[str, str]:
    live.collect_modules()
    return {str(live.settings.project / module["path"]): module["digest"] for module in live.modules.known.values()}
