"""Two thousand generated names and values of parameters, metrics and tags: whatever MLflow does not take is kept whole beside it."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import jupyter_mlops as mlops
from tests.delivered import artifact, settled, with_database
from tests.faults.counting import Recorder

NAMES = 2000
PIECES = ("a", "B", "0", "_", "-", ".", " ", ":", "/", "//", "..", "./", "?", "!", "=", "é", "e\u0301", "ß", "漢字", "🦊",
          "👩‍🔬", "\u202e", "\ufeff", "\n", "\t",
          "\0", "\x7f", "\ud800", "'", '"', "`", "%s", "\\", "<b>", "{x}", "null", "x" * 249, "y" * 300)  # fmt: skip
NUMBERS = (0, -0.0, 1, -1, 0.1, 1e-320, 1.7976931348623157e308, math.nan, math.inf, -math.inf, 2**53 + 1, 2**70 + 1, -(10**400))
TEXTS = (
    "",
    " ",
    "plain",
    "é🦊漢字",
    "\0middle",
    "line\nline",
    "\ud800 alone",
    "z" * 6000,
    "ž" * 9000,
    "NaN",
    "None",
    "'",
    '{"json": [1, 2]}',
)
OTHERS = (True, False, None, [1, 2.5, "three"], {"deep": {"er": [None, math.inf]}}, list(range(3000)))


def generated(seed: int, value: Callable[[random.Random], Any]) -> dict[str, Any]:
    """A third of the names, each with a value."""
    chance = random.Random(seed)
    found = {name: value(chance) for name in ("", "a?b", "a!b", "y" * 300 + "1", "y" * 300 + "2")}
    while len(found) < NAMES // 3 + 1:
        found["".join(chance.choices(PIECES, k=chance.randint(1, 6)))] = value(chance)
    return found


PARAMS = generated(1, lambda chance: chance.choice((*TEXTS, *OTHERS)))
METRICS = generated(2, lambda chance: chance.choice((*NUMBERS, chance.uniform(-1e6, 1e6))))
TAGS = generated(3, lambda chance: chance.choice([text for text in TEXTS if text]))


def readable(value: Any) -> Any:
    """A value as a JSON file holds it: what is not finite is written out."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[str(value)]
    if isinstance(value, dict):
        return {name: readable(item) for name, item in value.items()}
    return [readable(item) for item in value] if isinstance(value, list) else value


def differing(given: Mapping[str, Any], there: Mapping[str, Any], whole: Mapping[str, Any], plain: Callable[[Any], Any]) -> dict[str, Any]:
    """The names whose value can be read neither from MLflow nor from the file of whole values, and keys of MLflow's that names share."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in whole:
            kept = whole[name]["value"] if "value" in whole[name] else whole[name]["values"][0][1]
            right = kept == readable(value) and whole[name]["key"] in there
        else:
            right = name in there and there[name] == plain(value)
        if not right:
            found[name] = (value, there.get(name), whole.get(name))
    keys = Counter(whole.get(name, {}).get("key", name) for name in given)
    return found | {key: "shared" for key, count in keys.items() if count > 1}


@pytest.fixture
def told(project: Path) -> tuple[Any, dict[str, Any]]:
    """What MLflow has after all names were logged: the run's data, and the file of whole values."""
    with_database(project)
    with mlops.track("names"):
        mlops.log(PARAMS)
        mlops.log(METRICS)
        mlops.tag(TAGS)
    [run] = settled(project)
    assert "mlops.skipped" not in run.data.tags
    return run.data, json.loads(artifact(project, run, "mlops/values.json"))


def test_names_and_values_of_every_kind_are_kept_whole(told: tuple[Any, dict[str, Any]], record_property: Recorder) -> None:
    data, whole = told
    assert len(PARAMS) + len(METRICS) + len(TAGS) > NAMES
    assert differing(PARAMS, data.params, whole["params"], str) == {}
    assert differing(METRICS, data.metrics, whole["metrics"], float) == {}
    assert differing(TAGS, data.tags, whole["tags"], str) == {}
    record_property("faults", len(PARAMS) + len(METRICS) + len(TAGS))
