"""Where a run is shown in MLflow's own pages."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from ... import config
from ...store import client


def mlflow_page(run: str) -> dict[str, str]:
    """`path`: where a run is in MLflow's pages; `page`: their address on a tracking server, or "", and `mlops ui` serves them.

    Args:
        run: the run.
    """
    found = client.ask(config.load(), "address", ref=run)
    return {"page": _public(found["uri"]), "path": f"/#/experiments/{found['experiment']}/runs/{found['run']}"}


def _public(uri: str) -> str:
    """A tracking server's address without the name and password that a program gives it."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
