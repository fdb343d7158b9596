"""What a person sees of the registered models of a project: the list, one model with its versions, its services, its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .models import AuditEntry, Check, ModelVersion
from .plain import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState(Record):
    """A service that runs on this machine, or one that recorded traffic lately and has ended.

    `state`: ready, not ready (it says so itself; `notes` why), silent (its process runs and does not answer) or ended. `asked` is the model
    it was told to serve, `versions` are [role, version] that answer now. `requests` and what is beside it are of the last five minutes:
    requests a second, latency in seconds, the share of requests that failed in the service. `series` has [from, requests a second, latency
    p50, p99, share of failures] for each half minute of the last half hour; latencies are None where nothing was answered.
    """

    name: str
    state: str
    asked: str = ""
    url: str = ""
    versions: tuple[tuple[str, int], ...] = ()
    workers: int = 0
    since: float = 0.0
    last: float | None = None
    requests: int = 0
    requests_per_second: float = 0.0
    error_rate: float = 0.0
    p50: float | None = None
    p99: float | None = None
    series: tuple[tuple[float | None, ...], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel(Record):
    """One registered model of a list. `aliases` are champion, challenger and previous with their versions; `versions` counts those that are
    known here, `newest` is the latest of them, made at `created` by `by`. `changed` is when the audit log last told of it, and `last` what
    it told. `metrics` are the champion's, else the newest version's."""

    name: str
    versions: int = 0
    newest: int | None = None
    created: float = 0.0
    by: str = ""
    aliases: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    last: str = ""
    changed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList(Record):
    """The registered models of a project, by name, and the services that run on this machine."""

    models: tuple[ListedModel, ...] = ()
    services: tuple[ServiceState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView(Record):
    """One registered model: its versions, the newest first, without their signatures and parameters.

    `checks` maps the number of a version to what its gates said last; `gates` are the conditions that are set for the model, and
    `approvals` how many others must have approved a version. `entries` are the latest of the audit log, `details` of each holding no more
    than {"told": a sentence}, and `more` tells that there are earlier ones.
    """

    name: str
    versions: tuple[ModelVersion, ...] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    approvals: int = 0
    entries: tuple[AuditEntry, ...] = ()
    more: bool = False
    services: tuple[ServiceState, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPage(Record):
    """The card of a model version as one page of HTML without scripts; "" while none is written, which the verb `card` does to `out`.

    `stale` tells that something happened to the model after it was written.
    """

    model: str
    version: int
    out: str
    html: str = ""
    written: float = 0.0
    stale: bool = False
