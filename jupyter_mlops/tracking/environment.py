"""What a result was computed with: packages, Python, hardware, the git state, and the user's own imported modules."""

from __future__ import annotations

import glob
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import url2pathname

from ..code.secrets import Redactor, without_credentials

DIFF_LIMIT = 5 * 10**6
_LIST_LIMIT = 1000
_GIT_SECONDS = 10.0


def describe() -> dict[str, Any]:
    """Packages with versions, Python, platform, hardware, and the names (never the values) of the environment's variables."""
    return {
        "packages": packages(),
        "direct": direct_references(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "machine": platform.machine(),
        **_hardware(),
        "gpus": _gpus(),
        # With a random hash seed, the order of sets of texts differs from kernel to kernel.
        "hash_randomization": bool(sys.flags.hash_randomization) and os.environ.get("PYTHONHASHSEED", "random") == "random",
        "hash_seed": seed if (seed := os.environ.get("PYTHONHASHSEED", "")).isdigit() else None,
        "variables": sorted(os.environ),
    }


def packages() -> dict[str, str]:
    """Installed distributions and their versions by normalised name (PEP 503), as `import` finds them: the first on `sys.path` wins."""
    folders = tuple(dict.fromkeys(os.path.abspath(entry or os.curdir) for entry in sys.path))
    return dict(_packages(folders, tuple(_changed(folder) for folder in folders)))


def direct_references() -> dict[str, str]:
    """Where the distributions came from that no index gave, by normalised name (PEP 610), as pip takes it: a URL, `git+URL@COMMIT`, or
    `-e URL` for one that is installed as a link to its folder. Credentials are left out."""
    folders = tuple(dict.fromkeys(os.path.abspath(entry or os.curdir) for entry in sys.path))
    return dict(_direct(folders, tuple(_changed(folder) for folder in folders)))


@lru_cache(maxsize=4)
def _direct(folders: tuple[str, ...], changed: tuple[int, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in folders:
        for path in glob.iglob(os.path.join(glob.escape(folder), "*.dist-info", "direct_url.json")):
            name = os.path.basename(os.path.dirname(path)).partition("-")[0]
            try:
                origin = json.loads(Path(path).read_text("utf-8"))
                # conda's packages name the folder that they were built in, which is nowhere any more.
                if not _is_gone(str(origin["url"])):
                    found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), _reference(origin))
            except (OSError, ValueError, LookupError):
                continue
    return dict(sorted(found.items()))


def _is_gone(url: str) -> bool:
    return url.startswith("file:") and not os.path.exists(url2pathname(url.removeprefix("file://")))


def _reference(origin: dict[str, Any]) -> str:
    url = without_credentials(str(origin["url"]))
    vcs = origin.get("vcs_info") or {}
    if vcs:
        return f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    return f"-e {url}" if (origin.get("dir_info") or {}).get("editable") else url


@lru_cache(maxsize=4)
def _packages(folders: tuple[str, ...], changed: tuple[int, ...]) -> dict[str, str]:
    # An installation changes the time of the folder, so that %pip in a cell is seen without reading every metadata file again.
    found: dict[str, str] = {}
    for folder in folders:
        for name, version in _distributions(folder):
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return dict(sorted(found.items()))


def _distributions(folder: str) -> Iterator[tuple[str, str]]:
    try:
        entries = os.listdir(folder)
    except OSError:
        return
    for entry in entries:
        stem, extension = os.path.splitext(entry)
        if extension == ".dist-info" and stem.count("-") == 1:
            name, _, version = stem.partition("-")
            yield name, version
        elif extension in (".dist-info", ".egg-info"):
            distribution = importlib.metadata.PathDistribution(Path(folder, entry))
            name = distribution.metadata["Name"] if distribution.metadata else ""
            if name:
                yield name, distribution.version


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


@cache
def _hardware() -> dict[str, Any]:
    return {"cpu": _cpu(), "cores": os.cpu_count(), "usable_cores": _usable_cores(), "memory": _memory()}


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith(("model name", "Model")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return os.environ.get("PROCESSOR_IDENTIFIER", "") or platform.machine()


def _usable_cores() -> int | None:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gpus() -> list[str]:
    try:
        folders = sorted(os.listdir("/proc/driver/nvidia/gpus"))
        texts = [Path("/proc/driver/nvidia/gpus", folder, "information").read_text(errors="replace") for folder in folders]
        return [match[1].strip() for text in texts if (match := re.search(r"^Model:(.*)$", text, re.MULTILINE))]
    except OSError:
        pass
    torch = sys.modules.get("torch")
    # Asking a GPU that was never used would start its driver.
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_initialized():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def git_state(project: Path, redactor: Redactor | None = None) -> dict[str, Any]:
    """The commit, branch, remote (without credentials), and what is not committed: `diff` (secrets replaced), `changed`, `untracked`.

    {} where there is no git or no repository. Runs git for up to some seconds, so it belongs in a background thread; the outputs of
    notebooks are left out of the diff. `truncated` tells that the diff was longer than `DIFF_LIMIT` bytes.
    """
    top = _git(project, "rev-parse", "--show-toplevel")
    if not top:
        return {}
    commit = _git(project, "rev-parse", "--verify", "--quiet", "HEAD")
    status = _git(project, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal") or ""
    rows = [row for row in status.split("\0") if row]
    diff = (
        _git(project, "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--", ":/", ":(exclude,top)*.ipynb") if commit else ""
    )
    text = diff or ""
    redactor = redactor or Redactor()
    return {
        "commit": commit or None,
        "branch": _git(project, "symbolic-ref", "--quiet", "--short", "HEAD") or None,
        "remote": without_credentials(_git(project, "remote", "get-url", "origin") or "") or None,
        "root": top,
        "dirty": any(not row.startswith("??") for row in rows),
        "changed": [row[3:] for row in rows if not row.startswith("??")][:_LIST_LIMIT],
        "untracked": [row[3:] for row in rows if row.startswith("??")][:_LIST_LIMIT],
        "diff": redactor.text(text[:DIFF_LIMIT]),
        "truncated": len(text) > DIFF_LIMIT,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, None when it fails; it never asks for anything, takes no lock and starts no monitor."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=false", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").rstrip("\n")


class LocalModules:
    """The user's own imported modules: those of the project or of any folder that is not Python's library or an installed package."""

    def __init__(self, project: Path) -> None:
        self._project = str(project.resolve())
        self._checked: set[str] = set()
        self._local: dict[str, Any] = {}
        self._written: dict[str, int] = {}
        self._mark: tuple[int, str] = (0, "")

    def seen(self) -> list[tuple[str, Path, bytes]]:
        """(name, path, source) of each module that was imported or reloaded since the last call, as it is on disk right after that cell."""
        mark = (len(sys.modules), next(reversed(sys.modules), ""))
        found = [
            name for name, spec in self._local.items() if (module := sys.modules.get(name)) is not None and module.__spec__ is not spec
        ]
        found += [name for name, written in self._written.items() if _reloads(name) and _written(sys.modules.get(name)) != written]
        if mark != self._mark:
            self._mark = mark
            found += [name for name in sys.modules.copy() if name not in self._checked]
        return [item for name in dict.fromkeys(found) if (item := self._read(name)) is not None]

    def _read(self, name: str) -> tuple[str, Path, bytes] | None:
        self._checked.add(name)
        module = sys.modules.get(name)
        path = _source_file(module)
        if path is None or not self._is_local(path):
            return None
        # `importlib.reload` gives a module a new spec; `%autoreload` may put new functions into the old one.
        self._local[name] = getattr(module, "__spec__", None)
        self._written[name] = _written(module)
        try:
            return name, Path(path), Path(path).read_bytes()
        except OSError:
            return None

    def _is_local(self, path: str) -> bool:
        if f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
            return False
        if path.startswith(self._project + os.sep) and not path.startswith(_OWN):
            return True
        return not path.startswith(_installed())


_OWN = str(Path(__file__).parent.parent) + os.sep


@cache
def _installed() -> tuple[str, ...]:
    """Folders whose modules are packages or Python's own, as prefixes."""
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")} | {sys.prefix, sys.base_prefix} - {"/usr", os.sep}
    return (_OWN, *(folder.rstrip(os.sep) + os.sep for folder in sorted(folders)))


def _reloads(name: str) -> bool:
    """Whether `%autoreload` sees to it that this module is what its file says when a cell begins."""
    if "IPython.extensions.autoreload" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    magics = getattr(get_ipython(), "magics_manager", None)
    reloader: Any = getattr(getattr(magics, "registry", {}).get("AutoreloadMagics"), "_reloader", None)
    if not getattr(reloader, "enabled", False):
        return False
    return name not in reloader.skip_modules if reloader.check_all else name in reloader.modules


def _written(module: ModuleType | None) -> int:
    """When the file of a module was written last."""
    try:
        return os.stat(_source_file(module) or "").st_mtime_ns
    except OSError:
        return 0


def _source_file(module: ModuleType | None) -> str | None:
    if module is None or module.__name__ == "__main__":
        return None
    path = getattr(module, "__file__", None)
    return os.path.abspath(path) if isinstance(path, str) and path.endswith(".py") else None
