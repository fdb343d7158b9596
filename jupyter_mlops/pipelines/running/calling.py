"""The child process of a step that is a Python function: `python -m jupyter_mlops.pipelines.running.calling REQUEST`.

The request is a JSON file {"function", "arguments", "names", "objects", "project", "answer"}; what `collecting.collect` says of the
function's outputs is written to the file `answer`, with the files that it read and had not written itself ("read"), and those that this
very process opened ("opened", None where the system does not tell).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...code.paths import mentioned
from ...errors import MlopsError, NotFound
from ...tracking.files import FileWatch
from .collecting import collect

RESULT = "result"


def main(request: Path) -> None:
    """Call the function and keep what it returns."""
    asked = json.loads(request.read_text("utf-8"))
    # As a script in the working folder would find its modules.
    sys.path.insert(0, os.getcwd())
    files = FileWatch(Path(asked["project"]))
    files.know_own()
    function = find(asked["function"])
    files.watch(_mentioned(function, asked["arguments"]))
    value = function(**accepted(function, asked["arguments"]))
    touched = files.drain()
    files.claim(touched)
    told = collect(value if isinstance(value, Mapping) else {RESULT: value}, asked["objects"])
    told["models"] = _models(value if isinstance(value, Mapping) else {RESULT: value}, asked["objects"])
    told["read"] = sorted(map(str, touched.read - (touched.written - touched.overwritten)))
    told["opened"] = None if files.opened is None else sorted(map(str, files.opened))
    answer = Path(asked["answer"])
    answer.with_suffix(".part").write_text(json.dumps(told), "utf-8")
    answer.with_suffix(".part").replace(answer)


def _mentioned(function: Callable[..., Any], arguments: Mapping[str, Any]) -> set[str]:
    """The paths outside the project that may be read: those that the function's module speaks of, and those among its arguments."""
    module = sys.modules.get(getattr(function, "__module__", ""))
    found = {value for value in arguments.values() if isinstance(value, str)}
    with suppress(OSError, TypeError):
        found |= mentioned(inspect.getsource(module) if module is not None else "", vars(module))
    return {path for path in found if os.path.exists(path)}


def _models(outputs: Mapping[Any, Any], objects: str) -> list[dict[str, Any]]:
    """The fitted models among the outputs, as a run's journal has them; none that cannot be packed."""
    from ...store.objects import ObjectStore
    from ...tracking import models, products

    found = []
    for name, value in outputs.items():
        if models.recognise(value) is not None and models.is_fitted(value):
            with suppress(MlopsError):
                found.append(products.pack_model(str(name), value, [], ObjectStore(objects).put))
    return found


def find(name: str) -> Callable[..., Any]:
    """The function that `module:function` or `path.py:function` names."""
    place, _, attribute = name.rpartition(":")
    if place.endswith(".py"):
        path = Path(place).resolve()
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise NotFound("file", place, "A python step names its function as path.py:function, relative to the pipeline's folder.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise NotFound("function", name, "Check the name after the colon.")
    return found  # type: ignore[no-any-return]  # it is callable


def accepted(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, when the function takes them all; else the error names those that it does not."""
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        name = getattr(function, "__name__", "The function")
        raise MlopsError(f"{name}{inspect.signature(function)} cannot be called: {error}.") from None
    except ValueError:
        pass  # written in C, without a signature
    return dict(arguments)


def as_seen_by_its_author(error: Exception) -> Exception:
    """What a function raised, without the frames that led to its code: ours, and those of Python's own import."""
    trace = error.__traceback__
    while trace is not None and _leads(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return error.with_traceback(trace)


def _leads(file: str) -> bool:
    return file in (__file__, importlib.__file__) or file.startswith("<frozen importlib")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except MlopsError as error:
        sys.exit(str(error))
    except Exception as error:
        traceback.print_exception(as_seen_by_its_author(error))
        sys.exit(1)
