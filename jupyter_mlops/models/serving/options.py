"""How a service is run: its address, who may use it, which versions answer, and its limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from ...errors import UsageError

TOKEN = "MLOPS_SERVE_TOKEN"
"""No setting: the variable that holds the token of a service, which no command line should show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a request may ask of a service, and what it waits for.

    `bytes` is the longest body, `rows` the most rows of a request, `columns` the most columns where no signature says; `depth` how deep
    its JSON may be nested; `read` the seconds in which a body must arrive, `predict` those in which it must be answered. `waiting` is how
    many requests a process answers at the same time: what comes beyond is refused (503), so that those which are accepted stay quick.
    `batch` is the most rows of several requests that are predicted at once; more where it pays for models that were tried with more.
    """

    bytes: int = 16 * 2**20
    rows: int = 20_000
    columns: int = 10_000
    depth: int = 32
    read: float = 10.0
    predict: float = 30.0
    waiting: int = 64
    batch: int = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A share of requests (0 to 1) that another alias or version answers, the same requests each time."""

    share: float
    alias: str = "challenger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a service is run.

    `port` 0 takes a free one; `token` is needed beyond this machine; `shadow` is an alias or version that predicts too, without answering;
    `sample` the share of requests that the log of predictions keeps (None: as the model's settings say); `poll` the seconds between two
    looks at the alias; `keep` those for which a version that was replaced stays loaded, so that a way back is short; `drain` those that
    requests under way get when the service ends.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    workers: int = 1
    shadow: str | None = None
    canary: Canary | None = None
    sample: float | None = None
    poll: float = 0.25
    keep: float = 600.0
    drain: float = 30.0
    limits: Limits = field(default_factory=Limits)


def checked(options: Options) -> Options:
    """The options, if a service can be run so. Raises UsageError."""
    if not 0 <= options.port <= 65_535:
        raise UsageError(f"--port {options.port} is no port: give 1 to 65535, or 0 for any that is free.")
    if not 1 <= options.workers <= 256:
        raise UsageError(f"--workers {options.workers} serves nothing: give 1 or more.")
    if options.sample is not None and not 0 <= options.sample <= 1:
        raise UsageError(f"--log-sample {options.sample} is no share: give 0 (nothing) to 1 (all).")
    if options.token is not None and (len(options.token) < 16 or not options.token.isascii() or not options.token.isprintable()):
        raise UsageError("The token is too short, or not plain text: give 16 or more letters and digits.")
    if not is_loopback(options.host) and options.token is None:
        raise UsageError(
            f"{options.host} can be reached by others: give a token that they must send, with --token or the environment's {TOKEN}."
        )
    return options


def canary_of(text: str) -> Canary:
    """The canary that a text such as `5%` or `next:5%` asks for. Raises UsageError."""
    alias, _, share = text.rpartition(":")
    try:
        number = float(share.strip().removesuffix("%")) / 100
    except ValueError:
        number = -1.0
    if not share.strip().endswith("%") or not 0 < number <= 1:
        raise UsageError(f"--canary {text} is no share: write 5%, or ALIAS:5%.")
    return Canary(share=number, alias=alias.strip() or "challenger")


def is_loopback(host: str) -> bool:
    """Whether a host names this machine only, as seen from itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
