"""What `doctor` examines, one small check after another; each says what is well, or what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..config import Settings
from ..errors import MlopsError
from ..records import Problem
from . import health_installation, health_store

CHECKS: tuple[Callable[[Settings], Iterator[Problem]], ...] = (
    health_installation.packages,
    health_installation.extras,
    health_installation.labextension,
    health_installation.kernels,
    health_installation.port,
    health_store.project,
    health_store.disk,
    health_store.journals,
    health_store.objects,
    health_store.shared_state,
    health_store.mlflow,
    health_store.worker,
)


def examine(settings: Settings) -> Iterator[Problem]:
    """Every check, in the order in which a remedy may help the next one."""
    for check in CHECKS:
        name = check.__name__.strip("_").replace("_", " ")
        try:
            yield from check(settings)
        except MlopsError as error:
            yield Problem(what=f"the {name} could not be checked", remedy=str(error))
        except OSError as error:
            remedy = "See to the rights and the disk of this place, then run `mlops doctor` again."
            yield Problem(what=f"the {name}: {error.strerror or error}", where=str(error.filename or ""), remedy=remedy)
