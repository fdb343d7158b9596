"""A release: a model version, the code, the data and the service that belong together, under one tag that names them for good."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, String, Table, Text, select

from ... import __version__
from ...config import Settings
from ...errors import MlopsError, NotFound, UsageError
from ...records import Input, ModelVersion, Release, Run, to_json
from ...store import client, registry
from ...store.audit import Audit
from ...store.audit import who as whoever
from ...store.shared import tables
from ...store.standings import Standings
from .sessions import environment_of

TAG = "mlops.release"
_GIT_SECONDS = 20
_NAME = re.compile(r"(?!-)(?!.*(\.\.|//|@\{|\.lock(/|$)))[^\s~^:?*\[\\\x00-\x1f\x7f]{1,150}(?<![./])")
"""What git allows in a tag, in one part or in several."""
_releases = Table(
    "releases",
    tables,
    Column("tag", String(200), primary_key=True),
    Column("model", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("told", Text, nullable=False),
)


def release(settings: Settings, ref: str, *, tag: str = "", git: bool = False, who: str = "") -> Release:
    """Give a version (NAME: the champion) a release's tag; the same again changes nothing.

    The tag goes to the version here and in MLflow, into the audit log, and with `git` to the commit that the model was made from. Raises
    UsageError for a tag that means something else already, or that git would not take.
    """
    version = registry.version(settings, ref)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", version.name).strip("-.") or "model"
    tag = tag or f"{plain}-v{version.version}"
    if _NAME.fullmatch(tag) is None:
        raise UsageError(f"{tag!r} cannot be a tag: write letters, digits, points and dashes, such as {version.name}-v{version.version}.")
    there = known(settings, tag)
    if there is not None and (there.model, there.version) != (version.name, version.version):
        raise UsageError(f"The tag {tag} names version {there.version} of {there.model} already: choose another --tag.")
    found = there or _described(settings, version, tag, who or whoever())
    if git and not found.git:
        _tag_commit(settings.project, found)
        found = replace(found, git=True)
    if found != there:
        _keep(settings, version, found)
    problem = _tell_mlflow(settings, version, tag)
    return replace(found, notes=(*found.notes, problem)) if problem else found


def known(settings: Settings, tag: str) -> Release | None:
    """The release of this tag."""
    with registry.state_of(settings).read() as connection:
        told = connection.execute(select(_releases.c.told).where(_releases.c.tag == tag)).scalar()
    return Release.from_json(json.loads(told)) if told is not None else None


def of_version(settings: Settings, version: ModelVersion) -> tuple[Release, ...]:
    """The releases that a version is part of."""
    query = select(_releases.c.told).where(_releases.c.model == version.name, _releases.c.version == version.version)
    with registry.state_of(settings).read() as connection:
        return tuple(Release.from_json(json.loads(told)) for told in connection.execute(query.order_by(_releases.c.tag)).scalars())


def _described(settings: Settings, version: ModelVersion, tag: str, who: str) -> Release:
    run, code = None, dict[str, Any]()
    notes: list[str] = []
    with suppress(NotFound):
        run = Run.from_json(client.ask(settings, "run", ref=version.run)) if version.run else None
    if run is not None:
        code = dict(environment_of(settings, run).get("git") or {})
    if not code.get("commit"):
        notes.append("No commit of the code is known: it was in no git repository as the model was made, or that was not recorded.")
    elif code.get("dirty"):
        notes.append("Files differed from the commit as the model was made: what differed is kept with the run.")
    return Release(
        tag=tag, model=version.name, version=version.version, digest=version.digest, run=version.run, commit=str(code.get("commit") or ""),
        changed=bool(code.get("dirty")), data=_data(version, run), service=__version__, by=who,
        created=registry.state_of(settings).now(), notes=tuple(notes),
    )  # fmt: skip


def _data(version: ModelVersion, run: Run | None) -> dict[str, str]:
    inputs = [Input.of(item) for item in run.inputs] if run is not None else []
    found = {item.name: item.digest for item in inputs if item.digest}
    return found | {name: digest for name, digest in (("reference", version.reference), ("test", version.test)) if digest}


def _keep(settings: Settings, version: ModelVersion, found: Release) -> None:
    """The release, the version's own note of it and the audit log, all or none."""
    state = registry.state_of(settings)
    standings = Standings(state)
    told = json.dumps(to_json(found), sort_keys=True)
    with state.begin() as connection:
        row = {"tag": found.tag, "model": found.model, "version": found.version, "told": told}
        added = connection.execute(state.insert(_releases).values(**row).on_conflict_do_nothing()).rowcount
        if not added:
            there = connection.execute(select(_releases.c.model, _releases.c.version).where(_releases.c.tag == found.tag)).one()
            if tuple(there) != (found.model, found.version):
                raise UsageError(f"The tag {found.tag} names version {there.version} of {there.model} already: choose another --tag.")
            connection.execute(_releases.update().where(_releases.c.tag == found.tag).values(told=told))
        own = standings.version(found.model, found.version, connection)
        if own is not None:
            standings.keep(connection, replace(own, release=found.tag))
        Audit(state).append(connection, found.by, "released", found.model, found.version, f"release {found.tag}", to_json(found))


def _tell_mlflow(settings: Settings, version: ModelVersion, tag: str) -> str:
    """Tag the version in MLflow; why that could not be done, else ""."""
    try:
        client.ask(settings, "registry.tag", name=version.name, version=version.version, tags={TAG: tag})
    except MlopsError as error:
        return f"MLflow has not got the tag ({' '.join(str(error).split())}): run the same again."
    return ""


def _tag_commit(project: Path, found: Release) -> None:
    if not found.commit:
        raise UsageError("There is no commit to tag: the model's code was in no git repository as it was made. Leave out --git.")
    at = _git(project, "rev-parse", "--verify", "--quiet", f"refs/tags/{found.tag}^{{commit}}")
    if at is not None and at != found.commit:
        raise UsageError(f"The repository has a tag {found.tag} already, at another commit ({at[:12]}): choose another --tag.")
    message = f"{found.model} version {found.version}, model {found.digest[:16]}"
    if at is None and _git(project, "tag", "--annotate", "--message", message, found.tag, found.commit) is None:
        told = "see that the commit is in this repository, or leave out --git"
        raise UsageError(f"git could not tag {found.commit[:12]} as {found.tag}: {told}.")


def _git(folder: Path, *words: str) -> str | None:
    """What git prints, None where it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
