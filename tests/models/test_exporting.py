"""A model as a folder that serves it anywhere, and as a release."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
import venv
import zipfile
from dataclasses import replace
from importlib import metadata
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from jupyter_mlops import __version__, config
from jupyter_mlops.config import Settings
from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.models.exporting import bundle, docker, kubernetes, releases
from jupyter_mlops.models.exporting import wheel as wheels
from jupyter_mlops.models.exporting.exporting import export
from jupyter_mlops.models.exporting.requirements import Lock, locked
from jupyter_mlops.records import ModelVersion
from jupyter_mlops.store import client, registry
from jupyter_mlops.store.audit import Audit

from . import made

KUBERNETES = ("1.29", "1.37")
NAME = "flight delays"


@pytest.fixture
def settings(project: Path) -> Settings:
    """The settings of an empty project."""
    return config.load()


@pytest.fixture
def champion(settings: Settings) -> ModelVersion:
    """The champion of a model."""
    return made.registered(settings, NAME)


# -- the folder


def test_the_folder_holds_all_that_the_service_needs(settings: Settings, champion: ModelVersion) -> None:
    told = export(settings, f"{NAME}@champion", "kubernetes")
    folder = Path(told.folder)
    assert folder == settings.project / "deploy" / "flight-delays-1"
    assert set(told.files) == made.files(folder) == {
        "model/MLmodel", "model/model.skops", "model/requirements.txt", "model.json", "SHA256SUMS", "requirements.txt", wheels.NAME,
        "Dockerfile", ".dockerignore", "compose.yaml", *(f"kubernetes/{name}.yaml" for name in
        ("deployment", "service", "autoscaler", "disruptions", "network", "kustomization")),
    }  # fmt: skip
    assert (told.digest, bundle.read(folder).digest) == (champion.digest, champion.digest)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    texts = "".join(path.read_text() for path in folder.rglob("*") if path.suffix not in (".skops", ".whl") and path.is_file())
    assert str(settings.project) not in texts
    assert not any(word in texts for word in ("--index-url", "--extra-index-url", "@ file:", "@ http", "mlflow.db"))


def test_the_lock_names_each_package_with_its_version_and_what_that_needs(settings: Settings, champion: ModelVersion) -> None:
    folder = Path(export(settings, NAME, "docker").folder)
    lines = [line for line in (folder / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    names = {line.partition("==")[0] for line in lines}
    assert {"scikit-learn", "skops", "numpy", "orjson", "uvicorn", "h11", "scipy"} <= names
    assert all(line == f"{name}=={metadata.version(name)}" for line in lines for name in [line.partition("==")[0]])
    assert not names & {"mlflow", "notebook", "jupyterlab", "pytest", "jupyter_mlops"}


def test_the_versions_that_the_model_was_trained_with_are_locked_and_what_is_not_here_is_named() -> None:
    lock = locked(["joblib"], {"scikit_learn": "0.0.1", "notebook": "7"})
    assert "scikit-learn==0.0.1" in lock.lines
    assert not any(line.startswith("notebook") for line in lock.lines)
    assert lock.notes[0].startswith("Other versions than here, as the model was trained with them: scikit-learn 0.0.1 (here ")
    with pytest.raises(UsageError, match="needs nosuchpackage, which is not installed here"):
        locked(["nosuchpackage>=1"], {})


def test_of_several_distributions_of_mlflow_the_whole_one_is_locked(
    settings: Settings, champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"mlflow": ["mlflow-tracing", "mlflow-skinny", "mlflow"], "sklearn": ["scikit-learn"]}
    monkeypatch.setattr(bundle.metadata, "packages_distributions", lambda: there)
    monkeypatch.setattr(bundle, "locked", lambda wanted, recorded: Lock(tuple(sorted(wanted))))
    files = settings.home / "models" / champion.digest
    assert bundle._lock(files, replace(champion, format="cloudpickle", trusted=())).lines == ("mlflow", "scikit-learn")


def test_the_wheel_is_the_package_and_the_same_each_time() -> None:
    content = wheels.wheel()
    assert content == wheels.wheel()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        info = f"jupyter_mlops-{__version__}.dist-info"
        record = list(csv.reader(io.StringIO(archive.read(f"{info}/RECORD").decode())))
    assert {row[0] for row in record} == names
    assert {"jupyter_mlops/__init__.py", "jupyter_mlops/models/cards/templates/card.html.j2"} <= names
    assert not any("__pycache__" in name for name in names)


def test_what_was_edited_stays_and_the_new_text_is_put_beside_it(settings: Settings, champion: ModelVersion) -> None:
    folder = Path(export(settings, NAME, "docker").folder)
    (folder / "Dockerfile").write_text((folder / "Dockerfile").read_text() + "# mine\n")
    made.registered(settings, NAME, 2, model=made.fitted(made.flights(seed=2)))
    told = export(settings, NAME, "docker", folder)
    assert told.notes[0] == "Dockerfile was edited since it was exported, so it stays as it is: Dockerfile.new is the new one."
    assert ("# mine" in (folder / "Dockerfile").read_text(), "version 2" in (folder / "Dockerfile.new").read_text()) == (True, True)
    assert bundle.read(folder).version == 2
    assert "version 2" in (folder / "compose.yaml").read_text()
    export(settings, NAME, "docker", folder, force=True)
    assert "# mine" not in (folder / "Dockerfile").read_text()


def test_a_folder_of_something_else_is_left_alone(
    settings: Settings, champion: ModelVersion, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "mine").mkdir()
    (project / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds something else: name an empty or a new folder"):
        export(settings, NAME, "docker", project / "mine")
    with pytest.raises(NotFound, match="no exported model in"):
        bundle.read(project / "mine")
    monkeypatch.setattr(client, "ask", lambda settings, verb, **words: [])
    with pytest.raises(NotFound):
        export(settings, "nosuch@champion", "docker")


# -- what the platforms take


@pytest.mark.parametrize("release", KUBERNETES)
def test_kubernetes_takes_the_manifests(champion: ModelVersion, release: str) -> None:
    texts = kubernetes.texts(champion)
    objects = [yaml.safe_load(text) for name, text in texts.items() if not name.endswith("kustomization.yaml")]
    assert [item["kind"] for item in objects] == [
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
    ]
    for item in objects:
        kubernetes_validate.validate(item, release, strict=True)
    broken = objects[0] | {"spec": objects[0]["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, release, strict=True)


def test_the_manifests_belong_together(champion: ModelVersion) -> None:
    read = {Path(name).stem: yaml.safe_load(text) for name, text in kubernetes.texts(champion).items()}
    pod = read["deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    selector = read["deployment"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert read["service"]["spec"]["selector"] == read["network"]["spec"]["podSelector"]["matchLabels"] == selector
    assert [port["name"] for port in container["ports"]] == [port["targetPort"] for port in read["service"]["spec"]["ports"]]
    assert read["autoscaler"]["spec"]["scaleTargetRef"]["name"] == read["deployment"]["metadata"]["name"] == "flight-delays"
    assert {f"{name}.yaml" for name in read} == {*read["kustomization"]["resources"], "kustomization.yaml"}
    assert container["image"] == f"flight-delays:1-{champion.digest[:12]}"
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "flight-delays", "key": "token"}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {volume["name"] for volume in pod["spec"]["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("name", ["flights", "Flüge & Co. 50 %", "x" * 200, "-", "a\nRUN curl evil"])
def test_any_name_of_a_model_gives_names_that_the_platforms_take(champion: ModelVersion, name: str) -> None:
    version = ModelVersion(name=name, version=3, digest="ab" * 32, size=10)
    for text in kubernetes.texts(version).values():
        item = yaml.safe_load(text)
        if item["kind"] != "Kustomization":
            kubernetes_validate.validate(item, KUBERNETES[1], strict=True)
            assert all(len(label) <= 63 for label in item["metadata"]["labels"].values())
    steps = [line.split()[0] for line in docker.texts(version)["Dockerfile"].splitlines() if line and not line.startswith(("#", " "))]
    assert steps == [
        "FROM",
        "ENV",
        "WORKDIR",
        "COPY",
        "RUN",
        "COPY",
        "COPY",
        "RUN",
        "USER",
        "EXPOSE",
        "VOLUME",
        "HEALTHCHECK",
        "STOPSIGNAL",
        "CMD",
    ]


def test_compose_takes_its_file_and_asks_for_a_token(champion: ModelVersion) -> None:
    compose = yaml.safe_load(docker.texts(champion)["compose.yaml"])
    schema = json.loads(resources("check_jsonschema.builtin_schemas.vendor").joinpath("compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(compose)
    (service,) = compose["services"].values()
    assert service["environment"]["MLOPS_SERVE_TOKEN"].startswith("${MLOPS_SERVE_TOKEN:?")
    assert service["ports"] == ["127.0.0.1:8000:8000"]


def test_what_the_image_copies_is_what_the_folder_has(settings: Settings, champion: ModelVersion) -> None:
    folder = Path(export(settings, NAME, "docker").folder)
    text = (folder / "Dockerfile").read_text()
    copied = [word for line in text.splitlines() if line.startswith("COPY") for word in line.split()[1:-1]]
    assert all((folder / name).exists() for name in copied)
    assert {line.removeprefix("!") for line in (folder / ".dockerignore").read_text().splitlines() if line.startswith("!")} >= {
        "model", "model.json", "SHA256SUMS", "requirements.txt"
    }  # fmt: skip


# -- releases


def repository(project: Path) -> str:
    """A commit in the project, and its name."""
    (project / "train.py").write_text("depth = 3\n")
    env = {**os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    for words in (["init", "-q"], ["add", "train.py"], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *words], cwd=project, env=env, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def told_mlflow(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What MLflow was asked to tag; the delivery worker is not started."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(client, "ask", lambda settings, verb, **words: asked.append({"verb": verb, **words}))
    return asked


def test_a_release_ties_model_data_and_service_together(
    settings: Settings, champion: ModelVersion, told_mlflow: list[dict[str, Any]]
) -> None:
    found = releases.release(settings, NAME, who="ann")
    assert (found.tag, found.version, found.digest, found.service, found.by) == ("flight-delays-v1", 1, champion.digest, __version__, "ann")
    assert told_mlflow == [{"verb": "registry.tag", "name": NAME, "version": 1, "tags": {"mlops.release": "flight-delays-v1"}}]
    assert registry.version(settings, NAME).release == "flight-delays-v1"
    audit = Audit(registry.state_of(settings))
    assert [(entry.what, entry.version, entry.details["digest"]) for entry in audit.entries(NAME)] == [("released", 1, champion.digest)]
    assert releases.release(settings, NAME, who="bob") == found
    assert len(audit.entries(NAME)) == 1
    made.registered(settings, NAME, 2, model=made.fitted(made.flights(seed=2)))
    with pytest.raises(UsageError, match="The tag flight-delays-v1 names version 1 of flight delays already"):
        releases.release(settings, f"{NAME}/2", tag="flight-delays-v1")
    assert releases.of_version(settings, champion) == (found,)


@pytest.mark.parametrize("tag", ["a b", "-x", "a..b", "x.lock", "a~1", "a\nb", "x/", "a//b", "@{x"])
def test_a_tag_that_git_would_not_take_is_refused(settings: Settings, champion: ModelVersion, tag: str) -> None:
    with pytest.raises(UsageError, match="cannot be a tag"):
        releases.release(settings, NAME, tag=tag)


def test_the_commit_is_tagged_where_that_is_asked_for(
    settings: Settings, champion: ModelVersion, told_mlflow: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no commit to tag"):
        releases.release(settings, NAME, git=True)
    commit = repository(settings.project)
    for name in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "a@b")
    described = releases._described
    monkeypatch.setattr(releases, "_described", lambda *given: releases.replace(described(*given), commit=commit))
    assert releases.release(settings, NAME, git=True).git
    tags = subprocess.run(["git", "tag", "--points-at", commit], cwd=settings.project, capture_output=True, text=True, check=True)
    assert tags.stdout.split() == ["flight-delays-v1"]
    assert releases.release(settings, NAME, git=True).git


# -- the service, from a plain environment


def test_the_folder_serves_from_a_plain_environment_without_the_project(settings: Settings, champion: ModelVersion, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    Path(export(settings, NAME, "docker").folder).rename(folder)
    python = plain_environment(tmp_path / "env", folder)
    rows = made.flights(3).drop(columns=made.TARGET)
    with serving(python, folder) as address:
        answer = asked(f"{address}/invocations", {"dataframe_split": rows.to_dict("split", index=False)})
    expected = registry.load(settings, champion).predict(rows).tolist()
    assert answer["predictions"] == expected
    (folder / "model" / "model.skops").write_bytes(b"other")
    ran = subprocess.run(command(python, folder), capture_output=True, text=True, timeout=60, env=bare())
    assert ran.returncode != 0
    assert "altered" in ran.stderr + ran.stdout


def plain_environment(place: Path, folder: Path) -> Path:
    """A virtual environment with nothing but what the folder's lock names, linked, and its wheel; the Python in it."""
    venv.create(place, with_pip=False, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    for line in (folder / "requirements.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        for file in metadata.distribution(line.partition("==")[0]).files or ():
            top = file.parts[0]
            source = Path(str(file.locate())).parents[len(file.parts) - 2] if len(file.parts) > 1 else Path(str(file.locate()))
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(source)
    with zipfile.ZipFile(folder / wheels.NAME) as archive:
        archive.extractall(packages)
    return place / "bin" / "python"


def command(python: Path, folder: Path) -> list[str]:
    """What starts the service."""
    return [str(python), "-P", "-m", "jupyter_mlops", "serve", str(folder), "--port", "0", "--json"]


def bare() -> dict[str, str]:
    """An environment that leads nowhere."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONUNBUFFERED": "1"}


class serving:
    """The service of a folder, for as long as a block runs."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._command, self._folder = command(python, folder), folder

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, env=bare(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        said = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said.append(line)
            if line.startswith("{"):
                return ready(str(json.loads(line)["url"]))
        self.__exit__()
        raise AssertionError("".join(said))

    def __exit__(self, *error: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            assert self._process.stdout is not None
            self._process.stdout.close()


def ready(address: str) -> str:
    """The address, once the service behind it is ready."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/ready", timeout=5):
                return address
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{address} never got ready")


def asked(url: str, body: object) -> Any:
    """What the service answers to JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
