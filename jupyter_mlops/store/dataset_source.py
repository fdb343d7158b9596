"""Our snapshots as sources of MLflow datasets: `mlflow.data.get_source(run.inputs.dataset_inputs[0]).load()` gives the data back."""

from __future__ import annotations

import json
from typing import Any, Self

from mlflow.data.dataset_source import DatasetSource
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.validation import (
    MAX_DATASET_DIGEST_SIZE,
    MAX_DATASET_NAME_SIZE,
    MAX_DATASET_SCHEMA_SIZE,
    MAX_DATASET_SOURCE_SIZE,
    MAX_INPUT_TAG_VALUE_SIZE,
)


class SnapshotSource(DatasetSource):
    """Data frozen by content: its whole digest, and where its bytes are (an fsspec URL; "": the project's own `.mlops/objects`, else the
    artifact store of its MLflow)."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item

    @staticmethod
    def _get_source_type() -> str:
        return "mlops"

    def load(self) -> Any:
        """The value. Raises NotKept when only its digest was recorded, NotFound or Corrupt as `mlops.load` does."""
        from .. import config
        from . import snapshots
        from .objects import ObjectStore, open_objects

        where = self.item.get("objects")
        return snapshots.load(self.item["digest"], ObjectStore(where) if where else open_objects(config.load()))

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return False  # made by delivery only; no text or value names one

    @classmethod
    def _resolve(cls, raw_source: Any) -> Self:
        return cls(dict(raw_source))

    def to_dict(self) -> dict[str, Any]:
        """The JSON that MLflow keeps."""
        return self.item

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> Self:
        """Read back what `to_dict` gave."""
        return cls(source_dict)


def dataset_input(item: dict[str, Any], objects: str) -> DatasetInput:
    """An Input, as JSON, as MLflow's dataset input. MLflow's digest holds 36 characters: the source holds it whole.

    Data without a digest is told apart by its path, size and time.
    """
    from .limits import text  # MLflow loads this module while it is loaded itself, maybe by that one

    digest = item.get("digest")
    source = {key: value for key, value in item.items() if value not in (None, "", [], ())} | {"objects": objects}
    if digest:
        source["load"] = f'mlops.load("{digest}")'
    name = text(item.get("name") or item.get("source") or item.get("kind") or "data")[:MAX_DATASET_NAME_SIZE]
    profile = {key: item[key] for key in ("rows", "columns", "size") if item.get(key) is not None}
    stat = "-".join(str(part) for part in item.get("stat") or ())
    source_json = json.dumps(source)
    return DatasetInput(
        Dataset(
            name=name,
            digest=(digest or f"unread-{stat}")[:MAX_DATASET_DIGEST_SIZE],
            source_type=SnapshotSource._get_source_type(),
            source=source_json if len(source_json) <= MAX_DATASET_SOURCE_SIZE else json.dumps({"digest": digest, "objects": objects}),
            schema=_schema(item),
            profile=json.dumps(profile),
        ),
        [InputTag("mlflow.data.context", str(item.get("context") or "input")[:MAX_INPUT_TAG_VALUE_SIZE])],
    )


def _schema(item: dict[str, Any]) -> str | None:
    columns = item.get("schema")
    if not columns:
        return None
    schema = json.dumps({"mlops": columns})
    return schema if len(schema) <= MAX_DATASET_SCHEMA_SIZE else None
