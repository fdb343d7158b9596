"""Teaches `view` the answers of the verbs of models."""

from __future__ import annotations

from ..records import Check, Labelled, Monitoring, Scored, Trace, Validation
from .blocks import Blocks
from .check_view import check_blocks
from .monitoring_view import monitoring_blocks
from .prediction_view import labelled_blocks, scored_blocks, trace_blocks
from .registry_view import AboutRegistry, registry_blocks
from .release_view import AboutReleases, release_blocks
from .validation_view import validation_blocks
from .views import view as view


@view.register
def _(check: Check) -> Blocks:
    return check_blocks(check)


@view.register
def _(found: Validation) -> Blocks:
    return validation_blocks(found)


@view.register
def _(answer: AboutReleases) -> Blocks:
    return release_blocks(answer)


@view.register
def _(answer: AboutRegistry) -> Blocks:
    return registry_blocks(answer)


@view.register
def _(found: Scored) -> Blocks:
    return scored_blocks(found)


@view.register
def _(found: Labelled) -> Blocks:
    return labelled_blocks(found)


@view.register
def _(trace: Trace) -> Blocks:
    return trace_blocks(trace)


@view.register
def _(found: Monitoring) -> Blocks:
    return monitoring_blocks(found)
