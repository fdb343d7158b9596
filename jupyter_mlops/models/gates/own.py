"""Gates that users write: functions marked with `@mlops.gate`, found by their place, or because this process defined them."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, TypeVar, overload

from ...errors import NotFound, UsageError
from ...records import Gate
from .conditions import Bounded, limits
from .evidence import Evidence

_MARK = "__mlops_gate__"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What `@mlops.gate(...)` says of a function: its bounds and unit, and the one model that it is for ("" for all)."""

    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""
    model: str = ""


_known: dict[str, Callable[..., Any]] = {}


@overload
def gate(function: _Function, /) -> _Function: ...
@overload
def gate(
    *, at_least: float | None = None, at_most: float | None = None, unit: str = "", model: str = ""
) -> Callable[[_Function], _Function]: ...
def gate(
    function: Any = None, /, *, at_least: float | None = None, at_most: float | None = None, unit: str = "", model: str = ""
) -> Any:  # fmt: skip
    """Make a function a gate of models: `@mlops.gate`, or `@mlops.gate(at_least=1000, unit="EUR", model="NAME")`.

    It is called with the evidence: `evidence.model`, `evidence.X` and `evidence.y` (the test data as the model takes it, and the truth),
    `evidence.predictions`, `evidence.probabilities`, `evidence.data` (all columns), `evidence.reference` (the training data),
    `evidence.champion` (the same of the champion, or None), `evidence.metrics`, `evidence.version`. It gives True or False, a number that
    is held against the bounds, or a `jupyter_mlops.records.Gate`. Its docstring says to readers what it is.

    Gates that this process defined count whenever it checks or promotes; elsewhere `{gate: "checks.py:function"}` in pipeline.yaml or
    pyproject.toml names them. Raises UsageError for what is no function.

    Args:
        function: the function.
        at_least: the least number that passes.
        at_most: the largest number that passes.
        unit: the unit of the number.
        model: only this registered model is held against it (default: every one).
    """
    if function is None:
        return lambda found: _marked(found, Marked(at_least=at_least, at_most=at_most, unit=unit, model=model))
    return _marked(function, Marked())


def _marked(function: Any, mark: Marked) -> Any:
    if not callable(function) or isinstance(function, type):
        raise UsageError("`@mlops.gate` marks a function of the evidence: def enough_rows(evidence): return len(evidence.X) >= 1000")
    setattr(function, _MARK, mark)
    _known[function.__qualname__] = function
    return function


@dataclass(frozen=True, slots=True, kw_only=True)
class Own(Bounded):
    """A function of the user's, called with the evidence and `params`. `place` tells whether two of them are the same one."""

    kind: ClassVar[str] = "gate"
    gate_: Callable[..., Any] = field(compare=False)
    place: Any
    title: str
    unit: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def all_of(cls, read: Mapping[str, Any], folder: Path) -> Iterator[Own]:
        """The gates of `{gate: path.py:function}`, of `{gate: path.py}` (all that are marked there), or of a name that is known here."""
        where = str(read["gate"])
        given = {key: read[key] for key in ("at_least", "at_most", "unit", "params") if key in read}
        if where in _known and ":" not in where:
            yield cls.of(_known[where], **given)
        elif where.endswith(".py"):
            found = [item for item in vars(module_of(where, folder)).values() if isinstance(getattr(item, _MARK, None), Marked)]
            if not found:
                raise UsageError(f"{where} has no gate: mark its functions with @mlops.gate.")
            yield from (cls.of(function, **given) for function in found)
        else:
            yield cls.of(function_of(where, folder), **given)

    @classmethod
    def of(cls, function: Callable[..., Any], **given: Any) -> Own:
        """The gate of a function; `given` wins over what its mark says."""
        mark = getattr(function, _MARK, None) or Marked()
        said: dict[str, Any] = {"at_least": mark.at_least, "at_most": mark.at_most, "unit": mark.unit}
        if "at_least" in given or "at_most" in given:
            said |= {"at_least": None, "at_most": None}
        title = getattr(function, "__name__", "gate").replace("_", " ").strip()
        return cls(gate_=function, place=_place(function), title=title, **(said | given))

    @property
    def told(self) -> str:
        return self.title

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.title, limits(self.at_least, self.at_most), self.unit) if part)

    def check(self, evidence: Evidence) -> Gate:
        found = self.gate_(evidence, **self.params)
        said = next(iter((inspect.getdoc(self.gate_) or "").splitlines()), "")
        details = {"unit": self.unit} if self.unit else {}
        if isinstance(found, Gate):
            return replace(found, kind=self.kind)
        # NumPy's scalars, too.
        found = found.item() if hasattr(found, "item") and getattr(found, "size", 1) == 1 else found
        if isinstance(found, bool):
            return Gate(name=self.name, state="passed" if found else "failed", why=said, kind=self.kind, bound=self.bound, details=details)
        if isinstance(found, (int, float)):
            unbounded = self.at_least is None and self.at_most is None
            why = f"it gave a number, and no bound says what is enough: {said}".rstrip(": ") if unbounded else said
            return self.gate(float(found), why, details, passed=not unbounded and self.met(float(found)))
        what = "nothing" if found is None else f"a {type(found).__name__}"
        why = f"it gave {what}: a gate gives True, False, a number or a Gate"
        return Gate(name=self.name, state="failed", value=math.nan, why=why, kind=self.kind, bound=self.bound)


def defined(model: str = "") -> tuple[Own, ...]:
    """The gates that were marked in this process for a model, or for all."""
    return tuple(Own.of(function) for function in _known.values() if getattr(function, _MARK).model in ("", model))


def forget() -> None:
    """Forget the gates that this process marked."""
    _known.clear()


def _place(function: Callable[..., Any]) -> Any:
    """Where a function stands: a file that is read twice makes two of it. One that holds values of its own is only the same as itself."""
    code = getattr(function, "__code__", None)
    return function if code is None or getattr(function, "__closure__", None) else (code.co_filename, getattr(function, "__qualname__", ""))


def function_of(where: str, folder: Path) -> Callable[..., Any]:
    """The function at `path.py:function` or `module:function`, seen from a folder. Raises NotFound."""
    place, _, name = where.rpartition(":")
    if not place:
        known = ", ".join(_known) or "none"
        raise NotFound("gate", where, f"Write path.py:function or module:function; this process has defined {known}.")
    found = vars(module_of(place, folder)).get(name)
    if not callable(found):
        raise NotFound("function", where, f"{place} has no function of that name.")
    return found  # type: ignore[no-any-return]  # `callable` was asked just now


def module_of(place: str, folder: Path) -> ModuleType:
    """A module by its name or the path of its file, as it is on disk now. Raises NotFound; what its code raises passes through."""
    path = (folder / place).resolve() if place.endswith(".py") else folder.joinpath(*place.split(".")).with_suffix(".py").resolve()
    marks = dict(_known)
    try:
        if not path.is_file():
            if place.endswith(".py"):
                raise NotFound("file", place, f"It is looked for in {folder}.")
            return importlib.import_module(place)
        # A name of its own: the project's file may be called like a module that is imported already.
        name = f"mlops_gates_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(folder))
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(folder))
        return module
    except ModuleNotFoundError as error:
        raise NotFound("module", str(error.name or place), f"{place} is looked for in {folder} and among the installed packages.") from None
    finally:
        # What a file marks counts where the file is named, not for every model that this process checks.
        _known.clear()
        _known.update(marks)
