"""What a card tells of: everything that was captured about a version, and the model itself on its test data where both can be had."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ...config import Settings
from ...errors import MlopsError
from ...records import AuditEntry, Check, ModelVersion, Release, Run, Slice
from ...replay.recording import recorded
from ...replay.slicing import sliced
from ...store import client, registry
from ...store.audit import Audit
from .. import settings as model_settings
from ..exporting import releases
from ..exporting.sessions import cells_of, environment_of
from ..gates import gathering
from ..gates.evidence import Evidence
from ..settings import ModelSettings

_MOST_ENTRIES = 200


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known. `evidence` is None, and `run` and `slice`, where they could not be had; `missing` says why, in sentences. `cells` are
    all of the run's, where there is no slice."""

    version: ModelVersion
    versions: tuple[ModelVersion, ...] = ()
    settings: ModelSettings
    run: Run | None = None
    slice: Slice | None = None
    cells: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None
    entries: tuple[AuditEntry, ...] = ()
    releases: tuple[Release, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def champion(self) -> int | None:
        """The version that serves."""
        return next((item.version for item in self.versions if "champion" in item.aliases), None)

    @property
    def check(self) -> Check | None:
        """What the gates said of this version the last time that they were asked."""
        for entry in self.entries:
            told = entry.details.get("check")
            if entry.version == self.version.version and isinstance(told, Mapping):
                return Check.from_json(told)
        return None


def gathered(settings: Settings, ref: str) -> Facts:
    """All that can be had of the version that `ref` names. Raises NotFound and UsageError only for a `ref` that names none."""
    version = registry.version(settings, ref)
    missing: list[str] = []
    run = _of_run(settings, version, missing)
    environment: Mapping[str, Any] = {}
    code: Slice | None = None
    cells: tuple[str, ...] = ()
    if run is not None:
        environment = environment_of(settings, run)
        try:
            code = sliced(recorded(run.own_id or run.id, settings))
        except MlopsError as error:
            cells = cells_of(settings, run)
            if not cells:
                missing.append(f"The code behind it: {error}")
    try:
        evidence: Evidence | None = gathering.of_version(settings, f"{version.name}/{version.version}", champion=False)
    except MlopsError as error:
        evidence = None
        missing.append(f"What the model does with its test data: {error}")
    audit = Audit(registry.state_of(settings))
    return Facts(
        version=version,
        versions=registry.registered(settings, version.name),
        settings=model_settings.of(settings, version.name),
        run=run,
        slice=code,
        cells=cells,
        environment=environment,
        evidence=evidence,
        entries=audit.entries(version.name, _MOST_ENTRIES),
        releases=releases.of_version(settings, version),
        missing=tuple(missing),
    )


def _of_run(settings: Settings, version: ModelVersion, missing: list[str]) -> Run | None:
    with suppress(MlopsError):
        if version.run:
            return Run.from_json(client.ask(settings, "run", ref=version.run))
    missing.append("The run that made it: MLflow does not have it any more." if version.run else "The run that made it is not known.")
    return None
