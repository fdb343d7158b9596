"""The files of a model: copied without following links, checked by their hash, and loaded without running what they bring along.

A model folder is MLflow's: MLmodel (YAML) says which flavor reads which file. Nothing in it is believed: paths must stay in the folder,
classes that MLmodel names must be known, and what skops would trust because the file says so is judged again here.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from blake3 import blake3

from ..config import Settings
from ..errors import Altered, ModelRefused
from ..records import ModelVersion
from . import trust

NATIVE = ("sklearn", "xgboost", "lightgbm", "statsmodels", "pytorch")
"""The flavors whose own formats are known here, in the order in which one is chosen."""
PICKLED = frozenset({"pickle", "cloudpickle", "joblib", "code"})
"""Formats that run code as they are loaded; `code` is a flavor whose format is not known here, or one that brings modules along."""
_MLMODEL = "MLmodel"
# MLflow writes this one itself, into a model that is registered later.
_NOT_OURS = frozenset({"registered_model_meta"})
_LARGEST_MLMODEL = 20_000_000
_BOMB = (10**9, 200)
_ALLOW = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
_environment = threading.Lock()


@dataclass(frozen=True, slots=True)
class Contents:
    """What a model folder says of itself: its `flavor`, the `format` and path of the model's `file`, what the flavor noted in `conf`, and
    the `signature` as {"inputs": [...], "outputs": [...]}."""

    flavor: str
    format: str
    file: Path
    conf: Mapping[str, Any] = field(default_factory=dict)
    signature: Mapping[str, Any] = field(default_factory=dict)


def copy(source: Path, target: Path, title: str) -> None:
    """Copy a model folder to a place of our own: plain files and folders only. Raises ModelRefused for links and what is no file."""
    target.mkdir(parents=True)
    try:
        entries = sorted(os.scandir(source), key=lambda entry: entry.name)
    except OSError as error:
        remedy = "register it again from a run that has its files"
        raise ModelRefused(f"{title} cannot be read ({error.strerror}: {source}): {remedy}.") from None
    for entry in entries:
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            copy(Path(entry.path), target / entry.name, title)
        elif stat.S_ISREG(mode):
            shutil.copyfile(entry.path, target / entry.name, follow_symlinks=False)
        else:
            raise ModelRefused(f"{title} holds {entry.name!r}, which is no plain file: links may lead anywhere, so it is not used.")


def check(folder: Path, digest: str, title: str) -> None:
    """See that the files are those of `digest`. Raises Altered."""
    if any(path.is_symlink() for path in folder.rglob("*")) or folder_digest(folder) != digest:
        raise Altered(title, str(folder), "used")


def folder_digest(folder: Path) -> str:
    """The digest of a folder by the names and contents of its files."""
    hasher = blake3()
    for path in sorted(item for item in folder.rglob("*") if item.is_file() and item.name not in _NOT_OURS):
        hasher.update(json.dumps([path.relative_to(folder).as_posix(), blake3(path.read_bytes()).hexdigest()]).encode())
    return str(hasher.hexdigest())


def inspect(folder: Path, title: str) -> Contents:
    """What a model folder says of itself; nothing of it is run or imported. Raises ModelRefused."""
    noted = _noted(folder, title)
    flavors = noted.get("flavors")
    if not isinstance(flavors, dict) or not flavors or not all(isinstance(conf, dict) for conf in flavors.values()):
        raise ModelRefused(f"{title} is no MLflow model: its file MLmodel names no flavor.")
    others = [str(name) for name in flavors if name != "python_function"]
    flavor = next((name for name in (*NATIVE, *others) if name in flavors), "python_function")
    conf = flavors[flavor]
    kind, name = _format(folder, flavor, conf)
    if any(conf.get("code") or conf.get("loader_module") == "mlflow.pyfunc.model" for conf in flavors.values()):
        kind = "code"
    return Contents(flavor, kind, _inside(folder, name, title), conf, _signature(noted))


def needed_types(contents: Contents, title: str) -> tuple[str, ...]:
    """The types beyond skops's own that a skops file holds. Nothing is built or imported. Raises ModelRefused for what is no skops file."""
    import skops.io

    try:
        with ZipFile(contents.file) as archive:
            sizes = [(item.file_size, item.compress_size) for item in archive.infolist()]
        whole, packed = sum(size for size, _ in sizes), sum(size for _, size in sizes)
        if whole > _BOMB[0] and whole > _BOMB[1] * max(packed, 1):
            raise ModelRefused(f"{title} would unpack to {whole / 1e9:.0f} GB from {packed / 1e6:.0f} MB, which no model does.")
        return tuple(skops.io.get_untrusted_types(file=contents.file))
    except ModelRefused:
        raise
    except BadZipFile:
        raise ModelRefused(f"{title} says that it is a skops file and is none: it is not loaded.") from None
    except Exception as error:  # the schema is the file's own, and skops meets what it does not expect with any error
        raise ModelRefused(f"{title} is no skops file that can be read ({_told(error)}).") from None


def judged(contents: Contents, settings: Settings, title: str) -> tuple[str, ...]:
    """The types that skops is to trust for this file, all of them known or chosen; () for other formats.

    Raises ModelRefused with the one line of settings that allows it: `trust` for types, `pickle` for a flavor.
    """
    if contents.format in PICKLED:
        if contents.flavor not in settings.pickle:
            what = "brings code of its own" if contents.format == "code" else f"is kept as {contents.format}"
            line = trust.pickle_line(contents.flavor, settings.pickle)
            raise ModelRefused(
                f"{title} {what}, which can run anything as it is loaded: log it with skops (track the notebook that fits it), or, if you "
                f"trust whoever made it, set {line}"
            )
        return ()
    if contents.format != "skops":
        for name in filter(None, (contents.conf.get("model_class"),)):
            _judge((str(name),), settings, title)
        return ()
    return _judge(needed_types(contents, title), settings, title)


def load(folder: Path, version: ModelVersion, settings: Settings) -> Any:
    """The model in a folder whose hash was checked. Raises ModelRefused."""
    title = f"Version {version.version} of {version.name}" if version.version else f"The model of run {version.run[:8]}"
    contents = inspect(folder, title)
    trusted = judged(contents, settings, title)
    if version.version and (late := sorted(set(trusted) - set(version.trusted))):
        raise ModelRefused(f"{title} holds {', '.join(late)}, which was not trusted as it was registered: register its run again.")
    try:
        if contents.format == "skops":
            import skops.io

            return skops.io.load(contents.file, trusted=list(trusted))
        with _pickle_allowed(contents.format in PICKLED):
            name = "pyfunc" if contents.flavor == "python_function" else contents.flavor
            return import_module(f"mlflow.{name}").load_model(str(folder))
    except ImportError as error:
        remedy = f"install what {folder / 'requirements.txt'} lists"
        raise ModelRefused(f"{title} needs a package that is not here ({_told(error)}): {remedy}.") from None
    except Exception as error:  # flavors raise what they like
        remedy = "`mlops replay` of its run tells whether it can be made again"
        raise ModelRefused(f"{title} cannot be loaded here ({_told(error)}): {remedy}.") from None


def size(folder: Path) -> int:
    """The bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _noted(folder: Path, title: str) -> Mapping[str, Any]:
    import yaml

    path = folder / _MLMODEL
    try:
        if path.stat().st_size > _LARGEST_MLMODEL:
            raise ModelRefused(f"{title} has a file MLmodel of more than {_LARGEST_MLMODEL // 10**6} MB, which no model has.")
        noted = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError):
        raise ModelRefused(f"{title} is no MLflow model: it has no file MLmodel that can be read.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelRefused(f"{title} has a file MLmodel that is not plain YAML ({_told(error)}): it is not used.") from None
    if not isinstance(noted, dict):
        raise ModelRefused(f"{title} is no MLflow model: its file MLmodel is no table.")
    return noted


def _format(folder: Path, flavor: str, conf: Mapping[str, Any]) -> tuple[str, Any]:
    """The format of the model's file and its path in the folder, as the flavor noted them; pickle wherever that is not certain."""
    told = str(conf.get("serialization_format") or "pickle")
    kind = told if told in ("skops", "pickle", "cloudpickle") else "pickle"
    if flavor == "sklearn":
        return kind, conf.get("pickled_model", "model.pkl")
    data = conf.get("data") or conf.get("model_data") or "data"
    if flavor == "xgboost":
        return ("ubj" if str(data).endswith((".ubj", ".json", ".xgb")) else "pickle"), data
    if flavor == "lightgbm":
        return ("txt" if conf.get("model_class", "lightgbm.basic.Booster") == "lightgbm.basic.Booster" else kind), data
    if flavor == "pytorch":
        # MLflow chooses by what is there, not by what is noted.
        there = [path.name for path in (folder / str(data)).glob("model.pt*")] if isinstance(data, str) and ".." not in data else []
        return ("pt2" if there == ["model.pt2"] else "pickle"), data
    return ("pickle" if flavor == "statsmodels" else "code"), data if flavor in NATIVE else "."


def _inside(folder: Path, name: Any, title: str) -> Path:
    """A path that MLmodel names, which must be in the folder."""
    path = Path(str(name))
    if not isinstance(name, str) or path.is_absolute() or ".." in path.parts or "\0" in name or not (folder / path).exists():
        raise ModelRefused(f"{title} names the file {name!r}, which is not among its own: it is not used.")
    if not (folder / path).resolve().is_relative_to(folder.resolve()):
        raise ModelRefused(f"{title} names the file {name!r}, which leads out of its folder: it is not used.")
    return folder / path


def _signature(noted: Mapping[str, Any]) -> dict[str, Any]:
    told = noted.get("signature")
    found: dict[str, Any] = {}
    for part in ("inputs", "outputs"):
        text = told.get(part) if isinstance(told, dict) else None
        try:
            columns = json.loads(text) if isinstance(text, str) else None
        except (ValueError, RecursionError):
            columns = None
        if isinstance(columns, list):
            found[part] = columns
    return found


def _judge(needed: tuple[str, ...], settings: Settings, title: str) -> tuple[str, ...]:
    verdict = trust.judge(needed, settings.trust)
    never = (*verdict.never, *verdict.notebook)
    if never:
        raise ModelRefused(f"{title} holds {', '.join(never)}, which no setting trusts: it is not loaded.")
    if verdict.unknown:
        line = trust.trust_line(verdict.unknown, settings.trust)
        raise ModelRefused(f"{title} holds {', '.join(verdict.unknown)}, not known to be safe; if you trust it, set {line}")
    return verdict.trusted


@contextmanager
def _pickle_allowed(allowed: bool) -> Iterator[None]:
    """Tell MLflow's flavors whether they may unpickle, as long as the block runs."""
    with _environment:
        before = os.environ.get(_ALLOW)
        os.environ[_ALLOW] = "true" if allowed else "false"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_ALLOW]
            else:
                os.environ[_ALLOW] = before


def _told(error: BaseException) -> str:
    """The first words of an error that came from a file: it may hold anything, and must not break the sentence that tells of it."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
