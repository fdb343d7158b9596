"""Python values as bytes and back, without pickle: the cells of object columns, labels, names and attributes.

One value has one encoding, and what is decoded equals what was encoded, type included. These types are known, and nothing else is:
None, Ellipsis, bool, int, float, complex, str, bytes, bytearray, Decimal, Fraction, UUID, date, time, datetime (naive, fixed offset,
zoneinfo), timedelta, slice, range, Path, list, tuple, dict, set, frozenset; NumPy scalars and arrays; pandas NA, NaT, Timestamp,
Timedelta, Period, Interval and DateOffset by its frequency. Floats count by their bits, so that NaN payloads and -0.0 are kept.
"""

from __future__ import annotations

import datetime as dt
import fractions
import pathlib
import struct
import sys
import uuid
import zoneinfo
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from ..errors import Corrupt, DataError

_DEPTH = 64
_FLOAT = struct.Struct("<d")
_COMPLEX = struct.Struct("<dd")
_PATHS: dict[type, str] = {kind: kind.__name__ for kind in (pathlib.PurePosixPath, pathlib.PureWindowsPath, type(pathlib.Path()))}


def encode(value: Any) -> bytes:
    """The bytes of one value; raises `DataError` for a type that is not known."""
    out = bytearray()
    _write(value, out, 0)
    return bytes(out)


def decode(data: Any) -> Any:
    """The value of some bytes."""
    return _Reader(memoryview(data)).value()


def _write(value: Any, out: bytearray, depth: int) -> None:
    if depth > _DEPTH:
        raise DataError("a value is nested too deeply, or contains itself")
    kind = type(value)
    writer = _WRITERS.get(kind)
    if writer is None:
        writer = _extension(value, kind)
    writer(value, out, depth)


def _text(tag: bytes) -> Callable[[Any, bytearray, int], None]:
    def write(value: Any, out: bytearray, depth: int) -> None:
        _sized(tag, str(value).encode("utf-8", "surrogatepass"), out)

    return write


def _sized(tag: bytes, data: Any, out: bytearray) -> None:
    out += tag
    out += _count(len(data))
    out += data


def _count(number: int) -> bytes:
    """A length as a variable-length integer (LEB128)."""
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _items(tag: bytes) -> Callable[[Any, bytearray, int], None]:
    def write(value: Any, out: bytearray, depth: int) -> None:
        out += tag
        out += _count(len(value))
        for item in value:
            _write(item, out, depth + 1)

    return write


def _parts(tag: bytes, parts: Callable[[Any], Iterable[Any]]) -> Callable[[Any, bytearray, int], None]:
    """Writes a value as the tuple of its parts."""

    def write(value: Any, out: bytearray, depth: int) -> None:
        out += tag
        for item in parts(value):
            _write(item, out, depth + 1)

    return write


def _write_int(value: int, out: bytearray, depth: int) -> None:
    _sized(b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True), out)


def _write_dict(value: dict[Any, Any], out: bytearray, depth: int) -> None:
    out += b"m" + _count(len(value))
    for key, item in value.items():
        _write(key, out, depth + 1)
        _write(item, out, depth + 1)


def _set(tag: bytes) -> Callable[[Any, bytearray, int], None]:
    def write(value: Any, out: bytearray, depth: int) -> None:
        encoded = []
        for item in value:
            part = bytearray()
            _write(item, part, depth + 1)
            encoded.append(bytes(part))
        out += tag + _count(len(encoded)) + b"".join(sorted(encoded))

    return write


def plain_zone(zone: dt.tzinfo | None) -> Any:
    """A time zone as a plain value: None, its name, or its offset in seconds with its own name."""
    if zone is None:
        return None
    if type(zone) is dt.timezone:
        offset, shown = zone.utcoffset(None), zone.tzname(None)
        return (offset, None if dt.timezone(offset).tzname(None) == shown else shown)
    name: Any = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if not isinstance(name, str):
        raise DataError(f"the time zone {zone!r} has no name")
    return name


def zone_of(plain: Any) -> dt.tzinfo | None:
    """The time zone that `plain_zone` described."""
    if plain is None or isinstance(plain, str):
        return None if plain is None else zoneinfo.ZoneInfo(plain)
    offset, name = plain
    if not offset and name is None:
        return dt.UTC
    return dt.timezone(offset) if name is None else dt.timezone(offset, name)


def _clock(value: dt.datetime | dt.time) -> tuple[int, ...]:
    return (value.hour, value.minute, value.second, value.microsecond, value.fold)


def _date(value: dt.date) -> tuple[int, int, int]:
    return (value.year, value.month, value.day)


_WRITERS: dict[type, Callable[[Any, bytearray, int], None]] = {
    type(None): lambda value, out, depth: out.extend(b"N"),
    type(...): lambda value, out, depth: out.extend(b"E"),
    bool: lambda value, out, depth: out.extend(b"T" if value else b"F"),
    int: _write_int,
    float: lambda value, out, depth: out.extend(b"f" + _FLOAT.pack(value)),
    complex: lambda value, out, depth: out.extend(b"c" + _COMPLEX.pack(value.real, value.imag)),
    str: _text(b"s"),
    bytes: lambda value, out, depth: _sized(b"b", value, out),
    bytearray: lambda value, out, depth: _sized(b"B", value, out),
    Decimal: _text(b"D"),
    fractions.Fraction: _parts(b"Q", lambda value: (value.numerator, value.denominator)),
    uuid.UUID: lambda value, out, depth: out.extend(b"u" + value.bytes),
    dt.timedelta: _parts(b"d", lambda value: (value.days, value.seconds, value.microseconds)),
    dt.date: _parts(b"y", _date),
    dt.time: _parts(b"h", lambda value: (*_clock(value), plain_zone(value.tzinfo))),
    dt.datetime: _parts(b"t", lambda value: (*_date(value), *_clock(value), plain_zone(value.tzinfo))),
    slice: _parts(b"/", lambda value: (value.start, value.stop, value.step)),
    range: _parts(b"r", lambda value: (value.start, value.stop, value.step)),
    list: _items(b"l"),
    tuple: _items(b"("),
    dict: _write_dict,
    set: _set(b"S"),
    frozenset: _set(b"Z"),
    **{kind: _parts(b"p", lambda value: (_PATHS[type(value)], str(value))) for kind in _PATHS},
}


def _extension(value: Any, kind: type) -> Callable[[Any, bytearray, int], None]:
    """The writer of a NumPy or pandas value. A value of theirs cannot exist unless they are imported."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None:
        if kind is numpy.ndarray:
            return _write_array
        if isinstance(value, numpy.generic) and kind.__module__ == "numpy" and kind is not numpy.object_:
            return _write_array_scalar
    if pandas is not None:
        if value is pandas.NaT or value is pandas.NA:
            return lambda value, out, depth: out.extend(b"P" if value is pandas.NaT else b"A")
        if kind is pandas.Timestamp:
            return _parts(b"X", lambda value: (value.unit, value.asm8.view("int64").item(), plain_zone(value.tzinfo), value.fold))
        if kind is pandas.Timedelta:
            return _parts(b"Y", lambda value: (value.unit, value.asm8.view("int64").item()))
        if kind is pandas.Period:
            return _parts(b"O", lambda value: (value.ordinal, value.freqstr))
        if kind is pandas.Interval:
            return _parts(b"I", lambda value: (value.left, value.right, value.closed))
        if isinstance(value, pandas.tseries.offsets.BaseOffset):
            return _parts(b"o", lambda value: (frequency(value),))
    raise DataError(f"a value of type {kind.__module__}.{kind.__qualname__} cannot be frozen by content")


def frequency(offset: Any) -> str:
    """The text of a pandas frequency, if pandas reads the same frequency back from it."""
    import pandas as pd

    text: str = offset.freqstr
    try:
        same = pd.tseries.frequencies.to_offset(text) == offset
    except (ValueError, TypeError):
        same = False
    if not same:
        raise DataError(f"the frequency {offset!r} cannot be written as text")
    return text


def _write_array(value: Any, out: bytearray, depth: int) -> None:
    if value.dtype.names is not None or value.dtype.char == "T":
        raise DataError(f"an array of {value.dtype} inside a cell cannot be frozen by content")
    out += b"a"
    _write(value.dtype.str, out, depth + 1)
    _write(value.shape, out, depth + 1)
    _write(value.ravel().tolist() if value.dtype.hasobject else value.tobytes(), out, depth + 1)


def _write_array_scalar(value: Any, out: bytearray, depth: int) -> None:
    import numpy as np

    out += b"n"
    _write_array(np.array(value), out, depth)


class _Reader:
    """Reads the values that the writers wrote."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def value(self) -> Any:
        tag = self._take(1)
        reader = _READERS.get(tag)
        if reader is None:
            raise Corrupt("A value", "this snapshot")
        return reader(self)

    def values(self, number: int) -> list[Any]:
        return [self.value() for _ in range(number)]

    def count(self) -> int:
        number = shift = 0
        while True:
            byte = self._take(1)[0]
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7

    def sized(self) -> bytes:
        return self._take(self.count())

    def text(self) -> str:
        return self.sized().decode("utf-8", "surrogatepass")

    def raw(self, number: int) -> bytes:
        return self._take(number)

    def _take(self, number: int) -> bytes:
        part = bytes(self._data[self._at : self._at + number])
        if len(part) != number:
            raise Corrupt("A value", "this snapshot")
        self._at += number
        return part


def _read_dict(reader: _Reader) -> dict[Any, Any]:
    return {reader.value(): reader.value() for _ in range(reader.count())}


def _read_datetime(reader: _Reader) -> dt.datetime:
    year, month, day, hour, minute, second, micro, fold, zone = reader.values(9)
    return dt.datetime(year, month, day, hour, minute, second, micro, zone_of(zone), fold=fold)


def _read_time(reader: _Reader) -> dt.time:
    hour, minute, second, micro, fold, zone = reader.values(6)
    return dt.time(hour, minute, second, micro, zone_of(zone), fold=fold)


def _read_path(reader: _Reader) -> pathlib.PurePath:
    name, text = reader.values(2)
    kinds: dict[str, type[pathlib.PurePath]] = {"PurePosixPath": pathlib.PurePosixPath, "PureWindowsPath": pathlib.PureWindowsPath}
    return kinds.get(name, pathlib.Path)(text)


def _read_array(reader: _Reader) -> Any:
    import numpy as np

    dtype, shape, content = reader.values(3)
    if isinstance(content, list):
        array = np.empty(len(content), object)
        array[:] = content
        return array.reshape(shape)
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _read_array_scalar(reader: _Reader) -> Any:
    reader.raw(1)
    return _read_array(reader)[()]


def _read_timestamp(reader: _Reader) -> Any:
    import numpy as np
    import pandas as pd

    unit, number, zone, fold = reader.values(4)
    stamp = pd.Timestamp(np.datetime64(number, unit))
    if zone is None:
        return stamp.replace(fold=fold) if fold else stamp
    return stamp.tz_localize("UTC").tz_convert(zone_of(zone))


def _read_timedelta(reader: _Reader) -> Any:
    import numpy as np
    import pandas as pd

    unit, number = reader.values(2)
    return pd.Timedelta(np.timedelta64(number, unit))


def _pandas(build: Callable[[Any, _Reader], Any]) -> Callable[[_Reader], Any]:
    def read(reader: _Reader) -> Any:
        import pandas as pd

        return build(pd, reader)

    return read


def _period(pandas: Any, reader: _Reader) -> Any:
    ordinal, freq = reader.values(2)
    return pandas.Period(ordinal=ordinal, freq=freq)


def _interval(pandas: Any, reader: _Reader) -> Any:
    left, right, closed = reader.values(3)
    return pandas.Interval(left, right, closed=closed)


_READERS: dict[bytes, Callable[[_Reader], Any]] = {
    b"N": lambda reader: None,
    b"E": lambda reader: ...,
    b"T": lambda reader: True,
    b"F": lambda reader: False,
    b"i": lambda reader: int.from_bytes(reader.sized(), "little", signed=True),
    b"f": lambda reader: _FLOAT.unpack(reader.raw(8))[0],
    b"c": lambda reader: complex(*_COMPLEX.unpack(reader.raw(16))),
    b"s": lambda reader: reader.text(),
    b"b": lambda reader: reader.sized(),
    b"B": lambda reader: bytearray(reader.sized()),
    b"D": lambda reader: Decimal(reader.text()),
    b"Q": lambda reader: fractions.Fraction(*reader.values(2)),
    b"u": lambda reader: uuid.UUID(bytes=reader.raw(16)),
    b"d": lambda reader: dt.timedelta(*reader.values(3)),
    b"y": lambda reader: dt.date(*reader.values(3)),
    b"h": _read_time,
    b"t": _read_datetime,
    b"/": lambda reader: slice(*reader.values(3)),
    b"r": lambda reader: range(*reader.values(3)),
    b"l": lambda reader: reader.values(reader.count()),
    b"(": lambda reader: tuple(reader.values(reader.count())),
    b"m": _read_dict,
    b"S": lambda reader: set(reader.values(reader.count())),
    b"Z": lambda reader: frozenset(reader.values(reader.count())),
    b"p": _read_path,
    b"a": _read_array,
    b"n": _read_array_scalar,
    b"P": _pandas(lambda pandas, reader: pandas.NaT),
    b"A": _pandas(lambda pandas, reader: pandas.NA),
    b"X": _read_timestamp,
    b"Y": _read_timedelta,
    b"O": _pandas(_period),
    b"I": _pandas(_interval),
    b"o": _pandas(lambda pandas, reader: pandas.tseries.frequencies.to_offset(reader.value())),
}
