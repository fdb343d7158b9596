"""YAML as plain values with their lines, whichever of the two loaders reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jupyter_mlops.errors import PipelineError
from jupyter_mlops.pipelines.definition import yaml_lines


@pytest.fixture(params=[True, False], ids=["in C", "in Python"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file to read, by the loader that is written in C, and by the other."""
    monkeypatch.setattr(yaml, "__with_libyaml__", request.param and yaml.__with_libyaml__)
    return tmp_path / "a.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-3", -3), ("+3", 3), ("0", 0), ("0x1F", 31), ("0o17", 15),
        ("007", "007"), ("1_000", "1_000"), ("12:30", "12:30"), ("2024-01-02", "2024-01-02"),
        ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("1.5E3", 1500.0), ("-.inf", float("-inf")),
        ("true", True), ("False", False), ("yes", "yes"), ("on", "on"), ("n", "n"),
        ("~", None), ("null", None), ("", None), ("'3'", "3"), ('"true"', "true"), ("!!str 3", "3"),
        ("[1, a]", [1, "a"]), ("{on: 1, 3: x}", {"on": 1, "3": "x"}), ("|\n  a\n  b\n", "a\nb\n"),
    ],
)  # fmt: skip
def test_scalars_are_what_they_look_like(file: Path, text: str, value: Any) -> None:
    file.write_text(f"key: {text}\n")
    found = yaml_lines.read(file).values["key"]
    assert (found, type(found)) == (value, type(value))


def test_every_value_has_its_line(file: Path) -> None:
    file.write_text("a:\n  - 1\n  - {b: 2,\n     c: 3}\nd: &shared {e: 4}\nf: *shared\n")
    document = yaml_lines.read(file)
    assert document.values == {"a": [1, {"b": 2, "c": 3}], "d": {"e": 4}, "f": {"e": 4}}
    assert document.lines == {
        (): 1, ("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, "b"): 3, ("a", 1, "c"): 4, ("d",): 5, ("d", "e"): 5, ("f",): 6, ("f", "e"): 5
    }  # fmt: skip
    assert [document.line(at) for at in ((), ("a", 1, "c", "deeper"), ("nothing",))] == [1, 4, 1]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a:\n\tb: 1\n", 2), (b"a: 1\na: 2\n", 2), (b"a: [1\nb: 2\n", 2), (b"a: 1\n---\nb: 2\n", 2), (b"a: &x [*x]\n", 1),
        (b"a: *nothing\n", 1), (b"a: !ours b\n", 1), (b"a: !!int x\n", 1), (b"a: !!set {b}\n", 1), (b"? [a]\n: 1\n", 1), (b"a: b: c\n", 1),
        (b"a: 1\nb: \xff\n", 2), (b"a: 1\nb: \x00\n", 2),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_line(file: Path, content: bytes, line: int) -> None:
    file.write_bytes(content)
    with pytest.raises(PipelineError) as raised:
        yaml_lines.read(file)
    assert raised.value.line == line
