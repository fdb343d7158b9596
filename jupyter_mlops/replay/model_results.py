"""Two fitted models compared by what they learned and by what they predict: runs inside the kernel of a replay, where the notebook's own
classes exist.

Equal predictions for five rows do not make two models equal, nor do other bytes make them differ: numbers that were learned decide, and
where something cannot be looked into, the predictions do.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CodeType
from typing import Any

from ..store.model_loading import load_model
from ..store.objects import ObjectStore
from .causes import BY_NAME
from .rewriting import NAME
from .texts import DIFFERENT, IDENTICAL, TOLERANCE, UNCOMPARED, close, compare_texts

_METHODS = ("predict_proba", "decision_function", "predict", "transform", "score_samples")
_DEEPEST, _LONGEST, _BRIEF = 40, 400, 60
_MOST = 200_000
# What is no part of what a model learned: times, object addresses, what was asked of it so far, and memory that nobody filled.
_INCIDENTAL = (
    "_stop_words_id", "refit_time_", "fit_time", "score_time", "mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time",
    "_cache", "_tmp_like_exog",
)  # fmt: skip
_TORCH_SINGLE = 1e-5
# Their scikit-learn classes come back from MLflow without some attributes; the trees within are compared by themselves.
_BOOSTERS = ("xgboost", "lightgbm")


def agree(argument: Mapping[str, Any]) -> dict[str, str]:
    """Compare two pickled models, given by {"store", "recorded", "replayed", "example"}: where the objects are, and their digests; in
    place of "recorded", "folder" and "flavor" name the files of the model in MLflow.

    Answers {"verdict", "why", "recorded", "replayed"}; verdict is "" with a reason when nothing could be told.
    """
    objects = ObjectStore(argument["store"])
    models = []
    for side in ("recorded", "replayed"):
        try:
            kept = side in argument
            models.append(pickle.loads(objects.get(argument[side])) if kept else load_model(argument["folder"], argument["flavor"]))
        except Exception as error:  # a model's own code may raise anything
            return {"verdict": "", "why": f"the {side} model cannot be loaded ({type(error).__name__}: {error})"}
    try:
        example = pickle.loads(objects.get(argument["example"])) if argument.get("example") else None
    except Exception:
        example = None
    return compare_models(models[0], models[1], example)


def compare_models(a: Any, b: Any, example: Any) -> dict[str, str]:
    """Compare two models; `example` are rows to predict, or None."""
    if type(a).__qualname__ != type(b).__qualname__:
        return _answer(DIFFERENT, "another class", type(a).__name__, type(b).__name__)
    learned = list(_limited(_walk(a, b, "", {})))
    apart = next((item for item in learned if item[0] == DIFFERENT), None)
    if apart is not None:
        return _answer(*apart)
    predictions = _predicted(a, b, example)
    if predictions["verdict"] == DIFFERENT:
        return predictions
    unknown = next((item for item in learned if item[0] == ""), None)
    if unknown is not None and not predictions["verdict"]:
        return _answer(*unknown)
    near = next((item for item in learned if item[0] == TOLERANCE), None)
    if near is not None:
        return _answer(*near)
    return predictions if predictions["verdict"] else _answer(IDENTICAL, "", "", "")


def _answer(verdict: str, why: str, recorded: str, replayed: str) -> dict[str, str]:
    return {"verdict": verdict, "why": why, "recorded": recorded[:200], "replayed": replayed[:200]}


Found = tuple[str, str, str, str]
Seen = dict[tuple[int, int], tuple[Any, Any]]
"""The pairs that were looked into, by their ids. The objects are kept, since the id of one that is gone is given to another."""


def _limited(found: Iterator[Found]) -> Iterator[Found]:
    for count, item in enumerate(found):
        if count > _MOST:
            return
        yield item


def _walk(a: Any, b: Any, path: str, seen: Seen) -> Iterator[Found]:
    """What differs in two objects: learned values for sure (different or tolerance); what cannot be judged as "" ."""
    if a is b or (id(a), id(b)) in seen:
        return
    if not _same_type(a, b):
        yield DIFFERENT if _both_plain(a, b) else "", f"{path} has another type", type(a).__name__, type(b).__name__
    elif _is_number(a):
        if a != b and not (a != a and b != b):
            near = not isinstance(a, (bool, int)) and close(float(a), float(b))
            yield (TOLERANCE if near else DIFFERENT, path, repr(a), repr(b))
    elif isinstance(a, str):
        yield from _texts(a, b, path)
    elif isinstance(a, bytes):
        if a != b:
            yield DIFFERENT, path, f"{len(a):,} bytes", f"{len(b):,} bytes"
    elif len(path) > _LONGEST or path.count(".") > _DEEPEST:
        yield "", f"{path[:_BRIEF]}… cannot be looked into: it is nested too deep", "", ""
    else:
        seen[id(a), id(b)] = a, b
        yield from _within(a, b, path, seen)


def _within(a: Any, b: Any, path: str, seen: Seen) -> Iterator[Found]:
    if isinstance(a, dict):
        yield from _keys(a, b, path)
        yield from _dicts(a, b, path, seen)
    elif isinstance(a, (list, tuple)):
        if len(a) != len(b):
            yield DIFFERENT, f"{path} has another length", str(len(a)), str(len(b))
        else:
            for place, (x, y) in enumerate(zip(a, b, strict=True)):
                yield from _walk(x, y, f"{path}[{place}]", seen)
    elif isinstance(a, (set, frozenset)):
        if a != b:
            first, second = _named(a), _named(b)
            yield "" if first == second else DIFFERENT, path, ", ".join(first), ", ".join(second)
    else:
        yield from _objects(a, b, path, seen)


def _same_type(a: Any, b: Any) -> bool:
    """Whether two values have one type; a class of the notebook itself is made anew with each model that is loaded."""
    first, second = type(a), type(b)
    return first is second or (first.__module__, first.__qualname__) == (second.__module__, second.__qualname__)


def _both_plain(a: Any, b: Any) -> bool:
    """Whether values of two types differ for sure: a number and another one, a text and a list."""
    if _is_number(a) and _is_number(b):
        return bool(a != b)
    plain = (str, bytes, list, tuple, dict, set, frozenset)
    return all(isinstance(value, plain) or _is_number(value) for value in (a, b)) and {type(a), type(b)} != {list, tuple}


def _texts(a: str, b: str, path: str) -> Iterator[Found]:
    found = compare_texts(a, b)
    # A path of the project lies deeper in the folders of a replay.
    moved = a.startswith("/") and b.startswith("/") and (a.endswith(b) or b.endswith(a))
    if found.verdict != IDENTICAL:
        yield "" if moved or found.verdict == UNCOMPARED else found.verdict, path, a, b


def _named(values: Any) -> list[str]:
    """The names of a set's members or a dict's keys, in alphabetical order and without the addresses of objects."""
    address = BY_NAME["object address"].pattern
    names = [repr(value) for value in values if str(value) not in _INCIDENTAL]
    return sorted(address.sub("", name) if address else name for name in names)


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex)) or (hasattr(value, "dtype") and getattr(value, "shape", None) == ())


def _keys(a: Any, b: Any, path: str) -> Iterator[Found]:
    first, second = _named(a), _named(b)
    if first != second:
        apart = [sorted(set(side) - set(other)) for side, other in ((first, second), (second, first))]
        yield DIFFERENT, f"{path} has other keys", ", ".join(apart[0]), ", ".join(apart[1])


def _dicts(a: Any, b: Any, path: str, seen: Seen) -> Iterator[Found]:
    """The values of the keys that both have."""
    others = {repr(key): value for key, value in b.items()}
    for key, value in a.items():
        if str(key) not in _INCIDENTAL and repr(key) in others:
            yield from _walk(value, others[repr(key)], f"{path}.{key}" if path else str(key), seen)


def _attributes(a: Any, b: Any, path: str, seen: Seen) -> Iterator[Found]:
    """What an object holds. A fitted attribute that only one of them has differs; others may be caches."""
    first, second = vars(a), vars(b)
    for name in sorted((first.keys() ^ second.keys()) - set(_INCIDENTAL)):
        learned = name.endswith("_") and not name.startswith("_") and type(a).__module__.partition(".")[0] not in _BOOSTERS
        sides = ["there" if name in side else "missing" for side in (first, second)]
        yield DIFFERENT if learned else "", f"{path}.{name}".lstrip("."), sides[0], sides[1]
    yield from _dicts(first, second, path, seen)


def _functions(a: Any, b: Any, path: str, seen: Seen) -> Iterator[Found]:
    if _code(a.__code__) != _code(b.__code__):
        # A replay writes some code anew: what asks the network, and secrets.
        rewritten = NAME in a.__code__.co_names or NAME in b.__code__.co_names
        yield "" if rewritten else DIFFERENT, f"{path} is other code", a.__qualname__, b.__qualname__
        return
    for name in ("__defaults__", "__kwdefaults__", "__self__"):
        yield from _walk(getattr(a, name, None), getattr(b, name, None), f"{path}.{name}", seen)
    closures = [[_content(cell) for cell in side.__closure__ or ()] for side in (a, b)]
    yield from _walk(closures[0], closures[1], f"{path}.__closure__", seen)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _code(code: CodeType) -> tuple[Any, ...]:
    """A function's code without where it was written."""
    return code.co_code, code.co_names, tuple(_constant(item) for item in code.co_consts)


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _code(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _objects(a: Any, b: Any, path: str, seen: Seen) -> Iterator[Found]:
    module = type(a).__module__.partition(".")[0]
    if module == "numpy" and hasattr(a, "dtype") and hasattr(a, "shape"):
        yield from _arrays(a, b, path, seen)
    elif module in ("pandas", "polars", "pyarrow") or hasattr(a, "nnz"):
        yield from _frames(a, b, path)
    elif module == "torch" and hasattr(a, "detach"):
        yield from _arrays(a.detach().cpu().numpy(), b.detach().cpu().numpy(), path, seen)
    elif hasattr(a, "state_dict") and callable(a.state_dict):
        yield from _walk(dict(a.state_dict()), dict(b.state_dict()), path, seen)
    elif hasattr(a, "save_raw"):
        yield from _bytes(bytes(a.save_raw("ubj")), bytes(b.save_raw("ubj")), path)
    elif hasattr(a, "model_to_string"):
        yield from _bytes(a.model_to_string().encode(), b.model_to_string().encode(), path)
    elif isinstance(a, type):
        if (a.__module__, a.__qualname__) != (b.__module__, b.__qualname__):
            yield DIFFERENT, f"{path} is another class", a.__qualname__, b.__qualname__
    elif callable(a) and hasattr(a, "__code__"):
        yield from _functions(a, b, path, seen)
    else:
        yield from _states(a, b, path, seen)


def _bytes(a: bytes, b: bytes, path: str) -> Iterator[Found]:
    if a != b:
        yield DIFFERENT, f"{path} (its trees)".strip(), f"{len(a):,} bytes", f"{len(b):,} bytes"


def _frames(a: Any, b: Any, path: str) -> Iterator[Found]:
    from ..store import snapshots

    try:
        equal = snapshots.digest(a) == snapshots.digest(b)
    except Exception:  # data that cannot be frozen
        equal = repr(a) == repr(b)
    if not equal:
        from .contents import compare_values

        found = compare_values(a, b)
        yield found.verdict if found.verdict in (TOLERANCE, DIFFERENT) else "", f"{path} {found.why}", found.recorded, found.replayed


def _arrays(a: Any, b: Any, path: str, seen: Seen) -> Iterator[Found]:
    import numpy as np

    if a.dtype != b.dtype or a.shape != b.shape:
        yield DIFFERENT, f"{path} has another shape", f"{a.dtype} {a.shape}", f"{b.dtype} {b.shape}"
    elif a.dtype.names:
        # Field by field: the padding between fields holds whatever was in memory.
        for name in a.dtype.names:
            yield from _arrays(a[name], b[name], f"{path}.{name}", seen)
    elif a.dtype == object:
        yield from _walk(a.ravel().tolist(), b.ravel().tolist(), path, seen)
    elif a.dtype.kind in "fc":
        both = np.isnan(a) & np.isnan(b)
        if not ((a == b) | both).all():
            near = np.isclose(a, b, rtol=1e-9 if a.dtype.itemsize >= 8 else _TORCH_SINGLE, atol=1e-12) | both
            place = tuple(int(item[0]) for item in np.nonzero(~near if not near.all() else ~((a == b) | both))) if a.ndim else ()
            where = f"{path}[{', '.join(map(str, place))}]"
            yield (TOLERANCE if near.all() else DIFFERENT, where, str(a[place]), str(b[place]))
    elif not np.array_equal(a, b):
        place = tuple(int(item[0]) for item in np.nonzero(a != b)) if a.ndim else ()
        yield DIFFERENT, f"{path}[{', '.join(map(str, place))}]", str(a[place]), str(b[place])


def _states(a: Any, b: Any, path: str, seen: Seen) -> Iterator[Found]:
    if getattr(a, "__dict__", None) and getattr(b, "__dict__", None):
        yield from _attributes(a, b, path, seen)
        return
    try:
        states = [_state(value) for value in (a, b)]
        unknown = None in states and pickle.dumps(a) != pickle.dumps(b)
    except Exception as error:  # its own __getstate__ or __reduce__ may raise anything
        yield "", f"{path} cannot be looked into ({type(error).__name__})", "", ""
        return
    if unknown:
        yield "", f"{path or type(a).__name__} cannot be looked into", "", ""
    elif None not in states:
        yield from _walk(states[0], states[1], path, seen)


def _state(value: Any) -> list[Any] | None:
    """What makes up an object that has no attributes, as its pickle tells it: arguments, state, items; None where that says nothing."""
    reduced = value.__reduce_ex__(4)
    if not isinstance(reduced, tuple) or all(part is None for part in reduced[2:]):
        return None
    return [*reduced[1:3], *(list(items) for items in reduced[3:5] if items is not None)]


def _predicted(a: Any, b: Any, example: Any) -> dict[str, str]:
    """The predictions of both for the example; verdict "" when there are none."""
    import numpy as np

    if example is None:
        return _answer("", "there is no input example", "", "")
    near = False
    told = False
    for name, predict in _predictors(a, b):
        try:
            first, second = (np.asarray(predict(model, example)) for model in (a, b))
        except Exception:  # not every method takes every model's example
            continue
        told = True
        if first.shape != second.shape:
            return _answer(DIFFERENT, f"{name} of the input example", str(first.shape), str(second.shape))
        floats = first.dtype.kind in "fc"
        if np.array_equal(first, second, equal_nan=floats):
            continue
        if floats and np.allclose(first, second, rtol=1e-9 if first.dtype.itemsize >= 8 else _TORCH_SINGLE, atol=1e-12, equal_nan=True):
            near = True
            continue
        return _answer(DIFFERENT, f"{name} of the input example", _brief(first), _brief(second))
    if not told:
        return _answer("", "it predicts nothing for its input example", "", "")
    return _answer(TOLERANCE if near else IDENTICAL, "equal but for the last digits of floats" if near else "", "", "")


def _brief(array: Any) -> str:
    return " ".join(str(array.ravel()[:5]).split())


def _predictors(a: Any, b: Any) -> Iterator[tuple[str, Callable[[Any, Any], Any]]]:
    for name in _METHODS:
        if callable(getattr(a, name, None)) and callable(getattr(b, name, None)):
            yield name, partial(_called, name)
    if hasattr(a, "state_dict") and callable(a):
        yield "output", _forward


def _called(name: str, model: Any, rows: Any) -> Any:
    return _plain(getattr(model, name)(_for(model, rows)))


def _for(model: Any, rows: Any) -> Any:
    if type(model).__module__.startswith("xgboost") and type(model).__name__ == "Booster":
        import xgboost

        return xgboost.DMatrix(rows)
    return rows


def _plain(value: Any) -> Any:
    return value.toarray() if hasattr(value, "toarray") else value


def _forward(model: Any, rows: Any) -> Any:
    import torch

    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return model(torch.as_tensor(rows)).cpu().numpy()
    finally:
        model.train(training)
