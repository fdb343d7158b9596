"""Puts a run back into a folder: its notebook as executed, its slice, its data, modules and requirements, ready to open and run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..code.statements import analyse
from ..config import Settings
from ..errors import Corrupt, NotFound, NotKept, UsageError
from ..records import CellEvent, Input, Restored, Run, Slice
from ..store import snapshots
from ..store.notebook_json import as_json, code_cell, notebook, notebook_output, text_cell
from ..store.objects import ObjectStore, open_objects
from . import environment, materials
from .genuine import refuse_altered
from .recording import Recording, recorded
from .slicing import proved, sliced

_QUOTED = re.compile(r"([\"'])([^\"'\\\n]+)\1")
ELSEWHERE = "elsewhere"
"""The folder for data that lay outside the project."""


def restored(ref: str, folder: Path, settings: Settings, tell: Callable[[str], None] = lambda text: None) -> Restored:
    """Put the run that `ref` names into `folder`, with the slice of its result where there is one.

    `tell` is given a sentence for each stage. Raises what `restore` raises, and Altered when the record was changed after it was made.
    """
    check_empty(folder)
    recording, objects = recorded(ref, settings), open_objects(settings)
    refuse_altered(recording, settings, objects)
    piece = None
    with contextlib.suppress(NotFound):
        piece = sliced(recording, None)
    if piece is not None:
        tell(f"Proving the code that gives {piece.name}")
        piece = proved(piece, recording, objects)
    return restore(recording, piece, folder, objects)


def check_empty(folder: Path) -> None:
    """Raises UsageError where something is in the folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: name a folder that does not exist yet, so that nothing there is replaced.")


def restore(recording: Recording, piece: Slice | None, folder: Path, objects: ObjectStore) -> Restored:
    """Put everything into `folder`, which must be empty or absent; `piece` is the run's slice, if there is one.

    Raises UsageError where the folder holds something, Corrupt with its name for data that was altered after it was recorded.
    """
    check_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    restoring = _Restoring(recording, folder.resolve(), objects)
    try:
        restoring.everything(piece)
    except BaseException:
        restoring.remove()
        raise
    return Restored(folder=str(folder), run=recording.run.id, files=tuple(restoring.files), notes=tuple(restoring.notes))


class _Restoring:
    """One folder in the making. `files` are relative to it; `moved` maps paths in the code to where their data is now."""

    def __init__(self, recording: Recording, folder: Path, objects: ObjectStore) -> None:
        self.recording, self.folder, self.objects = recording, folder, objects
        self.files: list[str] = []
        self.notes: list[str] = []
        self.moved: dict[str, str] = {}
        self.loads: dict[int, dict[str, str]] = {}
        inside = recording.cwd.is_relative_to(recording.project)
        self.here = folder / recording.cwd.relative_to(recording.project) if inside else folder

    def everything(self, piece: Slice | None) -> None:
        self.here.mkdir(parents=True, exist_ok=True)
        self.inputs()
        self.fetched()
        self.modules()
        self.notebook()
        if piece is not None:
            self.slice(piece)
        self.requirements()
        self.readme(piece)

    def remove(self) -> None:
        """Leave nothing half made."""
        for name in self.files:
            (self.folder / name).unlink(missing_ok=True)
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir():
                with contextlib.suppress(OSError):
                    path.rmdir()

    # -- data

    def inputs(self) -> None:
        """Files that the history read and had not written itself before."""
        written: set[str] = set()
        done: set[str] = set()
        for event in self.recording.events:
            for item in map(Input.of, event.files_read):
                place = item.source or item.name
                if place not in written | done:
                    done.add(place)
                    self._input(item)
            written |= {item.source or item.name for item in map(Input.of, event.files_written)}

    def _input(self, item: Input) -> None:
        source = Path(os.path.normpath(self.recording.project / (item.source or item.name)))
        if source.is_relative_to(self.recording.project):
            target = self.folder / source.relative_to(self.recording.project)
        else:
            # Files of one name come from several folders.
            target = self.folder / ELSEWHERE / hashlib.blake2b(str(source.parent).encode(), digest_size=4).hexdigest() / source.name
        self.moved[str(source)] = os.path.relpath(target, self.here)
        if item.digest is None:
            self.notes.append(f"{item.name} is not here: {item.why or 'its content was not recorded'}.")
            return
        if target.exists():
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            snapshots.restore(item.digest, target, self.objects)
        except Corrupt:
            raise Corrupt(f"The recorded content of {item.name} ({item.digest[:16]})", "the store") from None
        except (NotKept, NotFound):
            self._still_there(item, source, target)
            return
        self._note(target)

    def _still_there(self, item: Input, source: Path, target: Path) -> None:
        """A file that was too large to keep is taken from where it was, if its content is still the same."""
        if source.is_file() and snapshots.digest_file(source) == item.digest:
            target.write_bytes(source.read_bytes())
            self._note(target)
        else:
            why = item.why or "only its digest was recorded"
            self.notes.append(f"{item.name} is not here: {why}; put the file with the digest {item.digest} there.")

    def fetched(self) -> None:
        """Data that came from a network or a database is read from a file instead."""
        for seq, values in self.recording.fetched.items():
            for name, digest in values.items():
                loaded = materials.write_value(name, digest, self.here / "data" / f"{name}-{digest[:8]}", self.objects)
                self._note(loaded.path)
                where = loaded.path.relative_to(self.here).as_posix()
                self.loads.setdefault(seq, {})[name] = materials.load_line(name, loaded, where)

    def modules(self) -> None:
        """The user's own modules, where the code finds them: in their place in the project, or beside the notebook."""
        found = {module["module"]: module for _, module in self.recording.modules}
        for name, module in found.items():
            path = Path(module["path"])
            below = name.replace(".", "/") + ("/__init__.py" if path.name == "__init__.py" else ".py")
            target = self.here / below if path.is_absolute() or ".." in path.parts else self.folder / path
            try:
                content = self.objects.get(module["digest"])
            except Corrupt:
                raise Corrupt(f"The recorded module {name}", "the store") from None
            except (NotKept, NotFound):
                self.notes.append(f"The module {name} is not here: its content is not in this store.")
                continue
            self._write(target, content)

    # -- code

    def notebook(self) -> None:
        """The executions in their true order, with their outputs."""
        run = self.recording.run
        cells = [self._executed(event) for event in self.recording.events]
        top = self._top([cell["source"] for cell in cells], _heading(run, len(cells)))
        self._write(self.here / f"{self.stem}-as-executed.ipynb", as_json(notebook([*top, *cells])))

    def slice(self, piece: Slice) -> None:
        """The least code that recreates the result, one cell for what each execution contributes."""
        sources: dict[int, list[str]] = {}
        for part in _pieces(piece):
            sources.setdefault(part["seq"], []).append(part["source"])
        cells = []
        for seq, texts in sources.items():
            cells.append(code_cell(f"execution-{seq}", self._portable(seq, "\n".join(texts))))
        text = f"# {piece.name}\n\nThe {piece.kept} of {piece.executed} executed statements that give `{piece.name}` ({_proof(piece)})."
        content = notebook([*self._top([cell["source"] for cell in cells], text), *cells])
        self._write(self.here / f"{self.stem}-slice.ipynb", as_json(content))

    @property
    def stem(self) -> str:
        """What the notebooks are called after."""
        name = Path(self.recording.run.notebook).stem or self.recording.run.name
        return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"

    def _executed(self, event: CellEvent) -> dict[str, Any]:
        shown = [_json(output) for output in event.outputs]
        if event.error and not any(output["kind"] == "error" for output in shown):
            shown.append({"kind": "error", "data": {"text/plain": event.error}})
        outputs = [notebook_output(output, event.seq, self.objects) for output in shown]
        # The run goes on after a cell that failed, as the user did.
        tags = {"tags": ["raises-exception"]} if event.status in ("error", "interrupted") else {}
        source = self._portable(event.seq, event.source)
        return code_cell(f"execution-{event.seq}", source, metadata=tags, count=event.seq, outputs=outputs)

    def _portable(self, seq: int, source: str) -> str:
        """Code that runs here: without this package, with data in its new places."""
        source = self._loaded(seq, materials.plain(source))
        return _QUOTED.sub(lambda found: found[1] + self._moved(found[2]) + found[1], source)

    def _moved(self, text: str) -> str:
        """Where the file is here that this text in the code leads to: an absolute path, or one out of the project."""
        if not text.startswith(("/", "~", "..")) and "/.." not in text:
            return text
        path = os.path.normpath(self.recording.cwd / os.path.expanduser(text))
        return self.moved[path].replace("\\", "/") if path in self.moved else text

    def _loaded(self, seq: int, source: str) -> str:
        """The statements that asked a network or database stay as comments; what they gave is read from files."""
        loads = self.loads.get(seq, {})
        for statement in analyse(source) if loads else ():
            lines = [loads[name] for name in sorted(statement.writes) if name in loads]
            if statement.network and lines and statement.source in source:
                commented = "\n".join(f"# {line}" for line in statement.source.splitlines())
                source = source.replace(statement.source, "\n".join([commented, *lines]), 1)
        return source

    def _top(self, sources: Sequence[str], text: str) -> list[dict[str, Any]]:
        return [text_cell("about", text), *([code_cell("secrets", materials.SECRETS_CODE)] if materials.needs_secrets(sources) else [])]

    # -- what goes with them

    def requirements(self) -> None:
        found = environment.requirements(self.recording.environment)
        lines = [*found.wanted, *(f"# {line} was a link to a folder: what was imported of it is here" for line in found.linked)]
        if found.wanted:
            self._write(self.folder / "requirements.txt", "".join(f"{line}\n" for line in lines).encode())

    def readme(self, piece: Slice | None) -> None:
        run, here = self.recording.run, os.path.relpath(self.here, self.folder)
        python = ".".join(str(self.recording.environment.get("python") or "3").split(".")[:2])
        notebooks = [f"{self.stem}-as-executed.ipynb", *([f"{self.stem}-slice.ipynb"] if piece is not None else [])]
        text = [
            f"# {run.name}",
            f"Run `{run.id}` of {run.notebook or 'a notebook'}, put back by `mlops restore`.",
            f"- `{notebooks[0]}`: every execution in its true order, with the outputs it had",
            *([f"- `{notebooks[1]}`: only the code that gives `{piece.name}` ({_proof(piece)})"] if piece is not None else []),
            "- data and modules lie where the code looks for them",
            "",
            f"    python{python} -m venv .venv && .venv/bin/pip install -r requirements.txt",
            *([f"    cd {here}"] if here != "." else []),
            f"    jupyter lab {notebooks[0]}",
            "",
            "Random generators start anew here; `mlops replay` in the project puts their recorded state back, and compares every result.",
            *([f"\nNot here:\n\n{chr(10).join(f'- {note}' for note in self.notes)}"] if self.notes else []),
        ]
        self._write(self.folder / "README.md", ("\n".join([*text[:1], "", text[1], "", *text[2:]]) + "\n").encode())

    def _write(self, path: Path, content: bytes) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self._note(path)

    def _note(self, path: Path) -> None:
        self.files.append(path.relative_to(self.folder).as_posix())


def _heading(run: Run, executions: int) -> str:
    metrics = "\n".join(f"- {name}: {value!r}" for name, value in run.metrics.items())
    text = f"# {run.name}\n\nAs executed: {executions} executions in their true order, up to the last of run `{run.id}`."
    return f"{text}\n\n{metrics}" if metrics else text


def _proof(piece: Slice) -> str:
    return {"minimal": "proved, and minimal", "proved": "proved by a replay"}.get(piece.proof, f"not proved: {piece.why}".rstrip(": "))


def _pieces(piece: Slice) -> Iterator[Mapping[str, Any]]:
    for part in piece.pieces:
        yield part if isinstance(part, Mapping) else {"seq": part.seq, "source": part.source}


def _json(output: Any) -> Mapping[str, Any]:
    return output if isinstance(output, Mapping) else {"kind": output.kind, "data": output.data, "name": output.name}
