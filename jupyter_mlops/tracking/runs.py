"""Turns what cells do into runs.

A fit makes a run; several fits in one cell are children of the cell's run. Whatever later statements compute from the fitted model joins
its run until it is fitted again. Preparing data (a scaler, an encoder) makes a run of its own only until a model is fitted on the result:
that model takes the run over. Everything leaves here as patches of runs (see the journal), so nothing waits for MLflow.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from ..code.statements import Statement
from ..records import Input, to_json
from . import given, metrics, models
from .freezing import Freezer
from .instrument import Site
from .products import found_models, pack_models
from .provenance import Provenance, inherit
from .scope import Fit, Host, Scope, continues, evaluates
from .unseen import FitStates

MODELS_PER_CELL = 100
VALUES_PER_SITE = 10_000

Emit = Callable[[Mapping[str, Any]], None]


class RunTracker:
    """The runs of one session: `emit` takes their patches, `put` keeps bytes, `host` tells of MLflow in the same process."""

    def __init__(
        self,
        emit: Emit,
        freezer: Freezer,
        put: Callable[[bytes], str],
        host: Host,
    ) -> None:
        self._emit_record, self._freezer, self._put = emit, freezer, put
        self._host = host
        self._held: list[dict[str, Any]] | None = None
        self.provenance = Provenance()
        self._order = 0
        self.orders: dict[str, int] = {}
        self._states = FitStates()
        self._logged: dict[tuple[str, str], Any] = {}
        self._prepared: set[str] = set()
        self._touched: list[str] = []
        self._named: list[str] = []
        self._named_by_user: set[str] = set()
        self.scope: Scope | None = None

    # -- a cell

    def begin(self, scope: Scope) -> None:
        self.scope = scope
        scope.root = scope.named = self._named[-1] if self._named else None
        self._touched = []

    def end(
        self,
        *,
        status: str,
        error: str,
        shown: Any,
        inputs: Mapping[str, tuple[Input, ...]],
        ended: float,
        ran: Iterable[Statement] = (),
    ) -> list[str]:
        """Finish the cell: `shown` is the value of its last expression, `inputs` the data that each name was read from, `ran` the
        statements of the notebooks and programs that it ran.

        Returns the runs that were made or added to, the cell's main run first.
        """
        scope = self.scope
        if scope is None:
            return []
        self._advance(scope, len(scope.statements))
        scope.made += [(statement, self.provenance.execute(statement)) for statement in ran]
        for definition in (item for _, made in scope.made for item in made):
            definition.inputs = inputs.get(definition.name, ())
        for fit in scope.open:
            if not fit.run:
                self._enter(scope, fit)
        unseen = list(self._states.unseen(scope))
        for name, model in unseen:
            self._adopt_unseen(scope, name, model)
        self._mark([name for name, count in Counter(name for name, _ in unseen).items() if count > 1], scope.root)
        for fit in scope.fits:
            if not fit.closed:
                self._release(fit)
                self._close(scope, fit)
        self._settle(scope)
        for run, found in metrics.of_cell(scope, self.provenance, shown, status == "ok").items():
            self._log(run, found, ended)
        self._finish(scope, status, error, ended)
        self.scope = None
        return list(dict.fromkeys(self._touched))

    # -- explicit runs

    def open_named(self, name: str, run: str = "", **fields: Any) -> str:
        """Start a run that the user named; until it is closed, it is the run of everything that the cell or block does."""
        run = run or uuid.uuid4().hex
        self._start(run, name=name, **fields)
        self._named.append(run)
        self._named_by_user.add(run)
        if self.scope is not None:
            self.scope.root = self.scope.named = run
        return run

    def close_named(self, run: str, status: str, error: str = "") -> None:
        self._named.remove(run)
        self._emit(run, status=status, ended=time.time(), **({"error": error} if error else {}))

    # -- what instrumented code reports

    def fit_begins(self, site: Site, function: Any) -> None:
        scope = self.scope
        if scope is None:
            return
        self._advance(scope, site.index + 1)
        while scope.open and not (scope.open[-1].site and scope.open[-1].site.contains(site)):
            # It was left by an exception that the user's code caught.
            scope.open.pop().status = "failed"
        receiver = getattr(function, "__self__", None)
        if isinstance(function, type) and not scope.constructs(function):
            return
        if isinstance(receiver, type | ModuleType):
            receiver = None
        continued = scope.continued(site, receiver)
        if continued is not None:
            continued.receiver = receiver if receiver is not None else continued.receiver
            if continued.site is site:
                # What the loop counts is epochs.
                continued.loops.clear()
            scope.open.append(continued)
            return
        fit = Fit(run="", site=site, receiver=receiver, started=time.time(), evaluates=evaluates(site))
        fit.trains = scope.modules(site, receiver)
        if not continues(site):
            fit.loops = {name: scope.namespace[name] for name in site.loops if name in scope.namespace}
        fit.adopted = self._host.open_run()
        if fit.adopted is None and self._host.autologging(models.recognise(receiver) or ""):
            # The fit will open a run by itself, which ours must become: nothing is delivered before it is known.
            self._held = []
        if receiver is None:
            # A function that fits is given its data as arguments, or reads it from the notebook's own names.
            fit.given = {name: scope.namespace[name] for name in sorted(self.provenance.captured(site.reads)) if name in scope.namespace}
        if hasattr(function, "cache_info"):
            # Whether it fits at all, or gives what an earlier call fitted, only its end can tell.
            misses = function.cache_info().misses
            fit.answered = lambda: bool(function.cache_info().misses == misses)
        else:
            self._enter(scope, fit)
        scope.open.append(fit)

    def fit_takes(self, site: Site, label: str, value: Any) -> None:
        if self.scope is not None and self.scope.open:
            fit = self.scope.open[-1]
            fit.given.setdefault(label, value)
            if fit.evaluates and fit.receiver is None and models.recognise(value) is not None:
                fit.receiver = value

    def fit_ends(self, site: Site, value: Any) -> None:
        scope = self.scope
        if scope is None:
            return
        while scope.open:
            fit = scope.open.pop()
            if fit.site is site or fit.site is None or continues(site):
                fit.result, fit.status = value, "done"
                break
            fit.status = "failed"
        else:
            return
        fit.adopted = fit.adopted or self._host.opened_run()
        self._release(fit)
        if fit.answered is not None and fit.answered():
            self._mark(site.writes, next((item.run for item in scope.fits if item.result is value), None) or self._states.run_of(value))
            return
        if not fit.run:
            self._enter(scope, fit)
        if site.loops and not continues(site):
            # The next turn of the loop may change the data in place.
            self._freeze(scope, fit)
        run = scope.root if site.gathered and scope.root else fit.run
        self._mark(site.writes, run)

    def value_passes(self, site: Site, value: Any) -> None:
        scope = self.scope
        if scope is None:
            return
        # A loop over models that were fitted in earlier cells tells of each in turn.
        looped = (self._states.run_of(scope.namespace.get(name)) for name in site.loops if name in site.reads)
        kept = scope.fits[-1].kept if scope.fits else scope.kept.setdefault(next(filter(None, looped), None), {})
        values = kept.setdefault(site, [])
        if len(values) < VALUES_PER_SITE:
            number = metrics.passing(value)
            if number is not None:
                values.append(number)

    # -- where a fit belongs

    def _enter(self, scope: Scope, fit: Fit) -> None:
        """Count a fit among those of the cell."""
        assert fit.site is not None
        self._place(scope, fit)
        scope.fits.append(fit)
        if scope.first_fit is None:
            scope.first_fit = fit.site.index

    def _mark(self, names: Iterable[str], run: str | None) -> None:
        """Say that what the names stand for now is the product of a run."""
        for name in names:
            if run is not None and name in self.provenance.names:
                self.provenance.names[name].mark(run, self._order_of(run))

    def _place(self, scope: Scope, fit: Fit) -> None:
        """Decide which run a new fit belongs to, and make that run if there is none yet."""
        assert fit.site is not None
        before = scope.fits[-1] if scope.fits else None
        if scope.open and scope.open[-1].run:
            # A fit inside the arguments of another: part of the same result.
            fit.run = scope.open[-1].run
            return
        if before is not None and before.preparation and before.adopted == fit.adopted:
            self._close(scope, before)
            fit.run = before.run
            if not fit.preparation:
                self._prepared.discard(fit.run)
            return
        if before is None and fit.adopted is None and scope.root is None:
            taken = self._preparation_behind(fit)
            if taken is not None:
                fit.run = scope.root = taken
                if not fit.preparation:
                    self._prepared.discard(taken)
                self._emit(taken, status="RUNNING", cells=[scope.seq])
                return
        if before is None:
            fit.run = scope.root or uuid.uuid4().hex
            if scope.root is None:
                scope.root = fit.run
                self._start(fit.run, adopted=fit.adopted)
        elif fit.adopted is not None and fit.adopted != before.adopted:
            # User code opens a run of its own for each fit.
            fit.run = uuid.uuid4().hex
            self._start(fit.run, adopted=fit.adopted)
        else:
            self._divide(scope)
            fit.run = uuid.uuid4().hex
            self._start(fit.run, parent=scope.root)
        if fit.preparation:
            self._prepared.add(fit.run)

    def _divide(self, scope: Scope) -> None:
        """A second fit in the cell: what was the cell's run becomes the parent, and the first fit its first child."""
        for fit in scope.fits:
            if fit.run == scope.root and fit.adopted is None and not fit.closed:
                fit.run = uuid.uuid4().hex
                self._prepared.discard(scope.root or "")
                self._start(fit.run, parent=scope.root, started=fit.started)
            if not fit.closed:
                self._close(scope, fit)

    def _preparation_behind(self, fit: Fit) -> str | None:
        assert fit.site is not None
        run = self.provenance.run_of(fit.site.reads)
        return run if run in self._prepared else None

    # -- making and closing runs

    def _start(self, run: str, **fields: Any) -> None:
        self._order_of(run)
        scope = self.scope
        place = {"seq": scope.seq, "cell": scope.cell, "notebook": scope.notebook, "cells": [scope.seq]} if scope is not None else {}
        parent = self._named[-1] if self._named and not fields.get("parent") else None
        fields = {key: value for key, value in {"parent": parent, **fields}.items() if value is not None}
        self._emit(run, **{"status": "RUNNING", "started": time.time(), **place, **self._host.surroundings(), **fields})

    def _order_of(self, run: str) -> int:
        if run not in self.orders:
            self._order += 1
            self.orders[run] = self._order
        return self.orders[run]

    def _emit(self, run: str, **patch: Any) -> None:
        self._touched.append(run)
        record = {"kind": "run", "id": run, "at": time.time(), **patch}
        if self._held is not None:
            self._held.append(record)
        else:
            self._emit_record(record)

    def _release(self, fit: Fit) -> None:
        held, self._held = self._held, None
        for record in held or ():
            if fit.adopted is not None and record["id"] == fit.run:
                record["adopted"] = fit.adopted
            self._emit_record(record)

    def _advance(self, scope: Scope, count: int) -> None:
        while scope.advanced < min(count, len(scope.statements)):
            statement = scope.statements[scope.advanced]
            scope.made.append((statement, self.provenance.execute(statement)))
            scope.advanced += 1

    def _adopt_unseen(self, scope: Scope, name: str, value: Any) -> None:
        carriers = [fit for fit in scope.fits if fit.site is not None and models.recognise(fit.receiver) is None]
        if carriers:
            # The cell's own training loop, or the function that fitted and handed the model out.
            carriers[-1].receiver = value
            run = carriers[-1].run
        else:
            site = Site(source=name, name=name, index=0, reads=frozenset({name}), writes=frozenset({name}), loops=(), in_fitting_loop=False)
            fit = Fit(run="", site=site, receiver=value, started=scope.started, status="done", adopted=self._host.open_run())
            self._place(scope, fit)
            scope.fits.append(fit)
            run = fit.run
        self._mark([name], run)

    def _close(self, scope: Scope, fit: Fit) -> None:
        """Freeze what the fit made, before anything can change it."""
        fit.closed = True
        found = found_models(scope, fit)
        data = given.data_of(fit, scope, self.provenance)
        origins = given.origins_of(fit, scope, self.provenance)
        chosen = [model for _, model in found] or ([fit.receiver] if fit.receiver is not None else [])
        title = fit.title(found[-1][1] if found else None)
        if len(scope.fits) > MODELS_PER_CELL:
            packed, skipped = list[dict[str, Any]](), [f"{title}: more than {MODELS_PER_CELL} fits in one cell, their models are not kept"]
        else:
            packed, skipped = pack_models(fit, found, list(data.values()), self._put)
        patch = {
            "params": given.of_fit(origins, chosen, fit.loops),
            "name": None if fit.run in self._named_by_user else f"{title}-{fit.run[:4]}",
            "adopted": fit.adopted,
            "models": packed,
            "skipped": skipped,
            "inputs": [to_json(item) for item in origins.inputs.values()],
        }
        self._emit(fit.run, **{key: value for key, value in patch.items() if value})
        self._freeze(scope, fit)
        self._add_inputs(fit)
        for _, model in found:
            self._states.remember(model, fit.run)
            self._log(fit.run, metrics.of_model(model), time.time())
        if fit.site is not None:
            self._log(fit.run, metrics.of_result(fit.site, fit.result), time.time())
        fit.given.clear()

    def _freeze(self, scope: Scope, fit: Fit) -> None:
        """Freeze the data of a fit, once."""
        if fit.frozen or len(scope.fits) > MODELS_PER_CELL:
            return
        fit.frozen = True

        def ready(item: Input) -> None:
            fit.inputs.append(item)
            self._add_inputs(fit)

        for label, value in given.data_of(fit, scope, self.provenance).items():
            self._freezer.keep(label, value, ready)

    def _add_inputs(self, fit: Fit) -> None:
        """Add what is frozen to the run; until the fit is closed, its run can still become another one."""
        while fit.closed and fit.inputs:
            item = fit.inputs.popleft()
            told = {"skipped": [f"input {item.name}: {item.why}"]} if item.digest is None else {"inputs": [to_json(item)]}
            self._emit_record({"kind": "run", "id": fit.run, "at": time.time(), **told})

    def _add_table(self, run: str) -> Callable[[Input], None]:
        return lambda item: self._emit_record(
            {"kind": "run", "id": run, "at": time.time(), "tables": [{"name": item.name, "digest": item.digest}]}
        )

    # -- the end of a cell

    def _settle(self, scope: Scope) -> None:
        """Give the definitions of the cell their final runs: marks were set while the statements of a loop were still running."""
        several = len({fit.run for fit in scope.fits}) > 1
        for statement, made in scope.made:
            fitted = [fit for fit in scope.fits if scope.statement_of(fit) is statement]
            for name, runs in scope.holders(statement, fitted).items():
                run = runs.pop() if len(runs) == 1 else scope.root
                self._mark([name], run)
            for definition in made:
                inherit(definition)
                if (known := self._states.run_of(scope.namespace.get(definition.name))) is not None:
                    # Another name for a fitted model.
                    definition.mark(known, self._order_of(known))
                if (
                    several
                    and len({fit.run for fit in fitted}) > 1
                    and not definition.explicit
                    and definition.run is not None
                    and scope.root
                ):
                    # What a loop over fits gathers (a dict or list of scores) belongs to all of them.
                    definition.run, definition.order = scope.root, self._order_of(scope.root)

    def _log(self, run: str, found: metrics.Found, at: float) -> None:
        numbers = metrics.without_repeats(found.numbers, lambda key: self._logged.get((run, key)))
        fresh = [(key, value) for key, value in numbers.items() if self._logged.get((run, key), object()) != value]
        records: list[list[Any]] = [[key, value, None, at] for key, value in fresh]
        for key, steps in found.series.items():
            if self._logged.get((run, key + "[]")) != steps:
                self._logged[(run, key + "[]")] = steps
                records += [[key, value, step, at] for step, value in steps]
        for key, value in fresh:
            self._logged[(run, key)] = value
        for name, frame in found.frames.items():
            self._freezer.keep(name, frame, self._add_table(run))
        texts = [{"path": path, "digest": self._put(text.encode("utf-8", "replace"))} for path, text in found.texts.items()]
        patch = {key: value for key, value in {"metrics": records, "params": found.params, "artifacts": texts}.items() if value}
        if patch or found.frames:
            self._emit(run, **patch)

    def _finish(self, scope: Scope, status: str, error: str, ended: float) -> None:
        own = list(dict.fromkeys(fit.run for fit in scope.fits))
        if scope.root is not None and scope.root not in own and scope.root not in self._named_by_user:
            own.insert(0, scope.root)
            titles = list(
                dict.fromkeys(type(fit.receiver).__name__ for fit in scope.fits if fit.receiver is not None and not fit.preparation)
            )
            self._emit(scope.root, name=f"{titles[0] if len(titles) == 1 else 'fits'} x{len(own) - 1}-{scope.root[:4]}")
        for run in own:
            if run in self._named_by_user:
                continue
            fits = [fit for fit in scope.fits if fit.run == run]
            failed = status != "ok" and (not fits or fits[-1].status == "running" or len(own) == 1 or run == scope.root)
            if not failed and fits and all(fit.status == "failed" for fit in fits):
                self._emit(run, status="FAILED", ended=ended)
            elif not failed:
                self._emit(run, status="FINISHED", ended=ended)
            elif status == "interrupted":
                self._emit(run, status="KILLED", ended=ended, reason="interrupted by the user")
            else:
                self._emit(run, status="FAILED", ended=ended, error=error)
        # What a named run is open for belongs to it, whether the cell gave a result or not.
        named = [scope.named] if scope.named is not None else []
        joined = [run for run in dict.fromkeys([*named, *self._touched]) if run not in own or run in named]
        for run in joined:
            self._emit(run, cells=[scope.seq])
        self._touched = [*([scope.root] if scope.root else []), *self._touched]
