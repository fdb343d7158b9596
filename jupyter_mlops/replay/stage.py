"""What the player tells the replay's kernel: once where it is, and before each cell what belongs to it. Plain JSON files in the sandbox."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..records import to_json

UNREAD = ""
"""Stands in a replay for the digest of data that the record has no digest of either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where a replay takes place. `project`, `tree`, `root` are folders of the sandbox, `recorded` is the recorded project folder.

    `objects` is the store of the recording, `allow` and `live` the user's permissions, `notebook` the recorded notebook,
    `path` is the PYTHONPATH of the user, `block` the run that is open from before the first cell, with its parameters.
    """

    root: str
    tree: str
    project: str
    recorded: str
    objects: str
    notebook: str = ""
    session: str = ""
    experiment: str | None = None
    secrets: tuple[str, ...] = ()
    path: str = ""
    block: Mapping[str, Any] = field(default_factory=dict)
    allow: bool = False
    live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """What belongs to one cell. `random` are states to put generators into before it, `generators` those of names, to be put in place
    once its own statement made them; `fetched` the snapshots of what the network gave, by name in order; `digested` the names whose
    contents are compared; `written` the files that it wrote and that are kept, as {path: digest}; `whole` tells whether the recorded cell
    ran to its end.
    """

    seq: int
    random: Mapping[str, str] = field(default_factory=dict)
    generators: Mapping[str, str] = field(default_factory=dict)
    fetched: Mapping[str, Any] = field(default_factory=dict)
    digested: tuple[str, ...] = ()
    written: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where paths lead: `moved` are the recorded paths that have another place here, `barred` those that must not be read, and why;
    `folders` are searched for modules before all others."""

    moved: tuple[str, ...] = ()
    barred: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the kernel tells of a cell that could not be run as recorded: why, and whether the reason is a listed one."""

    why: str
    excused: bool


def tell(told: Scene | Cue | Places | Sequence[Told], path: Path) -> None:
    """Write it where the other side reads it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(to_json(told)), encoding="utf-8")
    os.replace(fresh, path)


def read_scene(path: Path) -> Scene:
    """The scene as the player told it."""
    told = json.loads(path.read_text(encoding="utf-8"))
    return Scene(**told | {"secrets": tuple(told["secrets"])})


def read_cue(path: Path) -> Cue:
    """The cue of the cell that begins."""
    told = json.loads(path.read_text(encoding="utf-8"))
    return Cue(**told | {"digested": tuple(told["digested"])})


def read_places(path: Path) -> Places:
    """Where paths lead, as the player found."""
    told = json.loads(path.read_text(encoding="utf-8"))
    return Places(moved=tuple(told["moved"]), barred=told["barred"], folders=tuple(told["folders"]))


def read_told(path: Path) -> list[Told]:
    """What the kernel told of the cell that has ended; [] when it went as recorded."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    path.unlink()
    return [Told(**item) for item in told]
