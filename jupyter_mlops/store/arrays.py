"""NumPy arrays of every type, masked arrays, SciPy's sparse matrices and PyTorch's tensors, taken apart and put together again.

An array counts by its type, shape and values in C order; its memory layout is kept as a hint but is no part of the value. Bytes
between the fields of a structured type, and values under a mask, are no part of the value either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import DataError
from .columns import Builder, Frozen, Raw, Values

Load = Callable[[int], Any]

_COMPRESSED = {"csr": ("data", "indices", "indptr"), "csc": ("data", "indices", "indptr"), "bsr": ("data", "indices", "indptr")}


def freeze_array(array: Any) -> Frozen:
    """A NumPy array or masked array."""
    import numpy as np

    builder = Builder()
    if isinstance(array, np.ma.MaskedArray):
        return _freeze_masked(array, builder)
    if type(array) not in (np.ndarray, np.recarray):
        raise DataError(f"A {type(array).__qualname__} cannot be frozen by content: convert it with numpy.asarray first.")
    head = {"array": _plain(array, builder), "record": type(array) is np.recarray}
    return _frozen("array", head, builder, array)


def freeze_tensor(tensor: Any) -> Frozen:
    """A PyTorch tensor on the CPU; its type keeps its own name, since NumPy has no bfloat16."""
    import torch

    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise DataError("A sparse, quantized or GPU tensor cannot be frozen by content: call .to_dense() or .cpu() first.")
    plain = tensor.detach().resolve_conj().resolve_neg()
    words = {1: torch.uint8, 2: torch.int16}
    name = str(plain.dtype).removeprefix("torch.")
    array = plain.view(words[plain.element_size()]).numpy() if name.startswith(("bfloat", "float8")) else plain.numpy()
    builder = Builder()
    head = {"tensor": _plain(array, builder), "dtype": name, "grad": bool(tensor.requires_grad)}
    return _frozen("array", head, builder, array, name)


def freeze_sparse(matrix: Any) -> Frozen:
    """A SciPy sparse matrix or array; its class and its arrays are the value, so an explicit zero counts."""
    builder = Builder()
    name = type(matrix).__name__
    kind = matrix.format
    parts: dict[str, Any]
    if kind in _COMPRESSED:
        parts = {part: getattr(matrix, part) for part in _COMPRESSED[kind]}
    elif kind == "dia":
        parts = {"data": matrix.data, "offsets": matrix.offsets}
    else:
        pairs = matrix.tocoo()
        parts = {"data": pairs.data} | {f"at{axis}": at for axis, at in enumerate(pairs.coords)}
    head = {"sparse": name, "shape": list(matrix.shape), "parts": {key: _plain(part, builder) for key, part in parts.items()}}
    return Frozen("sparse", head, tuple(builder.columns), matrix.shape[0], (("value", str(matrix.dtype)),), _everything(builder))


def load_numpy(head: Mapping[str, Any], layout: Any, load: Load) -> Any:
    """The array, tensor or sparse matrix of a head."""
    import numpy as np

    if "sparse" in head:
        return _load_sparse(head, load)
    if "tensor" in head:
        return _load_tensor(head, load)
    if "masked" in head:
        return _load_masked(head, load)
    array = _loaded(head["array"], load)
    if layout == "F":
        array = np.asfortranarray(array)
    return array.view(np.recarray) if head["record"] else array


def _frozen(kind: str, head: Any, builder: Builder, array: Any, dtype: str = "") -> Frozen:
    layout = "F" if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous else None
    rows = array.shape[0] if array.ndim else None
    return Frozen(kind, head, tuple(builder.columns), rows, (("value", dtype or str(array.dtype)),), _everything(builder), layout)


def _everything(builder: Builder) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return (("value", tuple(range(len(builder.columns)))),)


def _plain(array: Any, builder: Builder) -> dict[str, Any]:
    """The type and shape of an array, and where its values are; a structured array is its fields."""
    import numpy as np

    dtype = array.dtype
    plain: dict[str, Any] = {"shape": list(array.shape), "dtype": _describe(dtype)}
    if dtype.names is not None:
        return plain | {"fields": [_plain(np.asarray(array[name]), builder) for name in dtype.names]}
    if dtype.hasobject or dtype.char == "T":
        missing = {"missing": builder.plain(dtype.na_object)} if dtype.char == "T" and hasattr(dtype, "na_object") else {}
        return plain | missing | {"objects": builder.add(Values(array.ravel().tolist() if dtype.hasobject else list(array.ravel())))}
    if dtype.itemsize == 0:
        return plain
    return plain | {"values": builder.add(Rows(array))}


class Rows(Raw):
    """An array of any shape, by its elements in C order; ranges that cut through rows copy only the rows they touch."""

    def __init__(self, array: Any) -> None:
        import numpy as np

        flat = array.reshape(-1) if array.ndim != 1 and array.flags.c_contiguous else array
        super().__init__(flat if flat.ndim == 1 else np.empty(0, array.dtype))
        self.rows = array.size
        self._whole = None if flat.ndim == 1 else array
        self._row = max(1, array.size // max(1, array.shape[0])) if array.ndim else 1

    def streams(self, start: int, stop: int) -> list[Any]:
        import numpy as np

        if self._whole is None:
            return super().streams(start, stop)
        first, last = start // self._row, -(-stop // self._row)
        part = np.ascontiguousarray(self._whole[first:last]).reshape(-1)[start - first * self._row : stop - first * self._row]
        return Raw(part).streams(0, stop - start)


def _loaded(plain: Mapping[str, Any], load: Load) -> Any:
    import numpy as np

    shape = tuple(plain["shape"])
    dtype = _dtype(plain["dtype"], load(plain["missing"])[0] if "missing" in plain else None)
    if "fields" in plain:
        array = np.zeros(shape, dtype)
        for name, field in zip(dtype.names or (), plain["fields"], strict=True):
            array[name] = _loaded(field, load)
        return array
    if "objects" in plain:
        items = load(plain["objects"])
        flat = np.empty(len(items), dtype)
        for position, item in enumerate(items):
            flat[position] = item
        return flat.reshape(shape)
    return load(plain["values"]).reshape(shape) if "values" in plain else np.zeros(shape, dtype)


def _describe(dtype: Any) -> Any:
    """A NumPy type as plain JSON; `str` alone would lose the offsets, titles and sizes of structured types."""
    if dtype.names is not None:
        fields = [[name, _describe(dtype.fields[name][0]), dtype.fields[name][1], *dtype.fields[name][2:]] for name in dtype.names]
        return {"fields": fields, "size": dtype.itemsize, "aligned": dtype.isalignedstruct}
    if dtype.subdtype is not None:
        return {"base": _describe(dtype.subdtype[0]), "shape": list(dtype.subdtype[1])}
    if dtype.char == "T":
        return {"text": bool(getattr(dtype, "coerce", True)), "missing": hasattr(dtype, "na_object")}
    return dtype.str


def _dtype(plain: Any, missing: Any) -> Any:
    import numpy as np

    if isinstance(plain, str):
        return np.dtype(plain)
    if "text" in plain:
        given = {"na_object": missing} if plain["missing"] else {}
        return np.dtypes.StringDType(coerce=plain["text"], **given)
    if "base" in plain:
        return np.dtype((_dtype(plain["base"], None), tuple(plain["shape"])))
    fields = plain["fields"]
    given = {"names": [field[0] for field in fields], "formats": [_dtype(field[1], None) for field in fields]}
    given |= {"offsets": [field[2] for field in fields], "itemsize": plain["size"]}
    if any(len(field) > 3 for field in fields):
        given["titles"] = [field[3] if len(field) > 3 else None for field in fields]
    make: Any = np.dtype
    return make(given, align=plain["aligned"])


def _freeze_masked(array: Any, builder: Builder) -> Frozen:
    import numpy as np

    if array.dtype.names is not None or array.dtype.hasobject:
        raise DataError(f"A masked array of {array.dtype} cannot be frozen by content: freeze its data and its mask apart.")
    mask = np.ma.getmaskarray(array)
    data = np.where(mask, np.zeros((), array.dtype), array.data)
    fill = builder.add(Rows(np.array([array.fill_value], array.dtype)))
    head = {"masked": _plain(data, builder), "mask": _plain(mask, builder) if mask.any() else None, "fill": fill, "hard": array.hardmask}
    return _frozen("array", head, builder, array)


def _load_masked(head: Mapping[str, Any], load: Load) -> Any:
    import numpy as np

    mask = _loaded(head["mask"], load) if head["mask"] else np.ma.nomask
    return np.ma.array(_loaded(head["masked"], load), mask=mask, fill_value=load(head["fill"])[0], hard_mask=head["hard"])


def _load_tensor(head: Mapping[str, Any], load: Load) -> Any:
    import torch

    tensor = torch.from_numpy(_loaded(head["tensor"], load))
    kind = getattr(torch, head["dtype"])
    tensor = tensor if tensor.dtype == kind else tensor.view(kind)
    return tensor.requires_grad_() if head["grad"] else tensor


def _load_sparse(head: Mapping[str, Any], load: Load) -> Any:
    import scipy.sparse as sparse

    name, shape = head["sparse"], tuple(head["shape"])
    parts = {key: _loaded(part, load) for key, part in head["parts"].items()}
    kind = getattr(sparse, name)
    if "indptr" in parts:
        return kind((parts["data"], parts["indices"], parts["indptr"]), shape=shape)
    if "offsets" in parts:
        return kind((parts["data"], parts["offsets"]), shape=shape)
    at = tuple(parts[f"at{axis}"] for axis in range(len(shape)))
    pairs = (sparse.coo_array if name.endswith("array") else sparse.coo_matrix)((parts["data"], at), shape=shape)
    return pairs if name.startswith("coo") else pairs.asformat(name.split("_")[0])
