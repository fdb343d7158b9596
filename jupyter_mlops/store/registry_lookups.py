"""Looking things up in MLflow's registry, through its client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient


def registered_model(client: MlflowClient, name: str) -> Any:
    """MLflow's registered model; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
            return None
        raise


def names_of(client: MlflowClient) -> set[str]:
    """The names of all registered models."""
    found: set[str] = set()
    token: str | None = None
    while True:
        page = client.search_registered_models(max_results=1000, page_token=token)
        found |= {item.name for item in page}
        token = page.token
        if not token:
            return found


def versions_of(client: MlflowClient, name: str) -> list[Any]:
    """Every version that MLflow has of a registered model."""
    quote = '"' if "'" in name else "'"
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(f"name={quote}{name}{quote}", max_results=1000, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def logged_model(client: MlflowClient, entity: Any) -> str:
    """MLflow's address of the last model that was logged to a run; "" where there is none."""
    found = client.search_logged_models([entity.info.experiment_id], filter_string=f"source_run_id = '{entity.info.run_id}'")
    ready = [item for item in found if str(item.status) in ("READY", "LoggedModelStatus.READY")]
    if ready:
        return f"models:/{max(ready, key=lambda item: item.creation_timestamp).model_id}"
    # Before version 3, MLflow kept models among the artifacts of a run, and listed them in a tag.
    history = plain(entity.data.tags.get("mlflow.log-model.history"), [])
    return f"runs:/{entity.info.run_id}/{history[-1]['artifact_path']}" if history else ""


def source_of(item: Any) -> str:
    """MLflow's address of the logged model that a version was made of."""
    noted = (item.tags or {}).get("mlops.source")
    return str(noted or (f"models:/{item.model_id}" if getattr(item, "model_id", None) else item.source))


def plain(text: str | None, otherwise: Any = None) -> Any:
    """The JSON in a tag, if it is of the kind of `otherwise` (default: a dict), else that."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        found = None
    default = {} if otherwise is None else otherwise
    return found if isinstance(found, type(default)) else default
