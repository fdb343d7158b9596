"""Logging a prepared model to its run through MLflow's own flavors, once, and without touching the run's status."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions, version
from typing import Any

from ..errors import ModelRefused
from .flavors import Flavor, Plan

TRANSPORT_TAG = "mlops.transport"
_NAME_CHARACTERS = str.maketrans(dict.fromkeys("/:.%\"'", "_"))
_LONGEST_NAME = 200
_STORE_LIBRARIES = ("sqlalchemy.", "sqlite3", "requests.", "urllib3.", "boto", "google.", "azure.")


def quiet_mlflow() -> None:
    """Keeps MLflow from writing progress bars and from calling home."""
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    }
    import mlflow  # noqa: F401  the slow import happens before the first request


def log(request: Mapping[str, Any], flavor: Flavor, model: Any, plan: Plan, rows: Any, signature: Any, notes: list[str]) -> dict[str, Any]:
    """Logs the model, unless an earlier try did; what `models.SavedModel` tells of it.

    The run is named by its id and never opened, so that a finished one keeps its status and its end. Raises `ModelRefused` when
    the store works and the model does not, and whatever the store raises otherwise.
    """
    import mlflow
    from mlflow import MlflowClient

    mlflow.set_tracking_uri(request["tracking_uri"])
    client = MlflowClient()
    run = client.get_run(request["run_id"])
    saved = _earlier(client, run, request["transport_digest"])
    if saved is None:
        # Created here, as `log_model` would put it into the process's experiment rather than the run's.
        logged = client.create_logged_model(
            experiment_id=run.info.experiment_id,
            name=request["name"].translate(_NAME_CHARACTERS)[:_LONGEST_NAME] or "model",
            source_run_id=run.info.run_id,
            tags={TRANSPORT_TAG: request["transport_digest"], "mlops.class": request["class"], "mlops.format": plan.format},
            params=run.data.params,
        )
        try:
            importlib.import_module(f"mlflow.{flavor.module}").log_model(
                **{flavor.argument: model},
                **plan.arguments,
                run_id=run.info.run_id,
                model_id=logged.model_id,
                name=logged.name,
                signature=signature or False,
                input_example=rows,
                pip_requirements=_requirements(request["requirements"], plan, model),
            )
        except Exception as error:
            client.delete_logged_model(logged.model_id)
            if _is_of_the_store(error):
                raise
            raise ModelRefused(f"MLflow cannot save it: {' '.join(str(error).split())[:500]}") from None
        saved = client.get_logged_model(logged.model_id)
    return {
        "uri": saved.model_uri,
        "flavor": flavor.module,
        "size": _size(saved.artifact_location),
        "format": plan.format,
        "trusted": list(plan.trusted),
        "signature": signature is not None,
        "notes": notes,
    }


def _earlier(client: Any, run: Any, digest: str) -> Any:
    """The model that an earlier try logged completely; what another one left incomplete is removed."""
    found = client.search_logged_models([run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'")
    ready = None
    for item in found:
        if item.tags.get(TRANSPORT_TAG) == digest:
            if item.status == "READY":
                ready = item
            else:
                client.delete_logged_model(item.model_id)
    return ready


def _is_of_the_store(error: BaseException) -> bool:
    """Whether the store failed rather than the model: some error in the chain comes from a database, the network, or the disk."""
    seen: BaseException | None = error
    while seen is not None:
        name = f"{type(seen).__module__}.{type(seen).__name__}"
        if isinstance(seen, OSError) or name.startswith(_STORE_LIBRARIES) or "REQUEST_LIMIT" in str(getattr(seen, "error_code", "")):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _requirements(given: Iterable[str], plan: Plan, model: Any) -> list[str]:
    """The packages of the user's environment, and those that loading the model needs, pinned."""
    named = {re.split(r"[^\w.-]", item, maxsplit=1)[0].lower().replace("_", "-"): item for item in given}
    for item in (*plan.requires, *_pins({name.split(".", 1)[0] for name in (*plan.trusted, type(model).__module__)})):
        named.setdefault(item.split("==")[0].lower().replace("_", "-"), item)
    return sorted(named.values())


def _pins(modules: Iterable[str]) -> list[str]:
    return [f"{package}=={version(package).split('+')[0]}" for name in modules for package in _packages().get(name, [])[:1]]


@cache
def _packages() -> Mapping[str, list[str]]:
    return packages_distributions()


def _size(location: str) -> int:
    from mlflow.models import Model

    try:
        return int(Model.load(location).model_size_bytes or 0)
    except Exception:  # only a figure, and the model is saved
        return 0
