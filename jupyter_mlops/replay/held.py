"""What a name of the notebook holds at the end of a replay: runs inside its kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def held(argument: Mapping[str, Any]) -> dict[str, Any]:
    """The content that {"name"} holds: {"digest" of data, "number" of a scalar, "pickle": the object of anything else, in {"store"}}."""
    from IPython.core.getipython import get_ipython

    from ..errors import MlopsError
    from ..store import snapshots
    from ..store.objects import ObjectStore
    from ..tracking import models, values

    shell: Any = get_ipython()
    if argument["name"] not in shell.user_ns:
        return {"digest": "", "number": None, "pickle": ""}
    value = shell.user_ns[argument["name"]]
    try:
        digest = snapshots.digest(value) if snapshots.freezable(value) is not None else ""
    except MlopsError:  # an array of figures is no data
        digest = ""
    try:
        packed = "" if digest else ObjectStore(argument["store"]).put(models.pack(value))
    except Exception:  # a value's own code may raise anything while it is pickled
        packed = ""
    return {"digest": digest, "number": values.scalar(value), "pickle": packed}


def agrees(argument: Mapping[str, Any]) -> dict[str, str]:
    """Compare what {"name"} holds with a pickled value, {"reference"} in {"store"}; answers as `model_results.agree` does."""
    import pickle

    from IPython.core.getipython import get_ipython

    from ..store.objects import ObjectStore
    from .model_results import compare_models

    shell: Any = get_ipython()
    value = shell.user_ns[argument["name"]]
    try:
        reference = pickle.loads(ObjectStore(argument["store"]).get(argument["reference"]))
    except Exception as error:  # a value's own code may raise anything
        return {"verdict": "", "why": f"its value in the replay of the whole history cannot be loaded ({type(error).__name__})"}
    kind = type(value)
    if kind is not type(reference) and kind.__module__ == "__main__" and kind.__qualname__ == type(reference).__qualname__:
        # A class of the notebook is another one in each kernel.
        return compare_models(vars(value), vars(reference), None)
    return compare_models(reference, value, None)
