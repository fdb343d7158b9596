"""Cuts a step out of a run: the slice of its results as a papermill notebook, proved to give them before it is written."""

from __future__ import annotations

import ast
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...code.statements import analyse
from ...errors import DataError, NotFound, StepRefused, UsageError
from ...records import Input, Parameter, Piece, Slice, Step, to_json
from ...replay import materials
from ...replay.recording import Recording
from ...replay.script import made_unseeded
from ...replay.slicing import DEFAULT, Slicing, proved_together, sliced
from ...store import formats
from ...store.notebook_json import as_json
from ...store.objects import ObjectStore
from . import layout as laying
from .parameters import lifted
from .parts import Part, free_name, names_in, parts_of, without_dead
from .proof import difference, verdicts
from .results import MODEL, declared, kind_of

Tell = Callable[[str], None]


def write(recording: Recording, results: Sequence[str], out: Path, objects: ObjectStore, tell: Tell = lambda text: None) -> Step:
    """Write the step that gives these results of a recording to `out`.

    It is run with the recorded parameters first, in a fresh kernel. Raises UsageError where `out` exists, and StepRefused where what the
    step gives is not what was recorded.
    """
    check_free(out)
    with tempfile.TemporaryDirectory(prefix="mlops-step-") as folder:
        wanted = [_sought(name, recording) for name in results]
        found = proved_together(wanted, recording, objects, tell=tell)
        if found.proof == "unproved":
            raise StepRefused(str(out), found.why)
        draft = drafted(recording, found, results, Path(folder), out, objects)
        tell("Running the step with the recorded parameters")
        if why := difference(verdicts(recording, draft.layout, wanted, draft.read_from, objects)):
            raise StepRefused(str(out), f"{why}{_advice(found, recording)}")
        made = _record(recording, draft, results, out, found)
        content = laying.notebook(draft.layout, _about(made, recording), _markdown(recording), {"mlops": {"step": _declaration(made)}})
        _write(out, as_json(content), draft.files)
    return made


def check_free(out: Path) -> None:
    """Raises UsageError where a step cannot be written to `out`."""
    if out.suffix != ".ipynb":
        raise UsageError(f"{out} is no name for a notebook: let --out end with .ipynb.")
    for path in (out, _beside(out)):
        if path.exists():
            raise UsageError(f"{path} exists already: choose another --out, or remove it first.")
    if any(parent.exists() and not parent.is_dir() for parent in out.parents):
        raise UsageError(f"{out.parent} is no folder: choose another --out.")


def choose(candidates: Iterable[Recording], results: Sequence[str]) -> Recording:
    """The first recording that has all the results. Raises NotFound."""
    missing: NotFound | None = None
    for recording in candidates:
        try:
            for name in results:
                sliced(recording, _sought(name, recording))
        except NotFound as error:
            missing = missing or error
        else:
            return recording
    raise missing or NotFound("run with", ", ".join(results), "`mlops runs` lists all.")


def _sought(name: str, recording: Recording) -> str:
    """The name of a result as slices know it: the variable of the run's model stands for the model."""
    own = recording.models.get(recording.run.own_id, ())
    return MODEL if any(model.get("name") == name for model in own) and name not in recording.run.metrics else name


_SEEDS = {"random": "random.seed(0)", "numpy": "np.random.seed(0)", "torch": "torch.manual_seed(0)"}


@dataclass(slots=True)
class Draft:
    """A step in the making: `files` go beside it, by the name of what is in them; `read_from` has them by the path that the code gives."""

    layout: laying.Layout
    files: dict[str, Path] = field(default_factory=dict)
    read_from: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def drafted(recording: Recording, found: Slice, results: Sequence[str], folder: Path, out: Path, objects: ObjectStore) -> Draft:
    """The step that holds what the slice keeps; snapshots of data from networks and databases are written to `folder`, from where they
    go beside `out`."""
    sources = {event.seq: event.source for event in recording.events}
    parts = [replace(part, text=materials.plain(part.text)) for part in parts_of(united(found, recording), sources)]
    parts = [part for part in parts if part.statements]
    taken = names_in(parts)
    stood = {name: slicing.sought[-1].seq for name in results for slicing in [Slicing(recording, _sought(name, recording))]}
    outputs, parts = declared(parts, stood, recording, taken)
    draft = Draft(laying.laid_out((), (), {}))
    if any("jupyter_mlops" in part.text for part in parts):
        draft.notes.append("Its code uses jupyter_mlops itself, which must be installed where the step runs.")
    for path in _modules(recording, parts):
        draft.notes.append(f"It imports {path}, which must be on Python's path where the step runs.")
    parts, fetched = _from_files(recording, parts, folder, out, taken, draft, objects)
    parameters, parts = lifted(parts, _params(recording), _files_of(recording, {part.seq for part in parts}), taken)
    draft.layout = laying.laid_out(parts, [*parameters, *fetched], outputs)
    return draft


def _modules(recording: Recording, parts: Sequence[Part]) -> list[str]:
    """The local modules that the code imports, by their paths."""
    imported = {name.split(".")[0] for part in parts for statement in part.statements for name in statement.imports}
    return sorted({module["path"] for _, module in recording.modules if module["module"].split(".")[0] in imported})


def united(found: Slice, recording: Recording) -> tuple[Piece, ...]:
    """The pieces of a slice, and the literals that it has on top where they were, in the order of execution."""
    bound = frozenset[str]().union(*(item.writes for piece in found.pieces for item in analyse(piece.source)))
    literals = {name: value for name, value in found.parameters.items() if name not in bound}
    return tuple(sorted((*found.pieces, *_bound(literals, recording)), key=lambda piece: (piece.seq, piece.line)))


def _bound(parameters: Mapping[str, Any], recording: Recording) -> Iterator[Piece]:
    """The statements that bound names to these literals."""
    waiting = dict(parameters)
    for event in reversed(recording.events):
        for item in reversed(analyse(event.source)):
            names = {name for name in item.literals if name in waiting and repr(item.literals[name]) == repr(waiting[name])}
            if names and names == set(item.literals) == item.writes:
                yield Piece(seq=event.seq, line=item.line, end_line=item.end_line, source=item.source)
                waiting = {name: value for name, value in waiting.items() if name not in names}


def _params(recording: Recording) -> dict[str, Any]:
    """The parameters of every run of the history: a step may take its results from several."""
    found: dict[str, Any] = {}
    for run in (*recording.runs, recording.run):
        found.update(run.params)
    return found


def _files_of(recording: Recording, kept: Container[int]) -> Callable[[int, str], bool]:
    """Whether a text in the code of an execution is the path of a file that an execution read and that no kept one had made."""
    read: set[str] = set()
    made: set[str] = set()
    for event in recording.events:
        written, opened = (
            {os.path.normpath(recording.project / (item.source or item.name)): item.digest for item in map(Input.of, files)}
            for files in (event.files_written, event.files_read)
        )
        # A file that the same execution read with another content was there before it was written.
        both = {path: {digest, written[path]} for path, digest in opened.items() if path in written}
        before = {path for path, digests in both.items() if len(digests - {None}) == 2}
        made |= written.keys() - read - before if event.seq in kept else set()
        read |= opened.keys() - made

    def is_file(seq: int, text: str) -> bool:
        return bool(text.strip()) and len(text) < 1000 and os.path.normpath(recording.cwd / os.path.expanduser(text)) in read

    return is_file


def _from_files(
    recording: Recording, parts: Sequence[Part], folder: Path, out: Path, taken: set[str], draft: Draft, objects: ObjectStore
) -> tuple[list[Part], list[Parameter]]:
    """Statements that asked a network or database read what they got from files instead; the paths of those are parameters."""
    changed: list[Part] = []
    parameters: list[Parameter] = []
    unneeded: frozenset[str] = frozenset()
    for part in parts:
        fetched = recording.fetched.get(part.seq, {})
        names = sorted(part.writes)
        if not any(statement.network for statement in part.statements) or not names or not all(name in fetched for name in names):
            changed.append(part)
            continue
        lines = []
        for name in names:
            try:
                loaded = materials.write_value(name, fetched[name], folder / name, objects)
            except DataError as error:
                draft.notes.append(str(error))
                lines = [part.text]
                break
            draft.files[name] = loaded.path
            variable = free_name([f"{name}_file", f"{name}_path", f"{name}_data_file"], taken) or f"{name}_file"
            where = Path(os.path.relpath(_beside(out).resolve() / loaded.path.name, recording.cwd)).as_posix()
            draft.read_from[where] = loaded.path
            parameters.append(
                Parameter(name=variable, type="str", default=where, help=part.comment or f"snapshot of {name}", source="snapshot")
            )
            module = _alias(loaded.module, parts)
            lines += [*([] if module else [f"import {loaded.module}"]), f"{name} = {module or loaded.module}.{loaded.function}({variable})"]
        else:
            unneeded |= frozenset[str]().union(*(statement.reads for statement in part.statements))
        changed += [Part(part.seq, line) for line in lines]
    return without_dead(changed, unneeded), parameters


def _alias(module: str, parts: Sequence[Part]) -> str:
    """The name that the code has for a module already; "" when it has none."""
    for part in parts:
        for node in part.tree.body if part.tree is not None else ():
            for alias in node.names if isinstance(node, ast.Import) else ():
                if alias.name == module:
                    return alias.asname or module
    return ""


def _beside(out: Path) -> Path:
    """The folder for the snapshots that a step reads."""
    return out.with_name(f"{out.stem}_inputs")


def _advice(found: Slice, recording: Recording) -> str:
    """How to go on where the code draws numbers from generators that nothing seeded."""
    slicing = Slicing(recording, *([] if found.name == DEFAULT else found.name.split(", ")))
    kept = {(piece.seq, line) for piece in found.pieces for line in range(piece.line, piece.end_line + 1)}
    steps = [step for step in slicing.history.steps if (step.place.seq, step.statement.line) in kept]
    calls = [_SEEDS[kind] for kind in _SEEDS if any(kind in step.unseeded for step in steps)]
    calls += [f"a seed for {name}" for step in steps for name in sorted(made_unseeded(step.statement))]
    if not calls:
        # The slice was proved from the recorded states, and the step, which has none, gives another result: a library drew from them.
        known = {kind for event in recording.events for kind in event.random}
        calls = [_SEEDS[kind] for kind in ("numpy", "torch") if kind in known]
    if not calls:
        return ""
    return f" It draws random numbers that nothing seeds: put {' and '.join(calls)} on top of the notebook, run it again, and cut the step."


def _record(recording: Recording, draft: Draft, results: Sequence[str], out: Path, found: Slice) -> Step:
    parameters = draft.layout.parameters
    return Step(
        path=str(out),
        run=recording.run.id,
        parameters=parameters,
        inputs=tuple(item for item in parameters if item.source),
        outputs=tuple({"name": name, "kind": kind_of(name, recording), "value": _value(name, recording)} for name in results),
        kept=found.kept,
        executed=found.executed,
        proof=found.proof,
        files=tuple(str(_beside(out) / path.name) for path in draft.files.values()),
        folder=Path(os.path.relpath(recording.cwd)).as_posix(),
        notes=tuple(draft.notes),
    )


def _value(name: str, recording: Recording) -> Any:
    """The recorded value of a metric; None for other results."""
    runs = [recording.run, *reversed(recording.runs)]
    return next((run.metrics[name] for run in runs if name in run.metrics), None)


def _about(made: Step, recording: Recording) -> str:
    """The text on top: what the step gives, and where it came from."""
    told = [f"`{item['name']}`" + (f" ({item['value']!r})" if item["value"] is not None else "") for item in made.outputs]
    source = f"[{Path(recording.notebook).name}]" if recording.notebook else "a session"
    return (
        f"# {Path(made.path).stem}\n\nGives {', '.join(told)}. Cut out of {source.strip('[]')}, run `{made.run}`: {made.kept} of "
        f"{made.executed} statements. With the parameters below it gave the recorded results in a fresh kernel before it was written."
    )


def _declaration(made: Step) -> dict[str, Any]:
    """What the notebook says of itself to programs."""
    told: dict[str, Any] = to_json(made)
    return {"format": formats.STEP} | {name: value for name, value in told.items() if name in ("run", "parameters", "outputs", "proof")}


def _markdown(recording: Recording) -> dict[int, list[str]]:
    """The texts of the notebook file that belong to each execution, where the file is still there."""
    path = recording.project / recording.notebook
    if path.suffix != ".ipynb":
        return {}
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, LookupError):
        return {}
    by_id = {cell.get("id"): index for index, cell in enumerate(cells) if cell["cell_type"] == "code" and cell.get("id")}
    by_source = {laying.source_of(cell).strip(): index for index, cell in enumerate(cells) if cell["cell_type"] == "code"}
    found: dict[int, list[str]] = {}
    for event in recording.events:
        index = by_id.get(event.cell, by_source.get(event.source.strip()))
        if index is not None:
            found[event.seq] = laying.belonging(cells, index)
    return found


def _write(out: Path, content: bytes, files: Mapping[str, Path]) -> None:
    """The notebook last, and whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for path in files.values():
        _beside(out).mkdir(exist_ok=True)
        shutil.copyfile(path, _beside(out) / path.name)
    unfinished = out.with_name(f".{out.name}.new")
    unfinished.write_bytes(content)
    os.replace(unfinished, out)
