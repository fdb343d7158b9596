"""A Jupyter server with this package's routes alone: `python -m tests.surfaces.jupyter_process ROOT PORT TOKEN TABLE`.

Before it starts, its live table of handlers goes to the file TABLE: [[pattern, class, [methods]], ...].
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_server.serverapp import ServerApp

METHODS = ("get", "post", "put", "patch", "delete")


def main(root: str, port: str, token: str, table: str) -> None:
    """Serve until SIGTERM."""
    app = ServerApp.instance()
    app.initialize(
        [
            f"--ServerApp.root_dir={root}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
            f"--IdentityProvider.token={token}", "--ServerApp.jpserver_extensions={'jupyter_mlops': True}", "--ServerApp.base_url=/lab/",
            "--no-browser", "--allow-root", "--ServerApp.log_level=WARN",
        ]
    )  # fmt: skip
    Path(table).write_text(json.dumps(list(_rows(app.web_app.default_router.rules))), encoding="utf-8")
    app.start()


def _rows(rules: Any) -> Iterator[tuple[str, str, list[str]]]:
    for rule in rules:
        if hasattr(rule.target, "rules"):
            yield from _rows(rule.target.rules)
        elif hasattr(rule.matcher, "regex"):
            kind = rule.target
            own = [name for name in METHODS if getattr(kind, name, None) is not getattr(kind.__mro__[-2], name, None)]
            yield rule.matcher.regex.pattern, f"{kind.__module__}.{kind.__qualname__}", own


if __name__ == "__main__":
    main(*sys.argv[1:])
