"""The user's own modules that code imports, found as Python would find them, without importing any; and the packages that it needs."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from .contents import Contents
from .distributions import OWN, Distributions
from .sources import Said

_OWN = OWN.replace("-", "_")


@dataclass(slots=True)
class Found:
    """What code consists of beyond itself: the digests of local modules by path (relative to where they are imported from), the top-level
    names of all others, and whether more may be imported than the sources tell."""

    local: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    untold: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    """A local module: `root` is the entry of the path that it was found by, `package` the folder that its relative imports start from."""

    path: str
    root: str
    package: str


class Modules:
    """Follows imports from the folder that steps run in. What it looked up is valid until `forget`."""

    def __init__(self, folder: Path, contents: Contents, distributions: Distributions) -> None:
        self._folder = os.path.abspath(folder)
        self._contents = contents
        self._distributions = distributions
        self._looked_up: dict[tuple[str, tuple[str, ...]], tuple[_File, ...]] = {}
        self._read: dict[str, Said] = {}

    def forget(self) -> None:
        """Look at the files again from now on."""
        self._looked_up.clear()
        self._read.clear()

    def needed(self, said: Said, environment: Mapping[str, str], first: Sequence[str] = ()) -> Found:
        """All that a source needs, its modules' needs included. `environment` may have a PYTHONPATH; `first` are files that are part of it
        for sure."""
        found = Found(untold=said.untold)
        roots = self._roots(said.places, environment)
        seen: set[str] = set()
        waiting = [item for word in first if (item := self._script(word)) is not None]
        waiting += self._follow(said, None, roots, found)
        while waiting:
            file = waiting.pop()
            if file.path in seen:
                continue
            seen.add(file.path)
            inner = self._said(file.path)
            found.local[self._label(file)] = inner.digest
            found.untold |= inner.untold
            # What a module adds to the path, and the folder that a script lies in, hold for all that comes after it.
            roots = tuple(dict.fromkeys([*roots, *self._absolute(inner.places), *([file.root] if file.root not in roots else [])]))
            waiting += self._follow(inner, file, roots, found)
        return found

    def _follow(self, said: Said, file: _File | None, roots: tuple[str, ...], found: Found) -> list[_File]:
        files = [item for word in said.runs if (item := self._script(word)) is not None]
        for level, module, names in said.imports:
            if level:
                if file is not None:
                    files += self._relative(file, level, module, names)
                continue
            top = module.partition(".")[0]
            if not top or top == _OWN:
                continue
            local = [item for name in _submodules(module, names) for item in self._find(name, roots)]
            if local:
                files += local
            elif top not in sys.stdlib_module_names:
                found.others.add(top)
        return files

    def _find(self, name: str, roots: tuple[str, ...]) -> tuple[_File, ...]:
        known = self._looked_up.get((name, roots))
        if known is None:
            known = self._looked_up[name, roots] = self._looked_for(name, roots)
        return known

    def _looked_for(self, name: str, roots: tuple[str, ...]) -> tuple[_File, ...]:
        """The files that an import of a dotted name runs: that of the module, and those of the packages above it."""
        for root in roots:
            if files := _below(root, name.split("."), root):
                return files
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or self._distributions.has(top):
            return ()
        for root in _linked():
            if files := _below(root, name.split("."), root):
                return files
        return _by_finder(name)

    def _relative(self, file: _File, level: int, module: str, names: Sequence[str]) -> list[_File]:
        base = file.package
        for _ in range(level - 1):
            base = os.path.dirname(base)
        return [item for name in _submodules(module, names) for item in _below(base, [part for part in name.split(".") if part], file.root)]

    def _roots(self, places: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
        path = environment.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        return tuple(dict.fromkeys([self._folder, *self._absolute(places), *self._absolute(path.split(os.pathsep) if path else ())]))

    def _absolute(self, places: Iterable[str]) -> list[str]:
        found = [os.path.normpath(os.path.join(self._folder, os.path.expanduser(place))) for place in places]
        return [place for place in found if os.path.isdir(place) and not _is_installed(place)]

    def _script(self, word: str) -> _File | None:
        path = os.path.normpath(os.path.join(self._folder, os.path.expanduser(word)))
        if not word.endswith(".py") or not os.path.isfile(path) or _is_installed(path):
            return None
        return _File(path, os.path.dirname(path), os.path.dirname(path))

    def _said(self, path: str) -> Said:
        known = self._read.get(path)
        if known is None:
            known = self._read[path] = self._contents.module(path)
        return known

    def _label(self, file: _File) -> str:
        inside = file.path.startswith(self._folder + os.sep)
        # Where a linked package lies differs from machine to machine.
        return os.path.relpath(file.path, self._folder if inside else file.root).replace(os.sep, "/")


def _submodules(module: str, names: Sequence[str]) -> list[str]:
    """The modules that an import may run: the one it names, and those of the names that it takes from there."""
    return [module, *(f"{module}.{name}" if module else name for name in names if name != "*")]


def _below(folder: str, parts: Sequence[str], root: str) -> tuple[_File, ...]:
    """The files of a dotted name below a folder; () when there is none of that name."""
    found = []
    for part in parts:
        package = os.path.join(folder, part)
        if os.path.isfile(init := os.path.join(package, "__init__.py")):
            found.append(_File(init, root, package))
        elif (module := _module_file(package)) is not None:
            found.append(_File(module, root, folder))
            break
        elif not os.path.isdir(package):
            break
        folder = package
    return tuple(found)


def _module_file(stem: str) -> str | None:
    for suffix in (".py", *EXTENSION_SUFFIXES):
        if os.path.isfile(stem + suffix):
            return stem + suffix
    return None


def _by_finder(name: str) -> tuple[_File, ...]:
    """Packages that were installed as links through a finder of their own, as setuptools does it."""
    top = name.partition(".")[0]
    for finder in sys.meta_path:
        module = getattr(finder, "__module__", "") or type(finder).__module__
        if not module.startswith("__editable__"):
            continue
        spec = finder.find_spec(top, None, None)
        if spec is None:
            continue
        places = list(spec.submodule_search_locations or ())
        root = os.path.dirname(places[0] if places else spec.origin or "")
        return _below(root, name.split("."), root)
    return ()


@cache
def _linked() -> tuple[str, ...]:
    """Entries of the path that a link among the installed packages adds (`.pth`)."""
    library = {os.path.abspath(sysconfig.get_paths()[key]) for key in ("stdlib", "platstdlib")}
    library |= {os.path.join(folder, "lib-dynload") for folder in library}
    added = [os.path.abspath(entry) for entry in sys.path[1:] if entry and os.path.isdir(entry) and not _is_installed(entry)]
    return tuple(entry for entry in added if entry not in library)


def _is_installed(path: str) -> bool:
    return "site-packages" in path.split(os.sep) or "dist-packages" in path.split(os.sep)
