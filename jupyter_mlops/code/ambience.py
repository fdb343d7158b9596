"""What statements share without a name: global random generators, files, the working folder, environment variables, options of modules.

Each has a place with a name of its own (`random numpy`, `file data.csv`, `folder`), which statements read, bind anew or change, as they do
names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from .literals import MODULES, draws, words
from .statements import Statement

GENERATORS = ("random", "numpy", "torch")
_DRAWS = {
    "random": re.compile(r"(?<![\w.])random\.\w|\bfrom random import\b"),
    "numpy": re.compile(r"\b(?:np|numpy)\b|random_state|\bsklearn\b|\.sample\(|train_test_split|\.fit|cross_val"),
    "torch": re.compile(r"\btorch\b|\bnn\.|\bF\.|DataLoader"),
}
# Where no record tells whether numbers were drawn, fits and the like are taken for calls that draw none.
_PLAIN_DRAW = re.compile(
    r"(?<!\w)random\.|\brand\w*\(|\b(?:shuffle|sample|choices?|train_test_split)\(|\.(?:normal_?|uniform_?)\(|\bmanual_seed"
)
_SEEDS = {
    "random": re.compile(r"(?<![\w.])random\.seed\("),
    "numpy": re.compile(r"\b(?:np|numpy)\.random\.seed\("),
    "torch": re.compile(r"\bmanual_seed\("),
}
_SEEDING = words("manual_seed seed seed_everything set_random_seed set_seed")
_WRITES = words(
    "copy2 copyfile copytree dump extractall move rename save save_model save_pretrained savefig saveas savetxt savez "
    "savez_compressed sink_parquet to_csv to_excel to_feather to_file to_hdf to_html to_json to_parquet to_pickle touch unlink urlretrieve "
    "write_bytes write_csv write_html write_image write_json write_parquet write_text rmtree to_sql"
)
_OVERWRITES = words("save savetxt savez savez_compressed savefig write_bytes write_csv write_json write_parquet write_text")
_FOLDERS = words("makedirs mkdir")
_JOINS = re.compile(r"/|\bjoin(path)?\(")
_COMMANDS = frozenset({"!", "%%bash", "%%sh", "%%script", "%%writefile", "%%file", "%sx", "%system", "%%cmd", "%%!"})
_OPENS_TO_WRITE = re.compile(r"open\([^()]*(?:\([^()]*\)[^()]*)*[\"'][rb]?[wax]b?\+?[\"']|\.open\(\s*[\"'][wax]|mode\s*=\s*[\"'][wax]")
_SETTINGS = words("set_default_dtype set_default_device set_default_tensor_type set_config setlocale setcontext set_floatx enable_x64")
_STYLE = re.compile(
    r"(?:sns|seaborn)\.set|\.style\.use|rcParams|\b(?:plt|mpl|matplotlib)\.rc|^%matplotlib|InlineBackend|set_palette|set_theme"
)
_ENVIRONMENT = re.compile(r"\benviron\b|\bgetenv\b|\bputenv\b|^%(?:set_)?env\b|load_dotenv")
_SETS_ENVIRONMENT = re.compile(
    r"environ(?:\[[^\]]*\]\s*=(?!=)|\.(?:update|setdefault|pop)\()|\bputenv\b|^%(?:set_)?env\s+\w+[= ]|load_dotenv\("
)
_PATCH = re.compile(r"(?:[^\W\d]\w*\.)*([^\W\d]\w*)\s*=(?!=)")


class Surrounded(Protocol):
    """What is known of the execution that a statement is part of."""

    @property
    def statements(self) -> tuple[Statement, ...]: ...
    @property
    def drew(self) -> frozenset[str] | None: ...
    @property
    def read(self) -> frozenset[str]: ...
    @property
    def written(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Touched:
    """The places that a statement reads, binds anew, and changes."""

    reads: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()


class Ambience:
    """Follows the places through a history. `patched` are attributes of modules that were set, `handles` files open under a name."""

    def __init__(self, *, careful: bool) -> None:
        self._careful = careful
        self._patched: set[str] = set()
        self._handles: dict[str, frozenset[str]] = {}

    def touched(self, statement: Statement, execution: Surrounded, called: Sequence[Statement]) -> Touched:
        """What the statement does to places, with the functions that it calls."""
        texts = [statement.source, *(item.source for item in called)]
        calls = statement.calls
        reads: set[str] = set()
        binds: set[str] = set()
        changes: set[str] = set()
        if not statement.defines:
            self._random(statement, execution, called, texts, binds, changes)
        if calls or statement.body:
            self._files(statement, execution, reads, binds, changes)
        if _STYLE.search(statement.source):
            changes.add("style")
        elif any(map(draws, calls)):
            reads.add("style")
        if any("env" in text and _ENVIRONMENT.search(text) for text in texts):
            (changes if _SETS_ENVIRONMENT.search(statement.source) and not statement.defines else reads).add("environment")
        self._modules(statement, texts, reads, changes)
        last = {call.rpartition(".")[2] for call in calls}
        if last & _SETTINGS and "display" not in statement.source:
            changes.add("settings")
        elif calls:
            reads.add("settings")
        if self._careful and statement.ambient and not statement.defines:
            changes.add("settings")
        return Touched(frozenset(reads), frozenset(binds), frozenset(changes))

    def _random(
        self,
        statement: Statement,
        execution: Surrounded,
        called: Sequence[Statement],
        texts: Sequence[str],
        binds: set[str],
        changes: set[str],
    ) -> None:
        drew = execution.drew
        if drew is not None and not drew:
            return
        seeding = any(call.rpartition(".")[2] in _SEEDING for call in statement.calls) or any("seed(" in item.source for item in called)
        if seeding:
            seeded = {kind for kind, pattern in _SEEDS.items() if any(map(pattern.search, texts))} or set(GENERATORS)
            (changes if statement.body else binds).update(f"random {kind}" for kind in seeded)
            return
        may = _may_draw(statement, called)
        if drew is None and not self._careful:
            may = may and any(map(_PLAIN_DRAW.search, texts))
        elif drew and statement.calls and not any(_may_draw(item, ()) for item in execution.statements):
            may = True
        if not may:
            return
        drawn = {kind for kind, pattern in _DRAWS.items() if any(map(pattern.search, texts))} or set(GENERATORS)
        changes.update(f"random {kind}" for kind in (drawn if drew is None else drawn & drew or drew))

    def _files(self, statement: Statement, execution: Surrounded, reads: set[str], binds: set[str], changes: set[str]) -> None:
        last = {call.rpartition(".")[2] for call in statement.calls}
        own = {PurePath(text.replace("\\", "/")).name for text in statement.texts if _is_file(text)}
        writes = bool(last & _WRITES or statement.calls & _COMMANDS or _OPENS_TO_WRITE.search(statement.source))
        read, written = (
            {name for path in paths if (name := PurePath(path).name) in own or not _mentioned(name, execution)}
            for paths in (execution.read, execution.written)
        )
        if writes:
            written |= own if not execution.written else set()
        elif not statement.calls or any(map(_writes, execution.statements)):
            written &= own
        overwrites = len(written) == 1 and not statement.body and any(name.startswith("to_") or name in _OVERWRITES for name in last)
        (binds if overwrites else changes).update(f"file {name}" for name in written)
        reads.update(f"file {name}" for name in (own | read) - written)
        if own or read or written or writes:
            reads.add("folder")
            folders = {part for text in statement.texts for part in PurePath(text).parts[:-1] if part != "/"}
            reads.update(f"made {part}" for part in folders)
            if writes and not folders and (not own or _JOINS.search(statement.source)):
                reads.add("made")  # a folder that has a name of its own in the code
        if last & _FOLDERS:
            changes.add("made")
            changes.update(f"made {part}" for text in statement.texts for part in PurePath(text).parts)
        if "chdir" in last or "%cd" in statement.calls:
            changes.add("folder")
        if writes and written:
            self._handles.update(dict.fromkeys(statement.writes, frozenset(f"file {name}" for name in written)))
        for name in statement.mutates & self._handles.keys():
            changes |= self._handles[name]

    def _modules(self, statement: Statement, texts: Sequence[str], reads: set[str], changes: set[str]) -> None:
        if ("sys.path" in statement.source or "autoreload" in statement.source) and not statement.defines:
            changes.add("modules")
        for module in statement.imports:
            root = module.lstrip(".").split(".")[0]
            if root not in sys.stdlib_module_names and root not in MODULES:
                reads |= {"modules", "folder", f"file {root}.py"}
        sets = statement.patches and not _STYLE.search(statement.source)
        if sets and (found := _PATCH.match(statement.source)):
            self._patched.add(found[1])
            changes.add(f"attribute {found[1]}")
        for name in self._patched:
            if any(name in text for text in texts) and f"attribute {name}" not in changes:
                reads.add(f"attribute {name}")


def _may_draw(statement: Statement, called: Iterable[Statement]) -> bool:
    own = (statement.ambient or statement.fits) and not statement.defines
    return own or any(item.ambient or item.fitting_defs for item in called)


def _writes(statement: Statement) -> bool:
    return bool({call.rpartition(".")[2] for call in statement.calls} & _WRITES or statement.calls & _COMMANDS)


def _mentioned(name: str, execution: Surrounded) -> bool:
    return any(name in text for item in execution.statements for text in item.texts)


def _is_file(text: str) -> bool:
    return "." in PurePath(text).name and not text.startswith(("http:", "https:")) and " " not in text.strip()
