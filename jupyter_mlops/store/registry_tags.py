"""What MLflow's tags of a version tell, for machines that do not share this project's state."""

from __future__ import annotations

import json

from ..records import ModelVersion, to_json

TEXTS = ("digest", "flavor", "format", "reference", "test", "target", "task", "by", "source", "release")
"""The fields of a version that are texts, each the tag `mlops.FIELD`."""
_LONGEST_SIGNATURE = 50_000


def tags_of(version: ModelVersion) -> dict[str, str]:
    """The tags by which MLflow keeps what is known of a version, for other machines."""
    told = {f"mlops.{field}": str(getattr(version, field)) for field in TEXTS if getattr(version, field)}
    signature = json.dumps(to_json(version.signature))
    lists = {"trusted": version.trusted, "notes": version.notes}
    told |= {f"mlops.{field}": json.dumps(list(items)) for field, items in lists.items() if items}
    return told | {"mlops.size": str(version.size)} | ({"mlops.signature": signature} if len(signature) < _LONGEST_SIGNATURE else {})
