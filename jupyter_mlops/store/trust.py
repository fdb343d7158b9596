"""Which types a skops file may hold: the exact types of known libraries, those that the user named, and some never.

A skops file names types and functions, and loading it builds instances of the one and may call the other. So a class is trusted by
the library that it comes from, but a function only where it is known to do nothing but compute.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

LIBRARIES = frozenset({
    "numpy", "scipy", "pandas", "sklearn", "xgboost", "lightgbm", "catboost", "imblearn", "category_encoders", "feature_engine",
    "hdbscan", "sklearn_pandas", "skrub", "pynndescent", "umap", "mlxtend", "quantile_forest", "sksurv",
})  # fmt: skip

# Parts of those libraries whose classes open files or run commands when they are built.
_PARTS_THAT_ACT = frozenset({
    "io", "datasets", "testing", "tests", "_testing", "f2py", "distutils", "externals", "computation", "ctypeslib", "_datasource",
    "_memmap", "memmap", "npyio", "_npyio_impl", "plotting", "weave", "_build_utils",
})  # fmt: skip
_CLASSES_THAT_ACT = frozenset({"numpy.memmap", "xgboost.core.DMatrix", "xgboost.core.QuantileDMatrix", "lightgbm.basic.Dataset"})

_STANDARD_TYPES = frozenset({
    "builtins.complex", "builtins.frozenset", "builtins.object", "builtins.range", "builtins.bytes", "builtins.bytearray",
    "builtins.dict", "builtins.list", "builtins.tuple", "builtins.set", "builtins.int", "builtins.float", "builtins.str",
    "builtins.bool", "builtins.slice", "collections.Counter", "collections.OrderedDict", "collections.defaultdict", "collections.deque",
    "datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone", "decimal.Decimal",
    "fractions.Fraction", "functools.partial",
})  # fmt: skip

_COMPUTING_MODULES = (
    "scipy._lib.array_api_compat.numpy._aliases.",
    "sklearn.cluster._kmeans.", "sklearn.feature_selection._mutual_info.", "sklearn.feature_selection._univariate_selection.",
    "sklearn.metrics._classification.", "sklearn.metrics._ranking.", "sklearn.metrics._regression.", "sklearn.metrics.cluster._",
    "sklearn.metrics.pairwise.", "scipy.special.", "scipy.spatial.distance.", "scipy.stats._stats_py.",
)  # fmt: skip
_NUMPY_FUNCTIONS = (
    "all", "amax", "amin", "any", "argmax", "argmin", "around", "array", "asarray", "atleast_1d", "atleast_2d", "average", "clip",
    "column_stack", "concatenate", "cumprod", "cumsum", "diff", "hstack", "max", "mean", "median", "min", "nan_to_num", "nanmax",
    "nanmean", "nanmedian", "nanmin", "nanstd", "nansum", "percentile", "prod", "quantile", "ravel", "reshape", "round", "squeeze",
    "std", "sum", "transpose", "var", "vstack", "where",
)  # fmt: skip
_COMPUTING_FUNCTIONS = {
    *(f"numpy.{name}" for name in _NUMPY_FUNCTIONS),
    # The preprocessor of HistGradientBoosting holds it wherever there are categorical columns.
    "sklearn.utils.validation.check_array",
}

# Whoever can name these in a file can do anything; no setting allows them.
_NEVER_MODULES = frozenset({
    "os", "posix", "nt", "subprocess", "sys", "importlib", "runpy", "shutil", "socket", "ctypes", "pickle", "_pickle", "cloudpickle",
    "marshal", "code", "builtins", "operator", "_operator", "pty", "pathlib", "io", "_io", "webbrowser", "multiprocessing", "threading",
    "signal", "tempfile",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """The needed types that are trusted, those that the user would have to trust, those of the notebook, and those never trusted."""

    trusted: tuple[str, ...]
    unknown: tuple[str, ...]
    notebook: tuple[str, ...]
    never: tuple[str, ...]


def judge(needed: Iterable[str], chosen: Collection[str]) -> Verdict:
    """Sorts the type names that a skops file needs; `chosen` are those of the setting `trust`."""
    sorts: dict[str, list[str]] = {"trusted": [], "unknown": [], "notebook": [], "never": []}
    for name in sorted(set(needed)):
        sorts[_sort(name, chosen)].append(name)
    return Verdict(**{sort: tuple(names) for sort, names in sorts.items()})


def _sort(name: str, chosen: Collection[str]) -> str:
    if name.startswith("__main__."):
        return "notebook"
    if is_known(name):
        return "trusted"
    if name.split(".", 1)[0] in _NEVER_MODULES:
        return "never"
    return "trusted" if name in chosen else "unknown"


def is_known(name: str) -> bool:
    """Whether `name` is a type that belongs to known libraries, or a function of theirs that only computes."""
    if name in _STANDARD_TYPES:
        return True
    parts = name.split(".")
    if parts[0] not in LIBRARIES or not _PARTS_THAT_ACT.isdisjoint(parts) or name in _CLASSES_THAT_ACT:
        return False
    return name in _COMPUTING_FUNCTIONS or name.startswith(_COMPUTING_MODULES) or _is_class(name)


def _is_class(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    # An alias for another library's class, or for a module, would be trusted under a false name.
    return isinstance(found, type) and found.__module__.split(".", 1)[0] in LIBRARIES


def trust_line(names: Iterable[str], chosen: Iterable[str]) -> str:
    """The line of settings that trusts `names` beside what is trusted already."""
    listed = ", ".join(f'"{name}"' for name in dict.fromkeys((*chosen, *names)))
    return f"[tool.mlops] trust = [{listed}]"


def pickle_line(flavor: str, chosen: Iterable[str]) -> str:
    """The line of settings that allows pickle for a flavor beside those that may be pickled already."""
    listed = ", ".join(f'"{name}"' for name in dict.fromkeys((*chosen, flavor)))
    return f"[tool.mlops] pickle = [{listed}]"
