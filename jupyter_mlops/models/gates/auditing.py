"""What gates said of a registered version, in the audit log."""

from __future__ import annotations

from ...config import Settings
from ...records import Check, ModelVersion, to_json


def audited(settings: Settings, version: ModelVersion, check: Check) -> None:
    """Note a check of a version. Raises StoreError."""
    from ...store import registry
    from ...store.audit import Audit, who

    Audit(registry.state_of(settings)).append(
        None, who(), "checked", version.name, version.version, check.verdict, {"check": to_json(check)}
    )
