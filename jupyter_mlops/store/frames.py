"""pandas frames, series and indexes, taken apart into columns and put together again.

Every part of a frame counts: labels of any type, names, MultiIndexes, categories with their order, nullable and extension types, time
zones, frequencies, `attrs` and flags. What has no rule here is refused by name; nothing is lost silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import DataError
from . import scalars
from .columns import Arrow, Builder, Frozen, Masked, Raw, Values

Load = Callable[[int], Any]


def freeze_frame(frame: Any) -> Frozen:
    """A DataFrame."""
    builder = Builder()
    data, names, schema = [], [], []
    for position in range(frame.shape[1]):
        label = str(frame.columns[position])
        first = len(builder.columns)
        series = frame.iloc[:, position]
        data.append(_array(series.array, builder, label))
        names.append((label, tuple(range(first, len(builder.columns)))))
        schema.append((label, str(series.dtype)))
    head = {"frame": data, "index": _index(frame.index, builder, "index"), "columns": _index(frame.columns, builder, "columns")}
    return Frozen("frame", head | _extras(frame, builder), tuple(builder.columns), len(frame), tuple(schema), tuple(names))


def freeze_series(series: Any) -> Frozen:
    """A Series."""
    builder = Builder()
    label = "value" if series.name is None else str(series.name)
    data = _array(series.array, builder, label)
    names = ((label, tuple(range(len(builder.columns)))),)
    head = {"series": data, "index": _index(series.index, builder, "index"), "name": _value(series.name, builder)}
    return Frozen("series", head | _extras(series, builder), tuple(builder.columns), len(series), ((label, str(series.dtype)),), names)


def freeze_index(index: Any) -> Frozen:
    """An Index."""
    builder = Builder()
    head = {"index": _index(index, builder, "index")}
    names = (("index", tuple(range(len(builder.columns)))),)
    return Frozen("series", head, tuple(builder.columns), len(index), (("index", str(index.dtype)),), names)


def load_pandas(head: Mapping[str, Any], load: Load) -> Any:
    """The frame, series or index of a head; `load` gives the content of a column by its position."""
    import pandas as pd

    if "frame" not in head and "series" not in head:
        return _load_index(head["index"], load)
    index = _load_index(head["index"], load)
    if "series" in head:
        value: Any = frame_column(head["series"], load, index)
        value.name = _load_value(head["name"], load)
    else:
        columns = _load_index(head["columns"], load)
        data = {position: frame_column(plain, load, index) for position, plain in enumerate(head["frame"])}
        value = pd.DataFrame(data, index=index, copy=False)
        value.columns = columns
    if "attrs" in head:
        value.attrs = _load_value(head["attrs"], load)
    return value.set_flags(allows_duplicate_labels=False) if head.get("unique") else value


def frame_column(plain: Any, load: Load, index: Any = None) -> Any:
    """One column of a frame as a Series."""
    import pandas as pd

    array = _load_array(plain, load)
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        # Without its type spelled out, pandas would guess another one from the values of an object column.
        values = array.to_numpy(copy=False)
        return pd.Series(values, index=index, dtype=values.dtype, copy=False)
    return pd.Series(array, index=index, copy=False)


def _extras(value: Any, builder: Builder) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if type(value).__module__.split(".")[0] != "pandas":
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        raise DataError(f"A {name} cannot be frozen by content: convert it to a pandas object first.")
    if value.attrs:
        extras["attrs"] = _value(dict(value.attrs), builder, "attrs")
    if not value.flags.allows_duplicate_labels:
        extras["unique"] = True
    return extras


def _value(value: Any, builder: Builder, name: str = "") -> int:
    return builder.add(Values([value], name))


def _load_value(position: int, load: Load) -> Any:
    return load(position)[0]


def _index(index: Any, builder: Builder, label: str) -> dict[str, Any]:
    import pandas as pd

    if type(index) is pd.RangeIndex:
        return {"range": [index.start, index.stop, index.step], "name": _value(index.name, builder)}
    if isinstance(index, pd.MultiIndex):
        levels = [_index(level, builder, label) for level in index.levels]
        codes = [builder.add(Raw(code)) for code in index.codes]
        return {"levels": levels, "codes": codes, "names": _value(list(index.names), builder)}
    plain: dict[str, Any] = {"array": _array(index.array, builder, label), "name": _value(index.name, builder)}
    if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)) and index.freq is not None:
        plain["freq"] = scalars.frequency(index.freq)
    return plain


def _load_index(plain: Mapping[str, Any], load: Load) -> Any:
    import pandas as pd

    if "range" in plain:
        start, stop, step = plain["range"]
        return pd.RangeIndex(start, stop, step, name=_load_value(plain["name"], load))
    if "levels" in plain:
        levels = [_load_index(level, load) for level in plain["levels"]]
        codes = [load(position) for position in plain["codes"]]
        return pd.MultiIndex(levels, codes, names=_load_value(plain["names"], load), verify_integrity=False)
    array = _load_array(plain["array"], load)
    index: Any = pd.Index(array, dtype=array.dtype, name=_load_value(plain["name"], load), copy=False)
    if "freq" in plain:
        index.freq = plain["freq"]
    return index


def _array(array: Any, builder: Builder, label: str) -> dict[str, Any]:
    """A pandas array, by its type."""
    import pandas as pd

    dtype = array.dtype
    held: Any = array
    if isinstance(dtype, pd.StringDtype):
        missing = "NA" if dtype.na_value is pd.NA else "nan"
        return {"string": builder.add(Arrow(_as_arrow(array))), "missing": missing}
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        return _numpy_array(array.to_numpy(copy=False), builder, label)
    if isinstance(dtype, pd.ArrowDtype):
        return {"arrow": builder.add(Arrow(_as_arrow(array)))}
    if isinstance(array, (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)):
        return {"masked": builder.add(Masked(held._data, held._mask))}
    if isinstance(dtype, pd.CategoricalDtype):
        categories = _index(dtype.categories, builder, label)
        return {"codes": builder.add(Raw(held.codes)), "categories": categories, "ordered": bool(dtype.ordered)}
    if isinstance(dtype, pd.DatetimeTZDtype):
        zone = builder.add(Values([scalars.plain_zone(dtype.tz)], label))
        return {"moments": builder.add(Raw(array.asi8)), "unit": dtype.unit, "zone": zone}
    if isinstance(dtype, pd.PeriodDtype):
        text = str(dtype)
        if pd.PeriodDtype(text) != dtype:
            raise DataError(f"Column {label} of type {dtype} cannot be frozen by content: its frequency cannot be written as text.")
        return {"periods": builder.add(Raw(array.asi8)), "dtype": text}
    if isinstance(array, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)):
        return {"numpy": builder.add(Raw(held.asi8.view(dtype)))}
    if isinstance(dtype, pd.IntervalDtype):
        sides = [_index(side, builder, label) for side in (array.left, array.right)]
        return {"interval": sides, "closed": dtype.closed}
    if isinstance(dtype, pd.SparseDtype):
        index = builder.add(Raw(array.sp_index.to_int_index().indices))
        fill = _value(array.fill_value, builder, label)
        kind = "block" if type(array.sp_index).__name__ == "BlockIndex" else "integer"
        return {"sparse": _numpy_array(array.sp_values, builder, label), "at": index, "fill": fill, "length": len(array), "kind": kind}
    raise DataError(f"Column {label} of type {dtype} cannot be frozen by content: convert it to a type that pandas itself has.")


def _numpy_array(values: Any, builder: Builder, label: str) -> dict[str, Any]:
    if values.dtype.hasobject:
        return {"objects": builder.add(Values(values, label))}
    if values.dtype.names is not None:
        raise DataError(f"Column {label} of the structured type {values.dtype} cannot be frozen by content: split it into columns.")
    return {"numpy": builder.add(Raw(values))}


def _as_arrow(array: Any) -> Any:
    import pyarrow as pa

    held = getattr(array, "_pa_array", None)
    if held is not None:
        return held
    return pa.array([None if item is array.dtype.na_value or item != item else item for item in array], pa.large_string())


def _load_array(plain: Mapping[str, Any], load: Load) -> Any:
    import numpy as np
    import pandas as pd

    if "numpy" in plain:
        return _wrapped(load(plain["numpy"]))
    if "objects" in plain:
        items = load(plain["objects"])
        values = np.empty(len(items), object)
        for position, item in enumerate(items):
            values[position] = item
        return _wrapped(values)
    if "string" in plain:
        text: Any = pd.StringDtype("pyarrow", na_value=pd.NA if plain["missing"] == "NA" else np.nan)
        return text.construct_array_type()(_large(load(plain["string"])), dtype=text)
    if "arrow" in plain:
        return pd.arrays.ArrowExtensionArray(load(plain["arrow"]))
    if "masked" in plain:
        values, valid = load(plain["masked"])
        kinds = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}
        return kinds.get(values.dtype.kind, pd.arrays.IntegerArray)(values, ~valid)
    if "codes" in plain:
        category = pd.CategoricalDtype(_load_index(plain["categories"], load), ordered=plain["ordered"])
        return pd.Categorical.from_codes(load(plain["codes"]), dtype=category)
    if "moments" in plain:
        moments = load(plain["moments"]).view(f"M8[{plain['unit']}]")
        return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(scalars.zone_of(load(plain["zone"])[0])).array
    if "periods" in plain:
        return pd.arrays.PeriodArray(load(plain["periods"]), dtype=pd.PeriodDtype(plain["dtype"]))
    if "interval" in plain:
        left, right = (_load_index(side, load) for side in plain["interval"])
        return pd.arrays.IntervalArray.from_arrays(left, right, closed=plain["closed"])
    values = np.asarray(_load_array(plain["sparse"], load))
    fill = _load_value(plain["fill"], load)
    return _sparse(values, load(plain["at"]), fill, plain["length"], plain["kind"])


def _sparse(values: Any, at: Any, fill: Any, length: int, kind: str) -> Any:
    import numpy as np
    import pandas as pd

    dense = np.full(length, fill, dtype=values.dtype)
    dense[at] = values
    make: Any = pd.arrays.SparseArray
    return make(dense, fill_value=fill, kind=kind, dtype=pd.SparseDtype(values.dtype, fill))


def _wrapped(values: Any) -> Any:
    import pandas as pd

    kinds = {"M": pd.DatetimeIndex, "m": pd.TimedeltaIndex}
    return kinds[values.dtype.kind](values).array if values.dtype.kind in kinds else pd.arrays.NumpyExtensionArray(values)


def _large(texts: Any) -> Any:
    import pyarrow as pa

    return texts.cast(pa.large_string())
