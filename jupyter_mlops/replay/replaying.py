"""The verb `replay`: take the recording of a run, refuse it if it was altered, play it, compare, and keep the verdict with the run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import config
from ..config import Settings
from ..records import Replay, to_json
from ..store import client
from ..store.objects import ObjectStore, open_objects
from .findings import Ask, Finding, findings
from .genuine import refuse_altered
from .player import Options, Played, Player
from .recording import Recording, recorded
from .verdicts import confirmed, summary

TAG = "mlops.replay"
ARTIFACT = "mlops/replay.json"
WARNING = (
    "The recorded code runs with your rights: network, other programs and writes elsewhere are refused in Python; "
    "native code is not confined"
)
ALLOWED = "The recorded code runs with your rights, and nothing is refused"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for: the minimal code only, the recorded packages, the network again, everything allowed."""

    slice: bool = False
    env: bool = False
    live: bool = False
    allow: bool = False


def replay(ref: str | None, settings: Settings, wish: Wish, tell: Tell = lambda text: None) -> Replay:
    """Run a recorded run again and compare. `tell` is given a sentence for each stage.

    Raises NotFound and UsageError when there is nothing to replay, Altered when the record was changed after it was made.
    """
    started = time.time()
    recording, objects = recorded(ref, settings), open_objects(settings)
    tell(f"Checking the record of {recording.run.name or recording.run.id[:8]}: {len(recording.events)} cells")
    refuse_altered(recording, settings, objects)
    options, packages = _options(recording, wish, tell)
    tell(ALLOWED if wish.allow else WARNING)
    found = _of_slice(recording, objects, options, tell) if wish.slice else verified(recording, objects, options, tell)
    return replace(
        found,
        part="slice" if wish.slice else "history",
        packages=packages,
        environment=str(options.python or ""),
        started=started,
        seconds=time.time() - started,
    )


def verified(
    recording: Recording, objects: ObjectStore, options: Options, tell: Tell = lambda text: None, variant: Recording | None = None
) -> Replay:
    """Play a recording and compare; a second time where only the code of a cell excuses a difference.

    A `variant` is played in its place, and compared with the recording all the same.
    """
    variant = variant or recording
    with Player(variant, objects, options) as player:
        tell(f"Running {len(variant.events)} cells")
        played = player.play()
        tell("Comparing")
        found = findings(recording, played, objects, _asking(player))
        if any(finding.doubtful for finding in found):
            tell("Running them once more: some results differ where the code draws from a clock or generator")
            found = _confirmed(recording, variant, objects, options, found, played)
        return summary(recording, found, played)


def _confirmed(
    recording: Recording, variant: Recording, objects: ObjectStore, options: Options, found: list[Finding], played: Played
) -> list[Finding]:
    with Player(_reordered(variant), objects, options) as player:
        again = player.play()
        second = findings(recording, again, objects, _asking(player))
        between = findings(replace(played.recording, run=recording.run), again, played.objects, player.ask)
        return confirmed(found, second, between)


def _asking(player: Player) -> Ask:
    """The player's `ask`, given the files of a model in MLflow where the recorded one is kept there alone."""

    def ask(function: str, argument: Any) -> Any:
        if "run" in argument:
            folder = client.ask(config.load(), "model_files", ref=argument["run"], name=argument["name"])
            argument = {**argument, "folder": folder}
        return player.ask(function, argument)

    return ask


def _reordered(recording: Recording) -> Recording:
    """The same, hashing texts in another order than the first replay did, where the recorded kernel's own order is not known."""
    if recording.environment.get("hash_seed"):
        return recording
    known = recording.environments or ((0, {}),)
    return replace(recording, environments=tuple((seq, {**environment, "hash_seed": "1"}) for seq, environment in known))


def _of_slice(recording: Recording, objects: ObjectStore, options: Options, tell: Tell) -> Replay:
    from .slicing import replayed_slice

    return replayed_slice(recording, objects, options, tell)


def _options(recording: Recording, wish: Wish, tell: Tell) -> tuple[Options, tuple[str, ...]]:
    from .environment import differing, rebuilt

    python: Path | None = None
    packages: Mapping[str, str] = recording.environment.get("packages") or {}
    if wish.env:
        tell("Preparing the recorded packages, which can take minutes the first time")
        python = rebuilt(recording.environment)
    differ = () if python else differing(packages, imported=recording.environment.get("imported") or ())
    return Options(live=wish.live, allow=wish.allow, python=python), differ


def patch(replayed: Replay, objects: ObjectStore) -> dict[str, Any]:
    """What the run is given to keep of its replay: the change of its record."""
    content = json.dumps(to_json(replayed), indent=1, ensure_ascii=False).encode()
    return {"tags": {TAG: replayed.verdict}, "artifacts": [{"path": ARTIFACT, "digest": objects.put(content)}]}
