"""The verb `serve`: from its words to a service, which says where it answers and what becomes of its versions."""

from __future__ import annotations

import json
import logging
import os
import sys

from .. import config
from ..models.serving.options import TOKEN, Options, canary_of
from ..models.serving.server import Service
from ..models.serving.server import serve as served
from .arguments import FORM


def serve(
    model: str, *, host: str, port: int, token: str | None, workers: int, shadow: str | None, canary: str | None, log_sample: float | None
) -> None:
    """Serve a model until Ctrl-C or SIGTERM."""
    options = Options(
        host=host,
        port=port,
        token=token or os.environ.get(TOKEN) or None,
        workers=workers,
        shadow=shadow,
        canary=canary_of(canary) if canary else None,
        sample=log_sample,
    )
    # Where else would a service that runs for weeks say what became of its versions?
    logger = logging.getLogger("jupyter_mlops.models.serving")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        served(config.load(), model, options, _tell)
    finally:
        logger.removeHandler(handler)


def _tell(service: Service) -> None:
    """Say that the service answers, and where."""
    if FORM.get() == "--json":
        told = {"name": service.name, "version": service.version, "url": service.url, "workers": service.workers}
        print(json.dumps(told), flush=True)
        return
    many = f" with {service.workers} processes" if service.workers > 1 else ""
    print(f"{service.name}, version {service.version}, answers at {service.url}{many}; {service.url}/docs says how to ask.")
    print("Ctrl-C ends it.", flush=True)
