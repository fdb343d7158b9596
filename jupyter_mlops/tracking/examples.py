"""The first rows of training data, copied: a model's input example."""

from __future__ import annotations

import sys
from typing import Any

from .values import known_type

ROWS = 5
LARGEST = 10_000_000


def example(data: object) -> Any:
    """A copy of the first 5 rows of a frame, array, sparse matrix, tensor, list, or booster's data set; None for anything else.

    Rows of more than 10 MB give None too. Lazy and one-shot sources are never consumed.
    """
    try:
        rows = _first_rows(data)
        return None if rows is None or _size(rows) > LARGEST else rows
    except Exception:  # a subclass may do anything
        return None


def _first_rows(data: Any) -> Any:
    if known_type(data, "pandas", "DataFrame", "Series"):
        return data.iloc[:ROWS].copy()
    if known_type(data, "polars", "DataFrame", "Series"):
        return data.head(ROWS).clone()
    if known_type(data, "pyarrow", "Table"):
        return data.slice(0, ROWS)
    if known_type(data, "numpy", "ndarray"):
        return data[:ROWS].copy() if data.ndim else None
    if known_type(data, "scipy.sparse", "csr_matrix", "csr_array", "lil_matrix", "lil_array"):
        return data[:ROWS].tocsr()
    if known_type(data, "scipy.sparse", "csc_matrix", "csc_array", "coo_matrix", "coo_array"):
        # Only rows can be cut off cheaply from these once they are CSR: a copy, so not for very large ones.
        return data.tocsr()[:ROWS] if data.nnz < LARGEST // 10 else None
    if known_type(data, "torch", "Tensor"):
        return data[:ROWS].detach().cpu().clone() if data.dim() else None
    if type(data) in (list, tuple):
        return list(data[:ROWS]) or None
    return _rows_of_dataset(data)


def _rows_of_dataset(data: Any) -> Any:
    if known_type(data, "xgboost.core", "DMatrix"):
        part = data.slice(list(range(min(ROWS, data.num_row()))))
        # Kept in single precision, but users predict with double, which a signature in single precision refuses.
        pandas, rows = sys.modules.get("pandas"), part.get_data().toarray().astype(float)
        # A booster refuses rows without the names that it was trained with.
        return rows if pandas is None or part.feature_names is None else pandas.DataFrame(rows, columns=part.feature_names)
    if known_type(data, "lightgbm.basic", "Dataset"):
        return _first_rows(data.data)
    if known_type(data, "torch.utils.data.dataloader", "DataLoader"):
        return _rows_of_dataset(data.dataset)
    if known_type(data, "torch.utils.data.dataset", "TensorDataset"):
        return _first_rows(data.tensors[0])
    return None


def _size(rows: Any) -> int:
    if isinstance(rows, list):
        return sum(len(item) for item in rows if isinstance(item, (str, bytes, list, tuple)))
    columns: int = rows.shape[1] if len(rows.shape) > 1 else 1
    return int(getattr(rows, "nbytes", columns * 8 * ROWS))
