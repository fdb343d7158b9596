"""What a step gets: values as they are, data as the paths of files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from ...errors import NotKept, PipelineError
from ...records import PipelineStep
from ...store.objects import ObjectStore
from ..caching.databases import connection
from . import outputs
from .task import SCALAR
from .workplace import Workplace


def arguments(
    step: PipelineStep,
    digests: Mapping[str, str | None],
    given: Mapping[str, Mapping[str, Any]],
    place: Workplace,
    objects: ObjectStore,
) -> dict[str, Any]:
    """The parameters and inputs of a step by name.

    `given` tells of the outputs of other steps: a JSON scalar is passed as its value, all else as the path of its file. A file is passed
    as its path in the working folder, a URL as it is, a query as the path of its result in Parquet.
    """
    found = dict(step.params)
    gone = []
    for name, declared in step.inputs.items():
        if name in given:
            told = given[name]
            try:
                found[name] = told[SCALAR] if SCALAR in told else str(outputs.materialise(told, place.files, objects))
            except NotKept:
                gone.append(name)
        elif isinstance(declared, Mapping):
            found[name] = str(_queried(declared, digests.get(name), place))
        else:
            path = place.folder / str(declared)
            found[name] = str(path) if "://" not in str(declared) and path.exists() else declared
    if gone:
        raise InputsGone(step, gone)
    return found


class InputsGone(PipelineError):
    """The bytes of outputs that a step takes are no longer in the store; `names` are its inputs."""

    def __init__(self, step: PipelineStep, names: Sequence[str]) -> None:
        told = ", ".join(f"{name} ({step.inputs[name]})" for name in names)
        super().__init__(f"Inputs of {step.name} are no longer in the store: {told}; run the same again, and they are made anew.")
        self.names = tuple(names)


def _queried(query: Mapping[str, Any], digest: str | None, place: Workplace) -> Path:
    """The result of a database query, asked again unless its fingerprint is that of an earlier one."""
    asked = f"{query['query']}\0{query['connection']}\0{digest or os.urandom(16).hex()}"
    target = place.files / f"{blake3(asked.encode()).hexdigest()}.parquet"
    if not target.exists():
        import pandas as pd
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError

        engine = create_engine(connection(str(query["connection"]), place.folder))
        try:
            with engine.connect() as opened:
                asked_for = opened.exec_driver_sql(str(query["query"]))
                table = pd.DataFrame(asked_for.fetchall(), columns=list(asked_for.keys()))
        except SQLAlchemyError as error:
            why = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
            raise PipelineError(f"The query {str(query['query'])[:80]!r} failed: {why}.") from error
        finally:
            engine.dispose()
        target.parent.mkdir(parents=True, exist_ok=True)
        apart = target.with_name(f".{os.urandom(8).hex()}.parquet")
        table.to_parquet(apart)
        apart.replace(target)
    return target
