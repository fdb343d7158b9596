"""Arrow arrays as canonical streams of bytes and back.

An array becomes a list of streams, so that equal values give equal streams whatever the offsets, chunks, widths of offsets, views,
run ends, and bytes under nulls: one byte for each validity bit and boolean, fixed-width values with nulls zeroed, and lengths (32 bits)
followed by what they measure. Streams of consecutive rows, put after one another, are the streams of all these rows.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from ..errors import DataError

_LAYOUTS = {"large_string": "string", "string_view": "string", "large_binary": "binary", "binary_view": "binary"}
_SIMPLE = frozenset(
    (
        "null",
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "halffloat",
        "float",
        "double",
        "string",
        "binary",
        "date32[day]",
        "date64[ms]",
        "time32[s]",
        "time32[ms]",
        "time64[us]",
        "time64[ns]",
        "month_day_nano_interval",
        "duration[s]",
        "duration[ms]",
        "duration[us]",
        "duration[ns]",
    )
)
_NAMED = {"halffloat": "float16", "float": "float32", "double": "float64", "bool": "bool_"}


def describe(kind: Any) -> Any:
    """The type as plain JSON, the same for all layouts of the same values; raises `DataError` for unions."""
    import pyarrow as pa

    types = pa.types
    text = _LAYOUTS.get(str(kind), str(kind))
    if isinstance(kind, pa.BaseExtensionType):
        data = base64.b64encode(_serialized(kind)).decode()
        return {"extension": kind.extension_name, "data": data, "storage": describe(kind.storage_type)}
    if text in _SIMPLE:
        return text
    if types.is_timestamp(kind):
        return {"timestamp": kind.unit, "zone": kind.tz}
    if types.is_decimal(kind):
        return {"decimal": kind.bit_width, "precision": kind.precision, "scale": kind.scale}
    if types.is_fixed_size_binary(kind):
        return {"bytes": kind.byte_width}
    if types.is_dictionary(kind):
        return {"dictionary": describe(kind.value_type), "index": str(kind.index_type), "ordered": kind.ordered}
    if types.is_run_end_encoded(kind):
        return describe(kind.value_type)
    if types.is_map(kind):
        return {"map": [describe(kind.key_type), describe(kind.item_type)], "sorted": kind.keys_sorted}
    if types.is_fixed_size_list(kind):
        return {"list": field(kind.value_field), "size": kind.list_size}
    if types.is_list(kind) or types.is_large_list(kind) or types.is_list_view(kind) or types.is_large_list_view(kind):
        return {"list": field(kind.value_field)}
    if types.is_struct(kind):
        return {"struct": [field(kind.field(index)) for index in range(kind.num_fields)]}
    raise DataError(f"values of the Arrow type {kind} cannot be frozen by content")


def build_type(plain: Any) -> Any:
    """The Arrow type that `describe` described, in its plainest layout."""
    import pyarrow as pa

    if isinstance(plain, str):
        return _parsed(plain)
    if "extension" in plain:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(plain["data"]))).field(0).type
    if "timestamp" in plain:
        return pa.timestamp(plain["timestamp"], plain["zone"])
    if "decimal" in plain:
        kind = {32: pa.decimal32, 64: pa.decimal64, 128: pa.decimal128, 256: pa.decimal256}[plain["decimal"]]
        return kind(plain["precision"], plain["scale"])
    if "bytes" in plain:
        return pa.binary(plain["bytes"])
    if "dictionary" in plain:
        return pa.dictionary(_parsed(plain["index"]), build_type(plain["dictionary"]), plain["ordered"])
    if "map" in plain:
        return pa.map_(build_type(plain["map"][0]), build_type(plain["map"][1]), plain["sorted"])
    if "list" in plain:
        return pa.list_(build_field(plain["list"]), plain.get("size", -1))
    return pa.struct([build_field(item) for item in plain["struct"]])


def streams(array: Any, nullable: bool) -> list[Any]:
    """The canonical streams of an array, as NumPy arrays; `nullable` tells whether validity is among them."""
    import numpy as np
    import pyarrow as pa

    types, kind = pa.types, array.type
    if isinstance(kind, pa.BaseExtensionType):
        return streams(array.storage, nullable)
    if types.is_dictionary(kind):
        return streams(decode_dictionary(array), nullable)
    if types.is_run_end_encoded(kind):
        import pyarrow.compute as pc

        return streams(pc.run_end_decode(array), nullable)
    if types.is_null(kind):
        return []
    head = [_valid(array)] if nullable else []
    if types.is_boolean(kind):
        values = _bits(array.buffers()[1], array.offset, len(array))
        return [*head, values & head[0] if array.null_count else values]
    if _is_text(kind):
        return [*head, *_text_streams(array)]
    if types.is_struct(kind):
        children = array.flatten()
        return head + [stream for child in children for stream in streams(child, nullable=True)]
    if types.is_map(kind) or types.is_list(kind) or types.is_large_list(kind) or types.is_list_view(kind) or types.is_large_list_view(kind):
        if types.is_map(kind):
            array = _map_as_list(array)
        return [*head, _list_lengths(array), *streams(array.flatten(), nullable=True)]
    if types.is_fixed_size_list(kind):
        return head + streams(array.flatten(), nullable=True)
    width = kind.bit_width // 8
    first, last = array.offset * width, (array.offset + len(array)) * width
    values = np.frombuffer(array.buffers()[1] or b"", np.uint8)[first:last].reshape(-1, width)
    if array.null_count:
        values = np.where(_valid(array)[:, None] != 0, values, np.uint8(0))
    return [*head, _words(values, width)]


def widths(plain: Any, nullable: bool) -> list[int]:
    """Bytes of one element in each stream of a described type."""
    head = [1] if nullable else []
    if plain == "null":
        return []
    if isinstance(plain, str):
        if plain in ("string", "binary"):
            return [*head, 4, 1]
        return [*head, 1 if plain == "bool" else build_type(plain).bit_width // 8]
    if "extension" in plain:
        return widths(plain["storage"], nullable)
    if "dictionary" in plain:
        return widths(plain["dictionary"], nullable)
    if "map" in plain:
        return [*head, 4, 1, *widths(plain["map"][0], True), *widths(plain["map"][1], True)]
    if "list" in plain:
        return [*head, *([] if "size" in plain else [4]), *widths(plain["list"]["type"], True)]
    if "struct" in plain:
        return head + [width for item in plain["struct"] for width in widths(item["type"], True)]
    return [*head, build_type(plain).bit_width // 8]


def rebuild(plain: Any, rows: int, parts: Iterator[bytes], nullable: bool) -> Any:
    """The array whose streams are `parts`."""
    import numpy as np
    import pyarrow as pa

    if plain == "null":
        return pa.nulls(rows)
    if isinstance(plain, dict) and "extension" in plain:
        storage = rebuild(plain["storage"], rows, parts, nullable)
        kind = build_type(plain)
        return pa.ExtensionArray.from_storage(kind, storage) if isinstance(kind, pa.BaseExtensionType) else storage
    if isinstance(plain, dict) and "dictionary" in plain:
        return rebuild(plain["dictionary"], rows, parts, nullable)
    valid = np.frombuffer(next(parts), np.uint8) if nullable else None
    mask = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    kind = build_type(plain)
    if plain == "bool":
        values = np.packbits(np.frombuffer(next(parts), np.uint8), bitorder="little")
        return pa.Array.from_buffers(kind, rows, [mask, pa.py_buffer(values)])
    if plain in ("string", "binary"):
        offsets = _offsets(next(parts))
        return pa.Array.from_buffers(kind, rows, [mask, pa.py_buffer(offsets), pa.py_buffer(next(parts))])
    if isinstance(plain, dict) and "struct" in plain:
        fields = [rebuild(item["type"], rows, parts, nullable=True) for item in plain["struct"]]
        return pa.Array.from_buffers(kind, rows, [mask], children=[_encoded(part, kind.field(at).type) for at, part in enumerate(fields)])
    if isinstance(plain, dict) and "list" in plain and "size" in plain:
        return _rebuild_fixed_list(plain, kind, rows, parts, mask, valid)
    if isinstance(plain, dict) and ("list" in plain or "map" in plain):
        offsets = _offsets(next(parts))
        pair = [_plain_field(name, kind) for name, kind in zip(("key", "value"), plain.get("map", ()), strict=False)]
        child = rebuild({"struct": pair} if pair else plain["list"]["type"], int(offsets[-1]), parts, nullable=True)
        if "map" in plain:
            child = pa.StructArray.from_arrays(child.flatten(), fields=[kind.key_field, kind.item_field])
        else:
            child = _encoded(child, kind.value_type)
        return pa.Array.from_buffers(kind, rows, [mask, pa.py_buffer(offsets)], children=[child])
    return pa.Array.from_buffers(kind, rows, [mask, pa.py_buffer(next(parts))])


def _rebuild_fixed_list(plain: Any, kind: Any, rows: int, parts: Iterator[bytes], mask: Any, valid: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    size = plain["size"]
    present = rows if valid is None else int(np.count_nonzero(valid))
    child = _encoded(rebuild(plain["list"]["type"], present * size, parts, nullable=True), kind.value_type)
    if present < rows:
        # Null lists have no elements in the streams, but take room in an Arrow array.
        starts = np.where(valid != 0, np.cumsum(valid, dtype=np.int64) - 1, -1)
        places = np.where(starts[:, None] < 0, -1, starts[:, None] * size + np.arange(size)).ravel()
        child = child.take(pa.array(places, mask=places < 0))
    return pa.Array.from_buffers(kind, rows, [mask], children=[child])


def encoded(array: Any, plain: Any) -> Any:
    """Dictionary-encodes a rebuilt chunked array where its type asks for it."""
    return _encoded(array, build_type(plain))


def _encoded(array: Any, kind: Any) -> Any:
    import pyarrow as pa

    if not pa.types.is_dictionary(kind) or pa.types.is_dictionary(array.type):
        return array
    return array.dictionary_encode().cast(pa.dictionary(kind.index_type, kind.value_type, False)).cast(kind)


def decode_dictionary(array: Any) -> Any:
    """The values of a dictionary-encoded array; pyarrow itself cannot take from views."""
    import pyarrow as pa

    values = array.dictionary
    if pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type):
        values = values.cast(pa.large_string() if pa.types.is_string_view(values.type) else pa.large_binary())
    return values.take(array.indices)


def _valid(array: Any) -> Any:
    import numpy as np

    buffers = array.buffers()
    if array.null_count == 0 or buffers[0] is None:
        return np.ones(len(array), np.uint8)
    return _bits(buffers[0], array.offset, len(array))


def _bits(buffer: Any, offset: int, length: int) -> Any:
    import numpy as np

    first = offset // 8
    packed = np.frombuffer(buffer or b"", np.uint8)[first : (offset + length + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[offset - first * 8 : offset - first * 8 + length]


def _is_text(kind: Any) -> bool:
    return _LAYOUTS.get(str(kind), str(kind)) in ("string", "binary")


def _text_streams(array: Any) -> list[Any]:
    import numpy as np
    import pyarrow as pa

    text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
    if "view" in str(array.type):
        array = array.cast(pa.large_string() if text else pa.large_binary())
    if array.null_count:
        array = array.fill_null("" if text else b"")
    large = "large" in str(array.type)
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return [np.empty(0, np.uint32), np.empty(0, np.uint8)]
    ends = np.frombuffer(offsets, np.int64 if large else np.int32)[array.offset : array.offset + len(array) + 1]
    return [_lengths(np.diff(ends)), np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]]


def _list_lengths(array: Any) -> Any:
    import numpy as np

    return _lengths(array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64))


def _lengths(lengths: Any) -> Any:
    import numpy as np

    if lengths.size and int(lengths.max()) >= 2**32:
        raise DataError("a single value is larger than 4 GiB")
    return lengths.astype(np.uint32)


def _offsets(stream: bytes) -> Any:
    import numpy as np

    lengths = np.frombuffer(stream, np.uint32)
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _map_as_list(array: Any) -> Any:
    import pyarrow as pa

    buffers = array.buffers()
    kind = pa.list_(pa.struct([array.type.key_field, array.type.item_field]))
    items = pa.StructArray.from_arrays([array.keys, array.items], fields=[array.type.key_field, array.type.item_field])
    return pa.Array.from_buffers(kind, len(array), buffers[:2], array.null_count, array.offset, children=[items])


def _words(values: Any, width: int) -> Any:
    """Rows of bytes as unsigned integers where there are such, for hashing and compression."""
    import numpy as np

    kinds: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
    return values.reshape(-1).view(kinds[width]) if width in kinds else values


def field(item: Any) -> Any:
    """A field as plain JSON."""
    return {"name": item.name, "type": describe(item.type), "nullable": item.nullable, "metadata": metadata(item.metadata)}


def _plain_field(name: str, plain: Any) -> Any:
    return {"name": name, "type": plain, "nullable": True, "metadata": None}


def build_field(plain: Any) -> Any:
    """The field that `field` described."""
    import pyarrow as pa

    return pa.field(plain["name"], build_type(plain["type"]), plain["nullable"], build_metadata(plain["metadata"]))


def metadata(pairs: Any) -> Any:
    """Key-value metadata of a schema or field as plain JSON."""
    return None if not pairs else sorted([base64.b64encode(key).decode(), base64.b64encode(value).decode()] for key, value in pairs.items())


def build_metadata(plain: Any) -> Any:
    """The metadata that `metadata` described."""
    return None if plain is None else {base64.b64decode(key): base64.b64decode(value) for key, value in plain}


def _serialized(kind: Any) -> bytes:
    import pyarrow as pa

    # pyarrow shows the parameters of an extension type only inside a serialized schema.
    return bytes(pa.schema([pa.field("", kind)]).serialize())


def _parsed(text: str) -> Any:
    import pyarrow as pa

    if "[" in text:
        name, unit = text[:-1].split("[")
        make = getattr(pa, name)
        return make() if name.startswith("date") else make(unit)
    return getattr(pa, _NAMED.get(text, text))()
