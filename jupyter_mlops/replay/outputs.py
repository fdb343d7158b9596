"""What a cell showed, as recorded and as replayed: streams joined, displays one by one, each form by its own content."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import MlopsError
from ..records import Output
from ..store.objects import ObjectStore
from .texts import DIFFERENT, PLAIN, SAME, TOLERANCE, UNCOMPARED, Compared, Context, close, compare_texts, short

PIXEL_TOLERANCE = 3
"""Levels, of 255, that a colour may differ by and still be equal within tolerance: the rounding of smoothed edges."""

_WIDGETS = ("application/vnd.jupyter.widget-view+json",)
_DATA = re.compile(r"application/(?:.*\+)?json|application/geo\+json")
# Numbers that pages count up or draw by lot so that two plots can stand on one page: names, no content.
_IDS = re.compile(
    r"sk-(?:container|estimator)-id-\d+|\bT_[0-9a-f]{5}(?=\b|_)|altair-viz-[0-9a-f]{32}"
    r"|(?<=id=[\"'])(?:df-|fig_el|el)?[0-9a-f]{10,40}|\bmpl_figure_\w+|\bdf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_HEX = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)
_PLOTS = ("plotly", "vega", "bokeh")
_SVG_NOISE = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<dc:date>.*?</dc:date>", re.DOTALL)
_SVG_ID = re.compile(r"(?<=id=\")[^\"]+|(?<=url\(#)[^)]+|(?<=href=\"#)[^\"]+")
_JSON_IDS = frozenset({"id", "uid", "uuid", "model_id", "plotlyServerURL", "root_id", "docid", "root_ids"})


@dataclass(frozen=True, slots=True)
class Shown:
    """One thing that a cell showed, compared: `kind` is output or plot, `name` tells which."""

    kind: str
    name: str
    compared: Compared


def compare_outputs(
    recorded: Sequence[Any], replayed: Sequence[Any], objects: tuple[ObjectStore, ObjectStore], context: Context = PLAIN
) -> Iterator[Shown]:
    """Compare all that two executions showed; what only one of them shows differs."""
    sides = tuple(_arranged(outputs) for outputs in (recorded, replayed))
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        first, second = (side.get(key) for side in sides)
        kind = "plot" if any(_is_plot(data) for data in (first, second) if data) else "output"
        if first is None or second is None:
            yield Shown(kind, key, _one_sided(first, second, objects, context))
        else:
            yield Shown(kind, key, _bundles(first, second, objects, context))


def _arranged(outputs: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The mime bundles by the name that a reader knows them by: stdout, stderr, display 1, display 2, ..., result, result 2, ..."""
    found: dict[str, dict[str, Any]] = {}
    streams: dict[str, list[Any]] = {}
    count = results = 0
    for item in outputs:
        output = Output.of(item)
        data = {mime: value for mime, value in output.data.items() if mime not in _WIDGETS}
        if output.kind == "stream":
            streams.setdefault(output.name or "stdout", []).append(data.get("text/plain", ""))
        elif output.kind == "result":
            results += 1
            found["result" if results == 1 else f"result {results}"] = data
        elif output.kind == "display":
            count += 1
            found[f"display {count}"] = data
    return {name: {"text/plain": texts} for name, texts in streams.items()} | found


def _is_plot(data: Mapping[str, Any]) -> bool:
    return any(mime.startswith("image/") or _of_plot(mime) for mime in data)


def _of_plot(mime: str) -> bool:
    return any(name in mime for name in _PLOTS)


def _one_sided(
    first: Mapping[str, Any] | None, second: Mapping[str, Any] | None, objects: tuple[ObjectStore, ObjectStore], context: Context
) -> Compared:
    data, place = (first, objects[0]) if first is not None else (second, objects[1])
    try:
        text = _text((data or {}).get("text/plain", ""), place)
    except MlopsError:
        text = ""
    empty = {"text/plain": ""}
    if set(data or {}) <= set(empty):
        found = compare_texts(text, "", context) if first is not None else compare_texts("", text, context)
        if found.verdict != DIFFERENT:
            return found
    there, missing = short(text) or "something", "(nothing)"
    return Compared(DIFFERENT, recorded=there if first is not None else missing, replayed=missing if first is not None else there)


def _bundles(first: Mapping[str, Any], second: Mapping[str, Any], objects: tuple[ObjectStore, ObjectStore], context: Context) -> Compared:
    if set(first) != set(second):
        return Compared(DIFFERENT, "shown in other forms", recorded=", ".join(sorted(first)), replayed=", ".join(sorted(second)))
    if not first:
        return Compared(UNCOMPARED, "a widget's content is in the page alone, and is not recorded")
    found = []
    for mime in first:
        try:
            texts = _text(first[mime], objects[0]), _text(second[mime], objects[1])
        except MlopsError as error:
            found.append(Compared(UNCOMPARED, f"its content is not in the store ({error})"))
            continue
        found.append(SAME if texts[0] == texts[1] else comparer(mime)(*texts, context))
    return worst(found)


def worst(found: Sequence[Compared]) -> Compared:
    """The comparison that decides: what differs, else what could not be compared without or with an excuse, else what is only close."""
    ranks = {DIFFERENT: 4, UNCOMPARED: 2, TOLERANCE: 1}

    def rank(item: Compared) -> float:
        lacking = item.verdict == UNCOMPARED and not item.excused
        return ranks.get(item.verdict, 0) + (1.0 if lacking else 0.5 if item.doubtful else 0.0)

    return max(found, key=rank, default=SAME)


def _text(value: Any, objects: ObjectStore) -> str:
    if isinstance(value, list):
        return "".join(_text(item, objects) for item in value)
    if isinstance(value, Mapping) and set(value) == {"object", "size"}:
        return objects.get(value["object"]).decode("utf-8", "replace")
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def comparer(mime: str) -> Callable[[str, str, Context], Compared]:
    """How texts of a mime type are compared."""
    if mime in ("image/png", "image/jpeg", "image/gif"):
        return lambda a, b, context: compare_images(_decoded(a), _decoded(b))
    if mime == "image/svg+xml":
        return lambda a, b, context: compare_texts(plain_svg(a), plain_svg(b), context)
    if mime == "text/html":
        return compare_html
    if _DATA.fullmatch(mime):
        return compare_plots if _of_plot(mime) else compare_json
    return compare_texts


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return text.encode()


def compare_images(a: bytes, b: bytes) -> Compared:
    """Compare two pictures pixel by pixel."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        first, second = (np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"), np.int16) for data in (a, b))
    except (UnidentifiedImageError, OSError, ValueError):
        return Compared(DIFFERENT, "other bytes", recorded=f"{len(a)} bytes", replayed=f"{len(b)} bytes")
    sizes = [f"{item.shape[1]} x {item.shape[0]} pixels" for item in (first, second)]
    if first.shape != second.shape:
        return Compared(DIFFERENT, "another size", recorded=sizes[0], replayed=sizes[1])
    apart = np.abs(first - second).max(axis=2)
    if not apart.any():
        return SAME
    changed = int((apart > 0).sum())
    share = f"{changed:,} of {apart.size:,} pixels differ"
    if int(apart.max()) <= PIXEL_TOLERANCE:
        return Compared(TOLERANCE, f"{share}, by {int(apart.max())} of 255 levels at most")
    row, column = (int(item[0]) for item in np.nonzero(apart))
    values = [f"rgba{tuple(int(level) for level in side[row, column])} at {column}, {row}" for side in (first, second)]
    return Compared(DIFFERENT, share, recorded=values[0], replayed=values[1])


def plain_svg(text: str) -> str:
    """A vector picture without the date it was made on and with its parts numbered in the order of the text."""
    numbers: dict[str, str] = {}
    text = _SVG_NOISE.sub("", text)
    return _SVG_ID.sub(lambda match: numbers.setdefault(match[0], f"part{len(numbers)}"), text)


def compare_html(a: str, b: str, context: Context = PLAIN) -> Compared:
    """Compare two pages without the names that libraries give to their parts."""
    first, second = (html.unescape(_page(text)) for text in (a, b))
    found = compare_texts(first, second, context)
    readable = [short(re.sub(r"<[^>]*>", " ", text)) for text in (found.recorded, found.replayed)]
    return replace(found, recorded=readable[0], replayed=readable[1])


def _page(text: str) -> str:
    """A page with the names of its parts numbered; identifiers that a reader sees are content."""
    numbers: dict[str, str] = {}
    return _MARKUP.sub(lambda match: _numbered(match[0], numbers), _named(text, _IDS, numbers))


def _numbered(text: str, numbers: dict[str, str]) -> str:
    return _named(_named(text, _IDS, numbers), _HEX, numbers)


def _named(text: str, pattern: re.Pattern[str], numbers: dict[str, str]) -> str:
    return pattern.sub(lambda match: numbers.setdefault(match[0], f"name{len(numbers)}"), text)


def compare_json(a: str, b: str, context: Context = PLAIN) -> Compared:
    """Compare two JSON values: all that differs in them, of which the worst counts."""
    return _json(a, b, context, lambda value: value)


def compare_plots(a: str, b: str, context: Context = PLAIN) -> Compared:
    """Compare the data of two interactive plots without the ids of their parts."""
    return _json(a, b, context, lambda value: _renamed(value, {}))


def _json(a: str, b: str, context: Context, prepared: Callable[[Any], Any]) -> Compared:
    try:
        first, second = prepared(json.loads(a)), prepared(json.loads(b))
    except ValueError:
        return compare_texts(a, b, context)
    found: list[Compared] = []
    for path, x, y, near in _differences(first, second, ""):
        compared = Compared(TOLERANCE, "equal but for the last digits of floats") if near else compare_texts(x, y, context)
        found.append(replace(compared, why=compared.why or f"at {path}", recorded=short(x), replayed=short(y)))
        if compared.verdict == DIFFERENT:
            break
    decisive = worst(found)
    # Which words are in doubt is told by their places in the whole.
    whole = json.dumps(first, indent=1), json.dumps(second, indent=1)
    return compare_texts(whole[0], whole[1], context) if decisive.doubtful else decisive


def _renamed(value: Any, numbers: dict[str, str]) -> Any:
    """Data without the ids of its parts, and with names that were made from hashes numbered."""
    if isinstance(value, dict):
        return {
            _numbered(key, numbers): _renamed(item, numbers)
            for key, item in value.items()
            if key not in _JSON_IDS and not _is_roots(key, item)
        }
    if isinstance(value, list):
        return [_renamed(item, numbers) for item in value]
    return _numbered(value, numbers) if isinstance(value, str) else value


def _is_roots(key: str, value: Any) -> bool:
    """Whether these are the places in the page that Bokeh gives its plots; a list of roots is the plots themselves."""
    return key == "roots" and isinstance(value, dict)


def _differences(a: Any, b: Any, path: str) -> Iterator[tuple[str, str, str, bool]]:
    """Where two JSON values differ: path, both as text, and whether they are numbers within tolerance."""
    if isinstance(a, dict) and isinstance(b, dict) and set(a) == set(b):
        for key in a:
            yield from _differences(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for place, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _differences(x, y, f"{path}[{place}]")
    elif isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool) and not isinstance(b, bool):
        if a != b and not (a != a and b != b):
            yield path, str(a), str(b), isinstance(a + b, float) and close(float(a), float(b))
    elif a != b:
        yield path, json.dumps(a), json.dumps(b), False
