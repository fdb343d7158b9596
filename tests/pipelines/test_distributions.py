"""What is installed, read as Python itself reads it but faster, and what code needs of it."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import pytest

from jupyter_mlops.pipelines.caching import distributions
from jupyter_mlops.pipelines.caching.distributions import Distributions, normal
from jupyter_mlops.pipelines.caching.memory import Memory


def test_all_that_is_installed_here_is_found_as_python_finds_it(tmp_path: Path) -> None:
    found = Distributions(Memory(tmp_path))
    theirs: dict[str, str] = {}
    for distribution in importlib.metadata.distributions(path=distributions.places()):
        theirs.setdefault(normal(distribution.metadata["Name"]), distribution.version)
    assert found.all() == {name: version for name, version in sorted(theirs.items()) if name != distributions.OWN}
    for module, names in importlib.metadata.packages_distributions().items():
        if distributions.OWN not in map(normal, names):
            assert found.direct([module]).keys() == set(map(normal, names))


def install(place: Path, name: str, version: str, requires: tuple[str, ...] = (), **files: str) -> None:
    """A distribution in a folder, with a module of its own name."""
    folder = place / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    head = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
    (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *head, "", "Name: a lie", "Requires-Dist: nothing"]))
    (folder / "RECORD").write_text(f"{name}/__init__.py,sha256=x,10\n{name}-{version}.dist-info/METADATA,,\n../../bin/{name},,\n")
    for file, text in files.items():
        (folder / file.replace("_json", ".json")).write_text(text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which anything is installed."""
    folder = tmp_path / "site-packages"
    install(folder, "frames", "2.0", ("arrays (>=1.0)", 'plots>=3 ; extra == "plot"', 'dates[zone]; python_version >= "3.8"'))
    install(folder, "arrays", "1.5")
    install(folder, "plots", "3.1", ("frames[plot]",))
    install(folder, "dates", "0.9", ("Zone.Info; extra == 'zone'", "unused; extra == 'other'"))
    install(folder, "zone_info", "2026")
    install(folder, "unused", "1")
    install(folder, "linked", "1", direct_url_json='{"url": "file:///src", "dir_info": {"editable": true}}')
    monkeypatch.setattr(distributions, "places", lambda: [str(folder)])
    return folder


@pytest.mark.parametrize(
    ("modules", "needed"),
    [
        (["frames"], {"arrays": "1.5", "dates": "0.9", "frames": "2.0", "zone-info": "2026"}),
        (["plots"], {"arrays": "1.5", "dates": "0.9", "frames": "2.0", "plots": "3.1", "zone-info": "2026"}),
        (["dates"], {"dates": "0.9"}),
        (["linked", "unknown"], {}),
        ([], {}),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_code_imports_needs_what_that_requires(modules: list[str], needed: dict[str, str], tmp_path: Path) -> None:
    assert Distributions(Memory(tmp_path)).needed(modules) == needed


def test_an_installation_is_noticed(place: Path, tmp_path: Path) -> None:
    found = Distributions(Memory(tmp_path))
    assert found.version("arrays") == "1.5"
    (place / "arrays-1.5.dist-info").rename(place / "arrays-1.6.dist-info")
    (place / "arrays-1.6.dist-info" / "METADATA").write_text("Name: arrays\nVersion: 1.6\n")
    os.utime(place)
    found.forget()
    assert found.needed(["arrays"]) == {"arrays": "1.6"}


@pytest.mark.parametrize(
    "origin", ['{"url": "file:///src", "dir_info": {}}', '{"url": "u", "vcs_info": {}}', '{"url": "u", "archive_info": {}}']
)
def test_code_that_was_installed_again_under_the_same_version_counts(place: Path, tmp_path: Path, origin: str) -> None:
    install(place, "mine", "1.0", direct_url_json=origin)
    install(place, "built", "1.0", direct_url_json=origin, INSTALLER="conda\n")
    found = Distributions(Memory(tmp_path))
    record, versions = place / "mine-1.0.dist-info" / "RECORD", []
    for content in ("mine/__init__.py,sha256=x,10\n", "mine/__init__.py,sha256=y,10\n", "mine/__init__.py,sha256=y,10\nmine/a.txt,,\n"):
        record.write_text(f"../../bin/mine.py,sha256={len(versions)},5\n{content}mine/__pycache__/a.pyc,,\n")
        os.utime(place)
        found.forget()
        versions.append(found.needed(["mine"])["mine"])
    assert versions[0] != versions[1] == versions[2]
    assert all(version.startswith("1.0 ") for version in versions)
    assert found.needed(["built", "arrays"]) == {"arrays": "1.5", "built": "1.0"}
