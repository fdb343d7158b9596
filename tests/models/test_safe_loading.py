"""Hostile model files: none is executed, whichever way it comes, and each is refused in one sentence."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from jupyter_mlops.config import Settings
from jupyter_mlops.errors import Altered, ModelRefused
from jupyter_mlops.records import ModelVersion
from jupyter_mlops.store import model_folders
from tests.models import hostile

FOLDERS = dict(hostile.folders())
FRIENDLY = "flavors:\n  sklearn: {pickled_model: model.skops, serialization_format: skops}\n"


def version(folder: Path) -> ModelVersion:
    """A version of these very files, which trusts whatever the file says: somebody registered it."""
    return ModelVersion(name="m", version=1, digest=model_folders.folder_digest(folder), trusted=("os.system", "helper.Model"))


def load(folder: Path, settings: Settings) -> Any:
    """As `registry.load` does: copied, checked by its hash, then loaded."""
    target = folder.with_name("copied")
    shutil.rmtree(target, ignore_errors=True)
    model_folders.copy(folder, target, "Version 1 of m")
    found = version(target)
    model_folders.check(target, found.digest, "Version 1 of m")
    return model_folders.load(target, found, settings)


def test_there_are_at_least_fifty_of_them() -> None:
    assert len(FOLDERS) >= 50


@pytest.mark.parametrize("name", list(FOLDERS))
def test_a_hostile_file_is_refused_and_never_executed(project: Path, name: str) -> None:
    mark = project / "mark"
    folder = project / "model"
    folder.mkdir()
    FOLDERS[name](folder, mark)
    settings = Settings(project=project, trust=("helper.Model",))
    with pytest.raises(ModelRefused) as refused:
        load(folder, settings)
    assert not mark.exists()
    sentence = str(refused.value)
    assert sentence.startswith("Version 1 of m ")
    assert "\n" not in sentence
    assert len(sentence) < 600
    # Nor as it is only looked at, as registering does.
    with contextlib.suppress(ModelRefused):
        model_folders.judged(model_folders.inspect(folder, "Version 1 of m"), settings, "Version 1 of m")
    assert not mark.exists()
    assert sorted(path.name for path in project.iterdir()) in (["copied", "model"], ["model"], ["copied", "model", "outside"])


def saved(folder: Path, model: Any) -> Path:
    folder.mkdir()
    (folder / "MLmodel").write_text(FRIENDLY)
    skops.io.dump(model, folder / "model.skops")
    return folder


def test_an_honest_model_is_loaded_with_exactly_the_types_that_were_trusted(project: Path) -> None:
    X, y = np.random.default_rng(0).random((50, 3)), np.arange(50) % 2
    model = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(X, y)
    folder = saved(project / "model", model)
    settings = Settings(project=project)
    trusted = model_folders.judged(model_folders.inspect(folder, "m"), settings, "m")
    assert trusted
    found = replace(version(folder), trusted=trusted)
    assert (model_folders.load(folder, found, settings).predict(X) == model.predict(X)).all()
    with pytest.raises(ModelRefused, match=r"holds .*, which was not trusted as it was registered: register its run again"):
        model_folders.load(folder, replace(found, trusted=()), settings)


def test_a_type_that_nobody_knows_is_refused_with_the_line_that_trusts_it(project: Path) -> None:
    model = make_pipeline(FunctionTransformer(shutil.get_terminal_size), LogisticRegression())
    folder = saved(project / "model", model)
    with pytest.raises(ModelRefused, match=r"shutil.get_terminal_size, which no setting trusts"):
        model_folders.judged(model_folders.inspect(folder, "m"), Settings(project=project), "m")
    folder = saved(project / "other", make_pipeline(FunctionTransformer(pytest.approx), LogisticRegression()))
    with pytest.raises(ModelRefused, match=r'not known to be safe; if you trust it, set \[tool.mlops\] trust = \["_pytest'):
        model_folders.judged(model_folders.inspect(folder, "m"), Settings(project=project), "m")


def test_one_changed_bit_is_noticed(project: Path) -> None:
    folder = saved(project / "model", LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    digest = model_folders.folder_digest(folder)
    model_folders.check(folder, digest, "m")
    for name in ("MLmodel", "model.skops"):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(bytes(content))
        with pytest.raises(Altered, match=r"m in .* was altered after it was recorded, so it is not used"):
            model_folders.check(folder, digest, "m")
        (folder / name).write_bytes(before)
    (folder / "more").write_text("x")
    with pytest.raises(Altered):
        model_folders.check(folder, digest, "m")
