"""A model's input example in a form that MLflow keeps, and its signature."""

from __future__ import annotations

import pickle
from typing import Any

from .flavors import Flavor


def tidy_example(example: bytes | None, notes: list[str]) -> Any:
    """The pickled example as a pandas frame, array, CSR matrix or list; None when there is none that MLflow can keep."""
    if example is None:
        return None
    try:
        return _tidy(pickle.loads(example))
    except Exception as error:  # an example is worth a note, not the model
        notes.append(f"no input example: {type(error).__name__}: {error}")
        return None


def signature_of(flavor: Flavor, model: Any, rows: Any, notes: list[str]) -> Any:
    """MLflow's signature, from the example and what the model makes of it; without the latter when it fails; None without an example."""
    from mlflow.models import infer_signature

    if rows is None:
        return None
    made = None
    try:
        made = _tidy_output(flavor.predict(model, _copied(rows)), rows)
    except Exception as error:  # the model's own code
        notes.append(f"the signature has no output, as predicting the example fails: {type(error).__name__}: {error}")
    for output in [made, None] if made is not None else [None]:
        try:
            return _open_where_mlflow_is_strict(infer_signature(rows, output), rows)
        except Exception as error:  # MLflow has types of its own, and raises what their conversion raises
            notes.append(f"the signature is not complete: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
    return None


def _tidy(rows: Any) -> Any:
    import numpy
    import pandas
    import scipy.sparse

    kind = type(rows).__module__.split(".", 1)[0]
    if kind in ("polars", "pyarrow"):
        rows = rows.to_pandas()
    if kind == "torch":
        rows = rows.numpy()
    if scipy.sparse.issparse(rows):
        return scipy.sparse.csr_matrix(rows)  # MLflow does not know the sparse arrays
    if isinstance(rows, pandas.Series):
        rows = rows.to_list()
    if isinstance(rows, pandas.DataFrame):
        # MLflow names columns by text; a model fitted on other names goes by position anyway.
        return rows if all(isinstance(name, str) for name in rows.columns) else rows.to_numpy()
    if isinstance(rows, list) and rows and isinstance(rows[0], str):
        # As objects: MLflow makes a one-column frame of a list, whose "rows" a text model takes to be its column names.
        return numpy.array(rows, dtype=object)
    if isinstance(rows, list) and rows and isinstance(rows[0], (list, tuple, int, float)):
        return numpy.asarray(rows)
    return rows


def _tidy_output(made: Any, rows: Any) -> Any:
    import numpy
    import pandas
    import scipy.sparse

    if scipy.sparse.issparse(made):
        return scipy.sparse.csr_matrix(made)
    if isinstance(made, numpy.ndarray) and made.ndim == 1 and isinstance(rows, (pandas.DataFrame, list)):
        return pandas.Series(made)  # one prediction for each row, which MLflow names as a column
    return made


def _open_where_mlflow_is_strict(signature: Any, rows: Any) -> Any:
    """The signature with any type for categories, time zones and nullable types: what MLflow infers for them refuses the very same data."""
    import pandas
    from mlflow.types.schema import AnyType, ColSpec, Schema

    if isinstance(rows, pandas.DataFrame):
        anything: Any = AnyType  # MLflow leaves its constructor without types
        anything = anything()
        strict = (pandas.CategoricalDtype, pandas.DatetimeTZDtype, pandas.Int64Dtype, pandas.Int32Dtype, pandas.BooleanDtype)
        signature.inputs = Schema(
            [
                ColSpec(anything, column.name, required=column.required) if isinstance(rows[column.name].dtype, strict) else column
                for column in signature.inputs.inputs
            ]
        )
    return signature


def _copied(rows: Any) -> Any:
    """The example for the model's own code, which may change it."""
    return list(rows) if isinstance(rows, list) else rows.copy()
