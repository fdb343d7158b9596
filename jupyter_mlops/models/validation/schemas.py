"""Schemas of data: pandera's, from a Python, YAML or JSON file, with what pandera has no word for in their metadata."""

from __future__ import annotations

import importlib.util
import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ...code.literals import words
from ...errors import NotFound, PipelineError, SchemaRefused, UsageError
from ...pipelines.definition import yaml_lines
from ...pipelines.definition.functions import path_of
from ...pipelines.definition.wording import nearest, shown
from . import expectations
from .expectations import Expectations

_TOP = words(
    "schema_type version api dataframe_library columns checks index multiindex dtype coerce strict name ordered unique report_duplicates "
    "unique_column_names add_missing_columns title description drop_invalid_rows metadata"
)
_USUAL_NAMES = ("schema", "Schema", "SCHEMA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A schema of pandera's (`pandera` is a DataFrameSchema), what is expected beyond it, and where it came from."""

    pandera: Any
    expected: Expectations = field(default_factory=Expectations)
    name: str = ""

    @property
    def count(self) -> int:
        """How many checks it makes."""
        whole = self.pandera
        components = [*whole.columns.values(), *(_levels(whole.index) if whole.index is not None else [])]
        own = sum(2 + (not item.nullable) + bool(item.unique) + len(item.checks) for item in components)  # each is there, of its type
        return own + len(whole.checks) + bool(whole.unique) + bool(whole.strict) + bool(whole.ordered) + self.expected.count


def load(path: Path) -> Schema:
    """The schema in a file: YAML or JSON as pandera writes it, or Python that holds a DataFrameSchema or DataFrameModel (`file.py:NAME`
    says which, where there are several). Python files are run.

    Raises NotFound, SchemaRefused with what is wrong in the file, and UsageError where pandera is not installed.
    """
    name = str(path).partition(".py:")[2]
    path = Path(path_of(str(path)))
    if not path.is_file():
        raise NotFound("schema", str(path), "Write one with `mlops validate DATA --learn --out schema.yaml`, or correct the path.")
    match path.suffix.lower():
        case ".py":
            return _of_python(path, name)
        case ".yaml" | ".yml":
            return _of_yaml(path)
        case ".json":
            return _of_json(path)
    raise SchemaRefused(shown(path), "give a .yaml, .json or .py file.")


def of(given: Any) -> Schema:
    """The schema that was given: a path, a Schema, or one of pandera's own (a DataFrameSchema, or a class made from DataFrameModel)."""
    if isinstance(given, Schema):
        return given
    if isinstance(given, (str, Path)):
        return load(Path(given))
    found = _recognised(given)
    if found is None:
        raise UsageError(f"A {type(given).__name__} is no schema: give a file, or a DataFrameSchema or DataFrameModel of pandera's.")
    return _with_expectations(*found, "schema", lambda at: 0)


def pandera() -> ModuleType:
    """pandera for pandas. Raises UsageError where it is not installed."""
    try:
        import pandera.pandas
    except ImportError:
        raise UsageError("Schemas are pandera's: pip install 'jupyter_mlops[data]'.") from None
    return pandera.pandas


def _of_yaml(path: Path) -> Schema:
    import yaml

    try:
        document = yaml_lines.read(path)
    except PipelineError as error:
        raise SchemaRefused(shown(path), str(error).removeprefix(f"{error.file}, line {error.line}: "), error.line) from None
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise SchemaRefused(shown(path), f"this is no YAML that pandera reads ({_line(error)}).") from None
    return _of_plain(values, path, document.line)


def _of_json(path: Path) -> Schema:
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise SchemaRefused(shown(path), f"it is no JSON ({error}).") from None
    return _of_plain(values, path, lambda at: 0)


def _of_plain(values: Any, path: Path, line: Any) -> Schema:
    """A schema as pandera writes it, after a look at its keys: pandera passes over those that it does not know."""
    own = pandera()
    from pandera.errors import SchemaDefinitionError, SchemaInitError
    from pandera.io import pandas_io

    _look(values, path, line, own)
    try:
        schema = pandas_io.deserialize_schema(values)  # type: ignore[no-untyped-call]  # it has no types
    except (SchemaDefinitionError, SchemaInitError, TypeError, ValueError, KeyError, AttributeError) as error:
        # Which of the columns it was, pandera does not say.
        at = _culprit(values, pandas_io)
        where = f"{'.'.join(at)}: " if at else ""
        raise SchemaRefused(shown(path), f"{where}pandera does not take it ({_line(error)}).", line(at) if at else 0) from None
    return _with_expectations(schema, values.get("metadata"), shown(path), line)


def _look(values: Any, path: Path, line: Any, own: ModuleType) -> None:
    """Raises SchemaRefused for keys that mean nothing."""
    from pandera.io._flat_checks import COMPONENT_RESERVED_KEYS

    file = shown(path)
    if not isinstance(values, Mapping):
        raise SchemaRefused(file, "it has no table with the key 'columns'.")
    for key in values:
        if key not in _TOP:
            raise SchemaRefused(file, f"there is no key {key!r}{nearest(str(key), sorted(_TOP))}", line((str(key),)))
    columns = values.get("columns")
    if columns is None and not values.get("index") and not values.get("metadata"):
        raise SchemaRefused(file, "it has no table with the key 'columns'.")
    named = (
        list(columns.items()) if isinstance(columns, Mapping) else [(item.get("name"), item) for item in columns or [] if _is_table(item)]
    )
    if columns is not None and (not isinstance(columns, (Mapping, list)) or len(named) != len(columns)):
        raise SchemaRefused(file, "'columns' is to be a table of columns, such as {dep_time: {dtype: float64}}.", line(("columns",)))
    checks = {name for name in dir(own.Check) if not name.startswith("_")}
    for place, (name, column) in enumerate(named):
        at = ("columns", str(name)) if isinstance(columns, Mapping) else ("columns", place)
        if not _is_table(column):
            raise SchemaRefused(file, f"the column {name!r} is to be a table, such as {{dtype: float64}}.", line(at))
        for key in column:
            if key not in COMPONENT_RESERVED_KEYS and key not in checks:
                ending = nearest(str(key), sorted(COMPONENT_RESERVED_KEYS | checks), alike=0.7)
                raise SchemaRefused(file, f"the column {name!r} has no key or check {key!r}{ending}", line((*at, str(key))))


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _culprit(values: Mapping[str, Any], pandas_io: Any) -> tuple[str, ...]:
    """The keys of the first column that pandera does not take; () where it is none of them."""
    columns = values.get("columns")
    for name, column in columns.items() if isinstance(columns, Mapping) else ():
        try:
            pandas_io.deserialize_schema({"columns": {name: column}})
        except Exception:  # whatever pandera raised for the whole
            return ("columns", str(name))
    return ()


def _of_python(path: Path, name: str) -> Schema:
    pandera()
    file = shown(path)
    with _module(path) as module:
        values = {key: value for key, value in vars(module).items() if not key.startswith("_")}
        found = {key: made for key, value in values.items() if (made := _defined(value, module)) is not None}
    if name and name not in found:
        raise SchemaRefused(file, f"it holds no schema {name!r}{nearest(name, found)}")
    if not found:
        raise SchemaRefused(file, "it holds no DataFrameSchema and no class made from DataFrameModel, as pandera.pandas has them.")
    chosen = name or (next(iter(found)) if len(found) == 1 else next((usual for usual in _USUAL_NAMES if usual in found), ""))
    if not chosen:
        raise SchemaRefused(file, f"it holds the schemas {', '.join(found)}: say which one, as {path.name}:{next(iter(found))}.")
    return _with_expectations(*found[chosen], f"{file}:{chosen}" if len(found) > 1 else file, lambda at: 0)


@contextmanager
def _module(path: Path) -> Iterator[ModuleType]:
    """A Python file, run as a module of its own; it finds modules that lie beside it."""
    spec = importlib.util.spec_from_file_location(f"mlops_schema_{uuid.uuid4().hex}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Annotations of models are looked up in their module, by name.
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
        yield module
    except (SchemaRefused, UsageError):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SyntaxError) and error.filename == spec.origin:
            raise SchemaRefused(shown(path), f"this is no Python ({error.msg}).", error.lineno or 0) from None
        line = next((frame.lineno for frame in _frames(error) if frame.filename == spec.origin), 0)
        raise SchemaRefused(shown(path), f"running it raised {_line(error)}.", line or 0) from None
    finally:
        sys.path.remove(str(path.resolve().parent))
        del sys.modules[spec.name]


def _frames(error: BaseException) -> list[Any]:
    import traceback

    return list(reversed(traceback.extract_tb(error.__traceback__)))


def _defined(value: Any, module: ModuleType) -> tuple[Any, Any] | None:
    """A schema of a file, with its metadata; a model counts where it is defined, and not where it is imported."""
    if isinstance(value, type) and value.__module__ != module.__name__:
        return None
    return _recognised(value)


def _recognised(value: Any) -> tuple[Any, Any] | None:
    own: Any = pandera()
    if isinstance(value, own.DataFrameSchema):
        return value, value.metadata
    model: Any = value if isinstance(value, type) else None
    if model is not None and issubclass(model, own.DataFrameModel):
        return model.to_schema(), getattr(model.Config, "metadata", None)
    return None


def _with_expectations(schema: Any, metadata: Any, name: str, line: Any) -> Schema:
    try:
        return Schema(pandera=schema, expected=expectations.from_metadata(metadata), name=name)
    except expectations.Wrong as wrong:
        at = ("metadata", *wrong.at)
        what = str(wrong).rstrip(".")
        raise SchemaRefused(name, f"{'.'.join(at)}: {what}.", line(at)) from None


def _levels(index: Any) -> list[Any]:
    return list(getattr(index, "indexes", [index]))


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
