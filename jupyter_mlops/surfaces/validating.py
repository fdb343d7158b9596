"""The verb `validate`: data held against a schema and a reference, and schemas learned from data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import config
from ..errors import UsageError
from ..records import Validation
from .answers import short
from .arguments import NAMES
from .editing import tell


def validate(data: Any, *, schema: Any, reference: Any, learn: bool, out: Path | None) -> Validation:
    """Everything that is wrong with data; or what was learned from it, written to `out`."""
    from ..models.validation import checking, schemas
    from ..store.objects import open_objects

    if learn and out is None:
        raise UsageError("A schema that is learned is written to a file: say which with --out schema.yaml.")
    if out is not None and not learn:
        raise UsageError("--out is where a learned schema goes: give --learn too, or leave --out away.")
    if learn and schema is not None:
        raise UsageError("A schema is either given or learned: leave away --schema, or --learn.")
    known = schemas.of(schema) if schema is not None else None
    objects = open_objects(config.load())
    tell("Reading the data")
    given = _named(checking.data_of(data, objects), data)
    held = _named(checking.data_of(reference, objects), reference) if reference is not None else None
    if learn and out is not None:
        return _learned(given, held, Path(out))
    tell("Checking it")
    return checking.validate(given, schema=known, reference=held)


def _learned(given: Any, held: Any, out: Path) -> Validation:
    """The schema of the reference (of the data itself where there is none) in a new file, and the data held against it."""
    from ..models.validation import checking, learning, schemas

    learning.check_out(out)
    source = held or given
    tell("Learning its schema")
    learned = learning.learn(source.frame)
    content = f", {source.digest[:12]}" if source.digest else ""
    learning.write(learned.schema, out, f"Learned from {source.name} ({len(source.frame):,} rows{content}).")
    found = checking.validate(given, schema=schemas.load(out), reference=held)
    told = f"{short(str(out))} was learned from {source.name}: {learned.schema.count:,} checks."
    notes = (told, *learned.notes, *found.notes)
    return replace(found, notes=notes)


def _named(data: Any, given: Any) -> Any:
    """Data under the name that the user knows it by: of a variable, its name; of a file, its path from here."""
    names = [name for name, value in NAMES.get().items() if value is given and not name.startswith("_")]
    return replace(data, name=names[0] if names else short(data.name))
