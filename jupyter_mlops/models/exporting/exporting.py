"""Exports a model version for a platform: the bundle, and what the platform reads beside it."""

from __future__ import annotations

from pathlib import Path

from ...config import Settings
from ...records import Deployment
from ...store import registry
from . import bundle, docker, kubernetes
from .wheel import NAME as WHEEL

PLATFORMS = ("docker", "kubernetes")


def export(settings: Settings, ref: str, to: str, out: Path | None = None, *, force: bool = False) -> Deployment:
    """Write a folder that serves the version `ref` (NAME, NAME@alias or NAME/3) anywhere; `out` is by default deploy/NAME-VERSION.

    Raises NotFound, UsageError, Altered and ModelRefused.
    """
    version = registry.version(settings, ref)
    image = docker.image_of(version)
    folder = Path(out) if out is not None else settings.project / "deploy" / f"{image.name}-{version.version}"
    texts = docker.texts(version) | (kubernetes.texts(version) if to == "kubernetes" else {})
    files, lock = bundle.write(settings, version, folder, texts, force=force)
    plain = (f"python -m pip install --no-deps -r {bundle.REQUIREMENTS} {WHEEL}", "mlops serve .")
    image_runs = (f"{docker.TOKEN}=... docker compose up --build",)
    return Deployment(
        folder=str(folder), to=to, model=version.name, version=version.version, digest=version.digest, files=tuple(files),
        start=kubernetes.start(version) if to == "kubernetes" else (*image_runs, *plain),
        notes=(*lock.notes, f"{len(lock.lines)} packages are locked; the folder holds this version for good: export again for another."),
    )  # fmt: skip
