"""Parameters of models as plain JSON values, and which of them differ from the defaults of their class."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from .values import known_type, scalar

MOST_ITEMS = 50
_LONGEST_TEXT = 6_000
_DEEPEST = 5
_NO_DEFAULT = inspect.Parameter.empty


def plain(value: object, depth: int = 0) -> Any:
    """`value` as JSON: numbers, texts and short collections as they are; functions and classes by name; other objects by their class.

    The text of an object is never asked for: it may be long, slow, or name an address that is another one in each process.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value[:_LONGEST_TEXT] if isinstance(value, str) else value
    if (number := scalar(value)) is not None:
        return number
    if depth >= _DEEPEST:
        return type_name(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item, depth + 1) for key, item in list(value.items())[:MOST_ITEMS]}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else list(value[:MOST_ITEMS])
        return [plain(item, depth + 1) for item in items[:MOST_ITEMS]]
    return _described(value, kind, depth)


def _described(value: Any, kind: type, depth: int) -> Any:
    if known_type(value, "numpy", "ndarray"):
        small = value.size <= MOST_ITEMS and value.dtype.kind in "iufbU"
        return value.tolist() if small else f"{value.dtype} array of {' x '.join(map(str, value.shape))}"
    if known_type(value, "numpy", "bool_"):
        return bool(value)
    if isinstance(value, slice):
        return f"{plain(value.start)}:{plain(value.stop)}" + ("" if value.step is None else f":{plain(value.step)}")
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, (FunctionType, BuiltinFunctionType, MethodType)):
        return value.__name__
    if known_type(value, "functools", "partial"):
        return plain(value.func, depth + 1)
    if known_type(value, "numpy", "ufunc"):
        return value.__name__
    if known_type(value, "scipy.stats._distn_infrastructure", "rv_frozen"):
        arguments = [str(plain(item)) for item in value.args] + [f"{name}={plain(item)}" for name, item in value.kwds.items()]
        return f"{value.dist.name}({', '.join(arguments)})"
    return kind.__name__


def type_name(value: object) -> str:
    """The name of the class of `value`, as a reader of the notebook knows it."""
    return type(value).__name__


@lru_cache(maxsize=1_000)
def defaults(kind: type[Any]) -> Mapping[str, Any]:
    """The default of each parameter of a class's constructor; `**kwargs` are taken to reach the constructors of its base classes."""
    found: dict[str, Any] = {}
    for owner in kind.__mro__:
        constructor = vars(owner).get("__init__")
        if not isinstance(constructor, FunctionType):
            continue
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(parameter.name, parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def differing(kind: type, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parameters whose value is not the default of the class; a parameter that the constructor does not name has the default None."""
    known = defaults(kind)
    for name, value in values.items():
        default = known.get(name)
        if default is _NO_DEFAULT or not _same(value, default):
            yield name, value


def _same(value: object, default: object) -> bool:
    if value is default:
        return True
    if type(value) is not type(default) or not isinstance(value, (bool, int, float, str, tuple, list, dict)):
        return False
    if isinstance(value, float) and isinstance(default, float) and math.isnan(value):
        return math.isnan(default)
    if isinstance(value, (list, tuple)) and isinstance(default, (list, tuple)):
        return len(value) == len(default) and all(_same(one, other) for one, other in zip(value, default, strict=True))
    if isinstance(value, dict) and isinstance(default, dict):
        return value.keys() == default.keys() and all(_same(item, default[key]) for key, item in value.items())
    return value == default
