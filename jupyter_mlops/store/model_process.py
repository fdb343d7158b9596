"""The saver's own process: it unpickles models, runs their predictions, and logs them to MLflow, one request after the other.

What a model's code does here (print, raise, hang, crash) reaches nobody: its standard output leads nowhere, and `models.ModelSaver`
watches the time.

Requests and answers are messages on the process's first standard input and output: 8 bytes of length, then pickle in, JSON out.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import struct
import sys
import sysconfig
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ModelRefused
from .flavors import FLAVORS, Choices
from .model_logging import log, quiet_mlflow
from .signatures import signature_of, tidy_example

LENGTH = struct.Struct(">Q")


def main() -> None:
    """Answers requests until standard input ends."""
    requests, answers = _take_pipes()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    quiet_mlflow()
    own_path = list(sys.path)
    own_modules = frozenset(sys.modules)
    while len(length := requests.read(LENGTH.size)) == LENGTH.size:
        request = pickle.loads(requests.read(LENGTH.unpack(length)[0]))
        sys.path[:] = [*request["sys_path"], *(item for item in own_path if item not in request["sys_path"])]
        answer = json.dumps(_answer(request)).encode()
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()
        _forget_project_modules(own_modules)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the saver; from now on standard input is empty, and what models print goes where errors go."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    return requests, answers


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        prepared = _prepare(request)
    except ModelRefused as refusal:
        return {"refused": str(refusal)}
    except BaseException as error:  # the model's own code may raise anything, SystemExit too
        return {"refused": f"its own code fails in another process ({type(error).__name__}: {' '.join(str(error).split())[:300]})"}
    try:
        return {"saved": log(request, *prepared)}
    except ModelRefused as refusal:
        return {"refused": str(refusal)}
    except Exception as error:  # whatever it is, the caller tries again
        return {"failed": f"{type(error).__name__}: {error}"}


def _prepare(request: Mapping[str, Any]) -> tuple[Any, ...]:
    flavor = FLAVORS[request["flavor"]]
    model = _loaded(request["transport"])
    notes: list[str] = []
    rows = tidy_example(request["example"], notes)
    if rows is not None:
        rows = flavor.example(model, rows)
    plan = flavor.plan(model, rows, Choices(tuple(request["trust"]), tuple(request["pickle"])))
    return flavor, model, plan, rows, signature_of(flavor, model, rows, notes), notes


def _loaded(transport: bytes) -> Any:
    try:
        return pickle.loads(transport)
    except (ImportError, AttributeError) as error:
        raise ModelRefused(f"it cannot be loaded outside the notebook ({error}); keep its code in a module that can be imported") from None


def _forget_project_modules(own: frozenset[str]) -> None:
    """The user's own modules change between two models; installed ones do not."""
    installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    for name in set(sys.modules) - own:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and not str(Path(file).resolve()).startswith(installed):
            del sys.modules[name]


if __name__ == "__main__":
    main()
